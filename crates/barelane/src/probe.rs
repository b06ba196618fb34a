//! `barelane probe`: the measuring client.
//!
//! What is asked and how it is measured is the crate `probe`'s; here the target's name becomes an address, and the
//! address a neighbour, before the first question. So a target that is not there is told at once instead of being
//! measured as a hundred percent of loss, and resolution never counts as a round trip.

use std::fmt::Display;
use std::num::NonZeroU16;
use std::str::FromStr;

use host::clock::Clock as HostClock;
use probe::clock::Anchor;
use probe::socket::{Socket, Wait};
use probe::{Ask, Clock, Controls, End, ProbeError, Progress, Protocol, Report, WallTime};
use telemetry::{Tick, TickRate};

use crate::args::ProbeArguments;
use crate::error::{Error, Wrong};
use crate::signals::Signals;
use crate::{json, say};

pub(crate) mod card;
pub(crate) mod platform;
mod target;

use platform::ThisPlatform;
use target::Target;

/// How long to ask where nothing is said.
const SECONDS_DEFAULT: f64 = 5.0;

/// The longest answer, in bytes of payload, that an option may ask for: what `probe` takes at most.
const SIZE_MAX: usize = probe::ask::SIZE_MAX;

/// Measures until its end or Ctrl-C, and prints what was measured.
pub fn run(arguments: &ProbeArguments) -> Result<(), Error> {
    let signals = Signals::catch()?;
    let backend = backend(&arguments.backend)?;
    json::check(arguments.json.as_deref())?;
    let target = Target::resolve(&arguments.target, arguments.nic.as_deref())?;
    let ask = ask_of(arguments, &target)?;
    ask.check().map_err(|error| Error::Input(error.to_string()))?;
    let next_hop = target.find_neighbour()?;
    let clock = CycleClock::calibrate();
    let stop = signals.stop_flag();
    let platform = ThisPlatform::open();
    let controls = Controls { stop: &stop, progress: &Progress::default(), platform: &platform };
    let outcome = match backend {
        Backend::Socket => {
            let wait = if arguments.spin { Wait::Spin } else { Wait::Block };
            let mut socket = Socket::open(&ask, wait).map_err(|error| Error::Input(error.to_string()))?;
            probe::measure(&ask, &mut socket, &clock, &controls)
        }
        Backend::Xdp => {
            let mut reserved = card::open(&ask, &target, next_hop)?;
            probe::measure(&ask, &mut reserved.card, &clock, &controls)
        }
    };
    let report = Report::new(&outcome.map_err(failed)?);
    say::answer(report.to_string().trim_end());
    let text = report.to_json().map_err(|error| Error::Failed(error.to_string()))?;
    json::write(arguments.json.as_deref(), &text)?;
    judge(&report)
}

/// How packets are sent and taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backend {
    /// By a socket, through the kernel's stack.
    Socket,
    /// By a card of its own, past it.
    Xdp,
}

fn backend(text: &str) -> Result<Backend, Wrong> {
    match text {
        "socket" => Ok(Backend::Socket),
        "xdp" => Ok(Backend::Xdp),
        _ => {
            let wrong = Wrong::new("--backend", text).because("no such backend");
            Err(wrong.remedy("write one of socket, xdp"))
        }
    }
}

/// The measurement that the options mean.
fn ask_of(arguments: &ProbeArguments, target: &Target) -> Result<Ask, Error> {
    let mut ask = Ask::new(target.ip, protocol(&arguments.proto)?);
    ask.scope = target.scope;
    ask.size = number("--size", &arguments.size, 0, SIZE_MAX)?;
    ask.end = match (&arguments.count, &arguments.seconds) {
        (Some(count), _) => End::Count(number("--count", count, 1, u64::MAX)?),
        (None, Some(seconds)) => End::Seconds(number("--seconds", seconds, 0.001, 1e9)?),
        (None, None) => End::Seconds(SECONDS_DEFAULT),
    };
    Ok(ask)
}

fn protocol(text: &str) -> Result<Protocol, Wrong> {
    let port = text.strip_prefix("udp:").and_then(|port| port.parse::<NonZeroU16>().ok());
    match (text, port) {
        ("icmp", _) => Ok(Protocol::Icmp),
        (_, Some(port)) => Ok(Protocol::Udp { port }),
        _ => {
            let wrong = Wrong::new("--proto", text).because("no such protocol");
            Err(wrong.remedy("write icmp or udp:PORT with a port from 1 to 65535"))
        }
    }
}

/// A number within limits, both included.
pub(crate) fn number<T>(option: &str, text: &str, min: T, max: T) -> Result<T, Wrong>
where
    T: Copy + FromStr + PartialOrd + Display,
{
    match text.parse::<T>() {
        Ok(number) if number >= min && number <= max => Ok(number),
        _ => Err(Wrong::new(option, text)
            .because("out of range")
            .remedy(format_args!("write a number from {min} to {max}"))),
    }
}

pub(crate) fn failed(error: ProbeError) -> Error {
    match error {
        ProbeError::Ask(error) => Error::Input(error.to_string()),
        other => Error::Failed(other.to_string()),
    }
}

/// A run without a single right answer has failed, and so has one with a wrong answer.
fn judge(report: &Report) -> Result<(), Error> {
    if report.sent > 0 && report.answered == 0 {
        return Err(Error::Failed(format!("none of {} questions was answered", report.sent)));
    }
    match report.corrupted {
        0 => Ok(()),
        count => Err(Error::Failed(format!("{count} answers were wrong"))),
    }
}

/// The host's calibrated cycle counter, as the probe wants a clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CycleClock {
    clock: HostClock,
    anchor: Anchor,
}

impl CycleClock {
    /// Measures the counter's rate, which takes 50 ms.
    pub(crate) fn calibrate() -> Self {
        let clock = HostClock::calibrate();
        Self { clock, anchor: Anchor::take(|| Tick(clock.now())) }
    }
}

impl Clock for CycleClock {
    #[inline]
    fn now(&self) -> Tick {
        Tick(self.clock.now())
    }

    fn rate(&self) -> TickRate {
        TickRate::new(self.clock.ticks_per_second())
    }

    fn wall(&self, at: Tick) -> WallTime {
        self.anchor.wall(at, self.rate())
    }

    fn name(&self) -> &'static str {
        match self.clock.source() {
            host::clock::Source::TimeStampCounter => "TSC",
            host::clock::Source::Kernel => "CLOCK_MONOTONIC_RAW",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_is_icmp_or_a_port_that_exists() {
        assert_eq!(protocol("icmp").unwrap(), Protocol::Icmp);
        assert_eq!(protocol("udp:7").unwrap(), Protocol::Udp { port: NonZeroU16::new(7).unwrap() });
        for text in ["udp", "udp:0", "udp:65536", "tcp:7", ""] {
            assert!(protocol(text).unwrap_err().to_string().contains("--proto"), "{text}");
        }
    }

    #[test]
    fn a_number_outside_its_limits_is_refused_with_the_limits() {
        assert_eq!(number("--size", "0", 0, 9).unwrap(), 0);
        for text in ["10", "-1", "x", ""] {
            let wrong = number("--size", text, 0, 9).unwrap_err().to_string();
            assert!(wrong.ends_with("write a number from 0 to 9"), "{wrong}");
        }
        assert!(number("--seconds", "NaN", 0.001, 1e9).is_err());
    }
}
