//! sockperf's server: a client's message that asks for a pong goes back as it came, with one flag cleared; all others are
//! taken and not answered, each kind counted by itself. What its client expects stands in [`wire::sockperf`].

use route::{Class, LaneTables};
use telemetry::{Counter, Reason};
use wire::headers::{Headers, Kind};
use wire::sockperf::{self, Message, Request};
use wire::udp;

use super::datagram;
use super::{IMPOSSIBLE, State};
use crate::verdict::{Answer, Reply, Verdict};

/// Answers a message, in place. Written out once for each family, which the caller's `kind` is a constant for.
#[inline(always)]
pub(super) fn answer<C>(
    kind: Kind,
    class: Class,
    [network, end]: [usize; 2],
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Verdict {
    let headers = Headers { network, end, selector: 0, kind };
    Verdict::of(pong(class, headers, room, tables, state))
}

#[inline(always)]
fn pong<C>(
    class: Class,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
) -> Answer {
    let question = datagram::admit(class, headers, room, tables, state)?;
    let headers = question.headers;
    let payload = udp::payload_mut(room, headers).ok_or(IMPOSSIBLE)?;
    if let Some(reason) = unanswered(sockperf::request(payload)) {
        return Err(Verdict::Drop(reason));
    }
    let message = Message::of_mut(payload, 0).ok_or(IMPOSSIBLE)?;
    message.flags = sockperf::answered(message.flags.get()).into();
    datagram::turn_round(class, &question, room, tables, state)?;
    let sum = udp::begin_checksum(room, headers, &tables.checksum).ok_or(IMPOSSIBLE)?;
    udp::finish_checksum(room, headers, sum).ok_or(IMPOSSIBLE)?;
    Ok(Reply::cleared(headers.end, Counter::RepliedSockperf))
}

/// Why a message gets no answer, where it gets none.
fn unanswered(request: Request) -> Option<Reason> {
    match request {
        Request::Pong => None,
        Request::Silent => Some(Reason::SockperfSilent),
        Request::WarmUp => Some(Reason::SockperfWarmUp),
        Request::NotClient => Some(Reason::SockperfNotClient),
        Request::Malformed => Some(Reason::SockperfMalformed),
    }
}
