//! The two clients, and what they find.

use std::fs;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nic::xdp::bare::Bare;
use nic::xdp::generator::{Answered, Generator};
use probe::frames::{Frames, Link, PartialChecksums};
use probe::question::Questions;
use probe::{Ask, MonotonicClock, Protocol, Schedule};
use telemetry::Ns;

use crate::demo::asking::{by_card, question};
use crate::demo::link::{Cable, Hosts, MTU, Place};
use crate::demo::serving::{PORT, attach};
use crate::demo::{Unmeasured, interrupted};
use crate::error::Error;

/// How many questions are under way at once. More than this fills the probe's rings, which hold some thousand frames for
/// both ways, and adds nothing: a lane takes 64 a turn.
pub(in crate::demo) const WINDOW: u32 = 256;

/// Frames of one call: some 30 ms of what the generator makes. Making ready for a call takes some 100 µs; a call is not
/// interrupted but by a signal.
const FRAMES_PER_CALL: u32 = 1 << 16;

/// The port that the generator asks from. No socket has it: answers are dropped before there would be one.
const IDENTITY: NonZeroU16 = NonZeroU16::new(40_000).unwrap();

/// Room for a question.
const ROOM: usize = 2048;

const UDP: Protocol = Protocol::Udp { port: PORT };

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// The kernel itself.
    Generator(Answered),
    /// The probe.
    Window,
}

/// What became of the questions of one part of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flooded {
    /// Frames that the client made.
    pub(super) sent: u64,
    /// Those that came to the server's end of the cable; by the window, those whose answer came back.
    pub(super) arrived: u64,
    /// Answers; by the generator, all that came to the client's end of the cable.
    pub(super) answered: u64,
    /// Answers that were damaged, doubled or unexpected, where the client looks at them.
    pub(super) wrong: u64,
    /// For so long.
    pub(super) length: Duration,
}

impl Client {
    /// What people read.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Generator(_) => "generator",
            Self::Window => "window",
        }
    }

    /// Asks the server of a cable for `length`.
    pub(super) fn flood(
        self,
        hosts: &Hosts,
        cable: &Cable,
        length: Duration,
        stop: &AtomicBool,
    ) -> Result<Flooded, Unmeasured> {
        Ok(match self {
            Self::Generator(answered) => by_generator(hosts, cable, answered, length, stop)?,
            Self::Window => by_window(hosts, cable, length, stop)?,
        })
    }
}

fn by_generator(
    hosts: &Hosts,
    cable: &Cable,
    answered: Answered,
    length: Duration,
    stop: &AtomicBool,
) -> Result<Flooded, Error> {
    let frame = frame(cable, length)?;
    hosts.client.run(|| {
        host::cores::pin(hosts.client_core)?;
        let link = host::links::link(cable.name)?;
        let _end = attach(Bare::Drop, cable)?;
        let generator = Generator::new(link.index, &frame, answered)?;
        send(&generator, 1, stop)?;
        let [answered, arrived] = [received(&hosts.client, cable)?, received(&hosts.server, cable)?];
        let (sent, length) = send_for(&generator, length, stop)?;
        Ok(Flooded {
            sent,
            answered: received(&hosts.client, cable)? - answered,
            arrived: received(&hosts.server, cable)? - arrived,
            wrong: 0,
            length,
        })
    })?
}

/// The question, as a frame.
pub(in crate::demo) fn frame(cable: &Cable, length: Duration) -> Result<Vec<u8>, Error> {
    let failed = |why: String| Error::Failed(format!("the generator's question: {why}"));
    let ask = question(cable, UDP, length);
    let link = Link {
        mac: cable.client_mac(),
        ip: cable.client.into(),
        next_hop: cable.server_mac(),
        identity: IDENTITY,
        mtu: MTU as usize,
    };
    let frames =
        Frames::new(&ask, link, PartialChecksums::Refuse).map_err(|error| failed(error.to_string()))?;
    let (questions, mut room) = (Questions::new(&ask), vec![0; ROOM]);
    let first = questions.at(0);
    let len = frames.write(&first, first.stamp(&MonotonicClock::start()), &mut room);
    room.truncate(len.ok_or_else(|| failed(format!("longer than {ROOM} bytes")))?);
    Ok(room)
}

/// Sends until the time is over. Gives how many frames that were, and how long it took.
pub(in crate::demo) fn send_for(
    generator: &Generator,
    length: Duration,
    stop: &AtomicBool,
) -> Result<(u64, Duration), Error> {
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < length {
        send(generator, FRAMES_PER_CALL, stop)?;
        sent += u64::from(FRAMES_PER_CALL);
    }
    Ok((sent, began.elapsed()))
}

pub(in crate::demo) fn send(generator: &Generator, count: u32, stop: &AtomicBool) -> Result<(), Error> {
    match generator.send(count) {
        Ok(()) => Ok(()),
        Err(_) if stop.load(Ordering::Relaxed) => Err(interrupted()),
        Err(error) => Err(Error::Failed(format!("the kernel generates no frames: {error}"))),
    }
}

/// Frames that an end of the cable has received, also those that its program dropped or sent back: the second word after
/// the name in `/proc/net/dev` (proc(5)).
pub(in crate::demo) fn received(host: &Place, cable: &Cable) -> Result<u64, Error> {
    let text = host.run(|| fs::read_to_string("/proc/thread-self/net/dev"))?;
    let text = text.map_err(|error| Error::Failed(format!("/proc/thread-self/net/dev: {error}")))?;
    let row = text.lines().find_map(|line| line.trim().strip_prefix(cable.name)?.strip_prefix(':'));
    let count = row.and_then(|row| row.split_whitespace().nth(1)?.parse().ok());
    count.ok_or_else(|| Error::Failed(format!("/proc/thread-self/net/dev has no row of {}", cable.name)))
}

fn by_window(hosts: &Hosts, cable: &Cable, length: Duration, stop: &AtomicBool) -> Result<Flooded, Error> {
    let schedule = Schedule::Closed { window: WINDOW, gap: Ns(0) };
    let outcome = by_card(hosts, cable, &Ask { schedule, ..question(cable, UDP, length) }, stop)?;
    let counts = outcome.counts;
    Ok(Flooded {
        sent: counts.sent,
        arrived: counts.answered + counts.late,
        answered: counts.answered,
        wrong: counts.corrupted + counts.duplicated + counts.unmatched,
        length: Duration::from_nanos(outcome.asking.0),
    })
}
