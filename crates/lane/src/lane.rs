//! The packet's road, on one screen.

use std::sync::Arc;

use nic::{Frame, Queue};
use route::{Class, Decision, LaneTables};
use telemetry::{Clock, Counter, Counters, Ns, Page, Reason, SharedStreams, Tick};
use wire::checksum::{CLEARED, SUMMED_IN_BLOCKS_MAX};
use wire::ethernet::Ethernet;
use wire::headers::{Headers, Kind};
use wire::icmpv6::Icmpv6Echo;
use wire::ipv6::Ipv6;
use wire::parse::{self, Fault};

use crate::arrivals::{Age, Arrivals};
use crate::classify::{check_addresses, claimed, classify_the_rest};
use crate::departures::{Departures, took};
use crate::housekeeping;
use crate::look_back::LookBack;
use crate::mailbox::Mailbox;
use crate::respond::{self, State, respond};
use crate::streams::Streams;
use crate::tap::{Nobody, Tap, Witness};
use crate::verdict::{Answer, Reply, Verdict, verdict_of};

/// What a short frame has as its room: what is summed in blocks, behind an Ethernet header.
const SHORT_ROOM: usize = Ethernet::LEN + SUMMED_IN_BLOCKS_MAX;

/// By how much an answer is longer than its question, at most: an ICMPv6 error quotes all of a short one.
const GROWTH_MAX: usize = Ipv6::LEN + Icmpv6Echo::LEN;

const _: () = assert!(GROWTH_MAX >= CLEARED);

/// One core's work: a queue, what is known, what was counted.
#[derive(Debug)]
pub struct Lane<Q: Queue, C: Clock> {
    pub(crate) queue: Q,
    pub(crate) tables: Box<LaneTables>,
    pub(crate) state: State<C>,
    pub(crate) mailbox: Mailbox,
    pub(crate) page: Arc<Page>,
    pub(crate) arrivals: Arrivals,
    pub(crate) departures: Departures,
    /// There while somebody captures.
    pub(crate) tap: Option<Box<Tap>>,
    pub(crate) look_back: LookBack,
    turns: u64,
}

impl<Q: Queue, C: Clock> Lane<Q, C> {
    /// A lane that answers what `queue` brings by what `tables` know. `clock` is the one whose instants [`Lane::turn`]
    /// will be given.
    pub fn new(queue: Q, tables: Box<LaneTables>, clock: C, page: Arc<Page>, mut mailbox: Mailbox) -> Self {
        let look_back = LookBack::new(clock.rate());
        let mut state = State::new(&tables, clock, Arc::clone(&page));
        if let Some(wall) = mailbox.wall_clock() {
            state.set_wall(wall);
        }
        mailbox.exchange_next_hops(&mut state.next_hops);
        let mut arrivals = Arrivals::new();
        if let Some(clock) = mailbox.arrival_clock() {
            arrivals.set_clock(clock);
        }
        let departures = Departures::default();
        Self { queue, tables, state, mailbox, page, arrivals, departures, tap: None, look_back, turns: 0 }
    }

    /// The same lane, which drops what has waited for longer than this when it comes to it, or nothing for that reason. It
    /// holds where the queue's frames say when they came ([`Queue::HAS_ARRIVALS`]); elsewhere no frame has an age.
    #[must_use]
    pub fn with_age_limit(mut self, limit: Option<Ns>) -> Self {
        self.arrivals.set_age_limit(limit);
        self
    }

    /// The same lane, which notes what the packets of each stream say of their way, in places that others read.
    #[must_use]
    pub fn with_streams(mut self, streams: Option<Arc<SharedStreams>>) -> Self {
        let rate = self.state.clock.rate();
        self.state.streams = streams.map(|shared| Box::new(Streams::new(shared, rate)));
        self
    }

    /// One pass: everything that waits now, from wire to wire. Gives the number of frames taken.
    pub fn turn(&mut self, now: Tick) -> usize {
        let taken = if self.tap.is_none() { self.turn_with(now, &mut Nobody) } else { self.turn_tapped(now) };
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(housekeeping::TURNS) {
            self.housekeeping();
        }
        taken
    }

    /// The pass itself, seen by a witness. It is not so much as called where it sees nothing: arguments that nobody takes cost up to
    /// seven instructions a packet.
    #[inline(always)]
    fn turn_with<W: Witness>(&mut self, now: Tick, witness: &mut W) -> usize {
        self.look_back.begin(now, &self.state.counters, &self.page);
        if Q::HAS_ARRIVALS {
            self.arrivals.begin(now, &self.page);
        }
        let mut burst = self.queue.rx();
        let taken = burst.remaining();
        if Q::HAS_ARRIVALS && taken > 0 {
            self.arrivals.find(self.state.clock.now());
        }
        if Q::HAS_DEPARTURES && taken > 0 {
            self.begin_departures(now);
        }
        while let Some(mut frame) = self.queue.next(&mut burst) {
            if Q::HAS_ARRIVALS && self.is_too_old(&frame) {
                self.shed(frame, now, witness);
                continue;
            }
            let len = frame.len();
            let room = self.queue.room_mut(&frame);
            if W::SEES {
                witness.asked(room, len, &self.tables, self.state.wall_time(now));
            }
            let answer = match short(room, len) {
                Some(room) => answer(room, len, &self.tables, &mut self.state, now),
                None => Err(answer_long(room, len, &self.tables, &mut self.state, now)),
            };
            if W::SEES {
                witness.decided(room, answer, &self.state.counters, self.state.wall_time_now());
            }
            match answer {
                Ok(Reply { len, counter }) => {
                    frame.set_len(len);
                    match self.send(frame) {
                        Ok(()) => self.count_sent(counter),
                        Err(frame) => self.give_up(frame, Counter::TxRingFull),
                    }
                }
                Err(verdict) => self.conclude(frame, verdict),
            }
            if W::SEES {
                witness.ended(&self.state.counters);
            }
        }
        self.queue.flush();
        if Q::HAS_DEPARTURES {
            self.take_departures();
        }
        self.look_back.end(taken);
        self.state.counters.add(Counter::Rx, taken as u64);
        self.state.counters.count(if taken == 0 { Counter::TurnEmpty } else { Counter::Turn });
        taken
    }

    /// A turn while somebody captures: the tap is its witness.
    #[cold]
    #[inline(never)]
    fn turn_tapped(&mut self, now: Tick) -> usize {
        let mut tap = self.tap.take();
        let taken = self.turn_with(now, &mut tap);
        self.tap = tap;
        taken
    }

    /// Is about to sleep, at this instant, after a turn that found nothing: what that turn took is looked back at.
    pub fn rest(&mut self, now: Tick) {
        self.look_back.begin(now, &self.state.counters, &self.page);
    }

    /// Has slept until this instant because it meant to: that was no stall.
    pub fn wake(&mut self, at: Tick) {
        self.look_back.resume(at);
    }

    /// Does what a verdict says.
    #[inline(always)]
    pub(crate) fn conclude(&mut self, mut frame: Frame, verdict: Verdict) {
        let (handed_on, counter, counter_else) = match verdict {
            Verdict::Reply { len, counter } => {
                frame.set_len(usize::from(len));
                (self.send(frame), counter, Counter::TxRingFull)
            }
            Verdict::Pass(reason) => (self.queue.pass(frame), Counter::Passed, reason.counter()),
            Verdict::Drop(reason) => return self.give_up(frame, reason.counter()),
        };
        match handed_on {
            Ok(()) if matches!(verdict, Verdict::Reply { .. }) => self.count_sent(counter),
            Ok(()) => self.unanswered(counter),
            Err(frame) => self.give_up(frame, counter_else),
        }
    }

    /// Hands an answer to the queue. Where answers say when they leave, it is to say so, and how long that took is counted from when its
    /// question came; where frames do not say that, from when the turn began. One that should say when it came and does not
    /// ([`Counter::ArrivalUnknown`]), or that came beside the ring, is not to say when it leaves.
    #[inline(always)]
    fn send(&mut self, frame: Frame) -> Result<(), Frame> {
        if Q::HAS_DEPARTURES {
            let since = if Q::HAS_ARRIVALS { self.arrivals.stamp_in_hand() } else { self.departures.turn() };
            if let Some(since) = since {
                return self.queue.tx_since(frame, since);
            }
        }
        self.queue.tx(frame)
    }

    /// What is answered from now on, and does not say when it came, counts from this instant.
    pub(crate) fn begin_departures(&mut self, now: Tick) {
        self.departures.begin(self.arrivals.clock().map(|clock| clock.stamp_at(now)));
    }

    /// Counts how long it took until what has left had done so.
    fn take_departures(&mut self) {
        let mut departure = self.queue.departure();
        let (Some(clock), true) = (self.arrivals.clock(), departure.is_some()) else { return };
        let now = clock.stamp_at(self.state.clock.now());
        while let Some(departed) = departure {
            match took(departed, clock, now) {
                Some(ns) => self.page.transmit_residence.record(ns),
                None => self.state.counters.count(Counter::TransmitUnknown),
            }
            departure = self.queue.departure();
        }
    }

    /// Counts what was sent.
    #[inline(always)]
    fn count_sent(&mut self, counter: Counter) {
        self.state.counters.count(counter);
        if Q::HAS_ARRIVALS {
            self.arrivals.answer();
        }
    }

    /// Whether an answer to this frame would be late: asked before anything is done for it.
    #[inline]
    fn is_too_old(&mut self, frame: &Frame) -> bool {
        let arrival = self.queue.arrival(frame);
        let age = self.arrivals.take(arrival, &self.page);
        self.state.arrived = self.arrivals.came();
        if age == Age::Unknown {
            self.state.counters.count(Counter::ArrivalUnknown);
        }
        age == Age::TooOld
    }

    /// Ends a frame that is too old. No route has taken it.
    fn shed<W: Witness>(&mut self, frame: Frame, now: Tick, witness: &mut W) {
        if W::SEES {
            let len = frame.len();
            let room = self.queue.room_mut(&frame);
            witness.asked(room, len, &self.tables, self.state.wall_time(now));
            let verdict = Err(Verdict::Drop(Reason::AnswerTooOld));
            witness.decided(room, verdict, &self.state.counters, self.state.wall_time_now());
        }
        self.queue.release(frame);
        self.state.counters.count(Counter::AnswerTooOld);
        if W::SEES {
            witness.ended(&self.state.counters);
        }
    }

    /// Ends a frame here, and counts why.
    fn give_up(&mut self, frame: Frame, counter: Counter) {
        self.queue.release(frame);
        self.unanswered(counter);
    }

    /// Counts a frame that got no answer, also for the route that took it.
    fn unanswered(&mut self, counter: Counter) {
        self.state.counters.count(counter);
        if let Some(count) = self.tables.count(self.state.route) {
            count.give_up();
        }
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.state.counters
    }

    /// The queue, for what its backend tells beside the road.
    pub fn queue(&self) -> &Q {
        &self.queue
    }

    /// The queue, for the tests and captures that stand on its other side.
    pub fn queue_mut(&mut self) -> &mut Q {
        &mut self.queue
    }

    /// Ends the lane and gives its queue back.
    pub fn into_queue(self) -> Q {
        self.queue
    }
}

/// The room of a short frame, cut to a length that the compiler knows, or nothing for a long frame.
///
/// The road is compiled twice, from the same text. In a room of constant length, most checks of bounds are constants
/// too, and so are gone.
#[inline(always)]
fn short(room: &mut [u8], len: usize) -> Option<&mut [u8; SHORT_ROOM]> {
    if len > SHORT_ROOM - GROWTH_MAX { None } else { room.first_chunk_mut() }
}

/// [`answer`] for a frame that is not [`short`].
#[inline(never)]
pub(crate) fn answer_long<C: Clock>(
    room: &mut [u8],
    len: usize,
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Verdict {
    Verdict::of(answer(room, len, tables, state, now))
}

/// Parse, classify, respond: what becomes of the `len` bytes at the start of `room`.
#[inline(always)]
fn answer<C: Clock>(
    room: &mut [u8],
    len: usize,
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Answer {
    let Some(frame) = room.get(..len) else { return Err(unread(Fault::FrameTruncated, state)) };
    match parse::untagged(frame) {
        Ok(headers) => answer_packet(headers, room, tables, state, now),
        Err(Fault::EtherTypeUnknown) => Err(answer_tagged(room, len, tables, state, now)),
        Err(fault) => Err(unread(fault, state)),
    }
}

/// The verdict on a frame that cannot be read, which no route takes.
#[cold]
#[inline(never)]
fn unread<C>(fault: Fault, state: &mut State<C>) -> Verdict {
    state.route = Decision::NO_ROUTE;
    verdict_of(fault)
}

/// The same for a frame that may have VLAN tags, which shift all offsets.
#[cold]
#[inline(never)]
fn answer_tagged<C: Clock>(
    room: &mut [u8],
    len: usize,
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Verdict {
    match parse::parse(room.get(..len).unwrap_or_default()) {
        Ok(headers) if tables.serves_vlans_of(headers, room) => {
            Verdict::of(answer_packet(headers, room, tables, state, now))
        }
        Ok(_) => {
            state.route = Decision::NO_ROUTE;
            Verdict::Pass(Reason::VlanNotServed)
        }
        Err(fault) => unread(fault, state),
    }
}

/// Classify and respond, written out once for each kind of packet: where the kind is known, offsets are constants and
/// branches on the kind are gone. That is worth a fifth of all instructions of a packet.
#[inline(always)]
fn answer_packet<C: Clock>(
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Answer {
    match headers.kind {
        Kind::Udpv4 => answer_kind(Kind::Udpv4, headers, room, tables, state, now),
        Kind::Icmpv4 => answer_kind(Kind::Icmpv4, headers, room, tables, state, now),
        Kind::Arp => answer_kind(Kind::Arp, headers, room, tables, state, now),
        Kind::Udpv6 => answer_kind(Kind::Udpv6, headers, room, tables, state, now),
        Kind::Icmpv6 => answer_kind(Kind::Icmpv6, headers, room, tables, state, now),
        Kind::Solicitation => answer_kind(Kind::Solicitation, headers, room, tables, state, now),
    }
}

#[inline(always)]
fn answer_kind<C: Clock>(
    kind: Kind,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Answer {
    let headers = Headers { kind, ..headers };
    let Some(decision) = claimed(headers, room, tables) else {
        let Headers { network, end, selector, .. } = headers;
        return Err(answer_the_rest(kind, [network, end], selector, room, tables, state, now));
    };
    state.take(decision.route, tables);
    check_addresses(kind, room, tables)?;
    respond::answer(decision.class(), headers, room, tables, state, now)
}

/// The same for what no route claims.
#[cold]
#[inline(never)]
fn answer_the_rest<C: Clock>(
    kind: Kind,
    [network, end]: [usize; 2],
    selector: u16,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Verdict {
    let headers = Headers { network, end, selector, kind };
    let rest = classify_the_rest(headers, room, tables);
    state.take(rest.map_or(Decision::NO_ROUTE, |rest| rest.route), tables);
    match rest {
        Ok(rest) => match tables.limit(rest.route) {
            None => respond(rest.class, headers, room, tables, state, now),
            Some(limit) => answer_limited(limit, rest.class, headers, room, tables, state, now),
        },
        Err(verdict) => verdict,
    }
}

/// The same for a packet whose route may answer only so often. What is answered takes a token; nothing else does.
fn answer_limited<C: Clock>(
    limit: usize,
    class: Class,
    headers: Headers,
    room: &mut [u8],
    tables: &LaneTables,
    state: &mut State<C>,
    now: Tick,
) -> Verdict {
    let Some(source) = headers.source(room) else { return Verdict::Drop(Reason::FrameTruncated) };
    let is_ipv4 = matches!(headers.kind, Kind::Icmpv4 | Kind::Udpv4);
    let permit = match state.limits.ask(limit, source, is_ipv4, now) {
        Ok(permit) => permit,
        Err(reason) => return Verdict::Drop(reason),
    };
    let verdict = respond(class, headers, room, tables, state, now);
    if matches!(verdict, Verdict::Reply { .. }) {
        state.limits.take(permit);
    }
    verdict
}
