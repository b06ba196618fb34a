//! The null path: the same loop, the same stamps and the same questions, and nothing between.
//!
//! ```text
//!   loop ──▶ question ──▶ stamp ──▶ a buffer ──▶ stamp ──▶ recognise ──▶ match ──▶ record
//!                           └──────── bias ───────┘
//! ```
//!
//! What it measures is the shortest round trip that this probe can see: reading the clock, and one turn of the loop from
//! the end of sending to the look for arrivals. It is also how late an arrival can be seen that comes just after such a
//! look. It contains nothing of a backend. For sockets there is therefore a second null path, over a socket that is its
//! own target: it adds the system calls and the kernel's own loopback path, and cannot tell these apart. A card has no
//! such second path: what its rings cost beyond a buffer is some ten nanoseconds, and what its kick costs is the
//! kernel's work for a real packet.
//!
//! Neither is ever subtracted from a figure.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use telemetry::{Ns, Tick};

use super::NoPlatform;
use crate::ask::{Ask, End, Protocol};
use crate::clock::Clock;
use crate::figures::Figures;
use crate::measure::{Controls, ProbeError, Progress, measure};
use crate::question::{Question, UDP_SIZE_MIN};
use crate::schedule::Schedule;
use crate::transport::{Arrival, Coverage, Facts, Transport, TransportError, What};

/// How many questions go over a null path: enough for a 99th percentile that is not the chance of one interrupt, few
/// enough not to be noticed at the start (3 ms in memory, some 10 ms over the loopback).
const COUNT: u64 = 2_000;

/// How many have to come back first: a loopback that drops packets would cost [`TIMEOUT`] for each.
const TRIAL: u64 = 8;

/// How long an answer over a null path may take. Only a loopback that drops packets takes so long.
const TIMEOUT: Ns = Ns(10_000_000);

/// How often the clock is read to find what that costs, and how many times over: the middle one of so many is told, which
/// no interrupt fell into.
const READINGS: u32 = 1_000;
const SERIES: usize = 33;

/// What the probe's own path costs. Absent where it was not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bias {
    /// What one reading of the clock costs. Each round trip that is stamped by this clock contains one, half of it at
    /// each end.
    pub clock_read_ns: Option<f64>,
    /// The smallest step that was seen between two readings: the clock's resolution, or its cost where that is more.
    pub clock_step_ns: Option<f64>,
    /// Round trips over the null path in memory.
    pub bias_samples: u64,
    /// Their median.
    pub bias_p50_ns: Option<u64>,
    /// Exceeded by one in 100 of them.
    pub bias_p99_ns: Option<u64>,
    /// Round trips over a UDP socket that is its own target.
    pub loopback_samples: u64,
    /// Their median. Contains the kernel's loopback path.
    pub loopback_p50_ns: Option<u64>,
    /// Exceeded by one in 100 of them.
    pub loopback_p99_ns: Option<u64>,
}

impl Bias {
    /// Measures the null path in memory with questions of this size and this clock. Takes some milliseconds.
    ///
    /// # Errors
    /// A memory that does not answer what was asked would be an error of this probe.
    pub fn in_memory(ask: &Ask, clock: &impl Clock) -> Result<Self, ProbeError> {
        let ask = null_ask(ask);
        let rtt = over(&ask, &mut Memory::new(ask.size), clock)?;
        Ok(Self {
            clock_read_ns: Some(reading_cost(clock)),
            clock_step_ns: Some(smallest_step(clock)),
            bias_samples: rtt.samples,
            bias_p50_ns: rtt.p50_ns,
            bias_p99_ns: rtt.p99_ns,
            ..Self::default()
        })
    }

    /// The same, and the null path over `itself` as well: a socket that is its own target, opened for [`null_ask`]. Where
    /// not everything comes back, nothing is told.
    ///
    /// # Errors
    /// The kernel refuses to send to or to receive from the loopback.
    pub fn with_loopback(
        self,
        ask: &Ask,
        itself: &mut impl Transport,
        clock: &impl Clock,
    ) -> Result<Self, ProbeError> {
        let ask = null_ask(ask);
        let trial = over(&Ask { end: End::Count(TRIAL), ..ask.clone() }, itself, clock)?;
        if trial.samples < TRIAL {
            return Ok(self);
        }
        let rtt = over(&ask, itself, clock)?;
        Ok(Self {
            loopback_samples: rtt.samples,
            loopback_p50_ns: rtt.p50_ns,
            loopback_p99_ns: rtt.p99_ns,
            ..self
        })
    }
}

/// What is asked over a null path: UDP echo questions of the same size, one at a time.
pub fn null_ask(ask: &Ask) -> Ask {
    Ask {
        size: ask.size.max(UDP_SIZE_MIN),
        schedule: Schedule::Closed { window: 1, gap: Ns(0) },
        end: End::Count(COUNT),
        timeout: TIMEOUT,
        linger: Ns(0),
        ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Protocol::Udp { port: NonZeroU16::MIN })
    }
}

fn over(ask: &Ask, transport: &mut impl Transport, clock: &impl Clock) -> Result<Figures, ProbeError> {
    let (stop, progress) = (AtomicBool::new(false), Progress::default());
    let controls = Controls { stop: &stop, progress: &progress, platform: &NoPlatform };
    Ok(measure(ask, transport, clock, &controls)?.record.figures())
}

/// Nanoseconds that one reading takes: the middle one of some series.
fn reading_cost(clock: &impl Clock) -> f64 {
    let series = || {
        let began = clock.now();
        (1..READINGS).for_each(|_| {
            std::hint::black_box(clock.now());
        });
        clock.now() - began
    };
    let mut took: Vec<u64> = std::iter::repeat_with(series).take(SERIES).collect();
    took.sort_unstable();
    let middle = took.get(SERIES / 2).copied().unwrap_or_default();
    nanoseconds(middle, READINGS, clock)
}

fn smallest_step(clock: &impl Clock) -> f64 {
    let mut last = clock.now();
    let steps = (0..READINGS).map(|_| {
        let now = clock.now();
        let step = now - last;
        last = now;
        step
    });
    nanoseconds(steps.filter(|step| *step > 0).min().unwrap_or_default(), 1, clock)
}

/// A part of so many ticks, to a tenth of a nanosecond, which is more than it is good for.
#[expect(clippy::cast_precision_loss, reason = "some hundred thousand ticks at most")]
fn nanoseconds(ticks: u64, parts: u32, clock: &impl Clock) -> f64 {
    let ns = ticks as f64 * 1e9 / clock.rate().per_second() as f64 / f64::from(parts);
    (ns * 10.0).round() / 10.0
}

/// A way to nowhere: what is sent is there at once.
#[derive(Debug)]
struct Memory {
    room: Vec<u8>,
    is_full: bool,
}

impl Memory {
    fn new(size: usize) -> Self {
        Self { room: vec![0; size], is_full: false }
    }
}

impl Transport for Memory {
    fn facts(&self) -> Facts {
        Facts {
            backend: "memory",
            means: "a buffer".to_owned(),
            wait: "spin",
            sent_stamp: "user space, before the buffer is handed over",
            received_stamp: "user space, when the buffer is seen",
        }
    }

    fn send(&mut self, question: &Question<'_>, clock: &impl Clock) -> Result<Option<Tick>, TransportError> {
        question.write(&mut self.room, clock.wall(clock.now()));
        let at = clock.now();
        self.is_full = true;
        Ok(Some(at))
    }

    fn flush(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn receive(&mut self, _: Tick, clock: &impl Clock) -> Result<Option<Arrival<'_>>, TransportError> {
        if !std::mem::take(&mut self.is_full) {
            return Ok(None);
        }
        let at = clock.now();
        let what = What::Answer { payload: &self.room, echo_sequence: None, checksum: Coverage::Whole };
        Ok(Some(Arrival { at, is_stamped: true, what }))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use telemetry::TickRate;

    use super::*;
    use crate::clock::{MonotonicClock, WallTime};
    use crate::socket::{Socket, Wait};

    fn ask() -> Ask {
        Ask { size: 3, ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Protocol::Icmp) }
    }

    #[test]
    fn the_null_path_in_memory_answers_everything_and_its_median_holds_one_reading_of_the_clock() {
        let clock = MonotonicClock::start();
        let bias = Bias::in_memory(&ask(), &clock).unwrap();
        let read_ns = bias.clock_read_ns.unwrap();
        assert!(bias.bias_samples == COUNT, "{bias:?}");
        assert!(bias.bias_p50_ns.unwrap() <= bias.bias_p99_ns.unwrap(), "{bias:?}");
        assert!(read_ns > 0.0 && bias.clock_step_ns.unwrap() > 0.0, "{bias:?}");
        assert_eq!((bias.loopback_samples, bias.loopback_p50_ns), (0, None));
    }

    #[test]
    fn a_socket_that_is_its_own_target_answers_every_question() {
        let clock = MonotonicClock::start();
        for wait in [Wait::Spin, Wait::Block] {
            let mut itself = Socket::to_itself(&null_ask(&ask()), wait).unwrap();
            let bias = Bias::default().with_loopback(&ask(), &mut itself, &clock).unwrap();
            assert!(bias.loopback_samples == COUNT && bias.loopback_p50_ns.is_some(), "{bias:?}");
        }
    }

    #[test]
    fn the_clocks_cost_and_step_are_those_of_a_clock_that_is_known() {
        let clock = Stepping(Cell::new(0));
        assert_eq!((reading_cost(&clock), smallest_step(&clock)), (7.0, 7.0));
    }

    /// A clock that every reading moves by 7 ns.
    #[derive(Debug)]
    struct Stepping(Cell<u64>);

    impl Clock for Stepping {
        fn now(&self) -> Tick {
            self.0.set(self.0.get() + 7);
            Tick(self.0.get())
        }

        fn rate(&self) -> TickRate {
            TickRate::NANOSECONDS
        }

        fn wall(&self, at: Tick) -> WallTime {
            WallTime(at.0)
        }

        fn name(&self) -> &'static str {
            "stepping"
        }
    }
}
