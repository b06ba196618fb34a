//! A program at work, which is ended whatever becomes of the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take to say what is waited for, on two busy cores.
const SAY_MAX: Duration = Duration::from_mins(1);
/// How long it may take to end by itself.
const END_MAX: Duration = Duration::from_secs(20);

/// A program at work. Ended by SIGKILL when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{}: {error}; `cargo xtask test` installs it", command.get_program().display())
        });
        let (sender, lines) = mpsc::channel();
        read_into(&sender, child.stdout.take().unwrap());
        read_into(&sender, child.stderr.take().unwrap());
        let input = child.stdin.take();
        Self { child, input, lines, said: Vec::new() }
    }

    /// The next line that contains `words`.
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        self.wait_at_most(words, SAY_MAX)
    }

    /// The same, for what takes longer.
    pub(crate) fn wait_at_most(&mut self, words: &str, wait: Duration) -> String {
        let deadline = Instant::now() + wait;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.said.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
        panic!("no {words:?} within {wait:?}, but: {:#?}", self.said);
    }

    /// Writes a line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Whether it is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGKILL, and nothing of it is left when this returns.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM and the end of its input; gives what it ends with, and all that it has said.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>) {
        drop(self.input.take());
        let process = self.child.id().to_string();
        // It may have ended with its input.
        let _ = Command::new("kill").args(["-s", "TERM", &process]).stderr(Stdio::null()).status();
        self.finish()
    }

    /// Waits until it ends by itself.
    pub(crate) fn finish(mut self) -> (ExitStatus, Vec<String>) {
        let deadline = Instant::now() + END_MAX;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "still there after {END_MAX:?}: {:#?}", self.said);
            thread::sleep(Duration::from_millis(2));
        };
        self.said.extend(self.lines.iter());
        (status, std::mem::take(&mut self.said))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail where it has ended already, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            self.said.extend(self.lines.iter());
            eprintln!("a program said: {:#?}", self.said);
        }
    }
}

fn read_into(lines: &Sender<String>, output: impl Read + Send + 'static) {
    let lines = lines.clone();
    thread::spawn(move || {
        let mut all = BufReader::new(output).lines().map_while(Result::ok);
        all.try_for_each(|line| lines.send(line))
    });
}

/// A directory for a socket and for what DPDK wants to write; removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("barelane-memif-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}
