//! The plans of all cards of a server, made together: so that no two lanes have one core, unless that was named, and no route is nobody's.

use std::mem;

use crate::config::Config;
use crate::config::keys::INTERFACE;
use crate::error::{Error, Wrong};
use crate::per_card::PerCard;
use crate::plan::{Facts, Plan, lanes, wrong_routes};

impl Plan {
    /// Reads this host and resolves the configuration of each card against it.
    pub fn of_cards(configs: &PerCard<Config>) -> Result<PerCard<Self>, Error> {
        let facts = |config| Ok::<_, Error>((config, on_card(config, Facts::gather(config))?));
        let cards = configs.iter().map(facts).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::resolve_all(&cards)?)
    }

    /// Resolves the configuration of each card against what was found.
    pub fn resolve_all(cards: &[(&Config, Facts)]) -> Result<PerCard<Self>, Wrong> {
        cards.iter().try_for_each(|(config, facts)| super::card::check(config, facts))?;
        let (mut plans, mut huge_pages) = (Vec::new(), 0);
        for ((config, facts), lanes) in cards.iter().zip(lanes::assign_all(cards)?) {
            let mut facts = facts.clone();
            let free = &mut facts.topology.huge_pages_free;
            *free = free.map(|free| free.saturating_sub(huge_pages));
            let plan = Self::with_lanes(config, facts, lanes).map_err(|wrong| of_card(config, wrong))?;
            huge_pages += plan.huge_pages();
            plans.push(plan);
        }
        let no_card = || Wrong::new(INTERFACE, "").because("no interface is named").remedy("name one");
        let mut plans = PerCard::of(plans).ok_or_else(no_card)?;
        check_idle(&plans)?;
        say_once(&mut plans);
        Ok(plans)
    }
}

/// What one card among several is refused for, with its name.
pub(crate) fn of_card(config: &Config, wrong: Wrong) -> Wrong {
    let is_named = wrong.value == config.nic.interface || wrong.place.is_some();
    if is_named || !config.is_one_of_several() {
        return wrong;
    }
    Wrong { place: Some(format!("for {}", config.nic.interface)), ..wrong }
}

/// The same of whatever can fail.
pub(crate) fn on_card<T>(config: &Config, result: Result<T, Error>) -> Result<T, Error> {
    result.map_err(|error| match error {
        Error::Setting(wrong) => of_card(config, *wrong).into(),
        other => other,
    })
}

/// Refuses a route that gets nothing on any card, with what keeps it from it on the first that it is for. What is answered where
/// nothing else is said gives way to what is said. Of one card alone, as when its interface has come back, nothing is known of that.
fn check_idle(plans: &PerCard<Plan>) -> Result<(), Wrong> {
    let config = &plans.first().config;
    if plans.iter().count() <= config.nic.others.len() {
        return Ok(());
    }
    let is_default = config.serve.respond == Config::default().serve.respond;
    let is_said = |number: usize| number < config.routes.len() || !is_default;
    let is_idle = |number: &usize| plans.iter().all(|plan| !plan.routes.gets_something(*number));
    let count = plans.first().routes.routes().len();
    let Some(idle) = (0..count).filter(|&number| is_said(number)).find(is_idle) else { return Ok(()) };
    match plans.iter().find_map(|plan| plan.routes.idle().get(&idle)) {
        None => Ok(()),
        Some(error) => Err(wrong_routes(config, error)),
    }
}

/// What is said of one card in the same words is not said again of those behind it: it is of the whole server.
fn say_once(plans: &mut PerCard<Plan>) {
    let mut said: Vec<String> = Vec::new();
    for plan in plans.iter_mut() {
        for warning in mem::take(&mut plan.warnings) {
            if !said.contains(&warning) {
                said.push(warning.clone());
                plan.warnings.push(warning);
            }
        }
    }
}
