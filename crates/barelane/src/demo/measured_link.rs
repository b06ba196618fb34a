//! The demo's link for whoever wants to measure with it: a lane on one end, the probe on the other.

use std::time::Duration;

use super::asking::Asking;
use super::link::{self, Hosts};
use super::serving::{PORT, Serve};
use super::{Unmeasured, interrupted};
use crate::error::Error;
use crate::signals::Signals;

/// Two hosts in memory with a cable between, and nobody serving on it yet.
#[derive(Debug)]
pub(crate) struct Link {
    hosts: Hosts,
}

/// What is asked.
const ASKING: Asking = Asking::Socket(probe::Protocol::Udp { port: PORT });

impl Link {
    /// Builds it. The lane is on this core, where there is another one for who asks.
    pub(crate) fn build(lane: Option<usize>) -> Result<Self, Error> {
        let mut hosts = Hosts::build(&[&link::LANE])?;
        if let Some(lane) = lane.filter(|lane| *lane == hosts.client_core) {
            // Client and lane change places.
            (hosts.client_core, hosts.server_core) = (hosts.server_core, lane);
        } else if let Some(lane) = lane {
            hosts.server_core = lane;
        }
        Ok(Self { hosts })
    }

    /// What is asked, in words.
    pub(crate) fn words(&self) -> String {
        let Hosts { client_core, server_core, .. } = self.hosts;
        format!("a lane on core {server_core} from core {client_core}, UDP echo over a link in memory (veth)")
    }

    /// Starts a lane, asks it for so long, and stops it: p50 and p99 of the round trips.
    pub(crate) fn ask(
        &self,
        length: Duration,
        signals: &Signals,
    ) -> Result<(Option<u64>, Option<u64>), Error> {
        let stop = signals.stop_flag();
        let failed = |unmeasured| match unmeasured {
            Unmeasured::Failed(error) => error,
            Unmeasured::Refused(why) => Error::Failed(why),
        };
        let serving = Serve::Lane.start(&self.hosts, &link::LANE, &stop).map_err(failed)?;
        let part = ASKING.ask(&self.hosts, &link::LANE, length, &stop).map_err(failed);
        serving.stop()?;
        let part = part?;
        if signals.is_stopping() { Err(interrupted()) } else { Ok((part.p50_ns, part.p99_ns)) }
    }
}
