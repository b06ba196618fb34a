//! What a STAMP reflector makes of TLVs that nobody has thought of (RFC 8972 section 4).

use proptest::prelude::*;
use wire::stamp::{ErrorEstimate, Format, Key, Received, Synchronised, Timestamp, tlv};
use wire::stamp::{reflect, reflect_authenticated};

const BASE: usize = 44;

fn received() -> Received {
    Received {
        timestamp: Timestamp::new(1_795_424_400_000_000_000, Format::Ntp),
        error_estimate: ErrorEstimate::new(1, Synchronised::No, Format::Ntp),
        ttl: 64,
    }
}

/// TLVs that a sender might send, some of them with a length of their own.
fn tlvs() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![8 => Just(None), 1 => any::<u16>().prop_map(Some)];
    let one =
        (any::<u8>(), prop_oneof![0..12_u8, any::<u8>()], prop::collection::vec(any::<u8>(), 0..40), length);
    let one = one.prop_map(|(flags, kind, value, length)| {
        let length = length.unwrap_or(u16::try_from(value.len()).unwrap()).to_be_bytes();
        [&[flags, kind], &length[..], &value].concat()
    });
    (prop::collection::vec(one, 0..8), prop::collection::vec(any::<u8>(), 0..4))
        .prop_map(|(several, rest)| [several.concat(), rest].concat())
}

/// Where the flags of each TLV stand, up to the first that does not fit, as the RFC draws them.
fn flags_at(tlvs: &[u8]) -> Vec<usize> {
    let (mut at, mut found) = (0, Vec::new());
    while at < tlvs.len() {
        found.push(at);
        let Some(head) = tlvs.get(at..at + 4) else { break };
        at += 4 + usize::from(u16::from_be_bytes([head[2], head[3]]));
    }
    found
}

proptest! {
    #[test]
    fn without_a_key_nothing_but_flags_changes_whatever_the_tlvs(tlvs in tlvs()) {
        let mut payload = [vec![0; BASE], tlvs.clone()].concat();
        reflect(&mut payload, &received()).unwrap();
        let after = &payload[BASE..];
        let places = flags_at(&tlvs);
        for at in (0..tlvs.len()).filter(|at| after[*at] != tlvs[*at]) {
            prop_assert!(places.contains(&at), "byte {at} of {tlvs:02x?}");
            let known = tlv::UNRECOGNISED | tlv::MALFORMED | tlv::INTEGRITY;
            prop_assert_eq!(after[at] & !known, 0, "flags that do not exist");
        }
    }

    #[test]
    fn an_answer_asked_again_gets_the_same_flags(tlvs in tlvs(), key in prop::collection::vec(any::<u8>(), 1..40)) {
        let key = Key::new(&key).unwrap();
        let mut once = [vec![0; 112], tlvs].concat();
        reflect_authenticated(&mut once, &received(), &key).unwrap();
        let mut twice = once.clone();
        reflect_authenticated(&mut twice, &received(), &key).unwrap();
        prop_assert_eq!(&once[112..], &twice[112..]);
    }
}
