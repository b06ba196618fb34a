//! What `serve` holds of the machine while it runs, and gives back at its end; see [`host::doctor::Held`].

use std::ops::ControlFlow;
use std::path::Path;

use host::cores::as_list;
use host::doctor::{Held, Machine, Outcome, Power, Step, Tree, give_back_left, interrupts_off_lanes};

use crate::config::Hold;
use crate::config::keys::{HOLD, HOLDS, name_of};
use crate::error::{Error, Wrong};
use crate::events::News;
use crate::per_card::PerCard;
use crate::{Plan, state};

/// What is held, and the facts to say of it once the server runs: one that is refused says why, and nothing else. What is dropped
/// goes back too; [`Holding::give_back`] also says what came of it.
#[derive(Debug, Default)]
pub(super) struct Holding {
    power: Option<Power>,
    interrupts: Option<Held>,
    facts: Vec<String>,
}

impl Holding {
    /// Gives back what killed servers have left, then holds what the configuration says.
    ///
    /// # Errors
    /// Something that was named cannot be held.
    pub(super) fn begin(plans: &PerCard<Plan>) -> Result<Self, Error> {
        let state = state::directory();
        give_back_of_the_dead(&state);
        let mut holding = Self::default();
        let named = plans.first().config.serve.hold.as_deref();
        holding.hold_power(named)?;
        if named.is_some_and(|holds| holds.contains(&Hold::Irqs)) {
            holding.hold_interrupts(plans, &state)?;
        }
        Ok(holding)
    }

    /// What an operator should know of it, one line each.
    pub(super) fn facts(&self) -> &[String] {
        &self.facts
    }

    /// Puts everything back, and says what somebody else has changed since.
    pub(super) fn give_back(self) {
        drop(self.power);
        match self.interrupts.map(Held::give_back) {
            None => {}
            Some(Ok(outcomes)) => {
                News::of(&format!("hold: {} interrupts are back where they were", restored(&outcomes)))
                    .tell();
                warn_of_failed(&outcomes);
            }
            Some(Err(why)) => News::warning(format_args!("hold: {why}")).tell(),
        }
    }
}

impl Holding {
    /// Where nothing is said, power is held if it can be.
    fn hold_power(&mut self, named: Option<&[Hold]>) -> Result<(), Wrong> {
        if named.is_some_and(|holds| !holds.contains(&Hold::Power)) {
            return Ok(());
        }
        match Power::hold(&Tree::of_this_machine()) {
            Ok(power) => {
                self.power = Some(power);
                self.facts.push("hold: cores wake at once while this runs (/dev/cpu_dma_latency)".to_owned());
            }
            Err(error) if named.is_some() => {
                return Err(Wrong::new(HOLD, name_of(HOLDS, &Hold::Power))
                    .because(format_args!("/dev/cpu_dma_latency cannot be held: {error}"))
                    .remedy("run it as root, or leave power out"));
            }
            Err(error) => self.facts.push(format!(
                "warning: cores may take their time to wake, for /dev/cpu_dma_latency cannot be held: {error}"
            )),
        }
        Ok(())
    }

    /// Moves interrupts off the cores of all cards' lanes. One that the kernel refuses to move is said; where none can be moved, that is an
    /// error.
    fn hold_interrupts(&mut self, plans: &PerCard<Plan>, state: &Path) -> Result<(), Error> {
        let wrong = |why: &dyn std::fmt::Display| {
            let wrong = Wrong::new(HOLD, name_of(HOLDS, &Hold::Irqs)).because(why);
            wrong.remedy("put that right, or leave irqs out")
        };
        let mut lanes: Vec<usize> = plans.iter().flat_map(|plan| &plan.lanes).map(|lane| lane.core).collect();
        lanes.sort_unstable();
        lanes.dedup();
        let on_interface = plans.iter().filter(|plan| !plan.facts.is_memif());
        let nics: Vec<&str> = on_interface.map(|plan| plan.facts.link.name.as_str()).collect();
        let machine = Machine::this(nics.first().copied(), &lanes)?;
        let machine = machine.with_others(nics.get(1..).unwrap_or_default())?;
        let changes = interrupts_off_lanes(&machine).map_err(|why| wrong(&why))?;
        let mut go_on = |_: Step<'_>| ControlFlow::Continue(());
        let held = Held::hold(machine, &changes, state, &mut go_on);
        let (held, outcomes) = held.map_err(|why| wrong(&why))?;
        let moved = restored(&outcomes);
        if moved == 0 && !outcomes.is_empty() {
            let why = "the kernel moves none of the interrupts that come to the lanes' cores";
            return Err(wrong(&why).into());
        }
        let cores = as_list(&lanes);
        self.facts.push(format!("hold: {moved} interrupts leave the cores {cores} while this runs"));
        self.facts.extend(outcomes.iter().map(word_of));
        self.interrupts = Some(held);
        Ok(())
    }
}

/// What came of one interrupt.
fn word_of(outcome: &Outcome) -> String {
    let Outcome { setting, from, to, failed, .. } = outcome;
    match failed {
        None => format!("hold: {setting}: {from} -> {to}"),
        Some(why) => format!("warning: hold: {setting}: {why}"),
    }
}

/// What a server left that was killed is put back whatever this one holds.
fn give_back_of_the_dead(state: &Path) {
    let outcomes = Machine::this(None, &[])
        .map_err(|error| error.to_string())
        .and_then(|machine| give_back_left(&machine, state));
    match outcomes {
        Ok(outcomes) if outcomes.is_empty() => {}
        Ok(outcomes) => {
            let count = restored(&outcomes);
            News::of(&format!("hold: {count} interrupts that a killed server had moved are back")).tell();
            warn_of_failed(&outcomes);
        }
        Err(why) => News::warning(format_args!("what a killed server held may be left: {why}")).tell(),
    }
}

fn restored(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| outcome.failed.is_none()).count()
}

fn warn_of_failed(outcomes: &[Outcome]) {
    for outcome in outcomes {
        if let Some(why) = &outcome.failed {
            News::warning(format_args!("hold: {}: {why}", outcome.setting)).tell();
        }
    }
}
