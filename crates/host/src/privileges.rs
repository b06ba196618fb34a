//! Which of the capabilities that Barelane needs this thread lacks (capabilities(7)).

use rustix::thread::{CapabilitySet, capabilities};

/// All that `serve` needs where it does not run as root, as setcap(8) takes it: without `cap_ipc_lock` it may lock only
/// as much memory as `RLIMIT_MEMLOCK` allows, which is seldom enough.
pub const GRANT: &str = "cap_net_admin,cap_net_raw,cap_bpf,cap_perfmon,cap_ipc_lock+ep";

/// What is lacking to attach a program and open its sockets; empty where nothing is.
pub fn missing_for_xdp() -> Vec<&'static str> {
    let effective = effective();
    let mut missing = Vec::new();
    if !effective.contains(CapabilitySet::NET_ADMIN) {
        missing.push("CAP_NET_ADMIN");
    }
    if !effective.intersects(CapabilitySet::BPF | CapabilitySet::SYS_ADMIN) {
        missing.push("CAP_BPF");
    }
    // The verifier trusts a program with addresses only then (`bpf_allow_ptr_leaks` in include/linux/bpf.h), and one of the
    // driver tier's size keeps them on its stack beside numbers.
    if !effective.intersects(CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN) {
        missing.push("CAP_PERFMON");
    }
    if !effective.contains(CapabilitySet::NET_RAW) {
        missing.push("CAP_NET_RAW");
    }
    missing
}

/// What is lacking to make network namespaces and the links between them; empty where nothing is.
pub fn missing_for_namespaces() -> Vec<&'static str> {
    let effective = effective();
    let needed = [(CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"), (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN")];
    needed.into_iter().filter(|(one, _)| !effective.contains(*one)).map(|(_, name)| name).collect()
}

/// What this thread may do now. What cannot be shown to be held counts as missing.
fn effective() -> CapabilitySet {
    capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::thread::set_capabilities;

    use super::*;

    /// What is missing to a thread that has given up `capability`. A thread's capabilities are its own.
    fn without(capability: CapabilitySet, ask: fn() -> Vec<&'static str>) -> Vec<&'static str> {
        let asked = thread::spawn(move || {
            let mut sets = capabilities(None).unwrap();
            sets.effective.remove(capability);
            set_capabilities(None, sets).unwrap();
            ask()
        });
        asked.join().unwrap()
    }

    #[test]
    fn each_capability_that_is_given_up_is_named() {
        let before = missing_for_xdp();
        for (capability, name) in [
            (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
            (CapabilitySet::NET_RAW, "CAP_NET_RAW"),
            (CapabilitySet::BPF | CapabilitySet::SYS_ADMIN, "CAP_BPF"),
            (CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN, "CAP_PERFMON"),
        ] {
            assert!(without(capability, missing_for_xdp).contains(&name), "{name}");
        }
        assert!(without(CapabilitySet::SYS_ADMIN, missing_for_namespaces).contains(&"CAP_SYS_ADMIN"));
        assert_eq!(missing_for_xdp(), before);
    }

    #[test]
    fn the_older_capability_stands_in_for_those_for_programs() {
        if effective().contains(CapabilitySet::SYS_ADMIN) {
            assert!(!without(CapabilitySet::BPF, missing_for_xdp).contains(&"CAP_BPF"));
            assert!(!without(CapabilitySet::PERFMON, missing_for_xdp).contains(&"CAP_PERFMON"));
        } else {
            eprintln!("skipped: this thread has no CAP_SYS_ADMIN to stand in");
        }
    }
}
