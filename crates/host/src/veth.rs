//! A virtual cable: two Ethernet interfaces, in two namespaces, each of which receives what the other sends.
//!
//! ```text
//!   namespace a                      namespace b
//!   ┌──────────────┐                ┌──────────────┐
//!   │ addresses    │                │ addresses    │
//!   │ [ name ]═════╪════════════════╪═════[ name ] │
//!   └──────────────┘                └──────────────┘
//! ```

use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};

use crate::namespace::{self, Namespace};
use crate::netlink::{Ask, ask_route};
use crate::{HostError, links};

/// How long the ends may take to become able to send. The kernel does it within milliseconds, but at most once a second
/// for some changes (`linkwatch_schedule_work`, `net/core/link_watch.c`); too small fails on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(5);

/// How long to wait between two looks.
const READY_PAUSE: Duration = Duration::from_millis(1);

/// One end of the cable, as it shall be.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The namespace it lies in; `None` for that of the calling thread.
    pub namespace: Option<&'a Namespace>,
    /// Its name there: at most 15 bytes.
    pub name: &'a str,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Receive queues, all in use. A program can be attached in native mode only where these are at least as many as
    /// the other end's transmit queues.
    pub rx_queues: u32,
    /// Transmit queues, all in use.
    pub tx_queues: u32,
    /// Its addresses with the lengths of their prefixes; IPv6 ones are in force at once.
    pub addresses: &'a [(IpAddr, u8)],
}

/// A cable, as it shall be.
#[derive(Clone, Copy, Debug)]
pub struct VethPair<'a> {
    /// One end.
    pub a: End<'a>,
    /// The other end.
    pub b: End<'a>,
    /// The longest network packet, in bytes, without the Ethernet header.
    pub mtu: u32,
}

/// The indices of the two ends, each in its own namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indices {
    /// Of the one end.
    pub a: u32,
    /// Of the other end.
    pub b: u32,
}

/// Lays a cable: both ends are made where they belong, set up, and given their addresses; or there is none. What is
/// sent from then on arrives. Removing
/// either end, or letting either namespace go, removes both.
pub fn create(pair: &VethPair<'_>) -> Result<Indices, HostError> {
    let here = namespace::here()?;
    let namespace_b = pair.b.namespace.map_or(here.as_fd(), Namespace::as_fd);
    let a = within(pair.a.namespace, || lay(pair, namespace_b))?;
    let ready = make_ready(pair, a);
    if ready.is_err() {
        within(pair.a.namespace, || links::remove(a))?;
    }
    ready
}

/// Sets both ends up before either gets an address: an IPv6 address waits for the carrier, which needs both.
fn make_ready(pair: &VethPair<'_>, a: u32) -> Result<Indices, HostError> {
    within(pair.a.namespace, || links::set_up(a))?;
    let b = within(pair.b.namespace, || {
        let b = links::link(pair.b.name)?.index;
        links::set_up(b).map(|()| b)
    })?;
    within(pair.a.namespace, || wait_until_running(a, &pair.a))?;
    within(pair.b.namespace, || wait_until_running(b, &pair.b))?;
    within(pair.a.namespace, || address(a, &pair.a))?;
    within(pair.b.namespace, || address(b, &pair.b))?;
    Ok(Indices { a, b })
}

/// Asks for both ends at once, from within the namespace of the first; gives its index.
fn lay(pair: &VethPair<'_>, namespace_b: BorrowedFd<'_>) -> Result<u32, HostError> {
    let mut peer = message(&pair.b, pair.mtu);
    peer.attributes.push(LinkAttribute::NetNsFd(namespace_b.as_raw_fd()));
    let mut message = message(&pair.a, pair.mtu);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    let asked = format!("lay a virtual cable from `{}` to `{}`", pair.a.name, pair.b.name);
    ask_route(RouteNetlinkMessage::NewLink(message), Ask::One(NLM_F_CREATE | NLM_F_EXCL), &asked)?;
    links::link(pair.a.name).map(|link| link.index)
}

fn message(end: &End<'_>, mtu: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(end.name.to_owned()),
        LinkAttribute::Address(end.mac.to_vec()),
        LinkAttribute::Mtu(mtu),
        LinkAttribute::NumRxQueues(end.rx_queues),
        LinkAttribute::NumTxQueues(end.tx_queues),
    ];
    message
}

/// Waits until what is sent leaves. The end that was set up first learns of its carrier from a worker of the kernel's,
/// and throws away what it is given to send until then.
fn wait_until_running(index: u32, end: &End<'_>) -> Result<(), HostError> {
    let begun = Instant::now();
    while !links::is_running(index)? {
        if begun.elapsed() > READY_LIMIT {
            let asked = format!("bring up the virtual cable's end `{}`", end.name);
            return Err(HostError::NoAnswer { asked, limit: READY_LIMIT });
        }
        thread::sleep(READY_PAUSE);
    }
    Ok(())
}

fn address(index: u32, end: &End<'_>) -> Result<(), HostError> {
    end.addresses
        .iter()
        .try_for_each(|(address, prefix_len)| links::add_address(index, *address, *prefix_len))
}

fn within<T: Send>(
    namespace: Option<&Namespace>,
    work: impl FnOnce() -> Result<T, HostError> + Send,
) -> Result<T, HostError> {
    match namespace {
        Some(namespace) => namespace.run(work)?,
        None => work(),
    }
}
