//! Whole frames, sent and received past the kernel's protocols: for the questions that must be asked before an address
//! is used (RFC 5227, RFC 4862), and for tests.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

use crate::{HostError, sys};

/// Every Ethernet type: `ETH_P_ALL`.
pub const EVERY_ETHERTYPE: u16 = 3;

/// The shortest wait the kernel can be asked for; a wait of nothing would mean for ever.
const WAIT_MIN: Duration = Duration::from_micros(1);

/// A socket that sends any frame on one interface, and receives those of one Ethernet type there.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
}

impl PacketSocket {
    /// Opens one. It sees what the interface receives from now on, not what this host sends. Needs `CAP_NET_RAW`.
    pub fn open(ifindex: u32, ethertype: u16) -> Result<Self, HostError> {
        let asked = || format!("open a packet socket on the interface of index {ifindex}");
        let opened = raw().and_then(|socket| {
            sys::ignore_outgoing(&socket)?;
            sys::tell_tags(&socket)?;
            sys::bind_packet(&socket, ifindex, ethertype)?;
            Ok(socket)
        });
        opened.map(|socket| Self { socket }).map_err(|errno| HostError::refused(asked(), errno))
    }

    /// Sends a frame, Ethernet header and all.
    pub fn send(&self, frame: &[u8]) -> Result<(), HostError> {
        let sent = send(&self.socket, frame, SendFlags::empty());
        sent.map(drop)
            .map_err(|errno| HostError::refused(format!("send a frame of {} bytes", frame.len()), errno))
    }

    /// Waits for a frame for at most `limit`, and gives its length; `None` where none came. What does not fit into
    /// `room` is cut. The outermost VLAN tag is not there: the kernel takes it out before anybody sees a frame
    /// (`skb_vlan_untag` in `net/core/skbuff.c`).
    pub fn receive(&self, room: &mut [u8], limit: Duration) -> Result<Option<usize>, HostError> {
        self.wait(limit, || recv(&self.socket, &mut *room, RecvFlags::empty()).map(|(len, _)| len))
    }

    /// The same, and gives the frame as it was on the wire, with all of its tags.
    pub fn receive_whole(&self, room: &mut [u8], limit: Duration) -> Result<Option<Vec<u8>>, HostError> {
        const ADDRESSES: usize = 12;
        let received = self.wait(limit, || sys::receive_packet(&self.socket, room))?;
        Ok(received.map(|(len, tag)| {
            let frame = room.get(..len).unwrap_or_default();
            let (addresses, rest) = frame.split_at(len.min(ADDRESSES));
            [addresses, tag.as_ref().map_or(&[][..], |tag| tag), rest].concat()
        }))
    }

    /// Receives, again and again where a signal comes between, for at most `limit`.
    fn wait<T>(
        &self,
        limit: Duration,
        mut receive: impl FnMut() -> Result<T, Errno>,
    ) -> Result<Option<T>, HostError> {
        let deadline = Instant::now() + limit;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            let received = set_socket_timeout(&self.socket, Timeout::Recv, Some(rest.max(WAIT_MIN)))
                .and_then(|()| receive());
            match received {
                Ok(received) => return Ok(Some(received)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) if Instant::now() < deadline => {}
                Err(errno) => return Err(HostError::refused("receive a frame", errno)),
            }
        }
    }
}

/// A packet socket that is bound to nothing and receives nothing yet: made with protocol 0, so that no frame of another
/// interface gets in before it is bound.
pub(crate) fn raw() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None)
}
