//! The phases of a run.

use telemetry::{Ns, Tick};

use super::finish::Finish;
use super::{Controls, Ended, Outcome, ProbeError, STOP_PATIENCE, WARM_UP_PATIENCE};
use crate::ask::Ask;
use crate::clock::Clock;
use crate::matching::{self, Matcher};
use crate::own_error::{Limits, Watch};
use crate::question::Questions;
use crate::record::Record;
use crate::schedule::Pace;
use crate::transport::Transport;

/// What is said of a run whose clock was set, after the clock's name.
const STEPPED: &str = "was set while it was measured with, so that no time here is right; measure again";

/// How long before a question is due a backend that sleeps is woken, to spin for the rest: a wake-up comes later than it
/// was asked for, by the timer's slack of 50 µs (prctl(2), `PR_SET_TIMERSLACK`) and the way back to user space. Without
/// it, each response of an open loop would contain a late wake-up of the probe's own.
const WAKE_UP: Ns = Ns(200_000);

/// One run, from its warm-up to its outcome.
pub(super) struct Run<'a, T, C> {
    pub(super) ask: &'a Ask,
    pub(super) questions: Questions,
    pub(super) transport: &'a mut T,
    pub(super) clock: &'a C,
    pub(super) controls: Controls<'a>,
    pub(super) pace: Pace,
    pub(super) matcher: Matcher,
    pub(super) record: Record,
    pub(super) watch: Watch<'a, C>,
    /// Whether the backend sleeps until an answer comes, and how much too early it is woken for a question.
    pub(super) sleeps: bool,
    wake_up: u64,
    /// Since when the backend has had no room.
    pub(super) full_since: Option<Tick>,
    /// When the progress is to be published next.
    pub(super) publish_at: Tick,
    /// Questions that the schedule had and that were never sent.
    unsent: u64,
    /// The backend's overruns at the beginning.
    overruns: Option<u64>,
    /// When the asking was over, and when every question had its fate.
    asked_until: Tick,
    settled_at: Tick,
}

impl<'a, T: Transport, C: Clock> Run<'a, T, C> {
    /// A run that has not begun. It takes its memory here.
    pub(super) fn new(
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
            sleeps: facts.wait != "spin",
            wake_up: if facts.wait == "block" { rate.ticks(WAKE_UP) } else { 0 },
            full_since: None,
            publish_at: now,
            unsent: 0,
            overruns: None,
            asked_until: now,
            settled_at: now,
        })
    }

    /// Asks without counting, one question at a time.
    pub(super) fn warm_up(&mut self) -> Result<(), ProbeError> {
        self.ask_until(&Finish::after(self.ask.warm_up))?;
        self.settle_all()
    }

    /// Forgets the warm-up; gives the instant at which the run begins.
    pub(super) fn begin(&mut self) -> Result<Tick, ProbeError> {
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

    /// Everything from the first question to the end of the linger. Where it fails, what waits is abandoned.
    pub(super) fn ask_and_listen(&mut self, began: Tick) -> Result<(), ProbeError> {
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
            now = self.take_arrivals(Tick(until.0.saturating_sub(self.wake_up)), now)?;
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

    /// What is left of the run.
    pub(super) fn outcome(self, began: Tick, failure: Option<ProbeError>) -> Outcome {
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
