//! Whether what comes over a virtual cable has its checksums.

use super::{Finding, Machine, Requirement, offload_off, with_card};
use crate::doctor::Card;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "veth-checksums",
    why: "A veth whose other end leaves checksums to hardware, of which there is none, delivers packets with unfinished ones: a \
          lane must then take packets on trust, or drop them all.",
    check,
};

fn check(machine: &Machine) -> Finding {
    with_card(machine, judge)
}

fn judge(card: &Card) -> Finding {
    if card.driver.as_deref() != Some("veth") {
        return Finding::not_applicable("not a veth: hardware finishes what it is left with");
    }
    let Some(peer) = &card.peer else {
        return Finding::cannot_tell("the other end is in another network namespace")
            .remedy("look there: ethtool -k PEER; ethtool -K PEER tx off");
    };
    let nic = &peer.card.nic;
    if peer.tx_checksums.is_empty() {
        return Finding::good(format_args!("{nic}, the other end, finishes its checksums"));
    }
    Finding::could_be_better(format_args!("{nic}, the other end, sends unfinished checksums"))
        .remedy(format_args!("ethtool -K {nic} tx off"))
        .changes(peer.tx_checksums.iter().map(|name| offload_off(peer.card.clone(), name)))
}

#[cfg(test)]
mod tests {
    use super::super::{Status, test_card};
    use super::*;
    use crate::doctor::card::Peer;
    use crate::doctor::setting::CardName;

    fn veth(tx_checksums: &[&str]) -> Card {
        let card = CardName { nic: "other0".to_owned(), mac: "02:00:00:00:00:02".to_owned() };
        let tx_checksums = tx_checksums.iter().map(ToString::to_string).collect();
        Card { driver: Some("veth".to_owned()), peer: Some(Peer { card, tx_checksums }), ..test_card() }
    }

    #[test]
    fn it_is_the_other_end_that_counts() {
        assert_eq!(judge(&test_card()).status, Status::NotApplicable);
        assert_eq!(judge(&Card { peer: None, ..veth(&[]) }).status, Status::CannotTell);
        assert_eq!(judge(&veth(&[])).status, Status::Good);
        let finding = judge(&veth(&["tx-checksum-ip-generic"]));
        assert_eq!(finding.changes[0].setting.to_string(), "other0 tx-checksum-ip-generic");
    }
}
