//! What can be wrong when a card is opened: the setting, the value found, the remedy.

use std::fmt;
use std::io;

use super::program::Mode;
use super::umem::{Layout, RING_SIZE_MAX, RING_SIZE_MIN};

/// A program that is attached to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedProgram {
    /// Its number, as `bpftool prog` shows it.
    pub id: u32,
    /// Its name; nothing where we may not ask.
    pub name: Option<String>,
}

impl fmt::Display for AttachedProgram {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(out, "`{name}` (id {})", self.id),
            None => write!(out, "id {}", self.id),
        }
    }
}

/// What the kernel's refusal to attach a program most likely means (`veth_xdp_set` in `drivers/net/veth.c` and its like).
pub(super) fn why_refused(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EOPNOTSUPP) => "the driver has no such mode",
        Some(libc::ERANGE) => "the MTU is too large for it",
        Some(libc::ENOSPC) => "the interface has fewer receive queues than it would need",
        _ => "the driver gives no clearer reason",
    }
}

/// What the kernel's refusal to map memory means (`mmap(2)`). In a process that has locked all that it will take
/// (`mlockall(2)` with `MCL_FUTURE`) a mapping beyond `RLIMIT_MEMLOCK` is refused with `EAGAIN`.
fn why_unmapped(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EAGAIN) => {
            "this process may not lock so much; raise RLIMIT_MEMLOCK (`ulimit -l`) or grant CAP_IPC_LOCK"
        }
        _ => "give less with a smaller ring size",
    }
}

fn or_unknown(program: Option<&AttachedProgram>) -> String {
    program.map_or_else(|| "that the kernel does not name".to_owned(), ToString::to_string)
}

/// Why a card could not be opened, or a running one could not be changed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says it")]
pub enum XdpError {
    #[error("ring size {found}: must be a power of two from {RING_SIZE_MIN} to {RING_SIZE_MAX}")]
    RingSize { found: u32 },

    #[error("queues: none given; name at least one, for instance 0")]
    QueuesMissing,

    #[error("queues: {queue} is given twice; one queue belongs to one lane")]
    QueueTwice { queue: u32 },

    #[error("queues: {queue} is beyond {max}, the highest that is supported; name one that the card has")]
    QueueNumber { queue: u32, max: u32 },

    #[error(
        "interface {interface}: an MTU of {found} does not fit one packet buffer, which takes {}; `ip link set dev {interface} mtu {}`",
        Layout::mtu_max(),
        Layout::mtu_max()
    )]
    Mtu { interface: String, found: u32 },

    #[error(
        "zero-copy forced and mode generic forced: zero-copy needs the driver, so force one of the two at most"
    )]
    ZeroCopyGeneric,

    #[error(
        "{what} needs {privilege}: run as root, or grant what is needed: `setcap cap_net_admin,cap_net_raw,cap_bpf,cap_perfmon,cap_ipc_lock+ep BINARY`: {source}"
    )]
    Privileges { what: &'static str, privilege: &'static str, source: io::Error },

    #[error("packet memory: {size} bytes cannot be mapped; {}: {source}", why_unmapped(source))]
    MemoryMap { size: usize, source: io::Error },

    #[error(
        "packet memory: {size} bytes cannot be locked; raise RLIMIT_MEMLOCK (`ulimit -l`) or grant CAP_IPC_LOCK: {source}"
    )]
    MemoryLocked { size: usize, source: io::Error },

    #[error("packet memory: NUMA node {node} cannot be had; name a node that has memory, or none: {source}")]
    MemoryNode { node: u32, source: io::Error },

    #[error("interface {interface}: there is no such interface in this network namespace (index {index})")]
    InterfaceAbsent { interface: String, index: u32 },

    #[error("interface {interface}: it is down; `ip link set dev {interface} up`")]
    InterfaceDown { interface: String },

    #[error(
        "interface {interface}: queue {queue} cannot be bound; it is not active (`ethtool -L {interface}` adds queues), or a ring size of {ring_size} is too large for the driver: {source}"
    )]
    QueueAbsent { interface: String, queue: u32, ring_size: u32, source: io::Error },

    #[error(
        "interface {interface}: queue {queue} still belongs to another AF_XDP socket after {waited_ms} ms; stop the process that has it, or take another queue"
    )]
    QueueTaken { interface: String, queue: u32, waited_ms: u64 },

    #[error(
        "interface {interface}: zero-copy is forced, and its driver has none for queue {queue}; use zero-copy `auto` or `no`: {source}"
    )]
    ZeroCopyAbsent { interface: String, queue: u32, source: io::Error },

    #[error(
        "interface {interface}: transmit stamps by the kernel are not to be had without copies: the driver would write the time of the card's own clock, which nobody follows here; use zero-copy `no`, or no transmit stamps"
    )]
    TransmitClock { interface: String },

    #[error(
        "interface {interface}: the kernel takes no metadata with what is sent, which transmit stamps come by; Linux 6.11 and later do: {source}"
    )]
    TransmitMetadata { interface: String, source: io::Error },

    #[error(
        "interface {interface}: mode {mode} is not to be had, {}; use mode `auto`: {source}",
        why_refused(source)
    )]
    ModeAbsent { interface: String, mode: Mode, source: io::Error },

    #[error(
        "interface {interface}: an XDP program is already attached, {}; it is not replaced: stop what owns it, or `ip link set dev {interface} xdp off`, or where a link holds it `bpftool link detach`",
        or_unknown(program.as_ref())
    )]
    Occupied { interface: String, program: Option<AttachedProgram> },

    #[error("claims: {found} given, at most {max} fit the program's table")]
    ClaimsTooMany { found: usize, max: u32 },

    #[error("the kernel refuses the XDP program: {source}\n{log}")]
    ProgramRefused { log: String, source: io::Error },

    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
}

impl XdpError {
    /// Whether a setting or the host is to be changed, as opposed to a run that failed: exit code 2, not 1.
    pub fn is_setting(&self) -> bool {
        !matches!(self, Self::ProgramRefused { .. } | Self::System { .. })
    }

    /// An error of one step of opening: of missing privileges where the kernel says so.
    pub(super) fn of(what: &'static str, privilege: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::Privileges { what, privilege, source },
            _ => Self::System { what, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_may_not_be_locked_is_told_apart_from_memory_that_is_not_there() {
        let said = |errno| {
            XdpError::MemoryMap { size: 4096, source: io::Error::from_raw_os_error(errno) }.to_string()
        };
        assert!(said(libc::EAGAIN).contains("RLIMIT_MEMLOCK") && said(libc::EAGAIN).contains("CAP_IPC_LOCK"));
        assert!(said(libc::ENOMEM).contains("smaller ring size"));
    }

    #[test]
    fn what_lacks_a_privilege_says_what_setcap_takes() {
        let source = io::Error::from_raw_os_error(libc::EPERM);
        let said = XdpError::of("making an AF_XDP socket", "CAP_NET_RAW")(source).to_string();
        assert!(
            said.contains("setcap cap_net_admin,cap_net_raw,cap_bpf,cap_perfmon,cap_ipc_lock+ep"),
            "{said}"
        );
    }
}
