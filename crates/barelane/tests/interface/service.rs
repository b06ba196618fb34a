//! What a service manager is told (`sd_notify(3)`): ready when packets are answered, reloading, ready again, stopping.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::topology::{SERVER_NIC, Topology};

/// How long each piece of news may take on two busy cores.
const NEWS_MAX: Duration = Duration::from_secs(20);

#[test]
#[ignore = "needs root: a network namespace"]
fn a_service_manager_hears_of_ready_reloading_and_stopping_in_this_order() {
    let topology = Topology::new();
    let path = std::env::temp_dir().join(format!("barelane-notify-{}", std::process::id()));
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(NEWS_MAX)).unwrap();
    let news = || {
        let mut room = [0; 256];
        let len = manager.recv(&mut room).unwrap();
        String::from_utf8_lossy(&room[..len]).into_owned()
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
    command.args(["serve", "--nic", SERVER_NIC]).env("NOTIFY_SOCKET", &path);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = topology.server.run(|| command.spawn()).unwrap().unwrap();
    let signal = |name| {
        assert!(Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap().success());
    };
    assert!(news().starts_with("READY=1"));
    signal("HUP");
    let reloading = news();
    assert!(reloading.starts_with("RELOADING=1") && reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert!(news().starts_with("READY=1"));
    signal("TERM");
    assert!(news().starts_with("STOPPING=1"));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
