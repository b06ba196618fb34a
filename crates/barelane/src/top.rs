//! `barelane top`: what the servers of this host do, read from their side channel.
//!
//! ```text
//!   segment ─▶ Reader ─▶ Snapshot ─┐
//!                                  ├─▶ Figures ─▶ tables ─▶ text (--once), screen
//!   segment ─▶ Reader ─▶ Snapshot ─┘         └──▶ JSON (--json)
//!            an interval later
//! ```
//!
//! Rates need two looks, so that every form waits for one interval. Nothing here can disturb a server: see
//! [`side_channel`](crate::side_channel).

use std::io::{self, IsTerminal};
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde::Serialize;

use crate::args::TopArguments;
use crate::error::{Error, Wrong};
use crate::say;
use crate::side_channel::{self, Reader, SegmentError, Snapshot};

pub mod figures;
mod screen;
pub mod tables;
pub(crate) mod units;

use figures::Figures;

/// The shortest and the longest time between two looks, in seconds: servers publish ten times a second, and who looks once in
/// an hour wants no screen.
const INTERVAL_MIN: f64 = 0.2;
const INTERVAL_MAX: f64 = 3_600.0;

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub struct Document {
    /// Which keys there are.
    pub schema: &'static str,
    /// The servers, in the order of their segments' names.
    pub servers: Vec<Figures>,
}

/// The schema of `docs/top-json.md`.
pub const SCHEMA: &str = "barelane-top-1";

/// A server, and what was read of it before.
#[derive(Debug)]
struct Watched {
    reader: Reader,
    before: Snapshot,
}

/// Shows what runs, as the arguments ask.
pub fn run(arguments: &TopArguments) -> Result<(), Error> {
    let interval = interval(&arguments.interval)?;
    let is_screen = !arguments.once && !arguments.json;
    if is_screen && !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        let why =
            "the screen needs a terminal for its input and its output; write --once or --json without one";
        return Err(Error::Input(why.to_owned()));
    }
    let mut watched = open(arguments)?;
    if is_screen {
        return screen::run(watched, interval);
    }
    thread::sleep(interval);
    let servers = watched.iter_mut().map(Watched::look).collect::<Result<Vec<_>, _>>()?;
    if arguments.json {
        say::answer(
            serde_json::to_string_pretty(&Document { schema: SCHEMA, servers })
                .map_err(|cause| unwritable(&cause))?,
        );
    } else {
        for figures in &servers {
            say::answer(tables::Text(figures));
        }
    }
    Ok(())
}

fn unwritable(cause: &serde_json::Error) -> Error {
    Error::Failed(format!("the document cannot be written: {cause}"))
}

fn interval(typed: &str) -> Result<Duration, Wrong> {
    let seconds = typed.parse::<f64>().ok().filter(|seconds| (INTERVAL_MIN..=INTERVAL_MAX).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| {
        Wrong::new("--interval", typed)
            .because("no time between two looks")
            .remedy(format_args!("write seconds, from {INTERVAL_MIN} to {INTERVAL_MAX}"))
    })
}

/// The server whose segment was named, or those of the cards that were named, or all that run.
fn open(arguments: &TopArguments) -> Result<Vec<Watched>, Error> {
    if let Some(path) = &arguments.segment {
        let watched = Watched::open(path).map_err(|error| {
            let remedy = "name the segment of a server: it says which at its start";
            Wrong::new("--segment", path.display()).because(error).remedy(remedy)
        })?;
        return Ok(vec![watched]);
    }
    let (paths, refused) = side_channel::running();
    // One that has ended meanwhile is none that runs.
    let watched: Vec<Watched> = paths.iter().filter_map(|path| Watched::open(path).ok()).collect();
    match (watched.is_empty(), refused.first()) {
        (false, _) => Ok(of_nics(watched, &arguments.nic)?),
        (true, Some(path)) => Err(Error::Failed(format!(
            "the segment {} cannot be read by this user: run it as root, or as the server's user or group",
            path.display()
        ))),
        (true, None) => Err(Error::Failed(
            "no server runs here: start one with barelane serve, or name a segment with --segment".to_owned(),
        )),
    }
}

/// Those that serve one of these cards; all where none is named.
fn of_nics(mut watched: Vec<Watched>, nics: &[String]) -> Result<Vec<Watched>, Wrong> {
    let all: Vec<String> = watched.iter().map(Watched::nic).collect();
    if let Some(nic) = nics.iter().find(|nic| !all.contains(nic)) {
        return Err(Wrong::new("--nic", nic)
            .because("no server runs on such an interface")
            .remedy(format_args!("name one of these: {}", all.join(", "))));
    }
    watched.retain(|server| nics.is_empty() || nics.contains(&server.nic()));
    Ok(watched)
}

impl Watched {
    /// The interface.
    fn nic(&self) -> String {
        self.before.of_kind("server").next().and_then(|server| server.text("nic")).unwrap_or_default()
    }

    fn open(path: &Path) -> Result<Self, SegmentError> {
        let reader = Reader::open(path)?;
        let before = reader.read()?;
        Ok(Self { reader, before })
    }

    /// What happened since the last look.
    fn look(&mut self) -> Result<Figures, Error> {
        let now = self.reader.read().map_err(|error| Error::Failed(error.to_string()))?;
        let before = std::mem::replace(&mut self.before, now);
        Ok(Figures::between(&before, &self.before, self.reader.path(), self.reader.is_served()))
    }
}
