//! A sender, and a wire that loses, doubles and delays what it sends: what comes, in the order in which it comes.

use barelane_telemetry::Tick;
use barelane_telemetry::streams::{Seen, Sequence};
use testkit::random::Random;

/// A packet is sent each microsecond.
const PACE_NS: u64 = 1_000;
/// The sender's clock, which nobody has set by ours.
const CLOCK_BEGINS: u64 = 1_000_000_000_000_000;

/// How far a wire goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    /// Packets of a thousand that are lost, that come twice, and that are delayed.
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    pub(crate) delayed: usize,
    /// By how many packets' time, at most.
    pub(crate) delay_max: usize,
    /// The longest gap: so many packets lost in a row, once in a run.
    pub(crate) gap_max: usize,
}

/// A packet that has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came {
    /// Which of the sender's beginnings it is of.
    pub(crate) beginning: usize,
    /// Its number since then, from 0 on.
    pub(crate) index: i64,
    /// As the server sees it.
    pub(crate) seen: Seen,
}

/// A sender's numbers: those of STAMP with its stamps, or sockperf's without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Stamped,
    Unstamped,
}

impl Sender {
    /// A packet with this number since `first`, sent and come at these times.
    fn packet(self, first: u64, index: i64, sent_ns: u64, arrived_ns: u64) -> Seen {
        let number = first.wrapping_add(index.unsigned_abs());
        let now = Tick(arrived_ns);
        match self {
            Self::Stamped => {
                let sequence = Sequence::Wrapping(u32::try_from(number % (1 << 32)).unwrap());
                Seen { sequence, sent_ns: Some(CLOCK_BEGINS + sent_ns), arrived_ns, now }
            }
            Self::Unstamped => Seen { sequence: Sequence::Wide(number), sent_ns: None, arrived_ns, now },
        }
    }
}

/// Where a first beginning has its numbers: anywhere, and so that they come round in the middle of it.
fn first_number(random: &mut Random, count: i64) -> u64 {
    let mid = u64::try_from(random.below((1 << 32) - (1 << 25))).unwrap();
    random.one_of(&[0, mid, (1 << 32) - count.unsigned_abs() / 2])
}

/// What comes of some beginnings of a sender. Each is longer than any delay, and its first packets and its last one come.
pub(crate) fn stream(random: &mut Random, sender: Sender, wire: Wire) -> Vec<Came> {
    let mut all = Vec::new();
    let mut clock_ns = 0;
    for beginning in 0..=random.below(3) {
        let count = 300 + i64::try_from(random.below(1_500)).unwrap();
        let first = if beginning == 0 { first_number(random, count) } else { 1 };
        let first = if sender == Sender::Unstamped { 1 } else { first };
        let gap = 20 + random.below(200)..20 + random.below(200 + wire.gap_max);
        for index in 0..count {
            let sent_ns = clock_ns + index.unsigned_abs() * PACE_NS;
            let is_safe = index < 5 || index == count - 1;
            let is_lost = gap.contains(&usize::try_from(index).unwrap()) || random.below(1_000) < wire.lost;
            for _ in 0..=usize::from(random.below(1_000) < wire.doubled) {
                let delay = if random.below(1_000) < wire.delayed { random.below(wire.delay_max) } else { 0 };
                let delay_ns = if is_safe { 0 } else { delay as u64 * PACE_NS + random.below(900) as u64 };
                let seen = sender.packet(first, index, sent_ns, sent_ns + 50_000 + delay_ns);
                if is_safe || !is_lost {
                    all.push(Came { beginning, index, seen });
                }
            }
        }
        clock_ns += (count.unsigned_abs() + wire.delay_max as u64 + 10) * PACE_NS;
    }
    all.sort_by_key(|came| came.seen.arrived_ns);
    all
}

/// Wires from none that does anything to one that does more than any that is in use.
pub(crate) fn wire(random: &mut Random) -> Wire {
    Wire {
        lost: random.one_of(&[0, 1, 20, 300, 900]),
        doubled: random.one_of(&[0, 10, 500, 1_000]),
        delayed: random.one_of(&[0, 10, 500]),
        delay_max: random.one_of(&[1, 3, 60, 70, 200]),
        gap_max: random.one_of(&[0, 70, 1_000]),
    }
}
