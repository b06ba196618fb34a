//! What a question says of the stream that it is of: its sequence, and when it was sent.
//!
//! ```text
//!   read ──▶ answer, in place ──▶ was it heard? ──▶ note
//! ```
//!
//! It is read before the answer is written over it, and noted behind that, when all is known that speaks against it: its checksum is
//! right, its sender may ask, and in STAMP's authenticated mode it is signed. What becomes of the answer has nothing to do with its way
//! here. What a limit, an age or a wrong checksum had dropped is not heard, and is missing in its stream.
//!
//! The responders know nothing of this, and a lane without streams pays one comparison for it. To note it within them cost that
//! lane 11 instructions a STAMP packet and 25 a sockperf message, in registers alone.

use route::{Class, LaneTables, Responder};
use telemetry::streams::{Noted, Protocol, Seen, Sequence, StreamKey};
use telemetry::{Clock, Counter, Reason, Tick};
use wire::headers::{Headers, Kind};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::sockperf::Message;
use wire::stamp::{self, ErrorEstimate, SenderPacket, SenderPacketAuthenticated, Timestamp};
use wire::udp::{self, Udp};

use super::{State, answer_datagram};
use crate::verdict::Verdict;

/// What the address of an IPv4 sender begins with in its IPv6 form (RFC 4291 2.5.5.2).
const MAPPED: u128 = 0xffff << 32;

/// Answers a packet as [`answer_datagram`] does, and notes it in its stream.
#[inline(never)]
pub(super) fn answer<C: Clock>(
    kind: Kind,
    class: Class,
    [network, end]: [usize; 2],
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Verdict {
    let headers = |kind| Headers { network, end, selector: 0, kind };
    let asked = match kind {
        Kind::Udpv4 => asked(class.responder, headers(Kind::Udpv4), room, tables),
        _ => asked(class.responder, headers(Kind::Udpv6), room, tables),
    };
    let verdict = answer_datagram(kind, class, [network, end], room, tables, state, now);
    if let Some(asked) = asked.filter(|_| is_heard(verdict)) {
        note(asked, state, now);
    }
    verdict
}

/// Whether a question with this fate has come as it was sent, from whom it says.
const fn is_heard(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Reply { .. }
            | Verdict::Drop(Reason::SockperfSilent | Reason::NextHopUnresolved | Reason::NextHopElsewhere)
    )
}

/// What a question says of its stream.
struct Asked {
    key: StreamKey,
    sequence: Sequence,
    sent_ns: Option<u64>,
}

#[inline(always)]
fn asked(responder: Responder, headers: Headers, room: &[u8], tables: &LaneTables) -> Option<Asked> {
    let payload = udp::payload(room, headers)?;
    if responder == Responder::Sockperf {
        let sequence = Sequence::Wide(Message::of(payload, 0)?.sequence.get());
        return Some(Asked { key: key(headers, room, Protocol::Sockperf, 0)?, sequence, sent_ns: None });
    }
    let Said { sequence, sent_ns, ssid } = said(payload, tables)?;
    let key = key(headers, room, Protocol::Stamp, ssid)?;
    Some(Asked { key, sequence: Sequence::Wrapping(sequence), sent_ns })
}

/// What a STAMP packet says of itself.
struct Said {
    sequence: u32,
    sent_ns: Option<u64>,
    ssid: u16,
}

/// The same where the mode that is served has it.
fn said(payload: &[u8], tables: &LaneTables) -> Option<Said> {
    if tables.stamp_key.is_none() {
        let packet = SenderPacket::of(payload, 0);
        return packet.map_or_else(|| said_in_short(payload), |packet| Some(Said::of(packet)));
    }
    let packet = SenderPacketAuthenticated::of(payload, 0)?;
    let sent_ns = sent_ns(packet.timestamp, packet.error_estimate);
    Some(Said { sequence: packet.sequence.get(), sent_ns, ssid: packet.ssid.get() })
}

impl Said {
    fn of(packet: &SenderPacket) -> Self {
        let sent_ns = sent_ns(packet.timestamp, packet.error_estimate);
        Self { sequence: packet.sequence.get(), sent_ns, ssid: packet.ssid.get() }
    }
}

/// What a packet says that is shorter than a base packet: it is one with zeros behind it, as the reflector lengthens it.
#[cold]
#[inline(never)]
fn said_in_short(payload: &[u8]) -> Option<Said> {
    let mut base = [0; SenderPacket::LEN];
    base.get_mut(..payload.len()).filter(|_| payload.len() >= stamp::LEN_MIN)?.copy_from_slice(payload);
    SenderPacket::of(&base, 0).map(Said::of)
}

/// T1 by the sender's clock; nothing where it has none, or wrote what is no instant.
fn sent_ns(timestamp: Timestamp, error_estimate: ErrorEstimate) -> Option<u64> {
    if timestamp == Timestamp::default() { None } else { timestamp.unix_ns(error_estimate.format()) }
}

#[inline(always)]
fn key(headers: Headers, room: &[u8], protocol: Protocol, ssid: u16) -> Option<StreamKey> {
    let [source, destination] = if headers.kind == Kind::Udpv4 {
        let ip = Ipv4::of(room, headers.network)?;
        [ip.src, ip.dst].map(|address| MAPPED | u128::from(u32::from_be_bytes(address)))
    } else {
        let ip = Ipv6::of(room, headers.network)?;
        [ip.src, ip.dst].map(u128::from_be_bytes)
    };
    let udp = Udp::of(room, headers.transport())?;
    let (source_port, destination_port) = (udp.src.get(), udp.dst.get());
    Some(StreamKey { source, destination, source_port, destination_port, ssid, protocol })
}

/// Notes a question that was heard. It came when its stamp says; where frames are not stamped, when the first one of its turn was
/// found, by the lane's own clock.
#[inline(always)]
fn note<C>(Asked { key, sequence, sent_ns }: Asked, state: &mut State<C>, now: Tick) {
    let Some(streams) = &mut state.streams else { return };
    let found = state.found.1;
    let arrived_ns = match sent_ns {
        Some(_) => state.arrived.unwrap_or_else(|| streams.ns(found)),
        None => 0,
    };
    if streams.note(key, &Seen { sequence, sent_ns, arrived_ns, now }) == Noted::Evicting {
        state.counters.count(Counter::StreamEvicted);
    }
}
