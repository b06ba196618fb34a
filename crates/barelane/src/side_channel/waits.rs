//! How long questions waited, and how long it took until their answers had left, as it stands in a lane's area.
//!
//! The standing queue is what even the question that waited the shortest had waited: a queue that empties now and then has none,
//! however long it gets in between (Nichols and Jacobson, "Controlling Queue Delay", 2012). It is found here and not by the lane,
//! from what the lane counts anyway: as the smallest value that has come since the publication before.

use telemetry::{Histogram, Page};

use super::image::Image;

/// Of a lane whose questions say when they came, or whose answers say when they left; empty of others.
#[derive(Clone, Debug, Default)]
pub(crate) struct WaitFigures {
    /// How long they had waited when the lane came to them.
    pub queueing: Histogram,
    /// How long it took from there until their answers were gone.
    pub arrival_residence: Histogram,
    /// How long it took until the kernel said that they had left.
    pub transmit_residence: Histogram,
    /// The shortest wait since the last look; 0 where nothing came.
    pub standing_ns: u64,
}

impl WaitFigures {
    /// Looks at what a lane has counted since the last look.
    pub(crate) fn look(&mut self, page: &Page) {
        let queueing = page.queueing.read();
        self.standing_ns = queueing.since(&self.queueing).min();
        self.queueing = queueing;
        self.arrival_residence = page.arrival_residence.read();
        self.transmit_residence = page.transmit_residence.read();
    }
}

/// Writes them into the area of their lane.
pub(super) fn waits(image: &mut Image, waits: &WaitFigures) {
    let sentence = "How long frames had waited when the lane came to them: from their arrival stamp (arrival_clock) to its \
                    look into the ring, those that were too old included.";
    image.histogram("queueing", sentence, &waits.queueing);
    let sentence = "From the arrival stamp (arrival_clock) of what was answered to the beginning of the lane's next turn.";
    image.histogram("arrival_residence", sentence, &waits.arrival_residence);
    let sentence = "Until the transmit stamp (transmit_clock) of what was answered: from its arrival stamp (arrival_clock), or where frames \
                    have none from the beginning of the lane's turn (turn_clock); transmit_since says which.";
    image.histogram("transmit_residence", sentence, &waits.transmit_residence);
    let sentence =
        "The shortest wait (queueing) since the publication before, within 1/64; 0 where nothing came.";
    image.gauge("standing_queue", "ns", sentence, waits.standing_ns);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_stands_where_nothing_passes_without_a_wait() {
        let (page, mut waits) = (Page::default(), WaitFigures::default());
        (70..120).for_each(|ns| page.queueing.record(ns));
        waits.look(&page);
        assert_eq!((waits.standing_ns, waits.queueing.count()), (70, 50));
        // One that waited for nothing is enough: then the queue was empty.
        (100..120).chain([0]).for_each(|ns| page.queueing.record(ns));
        waits.look(&page);
        assert_eq!(waits.standing_ns, 0);
        page.queueing.record(90);
        waits.look(&page);
        assert_eq!(waits.standing_ns, 90);
        waits.look(&page);
        assert_eq!((waits.standing_ns, waits.queueing.count()), (0, 72));
    }
}
