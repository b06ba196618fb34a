//! What became of a stream's packets, by a memory of all of them: no window, no numbers that come round.

use std::collections::BTreeSet;

use barelane_telemetry::streams::{Counts, Sequence, WINDOW};

use crate::world::Came;

/// A stream as the model remembers it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// What has come since the sender's last beginning, by numbers since then.
    come: BTreeSet<i64>,
    beginning: usize,
    /// What was expected before that.
    expected_before: u64,
    counts: Counts,
    /// The last packet, where that was too late.
    too_late: Option<i64>,
    /// The last transit, by two clocks.
    transit_ns: Option<i128>,
    /// How much each differed from the one before.
    pub(crate) differences_ns: Vec<u64>,
}

impl Model {
    /// Takes a packet in.
    pub(crate) fn note(&mut self, came: &Came) {
        let Some(&highest) = self.come.last() else {
            self.beginning = came.beginning;
            return self.receive(came, false);
        };
        // Of what is not stamped, only two in a row far behind say that the sender has begun anew (RFC 3550 A.1).
        let too_late = self.too_late.take();
        let is_stamped = came.seen.sent_ns.is_some();
        let index = if is_stamped { came.index } else { number(came) };
        let is_far_behind = highest - index >= WINDOW.cast_signed();
        let follows_one = is_far_behind && too_late == Some(index - 1);
        let is_new = if is_stamped { came.beginning != self.beginning } else { follows_one };
        if is_new {
            self.begin_anew(came);
        } else if is_far_behind {
            self.counts.too_late += 1;
            self.too_late = Some(index);
        } else if self.come.contains(&index) {
            self.counts.duplicate += 1;
        } else {
            self.receive(came, true);
            self.counts.late += u64::from(index < highest);
        }
    }

    fn begin_anew(&mut self, came: &Came) {
        self.expected_before = self.counts().expected;
        self.come.clear();
        self.beginning = came.beginning;
        self.counts.restarts += 1;
        self.receive(came, false);
    }

    fn receive(&mut self, came: &Came, is_compared: bool) {
        let is_stamped = came.seen.sent_ns.is_some();
        self.come.insert(if is_stamped { came.index } else { number(came) });
        self.counts.received += 1;
        let Some(sent_ns) = came.seen.sent_ns else { return };
        let transit_ns = i128::from(came.seen.arrived_ns) - i128::from(sent_ns);
        let before_ns = self.transit_ns.replace(transit_ns).filter(|_| is_compared);
        let difference = before_ns.map(|before_ns| u64::try_from((transit_ns - before_ns).abs()).unwrap());
        self.differences_ns.extend(difference);
    }

    /// What became of all packets.
    pub(crate) fn counts(&self) -> Counts {
        let span = self.come.last().zip(self.come.first()).map_or(0, |(last, first)| last - first + 1);
        Counts { expected: self.expected_before + span.unsigned_abs(), ..self.counts }
    }

    /// The interarrival jitter, as RFC 3550 A.8 writes it down.
    pub(crate) fn jitter_ns(&self) -> u64 {
        let step = |jitter: u64, difference: &u64| jitter + difference - ((jitter + 8) >> 4);
        self.differences_ns.iter().fold(0, step) >> 4
    }
}

/// The number that a packet bears.
fn number(came: &Came) -> i64 {
    match came.seen.sequence {
        Sequence::Wrapping(number) => number.into(),
        Sequence::Wide(number) => number.cast_signed(),
    }
}
