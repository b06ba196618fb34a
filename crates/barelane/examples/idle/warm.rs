//! An asker who is as warm at one question a second as in a stream.
//!
//! ```text
//!   10,000/s always:   other other other lane other other …       one core, one clock, one code path
//!                        │                 │
//!                        ▼                 ▼
//!                  bare, its own cable   who is measured
//! ```
//!
//! An asker who has done nothing for a second is slow for reasons of its own: its code, the kernel's transmit and receive path, and the
//! processor's tables for both have left the caches. Here all that stays warm by questions to somebody else, and what is still slower at
//! one a second than in the stream is the answerer's, and its cable's.

use std::num::NonZeroU16;
use std::thread;

use host::links;
use nic::xdp::Settings;
use probe::frames::{Link, PartialChecksums};
use probe::question::Questions;
use probe::transport::{Transport, What};
use probe::xdp::Xdp;
use probe::{Ask, Clock, MonotonicClock, Protocol};
use serde_json::{Value, json};
use telemetry::{Ns, Tick};
use wire::ethernet::Mac;

use super::{CLIENT, CLIENT_MAC, Cable, NICS, Result, SERVER, SERVER_MAC, STREAM_PER_SECOND};

const ECHO: NonZeroU16 = NonZeroU16::new(7).unwrap();
/// The port that is asked from. No socket has it.
const IDENTITY: NonZeroU16 = NonZeroU16::new(40_000).unwrap();
/// How long an answer may take: longer than any here, shorter than the gap that is measured.
const TIMEOUT: Ns = Ns(50_000_000);
/// Questions before the first that counts.
const WARM_UP: u64 = 1_000;

/// One end of a cable, open.
struct End {
    card: Xdp,
    questions: Questions,
    next: u64,
}

impl End {
    fn open(cable: &Cable) -> Result<Self> {
        let mut ask = Ask::new(SERVER, Protocol::Udp { port: ECHO });
        ask.size = 56;
        let open = || -> Result<Xdp> {
            let link = links::link(NICS[0])?;
            let settings = Settings::new(NICS[0], link.index, link.mtu);
            let way = Link {
                mac: Mac(CLIENT_MAC),
                ip: CLIENT,
                next_hop: Mac(SERVER_MAC),
                identity: IDENTITY,
                mtu: link.mtu as usize,
            };
            Ok(Xdp::open(&ask, way, &settings, PartialChecksums::Accept)?)
        };
        Ok(Self { card: cable.client.run(open)??, questions: Questions::new(&ask), next: 0 })
    }

    /// Asks once; gives the round trip, or nothing where no answer came in time.
    fn ask(&mut self, clock: &MonotonicClock) -> Result<Option<u64>> {
        let sequence = self.next;
        self.next += 1;
        let Some(sent) = self.card.send(&self.questions.at(sequence), clock)? else { return Ok(None) };
        self.card.flush()?;
        let until = Tick(sent.0 + clock.rate().ticks(TIMEOUT));
        while clock.now() < until {
            let Some(arrival) = self.card.receive(until, clock)? else { continue };
            let What::Answer { payload, echo_sequence, .. } = arrival.what else { continue };
            let found = self.questions.recognise(payload, echo_sequence, self.next);
            if found.is_some_and(|found| found.sequence == sequence) {
                return Ok(Some(clock.rate().ns(arrival.at - sent).0));
            }
        }
        Ok(None)
    }
}

/// Asks whoever is on `measured` once in `every` questions, `count` times, and whoever is on `other` the rest. Gives the round trips'
/// p50 and p99, and how many came back. On a thread of its own, since it binds itself to the first core.
pub(super) fn ask(measured: &Cable, other: &Cable, every: u32, count: u32) -> Result<Value> {
    let asking = || -> Result<Value> {
        host::cores::pin(*host::cores::allowed()?.first().ok_or("no core")?)?;
        let (mut ends, clock) = ([End::open(measured)?, End::open(other)?], MonotonicClock::start());
        let gap = clock.rate().ticks(Ns(1_000_000_000 / u64::from(STREAM_PER_SECOND)));
        let mut due = clock.now();
        let mut round_trips = Vec::new();
        for question in 0..WARM_UP + u64::from(every) * u64::from(count) {
            let is_warm_up = question < WARM_UP;
            // Both cables are warm when it begins.
            let is_measured = if is_warm_up {
                question % 2 == 0
            } else {
                question % u64::from(every) == u64::from(every) - 1
            };
            due = Tick(due.0 + gap);
            while clock.now() < due {
                std::hint::spin_loop();
            }
            let answered = ends[usize::from(!is_measured)].ask(&clock)?;
            if is_measured && !is_warm_up {
                round_trips.extend(answered);
            }
        }
        round_trips.sort_unstable();
        let percentile = |percent: usize| round_trips.get(round_trips.len() * percent / 100).copied();
        Ok(json!({
            "sent": count, "answered": round_trips.len(), "rtt_p50_ns": percentile(50),
            "rtt_p99_ns": if round_trips.len() < 100 { None } else { percentile(99) }, "rtt_max_ns": round_trips.last(),
        }))
    };
    thread::scope(|scope| scope.spawn(asking).join()).map_err(|_| "the asker has died")?
}
