//! Steps: commands that print themselves, are bounded in time, and are summed up at the end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// No step of ours takes longer on two slow cores, a first build included: the longest takes half of it here. A step that does
/// hangs, and a run that hangs says nothing.
const STEP_MAX: Duration = Duration::from_mins(30);

/// How often a running step is looked at. Small against any step, large against the cost of looking.
const LOOK: Duration = Duration::from_millis(20);

/// What one of our own functions has to say of a step that did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did all that it is for.
    Done,
    /// The same, and this belongs into the summary too.
    Noted(String),
    /// It could not do what it is for, on this machine, and this is why.
    Skipped(String),
}

/// What became of one step.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Passed(Duration),
    Noted(Duration, String),
    Failed(String),
    Skipped(String),
}

impl Fate {
    fn of(result: Result<ExitStatus>, started: Instant, command: &Command) -> Self {
        match result {
            Ok(status) if status.success() => Self::Passed(started.elapsed()),
            Ok(status) => Self::Failed(format!("{status}; repeat it with: {}", line(command))),
            Err(error) => Self::Failed(format!("{error:#}")),
        }
    }
}

/// The steps of one run and what became of them.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Fate)>,
}

impl Steps {
    /// Runs one command from the workspace's root and keeps its result. A failure does not stop the run: one run
    /// shows all that is wrong.
    pub(crate) fn run(&mut self, name: &str, command: &mut Command) {
        println!("\n== {name}\n   $ {}", line(command));
        let started = Instant::now();
        let result = run(command);
        self.done.push((name.to_owned(), Fate::of(result, started, command)));
    }

    /// As [`Self::run`], for tests: a line of theirs on standard error that begins with `skipped:` says what this
    /// machine could not do, and stands in the summary too.
    pub(crate) fn test(&mut self, name: &str, command: &mut Command) {
        command.stderr(Stdio::piped());
        let listener = |errors| thread::spawn(move || repeat(BufReader::new(errors)));
        println!("\n== {name}\n   $ {}", line(command));
        let started = Instant::now();
        let result = start(command).and_then(|mut child| {
            let listener = child.stderr.take().map(listener);
            let status = finish(&mut child, command)?;
            Ok((status, listener.and_then(|listener| listener.join().ok()).unwrap_or_default()))
        });
        let (result, skips) = match result {
            Ok((status, skips)) => (Ok(status), skips),
            Err(error) => (Err(error), Vec::new()),
        };
        self.done.push((name.to_owned(), Fate::of(result, started, command)));
        self.done.extend(skips.into_iter().map(|why| ("a part of the tests".to_owned(), Fate::Skipped(why))));
    }

    /// Runs one of our own functions as a step.
    pub(crate) fn call(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        self.judge(name, || work().map(|()| Outcome::Done));
    }

    /// The same, for one that may have more to say than that it is done.
    pub(crate) fn judge(&mut self, name: &str, work: impl FnOnce() -> Result<Outcome>) {
        println!("\n== {name}");
        let started = Instant::now();
        let fate = match work() {
            Ok(Outcome::Done) => Fate::Passed(started.elapsed()),
            Ok(Outcome::Noted(what)) => Fate::Noted(started.elapsed(), what),
            Ok(Outcome::Skipped(why)) => Fate::Skipped(why),
            Err(error) => Fate::Failed(format!("{error:#}")),
        };
        self.done.push((name.to_owned(), fate));
    }

    /// Says that something does not run, and why, now and in the summary.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        println!("\n== {name}: SKIPPED, {why}");
        self.done.push((name.to_owned(), Fate::Skipped(why.to_owned())));
    }

    /// Prints the summary. An error where any step failed.
    pub(crate) fn close(self) -> Result<()> {
        println!("\n== summary");
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for (name, fate) in &self.done {
            match fate {
                Fate::Passed(time) => println!("   ok      {name} ({:.1} s)", time.as_secs_f64()),
                Fate::Noted(time, what) => {
                    println!("   ok      {name} ({:.1} s): {what}", time.as_secs_f64());
                }
                Fate::Failed(why) => println!("   FAILED  {name}: {why}"),
                Fate::Skipped(why) => println!("   skipped {name}: {why}"),
            }
            match fate {
                Fate::Passed(_) | Fate::Noted(..) => passed += 1,
                Fate::Failed(_) => failed += 1,
                Fate::Skipped(_) => skipped += 1,
            }
        }
        println!("steps: {passed} passed, {failed} failed, {skipped} skipped");
        if failed > 0 {
            bail!("{failed} of {} steps failed", self.done.len());
        }
        Ok(())
    }
}

/// Cargo, the one that runs us.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(workspace::root());
    command
}

/// What a command prints on standard output. An error where it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| line(command))?;
    if !output.status.success() {
        bail!("{}: {}\n{}", line(command), output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let mut words: Vec<String> = variables
        .map(|(name, value)| format!("{}={}", name.display(), quoted(&value.to_string_lossy())))
        .collect();
    let program = command.get_program().to_string_lossy();
    words.push(program.rsplit('/').next().unwrap_or(&program).to_owned());
    words.extend(command.get_args().map(|argument| quoted(&argument.to_string_lossy())));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=./:,+@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Runs a command to its end, or ends it: see [`STEP_MAX`].
pub(crate) fn run(command: &mut Command) -> Result<ExitStatus> {
    finish(&mut start(command)?, command)
}

fn start(command: &mut Command) -> Result<Child> {
    command.spawn().with_context(|| format!("cannot start {}", line(command)))
}

/// Waits for a child's end, or ends it and everything that it started after [`STEP_MAX`].
fn finish(child: &mut Child, command: &Command) -> Result<ExitStatus> {
    let deadline = Instant::now() + STEP_MAX;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(LOOK);
    }
    end(child);
    bail!("not done after {} s, and ended: {}", STEP_MAX.as_secs(), line(command))
}

/// Repeats what a child says on its standard error, and gives what it said it skipped.
fn repeat(errors: impl BufRead) -> Vec<String> {
    let mut skips = Vec::new();
    for line in errors.lines().map_while(Result::ok) {
        eprintln!("{line}");
        skips.extend(line.strip_prefix("skipped: ").map(str::to_owned));
    }
    skips
}

/// Ends a child and all its descendants. A signal to the child alone would leave the tests that cargo started.
fn end(child: &mut Child) {
    let mut doomed = vec![child.id()];
    let parents = parents();
    let mut next = 0;
    while let Some(&parent) = doomed.get(next) {
        doomed.extend(parents.iter().filter(|&&(_, its)| its == parent).map(|&(process, _)| process));
        next += 1;
    }
    for process in doomed {
        // One that ended by itself in the meantime is no longer there: nothing to be done about it.
        let _ = Command::new("kill").args(["-KILL", &process.to_string()]).status();
    }
    let _ = child.wait();
}

/// Every process and its parent, from `/proc/PID/stat`: `PID (name) state parent …`.
fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    processes.filter_map(|process| Some((process, parent_of(process)?))).collect()
}

fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_prints_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command.env("RUSTFLAGS", "--cfg loom").args(["test", "it's"]);
        assert_eq!(line(&command), r"RUSTFLAGS='--cfg loom' cargo test 'it'\''s'");
    }

    #[test]
    fn a_failed_step_fails_the_run_and_a_skipped_one_does_not() {
        let mut steps = Steps::default();
        steps.run("true", &mut Command::new("true"));
        steps.skip("something", "it is not there");
        assert!(steps.close().is_ok());
        let mut steps = Steps::default();
        steps.run("false", &mut Command::new("false"));
        assert!(steps.close().is_err());
    }

    #[test]
    fn a_function_that_could_not_do_its_work_is_skipped_and_not_ok() {
        let mut steps = Steps::default();
        steps.judge("comparing", || Ok(Outcome::Skipped("another compiler".to_owned())));
        steps.judge("counting", || Ok(Outcome::Noted("above what is wanted: arp".to_owned())));
        assert_eq!(steps.done[0].1, Fate::Skipped("another compiler".to_owned()));
        assert!(matches!(&steps.done[1].1, Fate::Noted(_, what) if what.ends_with("wanted: arp")));
        assert!(steps.close().is_ok());
    }

    #[test]
    fn what_tests_skip_is_skipped_by_name_and_not_silently() {
        let mut steps = Steps::default();
        steps
            .test("tests", Command::new("sh").args(["-c", "echo 'skipped: huge pages: there are none' >&2"]));
        let skipped = Fate::Skipped("huge pages: there are none".to_owned());
        assert_eq!(steps.done.iter().filter(|(_, fate)| *fate == skipped).count(), 1);
        assert!(steps.close().is_ok());
    }

    #[test]
    fn ending_a_step_ends_what_it_started() {
        let mut child = Command::new("sh").args(["-c", "sleep 60 & echo; wait"]).spawn().unwrap();
        let has_child = || parents().iter().any(|&(_, parent)| parent == child.id());
        while !has_child() {
            thread::yield_now();
        }
        let (grandchild, _) = *parents().iter().find(|&&(_, parent)| parent == child.id()).unwrap();
        end(&mut child);
        let state = || fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
        let is_gone = || state().is_empty() || state().contains(" Z ");
        // The signal has been sent; on a busy machine its end may take a moment.
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_gone() {
            assert!(Instant::now() < deadline, "{}", state());
            thread::yield_now();
        }
    }
}
