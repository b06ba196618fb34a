//! The first reading of a capture: whom its questions are addressed to, and when each turn happens.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nic::BURST_MAX;
use nic::pcap::{CaptureError, Reader, Stamp};
use telemetry::Tick;
use wire::ethernet::{Ethernet, Mac};
use wire::headers::{Headers, Kind};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::{icmpv4, icmpv6};

/// Whom a replay plays where no question names anybody: a locally administered address (IEEE 802 8.4).
const NOBODY: Mac = Mac([2, 0, 0, 0, 0, 1]);

/// What a capture says about the host that its questions are addressed to.
#[derive(Debug)]
pub(super) struct Heard {
    /// The host's Ethernet address.
    pub(super) mac: Mac,
    /// The addresses that it was asked at, without a link around them.
    pub(super) addresses: Vec<(IpAddr, u8)>,
    /// The instant of every turn's first packet, in nanoseconds since the capture's first.
    pub(super) turns: Vec<Tick>,
    /// How many packets there are.
    pub(super) packets: u64,
}

/// Questions to one Ethernet address.
#[derive(Debug, Default)]
struct Asked {
    count: u64,
    addresses: Vec<IpAddr>,
}

impl Heard {
    /// Listens to a whole capture. Where `wanted` addresses are given, only questions to them count.
    pub(super) fn in_capture(mut reader: Reader<'_>, wanted: &[(IpAddr, u8)]) -> Result<Self, CaptureError> {
        let mut asked: BTreeMap<Mac, Asked> = BTreeMap::new();
        let mut stamps = Vec::new();
        let mut packets = 0_u64;
        while let Some((stamp, question)) = reader.next(|stamp, bytes| (stamp, question_of(bytes)))? {
            if packets.is_multiple_of(BURST_MAX as u64) {
                stamps.push(stamp);
            }
            packets += 1;
            let Some((mac, ip)) = question else { continue };
            if wanted.is_empty() || wanted.iter().any(|(one, _)| *one == ip) {
                let host = asked.entry(mac).or_default();
                host.count += 1;
                if !host.addresses.contains(&ip) {
                    host.addresses.push(ip);
                }
            }
        }
        let most = asked.into_iter().max_by_key(|(_, host)| host.count);
        let (mac, addresses) = most.map_or((NOBODY, Vec::new()), |(mac, host)| (mac, host.addresses));
        let addresses = addresses.into_iter().map(|ip| (ip, if ip.is_ipv4() { 32 } else { 128 })).collect();
        Ok(Self { mac, addresses, turns: turns_of(&stamps), packets })
    }
}

/// To which host and address a packet is a question, if it is one to a single host.
fn question_of(bytes: &[u8]) -> Option<(Mac, IpAddr)> {
    let headers = wire::parse(bytes).ok()?;
    let is_question = match headers.kind {
        Kind::Udpv4 | Kind::Udpv6 => true,
        Kind::Icmpv4 => headers.selector == u16::from(icmpv4::ECHO_REQUEST),
        Kind::Icmpv6 => headers.selector == u16::from(icmpv6::ECHO_REQUEST),
        Kind::Arp | Kind::Solicitation => false,
    };
    let mac = Ethernet::of(bytes, 0)?.dst;
    if !is_question || mac.is_group() { None } else { Some((mac, destination(bytes, headers)?)) }
}

fn destination(bytes: &[u8], headers: Headers) -> Option<IpAddr> {
    match headers.kind {
        Kind::Icmpv4 | Kind::Udpv4 => Some(Ipv4Addr::from(Ipv4::of(bytes, headers.network)?.dst).into()),
        _ => Some(Ipv6Addr::from(Ipv6::of(bytes, headers.network)?.dst).into()),
    }
}

/// Captures may go back in time by a little where several cores wrote them; a lane's clock may not.
fn turns_of(stamps: &[Stamp]) -> Vec<Tick> {
    let ns = |stamp: &Stamp| u64::from(stamp.seconds) * 1_000_000_000 + u64::from(stamp.nanoseconds);
    let first = stamps.first().map_or(0, ns);
    let mut latest = 0;
    stamps
        .iter()
        .map(|stamp| {
            latest = ns(stamp).saturating_sub(first).max(latest);
            Tick(latest)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lanes_time_begins_with_the_capture_and_never_goes_back() {
        let at = |seconds, nanoseconds| Stamp { seconds, nanoseconds };
        let turns = turns_of(&[at(100, 5), at(101, 7), at(101, 6), at(99, 0), at(102, 5)]);
        assert_eq!(turns, [0, 1_000_000_002, 1_000_000_002, 1_000_000_002, 2_000_000_000].map(Tick));
    }
}
