//! What is kept of one run's answers: enough for every figure, and no more however long the run is.
//!
//! ```text
//!                      ┌─▶ spreads of rtt, response, network, residence   (percentiles, HdrHistogram log)
//!   a sample ──────────┼─▶ neighbours, jitter                             (IPDV, RFC 3550)
//!   from the matcher   ├─▶ series                                         (what happened when)
//!                      └─▶ longest                                        (outliers)
//! ```
//!
//! The measuring loop adds each sample as it comes. In an open loop that is some 500 instructions for a question, half of
//! them in four histograms, and a few dozen cache lines that stay warm: less than a question costs on any backend.
//! Collecting samples and folding them while the loop idles would only move the cost: at the highest rates the loop never
//! idles, and what is folded in a lump delays the stamps of the arrivals behind it. So nothing is allocated, nothing is
//! sorted, and no work is put off.

mod longest;
mod series;
mod spread;
mod variation;

use hdrhistogram::CreationError;
use telemetry::{Ns, Tick, TickRate};

pub(crate) use longest::LONGEST_MAX;
pub(crate) use series::{POINTS_MAX, Stretch};
pub(crate) use spread::Spread;

use crate::ask::{Ask, End};
use crate::figures::Figures;
use crate::matching::Sample;
use crate::schedule::Schedule;
use longest::Longest;
use series::Series;
use variation::{Jitter, Neighbours};

/// The longest response that its spread tells apart from longer ones. A question is sent late only because of the probe
/// itself; an hour of that is no measurement.
const RESPONSE_MAX: Ns = Ns(3_600_000_000_000);

/// The width of a point of the time series at first, where the run's length is not known.
const POINT_WIDTH: Ns = Ns(1_000_000);

/// The answers of one run.
#[derive(Clone, Debug)]
pub struct Record {
    rate: TickRate,
    is_open: bool,
    pub(crate) rtt: Spread,
    /// From the intended instant; in an open loop only.
    pub(crate) response: Spread,
    /// Both where answers say how long they were at the server.
    pub(crate) network: Spread,
    pub(crate) residence: Spread,
    pub(crate) ipdv: Spread,
    neighbours: Neighbours,
    jitter: Jitter,
    pub(crate) series: Series,
    longest: Longest,
}

impl Record {
    /// A record of a run of `ask` that begins at `began`, by a clock of this rate. All its memory is taken here: some
    /// 12 MB.
    ///
    /// # Errors
    /// The time-out cannot be a histogram's highest value; [`Ask::check`] lets no such one through.
    pub fn new(ask: &Ask, rate: TickRate, began: Tick) -> Result<Self, CreationError> {
        let up_to_timeout = Spread::up_to(ask.timeout)?;
        let length = length_of(ask).map(|length| rate.ticks(length));
        Ok(Self {
            rate,
            is_open: matches!(ask.schedule, Schedule::Open { .. }),
            rtt: up_to_timeout.clone(),
            response: Spread::up_to(RESPONSE_MAX)?,
            network: up_to_timeout.clone(),
            residence: up_to_timeout.clone(),
            ipdv: up_to_timeout,
            neighbours: Neighbours::new(),
            jitter: Jitter::default(),
            series: Series::new(began, length, rate.ticks(POINT_WIDTH)),
            longest: Longest::new(),
        })
    }

    /// Says when the run begins, before anything is added. Taking the memory takes milliseconds; they are not the run's.
    pub fn begin(&mut self, at: Tick) {
        self.series.begin(at);
    }

    /// Counts a question that was sent.
    #[inline]
    pub fn sent(&mut self, at: Tick) {
        self.series.sent(at);
    }

    /// Counts a question that was given up; one that is answered later on counts as well.
    #[inline]
    pub fn lost(&mut self, sent: Tick) {
        self.series.lost(sent);
    }

    /// Adds a question that was answered in time.
    #[inline]
    pub fn add(&mut self, sample: &Sample) {
        let rtt = self.rate.ns(sample.received - sample.sent);
        self.rtt.add(rtt);
        self.series.answered(sample.sent, rtt);
        self.jitter.add(rtt);
        for difference in self.neighbours.add(sample.sequence, rtt).into_iter().flatten() {
            self.ipdv.add(difference);
        }
        if let Some(residence) = sample.residence {
            self.residence.add(residence);
            self.network.add(Ns(rtt.0.saturating_sub(residence.0)));
        }
        let from = if self.is_open { sample.intended } else { sample.sent };
        let took = sample.received - from;
        if self.is_open {
            self.response.add(self.rate.ns(took));
        }
        self.longest.offer(took, sample);
    }

    /// How many answers there are.
    pub fn samples(&self) -> u64 {
        self.rtt.samples()
    }

    /// The round trips in figures.
    pub fn figures(&self) -> Figures {
        self.rtt.figures()
    }

    /// The response times in figures, from the intended instant; without samples in a closed loop.
    pub fn response_figures(&self) -> Figures {
        self.response.figures()
    }

    /// The jitter of RFC 3550.
    pub(crate) fn jitter(&self) -> Option<Ns> {
        self.jitter.value()
    }

    /// The longest answers, the longest first: by their response time in an open loop, else by their round trip.
    pub(crate) fn longest(&self) -> Vec<Sample> {
        self.longest.sorted()
    }

    /// The run's beginning.
    pub(crate) const fn began(&self) -> Tick {
        self.series.began()
    }

    /// The clock's rate.
    pub(crate) const fn rate(&self) -> TickRate {
        self.rate
    }
}

/// How long the run will take, where that can be known.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a length to choose the width of points by; a saturated one only makes them too wide"
)]
fn length_of(ask: &Ask) -> Option<Ns> {
    let seconds = match (ask.end, ask.schedule) {
        (End::Seconds(seconds), _) => seconds,
        (End::Count(count), Schedule::Open { rate, .. }) => count as f64 / rate.mean(),
        (End::Count(_), Schedule::Closed { .. }) => return None,
    };
    Some(Ns((seconds * 1e9) as u64))
}
