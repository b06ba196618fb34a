//! The own error for people: up to four lines of the probe's table.

use std::fmt;

use super::{OwnError, Stall};

impl fmt::Display for OwnError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_bias(out)?;
        self.write_pacing(out)?;
        self.write_stalls(out)?;
        self.write_mark(out)
    }
}

impl OwnError {
    fn write_bias(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bias = &self.bias;
        let Some((p50, p99)) = bias.bias_p50_ns.zip(bias.bias_p99_ns) else { return Ok(()) };
        write!(out, "  own bias: p50 {p50} ns, p99 {p99} ns by a null path in memory")?;
        if let Some((p50, p99)) = bias.loopback_p50_ns.zip(bias.loopback_p99_ns) {
            write!(out, "; p50 {p50} ns, p99 {p99} ns by the kernel's loopback")?;
        }
        match bias.clock_read_ns {
            Some(cost) => writeln!(out, "; the clock takes {cost} ns"),
            None => writeln!(out),
        }
    }

    fn write_pacing(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(max) = self.pacing.pacing_max_ns else { return Ok(()) };
        write!(out, "  own pacing error µs:")?;
        let percentiles = [
            ("p50", self.pacing.pacing_p50_ns),
            ("p99", self.pacing.pacing_p99_ns),
            ("p99.9", self.pacing.pacing_p99_9_ns),
        ];
        for (name, ns) in percentiles {
            if let Some(ns) = ns {
                write!(out, " {name} {},", microseconds(ns))?;
            }
        }
        writeln!(out, " max {}", microseconds(max))
    }

    fn write_stalls(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = microseconds(self.stall_limit_ns);
        write!(out, "  own stalls over {limit} µs: {}", self.stall_count)?;
        if self.stall_count > 0 {
            let percent = self.stalled_ratio * 100.0;
            write!(out, ", {} µs in all ({percent:.3} % of the run)", microseconds(self.stalled_ns))?;
            write!(out, ", the longest {} µs", microseconds(self.stall_max_ns))?;
        }
        if let Some(Stall { cause, .. }) = self.stalls.iter().max_by_key(|stall| stall.length_ns) {
            write!(out, " ({cause})")?;
        }
        for (what, ns) in [("waited for a core", self.usage.run_delay_ns), ("stolen", self.usage.steal_ns)] {
            if let Some(ns) = ns.filter(|ns| *ns > 0) {
                write!(out, "; {what} {} µs", microseconds(ns))?;
            }
        }
        writeln!(out)
    }

    fn write_mark(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.was_stalled {
            writeln!(
                out,
                "  STALLED: the probe itself was held up; from p99.9 on the figures may be its own"
            )?;
        }
        Ok(())
    }
}

/// Nanoseconds as microseconds with three decimals, exact.
fn microseconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000, ns % 1_000)
}
