//! The table for people: what was asked, how it was measured, what became of the questions, the round trips.

use std::fmt;

use super::Report;

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_setting(out)?;
        self.write_fates(out)?;
        self.write_round_trips(out)?;
        self.own_error.fmt(out)
    }
}

impl Report {
    fn write_setting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        writeln!(out, "{} {}{port}, {} payload bytes", self.target, self.protocol, self.size_bytes)?;
        writeln!(
            out,
            "  {} loop, {} ns gap, {} ns time-out",
            self.schedule,
            self.gap_ns.unwrap_or_default(),
            self.timeout_ns
        )?;
        writeln!(out, "  by {}: {} ({})", self.backend, self.means, self.wait)?;
        writeln!(out, "  stamps by {}: {}; {}", self.clock, self.sent_stamp, self.received_stamp)
    }

    fn write_fates(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sent, answered, lost, late] = [self.sent, self.answered, self.lost, self.late];
        let percent =
            self.loss_ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{:.4} %", ratio * 100.0));
        writeln!(out, "  sent {sent} = answered {answered} + lost {lost} + late {late}; loss {percent}")?;
        let notes = [
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("corrupted", self.corrupted),
            ("unmatched", self.unmatched),
            ("refused", self.refused),
            ("partial checksums", self.partial_checksums),
            ("answered without the kernel's stamps, and not measured", self.unstamped),
        ];
        let seen: Vec<String> = notes
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        if seen.is_empty() { Ok(()) } else { writeln!(out, "  {}", seen.join(", ")) }
    }

    fn write_round_trips(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = self.rtt.named();
        write!(out, "  rtt µs ")?;
        for (name, _) in cells {
            write!(out, " {name:>9}")?;
        }
        write!(out, "\n         ")?;
        for (_, ns) in cells {
            write!(out, " {:>9}", ns.map_or_else(|| "–".to_owned(), microseconds))?;
        }
        writeln!(out, "   of {} samples", self.rtt.samples)
    }
}

/// Nanoseconds as microseconds with three decimals, exact.
fn microseconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000, ns % 1_000)
}
