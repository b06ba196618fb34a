//! `barelane doctor --noise`: how quiet each core is, measured as a lane would feel it.
//!
//! A thread that is bound to the core reads the cycle counter again and again, as sysjitter, oslat and rtla's osnoise do. Two
//! readings are some 20 ns apart; where they are further apart than a threshold, something else had the core, and the gap is
//! recorded. What the kernel counted meanwhile is put beside it: what was taken by the scheduler, by interrupts, by the
//! hypervisor.

mod spin;
mod table;

use std::collections::BTreeMap;

use host::clock::Clock;
use host::cores;
use serde::Serialize;

use super::settings::Settings;
use crate::error::{Error, Wrong};
use crate::say;
use crate::signals::Signals;

use spin::{Spun, THRESHOLD};

/// Which keys there are.
const SCHEMA: &str = "barelane-noise-1";

/// The most that is measured on one core: longer than a night's backup, and a bound.
const SECONDS_MAX: u64 = 86_400;

/// How quiet a core was.
#[derive(Debug, Serialize)]
struct Noise {
    core: usize,
    seconds: f64,
    /// How many gaps were longer than the threshold.
    gaps: u64,
    /// Their sum, as a part of the time.
    lost_ratio: f64,
    gap_p50_ns: u64,
    gap_p99_ns: u64,
    gap_max_ns: u64,
    /// Of the sum, what the thread waited for its core while others ran there; nothing where it is not counted.
    run_delay_ns: Option<u64>,
    /// What the hypervisor took, in steps of a clock tick; nothing where it is not told.
    steal_ns: Option<u64>,
    involuntary_switches: u64,
    page_faults: u64,
    interrupts: BTreeMap<String, u64>,
    softirqs: BTreeMap<String, u64>,
    /// Bucket and count, in nanoseconds.
    histogram: Vec<(u64, u64)>,
}

#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    threshold_ns: u64,
    clock: String,
    /// The quietest first.
    cores: Vec<Noise>,
}

/// Measures the named cores, or all that this process may use, one after the other, and ranks them.
pub(super) fn run(settings: &Settings, seconds: &str) -> Result<(), Error> {
    let seconds =
        seconds.parse().ok().filter(|seconds| (1..=SECONDS_MAX).contains(seconds)).ok_or_else(|| {
            Wrong::new("--noise", seconds)
                .because(format_args!("not a number of seconds from 1 to {SECONDS_MAX}"))
                .remedy("write how long to measure each core, such as 10")
        })?;
    let cores = if settings.cores.is_empty() { cores::allowed()? } else { settings.cores.clone() };
    let signals = Signals::catch()?;
    let clock = Clock::calibrate();
    let mut measured = Vec::new();
    for core in cores.into_iter().take_while(|_| !signals.is_stopping()) {
        say::note(format_args!("measuring core {core} for {seconds} s"));
        measured.push(Noise::of(spin::on_core(core, seconds, clock, &signals.stop_flag())?, clock));
    }
    measured.sort_by(|one, other| {
        (one.lost_ratio, one.gap_max_ns)
            .partial_cmp(&(other.lost_ratio, other.gap_max_ns))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let threshold_ns = u64::try_from(THRESHOLD.as_nanos()).unwrap_or(u64::MAX);
    let report = Report { schema: SCHEMA, threshold_ns, clock: clock.source().to_string(), cores: measured };
    if settings.is_json {
        say::answer(serde_json::to_string_pretty(&report).map_err(|error| Error::Failed(error.to_string()))?);
    } else {
        say::answer(table::of(&report).trim_end());
    }
    Ok(())
}

impl Noise {
    #[expect(clippy::cast_precision_loss, reason = "ratios need four digits, not fifteen")]
    fn of(spun: Spun, clock: Clock) -> Self {
        let ns = u128::from(spun.ticks) * 1_000_000_000 / u128::from(clock.ticks_per_second().max(1));
        let nanoseconds = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            core: spun.core,
            seconds: ns as f64 / 1e9,
            gaps: spun.gaps.count(),
            lost_ratio: spun.gaps.sum() as f64 / (ns as f64).max(1.0),
            gap_p50_ns: spun.gaps.percentile(50.0),
            gap_p99_ns: spun.gaps.percentile(99.0),
            gap_max_ns: spun.gaps.max(),
            run_delay_ns: spun.run_delay.map(nanoseconds),
            steal_ns: spun.steal.map(nanoseconds),
            involuntary_switches: spun.involuntary_switches,
            page_faults: spun.page_faults,
            interrupts: spun.interrupts.hard,
            softirqs: spun.interrupts.soft,
            histogram: spun.gaps.iter().collect(),
        }
    }
}
