//! What was lost, doubled and late of streams, of each lane that tells them apart.

use serde::Serialize;
use telemetry::streams::{Counts, Protocol};

use super::Spread;
use super::between::{Pair, spreads};
use crate::side_channel::{Area, StreamFigures};

/// The streams of a lane.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Streams {
    /// How many have room.
    pub places: u64,
    /// How many have a place.
    pub known: u64,
    /// How many have lost their place to another one.
    pub evicted: u64,
    /// All of a protocol together, those that are gone too.
    pub protocols: Vec<StreamTotals>,
    /// Those that have a place, who lost most first.
    pub streams: Vec<Stream>,
}

/// All streams of a protocol.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StreamTotals {
    /// Its name.
    pub protocol: &'static str,
    /// How many have begun.
    pub begun: u64,
    /// What became of their packets.
    #[serde(flatten)]
    pub fates: StreamFates,
    /// Received a second.
    pub received_per_second: f64,
    /// Lost a second; what came late after all may be more.
    pub lost_per_second: f64,
    /// The interarrival jitter over all of them; `null` where the protocol has no sender's time.
    pub jitter_ns: Option<u64>,
    /// By how much transits differed, since the start.
    pub differences: Spread,
    /// The same between the two looks.
    pub differences_recent: Spread,
}

/// Packets by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StreamFates {
    /// From the first sequence to the highest.
    pub expected: u64,
    /// Those of them that came.
    pub received: u64,
    /// Those that did not.
    pub lost: u64,
    /// Came before.
    pub duplicate: u64,
    /// Of the received, those behind a higher one.
    pub late: u64,
    /// Too far behind to know.
    pub too_late: u64,
    /// How often the sender has begun anew.
    pub restarts: u64,
}

/// One stream.
#[derive(Clone, Debug, Serialize)]
pub struct Stream {
    /// What its sender speaks.
    pub protocol: &'static str,
    /// The sender's address and port.
    pub source: String,
    /// Ours.
    pub destination: String,
    /// The session's identifier.
    pub ssid: u16,
    /// What became of its packets.
    #[serde(flatten)]
    pub fates: StreamFates,
    /// The highest sequence.
    pub highest: u64,
    /// Its interarrival jitter; `null` where its packets do not say when they were sent.
    pub jitter_ns: Option<u64>,
    /// When its first packet came.
    pub began_unix_ns: u64,
    /// When its last one did.
    pub last_seen_unix_ns: u64,
}

impl From<Counts> for StreamFates {
    fn from(counts: Counts) -> Self {
        let Counts { expected, received, duplicate, late, too_late, restarts } = counts;
        Self { expected, received, lost: counts.lost(), duplicate, late, too_late, restarts }
    }
}

impl From<&StreamFigures> for Stream {
    fn from(of: &StreamFigures) -> Self {
        Self {
            protocol: of.protocol.name(),
            source: of.source.to_string(),
            destination: of.destination.to_string(),
            ssid: of.ssid,
            fates: of.counts.into(),
            highest: of.highest,
            jitter_ns: of.jitter_ns,
            began_unix_ns: of.began_unix_ns,
            last_seen_unix_ns: of.last_seen_unix_ns,
        }
    }
}

impl Streams {
    /// Of the area of a lane's streams, and of the lane's own.
    pub(super) fn between(pair: &Pair<'_>, lane: &Area) -> Self {
        let number = |name| pair.now.number(name).unwrap_or(0);
        let mut known = pair.now.streams("streams").unwrap_or_default();
        known.sort_by_key(|stream| std::cmp::Reverse((stream.counts.lost(), stream.last_seen_unix_ns)));
        Self {
            places: number("places"),
            known: number("known"),
            evicted: lane.number("stream_evicted").unwrap_or(0),
            protocols: Protocol::ALL.iter().map(|&protocol| totals(pair, protocol)).collect(),
            streams: known.iter().map(Stream::from).collect(),
        }
    }
}

fn totals(pair: &Pair<'_>, protocol: Protocol) -> StreamTotals {
    let name = protocol.name();
    let wanted = format!("{name}_differences");
    let [differences, differences_recent] = spreads(std::slice::from_ref(pair), |name| name == wanted);
    StreamTotals {
        protocol: name,
        begun: pair.now.number(&format!("{name}_begun")).unwrap_or(0),
        fates: counts(pair.now, protocol).into(),
        received_per_second: pair.rate(|area| counts(area, protocol).received),
        lost_per_second: pair.rate(|area| counts(area, protocol).lost()),
        jitter_ns: pair.now.number(&format!("{name}_jitter")),
        differences,
        differences_recent,
    }
}

/// What an area says of all streams of a protocol.
pub(crate) fn counts(area: &Area, protocol: Protocol) -> Counts {
    let number = |what: &str| area.number(&format!("{}_{what}", protocol.name())).unwrap_or(0);
    Counts {
        expected: number("expected"),
        received: number("received"),
        duplicate: number("duplicate"),
        late: number("late"),
        too_late: number("too_late"),
        restarts: number("restarts"),
    }
}
