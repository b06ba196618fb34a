//! The key of authenticated STAMP, as part of what is asked.

use std::fmt;

use wire::stamp::Key;

/// A key that the reflector has as well. It is not shown: what a report or a log repeats of a measurement is no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct StampKey(Box<[u8]>);

impl StampKey {
    /// The key that these bytes are, 32 random ones best; none where there are no bytes.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self(bytes.into()))
    }

    /// What signs with it.
    pub(crate) fn signer(&self) -> Option<Key> {
        Key::new(&self.0)
    }
}

impl fmt::Debug for StampKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "StampKey({} bytes, not shown)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_bytes_and_shows_none_of_them() {
        assert_eq!(StampKey::new(&[]), None);
        let key = StampKey::new(b"secret").unwrap();
        assert_eq!(format!("{key:?}"), "StampKey(6 bytes, not shown)");
        assert!(key.signer().is_some());
    }
}
