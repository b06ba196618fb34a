//! Where what must outlive a process is kept: the records of what it has changed of the machine.

use std::env;
use std::path::{Path, PathBuf};

/// Unless a service manager says otherwise.
pub(crate) const STATE: &str = "/var/lib/barelane";

/// The directory that a service manager gives, or the system's own place.
pub(crate) fn directory() -> PathBuf {
    // A service manager may give several, with colons between them (systemd.exec(5)).
    let given = env::var("STATE_DIRECTORY").ok();
    let first = given.as_deref().and_then(|given| given.split(':').find(|path| !path.is_empty()));
    Path::new(first.unwrap_or(STATE)).to_owned()
}
