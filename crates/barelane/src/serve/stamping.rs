//! The clocks of stamps, as lanes are told them, and as readers are told which they are.

use host::clock::{Clock, Source};
use host::wall::{self, Line, Wall};
use nic::xdp::{ArrivalStamps, TransmitStamps};
use telemetry::{ArrivalClock, Counter, Counters, Tick, TickRate};

use crate::events::News;
use crate::plan::CardPlan;

/// Follows the clocks of stamps, and hears of stamps that are missing.
#[derive(Debug)]
pub(super) struct Stamping {
    arrivals: ArrivalStamps,
    departures: TransmitStamps,
    monotonic: Wall,
    source: Source,
    /// Whether it was said that frames come without stamps, and that they leave without.
    is_told: [bool; 2],
}

impl Stamping {
    /// That of a card whose lanes have this clock.
    pub(super) fn new(clock: Clock, card: &CardPlan) -> Self {
        let (arrivals, departures) = (card.arrivals(), card.departures());
        let is_told = [arrivals == ArrivalStamps::None, departures == TransmitStamps::None];
        Self { arrivals, departures, monotonic: Wall::monotonic(clock), source: clock.source(), is_told }
    }

    /// The clocks by the newest line.
    pub(super) fn clock(&self) -> ArrivalClock {
        clock_of(self.monotonic.line())
    }

    /// The same by a new one, where anything is stamped.
    pub(super) fn look(&mut self) -> Option<ArrivalClock> {
        let is_needed = (self.arrivals, self.departures) != (ArrivalStamps::None, TransmitStamps::None);
        is_needed.then(|| clock_of(self.monotonic.look()))
    }

    /// Whether stamps may be missing of which nothing was said yet.
    pub(super) fn is_to_look_for_missing(&self) -> bool {
        self.is_told != [true; 2]
    }

    /// Says once of each kind of stamp that it is missing where it should be.
    pub(super) fn news(&mut self, counters: &Counters) -> Vec<News> {
        let kinds = [
            (
                Counter::ArrivalUnknown,
                "frames come without an arrival stamp (arrival_unknown): no age limit holds for them, and no wait is known",
            ),
            (
                Counter::TransmitUnknown,
                "answers leave without a transmit stamp that could be right (transmit_unknown): how long they took is not known",
            ),
        ];
        let mut news = Vec::new();
        for ((counter, line), is_told) in kinds.into_iter().zip(&mut self.is_told) {
            if !*is_told && counters.of(counter) > 0 {
                *is_told = true;
                news.push(News::warning(line));
            }
        }
        news
    }

    /// The clock of turns, of arrival stamps, and of transmit stamps; and from when it is counted until these.
    pub(super) fn names(&self) -> [String; 4] {
        let (arrival, since) = match self.arrivals {
            ArrivalStamps::None => ("none", "turn_clock, the beginning of the turn"),
            ArrivalStamps::Program => ("CLOCK_MONOTONIC, XDP program", "arrival_clock, the arrival stamp"),
        };
        let (transmit, since) = match self.departures {
            TransmitStamps::None => ("none", "none"),
            TransmitStamps::Kernel => ("CLOCK_TAI, kernel", since),
        };
        let turn = match self.source {
            Source::TimeStampCounter => "time-stamp counter, lane",
            Source::Kernel => "CLOCK_MONOTONIC_RAW, lane",
        };
        [turn, arrival, transmit, since].map(str::to_owned)
    }
}

fn clock_of(line: Line) -> ArrivalClock {
    let rate = TickRate::new(line.ticks_per_second);
    ArrivalClock::new(Tick(line.tick), line.unix_ns, rate).with_tai_ahead(wall::tai_ahead_ns())
}
