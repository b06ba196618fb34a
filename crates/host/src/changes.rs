//! Is told by the kernel when its routes or neighbours have changed, without a wait.

use std::io;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, protocols};
use rustix::io::Errno;

use crate::HostError;

/// `RTNLGRP_NEIGH`, `RTNLGRP_IPV4_ROUTE`, `RTNLGRP_IPV6_ROUTE` (`include/uapi/linux/rtnetlink.h`).
const GROUPS: [u32; 3] = [3, 7, 11];

/// Room for one receive, as the kernel fills it.
const ROOM_SIZE: usize = 32 * 1024;

/// How many messages are looked at in one go. What is left then counts as a change, and is thrown away with the rest at the
/// next look: whoever is told of a change reads everything anew.
const MESSAGES_MAX: usize = 1024;

/// An open ear, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Changes {
    socket: Socket,
    ifindex: u32,
    room: Vec<u8>,
}

impl Changes {
    /// Hears of all routes, and of the neighbours on one interface, from now on.
    pub fn of(ifindex: u32) -> Result<Self, HostError> {
        let opened = (|| {
            let mut socket = Socket::new(protocols::NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.set_non_blocking(true)?;
            GROUPS.iter().try_for_each(|&group| socket.add_membership(group))?;
            Ok::<_, io::Error>(socket)
        })();
        let socket = opened.map_err(|error| refused(&error))?;
        Ok(Self { socket, ifindex, room: Vec::with_capacity(ROOM_SIZE) })
    }

    /// Whether anything may have changed since this was last asked. What the kernel could not keep for us (`ENOBUFS`), or
    /// says in a way that is not understood, counts as a change.
    pub fn have_come(&mut self) -> Result<bool, HostError> {
        let mut have_come = false;
        for _ in 0..MESSAGES_MAX {
            self.room.clear();
            match self.socket.recv(&mut self.room, 0) {
                Ok(_) => have_come |= concerns(&self.room, self.ifindex),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(have_come),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => have_come = true,
                Err(error) => return Err(refused(&error)),
            }
        }
        Ok(true)
    }
}

/// Whether one of these messages is about a route, or about a neighbour on this interface.
fn concerns(mut messages: &[u8], ifindex: u32) -> bool {
    while !messages.is_empty() {
        let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(messages) else { return true };
        let is_ours = match &message.payload {
            NetlinkPayload::InnerMessage(
                RouteNetlinkMessage::NewNeighbour(neighbour) | RouteNetlinkMessage::DelNeighbour(neighbour),
            ) => neighbour.header.ifindex == ifindex,
            NetlinkPayload::InnerMessage(
                RouteNetlinkMessage::NewRoute(_) | RouteNetlinkMessage::DelRoute(_),
            )
            | NetlinkPayload::Overrun(_) => true,
            _ => false,
        };
        if is_ours {
            return true;
        }
        messages = messages.get((message.header.length as usize).next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

fn refused(error: &io::Error) -> HostError {
    HostError::refused("hear of changed routes", Errno::from_io_error(error).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::NetlinkHeader;
    use netlink_packet_route::link::LinkMessage;
    use netlink_packet_route::neighbour::NeighbourMessage;
    use netlink_packet_route::route::RouteMessage;

    use super::*;

    fn bytes(message: RouteNetlinkMessage) -> Vec<u8> {
        let mut message = NetlinkMessage::new(NetlinkHeader::default(), message.into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len().next_multiple_of(4)];
        message.serialize(&mut bytes);
        bytes
    }

    fn neighbour_on(ifindex: u32) -> RouteNetlinkMessage {
        let mut message = NeighbourMessage::default();
        message.header.ifindex = ifindex;
        RouteNetlinkMessage::NewNeighbour(message)
    }

    #[test]
    fn routes_and_neighbours_on_the_interface_concern_and_nothing_else_does() {
        let route = || bytes(RouteNetlinkMessage::DelRoute(RouteMessage::default()));
        let link = || bytes(RouteNetlinkMessage::NewLink(LinkMessage::default()));
        let (own, other) = (|| bytes(neighbour_on(7)), || bytes(neighbour_on(8)));
        for (messages, is_ours) in [
            (vec![], false),
            (vec![link()], false),
            (vec![other(), link()], false),
            (vec![route()], true),
            (vec![own()], true),
            (vec![other(), link(), own()], true),
            (vec![vec![0xa5; 20]], true),
        ] {
            assert_eq!(concerns(&messages.concat(), 7), is_ours, "{messages:?}");
        }
    }
}
