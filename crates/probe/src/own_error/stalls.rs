//! The stalls of a run: all counted, the longest kept.

use std::fmt;

use serde::{Deserialize, Serialize};
use telemetry::{Ns, Tick};

use super::platform::Usage;

/// How many stalls are kept whole. Outliers above p99.9 look for their cause among these; with many more stalls than
/// that the run is marked anyway.
pub const STALLS_KEPT: usize = 256;

/// What held the probe up, by what the kernel counted. The order is that in which the evidence is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nobody was asked: there is no platform, or asking after every one of so many stalls would have been a stall.
    NotAsked,
    /// It was ready to run and waited for its core for at least half of the stall, or its core was taken away.
    Preempted,
    /// It touched memory that had to come from a disk.
    MajorFault,
    /// It left its core: it slept in the kernel and was woken late, or a signal stopped it.
    OffCore,
    /// The hypervisor ran somebody else on its core for at least half of the stall.
    Steal,
    /// It touched memory that was not mapped yet.
    MinorFault,
    /// The kernel counts nothing against the thread: it was on its core all the time. What remains is an interrupt, the
    /// firmware, steal below that counter's resolution, or the probe's own work: a long system call.
    OnCore,
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotAsked => "not asked",
            Self::Preempted => "preempted",
            Self::MajorFault => "major page fault",
            Self::OffCore => "off its core (slept or stopped)",
            Self::Steal => "stolen by the hypervisor",
            Self::MinorFault => "minor page fault",
            Self::OnCore => "on its core (interrupt, firmware or a long system call)",
        })
    }
}

impl Cause {
    /// What the counts of a stall of `length` say. Lengths of time are the stronger evidence: a wait for a core that
    /// covers half of the stall is its cause, whatever else was counted.
    pub fn of(length: Ns, usage: &Usage) -> Self {
        let covers_half = |ns: Option<u64>| ns.is_some_and(|ns| ns >= length.0 / 2);
        let happened = |count: Option<u64>| count.is_some_and(|count| count > 0);
        if *usage == Usage::default() {
            Self::NotAsked
        } else if covers_half(usage.run_delay_ns) {
            Self::Preempted
        } else if happened(usage.major_faults) {
            Self::MajorFault
        } else if happened(usage.voluntary_switches) {
            Self::OffCore
        } else if happened(usage.involuntary_switches) {
            Self::Preempted
        } else if covers_half(usage.steal_ns) {
            Self::Steal
        } else if happened(usage.minor_faults) {
            Self::MinorFault
        } else {
            Self::OnCore
        }
    }
}

/// One stall, and what is known of its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// When it began: the last turn before it, since the run's beginning.
    pub at_ns: u64,
    /// How long it was.
    pub length_ns: u64,
    /// What caused it, as far as the counts below say.
    pub cause: Cause,
    /// The time that the counts below are of, up to the stall's end: from the last asking before it. Where this is much
    /// longer than the stall, what was counted may be older than the stall. 0 where nobody was asked.
    pub counted_over_ns: u64,
    /// What the platform counted in that time. `steal_ns` is absent for stalls shorter than its resolution.
    #[serde(flatten)]
    pub usage: Usage,
}

impl Stall {
    /// The part of it that lies between two instants.
    pub(super) fn overlap(&self, from: u64, to: u64) -> u64 {
        let end = self.at_ns.saturating_add(self.length_ns);
        to.min(end).saturating_sub(from.max(self.at_ns))
    }
}

/// A stall in ticks, as it is noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted {
    pub(super) at: Tick,
    pub(super) ticks: u64,
    /// Nothing where nobody was asked.
    pub(super) counted: Option<Counted>,
}

/// What the platform counted up to the end of a stall, and over how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) over_ticks: u64,
    pub(super) usage: Usage,
}

/// All stalls of a run.
#[derive(Debug)]
pub(super) struct Stalls {
    pub(super) count: u64,
    pub(super) ticks: u64,
    pub(super) longest: u64,
    kept: Vec<Noted>,
}

impl Stalls {
    /// None yet. All memory is taken here.
    pub(super) fn none() -> Self {
        Self { count: 0, ticks: 0, longest: 0, kept: Vec::with_capacity(STALLS_KEPT) }
    }

    /// Counts one, and keeps it where there is room or a shorter one to give up.
    pub(super) fn add(&mut self, stall: Noted) {
        self.count += 1;
        self.ticks += stall.ticks;
        self.longest = self.longest.max(stall.ticks);
        if self.kept.len() < STALLS_KEPT {
            self.kept.push(stall);
        } else if let Some(shortest) = self.kept.iter_mut().min_by_key(|kept| kept.ticks)
            && shortest.ticks < stall.ticks
        {
            *shortest = stall;
        }
    }

    /// The kept ones in the order of time.
    pub(super) fn into_kept(mut self) -> Vec<Noted> {
        self.kept.sort_unstable_by_key(|stall| stall.at);
        self.kept
    }
}
