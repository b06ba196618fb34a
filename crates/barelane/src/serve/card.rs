//! The card of a server, whichever it is: an interface of this host, or one in shared memory.

use nic::memif::{Control, Frames, Happening, News as PeerNews, Peers};
use nic::xdp::{
    Attachment, Claims, NextHops, RouteCount, Settings, Statistics, XdpError, XdpQueue, XdpSocket,
};

use crate::counts::{rows_of_frames, rows_of_peers};
use crate::error::Error;
use crate::events::{Event, News};

/// What is open beside the lanes.
#[derive(Debug)]
pub(super) enum Card {
    /// The program on an interface, which hands frames to the lanes.
    Xdp(Box<Attachment>),
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

    /// From here on exactly this is redirected to the lanes. A peer in shared memory has nobody else to send to. Gives what was
    /// counted of the routes of the claims before.
    pub(super) fn set_claims(&mut self, claims: &Claims) -> Result<Vec<RouteCount>, Error> {
        match self {
            Self::Xdp(attachment) => Ok(attachment.set_claims(claims)?),
            Self::Memif(_) => Ok(Vec::new()),
        }
    }

    /// What is counted of each route before the lanes, by the claims in force.
    pub(super) fn route_counts(&self) -> Result<Vec<RouteCount>, Error> {
        match self {
            Self::Xdp(attachment) => Ok(attachment.route_counts()?),
            Self::Memif(_) => Ok(Vec::new()),
        }
    }

    /// Puts ways in force in the program.
    pub(super) fn set_next_hops(&mut self, next_hops: &NextHops) -> Result<(), Error> {
        match self {
            Self::Xdp(attachment) => Ok(attachment.set_next_hops(next_hops)?),
            Self::Memif(_) => Ok(()),
        }
    }

    /// Detaches the program from an interface that is gone.
    pub(super) fn detach(&mut self) -> Result<(), Error> {
        match self {
            Self::Xdp(attachment) => Ok(attachment.detach()?),
            Self::Memif(_) => Ok(()),
        }
    }

    /// Takes an interface again that was gone, and gives new queues for the lanes.
    pub(super) fn attach_again(&mut self, settings: &Settings) -> Result<Vec<XdpQueue<XdpSocket>>, XdpError> {
        match self {
            Self::Xdp(attachment) => attachment.attach_again(settings),
            Self::Memif(_) => Ok(Vec::new()),
        }
    }

    /// Counts answers of a queue as lost with an interface that went away.
    pub(super) fn count_lost(&mut self, queue: u32, answers: u32) {
        if let Self::Xdp(attachment) = self {
            attachment.count_lost(queue, answers);
        }
    }

    /// What was lost or refused before and behind the lanes.
    pub(super) fn losses(&self) -> Result<Losses, Error> {
        Ok(match self {
            Self::Xdp(attachment) => Losses::Xdp(attachment.statistics()?),
            Self::Memif(control) => Losses::Memif(control.peers(), control.frames()),
        })
    }

    /// What has happened beside the lanes since this was last asked.
    pub(super) fn news(&self) -> Vec<News> {
        match self {
            Self::Xdp(_) => Vec::new(),
            Self::Memif(control) => control.news().iter().map(of_peer).collect(),
        }
    }
}

/// What has happened at the other end of a memif.
fn of_peer(news: &PeerNews) -> News {
    let event = match news.what {
        Happening::Connected => Event::PeerConnected {},
        Happening::Left => Event::PeerLeft {},
        Happening::SentAway => Event::PeerSentAway {},
        Happening::KeptOut => Event::Warning {},
    };
    News::new(event, news.line.trim_start_matches("warning: "))
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

    /// Who counts frames that were lost, and each of his counts: queue, name, number.
    pub(super) fn lost(&self) -> (&'static str, Vec<(u32, &'static str, u64)>) {
        match self {
            Self::Xdp(queues) => {
                let lost = |&(queue, statistics): &(u32, Statistics)| {
                    lost_of_queue(&statistics).map(|(name, count, _)| (queue, name, count))
                };
                ("socket", queues.iter().flat_map(lost).collect())
            }
            Self::Memif(_, queues) => {
                let lost = |(queue, frames)| {
                    let rows = rows_of_frames(frames).into_iter().filter(|(name, ..)| *name != "kicks");
                    rows.map(move |(name, count, _)| (queue, name, count))
                };
                ("memif", (0..).zip(queues).flat_map(lost).collect())
            }
        }
    }

    /// Every count with its name and what it means.
    pub(super) fn rows(&self) -> Vec<(String, u64, String)> {
        match self {
            Self::Xdp(queues) => {
                queues.iter().flat_map(|(queue, statistics)| rows_of_queue(*queue, statistics)).collect()
            }
            Self::Memif(peers, queues) => {
                let named = |queue: usize, (name, count, why): (&str, u64, &str)| {
                    (format!("queue_{queue}_{name}"), count, why.to_owned())
                };
                let frames = queues.iter().enumerate().flat_map(|(queue, frames)| {
                    rows_of_frames(frames).into_iter().map(move |row| named(queue, row))
                });
                let peers = rows_of_peers(peers);
                peers.map(|(name, count, why)| (format!("memif_{name}"), count, why)).chain(frames).collect()
            }
        }
    }
}

/// What the kernel could not put into a queue's rings, which no lane has ever seen.
fn rows_of_queue(queue: u32, statistics: &Statistics) -> impl Iterator<Item = (String, u64, String)> {
    let rows = lost_of_queue(statistics).into_iter();
    rows.map(move |(name, count, why)| (format!("queue_{queue}_{name}"), count, why.to_owned()))
}

/// The same by the kernel's names.
fn lost_of_queue(statistics: &Statistics) -> [(&'static str, u64, &'static str); 6] {
    // In copy mode the kernel counts a frame that found the fill ring empty in both (`xsk_rcv_check` and
    // `__xsk_rcv` in net/xdp/xsk.c): each is told once.
    let otherwise = statistics.rx_dropped.saturating_sub(statistics.fill_ring_empty);
    [
        ("rx_ring_full", statistics.rx_ring_full, "Before a lane: its receive ring was full."),
        ("fill_ring_empty", statistics.fill_ring_empty, "Before a lane: its fill ring was empty."),
        ("rx_dropped", otherwise, "Before a lane: dropped by the kernel for another reason."),
        ("rx_invalid", statistics.rx_invalid, "A fault of the lane: a buffer that the kernel did not take."),
        ("tx_invalid", statistics.tx_invalid, "A fault of the lane: an answer that the kernel did not take."),
        ("tx_lost", statistics.tx_lost, "Answers that had not left when the interface went away."),
    ]
}
