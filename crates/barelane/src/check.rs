//! `barelane check`: the plan, printed; nothing touched.

use nic::xdp::PROGRAM_NAME;

use crate::args::ServeArguments;
use crate::plan::{Facts, on_card};
use crate::{Config, Error, Plan, say};

/// Makes the plan that `serve` would start, or that a running server would take over on SIGHUP, and prints it: one for each card.
pub fn run(arguments: &ServeArguments) -> Result<(), Error> {
    let configs = Config::of_cards(arguments)?;
    let (mut cards, mut running) = (Vec::new(), Vec::new());
    for config in configs.iter() {
        let mut facts = on_card(config, Facts::gather(config))?;
        let ours = facts.link.program.take_if(|program| program.name.as_deref() == Some(PROGRAM_NAME));
        running.extend(ours.map(|_| facts.link.name.clone()));
        cards.push((config, facts));
    }
    let plans = Plan::resolve_all(&cards)?;
    let texts: Vec<String> = plans.iter().map(ToString::to_string).collect();
    say::answer(texts.join("\n").trim_end());
    if !running.is_empty() {
        say::warn(format_args!(
            "a Barelane server runs on {}: SIGHUP makes it take this over, another is refused",
            running.join(", ")
        ));
    }
    for privilege in host::privileges::missing_for_xdp() {
        say::warn(format_args!("serve needs {privilege}, which this process does not have: run it as root"));
    }
    Ok(())
}
