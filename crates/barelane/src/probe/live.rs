//! How far the measurement is, while it runs.
//!
//! The line is printed by a thread of its own, which reads what the run publishes every few milliseconds: the thread
//! that measures never prints, formats or waits for a terminal. On a terminal the line is written over itself five times
//! a second and is gone at the end. Elsewhere nothing is printed, unless it is asked for: then a line every two seconds,
//! for logs. What happens at the other end of an interface in shared memory is said in any case.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nic::memif::Control;
use probe::{Counts, End, Progress};

use crate::say;

/// How often the line is written on a terminal: as often as a person follows.
const ON_TERMINAL: Duration = Duration::from_millis(200);

/// How often a line is written where it stays.
const IN_LOGS: Duration = Duration::from_secs(2);

/// Back to the line's beginning, and clear it (ECMA-48 EL).
const CLEAR: &str = "\r\x1b[K";

/// What the line is about: written by the thread that measures, read by the one that prints.
#[derive(Debug)]
struct Shared {
    progress: Progress,
    /// Which run it is, from 1 on.
    run: AtomicUsize,
    /// When the first run began, and how many milliseconds later this one did.
    began: Instant,
    run_began_ms: AtomicU64,
    is_over: AtomicBool,
    /// Who has news of the other end, where anybody has.
    control: Option<Arc<Control>>,
}

/// The line, while this is kept.
#[derive(Debug)]
pub(super) struct Live {
    shared: Arc<Shared>,
    printer: Option<JoinHandle<()>>,
}

/// What the line measures the progress against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Whole {
    /// So many runs to the same end.
    Runs(usize, End),
    /// Trials of a search, of which nobody knows how many there will be.
    Trials,
}

/// How the line is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Overwritten,
    Logged,
    /// Nothing but news.
    None,
}

impl Form {
    /// How often something is printed.
    const fn every(self) -> Duration {
        match self {
            Self::Logged => IN_LOGS,
            Self::Overwritten | Self::None => ON_TERMINAL,
        }
    }
}

impl Live {
    /// Starts to print where there is a terminal, where lines are `asked_for`, or where `control` has news. To be called
    /// before the calling thread is bound to a core: the printing thread has its affinity.
    pub(super) fn start(whole: Whole, asked_for: bool, control: Option<Arc<Control>>) -> Self {
        let form = match (io::stderr().is_terminal(), asked_for) {
            (true, _) => Form::Overwritten,
            (false, true) => Form::Logged,
            (false, false) => Form::None,
        };
        let has_anything = form != Form::None || control.is_some();
        let shared = Arc::new(Shared {
            progress: Progress::default(),
            run: AtomicUsize::new(1),
            began: Instant::now(),
            run_began_ms: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            control,
        });
        let printer = has_anything.then(|| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || print(&shared, form, whole))
        });
        Self { shared, printer }
    }

    /// Where the run publishes how far it is.
    pub(super) fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    /// Says that another run begins.
    pub(super) fn next_run(&self) {
        let since = self.shared.began.elapsed().as_millis();
        self.shared.run_began_ms.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.shared.run.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(printer) = self.printer.take() {
            printer.thread().unpark();
            let _ended = printer.join();
        }
    }
}

fn print(shared: &Shared, form: Form, whole: Whole) {
    let mut next = shared.began + form.every();
    while !shared.is_over.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now < next {
            thread::park_timeout(next - now);
            continue;
        }
        next = now + form.every();
        tell_news(shared, form);
        let run_began = shared.began + Duration::from_millis(shared.run_began_ms.load(Ordering::Relaxed));
        let run = shared.run.load(Ordering::Relaxed);
        let line = || line(&shared.progress.counts(), now - run_began, whole, run);
        match form {
            Form::Logged => say::note(line()),
            Form::Overwritten => overwrite(&line()),
            Form::None => {}
        }
    }
    if form == Form::Overwritten {
        overwrite("");
    }
    tell_news(shared, form);
}

/// Says what has happened at the other end, on lines that stay.
fn tell_news(shared: &Shared, form: Form) {
    for news in shared.control.iter().flat_map(|control| control.news()) {
        if form == Form::Overwritten {
            overwrite("");
        }
        say::note(news);
    }
}

/// A terminal that has gone away is no reason to stop measuring.
fn overwrite(line: &str) {
    let mut terminal = io::stderr().lock();
    let _gone = write!(terminal, "{CLEAR}{line}").and_then(|()| terminal.flush());
}

fn line(counts: &Counts, elapsed: Duration, whole: Whole, run: usize) -> String {
    let seconds = elapsed.as_secs_f64();
    let mut line = String::new();
    // Writing to a String cannot fail.
    let _ = match whole {
        Whole::Runs(_, End::Seconds(whole)) => write!(line, "{:.1} of {whole} s", seconds.min(whole)),
        Whole::Runs(_, End::Count(whole)) => write!(line, "{seconds:.1} s, {} of {whole}", counts.sent),
        Whole::Trials => write!(line, "trial {run}, {seconds:.1} s"),
    };
    if let Whole::Runs(runs @ 2.., _) = whole {
        let _ = write!(line, ", run {run} of {runs}");
    }
    let Counts { sent, answered, lost, late, .. } = *counts;
    let _ = write!(line, ": sent {sent}, answered {answered}, lost {lost}");
    for (name, count) in [("late", late), ("corrupted", counts.corrupted)] {
        if count > 0 {
            let _ = write!(line, ", {name} {count}");
        }
    }
    if seconds > 0.0 {
        let _ = write!(line, ", {:.0}/s", ratio(sent, seconds));
    }
    line
}

#[expect(clippy::cast_precision_loss, reason = "a rate for a person to read")]
fn ratio(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_it_is_and_what_is_wrong() {
        let counts = Counts { sent: 1_000, answered: 997, lost: 2, ..Counts::default() };
        let elapsed = Duration::from_secs(2);
        assert_eq!(
            line(&counts, elapsed, Whole::Runs(1, End::Seconds(5.0)), 1),
            "2.0 of 5 s: sent 1000, answered 997, lost 2, 500/s"
        );
        let wrong = Counts { late: 1, corrupted: 3, ..counts };
        assert_eq!(
            line(&wrong, elapsed, Whole::Runs(20, End::Count(4_000)), 2),
            "2.0 s, 1000 of 4000, run 2 of 20: sent 1000, answered 997, lost 2, late 1, corrupted 3, 500/s"
        );
        assert_eq!(
            line(&counts, elapsed, Whole::Trials, 7),
            "trial 7, 2.0 s: sent 1000, answered 997, lost 2, 500/s"
        );
    }

    #[test]
    fn the_line_fits_a_terminal_of_eighty_columns_in_an_ordinary_long_run() {
        let counts = Counts { sent: 123_456_789, answered: 123_456_000, lost: 789, ..Counts::default() };
        let line = line(&counts, Duration::from_mins(50), Whole::Runs(1, End::Seconds(3_600.0)), 1);
        assert!(line.len() <= 80, "{line}");
    }
}
