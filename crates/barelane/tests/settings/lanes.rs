//! What lanes are told of time, and what of that could not hold.

use crate::{Hosts, assert_says};

#[test]
fn what_cannot_be_kept_warm_is_refused() {
    let Some(hosts) = Hosts::new("warm") else { return };
    let line = hosts.serve_refused(&["--keep-warm", "1"]);
    assert_says(&line, &["lane.keep_warm (--keep-warm) = \"1\"", "from 100us to 1s, or off"]);
    let line = hosts.serve_refused(&["--keep-warm", "1ms", "--idle", "adaptive"]);
    assert_says(&line, &["lane.keep_warm (--keep-warm) = \"1ms\"", "lane.idle (--idle) is adaptive"]);
}

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
