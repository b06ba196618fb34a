//! DPDK's `testpmd` as a server: what a kernel-bypass toolkit does on the same cable, with the same AF_XDP below it.
//!
//! Its two modes that answer: `icmpecho` answers pings (and ARP), `5tswap` swaps addresses and ports of anything. They
//! verify no checksum and ask for no address of their own. One worker spins on the server's core; the main thread sleeps
//! there, reading its standard input.
//!
//! It wants no huge pages and no devices here (`--no-huge`, `--no-pci`), and leaves nothing behind: its runtime
//! directory is the demo's, which is removed, and its XDP program goes when it closes the port, or with the cable.

use std::sync::atomic::AtomicBool;

use super::Unmeasured;
use super::link::{Cable, Hosts, Medium};
use super::outside::{Running, TESTPMD};
use super::serving::Served;
use crate::error::Error;

/// Memory for it, in MiB: its packet buffers of 2,176 bytes take 18, and DPDK itself some more. Too little and it
/// refuses to start.
const MEMORY_MIB: &str = "64";

/// Packet buffers: more than the AF_XDP driver's rings of 2,048 hold together. Fewer and it has none to receive into.
const BUFFERS: &str = "--total-num-mbufs=8192";

/// The line that it says when its worker runs.
const READY: &str = "Press enter to exit";

/// How it forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forward {
    /// Answers echo requests.
    IcmpEcho,
    /// Swaps Ethernet addresses, IP addresses and ports.
    FiveTupleSwap,
}

impl Forward {
    const fn name(self) -> &'static str {
        match self {
            Self::IcmpEcho => "icmpecho",
            Self::FiveTupleSwap => "5tswap",
        }
    }
}

/// The program at work.
#[derive(Debug)]
pub(super) struct Testpmd {
    running: Running,
    medium: Medium,
    forward: Forward,
    mode: String,
}

impl Testpmd {
    /// Starts it on a cable's end.
    pub(super) fn start(
        hosts: &Hosts,
        cable: &Cable,
        forward: Forward,
        stop: &AtomicBool,
    ) -> Result<Self, Unmeasured> {
        let core = hosts.server_core;
        if cable.medium == Medium::Memory {
            // It does not listen where a file lies that one before it has left, which it does where it died of a client that
            // left. In most cases there is none.
            let _absent = std::fs::remove_file(hosts.memif_socket());
        }
        let mut command = TESTPMD.command()?;
        command.env("RUNTIME_DIRECTORY", &hosts.directory.0);
        // Its main thread and its one worker, on one core.
        command.args(["-v", "--lcores", &format!("0@{core},1@{core}")]);
        command.args(["--no-huge", "-m", MEMORY_MIB, "--no-pci", "--no-telemetry", "--no-shconf"]);
        command.args(["--vdev", &device(hosts, cable)]);
        command.args(["--", &format!("--forward-mode={}", forward.name()), BUFFERS]);
        let mut running = Running::start(TESTPMD, command, hosts.server_of(cable), core)?;
        running.wait_for(READY, stop)?;
        let mode = mode(hosts, cable)?;
        Ok(Self { running, medium: cable.medium, forward, mode })
    }

    /// Ends it, by the end of its standard input.
    pub(super) fn stop(self) -> Result<Served, Error> {
        let said = self.running.end()?;
        let version = said.iter().find_map(|line| version(line)).unwrap_or("DPDK");
        let driver = if self.medium == Medium::Memory { "net_memif" } else { "net_af_xdp" };
        let server = format!("{version} testpmd {} over {driver}, spinning", self.forward.name());
        Ok(Served::new(server, self.mode))
    }
}

/// The device that it opens: the cable's interface, or the socket of the memory.
fn device(hosts: &Hosts, cable: &Cable) -> String {
    match cable.medium {
        Medium::Memory => {
            format!("net_memif0,role=server,socket-abstract=no,socket={}", hosts.memif_socket().display())
        }
        Medium::Veth | Medium::Loopback => format!("net_af_xdp0,iface={}", cable.name),
    }
}

/// Where its program runs, as the kernel says.
fn mode(hosts: &Hosts, cable: &Cable) -> Result<String, Error> {
    if cable.medium == Medium::Memory {
        return Ok("memif".to_owned());
    }
    let link = hosts.server.run(|| host::links::link(cable.name))??;
    Ok(link.program.map_or_else(|| "AF_XDP".to_owned(), |program| format!("AF_XDP {}", program.mode)))
}

/// `DPDK 22.11.11` of `EAL: RTE Version: 'DPDK 22.11.11'`.
fn version(line: &str) -> Option<&str> {
    line.split_once("RTE Version: '")?.1.strip_suffix('\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_and_the_ready_line_are_found_in_what_it_says() {
        let said = include_str!("testpmd/said.txt");
        assert_eq!(said.lines().find_map(version), Some("DPDK 22.11.11"));
        assert!(said.lines().any(|line| line.contains(READY)));
        assert_eq!(version("EAL: Detected CPU lcores: 2"), None);
    }
}
