//! How much memory a lane takes, and on which NUMA node.

use nic::memif::{self, Role};
use nic::xdp::{Layout, Settings};
use telemetry::SharedStreams;

use super::{CardPlan, Plan};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const HUGE_PAGE: usize = 2 * MIB;

/// The bytes of one slot of the fill, receive, transmit and completion ring (`struct xdp_desc`, and an address).
const ADDRESS_SIZE: usize = 8;
const DESCRIPTOR_SIZE: usize = 16;

impl Plan {
    /// What each lane takes, in a line.
    pub(super) fn explain_memory(&self) -> String {
        let compiled = self.routes.compiled();
        let sizes = [compiled.lookup4().size(), compiled.lookup6().size(), compiled.refinements().size()];
        let tables = bytes(sizes.iter().sum());
        let card = match &self.card {
            CardPlan::Xdp(settings) => self.of_card(settings),
            CardPlan::Memif(settings) => of_memif(settings),
        };
        format!("a lane: {card}; {tables} of tables{}", self.of_streams())
    }

    fn of_streams(&self) -> String {
        match self.config.lane.streams as usize {
            0 => String::new(),
            count => format!("; {} of streams", bytes(count * SharedStreams::PLACE_SIZE)),
        }
    }

    fn of_card(&self, settings: &Settings) -> String {
        let Ok(layout) = Layout::new(settings.ring_size, settings.mtu, &settings.interface) else {
            return "as much as its rings need".to_owned();
        };
        let (packets, rings) = (bytes(layout.size()), bytes(rings_size(layout)));
        format!("{packets} of packets {}, {}; {rings} of rings", self.node(), self.pages(layout.size()))
    }

    /// How many huge pages its lanes take, where there are enough of them.
    pub(super) fn huge_pages(&self) -> u64 {
        let CardPlan::Xdp(settings) = &self.card else { return 0 };
        let layout = Layout::new(settings.ring_size, settings.mtu, &settings.interface);
        let wanted = layout.map_or(0, |layout| self.huge_pages_wanted(layout.size()));
        let free = self.facts.topology.huge_pages_free.unwrap_or(0);
        if wanted <= free { wanted } else { 0 }
    }

    fn huge_pages_wanted(&self, size: usize) -> u64 {
        (size.div_ceil(HUGE_PAGE) * self.lanes.len()) as u64
    }

    /// Packet memory is bound to the card's node, where there is more than one.
    fn node(&self) -> String {
        match self.facts.topology.home {
            _ if self.facts.topology.node_count < 2 => "on the only NUMA node".to_owned(),
            Some(home) => format!("on the card's NUMA node {home}"),
            None => "on the NUMA node of whoever starts the server, since the card's is not known".to_owned(),
        }
    }

    /// In huge pages where there are enough of them for every lane.
    fn pages(&self, size: usize) -> String {
        let wanted = self.huge_pages_wanted(size);
        match self.facts.topology.huge_pages_free {
            None => "in normal pages, as this kernel has none of 2 MiB".to_owned(),
            Some(free) if free >= wanted => format!("in huge pages ({wanted} of {free} free ones for all)"),
            Some(free) => {
                format!("in normal pages where huge ones are too few ({wanted} wanted for all, {free} free)")
            }
        }
    }
}

fn of_memif(settings: &memif::Settings) -> String {
    match settings.role {
        Role::Server => "rings and packets are the client's to make".to_owned(),
        Role::Client => {
            let slots = 2 * settings.ring_size as usize;
            let packets = bytes(slots * settings.buffer_size as usize);
            format!(
                "{packets} of packets and {} of rings, shared with the peer",
                bytes(slots * DESCRIPTOR_SIZE)
            )
        }
    }
}

/// The four rings of a socket; the kernel adds less than a page to each.
const fn rings_size(layout: Layout) -> usize {
    let (receive, transmit) = (layout.ring_size() as usize, layout.transmit_ring_size() as usize);
    (receive + transmit) * (ADDRESS_SIZE + DESCRIPTOR_SIZE)
}

/// In the largest unit of which there is one at least.
fn bytes(count: usize) -> String {
    match count {
        MIB.. => format!("{} MiB", count.div_ceil(MIB)),
        KIB.. => format!("{} KiB", count.div_ceil(KIB)),
        _ => format!("{count} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_largest_unit_and_rounded_up() {
        assert_eq!(
            [999, 1024, 1025, MIB - 1, 8 * MIB].map(bytes),
            ["999 bytes", "1 KiB", "2 KiB", "1024 KiB", "8 MiB"]
        );
    }

    #[test]
    fn rings_are_three_times_their_slots() {
        let layout = Layout::new(2048, 1500, "eth9").unwrap();
        assert_eq!(rings_size(layout), 2048 * 36);
        assert_eq!(layout.size() % MIB, 0);
    }
}
