//! The key of authenticated STAMP, and what is signed with it (RFC 8762 section 4.4).

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How long a signature is: HMAC-SHA-256, truncated to 128 bits.
pub const SIGNATURE_LEN: usize = 16;

/// What stands in a packet's HMAC field.
pub type Signature = [u8; SIGNATURE_LEN];

/// A key that sender and reflector share.
///
/// It is kept as the hash function's state after the padded key (RFC 2104 section 4), so that a packet is hashed and
/// not the key with it. It shows itself to nobody: what it prints is that it is a key.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// The key that `bytes` are; none where there are no bytes. Any length will do (RFC 2104 section 3); 32 random bytes
    /// are as strong as the hash function is.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        Hmac::new_from_slice(bytes).ok().map(Self)
    }

    /// The signature of `texts`, one after the other.
    pub(super) fn sign(&self, texts: [&[u8]; 2]) -> Signature {
        let digest: [u8; 32] = self.hashed(texts).finalize().into_bytes().into();
        let [signature, _]: [Signature; 2] = zerocopy::transmute!(digest);
        signature
    }

    /// Whether `signature` is that of `texts`, one after the other. Takes equally long wherever the two differ.
    pub fn is_signed(&self, texts: [&[u8]; 2], signature: Signature) -> bool {
        self.hashed(texts).verify_truncated_left(&signature).is_ok()
    }

    fn hashed(&self, texts: [&[u8]; 2]) -> Hmac<Sha256> {
        texts.into_iter().fold(self.0.clone(), Mac::chain_update)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key(not shown)")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn the_signature_is_the_first_half_of_the_hmac() {
        // RFC 4231 section 4.3, test case 2.
        let key = Key::new(b"Jefe").unwrap();
        let expected =
            [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7];
        assert_eq!(key.sign([b"what do ya want ", b"for nothing?"]), expected);
        assert!(key.is_signed([b"what do ya want for nothing?", b""], expected));
    }

    #[test]
    fn another_text_key_or_signature_is_found_out() {
        let (key, other) = (Key::new(b"one").unwrap(), Key::new(b"two").unwrap());
        let signature = key.sign([b"text", b""]);
        assert!(!other.is_signed([b"text", b""], signature));
        assert!(!key.is_signed([b"texT", b""], signature));
        for bit in 0..128 {
            let mut wrong = signature;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.is_signed([b"text", b""], wrong), "bit {bit}");
        }
    }

    #[test]
    fn nothing_is_no_key_and_no_key_is_shown() {
        assert!(Key::new(b"").is_none());
        let shown = std::format!("{:?}", Key::new(b"secret").unwrap());
        assert_eq!(shown, "Key(not shown)");
    }
}
