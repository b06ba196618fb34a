//! `barelane serve`: lanes on a card, until told to stop.
//!
//! The order of a start, and why it is this one:
//!
//! ```text
//!   plan ─▶ open the card ─▶ lock memory ─▶ is the address free? ─▶ lanes, warm ─▶ claims ─▶ announce ─▶ ready
//!            attached, but    no page         before it is used       pinned       from here   so that
//!            claims nothing:  faults            (RFC 5227,            and           on packets  switches
//!            all passes       later             RFC 4862 5.4)         spinning       are ours    learn it
//! ```
//!
//! Memory is locked after packet memory has been taken, which chooses its own NUMA node first: locked pages are there
//! at once, wherever the kernel thinks best, and do not move.
//!
//! An interface that goes away afterwards ends nothing: see [`recovery`].
//!
//! Whatever fails before "claims" leaves the interface as it was. Whatever happens after it, the program is held by
//! a file descriptor of this process: when the process ends, however it ends, the kernel detaches it.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use host::privileges::GRANT;
use sd_notify::NotifyState;

use crate::admin::{self, Admin, Watched};
use crate::args::ServeArguments;
use crate::capture::Service;
use crate::config::keys::INTERFACE;
use crate::error::{Error, Wrong};
use crate::events::{self, Event, News};
use crate::health::{CardHealth, Health, Wants};
use crate::plan::Facts;
use crate::signals::Signals;
use crate::{Config, Plan};

mod address_check;
mod card;
mod firsts;
mod holding;
mod housekeeping;
mod lanes;
mod next_hops;
mod nic_counts;
mod print;
mod publish;
mod recovery;
mod reload;
mod routes;
mod server;
mod stalls;
mod tell;
mod watch;

use holding::Holding;
use housekeeping::Housekeeping;
use lanes::Running;
pub use print::Summary;
use publish::Publisher;
pub use reload::ReloadError;
pub use server::Server;
pub(crate) use tell::failed;
use watch::Watch;

/// How often signals are looked at: how late a stop may begin. Shorter wakes a core for nothing more often.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Serves until SIGTERM or SIGINT.
pub fn run(arguments: &ServeArguments) -> Result<(), Error> {
    // Before the card is opened, so that no signal finds it half open.
    let signals = Signals::catch()?;
    let config = Config::new(arguments)?;
    events::install(&config.log)?;
    let Some((mut server, listener, holding)) = start(&config, &signals)? else {
        News::of("stopped before anything was served").tell();
        return Ok(());
    };
    tell::start(&server).tell();
    tell::plan(&server).iter().for_each(News::tell);
    let facts = server.facts();
    facts.iter().chain(holding.facts()).for_each(|line| News::of_plan(line).tell());
    let housekeeping = Housekeeping::begin(server.plan());
    let mut publisher = publish(&server);
    let health = listener.as_ref().and_then(|_| ask_for_health(&mut server));
    let admin = answer_metrics(&server, listener, publisher.as_ref(), health.as_ref());
    let captures = serve_captures(&mut server, publisher.as_ref());
    tell::ready(&server).tell();
    tell_systemd(&[NotifyState::Ready]);
    let watchers = Watchers { publisher: publisher.as_mut(), admin: admin.as_ref(), health: health.as_ref() };
    let ended = supervise(&mut server, &housekeeping, watchers, &signals, arguments);
    tell_systemd(&[NotifyState::Stopping]);
    // Whoever balances load by it learns of the end before the first question is not answered.
    drop(admin);
    drop(health);
    drop(captures);
    let stopped = server.stop();
    if let Ok(summary) = &stopped {
        tell::stop(summary).tell();
    }
    holding.give_back();
    ended?;
    stopped?.check()
}

/// Starts the server that a configuration means, and listens for who asks about it; nothing where the process was told to stop
/// before it served.
fn start(
    config: &Config,
    signals: &Signals,
) -> Result<Option<(Server, Option<TcpListener>, Holding)>, Error> {
    let stop = signals.stop_flag();
    Facts::settle(config, &stop)?;
    if signals.is_stopping() {
        return Ok(None);
    }
    let mut plan = Plan::new(config)?;
    check_privileges(&plan)?;
    // Before the card is opened: where the port is taken, nothing has been touched.
    let listener = admin::listen(&mut plan)?;
    // What is moved has settled before the lanes begin.
    let holding = Holding::begin(&plan)?;
    Ok(Server::start(plan, &stop)?.map(|server| (server, listener, holding)))
}

/// Who tells others of a server, and what it goes by changes with the plan.
struct Watchers<'a> {
    publisher: Option<&'a mut Publisher>,
    admin: Option<&'a Admin>,
    health: Option<&'a Health>,
}

/// Begins to ask whether what is claimed is answered, whenever somebody wants to know. A server that answers is worth more than one
/// that is asked.
fn ask_for_health(server: &mut Server) -> Option<Health> {
    let stand_in = server.stand_in();
    let lanes = server.lanes.iter_mut().filter_map(Running::door).collect();
    let card = CardHealth::new(stand_in, lanes, Arc::clone(&server.health));
    let core = server.plan().placement.housekeeping.as_ref().map(|seat| seat.core);
    let health = Health::start(card, wants(server), core);
    health.map_err(|error| News::warning(error).tell()).ok()
}

/// What is to be asked of a server, as it is now.
fn wants(server: &Server) -> Wants {
    Wants::of(server.plan(), server.program_mode())
}

/// Answers who asks for metrics and health. As with the side channel, a server that answers packets is worth more.
fn answer_metrics(
    server: &Server,
    listener: Option<TcpListener>,
    publisher: Option<&Publisher>,
    health: Option<&Health>,
) -> Option<Admin> {
    let (plan, segment) = (server.plan(), publisher.map(Publisher::path));
    let threads = server.lanes.iter().filter_map(Running::watched);
    let watched = Watched::of(plan, threads, health.map(Health::asking));
    match Admin::start(listener?, &plan.admin, segment, watched) {
        Ok(admin) => {
            admin.fact().tell();
            Some(admin)
        }
        Err(error) => {
            News::warning(error).tell();
            None
        }
    }
}

/// Lets captures of the lanes be asked for, beside the segment. A server that answers is worth more than one that is looked at.
fn serve_captures(server: &mut Server, publisher: Option<&Publisher>) -> Option<Service> {
    let segment = publisher?.path();
    let plan = server.plan();
    let core = plan.placement.housekeeping.as_ref().map(|seat| seat.core);
    let nic = plan.facts.link.name.clone();
    let lanes = server.lanes.iter_mut().filter_map(Running::lane_end).collect();
    match Service::start(segment, &nic, lanes, core) {
        Ok(service) => {
            News::of(&service.fact()).tell();
            Some(service)
        }
        Err(error) => {
            News::warning(format_args!("nothing can be captured here: {error}")).tell();
            None
        }
    }
}

/// Opens the side channel. A server that answers is worth more than one that is looked at, so it serves without one too.
fn publish(server: &Server) -> Option<Publisher> {
    match Publisher::start(server) {
        Ok(publisher) => {
            publisher.fact().tell();
            Some(publisher)
        }
        Err(error) => {
            let line = format!("there is no side channel, and barelane top cannot see this server: {error}");
            News::warning(line).tell();
            None
        }
    }
}

/// Looks after the lanes until they are told to stop, or cannot answer any more.
fn supervise(
    server: &mut Server,
    housekeeping: &Housekeeping,
    Watchers { mut publisher, admin, health }: Watchers<'_>,
    signals: &Signals,
    arguments: &ServeArguments,
) -> Result<(), Error> {
    let (mut watch, mut plan_number) = (Watch::new(server.plan()), server.plan_number);
    while !signals.is_stopping() {
        if signals.take_reload() {
            reload(server, housekeeping, arguments, &signals.stop_flag());
            if let Some(admin) = admin {
                admin.renew(&server.plan().admin);
            }
            watch = Watch::new(server.plan());
        }
        if plan_number != server.plan_number {
            plan_number = server.plan_number;
            health.into_iter().for_each(|health| health.renew(wants(server)));
        }
        server.tell_time();
        server.news().iter().for_each(News::tell);
        let news = look_for_interface(server, housekeeping, &signals.stop_flag())?;
        news.iter().for_each(News::tell);
        if !news.is_empty() {
            watch = Watch::new(server.plan());
        }
        if !server.is_without_interface() {
            look_at_interface(server, &mut watch)?;
        }
        publisher.as_mut().map_or_else(Vec::new, |it| it.look(server)).iter().for_each(News::tell);
        events::look();
        thread::sleep(LOOK_INTERVAL);
    }
    Ok(())
}

/// Looks whether the interface has gone away, or has come back: then what is planned anew is planned for all cores.
fn look_for_interface(
    server: &mut Server,
    housekeeping: &Housekeeping,
    stop: &AtomicBool,
) -> Result<Vec<News>, Error> {
    if server.is_due_to_try_again() {
        return housekeeping.elsewhere(|| server.try_again(stop));
    }
    server.look_whether_it_went()
}

/// Follows what changes on the interface, and about it.
fn look_at_interface(server: &mut Server, watch: &mut Watch) -> Result<(), Error> {
    server.look_at_next_hops().iter().for_each(News::tell);
    server.look_at_link()?.iter().for_each(News::tell);
    watch.look(server.plan())?.iter().for_each(News::tell);
    let announced = server.note_link(watch.is_running()).and_then(|()| server.announce_again());
    if let Err(error) = announced {
        News::warning(error).tell();
    }
    Ok(())
}

/// Takes over what has changed, or says why not and goes on as before: a running server is never stopped by a
/// mistake in a file.
fn reload(server: &mut Server, housekeeping: &Housekeeping, arguments: &ServeArguments, stop: &AtomicBool) {
    let mut news = vec![NotifyState::Reloading];
    news.extend(NotifyState::monotonic_usec_now());
    tell_systemd(&news);
    let config = Config::new(arguments).map_err(ReloadError::Refused);
    match config.and_then(|config| housekeeping.elsewhere(|| server.reload(&config, stop))) {
        Ok(()) => {
            let warning = |line: &String| News::new(Event::PlanWarning {}, line).tell();
            server.plan().warnings.iter().for_each(warning);
            tell::reloaded(server.plan()).tell();
        }
        Err(error) => tell::refused(&error).tell(),
    }
    tell_systemd(&[NotifyState::Ready]);
}

/// Nothing happens where systemd did not start this process; where it did and has gone away, nobody waits for news.
fn tell_systemd(news: &[NotifyState<'_>]) {
    let _gone = sd_notify::notify(false, news);
}

fn check_privileges(plan: &Plan) -> Result<(), Wrong> {
    if plan.facts.is_memif() {
        return Ok(());
    }
    let missing = host::privileges::missing_for_xdp();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    let problem =
        format!("attaching to an interface needs privileges that this process does not have: {missing}");
    let remedy = format!("run it as root, or grant what it needs: setcap {GRANT} BINARY");
    Err(Wrong::new(INTERFACE, &plan.config.nic.interface).because(problem).remedy(remedy))
}
