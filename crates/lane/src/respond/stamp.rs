//! The STAMP session-reflector (RFC 8762 section 4.3), stateless, in the mode that the tables say: authenticated where they
//! have a key.
//!
//! T2 is when the lane found the packet: the clock is read when the first one of a burst is to be answered, and stands for
//! all of that burst, so that waiting behind others is residence too. The instant that the turn was given will not do. It
//! is read before the ring is, and where the core is taken away between the two, a packet that comes meanwhile would have
//! been received before it was sent (seen on two busy cores, 5 ms). T3 is read when all else is done: the answer is
//! written, its headers are turned round, its checksum is summed but for T3 itself. After T3 come the signature, which
//! covers it, and the hand-over to the ring. Their difference is counted on the lane's page as it is sent, so that the two
//! can be compared. It is never zero: what takes less than the clock's step takes a nanosecond.

use route::{Class, LaneTables, ShortPackets};
use telemetry::{Clock, Counter, Reason, Tick};
use wire::checksum::Sum;
use wire::headers::{Headers, Kind};
use wire::stamp::{self, Format, Key, Received, ReflectorPacket, ReflectorPacketAuthenticated, Timestamp};
use wire::udp;

use super::datagram::{self, Question};
use super::{IMPOSSIBLE, State};
use crate::verdict::{Answer, Reply, Verdict};

/// The length of an unauthenticated base packet, as the lengths of datagrams are kept.
const BASE_LEN: u16 = 44;

const _: () = assert!(ReflectorPacket::LEN == BASE_LEN as usize);

/// Answers a packet, in place. Written out once for each family, which the caller's `kind` is a constant for.
#[inline(always)]
pub(super) fn answer<C: Clock>(
    kind: Kind,
    class: Class,
    [network, end]: [usize; 2],
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Verdict {
    let headers = Headers { network, end, selector: 0, kind };
    Verdict::of(reflect(class, headers, room, tables, state, now))
}

#[inline(always)]
fn reflect<C: Clock>(
    class: Class,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Answer {
    state.find(now);
    let question = datagram::admit(class, headers, room, tables, state)?;
    let key = tables.stamp_key.as_deref();
    let headers = check(question.headers, room, tables)?;
    let question = Question { headers, ..question };
    let received = state.received(question.ttl);
    write(headers, room, &received, key).ok_or(IMPOSSIBLE)?;
    datagram::turn_round(class, &question, room, tables, state)?;
    let sum = udp::begin_checksum(room, headers, &tables.checksum).ok_or(IMPOSSIBLE)?;
    let sent = state.sent();
    let written = stamp(headers, room, sent, key).ok_or(IMPOSSIBLE)?;
    udp::finish_checksum(room, headers, sum + written).ok_or(IMPOSSIBLE)?;
    Ok(Reply::cleared(headers.end, Counter::RepliedStamp))
}

/// Whether this is a packet of the mode that is served. Gives the headers of the answer, which is as long as the question,
/// but no shorter than a base packet (section 4.6).
#[inline(always)]
fn check(headers: Headers, room: &mut [u8], tables: &LaneTables) -> Result<Headers, Verdict> {
    let payload = udp::payload(room, headers).ok_or(IMPOSSIBLE)?;
    match tables.stamp_key.as_deref() {
        None if payload.len() >= ReflectorPacket::LEN => Ok(headers),
        None if payload.len() < stamp::LEN_MIN => Err(Verdict::Drop(Reason::StampMalformed)),
        None if tables.short_packets == ShortPackets::Drop => Err(Verdict::Drop(Reason::StampShort)),
        None => udp::lengthen(room, headers, BASE_LEN).ok_or(Verdict::Drop(Reason::TailroomMissing)),
        Some(_) if payload.len() < ReflectorPacketAuthenticated::LEN => {
            Err(Verdict::Drop(Reason::StampMalformed))
        }
        Some(key) if !stamp::is_authentic(payload, key) => Err(Verdict::Drop(Reason::StampHmac)),
        Some(_) => Ok(headers),
    }
}

/// Writes the answer but for T3.
#[inline(always)]
fn write(headers: Headers, room: &mut [u8], received: &Received, key: Option<&Key>) -> Option<()> {
    let payload = udp::payload_mut(room, headers)?;
    match key {
        None => stamp::reflect(payload, received),
        Some(key) => stamp::reflect_authenticated(payload, received, key),
    }
}

/// Writes T3, and what depends on it. Gives the sum of what was written, over zeros and at even offsets.
#[inline(always)]
fn stamp(headers: Headers, room: &mut [u8], sent: Timestamp, key: Option<&Key>) -> Option<Sum> {
    let payload = udp::payload_mut(room, headers)?;
    let sum = Sum::of(&sent.0.to_bytes());
    let Some(key) = key else {
        stamp::stamp(payload, sent)?;
        return Some(sum);
    };
    stamp::stamp_authenticated(payload, sent, key)?;
    Some(sum + Sum::of(&ReflectorPacketAuthenticated::of(payload, 0)?.hmac))
}

impl<C: Clock> State<C> {
    /// Notes when the first packet of the turn that began at `turn` was found: before it is looked at, for what that takes is
    /// residence too.
    #[inline(always)]
    fn find(&mut self, turn: Tick) {
        if self.found.0 != turn {
            self.found = (turn, self.clock.now());
        }
    }

    /// What an answer says of a question of this turn.
    #[inline(always)]
    fn received(&self, ttl: u8) -> Received {
        let timestamp = Timestamp::new(self.wall.at(self.found.1).0, Format::Ntp);
        Received { timestamp, error_estimate: self.error_estimate, ttl }
    }

    /// T3 of the answer to it: now. Counts the time since it was found.
    #[inline(always)]
    fn sent(&mut self) -> Timestamp {
        let received = self.wall.at(self.found.1).0;
        let sent = self.wall.at(self.clock.now()).0;
        let residence = sent.saturating_sub(received).max(1);
        self.page.residence.record(residence);
        Timestamp::new(received.wrapping_add(residence), Format::Ntp)
    }
}
