//! What is refused, what is told, and what stays when a process dies.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use barelane_nic::xdp::{self, Mode, ModeChoice, PROGRAM_NAME, Settings, XdpError, ZeroCopyChoice};
use host::links;

use crate::cable::{Cable, INTERFACE, assert_reflects, claims};
use crate::packets::{OURS, udp};

#[test]
fn a_queue_that_does_not_exist_is_named() {
    let Some(cable) = Cable::lay(1) else { return };
    let settings = Settings { queues: vec![0, 9], ..cable.settings() };
    let error = cable.open(&settings).unwrap_err();
    assert!(matches!(error, XdpError::QueueAbsent { queue: 9, .. }), "{error}");
    assert!(error.is_setting() && error.to_string().contains("queue 9 cannot be bound"), "{error}");
    assert!(cable.program().is_none(), "the interface is as it was");
}

#[test]
fn zero_copy_forced_on_a_veth_is_refused() {
    let Some(cable) = Cable::lay(1) else { return };
    let settings = Settings { zero_copy: ZeroCopyChoice::Yes, ..cable.settings() };
    let error = cable.open(&settings).unwrap_err();
    assert!(matches!(error, XdpError::ZeroCopyAbsent { queue: 0, .. }), "{error}");
    assert!(error.is_setting() && error.to_string().contains("use zero-copy `auto` or `no`"), "{error}");
    assert!(cable.program().is_none(), "the interface is as it was");
}

#[test]
fn native_mode_that_is_not_to_be_had_is_refused_or_explained() {
    let Some(cable) = Cable::lay(1) else { return };
    // The loopback interface has no driver that could run a program.
    let native = Settings { mode: ModeChoice::Native, ..Settings::new("lo", links::LOOPBACK, 1500) };
    let error = cable.open(&native).unwrap_err();
    assert!(matches!(error, XdpError::ModeAbsent { mode: Mode::Native, .. }), "{error}");
    assert!(error.is_setting() && error.to_string().contains("use mode `auto`"), "{error}");
    let auto = Settings { mode: ModeChoice::Auto, ..native };
    let (attachment, _queues) = cable.open(&auto).unwrap();
    assert_eq!(attachment.mode(), Mode::Generic);
    assert!(attachment.why_not_native().unwrap().contains("the driver has no such mode"));
}

#[test]
fn an_interface_that_is_not_there_or_is_down_is_named() {
    let Some(cable) = Cable::lay(1) else { return };
    let error = cable.open(&Settings::new("gone", 4711, 1500)).unwrap_err();
    assert!(matches!(error, XdpError::InterfaceAbsent { index: 4711, .. }), "{error}");
    cable.server.run(|| links::set_down(cable.ifindex)).unwrap().unwrap();
    let error = cable.open(&cable.settings()).unwrap_err();
    assert!(matches!(error, XdpError::InterfaceDown { .. }), "{error}");
    assert!(error.to_string().contains("ip link set dev bl0 up") && cable.program().is_none());
}

#[test]
fn a_program_that_is_there_is_named_and_stays() {
    let Some(cable) = Cable::lay(1) else { return };
    let (first, mut queues) = cable.open(&cable.settings()).unwrap();
    let attached = cable.program().unwrap();
    for mode in [ModeChoice::Auto, ModeChoice::Native, ModeChoice::Generic] {
        let error = cable.open(&Settings { mode, ..cable.settings() }).unwrap_err();
        let XdpError::Occupied { program: Some(program), .. } = &error else { panic!("{error}") };
        assert_eq!((program.id, program.name.as_deref()), (attached.id, Some(PROGRAM_NAME)));
        assert!(error.is_setting() && error.to_string().contains("`barelane_driver` (id"), "{error}");
    }
    assert_eq!(cable.program().unwrap().id, attached.id);
    assert_reflects(&cable.client_socket(), &mut queues[0], &udp(OURS, 9));
    drop((first, queues));
    assert!(cable.program().is_none());
}

#[test]
fn a_queue_can_be_opened_again_at_once() {
    let Some(cable) = Cable::lay(1) else { return };
    for _ in 0..20 {
        let (_attachment, mut queues) = cable.open(&cable.settings()).unwrap();
        assert_reflects(&cable.client_socket(), &mut queues[0], &udp(OURS, 9));
    }
}

/// Set for the process that is to be killed.
const VICTIM: &str = "BARELANE_TEST_VICTIM_IFINDEX";

/// Not a test of its own: what the process does that the next test kills.
#[test]
fn victim() {
    let Ok(ifindex) = env::var(VICTIM) else { return };
    let settings = Settings::new(INTERFACE, ifindex.parse().unwrap(), 1500);
    let _open = xdp::open(&settings, &claims()).unwrap();
    println!("{VICTIM} is ready");
    thread::sleep(Duration::from_mins(1));
}

fn start_victim(cable: &Cable) -> Child {
    let mut child = cable
        .server
        .run(|| {
            let mut command = Command::new(env::current_exe().unwrap());
            command
                .args(["--exact", "attaching::victim", "--nocapture"])
                .env(VICTIM, cable.ifindex.to_string());
            command.stdout(Stdio::piped()).spawn().unwrap()
        })
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("is ready")), "the victim did not start");
    child
}

#[test]
fn a_killed_process_leaves_no_program() {
    let Some(cable) = Cable::lay(1) else { return };
    for _ in 0..5 {
        let mut child = start_victim(&cable);
        assert!(cable.program().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        let killed = Instant::now();
        while cable.program().is_some() {
            assert!(killed.elapsed() < Duration::from_millis(50), "a program stays attached");
        }
    }
    let (_attachment, mut queues) = cable.open(&cable.settings()).unwrap();
    assert_reflects(&cable.client_socket(), &mut queues[0], &udp(OURS, 9));
}
