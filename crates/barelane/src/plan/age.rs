//! How old a question may be, how it is known, and how long a queue is worth having then.
//!
//! A question's age is counted from the stamp that the XDP program puts before it. From the moment at which the lane reads its
//! ring it could not be counted: what waits too long waits before that, in the ring. So where there is no stamp, a limit is
//! refused, and never quietly without effect.

use nic::xdp::{ArrivalStamps, ModeChoice, RING_SIZE_DEFAULT, RING_SIZE_MIN, ZeroCopyChoice};
use telemetry::Ns;

use super::Facts;
use crate::config::keys::{AGE_LIMIT, ARRIVAL_STAMPS};
use crate::config::values::duration_text;
use crate::config::{ArrivalChoice, Config};
use crate::error::Wrong;

/// The least that an answer takes where the kernel copies packets, in nanoseconds: sending one took 1.4 µs and more on a veth
/// (Linux 6.18). Too short makes rings deeper than need be, too long drops what could have been answered in time.
const ANSWER_COPIED_NS: u64 = 1_000;
/// The same where it may not copy them: what a packet of 64 bytes takes on a wire of 10 Gbit/s, 67 ns, and the lane's own work.
const ANSWER_IN_PLACE_NS: u64 = 100;

/// Who stamps arrivals.
pub(super) fn stamps(config: &Config, facts: &Facts) -> Result<ArrivalStamps, Wrong> {
    let limit = config.lane.age_limit.map(|limit| Wrong::new(AGE_LIMIT, duration_text(limit)));
    match (config.nic.arrival_stamps, limit) {
        (ArrivalChoice::Driver, _) if facts.is_memif() => Err(Wrong::new(ARRIVAL_STAMPS, "driver")
            .because("no program stands before a queue in shared memory")
            .remedy("write auto or none")),
        (_, Some(limit)) if facts.is_memif() => Err(limit
            .because("no question has an age in shared memory: nobody says there when it came")
            .remedy("write off, or serve an interface of this host")),
        (ArrivalChoice::None, Some(limit)) => Err(limit
            .because(format_args!("no question has an age without its stamp: {ARRIVAL_STAMPS} is none"))
            .remedy(format_args!("write off, or {ARRIVAL_STAMPS} = auto"))),
        (ArrivalChoice::Driver, _) | (ArrivalChoice::Auto, Some(_)) => Ok(ArrivalStamps::Program),
        (ArrivalChoice::None | ArrivalChoice::Auto, None) => Ok(ArrivalStamps::None),
    }
}

/// How many slots the rings have: as many as were asked for; else no more than the age limit leaves time for.
pub(super) fn ring_size(config: &Config, facts: &Facts) -> u32 {
    match (config.nic.ring_size, config.lane.age_limit) {
        (0, None) => RING_SIZE_DEFAULT,
        (0, Some(limit)) => slots_within(limit, answer_ns(config, facts)),
        (size, _) => size,
    }
}

/// Half of a ring's slots have a frame to receive into, and so many questions can wait: those that can be answered within the
/// limit.
fn slots_within(Ns(limit): Ns, answer_ns: u64) -> u32 {
    let waiting = u32::try_from(limit / answer_ns).unwrap_or(u32::MAX).min(RING_SIZE_DEFAULT);
    (waiting * 2).next_power_of_two().clamp(RING_SIZE_MIN, RING_SIZE_DEFAULT)
}

fn answer_ns(config: &Config, facts: &Facts) -> u64 {
    let is_copied = facts.is_veth()
        || config.nic.zero_copy == ZeroCopyChoice::No
        || config.nic.mode == ModeChoice::Generic;
    if is_copied { ANSWER_COPIED_NS } else { ANSWER_IN_PLACE_NS }
}

/// Why the rings are as deep as they are, where that needs a reason.
pub(super) fn explain_rings(config: &Config, facts: &Facts) -> Option<String> {
    let limit = config.lane.age_limit.filter(|_| config.nic.ring_size == 0)?;
    let answer = duration_text(Ns(answer_ns(config, facts)));
    Some(format!(
        "no deeper than an age limit of {} leaves time for, at {answer} an answer",
        duration_text(limit)
    ))
}

/// What becomes of questions that have waited, and how that is known.
pub(super) fn explain(config: &Config, stamps: ArrivalStamps) -> String {
    match (config.lane.age_limit, stamps) {
        (Some(limit), _) => format!(
            "a lane drops what has waited for more than {} when it comes to it (answer_too_old), by the XDP program's stamp",
            duration_text(limit)
        ),
        (None, ArrivalStamps::Program) => {
            "no limit; the XDP program stamps when questions for a lane come".to_owned()
        }
        (None, ArrivalStamps::None) => "no limit, and nobody stamps when questions come".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_holds_what_can_be_answered_in_time() {
        let slots = |limit, answer_ns| slots_within(Ns(limit), answer_ns);
        assert_eq!((slots(1_000, 1_000), slots(128_000, 1_000)), (256, 256));
        assert_eq!((slots(129_000, 1_000), slots(256_000, 1_000)), (512, 512));
        assert_eq!((slots(50_000, 100), slots(1_000_000_000, 100)), (1024, 2048));
    }
}
