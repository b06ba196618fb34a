//! How many questions are remembered.
//!
//! Each one for its whole time-out, since that is how long it may wait, and as long again, so that an answer that is
//! late is told from one that was never asked for:
//!
//! ```text
//!   slots = 2 × (rate × time-out + what the rate may exceed its mean by), up to the next power of two
//! ```

use telemetry::Ns;

use crate::ask::{Ask, AskError, Protocol};
use crate::schedule::{Arrivals, Ramp, Schedule};

/// As many as the 16-bit sequence number of an echo header can tell apart. Fewer would save nothing worth having: this
/// is 2 MiB.
pub const REMEMBERED_MIN: usize = 1 << 16;

/// The most: half a gibibyte of slots. It carries eight million questions per second with a time-out of one second.
pub const REMEMBERED_MAX: usize = 1 << 24;

/// What a closed loop with a window is taken to reach, in questions per second: what one core carries over AF_XDP.
/// A faster one only pauses where a question is lost and as many others as are remembered have been asked behind it.
const CLOSED_RATE: f64 = 2e6;

/// A payload shorter than this has no room for our own sequence number.
const OWN_SEQUENCE_SIZE: usize = 8;

/// How many questions have to be remembered, a power of two.
///
/// # Errors
/// More would wait than can be remembered, or than can be told apart.
pub fn slot_count(ask: &Ask) -> Result<usize, AskError> {
    let is_short = ask.protocol == Protocol::Icmp && ask.size < OWN_SEQUENCE_SIZE;
    let wanted = match ask.schedule {
        // The oldest question that waits is the newest one.
        Schedule::Closed { window: 1, .. } => return Ok(REMEMBERED_MIN),
        Schedule::Closed { .. } => waiting(CLOSED_RATE, ask.timeout).min(as_float(REMEMBERED_MAX)),
        Schedule::Open { arrivals, rate } => of_open_loop(ask, arrivals, rate, is_short)?,
    };
    Ok(if is_short { REMEMBERED_MIN } else { round_up(wanted) })
}

fn of_open_loop(ask: &Ask, arrivals: Arrivals, rate: Ramp, is_short: bool) -> Result<f64, AskError> {
    let mean = waiting(rate.highest(), ask.timeout);
    if is_short && 2.0 * mean > as_float(REMEMBERED_MIN) {
        return Err(AskError::NotToldApart { size: ask.size, waiting: mean.ceil() });
    }
    if 2.0 * mean > as_float(REMEMBERED_MAX) {
        return Err(AskError::TooManyWaiting { rate, timeout: ask.timeout.0, waiting: mean.ceil() });
    }
    Ok(match arrivals {
        Arrivals::Periodic => 2.0 * mean,
        // Ten standard deviations of a Poisson number: more never come, in the life of the universe.
        Arrivals::Poisson => 2.0 * (mean + 10.0 * mean.sqrt()),
    })
}

/// How many questions are asked within the time-out.
#[expect(clippy::cast_precision_loss, reason = "Ask::check bounds the time-out by 2^36 ns")]
fn waiting(rate: f64, timeout: Ns) -> f64 {
    rate * (timeout.0 as f64 / 1e9)
}

#[expect(clippy::cast_precision_loss, reason = "powers of two are exact")]
const fn as_float(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most REMEMBERED_MAX")]
fn round_up(wanted: f64) -> usize {
    (wanted.ceil() as usize).next_power_of_two().clamp(REMEMBERED_MIN, REMEMBERED_MAX)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn ask(rate: f64, timeout: u64, size: usize) -> Ask {
        let schedule = Schedule::Open { arrivals: Arrivals::Periodic, rate: Ramp::constant(rate) };
        Ask {
            schedule,
            size,
            timeout: Ns(timeout),
            ..Ask::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Protocol::Icmp)
        }
    }

    #[test]
    fn the_memory_holds_two_time_outs_of_questions() {
        for (rate, timeout, slots) in [
            (1.0, 1_000_000_000, REMEMBERED_MIN),
            (32_768.0, 1_000_000_000, REMEMBERED_MIN),
            (32_769.0, 1_000_000_000, 2 * REMEMBERED_MIN),
            (8_388_608.0, 1_000_000_000, REMEMBERED_MAX),
        ] {
            assert_eq!(slot_count(&ask(rate, timeout, 56)), Ok(slots), "{rate}");
        }
    }

    #[test]
    fn more_than_can_be_remembered_is_refused_with_the_remedy() {
        let error = slot_count(&ask(1_000_000.0, 60_000_000_000, 56)).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("timeout: ") && text.contains("60000000 questions"), "{text}");
        assert!(text.ends_with("give a time-out of at most 8388608000 ns, or a lower rate"), "{text}");
        assert!(slot_count(&ask(1_000_000.0, 8_388_608_000, 56)).is_ok());
    }

    #[test]
    fn short_echoes_that_cannot_be_told_apart_are_refused() {
        assert_eq!(slot_count(&ask(32_768.0, 1_000_000_000, 7)), Ok(REMEMBERED_MIN));
        let error = slot_count(&ask(40_000.0, 1_000_000_000, 7)).unwrap_err();
        assert!(matches!(error, AskError::NotToldApart { size: 7, .. }), "{error}");
        assert!(slot_count(&ask(40_000.0, 1_000_000_000, 8)).is_ok());
    }

    #[test]
    fn a_window_is_remembered_for_its_time_out_as_well() {
        let schedule = Schedule::Closed { window: 64, gap: Ns(0) };
        assert_eq!(slot_count(&Ask { schedule, ..ask(1.0, 1_000_000_000, 56) }), Ok(1 << 21));
        assert_eq!(slot_count(&Ask { schedule, ..ask(1.0, 60_000_000_000, 56) }), Ok(REMEMBERED_MAX));
    }
}
