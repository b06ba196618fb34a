//! What may follow a base packet: TLVs, and what a reflector makes of them (RFC 8972 section 4).
//!
//! A reflector sends every TLV back where it stood, and says in its flags what became of it. Known here are two types:
//! Extra Padding, which makes a packet longer, and HMAC, which protects the others. All others come back with the flag U.
//!
//! Two passes are made. The first only reads: where the HMAC TLV stands, and whether it is right. Only then may anything
//! be used (section 4.8). The second sets the flags. Last, the HMAC is made anew, for the flags have changed under it.

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::key::{Key, SIGNATURE_LEN, Signature};
use crate::view::view;

/// The flag U: the type is unknown. Set by the sender, cleared by a reflector that knows it.
pub const UNRECOGNISED: u8 = 0x80;
/// The flag M: the length is impossible. Nothing behind such a TLV is looked at.
pub const MALFORMED: u8 = 0x40;
/// The flag I: the HMAC TLV is wrong, misplaced or missing. Set in every TLV of a packet, or in none.
pub const INTEGRITY: u8 = 0x20;

/// The type whose value means nothing (section 4.1).
pub const EXTRA_PADDING: u8 = 1;
/// The type whose value is a signature of the sequence number and all TLVs before it (section 4.8).
pub const HMAC: u8 = 8;

/// The head of a TLV; as many bytes as its length says follow.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+---------+---------------+-------------------------------+
/// |U|M|I|    0    |     type      |            length             |
/// +-+-+-+---------+---------------+-------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Tlv {
    /// [`UNRECOGNISED`], [`MALFORMED`], [`INTEGRITY`]; the rest is zero.
    pub flags: u8,
    /// What the value means: [`EXTRA_PADDING`], [`HMAC`], or one of those that come back unrecognised.
    pub kind: u8,
    /// The length of the value in bytes.
    pub len: U16,
}

view!(Tlv, 4);

/// Makes `tlvs` one Extra Padding TLV, as a sender sends it; its value stays as it is. None where there is no room for
/// its head, or too much for its length.
pub fn pad(tlvs: &mut [u8]) -> Option<()> {
    let len = u16::try_from(tlvs.len().checked_sub(Tlv::LEN)?).ok()?;
    *Tlv::of_mut(tlvs, 0)? = Tlv { flags: UNRECOGNISED, kind: EXTRA_PADDING, len: U16::new(len) };
    Some(())
}

/// What a reflector makes of the TLVs of a packet with this sequence number: all that follows the base packet.
///
/// Where there is a key, HMAC is demanded as section 4.8 says: of everything but a single Extra Padding. Where there is
/// none, an HMAC TLV cannot be verified, and so counts as wrong. Cost: some instructions for each TLV, and two hashes
/// over all where there is an HMAC TLV.
pub(super) fn reflect(sequence: [u8; 4], tlvs: &mut [u8], key: Option<&Key>) {
    let hmac = Hmac::find(tlvs);
    let is_intact = hmac.is_intact(sequence, tlvs, key);
    let integrity = if is_intact { 0 } else { INTEGRITY };
    let mut at = 0;
    while let Some(read) = Read::at(tlvs, at) {
        if let Some(flags) = tlvs.get_mut(at) {
            *flags = read.flags() | integrity;
        }
        at = match read {
            Read::Whole { end, .. } => end,
            Read::Malformed { .. } => break,
        };
    }
    if is_intact && let Some((key, at)) = key.zip(hmac.at) {
        sign(sequence, tlvs, at, key);
    }
}

/// One TLV as a reflector reads it.
enum Read {
    Whole { kind: u8, end: usize },
    Malformed { kind: Option<u8> },
}

impl Read {
    /// The TLV at `at`, or nothing where there is none.
    ///
    /// Four zeros are none: a sender of TLVs sets the flag U and sends no type 0. They are the padding of a sender that
    /// knows no TLVs (TWAMP Light), which comes back as it is, to its end (RFC 8762 section 4.6).
    fn at(tlvs: &[u8], at: usize) -> Option<Self> {
        let rest = tlvs.get(at..).filter(|rest| !rest.is_empty())?;
        let Some(&head) = Tlv::of(rest, 0) else { return Some(Self::Malformed { kind: None }) };
        if head.flags == 0 && head.kind == 0 && head.len.get() == 0 {
            return None;
        }
        let len = usize::from(head.len.get());
        let fits = Tlv::LEN + len <= rest.len() && (head.kind != HMAC || len == SIGNATURE_LEN);
        Some(if fits {
            Self::Whole { kind: head.kind, end: at + Tlv::LEN + len }
        } else {
            Self::Malformed { kind: Some(head.kind) }
        })
    }

    fn flags(&self) -> u8 {
        let unrecognised = |kind: u8| if matches!(kind, EXTRA_PADDING | HMAC) { 0 } else { UNRECOGNISED };
        match *self {
            Self::Whole { kind, .. } => unrecognised(kind),
            Self::Malformed { kind } => MALFORMED | kind.map_or(UNRECOGNISED, unrecognised),
        }
    }
}

/// Where the HMAC TLV of a packet stands, and what else matters to it.
#[derive(Default)]
struct Hmac {
    /// Where it begins.
    at: Option<usize>,
    /// Something other than padding follows it, or a second one, or its length is wrong.
    is_misplaced: bool,
    /// There is something that it must protect: anything but a single Extra Padding.
    is_demanded: bool,
}

impl Hmac {
    fn find(tlvs: &[u8]) -> Self {
        let mut found = Self::default();
        let (mut at, mut count) = (0, 0);
        while let Some(read) = Read::at(tlvs, at) {
            count += 1;
            let Read::Whole { kind, end } = read else {
                return Self { is_misplaced: true, is_demanded: true, ..found };
            };
            match kind {
                HMAC if found.at.is_none() => found.at = Some(at),
                EXTRA_PADDING => {}
                _ => found.is_misplaced |= found.at.is_some(),
            }
            found.is_demanded |= kind != EXTRA_PADDING || count > 1;
            at = end;
        }
        found
    }

    fn is_intact(&self, sequence: [u8; 4], tlvs: &[u8], key: Option<&Key>) -> bool {
        match (self.at, key) {
            (None, None) => true,
            (None, Some(_)) => !self.is_demanded,
            (Some(_), None) => false,
            (Some(at), Some(key)) => {
                !self.is_misplaced
                    && tlvs
                        .get(..at)
                        .zip(signature_at(tlvs, at))
                        .is_some_and(|(before, signature)| key.is_signed([&sequence, before], signature))
            }
        }
    }
}

/// Signs the sequence number and the TLVs before the HMAC TLV that begins at `at`.
fn sign(sequence: [u8; 4], tlvs: &mut [u8], at: usize, key: &Key) {
    let Some((before, hmac)) = tlvs.split_at_mut_checked(at) else { return };
    if let Some(value) = hmac.get_mut(Tlv::LEN..).and_then(<[u8]>::first_chunk_mut) {
        *value = key.sign([&sequence, before]);
    }
}

fn signature_at(tlvs: &[u8], at: usize) -> Option<Signature> {
    tlvs.get(at + Tlv::LEN..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    const SEQUENCE: [u8; 4] = [0, 0, 0, 9];

    fn tlv(flags: u8, kind: u8, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[flags, kind, len[0], len[1]], value].concat()
    }

    fn key() -> Key {
        Key::new(b"a key").unwrap()
    }

    /// `tlvs`, and an HMAC TLV over them.
    fn signed(mut tlvs: Vec<u8>, key: &Key) -> Vec<u8> {
        let at = tlvs.len();
        tlvs.extend(tlv(UNRECOGNISED, HMAC, &[0; 16]));
        sign(SEQUENCE, &mut tlvs, at, key);
        tlvs
    }

    /// The flags of each TLV after a reflector saw them, the last to come first.
    fn reflected(mut tlvs: Vec<u8>, key: Option<&Key>) -> (Vec<u8>, Vec<u8>) {
        reflect(SEQUENCE, &mut tlvs, key);
        let (mut at, mut flags) = (0, Vec::new());
        while let Some(read) = Read::at(&tlvs, at) {
            flags.push(tlvs[at]);
            let Read::Whole { end, .. } = read else { break };
            at = end;
        }
        (flags, tlvs)
    }

    #[test]
    fn padding_is_known_and_other_types_are_not() {
        let tlvs = [tlv(UNRECOGNISED, EXTRA_PADDING, &[7; 5]), tlv(UNRECOGNISED, 3, &[1; 4])].concat();
        let (flags, after) = reflected(tlvs.clone(), None);
        assert_eq!(flags, [0, UNRECOGNISED]);
        assert_eq!(after[1..], tlvs[1..], "the first flags change, and nothing else");
    }

    #[test]
    fn flags_that_the_sender_must_not_set_are_cleared() {
        let (flags, _) = reflected(tlv(0xff, EXTRA_PADDING, &[]), None);
        assert_eq!(flags, [0]);
    }

    #[test]
    fn a_tlv_that_reaches_beyond_the_packet_is_malformed_and_the_rest_is_copied() {
        let mut tlvs = [tlv(UNRECOGNISED, EXTRA_PADDING, &[7; 5]), tlv(UNRECOGNISED, 200, &[9; 8])].concat();
        tlvs.truncate(tlvs.len() - 1);
        let (flags, after) = reflected(tlvs.clone(), None);
        assert_eq!(flags, [0, UNRECOGNISED | MALFORMED]);
        assert_eq!(after[10..], tlvs[10..]);
        for len in 1..4 {
            let (flags, _) = reflected([0xa5].repeat(len), None);
            assert_eq!(flags, [UNRECOGNISED | MALFORMED], "a head of {len} bytes");
        }
    }

    #[test]
    fn zeros_are_the_padding_of_a_sender_that_knows_no_tlvs() {
        for len in 4..50 {
            let (flags, after) = reflected([0].repeat(len), None);
            assert_eq!((flags, after), (Vec::new(), [0].repeat(len)));
        }
    }

    #[test]
    fn a_right_hmac_is_verified_and_made_anew() {
        let key = key();
        let tlvs = signed(tlv(UNRECOGNISED, 3, &[1; 4]), &key);
        let with_padding = [tlvs.clone(), tlv(UNRECOGNISED, EXTRA_PADDING, &[3; 9])].concat();
        for tlvs in [tlvs, with_padding] {
            let (flags, after) = reflected(tlvs, Some(&key));
            assert_eq!(flags[..2], [UNRECOGNISED, 0]);
            let (before, hmac) = after.split_at(8);
            assert!(key.is_signed([&SEQUENCE, before], signature_at(hmac, 0).unwrap()));
        }
    }

    #[test]
    fn a_wrong_hmac_sets_the_flag_in_every_tlv_and_changes_nothing_else() {
        let mut tlvs = signed(tlv(UNRECOGNISED, 3, &[1; 4]), &key());
        *tlvs.last_mut().unwrap() ^= 1;
        let (flags, after) = reflected(tlvs.clone(), Some(&key()));
        assert_eq!(flags, [UNRECOGNISED | INTEGRITY, INTEGRITY]);
        assert_eq!((&after[1..8], &after[9..]), (&tlvs[1..8], &tlvs[9..]));
    }

    #[test]
    fn an_hmac_that_cannot_be_right_counts_as_wrong() {
        let key = key();
        let right = signed(tlv(UNRECOGNISED, 3, &[1; 4]), &key);
        let other_key = Key::new(b"another").unwrap();
        let misplaced = [right.clone(), tlv(UNRECOGNISED, 3, &[])].concat();
        let twice = [right.clone(), right[8..].to_vec()].concat();
        let cut = [right.clone(), std::vec![UNRECOGNISED]].concat();
        let short = tlv(UNRECOGNISED, HMAC, &[0; 15]);
        for (what, tlvs, key) in [
            ("no key here", &right, None),
            ("another key here", &right, Some(&other_key)),
            ("something behind it", &misplaced, Some(&key)),
            ("a second one behind it", &twice, Some(&key)),
            ("half a head behind it", &cut, Some(&key)),
            ("too short", &short, Some(&key)),
            ("missing", &tlv(UNRECOGNISED, 3, &[1; 4]), Some(&key)),
            ("missing from two paddings", &tlv(UNRECOGNISED, EXTRA_PADDING, &[]).repeat(2), Some(&key)),
        ] {
            let (flags, _) = reflected(tlvs.clone(), key);
            assert!(
                !flags.is_empty() && flags.iter().all(|flags| flags & INTEGRITY != 0),
                "{what}: {flags:x?}"
            );
        }
    }

    #[test]
    fn padding_alone_needs_no_hmac() {
        let mut padding = [0xa5].repeat(12);
        pad(&mut padding).unwrap();
        assert_eq!(padding[..4], [UNRECOGNISED, EXTRA_PADDING, 0, 8]);
        let (flags, _) = reflected(padding, Some(&key()));
        assert_eq!(flags, [0]);
        assert_eq!(pad(&mut [0; 3]), None);
    }
}
