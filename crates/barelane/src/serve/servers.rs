//! The servers of all cards of this process: started together, looked after in one loop, reloaded all or none, stopped all.
//!
//! ```text
//!   signals ─▶ loop ─┬─▶ server of eth1: time, interface, next hops, segment
//!                    ├─▶ server of eth2: likewise
//!                    └─▷ server of eth3, whose interface is gone: on a thread of its own, until it is back
//! ```
//!
//! To take an interface again can mean to wait: for the kernel, for a link, for another host that has one of our addresses. So whoever
//! has lost his interface is looked after elsewhere meanwhile, and nobody waits with him.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::housekeeping::Housekeeping;
use super::reload::ReloadError;
use super::served::Served;
use super::server::Server;
use super::{Watch, reload, tell};
use crate::admin::Shown;
use crate::error::Error;
use crate::events::News;
use crate::per_card::PerCard;
use crate::{Config, Plan};

/// Starts the server of each plan; nothing where `stop` was set before packets came. What one of them fails by leaves all interfaces
/// as they were.
pub(super) fn start(plans: PerCard<Plan>, stop: &AtomicBool) -> Result<Option<PerCard<Server>>, Error> {
    let mut prepared = Vec::new();
    for plan in plans {
        let config = plan.config.clone();
        match crate::plan::on_card(&config, Server::prepare(plan, stop))? {
            Some(server) => prepared.push(server),
            None => return Ok(None),
        }
    }
    prepared.iter_mut().try_for_each(Server::begin)?;
    Ok(PerCard::of(prepared))
}

/// Every card's server.
#[derive(Debug)]
pub(super) struct Servers {
    places: Vec<Place>,
    housekeeping: Arc<Housekeeping>,
    stop: Arc<AtomicBool>,
}

/// Where a server is looked after.
#[derive(Debug)]
enum Place {
    /// In the loop.
    Here(Box<Served>),
    /// By a thread of its own, until its interface is back.
    Away(String, JoinHandle<Waited>),
    /// By nobody any more: it has failed.
    Nowhere,
}

/// A server that has waited for its interface, and what to tell of its return, or what ended the wait otherwise.
type Waited = (Box<Served>, Result<Vec<News>, Error>);

impl Servers {
    pub(super) fn new(
        servers: PerCard<Server>,
        housekeeping: Arc<Housekeeping>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let here = |server| Place::Here(Box::new(Served::new(server)));
        Self { places: servers.into_iter().map(here).collect(), housekeeping, stop }
    }

    fn here(&self) -> impl Iterator<Item = &Served> {
        self.places
            .iter()
            .filter_map(|place| if let Place::Here(served) = place { Some(&**served) } else { None })
    }

    fn here_mut(&mut self) -> impl Iterator<Item = &mut Served> {
        self.places
            .iter_mut()
            .filter_map(|place| if let Place::Here(served) = place { Some(&mut **served) } else { None })
    }

    /// The plan that also speaks for what all cards have in common.
    pub(super) fn first_plan(&self) -> Option<&Plan> {
        self.here().next().map(|served| served.server.plan())
    }

    /// Opens a side channel for each.
    pub(super) fn publish(&mut self) {
        self.here_mut().for_each(Served::publish);
    }

    /// Lets captures of each be asked for.
    pub(super) fn serve_captures(&mut self) {
        self.here_mut().for_each(Served::serve_captures);
    }

    /// Lets each be asked whether it answers.
    pub(super) fn serve_health(&mut self) {
        self.here_mut().for_each(Served::serve_health);
    }

    /// What metrics and health look at.
    pub(super) fn shown(&self) -> Vec<Shown> {
        self.here().map(Served::shown).collect()
    }

    /// Says of each that packets are answered.
    pub(super) fn tell_ready(&self) {
        self.here().for_each(|served| served.tell([tell::ready(&served.server)]));
    }

    /// One look at each. Fails where one of them can answer nothing any more.
    pub(super) fn look(&mut self) -> Result<(), Error> {
        let Self { places, housekeeping, stop } = self;
        for place in places {
            if let Place::Here(served) = place {
                served.look(housekeeping, stop)?;
            }
            let (next, ended) = mem::replace(place, Place::Nowhere).next(housekeeping, stop)?;
            *place = next;
            ended?;
        }
        Ok(())
    }

    /// Takes over what has changed, on all cards or on none. Gives what to tell.
    pub(super) fn reload(&mut self, configs: &PerCard<Config>) -> Result<Vec<News>, ReloadError> {
        let (housekeeping, stop) = (Arc::clone(&self.housekeeping), Arc::clone(&self.stop));
        self.refuse_gone()?;
        let mut served: Vec<&mut Served> = self.here_mut().collect();
        let reloaded = housekeeping.elsewhere(|| {
            let mut servers: Vec<&mut Server> = served.iter_mut().map(|served| &mut served.server).collect();
            reload::reload_all(&mut servers, configs, &stop)
        });
        // Whatever came of it, what is looked for is what the plans in force say.
        for served in &mut served {
            served.watch = Watch::new(served.server.plan());
        }
        reloaded?;
        let plans: Vec<&Plan> = self.here().map(|served| served.server.plan()).collect();
        Ok(tell::reloaded(&plans))
    }

    fn refuse_gone(&self) -> Result<(), Error> {
        let gone = self
            .places
            .iter()
            .find_map(|place| if let Place::Away(nic, _) = place { Some(nic) } else { None });
        gone.map_or(Ok(()), |nic| Err(reload::gone(nic)))
    }

    /// Stops all of them, and tells what each has counted. Fails with what the first fails by, when all have ended.
    pub(super) fn stop(mut self) -> Result<(), Error> {
        self.stop.store(true, Ordering::Relaxed);
        self.here_mut().for_each(Served::end_watchers);
        let mut ended = Ok(());
        for place in self.places {
            ended = ended.and(place.stop());
        }
        ended
    }
}

impl Place {
    /// Where the server is looked after next, and what has ended its wait otherwise than its interface.
    fn next(
        self,
        housekeeping: &Arc<Housekeeping>,
        stop: &Arc<AtomicBool>,
    ) -> Result<(Self, Result<(), Error>), Error> {
        match self {
            Self::Here(served) if served.server.is_without_interface() => {
                Ok((wait(served, housekeeping, stop)?, Ok(())))
            }
            Self::Away(_, thread) if thread.is_finished() => {
                let (served, ended) = back(thread)?;
                let ended = ended.map(|news| served.tell(news));
                Ok((Self::Here(served), ended))
            }
            other => Ok((other, Ok(()))),
        }
    }

    fn stop(self) -> Result<(), Error> {
        let (served, ended) = match self {
            Self::Here(served) => (served, Ok(())),
            Self::Away(_, thread) => {
                let (served, ended) = back(thread)?;
                let ended = ended.map(|news| served.tell(news));
                (served, ended)
            }
            Self::Nowhere => return Ok(()),
        };
        served.stop().and(ended)
    }
}

/// Hands a server to a thread that looks after it until its interface is back, or all is to stop.
fn wait(
    served: Box<Served>,
    housekeeping: &Arc<Housekeeping>,
    stop: &Arc<AtomicBool>,
) -> Result<Place, Error> {
    let (nic, housekeeping, stop) = (served.nic().to_owned(), Arc::clone(housekeeping), Arc::clone(stop));
    let work = move || {
        let mut served = served;
        let ended = served.wait(&housekeeping, &stop);
        (served, ended)
    };
    let thread = thread::Builder::new().name("gone".to_owned()).spawn(work);
    let thread = thread.map_err(|cause| Error::Failed(format!("no thread to wait for {nic}: {cause}")))?;
    Ok(Place::Away(nic, thread))
}

/// The server back from its thread.
fn back(thread: JoinHandle<Waited>) -> Result<Waited, Error> {
    thread.join().map_err(|_| Error::Failed("the thread that waits for an interface has died".to_owned()))
}
