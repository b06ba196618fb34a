//! Neighbour advertisements for the addresses that only Barelane has (RFC 4861 7.2.4).

use route::{Class, LaneTables};
use telemetry::{Counter, Reason};
use wire::headers::Headers;
use wire::ipv6::Ipv6;
use wire::ndp::{self, Invalid};

use super::IMPOSSIBLE;
use super::source::may_ask_v6;
use crate::verdict::{Answer, Reply, Verdict};

/// Tells who asks where our address is; tells everybody where the asker is about to take it (RFC 4862 5.4.3).
#[inline(always)]
pub(super) fn answer(class: Class, headers: Headers, room: &mut [u8], tables: &LaneTables) -> Answer {
    let host = tables.host6(class).ok_or(IMPOSSIBLE)?;
    let ip = Ipv6::of(room, headers.network).ok_or(IMPOSSIBLE)?;
    let solicitation = match ndp::check_solicitation(room, headers, &tables.checksum) {
        Ok(solicitation) => solicitation,
        Err(Invalid::HopLimit) => return Err(Verdict::Drop(Reason::NdpHopLimit)),
        Err(Invalid::Checksum) => return Err(Verdict::Drop(Reason::IcmpChecksum)),
        Err(Invalid::Malformed) => return Err(Verdict::Drop(Reason::NdpMalformed)),
    };
    if !solicitation.is_probe && !may_ask_v6(ip.src, host) {
        return Err(Verdict::Drop(Reason::SourceInvalid));
    }
    let Some(end) = host.advertisement.answer(room, headers, &solicitation) else {
        return Err(Verdict::Drop(Reason::TailroomMissing));
    };
    Ok(Reply::padded(room, end, Counter::RepliedNdp))
}
