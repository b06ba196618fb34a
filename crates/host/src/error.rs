//! What can go wrong with the host, said so that it can be put right: the setting, what was found, the remedy.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use thiserror::Error;

/// Why the host does not give what was asked of it.
#[derive(Debug, Error)]
pub enum HostError {
    /// An interface was named that does not exist in this network namespace.
    #[error("there is no network interface `{name}`: choose one of {existing}")]
    NoSuchInterface {
        /// The name as it was given.
        name: String,
        /// The names that exist, or a word where there are none.
        existing: String,
    },

    /// An interface that carries something other than Ethernet.
    #[error("the interface `{name}` has no Ethernet address: choose an Ethernet interface")]
    NotEthernet {
        /// The name of the interface.
        name: String,
    },

    /// A core was named that does not exist, is offline, or is outside this process's affinity.
    #[error("core {core} is not available: this process may run on {allowed} (online: {online})")]
    CoreNotAllowed {
        /// The core as it was given.
        core: usize,
        /// The cores of this process's affinity.
        allowed: String,
        /// The cores that are online.
        online: String,
    },

    /// Memory could not be locked.
    #[error(
        "memory cannot be locked: {source}; grant CAP_IPC_LOCK or raise the limit (`ulimit -l unlimited`)"
    )]
    MemoryNotLocked {
        /// The kernel's answer.
        source: io::Error,
    },

    /// The kernel refused a request.
    #[error("cannot {asked}: {source}{said}{remedy}")]
    Refused {
        /// What was asked, as the end of the sentence "cannot …".
        asked: String,
        /// The kernel's answer.
        source: io::Error,
        /// The kernel's own explanation in brackets, or nothing.
        said: String,
        /// What to do about it, or nothing.
        remedy: &'static str,
    },

    /// The kernel answered, but not in the form that was asked for.
    #[error("cannot {asked}: the kernel's answer is not understood: {reason}")]
    NotUnderstood {
        /// What was asked.
        asked: String,
        /// What is odd about the answer.
        reason: String,
    },

    /// The kernel did not answer in time.
    #[error("cannot {asked}: no answer from the kernel within {limit:?}")]
    NoAnswer {
        /// What was asked.
        asked: String,
        /// How long was waited.
        limit: Duration,
    },

    /// A file of the kernel's could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl HostError {
    /// The kernel answered `errno` to a request that ends the sentence "cannot …".
    pub(crate) fn refused(asked: impl Display, errno: Errno) -> Self {
        Self::refused_saying(asked, errno, None)
    }

    /// The same, with the kernel's own words where it gave any.
    pub(crate) fn refused_saying(asked: impl Display, errno: Errno, said: Option<String>) -> Self {
        let said = said.map(|words| format!(" ({words})")).unwrap_or_default();
        Self::Refused { asked: asked.to_string(), source: errno.into(), said, remedy: remedy_for(errno) }
    }

    /// The errno behind a refusal, for the callers to whom one of them is an answer.
    pub(crate) fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { source, .. } => Errno::from_io_error(source),
            _ => None,
        }
    }
}

/// What helps against the refusals that have one usual cause.
fn remedy_for(errno: Errno) -> &'static str {
    match errno {
        Errno::PERM | Errno::ACCESS => "; run as root or grant CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN",
        Errno::EXIST => "; choose another name, or remove what is there",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_was_asked_the_kernels_words_and_the_remedy() {
        let error = HostError::refused_saying("add a link", Errno::PERM, Some("not yours".to_owned()));
        let text = error.to_string();
        assert!(text.starts_with("cannot add a link: "), "{text}");
        assert!(text.contains("(not yours)"), "{text}");
        assert!(text.contains("CAP_NET_ADMIN"), "{text}");
        assert_eq!(error.errno(), Some(Errno::PERM));
    }

    #[test]
    fn a_refusal_without_a_usual_cause_invents_no_remedy() {
        assert_eq!(remedy_for(Errno::NODEV), "");
    }
}
