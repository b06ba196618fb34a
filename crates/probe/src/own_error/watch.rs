//! Watches the loop from inside: told of every turn, it notices the turns that did not come.

use telemetry::{Histogram, Ns, Tick, TickRate};

use super::null_path::Bias;
use super::pacing::Pacing;
use super::platform::{Platform, Usage};
use super::stalls::{Cause, Counted, Noted, Stall, Stalls};
use super::{OwnError, Scale, is_marked};
use crate::clock::Clock;
use crate::transport::Facts;

/// After an asking that took so long, the next one waits so many times longer: asking takes at most this part of the
/// time, however many stalls there are.
const ASKING_SHARE: u64 = 64;

/// From where on a gap is a stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A gap between two turns is a stall where it is longer than this.
    pub stall: Ns,
}

impl Limits {
    /// For a loop that spins over a card. A turn takes some hundred nanoseconds, with a kick of the rings in it some
    /// microseconds; ten are half of the shortest round trips that cross a wire.
    pub const CARD: Self = Self { stall: Ns(10_000) };

    /// For a loop that spins over a socket. Sending is a system call that does the whole way to a receiver on this host:
    /// 3 to 20 µs over the loopback or a veth, the waking of that receiver included.
    pub const SOCKET: Self = Self { stall: Ns(50_000) };

    /// For a loop that sleeps in the kernel. A wake-up by a timer is 50 µs late as a rule (the timer slack of
    /// prctl(2)) and a jiffy is 4 ms at most; what is later than a millisecond stands in the figures.
    pub const SLEEPING: Self = Self { stall: Ns(1_000_000) };

    /// For a loop over this backend.
    pub fn of(facts: &Facts) -> Self {
        match (facts.wait, facts.backend) {
            ("spin", "socket") => Self::SOCKET,
            ("spin", _) => Self::CARD,
            _ => Self::SLEEPING,
        }
    }
}

/// Watches one run.
#[derive(Debug)]
pub struct Watch<'a, C> {
    last: Tick,
    /// A gap that is longer leads out of the quick path: a stall, or anything at all where a cause is still to be asked.
    limit: u64,
    stall_limit: u64,
    limits: Limits,
    /// A stall within the last turn, as its beginning and its length, whose cause is asked at the next one.
    pending: Option<(Tick, u64)>,
    clock: &'a C,
    rate: TickRate,
    platform: &'a dyn Platform,
    began: Tick,
    /// The platform's totals at the beginning.
    total: Usage,
    /// The totals at the last asking, and when it ended.
    asked: Usage,
    asked_at: Tick,
    /// How long the last asking took, and all of them.
    asking: u64,
    reading: u64,
    clock_backwards: u64,
    stalls: Stalls,
    pacing: Box<Histogram>,
}

impl<'a, C: Clock> Watch<'a, C> {
    /// A watch for a loop with this clock. It begins now; a loop that has first other things to do calls
    /// [`Watch::begin`] when it has done them. All its memory is taken here.
    pub fn new(clock: &'a C, limits: Limits, platform: &'a dyn Platform) -> Self {
        let rate = clock.rate();
        let stall_limit = rate.ticks(limits.stall);
        let mut watch = Self {
            last: Tick(0),
            limit: stall_limit,
            stall_limit,
            limits,
            pending: None,
            clock,
            rate,
            platform,
            began: Tick(0),
            total: Usage::default(),
            asked: Usage::default(),
            asked_at: Tick(0),
            asking: 0,
            reading: 0,
            clock_backwards: 0,
            stalls: Stalls::none(),
            pacing: Box::default(),
        };
        watch.begin();
        watch
    }

    /// Forgets what was counted and begins to count. Asks the platform, which takes some ten microseconds: call it before
    /// the run's first instant is read.
    pub fn begin(&mut self) {
        (self.limit, self.pending) = (self.stall_limit, None);
        self.reading = 0;
        self.clock_backwards = 0;
        self.stalls = Stalls::none();
        *self.pacing = Histogram::default();
        let before = self.clock.now();
        self.asked = self.everything();
        self.total = self.asked;
        let after = self.clock.now();
        self.asking = after - before;
        (self.asked_at, self.last, self.began) = (after, after, after);
    }

    /// A turn of the loop. To be called at every one, with the instant that the loop has read. Costs one subtraction and
    /// one comparison where the last turn was not long ago.
    #[inline]
    pub fn turn(&mut self, now: Tick) {
        // A clock that went backwards makes the gap huge, and is told apart where that costs nothing.
        let gap = now.0.wrapping_sub(self.last.0);
        if gap > self.limit {
            self.note(now);
        } else {
            self.last = now;
        }
    }

    /// An instant within a turn at which the loop was at its work: it has sent one of several questions, or taken one of
    /// several arrivals. So a long burst is no stall. The cause of a stall before it is asked at the next turn, because
    /// asking now would hold up what was just sent.
    #[inline]
    pub fn working(&mut self, at: Tick) {
        if at - self.last > self.stall_limit {
            self.postpone(at);
        }
        self.last = self.last.max(at);
    }

    /// The instant after `count` questions were handed over together. Each of them may take as long as a turn may: one
    /// system call sends them all, and over a veth it takes them the whole way to their receiver.
    #[inline]
    pub fn handed_over(&mut self, count: u64, at: Tick) {
        if at - self.last <= self.stall_limit.saturating_mul(count) {
            self.last = self.last.max(at);
        } else {
            self.working(at);
        }
    }

    /// A turn in which the loop slept in the kernel until an arrival, or until `until` at the latest: only what it slept longer than
    /// that counts as a gap. How late it was woken for an arrival cannot be seen from here.
    #[inline]
    pub fn slept(&mut self, until: Tick, now: Tick) {
        self.last = self.last.max(until.min(now));
        self.turn(now);
    }

    /// A question that the schedule wanted at `intended` has left at `sent`.
    #[inline]
    pub fn paced(&mut self, intended: Tick, sent: Tick) {
        self.pacing.record(sent - intended);
    }

    /// What was seen since [`Watch::begin`].
    pub fn finish(mut self) -> OwnError {
        if self.pending.is_some() {
            self.note(self.last);
        }
        let usage = self.everything().since(&self.total);
        let (rate, began) = (self.rate, self.began);
        let longest = rate.ns(self.stalls.longest);
        let stalled_ratio = ratio(self.stalls.ticks + self.reading, self.last - began);
        OwnError {
            was_stalled: is_marked(longest, stalled_ratio),
            stall_limit_ns: self.limits.stall.0,
            stall_count: self.stalls.count,
            stalled_ns: rate.ns(self.stalls.ticks).0,
            stall_max_ns: longest.0,
            stalled_ratio,
            reading_ns: rate.ns(self.reading).0,
            clock_backwards: self.clock_backwards,
            bias: Bias::default(),
            pacing: Pacing::of(&self.pacing, rate),
            usage,
            stalls: self.stalls.into_kept().iter().map(|noted| told(noted, began, rate)).collect(),
            scale: Scale { began, rate },
        }
    }

    /// A turn after a gap, or one that has to ask for the cause of a stall before it.
    #[cold]
    #[inline(never)]
    fn note(&mut self, now: Tick) {
        let at = std::mem::replace(&mut self.last, now);
        let pending = self.pending.take();
        self.limit = self.stall_limit;
        self.clock_backwards += u64::from(now < at);
        let found = (now - at > self.stall_limit).then_some((at, now - at));
        if let (Some(_), Some((at, ticks))) = (found, pending) {
            self.stalls.add(Noted { at, ticks, counted: None });
        }
        if let Some((at, ticks)) = found.or(pending) {
            let counted = self.may_ask(now).then(|| self.ask(now, ticks));
            self.stalls.add(Noted { at, ticks, counted });
        }
    }

    /// Keeps a stall until the next turn.
    #[cold]
    #[inline(never)]
    fn postpone(&mut self, at: Tick) {
        let found = (self.last, at - self.last);
        if let Some((at, ticks)) = self.pending.replace(found) {
            self.stalls.add(Noted { at, ticks, counted: None });
        }
        self.limit = 0;
    }

    fn may_ask(&self, now: Tick) -> bool {
        now - self.asked_at >= self.asking.saturating_mul(ASKING_SHARE)
    }

    /// Asks the platform what it counted up to now. The time that this takes is no gap.
    fn ask(&mut self, now: Tick, stalled: u64) -> Counted {
        let is_steal_seen = self.rate.ns(stalled) >= self.platform.steal_resolution();
        let totals = if is_steal_seen { self.everything() } else { self.platform.thread() };
        let usage = totals.since(&self.asked);
        let over_ticks = now - self.asked_at;
        self.asked = Usage { steal_ns: totals.steal_ns.or(self.asked.steal_ns), ..totals };
        let after = self.clock.now();
        self.asking = after - now;
        self.reading += self.asking;
        (self.asked_at, self.last) = (after, after);
        Counted { over_ticks, usage }
    }

    fn everything(&self) -> Usage {
        Usage { steal_ns: self.platform.steal().map(|ns| ns.0), ..self.platform.thread() }
    }
}

/// A noted stall as it is told.
fn told(noted: &Noted, began: Tick, rate: TickRate) -> Stall {
    let length = rate.ns(noted.ticks);
    let usage = noted.counted.map(|counted| counted.usage).unwrap_or_default();
    Stall {
        at_ns: rate.ns(noted.at - began).0,
        length_ns: length.0,
        cause: Cause::of(length, &usage),
        counted_over_ns: noted.counted.map_or(0, |counted| rate.ns(counted.over_ticks).0),
        usage,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio is shown with some six digits, a double holds fifteen"
)]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
