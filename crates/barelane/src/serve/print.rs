//! What a server says: facts at its start, the ready line, and the counters at its end.

use std::fmt;

use nic::xdp::{Attachment, BusyPoll, Mode};
use telemetry::{Counters, Histogram};

use super::card::Losses;
use super::server::Server;
use crate::config::keys::{WAKES, name_of};
use crate::config::memif::role_name;
use crate::counts::{Counts, write_row};
use crate::error::Error;
use crate::plan::CardPlan;

impl Server {
    /// What an operator should know of how it runs, one line each.
    pub fn facts(&self) -> Vec<String> {
        let plan = &self.plan;
        let mut facts = match self.card.program() {
            Some(card) => vec![
                format!("packet memory is locked, in pages of {}", card.page_size()),
                self.wake_in_force(card),
                self.idle_in_force(card),
            ],
            None => vec![plan.explain_card()],
        };
        facts.extend([
            format!("tier {}", plan.explain_tier()),
            format!("checksums: {}", plan.explain_checksums()),
            format!("answers go to {}", plan.explain_next_hop()),
        ]);
        if let Some(why) = self.card.program().and_then(Attachment::why_not_native) {
            facts.push(format!("warning: mode generic, because the driver refuses native: {why}"));
        }
        facts.extend(plan.warnings.iter().map(|warning| format!("warning: {warning}")));
        facts
    }

    /// How its lanes reach the card, in half a line.
    pub fn describe(&self) -> String {
        let Some(card) = self.card.program() else { return self.plan.explain_card() };
        let wake = name_of(WAKES, &self.plan.config.nic.wake);
        format!("{}, {wake}, pages of {}", self.way(), card.page_size())
    }

    /// The way of packets to its lanes, in three words.
    pub fn way(&self) -> String {
        let Some(card) = self.card.program() else { return "memif".to_owned() };
        let copies = if card.is_zero_copy() { "zero-copy" } else { "copy" };
        format!("AF_XDP {} {copies}", card.mode())
    }

    /// The way of packets that the driver tier answers, in two words.
    pub fn way_of_driver(&self) -> String {
        self.card.program().map_or_else(String::new, |card| format!("XDP_TX {}", card.mode()))
    }

    /// The wake mode, and whether the kernel has gone along with it.
    fn wake_in_force(&self, card: &Attachment) -> String {
        let name = name_of(WAKES, &self.plan.config.nic.wake);
        // A queue whose socket does not say is driven by interrupts.
        let queues = card.busy_poll().unwrap_or_default();
        let without: Vec<String> = queues
            .iter()
            .filter(|(_, state)| *state == BusyPoll::WithoutNapi)
            .map(|(queue, _)| queue.to_string())
            .collect();
        match without.as_slice() {
            [] => format!("wake mode: {name}"),
            queues => format!(
                "wake mode: {name}, but interrupts drive queue {} until its NIC shows a NAPI instance",
                queues.join(", ")
            ),
        }
    }

    /// What lanes do where nothing comes, and for those that sleep, whether the kernel polls the NIC meanwhile.
    fn idle_in_force(&self, card: &Attachment) -> String {
        let idle = self.plan.explain_idle();
        if !self.plan.may_sleep() {
            return format!("idle {idle}");
        }
        let queues = card.busy_poll().unwrap_or_default();
        let is_polled =
            !queues.is_empty() && queues.iter().all(|(_, state)| matches!(state, BusyPoll::Napi(_)));
        let word = if is_polled {
            "in force"
        } else {
            "not in force: no NAPI instance is known, and interrupts wake it"
        };
        format!("idle {idle}; busy polling is {word}")
    }

    /// Where the program runs, or which end of shared memory this is, in a word.
    pub(super) fn mode(&self) -> String {
        match &self.plan.card {
            CardPlan::Xdp(_) => self.card.program().map_or_else(String::new, |card| card.mode().to_string()),
            CardPlan::Memif(memif) => role_name(memif.role).to_owned(),
        }
    }

    /// Where the program runs, where there is one.
    pub(super) fn program_mode(&self) -> Option<Mode> {
        self.card.program().map(Attachment::mode)
    }

    /// Whether packets are read and written in place, in a word.
    pub(super) fn zero_copy(&self) -> &'static str {
        if self.card.program().is_some_and(Attachment::is_zero_copy) { "yes" } else { "no" }
    }

    /// The line that scripts wait for.
    pub fn ready_line(&self) -> String {
        format!(
            "ready nic={} mode={} zero-copy={} lanes={}",
            self.plan.facts.link.name,
            self.mode(),
            self.zero_copy(),
            self.lanes.len()
        )
    }
}

/// What a server counted in its life.
#[derive(Clone, Debug)]
pub struct Summary {
    counters: Counters,
    residence: Histogram,
    /// What the driver tier counted before any lane.
    driver: Counters,
    losses: Losses,
    /// Frames that each lane has neither sent nor given back.
    held: Vec<i64>,
}

impl Summary {
    pub(super) fn new(
        counters: Counters,
        residence: Histogram,
        driver: Counters,
        losses: Losses,
        held: Vec<i64>,
    ) -> Self {
        Self { counters, residence, driver, losses, held }
    }

    /// The sum of several lanes' counters.
    pub(super) fn sum(lanes: impl Iterator<Item = Counters>) -> Counters {
        let mut sum = Counters::default();
        for lane in lanes {
            for (counter, count) in lane.iter() {
                sum.add(counter, count);
            }
        }
        sum
    }

    /// All lanes' counters together.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What the driver tier counted.
    pub fn driver(&self) -> &Counters {
        &self.driver
    }

    /// T3 − T2 of all STAMP answers, in nanoseconds.
    pub fn residence(&self) -> &Histogram {
        &self.residence
    }

    /// Fails where a lane has lost or doubled a frame: one that was received and has no fate, one that it still holds,
    /// or one that it gave to the kernel by an address that is none.
    pub fn check(&self) -> Result<(), Error> {
        let failed = |why: String| Err(Error::Failed(why));
        match (
            self.counters.unaccounted() + self.driver.unaccounted(),
            self.held.iter().find(|held| **held != 0),
            self.losses.invalid(),
        ) {
            (0, None, 0) => Ok(()),
            (0, None, count) => failed(format!("the kernel refused {count} frames that lanes gave to it")),
            (0, Some(held), _) => {
                failed(format!("a lane holds {held} frames at its end, and must have given all of them back"))
            }
            (count, ..) => failed(format!(
                "{count} frames were received and have no fate: rx must be replied + passed + dropped"
            )),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "stopped: {}", Counts(&self.counters))?;
        for (counter, count) in self.driver.iter().filter(|(_, count)| *count > 0) {
            let row = counter.row();
            write_row(
                out,
                &format!("driver_{}", row.name),
                count,
                &format!("In the driver: {}", row.sentence),
            )?;
        }
        for (name, count, why) in self.losses.rows().iter().filter(|(_, count, _)| *count > 0) {
            write_row(out, name, *count, why)?;
        }
        write_residence(out, &self.residence)
    }
}

/// How long STAMP answers took, by their own stamps; nothing where there were none.
fn write_residence(out: &mut fmt::Formatter<'_>, residence: &Histogram) -> fmt::Result {
    if residence.count() == 0 {
        return Ok(());
    }
    let mean = residence.sum() / residence.count();
    let rows = [
        ("residence_min_ns", residence.min(), "T3 - T2 of STAMP answers, as they carry it: the shortest."),
        ("residence_mean_ns", mean, "The mean, rounded down."),
        ("residence_p50_ns", residence.percentile(50.0), "What half of them do not exceed."),
        ("residence_p99_ns", residence.percentile(99.0), "What 99 of 100 do not exceed."),
        ("residence_max_ns", residence.max(), "The longest."),
        ("residence_sum_ns", residence.sum(), "All of them together."),
        ("residence_count", residence.count(), "How many."),
    ];
    rows.iter().try_for_each(|(name, value, sentence)| write_row(out, name, *value, sentence))
}

#[cfg(test)]
mod tests {
    use nic::xdp::Statistics;
    use telemetry::Counter;

    use super::*;

    #[test]
    fn the_summary_shows_what_was_counted_and_a_lost_frame_is_a_failure() {
        let mut counters = Counters::default();
        counters.add(Counter::Rx, 2);
        counters.count(Counter::RepliedArp);
        let mut driver = Counters::default();
        driver.add(Counter::Rx, 5);
        driver.add(Counter::ToLane, 2);
        driver.add(Counter::Ipv4Options, 3);
        let queues = Losses::Xdp(vec![(3, Statistics { rx_ring_full: 4, ..Statistics::default() })]);
        let mut residence = Histogram::default();
        residence.record(200);
        residence.record(400);
        let summary = Summary::new(counters, residence, driver, queues, vec![0]);
        let text = summary.to_string();
        assert!(text.starts_with("stopped: 2 frames = 1 answered + 0 passed + 0 dropped\n"), "{text}");
        assert!(
            text.contains("replied_arp")
                && text.contains("driver_ipv4_options")
                && text.contains("In the driver: The header carries options"),
            "{text}"
        );
        assert!(text.contains("queue_3_rx_ring_full"), "{text}");
        assert!(text.contains("residence_mean_ns") && text.contains(" 300  The mean"), "{text}");
        assert!(!text.contains("fill_ring_empty"), "{text}");
        assert!(!text.contains("replied_ndp") && !text.contains("driver_replied"), "{text}");
        assert!(summary.check().is_err());
    }

    fn summary_of(statistics: Statistics, held: i64) -> Summary {
        let residence = Histogram::default();
        Summary::new(
            Counters::default(),
            residence,
            Counters::default(),
            Losses::Xdp(vec![(0, statistics)]),
            vec![held],
        )
    }

    #[test]
    fn a_frame_that_found_no_buffer_is_told_once() {
        let counted = Statistics { rx_dropped: 7, fill_ring_empty: 7, ..Statistics::default() };
        let text = summary_of(counted, 0).to_string();
        assert!(!text.contains("residence"), "{text}");
        assert!(text.contains("fill_ring_empty") && !text.contains("rx_dropped"), "{text}");
        let text = summary_of(Statistics { rx_dropped: 9, ..counted }, 0).to_string();
        assert!(text.contains("queue_0_rx_dropped") && text.contains(" 2  Before"), "{text}");
    }

    #[test]
    fn a_frame_that_is_held_or_was_refused_is_a_failure() {
        assert!(summary_of(Statistics::default(), 0).check().is_ok());
        for held in [-1, 1] {
            assert!(summary_of(Statistics::default(), held).check().is_err());
        }
        for invalid in [(1, 0), (0, 1)] {
            let (rx_invalid, tx_invalid) = invalid;
            let summary = summary_of(Statistics { rx_invalid, tx_invalid, ..Statistics::default() }, 0);
            assert!(summary.check().is_err() && summary.to_string().contains("x_invalid"));
        }
    }
}
