//! The card of a server, whichever it is: an interface of this host, or one in shared memory.

use nic::memif::{Control, Fault, Frames, Peers};
use nic::xdp::{Attachment, Claims, NextHops, Statistics};

use crate::error::Error;

/// What is open beside the lanes.
#[derive(Debug)]
pub(super) enum Card {
    /// The program on an interface, which hands frames to the lanes.
    Xdp(Attachment),
    /// The watch over a peer in shared memory.
    Memif(Control),
}

impl Card {
    /// The program, where there is one.
    pub(super) const fn program(&self) -> Option<&Attachment> {
        match self {
            Self::Xdp(attachment) => Some(attachment),
            Self::Memif(_) => None,
        }
    }

    /// From here on exactly this is redirected to the lanes. A peer in shared memory has nobody else to send to.
    pub(super) fn set_claims(&mut self, claims: &Claims) -> Result<(), Error> {
        match self {
            Self::Xdp(attachment) => Ok(attachment.set_claims(claims)?),
            Self::Memif(_) => Ok(()),
        }
    }

    /// Puts ways in force in the program.
    pub(super) fn set_next_hops(&mut self, next_hops: &NextHops) -> Result<(), Error> {
        match self {
            Self::Xdp(attachment) => Ok(attachment.set_next_hops(next_hops)?),
            Self::Memif(_) => Ok(()),
        }
    }

    /// What was lost or refused before and behind the lanes.
    pub(super) fn losses(&self) -> Result<Losses, Error> {
        Ok(match self {
            Self::Xdp(attachment) => Losses::Xdp(attachment.statistics()?),
            Self::Memif(control) => Losses::Memif(control.peers(), control.frames()),
        })
    }

    /// What the kernel has counted of each queue: nothing where there is no kernel between.
    pub(super) fn statistics(&self) -> Result<Vec<(u32, Statistics)>, Error> {
        match self {
            Self::Xdp(attachment) => Ok(attachment.statistics()?),
            Self::Memif(_) => Ok(Vec::new()),
        }
    }

    /// What has happened beside the lanes since this was last asked.
    pub(super) fn news(&self) -> Vec<String> {
        match self {
            Self::Xdp(_) => Vec::new(),
            Self::Memif(control) => control.news(),
        }
    }
}

/// What a card counts that no lane has seen.
#[derive(Clone, Debug)]
pub(super) enum Losses {
    /// The kernel's counts, by queue.
    Xdp(Vec<(u32, Statistics)>),
    /// What became of peers, and of the frames of each queue.
    Memif(Peers, Vec<Frames>),
}

impl Losses {
    /// How many frames the kernel refused that lanes gave to it.
    pub(super) fn invalid(&self) -> u64 {
        match self {
            Self::Xdp(queues) => queues.iter().map(|(_, queue)| queue.rx_invalid + queue.tx_invalid).sum(),
            Self::Memif(..) => 0,
        }
    }

    /// Every count with its name and what it means.
    pub(super) fn rows(&self) -> Vec<(String, u64, String)> {
        match self {
            Self::Xdp(queues) => {
                queues.iter().flat_map(|(queue, statistics)| rows_of_queue(*queue, statistics)).collect()
            }
            Self::Memif(peers, queues) => {
                let frames = (0..).zip(queues).flat_map(|(queue, frames)| rows_of_frames(queue, frames));
                rows_of_peers(peers).chain(frames).collect()
            }
        }
    }
}

/// What the kernel could not put into a queue's rings, which no lane has ever seen.
fn rows_of_queue(queue: u32, statistics: &Statistics) -> impl Iterator<Item = (String, u64, String)> {
    // In copy mode the kernel counts a frame that found the fill ring empty in both (`xsk_rcv_check` and
    // `__xsk_rcv` in net/xdp/xsk.c): each is told once.
    let otherwise = statistics.rx_dropped.saturating_sub(statistics.fill_ring_empty);
    let rows = [
        ("rx_ring_full", statistics.rx_ring_full, "Before a lane: its receive ring was full."),
        ("fill_ring_empty", statistics.fill_ring_empty, "Before a lane: its fill ring was empty."),
        ("rx_dropped", otherwise, "Before a lane: dropped by the kernel for another reason."),
        ("rx_invalid", statistics.rx_invalid, "A fault of the lane: a buffer that the kernel did not take."),
        ("tx_invalid", statistics.tx_invalid, "A fault of the lane: an answer that the kernel did not take."),
    ];
    rows.into_iter().map(move |(name, count, why)| (format!("queue_{queue}_{name}"), count, why.to_owned()))
}

fn rows_of_peers(peers: &Peers) -> impl Iterator<Item = (String, u64, String)> + use<> {
    let peers = *peers;
    let known = [
        ("memif_connected", peers.connected, "Peers that were connected."),
        ("memif_left", peers.left, "Peers that went of themselves, or died."),
    ];
    let known = known.map(|(name, count, why)| (name.to_owned(), count, why.to_owned()));
    let faults = Fault::ALL.iter().map(move |&fault| {
        (
            format!("memif_sent_away_{fault}"),
            peers.of(fault),
            format!("Peers that were sent away: {}", fault.sentence()),
        )
    });
    known.into_iter().chain(faults)
}

fn rows_of_frames(queue: u32, frames: &Frames) -> impl Iterator<Item = (String, u64, String)> + use<> {
    let rows = [
        ("chained", frames.chained, "Before a lane: a frame in more than one buffer."),
        ("too_long", frames.too_long, "Before a lane: a frame longer than buffers are."),
        ("empty", frames.empty, "Before a lane: a frame without a byte."),
        (
            "buffer_short",
            frames.buffer_short,
            "Of tx_ring_full: the peer's buffer was too short for the answer.",
        ),
        ("kicks", frames.kicks, "Times that a sleeping peer was woken."),
    ];
    rows.into_iter().map(move |(name, count, why)| (format!("queue_{queue}_{name}"), count, why.to_owned()))
}
