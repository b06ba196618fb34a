//! How long it took until answers had left, where the kernel says when they did.
//!
//! ```text
//!   arrival ── waits ── turn(now) ── answer ── flush ▶ kernel ▶ left ── … ── told to the lane
//!      ├──────────────── transmit_residence ──────────────────────┤
//!                          ├───── where no frame says when ───────┤
//!                                 it came
//! ```
//!
//! The instant from which an answer counts travels with its frame and comes back with it: nothing is looked for, and nothing is kept here
//! but the instant of the turn.
//!
//! What the kernel says is believed where the answer was under way: not before it came, and not later than now. Anything else is a clock that
//! was set in between, or a stamp that is none, and is counted instead.
//!
//! Where a queue's frames do not say when they left, nothing of this is compiled into its lane.

use nic::Departure;
use telemetry::ArrivalClock;

/// How much later than now a departure may be: as far as a line from ticks to the kernel's clock may lead away until the next one, in two
/// seconds at 500 parts in a million, which is the most that the kernel slews its clocks by (`MAXFREQ`). Less would disbelieve stamps that are
/// right; more, believe some of those of a clock that was set.
const LEADS_AWAY_NS_MAX: u64 = 1_000_000;

/// The lane's memory of when its turn began.
#[derive(Debug, Default)]
pub(crate) struct Departures {
    /// As an arrival stamp. Nothing until the clock of stamps is told.
    turn: Option<u64>,
}

impl Departures {
    /// A turn begins that has found frames.
    #[inline]
    pub(crate) fn begin(&mut self, turn: Option<u64>) {
        self.turn = turn;
    }

    /// When the turn began, as an arrival stamp.
    #[inline]
    pub(crate) fn turn(&self) -> Option<u64> {
        self.turn
    }
}

/// How long it took until an answer had left, in nanoseconds, that is told of at the instant `now`; nothing where that is not known.
#[inline]
pub(crate) fn took(Departure { since, left }: Departure, clock: ArrivalClock, now: u64) -> Option<u64> {
    let took = clock.stamp_of_tai(left?).wrapping_sub(since);
    // A departure before the beginning is one in the far future, modulo 2^64.
    (took <= now.saturating_sub(since).saturating_add(LEADS_AWAY_NS_MAX)).then_some(took)
}

#[cfg(test)]
mod tests {
    use telemetry::{Tick, TickRate};

    use super::*;

    const AHEAD: u64 = 1_700_000_000_000_000_000;

    fn took_until(since: u64, left: Option<u64>, now: u64) -> Option<u64> {
        let clock = ArrivalClock::new(Tick(0), 0, TickRate::NANOSECONDS).with_tai_ahead(AHEAD);
        took(Departure { since, left: left.map(|left| left.wrapping_add(AHEAD)) }, clock, now)
    }

    #[test]
    fn what_left_on_its_way_took_until_then() {
        assert_eq!(took_until(1_000, Some(1_000), 1_000), Some(0));
        assert_eq!(took_until(1_000, Some(4_000), 9_000), Some(3_000));
        assert_eq!(
            took_until(1_000, Some(9_000 + LEADS_AWAY_NS_MAX), 9_000),
            Some(8_000 + LEADS_AWAY_NS_MAX)
        );
    }

    #[test]
    fn what_left_before_it_came_or_later_than_now_or_never_is_not_known() {
        assert_eq!(took_until(1_000, Some(999), 9_000), None);
        assert_eq!(took_until(1_000, Some(9_001 + LEADS_AWAY_NS_MAX), 9_000), None);
        assert_eq!(took_until(1_000, None, 9_000), None);
        // The time of day was set back to 1970 in between, or half an hour ahead.
        assert_eq!(took_until(1_000, Some(0_u64.wrapping_sub(AHEAD)), 9_000), None);
        assert_eq!(took_until(1_000, Some(1_800_000_000_000), 9_000), None);
        // By the line it came later than now.
        assert_eq!(took_until(1_000, Some(1_100), 900), Some(100));
    }
}
