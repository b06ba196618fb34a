//! What housekeeping tells others: the server's segment, brought up to date ten times a second.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lane::STALL_LIMIT;
use nic::xdp::Statistics;
use telemetry::{ANSWERED_COUNT, Counters, Histogram, Page, Published};

use super::card::Losses;
use super::firsts::Firsts;
use super::lanes::Running;
use super::nic_counts::NicWatch;
use super::print::Summary;
use super::server::Server;
use super::stalls::StallWatch;
use super::tell;
use crate::error::Error;
use crate::events::{self, News};
use crate::plan::LanePlan;
use crate::side_channel::{
    self, Image, KernelQueue, LaneFigures, LaneStreams, RouteFigures, Segment, ServerFacts, Wanted,
};

/// How often areas are published. A reader that looks once a second is a tenth late at most; more often would copy the same
/// histograms more often, on a core that lanes may need.
const INTERVAL: Duration = Duration::from_millis(100);

/// The most routes that are told of. Who has more of them reads the configuration.
const ROUTES_MAX: usize = 256;

/// The segment of a server, and what is needed to keep it true. All memory of a publication is kept for the next one.
#[derive(Debug)]
pub(super) struct Publisher {
    segment: Segment,
    areas: Vec<Wanted>,
    facts: ServerFacts,
    figures: Vec<LaneFigures>,
    /// One for each lane that tells streams apart: all of them, or none.
    streams: Vec<LaneStreams>,
    stalls: Vec<StallWatch>,
    counted: Counted,
    nic: Option<NicWatch>,
    firsts: Firsts,
    due: Instant,
    has_failed: bool,
}

/// What was counted beside the lanes, at one publication.
#[derive(Debug)]
struct Counted {
    losses: Losses,
    driver: Counters,
    routes: Vec<RouteFigures>,
}

impl Counted {
    fn of(server: &Server) -> Result<Self, Error> {
        let (losses, driver) = (server.losses()?, server.driver_counters()?);
        Ok(Self { losses, driver, routes: server.route_figures(ROUTES_MAX)? })
    }
}

impl Publisher {
    /// Makes the segment of a server that runs.
    pub(super) fn start(server: &Server) -> Result<Self, Error> {
        let stalls: Vec<StallWatch> = server.lanes.iter().map(StallWatch::of).collect();
        let mut figures: Vec<LaneFigures> = server.lanes.iter().map(figures_of).collect();
        let mut streams: Vec<LaneStreams> =
            server.lanes.iter().filter_map(Running::streams).map(LaneStreams::of).collect();
        let nic = NicWatch::of(server);
        let (mut facts, mut areas) = (facts(server), wanted(server, nic.as_ref()));
        let counted = Counted::of(server)?;
        look_at_streams(&mut streams, server);
        fill(&mut areas, server, &mut facts, (&mut figures, &streams), &stalls, &counted, nic.as_ref());
        let segment = Segment::create(&mut areas)?;
        let due = Instant::now() + INTERVAL;
        let firsts = Firsts::default();
        let has_failed = false;
        Ok(Self { segment, areas, facts, figures, streams, stalls, counted, nic, firsts, due, has_failed })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.segment.path()
    }

    /// Where it is, as a fact of the server.
    pub(super) fn fact(&self) -> News {
        News::of(&format!("side channel: {}", self.segment.path().display()))
    }

    /// Looks for the causes of new stalls, and publishes when it is due. Gives what to tell. To be called some times as often
    /// as that: the sooner after a stall the kernel is asked, the surer is its cause.
    pub(super) fn look(&mut self, server: &Server) -> Vec<News> {
        let mut news = self.look_at_stalls(server);
        if Instant::now() < self.due {
            return news;
        }
        self.due = Instant::now() + INTERVAL;
        news.extend(self.nic.as_mut().and_then(|nic| nic.look(server)));
        let published = self.publish(server);
        // What goes on failing is said once: a log that grows ten times a second helps nobody.
        let failed = published.err().filter(|_| !std::mem::replace(&mut self.has_failed, true));
        news.extend(
            failed.map(|error| News::warning(format_args!("the side channel is not up to date: {error}"))),
        );
        news.extend(self.firsts());
        news
    }

    fn look_at_stalls(&mut self, server: &Server) -> Vec<News> {
        let wall = server.wall_clock();
        let mut news = Vec::new();
        for (number, (watch, running)) in self.stalls.iter_mut().zip(&server.lanes).enumerate() {
            watch.look(running.page(), wall);
            let untold = watch.take_untold();
            news.extend(untold.iter().map(|stall| tell::stall(number, running.plan().core, stall)));
        }
        news
    }

    /// What has happened for the first time, by the last publication.
    fn firsts(&mut self) -> Vec<News> {
        let Counted { losses, driver, .. } = &self.counted;
        let lanes = Summary::sum(self.figures.iter().map(|figures| figures.counters.clone()));
        let mut news = self.firsts.limits("lane", &lanes);
        news.extend(self.firsts.limits("driver", driver));
        news.extend(self.firsts.losses(losses));
        news.extend(self.nic.iter().flat_map(|nic| self.firsts.card(nic)));
        news
    }

    fn publish(&mut self, server: &Server) -> Result<(), Error> {
        let nic = self.nic.as_ref();
        self.counted = Counted::of(server)?;
        look_at_streams(&mut self.streams, server);
        let lanes = (&mut *self.figures, &*self.streams);
        fill(&mut self.areas, server, &mut self.facts, lanes, &self.stalls, &self.counted, nic);
        for (place, (_, _, image)) in self.areas.iter_mut().enumerate() {
            let published = self.segment.publish(place, image);
            let failed = |cause| Error::Failed(format!("{}: {cause}", self.segment.path().display()));
            published.map_err(failed)?;
        }
        self.has_failed = false;
        Ok(())
    }
}

/// The areas that the segment of a server has, empty so far. A reload may bring more routes or fewer: there are as many
/// areas as there were routes first, and empty ones where there are none.
fn wanted(server: &Server, nic: Option<&NicWatch>) -> Vec<Wanted> {
    let lane_count = server.lanes.len();
    let stream_count = server.lanes.iter().filter_map(Running::streams).count();
    let route_count = server.plan().routes.routes().len().min(ROUTES_MAX);
    let memif_count = usize::from(server.plan().facts.is_memif());
    let link_count = usize::from(nic.is_some());
    let nic_count = usize::from(nic.is_some_and(|nic| !nic.now().statistics.is_empty()));
    let kinds = [
        ("server", 1),
        ("lane", lane_count),
        ("streams", stream_count),
        ("queue", lane_count),
        ("memif", memif_count),
        ("driver", 1 - memif_count),
        ("route", route_count),
        ("link", link_count),
        ("link_at_start", link_count),
        ("nic", nic_count),
        ("nic_at_start", nic_count),
    ];
    let areas = kinds.into_iter().flat_map(|(kind, count)| (0..count).map(move |index| (kind, index)));
    areas.map(|(kind, index)| (kind, index, Image::new())).collect()
}

/// Writes everything into its area as it is now.
fn fill(
    areas: &mut [Wanted],
    server: &Server,
    facts: &mut ServerFacts,
    (figures, streams): (&mut [LaneFigures], &[LaneStreams]),
    stalls: &[StallWatch],
    Counted { losses, driver, routes }: &Counted,
    nic: Option<&NicWatch>,
) {
    follow(facts, server);
    for ((running, figures), watch) in server.lanes.iter().zip(figures.iter_mut()).zip(stalls) {
        update(figures, running.page(), watch);
    }
    for (kind, index, image) in areas {
        image.restart();
        match *kind {
            "server" => side_channel::server(image, facts),
            "lane" => figures.get(*index).into_iter().for_each(|figures| side_channel::lane(image, figures)),
            "streams" => streams.get(*index).into_iter().for_each(|of| side_channel::streams(image, of)),
            "queue" => queue(image, losses, *index),
            "memif" => {
                if let Losses::Memif(peers, _) = losses {
                    side_channel::memif(image, peers);
                }
            }
            "driver" => side_channel::driver(image, driver),
            "link" | "link_at_start" | "nic" | "nic_at_start" => {
                if let Some(nic) = nic {
                    card(image, kind, nic);
                }
            }
            _ => {
                let figures = routes.get(*index).copied().unwrap_or_default();
                side_channel::route(image, &route(server, *index), figures);
            }
        }
    }
}

/// What the lanes have noted of streams since the last look.
fn look_at_streams(streams: &mut [LaneStreams], server: &Server) {
    let wall = server.wall_clock();
    let shared = server.lanes.iter().filter_map(Running::streams);
    streams.iter_mut().zip(shared).for_each(|(streams, shared)| streams.look(shared, &wall));
}

/// What the card counts itself, now and at the start.
fn card(image: &mut Image, kind: &str, nic: &NicWatch) {
    match kind {
        "link" => side_channel::link(image, nic.now()),
        "link_at_start" => side_channel::link(image, nic.at_start()),
        "nic" => side_channel::statistics(image, nic.now()),
        _ => side_channel::statistics(image, nic.at_start()),
    }
}

/// What of a server's facts changes while it runs.
fn follow(facts: &mut ServerFacts, server: &Server) {
    let link = &server.plan().facts.link;
    facts.tier = server.plan().earliest.tier.to_string();
    link.driver_name().unwrap_or_default().clone_into(&mut facts.driver);
    (facts.log_lost_count, facts.log_suppressed_count) = (events::lost_count(), events::suppressed_count());
    (facts.link, facts.interface_index) = (server.link().text().to_owned(), link.index.into());
    (facts.mode, facts.zero_copy) = (server.mode(), server.zero_copy().to_owned());
    facts.health_questions =
        [&server.health.driver, &server.health.lane].map(|count| count.load(Ordering::Relaxed));
}

/// What no lane has seen of a queue.
fn queue(image: &mut Image, losses: &Losses, index: usize) {
    match losses {
        Losses::Xdp(queues) => {
            let &(queue, statistics) = queues.get(index).unwrap_or(&(0, Statistics::default()));
            side_channel::queue(image, &KernelQueue { queue, statistics });
        }
        Losses::Memif(_, queues) => {
            let frames = queues.get(index).copied().unwrap_or_default();
            side_channel::memif_queue(image, u32::try_from(index).unwrap_or(u32::MAX), &frames);
        }
    }
}

fn facts(server: &Server) -> ServerFacts {
    let link = &server.plan().facts.link;
    let kernel_release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let [turn_clock, arrival_clock, transmit_clock, transmit_since] = server.stamping.names();
    ServerFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        nic: link.name.clone(),
        kernel_release: kernel_release.trim().to_owned(),
        stall_limit_ns: STALL_LIMIT.0,
        turn_clock,
        arrival_clock,
        transmit_clock,
        transmit_since,
        age_limit_ns: server.plan().config.lane.age_limit.map_or(0, |limit| limit.0),
        ..ServerFacts::default()
    }
}

/// A route and its tier; nothing where a reload has left fewer, or where it gets nothing on this card.
fn route(server: &Server, index: usize) -> (String, String) {
    let table = &server.plan().routes;
    let route = table.routes().iter().zip(table.tiers()).nth(index).filter(|_| table.gets_something(index));
    route.map(|(route, tier)| (route.to_string(), tier.to_string())).unwrap_or_default()
}

/// What does not change of a lane, and room for what does.
fn figures_of(running: &Running) -> LaneFigures {
    let LanePlan { queue, core } = running.plan();
    let residence = vec![Histogram::default(); ANSWERED_COUNT];
    LaneFigures { queue, core, residence, ..LaneFigures::default() }
}

fn update(figures: &mut LaneFigures, page: &Page, watch: &StallWatch) {
    // Where the lane died in the middle of a publication, what it published before stays.
    if let Some(Published { counters, depths, depths_max }) = page.read() {
        (figures.counters, figures.depths, figures.depths_max) = (counters, depths, depths_max);
    }
    for (residence, shared) in figures.residence.iter_mut().zip(&page.turn_residence) {
        *residence = shared.read();
    }
    figures.stamp_residence = page.residence.read();
    figures.waits.look(page);
    (figures.stalls, figures.stall_causes) = (watch.figures(), watch.causes());
}
