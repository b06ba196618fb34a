//! Barelane's front door: arguments become a [`Config`], a configuration becomes a [`Plan`], and a plan runs.
//!
//! ```text
//!   args ──▶ Config ──▶ Plan ──▶ serve     lanes on a card, until told to stop
//!    what     what it     what   check     the plan, printed
//!    was      means       this   replay    the same lane on a capture
//!    typed                host   routes    which route takes a packet
//!                         does   probe     the measuring client
//!                                demo      both ends of a link in memory, measured
//!                                doctor    what of this host costs latency, put right and back
//!                                top       what servers do, by their side channel
//!                                capture   what their lanes see and send
//! ```
//!
//! Whoever writes a server of his own needs the lane, its tables and a card, under the names that the project uses
//! everywhere; they are re-exported here. This one has a single address and is asked for it, in memory:
//!
//! ```
//! use std::sync::Arc;
//!
//! use barelane::nic::sim::{Card, Faults};
//! use barelane::route::{
//!     Address, LaneSettings, NextHop, Owner, PartialChecksums, RouteTable, Service, ShortPackets,
//! };
//! use barelane::telemetry::{Counter, Page, Still, Tick};
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
//!     next_hop: NextHop::Reflect,
//!     stamp_key: None,
//!     short_packets: ShortPackets::Drop,
//! });
//!
//! // Somewhere else a control thread would keep the sender, to exchange the tables while the lane runs.
//! let (_sender, mailbox) = mailbox();
//! let card = Card::new(64, 1, Faults::default());
//! let mut lane = Lane::new(card, Box::new(tables), Still::default(), Arc::new(Page::default()), mailbox);
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

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

pub mod admin;
pub mod args;
pub mod capture;
pub mod check;
pub mod config;
mod counts;
pub mod demo;
pub mod doctor;
pub mod error;
mod events;
pub mod explain;
mod health;
mod json;
pub mod per_card;
pub mod plan;
pub mod probe;
pub mod replay;
pub mod report;
pub mod say;
pub mod serve;
pub mod side_channel;
mod signals;
mod stamp_key;
mod state;
pub mod top;
mod web;

pub use config::Config;
pub use error::{Error, Wrong};
pub use lane::{Lane, mailbox};
pub use plan::Plan;
pub use serve::Server;
pub use {host, nic, route, telemetry, wire};

use args::{Arguments, ProbeCommand, ProbeVerb, RoutesCommand, RoutesVerb, Verb};
use error::printable;

/// Runs the process's command line to its exit code.
pub fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    let done = match Arguments::try_parse_from(&typed) {
        Ok(arguments) => run(arguments.verb),
        Err(error) => explain(error, &typed),
    };
    let code = match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say_why(&error);
            error.exit_code()
        }
    };
    events::finish();
    code
}

/// Why the process ends, where everything else that it says goes.
fn say_why(error: &Error) {
    if events::is_installed() {
        serve::failed(error).tell();
    } else {
        say::error(error);
    }
}

fn run(verb: Verb) -> Result<(), Error> {
    match verb {
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Serve(arguments) => serve::run(&arguments),
        Verb::Routes(RoutesCommand { verb: RoutesVerb::Explain(arguments) }) => explain::run(&arguments),
        Verb::Replay(arguments) => replay::run(&arguments),
        Verb::Probe(ProbeCommand { verb: Some(ProbeVerb::Compare(arguments)), .. }) => {
            report::compare(&arguments)
        }
        Verb::Probe(ProbeCommand { measure: Some(arguments), .. }) => probe::run(&arguments),
        Verb::Probe(_) => {
            Err(Error::Input("no target is given; write whom to ask: an address or a name".to_owned()))
        }
        Verb::Demo(arguments) => demo::run(&arguments),
        Verb::Doctor(arguments) => doctor::run(&arguments),
        Verb::Top(arguments) => top::run(&arguments),
        Verb::Capture(arguments) => capture::run(&arguments),
    }
}

/// Help and version are answers; all else is a wrong command line.
///
/// The complaint is that about the same words with their control characters escaped, because clap echoes them: what
/// somebody typed must neither break the line nor move a terminal's cursor.
fn explain(error: clap::Error, typed: &[OsString]) -> Result<(), Error> {
    let words = typed.iter().map(|word| printable(&word.to_string_lossy()));
    let error = Arguments::try_parse_from(words).err().unwrap_or(error);
    let text = error.to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            say::answer(text.trim_end());
            Ok(())
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(Error::Input(
            "no verb is given; write one, such as demo: barelane --help lists them".to_owned(),
        )),
        _ => Err(Error::Input(one_line(&text))),
    }
}

/// What is wrong with the command line, and the remedy, in one line: clap's own words without its usage block.
fn one_line(text: &str) -> String {
    let is_explanation =
        |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more information");
    let lines = text.trim_start_matches("error: ").lines().map(str::trim).take_while(is_explanation);
    let lines: Vec<&str> =
        lines.filter(|line| !line.is_empty()).map(|line| line.trim_start_matches("tip: ")).collect();
    let mut parts: Vec<String> = match lines.split_first() {
        // What is missing is listed below the line that says so.
        Some((first, listed)) if first.ends_with(':') => vec![format!("{first} {}", listed.join(", "))],
        _ => lines.into_iter().map(str::to_owned).collect(),
    };
    if parts.len() == 1 {
        parts.push("barelane --help lists the verbs, and barelane VERB --help what each takes".to_owned());
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_is_told_in_one_line_with_a_remedy() {
        for (typed, parts) in [
            (&["swerve"][..], &["'swerve'", "'serve'"][..]),
            (&["nothing"], &["'nothing'", "barelane --help"]),
            (&["serve", "--nik", "lo"], &["'--nik'", "'--nic'"]),
            (&["serve", "--bogus"], &["'--bogus'", "barelane VERB --help"]),
            (&["serve", "--nic"], &["--nic <IF>", "barelane VERB --help"]),
            (&["replay"], &["<FILE.pcap>"]),
            (&["probe", "::1", "--seconds", "1", "--count", "1"], &["--seconds", "--count"]),
            (&["serve", "a\n\u{1b}[31mb"], &["'a\\n\\u{1b}[31mb'"]),
        ] {
            let typed: Vec<OsString> =
                [&["barelane"], typed].concat().into_iter().map(OsString::from).collect();
            let error = Arguments::try_parse_from(&typed).unwrap_err();
            let line = explain(error, &typed).unwrap_err().to_string();
            assert!(!line.contains('\n') && line.contains("; "), "{line}");
            for part in parts {
                assert!(line.contains(part), "`{part}` is not in\n{line}");
            }
        }
    }
}
