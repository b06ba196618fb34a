//! What is measured: each row is a cable, who serves on it, and how it is asked.

use probe::Protocol;

use super::asking::Asking;
use super::link::{BARE, Cable, DPDK, DRIVER, KERNEL, LANE, LOOPBACK, MEMORY, Medium, POLL};
use super::outcome::Page;
use super::outside::Program;
use super::serving::{ClientsEnd, Forward, PORT, STAMP_PORT, Serve, Wait};

/// One row of the table.
#[derive(Debug)]
pub(super) struct Row {
    /// What people read.
    pub(super) title: &'static str,
    /// What programs read.
    pub(super) name: &'static str,
    pub(super) cable: &'static Cable,
    pub(super) serve: Serve,
    pub(super) ask: Asking,
    /// The row that its ratio is taken against, by name: one that the same client asks.
    pub(super) against: &'static str,
}

/// What most others are compared with: what anyone would write first.
pub(super) const REFERENCE: &str = "kernel_udp_blocking";

const ICMP: Asking = Asking::Socket(Protocol::Icmp);
const UDP: Asking = Asking::Socket(Protocol::Udp { port: PORT });
const ICMP_BY_XDP: Asking = Asking::Card(Protocol::Icmp);
const UDP_BY_XDP: Asking = Asking::Card(Protocol::Udp { port: PORT });
const UDP_IN_MEMORY: Asking = Asking::Memory(Protocol::Udp { port: PORT });
const STAMP: Asking = Asking::Socket(Protocol::Stamp { port: STAMP_PORT });
const SWAP: Serve = Serve::Swap(ClientsEnd::Pass);
const IN_DRIVER: Serve = Serve::Driver(ClientsEnd::Pass);

/// All rows, in the order of the table and of a round.
pub(super) static ROWS: &[Row] = &[
    row("kernel, ICMP echo", "kernel_icmp", &KERNEL, Serve::Kernel, ICMP),
    row("kernel, UDP echo, blocking", REFERENCE, &KERNEL, Serve::Echo(Wait::Block), UDP),
    row("kernel ICMP, by AF_XDP", "kernel_icmp_asked_by_xdp", &KERNEL, Serve::Kernel, ICMP_BY_XDP),
    row(
        "kernel, blocking, by AF_XDP",
        "kernel_udp_blocking_asked_by_xdp",
        &KERNEL,
        Serve::Echo(Wait::Block),
        UDP_BY_XDP,
    ),
    row("kernel, UDP echo, spinning", "kernel_udp_spinning", &KERNEL, Serve::Echo(Wait::Spin), UDP),
    row("kernel, UDP echo, busy-poll", "kernel_udp_busy_poll", &POLL, Serve::Echo(Wait::BusyPoll), UDP),
    row("DPDK testpmd icmpecho", "dpdk_icmpecho", &DPDK, Serve::Testpmd(Forward::IcmpEcho), ICMP),
    row("DPDK testpmd 5tswap", "dpdk_5tswap", &DPDK, Serve::Testpmd(Forward::FiveTupleSwap), UDP),
    row("bare XDP_TX swap, ICMP echo", "bare_xdp_tx_icmp", &BARE, SWAP, ICMP),
    row("bare XDP_TX swap, UDP echo", "bare_xdp_tx_udp", &BARE, SWAP, UDP),
    row(
        "bare XDP_TX swap, by AF_XDP",
        "bare_xdp_tx_udp_asked_by_xdp",
        &BARE,
        Serve::Swap(ClientsEnd::Own),
        UDP_BY_XDP,
    ),
    row("Barelane lane, ICMP echo", "lane_icmp", &LANE, Serve::Lane, ICMP),
    row("Barelane lane, UDP echo", "lane_udp", &LANE, Serve::Lane, UDP),
    row("Barelane lane UDP, by AF_XDP", "lane_udp_asked_by_xdp", &LANE, Serve::Lane, UDP_BY_XDP),
    row("Barelane driver, ICMP echo", "driver_icmp", &DRIVER, IN_DRIVER, ICMP),
    row("Barelane driver, UDP echo", "driver_udp", &DRIVER, IN_DRIVER, UDP),
    row(
        "Barelane driver, by AF_XDP",
        "driver_udp_asked_by_xdp",
        &DRIVER,
        Serve::Driver(ClientsEnd::Own),
        UDP_BY_XDP,
    ),
    row(
        "Barelane driver ICMP, AF_XDP",
        "driver_icmp_asked_by_xdp",
        &DRIVER,
        Serve::Driver(ClientsEnd::Own),
        ICMP_BY_XDP,
    ),
    row("Barelane lane, STAMP", "lane_stamp", &LANE, Serve::Lane, STAMP),
    row("kernel, loopback, blocking", LOOPBACK_REFERENCE, &LOOPBACK, Serve::Echo(Wait::Block), UDP)
        .against(LOOPBACK_REFERENCE),
    row("kernel, loopback, spinning", "loopback_udp_spinning", &LOOPBACK, Serve::Echo(Wait::Spin), UDP)
        .against(LOOPBACK_REFERENCE),
    row(
        "DPDK 5tswap, memif",
        "dpdk_5tswap_memif",
        &MEMORY,
        Serve::Testpmd(Forward::FiveTupleSwap),
        UDP_IN_MEMORY,
    )
    .against(LOOPBACK_REFERENCE),
    row("Barelane lane, ICMP, memif", "memif_icmp", &MEMORY, Serve::Memory, Asking::Memory(Protocol::Icmp))
        .against(LOOPBACK_REFERENCE),
    row("Barelane lane, UDP, memif", "memif_udp", &MEMORY, Serve::Memory, UDP_IN_MEMORY)
        .against(LOOPBACK_REFERENCE),
    row("sockperf, its own server", SOCKPERF_REFERENCE, &KERNEL, Serve::Sockperf, Asking::Sockperf)
        .against(SOCKPERF_REFERENCE),
    row("sockperf, Barelane lane", "lane_sockperf", &LANE, Serve::Lane, Asking::Sockperf)
        .against(SOCKPERF_REFERENCE),
];

/// What is compared with where no cable is between: another path than a memif's, by another client, and what any two programs
/// on one host have.
pub(super) const LOOPBACK_REFERENCE: &str = "loopback_udp_blocking";

/// What is compared with when sockperf's client asks: its own server, at its defaults.
const SOCKPERF_REFERENCE: &str = "sockperf_server";

const fn row(
    title: &'static str,
    name: &'static str,
    cable: &'static Cable,
    serve: Serve,
    ask: Asking,
) -> Row {
    Row { title, name, cable, serve, ask, against: REFERENCE }
}

impl Row {
    const fn against(self, against: &'static str) -> Self {
        Self { against, ..self }
    }

    /// Why its cable cannot be laid on this host, from which these privileges are missing.
    pub(super) fn lacks(&self, privileges: &[&str]) -> Option<String> {
        let needs_a_cable = self.cable.medium == Medium::Veth;
        let lacks = needs_a_cable && !privileges.is_empty();
        lacks.then(|| format!("a link of their own needs root ({})", privileges.join(", ")))
    }

    /// Why it cannot be measured on this host: the program that it needs is not there.
    pub(super) fn missing(&self) -> Option<String> {
        let programs = [self.serve.program(), self.ask.program()];
        programs.into_iter().flatten().find(|program| program.find().is_none()).map(Program::absence)
    }

    /// Whether it stands on the page of the UDP rows: of one kind of question, so that like is drawn beside like.
    pub(super) fn is_drawn_on(&self, page: Page) -> bool {
        let has_cable = self.cable.medium == Medium::Veth;
        let is_there = match page {
            Page::OfCables => has_cable,
            Page::WithoutCables => !has_cable,
            Page::NotWanted => false,
        };
        is_there
            && match self.ask {
                Asking::Socket(protocol) | Asking::Card(protocol) | Asking::Memory(protocol) => {
                    protocol != Protocol::Icmp
                }
                Asking::Sockperf => false,
            }
    }

    /// Whether it is asked in this round, the first being 1. Sockperf's client sleeps for two seconds before it
    /// begins, whatever it is told: it takes part in every other round.
    pub(super) fn is_asked_in(&self, round: u32) -> bool {
        self.ask != Asking::Sockperf || !round.is_multiple_of(2)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::report::RUN_COUNT_MAX;

    #[test]
    fn every_row_has_its_own_name_and_title_and_is_compared_with_one_that_exists() {
        let names: BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        let titles: BTreeSet<_> = ROWS.iter().map(|row| row.title).collect();
        assert_eq!((names.len(), titles.len()), (ROWS.len(), ROWS.len()));
        assert!(ROWS.iter().all(|row| names.contains(row.against)));
    }

    #[test]
    fn a_page_has_room_for_all_rows_that_are_drawn() {
        for page in [Page::OfCables, Page::WithoutCables] {
            let count = ROWS.iter().filter(|row| row.is_drawn_on(page)).count();
            assert!((2..=RUN_COUNT_MAX).contains(&count), "{page:?}: {count}");
        }
    }

    #[test]
    fn a_row_and_what_it_is_compared_with_are_asked_by_the_same_client_in_the_same_rounds() {
        for row in ROWS {
            let against = ROWS.iter().find(|other| other.name == row.against).unwrap();
            for round in 1..=5 {
                assert!(!row.is_asked_in(round) || against.is_asked_in(round), "{}", row.name);
            }
            assert_eq!(row.ask == Asking::Sockperf, against.ask == Asking::Sockperf, "{}", row.name);
            // What has no cable is measured without privileges, and so is what it is compared with.
            let is_veth = |row: &Row| row.cable.medium == Medium::Veth;
            assert_eq!(is_veth(row), is_veth(against), "{}", row.name);
        }
    }
}
