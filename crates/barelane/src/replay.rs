//! `barelane replay`: a capture through the same lane, without a NIC and without privileges.
//!
//! The capture is read twice: first to learn whom its questions are addressed to and when, then by the lane. Time is
//! the capture's own, so that rate limits do here what they would have done there. Every address is treated as
//! Barelane's alone, ARP and neighbour discovery included, since the kernel that was captured is not here. No clock is
//! read for STAMP answers: they leave a nanosecond after their questions came, in 1970, and say that this may be off by any time.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use lane::Lane;
use nic::pcap::{CaptureError, Card, Reader, Writer};
use route::{Address, LaneSettings, NextHop, Owner, PartialChecksums, RouteTable, Tier};
use telemetry::{Counter, Counters, Page, Still, Tick};
use wire::checksum::Summer;

use crate::args::ReplayArguments;
use crate::config::PartialChoice;
use crate::counts::Counts;
use crate::error::{Error, Wrong};
use crate::plan::{stamp_key, table_of};
use crate::{Config, say};

mod listen;
mod trace;

use listen::Heard;
use trace::Traced;

/// Replays, and prints the counts by verdict and reason.
pub fn run(arguments: &ReplayArguments) -> Result<(), Error> {
    let config = match &arguments.config {
        Some(path) => Config::read(path, arguments.nic.as_deref())?,
        None => Config::default(),
    };
    let capture = &arguments.capture;
    if let Some(answers) = &arguments.write {
        refuse_to_overwrite(capture, answers)?;
    }
    let wrong = |error| wrong_capture(capture, &error);
    let heard = Heard::in_capture(open(capture)?, &config.serve.addresses).map_err(wrong)?;
    let (routes, settings) = resolve(&config, &heard)?;
    say::note(describe(&heard, &routes));
    let writer = arguments.write.as_deref().map(create).transpose()?;
    let card = Card::new(open(capture)?, writer);
    let queue = if arguments.trace { Traced::new(card, &routes, &settings) } else { Traced::silent(card) };
    let (_sender, mailbox) = lane::mailbox();
    let tables = Box::new(routes.compile(&settings));
    let page = Arc::new(Page::default());
    let mut lane = Lane::new(queue, tables, Still::default(), page, mailbox);
    play(&mut lane, &heard.turns);
    let counters = lane.counters().clone();
    let (card, disagreement) = lane.into_queue().into_parts();
    card.finish().map_err(|error| match error {
        // What could be opened and then not be read or written to its end is no fault of the input.
        CaptureError::Io(cause) => Error::Failed(format!("the replay broke off: {cause}")),
        other => wrong(other),
    })?;
    say::answer(Counts(&counters));
    judge(disagreement, &counters, heard.packets)
}

/// Fails where the lane did not do what its trace says, lost a frame, or did not get to the capture's end.
fn judge(disagreement: Option<u64>, counters: &Counters, packets: u64) -> Result<(), Error> {
    if let Some(packet) = disagreement {
        return Err(Error::Failed(format!("packet {packet}: the lane did not do what its trace says")));
    }
    match (counters.unaccounted(), counters.of(Counter::Rx)) {
        (0, taken) if taken == packets => Ok(()),
        (0, taken) => Err(Error::Failed(format!("{taken} of {packets} packets were taken"))),
        (count, _) => Err(Error::Failed(format!("{count} frames have no fate"))),
    }
}

/// The lane's turns, each at the instant of its first packet, until the capture ends.
fn play<W: Write>(lane: &mut Lane<Traced<Card<'_, W>>, Still>, turns: &[Tick]) {
    let last = turns.last().copied().unwrap_or_default();
    for &now in turns.iter().chain([&last]) {
        lane.queue_mut().begin_turn(now);
        lane.turn(now);
    }
}

/// The route table and the lane's settings: the configuration's addresses, or those that the capture asks for.
fn resolve(config: &Config, heard: &Heard) -> Result<(RouteTable, LaneSettings), Error> {
    let wanted = if config.serve.addresses.is_empty() { &heard.addresses } else { &config.serve.addresses };
    let address = |&(ip, prefix_len)| Address { ip, prefix_len, owner: Owner::Barelane };
    let addresses: Vec<Address> = wanted.iter().map(address).collect();
    // A capture has no routing table: answers go where its questions came from, whatever a route says.
    let mut reflected = config.clone();
    reflected.routes.iter_mut().for_each(|route| route.next_hop = None);
    let routes = table_of(&reflected, &addresses, Tier::Lane)?;
    let partial_checksums = match config.lane.partial_checksums {
        PartialChoice::Accept => PartialChecksums::Accept,
        PartialChoice::Auto | PartialChoice::Refuse => PartialChecksums::Refuse,
    };
    let settings = LaneSettings {
        mac: heard.mac,
        checksum: Summer::fastest(),
        partial_checksums,
        hop_limit: config.lane.hop_limit,
        errors_per_second: config.lane.errors_per_second,
        next_hop: NextHop::Reflect,
        stamp_key: stamp_key(config)?,
        short_packets: config.stamp.short_packets,
    };
    Ok((routes, settings))
}

fn describe(heard: &Heard, routes: &RouteTable) -> String {
    let addresses: Vec<String> = routes.addresses().iter().map(|address| address.ip.to_string()).collect();
    format!("replaying {} packets as {} at {}", heard.packets, addresses.join(", "), heard.mac)
}

fn open(path: &Path) -> Result<Reader<'static>, Error> {
    let file = File::open(path).map_err(|error| wrong_capture(path, &error.into()))?;
    Reader::new(BufReader::new(file)).map_err(|error| wrong_capture(path, &error))
}

/// Refuses to write into the capture that is read, under whatever name or link: making the file for the answers would
/// empty it between its two readings.
fn refuse_to_overwrite(capture: &Path, answers: &Path) -> Result<(), Wrong> {
    // A file that cannot be looked at does not exist yet, or is refused when it is opened.
    let identity = |path: &Path| path.metadata().ok().map(|file| (file.dev(), file.ino()));
    match identity(answers) {
        Some(file) if identity(capture) == Some(file) => Err(Wrong::new("--write", answers.display())
            .because("this is the capture that is replayed, which would be lost")
            .remedy("name another file")),
        _ => Ok(()),
    }
}

fn create(path: &Path) -> Result<Writer<BufWriter<File>>, Error> {
    let file = File::create(path).map_err(|error| wrong_capture(path, &error.into()))?;
    Writer::new(BufWriter::new(file)).map_err(|error| wrong_capture(path, &error))
}

fn wrong_capture(path: &Path, error: &CaptureError) -> Error {
    Error::Input(format!("{}: {error}", path.display()))
}
