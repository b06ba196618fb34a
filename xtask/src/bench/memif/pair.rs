//! A server and the program that asks it, over a socket of their own. Both are started once, and rest between stretches.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::running::{Directory, Running, by_lines, leashed};
use crate::clients::{DPDK_ASK, TESTPMD};
use crate::workspace;

/// The core that asks, and the one that answers.
pub(in crate::bench) const CORES: [&str; 2] = ["1", "0"];
/// Who asks, and who answers: MAC, IP.
const ASKING: [&str; 2] = ["02:00:00:00:09:02", "10.9.0.2"];
const ANSWERING: [&str; 2] = ["02:00:00:00:09:01", "10.9.0.1"];
/// DPDK without huge pages and devices; 128 MiB hold its frames, and leave some.
const EAL: [&str; 7] =
    ["--no-huge", "-m", "128", "--no-pci", "--no-telemetry", "--no-shconf", "--log-level=4"];
/// Frames of testpmd's: more than both rings of a zero-copy port, a burst and a cache take together.
const BUFFERS: &str = "--total-num-mbufs=16384";

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Server {
    Testpmd,
    Barelane,
}

/// Which end of the memif the one that answers is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Server,
    Client,
    /// DPDK's own frames are the shared memory.
    ClientWithoutCopies,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Udp,
    Icmp,
}

/// One pair as it is to be started.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench) struct Setup {
    pub(in crate::bench) server: Server,
    role: Role,
    protocol: Protocol,
    /// Whether it is there a second time, to be compared with the first.
    is_again: bool,
}

/// A pair at rest: the server is stopped, the one that asks waits for a line.
#[derive(Debug)]
pub(in crate::bench) struct Pair {
    ask: Running,
    server: Running,
}

impl Role {
    const fn of_server(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client | Self::ClientWithoutCopies => "client",
        }
    }

    const fn of_the_one_that_asks(self) -> &'static str {
        match self {
            Self::Server => "client",
            Self::Client | Self::ClientWithoutCopies => "server",
        }
    }
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        }
    }

    /// How testpmd answers it.
    const fn forward(self) -> &'static str {
        match self {
            Self::Udp => "--forward-mode=5tswap",
            Self::Icmp => "--forward-mode=icmpecho",
        }
    }
}

impl Setup {
    /// Every pair, those beside each other that are compared.
    pub(in crate::bench) fn all() -> Vec<Self> {
        let of = |protocol| {
            [
                (Server::Testpmd, Role::Server),
                (Server::Barelane, Role::Server),
                (Server::Testpmd, Role::Client),
                (Server::Barelane, Role::Client),
                (Server::Testpmd, Role::ClientWithoutCopies),
            ]
            .map(|(server, role)| Self { server, role, protocol, is_again: false })
        };
        let mut all = [of(Protocol::Udp), of(Protocol::Icmp)].concat();
        let again = Self { is_again: true, ..of(Protocol::Udp)[0] };
        all.insert(0, again);
        all
    }

    /// Barelane alone, as the memif's server, asked by UDP.
    pub(in crate::bench) const fn barelane_alone() -> Self {
        Self { server: Server::Barelane, role: Role::Server, protocol: Protocol::Udp, is_again: false }
    }

    pub(in crate::bench) fn name(self) -> String {
        let server = if self.server == Server::Barelane { "barelane" } else { "dpdk" };
        let role = match self.role {
            Role::Server => "server",
            Role::Client => "client",
            Role::ClientWithoutCopies => "client_zero_copy",
        };
        let again = if self.is_again { "_again" } else { "" };
        format!("{server}_{role}_{}{again}", self.protocol.name())
    }

    fn server(self, socket: &Path) -> Command {
        match self.server {
            Server::Testpmd => self.testpmd(socket),
            Server::Barelane => self.barelane(socket),
        }
    }

    fn testpmd(self, socket: &Path) -> Command {
        let mut command = by_lines(&TESTPMD.path());
        let core = CORES[1];
        command.args(["--lcores", &format!("0@{core},1@{core}")]).args(EAL);
        let zero_copy = self.role == Role::ClientWithoutCopies;
        if zero_copy {
            command.arg("--single-file-segments");
        }
        command.args(["--vdev", &vdev(self.role.of_server(), socket, if zero_copy { "yes" } else { "no" })]);
        command.args(["--", self.protocol.forward(), BUFFERS]);
        command
    }

    fn barelane(self, socket: &Path) -> Command {
        let mut command = leashed(&workspace::target().join("release/barelane"));
        let memif = format!("{},role={}", socket.display(), self.role.of_server());
        let [mac, ip] = ANSWERING;
        command.args(["serve", "--memif", &memif, "--mac", mac, "--address", &format!("{ip}/24")]);
        command.args(["--respond", "udp-echo:7", "--respond", "icmp-echo", "--core", CORES[1]]);
        command
    }

    fn ask(self, socket: &Path) -> Command {
        let mut command = Command::new(DPDK_ASK.path());
        command.args(["--lcores", &format!("0@{}", CORES[0])]).args(EAL);
        command.args(["--vdev", &vdev(self.role.of_the_one_that_asks(), socket, "no")]);
        command.args([
            "--",
            "--mac",
            ANSWERING[0],
            "--ip",
            ANSWERING[1],
            "--own-mac",
            ASKING[0],
            "--own-ip",
            ASKING[1],
        ]);
        command.args(["--protocol", self.protocol.name(), "--by-lines"]);
        command
    }
}

/// A memif of DPDK's.
fn vdev(role: &str, socket: &Path, zero_copy: &str) -> String {
    format!("net_memif0,role={role},socket-abstract=no,socket={},zero-copy={zero_copy}", socket.display())
}

impl Pair {
    /// Starts a pair, the memif server first, since DPDK's memif client tries to connect once; and lets it rest.
    pub(in crate::bench) fn start(setup: Setup, directory: &Directory) -> Result<Self> {
        let name = setup.name();
        println!("   starting {name}");
        let socket: PathBuf = directory.path().join(&name);
        let start = |mut command: Command, sign: &str| {
            command.env("RUNTIME_DIRECTORY", directory.path());
            let mut running = Running::start(command)?;
            running.wait_for(sign)?;
            Ok::<_, anyhow::Error>(running)
        };
        let ready = if setup.server == Server::Barelane { "barelane: ready" } else { "Press enter to exit" };
        let server = || start(setup.server(&socket), ready).context("the server");
        let ask = || start(setup.ask(&socket), "the port is open").context("dpdk-ask");
        let (mut ask, server) = if setup.role == Role::Server {
            let server = server()?;
            (ask()?, server)
        } else {
            let ask = ask()?;
            (ask, server()?)
        };
        ask.wait_for("ready").context("dpdk-ask")?;
        server.signal("STOP")?;
        Ok(Self { ask, server })
    }

    /// How both were started.
    pub(in crate::bench) fn commands(&self) -> Vec<String> {
        vec![self.ask.command(), self.server.command()]
    }

    /// Asks for some time and gives the figures. An error where not every question had its answer.
    pub(in crate::bench) fn stretch(&mut self, window: u32, seconds: f64) -> Result<Value> {
        self.server.signal("CONT")?;
        self.ask.tell(&format!("{window} {seconds}"))?;
        let line = self.ask.wait_for("{")?;
        self.server.signal("STOP")?;
        let figures: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        let count = |key| figures.get(key).and_then(Value::as_u64);
        let wrong = ["lost", "late", "duplicated", "corrupted"].map(count);
        ensure!(
            wrong == [Some(0); 4] && count("answered") != Some(0),
            "not every question had its answer: {line}"
        );
        Ok(figures)
    }
}
