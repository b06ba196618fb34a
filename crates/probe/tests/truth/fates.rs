//! Faults at known counts, in every kind of schedule, against an oracle that knows what was done.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

use barelane_probe::{Arrivals, Ask, Counts, End, Ended, Protocol, Ramp, Schedule};
use proptest::prelude::*;
use telemetry::{Ns, TickRate};
use testkit::random::Random;

use super::world::{self, Back, Reflector, SIZE, Trouble};

/// What the wire does, each in so many of a thousand questions, and how.
#[derive(Clone, Debug)]
struct Faults {
    lost: usize,
    late: usize,
    doubled: usize,
    slow: usize,
    corrupted: usize,
    partial: usize,
    refused: usize,
    /// A usual delay is up to this.
    delay: u64,
    timeout: u64,
    seed: u64,
}

/// The reflector, and beside it the oracle: what the probe has to report, from what was done and from nothing else.
struct Faulty<'a> {
    faults: &'a Faults,
    random: Random,
    expected: &'a mut Expected,
}

#[derive(Debug, Default)]
struct Expected {
    counts: Counts,
    /// When the first right answer to each question comes, if one does.
    first_answers: Vec<(u64, u64)>,
}

impl Expected {
    fn counts(mut self) -> Counts {
        self.first_answers.sort_unstable();
        let mut highest = 0;
        for (_, sequence) in self.first_answers {
            self.counts.reordered += u64::from(sequence < highest);
            highest = highest.max(sequence);
        }
        self.counts
    }
}

impl Reflector for Faulty<'_> {
    fn reflect(&mut self, sequence: u64, at: u64, back: &mut dyn FnMut(u64, Back)) {
        let Faults { lost, late, doubled, slow, corrupted, partial, refused, delay, timeout, .. } =
            *self.faults;
        let counts = &mut self.expected.counts;
        counts.sent += 1;
        let mut dice = self.random.below(1_000);
        let mut is = |share: usize| {
            let hit = dice < share;
            dice = dice.wrapping_sub(share);
            hit
        };
        let mut after = 1 + self.random.next() % delay;
        let mut kind = Back::Right;
        if is(lost) {
            counts.lost += 1;
            return;
        } else if is(refused) {
            counts.lost += 1;
            counts.refused += 1;
            return back(at + after, Back::Refusal);
        } else if is(corrupted) {
            counts.lost += 1;
            counts.corrupted += 1;
            return back(at + after, Back::Corrupted);
        } else if is(late) {
            counts.late += 1;
            after += timeout + 1;
        } else {
            counts.answered += 1;
            if is(slow) {
                after = timeout - after % timeout;
            } else if is(doubled) {
                counts.duplicated += 1;
                back(at + after + 1 + self.random.next() % delay, Back::Right);
            } else if is(partial) {
                counts.partial_checksums += 1;
                kind = Back::PartialChecksum;
            }
        }
        self.expected.first_answers.push((at + after, sequence));
        back(at + after, kind);
    }
}

fn run(schedule: Schedule, count: u64, faults: &Faults, trouble: Trouble) -> (Counts, Counts, Ended) {
    let ask = Ask {
        schedule,
        size: SIZE,
        end: End::Count(count),
        timeout: Ns(faults.timeout),
        linger: Ns(2 * (faults.timeout + faults.delay)),
        warm_up: 0,
        seed: faults.seed,
        ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), udp())
    };
    let mut expected = Expected::default();
    let reflector = Faulty { faults, random: Random::new(faults.seed), expected: &mut expected };
    let outcome = world::run(&ask, reflector, trouble);
    (outcome.counts, expected.counts(), outcome.ended)
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let rate = || 1_000.0..1e6_f64;
    prop_oneof![
        (1_u32..200, 0_u64..50_000).prop_map(|(window, gap)| Schedule::Closed { window, gap: Ns(gap) }),
        (rate(), rate()).prop_map(|(from, to)| {
            Schedule::Open { arrivals: Arrivals::Periodic, rate: Ramp { from, to } }
        }),
        rate().prop_map(|rate| Schedule::Open { arrivals: Arrivals::Poisson, rate: Ramp::constant(rate) }),
    ]
}

fn faults() -> impl Strategy<Value = Faults> {
    let share = || 0_usize..120;
    let shares = (share(), share(), share(), share(), share(), share(), share());
    (shares, 1_u64..300_000, 1_u64..2_000_000, any::<u64>()).prop_map(|(shares, delay, more, seed)| {
        let (lost, late, doubled, slow, corrupted, partial, refused) = shares;
        // An answer that is doubled comes twice in time.
        let timeout = 2 * delay + more;
        Faults { lost, late, doubled, slow, corrupted, partial, refused, delay, timeout, seed }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every count, exactly, whatever goes wrong, by whatever schedule.
    #[test]
    fn every_fault_is_counted_as_what_it_is(schedule in schedules(), count in 1_u64..3_000, faults in faults()) {
        let (found, expected, ended) = run(schedule, count, &faults, Trouble::default());
        prop_assert_eq!(ended, Ended::Done);
        prop_assert_eq!(found.sent, count);
        prop_assert_eq!(found, expected);
        prop_assert_eq!(found.sent, found.answered + found.lost + found.late);
    }

    /// However a run ends, every question that was sent has a fate, and those that could not wait for it are told.
    #[test]
    fn a_run_that_is_cut_short_accounts_for_every_question(
        schedule in schedules(),
        faults in faults(),
        end in 0_u64..2_000,
        how in 0..3,
    ) {
        let trouble = match how {
            0 => Trouble { stops_at: Some(end), ..Trouble::default() },
            1 => Trouble { fails_at: Some(end), ..Trouble::default() },
            _ => Trouble { fails_after_arrivals: Some(end), ..Trouble::default() },
        };
        let (found, expected, ended) = run(schedule, 2_000, &faults, trouble);
        prop_assert_eq!(found.sent, found.answered + found.lost + found.late);
        prop_assert_eq!(found.sent, expected.sent);
        prop_assert!(found.answered <= expected.answered && found.abandoned <= found.lost);
        match (how, &ended) {
            (0, Ended::Stopped) => prop_assert!(found.sent > end && found.abandoned == 0, "{:?}", found),
            (1, Ended::Failed(why)) => prop_assert!(found.sent == end && why.contains("cable is cut"), "{}", why),
            (2, Ended::Failed(_) | Ended::Done) => (),
            _ => prop_assert!(false, "{:?} {:?}", ended, found),
        }
    }
}

fn udp() -> Protocol {
    Protocol::Udp { port: NonZeroU16::new(7).unwrap() }
}

/// The probe is away for 1.5 s and then has 98,000 questions overdue, more than it remembers at that rate and time-out.
/// The server takes 0.4 s for each. Were the oldest forgotten for the newest, they would count as lost.
#[test]
fn a_question_that_waits_is_not_forgotten_however_many_are_overdue() {
    const COUNT: u64 = 200_000;
    let rate = Ramp::constant(65_000.0);
    let ask = Ask {
        schedule: Schedule::Open { arrivals: Arrivals::Periodic, rate },
        size: SIZE,
        end: End::Count(COUNT),
        timeout: Ns(500_000_000),
        warm_up: 0,
        ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), udp())
    };
    let trouble = Trouble { held_up: Some((50_000, 1_500_000_000)), ..Trouble::default() };
    let counts = world::run(&ask, |_, at| at + 400_000_000, trouble).counts;
    assert_eq!((counts.sent, counts.answered, counts.unmatched), (COUNT, COUNT, 0), "{counts:?}");
}

/// A reflector that answers the first question without end, and the second never.
struct Flooding;

impl Reflector for Flooding {
    fn reflect(&mut self, sequence: u64, at: u64, back: &mut dyn FnMut(u64, Back)) {
        if sequence == 0 {
            (0..200_000).for_each(|number| back(at + number, Back::Right));
        }
    }
}

/// As many answers as there are instants of a clock of microseconds, so that the probe never finds that nothing has
/// arrived. The lost question is given up all the same, a tenth of a second late.
#[test]
fn a_flood_of_answers_does_not_keep_a_lost_question_waiting() {
    let ask = Ask {
        schedule: Schedule::Closed { window: 2, gap: Ns(0) },
        size: SIZE,
        end: End::Count(2),
        timeout: Ns(10_000_000),
        linger: Ns(0),
        warm_up: 0,
        ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), udp())
    };
    let outcome = world::run_by(TickRate::new(1_000_000), &ask, Flooding, Trouble::default());
    let counts = outcome.counts;
    assert_eq!((counts.sent, counts.answered, counts.lost, &outcome.ended), (2, 1, 1, &Ended::Done));
    assert!((110_000_000..111_000_000).contains(&outcome.wall.0), "{:?}", outcome.wall);
    assert!(counts.duplicated > 10_000, "{counts:?}");
}
