//! One packet a second against a stream, for each idle policy: what `cargo xtask bench --idle` runs.
//!
//! ```text
//!   round:  spin ─▶ warmed ─▶ adaptive ─▶ interrupt ─▶ bare   each: nothing, 10,000/s, 1/s, 10/s, on a cable of its own,
//!                                                       by one asker who asks nobody else, and by one who does
//! ```
//!
//! The first asker is `barelane probe` past its kernel, which spins on its rings at every rate. Its own path and the kernel's are cold all
//! the same after a second without a question: `bare`, a program in the driver that only swaps addresses, with no process behind
//! it, shows how much that is. The second one ([`warm`]) keeps them warm by asking somebody else meanwhile, so that what it finds
//! slower at one a second is the answerer's.
//!
//!     idle BARELANE ROUNDS SLOW_COUNT

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "it prints what it measures"
)]

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use host::links;
use host::namespace::Namespace;
use host::veth::{End, VethPair, create};
use nic::xdp::ModeChoice;
use nic::xdp::bare::{self, Bare, BareAttachment};
use serde_json::{Value, json};

mod warm;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 2));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1));
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 9, 2];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 9, 1];
const NICS: [&str; 2] = ["client0", "lane0"];
/// Who answers: a lane by one of its policies, and one that spins and keeps warm, or nobody's process.
const ANSWERERS: [(&str, &[&str]); 5] = [
    ("spin", &["--idle", "spin"]),
    ("warmed", &["--idle", "spin", "--keep-warm", "1ms"]),
    ("adaptive", &["--idle", "adaptive"]),
    ("interrupt", &["--idle", "interrupt"]),
    ("bare", &[]),
];
/// How long nothing comes, while the lane's processor time is looked at.
const NOTHING: Duration = Duration::from_secs(3);
/// The stream, and how long it lasts.
const STREAM_PER_SECOND: u32 = 10_000;
const STREAM_SECONDS: u32 = 2;
/// How long a server may take to start.
const READY_MAX: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [binary, rounds, slow_count] = &arguments[..] else {
        return Err("idle BARELANE ROUNDS SLOW_COUNT".into());
    };
    let (binary, slow_count) = (PathBuf::from(binary), slow_count.parse()?);
    let mut rows = Vec::new();
    for round in 0..rounds.parse::<u32>()? {
        for answerer in ANSWERERS {
            eprintln!("   round {}: {}", round + 1, answerer.0);
            rows.push(measure(&binary, round, answerer, slow_count)?);
        }
    }
    println!("{}", Value::from(rows));
    Ok(())
}

/// A cable with a client's and a server's end.
struct Cable {
    client: Namespace,
    server: Namespace,
}

impl Cable {
    /// Neither end speaks IPv6, by which kernels send of themselves. The server's kernel has the address that is asked where no
    /// lane has it: the program answers before it, and it answers ARP.
    fn lay(answerer: &str) -> Result<Self> {
        let cable = Self { client: Namespace::new()?, server: Namespace::new()? };
        let [a, b] = [(&cable.client, 0, CLIENT_MAC), (&cable.server, 1, SERVER_MAC)].map(
            |(namespace, place, mac)| End {
                namespace: Some(namespace),
                name: NICS[place],
                mac,
                rx_queues: 1,
                tx_queues: 1,
                addresses: match (place, answerer) {
                    (0, _) => &[(CLIENT, 24)],
                    (_, "bare") => &[(SERVER, 24)],
                    _ => &[],
                },
            },
        );
        create(&VethPair { a, b, mtu: 1500 })?;
        for (namespace, nic) in [(&cable.client, NICS[0]), (&cable.server, NICS[1])] {
            namespace.set(&format!("ipv6/conf/{nic}/disable_ipv6"), "1")?;
        }
        Ok(cable)
    }
}

/// Who answers at the server's end, until dropped.
enum Answerer {
    Lane(Child),
    Bare { _program: BareAttachment },
}

impl Answerer {
    fn start(binary: &Path, cable: &Cable, policy: &[&str]) -> Result<Self> {
        if policy.is_empty() {
            let attach = || -> Result<BareAttachment> {
                let link = links::link(NICS[1])?;
                Ok(bare::attach(Bare::Swap, NICS[1], link.index, ModeChoice::Native)?)
            };
            return Ok(Self::Bare { _program: cable.server.run(attach)?? });
        }
        let mut command = Command::new(binary);
        let address = format!("{SERVER}/24");
        command.args([
            "serve",
            "--nic",
            NICS[1],
            "--address",
            &address,
            "--respond",
            "udp-echo:7",
            "--tier",
            "lane",
        ]);
        command.args(["--admin", "off", "--core", &last_core()?]).args(policy).stderr(Stdio::piped());
        let mut child = cable.server.run(|| command.spawn())??;
        let lines = BufReader::new(child.stderr.take().ok_or("no standard error")?);
        let (answerer, begun) = (Self::Lane(child), Instant::now());
        let mut lines = lines.lines();
        while !lines.next().ok_or("the server has ended")??.starts_with("barelane: ready") {
            if begun.elapsed() > READY_MAX {
                return Err("the server is not ready".into());
            }
        }
        // What it says later must have a reader.
        thread::spawn(move || lines.for_each(drop));
        Ok(answerer)
    }

    /// How long its lane has run on a core so far (`schedstat` of its thread: nanoseconds).
    fn ran(&self) -> Result<Option<Duration>> {
        let Self::Lane(child) = self else { return Ok(None) };
        for task in fs::read_dir(format!("/proc/{}/task", child.id()))? {
            let path = task?.path();
            if fs::read_to_string(path.join("comm"))?.starts_with("lane-") {
                let text = fs::read_to_string(path.join("schedstat"))?;
                let ns = text.split_whitespace().next().ok_or("an empty schedstat")?;
                return Ok(Some(Duration::from_nanos(ns.parse()?)));
            }
        }
        Err("the server has no lane".into())
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        if let Self::Lane(child) = self {
            // It has ended already, or does now: its program goes with it.
            let _ended = child.kill().and_then(|()| child.wait());
        }
    }
}

/// The core of a lane; the client has the first.
fn last_core() -> Result<String> {
    Ok(host::cores::allowed()?.last().ok_or("no core")?.to_string())
}

/// What share of a core a lane takes while something is done.
fn share_of<T>(answerer: &Answerer, work: impl FnOnce() -> Result<T>) -> Result<(T, Option<f64>)> {
    let (before, begun) = (answerer.ran()?, Instant::now());
    let done = work()?;
    let share = answerer
        .ran()?
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64());
    Ok((done, share))
}

/// One answerer at all rates, on a cable of its own.
fn measure(binary: &Path, round: u32, (name, policy): (&str, &[&str]), slow_count: u32) -> Result<Value> {
    let cable = Cable::lay(name)?;
    let answerer = Answerer::start(binary, &cable, policy)?;
    let ((), idle) = share_of(&answerer, || {
        thread::sleep(NOTHING);
        Ok(())
    })?;
    let (stream, at_stream) =
        share_of(&answerer, || probe(binary, &cable, STREAM_PER_SECOND, STREAM_PER_SECOND * STREAM_SECONDS))?;
    let (one, at_one) = share_of(&answerer, || probe(binary, &cable, 1, slow_count))?;
    let (ten, at_ten) = share_of(&answerer, || probe(binary, &cable, 10, 5 * slow_count))?;
    let other = Cable::lay("bare")?;
    let _other = Answerer::start(binary, &other, &[])?;
    let warm = |rate: u32, count| warm::ask(&cable, &other, STREAM_PER_SECOND / rate, count);
    let warm_stream = warm(STREAM_PER_SECOND, STREAM_PER_SECOND * STREAM_SECONDS)?;
    let (warm_one, warm_ten) = (warm(1, slow_count)?, warm(10, 5 * slow_count)?);
    Ok(json!({
        "round": round, "answerer": name, "stream": stream, "one_a_second": one, "ten_a_second": ten,
        "warm_stream": warm_stream, "warm_one_a_second": warm_one, "warm_ten_a_second": warm_ten,
        "core_share_idle": idle, "core_share_stream": at_stream, "core_share_one_a_second": at_one, "core_share_ten_a_second": at_ten,
    }))
}

/// Asks so many questions at this rate; gives the round trips' p50 and p99, and how many came back.
fn probe(binary: &Path, cable: &Cable, rate: u32, count: u32) -> Result<Value> {
    let file = std::env::temp_dir().join(format!("barelane-bench-idle-{}.json", std::process::id()));
    let core = host::cores::allowed()?.first().ok_or("no core")?.to_string();
    let mut command = Command::new(binary);
    command.args(["probe", &SERVER.to_string(), "--proto", "udp:7", "--backend", "xdp", "--nic", NICS[0]]);
    command.args(["--core", &core, "--rate", &rate.to_string(), "--count", &count.to_string(), "--json"]);
    let output = cable.client.run(|| command.arg(&file).output())??;
    let text = fs::read_to_string(&file).map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
    fs::remove_file(&file)?;
    let report: Value = serde_json::from_str(&text)?;
    Ok(json!({
        "sent": report["sent"], "answered": report["answered"],
        "rtt_p50_ns": report["rtt_p50_ns"], "rtt_p99_ns": report["rtt_p99_ns"], "rtt_max_ns": report["rtt_max_ns"],
    }))
}
