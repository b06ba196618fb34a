//! The Linux kernel as an oracle: it answers ARP, neighbour discovery and echo requests too, and was written by others.
//!
//! The same random and mutated frames go to a lane over a simulated card, and over a virtual cable to a kernel that has
//! Barelane's addresses. Who answers? And is the answer the same, but for what `docs/conformance.md` says of TTL, ID, DF,
//! flow label and ECN? `deviations` names every difference that there may be, and why. What the lane does the driver does
//! (`differential`), so that the driver is not asked here.
//!
//! Behind each question goes a request that is answered for certain, from another asker: when its answer comes the kernel
//! is done with the question, since each end's one queue is worked off in order. Nothing waits for what does not come.

mod deviations;

use std::collections::BTreeMap;
use std::env;
use std::net::IpAddr;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use host::namespace::Namespace;
use host::packet::PacketSocket;
use nic::xdp::bare::BareAttachment;
use testkit::endpoint::{self, Address, Endpoint, Owner};
use testkit::hex;
use testkit::mutants::Mutants;
use testkit::packets::{self, Exchange, Kind};
use testkit::vectors::{self, Outcome, Settings};

use self::deviations::{DEVIATIONS, comparable, deviation};
use crate::cable::{Cable, Which, silent};
use crate::can_lay;
use crate::differential::{judge, lane, name};

/// The seeds of a run, of whose frames about a quarter are such that a kernel could answer; others by `BARELANE_ORACLE`.
const FRAMES: Range<u64> = 0..40_000;
/// Those of frames with which deviations show that are too rare for these.
const RARE: [u64; 1] = [1_316_535];
/// Far longer than a kernel takes.
const LIMIT: Duration = Duration::from_secs(5);
const ROOM: usize = 4096;

const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// More than these are one fault seen many times.
const SHOWN_MAX: usize = 3;

/// A kernel that has the addresses that only Barelane has elsewhere.
struct Oracle {
    client: PacketSocket,
    /// Asks that are answered for certain: what tells that everything before was judged.
    last: Exchange,
    /// Tells the kernel again where the asker is, over both families.
    introductions: [Vec<u8>; 2],
    /// With a program an end of a veth has a queue of its own, and not one for each core that sends.
    _in_order: [BareAttachment; 2],
    _cable: Cable,
}

impl Oracle {
    fn new(endpoint: &Endpoint) -> Self {
        let is_own = |address: &&Address| address.owner == Owner::Barelane;
        let own: Vec<(IpAddr, u8)> = endpoint
            .addresses
            .iter()
            .filter(is_own)
            .map(|address| (address.ip, address.prefix_len))
            .collect();
        let cable = Cable::between(Namespace::new().unwrap(), silent(), &own);
        cable.forget_whom_it_cannot_reach();
        let mut other = endpoint.clone();
        (other.asker.mac, other.asker.ipv4) = ([2, 0, 0, 0, 0, 12], [10, 0, 0, 12].into());
        let question = |ip| packets::exchange(endpoint, ip, Kind::LinkAddress, &[]).question;
        let [ipv4, ipv6] =
            [IpAddr::is_ipv4, IpAddr::is_ipv6].map(|is| own.iter().find(|(ip, _)| is(ip)).unwrap().0);
        let oracle = Self {
            client: cable.client_socket(),
            last: packets::exchange(&other, ipv4, Kind::LinkAddress, &[]),
            introductions: [question(ipv4), question(ipv6)],
            _in_order: [cable.pass_at(Which::Server), cable.pass_at(Which::Client)],
            _cable: cable,
        };
        // The kernel joins the groups of its IPv6 addresses on a thread of its own (`addrconf_dad_work`).
        let deadline = Instant::now() + LIMIT;
        while !oracle.is_introduced() {
            assert!(Instant::now() < deadline, "the kernel does not answer for its addresses");
            thread::yield_now();
        }
        oracle
    }

    /// What the kernel answers; nothing where it does not. What it sends else, questions of its own and errors, is no answer.
    fn ask(&self, question: &[u8]) -> Option<Vec<u8>> {
        assert!(self.is_introduced(), "the kernel does not learn where the asker is");
        self.client.send(question).unwrap();
        let mut answers = self.until_last();
        assert!(
            answers.len() < 2,
            "two answers:\n{}",
            answers.iter().map(|one| hex::rows(one)).collect::<String>()
        );
        answers.pop()
    }

    /// Tells the kernel where the asker is; says whether it has answered over both families.
    fn is_introduced(&self) -> bool {
        self.introductions.iter().for_each(|introduction| self.client.send(introduction).unwrap());
        self.until_last().len() == self.introductions.len()
    }

    /// Every answer up to that to the last question.
    fn until_last(&self) -> Vec<Vec<u8>> {
        self.client.send(&self.last.question).unwrap();
        let mut answers = Vec::new();
        loop {
            let frame = self.client.receive_whole(&mut [0xa5; ROOM], LIMIT).unwrap();
            let frame = padded(frame.expect("the kernel answers"));
            if frame == self.last.answer {
                return answers;
            }
            if is_answer(&frame) {
                answers.push(frame);
            }
        }
    }
}

/// As a card sends it: the kernel leaves padding to the card.
fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(60), 0);
    frame
}

fn ethertype(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[12], frame[13]])
}

/// An ARP reply, an echo reply, an advertisement.
fn is_answer(frame: &[u8]) -> bool {
    match ethertype(frame) {
        ARP => frame[20..22] == [0, 2],
        IPV4 => frame[23] == 1 && frame[34] == 0,
        IPV6 => frame[20] == 58 && matches!(frame[54], 129 | 136),
        _ => false,
    }
}

/// Whether a kernel could answer that in one of the ways above: no tag, which this kernel does not understand.
fn is_in_question(frame: &[u8]) -> bool {
    match ethertype(frame) {
        ARP => true,
        IPV4 => frame.len() > 34 && frame[23] == 1,
        IPV6 => frame.len() > 54 && !matches!(frame[20], 6 | 17),
        _ => false,
    }
}

/// What two have said to one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Alike,
    /// Not the same, which is this deviation.
    Otherwise(&'static str),
    Wrong,
}

fn compare(question: &[u8], kernels: Option<&[u8]>, lanes: &Outcome, endpoint: &Endpoint) -> Said {
    let lanes_answer = if let Outcome::Reply(answer) = lanes { Some(comparable(answer)) } else { None };
    if kernels.map(comparable) == lanes_answer {
        return Said::Alike;
    }
    deviation(question, kernels, lanes, endpoint).map_or(Said::Wrong, Said::Otherwise)
}

/// What a run has found.
#[derive(Debug, Default)]
struct Found {
    answered: u64,
    unanswered: u64,
    deviations: BTreeMap<&'static str, u64>,
    faults: Vec<String>,
}

/// One question that they did not answer alike, and how to ask it again.
fn fault(seed: u64, question: &[u8], kernels: Option<&[u8]>, lanes: &Outcome) -> String {
    let rows = |answer: Option<&[u8]>| answer.map_or("    nothing\n".to_owned(), hex::rows);
    let answer = if let Outcome::Reply(answer) = lanes { Some(&answer[..]) } else { None };
    format!(
        "BARELANE_ORACLE={seed}..{} repeats this one\n{}  the kernel:\n{}  the lane, {}:\n{}",
        seed + 1,
        hex::rows(question),
        rows(kernels),
        name(lanes),
        rows(answer)
    )
}

/// The seeds of this run.
fn seeds() -> Range<u64> {
    let Ok(wanted) = env::var("BARELANE_ORACLE") else { return FRAMES };
    let (first, end) = wanted.split_once("..").expect("BARELANE_ORACLE=FIRST..END");
    first.parse().unwrap()..end.parse().unwrap()
}

#[test]
fn a_kernel_and_a_lane_answer_alike_but_for_what_is_documented() {
    if !can_lay() {
        return;
    }
    let (endpoint, vectors) = (endpoint::load().unwrap(), vectors::load().unwrap());
    let mutants = Mutants::new(&endpoint, &vectors);
    let (oracle, mut lane, mut found) = (Oracle::new(&endpoint), lane(Settings::default()), Found::default());
    for seed in seeds().chain(RARE) {
        let question = mutants.of(seed);
        if !is_in_question(&question) {
            continue;
        }
        let lanes = judge(&mut lane, &question);
        let kernels = oracle.ask(&question);
        match (compare(&question, kernels.as_deref(), &lanes, &endpoint), kernels) {
            (Said::Alike, Some(_)) => found.answered += 1,
            (Said::Alike, None) => found.unanswered += 1,
            (Said::Otherwise(name), _) => *found.deviations.entry(name).or_default() += 1,
            (Said::Wrong, kernels) => found.faults.push(fault(seed, &question, kernels.as_deref(), &lanes)),
        }
    }
    let Found { answered, unanswered, deviations, faults } = &found;
    println!("{answered} answered alike, {unanswered} by neither; {deviations:#?}");
    let shown = faults.iter().take(SHOWN_MAX).map(String::as_str).collect::<String>();
    assert!(faults.is_empty(), "{} questions are answered otherwise:\n{shown}", faults.len());
    if seeds() == FRAMES {
        assert!(*answered > 2_000 && *unanswered > 2_000);
        assert_eq!(deviations.keys().count(), DEVIATIONS.len(), "a deviation that does not show is none");
    }
}

#[test]
fn a_kernel_and_a_lane_echo_every_length_alike() {
    if !can_lay() {
        return;
    }
    let endpoint = endpoint::load().unwrap();
    let oracle = Oracle::new(&endpoint);
    for (address, kind) in packets::choices(&endpoint) {
        if kind != Kind::Echo {
            continue;
        }
        let data: Vec<u8> =
            (0..packets::data_size_max(address.ip, kind)).map(|at| (at * 7 + 1).to_le_bytes()[0]).collect();
        for size in 0..=data.len() {
            let Exchange { question, answer } = packets::exchange(&endpoint, address.ip, kind, &data[..size]);
            let kernels = oracle.ask(&question).unwrap_or_else(|| panic!("{size} bytes to {}", address.ip));
            assert_eq!(comparable(&kernels), comparable(&answer), "{size} bytes to {}", address.ip);
        }
    }
}

#[test]
fn every_deviation_stands_in_the_documentation() {
    let documented = include_str!("../../../../docs/conformance.md");
    for deviation in DEVIATIONS {
        assert!(
            documented.to_lowercase().contains(&format!("| {}", deviation.to_lowercase())),
            "{deviation}"
        );
    }
}
