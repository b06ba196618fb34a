//! What became of the questions of each route, at every tier, since the server's start.
//!
//! Lanes and program count by the numbers that routes have in the tables in force. When other tables take their place, what was
//! counted by the old ones is kept here, under the numbers of the new ones: a route that stays keeps its counts, wherever it
//! stands now, and those of one that goes are gone with it.

use nic::xdp::RouteCount;
use route::{Route, RouteTotals};

use crate::side_channel::RouteFigures;

/// What was counted by tables and claims that are no longer in force.
#[derive(Debug, Default)]
pub(super) struct RouteTally(Vec<RouteFigures>);

impl RouteTally {
    /// What the program counted by claims that are gone, whose routes have the numbers in force.
    pub(super) fn add_driver(&mut self, counted: &[RouteCount]) {
        let counted = counted.iter().map(|&one| of_program(one));
        self.add(counted, |figures| &mut figures.driver);
    }

    /// What a lane counted by tables that are gone.
    pub(super) fn add_lane(&mut self, counted: &[RouteTotals]) {
        self.add(counted.iter().copied(), |figures| &mut figures.lane);
    }

    fn add(
        &mut self,
        counted: impl Iterator<Item = RouteTotals>,
        tier: impl Fn(&mut RouteFigures) -> &mut RouteTotals,
    ) {
        for (number, counted) in counted.enumerate() {
            if self.0.len() == number {
                self.0.push(RouteFigures::default());
            }
            if let Some(totals) = self.0.get_mut(number).map(&tier) {
                *totals = totals.plus(counted);
            }
        }
    }

    /// From here on the routes have the numbers of `new`.
    pub(super) fn renumber(&mut self, old: &[Route], new: &[Route]) {
        let kept = |route: &Route| {
            let number = old.iter().position(|other| other == route)?;
            self.0.get(number).copied()
        };
        self.0 = new.iter().map(|route| kept(route).unwrap_or_default()).collect();
    }

    /// All that is known of a route: what is kept here, and what is counted by what is in force.
    pub(super) fn figures(
        &self,
        number: usize,
        lanes: impl Iterator<Item = RouteTotals>,
        driver: &[RouteCount],
    ) -> RouteFigures {
        let before = self.0.get(number).copied().unwrap_or_default();
        let driver = driver.get(number).map_or_else(RouteTotals::default, |&one| of_program(one));
        RouteFigures { lane: lanes.fold(before.lane, RouteTotals::plus), driver: before.driver.plus(driver) }
    }
}

fn of_program(RouteCount { taken, unanswered }: RouteCount) -> RouteTotals {
    RouteTotals { taken, unanswered }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(names: &[&str]) -> Vec<Route> {
        names.iter().map(|name| Route::everywhere(name.parse().unwrap())).collect()
    }

    #[test]
    fn a_route_that_stays_keeps_its_counts_wherever_it_stands() {
        let mut tally = RouteTally::default();
        let totals = |taken| RouteTotals { taken, unanswered: 1 };
        tally.add_lane(&[totals(10), totals(20)]);
        tally.add_lane(&[totals(1)]);
        tally.add_driver(&[RouteCount { taken: 5, unanswered: 2 }]);
        tally.renumber(&routes(&["udp-echo:7", "icmp-echo"]), &routes(&["stamp", "icmp-echo", "udp-echo:7"]));
        let figures = |number| tally.figures(number, std::iter::once(totals(100)), &[]);
        assert_eq!(figures(0).lane, totals(100), "a route that is new");
        assert_eq!(figures(1).lane, RouteTotals { taken: 120, unanswered: 2 });
        assert_eq!(figures(2).lane, RouteTotals { taken: 111, unanswered: 3 });
        assert_eq!(figures(2).driver, RouteTotals { taken: 5, unanswered: 2 });
        assert_eq!(figures(2).driver.answered(), 3);
        let driver = [RouteCount::default(), RouteCount { taken: 3, unanswered: 3 }];
        assert_eq!(tally.figures(1, std::iter::empty(), &driver).driver.answered(), 0);
    }
}
