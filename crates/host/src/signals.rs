//! The signals that end a server or make it read its configuration again, as flags that a loop looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::HostError;

/// What a shell gives for a process that a signal ended: 128 and its number (here 2, SIGINT).
const STATUS_INTERRUPTED: i32 = 130;

/// The signals that arrived since this was installed.
#[derive(Clone, Debug)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    /// Begins to catch SIGINT, SIGTERM and SIGHUP, for the whole process and for good.
    ///
    /// A second SIGINT or SIGTERM ends the process at once: nothing it has attached outlives its descriptors, so that
    /// leaves nothing behind, and a stop that hangs can be cut short.
    pub fn install() -> Result<Self, HostError> {
        let signals = Self { stop: Arc::default(), reload: Arc::default() };
        signals.register().map_err(|error| {
            HostError::refused("catch signals", Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
        })?;
        Ok(signals)
    }

    /// The flag that SIGINT and SIGTERM set, for loops that look at it themselves.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Whether the process was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether it was asked to read its configuration again since the last time this was called.
    pub fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }

    fn register(&self) -> std::io::Result<()> {
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag unset and sets it, the second finds it set.
            flag::register_conditional_shutdown(signal, STATUS_INTERRUPTED, self.stop_flag())?;
            flag::register(signal, self.stop_flag())?;
        }
        flag::register(SIGHUP, Arc::clone(&self.reload)).map(drop)
    }
}
