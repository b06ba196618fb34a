//! What concerns the process as a whole: its memory. Each test is in a process of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

use std::fs;
use std::io::{self, Write};
use std::process::{Command, Output};

use barelane_host::memory;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

/// Runs one of the tests below that are children in a process of its own, so that it disturbs nobody.
fn run_child(name: &str) -> Output {
    let executable = std::env::current_exe().unwrap();
    Command::new(executable).args(["--ignored", "--exact", "--nocapture", name]).output().unwrap()
}

fn assert_success(child: &Output) {
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

#[test]
#[ignore = "runs as a child"]
fn child_locks_memory() {
    const SIZE: usize = 4 << 20; // A thousand pages, which `with_capacity` takes and does not touch.
    memory::lock_all().unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    assert_ne!(locked.trim(), "0 kB");
    let mut memory = std::hint::black_box(Vec::<u8>::with_capacity(SIZE));
    let before = memory::page_faults().unwrap();
    memory.resize(SIZE, 1);
    let after = memory::page_faults().unwrap();
    assert!(after.minor - before.minor < 16, "{before:?}, {after:?}");
}

#[test]
#[ignore = "runs as a child"]
fn child_may_not_lock_memory() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Memlock);
    setrlimit(Resource::Memlock, Rlimit { current: Some(0), maximum }).unwrap();
    let mut sets = capabilities(None).unwrap();
    sets.effective.remove(CapabilitySet::IPC_LOCK);
    set_capabilities(None, sets).unwrap();
    let text = memory::lock_all().unwrap_err().to_string();
    assert!(text.contains("CAP_IPC_LOCK") && text.contains("ulimit -l"), "{text}");
}

#[test]
fn locked_memory_is_there_before_it_is_touched() {
    if !capabilities(None).unwrap().effective.contains(CapabilitySet::IPC_LOCK) {
        // Not by a macro, whose words the test harness keeps to itself where a test passes.
        let _ = writeln!(io::stderr(), "skipped: locking all memory needs CAP_IPC_LOCK");
        return;
    }
    assert_success(&run_child("child_locks_memory"));
}

#[test]
fn memory_that_may_not_be_locked_is_refused_with_both_remedies() {
    assert_success(&run_child("child_may_not_lock_memory"));
}
