//! One conversation with the kernel over netlink: a question, its answers, and a limit on the wait.
//!
//! ```text
//!   question ──▶ kernel ──▶ answer, answer, … , end
//!                                               ├─ NLMSG_DONE   the end of a list
//!                                               └─ NLMSG_ERROR  code 0: done (asked for with NLM_F_ACK), else: refused
//! ```
//!
//! The end is recognised by these two messages alone. The flag `NLM_F_MULTI` would tell lists from single answers, but
//! the `netdev` family sends lists without it (seen on 6.18), so nothing here looks at it.

pub(crate) mod generic;

use std::fmt::Display;
use std::io;
use std::time::{Duration, Instant};

use netlink_packet_core::{
    DefaultNla, NLA_TYPE_MASK, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkDeserializable,
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable, Nla, NlaBuffer, NlasIterator,
    Parseable,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::HostError;

/// How long one question may take. The kernel answers most in microseconds; creating or changing a link waits for the
/// lock that all such changes share, which other programs can hold for tens of milliseconds. Too small fails on a busy
/// machine; too large makes a stuck kernel look like a stuck Barelane.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Room for one receive. The kernel fills at most 32 KiB in one go (`NLMSG_GOODSIZE`, `netlink_dump` of
/// `net/netlink/af_netlink.c`); a single answer beyond that would be reported, not cut.
const ROOM_SIZE: usize = 64 * 1024;

/// How often a list is asked for again because it changed while the kernel wrote it.
const INTERRUPTED_LISTS_MAX: usize = 4;

/// Length of `struct nlmsghdr`, which comes before the attributes of an acknowledgement (`NLM_F_CAPPED`).
const HEADER_SIZE: usize = 16;

/// `NLMSGERR_ATTR_MSG`: the kernel's explanation in words.
const ATTRIBUTE_EXPLANATION: u16 = 1;

/// What is wanted of a question, beside the flags that every question has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// One object, or a change with these further flags (`NLM_F_CREATE`, `NLM_F_EXCL`, `NLM_F_REPLACE`).
    One(u16),
    /// All objects.
    List,
}

impl Ask {
    fn flags(self) -> u16 {
        match self {
            Self::One(further) => NLM_F_REQUEST | NLM_F_ACK | further,
            Self::List => NLM_F_REQUEST | NLM_F_DUMP,
        }
    }
}

/// A netlink socket in the network namespace of the thread that opened it, wherever that thread goes afterwards.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    sequence: u32,
    room: Vec<u8>,
}

/// What has been received of one conversation.
struct Answers<T> {
    messages: Vec<T>,
    /// The list changed while the kernel wrote it, so that something may be missing or double.
    is_interrupted: bool,
    is_complete: bool,
}

/// Asks the routing family: links, addresses, neighbours, routes.
pub(crate) fn ask_route(
    message: RouteNetlinkMessage,
    ask: Ask,
    asked: &str,
) -> Result<Vec<RouteNetlinkMessage>, HostError> {
    Connection::open(protocols::NETLINK_ROUTE)?.ask(message, ask, asked)
}

impl Connection {
    /// A connection to one netlink family.
    pub(crate) fn open(protocol: isize) -> Result<Self, HostError> {
        let opened = (|| {
            let mut socket = Socket::new(protocol)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_LIMIT))?;
            Ok::<_, io::Error>(socket)
        })();
        let socket = opened.map_err(|error| refused("open a netlink socket", &error))?;
        Ok(Self { socket, sequence: 0, room: Vec::with_capacity(ROOM_SIZE) })
    }

    /// Asks, and gives all answers, none of them missing and none cut. `asked` ends the sentence "cannot …".
    pub(crate) fn ask<T>(&mut self, message: T, ask: Ask, asked: &str) -> Result<Vec<T>, HostError>
    where
        T: NetlinkSerializable + NetlinkDeserializable + Into<NetlinkPayload<T>>,
    {
        self.sequence = self.sequence.wrapping_add(1);
        let question = serialized(message, ask.flags(), self.sequence);
        for _ in 0..INTERRUPTED_LISTS_MAX {
            self.socket.send(&question, 0).map_err(|error| refused(asked, &error))?;
            if let Some(answers) = self.answers(asked)? {
                return Ok(answers);
            }
        }
        let reason = format!("the list changed {INTERRUPTED_LISTS_MAX} times while it was read");
        Err(HostError::NotUnderstood { asked: asked.to_owned(), reason })
    }

    /// All answers to the question just sent; nothing where the list changed while it was written.
    fn answers<T: NetlinkDeserializable>(&mut self, asked: &str) -> Result<Option<Vec<T>>, HostError> {
        let begun = Instant::now();
        let mut answers = Answers { messages: Vec::new(), is_interrupted: false, is_complete: false };
        while !answers.is_complete {
            if begun.elapsed() > ANSWER_LIMIT {
                return Err(no_answer(asked));
            }
            self.receive(asked)?;
            self.read(&mut answers, asked)?;
        }
        Ok((!answers.is_interrupted).then_some(answers.messages))
    }

    /// Fills the room with what the kernel sends next.
    fn receive(&mut self, asked: &str) -> Result<(), HostError> {
        self.room.clear();
        let len = match self.socket.recv(&mut self.room, libc::MSG_TRUNC) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(no_answer(asked)),
            // A wait with a limit is not taken up again after a signal (socket(7)); the caller does, within its limit.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(refused(asked, &error)),
        };
        if len > self.room.len() {
            return Err(not_understood(asked, format!("{len} bytes in one answer, room for {ROOM_SIZE}")));
        }
        Ok(())
    }

    /// Takes the messages out of the room.
    fn read<T: NetlinkDeserializable>(&self, answers: &mut Answers<T>, asked: &str) -> Result<(), HostError> {
        let mut rest = self.room.as_slice();
        while !rest.is_empty() && !answers.is_complete {
            let message =
                NetlinkMessage::<T>::deserialize(rest).map_err(|error| not_understood(asked, error))?;
            rest = rest.get((message.header.length as usize).next_multiple_of(4)..).unwrap_or_default();
            if message.header.sequence_number == self.sequence {
                answers.is_interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
                answers.take(message.payload, asked)?;
            }
        }
        Ok(())
    }
}

impl<T> Answers<T> {
    /// Keeps an answer, or notes that there are no more.
    fn take(&mut self, payload: NetlinkPayload<T>, asked: &str) -> Result<(), HostError> {
        match payload {
            NetlinkPayload::InnerMessage(answer) => self.messages.push(answer),
            NetlinkPayload::Error(end) => match end.code {
                None => self.is_complete = true,
                Some(code) => return Err(refusal(asked, code.get(), end.header.get(HEADER_SIZE..))),
            },
            NetlinkPayload::Done(end) if end.code == 0 => self.is_complete = true,
            NetlinkPayload::Done(end) => return Err(refusal(asked, end.code, Some(&end.extended_ack))),
            NetlinkPayload::Overrun(_) => return Err(not_understood(asked, "the kernel lost messages")),
            _ => {}
        }
        Ok(())
    }
}

fn serialized<T>(message: T, flags: u16, sequence: u32) -> Vec<u8>
where
    T: NetlinkSerializable + Into<NetlinkPayload<T>>,
{
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, message.into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The refusal that a negative errno stands for, with the explanation that may follow it.
fn refusal(asked: &str, code: i32, attributes: Option<&[u8]>) -> HostError {
    let said = attributes.and_then(|bytes| attribute(&attributes_of(bytes), ATTRIBUTE_EXPLANATION));
    let said = said.map(|words| text(&words));
    HostError::refused_saying(asked, Errno::from_raw_os_error(-code), said)
}

fn refused(asked: &str, error: &io::Error) -> HostError {
    HostError::refused(asked, Errno::from_io_error(error).unwrap_or(Errno::IO))
}

fn no_answer(asked: &str) -> HostError {
    HostError::NoAnswer { asked: asked.to_owned(), limit: ANSWER_LIMIT }
}

pub(crate) fn not_understood(asked: &str, reason: impl Display) -> HostError {
    HostError::NotUnderstood { asked: asked.to_owned(), reason: reason.to_string() }
}

/// The attributes that `bytes` hold, up to the first malformed one.
pub(crate) fn attributes_of(bytes: &[u8]) -> Vec<DefaultNla> {
    let whole = NlasIterator::new(bytes).map_while(Result::ok);
    whole.map_while(|raw: NlaBuffer<&[u8]>| DefaultNla::parse(&raw).ok()).collect()
}

/// The value of the first attribute of this kind.
pub(crate) fn attribute(attributes: &[DefaultNla], kind: u16) -> Option<Vec<u8>> {
    attributes.iter().find(|one| one.kind() & NLA_TYPE_MASK == kind).map(value)
}

/// The bytes of an attribute.
pub(crate) fn value(attribute: &DefaultNla) -> Vec<u8> {
    let mut bytes = vec![0; attribute.value_len()];
    attribute.emit_value(&mut bytes);
    bytes
}

/// A zero-terminated string attribute as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

/// A 32-bit attribute in the machine's byte order.
pub(crate) fn number(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroI32;

    use netlink_packet_core::{DoneMessage, Emitable, ErrorMessage};
    use netlink_packet_route::link::LinkMessage;

    use super::*;

    const SEQUENCE: u32 = 7;

    /// What is made of messages that the kernel might send.
    fn read(messages: &[Vec<u8>]) -> Result<Answers<RouteNetlinkMessage>, HostError> {
        let mut connection = Connection::open(protocols::NETLINK_ROUTE).unwrap();
        connection.sequence = SEQUENCE;
        connection.room = messages.concat();
        let mut answers = Answers { messages: Vec::new(), is_interrupted: false, is_complete: false };
        connection.read(&mut answers, "test").map(|()| answers)
    }

    fn message(payload: NetlinkPayload<RouteNetlinkMessage>, flags: u16, sequence: u32) -> Vec<u8> {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = sequence;
        let mut message = NetlinkMessage::new(header, payload);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len().next_multiple_of(4)];
        message.serialize(&mut bytes);
        bytes
    }

    fn answer(flags: u16, sequence: u32) -> Vec<u8> {
        message(RouteNetlinkMessage::NewLink(LinkMessage::default()).into(), flags, sequence)
    }

    fn done(code: i32, attributes: &[DefaultNla]) -> Vec<u8> {
        let mut end = DoneMessage::default();
        end.code = code;
        end.extended_ack = vec![0; attributes.buffer_len()];
        attributes.emit(&mut end.extended_ack);
        message(NetlinkPayload::Done(end), 0, SEQUENCE)
    }

    /// An acknowledgement as it comes with `NLM_F_CAPPED`: the head of the question, and what the kernel says.
    fn error(code: i32, attributes: &[DefaultNla]) -> Vec<u8> {
        let mut end = ErrorMessage::default();
        end.code = NonZeroI32::new(code);
        end.header = vec![0; HEADER_SIZE + attributes.buffer_len()];
        attributes.emit(&mut end.header[HEADER_SIZE..]);
        message(NetlinkPayload::Error(end), 0, SEQUENCE)
    }

    fn words(text: &str) -> DefaultNla {
        DefaultNla::new(ATTRIBUTE_EXPLANATION, [text.as_bytes(), b"\0"].concat())
    }

    #[test]
    fn a_list_ends_with_done_and_needs_no_flag_that_says_it_is_one() {
        let answers = read(&[answer(0, SEQUENCE), answer(0, SEQUENCE), done(0, &[])]).unwrap();
        assert_eq!((answers.messages.len(), answers.is_complete, answers.is_interrupted), (2, true, false));
        let answers = read(&[answer(0, SEQUENCE)]).unwrap();
        assert!(!answers.is_complete, "more may come in another datagram");
    }

    #[test]
    fn a_single_answer_ends_with_its_acknowledgement() {
        let answers = read(&[answer(0, SEQUENCE), error(0, &[])]).unwrap();
        assert_eq!((answers.messages.len(), answers.is_complete), (1, true));
    }

    #[test]
    fn answers_to_an_earlier_question_are_not_taken_for_this_ones() {
        let answers = read(&[answer(0, SEQUENCE - 1), answer(0, SEQUENCE), done(0, &[])]).unwrap();
        assert_eq!(answers.messages.len(), 1);
    }

    #[test]
    fn a_list_that_changed_while_it_was_written_is_known_as_such() {
        let answers = read(&[answer(NLM_F_DUMP_INTR, SEQUENCE), answer(0, SEQUENCE), done(0, &[])]).unwrap();
        assert!(answers.is_interrupted && answers.is_complete);
    }

    #[test]
    fn a_refusal_carries_the_kernels_words_however_it_comes() {
        let attributes = [words("because"), words("not this")];
        for refusal in [error(-libc::EBUSY, &attributes), done(-libc::EBUSY, &attributes)] {
            let error = read(&[refusal]).err().unwrap();
            assert_eq!(error.errno(), Some(Errno::BUSY));
            assert!(error.to_string().contains("(because)"), "{error}");
        }
    }

    #[test]
    fn bytes_that_are_no_message_are_not_understood() {
        for bytes in [vec![0xa5; 3], vec![0; 16], vec![0xff; 64]] {
            assert!(matches!(read(&[bytes]), Err(HostError::NotUnderstood { .. })));
        }
    }

    #[test]
    fn the_kernel_refuses_what_it_does_not_know_by_name() {
        let mut question = LinkMessage::default();
        question.header.index = i32::MAX.cast_unsigned();
        let error =
            ask_route(RouteNetlinkMessage::GetLink(question), Ask::One(0), "find nothing").unwrap_err();
        assert_eq!(error.errno(), Some(Errno::NODEV));
        assert!(error.to_string().starts_with("cannot find nothing: "), "{error}");
    }
}
