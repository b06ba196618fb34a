//! Packets by shared memory, without a kernel between: memif, version 2.0, as VPP and DPDK (`net_memif`) speak it.
//!
//! Two processes map the same memory, with a ring for each direction of each queue. A socket carries the agreement about
//! that memory and nothing else; packets need no system call, no privilege and no card.
//!
//! ```text
//!   peer ── Unix socket ──▶ control thread: handshake, watch over the peer, farewell
//!                              │ connection, whole        ▲ what is wrong with the peer
//!                              ▼                          │
//!   peer ◀══ rings ══════▶ MemifQueue, in a lane ─────────┘
//! ```
//!
//! | file | what |
//! |---|---|
//! | `message` | the 128 bytes of a control message |
//! | `channel`, `given` | the socket, and the descriptors that travel by it |
//! | `event`, `kick` | how who sleeps is woken |
//! | `server`, `client` | the handshake, from either side |
//! | `region`, `sys` | memory, and what is left when a peer takes it away |
//! | `shared` | the only ways to read and write it |
//! | `pair` | a queue's two rings |
//! | `queue`, `rooms` | [`MemifQueue`]: a lane's view, and its private memory |
//! | `fuzzing` | handshakes without a socket, for the fuzzer |
//! | `control`, `post` | the thread beside the lanes, and how a connection reaches them |
//!
//! The peer is not trusted: every index, length and place is checked against what is mapped whenever it is used, a packet is
//! copied before it is looked at, and a peer that does what the protocol forbids is sent away and counted ([`Fault`]).

use std::io;

use thiserror::Error;

mod channel;
mod client;
mod control;
mod event;
mod fault;
#[cfg(feature = "testing")]
pub mod fuzzing;
mod given;
mod kick;
mod message;
mod pair;
mod post;
mod queue;
mod region;
mod rooms;
mod server;
mod shared;
mod sys;
#[cfg(feature = "testing")]
pub mod testing;

use kick::Kicker;

pub use channel::SocketName;
pub use control::{Control, Happening, News};
pub use fault::{Fault, Frames, Peers};
pub use queue::{Idle, MemifQueue, RING_SIZE_MIN};

/// The largest ring, as in DPDK.
pub const RING_SIZE_MAX: u32 = 1 << RING_SIZE_LOG2_MAX;
const RING_SIZE_LOG2_MAX: u8 = 14;

/// The shortest buffer: DPDK's own length, which its server takes for granted without a look at the slot.
pub const BUFFER_SIZE_MIN: u32 = 2048;
/// The longest: a jumbo frame and more.
pub const BUFFER_SIZE_MAX: u32 = 16384;

/// The most queues of an interface: with the longest rings and buffers, 1 GiB of them.
pub const QUEUES_MAX: u16 = 64;

/// How long a secret is at most.
pub const SECRET_SIZE_MAX: usize = 24;

/// What a line of a cache has.
const LINE_SIZE: usize = 64;

/// What we call ourselves.
const OUR_NAME: &str = concat!("barelane ", env!("CARGO_PKG_VERSION"));

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Has the socket, and is handed memory ("master").
    Server,
    /// Comes to it, and makes the memory ("slave").
    Client,
}

/// One end of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The socket.
    pub socket: SocketName,
    /// Which end.
    pub role: Role,
    /// Which interface of the socket's.
    pub id: u32,
    /// What both ends must know; nothing where none is asked for.
    pub secret: Option<Vec<u8>>,
    /// How many queues at most; as many as both ends have are used.
    pub queues: u16,
    /// Slots of a ring: a client's to say.
    pub ring_size: u32,
    /// Bytes of a buffer, and of the longest frame: a power of two.
    pub buffer_size: u32,
    /// What a lane does when nothing waits.
    pub idle: Idle,
}

impl Settings {
    /// One queue of 1024 slots and buffers of 2 KiB, as a server, without a secret, spinning.
    pub fn new(socket: SocketName) -> Self {
        Self {
            socket,
            role: Role::Server,
            id: 0,
            secret: None,
            queues: 1,
            ring_size: 1024,
            buffer_size: BUFFER_SIZE_MIN,
            idle: Idle::Spin,
        }
    }
}

/// What keeps an interface from being opened.
#[derive(Debug, Error)]
pub enum MemifError {
    /// The socket cannot be had.
    #[error("the socket {socket} cannot be {what}: {source}")]
    Socket {
        /// Its name.
        socket: String,
        /// What was to be done with it.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The rings and buffers of all queues would be too much.
    #[error("{queues} queues of {ring_size} slots and buffers of {buffer_size} bytes are more than 1 GiB")]
    TooLarge {
        /// How many queues.
        queues: u16,
        /// How many slots.
        ring_size: u32,
        /// How many bytes.
        buffer_size: u32,
    },
    /// Nothing to wake peers by.
    #[error(
        "no asynchronous I/O to wake peers by: {0}; raise fs.aio-max-nr (now in use: fs.aio-nr), or have a kernel with CONFIG_AIO"
    )]
    Kicker(io::Error),
    /// The thread beside the lanes cannot be started.
    #[error("no thread for the control channel: {0}")]
    Thread(io::Error),
}

/// Opens an interface: its queues are there at once, and answer when a peer is connected. Dropping the [`Control`] ends
/// it.
///
/// # Errors
/// As a server: somebody else has the socket, or it cannot be made. A client tries until there is a server.
pub fn open(settings: &Settings) -> Result<(Control, Vec<MemifQueue>), MemifError> {
    let Settings { queues, ring_size, buffer_size, .. } = *settings;
    let bytes = 2 * u64::from(queues) * u64::from(ring_size) * (u64::from(buffer_size) + LINE_SIZE as u64);
    if bytes > region::BYTES_MAX {
        return Err(MemifError::TooLarge { queues, ring_size, buffer_size });
    }
    let (outboxes, inboxes): (Vec<_>, Vec<_>) = (0..queues).map(|_| post::post()).unzip();
    let room_size = buffer_size as usize;
    let queue = |inbox| Ok(MemifQueue::new(inbox, Kicker::new()?, room_size, settings.idle));
    let queues: io::Result<_> = inboxes.into_iter().map(queue).collect();
    let queues = queues.map_err(MemifError::Kicker)?;
    Ok((Control::start(settings, outboxes)?, queues))
}
