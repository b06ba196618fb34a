//! Barelane's front door: arguments become a [`Config`], a configuration becomes a [`Plan`], and a plan runs.
//!
//! ```text
//!   args ──▶ Config ──▶ Plan ──▶ serve     lanes on a card, until told to stop
//!    what     what it     what   check     the plan, printed
//!    was      means       this   replay    the same lane on a capture
//!    typed                host   probe     the measuring client
//!                         does   demo      both ends of a link in memory, measured
//! ```
//!
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

pub mod args;
pub mod check;
pub mod config;
mod counts;
pub mod demo;
pub mod error;
pub mod plan;
pub mod probe;
pub mod replay;
pub mod say;
pub mod serve;

pub use config::Config;
pub use error::{Error, Wrong};
pub use plan::Plan;

use args::{Arguments, Verb};

/// Runs the process's command line to its exit code.
pub fn main() -> ExitCode {
    let done = match Arguments::try_parse() {
        Ok(arguments) => run(arguments.verb),
        Err(error) => explain(&error),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(&error);
            error.exit_code()
        }
    }
}

fn run(verb: Verb) -> Result<(), Error> {
    match verb {
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Serve(arguments) => serve::run(&arguments),
        Verb::Replay(arguments) => replay::run(&arguments),
        Verb::Probe(arguments) => probe::run(&arguments),
        Verb::Demo(arguments) => demo::run(&arguments),
    }
}

/// Help and version are answers; all else is a wrong command line.
fn explain(error: &clap::Error) -> Result<(), Error> {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            say::answer(text.trim_end());
            Ok(())
        }
        _ => Err(Error::Input(text.trim_start_matches("error: ").trim_end().to_owned())),
    }
}
