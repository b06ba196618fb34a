//! What a server says: facts at its start, the ready line, and the counters at its end.

use std::fmt;

use telemetry::{Counters, Kind};

use super::server::Server;
use crate::config::keys::{WAKES, name_of};
use crate::error::Error;
use crate::plan::NEXT_HOP;

impl Server {
    /// What an operator should know of how it runs, one line each.
    pub fn facts(&self) -> Vec<String> {
        let size = match self.card.page_size() {
            size if size >= 1 << 20 => format!("{} MiB", size >> 20),
            size => format!("{} KiB", size >> 10),
        };
        let plan = &self.plan;
        let mut facts = vec![
            format!("packet memory is locked, in pages of {size}"),
            format!("wake mode: {}", name_of(WAKES, &plan.card.wake)),
            format!("checksums: {}", plan.explain_checksums()),
            format!("answers go to {NEXT_HOP}"),
        ];
        facts.extend(plan.warnings.iter().map(|warning| format!("warning: {warning}")));
        facts
    }

    /// The line that scripts wait for.
    pub fn ready_line(&self) -> String {
        format!(
            "ready nic={} mode={} zero-copy={} lanes={}",
            self.plan.facts.link.name,
            self.card.mode(),
            if self.card.zero_copy() { "yes" } else { "no" },
            self.lanes.len()
        )
    }
}

/// What a server counted in its life.
#[derive(Clone, Debug)]
pub struct Summary {
    counters: Counters,
    drops: Vec<(&'static str, u64)>,
}

impl Summary {
    pub(super) fn new(counters: Counters, drops: Vec<(&'static str, u64)>) -> Self {
        Self { counters, drops }
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

    /// Fails where a frame was received and has no fate: then a lane has lost or doubled one.
    pub fn check(&self) -> Result<(), Error> {
        match self.counters.unaccounted() {
            0 => Ok(()),
            count => Err(Error::Failed(format!(
                "{count} frames were received and have no fate: rx must be replied + passed + dropped"
            ))),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let received = self.counters.sum(Kind::Received);
        let replied = self.counters.sum(Kind::Replied);
        let dropped = self.counters.sum(Kind::Dropped);
        writeln!(out, "stopped: {received} frames received, {replied} answered, {dropped} dropped")?;
        for (counter, count) in self.counters.iter().filter(|&(_, count)| count > 0) {
            let row = counter.row();
            writeln!(out, "  {:<24} {count:>14}  {}", row.name, row.sentence)?;
        }
        for (name, count) in self.drops.iter().filter(|(_, count)| *count > 0) {
            writeln!(out, "  {name:<24} {count:>14}  Dropped by the program before a lane.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use telemetry::Counter;

    use super::*;

    #[test]
    fn the_summary_shows_what_was_counted_and_a_lost_frame_is_a_failure() {
        let mut counters = Counters::default();
        counters.add(Counter::Rx, 2);
        counters.count(Counter::RepliedArp);
        let summary = Summary::new(counters, vec![("program_odd_shape", 3), ("program_other", 0)]);
        let text = summary.to_string();
        assert!(text.starts_with("stopped: 2 frames received, 1 answered, 0 dropped\n"), "{text}");
        assert!(text.contains("replied_arp") && text.contains("program_odd_shape"), "{text}");
        assert!(!text.contains("replied_ndp") && !text.contains("program_other"), "{text}");
        assert!(summary.check().is_err());
    }
}
