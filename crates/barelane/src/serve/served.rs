//! A card's server with what looks after it, and what it shows of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::LOOK_INTERVAL;
use super::housekeeping::Housekeeping;
use super::lanes::Running;
use super::publish::Publisher;
use super::server::Server;
use super::tell;
use super::watch::Watch;
use crate::admin;
use crate::capture::Service;
use crate::error::Error;
use crate::events::News;
use crate::health::{CardHealth, Health, Wants};

/// One card's server at work.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) server: Server,
    pub(super) watch: Watch,
    publisher: Option<Publisher>,
    captures: Option<Service>,
    health: Option<Health>,
    /// The plan that `health` asks by.
    plan_asked: u64,
}

impl Served {
    pub(super) fn new(server: Server) -> Self {
        let (watch, plan_asked) = (Watch::new(server.plan()), server.plan_number);
        Self { server, watch, publisher: None, captures: None, health: None, plan_asked }
    }

    /// The interface.
    pub(super) fn nic(&self) -> &str {
        &self.server.plan().facts.link.name
    }

    /// Its name in what is told of it, where there are others.
    fn card(&self) -> Option<&str> {
        self.server.plan().config.is_one_of_several().then(|| self.nic())
    }

    /// Tells of it.
    pub(super) fn tell(&self, news: impl IntoIterator<Item = News>) {
        news.into_iter().for_each(|one| one.on(self.card()).tell());
    }

    /// Opens the side channel. A server that answers is worth more than one that is looked at, so it serves without one too.
    pub(super) fn publish(&mut self) {
        let (publisher, news) = match Publisher::start(&self.server) {
            Ok(publisher) => {
                let fact = publisher.fact();
                (Some(publisher), fact)
            }
            Err(error) => {
                let line =
                    format!("there is no side channel, and barelane top cannot see this server: {error}");
                (None, News::warning(line))
            }
        };
        self.publisher = publisher;
        self.tell([news]);
    }

    /// Lets captures of the lanes be asked for, beside the segment. A server that answers is worth more than one that is looked at.
    pub(super) fn serve_captures(&mut self) {
        let Some(segment) = self.publisher.as_ref().map(Publisher::path) else { return };
        let core = self.server.plan().placement.housekeeping.as_ref().map(|seat| seat.core);
        let nic = self.server.plan().facts.link.name.clone();
        let lanes = self.server.lanes.iter_mut().filter_map(Running::lane_end).collect();
        let (captures, news) = match Service::start(segment, &nic, lanes, core) {
            Ok(service) => {
                let fact = News::of(&service.fact());
                (Some(service), fact)
            }
            Err(error) => (None, News::warning(format_args!("nothing can be captured here: {error}"))),
        };
        self.captures = captures;
        self.tell([news]);
    }

    /// Begins to ask whether what is claimed is answered, whenever somebody wants to know. A server that answers is worth more than
    /// one that is asked.
    pub(super) fn serve_health(&mut self) {
        let stand_in = self.server.stand_in();
        let lanes = self.server.lanes.iter_mut().filter_map(Running::door).collect();
        let card = CardHealth::new(stand_in, lanes, Arc::clone(&self.server.health));
        let core = self.server.plan().placement.housekeeping.as_ref().map(|seat| seat.core);
        match Health::start(card, self.wants(), core) {
            Ok(health) => self.health = Some(health),
            Err(error) => self.tell([News::warning(error)]),
        }
    }

    /// What is to be asked of the server, as it is now.
    fn wants(&self) -> Wants {
        Wants::of(self.server.plan(), self.server.program_mode())
    }

    /// Has it asked by the plan that is in force.
    fn renew_health(&mut self) {
        if self.plan_asked == self.server.plan_number {
            return;
        }
        self.plan_asked = self.server.plan_number;
        if let Some(health) = &self.health {
            health.renew(self.wants());
        }
    }

    /// What metrics and health look at.
    pub(super) fn shown(&self) -> admin::Shown {
        let lanes = self.server.lanes.iter().filter_map(Running::watched);
        let segment = self.publisher.as_ref().map(|publisher| publisher.path().to_owned());
        admin::Shown {
            nic: self.nic().to_owned(),
            segment,
            watched: admin::Watched::of(self.server.plan(), lanes, self.health.as_ref().map(Health::asking)),
        }
    }

    /// One look: what has happened, and what is due. Fails where nothing can be answered any more. To be called some ten times a second.
    pub(super) fn look(&mut self, housekeeping: &Housekeeping, stop: &AtomicBool) -> Result<(), Error> {
        let news = self.look_for_interface_again(housekeeping, stop)?;
        self.tell(news);
        self.look_at_the_rest()
    }

    /// Looks after the server until its interface is back, or all is to stop. Gives what to tell of its return, which is for him to tell
    /// who looks after it from then on: whoever hears of it may ask for a reload at once.
    pub(super) fn wait(
        &mut self,
        housekeeping: &Housekeeping,
        stop: &AtomicBool,
    ) -> Result<Vec<News>, Error> {
        while !stop.load(Ordering::Relaxed) {
            let news = self.look_for_interface_again(housekeeping, stop)?;
            if !self.server.is_without_interface() {
                return Ok(news);
            }
            self.tell(news);
            self.look_at_the_rest()?;
            thread::sleep(LOOK_INTERVAL);
        }
        Ok(Vec::new())
    }

    /// Keeps the time, and looks whether the interface has gone away, or has come back. Gives what to tell of that.
    fn look_for_interface_again(
        &mut self,
        housekeeping: &Housekeeping,
        stop: &AtomicBool,
    ) -> Result<Vec<News>, Error> {
        self.renew_health();
        self.server.tell_time();
        let news = self.server.news();
        self.tell(news);
        let news = self.look_for_interface(housekeeping, stop)?;
        if !news.is_empty() {
            self.watch = Watch::new(self.server.plan());
        }
        Ok(news)
    }

    /// Follows what changes on the interface, and publishes.
    fn look_at_the_rest(&mut self) -> Result<(), Error> {
        if !self.server.is_without_interface() {
            self.look_at_interface()?;
        }
        let news = self.publisher.as_mut().map_or_else(Vec::new, |publisher| publisher.look(&self.server));
        self.tell(news);
        Ok(())
    }

    /// Looks whether the interface has gone away, or has come back: then what is planned anew is planned for all cores.
    fn look_for_interface(
        &mut self,
        housekeeping: &Housekeeping,
        stop: &AtomicBool,
    ) -> Result<Vec<News>, Error> {
        if self.server.is_due_to_try_again() {
            return housekeeping.elsewhere(|| self.server.try_again(stop));
        }
        self.server.look_whether_it_went()
    }

    /// Follows what changes on the interface, and about it.
    fn look_at_interface(&mut self) -> Result<(), Error> {
        let mut news = self.server.look_at_next_hops();
        news.extend(self.server.look_at_link()?);
        news.extend(self.watch.look(self.server.plan())?);
        let is_running = self.watch.is_running();
        let announced = self.server.note_link(is_running).and_then(|()| self.server.announce_again());
        news.extend(announced.err().map(News::warning));
        self.tell(news);
        Ok(())
    }

    /// Stops the server, and tells what it has counted. Fails where a lane has lost or doubled a frame.
    pub(super) fn stop(self) -> Result<(), Error> {
        let card = self.card().map(str::to_owned);
        let summary = self.server.stop()?;
        tell::stop(&summary).on(card.as_deref()).tell();
        summary.check()
    }

    /// Lets nobody ask or capture any more.
    pub(super) fn end_watchers(&mut self) {
        self.health = None;
        self.captures = None;
    }
}
