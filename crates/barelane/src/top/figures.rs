//! What a server did between two looks, and since its start. Its fields are the keys of the JSON form, in their order; see
//! `docs/top-json.md`.

use serde::Serialize;

pub(crate) mod between;
mod nic;
pub(crate) mod streams;

pub use nic::{Nic, NicCount};
pub use streams::{Stream, StreamFates, StreamTotals, Streams};

/// One server.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Its segment.
    pub segment: String,
    /// Its process.
    pub process: u64,
    /// Whether it still runs; where not, all is as it was at its end.
    pub is_served: bool,
    /// When it made its segment.
    pub began_unix_ns: u64,
    /// When it last published.
    pub published_unix_ns: u64,
    /// The time that rates are of.
    pub over_ns: u64,
    /// What it is and where it serves.
    #[serde(flatten)]
    pub facts: Facts,
    /// Its lanes.
    pub lanes: Vec<Lane>,
    /// What the driver tier did before them.
    pub driver: Flow,
    /// What was answered, one for each kind.
    pub answers: Vec<Answer>,
    /// What was dropped, one for each reason that has occurred.
    pub drops: Vec<Drop>,
    /// What the kernel counted before the lanes, one for each queue.
    pub queues: Vec<Queue>,
    /// What the card counts itself; nothing over memif.
    pub card: Option<Nic>,
    /// The routes, in their order.
    pub routes: Vec<Route>,
}

/// What a server is and where it serves.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Facts {
    /// Of the program.
    pub version: String,
    /// The interface.
    pub nic: String,
    /// Its driver.
    pub driver_name: String,
    /// Where the XDP program runs.
    pub mode: String,
    /// Whether the card reads and writes in place.
    pub zero_copy: String,
    /// Of the kernel.
    pub kernel_release: String,
    /// The earliest tier that may answer.
    pub tier: String,
    /// Whether packets can come: up, down or gone.
    pub link: String,
    /// What is longer is a stall.
    pub stall_limit_ns: u64,
    /// The clock of turns, and who reads it.
    pub turn_clock: String,
    /// The clock of arrival stamps, and who reads it.
    pub arrival_clock: String,
    /// The clock of transmit stamps, and who reads it.
    pub transmit_clock: String,
    /// From when it is counted until these, and by which clock.
    pub transmit_since: String,
    /// What has waited longer is dropped; 0 where that is not limited.
    pub age_limit_ns: u64,
}

impl Facts {
    /// Whether frames say when they came.
    pub fn has_arrivals(&self) -> bool {
        !matches!(self.arrival_clock.as_str(), "" | "none")
    }

    /// Whether answers say when they left.
    pub fn has_departures(&self) -> bool {
        !matches!(self.transmit_clock.as_str(), "" | "none")
    }

    /// Whether either is so.
    pub fn has_stamps(&self) -> bool {
        self.has_arrivals() || self.has_departures()
    }
}

/// Frames by their fate, since the start and a second.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Flow {
    /// Taken.
    pub received: u64,
    /// Answered.
    pub replied: u64,
    /// Handed on.
    pub passed: u64,
    /// Dropped.
    pub dropped: u64,
    /// Taken a second.
    pub received_per_second: f64,
    /// Answered a second.
    pub replied_per_second: f64,
    /// Handed on a second.
    pub passed_per_second: f64,
    /// Dropped a second.
    pub dropped_per_second: f64,
}

/// One lane.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Lane {
    /// From 0.
    pub index: u64,
    /// Its core.
    pub core: u64,
    /// Its queue.
    pub queue: u64,
    /// Its frames.
    #[serde(flatten)]
    pub flow: Flow,
    /// Turns that found frames, a second.
    pub turns_per_second: f64,
    /// Turns that found none, a second.
    pub turns_empty_per_second: f64,
    /// How full its rings were.
    pub depths: Depths,
    /// And at most.
    pub depths_max: Depths,
    /// How long it had what it answered, since the start.
    pub residence: Spread,
    /// The same between the two looks.
    pub residence_recent: Spread,
    /// How long what it took had waited, since the start.
    pub queueing: Spread,
    /// The same between the two looks.
    pub queueing_recent: Spread,
    /// From the arrival of what it answered, since the start.
    pub arrival_residence: Spread,
    /// The same between the two looks.
    pub arrival_residence_recent: Spread,
    /// Until what it answered had left, since the start.
    pub transmit_residence: Spread,
    /// The same between the two looks.
    pub transmit_residence_recent: Spread,
    /// Answers of which that is not known, though it should be.
    pub transmit_unknown: u64,
    /// The shortest wait of the last publication.
    pub standing_queue_ns: u64,
    /// What was dropped since it had waited for too long.
    pub too_old: u64,
    /// The same a second.
    pub too_old_per_second: f64,
    /// How often it was not there.
    pub stall_count: u64,
    /// How long, together.
    pub stalled_ns: u64,
    /// How long at most.
    pub stall_max_ns: u64,
    /// The last stalls, oldest first.
    pub stalls: Vec<Stall>,
    /// Its streams; nothing where it tells none apart.
    pub streams: Option<Streams>,
}

/// Frames in each place of a queue.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Depths {
    /// Received, waiting for the lane.
    pub rx: u64,
    /// Answers that the NIC has not taken yet.
    pub tx: u64,
    /// Buffers that wait for a packet.
    pub fill: u64,
    /// Sent, not taken back yet.
    pub completion: u64,
    /// In nobody's hands.
    pub free: u64,
}

/// A distribution of times, in five figures; `null` where there is no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// How many values.
    pub count: u64,
    /// The smallest.
    pub min_ns: Option<u64>,
    /// What half of them do not exceed.
    pub p50_ns: Option<u64>,
    /// What 99 of 100 do not exceed.
    pub p99_ns: Option<u64>,
    /// What 999 of 1000 do not exceed.
    pub p999_ns: Option<u64>,
    /// The largest.
    pub max_ns: Option<u64>,
}

/// One stall.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Stall {
    /// When it began.
    pub began_unix_ns: u64,
    /// How long it was.
    pub length_ns: u64,
    /// Why, as far as the kernel tells.
    pub cause: probe::own_error::Cause,
    /// What the counts below are of.
    pub counted_over_ns: u64,
    /// What the kernel counted.
    #[serde(flatten)]
    pub usage: probe::own_error::Usage,
    /// Interrupts of its core in that time.
    pub interrupts: Option<u64>,
}

/// One kind of answer.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Answer {
    /// Its counter without `replied_`.
    pub name: String,
    /// By lanes.
    pub lane_count: u64,
    /// In the driver.
    pub driver_count: u64,
    /// Both, a second.
    pub per_second: f64,
    /// Of the lanes' answers, since the start.
    pub residence: Spread,
    /// The same between the two looks.
    pub residence_recent: Spread,
}

/// One reason to drop.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Drop {
    /// `lane` or `driver`.
    pub tier: &'static str,
    /// Its name in THE counter table.
    pub reason: String,
    /// Where on the packet's road.
    pub stage: String,
    /// How often.
    pub count: u64,
    /// How often a second.
    pub per_second: f64,
    /// What it means.
    pub sentence: String,
}

/// What the kernel counts of one queue.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Queue {
    /// Its number.
    pub queue: u64,
    /// Each count, by its name.
    pub counts: std::collections::BTreeMap<String, u64>,
}

/// One route.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Route {
    /// What it matches, and who answers.
    pub route: String,
    /// The tier that answers it.
    pub tier: String,
    /// Packets that it took, at every tier.
    pub taken: u64,
    /// Those of them for which an answer left.
    pub answered: u64,
    /// The others.
    pub unanswered: u64,
    /// Taken a second.
    pub taken_per_second: f64,
    /// Not answered a second.
    pub unanswered_per_second: f64,
}
