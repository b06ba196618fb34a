//! The same of stamps of what comes and of what leaves, and of what goes by them.

use crate::{Hosts, assert_says};

#[test]
fn an_age_limit_that_is_no_time_or_could_not_hold_is_refused() {
    let Some(hosts) = Hosts::new("age") else { return };
    let line = hosts.serve_refused(&["--age-limit", "50"]);
    assert_says(&line, &["lane.age_limit (--age-limit) = \"50\"", "such as 50us"]);
    let line = hosts.serve_refused(&["--age-limit", "50us", "--arrival-stamps", "none"]);
    assert_says(
        &line,
        &["lane.age_limit (--age-limit) = \"50us\"", "nic.arrival_stamps (--arrival-stamps) = auto"],
    );
}

#[test]
fn transmit_stamps_that_nobody_writes_or_by_a_clock_that_nobody_follows_are_refused() {
    let Some(hosts) = Hosts::new("departures") else { return };
    let setting = "nic.transmit_stamps (--transmit-stamps)";
    let line = hosts.serve_refused(&["--transmit-stamps", "hardware"]);
    assert_says(&line, &[setting, "= \"hardware\"", "no such choice; write one of none, kernel"]);
    let line = hosts.serve_refused(&["--transmit-stamps", "kernel", "--zero-copy", "yes"]);
    assert_says(&line, &[setting, "= \"kernel\"", "a clock of its own", "write none, or nic.zero_copy"]);
}
