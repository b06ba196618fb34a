//! Programs that are not ours: where they are, and a process that never outlives the demo.
//!
//! A process runs in a namespace of the demo's, on one core, in a process group of its own, so that a Ctrl-C at the
//! terminal is the demo's alone and the demo ends what it started, in order. It hangs on its standard input: where that
//! is closed, by [`Running::end`] or because the demo was killed, it ends. Programs that do not look at their standard
//! input are [leashed](leashed).

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::link::Place;
use super::{Unmeasured, interrupted};
use crate::error::Error;

/// DPDK's test program.
pub(super) const TESTPMD: Program = Program { name: "dpdk-testpmd", package: "dpdk-dev" };

/// Sockperf, client and server.
pub(super) const SOCKPERF: Program = Program { name: "sockperf", package: "sockperf" };

/// How long a program may take to say that it is ready. Sockperf's client takes 2.1 s, testpmd 0.4 s.
const START_MAX: Duration = Duration::from_secs(10);

/// How long a program may take to end when it is told to; then it is killed.
const END_MAX: Duration = Duration::from_secs(5);

/// How often is looked whether the demo is to stop.
const LOOK: Duration = Duration::from_millis(20);

/// How many of a program's last lines tell why it has failed.
const LINES_SHOWN: usize = 4;

/// What the leash's shell does: a child waits for the end of standard input and then interrupts the shell's process,
/// which has become the program.
const LEASH: &str =
    r#"exec 3<&0; { read -r _ <&3; kill -s INT $$; } >/dev/null 2>&1 & exec "$@" 3<&- </dev/null"#;

/// A program that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Program {
    name: &'static str,
    /// Debian's package.
    package: &'static str,
}

impl Program {
    /// Where it is, by `PATH`.
    pub(super) fn find(self) -> Option<PathBuf> {
        let path = env::var_os("PATH")?;
        env::split_paths(&path).map(|directory| directory.join(self.name)).find(|path| path.is_file())
    }

    /// What is said where it is not found.
    pub(super) fn absence(self) -> String {
        format!("{} is not installed (apt-get install {})", self.name, self.package)
    }

    /// What is said of it where it will not do as it should: its own last words.
    pub(super) fn refusal(self, problem: &str, said: &[String]) -> Unmeasured {
        let last = said.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
        let last: Vec<_> = last.rev().take(LINES_SHOWN).collect();
        let words = last.into_iter().rev().collect::<Vec<_>>().join(" / ");
        Unmeasured::Refused(format!("{} {problem}: {words}", self.name))
    }

    /// It, as a command that says its lines as they come: written to a pipe, they would wait for a full buffer.
    pub(super) fn command(self) -> Result<Command, Unmeasured> {
        let program = self.find().ok_or_else(|| Unmeasured::Refused(self.absence()))?;
        let mut command = Command::new("stdbuf");
        command.arg("--output=L").arg(program);
        Ok(command)
    }

    /// It, as a command that ends on the end of its standard input, by SIGINT.
    pub(super) fn leashed(self) -> Result<Command, Unmeasured> {
        let program = self.find().ok_or_else(|| Unmeasured::Refused(self.absence()))?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", LEASH, "leash"]).arg(program);
        Ok(command)
    }
}

/// A program at work. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Running {
    program: Program,
    child: Child,
    /// Its end is the program's end.
    leash: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Running {
    /// Starts a command in its place, on a core.
    pub(super) fn start(
        program: Program,
        mut command: Command,
        place: &Place,
        core: usize,
    ) -> Result<Self, Unmeasured> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let spawned = place.run(|| {
            // A process has the core of the thread that starts it.
            host::cores::pin(core)?;
            Ok::<_, Error>(command.spawn())
        })??;
        let mut child = spawned.map_err(|error| program.refusal("does not start", &[error.to_string()]))?;
        let (sender, lines) = channel();
        read_into(&sender, child.stdout.take());
        read_into(&sender, child.stderr.take());
        let leash = child.stdin.take();
        Ok(Self { program, child, leash, lines, said: Vec::new() })
    }

    /// Waits until it says a line that contains `words`.
    pub(super) fn wait_for(&mut self, words: &str, stop: &AtomicBool) -> Result<(), Unmeasured> {
        let deadline = Instant::now() + START_MAX;
        while Instant::now() < deadline {
            if stop.load(Ordering::Relaxed) {
                return Err(interrupted().into());
            }
            match self.lines.recv_timeout(LOOK) {
                Ok(line) => {
                    let is_it = line.contains(words);
                    self.said.push(line);
                    if is_it {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.program.refusal("has ended by itself", &self.said));
                }
            }
        }
        Err(self.program.refusal("does not get ready", &self.said))
    }

    /// Ends it, and gives all that it has said.
    pub(super) fn end(mut self) -> Result<Vec<String>, Error> {
        let is_ended = self.finish();
        self.said.extend(self.lines.try_iter());
        if is_ended {
            Ok(std::mem::take(&mut self.said))
        } else {
            let name = self.program.name;
            Err(Error::Failed(format!("{name} did not end within {} s and was killed", END_MAX.as_secs())))
        }
    }

    /// Lets the leash go and waits for the end; kills where it does not come. Gives whether it came by itself.
    fn finish(&mut self) -> bool {
        drop(self.leash.take());
        let deadline = Instant::now() + END_MAX;
        while Instant::now() < deadline {
            // The lines first: they end when the process has, and a full pipe would keep it from ending.
            match self.lines.recv_timeout(LOOK) {
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if self.has_ended() => return true,
                Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOK),
            }
        }
        // Whatever these say, there is nothing more that could be done.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        false
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.finish();
        }
    }
}

/// Hands on what a program says, line by line, until it closes its output.
fn read_into(lines: &Sender<String>, output: Option<impl Read + Send + 'static>) {
    let (Some(output), lines) = (output, lines.clone()) else { return };
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}
