//! Where lanes and housekeeping are placed on machines that are not here, and the reasons that are told.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use std::fs;

use barelane_host::cores::{Placement, Standing, Taken, TooFew, Topology, Wish, place, place_all};
use barelane_host::doctor::Machine;
use testkit::machines;

/// One placement, and what must come of it.
struct Case {
    machine: &'static str,
    nic: &'static str,
    queues: &'static [u32],
    named: &'static [usize],
    housekeeping: Option<usize>,
    taken: &'static [usize],
    /// The lanes' cores, and housekeeping's.
    expected: (&'static [usize], Option<usize>),
    /// What must be among the reasons of the first lane.
    reasons: &'static [&'static str],
    /// What must be among the compromises, one of each in their order: no more, no fewer.
    compromises: &'static [&'static str],
}

const CASE: Case = Case {
    machine: "",
    nic: "",
    queues: &[0],
    named: &[],
    housekeeping: None,
    taken: &[],
    expected: (&[], None),
    reasons: &[],
    compromises: &[],
};

const VM: Case = Case { machine: "virtual-machine", nic: "eth0", ..CASE };
const SERVER: Case = Case { machine: "server", nic: "ens2f0np0", ..CASE };
const LAPTOP: Case = Case { machine: "laptop", nic: "enp0s31f6", ..CASE };
const CLOUD: Case = Case { machine: "cloud", nic: "ens5", ..CASE };
const HYBRID: Case = Case { machine: "hybrid", nic: "enp5s0", ..CASE };

const CASES: &[Case] = &[
    // The core that is not 0, which also gets the card's interrupt.
    Case {
        expected: (&[1], Some(0)),
        reasons: &[
            "not isolated, as no core is",
            "a physical core of its own",
            "where its queue's interrupt comes",
            "core 0 left to other work",
        ],
        ..VM
    },
    // Somebody has that one: then core 0 is better than turns with him.
    Case {
        taken: &[1],
        expected: (&[0], Some(1)),
        reasons: &["core 0 has the machine's other work too"],
        compromises: &["core 1 is housekeeping's, and another server has it too", "a lane is on core 0"],
        ..VM
    },
    // Both cores are lanes' by the operator's wish.
    Case {
        queues: &[0, 1],
        named: &[0, 1],
        expected: (&[0, 1], None),
        reasons: &["named by hand"],
        compromises: &["a lane is on core 0"],
        ..VM
    },
    Case {
        housekeeping: Some(1),
        expected: (&[1], Some(1)),
        compromises: &["housekeeping is on core 1, which a lane has"],
        ..VM
    },
    // Isolated, on the card's node, and queue 0 where its interrupt comes; housekeeping beside them on the node.
    Case {
        queues: &[0, 1, 2],
        expected: (&[6, 5, 7], Some(4)),
        reasons: &[
            "isolated",
            "on the card's NUMA node 1",
            "its sibling 14 left to nobody",
            "where its queue's interrupt comes",
        ],
        compromises: &["cores 13-15 share a physical core with a lane"],
        ..SERVER
    },
    // A fourth lane is isolated no more, but on the node, and on no sibling of the others.
    Case {
        queues: &[0, 1, 2, 3],
        expected: (&[6, 5, 7, 4], Some(0)),
        compromises: &["cores 12-15 share a physical core with a lane"],
        ..SERVER
    },
    // On the wrong node, by hand.
    Case {
        queues: &[0, 1],
        named: &[2, 3],
        expected: (&[2, 3], Some(4)),
        reasons: &["named by hand, not isolated, on NUMA node 0, at distance 21 from the card", "core 6"],
        compromises: &[
            "cores 2-3 are on another NUMA node than the card, which is on 1: every packet crosses the link between them; left to \
             choose it would be 5-6",
            "cores 2-3 are not isolated, and cores 5-7 are",
            "cores 10-11 share a physical core with a lane",
        ],
        ..SERVER
    },
    // Two lanes on one physical core, by hand.
    Case {
        queues: &[0, 1],
        named: &[5, 13],
        expected: (&[5, 13], Some(4)),
        compromises: &[
            "the lanes on cores 5,13 share a physical core with each other",
            "core 13 is not isolated",
        ],
        ..SERVER
    },
    // Another server has one of the isolated cores: its sibling is not taken for free either.
    Case {
        queues: &[0, 1, 2],
        taken: &[6],
        expected: (&[5, 7, 4], Some(0)),
        compromises: &["cores 12-13,15 share a physical core with a lane"],
        ..SERVER
    },
    // A physical core that core 0 has no part of, rather than the one where the interrupt comes.
    Case {
        expected: (&[2], Some(0)),
        reasons: &[
            "its sibling 3 left to nobody",
            "in one cache with core 0, where its queue's interrupt comes",
        ],
        compromises: &["core 3 shares a physical core with a lane"],
        ..LAPTOP
    },
    // Two physical cores for two lanes: one of them is core 0's, and of that the other half.
    Case {
        queues: &[0, 1],
        expected: (&[1, 2], Some(0)),
        reasons: &["its sibling 3 left to nobody", "where its queue's interrupt comes"],
        compromises: &[
            "core 2 is one physical core with core 0",
            "cores 0,3 share a physical core with a lane",
            "housekeeping is on core 0, one physical core with the lane on core 2",
        ],
        ..CLOUD
    },
    // The preferred one of the fast cores.
    Case {
        expected: (&[4], Some(0)),
        reasons: &["one of the fastest (5.2 GHz)", "in one cache with core 2"],
        compromises: &["core 5 shares a physical core with a lane"],
        ..HYBRID
    },
    // Then the other fast ones, of which no half is core 0's; each queue where its interrupt comes.
    Case {
        queues: &[0, 1, 2],
        expected: (&[2, 6, 4], Some(0)),
        reasons: &["4.9 GHz, where the fastest has 5.2 GHz", "where its queue's interrupt comes"],
        compromises: &["cores 3,5,7 share a physical core with a lane"],
        ..HYBRID
    },
    // Five lanes: two slow ones, in two clusters.
    Case {
        queues: &[0, 1, 2, 3, 4],
        expected: (&[2, 6, 9, 4, 12], Some(0)),
        compromises: &[
            "cores 9,12 are not among the fastest: core 1 has 4.9 GHz",
            "cores 3,5,7 share a physical core with a lane",
        ],
        ..HYBRID
    },
    Case {
        named: &[1],
        expected: (&[1], Some(2)),
        compromises: &[
            "core 1 is one physical core with core 0, which the machine's other work uses first; left to choose it would be 4",
            "core 1 is not among the fastest",
            "core 0 shares a physical core with a lane",
        ],
        ..HYBRID
    },
];

fn topology_of(case: &Case) -> Topology {
    let files = machines::Machine::unpack(case.machine, "placement").unwrap();
    Topology::of(&Machine::copy(files.root().to_owned(), Some(case.nic), &[]).unwrap())
}

fn placed(case: &Case) -> Result<Placement, TooFew> {
    let taken = |&core: &usize| Taken { core, by: "another server".to_owned() };
    let taken: Vec<_> = case.taken.iter().map(taken).collect();
    place(&topology_of(case), &Wish { taken: &taken, ..wish_of(case) })
}

fn wish_of(case: &Case) -> Wish<'_> {
    let Case { nic, queues, named: cores, housekeeping, .. } = *case;
    Wish { nic, queues, cores, housekeeping, taken: &[] }
}

/// The same of several cards of one process.
fn placed_together(cards: &[(&Topology, Case)]) -> Result<Vec<Placement>, (usize, TooFew)> {
    let wishes: Vec<_> = cards.iter().map(|(topology, case)| (*topology, wish_of(case))).collect();
    place_all(&wishes)
}

fn cores_of(placement: &Placement) -> Vec<usize> {
    placement.lanes.iter().map(|seat| seat.core).collect()
}

#[test]
fn lanes_and_housekeeping_are_placed_as_expected_with_the_reasons_and_the_compromises() {
    for (number, case) in CASES.iter().enumerate() {
        let placement = placed(case).unwrap();
        let what = format!("case {number} on {}: {placement:#?}", case.machine);
        let lanes: Vec<_> = placement.lanes.iter().map(|seat| seat.core).collect();
        let housekeeping = placement.housekeeping.map(|seat| seat.core);
        assert_eq!((lanes.as_slice(), housekeeping), case.expected, "{what}");
        let why = &placement.lanes[0].why;
        assert!(case.reasons.iter().all(|reason| why.contains(reason)), "{what}");
        let pairs = placement.compromises.iter().zip(case.compromises);
        assert_eq!(placement.compromises.len(), case.compromises.len(), "{what}");
        for (found, wanted) in pairs {
            assert!(found.contains(wanted), "`{wanted}` is not in `{found}`");
        }
    }
}

#[test]
fn two_lanes_on_one_physical_core_are_refused_unless_they_are_named() {
    let case = Case { queues: &[0, 1, 2], ..CLOUD };
    assert_eq!(placed(&case), Err(TooFew { cores: 4, lanes: 2, others: 0 }));
    let placement = placed(&Case { named: &[1, 2, 3], ..case }).unwrap();
    assert!(placement.compromises[0].contains("lanes on cores 1,3 share"), "{:?}", placement.compromises);
}

/// The topologies of the server around a card on each of its nodes, its second one first, with these cores isolated.
fn server_with_two_cards(isolated: &str, test: &str) -> [Topology; 2] {
    let files = machines::Machine::unpack("server", test).unwrap();
    let root = files.root();
    fs::write(root.join("sys/devices/system/cpu/isolated"), isolated).unwrap();
    let card = fs::read_to_string(root.join("card/ens2f0np0.json")).unwrap();
    let mut other: serde_json::Value = serde_json::from_str(&card).unwrap();
    (other["name"], other["numa_node"], other["pci"]) = ("ens1f0np0".into(), 0.into(), "0000:3b:00.0".into());
    fs::write(root.join("card/ens1f0np0.json"), other.to_string()).unwrap();
    let around = |nic| Topology::of(&Machine::copy(root.to_owned(), Some(nic), &[]).unwrap());
    ["ens2f0np0", "ens1f0np0"].map(around)
}

const OTHER: Case = Case { nic: "ens1f0np0", ..SERVER };

#[test]
fn each_of_two_cards_has_its_lanes_on_its_own_node_and_housekeeping_is_in_one_place() {
    let two: &[u32] = &[0, 1];
    for (isolated, expected, housekeeping) in [
        ("1-3,5-7", [[6, 5], [1, 2]], 4),
        // What is isolated on the other node is taken before what is not on one's own.
        ("5-7", [[6, 5], [7, 1]], 4),
        ("", [[6, 4], [1, 2]], 5),
    ] {
        let [one, other] = server_with_two_cards(isolated, &format!("two-cards-{isolated}"));
        let cards = [(&one, Case { queues: two, ..SERVER }), (&other, Case { queues: two, ..OTHER })];
        let placed = placed_together(&cards).unwrap();
        assert_eq!(placed.iter().map(cores_of).collect::<Vec<_>>(), expected, "{isolated}");
        for (index, placement) in placed.iter().enumerate() {
            assert_eq!(placement.housekeeping.as_ref().unwrap().core, housekeeping, "{isolated}");
            assert_eq!(placement.others, expected[1 - index], "{isolated}");
        }
    }
}

#[test]
fn two_cards_of_one_queue_are_placed_as_two_queues_of_one_card() {
    let topology = topology_of(&VM);
    let one = placed(&Case { queues: &[0, 1], ..VM }).unwrap();
    let two = placed_together(&[(&topology, VM), (&topology, Case { nic: "eth1", ..VM })]).unwrap();
    assert_eq!(two.iter().flat_map(cores_of).collect::<Vec<_>>(), cores_of(&one));
    assert!(one.housekeeping.is_none() && two.iter().all(|placement| placement.housekeeping.is_none()));
    let said: Vec<&String> = two.iter().flat_map(|placement| &placement.compromises).collect();
    assert_eq!(said, one.compromises.iter().collect::<Vec<_>>());
    let more = Case { nic: "eth1", queues: &[0, 1], ..VM };
    assert_eq!(
        placed_together(&[(&topology, VM), (&topology, more)]),
        Err((1, TooFew { cores: 1, lanes: 1, others: 1 }))
    );
}

#[test]
fn what_is_named_for_one_card_is_chosen_for_no_other_and_said_where_it_is_named_for_both() {
    let topology = topology_of(&VM);
    let named = Case { nic: "eth1", named: &[1], ..VM };
    let placed = placed_together(&[(&topology, VM), (&topology, Case { ..named })]).unwrap();
    assert_eq!(placed.iter().map(cores_of).collect::<Vec<_>>(), [[0], [1]]);
    let placed = placed_together(&[(&topology, Case { named: &[1], ..VM }), (&topology, named)]).unwrap();
    assert_eq!(placed.iter().map(cores_of).collect::<Vec<_>>(), [[1], [1]]);
    for (placement, by) in placed.iter().zip(["eth1", "eth0"]) {
        let both = format!("core 1 is a lane's, and the lane of queue 0 of {by} has it too");
        assert!(placement.compromises[0].contains(&both), "{:?}", placement.compromises);
    }
    // Two halves of one physical core.
    let topology = topology_of(&CLOUD);
    let halves = [Case { named: &[1], ..CLOUD }, Case { nic: "ens6", named: &[3], ..CLOUD }];
    let [first, second] = halves;
    let placed = placed_together(&[(&topology, first), (&topology, second)]).unwrap();
    let said = "core 3 is one physical core with the lane of queue 0 of ens5: each slows the other down";
    assert!(placed[1].compromises[0].contains(said), "{:?}", placed[1].compromises);
}

#[test]
fn a_core_is_absent_offline_or_forbidden_or_can_be_had() {
    let topology = topology_of(&HYBRID);
    let standings = [13, 14, 15, 16].map(|core| topology.standing(core));
    assert_eq!(standings, [Standing::Usable, Standing::Forbidden, Standing::Offline, Standing::Absent]);
}
