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
        len: u16,
        /// What kind of answer it is.
        counter: Counter,
    },
    /// Not ours to judge: the stack behind gets the frame unchanged. Where none is, the reason counts as a drop.
    Pass(Reason),
    /// Nothing is answered.
    Drop(Reason),
}

const _: () = assert!(size_of::<Verdict>() == 4);

/// An answer that stands in its frame: the usual end of the road.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    /// How long the frame is.
    pub(crate) len: usize,
    /// What kind of answer it is.
    pub(crate) counter: Counter,
}

/// How the road ends: with an answer, or with whatever verdict a function beside the road came to.
///
/// Not a [`Verdict`], since that comes packed into a register from functions that are not inlined; all others would be
/// packed and taken apart likewise, 15 instructions a packet.
pub(crate) type Answer = Result<Reply, Verdict>;

impl Reply {
    /// The answer from the frame's first byte to `end`, where what follows it was cleared before, as
    /// [`Summer::sum_and_clear`] does.
    ///
    /// [`Summer::sum_and_clear`]: wire::checksum::Summer::sum_and_clear
    #[inline(always)]
    pub(crate) fn cleared(end: usize, counter: Counter) -> Self {
        Self { len: ethernet::cleared_len(end), counter }
    }

    /// The answer from the frame's first byte to `end`: the rest is padded.
    #[inline(always)]
    pub(crate) fn padded(room: &mut [u8], end: usize, counter: Counter) -> Self {
        Self { len: ethernet::pad(room, end), counter }
    }
}

impl Verdict {
    /// The verdict that an answer is.
    pub(crate) fn of(answer: Answer) -> Self {
        match answer {
            Ok(Reply { len, counter }) => match u16::try_from(len) {
                Ok(len) => Self::Reply { len, counter },
                Err(_) => Self::Drop(Reason::TailroomMissing),
            },
            Err(verdict) => verdict,
        }
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
