//! `barelane check`: the plan, printed; nothing touched.

use crate::args::ServeArguments;
use crate::{Config, Error, Plan, say};

/// Makes the plan that `serve` would start, and prints it.
pub fn run(arguments: &ServeArguments) -> Result<(), Error> {
    let plan = Plan::new(&Config::new(arguments)?)?;
    say::answer(plan.to_string().trim_end());
    for privilege in host::privileges::missing_for_xdp() {
        say::warn(format_args!("serve needs {privilege}, which this process does not have: run it as root"));
    }
    Ok(())
}
