//! What is to be measured, and whether that can be asked at all.

mod key;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU16;

use telemetry::Ns;
use thiserror::Error;
use wire::stamp::tlv::Tlv;
use wire::stamp::{ErrorEstimate, Format, Synchronised};

use crate::matching::{self, REMEMBERED_MAX};
use crate::question;
use crate::schedule::{Ramp, Schedule};

pub use key::StampKey;

/// The longest time-out and the longest linger. Longer waits would only make a dead target look like a hung probe.
pub const TIMEOUT_MAX: Ns = Ns(60_000_000_000);

/// The largest payload: the largest IPv4 datagram without its headers of 20 and 8 bytes (RFC 791, RFC 768). IPv6
/// would carry 20 more; one limit for both makes figures of both families comparable.
pub const SIZE_MAX: usize = 65_507;

/// The highest rate of an open loop, in questions per second: 64-byte frames at 100 Gbit/s come at 149 million. It is
/// there so that a slip of the pen is told from a wish.
pub const RATE_MAX: f64 = 1e9;

/// The lowest: one question in a thousand seconds.
pub const RATE_MIN: f64 = 1e-3;

/// The largest window of a closed loop: as many as the smallest memory of questions holds.
pub const WINDOW_MAX: u32 = 1 << 16;

/// Which kind of question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// ICMP echo (RFC 792), or ICMPv6 echo (RFC 4443 4.1) where the target is an IPv6 address.
    Icmp,
    /// A UDP echo service (RFC 862) at any port.
    Udp {
        /// The service's port.
        port: NonZeroU16,
    },
    /// A STAMP reflector (RFC 8762), which says how long it had each question.
    Stamp {
        /// Its port; 862 by itself.
        port: NonZeroU16,
    },
    /// A server of sockperf 3.7, over UDP.
    Sockperf {
        /// Its port; 11111 by itself.
        port: NonZeroU16,
    },
}

impl Protocol {
    /// Its name, without a port.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Icmp => "icmp",
            Self::Udp { .. } => "udp",
            Self::Stamp { .. } => "stamp",
            Self::Sockperf { .. } => "sockperf",
        }
    }

    /// The UDP port that is asked; none of ICMP.
    pub const fn port(self) -> Option<NonZeroU16> {
        match self {
            Self::Icmp => None,
            Self::Udp { port } | Self::Stamp { port } | Self::Sockperf { port } => Some(port),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port() {
            Some(port) => write!(out, "{}:{port}", self.name()),
            None => out.write_str(self.name()),
        }
    }
}

/// When no more questions are asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// After this many questions.
    Count(u64),
    /// After this many seconds.
    Seconds(f64),
}

/// One measurement, as it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// Who is asked.
    pub target: IpAddr,
    /// The interface's index, for a link-local IPv6 target; 0 elsewhere.
    pub scope: u32,
    /// What is asked.
    pub protocol: Protocol,
    /// Payload bytes of each question: what follows the UDP or the ICMP echo header.
    pub size: usize,
    /// When the questions are asked.
    pub schedule: Schedule,
    /// When no more are asked.
    pub end: End,
    /// How long an answer may take. Later ones are late: counted, and not among the round trips (RFC 7680 2.8.1).
    pub timeout: Ns,
    /// How long the probe still listens when the last question has its fate, for late and duplicated answers.
    pub linger: Ns,
    /// Questions before the first counted one. They make the kernel resolve the target's neighbour and fill caches,
    /// so that neither is measured as a round trip. The first of them may take a second, whatever the time-out is.
    pub warm_up: u64,
    /// Where the tokens come from. A random one tells this run's answers from another's; a given one repeats a run.
    pub seed: u64,
    /// The key of authenticated STAMP; none for the unauthenticated mode.
    pub stamp_key: Option<StampKey>,
    /// What a STAMP question says of the error of its stamp T1. No figure here is made of T1.
    pub stamp_error: ErrorEstimate,
}

/// An error that nothing is known of: as large as can be said, of a clock that follows nobody.
const UNKNOWN: ErrorEstimate = ErrorEstimate::new(u64::MAX, Synchronised::No, Format::Ntp);

impl Ask {
    /// A measurement of 56 payload bytes, one question at a time without a pause, for one second, with a time-out
    /// of one second.
    pub fn new(target: IpAddr, protocol: Protocol) -> Self {
        Self {
            target,
            scope: 0,
            protocol,
            size: 56,
            schedule: Schedule::ONE_AT_A_TIME,
            end: End::Seconds(1.0),
            timeout: Ns(1_000_000_000),
            linger: Ns(10_000_000),
            warm_up: 1,
            seed: RandomState::new().hash_one("barelane probe"),
            stamp_key: None,
            stamp_error: UNKNOWN,
        }
    }

    /// The least payload of its questions.
    pub fn size_min(&self) -> usize {
        question::size_min(self.protocol, self.stamp_key.is_some())
    }

    /// Whether this can be asked.
    pub fn check(&self) -> Result<(), AskError> {
        self.check_size()?;
        self.check_stamp()?;
        self.check_end()?;
        self.check_schedule()?;
        if self.timeout == Ns(0) || self.timeout > TIMEOUT_MAX {
            return Err(AskError::Timeout(self.timeout.0));
        }
        if self.linger > TIMEOUT_MAX {
            return Err(AskError::Linger(self.linger.0));
        }
        if matches!(self.target, IpAddr::V6(ip) if ip.is_unicast_link_local()) && self.scope == 0 {
            return Err(AskError::ScopeMissing(self.target));
        }
        matching::slot_count(self).map(drop)
    }

    /// How many questions an open loop has before its end; 0 for a closed one, whose answers decide that.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "Ask::check bounds both factors"
    )]
    pub fn expected_count(&self) -> u64 {
        match (self.schedule, self.end) {
            (Schedule::Open { rate, .. }, End::Seconds(seconds)) => (rate.mean() * seconds).ceil() as u64,
            (Schedule::Open { .. }, End::Count(count)) => count,
            (Schedule::Closed { .. }, _) => 0,
        }
    }

    fn check_size(&self) -> Result<(), AskError> {
        let (found, least) = (self.size, self.size_min());
        if !(least..=SIZE_MAX).contains(&found) {
            return Err(AskError::Size { found, protocol: self.protocol, least });
        }
        if !question::is_size(found, self.protocol, self.stamp_key.is_some()) {
            return Err(AskError::PartOfTlv { found, least, next: least + Tlv::LEN });
        }
        Ok(())
    }

    fn check_stamp(&self) -> Result<(), AskError> {
        if self.stamp_key.is_some() && !matches!(self.protocol, Protocol::Stamp { .. }) {
            return Err(AskError::KeyWithoutStamp(self.protocol));
        }
        if self.stamp_error.format() != Format::Ntp {
            return Err(AskError::StampFormat);
        }
        Ok(())
    }

    fn check_schedule(&self) -> Result<(), AskError> {
        let is_rate = |rate: f64| (RATE_MIN..=RATE_MAX).contains(&rate);
        match self.schedule {
            Schedule::Closed { window, .. } if !(1..=WINDOW_MAX).contains(&window) => {
                Err(AskError::Window(window))
            }
            Schedule::Open { rate, .. } if !is_rate(rate.highest()) || !is_rate(rate.mean()) => {
                Err(AskError::Rate(rate))
            }
            Schedule::Open { rate, .. } if rate.from < 0.0 || rate.to < 0.0 => Err(AskError::Rate(rate)),
            Schedule::Closed { .. } | Schedule::Open { .. } => Ok(()),
        }
    }

    fn check_end(&self) -> Result<(), AskError> {
        match self.end {
            End::Count(0) => Err(AskError::CountZero),
            End::Seconds(seconds) if !(seconds > 0.0 && seconds <= 1e9) => Err(AskError::Seconds(seconds)),
            End::Count(_) | End::Seconds(_) => Ok(()),
        }
    }
}

/// What cannot be asked: the setting, the value found, and what to do.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum AskError {
    /// The payload is too small to tell answers apart, or too large for a datagram.
    #[error("size: {found} bytes of payload cannot be asked over {protocol}; give {least} to {SIZE_MAX}")]
    Size {
        /// What was asked for.
        found: usize,
        /// Over what.
        protocol: Protocol,
        /// The smallest that is possible.
        least: usize,
    },
    /// What follows a STAMP packet is a TLV, which has a head of four bytes.
    #[error(
        "size: {found} bytes of payload end within the head of a STAMP TLV; give {least}, or {next} and more"
    )]
    PartOfTlv {
        /// What was asked for.
        found: usize,
        /// Without a TLV.
        least: usize,
        /// With the smallest one.
        next: usize,
    },
    /// Nothing but STAMP signs its questions.
    #[error("stamp_key: {0} knows no key; leave it out, or ask stamp")]
    KeyWithoutStamp(Protocol),
    /// T1 is written as NTP writes it.
    #[error("stamp_error: its flag Z says PTP, and T1 is written as NTP does; clear it")]
    StampFormat,
    /// Nothing would be measured.
    #[error("count: 0 questions measure nothing; give at least 1")]
    CountZero,
    /// Not a length of time that a measurement can have.
    #[error("seconds: a measurement cannot take {0} s; give a number above 0, at most 1e9")]
    Seconds(f64),
    /// Nothing would be asked, or more than any link carries.
    #[error("rate: {0} is no number of questions per second; give {RATE_MIN} to {RATE_MAX}")]
    Rate(Ramp),
    /// Nothing would be asked, or more at once than is remembered.
    #[error("window: {0} questions cannot be under way at once; give 1 to {WINDOW_MAX}")]
    Window(u32),
    /// More questions would wait for their answers than there is memory for.
    #[error(
        "timeout: {timeout} ns at {rate} questions per second is {waiting} questions that wait, more than are \
         remembered; give a time-out of at most {most:.0} ns, or a lower rate",
        most = longest_timeout(*rate)
    )]
    TooManyWaiting {
        /// What was asked for.
        rate: Ramp,
        /// In nanoseconds.
        timeout: u64,
        /// How many would wait.
        waiting: f64,
    },
    /// Payloads without room for a sequence number have the 16 bits of the echo header, and no more.
    #[error(
        "size: {size} bytes of payload leave the 16 bits of the ICMP header to tell {waiting} questions apart that \
         wait at once; give at least 8 bytes, a lower rate or a shorter time-out"
    )]
    NotToldApart {
        /// What was asked for.
        size: usize,
        /// How many would wait.
        waiting: f64,
    },
    /// Not a time-out.
    #[error("timeout: {0} ns is no time-out; give 1 ns to {most} ns", most = TIMEOUT_MAX.0)]
    Timeout(u64),
    /// Too long.
    #[error("linger: {0} ns is too long; give at most {most} ns", most = TIMEOUT_MAX.0)]
    Linger(u64),
    /// A link-local address means nothing without its link.
    #[error("target: {0} is a link-local address; say on which interface: {0}%INTERFACE")]
    ScopeMissing(IpAddr),
}

/// The longest time-out at a rate, in nanoseconds: half of what is remembered may wait.
#[expect(clippy::cast_precision_loss, reason = "a power of two is exact")]
fn longest_timeout(rate: Ramp) -> f64 {
    (REMEMBERED_MAX as f64 / 2.0 / rate.highest() * 1e9).floor()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::schedule::Arrivals;

    fn udp() -> Ask {
        Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Protocol::Udp { port: NonZeroU16::new(7).unwrap() })
    }

    #[test]
    fn the_default_measurement_can_be_asked() {
        assert_eq!(udp().check(), Ok(()));
    }

    #[test]
    fn a_size_is_refused_one_step_beyond_its_limits() {
        for (size, is_right) in [(15, false), (16, true), (SIZE_MAX, true), (SIZE_MAX + 1, false)] {
            assert_eq!(Ask { size, ..udp() }.check().is_ok(), is_right, "{size}");
        }
        assert_eq!(Ask { size: 0, protocol: Protocol::Icmp, ..udp() }.check(), Ok(()));
    }

    const STAMP: Protocol = Protocol::Stamp { port: NonZeroU16::new(862).unwrap() };
    const SOCKPERF: Protocol = Protocol::Sockperf { port: NonZeroU16::new(11_111).unwrap() };

    #[test]
    fn a_format_has_a_least_size_and_stamp_a_gap_above_it() {
        let key = StampKey::new(b"key");
        let cases = [
            (SOCKPERF, None, &[(21, false), (22, true), (23, true)][..]),
            (STAMP, None, &[(43, false), (44, true), (45, false), (47, false), (48, true), (49, true)]),
            (STAMP, key, &[(111, false), (112, true), (113, false), (115, false), (116, true)]),
        ];
        for (protocol, stamp_key, sizes) in cases {
            for &(size, is_right) in sizes {
                let ask = Ask { size, protocol, stamp_key: stamp_key.clone(), ..udp() };
                let said = ask.check().err().map_or_else(String::new, |error| error.to_string());
                assert_eq!(said.is_empty(), is_right, "{protocol}, {size} bytes: {said}");
                assert!(is_right || said.starts_with("size: ") && said.contains("give "), "{said}");
            }
        }
    }

    #[test]
    fn a_key_without_stamp_and_a_stamp_in_another_format_are_refused() {
        for protocol in [Protocol::Icmp, SOCKPERF, udp().protocol] {
            let found = Ask { protocol, stamp_key: StampKey::new(b"key"), ..udp() }.check();
            assert_eq!(found, Err(AskError::KeyWithoutStamp(protocol)));
        }
        let stamp_error = ErrorEstimate::new(1, Synchronised::ToUtc, Format::Ptp);
        assert_eq!(Ask { protocol: STAMP, stamp_error, ..udp() }.check(), Err(AskError::StampFormat));
    }

    #[test]
    fn an_end_that_never_comes_or_has_come_is_refused() {
        for end in [End::Count(0), End::Seconds(0.0), End::Seconds(-1.0), End::Seconds(f64::NAN)] {
            assert!(Ask { end, ..udp() }.check().is_err(), "{end:?}");
        }
    }

    #[test]
    fn a_time_out_of_zero_or_more_than_a_minute_is_refused() {
        for timeout in [Ns(0), Ns(TIMEOUT_MAX.0 + 1)] {
            assert_eq!(Ask { timeout, ..udp() }.check(), Err(AskError::Timeout(timeout.0)));
        }
    }

    #[test]
    fn a_rate_of_zero_below_it_or_without_end_is_refused() {
        let open = |from, to| Schedule::Open { arrivals: Arrivals::Periodic, rate: Ramp { from, to } };
        for (from, to) in [
            (0.0, 0.0),
            (-1.0, 3.0),
            (3.0, -1.0),
            (f64::NAN, 1.0),
            (1.0, f64::INFINITY),
            (0.0, RATE_MAX * 1.1),
        ] {
            let found = Ask { schedule: open(from, to), ..udp() }.check();
            assert!(matches!(found, Err(AskError::Rate(_))), "{from}..{to}: {found:?}");
        }
        for (from, to) in [(RATE_MIN, RATE_MIN), (0.0, 100.0), (100.0, 0.0), (RATE_MAX, RATE_MAX)] {
            assert_eq!(Ask { schedule: open(from, to), timeout: Ns(1_000), ..udp() }.check(), Ok(()));
        }
    }

    #[test]
    fn a_window_is_refused_one_step_beyond_its_limits() {
        for (window, is_right) in [(0, false), (1, true), (WINDOW_MAX, true), (WINDOW_MAX + 1, false)] {
            let schedule = Schedule::Closed { window, gap: Ns(0) };
            assert_eq!(Ask { schedule, ..udp() }.check().is_ok(), is_right, "{window}");
        }
    }

    #[test]
    fn a_link_local_target_needs_its_link() {
        let target = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
        assert_eq!(Ask { target, ..udp() }.check(), Err(AskError::ScopeMissing(target)));
        assert_eq!(Ask { target, scope: 2, ..udp() }.check(), Ok(()));
    }

    #[test]
    fn two_measurements_have_different_tokens() {
        assert_ne!(udp().seed, udp().seed);
    }
}
