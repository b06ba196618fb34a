//! `cargo xtask ci`: what must hold before a commit lands, on a machine that has cargo, git and apt.

use anyhow::Result;

use crate::step::{Steps, cargo};
use crate::{test, tidy};

/// Runs everything; one run shows all that is wrong.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    tidy::all(&mut steps);
    steps.run("the release build", &mut cargo(&["build", "--release", "--locked"]));
    test::all(&mut steps, None);
    steps.close()
}
