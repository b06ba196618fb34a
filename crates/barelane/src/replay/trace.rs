//! A queue that tells what the lane does with each frame: one line for each stage of the packet's road.
//!
//! It stands between the lane and the card and sees a frame come and go. What happens between the two it finds out
//! by putting a copy of the frame through the same public stages: `parse`, `classify`, `respond`. Then it holds the
//! lane to that: a frame that goes another way than its trace says is a fault of the lane, and the replay fails.

use std::fmt::Display;
use std::sync::Arc;

use lane::{State, Verdict, classify, respond, verdict_of};
use nic::{Burst, Frame, Queue};
use route::{LaneSettings, LaneTables, RouteTable};
use telemetry::{Still, Tick};
use wire::headers::Headers;

use crate::say;

/// A queue with a witness, or without one.
#[derive(Debug)]
pub(super) struct Traced<Q> {
    queue: Q,
    trace: Option<Trace>,
    disagreement: Option<u64>,
}

/// The witness: its own tables and limits, equal to the lane's.
#[derive(Debug)]
struct Trace {
    tables: LaneTables,
    state: State<Still>,
    now: Tick,
    packet: u64,
    verdict: Verdict,
}

/// What the lane did with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Sent(usize),
    Passed,
    Released,
}

impl<Q> Traced<Q> {
    /// Traces every frame.
    pub(super) fn new(queue: Q, routes: &RouteTable, settings: &LaneSettings) -> Self {
        let tables = routes.compile(settings);
        let state = State::new(&tables, Still::default(), Arc::default());
        let verdict = Verdict::Drop(telemetry::Reason::FrameTruncated);
        Self {
            queue,
            trace: Some(Trace { tables, state, now: Tick(0), packet: 0, verdict }),
            disagreement: None,
        }
    }

    /// Traces nothing.
    pub(super) fn silent(queue: Q) -> Self {
        Self { queue, trace: None, disagreement: None }
    }

    /// Tells the time of the turn that begins.
    pub(super) fn begin_turn(&mut self, now: Tick) {
        if let Some(trace) = &mut self.trace {
            trace.now = now;
        }
    }

    /// The queue, and the first packet with which the lane did not do what its trace says.
    pub(super) fn into_parts(self) -> (Q, Option<u64>) {
        (self.queue, self.disagreement)
    }

    fn see(&mut self, fate: Fate) {
        let Some(trace) = &self.trace else { return };
        let is_as_traced = match (trace.verdict, fate) {
            (Verdict::Reply { len, .. }, Fate::Sent(sent)) => usize::from(len) == sent,
            (Verdict::Pass(_), Fate::Passed) | (Verdict::Drop(_), Fate::Released) => true,
            _ => false,
        };
        match fate {
            Fate::Sent(len) => trace.line("tx", format_args!("{len} bytes sent")),
            Fate::Passed => trace.line("tx", "handed on"),
            Fate::Released => trace.line("tx", "nothing sent"),
        }
        if !is_as_traced {
            self.disagreement.get_or_insert(trace.packet);
        }
    }
}

impl Trace {
    fn line(&self, stage: &str, what: impl Display) {
        say::answer(format_args!("{:>6} {stage:<9} {what}", self.packet));
    }

    /// Puts a copy of the frame through the stages and tells of each.
    fn follow(&mut self, mut room: Vec<u8>, len: usize) {
        self.packet += 1;
        self.line("rx", format_args!("{len} bytes"));
        self.verdict = match wire::parse(room.get(..len).unwrap_or_default()) {
            Ok(headers) => {
                self.line("parse", describe(headers));
                self.judge(headers, &mut room)
            }
            Err(fault) => {
                self.line("parse", format_args!("{fault:?}"));
                verdict_of(fault)
            }
        };
        match self.verdict {
            Verdict::Reply { len, counter } => {
                self.line("respond", format_args!("reply {} of {len} bytes", counter.row().name));
            }
            Verdict::Pass(reason) => self.line("respond", format_args!("pass {}", reason.name())),
            Verdict::Drop(reason) => self.line("respond", format_args!("drop {}", reason.name())),
        }
    }

    fn judge(&mut self, headers: Headers, room: &mut [u8]) -> Verdict {
        match classify(headers, room, &self.tables) {
            Ok(class) => {
                self.line("classify", format_args!("{:?} of own address {}", class.responder, class.host));
                respond(class, headers, room, &self.tables, &mut self.state, self.now)
            }
            Err(verdict) => {
                self.line("classify", "no class");
                verdict
            }
        }
    }
}

fn describe(headers: Headers) -> String {
    let Headers { kind, network, end, selector, .. } = headers;
    format!("{kind:?} {selector}, from byte {network} to {end}")
}

impl<Q: Queue> Queue for Traced<Q> {
    fn rx(&mut self) -> Burst {
        self.queue.rx()
    }

    fn next(&mut self, burst: &mut Burst) -> Option<Frame> {
        let frame = self.queue.next(burst)?;
        if let Some(trace) = &mut self.trace {
            let room = self.queue.room_mut(&frame).to_vec();
            trace.follow(room, frame.len());
        }
        Some(frame)
    }

    fn room_mut(&mut self, frame: &Frame) -> &mut [u8] {
        self.queue.room_mut(frame)
    }

    fn tx(&mut self, frame: Frame) -> Result<(), Frame> {
        let len = frame.len();
        self.queue.tx(frame)?;
        self.see(Fate::Sent(len));
        Ok(())
    }

    fn pass(&mut self, frame: Frame) -> Result<(), Frame> {
        self.queue.pass(frame)?;
        self.see(Fate::Passed);
        Ok(())
    }

    fn release(&mut self, frame: Frame) {
        self.queue.release(frame);
        self.see(Fate::Released);
    }

    fn flush(&mut self) {
        self.queue.flush();
    }
}
