//! What the operator says to a running process, as flags that loops look at.
//!
//! A signal that comes twice means the same as one: `timeout` and terminals send to the process and again to its
//! group, and a server that took the second one for impatience would die in the middle of its stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::Error;

/// The signals that have come since they are caught.
#[derive(Debug)]
pub(crate) struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    /// From here on SIGINT, SIGTERM and SIGHUP set flags instead of ending the process.
    pub(crate) fn catch() -> Result<Self, Error> {
        let signals = Self { stop: Arc::default(), reload: Arc::default() };
        for (signal, noted) in [(SIGINT, &signals.stop), (SIGTERM, &signals.stop), (SIGHUP, &signals.reload)]
        {
            flag::register(signal, Arc::clone(noted))
                .map_err(|cause| Error::Failed(format!("signal {signal} cannot be caught: {cause}")))?;
        }
        Ok(signals)
    }

    /// Whether SIGINT or SIGTERM has come.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The same, for loops that look at it themselves.
    pub(crate) fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Whether SIGHUP has come since this was last asked.
    pub(crate) fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }
}
