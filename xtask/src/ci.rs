//! `cargo xtask ci`: what must hold before a commit lands, on a machine that has cargo, git and apt.
//!
//! One run shows all that is wrong: no step stops the others. What measures comes last, when nothing else runs.

use anyhow::{Result, ensure};

use crate::bench::instructions;
use crate::clients::{self, CLANG};
use crate::step::{Steps, cargo};
use crate::{bpf, soak, test, tidy};

/// Runs everything and sums up.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    steps.run("the release build", &mut cargo(&["build", "--release", "--locked"]));
    tidy::all(&mut steps);
    steps.call("the XDP program's table is what its source gives", program);
    test::all(&mut steps, None);
    soak::short(&mut steps);
    steps.judge("instructions a packet", || instructions::run(instructions::Mode::Compare));
    demo(&mut steps);
    steps.close()
}

fn program() -> Result<()> {
    let missing = clients::provide(&[&CLANG]);
    ensure!(missing.is_empty(), "no {}: {missing:?}", CLANG.package);
    bpf::run(bpf::Mode::Check)
}

fn demo(steps: &mut Steps) {
    let name = "the demonstration";
    if !clients::can_make_namespaces() {
        return steps.skip(name, "it needs root, and a place where root may make network namespaces");
    }
    steps.run(name, &mut cargo(&["demo", "--seconds", "5"]));
}
