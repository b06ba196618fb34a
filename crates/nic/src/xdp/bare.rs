//! Programs that do as little as a program can: what everything else is measured against.
//!
//! [`Bare::Swap`] answers in the driver by swapping addresses and checks nothing (`bpf/swap.c` says what that means);
//! nothing that answers on a link can be faster. It is no server. `barelane demo` attaches it on a cable of its own,
//! and [`Bare::Pass`] on the cable's other end, without which a veth does not deliver what `XDP_TX` sends.

use std::os::fd::{AsFd, OwnedFd};

use super::error::XdpError;
use super::program::{self, Mode, ModeChoice};

mod pass;
mod swap;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    /// Sends UDP over IPv4 and ICMP echo requests back with their addresses swapped, and passes the rest.
    Swap,
    /// Passes everything.
    Pass,
    /// Drops everything: an end of a cable that only counts.
    Drop,
    /// Sends everything back as it came. No answer, but what a [`Generator`](super::generator::Generator) sends by.
    Send,
}

/// The instructions of `return ACTION`, which need no compiler: `r0 = ACTION`, `exit`.
const fn always(action: u64) -> [u64; 2] {
    [action << 32 | 0xb4, 0x95]
}

/// The instructions of `return random() < threshold ? XDP_TX : XDP_DROP`, which need no compiler either: a call of
/// `bpf_get_prandom_u32`, a jump over two if 32 bits of r0 are below, and the two returns.
pub(super) const fn sometimes(threshold: u32) -> [u64; 6] {
    let [drop, exit] = always(1);
    let [send, _] = always(3);
    [7 << 32 | 0x85, (threshold as u64) << 32 | 2 << 16 | 0xa6, drop, exit, send, exit]
}

/// `XDP_DROP` and `XDP_TX` of `enum xdp_action`.
static DROP: [u64; 2] = always(1);
static SEND: [u64; 2] = always(3);

impl Bare {
    /// What the kernel, `bpftool` and `ip link` call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Swap => "barelane_swap",
            Self::Pass => "barelane_pass",
            Self::Drop => "barelane_drop",
            Self::Send => "barelane_send",
        }
    }

    pub(super) fn instructions(self) -> &'static [u64] {
        match self {
            Self::Swap => &swap::INSTRUCTIONS,
            Self::Pass => &pass::INSTRUCTIONS,
            Self::Drop => &DROP,
            Self::Send => &SEND,
        }
    }
}

/// A bare program in force. Dropping it detaches.
#[derive(Debug)]
pub struct BareAttachment {
    _link: OwnedFd,
    mode: Mode,
}

impl BareAttachment {
    /// Where the program runs.
    pub fn mode(&self) -> Mode {
        self.mode
    }
}

/// Attaches a bare program to an interface of the calling thread's network namespace, where no other is.
pub fn attach(
    bare: Bare,
    interface: &str,
    ifindex: u32,
    mode: ModeChoice,
) -> Result<BareAttachment, XdpError> {
    let loaded = program::load(bare.name(), bare.instructions())?;
    let attached = program::attach(loaded.as_fd(), interface, ifindex, mode)?;
    Ok(BareAttachment { _link: attached.link, mode: attached.mode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_by_hand_is_what_the_compiler_writes() {
        assert_eq!(always(2), pass::INSTRUCTIONS);
    }
}
