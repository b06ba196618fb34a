//! A lane's counters as a person reads them: what was counted, with the sentence of THE table beside it.

use nic::memif::{Fault, Frames, Peers};
use std::fmt;

use telemetry::{Counters, Kind};

/// Counters to be shown: a line with the fate of all frames, then every counter that is not zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts<'a>(pub(crate) &'a Counters);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [received, replied, passed, dropped] =
            [Kind::Received, Kind::Replied, Kind::Passed, Kind::Dropped].map(|kind| self.0.sum(kind));
        write!(out, "{received} frames = {replied} answered + {passed} passed + {dropped} dropped")?;
        for (counter, count) in self.0.iter().filter(|&(_, count)| count > 0) {
            write_row(out, counter.row().name, count, counter.row().sentence)?;
        }
        Ok(())
    }
}

/// One line of the table, beginning with the end of the line before.
pub(crate) fn write_row(out: &mut fmt::Formatter<'_>, name: &str, count: u64, sentence: &str) -> fmt::Result {
    write!(out, "\n  {name:<24} {count:>14}  {sentence}")
}
/// What became of the peers of an interface in shared memory: names, counts, and what they mean.
pub(crate) fn rows_of_peers(peers: &Peers) -> impl Iterator<Item = (String, u64, String)> + use<> {
    let peers = *peers;
    let known = [
        ("connected", peers.connected, "Peers that were connected."),
        ("left", peers.left, "Connected peers that went of themselves, or died."),
    ];
    let known = known.map(|(name, count, why)| (name.to_owned(), count, why.to_owned()));
    let faults = Fault::ALL.iter().map(move |&fault| {
        let why = format!("Peers that were sent away: {}", fault.sentence());
        (format!("sent_away_{fault}"), peers.of(fault), why)
    });
    known.into_iter().chain(faults)
}

/// What became of the frames of a queue in shared memory that no lane has seen.
pub(crate) fn rows_of_frames(frames: &Frames) -> [(&'static str, u64, &'static str); 5] {
    [
        ("chained", frames.chained, "Before a lane: a frame in more than one buffer."),
        ("too_long", frames.too_long, "Before a lane: a frame longer than buffers are."),
        ("empty", frames.empty, "Before a lane: a frame without a byte."),
        (
            "buffer_short",
            frames.buffer_short,
            "Of tx_ring_full: the peer's buffer was too short for the answer.",
        ),
        ("kicks", frames.kicks, "Times that a sleeping peer was woken."),
    ]
}
