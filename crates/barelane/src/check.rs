//! `barelane check`: the plan, printed; nothing touched.

use nic::xdp::PROGRAM_NAME;

use crate::args::ServeArguments;
use crate::plan::Facts;
use crate::{Config, Error, Plan, say};

/// Makes the plan that `serve` would start, or that a running server would take over on SIGHUP, and prints it.
pub fn run(arguments: &ServeArguments) -> Result<(), Error> {
    let config = Config::new(arguments)?;
    let mut facts = Facts::gather(&config)?;
    let running = facts.link.program.take_if(|program| program.name.as_deref() == Some(PROGRAM_NAME));
    let plan = Plan::resolve(&config, facts)?;
    say::answer(plan.to_string().trim_end());
    if running.is_some() {
        say::warn(
            "a Barelane server runs on this interface: SIGHUP makes it take this over, another is refused",
        );
    }
    for privilege in host::privileges::missing_for_xdp() {
        say::warn(format_args!("serve needs {privilege}, which this process does not have: run it as root"));
    }
    Ok(())
}
