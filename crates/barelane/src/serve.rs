//! `barelane serve`: lanes on one card or on several, until told to stop.
//!
//! The order of a card's start, and why it is this one:
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
//! Of several cards all are brought so far that only claims are missing, one after the other; then packets come to all of them. What
//! one of them fails by leaves all interfaces as they were. From then on they have nothing in common but housekeeping, metrics and
//! the configuration: see [`servers`].
//!
//! An interface that goes away afterwards ends nothing: see [`recovery`].
//!
//! Whatever fails before "claims" leaves the interface as it was. Whatever happens after it, the program is held by
//! a file descriptor of this process: when the process ends, however it ends, the kernel detaches it.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use host::privileges::GRANT;
use sd_notify::NotifyState;

use crate::admin::{self, Admin};
use crate::args::ServeArguments;
use crate::config::keys::INTERFACE;
use crate::error::{Error, Wrong};
use crate::events::{self, News};
use crate::per_card::PerCard;
use crate::plan::{Facts, on_card};
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
mod served;
mod server;
mod servers;
mod stalls;
mod stamping;
mod tell;
mod watch;

use holding::Holding;
use housekeeping::Housekeeping;
pub use print::Summary;
pub use reload::ReloadError;
pub use server::Server;
use servers::Servers;
pub(crate) use tell::failed;
use watch::Watch;

/// How often signals are looked at: how late a stop may begin. Shorter wakes a core for nothing more often.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What has been started.
struct Started {
    servers: PerCard<Server>,
    /// Who asks about them is heard here.
    listener: Option<TcpListener>,
    holding: Holding,
}

/// Serves until SIGTERM or SIGINT.
pub fn run(arguments: &ServeArguments) -> Result<(), Error> {
    // Before a card is opened, so that no signal finds it half open.
    let signals = Signals::catch()?;
    let configs = Config::of_cards(arguments)?;
    events::install(&configs.first().log)?;
    let Some(Started { servers, listener, holding }) = start(&configs, &signals)? else {
        News::of("stopped before anything was served").tell();
        return Ok(());
    };
    tell::start(&servers).tell();
    servers.iter().flat_map(tell::facts).for_each(|news| news.tell());
    holding.facts().iter().for_each(|line| News::of_plan(line).tell());
    let housekeeping = Arc::new(Housekeeping::begin(servers.first().plan()));
    let mut servers = Servers::new(servers, housekeeping, signals.stop_flag());
    servers.publish();
    if listener.is_some() {
        servers.serve_health();
    }
    let admin = answer_metrics(&servers, listener);
    servers.serve_captures();
    servers.tell_ready();
    tell_systemd(&[NotifyState::Ready]);
    let ended = supervise(&mut servers, admin.as_ref(), &signals, arguments);
    tell_systemd(&[NotifyState::Stopping]);
    // Whoever balances load by it learns of the end before the first question is not answered.
    drop(admin);
    let stopped = servers.stop();
    holding.give_back();
    ended?;
    stopped
}

/// Starts the servers that the configurations mean, and listens for who asks about them; nothing where the process was told to stop
/// before they served.
fn start(configs: &PerCard<Config>, signals: &Signals) -> Result<Option<Started>, Error> {
    let stop = signals.stop_flag();
    for config in configs.iter() {
        on_card(config, Facts::settle(config, &stop))?;
    }
    if signals.is_stopping() {
        return Ok(None);
    }
    let mut plans = Plan::of_cards(configs)?;
    plans.iter().try_for_each(check_privileges)?;
    // Before a card is opened: where the port is taken, nothing has been touched.
    let listener = admin::listen(plans.first_mut())?;
    // What is moved has settled before the lanes begin.
    let holding = Holding::begin(&plans)?;
    let servers = servers::start(plans, &stop)?;
    Ok(servers.map(|servers| Started { servers, listener, holding }))
}

/// Answers who asks for metrics and health. As with the side channel, a server that answers packets is worth more.
fn answer_metrics(servers: &Servers, listener: Option<TcpListener>) -> Option<Admin> {
    match Admin::start(listener?, &servers.first_plan()?.admin, servers.shown()) {
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

/// Looks after the lanes of all cards until they are told to stop, or cannot answer any more.
fn supervise(
    servers: &mut Servers,
    admin: Option<&Admin>,
    signals: &Signals,
    arguments: &ServeArguments,
) -> Result<(), Error> {
    while !signals.is_stopping() {
        if signals.take_reload() {
            reload(servers, arguments);
            if let Some((admin, plan)) = admin.zip(servers.first_plan()) {
                admin.renew(&plan.admin);
            }
        }
        servers.look()?;
        events::look();
        std::thread::sleep(LOOK_INTERVAL);
    }
    Ok(())
}

/// Takes over what has changed, or says why not and goes on as before: a running server is never stopped by a
/// mistake in a file.
fn reload(servers: &mut Servers, arguments: &ServeArguments) {
    let mut news = vec![NotifyState::Reloading];
    news.extend(NotifyState::monotonic_usec_now());
    tell_systemd(&news);
    let configs = Config::of_cards(arguments).map_err(ReloadError::Refused);
    match configs.and_then(|configs| servers.reload(&configs)) {
        Ok(news) => news.iter().for_each(News::tell),
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
