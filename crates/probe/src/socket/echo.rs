//! ICMP and ICMPv6 echo over the kernel's two kinds of sockets for it.
//!
//! | socket | who may | identifier | checksum v4 | checksum v6 | an IPv4 answer begins with |
//! |---|---|---|---|---|---|
//! | ping (`SOCK_DGRAM`) | groups in `net.ipv4.ping_group_range` | the kernel's | the kernel's | the kernel's | the ICMP header |
//! | raw (`SOCK_RAW`) | `CAP_NET_RAW` | ours | ours | the kernel's | the IP header |
//!
//! A ping socket gets nothing but answers to its own identifier. A raw one gets every ICMP packet of the target, other
//! programs' included, and on the loopback interface even the questions: what is not an answer to us is skipped.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{SocketFlags, SocketType, getsockname, ipproto, socket_with};
use wire::checksum::{Field, Summer};
use wire::icmpv4::{self, Icmpv4Echo};
use wire::icmpv6;

use super::{connect_to, failed, family};
use crate::clock::WallTime;
use crate::question::Question;
use crate::transport::{Coverage, TransportError, What};

/// Bytes of an echo header. Both families have the same fields at the same places (RFC 792, RFC 4443 4.1), so that
/// one view serves both.
pub(super) const HEADER_SIZE: usize = Icmpv4Echo::LEN;

/// The least bytes of an IPv4 header.
const IPV4_SIZE_MIN: usize = 20;

/// One conversation of echoes.
#[derive(Debug)]
pub(super) struct Echo {
    kind: Kind,
    request: u8,
    reply: u8,
    identifier: u16,
    summer: Summer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ping,
    RawV4,
    RawV6,
}

/// A ping socket where that is allowed, else a raw one.
pub(super) fn open(target: SocketAddr, seed: u64) -> Result<(OwnedFd, Echo), TransportError> {
    match open_kind(target, SocketType::DGRAM) {
        Ok(socket) => {
            connect_to(&socket, target)?;
            let identifier = identifier_of(&socket)?;
            Ok((socket, Echo::new(Kind::Ping, target, identifier)))
        }
        Err(Errno::ACCESS | Errno::PERM | Errno::PROTONOSUPPORT) => open_raw(target, seed),
        Err(errno) => Err(failed("opening a ping socket", REMEDY)(errno)),
    }
}

const REMEDY: &str = "put this group into net.ipv4.ping_group_range, or give CAP_NET_RAW";

fn open_raw(target: SocketAddr, seed: u64) -> Result<(OwnedFd, Echo), TransportError> {
    let socket = open_kind(target, SocketType::RAW).map_err(failed("opening a raw ICMP socket", REMEDY))?;
    connect_to(&socket, target)?;
    let kind = if target.is_ipv4() { Kind::RawV4 } else { Kind::RawV6 };
    #[expect(clippy::cast_possible_truncation, reason = "any 16 of its bits will do")]
    let identifier = seed as u16;
    Ok((socket, Echo::new(kind, target, identifier)))
}

fn open_kind(target: SocketAddr, kind: SocketType) -> Result<OwnedFd, Errno> {
    let protocol = if target.is_ipv4() { ipproto::ICMP } else { ipproto::ICMPV6 };
    socket_with(family(target), kind, SocketFlags::CLOEXEC, Some(protocol))
}

/// The identifier that the kernel gave a ping socket: its port number.
fn identifier_of(socket: &OwnedFd) -> Result<u16, TransportError> {
    let told = failed("asking for the ping socket's identifier", REMEDY);
    let name = getsockname(socket).map_err(&told)?;
    SocketAddr::try_from(name).map(|address| address.port()).map_err(told)
}

impl Echo {
    fn new(kind: Kind, target: SocketAddr, identifier: u16) -> Self {
        let (request, reply) = if target.is_ipv4() {
            (icmpv4::ECHO_REQUEST, icmpv4::ECHO_REPLY)
        } else {
            (icmpv6::ECHO_REQUEST, icmpv6::ECHO_REPLY)
        };
        Self { kind, request, reply, identifier, summer: Summer::fastest() }
    }

    pub(super) const fn means(&self) -> &'static str {
        match self.kind {
            Kind::Ping => "connected ping socket",
            Kind::RawV4 | Kind::RawV6 => "connected raw ICMP socket",
        }
    }

    /// Writes the question's message to the beginning of `room`, and gives its size. The identifier and, but for a raw
    /// IPv4 socket, the checksum are the kernel's to fill in.
    pub(super) fn write(&self, question: &Question<'_>, sent_at: WallTime, room: &mut [u8]) -> usize {
        let size = (HEADER_SIZE + question.size()).min(room.len());
        let (message, _) = room.split_at_mut(size);
        if let Some(payload) = message.get_mut(HEADER_SIZE..) {
            question.write(payload, sent_at);
        }
        self.write_header(message, question.echo_sequence());
        size
    }

    fn write_header(&self, message: &mut [u8], sequence: u16) {
        if let Some(echo) = Icmpv4Echo::of_mut(message, 0) {
            (echo.kind, echo.code, echo.checksum) = (self.request, 0, Field::ZERO);
            echo.identifier.set(self.identifier);
            echo.sequence.set(sequence);
        }
        if self.kind == Kind::RawV4 {
            let checksum = self.summer.sum(message).complement();
            if let Some(echo) = Icmpv4Echo::of_mut(message, 0) {
                echo.checksum = checksum;
            }
        }
    }

    /// What arrived, or nothing where it is no answer to us.
    pub(super) fn read<'a>(&self, bytes: &'a [u8]) -> Option<What<'a>> {
        let message = match self.kind {
            Kind::RawV4 => without_ip_header(bytes)?,
            Kind::Ping | Kind::RawV6 => bytes,
        };
        let echo = Icmpv4Echo::of(message, 0)?;
        if echo.kind != self.reply || echo.identifier.get() != self.identifier {
            return None;
        }
        let is_right = self.kind != Kind::RawV4 || self.summer.sum(message).is_right();
        if echo.code != 0 || !is_right {
            return Some(What::Corrupted);
        }
        Some(What::Answer {
            payload: message.get(HEADER_SIZE..)?,
            echo_sequence: Some(echo.sequence.get()),
            checksum: Coverage::Whole,
        })
    }
}

/// An IPv4 datagram's payload. The kernel has checked the header before (`ip_rcv_core` in `net/ipv4/ip_input.c`).
fn without_ip_header(datagram: &[u8]) -> Option<&[u8]> {
    let words = usize::from(datagram.first()? & 0x0f);
    datagram.get((words * 4).max(IPV4_SIZE_MIN)..)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::ask::{Ask, Protocol};
    use crate::question::Questions;

    const V4: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    const V6: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::LOCALHOST), 0);

    fn questions() -> Questions {
        Questions::new(&Ask { seed: 1, size: 33, ..Ask::new(V4.ip(), Protocol::Icmp) })
    }

    /// The answer to question 5, as this kind of socket gives it, and then whatever `change` does to it.
    fn answer(echo: &Echo, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let mut room = vec![0xa5; HEADER_SIZE + 33];
        let size = echo.write(&questions().at(5), WallTime(0), &mut room);
        let mut message = room[..size].to_vec();
        message[0] = echo.reply;
        message[2..4].fill(0);
        let checksum = echo.summer.sum(&message).complement();
        message[2..4].copy_from_slice(&checksum.0);
        change(&mut message);
        let mut bytes = if echo.kind == Kind::RawV4 { vec![0x46; 24] } else { Vec::new() };
        bytes.extend(message);
        bytes
    }

    fn kinds() -> [Echo; 3] {
        [Echo::new(Kind::Ping, V4, 77), Echo::new(Kind::RawV4, V4, 77), Echo::new(Kind::RawV6, V6, 77)]
    }

    #[test]
    fn an_answer_is_read_from_each_kind_of_socket() {
        for echo in kinds() {
            let bytes = answer(&echo, |_| ());
            let Some(What::Answer { payload, echo_sequence, .. }) = echo.read(&bytes) else {
                panic!("{echo:?}")
            };
            let recognised = questions().recognise(payload, echo_sequence, 6);
            assert_eq!(recognised.map(|answer| answer.sequence), Some(5));
        }
    }

    #[test]
    fn a_question_and_an_answer_to_somebody_else_are_skipped() {
        for echo in kinds() {
            assert_eq!(echo.read(&answer(&echo, |message| message[0] = echo.request)), None);
            assert_eq!(echo.read(&answer(&echo, |message| message[5] ^= 1)), None);
            assert_eq!(echo.read(&[0x45]), None);
        }
    }

    #[test]
    fn a_code_and_a_checksum_that_are_wrong_make_an_answer_corrupted() {
        let [ping, raw, _] = kinds();
        assert_eq!(ping.read(&answer(&ping, |message| message[1] = 1)), Some(What::Corrupted));
        assert_eq!(raw.read(&answer(&raw, |message| message[2] ^= 1)), Some(What::Corrupted));
    }

    #[test]
    fn a_raw_ipv4_question_carries_a_right_checksum() {
        let [_, raw, _] = kinds();
        let mut room = [0xa5; HEADER_SIZE + 33];
        let size = raw.write(&questions().at(5), WallTime(0), &mut room);
        assert!(raw.summer.sum(&room[..size]).is_right());
    }
}
