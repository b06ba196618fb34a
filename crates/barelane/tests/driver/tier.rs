//! The program with a lane behind it, as a tier that vectors can be put to.

use std::{fmt, mem};

use barelane::plan::{claims_of, next_hops_of};
use nic::xdp::dry_run::{Action, DryRun};
use nic::xdp::{COUNT_MAX, Claims, Vlans};
use route::{LaneSettings, NextHops, RouteTable, Terms, Tier as Where};
use telemetry::{Counter, Counters, Kind, Ns, Reason};
use testkit::endpoint;
use testkit::vectors::{Outcome, PartialChecksums, Settings, ShortPackets, Stamp, Tier};
use wire::checksum::Summer;
use wire::stamp::Key;

use crate::simulated::{Alone, SimulatedLane, card, far_from_all, settings_of, table_of};

/// What the program did with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Answered,
    Dropped,
    Passed,
    HandedOn,
}

/// What is shorter is no frame: the kernel puts none to a program.
pub(crate) const LEN_MIN: usize = 14;

/// Why a lane drops what the program finds none of our addresses in: a frame to another station or address, or one that is
/// cut off before it names one. The program passes it, and the kernel discards it in its turn.
const KERNELS: [Reason; 4] =
    [Reason::EthernetNotOurs, Reason::FrameTruncated, Reason::Ipv4Checksum, Reason::NdpMalformed];

/// The program, in force for the endpoint of the vectors, and a lane for what it hands on.
pub(crate) struct Driver {
    program: DryRun,
    lane: SimulatedLane<Alone>,
    counts: [u64; 4],
    /// What the program had counted before the next frame.
    counted: [u64; COUNT_MAX],
}

impl Driver {
    pub(crate) fn load(settings: Settings) -> Self {
        let settings = lane_settings(settings);
        let program = DryRun::load(&claims(&settings, Where::Driver)).unwrap();
        Self::new(program, SimulatedLane::with(Alone(card()), settings))
    }

    /// One for which every asker is behind a router, by these ways.
    pub(crate) fn by_routes(next_hops: &NextHops) -> Self {
        let (endpoint, settings) = far_from_all();
        let routes = at_the_earliest(&table_of(&endpoint), Where::Driver);
        let claims = claims_of(&settings, Vlans::ALL, &routes, Where::Driver);
        let mut program = DryRun::load(&claims).unwrap();
        program.set_next_hops(&next_hops_of(next_hops)).unwrap();
        Self::new(program, SimulatedLane::by_routes(Alone(card()), next_hops.clone()))
    }

    fn new(program: DryRun, lane: SimulatedLane<Alone>) -> Self {
        Self { counted: program.counts().unwrap(), program, lane, counts: [0; 4] }
    }

    pub(crate) fn count(&self, stage: Stage) -> u64 {
        self.counts[stage as usize]
    }

    /// Puts a frame to the program alone, and gives what it did; what it handed on is [`Outcome::Silence`]. Nothing where
    /// it did what no frame may lead to.
    pub(crate) fn judge(&mut self, question: &[u8]) -> (Option<Stage>, Outcome) {
        let outcome = self.run(question);
        let stage = match &outcome {
            Outcome::Reply(_) => Stage::Answered,
            Outcome::Drop(_) => Stage::Dropped,
            Outcome::Pass(..) => Stage::Passed,
            Outcome::Silence => Stage::HandedOn,
            Outcome::Nonsense(_) => return (None, outcome),
        };
        self.counts[stage as usize] += 1;
        (Some(stage), outcome)
    }

    /// The lane behind the program.
    pub(crate) fn lane(&mut self) -> &mut impl Tier {
        &mut self.lane
    }

    /// What the program did with one frame, by what it returned, by the frame, and by its counts.
    fn run(&mut self, question: &[u8]) -> Outcome {
        let (action, frame) = self.program.run(question).unwrap();
        let before = mem::replace(&mut self.counted, self.program.counts().unwrap());
        let counted = difference(&before, &self.counted);
        let fates: u64 =
            [Kind::Replied, Kind::Passed, Kind::Dropped].map(|kind| counted.sum(kind)).iter().sum();
        if counted.of(Counter::Rx) != 1 || fates != 1 {
            return Outcome::Nonsense(format!("{action:?}, counted {counted:?}"));
        }
        let reason = Reason::ALL.iter().copied().find(|reason| counted.of(reason.counter()) == 1);
        match action {
            Action::Reply if counted.sum(Kind::Replied) == 1 => Outcome::Reply(frame),
            Action::Drop if reason.is_some() => Outcome::Drop(reason),
            Action::Pass if counted.of(Counter::Passed) == 1 => Outcome::Pass(frame, None),
            Action::Redirect if counted.of(Counter::ToLane) == 1 && frame == question => Outcome::Silence,
            _ => Outcome::Nonsense(format!("{action:?}, counted {counted:?}, {} bytes", frame.len())),
        }
    }
}

/// The same routes on a link that carries what this tier answers.
fn at_the_earliest(table: &RouteTable, earliest: Where) -> RouteTable {
    let terms = Terms { earliest, ..Terms::default() };
    RouteTable::with_terms(table.addresses().to_vec(), table.routes().to_vec(), &terms).unwrap()
}

/// The endpoint of the vectors, with these settings.
pub(crate) fn lane_settings(settings: Settings) -> LaneSettings {
    let endpoint = endpoint::load().unwrap();
    let partial_checksums = match settings.partial_checksums {
        PartialChecksums::Refuse => route::PartialChecksums::Refuse,
        PartialChecksums::Accept => route::PartialChecksums::Accept,
    };
    let stamp_key = match settings.stamp {
        Stamp::Unauthenticated => None,
        Stamp::Authenticated => Key::new(endpoint.stamp.key.as_bytes()),
    };
    let short_packets = match settings.short_packets {
        ShortPackets::Drop => route::ShortPackets::Drop,
        ShortPackets::Answer => route::ShortPackets::Answer,
    };
    LaneSettings { stamp_key, short_packets, ..settings_of(&endpoint, partial_checksums, Summer::fastest()) }
}

/// What it takes from the kernel. A lane looks at every frame, whatever its tags: so does the program here.
pub(crate) fn claims(settings: &LaneSettings, earliest: Where) -> Claims {
    let routes = at_the_earliest(&table_of(&endpoint::load().unwrap()), earliest);
    claims_of(settings, Vlans::ALL, &routes, earliest)
}

/// What was counted in between.
pub(crate) fn difference(before: &[u64; COUNT_MAX], after: &[u64; COUNT_MAX]) -> Counters {
    let mut counters = Counters::default();
    for &counter in Counter::ALL {
        counters.add(counter, after[counter as usize] - before[counter as usize]);
    }
    counters
}

impl Tier for Driver {
    fn ask(&mut self, question: &[u8], quiet: Ns) -> Outcome {
        if question.len() < LEN_MIN {
            return Outcome::Silence;
        }
        let (stage, outcome) = self.judge(question);
        let Some(stage) = stage else { return outcome };
        match stage {
            Stage::HandedOn => self.lane.ask(question, quiet),
            Stage::Passed => as_a_lane_says(&self.lane.ask(question, quiet), outcome),
            // Time passes for the lane too.
            Stage::Answered | Stage::Dropped => {
                self.lane.turn(quiet);
                outcome
            }
        }
    }

    /// There is the kernel behind, but not for an address that only Barelane has: what a lane would hand on from there is
    /// dropped here, for the same reason.
    fn can_pass(&self) -> bool {
        false
    }
}

/// What a frame that the program has passed is to a vector: where a lane alone drops it for one of [`KERNELS`], the kernel
/// discards it.
pub(crate) fn as_a_lane_says(alone: &Outcome, passed: Outcome) -> Outcome {
    match (alone, passed) {
        (Outcome::Drop(Some(reason)), Outcome::Pass(..)) if KERNELS.contains(reason) => Outcome::Silence,
        (_, passed) => passed,
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [answered, dropped, passed, handed_on] = self.counts;
        write!(out, "{answered} answered, {dropped} dropped, {passed} passed, {handed_on} handed on")
    }
}
