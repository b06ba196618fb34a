//! The server under test: the binary, as an operator starts it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::topology::{SERVER, SERVER_NIC, Topology};

/// How long a server may take until it answers packets, on two busy cores.
const READY_MAX: Duration = Duration::from_secs(20);
/// How long it may take to end when it is asked to.
const END_MAX: Duration = Duration::from_secs(20);

/// A running `barelane serve`. Ended by SIGKILL when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    lines: Receiver<String>,
    /// What it said when it was ready.
    pub(crate) ready: String,
}

impl Server {
    /// Serves ICMP echo and UDP echo on addresses that only Barelane has.
    pub(crate) fn alone(topology: &Topology) -> Self {
        Self::alone_with(topology, &[])
    }

    /// The same, with more options.
    pub(crate) fn alone_with(topology: &Topology, options: &[&str]) -> Self {
        let addresses = [format!("{}/24", SERVER[0]), format!("{}/64", SERVER[1])];
        let [ipv4, ipv6] = &addresses;
        let services = ["--respond", "icmp-echo", "--respond", "udp-echo:7"];
        Self::start(topology, &[&["--address", ipv4, "--address", ipv6], &services[..], options].concat())
    }

    /// Starts `barelane serve` on the server's end and waits until it is ready.
    pub(crate) fn start(topology: &Topology, arguments: &[&str]) -> Self {
        let mut server = Self::spawned(topology, arguments);
        server.ready = server.line("barelane: ready", READY_MAX);
        server
    }

    /// Starts it on the server's end, and does not wait.
    pub(crate) fn spawned(topology: &Topology, arguments: &[&str]) -> Self {
        Self::of(topology, &[&["serve", "--nic", SERVER_NIC], arguments].concat())
    }

    /// Starts the binary on the server's host with all of its arguments, and does not wait.
    pub(crate) fn of(topology: &Topology, arguments: &[&str]) -> Self {
        let (child, lines) = run(topology, arguments);
        Self { child, lines, ready: String::new() }
    }

    /// What it says next.
    pub(crate) fn next_line(&self, wait: Duration) -> Option<String> {
        self.lines.recv_timeout(wait).ok()
    }

    /// The first line from now on that begins with `beginning`.
    pub(crate) fn line(&self, beginning: &str, wait: Duration) -> String {
        let deadline = Instant::now() + wait;
        let mut said = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if line.starts_with(beginning) {
                return line;
            }
            said.push(line);
        }
        panic!("no line {beginning:?} within {wait:?}, but: {said:#?}");
    }

    /// Everything that it has said since it was last asked, without waiting.
    pub(crate) fn said(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM or another signal that asks it to end, and what it then says and ends with.
    pub(crate) fn end(self, signal: &str) -> (ExitStatus, Vec<String>) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &process]).status().unwrap().success());
        self.wait_for_end(signal)
    }

    /// What it says until it ends by itself because of `why`, and what it ends with.
    pub(crate) fn wait_for_end(mut self, why: &str) -> (ExitStatus, Vec<String>) {
        let deadline = Instant::now() + END_MAX;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, self.lines.iter().collect());
            }
            thread::sleep(Duration::from_millis(2));
        }
        panic!("still there {END_MAX:?} after {why}");
    }

    /// Ends it and gives what it counted, by the names of THE table and of the program's drops.
    pub(crate) fn counts(self) -> HashMap<String, u64> {
        let (status, said) = self.end("TERM");
        assert_eq!(status.code(), Some(0), "{said:#?}");
        let words = said.iter().map(|line| line.split_whitespace());
        let rows =
            words.filter_map(|mut words| Some((words.next()?.to_owned(), words.next()?.parse().ok()?)));
        rows.collect()
    }

    /// The lanes' threads.
    pub(crate) fn lanes(&self) -> Vec<u32> {
        self.threads("lane")
    }

    /// The threads whose names begin so.
    pub(crate) fn threads(&self, beginning: &str) -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap().flatten();
        let named = tasks.filter(|task| {
            std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with(beginning))
        });
        named.map(|task| task.file_name().to_str().unwrap().parse().unwrap()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the server said: {:#?}", self.said());
        }
    }
}

/// Starts it, not yet ready, and reads its standard error line by line.
pub(crate) fn spawn(topology: &Topology, arguments: &[&str]) -> (Child, Receiver<String>) {
    run(topology, &[&["serve", "--nic", SERVER_NIC], arguments].concat())
}

fn run(topology: &Topology, arguments: &[&str]) -> (Child, Receiver<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
    command.args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = topology.server.run(|| command.spawn()).unwrap().unwrap();
    let errors = BufReader::new(child.stderr.take().unwrap());
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    (child, lines)
}
