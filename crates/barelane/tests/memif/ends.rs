//! The two ends of a memif: who is there, and how each is started.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Directory, Process};

/// The core that asks, and the one that answers.
const CORES: [&str; 2] = ["1", "0"];
/// The end that asks.
pub(crate) const ASKING_MAC: &str = "02:00:00:00:09:02";
pub(crate) const ASKING_IP: &str = "10.9.0.2";
/// The end that answers.
pub(crate) const ANSWERING_MAC: &str = "02:00:00:00:09:01";
pub(crate) const ANSWERING_IP: &str = "10.9.0.1";
/// DPDK without huge pages and devices. 128 MiB hold its frames; without copies, the peer maps all of them.
const EAL: [&str; 7] =
    ["--no-huge", "-m", "128", "--no-pci", "--no-telemetry", "--no-shconf", "--log-level=4"];
/// How long answers may stay out after a peer came back: DPDK tries five times a second, Barelane once.
const RETURN_MAX: Duration = Duration::from_secs(30);

/// What an end of a memif is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It listens.
    Server,
    /// It connects, and has the memory.
    Client,
}

/// Whether DPDK's own frames are the shared memory: a memif client's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copies {
    Made,
    Spared,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}

/// A socket that two ends meet at, and who is what there.
#[derive(Debug)]
pub(crate) struct Wire {
    directory: Directory,
    /// As Barelane takes it: a path, or `@` and a name.
    pub(crate) socket: String,
    id: u32,
}

impl Wire {
    pub(crate) fn new() -> Self {
        let directory = Directory::new();
        let socket = directory.0.join("memif").display().to_string();
        Self { directory, socket, id: 0 }
    }

    /// One whose socket has a name and no file.
    pub(crate) fn abstract_one() -> Self {
        let wire = Self::new();
        let name = wire.directory.0.file_name().unwrap().display().to_string();
        Self { socket: format!("@{name}"), ..wire }
    }

    /// The same socket and another interface at it.
    pub(crate) fn with_id(self, id: u32) -> Self {
        Self { id, ..self }
    }

    /// As Barelane's command line takes it.
    pub(crate) fn of_barelane(&self, role: Role) -> String {
        format!("{},role={},id={}", self.socket, role.name(), self.id)
    }

    /// As DPDK's command line takes it.
    fn of_dpdk(&self, role: Role, copies: Copies) -> String {
        let (is_abstract, socket) =
            self.socket.strip_prefix('@').map_or(("no", self.socket.as_str()), |name| ("yes", name));
        let zero_copy = if copies == Copies::Spared { "yes" } else { "no" };
        let (role, id) = (role.name(), self.id);
        format!(
            "net_memif0,role={role},id={id},socket-abstract={is_abstract},socket={socket},zero-copy={zero_copy}"
        )
    }

    fn dpdk(&self, program: Command, lcores: &str, role: Role, copies: Copies) -> Command {
        if role == Role::Server {
            // DPDK does not listen where the file of a killed server is left.
            let _ = std::fs::remove_file(&self.socket);
        }
        let mut command = program;
        command.env("RUNTIME_DIRECTORY", &self.directory.0).args(["--lcores", lcores]).args(EAL);
        if copies == Copies::Spared {
            command.arg("--single-file-segments");
        }
        command.args(["--vdev", &self.of_dpdk(role, copies), "--"]);
        command
    }

    /// `barelane serve`, which answers UDP and ICMP echo; when it says that it is ready.
    pub(crate) fn barelane(&self, role: Role) -> Process {
        self.barelane_with(role, "", &["--core", CORES[1]])
    }

    /// The same with more of the memif and other cores.
    pub(crate) fn barelane_with(&self, role: Role, of_memif: &str, more: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
        command.args(["serve", "--memif", &(self.of_barelane(role) + of_memif)]).args(more);
        command.args(["--mac", ANSWERING_MAC, "--address", &format!("{ANSWERING_IP}/24")]);
        command.args(["--respond", "udp-echo:7", "--respond", "icmp-echo"]);
        let mut server = Process::start(&mut command);
        server.wait_for("barelane: ready");
        server
    }

    /// testpmd in a mode that answers; when it does.
    pub(crate) fn testpmd(&self, mode: &str, role: Role, copies: Copies) -> Process {
        let mut program = Command::new("stdbuf");
        program.args(["--output=L", "/usr/bin/dpdk-testpmd"]);
        let core = CORES[1];
        let mut command = self.dpdk(program, &format!("0@{core},1@{core}"), role, copies);
        command.args([&format!("--forward-mode={mode}"), "--total-num-mbufs=16384"]);
        let mut server = Process::start(&mut command);
        server.wait_for("Press enter to exit");
        server
    }

    /// dpdk-ask, when its port is open.
    pub(crate) fn dpdk_ask(&self, role: Role, copies: Copies, options: &[&str]) -> Ask {
        let mut process = self.start_dpdk_ask(role, copies, options);
        process.wait_for("the port is open");
        Ask { process }
    }

    /// The same, not waited for.
    pub(crate) fn start_dpdk_ask(&self, role: Role, copies: Copies, options: &[&str]) -> Process {
        let program = tools().join("libdpdk-dev/dpdk-ask");
        let mut command = self.dpdk(Command::new(program), &format!("0@{}", CORES[0]), role, copies);
        command.args(["--mac", ANSWERING_MAC, "--ip", ANSWERING_IP, "--own-mac", ASKING_MAC]);
        command.args(["--own-ip", ASKING_IP]).args(options);
        Process::start(&mut command)
    }

    /// `barelane probe` of the end that answers, to its end.
    pub(crate) fn probe(&self, role: Role, options: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
        command.args(["probe", ANSWERING_IP, "--memif", &self.of_barelane(role), "--core", CORES[0]]);
        command.args(options).output().unwrap()
    }

    /// A file that is gone with the wire.
    pub(crate) fn file(&self, name: &str) -> String {
        self.directory.0.join(name).display().to_string()
    }
}

/// Where `cargo xtask test` put the clients that are not installed.
fn tools() -> PathBuf {
    PathBuf::from(env::var_os("BARELANE_TOOLS").expect("BARELANE_TOOLS is set by `cargo xtask test`"))
}

/// dpdk-ask, which asks as it is told line by line, where it was started with `--by-lines`.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) process: Process,
}

impl Ask {
    /// When it has had an answer.
    pub(crate) fn when_ready(mut self) -> Self {
        self.process.wait_for("dpdk-ask: ready");
        self
    }

    /// Asks with a window for some time, and gives the figures.
    pub(crate) fn run(&mut self, window: u32, seconds: f64) -> Value {
        self.process.tell(&format!("{window} {seconds}"));
        self.figures(Duration::from_mins(1))
    }

    /// The figures of the run that is on.
    pub(crate) fn figures(&mut self, wait: Duration) -> Value {
        serde_json::from_str(&self.process.wait_at_most("{\"protocol\"", wait)).unwrap()
    }

    /// Asks until all is answered again, after the other end was away.
    pub(crate) fn run_until_clean(&mut self) {
        let deadline = Instant::now() + RETURN_MAX;
        loop {
            let figures = self.run(1, 0.1);
            if figures["answered"] != 0 && figures["answered"] == figures["sent"] {
                return assert_clean(&figures);
            }
            assert!(
                Instant::now() < deadline,
                "no answers {RETURN_MAX:?} after the other end came back: {figures}"
            );
        }
    }

    /// Asks one at a time and many at once, and demands that every answer is right.
    pub(crate) fn assert_answered(&mut self) {
        for window in [1, 7, 256] {
            assert_clean(&self.run(window, 0.1));
        }
    }
}

/// Every question had its answer, once and right, and nothing else came.
pub(crate) fn assert_clean(figures: &Value) {
    assert!(figures["sent"] != 0 && figures["sent"] == figures["answered"], "{figures}");
    for key in ["lost", "late", "duplicated", "corrupted", "foreign"] {
        assert_eq!(figures[key], 0, "{key}: {figures}");
    }
}
