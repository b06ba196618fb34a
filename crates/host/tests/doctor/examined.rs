//! How each machine's requirements stand: written down by hand from what its file says.

use std::fmt::Write;

use barelane_host::doctor::{Machine, REQUIREMENTS, Status, examine};

use super::{MACHINES, Patient};

/// Each requirement, and its status on the virtual machine, the server, the laptop and the instance in the cloud: good (g),
/// could be better (c), bad (b), not applicable (-), cannot tell (?).
const EXPECTED: &str = "
    huge-pages                  c c g -
    locked-memory               g g g b
    transparent-huge-pages      g c c g
    same-page-merging           g c g g
    numa-balancing              g b g -
    swap                        g c c g
    cpu-governor                - b b -
    cpu-boost                   - g c -
    c-states                    g b b -
    smt-siblings                g c c c
    isolated-cores              c g c c
    tickless-cores              - g c c
    rcu-callbacks               c g c c
    kernel-work                 c c c g
    timer-migration             c g g c
    rt-throttling               g c g g
    steal                       g - - b
    irq-placement               c c c g
    irqbalance                  g g g c
    nic-queues                  g g g g
    nic-rings                   g c c g
    nic-coalescing              g b c b
    interrupt-deferral          g b c ?
    threaded-napi               g c g ?
    busy-poll-sockets           g c g -
    receive-offloads            b b g b
    veth-checksums              - - - -
    flow-control                - c g -
    energy-efficient-ethernet   - - b -
    pcie-power                  g g b -
    runtime-power               g g c g
    pcie-link                   - c - -
    nic-numa                    - g - -
    clock-source                g g b c
    known-faults                g c g g
    capabilities                g g b b
    xdp-program                 g g g b
";

fn letter(status: Status) -> &'static str {
    match status {
        Status::Good => "g",
        Status::CouldBeBetter => "c",
        Status::Bad => "b",
        Status::NotApplicable => "-",
        Status::CannotTell => "?",
    }
}

#[test]
fn every_requirement_stands_on_every_machine_as_its_file_says() {
    let patients = MACHINES.map(|(name, nic)| Patient::new(name, nic, "examined"));
    let examined = patients.each_ref().map(|patient| examine(&patient.machine));
    let mut found = String::from("\n");
    for (index, requirement) in REQUIREMENTS.iter().enumerate() {
        let letters = examined.each_ref().map(|examined| letter(examined[index].finding.status)).join(" ");
        writeln!(found, "    {:<27} {letters}", requirement.name).unwrap();
    }
    assert_eq!(found, EXPECTED, "{examined:#?}");
}

#[test]
fn what_could_be_better_says_what_to_do_and_what_is_good_does_not() {
    for (name, nic) in MACHINES {
        let patient = Patient::new(name, nic, "remedies");
        for one in examine(&patient.machine) {
            let finding = &one.finding;
            let is_wrong = matches!(finding.status, Status::CouldBeBetter | Status::Bad);
            assert_eq!(is_wrong, !finding.remedy.is_empty(), "{one:?}");
            assert!(is_wrong || finding.changes.is_empty() && finding.boot.is_empty(), "{one:?}");
            assert!(!finding.found.is_empty(), "{one:?}");
        }
    }
}

#[test]
fn the_words_name_the_figures_that_were_found() {
    let patient = Patient::new("server", "ens2f0np0", "words");
    let examined = examine(&patient.machine);
    let found = |name: &str| {
        examined.iter().find(|one| one.name == name).unwrap_or_else(|| panic!("{name}")).finding.clone()
    };
    assert_eq!(found("huge-pages").found, "12 of 512 huge pages of 2 MiB free, 24 wanted for the lanes");
    assert_eq!(found("c-states").found, "core 5 may sink into C6 (133 µs to wake)");
    assert_eq!(found("c-states").changes.len(), 6, "two states of three lanes");
    assert_eq!(found("irq-placement").found, "nvme0q1 interrupt the lanes' cores");
    assert_eq!(found("irq-placement").changes[0].to, "0-4,8-15");
    assert_eq!(found("isolated-cores").found, "the lanes' cores (5-7) are isolated from the scheduler");
    assert_eq!(found("nic-numa").found, "card and lanes are on node 1");
    assert_eq!(found("kernel-work").changes[0].to, "ff1f");
    assert_eq!(found("smt-siblings").boot, ["nosmt"]);
}

#[test]
fn named_cores_are_judged_in_place_of_those_that_serve_would_take() {
    let patient = Patient::new("server", "ens2f0np0", "cores");
    let machine = Machine::copy(patient.files.root().to_owned(), Some("ens2f0np0"), &[0, 5, 13]).unwrap();
    let examined = examine(&machine);
    let status = |name: &str| examined.iter().find(|one| one.name == name).unwrap().finding.status;
    assert_eq!(status("nic-numa"), Status::Bad, "core 0 is on the other node");
    assert_eq!(status("smt-siblings"), Status::Bad, "cores 5 and 13 are one");
    assert_eq!(status("isolated-cores"), Status::CouldBeBetter);
    let error = Machine::copy(patient.files.root().to_owned(), None, &[16]).unwrap_err().to_string();
    assert!(error.contains("core 16") && error.contains("0-15"), "{error}");
}

#[test]
fn without_a_card_what_is_about_cards_is_not_applicable() {
    let patient = Patient::new("laptop", "enp0s31f6", "no-card");
    let machine = Machine::copy(patient.files.root().to_owned(), None, &[]).unwrap();
    for one in
        examine(&machine).iter().filter(|one| one.name.starts_with("nic-") || one.name == "flow-control")
    {
        assert_eq!(one.finding.status, Status::NotApplicable, "{one:?}");
    }
    let error = Machine::copy(patient.files.root().to_owned(), Some("eth7"), &[]).unwrap_err().to_string();
    assert!(error.contains("eth7"), "{error}");
}

#[test]
fn a_machine_that_shows_nothing_is_not_called_good() {
    let root = std::env::temp_dir().join(format!("barelane-empty-{}", std::process::id()));
    std::fs::create_dir_all(&root).unwrap();
    let machine = Machine::copy(root.clone(), None, &[]).unwrap();
    for one in examine(&machine) {
        let is_negative = one.name == "irqbalance";
        assert!(one.finding.status != Status::Good || is_negative, "{one:?}");
    }
    std::fs::remove_dir_all(root).unwrap();
}
