//! A process that outlives neither us nor its use, and can be stopped and made to go on.
//!
//! It hangs on its standard input, whose end is its own: the programs of DPDK look at it themselves, Barelane is leashed.
//! It has a process group of its own, which is orphaned when we are killed: the kernel then sends SIGHUP and SIGCONT to
//! what is stopped in it, so that nothing stays behind stopped.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::step::line;

/// How long a program may take to say what is waited for: DPDK takes half a second to start, and a stretch a few tenths.
const SAY_MAX: Duration = Duration::from_mins(1);
/// How long it may take to end; then it is killed.
const END_MAX: Duration = Duration::from_secs(5);
/// How often is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// How many of its last lines tell why it has failed.
const LINES_SHOWN: usize = 4;
/// What the leash's shell does: a child waits for the end of standard input and then interrupts the shell's process, which
/// has become the program.
const LEASH: &str =
    r#"exec 3<&0; { read -r _ <&3; kill -s INT $$; } >/dev/null 2>&1 & exec "$@" 3<&- </dev/null"#;

/// A program at work. Dropping it ends it.
#[derive(Debug)]
pub(in crate::bench) struct Running {
    child: Child,
    command: String,
    /// Its end is the program's end.
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Vec<String>,
}

/// A program that ends on the end of its standard input, by SIGINT.
pub(in crate::bench) fn leashed(program: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", LEASH, "leash"]).arg(program);
    command
}

/// A program that looks at its standard input itself, as one that says its lines as they come.
pub(in crate::bench) fn by_lines(program: &Path) -> Command {
    let mut command = Command::new("stdbuf");
    command.arg("--output=L").arg(program);
    command
}

impl Running {
    pub(in crate::bench) fn start(mut command: Command) -> Result<Self> {
        let words = line(&command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().with_context(|| words.clone())?;
        let (sender, lines) = channel();
        read_into(&sender, child.stdout.take());
        read_into(&sender, child.stderr.take());
        let input = child.stdin.take();
        Ok(Self { child, command: words, input, lines, said: Vec::new() })
    }

    /// How it was started.
    pub(in crate::bench) fn command(&self) -> String {
        self.command.clone()
    }

    /// The next line of it that contains `words`.
    pub(in crate::bench) fn wait_for(&mut self, words: &str) -> Result<String> {
        let deadline = Instant::now() + SAY_MAX;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            if line.contains(words) {
                return Ok(line);
            }
            self.said.push(line);
        }
        let last =
            self.said.get(self.said.len().saturating_sub(LINES_SHOWN)..).unwrap_or_default().join(" / ");
        bail!("it does not say {words:?}, but: {last}")
    }

    /// Writes a line to its standard input.
    pub(in crate::bench) fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("its input is closed")?;
        writeln!(input, "{line}").context("it does not listen")
    }

    /// Stops it, or makes it go on.
    pub(in crate::bench) fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status()?;
        ensure!(status.success(), "kill -s {signal}: {status}");
        Ok(())
    }

    /// Closes its standard input, which is its end.
    pub(in crate::bench) fn close_input(&mut self) {
        drop(self.input.take());
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.input.take());
        // Where this fails, it is no longer there.
        let _ = self.signal("CONT");
        let deadline = Instant::now() + END_MAX;
        while Instant::now() < deadline {
            if self.has_ended() {
                return;
            }
            thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Hands on what a program says, line by line, until it closes its output.
fn read_into(lines: &Sender<String>, output: Option<impl Read + Send + 'static>) {
    let (Some(output), lines) = (output, lines.clone()) else { return };
    thread::spawn(move || {
        let all = BufReader::new(output).lines().map_while(Result::ok);
        // An error is that nobody listens any more.
        let _ = all.into_iter().try_for_each(|line| lines.send(line));
    });
}

/// A directory for sockets and for what DPDK wants to write; removed when this is dropped.
#[derive(Debug)]
pub(in crate::bench) struct Directory(PathBuf);

impl Directory {
    pub(in crate::bench) fn make() -> Result<Self> {
        let path = env::temp_dir().join(format!("barelane-memif-{}", process::id()));
        // Not one that is there already: among temporary files, it could be anybody's.
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    pub(in crate::bench) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed are sockets among temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard_and_what_is_dropped_has_ended() {
        let mut running = Running::start(Command::new("cat")).unwrap();
        let process = running.child.id();
        running.tell("something").unwrap();
        assert_eq!(running.wait_for("some").unwrap(), "something");
        running.signal("STOP").unwrap();
        drop(running);
        assert!(!Path::new(&format!("/proc/{process}")).exists());
    }

    #[test]
    fn a_leashed_program_ends_with_its_input() {
        let mut command = leashed(Path::new("/bin/sleep"));
        command.arg("60");
        let running = Running::start(command).unwrap();
        let process = running.child.id();
        let started = Instant::now();
        drop(running);
        assert!(!Path::new(&format!("/proc/{process}")).exists());
        assert!(started.elapsed() < Duration::from_mins(1), "it was waited for");
    }

    #[test]
    fn a_program_that_fails_is_quoted() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such thing >&2; exit 2"]);
        let error = Running::start(command).unwrap().wait_for("ready").unwrap_err().to_string();
        assert!(error.ends_with("no such thing"), "{error}");
    }
}
