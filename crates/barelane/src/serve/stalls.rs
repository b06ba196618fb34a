//! Why a lane was not there. The lane notes when a turn came late; what held it up is asked of the kernel by housekeeping, on
//! another core, so that the lane pays nothing for the answer.
//!
//! The kernel tells totals. Between two askings they grow, and what grew while a lane stalled is held against the stall. So
//! the totals are asked now and then without a stall too, and some of the last answers are kept: a stall is noted when it is
//! over, and what was asked while it lasted is no beginning to count from. How long the counts are of stands beside each cause.
//!
//! ```text
//!   asked ─────── asked ──┬── asked ── asked ──┬─ found, asked
//!                 ▲       └────── stall ───────┘  ▲
//!                 └────── counted over ───────────┘
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use host::interrupts;
use host::steal::Steal;
use host::usage::WatchedThread;
use probe::own_error::{Cause, Usage};
use telemetry::stalls::STALLS_KEPT;
use telemetry::{Ns, Page, Stall, Tick, WallClock, WallTime};

use super::lanes::Running;
use crate::side_channel::{self, NotedStall, StallCauses, StallFigures};

/// How often the totals are asked where nothing stalls. Each asking reads five files of the kernel, which takes some hundred
/// microseconds.
const INTERVAL: Duration = Duration::from_millis(200);

/// A stall is told of where it is so long. The scheduler gives a core to somebody else for 3 or 4 ms at a time, which happens on
/// every machine that does more than one thing; 10 ms are noticed by whoever plays or speaks.
const TOLD_MIN_NS: u64 = 10_000_000;

/// How many answers are kept: what began within the last three seconds is counted from before it.
const ASKINGS_KEPT: usize = 16;

/// One lane's stalls, as they are found.
#[derive(Debug)]
pub(super) struct StallWatch {
    kernel: Kernel,
    /// The last answers, the newest at the end; never empty.
    asked: VecDeque<Asked>,
    asked_at: Instant,
    /// How many stalls have been looked at.
    seen: u64,
    figures: StallFigures,
    causes: StallCauses,
    last: VecDeque<NotedStall>,
    /// Those among them that are to be told of.
    untold: Vec<NotedStall>,
}

/// What the kernel knows of a lane.
#[derive(Debug)]
struct Kernel {
    thread: Option<WatchedThread>,
    core: usize,
    steal: Option<Steal>,
}

/// What it said, and when.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: WallTime,
    totals: Totals,
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
        let thread = lane.watched().map(WatchedThread::open);
        let mut watch = Self {
            kernel: Kernel { thread, core, steal: Steal::of(vec![core]).ok() },
            asked: VecDeque::with_capacity(ASKINGS_KEPT),
            asked_at: Instant::now(),
            seen: lane.page().stalls.count(),
            figures: StallFigures::default(),
            causes: StallCauses::default(),
            last: VecDeque::with_capacity(STALLS_KEPT),
            untold: Vec::new(),
        };
        watch.ask();
        watch
    }

    /// Looks at the stalls that are new on the lane's page, and asks the kernel for their causes.
    pub(super) fn look(&mut self, page: &Page, wall: WallClock) {
        let totals = page.stalls.totals();
        let is_new = totals.count != self.seen;
        if !is_new && self.asked_at.elapsed() < INTERVAL {
            return;
        }
        let now = self.ask();
        // What was overwritten before anybody looked is counted, and gone.
        for number in self.seen.max(totals.count.saturating_sub(STALLS_KEPT as u64))..totals.count {
            if let Some(Stall { began, ticks }) = page.stalls.stall(number) {
                let [began, ended] = [began.0, began.0.wrapping_add(ticks)].map(|tick| wall.at(Tick(tick)));
                self.keep(explained(began, ended, self.before(began), now));
            }
        }
        self.seen = totals.count;
        let length = |ticks| wall.at(Tick(ticks)).0.wrapping_sub(wall.at(Tick(0)).0);
        self.figures.count = totals.count;
        (self.figures.ns, self.figures.longest_ns) = (length(totals.ticks), length(totals.longest));
    }

    /// Asks now, and keeps the answer.
    fn ask(&mut self) -> Asked {
        let asked = Asked { at: WallTime(side_channel::unix_ns()), totals: self.kernel.ask() };
        self.asked_at = Instant::now();
        if self.asked.len() == ASKINGS_KEPT {
            self.asked.pop_front();
        }
        self.asked.push_back(asked);
        asked
    }

    /// The last answer from before an instant, or the oldest where none is kept.
    fn before(&self, began: WallTime) -> Asked {
        let earlier = self.asked.iter().rev().find(|asked| asked.at <= began);
        earlier.or(self.asked.front()).copied().unwrap_or(Asked { at: began, totals: Totals::default() })
    }

    /// All that is known so far.
    pub(super) fn figures(&self) -> StallFigures {
        StallFigures { last: self.last.iter().copied().collect(), ..self.figures.clone() }
    }

    /// How many of the stalls whose causes were asked for had which.
    pub(super) fn causes(&self) -> StallCauses {
        self.causes
    }

    fn keep(&mut self, stall: NotedStall) {
        self.causes.add(&stall);
        if self.last.len() == STALLS_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(stall);
        if stall.length_ns >= TOLD_MIN_NS {
            self.untold.push(stall);
        }
    }

    /// The long stalls that were found since this was last asked.
    pub(super) fn take_untold(&mut self) -> Vec<NotedStall> {
        std::mem::take(&mut self.untold)
    }
}

/// A stall with its cause, by what the kernel said before it and when it was found.
fn explained(began: WallTime, ended: WallTime, before: Asked, found: Asked) -> NotedStall {
    let length = Ns(ended.0.saturating_sub(began.0));
    let Totals { usage, interrupts } = found.totals.since(&before.totals);
    NotedStall {
        began_unix_ns: began.0,
        length_ns: length.0,
        cause: Cause::of(length, &usage),
        counted_over_ns: found.at.0.saturating_sub(before.at.0),
        usage,
        interrupts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(at: u64, voluntary_switches: u64, run_delay_ns: u64) -> Asked {
        let usage = Usage {
            voluntary_switches: Some(voluntary_switches),
            run_delay_ns: Some(run_delay_ns),
            ..Usage::default()
        };
        Asked { at: WallTime(at), totals: Totals { usage, interrupts: Some(at) } }
    }

    fn watch(asked: &[Asked]) -> StallWatch {
        StallWatch {
            kernel: Kernel { thread: None, core: 0, steal: None },
            asked: asked.iter().copied().collect(),
            asked_at: Instant::now(),
            seen: 0,
            figures: StallFigures::default(),
            causes: StallCauses::default(),
            last: VecDeque::new(),
            untold: Vec::new(),
        }
    }

    #[test]
    fn a_stall_is_counted_from_the_last_answer_before_it_and_not_from_one_within_it() {
        let watch = watch(&[asked(100, 0, 0), asked(200, 0, 5), asked(300, 1, 5), asked(400, 1, 5)]);
        let found = asked(500, 1, 6);
        let stall = explained(WallTime(250), WallTime(450), watch.before(WallTime(250)), found);
        assert_eq!((stall.length_ns, stall.counted_over_ns, stall.interrupts), (200, 300, Some(300)));
        assert_eq!((stall.cause, stall.usage.run_delay_ns), (Cause::OffCore, Some(1)));
        assert_eq!(watch.before(WallTime(50)).at, WallTime(100), "older than all answers");
    }

    #[test]
    fn a_wait_for_a_core_that_covers_half_of_a_stall_is_its_cause() {
        let stall = explained(WallTime(250), WallTime(450), asked(200, 0, 0), asked(460, 1, 100));
        assert_eq!(stall.cause, Cause::Preempted);
    }

    #[test]
    fn a_kernel_that_tells_nothing_gives_no_cause() {
        let silent = Asked { at: WallTime(0), totals: Totals::default() };
        assert_eq!(explained(WallTime(1), WallTime(9), silent, silent).cause, Cause::NotAsked);
    }

    #[test]
    fn a_stall_is_told_of_once_where_it_is_long() {
        let (page, wall) = (Page::default(), WallClock::unset(telemetry::TickRate::NANOSECONDS));
        let mut watch = watch(&[asked(0, 0, 0)]);
        for ticks in [TOLD_MIN_NS - 1, TOLD_MIN_NS] {
            page.stalls.note(Stall { began: Tick(7), ticks });
        }
        watch.look(&page, wall);
        let lengths: Vec<u64> = watch.take_untold().iter().map(|stall| stall.length_ns).collect();
        assert_eq!((lengths, watch.take_untold()), (vec![TOLD_MIN_NS], Vec::new()));
    }

    #[test]
    fn new_stalls_on_a_page_are_found_once_and_the_last_are_kept() {
        let (page, wall) = (Page::default(), WallClock::unset(telemetry::TickRate::NANOSECONDS));
        let mut watch = watch(&[asked(0, 0, 0)]);
        (0..10).for_each(|number| page.stalls.note(Stall { began: Tick(number * 100), ticks: 50 }));
        watch.look(&page, wall);
        watch.look(&page, wall);
        assert_eq!((watch.figures().count, watch.figures().ns, watch.figures().last.len()), (10, 500, 10));
        (10..200).for_each(|number| page.stalls.note(Stall { began: Tick(number * 100), ticks: 60 }));
        watch.look(&page, wall);
        let StallFigures { count, longest_ns, last, .. } = watch.figures();
        assert_eq!((count, longest_ns), (200, 60));
        assert!(last.len() <= STALLS_KEPT && last.last().unwrap().began_unix_ns == 19_900);
    }
}
