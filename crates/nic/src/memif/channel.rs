//! The control channel: a Unix socket of whole messages, and the descriptors that travel with them.
//!
//! Nothing here waits: a channel that has nothing to give says so. A peer that sends more descriptors than a message may
//! have has them closed, and one that takes no messages is given up. Closing a channel would close what has not been read of
//! it, and so is read before ([`Given`]).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind,
    connect, listen, recvmsg, sendmsg, shutdown, socket_with,
};

use super::given::Given;
use super::message::{MESSAGE_SIZE, Message, Unknown};

/// How many channels wait to be accepted.
const BACKLOG: i32 = 8;

/// How many descriptors of one message are looked at. One is allowed.
pub(super) const DESCRIPTORS_MAX: usize = 4;

/// How many messages may be in a channel unread: more than the room that a socket has for what it sends
/// (`net.core.wmem_default`, 208 KiB) holds of them.
const UNREAD_MAX: usize = 1024;

/// Where a control channel is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketName {
    /// A file.
    Path(PathBuf),
    /// A name that is no file (`man 7 unix`, "abstract"): written with `@` in front.
    Abstract(String),
}

impl SocketName {
    /// The name of these words: `@name`, or a path.
    pub fn new(words: &str) -> Self {
        match words.strip_prefix('@') {
            Some(name) => Self::Abstract(name.to_owned()),
            None => Self::Path(PathBuf::from(words)),
        }
    }

    fn address(&self) -> Result<SocketAddrUnix, Errno> {
        match self {
            Self::Path(path) => SocketAddrUnix::new(path.as_path()),
            Self::Abstract(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
        }
    }
}

impl std::fmt::Display for SocketName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(out),
            Self::Abstract(name) => write!(out, "@{name}"),
        }
    }
}

fn new_socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// Where peers come in. Its file goes when it is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    file: Option<PathBuf>,
}

impl Listener {
    /// Listens. A file that a dead server has left is replaced; one that a living server listens on is not.
    pub(super) fn open(name: &SocketName) -> io::Result<Self> {
        let socket = new_socket()?;
        let address = name.address()?;
        if let SocketName::Path(path) = name {
            remove_stale(path, &address)?;
        }
        bind(&socket, &address)?;
        let file = match name {
            SocketName::Path(path) => Some(path.clone()),
            SocketName::Abstract(_) => None,
        };
        let listener = Self { socket, file };
        if let Some(path) = &listener.file {
            // Whoever may write to the socket may hand over memory: nobody but its owner and his group, as the umask says.
            let mode = rustix::fs::stat(path)?.st_mode & 0o770;
            rustix::fs::chmod(path, Mode::from_raw_mode(mode))?;
        }
        listen(&listener.socket, BACKLOG)?;
        Ok(listener)
    }

    /// The next peer that has come, if one has.
    pub(super) fn accept(&self) -> io::Result<Option<Channel>> {
        match accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => Ok(Some(Channel { socket })),
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // From now on nobody comes; who waits to be let in has sent something already, maybe.
        let _shut = shutdown(&self.socket, Shutdown::Both);
        while let Ok(Some(channel)) = self.accept() {
            drop(channel);
        }
        if let Some(path) = &self.file {
            // Somebody else may have taken it away.
            let _gone = std::fs::remove_file(path);
        }
    }
}

/// Takes a socket's file away if nobody listens on it any more.
fn remove_stale(path: &Path, address: &SocketAddrUnix) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        // What is no socket is left as it is, and binding says so.
        Ok(_) | Err(_) => return Ok(()),
    }
    match connect(new_socket()?, address) {
        Err(Errno::CONNREFUSED) => std::fs::remove_file(path),
        _ => Err(Errno::ADDRINUSE.into()),
    }
}

/// One peer.
#[derive(Debug)]
pub(super) struct Channel {
    socket: OwnedFd,
}

/// What came of a look at a channel.
#[derive(Debug)]
pub(super) enum Received {
    Message(Message, Option<Given>),
    Nothing,
    Closed,
    /// No message of the protocol.
    Malformed,
}

impl Channel {
    /// A channel to the server of this name; nothing where no server listens there.
    pub(super) fn connect(name: &SocketName) -> io::Result<Option<Self>> {
        let socket = new_socket()?;
        match connect(&socket, &name.address()?) {
            Ok(()) => Ok(Some(Self { socket })),
            Err(Errno::CONNREFUSED | Errno::NOENT | Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends one message, with a descriptor where it has one.
    pub(super) fn send(&self, message: &Message, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = descriptor.as_slice();
        if !descriptors.is_empty() {
            let _fits = control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let bytes = message.encode();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent = sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut control, flags)?;
        if sent == MESSAGE_SIZE { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// The next message, if one has come.
    pub(super) fn receive(&self) -> io::Result<Received> {
        let mut bytes = [0; MESSAGE_SIZE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let received = match recvmsg(&self.socket, &mut parts, &mut control, flags) {
            Ok(received) => received,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
            Err(Errno::CONNRESET) => return Ok(Received::Closed),
            Err(error) => return Err(error.into()),
        };
        let mut descriptors = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(more) = part {
                descriptors.extend(more.map(Given::new));
            }
        }
        if received.bytes == 0 {
            return Ok(Received::Closed);
        }
        // A longer one is cut off, and only this says so.
        let is_whole = received.bytes == MESSAGE_SIZE && !received.flags.contains(ReturnFlags::TRUNC);
        if !is_whole || descriptors.len() > 1 {
            return Ok(Received::Malformed);
        }
        Ok(match Message::decode(&bytes) {
            Ok(message) => Received::Message(message, descriptors.pop()),
            Err(Unknown(_)) => Received::Malformed,
        })
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // From now on nothing comes.
        let _shut = shutdown(&self.socket, Shutdown::Both);
        for _ in 0..UNREAD_MAX {
            if !matches!(self.receive(), Ok(Received::Message(..) | Received::Malformed)) {
                return;
            }
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
