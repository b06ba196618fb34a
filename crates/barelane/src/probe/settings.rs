//! What the options mean, before any name is resolved or any file is touched.

use std::fmt::Display;
use std::num::NonZeroU16;
use std::path::Path;
use std::str::FromStr;

use probe::ask::{RATE_MAX, RATE_MIN, SIZE_MAX, StampKey, TIMEOUT_MAX, WINDOW_MAX};
use probe::search::Goal;
use probe::transport::Stamps;
use probe::{Arrivals, Ask, End, Protocol, Ramp, Schedule};
use telemetry::Ns;

use super::memif::{self, Shared};
use super::target::Target;
use crate::args::{MeansArguments, ProbeArguments, ScheduleArguments};
use crate::error::{Error, Wrong};
use crate::stamp_key;

/// How long to ask where nothing is said.
const SECONDS_DEFAULT: f64 = 5.0;

/// Between which rates is looked where nothing is said: the higher one is what one core carries past the kernel.
const SEARCHED_DEFAULT: Ramp = Ramp { from: 1e3, to: 2e6 };

/// The payload where nothing is said and the protocol asks for no more: what a game or a voice server answers, and what
/// the kernel's ping sends, up to its header.
const SIZE_DEFAULT: usize = 64;

/// STAMP's port (RFC 8762 4.1) and that of sockperf.
const STAMP_PORT: NonZeroU16 = NonZeroU16::new(862).unwrap();
const SOCKPERF_PORT: NonZeroU16 = NonZeroU16::new(11_111).unwrap();

/// The most runs of one measurement. RFC 8219 asks for 20; more than this is a day's work.
const REPEAT_MAX: usize = 1_000;

/// What precedes the payload in a packet: the IP header without options, and the header of UDP or ICMP echo.
const fn headers_size(is_ipv4: bool) -> usize {
    if is_ipv4 { 20 + 8 } else { 40 + 8 }
}

/// The options of one measurement, read.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    protocol: Protocol,
    /// Nothing where the protocol decides.
    size: Option<usize>,
    stamp_key: Option<StampKey>,
    schedule: Schedule,
    end: End,
    timeout: Ns,
    /// What is looked for, where a search was asked for.
    pub(super) search: Option<Goal>,
    /// How many runs.
    pub(super) repeat: usize,
    /// How the packets go.
    pub(super) means: Means,
    /// On which core, where that was said.
    pub(super) core: Option<usize>,
}

/// How packets are sent and taken.
#[derive(Clone, Debug)]
pub(super) enum Means {
    /// By a socket, through the kernel's stack.
    Socket {
        /// Whether it is asked again and again instead of being waited for.
        spins: bool,
        /// Who takes the stamps.
        stamps: Stamps,
    },
    /// By a card of its own, past the kernel.
    Xdp,
    /// By an interface in shared memory, without a kernel.
    Memif(Box<Shared>),
}

impl Means {
    /// Whether the measuring thread uses up its core.
    pub(super) const fn spins(&self) -> bool {
        matches!(self, Self::Xdp | Self::Memif(_) | Self::Socket { spins: true, .. })
    }
}

impl Settings {
    /// Reads every option. The first wrong one is told.
    pub(super) fn read(arguments: &ProbeArguments) -> Result<Self, Wrong> {
        Ok(Self {
            protocol: protocol(&arguments.proto)?,
            size: arguments.size.as_deref().map(|size| number("--size", size, 0, SIZE_MAX)).transpose()?,
            stamp_key: arguments.stamp_key.as_deref().map(stamp_key).transpose()?,
            schedule: schedule(&arguments.schedule)?,
            end: match (&arguments.count, &arguments.seconds) {
                (Some(count), _) => End::Count(number("--count", count, 1, u64::MAX)?),
                (None, Some(seconds)) => End::Seconds(number("--seconds", seconds, 0.001, 1e9)?),
                (None, None) => End::Seconds(SECONDS_DEFAULT),
            },
            timeout: timeout(&arguments.timeout)?,
            search: arguments.schedule.search.then(|| search(arguments)).transpose()?,
            repeat: number("--repeat", &arguments.repeat, 1, REPEAT_MAX)?,
            means: means(&arguments.means)?,
            core: arguments.means.core.as_deref().map(core).transpose()?,
        })
    }

    /// Whom the questions go to, by these means. `nic` overrules where the kernel's route leads.
    pub(super) fn target(&self, text: &str, nic: Option<&str>) -> Result<Target, Error> {
        match &self.means {
            Means::Memif(shared) => Target::beyond(text, shared),
            Means::Socket { .. } | Means::Xdp => Target::resolve(text, nic),
        }
    }

    /// The measurement of a target that these options mean. Refuses what cannot be asked there.
    pub(super) fn ask(&self, target: &Target) -> Result<Ask, Error> {
        let mut ask = Ask::new(target.ip, self.protocol);
        ask.scope = target.scope;
        ask.stamp_key.clone_from(&self.stamp_key);
        ask.size = self.size.unwrap_or_else(|| ask.size_min().max(SIZE_DEFAULT));
        ask.schedule = self.schedule;
        ask.end = self.end;
        ask.timeout = self.timeout;
        ask.check().map_err(|error| Error::Input(error.to_string()))?;
        check_fit(&ask, target)?;
        Ok(ask)
    }
}

/// A question has to fit one packet: in fragments, it would be measured how those are put together.
fn check_fit(Ask { size, protocol, .. }: &Ask, target: &Target) -> Result<(), Wrong> {
    let Some(link) = &target.link else { return Ok(()) };
    let most = (link.mtu as usize).saturating_sub(headers_size(target.ip.is_ipv4())).min(SIZE_MAX);
    if *size <= most {
        return Ok(());
    }
    let family = if target.ip.is_ipv4() { "IPv4" } else { "IPv6" };
    let (name, mtu) = (&link.name, link.mtu);
    let problem = format!(
        "a question of {protocol} over {family} does not fit one packet of {name}, whose MTU is {mtu}"
    );
    Err(Wrong::new("--size", size).because(problem).remedy(format_args!("give at most {most}")))
}

fn protocol(text: &str) -> Result<Protocol, Wrong> {
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let known = match (name, port.map(str::parse)) {
        ("icmp", None) => Some(Protocol::Icmp),
        ("udp", Some(Ok(port))) => Some(Protocol::Udp { port }),
        ("stamp", None) => Some(Protocol::Stamp { port: STAMP_PORT }),
        ("stamp", Some(Ok(port))) => Some(Protocol::Stamp { port }),
        ("sockperf", None) => Some(Protocol::Sockperf { port: SOCKPERF_PORT }),
        ("sockperf", Some(Ok(port))) => Some(Protocol::Sockperf { port }),
        _ => None,
    };
    known.ok_or_else(|| {
        let wrong = Wrong::new("--proto", text).because("no such protocol");
        wrong.remedy("write icmp, udp:PORT, stamp[:PORT] or sockperf[:PORT], with a port from 1 to 65535")
    })
}

fn stamp_key(path: &Path) -> Result<StampKey, Wrong> {
    let bytes = stamp_key::read("--stamp-key", path)?;
    let empty =
        || Wrong::new("--stamp-key", path.display()).because("it is empty").remedy("write a key into it");
    StampKey::new(&bytes).ok_or_else(empty)
}

fn schedule(arguments: &ScheduleArguments) -> Result<Schedule, Wrong> {
    let Some(rate) = &arguments.rate else {
        let window = arguments.window.as_deref().unwrap_or("1");
        return Ok(Schedule::Closed { window: number("--window", window, 1, WINDOW_MAX)?, gap: Ns(0) });
    };
    let arrivals = if arguments.poisson { Arrivals::Poisson } else { Arrivals::Periodic };
    Ok(Schedule::Open { arrivals, rate: ramp(rate)? })
}

/// The goal of a search. Its trials of full length take as long as any measurement.
fn search(arguments: &ProbeArguments) -> Result<Goal, Wrong> {
    let rates = arguments.schedule.rate.as_deref().map_or(Ok(SEARCHED_DEFAULT), ramp)?;
    let seconds = match &arguments.seconds {
        Some(seconds) => number("--seconds", seconds, 0.001, 1e9)?,
        None => SECONDS_DEFAULT,
    };
    let goal = Goal::between(rates.from, rates.to, seconds);
    goal.check().map_err(|_| {
        let wrong = Wrong::new("--rate", rates).because("nothing can be looked for between these");
        wrong.remedy("write FROM..TO, a lower and a higher rate")
    })?;
    Ok(goal)
}

/// A rate, or one that changes: `FROM..TO`. One end of a ramp may be 0.
fn ramp(text: &str) -> Result<Ramp, Wrong> {
    let is_rate = |rate: &f64| (RATE_MIN..=RATE_MAX).contains(rate);
    let ramp = match text.split_once("..") {
        None => text.parse().ok().filter(is_rate).map(Ramp::constant),
        Some((from, to)) => from.parse().ok().zip(to.parse().ok()).map(|(from, to)| Ramp { from, to }),
    };
    let is_ramp =
        |ramp: &Ramp| is_rate(&ramp.mean()) && ramp.from >= 0.0 && ramp.to >= 0.0 && is_rate(&ramp.highest());
    ramp.filter(is_ramp).ok_or_else(|| {
        let wrong = Wrong::new("--rate", text).because("no number of questions per second");
        wrong.remedy(format_args!("write one from {RATE_MIN} to {RATE_MAX}, or two of them as FROM..TO"))
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "within the limits, of some digits"
)]
fn timeout(text: &str) -> Result<Ns, Wrong> {
    let seconds = number("--timeout", text, 1e-6, TIMEOUT_MAX.0 as f64 / 1e9)?;
    Ok(Ns((seconds * 1e9) as u64))
}

fn means(arguments: &MeansArguments) -> Result<Means, Wrong> {
    let stamps = one_of("--stamps", &arguments.stamps, [("user", Stamps::User), ("kernel", Stamps::Kernel)])?;
    if let Some(text) = &arguments.memif {
        return Ok(Means::Memif(Box::new(Shared::read(text, arguments, stamps)?)));
    }
    memif::refuse_alone(arguments)?;
    let backend = arguments.backend.as_deref().unwrap_or("socket");
    let (is_xdp, is_memif) = one_of(
        "--backend",
        backend,
        [("socket", (false, false)), ("xdp", (true, false)), ("memif", (false, true))],
    )?;
    if is_memif {
        let wrong = Wrong::new("--backend", backend).because("no interface in shared memory is named");
        return Err(wrong.remedy("name one: --memif SOCKET"));
    }
    if is_xdp && stamps == Stamps::Kernel {
        let wrong = Wrong::new("--stamps", "kernel")
            .because("the backend xdp goes past the kernel, which stamps nothing");
        return Err(wrong.remedy("use --backend socket, or --stamps user"));
    }
    Ok(if is_xdp { Means::Xdp } else { Means::Socket { spins: arguments.spin, stamps } })
}

/// The meaning of a word.
fn one_of<T: Copy, const N: usize>(option: &str, text: &str, words: [(&str, T); N]) -> Result<T, Wrong> {
    let known = words.iter().find(|(word, _)| *word == text);
    known.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let listed = words.map(|(word, _)| word).join(", ");
        Wrong::new(option, text).because("no such choice").remedy(format_args!("write one of {listed}"))
    })
}

fn core(text: &str) -> Result<usize, Wrong> {
    let wrong = |problem: &str, remedy: String| Wrong::new("--core", text).because(problem).remedy(remedy);
    let allowed =
        host::cores::allowed().map_err(|error| wrong(&error.to_string(), "leave it out".to_owned()))?;
    match text.parse() {
        Ok(core) if allowed.contains(&core) => Ok(core),
        _ => {
            let listed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
            Err(wrong("this process has no such core", format!("choose from {}", listed.join(", "))))
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Arguments, Verb};

    #[test]
    fn a_protocol_is_icmp_or_a_port_that_exists() {
        assert_eq!(protocol("icmp").unwrap(), Protocol::Icmp);
        assert_eq!(protocol("udp:7").unwrap(), Protocol::Udp { port: NonZeroU16::new(7).unwrap() });
        assert_eq!(protocol("stamp").unwrap().to_string(), "stamp:862");
        assert_eq!(protocol("stamp:9").unwrap().to_string(), "stamp:9");
        assert_eq!(protocol("sockperf").unwrap().to_string(), "sockperf:11111");
        for text in ["udp", "udp:0", "udp:65536", "tcp:7", "", "icmp:1", "stamp:", "stamp:x", "sockperf:-1"] {
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

    #[test]
    fn a_rate_is_a_number_or_two() {
        assert_eq!(ramp("1000").unwrap(), Ramp::constant(1e3));
        assert_eq!(ramp("1e3..2.5e4").unwrap(), Ramp { from: 1e3, to: 2.5e4 });
        assert_eq!(ramp("0..10").unwrap(), Ramp { from: 0.0, to: 10.0 });
        for text in
            ["0", "-5", "NaN", "inf", "", "x", "1..", "..1", "0..0", "-1..5", "1..NaN", "1..2..3", "1e10"]
        {
            let wrong = ramp(text).unwrap_err().to_string();
            assert!(wrong.starts_with(&format!("--rate = \"{text}\": ")), "{wrong}");
        }
    }

    #[test]
    fn a_search_looks_between_two_rates() {
        let goal = |line: &str| {
            let words =
                ["barelane", "probe", "10.0.0.1", "--search"].into_iter().chain(line.split_whitespace());
            let Verb::Probe(command) = Arguments::parse_from(words).verb else { panic!("{line}") };
            Settings::read(&command.measure.unwrap()).map(|settings| settings.search.unwrap())
        };
        assert_eq!(goal("").unwrap(), Goal::between(1e3, 2e6, SECONDS_DEFAULT));
        assert_eq!(goal("--rate 10..1e4 --seconds 60").unwrap(), Goal::between(10.0, 1e4, 60.0));
        for (line, found) in [("--rate 10", "10"), ("--rate 20..10", "20..10"), ("--rate 0..10", "0..10")] {
            let wrong = goal(line).unwrap_err().to_string();
            assert!(wrong.starts_with(&format!("--rate = \"{found}\": ")), "{wrong}");
        }
    }

    #[test]
    fn a_word_that_is_none_is_refused_with_those_that_are() {
        let wrong = one_of("--stamps", "nic", [("user", 1), ("kernel", 2)]).unwrap_err().to_string();
        assert_eq!(wrong, "--stamps = \"nic\": no such choice; write one of user, kernel");
    }

    #[test]
    fn a_time_out_is_read_to_the_nanosecond() {
        assert_eq!(timeout("0.000001").unwrap(), Ns(1_000));
        assert_eq!(timeout("60").unwrap(), TIMEOUT_MAX);
        for text in ["0", "60.1", "-1", "NaN"] {
            assert!(timeout(text).is_err(), "{text}");
        }
    }
}
