//! STAMP, the Simple Two-Way Active Measurement Protocol (RFC 8762), with its session identifier and TLVs (RFC 8972).
//!
//! A sender stamps a packet when it sends it (T1); a reflector stamps it when it receives it (T2) and when it sends it
//! back (T3). What the packet spent within the reflector is T3 − T2, so that the sender can tell it from the network.
//!
//! ```text
//!   sender     T1 ─────╮                      ╭────▶ T4
//!                      ╰──▶ T2 ╌ residence ╌ T3
//!   reflector
//! ```
//!
//! | packet | unauthenticated, 44 bytes | authenticated, 112 bytes |
//! |---|---|---|
//! | from the sender | [`SenderPacket`] | [`SenderPacketAuthenticated`] |
//! | from the reflector | [`ReflectorPacket`] | [`ReflectorPacketAuthenticated`] |
//!
//! An answer is as long as its question (section 4.2): what follows the base packet are [`tlv`]s, or the padding of a
//! sender of TWAMP Light (section 4.6). The reflector here is stateless: its sequence number is the sender's (section 4).

pub mod key;
pub mod time;
pub mod tlv;

use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub use key::{Key, Signature};
pub use time::{ErrorEstimate, Format, Synchronised, Timestamp};

use crate::view::view;

/// The port of a reflector (section 4.1).
pub const PORT: u16 = 862;

/// What a packet must have at least to be answered: sequence number, timestamp and error estimate. A sender of TWAMP Light
/// may send no more (RFC 5357 section 4.1.2); an answer to it is a base packet all the same (RFC 8762 section 4.6).
pub const LEN_MIN: usize = 14;

/// What the signature of an authenticated packet covers: its first six blocks of 16 bytes (section 4.4).
const SIGNED_LEN: usize = 96;

/// An unauthenticated packet as a sender sends it (section 4.2.1, RFC 8972 section 3).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------------------------------------------------------+
/// |                        sequence number                        |
/// +---------------------------------------------------------------+
/// |                           timestamp                           |
/// |                                                               |
/// +-------------------------------+-------------------------------+
/// |        error estimate         |             SSID              |
/// +-------------------------------+-------------------------------+
/// |                       zero (28 bytes) …
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SenderPacket {
    /// From 0 on, one more for each packet.
    pub sequence: U32,
    /// T1: when the packet was sent.
    pub timestamp: Timestamp,
    /// How far T1 may be off, and how it is written.
    pub error_estimate: ErrorEstimate,
    /// The session's identifier; zero where there is none.
    pub ssid: U16,
    /// Zero when sent, ignored when received.
    pub zero: [u8; 28],
}

view!(SenderPacket, 44);

/// An unauthenticated packet as a reflector sends it back (section 4.3.1, RFC 8972 section 3).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------------------------------------------------------+
/// |                        sequence number                        |
/// +---------------------------------------------------------------+
/// |                           timestamp                           |
/// |                                                               |
/// +-------------------------------+-------------------------------+
/// |        error estimate         |             SSID              |
/// +-------------------------------+-------------------------------+
/// |                       receive timestamp                       |
/// |                                                               |
/// +---------------------------------------------------------------+
/// |                    sender's sequence number                   |
/// +---------------------------------------------------------------+
/// |                       sender's timestamp                      |
/// |                                                               |
/// +-------------------------------+-------------------------------+
/// |    sender's error estimate    |             zero              |
/// +---------------+---------------+-------------------------------+
/// | sender's TTL  |                     zero                      |
/// +---------------+-----------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ReflectorPacket {
    /// The sender's, for the reflector is stateless.
    pub sequence: U32,
    /// T3: when the reflector began to send.
    pub timestamp: Timestamp,
    /// How far T2 and T3 may be off, and how they are written.
    pub error_estimate: ErrorEstimate,
    /// The sender's.
    pub ssid: U16,
    /// T2: when the reflector received the packet.
    pub receive_timestamp: Timestamp,
    /// A copy of the sender's sequence number.
    pub sender_sequence: U32,
    /// A copy of T1.
    pub sender_timestamp: Timestamp,
    /// A copy of the sender's error estimate.
    pub sender_error_estimate: ErrorEstimate,
    /// Zero when sent, ignored when received.
    pub zero: [u8; 2],
    /// The TTL or hop limit that the packet came with.
    pub sender_ttl: u8,
    /// Zero when sent, ignored when received.
    pub more_zeros: [u8; 3],
}

view!(ReflectorPacket, 44);

/// An authenticated packet as a sender sends it (section 4.2.2, RFC 8972 section 3).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------------------------------------------------------+
/// |                        sequence number                        |
/// +---------------------------------------------------------------+
/// |                       zero (12 bytes) …
/// +---------------------------------------------------------------+
/// |                           timestamp                           |
/// |                                                               |
/// +-------------------------------+-------------------------------+
/// |        error estimate         |             SSID              |
/// +-------------------------------+-------------------------------+
/// |                       zero (68 bytes) …
/// +---------------------------------------------------------------+
/// |                       HMAC (16 bytes) …
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SenderPacketAuthenticated {
    /// From 0 on, one more for each packet.
    pub sequence: U32,
    /// Zero when sent, ignored when received.
    pub zero: [u8; 12],
    /// T1: when the packet was sent.
    pub timestamp: Timestamp,
    /// How far T1 may be off, and how it is written.
    pub error_estimate: ErrorEstimate,
    /// The session's identifier; zero where there is none.
    pub ssid: U16,
    /// Zero when sent, ignored when received.
    pub more_zeros: [u8; 68],
    /// The signature of all before it: [`authenticate`].
    pub hmac: Signature,
}

view!(SenderPacketAuthenticated, 112);

/// An authenticated packet as a reflector sends it back (section 4.3.2, RFC 8972 section 3).
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------------------------------------------------------+
/// |                        sequence number                        |
/// +---------------------------------------------------------------+
/// |                       zero (12 bytes) …
/// +---------------------------------------------------------------+
/// |                           timestamp                           |
/// |                                                               |
/// +-------------------------------+-------------------------------+
/// |        error estimate         |             SSID              |
/// +-------------------------------+-------------------------------+
/// |                        zero (4 bytes)                         |
/// +---------------------------------------------------------------+
/// |                       receive timestamp                       |
/// |                                                               |
/// +---------------------------------------------------------------+
/// |                        zero (8 bytes) …
/// +---------------------------------------------------------------+
/// |                    sender's sequence number                   |
/// +---------------------------------------------------------------+
/// |                       zero (12 bytes) …
/// +---------------------------------------------------------------+
/// |                       sender's timestamp                      |
/// |                                                               |
/// +-------------------------------+-------------------------------+
/// |    sender's error estimate    |        zero (6 bytes) …
/// +---------------+---------------+-------------------------------+
/// | sender's TTL  |       zero (15 bytes) …
/// +---------------+-----------------------------------------------+
/// |                       HMAC (16 bytes) …
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ReflectorPacketAuthenticated {
    /// The sender's, for the reflector is stateless.
    pub sequence: U32,
    /// Zero when sent, ignored when received; so are the others of this kind.
    pub zero_1: [u8; 12],
    /// T3: when the reflector began to send.
    pub timestamp: Timestamp,
    /// How far T2 and T3 may be off, and how they are written.
    pub error_estimate: ErrorEstimate,
    /// The sender's.
    pub ssid: U16,
    /// Zero.
    pub zero_2: [u8; 4],
    /// T2: when the reflector received the packet.
    pub receive_timestamp: Timestamp,
    /// Zero.
    pub zero_3: [u8; 8],
    /// A copy of the sender's sequence number.
    pub sender_sequence: U32,
    /// Zero.
    pub zero_4: [u8; 12],
    /// A copy of T1.
    pub sender_timestamp: Timestamp,
    /// A copy of the sender's error estimate.
    pub sender_error_estimate: ErrorEstimate,
    /// Zero.
    pub zero_5: [u8; 6],
    /// The TTL or hop limit that the packet came with.
    pub sender_ttl: u8,
    /// Zero.
    pub zero_6: [u8; 15],
    /// The signature of all before it: [`authenticate`].
    pub hmac: Signature,
}

view!(ReflectorPacketAuthenticated, 112);

/// What a reflector adds to a packet, but for T3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// T2: when the packet came.
    pub timestamp: Timestamp,
    /// How far T2 and T3 may be off, and how they are written.
    pub error_estimate: ErrorEstimate,
    /// The TTL or hop limit that it came with.
    pub ttl: u8,
}

/// Signs the authenticated packet that `payload` begins with. None where it is too short to be one.
pub fn authenticate(payload: &mut [u8], key: &Key) -> Option<()> {
    let (signed, rest) = payload.split_at_mut_checked(SIGNED_LEN)?;
    *rest.first_chunk_mut()? = key.sign([signed, &[]]);
    Some(())
}

/// Whether the authenticated packet that `payload` begins with is signed with `key`. Nothing of it may be used before
/// (section 4.4).
pub fn is_authentic(payload: &[u8], key: &Key) -> bool {
    let parts = payload.split_at_checked(SIGNED_LEN);
    parts.is_some_and(|(signed, rest)| {
        rest.first_chunk().is_some_and(|signature| key.is_signed([signed, &[]], *signature))
    })
}

/// Makes the sender's packet in `payload` the reflector's, in place, with zero for T3: [`stamp`] writes it, as the very
/// last. What follows the base packet are TLVs, which get their flags.
///
/// None where `payload` is shorter than a base packet; then nothing is written.
pub fn reflect(payload: &mut [u8], received: &Received) -> Option<()> {
    let (base, tlvs) = payload.split_at_mut_checked(SenderPacket::LEN)?;
    let asked = *SenderPacket::of(base, 0)?;
    *ReflectorPacket::of_mut(base, 0)? = ReflectorPacket {
        sequence: asked.sequence,
        timestamp: Timestamp::default(),
        error_estimate: received.error_estimate,
        ssid: asked.ssid,
        receive_timestamp: received.timestamp,
        sender_sequence: asked.sequence,
        sender_timestamp: asked.timestamp,
        sender_error_estimate: asked.error_estimate,
        zero: [0; 2],
        sender_ttl: received.ttl,
        more_zeros: [0; 3],
    };
    tlv::reflect(asked.sequence.to_bytes(), tlvs, None);
    Some(())
}

/// The same for an authenticated packet, which must have been found authentic before. [`stamp_authenticated`] writes T3.
pub fn reflect_authenticated(payload: &mut [u8], received: &Received, key: &Key) -> Option<()> {
    let (base, tlvs) = payload.split_at_mut_checked(SenderPacketAuthenticated::LEN)?;
    let asked = *SenderPacketAuthenticated::of(base, 0)?;
    *ReflectorPacketAuthenticated::of_mut(base, 0)? = ReflectorPacketAuthenticated {
        sequence: asked.sequence,
        zero_1: [0; 12],
        timestamp: Timestamp::default(),
        error_estimate: received.error_estimate,
        ssid: asked.ssid,
        zero_2: [0; 4],
        receive_timestamp: received.timestamp,
        zero_3: [0; 8],
        sender_sequence: asked.sequence,
        zero_4: [0; 12],
        sender_timestamp: asked.timestamp,
        sender_error_estimate: asked.error_estimate,
        zero_5: [0; 6],
        sender_ttl: received.ttl,
        zero_6: [0; 15],
        hmac: [0; 16],
    };
    tlv::reflect(asked.sequence.to_bytes(), tlvs, Some(key));
    Some(())
}

/// Writes T3 into a packet that was [`reflect`]ed.
pub fn stamp(payload: &mut [u8], timestamp: Timestamp) -> Option<()> {
    ReflectorPacket::of_mut(payload, 0)?.timestamp = timestamp;
    Some(())
}

/// Writes T3 into a packet that was [`reflect_authenticated`], and signs it.
pub fn stamp_authenticated(payload: &mut [u8], timestamp: Timestamp, key: &Key) -> Option<()> {
    ReflectorPacketAuthenticated::of_mut(payload, 0)?.timestamp = timestamp;
    authenticate(payload, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED: Received = Received {
        timestamp: Timestamp::new(1_795_424_400_000_000_100, Format::Ntp),
        error_estimate: ErrorEstimate::new(1_000, Synchronised::ToUtc, Format::Ntp),
        ttl: 61,
    };
    const SENT: Timestamp = Timestamp::new(1_795_424_400_000_000_345, Format::Ntp);
    const T1: Timestamp = Timestamp::new(1_795_424_399_999_000_000, Format::Ptp);
    const T1_ERROR: ErrorEstimate = ErrorEstimate::new(5, Synchronised::No, Format::Ptp);

    fn question() -> [u8; 60] {
        let mut payload = [0xa5; 60];
        *SenderPacket::of_mut(&mut payload, 0).unwrap() = SenderPacket {
            sequence: U32::new(0x0102_0304),
            timestamp: T1,
            error_estimate: T1_ERROR,
            ssid: U16::new(0x0506),
            zero: [0xff; 28],
        };
        tlv::pad(&mut payload[44..]).unwrap();
        payload
    }

    fn question_authenticated(key: &Key) -> [u8; 120] {
        let mut payload = [0xa5; 120];
        *SenderPacketAuthenticated::of_mut(&mut payload, 0).unwrap() = SenderPacketAuthenticated {
            sequence: U32::new(0x0102_0304),
            zero: [0xff; 12],
            timestamp: T1,
            error_estimate: T1_ERROR,
            ssid: U16::new(0x0506),
            more_zeros: [0xff; 68],
            hmac: [0; 16],
        };
        authenticate(&mut payload, key).unwrap();
        tlv::pad(&mut payload[112..]).unwrap();
        payload
    }

    #[test]
    fn an_answer_carries_what_the_question_did_and_the_two_stamps() {
        let mut payload = question();
        reflect(&mut payload, &RECEIVED).unwrap();
        stamp(&mut payload, SENT).unwrap();
        let answer = ReflectorPacket::of(&payload, 0).unwrap();
        assert_eq!((answer.sequence.get(), answer.sender_sequence.get()), (0x0102_0304, 0x0102_0304));
        assert_eq!((answer.sender_timestamp, answer.sender_error_estimate), (T1, T1_ERROR));
        assert_eq!((answer.ssid.get(), answer.sender_ttl), (0x0506, 61));
        assert_eq!((answer.zero, answer.more_zeros), ([0; 2], [0; 3]));
        let format = answer.error_estimate.format();
        assert_eq!(answer.timestamp.since(answer.receive_timestamp, format), Some(245));
        assert_eq!(payload[44..], [&[0, 1, 0, 12], &[0xa5; 12][..]].concat()[..]);
    }

    #[test]
    fn fields_stand_where_the_rfc_draws_them() {
        let mut payload = question();
        assert_eq!(payload[..4], [1, 2, 3, 4]);
        assert_eq!(payload[14..16], [5, 6]);
        reflect(&mut payload, &RECEIVED).unwrap();
        stamp(&mut payload, SENT).unwrap();
        assert_eq!(payload[4..12], *SENT.as_bytes());
        assert_eq!(payload[16..24], *RECEIVED.timestamp.as_bytes());
        assert_eq!(payload[24..28], [1, 2, 3, 4]);
        assert_eq!(payload[28..36], *T1.as_bytes());
        assert_eq!(payload[40], 61);
        let key = Key::new(b"k").unwrap();
        let mut payload = question_authenticated(&key);
        reflect_authenticated(&mut payload, &RECEIVED, &key).unwrap();
        stamp_authenticated(&mut payload, SENT, &key).unwrap();
        assert_eq!(payload[16..24], *SENT.as_bytes());
        assert_eq!(payload[32..40], *RECEIVED.timestamp.as_bytes());
        assert_eq!(payload[48..52], [1, 2, 3, 4]);
        assert_eq!(payload[64..72], *T1.as_bytes());
        assert_eq!(payload[80], 61);
    }

    #[test]
    fn an_authenticated_answer_is_signed_and_every_signed_byte_counts() {
        let (key, other) = (Key::new(b"one key").unwrap(), Key::new(b"another").unwrap());
        let mut payload = question_authenticated(&key);
        assert!(is_authentic(&payload, &key) && !is_authentic(&payload, &other));
        for at in 0..112 {
            let mut damaged = payload;
            damaged[at] ^= 0x10;
            assert!(!is_authentic(&damaged, &key), "byte {at}");
        }
        reflect_authenticated(&mut payload, &RECEIVED, &key).unwrap();
        stamp_authenticated(&mut payload, SENT, &key).unwrap();
        assert!(is_authentic(&payload, &key));
        let answer = ReflectorPacketAuthenticated::of(&payload, 0).unwrap();
        assert_eq!((answer.timestamp, answer.receive_timestamp), (SENT, RECEIVED.timestamp));
        assert_eq!((answer.zero_1, answer.zero_4, answer.zero_6), ([0; 12], [0; 12], [0; 15]));
        assert_eq!(payload[112..116], [0, 1, 0, 4], "padding alone needs no HMAC TLV");
    }

    #[test]
    fn what_is_too_short_is_left_alone() {
        let key = Key::new(b"k").unwrap();
        for len in 0..112 {
            let mut payload = [0xa5; 112];
            let payload = &mut payload[..len];
            assert!(!is_authentic(payload, &key));
            assert!(reflect_authenticated(payload, &RECEIVED, &key).is_none());
            assert!(stamp_authenticated(payload, SENT, &key).is_none());
            assert_eq!(reflect(payload, &RECEIVED).is_none(), len < 44);
            assert!(len >= 44 || payload.iter().all(|&byte| byte == 0xa5));
        }
    }
}
