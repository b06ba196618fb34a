//! Whether threads of the kernel's poll the card, in place of softirqs.

use super::{Change, Finding, Machine, Requirement, with_card};
use crate::doctor::Card;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "threaded-napi",
    why: "A thread that polls the card has to be woken and scheduled for every packet that comes alone, and may be put on a \
          lane's core.",
    check,
};

fn check(machine: &Machine) -> Finding {
    with_card(machine, |card| {
        let path = card.directory().map(|directory| format!("{directory}/threaded"));
        let device_wide = path.and_then(|path| machine.tree.number(&path).ok());
        judge(card, device_wide)
    })
}

fn judge(card: &Card, device_wide: Option<i64>) -> Finding {
    let queues = card.napi.as_deref().map(|queues| queues.iter().any(|napi| napi.is_threaded));
    match (queues, device_wide) {
        (None, None) => Finding::cannot_tell(
            "the card is not the one that /sys/class/net shows, and the kernel is older than 6.8",
        ),
        (Some(true), _) | (_, Some(1..)) => {
            let finding = Finding::could_be_better("threads poll the card");
            match (card.directory(), device_wide) {
                (Some(directory), Some(1..)) => finding
                    .remedy(format_args!("echo 0 > {directory}/threaded"))
                    .change(Change::file(format!("{directory}/threaded"), 0)),
                _ => finding.remedy("switch it off queue by queue (ynl --family netdev --do napi-set)"),
            }
        }
        _ => Finding::good("softirqs poll the card"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Status, test_card};
    use super::*;
    use crate::links::Napi;

    #[test]
    fn a_thread_of_a_queue_or_of_the_device_is_found() {
        let status = |is_threaded: Option<bool>, device| {
            let napi = is_threaded.map(|is_threaded| vec![Napi { is_threaded, ..Napi::default() }]);
            judge(&Card { napi, ..test_card() }, device).status
        };
        assert_eq!(status(Some(false), Some(0)), Status::Good);
        assert_eq!(status(Some(true), None), Status::CouldBeBetter);
        assert_eq!(status(None, Some(1)), Status::CouldBeBetter);
        assert_eq!(status(None, None), Status::CannotTell);
    }
}
