//! Who asks, as often as is wanted and at random moments, and what is found of one stretch of it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nic::xdp::bare::Bare;
use nic::xdp::generator::Generator;
use telemetry::{Counter, Histogram, Ns, Page};

use super::{Cable, Hosts};
use crate::demo::saturation::client::{frame, received, send, send_for};
use crate::demo::serving::attach;
use crate::error::Error;
use crate::serve::Server;
use crate::signals::Signals;

/// How long is asked before anything counts: caches are filled then, and a queue that will stand stands.
const WARM_UP: Duration = Duration::from_millis(50);
/// After so long without a question, whatever waited is answered, and the lane has published what it counted: a full ring
/// takes 3 ms, housekeeping comes every few milliseconds.
const SETTLED: Duration = Duration::from_millis(30);
/// The share of frames that the price of a frame that is not sent is found by.
const FEW: f64 = 1.0 / 64.0;

/// The generator on its cable.
#[derive(Debug)]
pub(super) struct Load<'a> {
    pub(super) hosts: &'a Hosts,
    pub(super) cable: &'a Cable,
    frame: Vec<u8>,
    cost: Cost,
}

/// What a frame costs the generator, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    /// Whatever becomes of it.
    made: f64,
    /// More where it is sent.
    sent: f64,
}

impl Cost {
    /// From what frames took of which this share was sent, and of which all were.
    fn of(few: f64, with_few: f64, with_all: f64) -> Self {
        let sent = (with_all - with_few) / (1.0 - few);
        Self { made: with_few - few * sent, sent }
    }

    /// The share of frames that must be sent for so many a second; nothing where it cannot make as many.
    fn share(self, per_second: f64) -> Option<f64> {
        let share = per_second * self.made / (1.0 - per_second * self.sent);
        (per_second * self.sent < 1.0 && share <= 1.0).then_some(share)
    }

    /// The most that it makes a second.
    fn most(self) -> f64 {
        1.0 / (self.made + self.sent)
    }
}

/// What is found at one moment.
#[derive(Clone, Debug, Default)]
struct Look {
    arrived: u64,
    answered: u64,
    too_old: u64,
    queueing: Histogram,
    residence: Histogram,
}

/// What came of one stretch.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub(super) arrived: u64,
    /// Of those that arrived.
    pub(super) answered: u64,
    /// Answers that had come when the last question was sent.
    answered_within: u64,
    pub(super) too_old: u64,
    /// How long questions waited, those that were too old included.
    pub(super) queueing: Histogram,
    /// From a question's arrival until its answer was handed over.
    pub(super) residence: Histogram,
    length: Duration,
}

impl Stretch {
    pub(super) fn arrived_per_second(&self) -> f64 {
        as_float(self.arrived) / self.length.as_secs_f64()
    }

    /// What came of it in time to count for it.
    pub(super) fn answered_per_second(&self) -> f64 {
        as_float(self.answered_within) / self.length.as_secs_f64()
    }

    /// The same of those that had resided for no longer than this.
    pub(super) fn in_time_per_second(&self, Ns(most): Ns) -> f64 {
        let in_time: u64 = self.residence.iter().filter(|&(ns, _)| ns <= most).map(|(_, count)| count).sum();
        self.answered_per_second() * as_float(in_time) / as_float(self.residence.count().max(1))
    }

    /// The part of questions that got no answer.
    pub(super) fn loss(&self) -> f64 {
        as_float(self.arrived.saturating_sub(self.answered)) / as_float(self.arrived.max(1))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of some seconds stay far below 2^53")]
fn as_float(count: u64) -> f64 {
    count as f64
}

impl<'a> Load<'a> {
    /// What asks on this cable. What a frame costs is found when the server is there: see [`Load::saturate`].
    pub(super) fn new(hosts: &'a Hosts, cable: &'a Cable, length: Duration) -> Result<Self, Error> {
        let frame = frame(cable, length)?;
        Ok(Self { hosts, cable, frame, cost: Cost { made: 0.0, sent: 0.0 } })
    }

    /// Asks for all that the generator makes, and for a small share of it, and knows what a frame costs from then on.
    pub(super) fn saturate(
        &mut self,
        server: &Server,
        length: Duration,
        signals: &Signals,
    ) -> Result<Stretch, Error> {
        let (_, with_few) = self.flood(server, FEW, length, signals)?;
        let (stretch, with_all) = self.flood(server, 1.0, length, signals)?;
        self.cost = Cost::of(FEW, with_few, with_all);
        Ok(stretch)
    }

    /// Asks so many times a second.
    pub(super) fn ask(
        &self,
        server: &Server,
        per_second: f64,
        length: Duration,
        signals: &Signals,
    ) -> Result<Stretch, Error> {
        let share = self.cost.share(per_second).ok_or_else(|| {
            Error::Failed(format!(
                "{per_second:.0} questions a second are wanted, and the generator makes {:.0} at most",
                self.cost.most()
            ))
        })?;
        Ok(self.flood(server, share, length, signals)?.0)
    }

    /// Makes frames as fast as the core does and sends this share of them. Gives what came of it, and what a frame took.
    fn flood(
        &self,
        server: &Server,
        share: f64,
        length: Duration,
        signals: &Signals,
    ) -> Result<(Stretch, f64), Error> {
        let Self { hosts, cable, frame, .. } = self;
        let (stop, pages) = (signals.stop_flag(), server.pages());
        hosts.client.run(|| {
            host::cores::pin(hosts.client_core)?;
            let link = host::links::link(cable.name)?;
            let _end = attach(Bare::Drop, cable)?;
            let generator = Generator::thinned(link.index, frame, share)?;
            send(&generator, 1, &stop)?;
            send_for(&generator, WARM_UP, &stop)?;
            thread::sleep(SETTLED);
            let before = self.look(&pages)?;
            let (made, length) = send_for(&generator, length, &stop)?;
            let at_end = received(&hosts.client, cable)?;
            thread::sleep(SETTLED);
            let stretch = Stretch::of(&before, at_end, &self.look(&pages)?, length);
            Ok((stretch, length.as_secs_f64() / as_float(made.max(1))))
        })?
    }

    fn look(&self, pages: &[Arc<Page>]) -> Result<Look, Error> {
        let mut look = Look {
            arrived: received(&self.hosts.server, self.cable)?,
            answered: received(&self.hosts.client, self.cable)?,
            ..Look::default()
        };
        for page in pages {
            look.too_old += page.read().unwrap_or_default().counters.of(Counter::AnswerTooOld);
            look.queueing.merge(&page.queueing.read());
            look.residence.merge(&page.arrival_residence.read());
        }
        Ok(look)
    }
}

impl Stretch {
    fn of(before: &Look, answered_at_end: u64, after: &Look, length: Duration) -> Self {
        Self {
            arrived: after.arrived - before.arrived,
            answered: after.answered - before.answered,
            answered_within: answered_at_end.saturating_sub(before.answered),
            too_old: after.too_old - before.too_old,
            queueing: after.queueing.since(&before.queueing),
            residence: after.residence.since(&before.residence),
            length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_is_sent_gives_the_rate_that_is_wanted() {
        let cost = Cost::of(0.25, 150.0e-9, 300.0e-9);
        assert!((cost.made - 100.0e-9).abs() < 1e-12 && (cost.sent - 200.0e-9).abs() < 1e-12, "{cost:?}");
        for per_second in [1e3, 1e6, 3e6] {
            let share = cost.share(per_second).unwrap();
            let made_per_second = 1.0 / (cost.made + share * cost.sent);
            assert!((made_per_second * share / per_second - 1.0).abs() < 1e-9, "{per_second}");
        }
        assert!((cost.most() - 1e7 / 3.0).abs() < 1.0);
        assert_eq!((cost.share(3.4e6), cost.share(6e6)), (None, None));
    }

    #[test]
    fn goodput_is_what_was_answered_in_time() {
        let mut after = Look { arrived: 10, answered: 4, ..Look::default() };
        for ns in [100, 200, 300, 5_000] {
            after.residence.record(ns);
        }
        let stretch = Stretch::of(&Look::default(), 4, &after, Duration::from_millis(500));
        let in_time = [50, 250, 400, 10_000].map(|most| stretch.in_time_per_second(Ns(most)));
        assert!(in_time.iter().zip([0.0, 4.0, 6.0, 8.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{in_time:?}");
    }

    #[test]
    fn what_is_answered_behind_the_end_is_no_loss_and_no_goodput() {
        let look = |arrived, answered| Look { arrived, answered, ..Look::default() };
        let stretch = Stretch::of(&look(100, 50), 950, &look(2_100, 1_050), Duration::from_millis(500));
        assert!(
            (stretch.loss() - 0.5).abs() < 1e-9 && (stretch.answered_per_second() - 1_800.0).abs() < 1e-9
        );
        assert!((stretch.arrived_per_second() - 4_000.0).abs() < 1e-9);
    }
}
