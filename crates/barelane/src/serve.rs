//! `barelane serve`: lanes on a card, until told to stop.
//!
//! The order of a start, and why it is this one:
//!
//! ```text
//!   plan ─▶ lock memory ─▶ open the card ─▶ is the address free? ─▶ lanes, warm ─▶ claims ─▶ announce ─▶ ready
//!             no page       attached, but      before it is used       pinned       from here   so that
//!             faults         claims nothing:     (RFC 5227,            and           on packets  switches
//!             later          all passes         RFC 4862 5.4)         spinning       are ours    learn it
//! ```
//!
//! Whatever fails before "claims" leaves the interface as it was. Whatever happens after it, the program is held by
//! a file descriptor of this process: when the process ends, however it ends, the kernel detaches it.

use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::args::ServeArguments;
use crate::config::keys::INTERFACE;
use crate::error::{Error, Wrong};
use crate::signals::Signals;
use crate::{Config, Plan, say};

mod address_check;
mod lanes;
mod print;
mod reload;
mod server;

pub use print::Summary;
pub use reload::ReloadError;
pub use server::Server;

/// How often signals are looked at: how late a stop may begin. Shorter wakes a core for nothing more often.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Serves until SIGTERM or SIGINT.
pub fn run(arguments: &ServeArguments) -> Result<(), Error> {
    // Before the card is opened, so that no signal finds it half open.
    let signals = Signals::catch()?;
    let plan = Plan::new(&Config::new(arguments)?)?;
    check_privileges(&plan)?;
    let mut server = Server::start(plan)?;
    for line in server.facts() {
        say::note(line);
    }
    say::note(server.ready_line());
    tell_systemd(&[NotifyState::Ready]);
    while !signals.is_stopping() {
        if signals.take_reload() {
            reload(&mut server, arguments);
        }
        thread::sleep(LOOK_INTERVAL);
    }
    tell_systemd(&[NotifyState::Stopping]);
    let summary = server.stop()?;
    say::note(&summary);
    summary.check()
}

/// Takes over what has changed, or says why not and goes on as before: a running server is never stopped by a
/// mistake in a file.
fn reload(server: &mut Server, arguments: &ServeArguments) {
    let mut news = vec![NotifyState::Reloading];
    news.extend(NotifyState::monotonic_usec_now());
    tell_systemd(&news);
    let config = Config::new(arguments).map_err(ReloadError::Refused);
    match config.and_then(|config| server.reload(&config)) {
        Ok(()) => {
            server.plan().warnings.iter().for_each(say::warn);
            say::note("reloaded: the new configuration is in force");
        }
        Err(error) => say::error(error),
    }
    tell_systemd(&[NotifyState::Ready]);
}

/// Nothing happens where systemd did not start this process; where it did and has gone away, nobody waits for news.
fn tell_systemd(news: &[NotifyState<'_>]) {
    let _gone = sd_notify::notify(false, news);
}

fn check_privileges(plan: &Plan) -> Result<(), Wrong> {
    let missing = host::privileges::missing_for_xdp();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    let problem =
        format!("attaching to an interface needs privileges that this process does not have: {missing}");
    let remedy = format!("run it as root, or grant them: setcap {missing}+ep on the binary");
    Err(Wrong::new(INTERFACE, &plan.config.nic.interface).because(problem).remedy(remedy))
}
