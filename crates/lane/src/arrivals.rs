//! How long frames waited before the lane came to them, and which waited for too long.
//!
//! ```text
//!   arrival ─────── waits in the ring ─────── found ── … flush ── turn(now₁)
//!      ├────────────── queueing ────────────────┤                    │
//!      └──────────── arrival_residence, of what was answered ────────┘
//! ```
//!
//! Found is when the ring was looked into, by a clock that is read behind it, and not the instant that the turn was given: a lane
//! whose core is taken away between the two would find a full ring and, by the older instant, think all of it fresh. It is read
//! once for each turn that finds a frame.
//!
//! A queue longer than what can be answered in time is not worth answering from its head: each answer would be late, and each
//! next one later. So a frame that has waited for longer than the age limit is dropped before a byte of it is looked at, which
//! takes some ten nanoseconds where an answer takes microseconds of the kernel's. What is behind it is younger.
//!
//! Where a queue's frames do not say when they came, nothing of this is compiled into its lane.

use nic::{Arrival, BURST_MAX};
use telemetry::{ArrivalClock, Ns, Page, Tick};

/// The lane's memory of when the frames of this turn came.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// None until it is told: without it, no frame has an age.
    clock: Option<ArrivalClock>,
    age_limit: Option<Ns>,
    /// When the frames of this turn were found, as a stamp.
    found: u64,
    /// When the frame in hand came.
    in_hand: Option<Arrival>,
    /// When those came that were answered in this turn.
    answered: [u64; BURST_MAX],
    answered_count: usize,
}

/// What the lane finds of a frame that it has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// It came in time.
    InTime,
    /// It has waited for longer than the age limit.
    TooOld,
    /// It does not say when it came, or the lane has no clock to tell its age by.
    Unknown,
}

impl Arrivals {
    pub(crate) fn new() -> Self {
        Self {
            clock: None,
            age_limit: None,
            found: 0,
            in_hand: None,
            answered: [0; BURST_MAX],
            answered_count: 0,
        }
    }

    pub(crate) fn set_clock(&mut self, clock: ArrivalClock) {
        self.clock = Some(clock);
    }

    pub(crate) fn set_age_limit(&mut self, limit: Option<Ns>) {
        self.age_limit = limit;
    }

    /// A turn begins: what the last one answered is gone by now.
    #[inline]
    pub(crate) fn begin(&mut self, now: Tick, page: &Page) {
        let Some(clock) = self.clock else { return };
        for stamp in self.answered.iter().take(self.answered_count) {
            page.arrival_residence.record(clock.stamp_at(now).saturating_sub(*stamp));
        }
        self.answered_count = 0;
    }

    /// There are frames in the ring, and it is this late now.
    #[inline]
    pub(crate) fn find(&mut self, now: Tick) {
        self.found = self.clock.map_or(0, |clock| clock.stamp_at(now));
    }

    /// A frame comes to hand. One that came after the look into the ring has waited for nothing.
    #[inline]
    pub(crate) fn take(&mut self, arrival: Option<Arrival>, page: &Page) -> Age {
        self.in_hand = arrival.filter(|_| self.clock.is_some());
        let Some(Arrival(stamp)) = self.in_hand else { return Age::Unknown };
        let waited = self.found.saturating_sub(stamp);
        page.queueing.record(waited);
        match self.age_limit {
            Some(Ns(limit)) if waited > limit => Age::TooOld,
            _ => Age::InTime,
        }
    }

    /// When the frame in hand came, as a stamp: where it bears none, when it was found. Nothing without a clock.
    #[inline]
    pub(crate) fn came(&self) -> Option<u64> {
        let found = self.clock.map(|_| self.found);
        self.in_hand.map(|Arrival(stamp)| stamp).or(found)
    }

    /// When the frame in hand came, as its stamp says; nothing where it bears none.
    #[inline]
    pub(crate) fn stamp_in_hand(&self) -> Option<u64> {
        self.in_hand.map(|Arrival(stamp)| stamp)
    }

    /// The clock of stamps, once it is told.
    #[inline]
    pub(crate) fn clock(&self) -> Option<ArrivalClock> {
        self.clock
    }

    /// No frame is in hand, whatever came last: what is answered next did not come by the ring.
    pub(crate) fn let_go(&mut self) {
        self.in_hand = None;
    }

    /// The frame in hand is answered, or handed on.
    #[inline]
    pub(crate) fn answer(&mut self) {
        if let (Some(Arrival(stamp)), Some(place)) =
            (self.in_hand, self.answered.get_mut(self.answered_count))
        {
            *place = stamp;
            self.answered_count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use telemetry::TickRate;

    use super::*;

    fn arrivals(limit: Option<Ns>) -> Arrivals {
        let mut arrivals = Arrivals::new();
        arrivals.set_clock(ArrivalClock::new(Tick(0), 1_000, TickRate::NANOSECONDS));
        arrivals.set_age_limit(limit);
        arrivals
    }

    #[test]
    fn a_frame_is_too_old_beyond_the_limit_and_not_at_it() {
        let page = Page::default();
        let mut limited = arrivals(Some(Ns(50)));
        limited.find(Tick(100));
        let ages = [1_050, 1_049, 1_100, 1_200].map(|stamp| limited.take(Some(Arrival(stamp)), &page));
        assert_eq!(ages, [Age::InTime, Age::TooOld, Age::InTime, Age::InTime]);
        let waited: Vec<_> = page.queueing.read().iter().collect();
        assert_eq!(waited, [(0, 2), (50, 1), (51, 1)]);
        let mut unlimited = arrivals(None);
        unlimited.find(Tick(100));
        assert_eq!(unlimited.take(Some(Arrival(0)), &page), Age::InTime);
    }

    #[test]
    fn without_a_stamp_or_a_clock_no_age_is_made_up() {
        let page = Page::default();
        let mut told = arrivals(Some(Ns(50)));
        told.find(Tick(100));
        assert_eq!(told.take(None, &page), Age::Unknown);
        assert_eq!(told.came(), Some(1_100), "when it was found");
        told.answer();
        let mut untold = Arrivals::new();
        untold.find(Tick(100));
        assert_eq!(untold.take(Some(Arrival(1)), &page), Age::Unknown);
        assert_eq!(untold.came(), None);
        untold.answer();
        for arrivals in [&mut told, &mut untold] {
            arrivals.begin(Tick(200), &page);
        }
        assert_eq!((page.queueing.read().count(), page.arrival_residence.read().count()), (0, 0));
    }

    #[test]
    fn what_was_answered_resided_until_the_next_turn_and_what_was_dropped_did_not() {
        let page = Page::default();
        let mut arrivals = arrivals(Some(Ns(50)));
        arrivals.find(Tick(100));
        for stamp in [1_060, 1_000, 1_080] {
            if arrivals.take(Some(Arrival(stamp)), &page) == Age::InTime {
                arrivals.answer();
            }
        }
        (0..2).for_each(|_| arrivals.begin(Tick(110), &page));
        let resided: Vec<_> = page.arrival_residence.read().iter().collect();
        assert_eq!(resided, [(30, 1), (50, 1)]);
    }
}
