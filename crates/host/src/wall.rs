//! The kernel's clock of UTC against a lane's clock, and how far both together may be off.
//!
//! A lane must write the time of day into its answers without asking the kernel. So a control thread reads both clocks
//! about once a second, and hands the lane the line through its newest [`Reading`], as steep as the two clocks went
//! against each other since the reading before: see `telemetry::wall`. Here is what a line is made of.
//!
//! # The error of an instant on that line
//!
//! | part | what it is | how it is known |
//! |---|---|---|
//! | the kernel's | how far its clock may be from UTC | `maxerror` of `adjtimex(2)`: what the program that disciplines the clock says, and 500 parts in a million more for each second that it is silent (kernel/time/ntp.c, `second_overflow`) |
//! | the reading's | half of the time that reading both clocks took | measured each time |
//! | the line's | how far it leads away from the clock until the next reading | how far the last line had led away, by this reading |
//!
//! A clock that was stepped is not on the last line at all. That says nothing of the next one, which is judged by the
//! error of the calibrated rate instead.

use rustix::time::{ClockId, DynamicClockId, Timespec, clock_gettime, clock_gettime_dynamic};

use crate::clock::Clock;
use crate::sys;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// How often the narrowest reading is looked for: see [`clock`](crate::clock). A reading takes some 50 ns.
const READINGS: usize = 16;

/// Rates that are further apart are none: a clock was stepped between two readings. The kernel slews by 500 parts in a
/// million at most (`MAXFREQ`), and by as much again with `adjtime(3)`; and two clocks of one machine hardly differ.
const SLEW_PPM_MAX: u64 = 2_000;

/// Readings that are nearer to each other give no rate: the time that a reading takes would be too large a part of it.
const APART_NS_MIN: u64 = 100_000_000;

/// What the kernel says of its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// The most that the clock may be from UTC; `u64::MAX` where the kernel does not say.
    pub error_ns: u64,
    /// Whether a program keeps it to an outside source (`STA_UNSYNC` is not set).
    pub is_synchronised: bool,
}

impl Discipline {
    /// What the kernel says now.
    pub fn read() -> Self {
        // Where a sandbox forbids the question, nothing is known, and that is what an answer then says.
        sys::clock_discipline().map_or(
            Self { error_ns: u64::MAX, is_synchronised: false },
            |(error_us, is_synchronised)| Self { error_ns: error_us.saturating_mul(1_000), is_synchronised },
        )
    }
}

/// A point of both clocks, and what is known of the line through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// An instant of the lane's clock.
    pub tick: u64,
    /// The same instant in nanoseconds since 1970, UTC.
    pub unix_ns: u64,
    /// How many ticks a second of UTC has.
    pub ticks_per_second: u64,
    /// How far an instant on the line may be off, for the next second or two.
    pub error_ns: u64,
    /// Whether the kernel's clock follows an outside source.
    pub is_synchronised: bool,
}

/// Follows a clock of the kernel's: that of UTC, or the one that it stamps with.
#[derive(Clone, Copy, Debug)]
pub struct Wall {
    clock: Clock,
    kernels: ClockId,
    line: Line,
}

impl Wall {
    /// Begins with one reading, and the rate that the clock was calibrated to.
    pub fn new(clock: Clock) -> Self {
        Self::of(clock, ClockId::Realtime)
    }

    /// The same of `CLOCK_MONOTONIC`, by which XDP programs tell the time. Its line says nanoseconds of that clock where
    /// others say nanoseconds since 1970; it is slewed as UTC is, and never stepped.
    pub fn monotonic(clock: Clock) -> Self {
        Self::of(clock, ClockId::Monotonic)
    }

    fn of(clock: Clock, kernels: ClockId) -> Self {
        Self::begin(clock, kernels, Reading::narrowest(clock, kernels), Discipline::read())
    }

    /// The line through the newest reading.
    pub const fn line(&self) -> Line {
        self.line
    }

    /// Reads both clocks again, and gives the line through that reading. Takes some microseconds.
    pub fn look(&mut self) -> Line {
        self.follow(Reading::narrowest(self.clock, self.kernels), Discipline::read());
        self.line
    }

    fn begin(clock: Clock, kernels: ClockId, reading: Reading, discipline: Discipline) -> Self {
        let ticks_per_second = clock.ticks_per_second();
        let error_ns = reading.error_ns(ticks_per_second) + rate_error_ns(clock);
        Self { clock, kernels, line: reading.line(ticks_per_second, error_ns, discipline) }
    }

    fn follow(&mut self, reading: Reading, discipline: Discipline) {
        let Some((rate, led_away_ns)) = self.slewed(reading) else {
            *self = Self::begin(self.clock, self.kernels, reading, discipline);
            return;
        };
        self.line = reading.line(rate, reading.error_ns(rate) + led_away_ns, discipline);
    }

    /// The rate since the last reading, and how far its line had led away; nothing where the clock was stepped, or the two
    /// readings are too near to each other.
    fn slewed(&self, reading: Reading) -> Option<(u64, u64)> {
        let ticks = reading.middle().checked_sub(self.line.tick)?;
        let ns = reading.unix_ns.checked_sub(self.line.unix_ns).filter(|ns| *ns >= APART_NS_MIN)?;
        let calibrated = self.clock.ticks_per_second();
        let rate = scaled(ticks, NS_PER_SECOND, ns);
        let bound = scaled(calibrated, SLEW_PPM_MAX, 1_000_000);
        let expected_ns = scaled(ticks, NS_PER_SECOND, self.line.ticks_per_second);
        (rate.abs_diff(calibrated) <= bound).then_some((rate, expected_ns.abs_diff(ns)))
    }
}

/// How far the kernel's `CLOCK_TAI` is ahead of its `CLOCK_MONOTONIC`, in nanoseconds modulo 2^64, wrong by half of what reading the one
/// between two readings of the other takes, some ten. It stays as it is until somebody sets the time of day, or says how many seconds UTC is
/// behind TAI: both clocks are slewed alike (`tk_update_ktime_data` and `offs_tai` in kernel/time/timekeeping.c). Takes some microseconds.
pub fn tai_ahead_ns() -> u64 {
    let take = || [kernels_ns(ClockId::Monotonic), tai_ns(), kernels_ns(ClockId::Monotonic)];
    let width = |[before, _, after]: [u64; 3]| after.saturating_sub(before);
    let narrowest = |best, next| if width(next) < width(best) { next } else { best };
    let [before, tai, after] = (1..READINGS).map(|_| take()).fold(take(), narrowest);
    tai.wrapping_sub(before.midpoint(after))
}

/// By how much a second may be wrong, counted at the rate that the clock was calibrated to.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousand nanoseconds")]
fn rate_error_ns(clock: Clock) -> u64 {
    (clock.error_ppm() * 1_000.0).ceil() as u64
}

/// `value` · `by` / `of`, without overflow on the way.
fn scaled(value: u64, by: u64, of: u64) -> u64 {
    let product = u128::from(value) * u128::from(by) / u128::from(of.max(1));
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// The kernel's clock of UTC, and the lane's before and after it was read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    before: u64,
    unix_ns: u64,
    after: u64,
}

impl Reading {
    fn take(clock: Clock, kernels: ClockId) -> Self {
        Self { before: clock.now(), unix_ns: kernels_ns(kernels), after: clock.now() }
    }

    fn narrowest(clock: Clock, kernels: ClockId) -> Self {
        let further = (1..READINGS).map(|_| Self::take(clock, kernels));
        further.fold(
            Self::take(clock, kernels),
            |best, next| if next.width() < best.width() { next } else { best },
        )
    }

    const fn width(&self) -> u64 {
        self.after.saturating_sub(self.before)
    }

    const fn middle(&self) -> u64 {
        self.before.midpoint(self.after)
    }

    /// The most that pairing the middle with the time can be wrong by.
    fn error_ns(&self, ticks_per_second: u64) -> u64 {
        scaled(self.width(), NS_PER_SECOND, ticks_per_second.saturating_mul(2)) + 1
    }

    fn line(&self, ticks_per_second: u64, own_error_ns: u64, discipline: Discipline) -> Line {
        Line {
            tick: self.middle(),
            unix_ns: self.unix_ns,
            ticks_per_second,
            error_ns: discipline.error_ns.saturating_add(own_error_ns),
            is_synchronised: discipline.is_synchronised,
        }
    }
}

/// Nanoseconds by a clock of the kernel's; 0 where it is set to a time before its first.
fn kernels_ns(kernels: ClockId) -> u64 {
    ns_of(clock_gettime(kernels))
}

/// The same by `CLOCK_TAI`, which every kernel that Barelane runs on has (Linux 3.10).
fn tai_ns() -> u64 {
    clock_gettime_dynamic(DynamicClockId::Tai).map_or(0, ns_of)
}

fn ns_of(now: Timespec) -> u64 {
    let [seconds, ns] = [now.tv_sec, now.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    seconds.saturating_mul(NS_PER_SECOND).saturating_add(ns)
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    const SECOND: u64 = NS_PER_SECOND;
    const SYNCHRONISED: Discipline = Discipline { error_ns: 1_000, is_synchronised: true };

    /// A reading of the kernel's clock that took 100 ticks of a nanosecond.
    fn reading(tick: u64, unix_ns: u64) -> Reading {
        Reading { before: tick - 50, unix_ns, after: tick + 50 }
    }

    #[test]
    fn a_line_is_as_steep_as_the_clocks_went_and_its_error_says_how_far_the_last_led_away() {
        let mut wall =
            Wall::begin(Clock::kernel(), ClockId::Realtime, reading(1_000, 5 * SECOND), SYNCHRONISED);
        assert_eq!(wall.line.error_ns, 1_000 + 51);
        // UTC went 100 parts in a million faster than the ticks: 100 µs in a second.
        wall.follow(reading(1_000 + SECOND, 6 * SECOND + 100_000), SYNCHRONISED);
        let line = wall.line();
        assert_eq!((line.tick, line.unix_ns), (1_000 + SECOND, 6 * SECOND + 100_000));
        assert_eq!(line.ticks_per_second, 999_900_009);
        assert_eq!(line.error_ns, 1_000 + 51 + 100_000);
        wall.follow(reading(1_000 + 2 * SECOND, 7 * SECOND + 200_000), SYNCHRONISED);
        assert!(wall.line().error_ns < 1_000 + 51 + 10, "{:?}", wall.line());
    }

    #[test]
    fn a_step_is_followed_at_once_and_is_no_error_of_the_next_line() {
        let mut wall =
            Wall::begin(Clock::kernel(), ClockId::Realtime, reading(1_000, 5 * SECOND), SYNCHRONISED);
        for unix_ns in [3_600 * SECOND, 6 * SECOND, 7 * SECOND + SECOND / 2] {
            let tick = wall.line().tick + SECOND;
            wall.follow(reading(tick, unix_ns), SYNCHRONISED);
            let line = wall.line();
            assert_eq!((line.tick, line.unix_ns), (tick, unix_ns));
            assert_eq!((line.ticks_per_second, line.error_ns), (SECOND, 1_000 + 51));
        }
    }

    #[test]
    fn what_the_kernel_says_of_its_clock_is_passed_on() {
        let unknown = Discipline { error_ns: u64::MAX, is_synchronised: false };
        let wall = Wall::begin(Clock::kernel(), ClockId::Realtime, reading(1_000, SECOND), unknown);
        assert_eq!((wall.line().error_ns, wall.line().is_synchronised), (u64::MAX, false));
    }

    #[test]
    fn the_kernel_says_how_far_its_clock_may_be_off() {
        let discipline = Discipline::read();
        // The kernel's own limit: 16 s, and then the clock counts as free (`NTP_PHASE_LIMIT`).
        assert!(discipline.error_ns <= 16 * SECOND || discipline.error_ns == u64::MAX, "{discipline:?}");
    }

    #[test]
    fn a_line_of_this_machine_tells_the_time_of_this_machine() {
        let clock = Clock::calibrate();
        for kernels in [ClockId::Realtime, ClockId::Monotonic] {
            assert_tells_the_time(clock, kernels);
        }
    }

    #[test]
    fn tai_is_as_far_ahead_as_it_was_and_as_its_clocks_say() {
        let [before, ahead, after] = [(), (), ()].map(|()| {
            let monotonic = kernels_ns(ClockId::Monotonic);
            let ahead = tai_ahead_ns();
            let tai = tai_ns();
            // It went by while TAI was read last, and not before.
            assert!(tai.wrapping_sub(ahead) >= monotonic, "{monotonic} {ahead} {tai}");
            ahead
        });
        assert!(
            before.abs_diff(ahead) < SECOND && ahead.abs_diff(after) < SECOND,
            "{before} {ahead} {after}"
        );
    }

    fn assert_tells_the_time(clock: Clock, kernels: ClockId) {
        let mut wall = Wall::of(clock, kernels);
        thread::sleep(Duration::from_millis(150));
        let line = wall.look();
        let now = Reading::narrowest(clock, kernels);
        let since = scaled(now.middle() - line.tick, NS_PER_SECOND, line.ticks_per_second);
        let apart = now.unix_ns.abs_diff(line.unix_ns + since);
        assert!(apart <= line.error_ns.saturating_add(SECOND / 1_000), "{apart} ns apart: {line:?}");
    }
}
