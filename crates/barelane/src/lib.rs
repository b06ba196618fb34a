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
//! Whoever writes a server of his own needs the lane, its tables and a card, under the names that the project uses
//! everywhere; they are re-exported here. This one has a single address and is asked for it, in memory:
//!
//! ```
//! use std::sync::Arc;
//!
//! use barelane::nic::sim::{Card, Faults};
//! use barelane::route::{Address, LaneSettings, Owner, PartialChecksums, RouteTable, Service};
//! use barelane::telemetry::{Counter, Page, Tick, TickRate};
//! use barelane::wire::arp::Arp;
//! use barelane::wire::checksum::Summer;
//! use barelane::wire::ethernet::{self, Ethernet, Mac};
//! use barelane::wire::template::ArpTemplate;
//! use barelane::{Lane, mailbox};
//!
//! let own: Mac = "02:00:00:00:00:01".parse()?;
//! let address = Address { ip: "192.0.2.1".parse()?, prefix_len: 24, owner: Owner::Barelane };
//! let routes = RouteTable::everywhere(vec![address], &[Service::IcmpEcho])?;
//! let tables = routes.compile(&LaneSettings {
//!     mac: own,
//!     checksum: Summer::fastest(),
//!     partial_checksums: PartialChecksums::Refuse,
//!     hop_limit: 64,
//!     errors_per_second: 100,
//! });
//!
//! // Somewhere else a control thread would keep the sender, to exchange the tables while the lane runs.
//! let (_sender, mailbox) = mailbox();
//! let card = Card::new(64, 1, Faults::default());
//! let mut lane = Lane::new(card, Box::new(tables), TickRate::NANOSECONDS, Arc::new(Page::default()), mailbox);
//!
//! // Another host asks who has 192.0.2.1.
//! let mut question = [0; 60];
//! let asker = ArpTemplate::new("02:00:00:00:00:02".parse()?, "192.0.2.2".parse()?);
//! asker.announce(&mut question, 14).ok_or("60 bytes hold an ARP packet")?;
//! Ethernet::of_mut(&mut question, 0).ok_or("and its Ethernet header")?.ethertype = ethernet::ARP.into();
//! Arp::of_mut(&mut question, 14).ok_or("and what it asks")?.target_ip = [192, 0, 2, 1];
//!
//! lane.queue_mut().inject(&question);
//! lane.turn(Tick(0));
//! assert_eq!(lane.counters().of(Counter::RepliedArp), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
mod signals;

pub use config::Config;
pub use error::{Error, Wrong};
pub use lane::{Lane, mailbox};
pub use plan::Plan;
pub use serve::Server;
pub use {host, nic, route, telemetry, wire};

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
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(Error::Input(
            "no verb is given; write one, such as demo: barelane --help lists them".to_owned(),
        )),
        _ => Err(Error::Input(text.trim_start_matches("error: ").trim_end().to_owned())),
    }
}
