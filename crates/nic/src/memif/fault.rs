//! Why a peer was sent away, and what of its frames was not taken: each once, with the sentence that explains it.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! faults {
    ($( $fault:ident $name:literal $sentence:literal; )*) => {
        /// Why a peer was sent away.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Fault {
            $( #[doc = $sentence] $fault, )*
        }

        impl Fault {
            /// Every fault there is.
            pub const ALL: &[Fault] = &[ $( Fault::$fault, )* ];

            /// The name that scripts and metrics use.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$fault => $name, )* }
            }

            /// What it means. The peer is told, too.
            pub const fn sentence(self) -> &'static str {
                match self { $( Self::$fault => $sentence, )* }
            }
        }
    };
}

faults! {
    Malformed "malformed" "It sent what is no message of the protocol.";
    OutOfTurn "out_of_turn" "It sent a message that has no place where it came.";
    Silent "silent" "It did not finish the handshake in time.";
    VersionUnknown "version_unknown" "It does not speak version 2.0.";
    ModeUnknown "mode_unknown" "It wants an interface that carries no Ethernet frames.";
    IdUnknown "id_unknown" "It wants an interface that is not on this socket.";
    SecretWrong "secret_wrong" "It does not know the secret.";
    AlreadyConnected "already_connected" "Another peer is connected.";
    RegionInvalid "region_invalid" "It offered memory that is none, or too small, or more than is taken.";
    RingInvalid "ring_invalid" "It offered a ring that does not lie in its memory as a ring must.";
    RingsMissing "rings_missing" "It offered no ring, or one that has no counterpart in the other direction.";
    IndexInvalid "index_invalid" "Its index of a ring went further than the ring has slots.";
    BufferInvalid "buffer_invalid" "A buffer of its does not lie in its memory.";
    MemoryLost "memory_lost" "It took its memory away.";
    EventInvalid "event_invalid" "Its event descriptor is none, or was filled up.";
    HostFailed "host_failed" "This host could not map its memory.";
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())
    }
}

/// How many faults there are.
const FAULT_COUNT: usize = Fault::ALL.len();

/// What happened on the control channel. Counted by one thread, read by all.
#[derive(Debug)]
pub(super) struct PeerCounts {
    connected: AtomicU64,
    left: AtomicU64,
    faults: [AtomicU64; FAULT_COUNT],
}

impl Default for PeerCounts {
    fn default() -> Self {
        let faults = std::array::from_fn(|_| AtomicU64::new(0));
        Self { connected: AtomicU64::new(0), left: AtomicU64::new(0), faults }
    }
}

impl PeerCounts {
    pub(super) fn count_connected(&self) {
        self.connected.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_left(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_fault(&self, fault: Fault) {
        if let Some(count) = self.faults.get(fault as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> Peers {
        Peers {
            connected: self.connected.load(Ordering::Relaxed),
            left: self.left.load(Ordering::Relaxed),
            faults: std::array::from_fn(|index| {
                self.faults.get(index).map_or(0, |count| count.load(Ordering::Relaxed))
            }),
        }
    }
}

/// How often peers came and went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Connections made.
    pub connected: u64,
    /// Connections that the peer ended, or its death.
    pub left: u64,
    faults: [u64; FAULT_COUNT],
}

impl Peers {
    /// How often a peer was sent away for this.
    pub fn of(&self, fault: Fault) -> u64 {
        self.faults.get(fault as usize).copied().unwrap_or(0)
    }

    /// How often peers were sent away.
    pub fn sent_away(&self) -> u64 {
        self.faults.iter().sum()
    }
}

/// What of a queue's frames was not taken, or not sent. Counted by its lane, read by all.
#[derive(Debug, Default)]
pub(super) struct FrameCounts {
    pub(super) chained: AtomicU64,
    pub(super) too_long: AtomicU64,
    pub(super) empty: AtomicU64,
    pub(super) buffer_short: AtomicU64,
    pub(super) kicks: AtomicU64,
}

impl FrameCounts {
    pub(super) fn read(&self) -> Frames {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Frames {
            chained: of(&self.chained),
            too_long: of(&self.too_long),
            empty: of(&self.empty),
            buffer_short: of(&self.buffer_short),
            kicks: of(&self.kicks),
        }
    }
}

/// What of a queue's frames was not taken, or not sent. None of these is in a lane's own counts of what came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Frames in more than one buffer: not taken.
    pub chained: u64,
    /// Frames longer than a room: not taken.
    pub too_long: u64,
    /// Frames without a byte: not taken.
    pub empty: u64,
    /// Answers for which the peer's next buffer was too short: the lane counts them as `tx_ring_full`.
    pub buffer_short: u64,
    /// Times that a sleeping peer was woken: a system call each.
    pub kicks: u64,
}
