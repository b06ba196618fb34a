//! What becomes of a frame.

use telemetry::{Counter, Reason};
use wire::ethernet;
use wire::parse::Fault;

/// What becomes of a frame. Each one is counted exactly once.
///
/// Small enough for a register: it is handed from function to function for every packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer stands in the frame.
    Reply {
        /// How long it is, padding to the shortest frame included. No frame is longer than 65,535 bytes.
        len: usize,
        /// What kind of answer it is.
        counter: Counter,
    },
    /// Not ours to judge: the stack behind gets the frame unchanged. Where none is, the reason counts as a drop.
    Pass(Reason),
    /// Nothing is answered.
    Drop(Reason),
}

impl Verdict {
    /// The same where what follows the answer was cleared before, as [`Summer::sum_and_clear`] does.
    ///
    /// [`Summer::sum_and_clear`]: wire::checksum::Summer::sum_and_clear
    #[inline(always)]
    pub(crate) fn reply_cleared(end: usize, counter: Counter) -> Self {
        Self::Reply { len: ethernet::cleared_len(end), counter }
    }

    /// The verdict on a frame in which an answer stands from its first byte to `end`: the rest is padded.
    #[inline(always)]
    pub(crate) fn reply(room: &mut [u8], end: usize, counter: Counter) -> Self {
        Self::Reply { len: ethernet::pad(room, end), counter }
    }
}

/// The verdict on a frame that cannot be read: what is wrong ends here, what is merely out of the ordinary is passed on.
#[cold]
#[inline(never)]
pub fn verdict_of(fault: Fault) -> Verdict {
    match fault {
        Fault::FrameTruncated => Verdict::Drop(Reason::FrameTruncated),
        Fault::EtherTypeUnknown => Verdict::Pass(Reason::EtherTypeUnknown),
        Fault::VlanTooDeep => Verdict::Pass(Reason::VlanTooDeep),
        Fault::ArpMalformed => Verdict::Drop(Reason::ArpMalformed),
        Fault::Ipv4Version => Verdict::Drop(Reason::Ipv4Version),
        Fault::Ipv4Length => Verdict::Drop(Reason::Ipv4Length),
        Fault::Ipv4Checksum => Verdict::Drop(Reason::Ipv4Checksum),
        Fault::Ipv4Options => Verdict::Pass(Reason::Ipv4Options),
        Fault::Ipv4Fragment => Verdict::Pass(Reason::Ipv4Fragment),
        Fault::Ipv6Version => Verdict::Drop(Reason::Ipv6Version),
        Fault::Ipv6Length => Verdict::Drop(Reason::Ipv6Length),
        Fault::Ipv6Extension => Verdict::Pass(Reason::Ipv6Extension),
        Fault::ProtocolUnknown => Verdict::Pass(Reason::ProtocolUnknown),
        Fault::IcmpLength => Verdict::Drop(Reason::IcmpLength),
        Fault::UdpLength => Verdict::Drop(Reason::UdpLength),
        Fault::NdpMalformed => Verdict::Drop(Reason::NdpMalformed),
    }
}
