//! When a lane sleeps.

use std::time::Duration;

use super::Plan;
use crate::config::keys::{IDLE, IDLES, KEEP_WARM, name_of};
use crate::config::values::duration_text;
use crate::config::{Config, IdleChoice};
use crate::error::Wrong;

/// How long a lane sleeps at most: so late are its counts published, tables taken, and orders followed. Shorter wakes a core that
/// has nothing to do more often, which is 0.1 % of it for each 100 times a second; longer keeps a reload and a stop waiting.
pub(crate) const SLEEP_MAX: Duration = Duration::from_millis(10);

/// When a lane sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Never.
    Spin,
    /// Where nothing has come for so long.
    SleepAfter(Duration),
}

impl Idle {
    /// What the configuration means.
    pub fn of(config: &Config) -> Self {
        match config.lane.idle {
            IdleChoice::Spin => Self::Spin,
            IdleChoice::Adaptive => Self::SleepAfter(Duration::from_micros(config.lane.spin_for_us.into())),
            IdleChoice::Interrupt => Self::SleepAfter(Duration::ZERO),
        }
    }
}

/// Refuses to keep warm what is let go cold.
pub(super) fn check_keep_warm(config: &Config) -> Result<(), Wrong> {
    let Some(after) = config.lane.keep_warm.filter(|_| Idle::of(config) != Idle::Spin) else { return Ok(()) };
    let problem = format!(
        "{IDLE} is {}, and a lane that sleeps leaves its core to others",
        name_of(IDLES, &config.lane.idle)
    );
    Err(Wrong::new(KEEP_WARM, duration_text(after))
        .because(problem)
        .remedy(format_args!("write off, or {IDLE} = spin")))
}

impl Plan {
    /// When its lanes sleep. In shared memory a queue sleeps by itself, as `nic.memif` says.
    pub fn idle(&self) -> Idle {
        Idle::of(&self.config)
    }

    /// Whether its lanes sleep where nothing comes.
    pub(crate) fn may_sleep(&self) -> bool {
        self.card.may_sleep() || self.idle() != Idle::Spin
    }

    /// What its lanes do where nothing comes, in words.
    pub fn explain_idle(&self) -> String {
        let name = name_of(IDLES, &self.config.lane.idle);
        match self.idle() {
            Idle::Spin => {
                let warm = self.config.lane.keep_warm.map_or_else(String::new, |after| {
                    let after = duration_text(after);
                    format!("; where it has answered nothing for {after}, it sends a frame to itself, to keep its way out warm")
                });
                format!("{name}: a lane never sleeps, and takes all of its core{warm}")
            }
            Idle::SleepAfter(after) => {
                let when = if after.is_zero() {
                    "whenever nothing waits".to_owned()
                } else {
                    format!("where nothing has come for {} us", after.as_micros())
                };
                format!("{name}: a lane sleeps {when}, until a packet comes, and {SLEEP_MAX:?} at most")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use telemetry::Ns;

    use super::*;

    #[test]
    fn only_what_spins_can_be_kept_warm() {
        let mut config = Config::default();
        config.lane.keep_warm = Some(Ns(1_000_000));
        check_keep_warm(&config).unwrap();
        config.lane.idle = IdleChoice::Interrupt;
        let wrong = check_keep_warm(&config).unwrap_err().to_string();
        let wanted = "lane.keep_warm (--keep-warm) = \"1ms\": lane.idle (--idle) is interrupt, and a lane that sleeps leaves its core to others; write off, or lane.idle (--idle) = spin";
        assert_eq!(wrong, wanted);
        config.lane.keep_warm = None;
        check_keep_warm(&config).unwrap();
    }

    #[test]
    fn what_an_adaptive_lane_waits_for_is_what_was_said_and_an_interrupted_one_waits_for_nothing() {
        let mut config = Config::default();
        assert_eq!(Idle::of(&config), Idle::Spin);
        config.lane.idle = IdleChoice::Interrupt;
        assert_eq!(Idle::of(&config), Idle::SleepAfter(Duration::ZERO));
        (config.lane.idle, config.lane.spin_for_us) = (IdleChoice::Adaptive, 250);
        assert_eq!(Idle::of(&config), Idle::SleepAfter(Duration::from_micros(250)));
    }
}
