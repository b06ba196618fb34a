//! Handshakes without a socket, and rings without a peer: for the fuzzer, which has bytes and nothing else.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::MemfdFlags;

use super::fault::{Fault, FrameCounts};
use super::given::Given;
use super::message::{MESSAGE_SIZE, Message, text};
use super::pair::{Pair, Parts};
use super::rooms::Rooms;
use super::server::Answer;
use super::{Role, client, event, server};
use crate::queue::BURST_MAX;

/// How many bytes the memory has that goes with a message.
const MEMORY_SIZE: usize = 1 << 16;
/// The longest packet.
const ROOM_SIZE: usize = 2048;
/// Packets that are put into a ring, at most.
const PUT_MAX: usize = 300;

/// What goes with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    /// No descriptor.
    Nothing,
    /// Memory of 64 KiB, which begins with the given bytes.
    Memory,
    /// An event.
    Event,
    /// What is neither.
    Pipe,
}

/// One end's handshake.
enum Handshake {
    Server(server::Handshake),
    Client(client::Handshake),
}

impl Handshake {
    fn new(role: Role) -> Self {
        match role {
            Role::Server => {
                Self::Server(server::Handshake::new(server::Terms { id: 0, queues: 2, secret: None }))
            }
            Role::Client => Self::Client(client::Handshake::new(client::Wants {
                id: 0,
                queues: 2,
                secret: Some(text("secret")),
                ring_size_log2: 7,
                buffer_size: ROOM_SIZE as u32,
            })),
        }
    }

    fn hear(&mut self, message: Message, descriptor: Option<Given>) -> Result<Answer, Fault> {
        match self {
            Self::Server(handshake) => handshake.hear(message, descriptor),
            Self::Client(handshake) => {
                let answer = handshake.hear(message, descriptor);
                let _sent = handshake.next();
                answer
            }
        }
    }

    fn parts(&mut self) -> Result<Vec<Parts>, Fault> {
        match self {
            Self::Server(handshake) => handshake.parts(),
            Self::Client(handshake) => handshake.parts(),
        }
    }
}

/// Puts messages to one end, as long as it takes them, and uses the rings that it was given, if it was. Gives how many rings
/// that were.
///
/// # Errors
/// This host gives no memory, or no descriptors.
pub fn hear<'a>(
    role: Role,
    messages: impl Iterator<Item = (&'a [u8; MESSAGE_SIZE], With)>,
    memory: &[u8],
) -> io::Result<usize> {
    let mut handshake = Handshake::new(role);
    for (bytes, with) in messages {
        let Ok(message) = Message::decode(bytes) else { return Ok(0) };
        match handshake.hear(message, descriptor(with, memory)?.map(Given::new)) {
            Ok(Answer::Connected(_)) => return Ok(handshake.parts().map_or(0, use_rings)),
            Ok(Answer::Send(_) | Answer::Nothing) => {}
            Ok(Answer::Left(why)) => {
                assert!(why.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{why:?}");
                return Ok(0);
            }
            Err(_fault) => return Ok(0),
        }
    }
    Ok(0)
}

fn descriptor(with: With, memory: &[u8]) -> io::Result<Option<OwnedFd>> {
    Ok(match with {
        With::Nothing => None,
        With::Memory => {
            let file = rustix::fs::memfd_create("fuzz", MemfdFlags::CLOEXEC)?;
            rustix::fs::ftruncate(&file, MEMORY_SIZE as u64)?;
            rustix::io::pwrite(&file, memory.get(..MEMORY_SIZE).unwrap_or(memory), 0)?;
            Some(file)
        }
        With::Event => Some(event::new()?),
        With::Pipe => Some(io::pipe()?.1.into()),
    })
}

/// Looks, puts and gives back, as a queue does.
fn use_rings(parts: Vec<Parts>) -> usize {
    let count = parts.len();
    for parts in parts {
        let counts = FrameCounts::default();
        let mut pair = Pair::new(1, parts, true);
        let (mut rooms, answer) = (Rooms::new(ROOM_SIZE), [0; ROOM_SIZE]);
        while let Ok(found @ 1..) = pair.look(&mut rooms, &counts) {
            assert!(found <= BURST_MAX, "{found} frames");
            pair.give_back();
        }
        for number in 0..PUT_MAX {
            let is_put = pair.put(answer.get(..60 + number).unwrap_or_default(), None, &counts);
            pair.publish();
            if is_put.is_err() {
                break;
            }
        }
    }
    count
}
