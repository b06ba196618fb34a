//! Every length of every question, and questions of many seeds: what is too much to write into vectors.

use route::PartialChecksums;
use telemetry::Ns;
use testkit::endpoint::{self, Owner};
use testkit::packets::{self, Exchange, Kind, Packets};
use testkit::vectors::{Outcome, QUIET, Tier};
use wire::checksum::Summer;

use crate::simulated::{SimulatedLane, card};

#[test]
fn data_of_every_length_come_back_entirely() {
    let endpoint = endpoint::load().unwrap();
    for checksum in Summer::available() {
        let mut lane = SimulatedLane::new(card(), PartialChecksums::Refuse, checksum);
        let choices = packets::choices(&endpoint);
        for (address, kind) in choices.into_iter().filter(|(_, kind)| *kind != Kind::LinkAddress) {
            let data: Vec<u8> =
                (0..=u8::MAX).rev().cycle().take(packets::data_size_max(address.ip, kind)).collect();
            for size in 0..=data.len() {
                let (data, zeros) = data.split_at(size);
                let question = packets::exchange(&endpoint, address.ip, kind, data);
                expect(&mut lane, &question);
                if zeros.is_empty() {
                    expect(&mut lane, &packets::exchange(&endpoint, address.ip, kind, &vec![0; size]));
                }
            }
        }
    }
}

#[test]
fn a_closed_port_is_refused_whatever_was_sent_to_it() {
    let endpoint = endpoint::load().unwrap();
    let closed = Kind::UdpEcho(9);
    let mut lane = SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest());
    for address in endpoint.addresses.iter().filter(|address| address.owner == Owner::Barelane) {
        for size in 0..=packets::data_size_max(address.ip, closed) {
            let question = packets::exchange(&endpoint, address.ip, closed, &vec![0x5a; size]).question;
            // RFC 1812 4.3.2.3, RFC 4443 2.4 (c): the error's headers, and as much of the datagram as fits.
            let packet_len =
                if address.ip.is_ipv4() { (28 + 28 + size).min(576) } else { (48 + 48 + size).min(1280) };
            let outcome = lane.ask(&question, Ns(1_000_000_000));
            let Outcome::Reply(error) = outcome else {
                panic!("{} bytes to {}: {outcome:02x?}", size, address.ip)
            };
            assert_eq!(error.len(), 14 + packet_len, "{size} bytes to {}", address.ip);
        }
    }
}

#[test]
fn valid_questions_of_a_seed_are_all_answered() {
    let endpoint = endpoint::load().unwrap();
    let mut lane = SimulatedLane::new(card(), PartialChecksums::Refuse, Summer::fastest());
    let mut packets = Packets::new(&endpoint, 1);
    for _ in 0..20_000 {
        expect(&mut lane, &packets.valid());
    }
}

#[test]
fn damaged_questions_break_neither_the_counters_nor_the_card() {
    let endpoint = endpoint::load().unwrap();
    for seed in 0..8 {
        let mut lane = SimulatedLane::new(card(), PartialChecksums::Accept, Summer::fastest());
        let mut packets = Packets::new(&endpoint, seed);
        for round in 0..20_000 {
            let question = packets.damaged();
            match lane.ask(&question, Ns(1_000_000)) {
                Outcome::Nonsense(what) => panic!("seed {seed}, packet {round}, {question:02x?}: {what}"),
                Outcome::Pass(frame, _) => assert_eq!(frame, question, "seed {seed}, packet {round}"),
                Outcome::Reply(_) | Outcome::Drop(_) | Outcome::Silence => {}
            }
        }
    }
}

fn expect(lane: &mut impl Tier, Exchange { question, answer }: &Exchange) {
    let outcome = lane.ask(question, QUIET);
    assert!(
        outcome == Outcome::Reply(answer.clone()),
        "{question:02x?}\nwanted {answer:02x?}\nfound {outcome:02x?}"
    );
}
