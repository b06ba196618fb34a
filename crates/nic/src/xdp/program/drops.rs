//! Why the XDP program drops, once: the order of `enum drop` in `bpf/lane.c`, the names that metrics use, a sentence
//! each. Only packets to addresses that Barelane alone owns are ever dropped there.

/// One reason, and how often it applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropCount {
    /// The name that scripts and metrics use.
    pub name: &'static str,
    /// What it means, for a reader who has never seen it.
    pub sentence: &'static str,
    /// How many packets, since the program was loaded.
    pub count: u64,
}

/// How many reasons there are.
pub(super) const DROP_COUNT: u32 = 8;

/// Each reason's name and sentence.
pub(super) const DROPS: [(&str, &str); DROP_COUNT as usize] = [
    ("ipv4_malformed", "The version is not 4, or the header length is below 20 bytes (RFC 1122 3.2.1.1)."),
    ("ipv4_options", "The header carries options, and no kernel owns the address."),
    ("ipv4_fragment", "A fragment, and no kernel that could reassemble it owns the address."),
    ("ipv6_malformed", "The version is not 6 (RFC 8200 3)."),
    ("ipv6_extension", "An extension header follows, and no kernel owns the address."),
    ("icmp_unclaimed", "An ICMP or ICMPv6 type that no route claims, or a code other than 0."),
    ("tcp", "TCP, to an address without a kernel that speaks it."),
    ("protocol_unknown", "Neither ICMP, TCP nor UDP."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_order_of_the_source() {
        let source = include_str!("../../../bpf/lane.c");
        let body = source.split("enum drop {").nth(1).unwrap().split('}').next().unwrap();
        let names: Vec<_> = body.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let expected: Vec<_> =
            DROPS.iter().map(|(name, _)| format!("DROP_{}", name.to_uppercase())).collect();
        assert_eq!(names, expected);
        assert!(DROPS.iter().all(|(_, sentence)| sentence.ends_with('.')));
    }
}
