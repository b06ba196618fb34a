//! Sockperf, another client that many trust: its own server and ours, asked by it.
//!
//! Its client sleeps between two questions' ends and is woken by the kernel, on both ends alike, as it does where nothing
//! else is said. It is told to report round trips (`--full-rtt`); without that it reports half of them as "latency".
//! What it sends in its first 400 ms and its last 50 ms it does not count.

mod parse;

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::asking::{Part, SIZE};
use super::link::{Cable, Hosts};
use super::outside::{Running, SOCKPERF};
use super::serving::Served;
use super::{Unmeasured, interrupted};
use crate::error::Error;
use parse::Result as Counted;

/// Sockperf's own port.
pub(super) const PORT: NonZeroU16 = NonZeroU16::new(11_111).unwrap();

/// The line that its server says last before it receives.
const SERVER_READY: &str = "to block on socket(s)";

/// The line that its client says when it begins to ask.
const CLIENT_READY: &str = "Starting test";

/// What the client does not count at both of its ends (`TEST_START_WARMUP_MSEC`, `TEST_END_COOLDOWN_MSEC`).
const NOT_COUNTED: Duration = Duration::from_millis(450);

/// How much longer than it is needed the client would run, in seconds, if nobody ended it. It takes the memory for all
/// that it could measure at its start: more is refused.
const SECONDS_MORE: u64 = 2;

/// How often is looked whether the demo is to stop.
const LOOK: Duration = Duration::from_millis(20);

/// Its own server at work: a blocking receive, as it does where nothing else is said.
#[derive(Debug)]
pub(super) struct Server(Running);

impl Server {
    /// Starts it on a cable's end.
    pub(super) fn start(hosts: &Hosts, cable: &Cable, stop: &AtomicBool) -> Result<Self, Unmeasured> {
        let mut command = SOCKPERF.leashed()?;
        command.args(["server", "-i", &cable.server.to_string(), "-p", &PORT.to_string()]);
        let mut running = Running::start(SOCKPERF, command, &hosts.server, hosts.server_core)?;
        running.wait_for(SERVER_READY, stop)?;
        Ok(Self(running))
    }

    /// Ends it.
    pub(super) fn stop(self) -> Result<Served, Error> {
        let said = self.0.end()?;
        Ok(Served::new(format!("sockperf {} server, blocking", version(&said)), "kernel stack"))
    }
}

/// Asks a server of sockperf's messages for `length`.
pub(super) fn ask(
    hosts: &Hosts,
    cable: &Cable,
    length: Duration,
    stop: &AtomicBool,
) -> Result<Part, Unmeasured> {
    let mut command = SOCKPERF.leashed()?;
    command.args(["ping-pong", "--full-rtt", "-i", &cable.server.to_string(), "-p", &PORT.to_string()]);
    let seconds = length.as_secs() + SECONDS_MORE;
    command.args(["-m", &SIZE.to_string(), "-t", &seconds.to_string()]);
    let mut running = Running::start(SOCKPERF, command, &hosts.client, hosts.client_core)?;
    running.wait_for(CLIENT_READY, stop)?;
    sleep(length + NOT_COUNTED, stop)?;
    let said = running.end()?;
    let counted = parse::result(&said)
        .ok_or_else(|| SOCKPERF.refusal("has measured nothing that can be read", &said))?;
    Ok(part(&counted, &version(&said)))
}

fn sleep(length: Duration, stop: &AtomicBool) -> Result<(), Error> {
    let deadline = Instant::now() + length;
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        if stop.load(Ordering::Relaxed) {
            return Err(interrupted());
        }
        thread::sleep(left.min(LOOK));
    }
    Ok(())
}

fn part(counted: &Counted, version: &str) -> Part {
    Part {
        p50_ns: counted.p50_ns,
        p99_ns: counted.p99_ns,
        sent: counted.sent,
        answered: counted.answered,
        lost: counted.dropped,
        wrong: counted.duplicated,
        client: format!("sockperf {version} ping-pong, block"),
        clock: "TSC".to_owned(),
        network_p50_ns: None,
        residence_p50_ns: None,
        was_stalled: None,
        whole: counted.to_json(),
        outcome: None,
    }
}

/// `3.7-no.git` of the line `== version #3.7-no.git ==`.
fn version(said: &[String]) -> String {
    let found = said.iter().find_map(|line| line.split_once("version #")?.1.split_whitespace().next());
    found.unwrap_or("of an unknown version").to_owned()
}
