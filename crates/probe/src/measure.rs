//! The loop: asks when the schedule says so, takes what arrives, gives up what is overdue.
//!
//! The probe's only loop that touches packets. It is the same for every schedule, backend and clock; a simulation
//! passes its own.

use std::sync::atomic::{AtomicBool, Ordering};

use hdrhistogram::CreationError;
use telemetry::{Ns, Tick};
use thiserror::Error;

use crate::ask::{Ask, AskError, End};
use crate::clock::Clock;
use crate::matching::Matcher;
use crate::question::Questions;
use crate::record::Record;
use crate::report::Report;
use crate::schedule::Pace;
use crate::transport::{Arrival, Coverage, Transport, TransportError, What};

/// How long the first warm-up question may take: a neighbour is resolved in one to three tries of a second each
/// (`mcast_solicit`, `retrans_time_ms` of the kernel), and a target that has not answered within the first will show
/// itself in the figures.
pub const WARM_UP_PATIENCE: Ns = Ns(1_000_000_000);

/// How long a backend may have no room for a question. Longer means that it is stuck, not busy.
pub const NO_ROOM_PATIENCE: Ns = Ns(1_000_000_000);

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// It cannot be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The backend cannot go on.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The backend has had no room for a question for [`NO_ROOM_PATIENCE`].
    #[error("the backend took no question for {} ms: its transmit ring or buffer stays full", NO_ROOM_PATIENCE.0 / 1_000_000)]
    Stuck,
    /// The time-out cannot be recorded.
    #[error("timeout: {0}")]
    Record(#[from] CreationError),
}

/// Measures, until the end or until `stop` becomes true. After that nothing more is asked, but what was asked still
/// gets its fate: that takes up to the time-out where the target is silent.
///
/// # Errors
/// Nothing was measured, or the backend failed on the way.
pub fn measure<T: Transport, C: Clock>(
    ask: &Ask,
    transport: &mut T,
    clock: &C,
    stop: &AtomicBool,
) -> Result<Report, ProbeError> {
    ask.check()?;
    let mut run = Run::new(ask, transport, clock, stop)?;
    run.warm_up(ask.warm_up)?;
    let began = clock.now();
    run.ask_until(&Finish::of(ask.end, began, clock))?;
    let ended = run.settle_all()?;
    run.linger(ask.linger)?;
    let wall = clock.rate().ns(ended - began);
    Ok(Report::new(ask, &run.transport.facts(), clock.name(), wall, run.matcher.counts(), &run.record))
}

/// When to stop asking, in ticks and sequence numbers.
struct Finish {
    at: Tick,
    count: u64,
}

impl Finish {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "Ask::check bounds the seconds"
    )]
    fn of(end: End, began: Tick, clock: &impl Clock) -> Self {
        match end {
            End::Count(count) => Self { at: Tick(u64::MAX), count },
            End::Seconds(seconds) => {
                let ticks = clock.rate().ticks(Ns((seconds * 1e9) as u64));
                Self { at: Tick(began.0.saturating_add(ticks)), count: u64::MAX }
            }
        }
    }
}

struct Run<'a, T, C> {
    questions: Questions,
    transport: &'a mut T,
    clock: &'a C,
    stop: &'a AtomicBool,
    timeout: Ns,
    pace: Pace,
    matcher: Matcher,
    record: Record,
    /// Since when the backend has had no room.
    full_since: Option<Tick>,
}

impl<'a, T: Transport, C: Clock> Run<'a, T, C> {
    fn new(ask: &Ask, transport: &'a mut T, clock: &'a C, stop: &'a AtomicBool) -> Result<Self, ProbeError> {
        let rate = clock.rate();
        Ok(Self {
            questions: Questions::new(ask),
            transport,
            clock,
            stop,
            timeout: ask.timeout,
            pace: Pace::new(ask.schedule, rate),
            matcher: Matcher::new(rate.ticks(ask.timeout.max(WARM_UP_PATIENCE))),
            record: Record::up_to(ask.timeout)?,
            full_since: None,
        })
    }

    /// Asks without counting, and forgets it.
    fn warm_up(&mut self, count: u64) -> Result<(), ProbeError> {
        self.ask_until(&Finish { at: Tick(u64::MAX), count })?;
        self.settle_all()?;
        self.matcher.begin(self.clock.rate().ticks(self.timeout));
        self.record = Record::up_to(self.timeout)?;
        Ok(())
    }

    /// The loop.
    fn ask_until(&mut self, finish: &Finish) -> Result<(), ProbeError> {
        let mut now = self.clock.now();
        while now < finish.at && self.matcher.counts().sent < finish.count && !self.is_stopped() {
            if self.due().is_some_and(|due| due <= now) {
                self.send(now)?;
            }
            self.receive(self.due().map_or(finish.at, |due| due.min(finish.at)))?;
            now = self.clock.now();
            self.expire(now);
        }
        Ok(())
    }

    /// Waits until every question has its fate; gives the instant.
    fn settle_all(&mut self) -> Result<Tick, ProbeError> {
        while self.matcher.counts().outstanding() > 0 {
            self.receive(Tick(u64::MAX))?;
            let now = self.clock.now();
            self.expire(now);
        }
        Ok(self.clock.now())
    }

    /// Listens on for a while, for what is late or double.
    fn linger(&mut self, linger: Ns) -> Result<(), ProbeError> {
        let until = Tick(self.clock.now().0.saturating_add(self.clock.rate().ticks(linger)));
        while self.clock.now() < until {
            self.receive(until)?;
        }
        Ok(())
    }

    fn due(&self) -> Option<Tick> {
        self.pace.due(self.matcher.counts().outstanding())
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn send(&mut self, now: Tick) -> Result<(), ProbeError> {
        let question = self.questions.at(self.matcher.next());
        if let Some(at) = self.transport.send(&question, self.clock)? {
            self.transport.flush()?;
            self.matcher.sent(at);
            self.full_since = None;
            return Ok(());
        }
        let since = *self.full_since.get_or_insert(now);
        if now - since > self.clock.rate().ticks(NO_ROOM_PATIENCE) { Err(ProbeError::Stuck) } else { Ok(()) }
    }

    /// Takes one arrival, waiting for it no longer than to `until` or to the next time-out.
    fn receive(&mut self, until: Tick) -> Result<(), ProbeError> {
        let until = self.matcher.expires_at().map_or(until, |at| until.min(at));
        let Some(Arrival { at, what }) = self.transport.receive(until, self.clock)? else { return Ok(()) };
        match what {
            What::Answer { payload, echo_sequence, checksum } => {
                match self.questions.recognise(payload, echo_sequence, self.matcher.next()) {
                    Some(answer) => self.take(answer.sequence, at, checksum),
                    None => self.matcher.corrupted(),
                }
            }
            What::Sent { sequence } => self.matcher.stamped(sequence, at),
            What::Corrupted => self.matcher.corrupted(),
            What::Refused => self.matcher.refused(),
        }
        Ok(())
    }

    fn take(&mut self, sequence: u64, at: Tick, checksum: Coverage) {
        if checksum == Coverage::Partial {
            self.matcher.partial_checksum();
        }
        let outstanding_before = self.matcher.counts().outstanding();
        if let Some(took) = self.matcher.answered(sequence, at) {
            self.record.add(self.clock.rate().ns(took));
        }
        if self.matcher.counts().outstanding() < outstanding_before {
            self.pace.settled(at);
        }
    }

    fn expire(&mut self, now: Tick) {
        if self.matcher.expire(now) > 0 {
            self.pace.settled(now);
        }
    }
}
