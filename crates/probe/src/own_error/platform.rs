//! What the probe asks of the platform when it was not there.

use std::fmt;

use serde::{Deserialize, Serialize};
use telemetry::Ns;

/// What a platform can tell a thread about itself. Everything is a total that only grows, so that two readings give
/// what happened between them. Asked after a stall only, never on the road.
pub trait Platform: fmt::Debug {
    /// What the calling thread has had and suffered since it began. Should cost a few microseconds at most: it is asked
    /// after every recorded stall.
    fn thread(&self) -> Usage;

    /// The time that the hypervisor has given to others while a core of this thread had work, or nothing where that is
    /// not counted. May be slow: it is asked at both ends of a run, and after stalls as long as
    /// [`Platform::steal_resolution`].
    fn steal(&self) -> Option<Ns>;

    /// The step in which [`Platform::steal`] grows: a shorter stall cannot show in it.
    fn steal_resolution(&self) -> Ns;
}

/// What the platform counted. A figure that it does not count is absent, not 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// How often the scheduler took the core away from the probe's thread.
    pub involuntary_switches: Option<u64>,
    /// How often the thread left its core: to wait in the kernel, or because a signal stopped it.
    pub voluntary_switches: Option<u64>,
    /// Page faults that were answered from memory.
    pub minor_faults: Option<u64>,
    /// Page faults that were answered from a disk.
    pub major_faults: Option<u64>,
    /// How long the thread was ready to run and waited for a core.
    pub run_delay_ns: Option<u64>,
    /// How long the hypervisor ran others while this thread's core had work. See the documentation for whose cores and
    /// in which steps.
    pub steal_ns: Option<u64>,
}

impl Usage {
    /// What was counted from `earlier` to here.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let between = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Self {
            involuntary_switches: between(self.involuntary_switches, earlier.involuntary_switches),
            voluntary_switches: between(self.voluntary_switches, earlier.voluntary_switches),
            minor_faults: between(self.minor_faults, earlier.minor_faults),
            major_faults: between(self.major_faults, earlier.major_faults),
            run_delay_ns: between(self.run_delay_ns, earlier.run_delay_ns),
            steal_ns: between(self.steal_ns, earlier.steal_ns),
        }
    }
}

/// A platform that counts nothing: for simulations.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPlatform;

impl Platform for NoPlatform {
    fn thread(&self) -> Usage {
        Usage::default()
    }

    fn steal(&self) -> Option<Ns> {
        None
    }

    fn steal_resolution(&self) -> Ns {
        Ns(u64::MAX)
    }
}
