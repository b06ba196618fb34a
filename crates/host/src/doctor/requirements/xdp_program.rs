//! Whether somebody has an XDP program on the card already.

use super::{Finding, Machine, Requirement, with_card};
use crate::doctor::Card;

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "xdp-program",
    why: "A card carries one XDP program, and Barelane replaces nobody's: serve is refused while another one is there.",
    check,
};

/// Barelane's own begin so.
const OURS: &str = "(barelane_";

fn check(machine: &Machine) -> Finding {
    with_card(machine, judge)
}

fn judge(card: &Card) -> Finding {
    match &card.program {
        None => Finding::good("none"),
        Some(program) if program.contains(OURS) => {
            Finding::good(format_args!("{program}: a Barelane server runs"))
        }
        Some(program) => Finding::bad(program)
            .remedy(format_args!("end who attached it, or: ip link set dev {} xdp off", card.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Status, test_card};
    use super::*;

    #[test]
    fn a_strangers_program_is_bad_and_our_own_is_not() {
        let status = |program: Option<&str>| {
            judge(&Card { program: program.map(str::to_owned), ..test_card() }).status
        };
        assert_eq!(status(None), Status::Good);
        assert_eq!(status(Some("program 7 (barelane_driver, native)")), Status::Good);
        assert_eq!(status(Some("program 7 (katran, native)")), Status::Bad);
        assert_eq!(status(Some("program 7 (without a name, generic)")), Status::Bad);
    }
}
