//! What housekeeping tells others: the server's segment, brought up to date ten times a second.

use std::time::{Duration, Instant};

use lane::STALL_LIMIT;
use telemetry::{Page, Published};

use super::lanes::Running;
use super::server::Server;
use super::stalls::StallWatch;
use crate::error::Error;
use crate::side_channel::{self, KernelQueue, LaneFigures, Segment, ServerFacts};

/// How often areas are published. A reader that looks once a second is a tenth late at most; more often would copy the same
/// histograms more often, on a core that lanes may need.
const INTERVAL: Duration = Duration::from_millis(100);

/// The most routes that are told of. Who has more of them reads the configuration.
const ROUTES_MAX: usize = 64;

/// The segment of a server, and what is needed to keep it true.
#[derive(Debug)]
pub(super) struct Publisher {
    segment: Segment,
    stalls: Vec<StallWatch>,
    route_count: usize,
    due: Instant,
    has_failed: bool,
}

impl Publisher {
    /// Makes the segment of a server that runs.
    pub(super) fn start(server: &Server) -> Result<Self, Error> {
        let stalls: Vec<StallWatch> = server.lanes.iter().map(StallWatch::of).collect();
        let route_count = server.plan().routes.routes().len().min(ROUTES_MAX);
        let areas = areas(server, &stalls, route_count)?;
        let segment = Segment::create(&areas)?;
        Ok(Self { segment, stalls, route_count, due: Instant::now() + INTERVAL, has_failed: false })
    }

    /// Where it is, as a fact of the server.
    pub(super) fn fact(&self) -> String {
        format!("side channel: {}", self.segment.path().display())
    }

    /// Looks for the causes of new stalls, and publishes when it is due. Gives what to say. To be called some ten times as
    /// often as that: the sooner after a stall the kernel is asked, the surer is its cause.
    pub(super) fn look(&mut self, server: &Server) -> Option<String> {
        let wall = server.wall_clock();
        self.stalls.iter_mut().zip(&server.lanes).for_each(|(watch, lane)| watch.look(lane.page(), wall));
        if Instant::now() < self.due {
            return None;
        }
        self.due = Instant::now() + INTERVAL;
        let published = self.publish(server);
        // What goes on failing is said once: a log that grows ten times a second helps nobody.
        let failed = published.err().filter(|_| !std::mem::replace(&mut self.has_failed, true));
        failed.map(|error| format!("warning: the side channel is not up to date: {error}"))
    }

    fn publish(&mut self, server: &Server) -> Result<(), Error> {
        let areas = areas(server, &self.stalls, self.route_count)?;
        for (place, (_, _, image)) in areas.iter().enumerate() {
            let published = self.segment.publish(place, image);
            let failed = |cause| Error::Failed(format!("{}: {cause}", self.segment.path().display()));
            published.map_err(failed)?;
        }
        self.has_failed = false;
        Ok(())
    }
}

/// All areas as they are now, always as many and in the same order.
fn areas(
    server: &Server,
    stalls: &[StallWatch],
    route_count: usize,
) -> Result<Vec<side_channel::Wanted>, Error> {
    let mut areas = vec![("server", 0, side_channel::server(&facts(server)))];
    let lanes = server.lanes.iter().zip(stalls).enumerate();
    areas.extend(
        lanes.map(|(index, (running, watch))| ("lane", index, side_channel::lane(&figures(running, watch)))),
    );
    let queues = server.statistics()?.into_iter().enumerate();
    areas.extend(queues.map(|(index, (number, statistics))| {
        ("queue", index, side_channel::queue(&KernelQueue { queue: number, statistics }))
    }));
    areas.push(("driver", 0, side_channel::driver(&server.driver_counters()?)));
    let table = &server.plan().routes;
    let mut routes = table.routes().iter().zip(table.tiers());
    // A reload may bring more routes or fewer: as many areas as there were first, and empty ones where there are none.
    areas.extend((0..route_count).map(|index| {
        let told = routes.next().map(|(route, tier)| (route.to_string(), tier.to_string()));
        ("route", index, side_channel::route(&told.unwrap_or_default()))
    }));
    Ok(areas)
}

fn facts(server: &Server) -> ServerFacts {
    let plan = server.plan();
    ServerFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        nic: plan.facts.link.name.clone(),
        driver: plan.facts.link.driver_name().unwrap_or_default().to_owned(),
        mode: server.mode(),
        zero_copy: server.zero_copy().to_owned(),
        kernel_release: std::fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        tier: plan.earliest.tier.to_string(),
        stall_limit_ns: STALL_LIMIT.0,
    }
}

fn figures(running: &Running, watch: &StallWatch) -> LaneFigures {
    let page: &Page = running.page();
    let Published { counters, depths, depths_max } = page.read().unwrap_or_default();
    LaneFigures {
        queue: running.plan().queue,
        core: running.plan().core,
        counters,
        depths,
        depths_max,
        residence: page.turn_residence.iter().map(telemetry::SharedHistogram::read).collect(),
        stamp_residence: page.residence.read(),
        stalls: watch.figures(),
    }
}
