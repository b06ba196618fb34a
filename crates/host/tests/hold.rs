//! What a server holds: on copies of other machines, killed at every step, and for a moment on this one.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use barelane_host::doctor::{
    Change, Held, Machine, Power, Setting, Step, Tree, give_back_left, interrupts_off_lanes,
};
use testkit::machines;

/// Where the child finds the machine that it shall hold; where this is not set, the child's part is nobody's.
const ROOT: &str = "BARELANE_HOLD_ROOT";

/// A process that is being started has the locks of this one for a moment, so that a record would seem to be somebody else's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A machine's copy, and the place of records beside it.
struct Host {
    _turn: MutexGuard<'static, ()>,
    files: machines::Machine,
    state: PathBuf,
}

impl Host {
    fn new(test: &str) -> Self {
        let files = machines::Machine::unpack("server", test).unwrap();
        let state = files.root().with_extension("state");
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Self { _turn: turn, files, state }
    }

    fn machine(&self) -> Machine {
        Machine::copy(self.files.root().to_owned(), Some("ens2f0np0"), &[]).unwrap()
    }

    fn hold(&self) -> Held {
        let machine = self.machine();
        let changes = interrupts_off_lanes(&machine).unwrap();
        let (held, outcomes) = Held::hold(machine, &changes, &self.state, &mut go_on).unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.failed.is_none()), "{outcomes:#?}");
        held
    }

    fn affinity(&self, interrupt: u32) -> String {
        self.machine().tree.word(&format!("/proc/irq/{interrupt}/smp_affinity_list")).unwrap()
    }

    fn records(&self) -> usize {
        fs::read_dir(self.state.join("hold")).map_or(0, Iterator::count)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // There is none where nothing was held.
        let _none = fs::remove_dir_all(&self.state);
    }
}

fn go_on(_: Step<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn interrupts_leave_the_lanes_cores_for_as_long_as_they_are_held() {
    let host = Host::new("hold-whole");
    let before = host.files.dump();
    let held = host.hold();
    // The lanes are 5 to 7. A disk's goes to all others, the card's own to those of its node; one that is on core 0 stays.
    assert_eq!((host.affinity(45), host.affinity(201)), ("0-4,8-15".into(), "4,12-15".into()));
    assert_eq!(host.affinity(46), "0-15");
    assert_eq!(held.give_back().unwrap().len(), 2);
    assert!(host.files.dump() == before);
    drop(host.hold());
    assert!(host.files.dump() == before, "what is only dropped is put back too");
    assert_eq!(host.records(), 0);
}

#[test]
fn of_two_cards_each_ones_interrupts_go_to_its_own_node() {
    let host = Host::new("hold-cards");
    let root = host.files.root();
    let card = fs::read_to_string(root.join("card/ens2f0np0.json")).unwrap();
    let mut other: serde_json::Value = serde_json::from_str(&card).unwrap();
    (other["name"], other["numa_node"], other["pci"]) = ("ens1f0np0".into(), 0.into(), "0000:3b:00.0".into());
    fs::write(root.join("card/ens1f0np0.json"), other.to_string()).unwrap();
    let mut interrupts = fs::read_to_string(root.join("proc/interrupts")).unwrap();
    interrupts.push_str(" 210:  0  0  9  IR-PCI-MSI 30932992-edge  mlx5_comp0@pci:0000:3b:00.0\n");
    fs::write(root.join("proc/interrupts"), interrupts).unwrap();
    let own = root.join("sys/bus/pci/devices/0000:3b:00.0/msi_irqs");
    for directory in [own.clone(), root.join("proc/irq/210")] {
        fs::create_dir_all(directory).unwrap();
    }
    fs::write(own.join("210"), "msix").unwrap();
    for (file, cores) in [("effective_affinity_list", "6"), ("smp_affinity_list", "0-15")] {
        fs::write(root.join("proc/irq/210").join(file), cores).unwrap();
    }
    let machine = Machine::copy(root.to_owned(), Some("ens2f0np0"), &[2, 6]).unwrap();
    let machine = machine.with_others(&["ens1f0np0"]).unwrap();
    let mut changes: Vec<String> = Vec::new();
    for change in interrupts_off_lanes(&machine).unwrap() {
        changes.push(format!("{}: {}", change.setting, change.to));
    }
    let of_each = ["201/smp_affinity_list: 4-5,7,12-15", "210/smp_affinity_list: 0-1,3,8-11"];
    assert_eq!(changes, of_each.map(|change| format!("/proc/irq/{change}")));
}

#[test]
fn what_somebody_else_has_moved_since_is_left_and_said() {
    let host = Host::new("hold-foreign");
    let held = host.hold();
    host.machine().tree.write("/proc/irq/45/smp_affinity_list", "3").unwrap();
    let outcomes = held.give_back().unwrap();
    let failed: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.failed.as_ref()).collect();
    assert!(matches!(failed.as_slice(), [why] if why.contains("somebody else")), "{outcomes:#?}");
    assert_eq!((host.affinity(45), host.affinity(201)), ("3".into(), "0-15".into()));
}

#[test]
fn who_lives_keeps_what_he_holds() {
    let host = Host::new("hold-alive");
    let held = host.hold();
    assert_eq!(give_back_left(&host.machine(), &host.state).unwrap(), []);
    assert_eq!(host.affinity(45), "0-4,8-15");
    held.give_back().unwrap();
}

#[test]
fn a_record_of_an_earlier_start_of_the_machine_moves_nothing() {
    let host = Host::new("hold-boot");
    let mut child = child(&host);
    read_lines(&mut child, usize::MAX);
    kill(child);
    host.machine().tree.write("/proc/sys/kernel/random/boot_id", "another").unwrap();
    assert_eq!(give_back_left(&host.machine(), &host.state).unwrap(), []);
    assert_eq!((host.affinity(45), host.records()), ("0-4,8-15".into(), 0));
}

#[test]
fn whatever_step_its_server_is_killed_at_the_next_start_puts_everything_back() {
    const STEPS: usize = 8;
    let host = Host::new("hold-killed");
    let before = host.files.dump();
    let mut moved = 0;
    for step in 1..=STEPS {
        let mut child = child(&host);
        assert_eq!(
            read_lines(&mut child, step),
            step,
            "there are {STEPS} steps: four for each of two interrupts"
        );
        kill(child);
        moved += usize::from(host.files.dump() != before);
        give_back_left(&host.machine(), &host.state).unwrap();
        assert!(host.files.dump() == before, "killed at step {step}");
        assert_eq!(host.records(), 0, "killed at step {step}");
    }
    assert!(moved >= STEPS / 2, "{moved}");
}

/// A server that is held still after each step until the next line comes.
fn child(host: &Host) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "the_part_of_a_server_that_is_killed", "--nocapture"]);
    command.env(ROOT, host.files.root()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// Lets a child go on for so many steps, or until it holds everything; gives how many it made.
fn read_lines(child: &mut Child, steps: usize) -> usize {
    let mut input = child.stdin.take().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut made = 0;
    for line in lines {
        match line.as_str() {
            "step" => made += 1,
            "held" => break,
            _ => continue,
        }
        if made == steps {
            break;
        }
        input.write_all(b"\n").unwrap();
    }
    // Closed input would let it go on.
    child.stdin = Some(input);
    made
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What [`child`] runs; by itself there is nothing to do.
#[test]
fn the_part_of_a_server_that_is_killed() {
    let Some(root) = env::var_os(ROOT).map(PathBuf::from) else { return };
    let mut lines = io::stdin().lines();
    let mut say = |word: &str| {
        let mut out = io::stdout();
        writeln!(out, "{word}").and_then(|()| out.flush()).unwrap();
        let _line = lines.next();
    };
    let machine = Machine::copy(root.clone(), Some("ens2f0np0"), &[]).unwrap();
    let changes = interrupts_off_lanes(&machine).unwrap();
    let mut told = |_: Step<'_>| {
        say("step");
        ControlFlow::Continue(())
    };
    let _held = Held::hold(machine, &changes, &root.with_extension("state"), &mut told).unwrap();
    say("held");
}

/// Not by a macro, whose words the test harness keeps to itself where a test passes.
fn skipped(test: &str, why: &dyn std::fmt::Display) {
    let _ = writeln!(io::stderr(), "skipped: hold, {test}: {why}");
}

#[test]
fn this_machines_cores_wake_at_once_for_as_long_as_it_is_held() {
    const LATENCY: &str = "/dev/cpu_dma_latency";
    // What is read is the tightest wish of all programs, in microseconds: others may have one of their own.
    let wish = || {
        let mut bytes = [0; 4];
        let read = File::open(LATENCY).and_then(|mut file| file.read_exact(&mut bytes));
        read.map(|()| i32::from_ne_bytes(bytes))
    };
    let is_open = || {
        let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
        open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|file| file == Path::new(LATENCY))
    };
    let held = match Power::hold(&Tree::of_this_machine()) {
        Ok(held) => held,
        Err(error) => return skipped("power", &error),
    };
    assert_eq!(wish().unwrap(), 0);
    assert!(is_open());
    drop(held);
    assert!(!is_open());
}

#[test]
fn an_interrupt_of_this_machine_is_moved_and_comes_back() {
    // The statistics of the memory balloon: it comes once in some seconds, and nobody waits for it.
    let tree = Tree::of_this_machine();
    let interrupts = tree.read("/proc/interrupts").unwrap();
    let line = interrupts.lines().find(|line| line.ends_with("virtio0-stats"));
    let Some(number) = line.and_then(|line| line.split_once(':')).map(|(number, _)| number.trim()) else {
        return skipped("interrupt", &"this machine has no memory balloon");
    };
    let file = format!("/proc/irq/{number}/smp_affinity_list");
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let state = env::temp_dir().join(format!("barelane-hold-{}", std::process::id()));
    let before = tree.read(&file).unwrap();
    let machine = Machine::this(None, &[]).unwrap();
    let change = Change { setting: Setting::File { file: file.clone() }, to: "0".to_owned() };
    let (held, outcomes) = Held::hold(machine, &[change], &state, &mut go_on).unwrap();
    let now = tree.read(&file).unwrap();
    held.give_back().unwrap();
    assert_eq!(tree.read(&file).unwrap(), before);
    fs::remove_dir_all(state).unwrap();
    if let Some(why) = outcomes.iter().find_map(|outcome| outcome.failed.as_ref()) {
        return skipped("interrupt", why);
    }
    assert_eq!(now, "0\n");
}
