//! What the watch notices of stalls, and what is said of them.

use std::cell::Cell;

use super::*;
use crate::clock::{Clock, WallTime};

/// A clock that only the test moves.
#[derive(Debug, Default)]
struct HandClock(Cell<u64>);

impl Clock for HandClock {
    fn now(&self) -> Tick {
        Tick(self.0.get())
    }

    fn rate(&self) -> TickRate {
        TickRate::new(2_000_000_000)
    }

    fn wall(&self, at: Tick) -> WallTime {
        WallTime(at.0)
    }

    fn name(&self) -> &'static str {
        "by hand"
    }
}

/// A platform that counts what the test says, and takes its time to tell it.
#[derive(Debug)]
struct HandPlatform<'a> {
    clock: &'a HandClock,
    counted: Cell<Usage>,
    steal_ns: Cell<u64>,
    asked: Cell<u64>,
}

/// How many ticks one asking takes.
const ASKING: u64 = 100;

/// Half a nanosecond each.
const TICKS_PER_NS: u64 = 2;

impl<'a> HandPlatform<'a> {
    fn new(clock: &'a HandClock) -> Self {
        let nothing = Usage {
            involuntary_switches: Some(0),
            voluntary_switches: Some(0),
            minor_faults: Some(0),
            major_faults: Some(0),
            run_delay_ns: Some(0),
            steal_ns: None,
        };
        Self { clock, counted: Cell::new(nothing), steal_ns: Cell::new(0), asked: Cell::new(0) }
    }

    fn count(&self, change: impl FnOnce(&mut Usage)) {
        let mut usage = self.counted.get();
        change(&mut usage);
        self.counted.set(usage);
    }
}

impl Platform for HandPlatform<'_> {
    fn thread(&self) -> Usage {
        self.clock.0.set(self.clock.0.get() + ASKING);
        self.asked.set(self.asked.get() + 1);
        self.counted.get()
    }

    fn steal(&self) -> Option<Ns> {
        Some(Ns(self.steal_ns.get()))
    }

    fn steal_resolution(&self) -> Ns {
        Ns(10_000_000)
    }
}

/// Turns every 100 ns for `ns`, then none for each of `gaps`, with such turns between them.
fn run(watch: &mut Watch<'_, HandClock>, clock: &HandClock, ns: u64, gaps: &[u64]) {
    let turns = |watch: &mut Watch<'_, HandClock>| {
        for _ in 0..ns / 100 {
            clock.0.set(clock.0.get() + 100 * TICKS_PER_NS);
            watch.turn(clock.now());
        }
    };
    turns(watch);
    for gap in gaps {
        clock.0.set(clock.0.get() + gap * TICKS_PER_NS);
        watch.turn(clock.now());
        turns(watch);
    }
}

fn after(gaps: &[u64]) -> OwnError {
    let clock = HandClock::default();
    let mut watch = Watch::new(&clock, Limits::CARD, &NoPlatform);
    run(&mut watch, &clock, 1_000_000, gaps);
    watch.finish()
}

#[test]
fn a_run_without_gaps_has_no_stalls_and_is_not_marked() {
    let own = after(&[]);
    assert_eq!((own.stall_count, own.stalled_ns, own.stall_max_ns, own.was_stalled), (0, 0, 0, false));
    assert!(own.stalls.is_empty());
}

#[test]
fn a_gap_counts_one_step_beyond_its_limit_with_its_exact_place_and_length() {
    let limit = Limits::CARD.stall.0;
    assert_eq!(after(&[limit]).stall_count, 0);
    let own = after(&[limit + 1]);
    let [stall] = own.stalls.as_slice() else { panic!("{own:?}") };
    assert_eq!((stall.at_ns, stall.length_ns, stall.cause), (1_000_000, limit + 1, Cause::NotAsked));
    assert_eq!((own.stall_count, own.stalled_ns, own.stall_max_ns), (1, limit + 1, limit + 1));
}

#[test]
fn of_many_stalls_the_longest_are_kept_in_the_order_of_time_and_all_are_counted() {
    let gaps: Vec<u64> = (0..600).map(|index| 20_000 + (index * 7_919) % 600).collect();
    let own = after(&gaps);
    assert_eq!((own.stall_count, own.stalled_ns), (600, gaps.iter().sum()));
    let mut longest = gaps.clone();
    longest.sort_unstable();
    let longest = longest.split_off(600 - STALLS_KEPT);
    let mut kept: Vec<u64> = own.stalls.iter().map(|stall| stall.length_ns).collect();
    assert!(own.stalls.is_sorted_by_key(|stall| stall.at_ns));
    kept.sort_unstable();
    assert_eq!(kept, longest);
}

#[test]
fn a_run_is_marked_by_one_long_stall_or_by_a_thousandth_of_its_time() {
    for (stall, turns_ns, is_marked) in [
        (1_000_000, 500_000_000, false),
        (1_000_001, 600_000_000, true),
        (20_000, 10_000_000, false),
        (20_000, 9_900_000, true),
    ] {
        let clock = HandClock::default();
        let mut watch = Watch::new(&clock, Limits::CARD, &NoPlatform);
        run(&mut watch, &clock, turns_ns, &[stall]);
        let own = watch.finish();
        assert_eq!(own.was_stalled, is_marked, "{stall} ns between twice {turns_ns} ns: {own:?}");
    }
}

#[test]
fn the_time_that_asking_takes_is_counted_apart_and_is_no_stall() {
    let clock = HandClock::default();
    let platform = HandPlatform::new(&clock);
    let mut watch = Watch::new(&clock, Limits { stall: Ns(20) }, &platform);
    clock.0.set(clock.0.get() + 100_000);
    watch.turn(clock.now());
    clock.0.set(clock.0.get() + 40);
    watch.turn(clock.now());
    let own = watch.finish();
    assert_eq!((own.stall_count, own.stalled_ns), (1, 50_000));
    assert_eq!(own.reading_ns, ASKING / TICKS_PER_NS);
}

#[test]
fn the_platform_is_asked_for_at_most_a_part_of_the_time() {
    let clock = HandClock::default();
    let platform = HandPlatform::new(&clock);
    let mut watch = Watch::new(&clock, Limits::CARD, &platform);
    let before = platform.asked.get();
    let gaps = [11_000; 1_000];
    run(&mut watch, &clock, 0, &gaps);
    let asked = platform.asked.get() - before;
    let own = watch.finish();
    assert_eq!(own.stall_count, 1_000);
    assert!(asked > 500, "{asked}");
    assert!(own.reading_ns * 64 <= own.stalled_ns + own.reading_ns, "{own:?}");
}

/// What the platform counts while the loop is not there.
type Change = fn(&mut Usage);

#[test]
fn each_cause_is_found_by_what_the_platform_counted() {
    let preempted = |usage: &mut Usage| {
        usage.involuntary_switches = Some(1);
        usage.run_delay_ns = Some(4_000_000);
    };
    let stopped = |usage: &mut Usage| {
        usage.voluntary_switches = Some(1);
        usage.run_delay_ns = Some(9_000);
    };
    let swapped_in = |usage: &mut Usage| {
        usage.major_faults = Some(1);
        usage.voluntary_switches = Some(1);
    };
    let touched = |usage: &mut Usage| usage.minor_faults = Some(1);
    let nothing = |_: &mut Usage| ();
    let cases: [(Change, u64, Cause); 6] = [
        (preempted, 0, Cause::Preempted),
        (stopped, 8_000_000, Cause::OffCore),
        (swapped_in, 0, Cause::MajorFault),
        (touched, 0, Cause::MinorFault),
        (nothing, 8_000_000, Cause::Steal),
        (nothing, 0, Cause::OnCore),
    ];
    for (change, stolen_ns, cause) in cases {
        let clock = HandClock::default();
        let platform = HandPlatform::new(&clock);
        let mut watch = Watch::new(&clock, Limits::CARD, &platform);
        platform.count(change);
        platform.steal_ns.set(stolen_ns);
        let length_ns = if cause == Cause::Preempted { 5_000_000 } else { 10_000_000 };
        run(&mut watch, &clock, 0, &[length_ns]);
        let own = watch.finish();
        let [stall] = own.stalls.as_slice() else { panic!("{own:?}") };
        assert_eq!((stall.cause, stall.length_ns, stall.counted_over_ns), (cause, length_ns, length_ns));
        assert_eq!(stall.usage.steal_ns.is_some(), length_ns >= 10_000_000, "{stall:?}");
    }
}

#[test]
fn what_was_counted_is_told_as_the_difference_since_the_beginning() {
    let clock = HandClock::default();
    let platform = HandPlatform::new(&clock);
    platform.count(|usage| usage.minor_faults = Some(1_000));
    platform.steal_ns.set(500);
    let mut watch = Watch::new(&clock, Limits::CARD, &platform);
    platform.count(|usage| usage.minor_faults = Some(1_007));
    platform.steal_ns.set(530);
    run(&mut watch, &clock, 1_000, &[]);
    let own = watch.finish();
    assert_eq!((own.usage.minor_faults, own.usage.steal_ns), (Some(7), Some(30)));
}

#[test]
fn what_the_loop_slept_on_purpose_is_no_stall_and_what_it_overslept_is() {
    let clock = HandClock::default();
    let mut watch = Watch::new(&clock, Limits::SLEEPING, &NoPlatform);
    let sleep = |watch: &mut Watch<'_, HandClock>, until_ns: u64, woken_ns: u64| {
        clock.0.set(woken_ns * TICKS_PER_NS);
        watch.slept(Tick(until_ns * TICKS_PER_NS), clock.now());
    };
    sleep(&mut watch, 90_000_000, 50_000_000);
    sleep(&mut watch, 90_000_000, 90_060_000);
    sleep(&mut watch, 100_000_000, 103_000_000);
    let own = watch.finish();
    let [stall] = own.stalls.as_slice() else { panic!("{own:?}") };
    assert_eq!((stall.at_ns, stall.length_ns), (100_000_000, 3_000_000));
}

#[test]
fn a_burst_within_one_turn_is_no_stall_and_a_stall_within_it_has_its_cause() {
    let clock = HandClock::default();
    let platform = HandPlatform::new(&clock);
    let mut watch = Watch::new(&clock, Limits::CARD, &platform);
    let mut work = |ns: u64| {
        clock.0.set(clock.0.get() + ns * TICKS_PER_NS);
        watch.working(clock.now());
    };
    (0..32).for_each(|_| work(3_000));
    platform.count(|usage| usage.voluntary_switches = Some(1));
    work(70_000);
    let asked = platform.asked.get();
    (0..32).for_each(|_| work(3_000));
    assert_eq!(platform.asked.get(), asked, "asked amid a burst");
    watch.turn(Tick(clock.now().0 + 1));
    let own = watch.finish();
    let [stall] = own.stalls.as_slice() else { panic!("{own:?}") };
    assert_eq!((stall.at_ns, stall.length_ns, stall.cause), (96_000, 70_000, Cause::OffCore));
}

#[test]
fn a_hand_over_may_take_as_long_as_its_questions_are_many() {
    let clock = HandClock::default();
    let mut watch = Watch::new(&clock, Limits::CARD, &NoPlatform);
    for (count, took) in [(1, 10_000), (32, 320_000), (1, 10_001), (32, 320_001)] {
        clock.0.set(clock.0.get() + took * TICKS_PER_NS);
        watch.handed_over(count, Tick(clock.0.get()));
    }
    watch.turn(Tick(clock.0.get()));
    let own = watch.finish();
    let lengths: Vec<u64> = own.stalls.iter().map(|stall| stall.length_ns).collect();
    assert_eq!(lengths, [10_001, 320_001]);
}

#[test]
fn of_two_stalls_within_one_turn_both_count_and_the_later_one_has_its_cause() {
    let clock = HandClock::default();
    let platform = HandPlatform::new(&clock);
    let mut watch = Watch::new(&clock, Limits::CARD, &platform);
    for stall in [50_000, 60_000] {
        clock.0.set(clock.0.get() + stall * TICKS_PER_NS);
        watch.working(clock.now());
    }
    run(&mut watch, &clock, 100, &[]);
    let own = watch.finish();
    let told: Vec<_> = own.stalls.iter().map(|stall| (stall.length_ns, stall.cause)).collect();
    assert_eq!(told, [(50_000, Cause::NotAsked), (60_000, Cause::OnCore)]);
}

#[test]
fn a_clock_that_goes_backwards_is_counted_and_is_no_stall() {
    let clock = HandClock::default();
    let mut watch = Watch::new(&clock, Limits::CARD, &NoPlatform);
    for at in [1_000, 900, 1_100] {
        watch.turn(Tick(at));
    }
    let own = watch.finish();
    assert_eq!((own.clock_backwards, own.stall_count), (1, 0));
}

#[test]
fn what_was_before_the_beginning_is_forgotten() {
    let clock = HandClock::default();
    let mut watch = Watch::new(&clock, Limits::CARD, &NoPlatform);
    run(&mut watch, &clock, 1_000, &[5_000_000]);
    watch.paced(Tick(0), Tick(10));
    clock.0.set(clock.0.get() + 1_000_000);
    watch.begin();
    run(&mut watch, &clock, 1_000, &[30_000]);
    let own = watch.finish();
    let [stall] = own.stalls.as_slice() else { panic!("{own:?}") };
    assert_eq!((stall.at_ns, stall.length_ns, own.pacing.pacing_samples), (1_000, 30_000, 0));
}

#[test]
fn the_pacing_error_is_how_late_questions_left() {
    let clock = HandClock::default();
    let mut watch = Watch::new(&clock, Limits::CARD, &NoPlatform);
    for late_ns in 1..=1_000 {
        watch.paced(Tick(5_000), Tick(5_000 + late_ns * TICKS_PER_NS));
    }
    let pacing = watch.finish().pacing;
    assert_eq!((pacing.pacing_samples, pacing.pacing_max_ns), (1_000, Some(1_000)));
    for (found, truth) in
        [(pacing.pacing_p50_ns, 500), (pacing.pacing_p99_ns, 990), (pacing.pacing_p99_9_ns, 999)]
    {
        assert!(found.unwrap().abs_diff(truth) <= truth / 64, "{found:?}, not {truth}");
    }
}

#[test]
fn no_percentile_of_the_pacing_error_is_deeper_than_its_samples() {
    let clock = HandClock::default();
    let mut watch = Watch::new(&clock, Limits::CARD, &NoPlatform);
    assert_eq!(Watch::new(&clock, Limits::CARD, &NoPlatform).finish().pacing, Pacing::default());
    for _ in 0..999 {
        watch.paced(Tick(0), Tick(10));
    }
    let pacing = watch.finish().pacing;
    assert_eq!((pacing.pacing_p99_ns, pacing.pacing_p99_9_ns), (Some(5), None));
}

#[test]
fn an_outlier_has_the_cause_of_the_stall_that_covers_half_of_it() {
    let clock = HandClock::default();
    let platform = HandPlatform::new(&clock);
    let mut watch = Watch::new(&clock, Limits::CARD, &platform);
    platform.count(|usage| usage.voluntary_switches = Some(1));
    let began = clock.now();
    run(&mut watch, &clock, 0, &[100_000]);
    let own = watch.finish();
    let at = |ns: u64| Tick(began.0 + ns * TICKS_PER_NS);
    for (from, to, cause) in [
        (0, 100_000, Some(Cause::OffCore)),
        (0, 200_000, Some(Cause::OffCore)),
        (0, 200_002, None),
        (90_000, 110_000, Some(Cause::OffCore)),
        (100_000, 110_000, None),
    ] {
        assert_eq!(own.cause_of(at(from), at(to)), cause, "{from} to {to}");
    }
}

#[test]
fn its_json_form_reads_back_and_has_flat_keys() {
    let own = after(&[30_000, 2_000_000]);
    let text = serde_json::to_string(&own).unwrap();
    for key in ["\"pacing_p99_9_ns\":", "\"steal_ns\":", "\"was_stalled\":true", "\"cause\":\"not_asked\""] {
        assert!(text.contains(key), "{key} is not in {text}");
    }
    let back: OwnError = serde_json::from_str(&text).unwrap();
    assert_eq!((back.stall_count, &back.stalls, back.was_stalled), (2, &own.stalls, true));
}

#[test]
fn the_table_says_the_limit_the_longest_stall_with_its_cause_and_the_mark() {
    let clean = after(&[]).to_string();
    assert_eq!(clean, "  own stalls over 10.000 µs: 0\n");
    let stalled = OwnError {
        bias: Bias {
            bias_p50_ns: Some(40),
            bias_p99_ns: Some(60),
            clock_read_ns: Some(11.6),
            ..Bias::default()
        },
        pacing: Pacing { pacing_max_ns: Some(1_500), pacing_p50_ns: Some(200), ..Pacing::default() },
        ..after(&[30_000, 2_000_000])
    };
    let lines: Vec<_> = stalled.to_string().lines().map(str::to_owned).collect();
    let [bias, pacing, stalls, mark] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(bias, "  own bias: p50 40 ns, p99 60 ns by a null path in memory; the clock takes 11.6 ns");
    assert_eq!(pacing, "  own pacing error µs: p50 0.200, max 1.500");
    assert!(
        stalls.contains(": 2, 2030.000 µs in all (40.358 % of the run), the longest 2000.000 µs (not asked)"),
        "{stalls}"
    );
    assert!(mark.contains("STALLED"), "{mark}");
}
