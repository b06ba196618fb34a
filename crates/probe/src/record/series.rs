//! What happened when: a bounded number of points over a time that nobody knows beforehand.
//!
//! A point counts the questions that were sent in its stretch of time, and what became of them. Where the run's length
//! is known, the width of a point is chosen for it. Where it is not (a closed loop of so many questions), points
//! begin narrow, and when all of them are used, every two neighbours are one point of twice the width:
//!
//! ```text
//!   points     │0│1│2│3│4│5│                  half of them closed: from here on, with each point that is closed …
//!              │0+1│2│3│4│5│6│                … one pair is merged, in front
//!              │0+1│2+3│4+5│6│7│8│ …
//!              │0+1│2+3│4+5│6+7│8+9│…         all closed and all merged: the second half is free again
//! ```
//!
//! So the merging never comes as a lump in the middle of a measurement: it is one pair, some 2,000 additions, for a
//! point. Percentiles of merged points are those of their samples, not averages of percentiles.

use telemetry::{Histogram, Ns, Tick};

/// The most points that a series has.
pub(crate) const POINTS_MAX: usize = 600;

/// When merging begins.
const HALF: usize = POINTS_MAX / 2;

/// One point.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stretch {
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    /// Round trips in nanoseconds.
    pub(crate) rtt: Histogram,
}

impl Stretch {
    fn merge(&mut self, later: &Self) {
        self.sent += later.sent;
        self.lost += later.lost;
        self.rtt.merge(&later.rtt);
    }
}

/// The points of one run.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    began: Tick,
    /// The width of a point that is not merged yet, in ticks.
    width: u64,
    points: Box<[Stretch]>,
    /// The newest point, before merging: its stretch is the one from `newest` × `width` on.
    newest: usize,
    /// So many pairs are merged, and stand in front.
    merged: usize,
}

impl Series {
    /// No points yet. `length` is how long the run will take, if that is known, and `narrowest` the width of a point
    /// where it is not, both in ticks. All the memory is taken here: some 10 MB.
    pub(crate) fn new(began: Tick, length: Option<u64>, narrowest: u64) -> Self {
        let width = length.map_or(narrowest, |length| length.div_ceil(HALF as u64)).max(1);
        let points = vec![Stretch::default(); POINTS_MAX].into_boxed_slice();
        Self { began, width, points, newest: 0, merged: 0 }
    }

    /// Says when the run begins, before anything is counted.
    pub(crate) const fn begin(&mut self, at: Tick) {
        self.began = at;
    }

    /// The run's beginning.
    pub(crate) const fn began(&self) -> Tick {
        self.began
    }

    /// Counts a question that was sent.
    #[inline]
    pub(crate) fn sent(&mut self, sent: Tick) {
        if let Some(point) = self.point(sent) {
            point.sent += 1;
        }
    }

    /// Counts a question that was given up.
    #[inline]
    pub(crate) fn lost(&mut self, sent: Tick) {
        if let Some(point) = self.point(sent) {
            point.lost += 1;
        }
    }

    /// Counts an answer, at the time of its question.
    #[inline]
    pub(crate) fn answered(&mut self, sent: Tick, rtt: Ns) {
        if let Some(point) = self.point(sent) {
            point.rtt.record(rtt.0);
        }
    }

    /// The point of an instant, which is opened if it is a new one.
    fn point(&mut self, at: Tick) -> Option<&mut Stretch> {
        let since = at - self.began;
        while since / self.width > self.newest as u64 {
            self.close_newest();
        }
        let index = usize::try_from(since / self.width).ok()?;
        let place = if index / 2 < self.merged { index / 2 } else { index };
        self.points.get_mut(place)
    }

    /// Closes the newest point and opens the next one.
    fn close_newest(&mut self) {
        if self.newest >= HALF {
            self.merge_pair(self.newest - HALF);
        }
        self.newest += 1;
        if self.newest == POINTS_MAX {
            self.newest = HALF;
            self.merged = 0;
            self.width = self.width.saturating_mul(2);
        }
        if let Some(point) = self.points.get_mut(self.newest) {
            *point = Stretch::default();
        }
    }

    /// Makes one point of the points 2 `pair` and 2 `pair` + 1. What stood in its place was merged before.
    fn merge_pair(&mut self, pair: usize) {
        if let Some((front, [second, ..])) = self.points.split_at_mut_checked(2 * pair + 1) {
            if let Some(first) = front.last_mut() {
                first.merge(second);
            }
            front.swap(pair, 2 * pair);
        }
        self.merged = pair + 1;
    }

    /// Every point in the order of time, with its beginning and its length in ticks since the run's beginning.
    pub(crate) fn points(&self) -> impl Iterator<Item = (u64, u64, &Stretch)> {
        let place_of = |place: usize| if place < self.merged { place } else { place + self.merged };
        (0..=self.newest - self.merged).filter_map(move |number| {
            let place = place_of(number);
            let (index, width) =
                if place < self.merged { (2 * place, 2 * self.width) } else { (place, self.width) };
            let point = self.points.get(place)?;
            Some((index as u64 * self.width, width, point))
        })
    }

    /// The same, but at most so many: every few neighbours as one.
    pub(crate) fn at_most(&self, count: usize) -> Vec<(u64, u64, Stretch)> {
        let all: Vec<_> = self.points().collect();
        let together = all.len().div_ceil(count.max(1)).max(1);
        all.chunks(together).filter_map(merged).collect()
    }
}

fn merged(neighbours: &[(u64, u64, &Stretch)]) -> Option<(u64, u64, Stretch)> {
    let ((at, length, first), rest) = neighbours.split_first()?;
    let mut whole = (*at, *length, (*first).clone());
    for (_, more, next) in rest {
        whole.1 += more;
        whole.2.merge(next);
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One question in every tick from 0 to `ticks`, each answered after as many nanoseconds as its tick's number.
    fn series(ticks: u64, narrowest: u64) -> Series {
        let mut series = Series::new(Tick(0), None, narrowest);
        for tick in 0..ticks {
            series.sent(Tick(tick));
            series.answered(Tick(tick), Ns(tick));
        }
        series
    }

    #[test]
    fn the_points_cover_the_run_without_a_gap_whatever_its_length() {
        for ticks in [1, 5, 599, 600, 601, 899, 900, 1_199, 1_200, 1_201, 5_000, 100_000] {
            let series = series(ticks, 1);
            let mut next = 0;
            let mut count = 0;
            for (at, length, point) in series.points() {
                assert_eq!(at, next, "of {ticks}");
                let sent = length.min(ticks - at);
                assert_eq!((point.sent, point.rtt.count()), (sent, sent), "at {at} of {ticks}");
                assert_eq!((point.rtt.min(), point.rtt.max()), (at, at + sent - 1), "of {ticks}");
                next = at + length;
                count += 1;
            }
            assert!(next >= ticks && count <= POINTS_MAX, "{count} points to {next} of {ticks}");
            assert!(count >= HALF.min(usize::try_from(ticks).unwrap()), "{count} points of {ticks}");
        }
    }

    #[test]
    fn a_known_length_is_never_merged() {
        let mut series = Series::new(Tick(1_000), Some(30_000), 1);
        for tick in 0..30_000 {
            series.sent(Tick(1_000 + tick));
        }
        let lengths: Vec<u64> = series.points().map(|(_, length, _)| length).collect();
        assert_eq!(lengths, [100; HALF]);
    }

    #[test]
    fn what_becomes_of_a_question_counts_where_it_was_sent() {
        let mut series = series(1_000, 1);
        series.lost(Tick(3));
        series.lost(Tick(999));
        let lost: Vec<u64> =
            series.points().filter(|(_, _, point)| point.lost > 0).map(|(at, ..)| at).collect();
        assert_eq!(lost, [0, 998]);
    }

    #[test]
    fn fewer_points_hold_the_same_questions() {
        let series = series(1_000, 1);
        for count in [1, 7, 30, 599, 10_000] {
            let points = series.at_most(count);
            assert!(!points.is_empty() && points.len() <= count);
            assert_eq!(points.iter().map(|(.., point)| point.sent).sum::<u64>(), 1_000);
            assert!(points.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0), "{count}");
        }
    }

    #[test]
    fn a_long_silence_leaves_empty_points() {
        let mut series = Series::new(Tick(0), None, 1);
        series.sent(Tick(0));
        series.sent(Tick(1 << 40));
        let sent: u64 = series.points().map(|(.., point)| point.sent).sum();
        let (at, length, last) = series.points().last().unwrap();
        assert_eq!((sent, last.sent), (2, 1));
        assert!(at <= 1 << 40 && 1 << 40 < at + length, "{at} {length}");
    }
}
