//! What a backend does for the probe: hand a question over, hand an answer back, and stamp both.
//!
//! The backend takes the stamps, because only it knows the last instant before the hand-over and the first one
//! after an arrival; [`Transport::facts`] says where that is, and every report repeats it.

use std::io;
use std::net::IpAddr;

use telemetry::Tick;
use thiserror::Error;

use crate::clock::Clock;
use crate::question::Question;

/// The most questions that are queued before one [`Transport::flush`]. The first of them waits for the last to be
/// written, some 100 ns each, and this wait is in its round trip; fewer would cost more system calls at high rates.
pub const BATCH_MAX: usize = 32;

/// What every report says about its backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its name: "socket", "xdp", "memif".
    pub backend: &'static str,
    /// What it sends through: "connected UDP socket", "AF_XDP native copy".
    pub means: String,
    /// How it waits for an answer: "block", "spin".
    pub wait: &'static str,
    /// Where the sending stamp is taken.
    pub sent_stamp: &'static str,
    /// Where the receiving stamp is taken.
    pub received_stamp: &'static str,
}

/// Who takes the stamps that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamps {
    /// The backend, in this process.
    User,
    /// The kernel. A question without its [`What::Sent`] has no stamp that counts.
    Kernel,
}

/// Something that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// When.
    pub at: Tick,
    /// Whether that is the stamp that [`Facts`] tells of. If not, nothing is measured with it.
    pub is_stamped: bool,
    /// What.
    pub what: What<'a>,
}

/// What arrived. Nothing is reported that is not from the target to this probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// An answer whose headers are right: source, destination, lengths, checksums.
    Answer {
        /// What follows the UDP or the ICMP echo header.
        payload: &'a [u8],
        /// The sequence number of an ICMP echo header.
        echo_sequence: Option<u16>,
        /// Whether its checksum covers it.
        checksum: Coverage,
    },
    /// The kernel's own stamp of an earlier question's departure: it takes the place of the stamp that
    /// [`Transport::send`] gave. It comes before the answer, where both wait.
    Sent {
        /// Which question.
        sequence: u64,
    },
    /// An answer whose headers are wrong.
    Corrupted,
    /// An ICMP error that the kernel reported instead of an answer.
    Refused,
}

/// Whether an answer's checksum covers its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// It does, or the kernel has vouched for it.
    Whole,
    /// Its sender left it to a NIC that does not exist, and the operator accepts that.
    Partial,
}

/// A way to a target and back.
pub trait Transport {
    /// What the report says about this backend.
    fn facts(&self) -> Facts;

    /// Who takes the stamps that count.
    fn stamps(&self) -> Stamps {
        Stamps::User
    }

    /// Queues a question, and gives the stamp taken as late before the hand-over as can be, or nothing where there
    /// was no room: then the question was not queued and may be tried again. The caller hands the questions that are
    /// due together over by one [`Transport::flush`], after at most [`BATCH_MAX`].
    fn send(&mut self, question: &Question<'_>, clock: &impl Clock) -> Result<Option<Tick>, TransportError>;

    /// Hands over what was queued, where [`Transport::send`] has not done so itself.
    fn flush(&mut self) -> Result<(), TransportError>;

    /// Answers that reached this host and that the probe's own end had no room for, since it was opened; nothing where
    /// that is not counted. They are among the lost, and it was not the target that lost them.
    fn overruns(&self) -> Option<u64> {
        None
    }

    /// The next arrival. A backend that spins gives nothing at once where there is none; one that blocks waits, at
    /// most until `until`, and may give up earlier.
    fn receive(&mut self, until: Tick, clock: &impl Clock) -> Result<Option<Arrival<'_>>, TransportError>;
}

/// Why a backend cannot go on.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The kernel refused.
    #[error("{doing}: {source}; {remedy}")]
    Kernel {
        /// What was being done.
        doing: &'static str,
        /// What the kernel said.
        source: io::Error,
        /// What the operator can do.
        remedy: &'static str,
    },
    /// The two ends speak different languages.
    #[error("own address: {own} cannot ask {target}; take one of the same family")]
    Families {
        /// Our own address.
        own: IpAddr,
        /// The target's.
        target: IpAddr,
    },
    /// The kernel's stamps are of one clock, and the run would be of another.
    #[error("clock: the kernel's stamps are of CLOCK_REALTIME, not of {found}; measure by that clock")]
    Clock {
        /// The run's clock.
        found: &'static str,
    },
    /// There is nothing to ask by.
    #[error("queues: none given; name at least one, for instance 0")]
    QueuesMissing,
    /// The question does not fit.
    #[error("size: {found} bytes of payload do not fit this link; give at most {most}")]
    TooLarge {
        /// What was asked for.
        found: usize,
        /// What fits.
        most: usize,
    },
}
