//! The areas of what the card counts itself: what the kernel has of every interface (`link`), and what its driver has by names
//! of its own (`nic`). Both stand there a second time as they were when the segment was made, and then never change.

use host::links::{LINK_COUNTER_COUNT, LINK_COUNTERS};

use super::image::Image;

/// Parts of the names of numbers that say that frames were lost. Drivers' names have no rule; these are parts of those that drivers in
/// Linux 6.18 have for it, and of few others.
const LOSSES: [&str; 16] = [
    "drop",
    "err",
    "miss",
    "discard",
    "fifo",
    "over_",
    "overrun",
    "overflow",
    "no_buf",
    "nobuf",
    "no_desc",
    "no_dma",
    "fail",
    "exhaust",
    "out_of_buffer",
    "full",
];

/// What is dropped by an XDP program is no loss but its verdict: Barelane's own, which counts it with its reason.
const VERDICT: &str = "xdp_drop";

/// Whether a number of this name counts frames that were lost, as far as names say.
pub(crate) fn is_loss(name: &str) -> bool {
    !name.contains(VERDICT) && LOSSES.iter().any(|part| name.contains(part))
}

/// What a card has counted since it came to be, at one look.
#[derive(Clone, Debug, Default)]
pub(crate) struct NicCounts {
    /// When it was looked at, since 1970.
    pub read_unix_ns: u64,
    /// What the kernel has, one number for each of [`LINK_COUNTERS`].
    pub link: [u64; LINK_COUNTER_COUNT],
    /// What the driver has, each by its name.
    pub statistics: Vec<(String, u64)>,
    /// How many more the driver has.
    pub left_out: u64,
}

/// The area of what the kernel counts of the interface.
pub(crate) fn link(image: &mut Image, counts: &NicCounts) {
    image.gauge("read", "ns", "When the card was asked, since 1970: once a second.", counts.read_unix_ns);
    let sentence = "How many numbers its driver has that do not stand in the area nic.";
    image.gauge("statistics_left_out", "statistics", sentence, counts.left_out);
    for (counter, count) in LINK_COUNTERS.iter().zip(counts.link) {
        image.count(counter.name, counter.unit, counter.sentence, count);
    }
}

/// The area of what the driver counts.
pub(crate) fn statistics(image: &mut Image, counts: &NicCounts) {
    let sentence = "What the driver calls so; the kernel does not tell what it means.";
    for (name, number) in &counts.statistics {
        image.count(name, "", sentence, *number);
    }
}

#[cfg(test)]
mod tests {
    use super::is_loss;

    #[test]
    fn the_names_of_losses_are_known_in_the_words_of_many_drivers() {
        for name in [
            "rx_queue_0_drops",
            "rx_out_of_buffer",
            "rx_missed_errors",
            "rx_no_buffer_count",
            "rx_fifo_errors",
            "tx_timeout_fail",
            "rx_over_errors",
            "rx_discards_phy",
            "rx_no_dma_resources",
            "alloc_rx_buff_failed",
        ] {
            assert!(is_loss(name), "{name}");
        }
        for name in [
            "rx_packets",
            "tx_bytes",
            "peer_ifindex",
            "rx_queue_0_xdp_redirect",
            "recover",
            "collisions",
            "rx_queue_0_xdp_drops",
            "rx0_xdp_drop",
        ] {
            assert!(!is_loss(name), "{name}");
        }
    }
}
