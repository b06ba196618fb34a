//! ARP for the addresses that only Barelane has: answering (RFC 826) and defending (RFC 5227 2.4).

use route::{Class, LaneTables};
use telemetry::{Counter, Reason, Tick};
use wire::arp::{self, Arp};
use wire::headers::Headers;

use super::{IMPOSSIBLE, State};
use crate::verdict::{Answer, Reply, Verdict};

/// Tells who asks where our address is. Who uses one of our addresses as their own hears an announcement, which
/// everyone hears.
#[inline(always)]
pub(super) fn answer<C>(
    class: Class,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Answer {
    let host = tables.host4(class).ok_or(IMPOSSIBLE)?;
    let arp = Arp::of(room, headers.network).ok_or(IMPOSSIBLE)?;
    if arp.sender_mac.is_group() || arp.sender_mac == tables.mac {
        return Err(Verdict::Drop(Reason::ArpMalformed));
    }
    if let Some(conflict) = tables.arp_class(arp.sender_ip) {
        return Err(defend(conflict, headers.network, room, tables, state, now));
    }
    if headers.selector != arp::REQUEST {
        return Err(Verdict::Drop(Reason::ArpNotRequest));
    }
    let end = host.arp.answer(room, headers).ok_or(IMPOSSIBLE)?;
    Ok(Reply::padded(room, end, Counter::RepliedArp))
}

/// One announcement in ten seconds, over all addresses of the lane: two hosts that both defend must not flood the link.
#[cold]
#[inline(never)]
fn defend<C>(
    conflict: Class,
    network: usize,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Verdict {
    state.counters.count(Counter::ArpConflict);
    if !state.defences.take(now) {
        return Verdict::Drop(Reason::ArpConflictWithheld);
    }
    let Some(host) = tables.host4(conflict) else { return IMPOSSIBLE };
    let Some(end) = host.arp.announce(room, network) else { return IMPOSSIBLE };
    Verdict::of(Ok(Reply::padded(room, end, Counter::RepliedArp)))
}
