//! What the fuzz target `parse` does with its bytes. The fuzzer calls it with bytes that it makes up; a test of `lane`
//! calls it with everything in `fuzz/corpus/parse`, on the stable compiler and in every run.

use wire::parse as headers_of;

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// No bytes stop the parser, and what it says of them lies within them.
pub(crate) fn parse(bytes: &[u8]) {
    if let Ok(headers) = headers_of::parse(bytes) {
        let (network, transport, end) = (headers.network, headers.transport(), headers.end);
        assert!(
            network >= ETHERNET && network < transport && transport <= end && end <= bytes.len(),
            "{headers:?}"
        );
        assert!(headers.target(bytes).is_some(), "{headers:?}");
    }
}
