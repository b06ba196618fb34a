//! How far the lanes' cores are from the card.

use super::{Finding, Machine, Requirement, Unread, list};
use crate::cores::as_list;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "nic-numa",
    why: "A core on another NUMA node than the card reads every packet over the link between the sockets: about 100 ns for \
          each cache line, and the card's writes miss the core's cache.",
    check,
};

const NODES: &str = "/sys/devices/system/node";

/// One NUMA node.
struct Node {
    number: u32,
    cores: Vec<usize>,
    /// To each node, by the firmware's measure: 10 is its own.
    distances: Vec<u32>,
}

fn check(machine: &Machine) -> Finding {
    let nodes = match gather(machine) {
        Ok(nodes) if nodes.len() < 2 => return Finding::not_applicable("there is one NUMA node"),
        nodes => nodes,
    };
    let Some(card) = machine.card.as_ref().filter(|card| !card.is_virtual) else {
        return Finding::not_applicable("no card with hardware was named (--nic)");
    };
    Finding::or_unread(nodes.map(|nodes| judge(card.numa_node, &machine.own_lanes, &nodes)))
}

fn gather(machine: &Machine) -> Result<Vec<Node>, Unread> {
    let numbers =
        machine.tree.names(NODES).into_iter().filter_map(|name| name.strip_prefix("node")?.parse().ok());
    let nodes = numbers.map(|number| {
        let directory = format!("{NODES}/node{number}");
        let distances = machine.tree.read(&format!("{directory}/distance"))?;
        Ok(Node {
            number,
            cores: machine.tree.cores(&format!("{directory}/cpulist"))?,
            distances: distances.split_whitespace().filter_map(|distance| distance.parse().ok()).collect(),
        })
    });
    nodes.collect()
}

fn judge(home: Option<u32>, lanes: &[usize], nodes: &[Node]) -> Finding {
    let Some(home) = home.and_then(|home| nodes.iter().position(|node| node.number == home)) else {
        return Finding::cannot_tell("the firmware does not say which node the card is on");
    };
    let far: Vec<_> = nodes
        .iter()
        .enumerate()
        .filter(|(index, node)| *index != home && lanes.iter().any(|lane| node.cores.contains(lane)))
        .collect();
    let Some(home_node) = nodes.get(home) else { return Finding::cannot_tell("no such node") };
    if far.is_empty() {
        return Finding::good(format_args!("card and lanes are on node {}", home_node.number));
    }
    let distances = list(far.iter().map(|(index, node)| {
        let distance = home_node.distances.get(*index).copied().unwrap_or_default();
        format!("node {} (distance {distance})", node.number)
    }));
    Finding::bad(format_args!("the card is on node {}, lanes on {distances}", home_node.number)).remedy(
        format_args!("name with --core cores of node {}: {}", home_node.number, as_list(&home_node.cores)),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn one_lane_on_the_other_node_is_enough() {
        let node = |number, cores: &[usize], distances: &[u32]| Node {
            number,
            cores: cores.to_vec(),
            distances: distances.to_vec(),
        };
        let nodes = [node(0, &[0, 2], &[10, 21]), node(1, &[1, 3], &[21, 10])];
        assert_eq!(judge(Some(1), &[1, 3], &nodes).status, Status::Good);
        let finding = judge(Some(1), &[1, 2], &nodes);
        assert_eq!(finding.status, Status::Bad);
        assert!(finding.found.contains("node 0 (distance 21)"), "{}", finding.found);
        assert_eq!(judge(None, &[1], &nodes).status, Status::CannotTell);
    }
}
