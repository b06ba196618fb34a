//! Whether the kernel puts the card's interrupts off (`napi_defer_hard_irqs`, `gro_flush_timeout`).
//!
//! The two are made for a program that polls the card itself (Documentation/networking/napi.rst): while it does, interrupts
//! stay away, and where it does not, a timer polls. Without such a program every packet waits for the timer: on a veth, round
//! trips went from 7 to 205 µs.

use super::{Change, Finding, Machine, Requirement, with_card};
use crate::doctor::Card;
use crate::links::Napi;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "interrupt-deferral",
    why: "With interrupts put off, packets wait for a timer wherever no program polls the card itself: right with \
          `--wake busy-poll`, wrong with every other way to wake.",
    check,
};

fn check(machine: &Machine) -> Finding {
    with_card(machine, |card| judge(card, device_wide(machine, card)))
}

/// The two figures of the device, where its directory is to be had: they are what new queues begin with.
fn device_wide(machine: &Machine, card: &Card) -> Option<(i64, i64)> {
    let directory = card.directory()?;
    let number = |name: &str| machine.tree.number(&format!("{directory}/{name}")).ok();
    Some((number("napi_defer_hard_irqs")?, number("gro_flush_timeout")?))
}

fn judge(card: &Card, device_wide: Option<(i64, i64)>) -> Finding {
    let queues = card.napi.iter().flatten();
    let of_queues =
        queues.filter_map(|napi: &Napi| Some((napi.defer_hard_irqs?, napi.gro_flush_timeout_ns?)));
    let of_device =
        device_wide.and_then(|(defer, timeout)| Some((defer.try_into().ok()?, timeout.try_into().ok()?)));
    let told: Vec<(u64, u64)> = of_queues.chain(of_device).collect();
    let Some(&(defer, timeout_ns)) = told.iter().max_by_key(|(defer, timeout)| (*defer > 0, *timeout)) else {
        return Finding::cannot_tell(
            "the card is in another network namespace than /sys/class/net shows, or is down",
        );
    };
    if timeout_ns == 0 {
        // Deferral counts polls of the timer, and there is none.
        return Finding::good("interrupts are not put off");
    }
    let found = format!("put off {defer} times by {} µs", timeout_ns / 1_000);
    let finding = if defer > 0 { Finding::bad(found) } else { Finding::could_be_better(found) };
    let (Some(directory), Some(of_device)) = (card.directory(), device_wide.filter(|found| *found != (0, 0)))
    else {
        return finding.remedy("set both to 0 queue by queue (ynl --family netdev --do napi-set)");
    };
    let figures = [("napi_defer_hard_irqs", of_device.0), ("gro_flush_timeout", of_device.1)];
    let set = figures.into_iter().filter(|(_, found)| *found != 0);
    finding
        .remedy(format_args!("echo 0 > {directory}/gro_flush_timeout; or serve with --wake busy-poll"))
        .changes(set.map(|(name, _)| Change::file(format!("{directory}/{name}"), 0)))
}

#[cfg(test)]
mod tests {
    use super::super::{Status, test_card};
    use super::*;

    fn napi(defer: u64, timeout_ns: u64) -> Napi {
        Napi { defer_hard_irqs: Some(defer), gro_flush_timeout_ns: Some(timeout_ns), ..Napi::default() }
    }

    #[test]
    fn it_is_bad_where_both_figures_are_set_on_any_queue_or_on_the_device() {
        let status = |queues: &[Napi], device| {
            judge(&Card { napi: Some(queues.to_vec()), ..test_card() }, device).status
        };
        assert_eq!(status(&[napi(0, 0)], Some((0, 0))), Status::Good);
        assert_eq!(status(&[napi(2, 0)], None), Status::Good);
        assert_eq!(status(&[napi(0, 200_000)], None), Status::CouldBeBetter);
        assert_eq!(status(&[napi(0, 0), napi(2, 200_000)], None), Status::Bad);
        assert_eq!(status(&[], Some((2, 200_000))), Status::Bad);
        assert_eq!(status(&[], None), Status::CannotTell);
    }
}
