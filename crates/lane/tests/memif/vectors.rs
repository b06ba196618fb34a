//! Every vector, put to a lane over memif.

use nic::memif::Role;
use route::{LaneSettings, PartialChecksums, ShortPackets};
use telemetry::Ns;
use testkit::endpoint;
use testkit::vectors::{self, Outcome, Tier, Vector};
use wire::checksum::Summer;
use wire::stamp::Key;

use crate::peer::{MemifLane, Peer, Way};
use crate::simulated::{Counted, settings_of};

/// A lane, and who asks it.
struct Asked {
    own: MemifLane,
    peer: Peer,
}

impl Asked {
    fn new(role: Role, settings: &LaneSettings) -> Self {
        let mut own = MemifLane::new(role, settings);
        let way = Way::of(&own);
        let peer = Peer::connect(&mut own, way);
        Self { own, peer }
    }
}

impl Tier for Asked {
    fn ask(&mut self, question: &[u8], quiet: Ns) -> Outcome {
        let peer = &self.peer;
        self.own.until(|_| peer.has_room(), "room for a question");
        let before = self.own.lane.counters().clone();
        self.peer.ask(question);
        self.own.turn(quiet);
        let answers = self.peer.answers();
        match (&answers[..], Counted::between(&before, self.own.lane.counters())) {
            ([answer], Counted { replied: 1, passed: 0, dropped: None }) => Outcome::Reply(answer.clone()),
            ([], Counted { replied: 0, passed: 0, dropped: reason @ Some(_) }) => Outcome::Drop(reason),
            (_, counted) => Outcome::Nonsense(format!("{} answers, {counted:?}", answers.len())),
        }
    }

    fn can_pass(&self) -> bool {
        false
    }
}

/// Puts every vector of these settings to a lane that has them, in both roles. Gives how many questions that were.
fn ask(settings: vectors::Settings, lane_settings: &LaneSettings) -> usize {
    let all = vectors::load().unwrap();
    let count = |role| {
        let wanted: Vec<&Vector> = all.iter().filter(|vector| vector.settings == settings).collect();
        let tally = vectors::run(wanted, &mut Asked::new(role, lane_settings));
        tally.unwrap_or_else(|failures| panic!("{role:?}: {failures}")).questions
    };
    [Role::Server, Role::Client].map(count).iter().sum()
}

fn lane_settings(partial_checksums: PartialChecksums) -> LaneSettings {
    settings_of(&endpoint::load().unwrap(), partial_checksums, Summer::fastest())
}

#[test]
fn every_vector_holds_over_memif() {
    let questions = ask(vectors::Settings::default(), &lane_settings(PartialChecksums::Refuse));
    assert!(questions > 20_000, "{questions}");
}

#[test]
fn the_vectors_of_virtual_links_hold_over_memif() {
    let settings = vectors::Settings {
        partial_checksums: vectors::PartialChecksums::Accept,
        ..vectors::Settings::default()
    };
    let questions = ask(settings, &lane_settings(PartialChecksums::Accept));
    assert!(questions > 20_000, "{questions}");
}

#[test]
fn the_vectors_of_authenticated_stamp_hold_over_memif() {
    let settings = vectors::Settings { stamp: vectors::Stamp::Authenticated, ..Default::default() };
    let stamp_key = Key::new(endpoint::load().unwrap().stamp.key.as_bytes());
    let questions = ask(settings, &LaneSettings { stamp_key, ..lane_settings(PartialChecksums::Refuse) });
    assert!(questions > 1000, "{questions}");
}

#[test]
fn the_vectors_of_short_stamp_packets_hold_over_memif() {
    let settings = vectors::Settings { short_packets: vectors::ShortPackets::Answer, ..Default::default() };
    let short_packets = ShortPackets::Answer;
    let questions = ask(settings, &LaneSettings { short_packets, ..lane_settings(PartialChecksums::Refuse) });
    assert!(questions > 600, "{questions}");
}

#[test]
fn every_conversation_holds_over_memif() {
    for role in [Role::Server, Role::Client] {
        let mut asked = Asked::new(role, &lane_settings(PartialChecksums::Refuse));
        let tally = vectors::converse(&vectors::conversations().unwrap(), &mut asked);
        assert!(tally.unwrap_or_else(|failures| panic!("{role:?}: {failures}")).questions > 0);
    }
}
