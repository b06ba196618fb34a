//! The loop: asks when the schedule says so, takes what arrives, gives up what is overdue.
//!
//! The probe's only loop that touches packets. It is the same for every schedule, backend and clock; a simulation
//! passes its own.

mod outcome;
mod progress;

pub use outcome::{Ended, Outcome};
pub use progress::{PUBLISHED_EVERY, Progress};

use std::sync::atomic::{AtomicBool, Ordering};

use hdrhistogram::CreationError;
use telemetry::{Ns, Tick};
use thiserror::Error;

use crate::ask::{Ask, AskError, End};
use crate::clock::Clock;
use crate::matching::{self, Matcher};
use crate::own_error::{Limits, Platform, Watch};
use crate::question::{Questions, Recognised};
use crate::record::Record;
use crate::schedule::Pace;
use crate::transport::{Arrival, BATCH_MAX, Coverage, Transport, TransportError, What};

/// How long the first warm-up question may take: a neighbour is resolved in one to three tries of a second each
/// (`mcast_solicit`, `retrans_time_ms` of the kernel), and a target that has not answered within the first will show
/// itself in the figures.
pub const WARM_UP_PATIENCE: Ns = Ns(1_000_000_000);

/// How long a backend may have no room for a question. Longer means that it is stuck, not busy.
pub const NO_ROOM_PATIENCE: Ns = Ns(1_000_000_000);

/// How long a run that was told to stop still listens for answers to what it has asked.
pub const STOP_PATIENCE: Ns = Ns(1_000_000_000);

/// How much later a question is given up while answers come without a pause, so that one that has arrived in time and
/// waits behind others is still taken for what it is.
const FLOOD_PATIENCE: Ns = Ns(100_000_000);

/// What is said of a run whose clock was set, after the clock's name.
const STEPPED: &str = "was set while it was measured with, so that no time here is right; measure again";

/// What goes on beside a run: who ends it, and who looks on.
#[derive(Clone, Copy, Debug)]
pub struct Controls<'a> {
    /// Becomes true when the run is to end early.
    pub stop: &'a AtomicBool,
    /// Where the run publishes how far it is.
    pub progress: &'a Progress,
    /// Who is asked what held the probe up.
    pub platform: &'a dyn Platform,
}

/// Why there is no outcome.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// It cannot be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The backend cannot go on.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The backend has had no room for a question for [`NO_ROOM_PATIENCE`].
    #[error("the backend took no question for {} ms: its transmit ring or buffer stays full", NO_ROOM_PATIENCE.0 / 1_000_000)]
    Stuck,
    /// The time-out cannot be recorded.
    #[error("timeout: {0}")]
    Record(#[from] CreationError),
}

/// Measures, until the end or until it is told to stop. After that nothing more is asked, but what was asked still
/// gets its fate: that takes up to the time-out where the target is silent, and no more than [`STOP_PATIENCE`] after a
/// stop. A backend that fails once questions are counted ends the run, and what was measured until then is kept.
///
/// # Errors
/// Nothing was measured.
pub fn measure<T: Transport, C: Clock>(
    ask: &Ask,
    transport: &mut T,
    clock: &C,
    controls: &Controls<'_>,
) -> Result<Outcome, ProbeError> {
    ask.check()?;
    let mut run = Run::new(ask, transport, clock, *controls)?;
    run.warm_up()?;
    let began = run.begin()?;
    let failure = run.ask_and_listen(began).err();
    Ok(run.outcome(began, failure))
}

/// When to stop asking, in ticks and sequence numbers.
struct Finish {
    /// No question is due at this instant or later.
    at: Tick,
    /// No question is sent at this instant or later, however many are overdue.
    limit: Tick,
    count: u64,
}

impl Finish {
    /// A run of some seconds takes at most as long again for what it could not send in time.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "Ask::check bounds the seconds"
    )]
    fn of(end: End, began: Tick, clock: &impl Clock) -> Self {
        match end {
            End::Count(count) => Self { at: Tick(u64::MAX), limit: Tick(u64::MAX), count },
            End::Seconds(seconds) => {
                let ticks = clock.rate().ticks(Ns((seconds * 1e9) as u64));
                let at = Tick(began.0.saturating_add(ticks));
                Self { at, limit: Tick(at.0.saturating_add(ticks)), count: u64::MAX }
            }
        }
    }
}

struct Run<'a, T, C> {
    ask: &'a Ask,
    questions: Questions,
    transport: &'a mut T,
    clock: &'a C,
    controls: Controls<'a>,
    pace: Pace,
    matcher: Matcher,
    record: Record,
    watch: Watch<'a, C>,
    /// Whether the backend sleeps until an answer comes.
    sleeps: bool,
    /// Since when the backend has had no room.
    full_since: Option<Tick>,
    /// When the progress is to be published next.
    publish_at: Tick,
    /// Questions that the schedule had and that were never sent.
    unsent: u64,
    /// The backend's overruns at the beginning.
    overruns: Option<u64>,
    /// When the asking was over, and when every question had its fate.
    asked_until: Tick,
    settled_at: Tick,
}

impl<'a, T: Transport, C: Clock> Run<'a, T, C> {
    fn new(
        ask: &'a Ask,
        transport: &'a mut T,
        clock: &'a C,
        controls: Controls<'a>,
    ) -> Result<Self, ProbeError> {
        let rate = clock.rate();
        let now = clock.now();
        let facts = transport.facts();
        let patience = rate.ticks(ask.timeout.max(WARM_UP_PATIENCE));
        let matcher = Matcher::new(matching::slot_count(ask)?, patience).with_stamps(transport.stamps());
        Ok(Self {
            ask,
            questions: Questions::new(ask),
            transport,
            clock,
            controls,
            pace: Pace::one_at_a_time(now),
            matcher,
            record: Record::new(ask, rate, now)?,
            watch: Watch::new(clock, Limits::of(&facts), controls.platform),
            sleeps: facts.wait == "block",
            full_since: None,
            publish_at: now,
            unsent: 0,
            overruns: None,
            asked_until: now,
            settled_at: now,
        })
    }

    /// Asks without counting, one question at a time.
    fn warm_up(&mut self) -> Result<(), ProbeError> {
        let forever = Tick(u64::MAX);
        self.ask_until(&Finish { at: forever, limit: forever, count: self.ask.warm_up })?;
        self.settle_all()
    }

    /// Forgets the warm-up; gives the instant at which the run begins.
    fn begin(&mut self) -> Result<Tick, ProbeError> {
        let rate = self.clock.rate();
        self.matcher.begin(rate.ticks(self.ask.timeout));
        self.record = Record::new(self.ask, rate, self.clock.now())?;
        self.overruns = self.transport.overruns();
        self.watch.begin();
        let began = self.clock.now();
        self.record.begin(began);
        self.pace = Pace::new(self.ask, rate, began);
        (self.asked_until, self.settled_at) = (began, began);
        Ok(began)
    }

    fn ask_and_listen(&mut self, began: Tick) -> Result<(), ProbeError> {
        let finish = Finish::of(self.ask.end, began, self.clock);
        let asked = self.ask_until(&finish);
        self.asked_until = self.clock.now();
        if self.asked_until >= finish.limit {
            self.unsent = self.ask.expected_count().saturating_sub(self.matcher.counts().sent);
        }
        let settled = asked.and_then(|()| self.settle_all());
        while let Some((_, sent)) = self.matcher.abandon() {
            self.record.lost(sent);
        }
        self.controls.progress.publish(self.matcher.counts());
        self.settled_at = self.clock.now();
        settled?;
        self.linger()
    }

    /// The loop.
    fn ask_until(&mut self, finish: &Finish) -> Result<(), ProbeError> {
        let mut now = self.clock.now();
        while !self.is_over(finish, now) && !self.is_stopped() {
            self.send_due(finish, now)?;
            let until = self.due().map_or(finish.at, |due| due.min(finish.at));
            now = self.take_arrivals(until, now)?;
        }
        Ok(())
    }

    /// Waits until every question has its fate, or until patience ends after a stop.
    fn settle_all(&mut self) -> Result<(), ProbeError> {
        let mut limit = None;
        let mut now = self.clock.now();
        while self.matcher.counts().outstanding() > 0 {
            if self.is_stopped() && now > *limit.get_or_insert_with(|| self.after(now, STOP_PATIENCE)) {
                break;
            }
            now = self.take_arrivals(limit.unwrap_or(Tick(u64::MAX)), now)?;
        }
        Ok(())
    }

    /// Listens on for a while, for what is late or double.
    fn linger(&mut self) -> Result<(), ProbeError> {
        let until = self.after(self.clock.now(), self.ask.linger);
        while self.clock.now() < until && !self.is_stopped() {
            self.receive(until)?;
        }
        Ok(())
    }

    /// A closed loop is over at its instant. An open one is over when it has asked all that was due before, since
    /// leaving out what is overdue would leave out just what was slow.
    fn is_over(&mut self, finish: &Finish, now: Tick) -> bool {
        let is_late = if self.pace.is_open() {
            now >= finish.limit || self.pace.due().is_none_or(|due| due >= finish.at)
        } else {
            now >= finish.at
        };
        is_late || self.matcher.counts().sent >= finish.count
    }

    /// When the next question is due, where it can be remembered.
    fn due(&mut self) -> Option<Tick> {
        if self.matcher.has_room() { self.pace.due() } else { None }
    }

    fn is_stopped(&self) -> bool {
        self.controls.stop.load(Ordering::Relaxed)
    }

    fn after(&self, now: Tick, wait: Ns) -> Tick {
        Tick(now.0.saturating_add(self.clock.rate().ticks(wait)))
    }

    /// Sends what is due, a burst at the most.
    fn send_due(&mut self, finish: &Finish, now: Tick) -> Result<(), ProbeError> {
        let mut has_sent = false;
        for _ in 0..BATCH_MAX {
            let Some(due) = self.due().filter(|due| *due <= now) else { break };
            if self.is_over(finish, now) || !self.send(due, now)? {
                break;
            }
            has_sent = true;
        }
        if has_sent { Ok(self.transport.flush()?) } else { Ok(()) }
    }

    /// Sends one question; false where the backend has no room for it.
    fn send(&mut self, due: Tick, now: Tick) -> Result<bool, ProbeError> {
        let question = self.questions.at(self.matcher.next());
        if let Some(at) = self.transport.send(&question, self.clock)? {
            self.matcher.sent(due, at);
            self.watch.working(at);
            self.record.sent(at);
            self.pace.asked();
            if self.pace.is_open() {
                self.watch.paced(due, at);
            }
            self.full_since = None;
            return Ok(true);
        }
        let since = *self.full_since.get_or_insert(now);
        if now - since > self.clock.rate().ticks(NO_ROOM_PATIENCE) {
            Err(ProbeError::Stuck)
        } else {
            Ok(false)
        }
    }

    /// Takes what has arrived, a batch at the most, waiting for the first of it no longer than to `until` or to the
    /// next time-out; gives the instant after that.
    fn take_arrivals(&mut self, until: Tick, began: Tick) -> Result<Tick, ProbeError> {
        let until = self.matcher.expires_at().map_or(until, |at| until.min(at));
        let has_taken_all = self.take_batch(until, began)?;
        self.expire(began, has_taken_all);
        let now = self.clock.now();
        self.notice(until, now);
        Ok(now)
    }

    /// Takes a batch of arrivals; whether that were all that had arrived when the turn `began`.
    fn take_batch(&mut self, until: Tick, began: Tick) -> Result<bool, ProbeError> {
        if !self.receive(until)? {
            return Ok(true);
        }
        for _ in 1..BATCH_MAX {
            if self.matcher.counts().outstanding() == 0 {
                return Ok(false);
            }
            if !self.receive(began)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes one arrival, waiting for it no longer than to `until`; false where there was none.
    fn receive(&mut self, until: Tick) -> Result<bool, ProbeError> {
        let Some(Arrival { at, is_stamped, what }) = self.transport.receive(until, self.clock)? else {
            return Ok(false);
        };
        if !self.sleeps {
            self.watch.working(self.clock.now());
        }
        match what {
            What::Answer { payload, echo_sequence, checksum } => {
                match self.questions.recognise(payload, echo_sequence, self.matcher.next()) {
                    Some(answer) => {
                        if !is_stamped {
                            self.matcher.unstamped(answer.sequence);
                        }
                        self.take(answer, at, checksum);
                    }
                    None => self.matcher.corrupted(),
                }
            }
            What::Sent { sequence } => self.matcher.stamped(sequence, at),
            What::Corrupted => self.matcher.corrupted(),
            What::Refused => self.matcher.refused(),
        }
        Ok(true)
    }

    fn take(&mut self, answer: Recognised, at: Tick, checksum: Coverage) {
        if checksum == Coverage::Partial {
            self.matcher.partial_checksum();
        }
        let outstanding_before = self.matcher.counts().outstanding();
        if let Some(sample) = self.matcher.answered(answer.sequence, at, answer.residence) {
            self.record.add(&sample);
        }
        if self.matcher.counts().outstanding() < outstanding_before {
            self.pace.settled(at);
        }
    }

    /// Gives up what is overdue, and was so before the answers were taken that had arrived by then.
    fn expire(&mut self, began: Tick, has_taken_all: bool) {
        let patience = if has_taken_all { 0 } else { self.clock.rate().ticks(FLOOD_PATIENCE) };
        while let Some((_, sent)) = self.matcher.expire(Tick(began.0.saturating_sub(patience))) {
            self.record.lost(sent);
            self.pace.settled(began);
        }
    }

    /// The end of a turn that could have slept until `until`.
    fn notice(&mut self, until: Tick, now: Tick) {
        if self.sleeps {
            self.watch.slept(until, now);
        } else {
            self.watch.turn(now);
        }
        if now >= self.publish_at {
            self.controls.progress.publish(self.matcher.counts());
            self.publish_at = self.after(now, PUBLISHED_EVERY);
        }
    }

    fn outcome(self, began: Tick, failure: Option<ProbeError>) -> Outcome {
        let ended = match failure {
            Some(error) => Ended::Failed(error.to_string()),
            None if self.clock.has_stepped() => Ended::Failed(format!("{} {STEPPED}", self.clock.name())),
            None if self.is_stopped() => Ended::Stopped,
            None => Ended::Done,
        };
        let rate = self.clock.rate();
        Outcome {
            ask: self.ask.clone(),
            facts: self.transport.facts(),
            clock: self.clock.name(),
            began: self.clock.wall(began),
            wall: rate.ns(self.settled_at - began),
            asking: rate.ns(self.asked_until - began),
            unsent: self.unsent,
            overruns: self.transport.overruns().zip(self.overruns).map(|(now, then)| now - then),
            counts: *self.matcher.counts(),
            record: self.record,
            own_error: self.watch.finish(),
            ended,
        }
    }
}
