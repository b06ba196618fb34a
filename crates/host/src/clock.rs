#![expect(unsafe_code, reason = "reading the time-stamp counter is an unsafe intrinsic")]
//! The lane's clock: the processor's time-stamp counter, with its rate measured against the kernel's clock.
//!
//! A lane reads it once a turn. Reading the counter costs about 12 ns here, `clock_gettime` 28 ns, and what is
//! measured is a few microseconds. The counter is used only where it is invariant: where it runs at one rate in every
//! power state (Intel SDM volume 3, 19.17.1; AMD APM volume 2, 13.2.4: leaf 0x80000007 of CPUID, EDX bit 8). Everywhere else
//! the kernel's own clock is used, and [`Clock::source`] says so.
//!
//! # How the rate is found
//!
//! The kernel's clock is read between two readings of the counter. It was read somewhere between them, so half their
//! distance is the most that pairing it with their middle can be wrong by. Of many such readings the narrowest is kept:
//! the wide ones are those that an interrupt fell into. The same again a while later gives the rate, wrong by at most
//! the two half distances over that while:
//!
//! ```text
//!   counter  ──┬────────┬──────────── … ────────────┬────────┬──▶
//!            before   after                       before   after
//!   kernel   ─────┬────────────────── … ───────────────┬────────▶
//!               first                                second
//! ```
//!
//! The counter is read without a fence. The processor may read it some tens of cycles early or late, as it reorders;
//! against turns of microseconds this is nothing, and a fence would wait for every load of the turn before.

use std::fmt;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long the rate is measured for. The error is half the width of two readings over this time: with readings of
/// 20 ns, 0.4 parts in a million (seen on a shared virtual machine). Too short is inaccurate; too long delays the start.
const CALIBRATION: Duration = Duration::from_millis(50);

/// How often the narrowest reading is looked for. Interrupts come at most every few microseconds and a reading takes a
/// tenth of one, so most of these are undisturbed.
const READINGS: usize = 64;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Where a clock's ticks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The processor's invariant time-stamp counter.
    TimeStampCounter,
    /// The kernel's `CLOCK_MONOTONIC_RAW`, in nanoseconds: the counter is not invariant here.
    Kernel,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimeStampCounter => "time-stamp counter",
            Self::Kernel => "CLOCK_MONOTONIC_RAW (the time-stamp counter is not invariant)",
        })
    }
}

/// A clock that never goes backwards on one core, with a known rate.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    source: Source,
    ticks_per_second: u64,
    error_ppm: f64,
}

impl Clock {
    /// The best clock of this machine. Takes 50 ms where its rate must be measured.
    pub fn calibrate() -> Self {
        if !has_invariant_counter() {
            return Self::kernel();
        }
        let first = Reading::narrowest();
        thread::sleep(CALIBRATION);
        let second = Reading::narrowest();
        Self::between(first, second).unwrap_or_else(Self::kernel)
    }

    /// The kernel's clock, whose ticks are nanoseconds and need no measurement.
    pub const fn kernel() -> Self {
        Self { source: Source::Kernel, ticks_per_second: NS_PER_SECOND, error_ppm: 0.0 }
    }

    /// Now, in ticks since some moment before this process. Costs about 12 ns where the source is the counter.
    #[inline]
    pub fn now(&self) -> u64 {
        match self.source {
            Source::TimeStampCounter => counter(),
            Source::Kernel => kernel_ns(),
        }
    }

    /// How many ticks a second has.
    #[inline]
    pub const fn ticks_per_second(&self) -> u64 {
        self.ticks_per_second
    }

    /// Where the ticks come from.
    pub const fn source(&self) -> Source {
        self.source
    }

    /// The most that [`Self::ticks_per_second`] is wrong by, in parts per million of `CLOCK_MONOTONIC_RAW`'s rate.
    /// That clock's own rate is as good as the kernel's measurement of the counter at boot, and not corrected by NTP.
    pub const fn error_ppm(&self) -> f64 {
        self.error_ppm
    }

    /// The rate that two readings show; nothing where time or the counter stood still between them.
    #[expect(clippy::cast_precision_loss, reason = "the error needs three digits, not fifteen")]
    fn between(first: Reading, second: Reading) -> Option<Self> {
        let ns = second.ns.checked_sub(first.ns).filter(|ns| *ns > 0)?;
        let ticks = second.middle().checked_sub(first.middle()).filter(|ticks| *ticks > 0)?;
        let per_second = u128::from(ticks) * u128::from(NS_PER_SECOND) / u128::from(ns);
        let uncertain = first.width().midpoint(second.width());
        Some(Self {
            source: Source::TimeStampCounter,
            ticks_per_second: u64::try_from(per_second).ok()?,
            error_ppm: uncertain as f64 / ticks as f64 * 1e6,
        })
    }
}

/// The kernel's clock, and the counter before and after it was read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    before: u64,
    ns: u64,
    after: u64,
}

impl Reading {
    fn take() -> Self {
        Self { before: counter(), ns: kernel_ns(), after: counter() }
    }

    fn narrowest() -> Self {
        let further = (1..READINGS).map(|_| Self::take());
        further.fold(Self::take(), |best, next| if next.width() < best.width() { next } else { best })
    }

    const fn width(&self) -> u64 {
        self.after.saturating_sub(self.before)
    }

    const fn middle(&self) -> u64 {
        self.before.midpoint(self.after)
    }
}

#[inline]
#[expect(clippy::cast_sign_loss, reason = "this clock counts up from the machine's start")]
fn kernel_ns() -> u64 {
    let now = clock_gettime(ClockId::MonotonicRaw);
    (now.tv_sec as u64).wrapping_mul(NS_PER_SECOND).wrapping_add(now.tv_nsec as u64)
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    // SAFETY: RDTSC exists on every x86-64 processor and touches no memory. It faults only where a process asked for
    // that with PR_SET_TSC, which nothing here does.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "x86_64")]
fn has_invariant_counter() -> bool {
    const EXTENDED: u32 = 0x8000_0000;
    const POWER: u32 = 0x8000_0007;
    const INVARIANT: u32 = 1 << 8;
    let reaches = core::arch::x86_64::__cpuid(EXTENDED).eax >= POWER;
    reaches && core::arch::x86_64::__cpuid(POWER).edx & INVARIANT != 0
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    kernel_ns()
}

#[cfg(not(target_arch = "x86_64"))]
const fn has_invariant_counter() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_calibrations_agree_within_what_they_say_of_their_error() {
        let one = Clock::calibrate();
        let other = Clock::calibrate();
        assert_eq!(one.source(), other.source());
        let apart = u32::try_from(one.ticks_per_second().abs_diff(other.ticks_per_second())).unwrap();
        let mega = u32::try_from(one.ticks_per_second() / 1_000_000).unwrap();
        let apart_ppm = f64::from(apart) / f64::from(mega);
        assert!(apart_ppm <= one.error_ppm() + other.error_ppm() + 1.0, "{apart_ppm} ppm: {one:?} {other:?}");
    }

    #[test]
    fn a_second_by_the_counter_is_a_second_by_the_kernel() {
        let clock = Clock::calibrate();
        let (tick, ns) = (clock.now(), kernel_ns());
        thread::sleep(Duration::from_millis(100));
        let (ticks, ns) = (clock.now() - tick, kernel_ns() - ns);
        let by_counter = u128::from(ticks) * u128::from(NS_PER_SECOND) / u128::from(clock.ticks_per_second());
        let apart = by_counter.abs_diff(u128::from(ns));
        assert!(apart * 1000 < u128::from(ns), "{by_counter} ns by the counter, {ns} ns by the kernel");
    }

    #[test]
    fn the_clock_does_not_go_backwards() {
        for clock in [Clock::calibrate(), Clock::kernel()] {
            let mut last = clock.now();
            for _ in 0..10_000 {
                let now = clock.now();
                assert!(now >= last, "{now} after {last}: {clock:?}");
                last = now;
            }
        }
    }

    #[test]
    fn the_rate_is_the_ticks_over_the_time_and_the_error_half_of_both_widths() {
        let first = Reading { before: 900, ns: 5_000, after: 1_100 };
        let second = Reading { before: 2_000_900, ns: 1_005_000, after: 2_001_100 };
        let clock = Clock::between(first, second).unwrap();
        assert_eq!(clock.ticks_per_second(), 2_000_000_000);
        assert!((clock.error_ppm() - 100.0).abs() < 1e-9, "{clock:?}");
    }

    #[test]
    fn a_counter_that_stands_still_has_no_rate() {
        let reading = Reading { before: 900, ns: 5_000, after: 1_100 };
        assert!(Clock::between(reading, reading).is_none());
        assert!(Clock::between(reading, Reading { ns: 6_000, ..reading }).is_none());
    }
}
