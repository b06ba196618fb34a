//! The kernel's wall clock, for runs whose stamps the kernel takes: they are of this clock and of no other.
//!
//! It can be set while it is measured with. A timer that is to be cancelled when that happens (`TFD_TIMER_CANCEL_ON_SET`)
//! tells so: nothing has to be compared, and no step is too small. What it does not tell is that NTP makes the clock go
//! faster or slower, by up to 500 parts in a million: half a nanosecond in each microsecond of a round trip.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, read};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use telemetry::{Tick, TickRate};

use super::{Clock, WallTime, system_wall};

/// When the timer would expire: in the year 2200. It never does, it is only cancelled.
const NEVER: Timespec = Timespec { tv_sec: 7_258_118_400, tv_nsec: 0 };

/// `CLOCK_REALTIME`, in nanoseconds since the beginning of 1970.
#[derive(Debug)]
pub struct RealtimeClock {
    watch: OwnedFd,
    has_stepped: AtomicBool,
}

impl RealtimeClock {
    /// The clock, and a watch whether somebody sets it from now on.
    ///
    /// # Errors
    /// The kernel gives no timer.
    pub fn start() -> io::Result<Self> {
        let watch = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: NEVER };
        timerfd_settime(&watch, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &once)?;
        Ok(Self { watch, has_stepped: AtomicBool::new(false) })
    }
}

impl Clock for RealtimeClock {
    fn now(&self) -> Tick {
        Tick(system_wall().0)
    }

    fn rate(&self) -> TickRate {
        TickRate::NANOSECONDS
    }

    fn wall(&self, at: Tick) -> WallTime {
        WallTime(at.0)
    }

    fn name(&self) -> &'static str {
        "CLOCK_REALTIME"
    }

    fn is_realtime(&self) -> bool {
        true
    }

    fn has_stepped(&self) -> bool {
        // The timer tells it once.
        if read(&self.watch, &mut [0; 8]) == Err(Errno::CANCELED) {
            self.has_stepped.store(true, Ordering::Relaxed);
        }
        self.has_stepped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_wall_clock_and_nobody_has_set_it() {
        let before = system_wall();
        let clock = RealtimeClock::start().unwrap();
        let now = clock.wall(clock.now());
        // Where somebody does set it meanwhile, the clock has to say so.
        assert!(clock.has_stepped() || before <= now && now <= system_wall());
    }
}
