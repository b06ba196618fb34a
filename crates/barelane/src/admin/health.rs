//! What is looked at before a server is called ready, or healthy.
//!
//! For `/readyz` no packet is sent: it is asked often, by whoever balances load. For `/healthz` what is claimed is asked too
//! ([`crate::health`]), as far as that is possible within this host. The cable has no part in it: who wants to know whether questions
//! come by it asks one from another host, by `barelane probe`.

use std::sync::Arc;
use std::time::Duration;

use host::links;
use host::memory::Thread;
use host::usage::WatchedThread;
use tokio::time::{Instant, sleep};

use crate::Plan;
use crate::health::{Asking, Finding, Report};
use crate::side_channel::{Area, Reader, SegmentError, Snapshot, unix_ns};

/// A publication is fresh for so long: ten of them are due in it.
pub(super) const FRESH_MAX_NS: u64 = 1_000_000_000;

/// How long lanes are waited for. A lane turns some million times in it, and publishes after every 4096th turn.
const TURN_MAX: Duration = Duration::from_secs(1);

/// How often is looked meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What of a server is watched beside its segment.
#[derive(Debug)]
pub(crate) struct Watched {
    /// The kernel's number of the program on the interface; nothing in shared memory.
    pub(super) program: Option<u32>,
    /// The lanes' cores.
    pub(super) cores: Vec<usize>,
    /// The threads of lanes that may sleep, in the order of the lanes. Where nothing comes they turn a hundred times a second and
    /// publish once in 41 s; but between two turns they sleep, and that the kernel counts.
    pub(super) sleepers: Vec<WatchedThread>,
    /// Who asks whether it answers; nothing where nobody does.
    pub(super) asking: Option<Asking>,
}

impl Watched {
    /// What there is to watch of a server that runs by this plan.
    pub(crate) fn of(plan: &Plan, lanes: impl Iterator<Item = Thread>, asking: Option<Asking>) -> Self {
        let index = plan.facts.link.index;
        let is_on_interface = !plan.facts.is_memif();
        let program = is_on_interface.then(|| program_at(index).unwrap_or(0));
        Self {
            program,
            cores: plan.lanes.iter().map(|lane| lane.core).collect(),
            sleepers: lanes.filter(|_| plan.may_sleep()).map(WatchedThread::open).collect(),
            asking,
        }
    }

    /// The first core of this process that no lane of any card has.
    pub(super) fn own_core<'a>(cards: &(impl Iterator<Item = &'a Self> + Clone)) -> Option<usize> {
        let allowed = host::cores::allowed().unwrap_or_default();
        allowed.into_iter().find(|core| cards.clone().all(|card| !card.cores.contains(core)))
    }
}

/// The kernel's number of the program that is attached to an interface now; 0 where none is.
fn program_at(index: u32) -> Result<u32, host::HostError> {
    Ok(links::link_at(index)?.program.map_or(0, |program| program.id))
}

/// Whether packets can come, and every lane turns, as is published.
pub(super) async fn ready(reader: &Reader, watched: &Watched) -> Report {
    let mut report = Report::default();
    report.add("segment-fresh", fresh(reader));
    report.add("link", link(reader));
    report.add("lanes-turn", turning(reader, watched).await);
    report
}

/// The same, and whether the program is still attached, and what it and the lanes are asked is answered.
pub(super) async fn healthy(reader: &Reader, watched: &Watched) -> Report {
    let (mut report, answers) = tokio::join!(ready(reader, watched), answers(watched));
    if let Some(id) = watched.program {
        report.add("program-attached", attached(reader, id));
    }
    match answers {
        None => {}
        Some(Ok(answers)) => report.0.extend(answers.0.iter().cloned()),
        Some(Err(why)) => report.add("questions", Finding::Bad(why)),
    }
    report
}

/// What came of asking; nothing where nobody asks.
async fn answers(watched: &Watched) -> Option<Result<Arc<Report>, String>> {
    match &watched.asking {
        None => None,
        Some(asking) => Some(asking.ask().await),
    }
}

fn fresh(reader: &Reader) -> Result<String, String> {
    let snapshot = read(reader)?;
    let oldest_ns = snapshot.areas.iter().map(Area::published_unix_ns).min().unwrap_or(0);
    let age_ns = unix_ns().saturating_sub(oldest_ns);
    let said = format!("published {} ms ago", age_ns / 1_000_000);
    if age_ns <= FRESH_MAX_NS { Ok(said) } else { Err(format!("{said}: housekeeping stands still")) }
}

/// The area of the whole server.
fn server(reader: &Reader) -> Result<Area, String> {
    let found = read(reader)?.of_kind("server").next().cloned();
    found.ok_or_else(|| "the segment does not tell of its server".to_owned())
}

fn link(reader: &Reader) -> Result<String, String> {
    let area = server(reader)?;
    let nic = area.text("nic").unwrap_or_default();
    match area.text("link").unwrap_or_default().as_str() {
        "gone" => {
            Err(format!("link gone: there is no interface {nic}, and it is taken again when it is back"))
        }
        "down" => Err(format!("link down: no packet comes by {nic} until it is up")),
        word => Ok(format!("{nic} is {word}")),
    }
}

async fn turning(reader: &Reader, watched: &Watched) -> Result<String, String> {
    let before = turns(&read(reader)?, watched);
    let deadline = Instant::now() + TURN_MAX;
    loop {
        sleep(LOOK_INTERVAL).await;
        let now = turns(&read(reader)?, watched);
        let still = before.iter().zip(&now).filter(|(before, now)| before == now);
        let still: Vec<String> = still.map(|((lane, _), _)| lane.to_string()).collect();
        if still.is_empty() {
            return Ok(format!("all {} of them", now.len()));
        }
        if Instant::now() >= deadline {
            return Err(format!("lane {} has not turned within the last second", still.join(", ")));
        }
    }
}

/// Each lane with a count that grows as it turns.
fn turns(snapshot: &Snapshot, watched: &Watched) -> Vec<(u64, u64)> {
    let count = |lane: &Area, name| lane.number(name).unwrap_or(0);
    let published = |lane: &Area| count(lane, "turns").wrapping_add(count(lane, "turns_empty"));
    let asleep =
        watched.sleepers.iter().map(|thread| thread.usage().map_or(0, |usage| usage.voluntary_switches));
    let lanes = snapshot.of_kind("lane").zip(asleep.chain(std::iter::repeat(0)));
    lanes.map(|(lane, asleep)| (lane.index, published(lane).wrapping_add(asleep))).collect()
}

fn attached(reader: &Reader, id: u32) -> Result<String, String> {
    let index = server(reader)?.number("interface_index").unwrap_or(0);
    match program_at(u32::try_from(index).unwrap_or(0)) {
        Ok(found) if found == id && id > 0 => Ok(format!("number {id}")),
        Ok(0) => Err("none is attached to the interface".to_owned()),
        Ok(found) => Err(format!("number {found} is attached to the interface, and ours is {id}")),
        Err(error) => Err(error.to_string()),
    }
}

fn read(reader: &Reader) -> Result<Snapshot, String> {
    reader.read().map_err(|error: SegmentError| error.to_string())
}
