//! One card asked: its program, as if each queue had received the question; the lanes that it would go to; and the ring of queue 0,
//! where a frame can be put into it.

use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lane::{Outcome, Verdict};
use nic::FRAME_LEN_MIN;
use nic::xdp::dry_run::Action;
use nic::xdp::{Entrance, Judged, Mode, StandIn};
use nix::errno::Errno;
use telemetry::{Counter, Ns, Page, SharedHistogram};

use super::lanes::{FRAME_SIZE_MAX, LaneDoor, Said, ask_all};
use super::question::Question;
use super::report::{Finding, Report};
use super::wanted::{Wanted, Wants};
use crate::top::units::time;

/// How often is looked whether a lane has counted an answer.
const LOOK_INTERVAL: Duration = Duration::from_micros(50);

/// The queue that the kernel takes a frame for that it is told to receive (`xdp_test_run_setup`, `net/bpf/test_run.c`).
const RECEIVING_QUEUE: u32 = 0;

/// How many questions were asked for health: who compares what is counted with what he has asked subtracts them.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Those that the program was run on: each is a frame that the driver tier has received.
    pub(crate) driver: AtomicU64,
    /// Those that a lane got: each is a frame that it has received.
    pub(crate) lane: AtomicU64,
}

/// What is needed to ask a card.
#[derive(Debug)]
pub(crate) struct CardHealth {
    /// None where no program stands before the lanes, or it cannot be run: then this is why.
    stand_in: Result<StandIn, String>,
    /// Whether the kernel has run the program at all.
    has_run: bool,
    lanes: Vec<LaneDoor>,
    counts: Arc<Counts>,
    /// Where questions are written, and where the program's answers are.
    question: Box<[u8; FRAME_SIZE_MAX]>,
    out: Box<[u8; FRAME_SIZE_MAX]>,
}

/// A round's limits.
#[derive(Clone, Copy)]
struct Within<'a> {
    deadline: Instant,
    stop: &'a AtomicBool,
}

/// How a question goes on behind the program.
enum Judgement {
    /// It was answered there.
    Answered(Finding),
    /// It goes to the lanes.
    ToLanes,
}

impl CardHealth {
    /// A card with this program and these lanes.
    pub(crate) fn new(stand_in: Result<StandIn, String>, lanes: Vec<LaneDoor>, counts: Arc<Counts>) -> Self {
        let room = || Box::new([0; FRAME_SIZE_MAX]);
        Self { stand_in, has_run: false, lanes, counts, question: room(), out: room() }
    }

    /// Asks everything that is wanted, once, until `deadline` or until `stop` is set.
    pub(super) fn round(&mut self, wants: &mut Wants, deadline: Instant, stop: &AtomicBool) -> Report {
        let mut report = Report::default();
        self.try_program(wants.ifindex);
        if let Err(why) = &self.stand_in {
            report.add("questions", Finding::Skipped(format!("not asked: {why}")));
            return report;
        }
        let (ifindex, mode) = (wants.ifindex, wants.mode);
        for Wanted { name, question } in &mut wants.wanted {
            let found = match question {
                Ok(question) => self.ask(question, ifindex, mode, Within { deadline, stop }),
                Err(why) => Finding::Skipped(format!("not asked: {why}")),
            };
            report.add(name.clone(), found);
        }
        report.0.extend(self.rings_not_asked(mode));
        report
    }

    /// Sees once whether the kernel runs a program as if an interface had received a frame: one that is nobody's.
    fn try_program(&mut self, ifindex: u32) {
        if self.has_run || self.stand_in.is_err() {
            return;
        }
        self.question.fill(0);
        let queue = self.lanes.first().map_or(0, |lane| lane.queue);
        match self.run(Entrance { ifindex, queue }, FRAME_LEN_MIN) {
            Ok(_) => self.has_run = true,
            Err(error) if is_unable(&error) => {
                let needs = "it takes Linux 5.15, and CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN";
                self.stand_in =
                    Err(format!("the program cannot be run as if it had received a frame: {error}; {needs}"));
            }
            // Without an interface nothing is known of the kernel.
            Err(_) => {}
        }
    }

    /// Which rings no question went through: that their lanes turn is what is known of them.
    fn rings_not_asked(&self, mode: Option<Mode>) -> Option<(String, Finding)> {
        let is_asked = |lane: &&LaneDoor| mode == Some(Mode::Generic) && lane.queue == RECEIVING_QUEUE;
        let queues = self.lanes.iter().filter(|lane| !is_asked(lane)).map(|lane| lane.queue.to_string());
        let queues: Vec<String> = queues.collect();
        let why = match mode {
            Some(Mode::Generic) => "the kernel takes what it is told to receive for a frame of queue 0",
            _ => "only the driver may write to them; lanes are asked beside them",
        };
        let said = format!("of queues {}: {why}", queues.join(", "));
        (!queues.is_empty()).then(|| ("receive-rings".to_owned(), Finding::Skipped(said)))
    }

    fn ask(
        &mut self,
        question: &mut Question,
        ifindex: u32,
        mode: Option<Mode>,
        within: Within<'_>,
    ) -> Finding {
        let Some(len) = question.write(&mut *self.question) else {
            return Finding::Bad("the question is too long: a fault of this program".to_owned());
        };
        match self.judge(question, len, ifindex) {
            Err(why) => Finding::Bad(format!("{}: {why}", question.target())),
            Ok(Judgement::Answered(found)) => found,
            Ok(Judgement::ToLanes) => match self.ask_lanes(question, len, within) {
                Err(why) => Finding::Bad(format!("{}: {why}", question.target())),
                Ok((said, counter)) => self.ask_ring(question, ifindex, mode, within, said, counter),
            },
        }
    }

    /// Runs the program, as if each queue that has a lane had received the question.
    fn judge(&mut self, question: &Question, len: usize, ifindex: u32) -> Result<Judgement, String> {
        for number in 0..self.lanes.len() {
            let queue = self.lanes.get(number).map_or(0, |lane| lane.queue);
            let Judged { action, len, took } =
                self.run(Entrance { ifindex, queue }, len).map_err(|error| why_not_run(&error, queue))?;
            match action {
                Action::Reply => {
                    let answer = self.out.get(..len).unwrap_or_default();
                    question.check(answer).map_err(|why| format!("the driver answers, and {why}"))?;
                    let said = format!(
                        "{} answered by the driver in {} (the program alone, by CLOCK_MONOTONIC)",
                        question.target(),
                        time(Some(nanoseconds(took)))
                    );
                    return Ok(Judgement::Answered(Finding::Good(said)));
                }
                Action::Redirect => {}
                Action::Pass => return Err(format!("the program of queue {queue} leaves it to the kernel")),
                Action::Drop => return Err(format!("the program of queue {queue} drops it")),
            }
        }
        Ok(Judgement::ToLanes)
    }

    fn run(&mut self, entrance: Entrance, len: usize) -> io::Result<Judged> {
        let Ok(stand_in) = &self.stand_in else { return Err(io::ErrorKind::Unsupported.into()) };
        self.counts.driver.fetch_add(1, Ordering::Relaxed);
        stand_in.judge(entrance, self.question.get(..len).unwrap_or_default(), &mut *self.out)
    }

    /// Asks all lanes beside their rings. Gives what to say of it, and what it was counted as.
    fn ask_lanes(
        &mut self,
        question: &Question,
        len: usize,
        within: Within<'_>,
    ) -> Result<(String, Counter), String> {
        let asked = self.question.get(..len).unwrap_or_default();
        let (asked_count, said) = ask_all(&mut self.lanes, asked, within.deadline, within.stop);
        self.counts.lane.fetch_add(asked_count, Ordering::Relaxed);
        let (mut longest, mut counted, mut faults) = (Ns(0), None, Vec::new());
        for (number, said) in said.iter().enumerate() {
            match answer_of(said.as_ref(), question) {
                Ok((took, counter)) => (longest, counted) = (longest.max(took), Some(counter)),
                Err(why) => faults.push(format!("lane {number} {why}")),
            }
        }
        if !faults.is_empty() {
            return Err(faults.join("; "));
        }
        let lanes = match self.lanes.len() {
            1 => "lane 0".to_owned(),
            count => format!("{count} lanes"),
        };
        let said = format!(
            "{} answered by {lanes} in {} (by the counter of ticks)",
            question.target(),
            time(Some(longest.0))
        );
        Ok((said, counted.ok_or("there is no lane")?))
    }

    /// Puts another question into the ring of queue 0, where that can be done, and sees whether its lane counts one more answer.
    fn ask_ring(
        &mut self,
        question: &mut Question,
        ifindex: u32,
        mode: Option<Mode>,
        within: Within<'_>,
        mut said: String,
        counter: Counter,
    ) -> Finding {
        let lane = self.lanes.iter().find(|lane| lane.queue == RECEIVING_QUEUE);
        let (Some(lane), Some(Mode::Generic), Ok(stand_in)) = (lane, mode, &self.stand_in) else {
            return Finding::Good(said);
        };
        let Some(len) = question.write(&mut *self.question) else { return Finding::Good(said) };
        let (before, began) = (answered(&lane.page, counter), Instant::now());
        if let Err(error) = stand_in.receive(ifindex, self.question.get(..len).unwrap_or_default()) {
            return not_received(&error, question, &said);
        }
        self.counts.driver.fetch_add(1, Ordering::Relaxed);
        self.counts.lane.fetch_add(1, Ordering::Relaxed);
        while answered(&lane.page, counter) == before {
            if Instant::now() >= within.deadline || within.stop.load(Ordering::Relaxed) {
                let why = "the lane of queue 0 has not answered what was put into its ring";
                return Finding::Bad(format!("{}: {why}", question.target()));
            }
            thread::sleep(LOOK_INTERVAL);
        }
        let _cannot_fail = write!(
            said,
            ", and through its ring within {} (by CLOCK_MONOTONIC)",
            time(Some(nanoseconds(began.elapsed())))
        );
        Finding::Good(said)
    }
}

/// How long a lane took for the right answer, and what it counted it as; else what it did instead.
fn answer_of(said: Option<&Said>, question: &Question) -> Result<(Ns, Counter), String> {
    let Said { outcome: Outcome { verdict, took }, answer } = said.ok_or("has not answered")?;
    match *verdict {
        Verdict::Reply { counter, .. } => {
            question.check(answer).map_err(|why| format!("answers, and {why}"))?;
            Ok((*took, counter))
        }
        Verdict::Pass(reason) | Verdict::Drop(reason) => {
            Err(format!("does not answer it: {}", reason.name()))
        }
    }
}

/// What to say where the kernel does not receive a frame.
fn not_received(error: &io::Error, question: &Question, said: &str) -> Finding {
    if is_unable(error) {
        return Finding::Good(format!("{said}; not through its ring: that takes Linux 5.18 ({error})"));
    }
    Finding::Bad(format!("{}: nothing can be put into a ring: {error}", question.target()))
}

/// Whether it is the kernel or a privilege that is wanting. What a kernel does not know it calls invalid.
pub(super) fn is_unable(error: &io::Error) -> bool {
    let unable = [Errno::EINVAL, Errno::EPERM, Errno::EACCES, Errno::ENOTSUP];
    error.raw_os_error().is_some_and(|errno| unable.contains(&Errno::from_raw(errno)))
}

fn why_not_run(error: &io::Error, queue: u32) -> String {
    format!("the program cannot be run as if queue {queue} had received it: {error}")
}

/// How many answers of this kind a lane has handed over: counted at the turn after each.
fn answered(page: &Page, counter: Counter) -> u64 {
    let place = Counter::answered().iter().position(|kind| *kind == counter);
    place.and_then(|place| page.turn_residence.get(place)).map_or(0, SharedHistogram::count)
}

fn nanoseconds(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}
