//! What a server's events say, in fields and in a line each.

use route::RouteTable;
use telemetry::{Counters, Kind};

use super::print::Summary;
use super::recovery::Absence;
use super::reload::ReloadError;
use super::server::Server;
use crate::Plan;
use crate::config::keys::{WAKES, name_of};
use crate::config::memif::idle_name;
use crate::error::Error;
use crate::events::{Event, News};
use crate::per_card::PerCard;
use crate::plan::CardPlan;
use crate::side_channel::NotedStall;

/// The server has started. Before that it says nothing: what keeps it from it is told in one line.
pub(super) fn start(servers: &PerCard<Server>) -> News {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let nics: Vec<&str> = servers.iter().map(|server| server.plan().facts.link.name.as_str()).collect();
    let line = format!("version {version} on {}", nics.join(" and "));
    News::new(Event::Start { version, process_id: std::process::id().into(), nic: nics.join(",") }, line)
}

/// What runs on a card, how, and what an operator should know of it.
pub(super) fn facts(server: &Server) -> Vec<News> {
    let config = &server.plan().config;
    let card = config.is_one_of_several().then_some(config.nic.interface.as_str());
    let facts = server.facts();
    let facts = plan(server).into_iter().chain(facts.iter().map(|line| News::of_plan(line)));
    facts.map(|news| news.on(card)).collect()
}

/// What runs, and how.
fn plan(server: &Server) -> [News; 2] {
    let plan = server.plan();
    let lanes = plan.lanes.iter();
    let list = |numbers: Vec<String>| numbers.join(",");
    let queues = list(lanes.clone().map(|lane| lane.queue.to_string()).collect());
    let cores = list(lanes.map(|lane| lane.core.to_string()).collect());
    let Served { address_count, route_count, tier } = Served::of(plan);
    let on =
        if plan.config.is_one_of_several() { format!("{}: ", plan.facts.link.name) } else { String::new() };
    let line = format!(
        "{on}plan: queue {queues} to core {cores}, {address_count} addresses, {route_count} routes, tier {tier}"
    );
    let link = &plan.facts.link;
    let event = Event::Plan {
        nic: link.name.clone(),
        driver: link.driver_name().unwrap_or_default().to_owned(),
        lane_count: plan.lanes.len() as u64,
        queues,
        cores,
        address_count,
        route_count,
        tier,
    };
    let (mode, wake) = (server.mode(), wake(plan).to_owned());
    let how = format!("mode {mode}, zero-copy {}, wake {wake}", server.zero_copy());
    let is_zero_copy = server.zero_copy() == "yes";
    [News::new(event, line), News::new(Event::Mode { mode, is_zero_copy, wake }, how)]
}

/// Who drives the rings, in a word.
fn wake(plan: &Plan) -> &'static str {
    match &plan.card {
        CardPlan::Xdp(_) => name_of(WAKES, &plan.config.nic.wake),
        CardPlan::Memif(memif) => idle_name(memif.idle),
    }
}

/// Packets are answered.
pub(super) fn ready(server: &Server) -> News {
    let event = Event::Ready {
        nic: server.plan().facts.link.name.clone(),
        mode: server.mode(),
        is_zero_copy: server.zero_copy() == "yes",
        lane_count: server.plan().lanes.len() as u64,
    };
    News::new(event, server.ready_line())
}

/// Another configuration is in force, and what of it works, but not as well as it could.
pub(super) fn reloaded(plans: &[&Plan]) -> Vec<News> {
    let mut news = Vec::new();
    for plan in plans {
        let config = &plan.config;
        let card = config.is_one_of_several().then_some(config.nic.interface.as_str());
        let warning = |line: &String| News::new(Event::PlanWarning {}, line).on(card);
        news.extend(plan.warnings.iter().map(warning));
    }
    let of_cards: Vec<Served> = plans.iter().map(|plan| Served::of(plan)).collect();
    let mut tiers: Vec<String> = of_cards.iter().map(|served| served.tier.clone()).collect();
    tiers.dedup();
    let event = Event::Reload {
        address_count: of_cards.iter().map(|served| served.address_count).sum(),
        route_count: of_cards.iter().map(|served| served.route_count).max().unwrap_or(0),
        tier: tiers.join(","),
    };
    news.push(News::new(event, "reloaded: the new configuration is in force"));
    news
}

/// Another configuration could not be taken over.
pub(super) fn refused(error: &ReloadError) -> News {
    let (reason, is_unchanged) = match error {
        ReloadError::Refused(reason) => (reason.to_string(), true),
        ReloadError::Halfway(reason) => (reason.to_string(), false),
    };
    News::new(Event::ReloadRefused { reason, is_unchanged }, error)
}

/// Another tier is the earliest one.
pub(super) fn tier(plan: &Plan) -> News {
    News::new(
        Event::Tier { tier: plan.earliest.tier.to_string() },
        format_args!("tier {}", plan.explain_tier()),
    )
}

/// The interface is gone.
pub(super) fn gone(plan: &Plan) -> News {
    let nic = plan.facts.link.name.clone();
    let line = format!(
        "the interface {nic} is gone: nothing can be answered until one of that name is there and up; what was counted is kept"
    );
    News::new(Event::InterfaceGone { nic }, line)
}

/// An interface of that name is served again.
pub(super) fn back(server: &Server, absence: &Absence) -> News {
    let (nic, length) = (server.plan().facts.link.name.clone(), absence.length());
    let (mode, zero_copy) = (server.mode(), server.zero_copy());
    let line = format!(
        "the interface {nic} is back after {:.1} s and served again: mode={mode} zero-copy={zero_copy}",
        length.as_secs_f64()
    );
    let absent_ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    News::new(Event::InterfaceBack { nic, mode, is_zero_copy: zero_copy == "yes", absent_ns }, line)
}

/// A lane was not there.
pub(super) fn stall(lane: usize, core: usize, stall: &NotedStall) -> News {
    let NotedStall { began_unix_ns, length_ns, cause, .. } = *stall;
    let (tenths_ms, cause) = (length_ns / 100_000, cause.to_string());
    let length = format!("{}.{} ms", tenths_ms / 10, tenths_ms % 10);
    let line = format!("lane {lane} was not on core {core} for {length}: {cause}");
    let (lane, core) = (lane as u64, core as u64);
    News::new(Event::Stall { lane, core, began_unix_ns, length_ns, cause }, line)
}

/// What a server counted in its life.
pub(super) fn stop(summary: &Summary) -> News {
    let fates = |counters: &Counters| {
        [Kind::Received, Kind::Replied, Kind::Passed, Kind::Dropped].map(|kind| counters.sum(kind))
    };
    let [received_count, replied_count, passed_count, dropped_count] = fates(summary.counters());
    let [driver_received_count, driver_replied_count, driver_passed_count, driver_dropped_count] =
        fates(summary.driver());
    let event = Event::Stop {
        received_count,
        replied_count,
        passed_count,
        dropped_count,
        driver_received_count,
        driver_replied_count,
        driver_passed_count,
        driver_dropped_count,
    };
    News::new(event, summary)
}

/// Why the process ends otherwise than it was told to.
pub(crate) fn failed(error: &Error) -> News {
    News::new(Event::Failed { exit_code: error.exit_number().into() }, error)
}

/// How much is served.
struct Served {
    address_count: u64,
    route_count: u64,
    tier: String,
}

impl Served {
    fn of(plan: &Plan) -> Self {
        let table: &RouteTable = &plan.routes;
        Self {
            address_count: table.addresses().len() as u64,
            route_count: table.routes().len() as u64,
            tier: plan.earliest.tier.to_string(),
        }
    }
}
