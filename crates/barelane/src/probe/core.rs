//! On which core the probe measures.
//!
//! A thread that spins has its core to itself or measures who it shares it with. So it is bound to one that nobody else
//! is bound to: a server on the same host, in most cases, whose lanes are. Which one that is, is said.

use host::cores::{self, Bound};

use super::settings::Settings;
use crate::error::Error;
use crate::say;

/// Binds the calling thread, if it is to be bound: to the core that was named, or where it spins to one that is free.
pub(super) fn pin(settings: &Settings) -> Result<(), Error> {
    if settings.core.is_none() && !settings.means.spins() {
        return Ok(());
    }
    let taken = cores::bound();
    let is_free = |core: usize| taken.iter().all(|bound| bound.core != core);
    let free = || free_core(is_free).transpose();
    let Some(core) = settings.core.map(Ok).or_else(free).transpose()? else {
        say::warn(
            "the probe spins, and every core has a thread bound to it: the figures count who had the core",
        );
        return Ok(());
    };
    cores::pin(core)?;
    if let Some(Bound { name, process, .. }) = taken.iter().find(|bound| bound.core == core) {
        say::warn(format_args!(
            "{name} (process {process}) is bound to core {core} as well, and the figures count who had it; \
             name another core by --core"
        ));
    }
    Ok(())
}

/// The last core that is free; one that the scheduler leaves alone before others. Core 0, where most interrupts go, comes
/// last.
fn free_core(is_free: impl Fn(usize) -> bool) -> Result<Option<usize>, Error> {
    let isolated = cores::isolated().unwrap_or_default();
    let free = cores::allowed()?.into_iter().filter(|&core| is_free(core));
    Ok(free.max_by_key(|core| (isolated.contains(core), *core)))
}
