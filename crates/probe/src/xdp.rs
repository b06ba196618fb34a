//! A network card opened for the probe alone, by AF_XDP.
//!
//! The program on the card hands the probe what an answer looks like ([`Link::claim`]) and leaves everything else to the
//! kernel, ARP and NDP for our own address included. When the probe ends, however it ends, the card is as it was.

use nic::queue::Frame;
use nic::xdp::{
    self, Attachment, Claim, ClaimKey, ClaimedAddress, Claims, Kernel, Owner, Settings, Tier, XdpError,
    XdpQueue, XdpSocket,
};
use telemetry::Tick;
use thiserror::Error;

use crate::ask::Ask;
use crate::clock::Clock;
use crate::frames::{Frames, Link, PartialChecksums};
use crate::question::Question;
use crate::queue::{Card, Origin};
use crate::transport::{Arrival, Facts, Transport, TransportError};

impl<K: Kernel> Origin for XdpQueue<K> {
    fn spare(&mut self) -> Option<Frame> {
        Self::spare(self)
    }
}

/// Why the card cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It cannot be asked over this link.
    #[error(transparent)]
    Ask(#[from] TransportError),
    /// The card refuses.
    #[error(transparent)]
    Card(#[from] XdpError),
}

/// An open card. Dropping it gives the card back.
#[derive(Debug)]
pub struct Xdp {
    /// First, so that nothing is redirected any more when the queues go.
    attachment: Attachment,
    card: Card<XdpQueue<XdpSocket>>,
}

impl Xdp {
    /// The card of `settings`, to ask over `link`. All its queues that answers may come by have to be named there: an
    /// answer on another one is the kernel's, and lost to the probe.
    ///
    /// # Errors
    /// The question does not fit the link, or the card cannot be opened; then it is as it was.
    pub fn open(
        ask: &Ask,
        link: Link,
        settings: &Settings,
        partial_checksums: PartialChecksums,
    ) -> Result<Self, OpenError> {
        let frames = Frames::new(ask, link, partial_checksums)?;
        let (attachment, queues) = xdp::open(settings, &claims(ask, link))?;
        let means = means(&attachment, queues.len());
        Ok(Self { attachment, card: Card::new(queues, frames, "xdp", means)? })
    }

    /// The program on the card, and its counts.
    pub const fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    /// The queues, and theirs.
    pub const fn card(&self) -> &Card<XdpQueue<XdpSocket>> {
        &self.card
    }
}

fn claims(ask: &Ask, link: Link) -> Claims {
    let (address, protocol, selector) = link.claim(ask.protocol);
    Claims {
        mac: link.mac.0,
        addresses: vec![ClaimedAddress::new(address, Owner::Kernel)],
        claims: vec![Claim {
            key: ClaimKey { address, protocol, selector },
            tier: Tier::Lane,
            route: 0,
            is_reflected: false,
        }],
        ..Claims::default()
    }
}

fn means(attachment: &Attachment, queue_count: usize) -> String {
    let copies = if attachment.is_zero_copy() { "zero-copy" } else { "copy" };
    let plural = if queue_count == 1 { "" } else { "s" };
    format!("AF_XDP {} {copies}, {queue_count} queue{plural}", attachment.mode())
}

impl Transport for Xdp {
    fn facts(&self) -> Facts {
        self.card.facts()
    }

    fn send(&mut self, question: &Question<'_>, clock: &impl Clock) -> Result<Option<Tick>, TransportError> {
        self.card.send(question, clock)
    }

    fn flush(&mut self) -> Result<(), TransportError> {
        self.card.flush()
    }

    /// What the kernel dropped because the receive ring was full or no buffer was free.
    fn overruns(&self) -> Option<u64> {
        let queues = self.attachment.statistics().ok()?;
        Some(queues.iter().map(|(_, counts)| counts.rx_dropped + counts.rx_ring_full).sum())
    }

    fn receive(&mut self, until: Tick, clock: &impl Clock) -> Result<Option<Arrival<'_>>, TransportError> {
        self.card.receive(until, clock)
    }
}
