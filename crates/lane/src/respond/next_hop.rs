//! Who gets the frame of an answer over IP.
//!
//! The station that asked, where the asker is on the link: one comparison on the road, with words that stand beside the
//! address that was asked. Everybody else asks through a router, and the way back need not be the way that the question came:
//! the kernel's routes say it, as [`NextHops`](route::NextHops) has them. Such a question leaves the road where it is seen, and
//! is answered by a second copy of the same text, so that the road carries nothing of it.

use std::net::IpAddr;

use route::{LaneTables, Way};
use telemetry::Reason;
use wire::ethernet::{self, Mac};
use wire::headers::{Headers, Kind};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;

use super::{IMPOSSIBLE, State};
use crate::verdict::{Answer, Verdict};

/// What becomes of an answer that stands in its frame as if to be sent back to the station that asked, where the kernel's
/// routes are to say who gets it.
pub(super) fn by_route<C>(
    answer: Answer,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Verdict {
    let verdict = Verdict::of(answer);
    if !matches!(verdict, Verdict::Reply { .. }) {
        return verdict;
    }
    let sent = station(headers, room, state).and_then(|station| {
        station.map_or(Some(()), |mac| ethernet::send_to(room, mac, tables.mac)).ok_or(IMPOSSIBLE)
    });
    sent.map_or_else(|verdict| verdict, |()| verdict)
}

/// Writes the Ethernet addresses of an answer whose IP header is written.
#[inline(always)]
pub(super) fn address<C>(
    is_on_link: bool,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Result<(), Verdict> {
    if is_on_link {
        return ethernet::turn_round(room, tables.mac).ok_or(IMPOSSIBLE);
    }
    address_by_route(headers, room, tables, state)
}

/// The same by the kernel's routes.
#[cold]
#[inline(never)]
fn address_by_route<C>(
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Result<(), Verdict> {
    let written = match station(headers, room, state)? {
        Some(mac) => ethernet::send_to(room, mac, tables.mac),
        None => ethernet::turn_round(room, tables.mac),
    };
    written.ok_or(IMPOSSIBLE)
}

/// Who gets an answer whose IP header is written, by the kernel's routes; nothing where it is the station that asked.
fn station<C>(headers: Headers, room: &[u8], state: &mut State<C>) -> Result<Option<Mac>, Verdict> {
    let (gateway, station) = match state.next_hops.to(asker(headers, room).ok_or(IMPOSSIBLE)?) {
        Way::Back => return Ok(None),
        Way::Elsewhere => return Err(Verdict::Drop(Reason::NextHopElsewhere)),
        Way::Unresolved(gateway) => (gateway, None),
        Way::To(gateway, mac) => (gateway, Some(mac)),
    };
    state.gateways_used |= 1 << (gateway % 64);
    station.map(Some).ok_or(Verdict::Drop(Reason::NextHopUnresolved))
}

/// Whom the answer is for.
fn asker(headers: Headers, room: &[u8]) -> Option<IpAddr> {
    Some(match headers.kind {
        Kind::Arp | Kind::Icmpv4 | Kind::Udpv4 => Ipv4::of(room, headers.network)?.dst.into(),
        Kind::Icmpv6 | Kind::Solicitation | Kind::Udpv6 => Ipv6::of(room, headers.network)?.dst.into(),
    })
}
