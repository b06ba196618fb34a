//! What lanes are told to do where nothing comes, and what of that could not hold.

use crate::{Hosts, assert_says};

#[test]
fn what_cannot_be_kept_warm_is_refused() {
    let Some(hosts) = Hosts::new("warm") else { return };
    let line = hosts.serve_refused(&["--keep-warm", "1"]);
    assert_says(&line, &["lane.keep_warm (--keep-warm) = \"1\"", "from 100us to 1s, or off"]);
    let line = hosts.serve_refused(&["--keep-warm", "1ms", "--idle", "adaptive"]);
    assert_says(&line, &["lane.keep_warm (--keep-warm) = \"1ms\"", "lane.idle (--idle) is adaptive"]);
}
