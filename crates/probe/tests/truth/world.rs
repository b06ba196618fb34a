//! A world in memory: a clock, and a wire with a reflector at its end.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use barelane_probe::own_error::NoPlatform;
use barelane_probe::question::Question;
use barelane_probe::transport::{Arrival, Coverage, Facts, What};
use barelane_probe::{Ask, Clock, Controls, Outcome, Progress, Transport, TransportError, WallTime, measure};
use std::sync::atomic::{AtomicBool, Ordering};
use telemetry::{Tick, TickRate};

/// The payload of every question here: sequence and token, and nothing else.
pub(crate) const SIZE: usize = 16;

/// A clock that the wire moves. Every reading takes a tick, since time never stands still.
#[derive(Debug)]
pub(crate) struct WorldClock {
    now: Cell<u64>,
    rate: TickRate,
}

impl WorldClock {
    pub(crate) fn move_to(&self, at: u64) {
        self.now.set(self.now.get().max(at));
    }
}

impl Clock for WorldClock {
    fn now(&self) -> Tick {
        self.now.set(self.now.get() + 1);
        Tick(self.now.get())
    }

    fn rate(&self) -> TickRate {
        self.rate
    }

    fn wall(&self, at: Tick) -> WallTime {
        WallTime(at.0)
    }

    fn name(&self) -> &'static str {
        "simulated"
    }
}

/// One thing that comes back for a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Back {
    Right,
    Corrupted,
    PartialChecksum,
    Refusal,
}

/// What a reflector does with a question that reaches it.
pub(crate) trait Reflector {
    /// Hands over what comes back for the question `sequence` that arrived at `at`, and when.
    fn reflect(&mut self, sequence: u64, at: u64, back: &mut dyn FnMut(u64, Back));
}

/// A reflector that gives every question one right answer, after a time.
impl<F: FnMut(u64, u64) -> u64> Reflector for F {
    fn reflect(&mut self, sequence: u64, at: u64, back: &mut dyn FnMut(u64, Back)) {
        let answered_at = self(sequence, at);
        back(answered_at, Back::Right);
    }
}

/// What goes wrong at the probe's own end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// Before every so many-th question is sent, the probe is held up this long.
    pub(crate) held_up: Option<(u64, u64)>,
    /// The run is told to stop when the question of this number is sent.
    pub(crate) stops_at: Option<u64>,
    /// The backend fails instead of sending the question of this number.
    pub(crate) fails_at: Option<u64>,
    /// It fails when so many things have arrived.
    pub(crate) fails_after_arrivals: Option<u64>,
}

type Carried = (u64, u64, Back, [u8; SIZE]);

/// The wire. It takes no time itself.
pub(crate) struct Wire<'a, R> {
    clock: &'a WorldClock,
    stop: &'a AtomicBool,
    reflector: R,
    trouble: Trouble,
    under_way: BinaryHeap<Reverse<Carried>>,
    carried: u64,
    arrivals: u64,
    arrived: [u8; SIZE],
}

impl<'a, R: Reflector> Wire<'a, R> {
    pub(crate) fn new(clock: &'a WorldClock, stop: &'a AtomicBool, reflector: R, trouble: Trouble) -> Self {
        let under_way = BinaryHeap::with_capacity(1 << 16);
        Self { clock, stop, reflector, trouble, under_way, carried: 0, arrivals: 0, arrived: [0; SIZE] }
    }

    fn suffer(&self, sequence: u64) -> Result<(), TransportError> {
        let Trouble { held_up, stops_at, fails_at, .. } = self.trouble;
        if let Some((every, length)) = held_up
            && sequence.is_multiple_of(every)
        {
            self.clock.move_to(self.clock.now().0 + length);
        }
        if stops_at == Some(sequence) {
            self.stop.store(true, Ordering::Relaxed);
        }
        if fails_at == Some(sequence) { Err(broken()) } else { Ok(()) }
    }
}

fn broken() -> TransportError {
    TransportError::Kernel {
        doing: "simulating",
        source: std::io::Error::other("the cable is cut"),
        remedy: "lay a new one",
    }
}

impl<R: Reflector> Transport for Wire<'_, R> {
    fn facts(&self) -> Facts {
        Facts {
            backend: "simulation",
            means: "a wire in memory".to_owned(),
            wait: "leap",
            sent_stamp: "at once",
            received_stamp: "at once",
        }
    }

    fn send(&mut self, question: &Question<'_>, clock: &impl Clock) -> Result<Option<Tick>, TransportError> {
        let sequence = question.sequence();
        self.suffer(sequence)?;
        let now = clock.now();
        let mut payload = [0xa5; SIZE];
        question.write(&mut payload, clock.wall(now));
        let Self { reflector, under_way, carried, .. } = self;
        reflector.reflect(sequence, now.0, &mut |at, back| {
            *carried += 1;
            under_way.push(Reverse((at, *carried, back, payload)));
        });
        Ok(Some(now))
    }

    fn flush(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn receive(&mut self, until: Tick, clock: &impl Clock) -> Result<Option<Arrival<'_>>, TransportError> {
        if self.trouble.fails_after_arrivals == Some(self.arrivals) {
            return Err(broken());
        }
        let now = clock.now();
        let next = self.under_way.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
        // A second is the longest time that a backend sleeps without looking up.
        let wakes_at = next.min(until.0).min(now.0 + 1_000_000_000);
        self.clock.move_to(wakes_at);
        if next > clock.now().0 {
            return Ok(None);
        }
        let Some(Reverse((at, _, back, payload))) = self.under_way.pop() else { return Ok(None) };
        self.arrivals += 1;
        self.arrived = payload;
        let what = match back {
            Back::Right => answer(&self.arrived, Coverage::Whole),
            Back::PartialChecksum => answer(&self.arrived, Coverage::Partial),
            Back::Corrupted => {
                self.arrived[11] ^= 0x10;
                answer(&self.arrived, Coverage::Whole)
            }
            Back::Refusal => What::Refused,
        };
        Ok(Some(Arrival { at: Tick(at), is_stamped: true, what }))
    }
}

fn answer(payload: &[u8], checksum: Coverage) -> What<'_> {
    What::Answer { payload, echo_sequence: None, checksum }
}

/// Measures in a world of its own, whose time is in nanoseconds.
pub(crate) fn run(ask: &Ask, reflector: impl Reflector, trouble: Trouble) -> Outcome {
    run_by(TickRate::NANOSECONDS, ask, reflector, trouble)
}

/// Measures in a world whose time goes in these ticks.
pub(crate) fn run_by(rate: TickRate, ask: &Ask, reflector: impl Reflector, trouble: Trouble) -> Outcome {
    let clock = WorldClock { now: Cell::new(0), rate };
    let stop = AtomicBool::new(false);
    let progress = Progress::default();
    let mut wire = Wire::new(&clock, &stop, reflector, trouble);
    let controls = Controls { stop: &stop, progress: &progress, platform: &NoPlatform };
    let outcome = measure(ask, &mut wire, &clock, &controls).unwrap();
    assert_eq!(progress.counts().sent, outcome.counts.sent, "the last progress is the end");
    outcome
}
