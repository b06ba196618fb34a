//! A question as a frame, and whether an answer is the right one: by the measuring client's own hand, which shares nothing with a lane.

use std::net::IpAddr;
use std::num::NonZeroU16;

use probe::ask::{Ask, Protocol, StampKey};
use probe::clock::{Clock, MonotonicClock};
use probe::frames::{Frames, Link, PartialChecksums};
use probe::neighbours::{self, Station};
use probe::question::Questions;
use probe::transport::{TransportError, What};
use wire::ethernet::{self, Ethernet, Mac};

/// The ends of a question: the card, and who seems to ask it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// The card's Ethernet address.
    pub(super) card: Mac,
    /// Who is asked.
    pub(super) target: IpAddr,
    /// Who asks.
    pub(super) asker: Station,
}

/// A question that can be asked again and again: each time it is another one.
#[derive(Debug)]
pub(super) struct Question {
    ends: Ends,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// One of a service.
    Service(Box<Service>),
    /// Who has this address?
    Neighbour,
}

#[derive(Debug)]
struct Service {
    frames: Frames,
    questions: Questions,
    clock: MonotonicClock,
    /// The number of the next one.
    next: u64,
}

impl Question {
    /// What a service is asked. `port` is that which the asker asks by.
    ///
    /// # Errors
    /// It does not fit the link.
    pub(super) fn of_service(
        ends: Ends,
        protocol: Protocol,
        port: NonZeroU16,
        mtu: usize,
        stamp_key: Option<StampKey>,
    ) -> Result<Self, TransportError> {
        let mut ask = Ask::new(ends.target, protocol);
        ask.stamp_key = stamp_key;
        ask.size = ask.size.max(ask.size_min());
        let link = Link { mac: ends.asker.mac, ip: ends.asker.ip, next_hop: ends.card, identity: port, mtu };
        // What is asked here never leaves a checksum to a NIC, and neither does its answer.
        let frames = Frames::new(&ask, link, PartialChecksums::Refuse)?;
        let (questions, clock) = (Questions::remembering(1, &ask), MonotonicClock::start());
        Ok(Self { ends, form: Form::Service(Box::new(Service { frames, questions, clock, next: 0 })) })
    }

    /// Who has the target?
    pub(super) fn of_neighbour(ends: Ends) -> Self {
        Self { ends, form: Form::Neighbour }
    }

    /// Who is asked.
    pub(super) fn target(&self) -> IpAddr {
        self.ends.target
    }

    /// Writes the next one to the beginning of `room`, and gives its length; nothing where the room is too small.
    pub(super) fn write(&mut self, room: &mut [u8]) -> Option<usize> {
        match &mut self.form {
            Form::Service(service) => service.write(room),
            Form::Neighbour => {
                let end = neighbours::question::write(self.ends.asker, self.ends.target, room)?;
                Some(ethernet::pad(room, end))
            }
        }
    }

    /// Whether a frame is the answer to the one that was written last; what is wrong with it where it is not.
    pub(super) fn check(&self, answer: &[u8]) -> Result<(), &'static str> {
        let Some(Ethernet { dst, src, .. }) = Ethernet::of(answer, 0) else { return Err("it has no header") };
        if (*dst, *src) != (self.ends.asker.mac, self.ends.card) {
            return Err("it goes from or to a wrong Ethernet address");
        }
        match &self.form {
            Form::Service(service) => service.check(answer),
            Form::Neighbour => {
                let told = Station { mac: self.ends.card, ip: self.ends.target };
                let is_right = neighbours::answered(answer) == Some(told);
                if is_right { Ok(()) } else { Err("it does not say who has the address") }
            }
        }
    }
}

impl Service {
    fn write(&mut self, room: &mut [u8]) -> Option<usize> {
        let question = self.questions.at(self.next);
        self.next += 1;
        self.frames.write(&question, self.clock.wall(self.clock.now()), room)
    }

    fn check(&self, answer: &[u8]) -> Result<(), &'static str> {
        match self.frames.read(answer) {
            Some(What::Answer { payload, echo_sequence, .. }) => {
                let recognised = self.questions.recognise(payload, echo_sequence, self.next);
                let is_last = recognised.is_some_and(|answer| answer.sequence + 1 == self.next);
                if is_last { Ok(()) } else { Err("it answers another question, or has wrong contents") }
            }
            Some(_) => Err("its headers or checksums are wrong"),
            None => Err("it is no answer to what was asked"),
        }
    }
}
