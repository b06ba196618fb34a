//! Fixed and undone: the tree is the same, byte for byte, wherever it was interrupted.

use std::fs;
use std::ops::ControlFlow;

use barelane_host::doctor::{Setting, Status, Step, examine, fix, undo, undo_these};

use super::{MACHINES, Patient, go_on};

#[test]
fn a_fixed_machine_has_what_was_wanted_and_an_undone_one_is_what_it_was() {
    for (name, nic) in MACHINES {
        let patient = Patient::new(name, nic, "whole");
        let (before, wanted) = (patient.files.dump(), patient.wanted());
        let outcomes = fix(&patient.machine, &wanted, &patient.record_file(), &mut go_on).unwrap();
        assert_eq!(outcomes.len(), wanted.len(), "{name}");
        assert!(outcomes.iter().all(|outcome| outcome.failed.is_none()), "{outcomes:#?}");
        assert_ne!(patient.files.dump(), before, "{name}");
        // A copy counts no free pages and moves no interrupts: those two ask again.
        let is_left = |name: &str| !["huge-pages", "irq-placement"].contains(&name);
        assert!(!patient.wanted().iter().any(|(requirement, _)| is_left(requirement)), "{name}");
        let undone = undo(&patient.machine, &patient.record_file(), &mut go_on).unwrap().unwrap();
        assert_eq!(undone.len(), outcomes.len(), "{name}");
        let backwards = undone.iter().rev().map(|outcome| &outcome.setting);
        assert!(backwards.eq(outcomes.iter().map(|outcome| &outcome.setting)), "{undone:#?}");
        assert_eq!(patient.files.dump(), before, "{name}");
        assert!(!patient.record_file().exists());
    }
}

#[test]
fn a_fix_makes_good_what_the_running_kernel_can_change() {
    let patient = Patient::new("server", "ens2f0np0", "better");
    fix(&patient.machine, &patient.wanted(), &patient.record_file(), &mut go_on).unwrap();
    let status = |name: &str| {
        let examined = examine(&patient.again());
        examined.into_iter().find(|one| one.name == name).unwrap().finding.status
    };
    // What huge pages there are free is not counted by a copy's tree.
    for name in [
        "numa-balancing",
        "cpu-governor",
        "c-states",
        "nic-coalescing",
        "interrupt-deferral",
        "receive-offloads",
    ] {
        assert_eq!(status(name), Status::Good, "{name}");
    }
    assert_eq!(status("swap"), Status::CouldBeBetter, "an area is in use still");
}

#[test]
fn whatever_step_a_fix_dies_at_undo_gives_the_machine_back() {
    for (name, nic) in MACHINES {
        let patient = Patient::new(name, nic, "killed");
        let before = patient.files.dump();
        for step in 0.. {
            let mut left = step;
            let mut die = |_: Step<'_>| {
                left -= 1;
                if left < 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            fix(&patient.machine, &patient.wanted(), &patient.record_file(), &mut die).unwrap();
            undo(&patient.machine, &patient.record_file(), &mut go_on).unwrap();
            assert_eq!(patient.files.dump(), before, "{name}, dead at step {step}");
            assert!(!patient.record_file().exists(), "{name}, dead at step {step}");
            if left >= 0 {
                assert!(step > 0, "{name}: there was something to change");
                break;
            }
        }
    }
}

#[test]
fn whatever_step_an_undo_dies_at_the_next_one_ends_it() {
    let patient = Patient::new("server", "ens2f0np0", "undo-killed");
    let before = patient.files.dump();
    for step in 0.. {
        fix(&patient.machine, &patient.wanted(), &patient.record_file(), &mut go_on).unwrap();
        let mut left = step;
        let mut die = |_: Step<'_>| {
            left -= 1;
            if left < 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        undo(&patient.machine, &patient.record_file(), &mut die).unwrap();
        undo(&patient.machine, &patient.record_file(), &mut go_on).unwrap();
        assert_eq!(patient.files.dump(), before, "dead at step {step}");
        assert!(!patient.record_file().exists(), "dead at step {step}");
        if left >= 0 {
            break;
        }
    }
}

#[test]
fn a_second_fix_adds_to_the_record_and_keeps_what_was_first() {
    let patient = Patient::new("laptop", "enp0s31f6", "twice");
    let (before, wanted) = (patient.files.dump(), patient.wanted());
    let (first, second) = wanted.split_at(wanted.len() / 2);
    fix(&patient.machine, first, &patient.record_file(), &mut go_on).unwrap();
    // The same setting again, to another value: what it was before all of it is what counts.
    let mut again = first[0].clone();
    again.1.to = "17".to_owned();
    fix(&patient.machine, &[again], &patient.record_file(), &mut go_on).unwrap();
    fix(&patient.machine, second, &patient.record_file(), &mut go_on).unwrap();
    let undone = undo(&patient.machine, &patient.record_file(), &mut go_on).unwrap().unwrap();
    let undone: Vec<_> = undone.into_iter().map(|one| one.setting).collect();
    let all: Vec<_> = wanted.iter().rev().map(|(_, change)| change.setting.to_string()).collect();
    assert_eq!(undone, all);
    assert_eq!(patient.files.dump(), before);
}

#[test]
fn what_somebody_else_has_changed_since_is_left_and_said_and_stays_in_the_record() {
    let patient = Patient::new("server", "ens2f0np0", "foreign");
    let before = patient.files.dump();
    fix(&patient.machine, &patient.wanted(), &patient.record_file(), &mut go_on).unwrap();
    patient.machine.tree.write("/proc/sys/vm/stat_interval", "30").unwrap();
    let undone = undo(&patient.machine, &patient.record_file(), &mut go_on).unwrap().unwrap();
    let failed: Vec<_> =
        undone.iter().filter_map(|outcome| Some((&outcome.setting, outcome.failed.as_ref()?))).collect();
    let [(setting, why)] = failed.as_slice() else { panic!("{failed:#?}") };
    assert_eq!(*setting, "/proc/sys/vm/stat_interval");
    assert!(why.contains("we set `120`, it is `30`") && why.contains("write `1`"), "{why}");
    assert_eq!(patient.machine.tree.word("/proc/sys/vm/stat_interval").unwrap(), "30");
    let record = fs::read_to_string(patient.record_file()).unwrap();
    assert!(record.contains("stat_interval") && !record.contains("numa_balancing"), "{record}");
    // Whoever puts it back himself has nothing left to undo.
    patient.machine.tree.write("/proc/sys/vm/stat_interval", "1").unwrap();
    assert_eq!(undo(&patient.machine, &patient.record_file(), &mut go_on).unwrap().unwrap(), []);
    assert_eq!(patient.files.dump(), before);
    assert!(!patient.record_file().exists());
}

#[test]
fn another_card_that_came_to_have_the_name_is_not_touched() {
    let patient = Patient::new("laptop", "enp0s31f6", "other-card");
    fix(&patient.machine, &patient.wanted(), &patient.record_file(), &mut go_on).unwrap();
    let file = patient.files.root().join("card/enp0s31f6.json");
    let other = fs::read_to_string(&file).unwrap().replace("54:e1:ad:01:02:03", "54:e1:ad:ff:ff:ff");
    fs::write(&file, &other).unwrap();
    let undone = undo(&patient.machine, &patient.record_file(), &mut go_on).unwrap().unwrap();
    let failed: Vec<_> = undone.iter().filter_map(|outcome| outcome.failed.as_ref()).collect();
    assert!(!failed.is_empty() && failed.iter().all(|why| why.contains("another card now")), "{failed:#?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), other);
}

#[test]
fn a_change_that_the_kernel_refuses_is_told_and_leaves_nothing_to_undo() {
    let patient = Patient::new("server", "ens2f0np0", "refused");
    let before = patient.files.dump();
    let mut wanted = patient.wanted();
    let is_choice = |setting: &Setting| setting.to_string().ends_with("transparent_hugepage/enabled");
    let choice = wanted.iter_mut().find(|(_, change)| is_choice(&change.setting)).unwrap();
    choice.1.to = "sometimes".to_owned();
    let outcomes = fix(&patient.machine, &wanted, &patient.record_file(), &mut go_on).unwrap();
    let refused: Vec<_> = outcomes.iter().filter(|outcome| outcome.failed.is_some()).collect();
    assert_eq!((refused.len(), refused[0].to.as_str()), (1, "[always] madvise never"));
    assert_eq!(refused[0].failed.as_deref(), Some("invalid input parameter"));
    let undone = undo(&patient.machine, &patient.record_file(), &mut go_on).unwrap().unwrap();
    assert_eq!(undone.len(), wanted.len() - 1);
    assert_eq!(patient.files.dump(), before);
}

#[test]
fn some_of_what_was_changed_can_be_undone_by_itself_again_and_again() {
    let patient = Patient::new("server", "ens2f0np0", "one");
    let (before, wanted) = (patient.files.dump(), patient.wanted());
    let of_one: Vec<_> = wanted.iter().filter(|(name, _)| *name == "c-states").cloned().collect();
    fix(&patient.machine, &wanted, &patient.record_file(), &mut go_on).unwrap();
    let fixed = patient.files.dump();
    let these: Vec<_> = of_one.iter().map(|(_, change)| change.clone()).collect();
    for _ in 0..3 {
        let undone = undo_these(&patient.machine, &patient.record_file(), &these, &mut go_on).unwrap();
        assert_eq!(undone.unwrap().len(), of_one.len());
        assert_ne!(patient.files.dump(), fixed);
        fix(&patient.machine, &of_one, &patient.record_file(), &mut go_on).unwrap();
        assert_eq!(patient.files.dump(), fixed);
    }
    undo(&patient.machine, &patient.record_file(), &mut go_on).unwrap();
    assert_eq!(patient.files.dump(), before);
}

#[test]
fn without_a_record_there_is_nothing_to_undo() {
    let patient = Patient::new("laptop", "enp0s31f6", "none");
    assert!(undo(&patient.machine, &patient.record_file(), &mut go_on).unwrap().is_none());
}

#[test]
fn a_record_of_an_earlier_start_of_the_machine_does_not_count_for_a_fix() {
    let patient = Patient::new("laptop", "enp0s31f6", "boot");
    let wanted = patient.wanted();
    fix(&patient.machine, &wanted[..2], &patient.record_file(), &mut go_on).unwrap();
    patient.machine.tree.write("/proc/sys/kernel/random/boot_id", "another").unwrap();
    fix(&patient.machine, &wanted[2..3], &patient.record_file(), &mut go_on).unwrap();
    let undone = undo(&patient.machine, &patient.record_file(), &mut go_on).unwrap().unwrap();
    assert_eq!(undone.len(), 1, "{undone:#?}");
}
