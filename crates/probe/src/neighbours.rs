//! What a kernel does for the cards that it stands behind, and what the probe does itself where none does: it finds out at
//! which Ethernet address the next hop is, and tells others our own (ARP, RFC 826; neighbour discovery, RFC 4861).
//!
//! ```text
//!   before the first question:   who has NEXT HOP? (3 times at most) ──▶ it is at …
//!   while it is measured:        who has OUR ADDRESS? ──▶ it is at …      NEXT HOP is at … ──▶ questions go there
//!   when a peer has come back:   as before the first question, for it may be another one
//! ```
//!
//! It is shown frames that are no answers, and turns without a frame. The road of an answer never comes by here.

pub mod question;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nic::queue::Queue;
use telemetry::{Ns, Tick};
use thiserror::Error;
use wire::arp::{self, Arp};
use wire::checksum::Summer;
use wire::ethernet::{self, Ethernet};
use wire::ipv6::Ipv6;
use wire::ndp::{self, NeighbourSolicitation};
use wire::template::{AdvertisementTemplate, ArpTemplate};
use wire::{Headers, Kind, Mac, parse};

use crate::clock::Clock;
use crate::queue::Origin;
use crate::transport::TransportError;

/// How often a next hop is asked for: `MAX_MULTICAST_SOLICIT` of RFC 4861 section 10, and the number of Linux for ARP as
/// well (`mcast_solicit`).
const TRIES: u32 = 3;
/// How long each answer may take: `RETRANS_TIMER` of RFC 4861 section 10, and Linux's (`retrans_time_ms`).
const TRY_INTERVAL: Ns = Ns(1_000_000_000);

/// How often is looked whether the next hop has answered, before the first question.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Who has an address on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// Its Ethernet address.
    pub mac: Mac,
    /// Its IP address.
    pub ip: IpAddr,
}

/// Who takes the questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// Whoever says that it has this address: the target, or a router.
    Owner(IpAddr),
    /// This station, whoever it is: it is not asked for.
    Fixed(Mac),
}

/// Why a next hop is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unresolved {
    /// It was asked for, and nobody said that he has the address.
    #[error("nobody on the link says that he has the address {0}")]
    Silent(IpAddr),
    /// Nobody is at the other end any more.
    #[error("the peer has gone while {0} was asked for")]
    Gone(IpAddr),
    /// It was to end.
    #[error("it was stopped while {0} was asked for")]
    Stopped(IpAddr),
}

/// One station that no kernel stands behind, and what it knows of its next hop.
#[derive(Debug)]
pub struct Neighbours {
    own: Station,
    next_hop: NextHop,
    says: Says,
    summer: Summer,
    /// Nothing while the next hop is known, or nobody says who it is.
    search: Option<Search>,
    /// The connection that the queue had when that was last looked at.
    connection: Option<u32>,
}

/// What tells others our Ethernet address.
#[derive(Debug)]
enum Says {
    Arp(ArpTemplate),
    Ndp(AdvertisementTemplate),
}

/// A search for the next hop.
#[derive(Clone, Copy, Debug)]
struct Search {
    tries_left: u32,
    /// When it is asked for next, or given up.
    due: Tick,
}

impl Neighbours {
    /// The neighbours of `own`, one of whom takes the questions.
    ///
    /// # Errors
    /// The next hop's address is of another family.
    pub fn new(own: Station, next_hop: NextHop) -> Result<Self, TransportError> {
        if let NextHop::Owner(target) = next_hop
            && target.is_ipv4() != own.ip.is_ipv4()
        {
            return Err(TransportError::Families { own: own.ip, target });
        }
        let says = match own.ip {
            IpAddr::V4(ip) => Says::Arp(ArpTemplate::new(own.mac, ip)),
            IpAddr::V6(ip) => Says::Ndp(AdvertisementTemplate::new(own.mac, ip)),
        };
        Ok(Self { own, next_hop, says, summer: Summer::fastest(), search: None, connection: Some(0) })
    }

    /// Finds the next hop's Ethernet address, for some seconds at the most, and answers who asks for ours meanwhile. Asks by
    /// the first queue, as questions will be; an answer may come by any.
    pub fn resolve(
        &mut self,
        queues: &mut [impl Origin],
        clock: &impl Clock,
        stop: &AtomicBool,
    ) -> Result<Mac, Unresolved> {
        let next_hop = match self.next_hop {
            NextHop::Fixed(mac) => return Ok(mac),
            NextHop::Owner(ip) => ip,
        };
        self.connection = queues.first().and_then(Origin::connection);
        self.search = Some(Search { tries_left: TRIES, due: clock.now() });
        while self.search.is_some() {
            if let Some(mac) = self.look(queues, clock) {
                return Ok(mac);
            }
            if stop.load(Ordering::Relaxed) {
                return Err(Unresolved::Stopped(next_hop));
            }
            thread::sleep(LOOK_INTERVAL);
        }
        let is_connected = queues.first().and_then(Origin::connection).is_some();
        Err(if is_connected { Unresolved::Silent(next_hop) } else { Unresolved::Gone(next_hop) })
    }

    /// One look at all queues.
    fn look(&mut self, queues: &mut [impl Origin], clock: &impl Clock) -> Option<Mac> {
        let mut found = None;
        for queue in &mut *queues {
            found = self.hear_all(queue).or(found);
        }
        if let Some(queue) = queues.first_mut() {
            self.go_on(queue, clock);
        }
        queues.iter_mut().for_each(Queue::flush);
        found
    }

    /// Hears everything that waits; gives what was told last of the next hop.
    fn hear_all(&mut self, queue: &mut impl Origin) -> Option<Mac> {
        let mut burst = queue.rx();
        let (mut heard, mut found) = (Vec::new(), None);
        while let Some(frame) = queue.next(&mut burst) {
            heard.clear();
            heard.extend_from_slice(queue.room_mut(&frame).get(..frame.len()).unwrap_or_default());
            queue.release(frame);
            found = self.hear(&heard, queue).or(found);
        }
        found
    }

    /// Hears a frame that is no answer: answers it if it asks for our address. Gives the next hop's Ethernet address where
    /// the frame tells it.
    #[cold]
    pub(crate) fn hear(&mut self, frame: &[u8], queue: &mut impl Origin) -> Option<Mac> {
        let headers = untagged(frame)?;
        let told = match (headers.kind, self.own.ip) {
            (Kind::Arp, IpAddr::V4(own)) => self.hear_arp(frame, headers, own.octets(), queue),
            (Kind::Solicitation, IpAddr::V6(own)) => {
                self.hear_solicitation(frame, headers, own.octets(), queue)
            }
            (Kind::Icmpv6, IpAddr::V6(_)) => advertised(frame, headers, self.summer),
            _ => None,
        }?;
        if NextHop::Owner(told.ip) != self.next_hop || told.mac.is_group() {
            return None;
        }
        self.search = None;
        Some(told.mac)
    }

    /// Every ARP packet tells where its sender is (RFC 826, "Packet Reception": the merge comes before the operation is
    /// looked at).
    fn hear_arp(
        &self,
        frame: &[u8],
        headers: Headers,
        own: [u8; 4],
        queue: &mut impl Origin,
    ) -> Option<Station> {
        let arp = Arp::of(frame, headers.network)?;
        if headers.selector == arp::REQUEST && arp.target_ip == own {
            self.answer(frame, queue, |says, room| match says {
                Says::Arp(template) => template.answer(room, headers),
                Says::Ndp(_) => None,
            });
        }
        Some(Station { mac: arp.sender_mac, ip: arp.sender_ip.into() })
    }

    fn hear_solicitation(
        &self,
        frame: &[u8],
        headers: Headers,
        own: [u8; 16],
        queue: &mut impl Origin,
    ) -> Option<Station> {
        let valid = ndp::check_solicitation(frame, headers, &self.summer).ok()?;
        if NeighbourSolicitation::of(frame, headers.transport())?.target == own {
            self.answer(frame, queue, |says, room| match says {
                Says::Ndp(template) => template.answer(room, headers, &valid),
                Says::Arp(_) => None,
            });
        }
        let ip = Ipv6::of(frame, headers.network)?.src.into();
        valid.asker.map(|mac| Station { mac, ip })
    }

    /// Answers in a frame of our own, which begins as the question.
    fn answer(
        &self,
        question: &[u8],
        queue: &mut impl Origin,
        write: impl FnOnce(&Says, &mut [u8]) -> Option<usize>,
    ) {
        send(queue, |room| {
            room.get_mut(..question.len())?.copy_from_slice(question);
            write(&self.says, room)
        });
    }

    /// A turn without a frame. Costs two comparisons where nothing is to be done.
    #[inline]
    pub(crate) fn rest(&mut self, queue: &mut impl Origin, clock: &impl Clock) {
        if queue.connection() != self.connection || self.search.is_some() {
            self.go_on(queue, clock);
        }
    }

    /// Asks for the next hop where that is due: a peer who has come may have another Ethernet address than one who went.
    #[cold]
    fn go_on(&mut self, queue: &mut impl Origin, clock: &impl Clock) {
        let now = clock.now();
        let connection = queue.connection();
        if connection != self.connection {
            self.connection = connection;
            let is_wanted = connection.is_some() && matches!(self.next_hop, NextHop::Owner(_));
            self.search = is_wanted.then_some(Search { tries_left: TRIES, due: now });
        }
        let Some(Search { tries_left, due }) = self.search.filter(|search| search.due <= now) else { return };
        self.search = tries_left.checked_sub(1).map(|tries_left| {
            let due = Tick(due.0.saturating_add(clock.rate().ticks(TRY_INTERVAL)));
            Search { tries_left, due }
        });
        if let (Some(_), NextHop::Owner(next_hop)) = (self.search, self.next_hop) {
            send(queue, |room| question::write(self.own, next_hop, room));
        }
    }
}

/// The headers of a frame without a tag.
fn untagged(frame: &[u8]) -> Option<Headers> {
    parse(frame).ok().filter(|headers| headers.network == Ethernet::LEN)
}

/// Who is where, by an advertisement.
fn advertised(frame: &[u8], headers: Headers, summer: Summer) -> Option<Station> {
    let told = ndp::check_advertisement(frame, headers, &summer).ok()?;
    told.mac.map(|mac| Station { mac, ip: told.target.into() })
}

/// Who is where, by the answer to a [`question`]: an ARP reply, or an advertisement. Nothing where a frame is neither, or damaged.
pub fn answered(frame: &[u8]) -> Option<Station> {
    let headers = untagged(frame)?;
    match headers.kind {
        Kind::Arp if headers.selector == arp::REPLY => {
            let arp = Arp::of(frame, headers.network)?;
            Some(Station { mac: arp.sender_mac, ip: arp.sender_ip.into() })
        }
        Kind::Icmpv6 => advertised(frame, headers, Summer::fastest()),
        _ => None,
    }
}

/// Queues what is written. Where there is no room it is lost, as on any link: who asks asks again.
fn send(queue: &mut impl Origin, write: impl FnOnce(&mut [u8]) -> Option<usize>) {
    let Some(mut frame) = queue.spare() else { return };
    let room = queue.room_mut(&frame);
    let len = write(room).map_or(0, |end| ethernet::pad(room, end));
    frame.set_len(len);
    let unsent = if len == 0 { Err(frame) } else { queue.tx(frame) };
    if let Err(frame) = unsent {
        queue.release(frame);
    }
}

#[cfg(test)]
mod tests;
