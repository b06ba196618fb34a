//! Why a lane was not there. The lane notes when a turn came late; what held it up is asked of the kernel by housekeeping, on
//! another core, so that the lane pays nothing for the answer.
//!
//! The kernel tells totals. Between two askings they grow, and what grew while a lane stalled is held against the stall. So
//! the totals are asked now and then without a stall too: the shorter ago the last asking, the surer the cause. How long it
//! was stands beside each cause.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use host::interrupts;
use host::steal::Steal;
use host::usage::WatchedThread;
use probe::own_error::{Cause, Usage};
use telemetry::stalls::STALLS_KEPT;
use telemetry::{Ns, Page, Tick, WallClock};

use super::lanes::Running;
use crate::side_channel::{NotedStall, StallFigures};

/// How often the totals are asked where nothing stalls. Each asking reads five files of the kernel, which takes some hundred
/// microseconds.
const INTERVAL: Duration = Duration::from_millis(200);

/// One lane's stalls, as they are found.
#[derive(Debug)]
pub(super) struct StallWatch {
    kernel: Kernel,
    asked: Totals,
    asked_at: Instant,
    /// How many stalls have been looked at.
    seen: u64,
    figures: StallFigures,
    last: VecDeque<NotedStall>,
}

/// What the kernel knows of a lane.
#[derive(Debug)]
struct Kernel {
    thread: Option<WatchedThread>,
    core: usize,
    steal: Option<Steal>,
}

/// What it has counted since the machine's or the thread's beginning.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    usage: Usage,
    interrupts: Option<u64>,
}

impl Kernel {
    fn ask(&self) -> Totals {
        let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let steal_ns = self.steal.as_ref().and_then(Steal::total).map(ns);
        let interrupts = interrupts::of_core(self.core);
        let Some(usage) = self.thread.as_ref().and_then(|thread| thread.usage().ok()) else {
            return Totals { usage: Usage { steal_ns, ..Usage::default() }, interrupts };
        };
        let usage = Usage {
            involuntary_switches: Some(usage.involuntary_switches),
            voluntary_switches: Some(usage.voluntary_switches),
            minor_faults: Some(usage.minor_faults),
            major_faults: Some(usage.major_faults),
            run_delay_ns: usage.run_delay.map(ns),
            steal_ns,
        };
        Totals { usage, interrupts }
    }
}

impl Totals {
    fn since(&self, earlier: &Self) -> Self {
        let interrupts = self.interrupts.zip(earlier.interrupts).map(|(now, then)| now.saturating_sub(then));
        Self { usage: self.usage.since(&earlier.usage), interrupts }
    }
}

impl StallWatch {
    /// Watches a lane from now on. What it stalled while it started is counted and has no cause.
    pub(super) fn of(lane: &Running) -> Self {
        let core = lane.plan().core;
        let kernel = Kernel {
            thread: lane.watched().map(WatchedThread::open),
            core,
            steal: Steal::of(vec![core]).ok(),
        };
        Self {
            asked: kernel.ask(),
            kernel,
            asked_at: Instant::now(),
            seen: lane.page().stalls.count(),
            figures: StallFigures::default(),
            last: VecDeque::with_capacity(STALLS_KEPT),
        }
    }

    /// Looks at the stalls that are new on the lane's page, and asks the kernel for their causes.
    pub(super) fn look(&mut self, page: &Page, wall: WallClock) {
        let totals = page.stalls.totals();
        if totals.count == self.seen {
            if self.asked_at.elapsed() >= INTERVAL {
                (self.asked, self.asked_at) = (self.kernel.ask(), Instant::now());
            }
            return;
        }
        let (asked, asked_at) = (self.kernel.ask(), Instant::now());
        let counted = asked.since(&self.asked);
        let over = Ns(u64::try_from(asked_at.duration_since(self.asked_at).as_nanos()).unwrap_or(u64::MAX));
        (self.asked, self.asked_at) = (asked, asked_at);
        // What was overwritten before anybody looked is counted, and gone.
        for number in self.seen.max(totals.count.saturating_sub(STALLS_KEPT as u64))..totals.count {
            if let Some(stall) = page.stalls.stall(number) {
                let began = wall.at(stall.began);
                let length_ns = wall.at(Tick(stall.began.0.wrapping_add(stall.ticks))).0 - began.0;
                self.keep(explained(began.0, Ns(length_ns), &counted, over));
            }
        }
        self.seen = totals.count;
        let length = |ticks| wall.at(Tick(ticks)).0.wrapping_sub(wall.at(Tick(0)).0);
        self.figures = StallFigures {
            count: totals.count,
            ns: length(totals.ticks),
            longest_ns: length(totals.longest),
            last: Vec::new(),
        };
    }

    /// All that is known so far.
    pub(super) fn figures(&self) -> StallFigures {
        StallFigures { last: self.last.iter().copied().collect(), ..self.figures.clone() }
    }

    fn keep(&mut self, stall: NotedStall) {
        if self.last.len() == STALLS_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(stall);
    }
}

/// A stall with its cause.
fn explained(began_unix_ns: u64, length: Ns, counted: &Totals, over: Ns) -> NotedStall {
    NotedStall {
        began_unix_ns,
        length_ns: length.0,
        cause: Cause::of(length, &counted.usage),
        counted_over_ns: over.0,
        usage: counted.usage,
        interrupts: counted.interrupts,
    }
}
