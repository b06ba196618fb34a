//! Which fields each kind of area has. Whoever adds one writes its line here, and readers find it by its name.

use nic::memif::{Frames, Peers};
use probe::own_error::{Cause, Usage};
use route::RouteTotals;
use telemetry::{Counter, Counters, Depths, Histogram};

use super::causes::{StallCauses, causes};
use super::image::{CAUSES, Image, number_of};
use super::waits::{WaitFigures, waits};
use crate::counts::{rows_of_frames, rows_of_peers};

/// Room for a name of an interface, a driver, a mode, a version.
const NAME_SIZE: usize = 64;

/// Room for what an operator has written, or a sentence.
const LINE_SIZE: usize = 256;

/// What the whole of a server is, and how it stands to its interface.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerFacts {
    /// Of the program.
    pub version: String,
    /// The interface.
    pub nic: String,
    /// Its driver.
    pub driver: String,
    /// Where the XDP program runs.
    pub mode: String,
    /// Whether the card reads and writes packets in place: yes or no.
    pub zero_copy: String,
    /// The kernel's.
    pub kernel_release: String,
    /// The earliest tier that may answer.
    pub tier: String,
    /// Whether anything can come: up, down or gone.
    pub link: String,
    /// The kernel's number of the interface.
    pub interface_index: u64,
    /// A gap between two turns is a stall where it is longer.
    pub stall_limit_ns: u64,
    /// Lines of its log that nobody read.
    pub log_lost_count: u64,
    /// Events that it did not tell.
    pub log_suppressed_count: u64,
    /// The clock of turns, and who reads it.
    pub turn_clock: String,
    /// The clock of arrival stamps, and who reads it; none where there are none.
    pub arrival_clock: String,
    /// The same of transmit stamps.
    pub transmit_clock: String,
    /// From when it is counted until transmit stamps, and by which of these clocks.
    pub transmit_since: String,
    /// How old a question may be that a lane answers; 0 where that is not limited.
    pub age_limit_ns: u64,
    /// Questions that the program was run on for health, and those that lanes got.
    pub health_questions: [u64; 2],
}

/// The kernel's counts of one queue.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KernelQueue {
    /// The NIC's queue.
    pub queue: u32,
    /// What the kernel has counted of its socket.
    pub statistics: nic::xdp::Statistics,
}

/// What is published of one lane.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaneFigures {
    /// The NIC's queue.
    pub queue: u32,
    /// The core that it is pinned to.
    pub core: usize,
    /// Everything that it counts.
    pub counters: Counters,
    /// How full its rings were at its last housekeeping.
    pub depths: Depths,
    /// How full they were at any of them, at most.
    pub depths_max: Depths,
    /// How long it had what it answered, for each of [`Counter::answered`].
    pub residence: Vec<Histogram>,
    /// T3 − T2 of its STAMP answers.
    pub stamp_residence: Histogram,
    /// How long its questions had waited, where they are stamped.
    pub waits: WaitFigures,
    /// When it was not there.
    pub stalls: StallFigures,
    /// And why.
    pub stall_causes: StallCauses,
}

/// The stalls of a lane.
#[derive(Clone, Debug, Default)]
pub struct StallFigures {
    /// How many there were.
    pub count: u64,
    /// Their lengths together.
    pub ns: u64,
    /// The longest.
    pub longest_ns: u64,
    /// The last ones, in any order.
    pub last: Vec<NotedStall>,
}

/// One stall, and what the kernel counted about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotedStall {
    /// The beginning of the last turn before it, since 1970.
    pub began_unix_ns: u64,
    /// How long it was.
    pub length_ns: u64,
    /// What caused it, as far as the counts say.
    pub cause: Cause,
    /// The time up to the stall's discovery that the counts are of.
    pub counted_over_ns: u64,
    /// What the kernel counted of the lane's thread and core in that time.
    pub usage: Usage,
    /// Interrupts that the lane's core took in that time, where the kernel says.
    pub interrupts: Option<u64>,
}

/// What stands for a count that the kernel does not tell.
const UNKNOWN: u64 = u64::MAX;

impl NotedStall {
    /// How many words one has in the segment.
    pub(super) const WORDS: usize = 11;

    /// As it stands in the segment.
    pub(super) fn to_words(self) -> [u64; Self::WORDS] {
        let Self { began_unix_ns, length_ns, cause, counted_over_ns, usage, interrupts } = self;
        let told = |count: Option<u64>| count.unwrap_or(UNKNOWN);
        [
            began_unix_ns,
            length_ns,
            number_of(cause),
            counted_over_ns,
            told(usage.run_delay_ns),
            told(usage.voluntary_switches),
            told(usage.involuntary_switches),
            told(usage.major_faults),
            told(usage.minor_faults),
            told(usage.steal_ns),
            told(interrupts),
        ]
    }

    /// The same back; nothing where none stands there, or its cause has a number that means none.
    pub(super) fn of_words(words: [u64; Self::WORDS]) -> Option<Self> {
        let [began_unix_ns, length_ns, cause, counted_over_ns, counts @ ..] = words;
        let cause = usize::try_from(cause).ok()?.checked_sub(1).and_then(|place| CAUSES.get(place))?;
        let [
            run_delay_ns,
            voluntary_switches,
            involuntary_switches,
            major_faults,
            minor_faults,
            steal_ns,
            interrupts,
        ] = counts.map(|count| (count != UNKNOWN).then_some(count));
        let usage = Usage {
            involuntary_switches,
            voluntary_switches,
            minor_faults,
            major_faults,
            run_delay_ns,
            steal_ns,
        };
        Some(Self { began_unix_ns, length_ns, cause: *cause, counted_over_ns, usage, interrupts })
    }
}

/// The area of the whole server.
pub(crate) fn server(image: &mut Image, facts: &ServerFacts) {
    image.text("version", NAME_SIZE, "The version of the program.", &facts.version);
    image.text("nic", NAME_SIZE, "The interface that is served.", &facts.nic);
    image.text("driver", NAME_SIZE, "Its driver.", &facts.driver);
    image.text("mode", NAME_SIZE, "Where the XDP program runs: native or generic.", &facts.mode);
    let sentence = "Whether the card reads and writes packets in place, on every queue: yes or no.";
    image.text("zero_copy", NAME_SIZE, sentence, &facts.zero_copy);
    image.text("kernel_release", NAME_SIZE, "The release of the kernel.", &facts.kernel_release);
    image.text("tier", NAME_SIZE, "The earliest tier that may answer: driver or lane.", &facts.tier);
    let sentence =
        "Whether packets can come: up; down: no carrier, or set down; gone: there is no such interface.";
    image.text("link", NAME_SIZE, sentence, &facts.link);
    let sentence = "The kernel's number of the interface: another one after it was gone; 0 in shared memory.";
    image.gauge("interface_index", "", sentence, facts.interface_index);
    let sentence = "A gap between two turns of a lane is a stall where it is longer.";
    image.gauge("stall_limit", "ns", sentence, facts.stall_limit_ns);
    let sentence = "Lines of the log that were lost, because nobody read it.";
    image.count("log_lost", "lines", sentence, facts.log_lost_count);
    let sentence = "Events that were not told, because too many of their name came at once.";
    image.count("log_suppressed", "events", sentence, facts.log_suppressed_count);
    let sentence = "The clock of turns, and who reads it: of all times of lanes for which no other is named.";
    image.text("turn_clock", NAME_SIZE, sentence, &facts.turn_clock);
    let sentence = "The clock by which frames say when they came, and who reads it; none where they do not.";
    image.text("arrival_clock", NAME_SIZE, sentence, &facts.arrival_clock);
    let sentence = "The clock by which answers say when they left, and who reads it; none where they do not.";
    image.text("transmit_clock", NAME_SIZE, sentence, &facts.transmit_clock);
    let sentence = "From when transmit_residence counts, and by which clock; none where answers do not say when they left.";
    image.text("transmit_since", NAME_SIZE, sentence, &facts.transmit_since);
    let sentence =
        "A frame is dropped as too old where it has waited for longer; 0 where that is not limited.";
    image.gauge("age_limit", "ns", sentence, facts.age_limit_ns);
    let [driver, lane] = facts.health_questions;
    let sentence = "Questions of /healthz that the program was run on; each counts as received there.";
    image.count("health_questions_driver", "frames", sentence, driver);
    let sentence = "Questions of /healthz that lanes got; each counts as received there.";
    image.count("health_questions_lane", "frames", sentence, lane);
}

/// The area of one lane.
pub(crate) fn lane(image: &mut Image, lane: &LaneFigures) {
    image.gauge("queue", "", "The NIC's queue that the lane serves.", lane.queue.into());
    image.gauge("core", "", "The core that it is pinned to.", lane.core as u64);
    lane.counters.iter().for_each(|(counter, count)| image.counter(counter.row(), count));
    depths(image, lane);
    let sentence = "When the lane was not there: gaps between two turns that are longer than stall_limit.";
    image.stalls("stalls", sentence, &lane.stalls);
    causes(image, &lane.stall_causes);
    residences(image, lane);
}

fn depths(image: &mut Image, lane: &LaneFigures) {
    let [now, most] = [lane.depths.to_words(), lane.depths_max.to_words()];
    let places = [
        ("rx", "received frames that wait for the lane"),
        ("tx", "answers that the NIC has not taken yet"),
        ("fill", "buffers that wait for a packet"),
        ("completion", "frames that were sent and not taken back yet"),
        ("free", "frames in nobody's hands"),
    ];
    for (((place, what), now), most) in places.into_iter().zip(now).zip(most) {
        let sentence = format!("At the lane's last housekeeping: {what}.");
        image.gauge(&format!("depth_{place}"), "frames", &sentence, now);
        let sentence = format!("The most at any of its housekeepings: {what}.");
        image.gauge(&format!("depth_{place}_max"), "frames", &sentence, most);
    }
}

fn residences(image: &mut Image, lane: &LaneFigures) {
    let none = Histogram::default();
    for (place, counter) in Counter::answered().iter().enumerate() {
        let name = counter.row().name.replace("replied_", "residence_");
        let sentence = format!(
            "From the beginning of a lane's turn to that of the next one, for each answer that left between. {}",
            counter.row().sentence
        );
        image.histogram(&name, &sentence, lane.residence.get(place).unwrap_or(&none));
    }
    waits(image, &lane.waits);
    let sentence = "T3 - T2 of STAMP answers, as they carry it (RFC 8762).";
    image.histogram("stamp_t3_t2", sentence, &lane.stamp_residence);
}

/// The area of what the kernel counts of one queue.
pub(crate) fn queue(image: &mut Image, KernelQueue { queue, statistics }: &KernelQueue) {
    image.gauge("queue", "", "The NIC's queue.", (*queue).into());
    let rows = [
        ("rx_dropped", statistics.rx_dropped, "Dropped before a lane: no buffer, or none long enough."),
        ("rx_ring_full", statistics.rx_ring_full, "Dropped before a lane: its receive ring was full."),
        (
            "fill_ring_empty",
            statistics.fill_ring_empty,
            "Looks at an empty fill ring; in copy mode each is a frame that rx_dropped counts too.",
        ),
        ("rx_invalid", statistics.rx_invalid, "A fault of the lane: a buffer that the kernel did not take."),
        ("tx_invalid", statistics.tx_invalid, "A fault of the lane: an answer that the kernel did not take."),
        ("tx_ring_empty", statistics.tx_ring_empty, "Looks of the kernel at a transmit ring that was empty."),
        ("tx_lost", statistics.tx_lost, "Answers that had not left when the interface went away."),
    ];
    for (name, count, sentence) in rows {
        image.count(name, "frames", sentence, count);
    }
}

/// The area of one queue in shared memory: what of its frames no lane has seen.
pub(crate) fn memif_queue(image: &mut Image, queue: u32, frames: &Frames) {
    image.gauge("queue", "", "The number of the queue.", queue.into());
    for (name, count, sentence) in rows_of_frames(frames) {
        image.count(name, "frames", sentence, count);
    }
}

/// The area of the peers of an interface in shared memory: who came, who went, and who was sent away for what.
pub(crate) fn memif(image: &mut Image, peers: &Peers) {
    for (name, count, sentence) in rows_of_peers(peers) {
        image.count(&name, "peers", &sentence, count);
    }
}

/// The area of the driver tier: THE counter table again, counted in the XDP program on all cores together.
pub(crate) fn driver(image: &mut Image, counters: &Counters) {
    counters.iter().for_each(|(counter, count)| image.counter(counter.row(), count));
}

/// What became of the questions of one route since the server's start, or since a reload brought it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RouteFigures {
    /// In all lanes together.
    pub lane: RouteTotals,
    /// In the driver, without what it left to a lane.
    pub driver: RouteTotals,
}

/// The area of one route: what the operator wrote, where it is answered, and what became of its questions.
pub(crate) fn route(
    image: &mut Image,
    (route, tier): &(String, String),
    RouteFigures { lane, driver }: RouteFigures,
) {
    image.text("route", LINE_SIZE, "What the route matches, and who answers.", route);
    image.text("tier", NAME_SIZE, "The tier that answers it: driver, lane or kernel.", tier);
    let counts = [
        ("lane_taken", "Packets that the route took in a lane.", lane.taken),
        ("lane_unanswered", "Those of them that were not answered.", lane.unanswered),
        ("driver_taken", "Packets that it took in the driver, without those left to a lane.", driver.taken),
        ("driver_unanswered", "Those of them that were not answered.", driver.unanswered),
    ];
    for (name, sentence, count) in counts {
        image.count(name, "frames", sentence, count);
    }
}
