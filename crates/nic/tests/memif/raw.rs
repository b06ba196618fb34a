//! A peer of bytes: messages, rings and slots as VPP's `memif.h` draws them, written by hand, so that they can be written
//! wrong. It reaches its memory by `pread` and `pwrite`, which the kernel keeps coherent with everybody's mappings.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use barelane_nic::memif::{Settings, SocketName};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{MemfdFlags, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect,
    listen, recvmsg, sendmsg, socket_with,
};

use crate::PATIENCE;

pub(crate) const ACK: u16 = 1;
pub(crate) const HELLO: u16 = 2;
pub(crate) const INIT: u16 = 3;
pub(crate) const ADD_REGION: u16 = 4;
pub(crate) const ADD_RING: u16 = 5;
pub(crate) const CONNECT: u16 = 6;
pub(crate) const CONNECTED: u16 = 7;
pub(crate) const DISCONNECT: u16 = 8;

/// The mark of a ring.
pub(crate) const COOKIE: u32 = 0x3e3_1f20;
/// Version 2.0.
pub(crate) const VERSION: u16 = 0x200;

/// Where the offer of [`Offer::new`] has its rings and its buffers.
pub(crate) const TO_SERVER_AT: u32 = 0;
pub(crate) const TO_CLIENT_AT: u32 = 0x1000;
pub(crate) const BUFFERS_AT: u32 = 0x2000;
pub(crate) const BUFFER_SIZE: u32 = 2048;
/// Slots of its rings, as a power of two.
pub(crate) const RING_SIZE_LOG2: u8 = 4;
pub(crate) const RING_SIZE: u16 = 1 << RING_SIZE_LOG2;
/// Bytes of its memory: the buffers of both rings follow the rings.
pub(crate) const MEMORY_SIZE: u64 = BUFFERS_AT as u64 + 2 * RING_SIZE as u64 * BUFFER_SIZE as u64;

/// The 128 bytes of a message.
pub(crate) fn message(kind: u16, fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = kind.to_ne_bytes().to_vec();
    bytes.extend(fields.concat());
    bytes.resize(128, 0);
    bytes
}

pub(crate) fn init(version: u16, id: u32, mode: u8, secret: &[u8; 24]) -> Vec<u8> {
    message(INIT, &[&version.to_ne_bytes(), &id.to_ne_bytes(), &[mode], secret, b"raw"])
}

pub(crate) fn hello(versions: [u16; 2], ring_max: u16, ring_size_log2_max: u8) -> Vec<u8> {
    let words = [versions[0], versions[1], 15, ring_max, ring_max].map(u16::to_ne_bytes).concat();
    message(HELLO, &[&[b'r'; 32], &words, &[ring_size_log2_max]])
}

pub(crate) fn add_region(index: u16, size: u64) -> Vec<u8> {
    message(ADD_REGION, &[&index.to_ne_bytes(), &size.to_ne_bytes()])
}

/// Where a ring is said to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    pub(crate) flags: u16,
    pub(crate) index: u16,
    pub(crate) region: u16,
    pub(crate) offset: u32,
    pub(crate) size_log2: u8,
    pub(crate) private_size: u16,
}

impl Ring {
    pub(crate) fn message(&self) -> Vec<u8> {
        let Self { flags, index, region, offset, size_log2, private_size } = *self;
        let words = [flags, index, region].map(u16::to_ne_bytes).concat();
        message(ADD_RING, &[&words, &offset.to_ne_bytes(), &[size_log2], &private_size.to_ne_bytes()])
    }
}

/// The two rings of one queue, as an honest client offers them.
pub(crate) fn rings(index: u16, to_server: u32, to_client: u32) -> [Ring; 2] {
    let ring =
        Ring { flags: 1, index, region: 0, offset: to_server, size_log2: RING_SIZE_LOG2, private_size: 0 };
    [ring, Ring { flags: 0, offset: to_client, ..ring }]
}

/// One end of a control channel.
#[derive(Debug)]
pub(crate) struct Raw {
    socket: OwnedFd,
}

fn address(settings: &Settings) -> SocketAddrUnix {
    match &settings.socket {
        SocketName::Abstract(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap(),
        SocketName::Path(path) => SocketAddrUnix::new(path.as_path()).unwrap(),
    }
}

fn new_socket() -> OwnedFd {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

/// Where a hostile server waits.
pub(crate) fn listener(settings: &Settings) -> OwnedFd {
    let socket = new_socket();
    bind(&socket, &address(settings)).unwrap();
    listen(&socket, 8).unwrap();
    socket
}

impl Raw {
    pub(crate) fn connect(settings: &Settings) -> Self {
        let socket = new_socket();
        connect(&socket, &address(settings)).unwrap();
        Self { socket }
    }

    pub(crate) fn accept(listener: &OwnedFd) -> Self {
        wait_for(listener);
        Self { socket: accept_with(listener, SocketFlags::CLOEXEC).unwrap() }
    }

    pub(crate) fn try_send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(32))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
        }
        sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Sends, or finds that the other end has gone.
    pub(crate) fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let _gone = self.try_send(bytes, descriptors);
    }

    /// The next message and its descriptors; nothing where the other end has gone.
    pub(crate) fn receive(&self) -> Option<(u16, Vec<u8>, Vec<OwnedFd>)> {
        wait_for(&self.socket);
        let mut bytes = [0; 256];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let received = match recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(received) => received,
            // It has gone without having read everything. What it had said before comes behind this.
            Err(Errno::CONNRESET) => return self.receive(),
            Err(_) => return None,
        };
        let mut descriptors = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(more) = part {
                descriptors.extend(more);
            }
        }
        let bytes = bytes[..received.bytes].to_vec();
        let kind = u16::from_ne_bytes([*bytes.first()?, *bytes.get(1)?]);
        Some((kind, bytes, descriptors))
    }

    /// What the other end says when it sends us away; nothing where it only goes.
    pub(crate) fn farewell(&self) -> Option<String> {
        while let Some((kind, bytes, _)) = self.receive() {
            if kind == DISCONNECT {
                let text: Vec<u8> = bytes[6..].iter().copied().take_while(|&byte| byte != 0).collect();
                return Some(String::from_utf8(text).unwrap());
            }
        }
        None
    }

    /// Takes messages until one of this kind comes. False where none does.
    pub(crate) fn hears(&self, wanted: u16) -> bool {
        while let Some((kind, ..)) = self.receive() {
            if kind == wanted {
                return true;
            }
        }
        false
    }
}

fn wait_for(descriptor: &OwnedFd) {
    let patience = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&patience)).unwrap();
    assert!(ready > 0, "nothing came");
}

/// Memory of `size` bytes, unsealed.
pub(crate) fn memory(size: u64) -> OwnedFd {
    let file = rustix::fs::memfd_create("raw", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&file, size).unwrap();
    file
}

pub(crate) fn write_at(file: &OwnedFd, at: u64, bytes: &[u8]) {
    // A file that was made shorter on purpose takes less.
    let _written = rustix::io::pwrite(file, bytes, at);
}

pub(crate) fn read_u16(file: &OwnedFd, at: u64) -> u16 {
    let mut bytes = [0; 2];
    rustix::io::pread(file, &mut bytes, at).unwrap();
    u16::from_ne_bytes(bytes)
}

/// An event that makes those wait who write to it when it is full.
pub(crate) fn event() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC).unwrap()
}

/// Says whether whoever reads or writes this description waits: for all who share it.
pub(crate) fn set_waiting(event: &OwnedFd, waits: bool) {
    let flags = rustix::fs::fcntl_getfl(event).unwrap();
    let flags = if waits { flags - OFlags::NONBLOCK } else { flags | OFlags::NONBLOCK };
    rustix::fs::fcntl_setfl(event, flags).unwrap();
}

/// Fills an event up, so that who writes to it waits.
pub(crate) fn fill(event: &OwnedFd) {
    set_waiting(event, false);
    let _empty = rustix::io::read(event, &mut [0_u8; 8]);
    let _full = rustix::io::write(event, &(u64::MAX - 1).to_ne_bytes());
    set_waiting(event, true);
}

/// All that a client offers, before it is spoilt.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) memory: OwnedFd,
    pub(crate) size: u64,
    /// Regions behind the first, and their sizes.
    pub(crate) more: Vec<(OwnedFd, u64)>,
    pub(crate) rings: Vec<Ring>,
    pub(crate) events: Vec<OwnedFd>,
}

impl Offer {
    /// One queue, as an honest client offers it: all buffers are given.
    pub(crate) fn new() -> Self {
        Self::of(1)
    }

    /// Several queues, one page for each ring and the buffers of the first one for all.
    pub(crate) fn of(queues: u16) -> Self {
        let size = MEMORY_SIZE + u64::from(queues) * 0x2000;
        let memory = memory(size);
        let first = u32::try_from(MEMORY_SIZE).unwrap();
        let places = |index: u16| match index {
            0 => (TO_SERVER_AT, TO_CLIENT_AT),
            _ => (first + u32::from(index) * 0x2000, first + u32::from(index) * 0x2000 + 0x1000),
        };
        let rings: Vec<_> = (0..queues).map(|index| rings(index, places(index).0, places(index).1)).collect();
        let rings = rings.concat();
        for ring in &rings {
            write_at(&memory, ring.offset.into(), &COOKIE.to_ne_bytes());
        }
        let events = rings.iter().map(|_| event()).collect();
        let offer = Self { memory, size, more: Vec::new(), rings, events };
        for queue in 0..queues {
            offer.give_buffers(queue);
        }
        offer
    }

    fn give_buffers(&self, queue: u16) {
        for slot in 0..RING_SIZE {
            let offset = BUFFERS_AT + u32::from(RING_SIZE + slot) * BUFFER_SIZE;
            self.write_slot(queue, 0, slot, Slot { len: BUFFER_SIZE, offset, ..Slot::default() });
        }
    }

    fn ring(&self, queue: u16, flags: u16) -> Ring {
        *self.rings.iter().find(|ring| (ring.index, ring.flags) == (queue, flags)).unwrap()
    }

    /// A slot of the ring to the server (`flags` 1) or to the client (0).
    pub(crate) fn write_slot(&self, queue: u16, flags: u16, slot: u16, content: Slot) {
        let ring = self.ring(queue, flags);
        let at = u64::from(ring.offset) + 128 + u64::from(slot % RING_SIZE) * 16;
        write_at(&self.memory, at, &content.bytes());
    }

    pub(crate) fn set_head(&self, queue: u16, flags: u16, head: u16) {
        write_at(&self.memory, u64::from(self.ring(queue, flags).offset) + 6, &head.to_ne_bytes());
    }

    pub(crate) fn tail(&self, queue: u16, flags: u16) -> u16 {
        read_u16(&self.memory, u64::from(self.ring(queue, flags).offset) + 64)
    }

    /// Puts frames into the first slots of the ring to the server, from slot `first` on, and says so.
    pub(crate) fn ask(&self, queue: u16, first: u16, frames: &[&[u8]]) {
        for (slot, frame) in (first..).zip(frames) {
            let offset = BUFFERS_AT + u32::from(slot % RING_SIZE) * BUFFER_SIZE;
            write_at(&self.memory, offset.into(), frame);
            let len = u32::try_from(frame.len()).unwrap();
            self.write_slot(queue, 1, slot, Slot { len, offset, ..Slot::default() });
        }
        self.set_head(queue, 1, first.wrapping_add(u16::try_from(frames.len()).unwrap()));
    }

    /// Gives every buffer of the ring to the client back, the answers in them unread.
    pub(crate) fn forget_answers(&self, queue: u16) {
        self.give_buffers(queue);
        self.set_head(queue, 0, self.tail(queue, 0).wrapping_add(RING_SIZE));
    }

    /// Says HELLO's answer and all that is offered; `secret` where one is asked for.
    pub(crate) fn make(&self, raw: &Raw) {
        raw.send(&init(VERSION, 0, 0, &[0; 24]), &[]);
        raw.send(&add_region(0, self.size), &[self.memory.as_fd()]);
        for (index, (file, size)) in (1..).zip(&self.more) {
            raw.send(&add_region(index, *size), &[file.as_fd()]);
        }
        for (ring, event) in self.rings.iter().zip(&self.events) {
            raw.send(&ring.message(), &[event.as_fd()]);
        }
        raw.send(&message(CONNECT, &[]), &[]);
    }

    /// The same, and the server has agreed.
    pub(crate) fn connect(&self, settings: &Settings) -> Raw {
        self.try_connect(settings).unwrap()
    }

    /// The same, where the server agrees.
    pub(crate) fn try_connect(&self, settings: &Settings) -> Option<Raw> {
        let raw = Raw::connect(settings);
        self.make(&raw);
        if !raw.hears(CONNECTED) {
            return None;
        }
        let queues = u16::try_from(self.rings.len() / 2).unwrap();
        // Only now: the server has put its own indices to 0.
        (0..queues).for_each(|queue| self.set_head(queue, 0, RING_SIZE));
        Some(raw)
    }
}

/// One slot of a ring.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    pub(crate) flags: u16,
    pub(crate) region: u16,
    pub(crate) len: u32,
    pub(crate) offset: u32,
}

impl Slot {
    pub(crate) fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&self.flags.to_ne_bytes());
        bytes[2..4].copy_from_slice(&self.region.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.len.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.offset.to_ne_bytes());
        bytes
    }
}
