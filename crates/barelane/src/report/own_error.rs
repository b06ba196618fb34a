//! How the probe itself did: what its own path costs, how well it kept its schedule, when it stood still and why.
//!
//! Nothing of it is subtracted from a figure. It stands beside them, so that a reader can tell which of them are the
//! target's.

use maud::{Markup, html};
use probe::own_error::{OwnError, Pacing, Stall};

use super::units::{self, cell, count};

/// The probe's own error in one run.
pub(super) fn section(own: &OwnError) -> Markup {
    html! {
        div.columns {
            (costs(own))
            (held_up(own))
        }
        (pacing(&own.pacing))
        (stalls(&own.stalls))
    }
}

/// What the probe's path costs where there is nothing between.
fn costs(own: &OwnError) -> Markup {
    let bias = &own.bias;
    let fine =
        |ns: Option<f64>| ns.map_or_else(|| "not measured".to_owned(), |ns| format!("{ns:.1}\u{a0}ns"));
    let known = |ns: Option<u64>| ns.map_or_else(|| "not measured".to_owned(), units::duration);
    let rows = [
        ("one reading of the clock", fine(bias.clock_read_ns)),
        ("the clock's step", fine(bias.clock_step_ns)),
        ("null path in memory, p50", known(bias.bias_p50_ns)),
        ("null path in memory, p99", known(bias.bias_p99_ns)),
        ("own socket over loopback, p50", known(bias.loopback_p50_ns)),
        ("own socket over loopback, p99", known(bias.loopback_p99_ns)),
    ];
    html! {
        table.pairs {
            caption { "What its own path costs" }
            tbody { @for (name, value) in rows { tr { th scope="row" { (name) } td { (value) } } } }
        }
    }
}

/// Whether it was there all the time, and what the platform counted against it.
fn held_up(own: &OwnError) -> Markup {
    let unknown = || "not counted".to_owned();
    let times = |number: Option<u64>| number.map_or_else(unknown, count);
    let time = |ns: Option<u64>| ns.map_or_else(unknown, units::duration);
    let rows = [
        (
            "stalls, each longer than ".to_owned() + &units::duration(own.stall_limit_ns),
            count(own.stall_count),
        ),
        ("stood still, of the whole time".to_owned(), units::percent(own.stalled_ratio)),
        ("stood still, longest".to_owned(), units::duration(own.stall_max_ns)),
        ("waited for its core".to_owned(), time(own.usage.run_delay_ns)),
        ("stolen by the hypervisor".to_owned(), time(own.usage.steal_ns)),
        ("lost its core to others".to_owned(), times(own.usage.involuntary_switches)),
        ("page faults, major".to_owned(), times(own.usage.major_faults)),
    ];
    let verdict = if own.was_stalled { "STALLED" } else { "kept up" };
    html! {
        table.pairs {
            caption { "Whether it was held up" }
            tbody {
                tr { th scope="row" { "verdict" } td.stalled[own.was_stalled] { (verdict) } }
                @for (name, value) in rows { tr { th scope="row" { (name) } td { (value) } } }
            }
        }
    }
}

/// How late the questions left. A closed loop has no schedule to be late for.
fn pacing(pacing: &Pacing) -> Markup {
    let figures = [
        ("p50", pacing.pacing_p50_ns),
        ("p99", pacing.pacing_p99_ns),
        ("p99.9", pacing.pacing_p99_9_ns),
        ("max", pacing.pacing_max_ns),
    ];
    html! {
        @if pacing.pacing_samples > 0 {
            div.scroll tabindex="0" role="group" aria-label="Pacing" {
                table.figures {
                    caption { "Pacing: how late questions left, in µs" }
                    thead { tr { th scope="col" { "samples" } @for (name, _) in figures { th scope="col" { (name) } } } }
                    tbody { tr { td { (count(pacing.pacing_samples)) } @for (_, ns) in figures { (cell(ns)) } } }
                }
            }
        }
    }
}

fn stalls(stalls: &[Stall]) -> Markup {
    html! {
        @if !stalls.is_empty() {
            details {
                summary { "When it stood still, and why: " (stalls.len()) " stalls" }
                div.scroll tabindex="0" role="group" aria-label="Stalls" {
                    table.figures {
                        caption { "When the probe stood still" }
                        thead {
                            tr {
                                th scope="col" { "at, s" } th scope="col" { "for, µs" }
                                th.words scope="col" { "recorded cause" }
                            }
                        }
                        tbody {
                            @for stall in stalls {
                                tr {
                                    th scope="row" { (format!("{:.6}", units::as_float(stall.at_ns) / 1e9)) }
                                    (cell(Some(stall.length_ns)))
                                    td.words { (stall.cause) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
