//! The same frames to the lane alone and to the program with a lane behind it: the same verdict, the same answer byte for
//! byte, the same reason.
//!
//! Where the two may differ, and why:
//!
//! | the lane alone | the program | because |
//! |---|---|---|
//! | hands on | hands on, unchanged | the program has the kernel behind it |
//! | hands on, for a reason | drops, for the same reason | it is for an address that only Barelane has: the kernel would refuse it |
//! | drops, for whatever reason | hands on, unchanged | it is for no address of ours: what is wrong with it is the kernel's to find |
//! | whatever it does | hands on, unchanged | ARP to another station or to a group, which a card does not let in; a tag of the reserved VLAN 4095. A lane behind a program is asked neither |

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::{env, fmt};

use nic::sim::Card;
use nic::{Burst, Frame, Queue};
use testkit::endpoint::{self, Address, Endpoint, Owner};
use testkit::hex;
use testkit::mutants::Mutants;
use testkit::vectors::{self, Outcome, PartialChecksums, QUIET, Settings, Tier};

use crate::can_load;
use crate::simulated::{SimulatedLane, Window, card};
use crate::tier::{Driver, Stage, lane_settings};

/// What CI compares; `cargo xtask soak` asks for ten million by the variable `BARELANE_FRAMES`.
const FRAMES: Range<u64> = 0..200_000;

const ARP: u16 = 0x0806;
/// IEEE 802.1Q 9.6: no VLAN has it.
const RESERVED_VID: u16 = 0x0fff;

/// More than these are one fault seen many times.
const SHOWN_MAX: usize = 8;

/// A card that refuses what it is to hand on, as AF_XDP does, and remembers it: the reason is counted, and it still shows
/// that this is no drop.
pub(crate) struct Telling {
    card: Card,
    has_refused: bool,
}

impl Window for Telling {
    fn card(&mut self) -> &mut Card {
        &mut self.card
    }

    fn has_stack(&self) -> bool {
        false
    }
}

impl Queue for Telling {
    fn rx(&mut self) -> Burst {
        self.card.rx()
    }

    fn next(&mut self, burst: &mut Burst) -> Option<Frame> {
        self.card.next(burst)
    }

    fn room_mut(&mut self, frame: &Frame) -> &mut [u8] {
        self.card.room_mut(frame)
    }

    fn tx(&mut self, frame: Frame) -> Result<(), Frame> {
        self.card.tx(frame)
    }

    fn pass(&mut self, frame: Frame) -> Result<(), Frame> {
        self.has_refused = true;
        Err(frame)
    }

    fn release(&mut self, frame: Frame) {
        self.card.release(frame);
    }

    fn flush(&mut self) {
        self.card.flush();
    }
}

/// Such a card.
pub(crate) fn telling() -> Telling {
    Telling { card: card(), has_refused: false }
}

/// A lane on it.
pub(crate) fn lane(settings: Settings) -> SimulatedLane<Telling> {
    SimulatedLane::with(telling(), lane_settings(settings))
}

/// What the lane alone does: an answer, a drop, or a pass with the reason that it would have counted.
pub(crate) fn judge(lane: &mut SimulatedLane<Telling>, frame: &[u8]) -> Outcome {
    lane.lane.queue_mut().has_refused = false;
    match lane.ask(frame, QUIET) {
        Outcome::Drop(reason) if lane.lane.queue().has_refused => Outcome::Pass(frame.to_vec(), reason),
        outcome => outcome,
    }
}

/// Whether the driver tier did what the lane alone does, or what the table above lets it do.
fn agree(frame: &[u8], alone: &Outcome, stage: Option<Stage>, found: &Outcome, own: &Own) -> bool {
    let Some(stage) = stage else { return false };
    match (stage, alone, found) {
        (Stage::Answered, Outcome::Reply(_), _)
        | (Stage::Dropped, Outcome::Drop(_), _)
        | (Stage::HandedOn, Outcome::Reply(_) | Outcome::Drop(_), _) => alone == found,
        (Stage::Dropped | Stage::HandedOn, Outcome::Pass(_, wanted), Outcome::Drop(reason)) => {
            wanted == reason && own.is_asked(frame)
        }
        (Stage::Passed, Outcome::Pass(..) | Outcome::Drop(_), Outcome::Pass(same, _)) => {
            same == frame && !own.is_asked(frame)
        }
        (Stage::Passed, Outcome::Reply(_), Outcome::Pass(same, _)) => {
            same == frame && own.is_elsewhere(frame)
        }
        _ => false,
    }
}

/// What the program takes from the kernel, found another way than the program finds it.
struct Own {
    mac: [u8; 6],
    /// The addresses that Barelane alone has, as they lie in a packet.
    alone: Vec<Vec<u8>>,
    /// Addresses that the kernel has too, and the UDP ports that are claimed there.
    claimed: Vec<(Vec<u8>, u16)>,
}

impl Own {
    fn of(endpoint: &Endpoint) -> Self {
        let bytes = |address: &Address| match address.ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let (alone, shared): (Vec<_>, Vec<_>) =
            endpoint.addresses.iter().partition(|address| address.owner == Owner::Barelane);
        let ports = |address: &Address| {
            let port = |name: &String| name.strip_prefix("udp-echo:").unwrap().parse().unwrap();
            address.services.iter().map(port).collect::<Vec<_>>()
        };
        let claimed = shared.into_iter().flat_map(|address| {
            ports(address).into_iter().map(|port| (bytes(address), port)).collect::<Vec<_>>()
        });
        Self { mac: endpoint.mac, alone: alone.into_iter().map(bytes).collect(), claimed: claimed.collect() }
    }

    /// Whether a frame is to us and for an address, or a port of it, that is claimed.
    fn is_asked(&self, frame: &[u8]) -> bool {
        let is_ours = frame[..6] == self.mac;
        let (_, ethertype, packet) = untagged(frame);
        if self.is_elsewhere(frame) {
            return false;
        }
        let names = |at: usize, len| {
            packet.get(at..at + len).is_some_and(|ip| self.alone.iter().any(|own| own == ip))
        };
        match ethertype {
            ARP => packet.len() >= 28 && (names(14, 4) || names(24, 4)),
            0x0800 => is_ours && (names(16, 4) || self.is_claimed(packet, 0x45, 20, 9, 16)),
            0x86dd => {
                let is_solicitation =
                    packet.len() >= 64 && packet[0] >> 4 == 6 && (packet[6], packet[40]) == (58, 135);
                (is_solicitation && names(48, 16))
                    || (is_ours && (names(24, 16) || self.is_claimed(packet, 0x60, 40, 6, 24)))
            }
            _ => false,
        }
    }

    /// Whether a frame is to another station, or of a VLAN that there cannot be; ARP to some of all is too.
    fn is_elsewhere(&self, frame: &[u8]) -> bool {
        let (tags, ethertype, _) = untagged(frame);
        let (is_ours, is_to_all) = (frame[..6] == self.mac, frame[..6] == [0xff; 6]);
        let is_to_many = if ethertype == ARP { is_to_all } else { frame[0] & 1 == 1 };
        tags.contains(&RESERVED_VID) || !(is_ours || is_to_many)
    }

    /// Whether a plain packet asks a claimed port of an address that the kernel has too.
    fn is_claimed(&self, packet: &[u8], first: u8, header: usize, protocol: usize, target: usize) -> bool {
        let is_plain = match first {
            0x45 => {
                packet.len() >= 28 && packet[0] == 0x45 && matches!(packet[6..8], [0 | 0x40 | 0x80 | 0xc0, 0])
            }
            _ => packet.len() >= 48 && packet[0] & 0xf0 == 0x60,
        };
        is_plain
            && packet[protocol] == 17
            && self.claimed.iter().any(|(ip, port)| {
                target + ip.len() == header
                    && packet[target..header] == *ip
                    && packet[header + 2..header + 4] == port.to_be_bytes()
            })
    }
}

/// The VLANs of the first two tags, the Ethernet type behind them, and what follows it.
fn untagged(frame: &[u8]) -> (Vec<u16>, u16, &[u8]) {
    let word = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    let is_tag = |tag: &&[u8]| [0x8100, 0x88a8].contains(&word(tag));
    let tags = frame[12..].chunks_exact(4).take(2).take_while(is_tag);
    let vids: Vec<_> = tags.map(|tag| word(&tag[2..]) & 0x0fff).collect();
    let rest = &frame[12 + 4 * vids.len()..];
    if rest.len() < 2 { (vids, 0, &[]) } else { (vids, word(rest), &rest[2..]) }
}

/// What became of the frames, by the way through the program and by the lane's verdict.
#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) fates: BTreeMap<(String, &'static str), u64>,
    pub(crate) failed: u64,
    shown: Vec<String>,
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((stage, verdict), count) in &self.fates {
            writeln!(out, "{count:>9}  {stage:<10} lane alone: {verdict}")?;
        }
        self.shown.iter().try_for_each(|one| writeln!(out, "{one}"))
    }
}

pub(crate) fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Reply(_) => "reply",
        Outcome::Pass(..) => "pass",
        Outcome::Drop(reason) => reason.map_or("drop", |reason| reason.name()),
        Outcome::Silence => "silence",
        Outcome::Nonsense(_) => "nonsense",
    }
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Reply(frame) | Outcome::Pass(frame, None) => {
            format!("{}\n{}", name(outcome), hex::rows(frame))
        }
        Outcome::Pass(_, Some(reason)) => format!("pass, {}", reason.name()),
        Outcome::Nonsense(what) => what.clone(),
        _ => name(outcome).to_owned(),
    }
}

/// Compares the two on the frames of these seeds. `what` says to a reader how the two are set.
pub(crate) fn compare(
    seeds: Range<u64>,
    what: &impl fmt::Debug,
    alone: &mut SimulatedLane<Telling>,
    driver: &mut Driver,
) -> Summary {
    let (endpoint, vectors) = (endpoint::load().unwrap(), vectors::load().unwrap());
    let mutants = Mutants::new(&endpoint, &vectors);
    let (own, mut summary) = (Own::of(&endpoint), Summary::default());
    for seed in seeds {
        let frame = mutants.of(seed);
        let wanted = judge(alone, &frame);
        let (stage, mut found) = driver.judge(&frame);
        if stage == Some(Stage::HandedOn) {
            found = driver.lane().ask(&frame, QUIET);
        }
        *summary.fates.entry((format!("{stage:?}"), name(&wanted))).or_default() += 1;
        if !agree(&frame, &wanted, stage, &found, &own) {
            summary.failed += 1;
            if summary.shown.len() < SHOWN_MAX {
                let rows = hex::rows(&frame);
                summary.shown.push(format!(
                    "BARELANE_FRAMES={seed}..{} repeats this one, {what:?}:\n{rows}  lane alone: {}\n  {stage:?}: {}",
                    seed + 1,
                    told(&wanted),
                    told(&found),
                ));
            }
        }
    }
    summary
}

/// The seeds of this run.
pub(crate) fn seeds() -> Range<u64> {
    let Ok(wanted) = env::var("BARELANE_FRAMES") else { return FRAMES };
    let (first, end) = wanted.split_once("..").expect("BARELANE_FRAMES=FIRST..END");
    first.parse().unwrap()..end.parse().unwrap()
}

#[test]
fn the_lane_and_the_driver_do_the_same_with_every_frame_of_a_random_run() {
    if !can_load() {
        return;
    }
    // Half of them as on a wire, half as on a virtual link; one alone both ways.
    let Range { start, end } = seeds();
    let middle = if end - start == 1 { [start, end] } else { [start.midpoint(end); 2] };
    let runs = [(start..middle[1], PartialChecksums::Refuse), (middle[0]..end, PartialChecksums::Accept)];
    for (seeds, setting) in runs {
        let count = seeds.end - seeds.start;
        let settings = Settings { partial_checksums: setting, ..Settings::default() };
        let summary = compare(seeds, &setting, &mut lane(settings), &mut Driver::load(settings));
        println!("{count} frames, partial checksums: {setting:?}\n{summary}");
        assert_eq!(summary.failed, 0, "of {count}, partial checksums: {setting:?}\n{summary}");
    }
}
