//! `barelane probe`: the measuring client.
//!
//! What is asked and how it is measured is the crate `probe`'s; here options become a measurement, the target's name
//! becomes an address, and the address a neighbour, before the first question. So a target that is not there is told at
//! once instead of being measured as a hundred percent of loss, and resolution never counts as a round trip.
//!
//! ```text
//!   options ─▶ settings ─▶ target ─▶ core ─▶ means ─▶ runs ─▶ results (table, JSON, page)
//!              (all read)  (there?)          (socket,   │
//!                                         card, memif)  │
//!                                                       └▶ live line, by a thread of its own
//! ```

use std::sync::Arc;
use std::thread;

use nic::memif::Control;
use probe::clock::RealtimeClock;
use probe::memif::Memif;
use probe::report::Runs;
use probe::socket::{Socket, Wait};
use probe::transport::{Stamps, Transport};
use probe::{Ask, Clock, Controls, Ended, Outcome, ProbeError};
use telemetry::{Ns, Tick};

use crate::args::ProbeArguments;
use crate::error::Error;
use crate::say;
use crate::signals::Signals;

mod bias;
pub(crate) mod card;
mod clock;
mod core;
mod live;
mod memif;
pub(crate) mod platform;
mod results;
mod search;
mod settings;
mod target;

pub(crate) use clock::CycleClock;
pub(crate) use settings::number;

use live::{Live, Whole};
use platform::ThisPlatform;
use results::Found;
use settings::{Means, Settings};
use target::Target;

/// Measures until its end or Ctrl-C, and prints what was measured.
pub fn run(arguments: &ProbeArguments) -> Result<(), Error> {
    results::check(&arguments.results)?;
    let signals = Signals::catch()?;
    let Measured { found, failure } = look(arguments, &signals)?;
    say::answer(found.to_string().trim_end());
    results::write(&arguments.results, &found)?;
    failure.map_or_else(|| found.judge(), Err)
}

/// One measurement, of which only the median and the 99th percentile of the round trips are wanted. On a thread of its own, since it
/// binds itself to a core.
pub(crate) fn percentiles(
    arguments: &ProbeArguments,
    signals: &Signals,
) -> Result<(Option<u64>, Option<u64>), Error> {
    let looked = thread::scope(|scope| scope.spawn(|| look(arguments, signals)).join());
    let died = || Error::Failed("the probe has died".to_owned());
    let Measured { found, failure } = looked.map_err(|_| died())??;
    failure.map_or_else(|| found.judge(), Err)?;
    Ok(found.percentiles())
}

/// Measures what the arguments say.
fn look(arguments: &ProbeArguments, signals: &Signals) -> Result<Measured, Error> {
    let settings = Settings::read(arguments)?;
    let target = settings.target(&arguments.target, arguments.means.nic.as_deref())?;
    let ask = settings.ask(&target)?;
    let way = Way::find(&settings, &ask, &target, signals)?;
    // Before the thread is bound to a core, which the printing thread must not have.
    let whole = settings.search.map_or(Whole::Runs(settings.repeat, ask.end), |_| Whole::Trials);
    let live = Live::start(whole, arguments.results.progress, way.control());
    core::pin(&settings)?;
    let measured = measure(&settings, &ask, &target, way, &Session { live: &live, signals });
    drop(live);
    let mut measured = measured?;
    if let Some(link) = &target.link {
        measured.found.left_by(link);
    }
    Ok(measured)
}

/// What the questions go by, as far as it can be made ready before the thread is bound to a core.
#[derive(Debug)]
enum Way {
    /// The kernel's stack.
    Socket { spins: bool, stamps: Stamps },
    /// A card, to the station of this Ethernet address.
    Xdp(Option<[u8; 6]>),
    /// An interface in shared memory, open.
    Memif(Box<Memif>),
}

impl Way {
    /// Finds who takes the questions.
    fn find(settings: &Settings, ask: &Ask, target: &Target, signals: &Signals) -> Result<Self, Error> {
        Ok(match &settings.means {
            Means::Memif(shared) => Self::Memif(Box::new(shared.open(ask, target, signals)?)),
            Means::Xdp => Self::Xdp(target.find_neighbour()?),
            &Means::Socket { spins, stamps } => {
                target.find_neighbour()?;
                Self::Socket { spins, stamps }
            }
        })
    }

    /// Who has news of the other end.
    fn control(&self) -> Option<Arc<Control>> {
        match self {
            Self::Memif(memif) => Some(Arc::clone(memif.control())),
            Self::Socket { .. } | Self::Xdp(_) => None,
        }
    }
}

/// Who looks on, and who ends it.
#[derive(Clone, Copy, Debug)]
struct Session<'a> {
    live: &'a Live,
    signals: &'a Signals,
}

/// What was measured, and why no more of it was.
#[derive(Debug)]
struct Measured {
    found: Found,
    failure: Option<Error>,
}

/// Opens what the packets go through, and measures by the clock that belongs to it.
fn measure(
    settings: &Settings,
    ask: &Ask,
    target: &Target,
    way: Way,
    session: &Session<'_>,
) -> Result<Measured, Error> {
    let (spins, stamps) = match way {
        Way::Memif(mut memif) => {
            return conduct(settings, ask, &mut *memif, &CycleClock::calibrate(), session);
        }
        Way::Xdp(next_hop) => {
            let mut reserved = card::open(ask, target, next_hop)?;
            return conduct(settings, ask, &mut reserved.card, &CycleClock::calibrate(), session);
        }
        Way::Socket { spins, stamps } => (spins, stamps),
    };
    let wrong = |error: probe::TransportError| Error::Input(error.to_string());
    let wait = if spins { Wait::Spin } else { Wait::Block };
    let mut socket = Socket::open(ask, wait).map_err(wrong)?;
    if stamps == Stamps::User {
        return conduct(settings, ask, &mut socket, &CycleClock::calibrate(), session);
    }
    let mut socket = socket.stamped_by_kernel().map_err(wrong)?;
    let clock = RealtimeClock::start().map_err(|error| Error::Failed(format!("the wall clock: {error}")))?;
    conduct(settings, ask, &mut socket, &clock, session)
}

/// Measures as often as was asked for, or searches.
fn conduct<T: Transport, C: Clock>(
    settings: &Settings,
    ask: &Ask,
    transport: &mut T,
    clock: &C,
    session: &Session<'_>,
) -> Result<Measured, Error> {
    match &settings.search {
        Some(goal) => search::run(goal, settings, ask, transport, clock, session),
        None => repeat(settings, ask, transport, clock, session),
    }
}

/// Every run, one after the other. What the first ones measured is kept when a later one fails.
fn repeat<T: Transport, C: Clock>(
    settings: &Settings,
    ask: &Ask,
    transport: &mut T,
    clock: &C,
    session: &Session<'_>,
) -> Result<Measured, Error> {
    let platform = ThisPlatform::open();
    let stop = session.signals.stop_flag();
    let controls = Controls { stop: &stop, progress: session.live.progress(), platform: &platform };
    let bias = bias::measure(ask, &settings.means, clock).map_err(failed)?;
    let mut last = probe::measure(ask, transport, clock, &controls).map_err(failed)?;
    let mut runs = Runs::begin(&last, settings.repeat);
    let mut failure = None;
    for number in 1..settings.repeat as u64 {
        if last.ended != Ended::Done {
            break;
        }
        session.live.next_run();
        match next_run(&last, number, transport, clock, &controls) {
            Ok(outcome) => last = outcome,
            Err(error) => {
                failure = Some(failed(error));
                break;
            }
        }
        runs.add(&last);
    }
    if let Ended::Failed(why) = last.ended {
        failure = Some(Error::Failed(why));
    }
    let mut report = runs.report();
    report.own_error.bias = bias;
    Ok(Measured { found: Found::Runs(Box::new(report)), failure })
}

/// The same measurement again, with tokens of its own.
fn next_run<T: Transport, C: Clock>(
    last: &Outcome,
    number: u64,
    transport: &mut T,
    clock: &C,
    controls: &Controls<'_>,
) -> Result<Outcome, ProbeError> {
    if last.counts.lost > 0 {
        drain(transport, clock, last.ask.timeout)?;
    }
    let ask = Ask { seed: last.ask.seed.wrapping_add(number), ..last.ask.clone() };
    probe::measure(&ask, transport, clock, controls)
}

/// Takes answers to the lost questions of one run, so that the next one does not find them.
fn drain<T: Transport, C: Clock>(transport: &mut T, clock: &C, length: Ns) -> Result<(), ProbeError> {
    let until = Tick(clock.now().0.saturating_add(clock.rate().ticks(length)));
    while clock.now() < until {
        transport.receive(until, clock)?;
    }
    Ok(())
}

pub(crate) fn failed(error: ProbeError) -> Error {
    match error {
        ProbeError::Ask(error) => Error::Input(error.to_string()),
        other => Error::Failed(other.to_string()),
    }
}
