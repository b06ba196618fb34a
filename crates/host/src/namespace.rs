//! Network namespaces that nobody can forget to remove.
//!
//! A namespace made here has no name under `/run/netns`. It lives while a descriptor, a thread or a socket is in it,
//! and the kernel takes it down, with every interface in it, when the last of them is gone: also after SIGKILL.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic;
use std::path::Path;
use std::thread;

use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{HostError, links, sys};

/// The calling thread's own network namespace.
const OWN_NAMESPACE: &str = "/proc/thread-self/ns/net";

/// Where the settings of the calling thread's network namespace are.
const SETTINGS: &str = "/proc/sys/net";

/// What keeps new interfaces from talking by themselves: no router solicitations, no link-local address and so no
/// duplicate address detection, nothing learnt from routers.
const QUIET: [(&str, &str); 4] = [
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/autoconf", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    ("ipv6/conf/default/addr_gen_mode", "1"),
];

/// A network namespace of our own.
#[derive(Debug)]
pub struct Namespace {
    descriptor: OwnedFd,
}

impl Namespace {
    /// A new namespace with nothing in it but a loopback interface, which is up, and with interfaces that say nothing
    /// of their own accord. Needs `CAP_SYS_ADMIN`.
    pub fn new() -> Result<Self, HostError> {
        let descriptor = on_fresh_thread(|| {
            sys::unshare_network().map_err(|errno| HostError::refused("make a network namespace", errno))?;
            quieten()?;
            links::set_up(links::LOOPBACK)?;
            here()
        })?;
        Ok(Self { descriptor })
    }

    /// Moves the calling thread in, for good. Sockets that it opened before stay where they were opened.
    pub fn enter(&self) -> Result<(), HostError> {
        move_into(self.as_fd())
    }

    /// Runs `work` on a fresh thread inside, and gives what it gives. Where it panics, so does the caller. A socket that
    /// `work` opens, or a process that it starts, is inside for as long as it lives.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, HostError> {
        on_fresh_thread(|| {
            self.enter()?;
            Ok(work())
        })
    }

    /// Sets one of the namespace's network settings: `ipv4/icmp_ratelimit`, as it stands below `/proc/sys/net`.
    pub fn set(&self, setting: &str, value: &str) -> Result<(), HostError> {
        self.run(|| write_setting(setting, value))?
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// The network namespace that the calling thread is in.
pub(crate) fn here() -> Result<OwnedFd, HostError> {
    File::open(OWN_NAMESPACE).map(OwnedFd::from).map_err(|source| file_error(OWN_NAMESPACE, source))
}

fn move_into(namespace: BorrowedFd<'_>) -> Result<(), HostError> {
    move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
        .map_err(|errno| HostError::refused("enter a network namespace", errno))
}

/// A thread's namespace is its own, so a thread that ends leaves none of the others somewhere else.
fn on_fresh_thread<T: Send>(work: impl FnOnce() -> Result<T, HostError> + Send) -> Result<T, HostError> {
    thread::scope(|scope| {
        let spawned = thread::Builder::new().name("namespace".to_owned()).spawn_scoped(scope, work);
        let thread = spawned.map_err(|error| {
            HostError::refused("start a thread", Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))
        })?;
        thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}

fn quieten() -> Result<(), HostError> {
    if !Path::new(SETTINGS).join("ipv6").exists() {
        return Ok(()); // A kernel without IPv6 is quiet already.
    }
    QUIET.iter().try_for_each(|(setting, value)| write_setting(setting, value))
}

fn write_setting(setting: &str, value: &str) -> Result<(), HostError> {
    let path = Path::new(SETTINGS).join(setting);
    fs::write(&path, value).map_err(|source| file_error(path, source))
}

fn file_error(path: impl AsRef<Path>, source: io::Error) -> HostError {
    HostError::File { path: path.as_ref().to_owned(), source }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use crate::privileges;

    use super::*;

    /// A namespace for a test, or the reason on standard error why there is none.
    pub(crate) fn for_test() -> Option<Namespace> {
        let mut missing = privileges::missing_for_namespaces();
        missing.extend(privileges::missing_for_xdp());
        if missing.is_empty() {
            return Some(Namespace::new().unwrap());
        }
        // Not by a macro, whose words the test harness keeps to itself where a test passes.
        let _ = writeln!(io::stderr(), "skipped: a network namespace with a program in it needs {missing:?}");
        None
    }
}
