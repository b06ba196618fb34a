//! SIGHUP: another configuration takes over without losing a packet, on all cards or on none.
//!
//! ```text
//!   old claims ─▶ what both claim ─▶ new tables in every lane ─▶ new claims
//!                 (the rest passes      (between two turns)       (every lane can
//!                  to the kernel)                                  answer them)
//! ```
//!
//! Whatever both configurations answer stays claimed and is answered throughout, by one table or the other. Nothing
//! is ever redirected to a lane that cannot answer it, and each arrow is one store: a packet is judged by the claims
//! before it or by those behind it. Where the two differ in the tier, the lane answers in between.
//!
//! Of several cards, all that can be refused is refused by all of them before the first one changes.

use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use host::groups::SolicitedNode;
use telemetry::Ns;

use super::address_check::{self, Announced};
use super::next_hops::KernelWays;
use super::server::{Server, addresses_to_look_after};
use crate::Config;
use crate::config::keys::{
    self, ADMIN, ADMIN_TLS_CERT_FILE, ADMIN_TLS_KEY_FILE, ADMIN_TOKEN_FILE, AGE_LIMIT, ARRIVAL_STAMPS, HOLD,
    HOUSEKEEPING_CORE, IDLE, INTERFACE, KEEP_WARM, LOG_FORMAT, LOG_FORMATS, LOG_LEVEL, LOG_LEVELS, MAC,
    MEMIF, MODE, QUEUES, RING_SIZE, SPIN_FOR_US, STREAMS, TRANSMIT_STAMPS, WAKE, ZERO_COPY, name_of,
};
use crate::config::values::duration_text;
use crate::error::{Error, Setting, Wrong};
use crate::per_card::PerCard;
use crate::plan::{Facts, Plan, on_card};

/// Why a reload did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Nothing has changed.
    #[error("reload refused, the old configuration stays: {0}")]
    Refused(#[from] Error),
    /// The change began and could not be finished.
    #[error("reload failed, only what both configurations answer is answered until the next one: {0}")]
    Halfway(Error),
}

/// A plan that is about to take over.
struct Successor {
    plan: Plan,
    groups: Option<SolicitedNode>,
    /// Addresses of Barelane's own that the plan before did not have.
    added: Vec<IpAddr>,
    /// The kernel's ways, where answers go by them.
    kernel_ways: Option<KernelWays>,
}

/// Has the server of each card take over addresses, routes and limits. What cannot change while lanes run is refused, and then nothing
/// has changed.
pub(super) fn reload_all(
    servers: &mut [&mut Server],
    configs: &PerCard<Config>,
    stop: &AtomicBool,
) -> Result<(), ReloadError> {
    let successors = prepare_all(servers, configs, stop)?;
    let mut reloaded = Ok(());
    for (server, successor) in servers.iter_mut().zip(successors) {
        // One that does not follow keeps no other from it: what both configurations answer is answered there.
        reloaded = reloaded.and(server.take_over(successor));
    }
    reloaded.map_err(ReloadError::Halfway)
}

/// Everything that can be refused, of all cards.
fn prepare_all(
    servers: &[&mut Server],
    configs: &PerCard<Config>,
    stop: &AtomicBool,
) -> Result<Vec<Successor>, Error> {
    refuse_other_cards(servers, configs)?;
    let mut cards = Vec::new();
    for (server, config) in servers.iter().zip(configs.iter()) {
        cards.push((config, on_card(config, server.facts_for(config, stop))?));
    }
    let plans = Plan::resolve_all(&cards)?;
    let prepared = servers.iter().zip(configs.iter()).zip(plans);
    prepared.map(|((server, config), plan)| on_card(config, server.prepare_for(plan, stop))).collect()
}

/// Refuses other cards than those that are served, and another order of them.
fn refuse_other_cards(servers: &[&mut Server], configs: &PerCard<Config>) -> Result<(), Wrong> {
    let list = |configs: &mut dyn Iterator<Item = &Config>| {
        configs.map(|config| config.nic.interface.clone()).collect::<Vec<_>>().join(", ")
    };
    let old = list(&mut servers.iter().map(|server| &server.plan.config));
    let new = list(&mut configs.iter());
    if old == new { Ok(()) } else { Err(stays(INTERFACE, &old, new)) }
}

/// A reload that came while an interface was gone.
pub(super) fn gone(nic: &str) -> Error {
    Error::Failed(format!("the interface {nic} is gone; reload when it is back"))
}

impl Server {
    /// What the host is like now, for a configuration that can take over while lanes run.
    fn facts_for(&self, config: &Config, stop: &AtomicBool) -> Result<Facts, Error> {
        refuse_changes(&self.plan.config, config)?;
        if self.is_without_interface() {
            return Err(gone(&self.plan.facts.link.name));
        }
        Facts::settle(config, stop)?;
        let mut facts = Facts::gather(config)?;
        // The program that is attached now is our own.
        facts.link.program = None;
        if facts.link.index != self.plan.facts.link.index {
            return Err(Error::Failed("the interface is another one now; it is taken first".to_owned()));
        }
        Ok(facts)
    }

    /// Everything else that can be refused.
    fn prepare_for(&self, mut plan: Plan, stop: &AtomicBool) -> Result<Successor, Error> {
        // Queues that have come or gone since do not change which of them have a lane.
        plan.lanes.clone_from(&self.plan.lanes);
        plan.placement.clone_from(&self.plan.placement);
        plan.card.clone_from(&self.plan.card);
        let ours: Vec<IpAddr> = addresses_to_look_after(&plan);
        let added: Vec<IpAddr> =
            ours.iter().copied().filter(|&ip| self.plan.own_addresses().all(|old| old != ip)).collect();
        let groups = address_check::join_groups(&plan, &ours)?;
        let kernel_ways = KernelWays::of(&plan)?;
        address_check::check(&plan, &added, stop)?;
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Failed("the server was told to stop".to_owned()));
        }
        Ok(Successor { plan, groups, added, kernel_ways })
    }

    fn take_over(&mut self, Successor { plan, groups, added, kernel_ways }: Successor) -> Result<(), Error> {
        self.go_by(kernel_ways)?;
        self.change_over(&plan)?;
        self.set_plan(plan);
        self.groups = groups;
        self.announced = Announced::once(&self.plan, added)?;
        Ok(())
    }
}

/// What is fixed while lanes run: the card with its queues and modes, the cores, where metrics are served, and how events are told.
fn refuse_changes(old: &Config, new: &Config) -> Result<(), Wrong> {
    let list = |numbers: &[usize]| format!("{numbers:?}");
    let core =
        |config: &Config| config.serve.housekeeping_core.map_or_else(String::new, |core| core.to_string());
    let file = |path: &Path| path.display().to_string();
    let time = |given: Option<Ns>| given.map_or_else(|| "off".to_owned(), duration_text);
    let fixed = [
        (INTERFACE, old.nic.interface.clone(), new.nic.interface.clone()),
        (MEMIF, format!("{:?}", old.nic.memif), format!("{:?}", new.nic.memif)),
        (MAC, format!("{:?}", old.nic.mac), format!("{:?}", new.nic.mac)),
        (QUEUES, format!("{:?}", old.nic.queues), format!("{:?}", new.nic.queues)),
        (MODE, name_of(keys::MODES, &old.nic.mode).into(), name_of(keys::MODES, &new.nic.mode).into()),
        (
            ZERO_COPY,
            name_of(keys::ZERO_COPIES, &old.nic.zero_copy).into(),
            name_of(keys::ZERO_COPIES, &new.nic.zero_copy).into(),
        ),
        (WAKE, name_of(keys::WAKES, &old.nic.wake).into(), name_of(keys::WAKES, &new.nic.wake).into()),
        (RING_SIZE, old.nic.ring_size.to_string(), new.nic.ring_size.to_string()),
        (
            ARRIVAL_STAMPS,
            name_of(keys::ARRIVAL_STAMPERS, &old.nic.arrival_stamps).into(),
            name_of(keys::ARRIVAL_STAMPERS, &new.nic.arrival_stamps).into(),
        ),
        (
            TRANSMIT_STAMPS,
            name_of(keys::TRANSMIT_STAMPERS, &old.nic.transmit_stamps).into(),
            name_of(keys::TRANSMIT_STAMPERS, &new.nic.transmit_stamps).into(),
        ),
        (AGE_LIMIT, time(old.lane.age_limit), time(new.lane.age_limit)),
        (STREAMS, old.lane.streams.to_string(), new.lane.streams.to_string()),
        (ADMIN, old.serve.admin.to_string(), new.serve.admin.to_string()),
        (ADMIN_TOKEN_FILE, file(&old.serve.admin_token_file), file(&new.serve.admin_token_file)),
        (ADMIN_TLS_CERT_FILE, file(&old.serve.admin_tls_cert_file), file(&new.serve.admin_tls_cert_file)),
        (ADMIN_TLS_KEY_FILE, file(&old.serve.admin_tls_key_file), file(&new.serve.admin_tls_key_file)),
        (
            LOG_FORMAT,
            name_of(LOG_FORMATS, &old.log.format).into(),
            name_of(LOG_FORMATS, &new.log.format).into(),
        ),
        (LOG_LEVEL, name_of(LOG_LEVELS, &old.log.level).into(), name_of(LOG_LEVELS, &new.log.level).into()),
        (new.setting_of_cores(), list(&old.lane.cores), list(&new.lane.cores)),
        (HOUSEKEEPING_CORE, core(old), core(new)),
        (HOLD, format!("{:?}", old.serve.hold), format!("{:?}", new.serve.hold)),
        (IDLE, name_of(keys::IDLES, &old.lane.idle).into(), name_of(keys::IDLES, &new.lane.idle).into()),
        (KEEP_WARM, time(old.lane.keep_warm), time(new.lane.keep_warm)),
        (SPIN_FOR_US, old.lane.spin_for_us.to_string(), new.lane.spin_for_us.to_string()),
    ];
    match fixed.into_iter().find(|(_, old, new)| old != new) {
        None => Ok(()),
        Some((setting, old, new)) => Err(stays(setting, &old, new)),
    }
}

/// A setting that stays as it is while lanes run.
fn stays(setting: Setting, old: &str, new: String) -> Wrong {
    let problem = format!("this cannot change while lanes run; it is \"{old}\"");
    Wrong::new(setting, new).because(problem).remedy("restart the server to change it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AdminChoice;

    #[test]
    fn what_is_fixed_while_lanes_run_is_refused_by_name() {
        let old = Config::default();
        let mut new = Config::default();
        new.serve.address_check_ms = 5;
        refuse_changes(&old, &new).unwrap();
        new.serve.admin = AdminChoice::Off;
        let wrong = refuse_changes(&old, &new).unwrap_err().to_string();
        assert!(wrong.starts_with("serve.admin (--admin) = \"off\": this cannot change"), "{wrong}");
        new.serve.admin = old.serve.admin;
        new.lane.cores = vec![1];
        new.lane.age_limit = Some(Ns(50_000));
        let wrong = refuse_changes(&old, &new).unwrap_err().to_string();
        assert!(wrong.starts_with("lane.age_limit (--age-limit) = \"50us\": this cannot change"), "{wrong}");
        assert!(wrong.contains("it is \"off\""), "{wrong}");
        new.lane.age_limit = None;
        new.lane.streams = 64;
        let wrong = refuse_changes(&old, &new).unwrap_err().to_string();
        assert!(wrong.starts_with("lane.streams (--streams) = \"64\": this cannot change"), "{wrong}");
        new.lane.streams = 0;
        new.nic.transmit_stamps = nic::xdp::TransmitStamps::Kernel;
        let wrong = refuse_changes(&old, &new).unwrap_err().to_string();
        assert!(wrong.starts_with("nic.transmit_stamps (--transmit-stamps) = \"kernel\": this"), "{wrong}");
        new.nic.transmit_stamps = old.nic.transmit_stamps;
        let wrong = refuse_changes(&old, &new).unwrap_err().to_string();
        assert!(wrong.starts_with("lane.cores (--core) = \"[1]\": this cannot change"), "{wrong}");
    }
}
