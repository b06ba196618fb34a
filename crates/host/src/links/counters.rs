//! What the kernel counts of an interface (`IFLA_STATS64`): the same numbers for every driver, as far as it fills them in.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, Stats64};

use super::answer;
use crate::HostError;
use crate::netlink::{Ask, ask_route, not_understood};

/// How many numbers there are.
pub const LINK_COUNTER_COUNT: usize = 25;

/// A number that the kernel counts of every interface.
#[derive(Clone, Copy, Debug)]
pub struct LinkCounter {
    /// The kernel's name for it (`struct rtnl_link_stats64`).
    pub name: &'static str,
    /// What it is counted in.
    pub unit: &'static str,
    /// What it means.
    pub sentence: &'static str,
    read: fn(&Stats64) -> u64,
}

macro_rules! counters {
    ($( $name:ident $unit:literal $sentence:literal; )*) => {
        /// Every number, in the order of [`LinkCounts::counts`]; meant as `include/uapi/linux/if_link.h` says.
        pub const LINK_COUNTERS: [LinkCounter; LINK_COUNTER_COUNT] = [
            $( LinkCounter {
                name: stringify!($name), unit: $unit, sentence: $sentence, read: |stats| stats.$name,
            }, )*
        ];
    };
}

counters! {
    rx_packets "frames" "Frames that the card received.";
    tx_packets "frames" "Frames that the card sent.";
    rx_bytes "bytes" "Bytes of the received frames.";
    tx_bytes "bytes" "Bytes of the sent frames.";
    rx_errors "frames" "Frames that the card received and found bad.";
    tx_errors "frames" "Frames that the card could not send.";
    rx_dropped "frames" "Frames received and not processed: no room for them, or a protocol that nobody wanted.";
    tx_dropped "frames" "Frames dropped on their way out: no room for them.";
    multicast "frames" "Multicast frames that the card received.";
    collisions "frames" "Collisions while the card sent.";
    rx_length_errors "frames" "Of rx_errors: a length that cannot be.";
    rx_over_errors "frames" "Of rx_errors: the card had no room where to put them.";
    rx_crc_errors "frames" "Of rx_errors: a checksum of the frame that is wrong.";
    rx_frame_errors "frames" "Of rx_errors: no whole number of bytes.";
    rx_fifo_errors "frames" "Of rx_errors: the card's own memory ran over.";
    rx_missed_errors "frames" "Frames that the card missed, because the host gave it no room.";
    tx_aborted_errors "frames" "Of tx_errors: given up.";
    tx_carrier_errors "frames" "Of tx_errors: the carrier was lost.";
    tx_fifo_errors "frames" "Of tx_errors: the card's own memory ran out.";
    tx_heartbeat_errors "frames" "Of tx_errors: no heartbeat of the transceiver.";
    tx_window_errors "frames" "Of tx_errors: a late collision.";
    rx_compressed "frames" "Compressed frames received.";
    tx_compressed "frames" "Compressed frames sent.";
    rx_nohandler "frames" "Frames received that nobody wanted, on an interface that is only a part of another.";
    rx_otherhost_dropped "frames" "Frames addressed to another host, which the kernel's stack dropped.";
}

/// What was counted of an interface, since it came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCounts {
    /// What the interface is called now.
    pub name: String,
    /// One number for each of [`LINK_COUNTERS`].
    pub counts: [u64; LINK_COUNTER_COUNT],
}

/// What the kernel has counted of the interface of this index so far.
pub fn counts(index: u32) -> Result<LinkCounts, HostError> {
    let asked = format!("read the counters of the interface of index {index}");
    let mut question = LinkMessage::default();
    question.header.index = index;
    let answers = ask_route(RouteNetlinkMessage::GetLink(question), Ask::One(0), &asked)?;
    let told = answers.into_iter().find_map(answer::into_link);
    let told = told.ok_or_else(|| not_understood(&asked, "it describes no interface"))?;
    let name = answer::name_of(&told).ok_or_else(|| not_understood(&asked, "the interface has no name"))?;
    let stats = answer::find(&told, stats_of).ok_or_else(|| not_understood(&asked, "it has no counters"))?;
    Ok(LinkCounts { name, counts: LINK_COUNTERS.map(|counter| (counter.read)(&stats)) })
}

fn stats_of(attribute: &LinkAttribute) -> Option<Stats64> {
    match attribute {
        LinkAttribute::Stats64(stats) => Some(*stats),
        _ => None,
    }
}
