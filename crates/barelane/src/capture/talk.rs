//! What a capture and a server say to each other, by the socket beside the server's segment.
//!
//! ```text
//!   capture ──▶ server   request: a line of JSON
//!   capture ◀── server   answer: a line of JSON; where it refuses, that is all
//!   capture ◀── server   exchanges, as lanes put them into their rings (lane::tap::ExchangeHead)
//!   capture ──▶ server   end of what it says (shutdown(2)): it wants no more
//!   capture ◀── server   the exchanges that are left, a size of 0 in place of an exchange's, totals: a line of JSON
//! ```
//!
//! Both are on one machine, so exchanges stay in its byte order. Names travel with the answer, so that a capture is right about a
//! server of another version too, as long as the schema is the same.

use lane::tap::{RESPONDERS, TapCounts};
use serde::{Deserialize, Serialize};
use telemetry::{Counter, Kind};

/// Which form of all this is spoken.
pub(super) const SCHEMA: &str = "barelane-capture-1";

/// The longest line: a filter of the greatest length, and what stands around it; or the totals of a thousand lanes.
pub(super) const LINE_MAX: usize = 128 << 10;

/// What a capture wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) schema: String,
    /// Which packets, in the language of `filter`.
    pub(super) filter: String,
    /// Of those, one in so many.
    pub(super) sample: u32,
    /// How many bytes of each, at most.
    pub(super) snaplen: usize,
}

/// What the server says to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Exchanges follow.
    Granted(Granted),
    /// Nothing follows, and why.
    Refused(String),
}

/// How to read what follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Granted {
    /// Of the server, for a person.
    pub(super) version: String,
    pub(super) nic: String,
    /// The queue of each lane.
    pub(super) queues: Vec<u32>,
    /// The counters, by their numbers: what a fate is called, and which verdict it is.
    pub(super) fates: Vec<Fate>,
    /// The responders, by their numbers.
    pub(super) responders: Vec<String>,
}

/// A counter as the fate of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fate {
    pub(super) name: String,
    pub(super) verdict: String,
}

/// What was counted in all, by lane; nothing of a lane that has not given its tap back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) lanes: Vec<Option<Counts>>,
}

/// [`TapCounts`] as they are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) seen: u64,
    pub(super) matched: u64,
    pub(super) chosen: u64,
    pub(super) dropped: u64,
}

impl From<TapCounts> for Counts {
    fn from(TapCounts { seen, matched, chosen, dropped }: TapCounts) -> Self {
        Self { seen, matched, chosen, dropped }
    }
}

impl Granted {
    /// What this program says of itself.
    pub(super) fn new(nic: &str, queues: Vec<u32>) -> Self {
        let fate = |counter: &Counter| Fate {
            name: counter.row().name.to_owned(),
            verdict: verdict_of(counter.row().kind).to_owned(),
        };
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            nic: nic.to_owned(),
            queues,
            fates: Counter::ALL.iter().map(fate).collect(),
            responders: RESPONDERS.iter().map(|(_, name)| (*name).to_owned()).collect(),
        }
    }
}

const fn verdict_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Replied => "reply",
        Kind::Passed => "pass",
        Kind::Dropped => "drop",
        Kind::Received | Kind::Note => "",
    }
}

/// Something as a line of JSON.
pub(super) fn line(of: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(of)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_responder_stands_at_its_own_number() {
        for (index, (responder, _)) in RESPONDERS.iter().enumerate() {
            assert_eq!(*responder as usize, index);
        }
    }

    #[test]
    fn every_fate_of_a_frame_has_a_verdict() {
        let granted = Granted::new("lane0", vec![0]);
        for (counter, fate) in Counter::ALL.iter().zip(&granted.fates) {
            let is_fate = !matches!(counter.row().kind, Kind::Received | Kind::Note);
            assert_eq!(!fate.verdict.is_empty(), is_fate, "{}", fate.name);
        }
        let told: Answer = serde_json::from_slice(&line(&Answer::Granted(granted.clone())).unwrap()).unwrap();
        assert_eq!(told, Answer::Granted(granted));
    }
}
