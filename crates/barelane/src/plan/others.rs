//! Which cores others have for themselves: lanes of other servers, by their segments, and programs that have bound a thread to a
//! core.

use host::cores::{Taken, bound};
use host::links::Link;
use nic::xdp::PROGRAM_NAME;

use crate::side_channel::{self, Reader, Snapshot};

/// The cores of others. A server that is on this link already is none of them: it is this process, or it has to go before another
/// one can come.
pub(super) fn cores_taken(link: &Link) -> Vec<Taken> {
    let servers: Vec<Snapshot> = servers().collect();
    let is_served =
        link.program.as_ref().is_some_and(|program| program.name.as_deref() == Some(PROGRAM_NAME));
    let is_here = |server: &&Snapshot| {
        server.process == u64::from(std::process::id())
            || is_served && nic_of(server).is_some_and(|nic| nic == link.name)
    };
    let here: Vec<u64> = servers.iter().filter(is_here).map(|server| server.process).collect();
    let known: Vec<u64> = servers.iter().map(|server| server.process).collect();
    let of_servers = servers.iter().filter(|server| !here.contains(&server.process)).flat_map(lanes_of);
    let of_programs = bound().into_iter().filter(|one| !known.contains(&u64::from(one.process)));
    let of_programs = of_programs.map(|one| Taken {
        core: one.core,
        by: format!("the thread {} of process {}", one.name, one.process),
    });
    let mut taken: Vec<Taken> = of_servers.chain(of_programs).collect();
    // One word on each core is enough; servers come first.
    taken.sort_by_key(|one| one.core);
    taken.dedup_by_key(|one| one.core);
    taken
}

/// What the other servers of this host say of themselves, as far as this process may read it.
fn servers() -> impl Iterator<Item = Snapshot> {
    let (segments, _refused) = side_channel::running();
    // A server that ends meanwhile has no core any more.
    segments.into_iter().filter_map(|path| Reader::open(&path).ok()?.read().ok())
}

fn nic_of(server: &Snapshot) -> Option<String> {
    server.of_kind("server").next()?.text("nic")
}

fn lanes_of(server: &Snapshot) -> Vec<Taken> {
    let nic = nic_of(server).unwrap_or_default();
    let lanes = server.of_kind("lane").filter_map(|lane| {
        let core = usize::try_from(lane.number("core")?).ok()?;
        let queue = lane.number("queue")?;
        let by = format!("the lane of queue {queue} of the server on {nic} (process {})", server.process);
        Some(Taken { core, by })
    });
    lanes.collect()
}
