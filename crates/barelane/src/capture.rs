//! `barelane capture`: what the lanes of a running server see and send, as a file for Wireshark.
//!
//! ```text
//!   lane ─ tap ─▶ ring ─▶ service ─▶ socket ─▶ capture ─▶ FILE.pcapng
//!   │             full:    a thread of         another
//!   │             drops,   the server's        process
//!   │             counts
//!   └─▶ answers as ever
//! ```
//!
//! A question stands in the file with its answer, or neither does. What becomes of it stands in its comment: verdict and reason,
//! responder, route. Stamps are UTC by the server's own line from its lanes' clock: of a question, the instant at which the turn
//! began that found it; of an answer, the one at which it stood in its frame.
//!
//! | file | what |
//! |---|---|
//! | `settings` | the options, read |
//! | `filter` | the language of filters, compiled to the program that lanes run |
//! | `source` | which server, and what it says of itself |
//! | `talk` | what the two processes say to each other |
//! | `incoming` | exchanges as they come, believed no further than they can be checked |
//! | `file` | exchanges as packets with comments |
//! | `service`, `session` | the server's side: who is let in; taps out, exchanges on, taps back |

use std::time::{Duration, Instant};

use crate::args::CaptureArguments;
use crate::error::Error;
use crate::say;
use crate::signals::Signals;

mod file;
mod filter;
mod incoming;
mod service;
mod session;
mod settings;
mod source;
mod talk;

use file::CaptureFile;
use incoming::{Incoming, Piece};
pub(crate) use service::{LaneEnd, Service};
use settings::Settings;
use source::Source;
use talk::Totals;

/// How long a server may take to tell the rest once it is told that no more is wanted: it gives lanes 5 seconds to give their taps
/// back, and itself 2 for the rest.
const END_MAX: Duration = Duration::from_secs(10);

/// Captures until there is enough, or somebody says so.
pub fn run(arguments: &CaptureArguments) -> Result<(), Error> {
    let settings = Settings::new(arguments)?;
    let source = Source::find(settings.name.as_deref())?;
    let before = source.look()?;
    // Before anything is asked of the server, so that no signal leaves half a file.
    let signals = Signals::catch()?;
    let (mut incoming, granted) = Incoming::connect(&source, &settings)?;
    let mut file = CaptureFile::create(&settings, granted)?;
    say::note(format_args!("capturing on {}: SIGINT (Ctrl-C) ends it", before.nic));
    before.warning().iter().for_each(say::warn);
    let totals = take(&mut incoming, &mut file, &settings, &signals);
    // However it ended, what has come is a whole file.
    file.finish(totals.as_ref().ok().and_then(Option::as_ref))?;
    let totals = totals?;
    say::note(file.summary(totals.as_ref()));
    source.look()?.answered_by_driver_since(&before).iter().for_each(say::warn);
    match totals {
        Some(_) => Ok(()),
        None => Err(Error::Failed(
            "the server has ended, or has given the capture up; the file ends there".to_owned(),
        )),
    }
}

/// Writes down what comes, until the server has told its totals; nothing where it goes away before.
fn take(
    incoming: &mut Incoming,
    file: &mut CaptureFile,
    settings: &Settings,
    signals: &Signals,
) -> Result<Option<Totals>, Error> {
    let enough_at = settings.time.map(|time| Instant::now() + time);
    let mut end_at = None;
    loop {
        match incoming.next()? {
            Piece::Exchange(exchange) if file.has_room() => file.put(&exchange)?,
            // What comes behind the last one that was wanted.
            Piece::Exchange(_) => {}
            Piece::Nothing => file.flush()?,
            Piece::Totals(totals) => return Ok(Some(totals)),
            Piece::End => return Ok(None),
        }
        let now = Instant::now();
        let is_late = enough_at.is_some_and(|enough_at| now >= enough_at);
        if end_at.is_none() && (is_late || signals.is_stopping() || !file.has_room()) {
            incoming.want_no_more();
            end_at = Some(now + END_MAX);
        }
        if end_at.is_some_and(|end_at| now >= end_at) {
            return Ok(None);
        }
    }
}
