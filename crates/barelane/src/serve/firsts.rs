//! What is told the first time that it happens, and then only counted: limits that were reached, and frames that were lost where
//! no lane could see them. Who wants to know how often reads the segment.

use std::collections::BTreeSet;

use host::links::LINK_COUNTERS;
use telemetry::Counters;

use super::card::Losses;
use super::nic_counts::NicWatch;
use crate::events::{Event, News};
use crate::side_channel::is_loss;

/// The counters of what a limit dropped.
const LIMITS: [&str; 4] = ["route_limited", "source_limited", "error_withheld", "arp_conflict_withheld"];

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct Firsts {
    told: BTreeSet<String>,
}

impl Firsts {
    /// What of a tier's limits was reached first.
    pub(super) fn limits(&mut self, tier: &str, counters: &Counters) -> Vec<News> {
        let reached =
            counters.iter().filter(|(counter, count)| *count > 0 && LIMITS.contains(&counter.row().name));
        let reached: Vec<_> = reached.map(|(counter, count)| (counter.row(), count)).collect();
        let mut news = Vec::new();
        for (row, dropped_count) in reached {
            if self.is_first(&["limit", tier, row.name]) {
                let line = format!("{} at the tier {tier}, for the first time: {}", row.name, row.sentence);
                let (tier, limit) = (tier.to_owned(), row.name.to_owned());
                news.push(News::new(Event::LimitHit { tier, limit, dropped_count }, line));
            }
        }
        news
    }

    /// What was lost first before and behind the lanes.
    pub(super) fn losses(&mut self, losses: &Losses) -> Vec<News> {
        let (by, rows) = losses.lost();
        let rows = rows.into_iter().filter(|(.., count)| *count > 0);
        let named = rows.map(|(queue, counter, count)| (queue.to_string(), counter.to_owned(), count));
        named.filter_map(|(queue, counter, count)| self.loss(by, queue, counter, count)).collect()
    }

    /// What the card lost first, of what it has counted since the server's start.
    pub(super) fn card(&mut self, nic: &NicWatch) -> Vec<News> {
        let (now, then) = (nic.now(), nic.at_start());
        let link = LINK_COUNTERS.iter().zip(now.link).zip(then.link);
        let link = link.map(|((counter, now), then)| ("link", counter.name, now.saturating_sub(then)));
        let driver = now.statistics.iter().zip(&then.statistics);
        let driver =
            driver.map(|((name, now), (_, then))| ("driver", name.as_str(), now.saturating_sub(*then)));
        let lost = link.chain(driver).filter(|(_, name, count)| *count > 0 && is_loss(name));
        let queue = |name| host::ethtool::queue_of(name).map_or_else(String::new, |queue| queue.to_string());
        lost.filter_map(|(by, name, count)| self.loss(by, queue(name), name.to_owned(), count)).collect()
    }

    fn loss(&mut self, by: &str, queue: String, counter: String, count: u64) -> Option<News> {
        if !self.is_first(&["loss", by, &queue, &counter]) {
            return None;
        }
        let which = if queue.is_empty() { String::new() } else { format!(" of queue {queue}") };
        let line = format!(
            "frames were lost outside of the lanes, for the first time: {counter}{which} is {count}, says the {by}"
        );
        Some(News::new(Event::Loss { counted_by: by.to_owned(), queue, counter, count }, line))
    }

    /// Whether it was not told of this before.
    fn is_first(&mut self, what: &[&str]) -> bool {
        self.told.insert(what.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use nic::xdp::Statistics;
    use telemetry::Counter;

    use super::*;

    #[test]
    fn a_limit_is_told_once_for_each_tier() {
        let (mut firsts, mut counters) = (Firsts::default(), Counters::default());
        assert!(firsts.limits("lane", &counters).is_empty());
        counters.add(Counter::RepliedUdp, 5);
        counters.add(Counter::RouteLimited, 3);
        let news = firsts.limits("lane", &counters);
        assert_eq!(news.len(), 1);
        assert_eq!(
            news[0].event,
            Event::LimitHit { tier: "lane".to_owned(), limit: "route_limited".to_owned(), dropped_count: 3 }
        );
        assert!(firsts.limits("lane", &counters).is_empty());
        assert_eq!(firsts.limits("driver", &counters).len(), 1);
    }

    #[test]
    fn a_loss_is_told_once_for_each_queue_and_counter() {
        let mut firsts = Firsts::default();
        let full = Statistics { rx_ring_full: 2, ..Statistics::default() };
        let queues = |second| Losses::Xdp(vec![(0, full), (3, second)]);
        let news = firsts.losses(&queues(Statistics::default()));
        assert_eq!(news.len(), 1, "{news:?}");
        let line = &news[0].line;
        assert!(line.ends_with("rx_ring_full of queue 0 is 2, says the socket"), "{line}");
        assert_eq!(firsts.losses(&queues(full)).len(), 1, "the other queue's");
        assert!(firsts.losses(&queues(full)).is_empty());
    }
}
