//! What the card counts itself, read once a second: the frames that were lost before anything of Barelane saw them.
//!
//! An interface that comes back counts its own life, and may be another one. So its counts begin anew with it: those at the start are
//! then those at its return. While there is none, the last ones stay.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use host::HostError;
use host::ethtool::{Statistics, queue_of};
use host::links;

use super::server::Server;
use crate::events::News;
use crate::side_channel::{NicCounts, unix_ns};

/// How often the card is asked. Drivers ask their hardware for it, which can take milliseconds, and the kernel keeps changes of
/// all interfaces waiting meanwhile: more often would be felt by others. A scrape of metrics is rarer.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many of a driver's numbers are told, at most: those of the queues that lanes serve, and those of no queue, come first. Each
/// is a sample in metrics. A card with two hundred queues has some thousands, of which a reader wants few.
const STATISTICS_TOLD_MAX: usize = 512;

/// The watch over one card's counts.
#[derive(Debug)]
pub(super) struct NicWatch {
    index: u32,
    /// The number of the interface's return that it is of.
    return_count: u64,
    statistics: Option<Statistics>,
    at_start: NicCounts,
    now: NicCounts,
    due: Instant,
    /// What could not be read, until it has been said; and then that it has been.
    failure: Option<News>,
    has_failed: bool,
}

impl NicWatch {
    /// Watches the card of a server from now on; nothing over memif, where there is none.
    pub(super) fn of(server: &Server) -> Option<Self> {
        let facts = &server.plan().facts;
        if facts.is_memif() {
            return None;
        }
        let (index, return_count, due) = (facts.link.index, server.return_count, Instant::now());
        let (at_start, now) = (NicCounts::default(), NicCounts::default());
        let (statistics, failure, has_failed) = (None, None, false);
        let mut watch = Self { index, return_count, statistics, at_start, now, due, failure, has_failed };
        watch.open(&facts.link.name);
        let queues: BTreeSet<u32> = server.plan().lanes.iter().map(|lane| lane.queue).collect();
        watch.choose(&queues);
        watch.read();
        watch.at_start = watch.now.clone();
        Some(watch)
    }

    /// Asks the card where that is due, and there is one. Gives what to tell.
    pub(super) fn look(&mut self, server: &Server) -> Option<News> {
        if server.is_without_interface() {
            return None;
        }
        if self.return_count != server.return_count {
            self.begin_anew(server);
        } else if Instant::now() >= self.due {
            self.read();
        }
        self.failure.take()
    }

    /// What it has counted, at the last look.
    pub(super) const fn now(&self) -> &NicCounts {
        &self.now
    }

    /// What it had counted when the server started, or when its interface came back.
    pub(super) const fn at_start(&self) -> &NicCounts {
        &self.at_start
    }

    /// Goes on with the interface that has come back. Which of its driver's numbers are told stays: the fields of a segment do.
    fn begin_anew(&mut self, server: &Server) {
        let link = &server.plan().facts.link;
        (self.index, self.return_count, self.has_failed) = (link.index, server.return_count, false);
        self.open(&link.name);
        self.read();
        self.at_start = self.now.clone();
    }

    fn open(&mut self, name: &str) {
        let opened = Statistics::open(name);
        self.statistics = self.or_failure(opened).flatten();
    }

    /// Chooses which of the driver's numbers are told.
    fn choose(&mut self, queues: &BTreeSet<u32>) {
        let Some(statistics) = &self.statistics else { return };
        let (told, left_out) = chosen(statistics.iter(), queues);
        (self.now.statistics, self.now.left_out) = (told, left_out);
    }

    /// What cannot be read stays as it was: a number that is old does no harm to what is answered.
    fn read(&mut self) {
        self.due = Instant::now() + INTERVAL;
        let told = links::counts(self.index);
        let Some(link) = self.or_failure(told) else { return };
        (self.now.link, self.now.read_unix_ns) = (link.counts, unix_ns());
        let Some(statistics) = &mut self.statistics else { return };
        let told = statistics.read(&link.name);
        let numbers = statistics.by_name();
        for (name, number) in &mut self.now.statistics {
            *number = numbers.get(name.as_str()).copied().unwrap_or(*number);
        }
        self.or_failure(told);
    }

    /// What was read, or a failure to be said: once, for what goes on failing would fill a log.
    fn or_failure<T>(&mut self, told: Result<T, HostError>) -> Option<T> {
        let error = match told {
            Ok(told) => return Some(told),
            Err(error) => error,
        };
        if !std::mem::replace(&mut self.has_failed, true) {
            let line = format!("the card's own counters are not up to date: {error}");
            self.failure = Some(News::warning(line));
        }
        None
    }
}

/// Those of a driver's numbers that are told, in its order and each name once; and how many are not.
fn chosen<'a>(
    all: impl Iterator<Item = (&'a str, u64)> + Clone,
    queues: &BTreeSet<u32>,
) -> (Vec<(String, u64)>, u64) {
    let is_wanted = |name: &str| queue_of(name).is_none_or(|queue| queues.contains(&queue));
    let [wanted, others] = [true, false].map(|wanted| {
        let names = all.clone().map(|(name, _)| name);
        names.filter(|name| is_wanted(name) == wanted).collect::<Vec<_>>()
    });
    let mut names = BTreeSet::new();
    for name in wanted.into_iter().chain(others).filter(|name| !name.is_empty()) {
        if names.len() < STATISTICS_TOLD_MAX {
            names.insert(name);
        }
    }
    let count = all.clone().count();
    // Taken out of the set, so that a name that the driver gives twice stands once.
    let told: Vec<_> =
        all.filter(|(name, _)| names.remove(name)).map(|(name, number)| (name.to_owned(), number)).collect();
    let left_out = count.saturating_sub(told.len()) as u64;
    (told, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(names: &[String], queues: &[u32]) -> (Vec<String>, u64) {
        let all = names.iter().map(|name| (name.as_str(), 7));
        let (told, left_out) = chosen(all, &queues.iter().copied().collect());
        (told.into_iter().map(|(name, _)| name).collect(), left_out)
    }

    #[test]
    fn the_queues_of_lanes_come_first_where_a_driver_has_more_than_is_told() {
        let names: Vec<String> = (0..200)
            .flat_map(|queue| (0..4).map(move |number| format!("rx_queue_{queue}_count_{number}")))
            .chain(["missed".to_owned()])
            .collect();
        let (told, left_out) = told(&names, &[198, 199]);
        assert_eq!((told.len(), left_out), (STATISTICS_TOLD_MAX, 801 - STATISTICS_TOLD_MAX as u64));
        for name in ["rx_queue_0_count_0", "rx_queue_198_count_0", "rx_queue_199_count_3", "missed"] {
            assert!(told.contains(&name.to_owned()), "{name}");
        }
        assert!(told.iter().zip(told.iter().skip(1)).all(|(one, next)| {
            names.iter().position(|name| name == one) < names.iter().position(|name| name == next)
        }));
    }

    #[test]
    fn a_name_that_a_driver_gives_twice_or_not_at_all_is_told_once_or_not() {
        let names = ["drops", "", "drops", "packets"].map(ToOwned::to_owned);
        assert_eq!(told(&names, &[0]), (vec!["drops".to_owned(), "packets".to_owned()], 2));
    }
}
