//! Whether answers say when they left, by which clock, and from when that is counted.
//!
//! The kernel says it of what it sends as a copy. Whether the driver takes packets without copies, and whether the kernel takes metadata with
//! them, is known when the card is opened, and refused there.

use nic::xdp::{ArrivalStamps, TransmitStamps, ZeroCopyChoice};

use super::{CardPlan, Facts, Plan};
use crate::config::Config;
use crate::config::keys::{TRANSMIT_STAMPS, ZERO_COPY};
use crate::error::Wrong;

/// Who stamps departures.
pub(super) fn stamps(config: &Config, facts: &Facts) -> Result<TransmitStamps, Wrong> {
    let stamps = config.nic.transmit_stamps;
    let wrong = Wrong::new(TRANSMIT_STAMPS, "kernel");
    match stamps {
        TransmitStamps::Kernel if facts.is_memif() => {
            Err(wrong.because("no kernel stands behind a queue in shared memory").remedy("write none"))
        }
        TransmitStamps::Kernel if config.nic.zero_copy == ZeroCopyChoice::Yes => {
            Err(without_copies(&config.nic.interface))
        }
        TransmitStamps::None | TransmitStamps::Kernel => Ok(stamps),
    }
}

/// What is said where the card would stamp by its own clock.
pub(crate) fn without_copies(interface: &str) -> Wrong {
    let problem = format!(
        "{interface} sends without copies, so that its card would stamp, by a clock of its own that nobody follows here"
    );
    let remedy = format!("write none, or {ZERO_COPY} = no");
    Wrong::new(TRANSMIT_STAMPS, "kernel").because(problem).remedy(remedy)
}

/// What the kernel does to others by the way. Where it is to write a stamp it keeps in the packet itself, where a receiver of the same host
/// would find a hardware stamp (`xsk_meta` and `hwtstamps` are one place in `struct skb_shared_info`, 6.18).
pub(super) fn warning(plan: &Plan) -> Option<String> {
    let is_seen = plan.facts.is_veth() && plan.card.departures() == TransmitStamps::Kernel;
    is_seen.then(|| {
        format!(
            "{TRANSMIT_STAMPS}: who receives at the other end of a veth and asks for hardware stamps gets an address of the kernel's memory in \
             their place (Linux 6.18)"
        )
    })
}

/// What is known of answers that have left.
pub(super) fn explain(card: &CardPlan) -> String {
    let since = match card.arrivals() {
        ArrivalStamps::None => "the beginning of the lane's turn",
        ArrivalStamps::Program => "the question's arrival stamp",
    };
    match card.departures() {
        TransmitStamps::None => "nobody says when answers leave".to_owned(),
        TransmitStamps::Kernel => format!(
            "the kernel stamps lanes' answers when it frees the buffer that it has sent a copy from, counted from {since} (transmit_residence)"
        ),
    }
}
