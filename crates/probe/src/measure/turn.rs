//! One turn of the loop: send what is due, take what has arrived, give up what is overdue.

use std::sync::atomic::Ordering;

use telemetry::{Ns, Tick};

use super::finish::Finish;
use super::run::Run;
use super::{NO_ROOM_PATIENCE, PUBLISHED_EVERY, ProbeError};
use crate::clock::Clock;
use crate::question::Recognised;
use crate::transport::{Arrival, BATCH_MAX, Coverage, Transport, What};

/// How much later a question is given up while answers come without a pause, so that one that has arrived in time and
/// waits behind others is still taken for what it is.
const FLOOD_PATIENCE: Ns = Ns(100_000_000);

impl<T: Transport, C: Clock> Run<'_, T, C> {
    /// A closed loop is over at its instant. An open one is over when it has asked all that was due before, since
    /// leaving out what is overdue would leave out just what was slow.
    pub(super) fn is_over(&mut self, finish: &Finish, now: Tick) -> bool {
        let is_late = if self.pace.is_open() {
            now >= finish.limit || self.pace.due().is_none_or(|due| due >= finish.at)
        } else {
            now >= finish.at
        };
        is_late || self.matcher.counts().sent >= finish.count
    }

    /// When the next question is due, where it can be remembered.
    pub(super) fn due(&mut self) -> Option<Tick> {
        if self.matcher.has_room() { self.pace.due() } else { None }
    }

    /// Whether it was told to end early.
    pub(super) fn is_stopped(&self) -> bool {
        self.controls.stop.load(Ordering::Relaxed)
    }

    /// So much later than `now`.
    pub(super) fn after(&self, now: Tick, wait: Ns) -> Tick {
        Tick(now.0.saturating_add(self.clock.rate().ticks(wait)))
    }

    /// Sends what is due, a burst at the most.
    pub(super) fn send_due(&mut self, finish: &Finish, now: Tick) -> Result<(), ProbeError> {
        let mut count = 0;
        for _ in 0..BATCH_MAX {
            let Some(due) = self.due().filter(|due| *due <= now) else { break };
            if self.is_over(finish, now) || !self.send(due, now)? {
                break;
            }
            count += 1;
        }
        if count > 0 {
            self.transport.flush()?;
            self.watch.handed_over(count, self.clock.now());
        }
        Ok(())
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
    pub(super) fn take_arrivals(&mut self, until: Tick, began: Tick) -> Result<Tick, ProbeError> {
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
    pub(super) fn receive(&mut self, until: Tick) -> Result<bool, ProbeError> {
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
}
