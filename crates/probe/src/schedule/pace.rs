//! One run of a schedule: which instant the next question is due at.

use std::collections::VecDeque;

use telemetry::{Tick, TickRate};

use super::Schedule;
use super::open::Open;
use crate::ask::{Ask, End};

/// One run of a schedule. It takes all its memory when it is made.
#[derive(Clone, Debug)]
pub struct Pace(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Closed(Closed),
    Open(Open),
}

/// The questions that may be asked without waiting for an answer: since when each of them may, oldest first.
#[derive(Clone, Debug)]
struct Closed {
    gap: u64,
    free_since: VecDeque<Tick>,
}

impl Pace {
    /// The pace of a run of `ask` that begins at `began`.
    pub fn new(ask: &Ask, rate: TickRate, began: Tick) -> Self {
        Self(match ask.schedule {
            Schedule::Closed { window, gap } => Kind::Closed(Closed {
                gap: rate.ticks(gap),
                free_since: std::iter::repeat_n(began, window as usize).collect(),
            }),
            Schedule::Open { arrivals, rate: ramp } => {
                Kind::Open(Open::new(arrivals, ramp, seconds(ask.end, ramp.mean()), ask.seed, rate, began))
            }
        })
    }

    /// One question at a time without a pause, whatever the schedule is: the warm-up.
    pub fn one_at_a_time(began: Tick) -> Self {
        Self(Kind::Closed(Closed { gap: 0, free_since: VecDeque::from([began]) }))
    }

    /// When the next question is due, or nothing where an answer has to come first.
    pub fn due(&self) -> Option<Tick> {
        match &self.0 {
            Kind::Closed(closed) => closed.free_since.front().copied(),
            Kind::Open(open) => Some(open.due()),
        }
    }

    /// The question that was due is asked.
    pub fn asked(&mut self) {
        match &mut self.0 {
            Kind::Closed(closed) => {
                closed.free_since.pop_front();
            }
            Kind::Open(open) => open.go_on(),
        }
    }

    /// A question has been answered or given up.
    pub fn settled(&mut self, at: Tick) {
        if let Kind::Closed(closed) = &mut self.0 {
            closed.free_since.push_back(Tick(at.0.saturating_add(closed.gap)));
        }
    }

    /// Whether questions are due at instants of their own, whatever becomes of the earlier ones.
    pub const fn is_open(&self) -> bool {
        matches!(self.0, Kind::Open(_))
    }
}

/// How long a run takes that asks `mean` questions per second.
#[expect(clippy::cast_precision_loss, reason = "a ramp over 2^53 questions takes longer than anyone waits")]
fn seconds(end: End, mean: f64) -> f64 {
    match end {
        End::Seconds(seconds) => seconds,
        End::Count(count) => count as f64 / mean,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use telemetry::Ns;

    use super::*;
    use crate::ask::Protocol;

    fn pace(schedule: Schedule) -> Pace {
        let ask = Ask { schedule, ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Protocol::Icmp) };
        Pace::new(&ask, TickRate::new(2_000_000_000), Tick(10))
    }

    #[test]
    fn a_closed_loop_waits_for_its_answer_and_then_for_its_gap() {
        let mut pace = pace(Schedule::Closed { window: 1, gap: Ns(100) });
        assert_eq!(pace.due(), Some(Tick(10)));
        pace.asked();
        assert_eq!(pace.due(), None);
        pace.settled(Tick(5_000));
        assert_eq!(pace.due(), Some(Tick(5_200)));
    }

    #[test]
    fn a_closed_loop_fills_its_window_and_keeps_it_full() {
        let mut pace = pace(Schedule::Closed { window: 3, gap: Ns(0) });
        for _ in 0..3 {
            assert_eq!(pace.due(), Some(Tick(10)));
            pace.asked();
        }
        assert_eq!(pace.due(), None);
        pace.settled(Tick(20));
        pace.settled(Tick(30));
        for at in [20, 30] {
            assert_eq!(pace.due(), Some(Tick(at)));
            pace.asked();
        }
        assert_eq!(pace.due(), None);
    }
}
