//! The quantities that a report has figures and histograms of.

use probe::Report;
use probe::figures::Figures;

/// A time that was measured of every answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// From the instant at which the question was due: what a user of the schedule would have waited.
    Response,
    /// From the instant at which the question was sent.
    RoundTrip,
    /// The round trip without the time in the reflector.
    Network,
    /// The time in the reflector, by its own two stamps.
    Residence,
}

impl Quantity {
    /// All of them, the one that matters most first.
    pub(super) const ALL: [Self; 4] = [Self::Response, Self::RoundTrip, Self::Network, Self::Residence];

    /// Its name in tables and legends.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Response => "Response time",
            Self::RoundTrip => "Round trip",
            Self::Network => "Network",
            Self::Residence => "Residence",
        }
    }

    /// From where to where it counts.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::Response => "from the instant the question was due",
            Self::RoundTrip => "from the instant the question was sent",
            Self::Network => "round trip without residence",
            Self::Residence => "inside the reflector, T3 − T2",
        }
    }

    /// The prefix of its keys in the JSON form, and its tag in the histogram log.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::RoundTrip => "rtt",
            Self::Network => "network",
            Self::Residence => "residence",
        }
    }

    /// Its figures in a report.
    pub(super) const fn of(self, report: &Report) -> &Figures {
        match self {
            Self::Response => &report.response,
            Self::RoundTrip => &report.rtt,
            Self::Network => &report.network,
            Self::Residence => &report.residence,
        }
    }

    /// The one that a report is judged by: where there is a schedule, what its user waits, so that questions that a
    /// stalled server held back are in it; else the round trip.
    pub(super) const fn judged(report: &Report) -> Self {
        if report.response.samples > 0 { Self::Response } else { Self::RoundTrip }
    }
}
