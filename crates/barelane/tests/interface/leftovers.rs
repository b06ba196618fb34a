//! What a process holds in the kernel that could outlive it, and what of that is still there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use host::links;
use nic::xdp::objects::Object;

use crate::topology::Topology;

/// The kernel frees some of it only when no core looks at it any more.
const GONE_MAX: Duration = Duration::from_secs(2);

/// `BPF_MAP_TYPE_ARRAY_OF_MAPS` (include/uapi/linux/bpf.h).
const ARRAY_OF_MAPS: u32 = 12;

/// Programs, maps and links that a process has descriptors of, and the maps in its maps (`proc_pid_fdinfo(5)`).
pub(crate) fn objects_of(process: u32) -> BTreeSet<Object> {
    let entries = fs::read_dir(format!("/proc/{process}/fdinfo")).into_iter().flatten().flatten();
    // Descriptors come and go while the process lives.
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.flat_map(|text| objects_in(&text)).collect()
}

fn objects_in(text: &str) -> Vec<Object> {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.map(|number| number.trim().parse::<u32>().unwrap())
    };
    let inner =
        |id| value("map_type").filter(|kind| *kind == ARRAY_OF_MAPS).and_then(|_| Object::inner(id).ok());
    let map = value("map_id");
    let objects = [
        value("prog_id").map(Object::Program),
        map.map(Object::Map),
        map.and_then(inner),
        value("link_id").map(Object::Link),
    ];
    objects.into_iter().flatten().collect()
}

/// Demands that none of them is there any more, soon.
pub(crate) fn assert_gone(objects: &BTreeSet<Object>) {
    let deadline = Instant::now() + GONE_MAX;
    loop {
        let left: Vec<_> = objects.iter().filter(|object| object.is_there().unwrap()).collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still in the kernel: {left:?}");
        thread::yield_now();
    }
}

/// What the machine has that a server could leave behind without holding it: pins in a BPF file system, named network
/// namespaces, links.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Traces {
    pins: Vec<String>,
    namespaces: Vec<String>,
    links: [Vec<String>; 2],
}

impl Traces {
    pub(crate) fn now(topology: &Topology) -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mounted = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let places: Vec<String> =
            mounted.filter(|words| words[2] == "bpf").map(|words| words[1].to_owned()).collect();
        let [clients, server] =
            [&topology.clients, &topology.server].map(|host| host.run(links::names).unwrap().unwrap());
        Self {
            pins: places.iter().flat_map(|place| names_below(Path::new(place))).collect(),
            namespaces: names_below(Path::new("/run/netns")),
            links: [clients, server],
        }
    }
}

/// Everything below a directory; nothing where there is none.
fn names_below(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        found.push(entry.path().display().to_string());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(names_below(&entry.path()));
        }
    }
    found.sort();
    found
}
