//! What tells one stream from another.

/// The protocols whose questions carry a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Protocol {
    /// STAMP (RFC 8762).
    Stamp = 1,
    /// sockperf's messages.
    Sockperf = 2,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Stamp, Self::Sockperf];

    /// What scripts call it: what its counter of answers is called, without `replied_`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stamp => "stamp",
            Self::Sockperf => "sockperf",
        }
    }

    /// Whether its questions say when they were sent. Where not, there is no interarrival jitter.
    pub const fn is_stamped(self) -> bool {
        matches!(self, Self::Stamp)
    }

    /// The one that is meant by a number.
    pub const fn of_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Stamp),
            2 => Some(Self::Sockperf),
            _ => None,
        }
    }
}

/// A stream: the packets from one address and port to another, of one session. That is what a STAMP session is (RFC 8972
/// section 3). Addresses are numbers; an IPv4 one has its IPv6 form (`::ffff:192.0.2.1`, RFC 4291 2.5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamKey {
    /// The sender's address.
    pub source: u128,
    /// Ours.
    pub destination: u128,
    /// The sender's port.
    pub source_port: u16,
    /// Ours.
    pub destination_port: u16,
    /// The session's identifier (RFC 8972); 0 where there is none.
    pub ssid: u16,
    /// What the sender speaks.
    pub protocol: Protocol,
}

impl StreamKey {
    /// How many words it has.
    pub const WORDS: usize = 5;

    /// As words, of which the first is not zero, and tells most streams apart.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of an address")]
    pub const fn to_words(self) -> [u64; Self::WORDS] {
        let Self { source, destination, source_port, destination_port, ssid, protocol } = self;
        let ports = (source_port as u64) << 48 | (destination_port as u64) << 32;
        let session = ports | (ssid as u64) << 16 | protocol as u64;
        [session, source as u64, (source >> 64) as u64, destination as u64, (destination >> 64) as u64]
    }

    /// The same back; nothing where no stream is there.
    #[expect(clippy::cast_possible_truncation, reason = "fields of 8 and 16 bits")]
    pub const fn of_words(words: [u64; Self::WORDS]) -> Option<Self> {
        let [session, source_low, source_high, destination_low, destination_high] = words;
        let Some(protocol) = Protocol::of_number(session as u8) else { return None };
        Some(Self {
            source: (source_high as u128) << 64 | source_low as u128,
            destination: (destination_high as u128) << 64 | destination_low as u128,
            source_port: (session >> 48) as u16,
            destination_port: (session >> 32) as u16,
            ssid: (session >> 16) as u16,
            protocol,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_after_it_was_words_and_none_is_no_stream() {
        for protocol in Protocol::ALL {
            let key = StreamKey {
                source: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10,
                destination: 0xffff_0a00_0001,
                source_port: 0xfedc,
                destination_port: 862,
                ssid: 0x8001,
                protocol,
            };
            assert_eq!(StreamKey::of_words(key.to_words()), Some(key));
            assert!(key.to_words()[0] != 0);
        }
        assert_eq!(StreamKey::of_words([0; 5]), None);
    }
}
