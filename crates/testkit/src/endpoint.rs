//! The endpoint that every vector is put to: `vectors/endpoint.toml`, as plain values.
//!
//! A test builds the code under test from these; nothing here knows its types.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Deserializer, de};

use crate::vectors::Malformed;

/// Whose an address is, as in DESIGN.md: who answers ARP, neighbour discovery and what no route claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The kernel has the address too.
    Kernel,
    /// Only Barelane has it.
    Barelane,
}

/// One address of the endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Its subnet's length in bits.
    pub prefix_len: u8,
    /// Whose it is.
    pub owner: Owner,
    /// The services claimed on it, by the names that the command line takes.
    pub services: Vec<String>,
}

/// Who asks.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asker {
    /// Its Ethernet address.
    #[serde(deserialize_with = "mac")]
    pub mac: [u8; 6],
    /// Its IPv4 address.
    pub ipv4: Ipv4Addr,
    /// Its IPv6 address.
    pub ipv6: Ipv6Addr,
}

/// A clock that stands still.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// When every question comes, in nanoseconds since 1970, UTC.
    pub unix_ns: u64,
    /// How far that may be off.
    pub error_ns: u64,
    /// Whether it follows an outside source.
    pub is_synchronised: bool,
}

/// What concerns STAMP alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// The key of the authenticated mode, as bytes of text.
    pub key: String,
}

/// The endpoint under test.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its Ethernet address.
    #[serde(deserialize_with = "mac")]
    pub mac: [u8; 6],
    /// The TTL and hop limit of its answers.
    pub hop_limit: u8,
    /// How many ICMP errors it may send in a second.
    pub errors_per_second: u32,
    /// What it takes the time to be.
    pub clock: Clock,
    /// What concerns STAMP alone.
    pub stamp: Stamp,
    /// Who asks, unless a question says otherwise.
    pub asker: Asker,
    /// Its addresses.
    #[serde(rename = "address")]
    pub addresses: Vec<Address>,
}

/// The endpoint as `vectors/endpoint.toml` says.
///
/// # Errors
/// What is wrong with the file.
pub fn load() -> Result<Endpoint, Malformed> {
    const FILE: &str = "endpoint.toml";
    toml::from_str(include_str!("../../../vectors/endpoint.toml"))
        .map_err(|error| Malformed::new(FILE, &error))
}

fn mac<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 6], D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes: Result<Vec<u8>, _> = text.split(':').map(|part| u8::from_str_radix(part, 16)).collect();
    let six = bytes.ok().and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
    six.ok_or_else(|| de::Error::custom(format!("`{text}` is no Ethernet address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_has_two_addresses_of_its_own_and_one_of_the_kernel_in_each_family() {
        let endpoint = load().unwrap();
        for family in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
            let owners: Vec<Owner> = endpoint
                .addresses
                .iter()
                .filter(|address| family(&address.ip))
                .map(|address| address.owner)
                .collect();
            assert_eq!(owners, [Owner::Barelane, Owner::Barelane, Owner::Kernel]);
        }
        assert_eq!(endpoint.mac, [2, 0, 0, 0, 0, 1]);
    }
}
