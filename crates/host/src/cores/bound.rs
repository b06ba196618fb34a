//! Which cores other programs have claimed for a thread of their own.
//!
//! Nobody keeps a list of that. But a program that wants a core for itself binds a thread to it, and the kernel shows
//! every thread's affinity: so a core with a thread of somebody else's that may run nowhere else is taken to be his.

use std::fs;
use std::path::Path;

use super::from_list;

const PROCESSES: &str = "/proc";

/// A thread of another process that may run on one core only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The core.
    pub core: usize,
    /// The thread's name.
    pub name: String,
    /// Its process.
    pub process: u32,
}

/// The threads of other processes that are bound to a single core. The kernel's own, which are on every core, are not
/// among them, and neither is what this process may not see. Takes some ten microseconds for each thread of the host.
pub fn bound() -> Vec<Bound> {
    let own = std::process::id();
    let processes = entries(Path::new(PROCESSES)).filter_map(|entry| entry.parse::<u32>().ok());
    processes.filter(|&process| process != own).flat_map(threads_of).collect()
}

fn threads_of(process: u32) -> Vec<Bound> {
    let threads = Path::new(PROCESSES).join(process.to_string()).join("task");
    let statuses =
        entries(&threads).filter_map(|thread| fs::read_to_string(threads.join(thread).join("status")).ok());
    statuses.filter_map(|status| read(&status, process)).collect()
}

/// The names in a directory; none where it is gone, as a process may be at any time.
fn entries(directory: &Path) -> impl Iterator<Item = String> {
    let read = fs::read_dir(directory).into_iter().flatten().flatten();
    read.filter_map(|entry| entry.file_name().into_string().ok())
}

/// Reads a thread's status, as `proc_pid_status(5)` explains it.
fn read(status: &str, process: u32) -> Option<Bound> {
    let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
    // Only what has memory of its own is a program's; the kernel's threads have none.
    value("VmSize")?;
    match from_list(value("Cpus_allowed_list")?).as_slice() {
        [core] => Some(Bound { core: *core, name: value("Name")?.to_owned(), process }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_thread_that_may_run_on_one_core_is_bound_and_one_of_the_kernels_is_not() {
        let status = "Name:\tlane-3\nState:\tR (running)\nVmSize:\t    9 kB\nCpus_allowed_list:\t3\n";
        let bound = Bound { core: 3, name: "lane-3".to_owned(), process: 7 };
        assert_eq!(read(status, 7), Some(bound));
        assert_eq!(read(&status.replace("list:\t3", "list:\t2-3"), 7), None);
        assert_eq!(read(&status.replace("VmSize", "Vm"), 7), None);
        assert_eq!(read("", 7), None);
    }

    #[test]
    fn a_program_that_is_bound_is_found_and_this_one_is_not() {
        let core = super::super::allowed().unwrap()[0];
        let on_core = ["-c", &core.to_string(), "sleep", "60"];
        let mut sleep = Command::new("taskset").args(on_core).stdin(Stdio::null()).spawn().unwrap();
        let found = (0..1_000).any(|_| {
            std::thread::yield_now();
            bound().iter().any(|one| one.process == sleep.id() && one.core == core)
        });
        sleep.kill().unwrap();
        sleep.wait().unwrap();
        assert!(found);
        assert!(bound().iter().all(|one| one.process != std::process::id()));
    }
}
