//! What a lane does for who captures: it copies questions and answers to a ring, while a tap is there, and nothing else.
//!
//! ```text
//!              question            answer              fate
//!                 │ filter, 1 in N    │                  │
//!   rx ─▶ parse ─▶ ··· ─▶ respond ────┼──▶ tx ───────────┤
//!                 ▼                   ▼                  ▼
//!              draft: [ head │ question │ answer ] ──▶ ring ──▶ another core
//!                      one copy each, snaplen at most    full: dropped, and counted
//! ```
//!
//! A question must be copied before its answer is written over it, and its fate is known last. So an exchange is drafted in
//! memory of the tap, and then put into the ring whole, or not at all: whoever reads it finds both directions or neither.
//!
//! All memory is taken by [`tap`], on another core. The lane gets the [`Tap`] through its [`Mailbox`](crate::Mailbox), between
//! two turns, and gives it back the same way: it frees nothing.

use route::{Decision, LaneTables, Responder};
use rtrb::{Consumer, Producer, RingBuffer};
use telemetry::{Counter, Counters, Kind, WallTime};
use wire::parse::parse;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::classify::classify;
use crate::filter::Filter;
use crate::verdict::{Answer, Verdict};

/// Bytes of the ring between a lane and who reads it. At the most that a lane answers here, 15 million questions of 64 bytes a
/// second over memif, it is full in 1.6 ms, and at the 300,000 of a veth in 80 ms. Smaller drops where the reader is not run for
/// as long; larger is memory that is locked for each lane while somebody captures.
pub const RING_SIZE: usize = 4 << 20;

/// The most bytes of a packet that are kept: no frame is longer.
pub const SNAPLEN_MAX: usize = 65_535;

/// The fewest: all that a filter looks at in a packet over IPv6 with two tags, its ports included.
pub const SNAPLEN_MIN: usize = 66;

/// The most bytes of an exchange.
pub const EXCHANGE_SIZE_MAX: usize = ExchangeHead::LEN + 2 * SNAPLEN_MAX;

const _: () = assert!(RING_SIZE >= 16 * EXCHANGE_SIZE_MAX);

/// What stands in an exchange before the bytes of a question and of its answer. In the machine's own byte order: it never leaves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ExchangeHead {
    /// Bytes of the exchange, this head included.
    pub size: u32,
    /// How long the question was, and how many bytes of it are here.
    pub question: Length,
    /// How long the answer was, and how many bytes of it are here; 0 where none left.
    pub answer: Length,
    /// The lane, as [`TapSettings::lane`] has it.
    pub lane: u16,
    /// The index of the route that takes the question; [`Decision::NO_ROUTE`] where none does.
    pub route: u16,
    /// When the turn began that found the question, in nanoseconds since 1970, UTC.
    pub asked_ns: u64,
    /// When the answer stood in its frame, likewise.
    pub answered_ns: u64,
    /// What became of it: the number of a [`Counter`].
    pub fate: u8,
    /// Of what was passed, why: the number of a [`Counter`]; else [`ExchangeHead::NOTHING`].
    pub reason: u8,
    /// The number of the [`Responder`] whose question it is; [`ExchangeHead::NOTHING`] where it is nobody's.
    pub responder: u8,
    /// Zero.
    pub reserved: [u8; 5],
}

/// A length on the wire, and in an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Length {
    /// On the wire.
    pub sent: u32,
    /// In the exchange.
    pub kept: u32,
}

impl ExchangeHead {
    /// How many bytes it has.
    pub const LEN: usize = 48;

    /// Stands where there is no reason, or no responder.
    pub const NOTHING: u8 = u8::MAX;

    /// An exchange taken apart into head, question and answer; nothing where its lengths are not those of its head.
    pub fn read(exchange: &[u8]) -> Option<(Self, &[u8], &[u8])> {
        let (head, bytes) = Self::read_from_prefix(exchange).ok()?;
        let (question, answer) = bytes.split_at_checked(head.question.kept as usize)?;
        let is_whole = answer.len() == head.answer.kept as usize && exchange.len() == head.size as usize;
        is_whole.then_some((head, question, answer))
    }
}

const _: () = assert!(size_of::<ExchangeHead>() == ExchangeHead::LEN);

/// What a tap is to take.
#[derive(Clone, Debug)]
pub struct TapSettings {
    /// Which packets.
    pub filter: Filter,
    /// Of those, one in so many; at least 1.
    pub sample: u32,
    /// How many bytes of each packet, at most; from [`SNAPLEN_MIN`] to [`SNAPLEN_MAX`].
    pub snaplen: usize,
    /// What its exchanges say that the lane is.
    pub lane: u16,
}

/// What a tap has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapCounts {
    /// Questions that the lane has taken meanwhile.
    pub seen: u64,
    /// Those that the filter takes.
    pub matched: u64,
    /// Those of them that were not left out by sampling: recorded or dropped.
    pub chosen: u64,
    /// Those that found no room in the ring.
    pub dropped: u64,
}

/// The lane's end.
#[derive(Debug)]
pub struct Tap {
    settings: TapSettings,
    /// How many that match are left out before the next one that is chosen.
    leave_out: u32,
    /// Head, question and answer, one behind the other.
    draft: Box<[u8]>,
    /// The head of the question that is being answered, where it was chosen.
    head: Option<ExchangeHead>,
    fates: Fates,
    ring: Producer<u8>,
    counts: TapCounts,
}

/// The other end: what the lane has put into the ring.
#[derive(Debug)]
pub struct Exchanges {
    ring: Consumer<u8>,
}

/// Both ends of a new tap, with all memory that it will need.
pub fn tap(settings: TapSettings) -> (Tap, Exchanges) {
    let (ring, taken) = RingBuffer::new(RING_SIZE);
    let snaplen = settings.snaplen.clamp(SNAPLEN_MIN, SNAPLEN_MAX);
    let settings = TapSettings { snaplen, sample: settings.sample.max(1), ..settings };
    let draft = vec![0; ExchangeHead::LEN + 2 * snaplen].into_boxed_slice();
    let fates = Fates { wanted: Counter::Passed, before: 0, otherwise: Counter::Passed };
    let counts = TapCounts::default();
    let tap = Tap { settings, leave_out: 0, draft, head: None, fates, ring, counts };
    (tap, Exchanges { ring: taken })
}

/// How many bytes [`tap`] takes, about.
pub const fn memory_of(snaplen: usize) -> usize {
    RING_SIZE + ExchangeHead::LEN + 2 * snaplen + size_of::<Tap>()
}

impl Tap {
    /// What it has counted so far.
    pub fn counts(&self) -> TapCounts {
        self.counts
    }

    /// Whether this question is one that is recorded.
    fn chooses(&mut self, question: &[u8]) -> bool {
        self.counts.seen += 1;
        if !self.settings.filter.takes(question) {
            return false;
        }
        self.counts.matched += 1;
        if let Some(left) = self.leave_out.checked_sub(1) {
            self.leave_out = left;
            return false;
        }
        self.leave_out = self.settings.sample - 1;
        self.counts.chosen += 1;
        true
    }

    /// Copies what is kept of `bytes` into the draft, behind what stands there already.
    fn copy(&mut self, at: usize, bytes: &[u8]) -> Length {
        let kept = bytes.len().min(self.settings.snaplen);
        if let (Some(to), Some(from)) = (self.draft.get_mut(at..at + kept), bytes.get(..kept)) {
            to.copy_from_slice(from);
        }
        Length { sent: word(bytes.len()), kept: word(kept) }
    }

    /// Puts the draft into the ring, or counts that there is no room.
    fn put(&mut self, head: ExchangeHead) {
        let size = ExchangeHead::LEN + (head.question.kept + head.answer.kept) as usize;
        let head = ExchangeHead { size: word(size), ..head };
        if let Some(to) = self.draft.first_chunk_mut::<{ ExchangeHead::LEN }>() {
            *to = zerocopy::transmute!(head);
        }
        let exchange = self.draft.get(..size).unwrap_or_default();
        if self.ring.push_entire_slice(exchange).is_err() {
            self.counts.dropped += 1;
        }
    }
}

/// A length as a word; no frame is longer than 65,535 bytes.
#[expect(clippy::cast_possible_truncation, reason = "the length of a frame, or of a few")]
const fn word(len: usize) -> u32 {
    len as u32
}

impl Exchanges {
    /// Appends the next exchange to `out`, where there is one and `out` then has at most `most` bytes. Says whether it did.
    ///
    /// # Panics
    /// Where the ring holds a part of an exchange, which no tap puts there.
    pub fn take(&mut self, out: &mut Vec<u8>, most: usize) -> bool {
        let Some(size) = self.next_size() else { return false };
        let begin = out.len();
        if begin + size > most {
            return false;
        }
        out.resize(begin + size, 0);
        let taken = out.get_mut(begin..).is_some_and(|to| self.ring.pop_entire_slice(to).is_ok());
        assert!(taken, "an exchange is put into the ring whole");
        true
    }

    /// How many bytes the next exchange has, if there is one.
    fn next_size(&mut self) -> Option<usize> {
        let chunk = self.ring.read_chunk(size_of::<u32>()).ok()?;
        let (first, second) = chunk.as_slices();
        let mut size = [0; 4];
        size.iter_mut().zip(first.iter().chain(second)).for_each(|(to, from)| *to = *from);
        Some(u32::from_ne_bytes(size) as usize)
    }
}

/// Who sees what a turn does with each frame. A turn is compiled once for each: where nobody does, nothing of this is there.
pub(crate) trait Witness {
    /// Whether anything is done with what it is told.
    const SEES: bool;

    /// A frame has come; nothing was done with it yet.
    fn asked(&mut self, room: &[u8], len: usize, tables: &LaneTables, now: WallTime);

    /// It was decided about, and not yet counted. An answer stands in `room`.
    fn decided(&mut self, room: &[u8], answer: Answer, counters: &Counters, now: WallTime);

    /// It was counted.
    fn ended(&mut self, counters: &Counters);
}

/// Nobody captures.
#[derive(Debug)]
pub(crate) struct Nobody;

impl Witness for Nobody {
    const SEES: bool = false;

    fn asked(&mut self, _: &[u8], _: usize, _: &LaneTables, _: WallTime) {}

    fn decided(&mut self, _: &[u8], _: Answer, _: &Counters, _: WallTime) {}

    fn ended(&mut self, _: &Counters) {}
}

impl Witness for Option<Box<Tap>> {
    const SEES: bool = true;

    fn asked(&mut self, room: &[u8], len: usize, tables: &LaneTables, now: WallTime) {
        let (Some(tap), Some(question)) = (self, room.get(..len)) else { return };
        if !tap.chooses(question) {
            return;
        }
        let headers = parse(question).ok();
        let decision = headers.and_then(|headers| tables.decision(headers, question));
        // What concerns an address of ours that it does not ask for, as ARP of who uses it too.
        let class = || headers.and_then(|headers| classify(headers, question, tables).ok());
        let responder = decision.map(|decision| decision.responder).or_else(|| Some(class()?.responder));
        tap.head = Some(ExchangeHead {
            question: tap.copy(ExchangeHead::LEN, question),
            lane: tap.settings.lane,
            route: decision.map_or(Decision::NO_ROUTE, |decision| decision.route),
            responder: responder.map_or(ExchangeHead::NOTHING, |responder| responder as u8),
            asked_ns: now.0,
            reason: ExchangeHead::NOTHING,
            ..ExchangeHead::default()
        });
    }

    fn decided(&mut self, room: &[u8], answer: Answer, counters: &Counters, now: WallTime) {
        let Some(tap) = self else { return };
        let Some(mut head) = tap.head.take() else { return };
        let verdict = Verdict::of(answer);
        if let Verdict::Reply { len, .. } = verdict {
            let at = ExchangeHead::LEN + head.question.kept as usize;
            head.answer = tap.copy(at, room.get(..usize::from(len)).unwrap_or_default());
            head.answered_ns = now.0;
        }
        if let Verdict::Pass(reason) = verdict {
            head.reason = reason.counter() as u8;
        }
        tap.fates = Fates::of(verdict, counters);
        tap.head = Some(head);
    }

    fn ended(&mut self, counters: &Counters) {
        let Some(tap) = self else { return };
        let Some(head) = tap.head.take() else { return };
        let fate = tap.fates.which(counters);
        // What was not sent is no answer.
        let answer = if fate.row().kind == Kind::Replied { head.answer } else { Length::default() };
        tap.put(ExchangeHead { fate: fate as u8, answer, ..head });
    }
}

/// How a frame may be counted that was decided about: as the verdict says, or else where the queue does not take it.
///
/// The lane does not say which, but its counters do. To have every frame's fate handed back to the turn cost those who are not
/// captured up to six instructions a packet when it was tried.
#[derive(Clone, Copy, Debug)]
struct Fates {
    wanted: Counter,
    /// How often that had been counted before.
    before: u64,
    otherwise: Counter,
}

impl Fates {
    fn of(verdict: Verdict, counters: &Counters) -> Self {
        let (wanted, otherwise) = match verdict {
            Verdict::Reply { counter, .. } => (counter, Counter::TxRingFull),
            Verdict::Pass(reason) => (Counter::Passed, reason.counter()),
            Verdict::Drop(reason) => (reason.counter(), reason.counter()),
        };
        Self { wanted, before: counters.of(wanted), otherwise }
    }

    fn which(self, counters: &Counters) -> Counter {
        if counters.of(self.wanted) == self.before { self.otherwise } else { self.wanted }
    }
}

/// The name of each responder, by its number in an exchange.
pub const RESPONDERS: [(Responder, &str); 8] = [
    (Responder::Arp, "arp"),
    (Responder::Neighbour, "ndp"),
    (Responder::Echo, "icmp-echo"),
    (Responder::UdpEcho, "udp-echo"),
    (Responder::Stamp, "stamp"),
    (Responder::Sockperf, "sockperf"),
    (Responder::UdpClosed, "closed port"),
    (Responder::Nobody, "nobody"),
];
