//! Whether a server answers: one question for each protocol that it claims, asked where it is answered.
//!
//! ```text
//!   /healthz ─▶ this thread ─▶ question ─▶ the program in force ─┬─ answered there: tier driver ──────────▶ is it right?
//!               on housekeeping's core                           └─ for the lane of a queue ─▶ that lane ──▶ is it right?
//! ```
//!
//! What is asked is made from the plan, by the frames of the measuring client, which shares nothing with a lane; and so is the answer
//! checked. Each queue's lane is asked. The program is run as it serves, and a lane answers on its own thread, by its own tables, and sends
//! its answer; `docs/decisions/0019-health.md` says why a lane is asked beside its ring where its program runs in the driver, and who
//! it is that seems to ask.
//!
//! However many ask at once, a round serves them all, and rounds begin [`ROUND_INTERVAL`] apart: who asks oftener is told what was found.
//!
//! | file | what |
//! |---|---|
//! | `wanted` | what of a plan is asked, and what is not, and why |
//! | `asker` | who seems to ask: a station that does not exist |
//! | `question` | a question as a frame, and whether an answer is the right one |
//! | `card` | one card asked: its program, its lanes, and a ring where one can be reached |
//! | `lanes` | the lanes of a card, asked at the same time |
//! | `report` | what was found, in words |

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::error::Error;

mod asker;
mod card;
mod lanes;
mod question;
mod report;
#[cfg(test)]
mod tests;
mod wanted;

pub(crate) use card::{CardHealth, Counts};
pub(crate) use lanes::LaneDoor;
pub(crate) use report::{Finding, Report};
pub(crate) use wanted::Wants;

/// How far apart rounds begin, at least: a lane answers one question of each protocol in so long, however often is asked for them.
const ROUND_INTERVAL: Duration = Duration::from_secs(1);

/// How long a round takes, at most, but for one question's wait.
const ROUND_MAX: Duration = Duration::from_secs(1);

/// How long to wait for a newer plan where something was found bad: a reload takes a question away some milliseconds before it says so.
const RENEWAL_MAX: Duration = Duration::from_millis(100);

/// The stack of the thread, locked in memory as all of the process is.
const STACK_SIZE: usize = 256 << 10;

/// What the thread is told.
enum Request {
    /// Somebody wants to know.
    Ask(oneshot::Sender<Arc<Report>>),
    /// Something else is to be asked from now on.
    Renew(Wants),
    /// Nobody wants to know any more.
    Stop,
}

/// The thread that asks. Dropping it ends it, within a question's wait.
#[derive(Debug)]
pub(crate) struct Health {
    requests: Sender<Request>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Who may have it ask.
#[derive(Clone, Debug)]
pub(crate) struct Asking(Sender<Request>);

impl Health {
    /// Asks a card from now on whenever it is asked for, on `core`, where one is free.
    pub(crate) fn start(card: CardHealth, wants: Wants, core: Option<usize>) -> Result<Self, Error> {
        let (requests, incoming) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let mut rounds = Rounds { card, wants, incoming, stop: Arc::clone(&stop), kept: None };
        let work = move || {
            // Where the lanes have every core, it runs wherever the kernel puts it, as housekeeping does.
            let _taken_away_since = core.map(host::cores::pin);
            rounds.serve();
        };
        let thread = thread::Builder::new().name("health".to_owned()).stack_size(STACK_SIZE).spawn(work);
        let thread = thread.map_err(|cause| Error::Failed(format!("health: no thread: {cause}")))?;
        Ok(Self { requests, stop, thread: Some(thread) })
    }

    /// For whoever answers `/healthz`.
    pub(crate) fn asking(&self) -> Asking {
        Asking(self.requests.clone())
    }

    /// Asks for something else from now on.
    pub(crate) fn renew(&self, wants: Wants) {
        // Where the thread has ended, who asks is told so.
        let _ended = self.requests.send(Request::Renew(wants));
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ended_before = self.requests.send(Request::Stop);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

impl Asking {
    /// What was found in a round that begins now, or has begun within the last second.
    pub(crate) async fn ask(&self) -> Result<Arc<Report>, String> {
        let (answer, found) = oneshot::channel();
        let ended = || "nobody asks any more: its thread has ended".to_owned();
        self.0.send(Request::Ask(answer)).map_err(|_| ended())?;
        found.await.map_err(|_| ended())
    }
}

/// Those who have asked and wait.
type Waiting = Vec<oneshot::Sender<Arc<Report>>>;

/// The thread's own.
struct Rounds {
    card: CardHealth,
    wants: Wants,
    incoming: Receiver<Request>,
    stop: Arc<AtomicBool>,
    /// What was found last, and when that round began.
    kept: Option<(Instant, Arc<Report>)>,
}

impl Rounds {
    /// Serves everybody who asks until it is told to stop.
    fn serve(&mut self) {
        let mut waiting = Vec::new();
        while !self.stop.load(Ordering::Relaxed)
            && let Ok(request) = self.incoming.recv()
        {
            let mut next = Some(request);
            while let Some(request) = next {
                self.take(request, &mut waiting);
                next = self.incoming.try_recv().ok();
            }
            if !waiting.is_empty() && !self.stop.load(Ordering::Relaxed) {
                let report = self.report(&mut waiting);
                // Who has gone away meanwhile does not want to know any more.
                waiting.drain(..).for_each(|answer| drop(answer.send(Arc::clone(&report))));
            }
        }
    }

    fn take(&mut self, request: Request, waiting: &mut Waiting) {
        match request {
            Request::Ask(answer) => waiting.push(answer),
            Request::Renew(wants) => (self.wants, self.kept) = (wants, None),
            Request::Stop => self.stop.store(true, Ordering::Relaxed),
        }
    }

    /// What was found within the last second, else what is found now.
    fn report(&mut self, waiting: &mut Waiting) -> Arc<Report> {
        if let Some((began, report)) = &self.kept
            && began.elapsed() < ROUND_INTERVAL
        {
            return Arc::clone(report);
        }
        let (mut began, mut report) = self.round();
        if !report.is_good() && self.is_renewed(waiting) {
            (began, report) = self.round();
        }
        let report = Arc::new(report);
        self.kept = Some((began, Arc::clone(&report)));
        report
    }

    fn round(&mut self) -> (Instant, Report) {
        let began = Instant::now();
        (began, self.card.round(&mut self.wants, began + ROUND_MAX, &self.stop))
    }

    /// Whether something else is to be asked since the round began, or a moment later.
    fn is_renewed(&mut self, waiting: &mut Waiting) -> bool {
        let deadline = Instant::now() + RENEWAL_MAX;
        let mut is_renewed = false;
        while !is_renewed && !self.stop.load(Ordering::Relaxed) {
            let rest = deadline.saturating_duration_since(Instant::now());
            let Ok(request) = self.incoming.recv_timeout(rest) else { break };
            is_renewed = matches!(request, Request::Renew(_));
            self.take(request, waiting);
        }
        is_renewed
    }
}
