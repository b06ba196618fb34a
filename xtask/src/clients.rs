//! The third-party clients that the tests need, and how they come here: as packages of the distribution, of Python's or Node's
//! index, or of Rust's, which takes some minutes of compiling the first time. One client is our own, around a library of others.
//!
//! Nobody has to install anything by hand. Where apt or root is missing, what is missing is named, and the tests
//! that need it are left out by name.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::step::{cargo, line, output, run};
use crate::workspace;

mod compiled;

/// One third-party program, the package that has it, and how the package comes here.
#[derive(Debug)]
pub(crate) struct Client {
    /// What is run.
    pub(crate) program: &'static str,
    /// Debian's package.
    pub(crate) package: &'static str,
    /// Part of the name of every test that needs it: what is left out where it is not to be had.
    pub(crate) tests: &'static str,
    /// How it comes here.
    home: Home,
}

#[derive(Debug, PartialEq, Eq)]
enum Home {
    /// Installed, as `apt-get install` does.
    System,
    /// Unpacked below the build directory: Debian lets only one package of that program's name be installed.
    Unpacked,
    /// From Python's index, in this version, below the build directory, so that the system's own Python stays as it is.
    Python(&'static str),
    /// From Node's index, in this version, below the build directory. Nothing of the package is run while it comes.
    Node(&'static str),
    /// From Rust's index, in this version, with the dependencies that it was published with; built and put below the build
    /// directory.
    Rust(&'static str),
    /// From our own source `xtask/clients/NAME.c`, with the package's library, below the build directory.
    Compiled,
}

const fn installed(program: &'static str, package: &'static str, tests: &'static str) -> Client {
    Client { program, package, tests, home: Home::System }
}

/// Every client of the tests.
pub(crate) const CLIENTS: &[Client] = &[
    installed("/usr/bin/ping", "iputils-ping", "ping_of_iputils"),
    installed("/usr/sbin/arping", "arping", "arping_of_habets"),
    Client {
        program: "usr/bin/arping",
        package: "iputils-arping",
        tests: "arping_of_iputils",
        home: Home::Unpacked,
    },
    installed("/usr/bin/fping", "fping", "fping"),
    installed("/usr/bin/ndisc6", "ndisc6", "ndisc6"),
    installed("/usr/bin/nping", "nmap", "nping"),
    installed("/usr/sbin/hping3", "hping3", "hping3"),
    installed("/usr/bin/python3", "python3", "scapy"),
    installed("/usr/lib/python3/dist-packages/pip", "python3-pip", "scapy"),
    Client {
        program: "hdrh/__init__.py",
        package: "hdrhistogram",
        tests: "hdrhistogram_of_python",
        home: Home::Python("0.10.3"),
    },
    Client { program: "scapy/__init__.py", package: "scapy", tests: "scapy", home: Home::Python("2.8.0") },
    SOCKPERF,
    installed("/usr/bin/tshark", "tshark", "tshark"),
    Client {
        program: "bin/stamp-suite",
        package: "stamp-suite",
        tests: "stamp_suite",
        home: Home::Rust("1.0.0"),
    },
    installed("/usr/sbin/ip", "iproute2", "another_kernel"),
    installed("/usr/bin/strace", "strace", "strace"),
    installed("/usr/sbin/ethtool", "ethtool", "ethtool"),
    TESTPMD,
    DPDK_ASK,
    installed("/usr/bin/prometheus", "prometheus", "prometheus"),
    installed("/usr/bin/promtool", "prometheus", "prometheus"),
    installed("/usr/bin/chromium", "chromium", "chromium"),
    installed("/usr/bin/curl", "curl", "curl"),
    installed("/usr/bin/openssl", "openssl", "openssl"),
    installed("/usr/bin/npm", "npm", "axe_core"),
    Client {
        program: "node_modules/axe-core/axe.min.js",
        package: "axe-core",
        tests: "axe_core",
        home: Home::Node("4.14.1"),
    },
];

/// What the demo compares with: a kernel-bypass toolkit's own test program.
pub(crate) const TESTPMD: Client = installed("/usr/bin/dpdk-testpmd", "dpdk-dev", "testpmd");

/// What asks over memif, and over anything else that DPDK has a driver for.
pub(crate) const DPDK_ASK: Client =
    Client { program: "dpdk-ask", package: "libdpdk-dev", tests: "dpdk_ask", home: Home::Compiled };

/// What the demo compares with, and another client that asks.
pub(crate) const SOCKPERF: Client = installed("/usr/bin/sockperf", "sockperf", "sockperf");

/// What counts instructions.
pub(crate) const VALGRIND: Client = installed("/usr/bin/valgrind", "valgrind", "instructions");

/// What compiles the XDP program.
pub(crate) const CLANG: Client = installed("/usr/bin/clang-14", "clang-14", "bpf");

impl Client {
    /// Where the program is, or will be.
    pub(crate) fn path(&self) -> PathBuf {
        match self.home {
            Home::System => Path::new("/").join(self.program),
            Home::Unpacked | Home::Python(_) | Home::Node(_) | Home::Rust(_) | Home::Compiled => {
                tools().join(self.package).join(self.program)
            }
        }
    }

    fn is_here(&self) -> bool {
        match self.home {
            Home::Compiled => compiled::is_current(&self.path()),
            _ => self.path().exists(),
        }
    }

    /// Whether apt is what it takes to bring it here.
    fn is_from_debian(&self) -> bool {
        match self.home {
            Home::System | Home::Unpacked => true,
            Home::Python(_) | Home::Node(_) | Home::Rust(_) => false,
            Home::Compiled => !compiled::can_compile(),
        }
    }
}

/// Where unpacked clients live. The tests are told by the variable `BARELANE_TOOLS`.
pub(crate) fn tools() -> PathBuf {
    workspace::target().join("tools")
}

/// Installs what is missing of `wanted` and says so. Gives what could not be had, each with the reason.
pub(crate) fn provide(wanted: &[&'static Client]) -> Vec<(&'static Client, String)> {
    let missing: Vec<_> = wanted.iter().copied().filter(|client| !client.is_here()).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    if missing.iter().any(|client| client.is_from_debian())
        && let Err(error) = update()
    {
        return missing.into_iter().map(|client| (client, format!("{error:#}"))).collect();
    }
    let results = missing.into_iter().map(|client| (client, bring(client)));
    results.filter_map(|(client, result)| Some((client, format!("{:#}", result.err()?)))).collect()
}

/// Brings apt's lists up to date: a new machine has none.
fn update() -> Result<()> {
    ensure!(is_root(), "not root, so nothing can be installed");
    ensure!(Path::new("/usr/bin/apt-get").exists(), "no apt-get here: install the packages by hand");
    shown(&mut apt(&["update"]))
}

fn bring(client: &Client) -> Result<()> {
    match client.home {
        Home::System => shown(&mut apt(&["install", "--yes", "--no-install-recommends", client.package]))?,
        Home::Unpacked => unpack(client.package)?,
        Home::Python(version) => shown(&mut pip(client.package, version))?,
        Home::Node(version) => shown(&mut npm(client.package, version))?,
        Home::Rust(version) => cargo_install(client.package, version)?,
        Home::Compiled => compiled::bring(client)?,
    }
    ensure!(client.is_here(), "the package {} has no {}", client.package, client.program);
    println!("   installed {} for {}", client.package, client.program);
    Ok(())
}

/// Unpacks a package below the build directory, without installing it.
fn unpack(package: &str) -> Result<()> {
    let home = tools().join(package);
    std::fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let mut download = apt(&["download", package]);
    shown(download.current_dir(&home))?;
    let archive = home.read_dir()?.flatten().map(|entry| entry.path());
    let archive = archive.filter(|path| path.extension().is_some_and(|ending| ending == "deb")).max();
    let archive = archive.with_context(|| format!("apt-get download {package} left no archive"))?;
    shown(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&home))
}

fn pip(package: &str, version: &str) -> Command {
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-m", "pip", "install", "--quiet", "--root-user-action=ignore", "--target"]);
    command.arg(tools().join(package)).arg(format!("{package}=={version}"));
    command
}

fn npm(package: &str, version: &str) -> Command {
    let mut command = Command::new("/usr/bin/npm");
    command.args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]);
    command.arg(tools().join(package)).arg(format!("{package}@{version}"));
    command
}

/// Builds a program of Rust's index in a build directory of its own, which is not needed again.
fn cargo_install(package: &str, version: &str) -> Result<()> {
    let home = tools().join(package);
    let build = home.join("target");
    let mut command = cargo(&["install", "--quiet", "--locked", "--root"]);
    command.arg(&home).arg("--target-dir").arg(&build).arg(format!("{package}@{version}"));
    println!("   compiling {package} {version}, which takes some minutes");
    shown(&mut command)?;
    std::fs::remove_dir_all(&build).with_context(|| build.display().to_string())
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    // As root, `download` warns that its sandbox user cannot write here; it then works as root.
    command.arg("--quiet=2").args(["-o", "APT::Sandbox::User=root"]).args(arguments);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn shown(command: &mut Command) -> Result<()> {
    println!("   $ {}", line(command));
    let status = run(command)?;
    ensure!(status.success(), "{}: {status}", line(command));
    Ok(())
}

/// Whether this process is root: only then can packages be installed.
fn is_root() -> bool {
    output(Command::new("id").arg("--user")).is_ok_and(|id| id.trim() == "0")
}

/// Whether this process may make network namespaces. Root in a container often may not.
pub(crate) fn can_make_namespaces() -> bool {
    output(Command::new("unshare").args(["--net", "true"])).is_ok()
}
