//! A run takes its memory before its first question, and none for any question after that.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::sync::atomic::AtomicBool;

use barelane_probe::own_error::NoPlatform;
use barelane_probe::question::Question;
use barelane_probe::transport::{Arrival, Coverage, Facts, What};
use barelane_probe::{
    Arrivals, Ask, Clock, Controls, End, MonotonicClock, Progress, Protocol, Ramp, Schedule, Transport,
    TransportError, measure,
};
use telemetry::{Ns, Tick};
use testkit::allocations::{self, Allocations, CountingAllocator};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const SIZE: usize = 64;
const WAITING_MAX: usize = 64;

/// A loop of wire that gives back what was put in, but every tenth question, and every hundredth twice. Its memory is its
/// own size.
struct Loopback {
    bytes: [[u8; SIZE]; WAITING_MAX],
    sent: usize,
    received: usize,
}

impl Transport for Loopback {
    fn facts(&self) -> Facts {
        Facts { backend: "loop", means: String::new(), wait: "spin", sent_stamp: "", received_stamp: "" }
    }

    fn send(&mut self, question: &Question<'_>, clock: &impl Clock) -> Result<Option<Tick>, TransportError> {
        let now = clock.now();
        let times = match question.sequence() {
            sequence if sequence.is_multiple_of(100) => 2,
            sequence if sequence.is_multiple_of(10) => 0,
            _ => 1,
        };
        if self.sent + times - self.received > WAITING_MAX {
            return Ok(None);
        }
        for _ in 0..times {
            if let Some(room) = self.bytes.get_mut(self.sent % WAITING_MAX) {
                question.write(room, clock.wall(now));
            }
            self.sent += 1;
        }
        Ok(Some(now))
    }

    fn flush(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn receive(&mut self, _: Tick, clock: &impl Clock) -> Result<Option<Arrival<'_>>, TransportError> {
        if self.received == self.sent {
            return Ok(None);
        }
        let payload =
            self.bytes.get(self.received % WAITING_MAX).map(<[u8; SIZE]>::as_slice).unwrap_or_default();
        self.received += 1;
        let what = What::Answer { payload, echo_sequence: None, checksum: Coverage::Whole };
        Ok(Some(Arrival { at: clock.now(), is_stamped: true, what }))
    }
}

/// What a run of so many questions asked of the allocator.
fn run(schedule: Schedule, count: u64) -> Allocations {
    let udp = Protocol::Udp { port: NonZeroU16::new(7).unwrap() };
    let ask = Ask {
        size: SIZE,
        schedule,
        end: End::Count(count),
        timeout: Ns(10_000),
        linger: Ns(0),
        seed: 1,
        ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), udp)
    };
    let clock = MonotonicClock::start();
    let stop = AtomicBool::new(false);
    let progress = Progress::default();
    let controls = Controls { stop: &stop, progress: &progress, platform: &NoPlatform };
    let mut loopback = Loopback { bytes: [[0xa5; SIZE]; WAITING_MAX], sent: 0, received: 0 };
    let (outcome, found) = allocations::of(|| measure(&ask, &mut loopback, &clock, &controls).unwrap());
    assert_eq!(outcome.counts.sent, count);
    assert!(outcome.counts.lost > 0 && outcome.counts.duplicated > 0, "{:?}", outcome.counts);
    found
}

#[test]
fn a_hundred_thousand_questions_take_no_more_memory_than_a_thousand() {
    assert!(allocations::is_counted());
    let rate = Ramp::constant(2e6);
    for schedule in [
        Schedule::Open { arrivals: Arrivals::Periodic, rate },
        Schedule::Open { arrivals: Arrivals::Poisson, rate },
        Schedule::Closed { window: 32, gap: Ns(0) },
    ] {
        let [few, many] = [1_000, 100_000].map(|count| run(schedule, count));
        // The list of stalls at the end takes a block where there were any.
        assert!(many.taken.abs_diff(few.taken) <= 2, "{schedule:?}: {few:?} {many:?}");
        // The time series is laid out for the length of the run, and has a limit.
        assert!(many.bytes.abs_diff(few.bytes) < 65_536, "{schedule:?}: {few:?} {many:?}");
    }
}
