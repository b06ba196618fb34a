//! What a server holds of the machine, and where its threads run, looked at from outside.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::reload::hang_up;
use crate::server::Server;
use crate::topology::Topology;

/// How long a reload may take, on two busy cores.
const RELOADED_MAX: Duration = Duration::from_secs(20);

const POWER: &str = "/dev/cpu_dma_latency";

/// Whether the process has the file open.
fn has_open(process: u32, path: &str) -> bool {
    let open = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|file| file == Path::new(path))
}

/// The cores that a thread may run on, as the kernel lists them.
fn cores_of(process: u32, thread: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/task/{thread}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap().trim().to_owned()
}

#[test]
#[ignore = "needs root: a network namespace"]
fn power_is_held_while_it_runs_unless_it_is_told_not_to() {
    let topology = Topology::new();
    for (options, is_held) in [(&[][..], true), (&["--hold", "power"], true), (&["--hold", "none"], false)] {
        let server = Server::alone_with(&topology, options);
        assert_eq!(has_open(server.id(), POWER), is_held, "{options:?}");
        let (status, said) = server.end("TERM");
        assert_eq!(status.code(), Some(0), "{said:#?}");
    }
}

#[test]
#[ignore = "needs root: a network namespace"]
fn housekeeping_has_its_core_and_the_lane_another_also_after_a_reload() {
    let topology = Topology::new();
    let server = Server::alone_with(&topology, &["--core", "1", "--housekeeping-core", "0"]);
    let process = server.id();
    let lane = server.lanes()[0];
    assert_eq!((cores_of(process, process), cores_of(process, lane)), ("0".to_owned(), "1".to_owned()));
    hang_up(&server);
    server.line("barelane: reloaded", RELOADED_MAX);
    assert_eq!((cores_of(process, process), cores_of(process, lane)), ("0".to_owned(), "1".to_owned()));
}
