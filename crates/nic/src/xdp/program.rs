//! The XDP program of an interface: its maps, loading it, attaching it.
//!
//! | map | kind | key | value |
//! |---|---|---|---|
//! | `images` | array of 1 map | – | the [`Image`] in force: an array of cells |
//! | `buckets` | array | limit | when its bucket was last empty |
//! | `sources` | array | a source's hash | the same |
//! | `counts` | per-CPU array of 1 | – | a count for each row of THE counter table |
//! | `routes` | per-CPU array | route, and which half | questions taken, and those not answered |
//! | `sockets` | XSK map | queue | AF_XDP socket |
//!
//! What the program does with them stands in `bpf/driver.c`.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::bpf::{self, Map, MapPlan, MapType, REPLACEABLE, TestResult};
use super::claims::{Claims, Owner};
use super::error::{XdpError, why_refused};
use super::image::{CELL_SIZE, Image, NEXT_HOPS_CELL};
use super::next_hops::{self, NextHops};
use super::routes::{RouteCount, RouteCounts};
use super::stamped::ArrivalStamps;
use super::{LIMIT_COUNT_MAX, Settings, interface};

mod driver;

/// What the kernel, `bpftool` and `ip link` call the program.
pub const PROGRAM_NAME: &str = "barelane_driver";
/// The program calls no helper that is for GPL programs only.
const LICENSE: &str = "MIT OR Apache-2.0";
/// The most claims: far more than routes are written, and each takes some 100 bytes of kernel memory.
pub const CLAIMS_MAX: u32 = 1 << 16;
/// The most addresses that Barelane alone owns.
pub const OWNED_MAX: u32 = 1 << 14;
/// The most queues of one interface: more than any card has.
pub const QUEUES_MAX: u32 = 1 << 12;
/// How many counts the program keeps: room for each row of THE counter table, whose indices they have.
pub const COUNT_MAX: usize = 128;

/// How many words the sources of all limits share: `SOURCE_COUNT` of `bpf/limit.h`.
const SOURCE_COUNT: u32 = 1 << 16;
/// A bucket is the instant at which it was last empty.
const BUCKET_SIZE: u32 = 8;

/// The opcode of a load of 64 bits from two instructions, and the mark that makes it a map (`BPF_PSEUDO_MAP_FD`).
const LOAD_64: u64 = 0x18;
const IS_MAP: u64 = 1 << 12;
const OPCODE_AND_TARGET: u64 = 0x0fff;

/// `XDP_FLAGS_SKB_MODE` and `XDP_FLAGS_DRV_MODE` (`include/uapi/linux/if_link.h`).
const FLAG_GENERIC: u32 = 1 << 1;
const FLAG_NATIVE: u32 = 1 << 2;

const READING_ROUTES: &str = "reading what the XDP program counts of routes";
const PRIVILEGE: &str = "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN";

/// Where in the kernel the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver, before the kernel has made a packet of its own.
    Native,
    /// After that: slower, with every driver.
    Generic,
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

/// Which mode is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModeChoice {
    /// Native where the driver has it, else generic, with the reason in [`super::Attachment::why_not_native`].
    #[default]
    Auto,
    /// Native or an error.
    Native,
    /// Generic.
    Generic,
}

/// A loaded program with its maps.
#[derive(Debug)]
pub(super) struct Program {
    descriptor: OwnedFd,
    maps: Maps,
    generation: u32,
    /// How many routes the claims in force are of.
    route_count: usize,
    arrivals: ArrivalStamps,
    /// What is in force, and the map that holds it.
    image: Image,
    in_force: Map,
    next_hops: NextHops,
}

#[derive(Debug)]
struct Maps {
    images: Map,
    buckets: Map,
    sources: Map,
    counts: Map,
    routes: RouteCounts,
    sockets: Map,
    cpu_count: usize,
}

impl Maps {
    /// The maps of a program that has the image in `first` in force.
    fn new(queue_count: u32, first: &Map) -> io::Result<Self> {
        let plan = |name, map_type, value_size, entries_max| MapPlan {
            name,
            map_type,
            key_size: 4,
            value_size,
            entries_max,
            flags: 0,
        };
        let images = Map::of_maps(&plan("images", MapType::ArrayOfMaps, 4, 1), first)?;
        put_in_force(&images, first)?;
        let cpu_count = possible_cpus()?;
        let counts = Map::new(&plan("counts", MapType::PerCpuArray, COUNTS_SIZE, 1), cpu_count)?;
        let sockets = Map::new(&plan("sockets", MapType::Sockets, 4, queue_count), 1)?;
        let buckets = Map::new(&plan("buckets", MapType::Array, BUCKET_SIZE, LIMIT_COUNT_MAX), 1)?;
        let sources = Map::new(&plan("sources", MapType::Array, BUCKET_SIZE, SOURCE_COUNT), 1)?;
        let routes = RouteCounts::new(cpu_count)?;
        Ok(Self { images, buckets, sources, counts, routes, sockets, cpu_count })
    }

    fn by_name(&self, name: &str) -> Option<&Map> {
        match name {
            "images" => Some(&self.images),
            "buckets" => Some(&self.buckets),
            "sources" => Some(&self.sources),
            "counts" => Some(&self.counts),
            "routes" => Some(self.routes.map()),
            "sockets" => Some(&self.sockets),
            _ => None,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "COUNT_MAX words of eight bytes")]
const COUNTS_SIZE: u32 = (COUNT_MAX * size_of::<u64>()) as u32;

/// The one entry of a map that has one.
const ONLY: [u8; 4] = [0; 4];

/// The entry of an image in which the program notes which gateways it uses: the second of the next hops' cells.
#[expect(clippy::cast_possible_truncation, reason = "one of the first cells")]
const USED_KEY: [u8; 4] = (NEXT_HOPS_CELL as u32 + 1).to_ne_bytes();

/// A map that holds an image.
#[expect(clippy::cast_possible_truncation, reason = "an image has fewer than 2^20 cells, of 64 bytes")]
fn image_map(image: &Image) -> io::Result<Map> {
    let plan = MapPlan {
        name: "image",
        map_type: MapType::Array,
        key_size: 4,
        value_size: CELL_SIZE as u32,
        entries_max: image.cells.len() as u32,
        flags: REPLACEABLE,
    };
    let map = Map::new(&plan, 1)?;
    map.set_all(&image.cells)?;
    Ok(map)
}

/// From here on every packet is judged by this image. When this returns, none is judged by another one any more: the
/// kernel waits for the programs that had begun (`maybe_wait_bpf_programs` in `kernel/bpf/syscall.c`).
fn put_in_force(images: &Map, image: &Map) -> io::Result<()> {
    images.set(&ONLY, &image.number().to_ne_bytes())
}

/// How many values a per-CPU map has for one entry: the CPUs that could ever be plugged in, as "0-3,8".
fn possible_cpus() -> io::Result<usize> {
    let text = fs::read_to_string("/sys/devices/system/cpu/possible")?;
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(last.parse::<usize>().ok()?.checked_sub(first.parse().ok()?)? + 1)
    };
    text.trim().split(',').map(count).sum::<Option<usize>>().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The instructions, with the maps where they belong.
fn linked(maps: &Maps) -> io::Result<Vec<u64>> {
    let mut instructions = driver::INSTRUCTIONS.to_vec();
    for &(index, name) in driver::RELOCATIONS {
        let map = maps.by_name(name).ok_or(io::ErrorKind::InvalidData)?;
        let instruction = instructions.get_mut(index).ok_or(io::ErrorKind::InvalidData)?;
        debug_assert_eq!(*instruction & 0xff, LOAD_64, "only a load of 64 bits can take a map");
        *instruction = *instruction & OPCODE_AND_TARGET | IS_MAP | u64::from(map.number()) << 32;
    }
    Ok(instructions)
}

/// Loads a program's instructions.
pub(super) fn load(name: &str, instructions: &[u64]) -> Result<OwnedFd, XdpError> {
    bpf::load(name, LICENSE, instructions).map_err(|refusal| {
        if refusal.log.is_empty() {
            XdpError::of("loading the XDP program", PRIVILEGE)(refusal.source)
        } else {
            XdpError::ProgramRefused { log: refusal.log, source: refusal.source }
        }
    })
}

/// A program in force.
#[derive(Debug)]
pub(super) struct Attached {
    /// Closing it detaches, and so does the process's end, however it ends.
    pub(super) link: OwnedFd,
    pub(super) mode: Mode,
    pub(super) why_not_native: Option<String>,
}

/// Attaches a loaded program to an interface, where no other is.
pub(super) fn attach(
    program: BorrowedFd<'_>,
    interface: &str,
    ifindex: u32,
    mode: ModeChoice,
) -> Result<Attached, XdpError> {
    let attach_in = |mode| attach_in(program, interface, ifindex, mode);
    match mode {
        ModeChoice::Native => attach_in(Mode::Native),
        ModeChoice::Generic => attach_in(Mode::Generic),
        ModeChoice::Auto => match attach_in(Mode::Native) {
            Err(XdpError::ModeAbsent { source, .. }) => {
                let why = format!("{}: {source}", why_refused(&source));
                attach_in(Mode::Generic).map(|attached| Attached { why_not_native: Some(why), ..attached })
            }
            result => result,
        },
    }
}

fn attach_in(
    program: BorrowedFd<'_>,
    interface: &str,
    ifindex: u32,
    mode: Mode,
) -> Result<Attached, XdpError> {
    let flags = match mode {
        Mode::Native => FLAG_NATIVE,
        Mode::Generic => FLAG_GENERIC,
    };
    let name = interface.to_owned();
    let link = bpf::attach(program, ifindex, flags).map_err(|source| match source.raw_os_error() {
        // EEXIST: one is attached in the other mode.
        Some(libc::EBUSY | libc::EEXIST) => {
            XdpError::Occupied { interface: name, program: interface::program(ifindex) }
        }
        Some(libc::EPERM | libc::EACCES) => {
            XdpError::Privileges { what: "attaching the XDP program", privilege: PRIVILEGE, source }
        }
        _ => XdpError::ModeAbsent { interface: name, mode, source },
    })?;
    Ok(Attached { link, mode, why_not_native: None })
}

impl Program {
    /// Makes the maps, with these claims in force, and loads the program. It stamps arrivals from then on, or never.
    pub(super) fn load(queue_count: u32, claims: &Claims, arrivals: ArrivalStamps) -> Result<Self, XdpError> {
        let generation = 1;
        let image = checked_image(claims, generation)?.stamping(arrivals);
        let next_hops = NextHops::default();
        let image = image.with(&next_hops);
        let made = image_map(&image).and_then(|map| Ok((Maps::new(queue_count, &map)?, map)));
        let (maps, in_force) = made.map_err(XdpError::of("making the XDP program's maps", PRIVILEGE))?;
        let instructions = linked(&maps).map_err(XdpError::of("linking the XDP program", PRIVILEGE))?;
        let descriptor = load(PROGRAM_NAME, &instructions)?;
        let route_count = claims.route_count();
        Ok(Self { descriptor, maps, generation, route_count, arrivals, image, in_force, next_hops })
    }

    /// Attaches it, where no other is.
    pub(super) fn attach(&self, settings: &Settings) -> Result<Attached, XdpError> {
        attach(self.descriptor.as_fd(), &settings.interface, settings.ifindex, settings.mode)
    }

    /// Another descriptor of it.
    pub(super) fn duplicate(&self) -> Result<OwnedFd, XdpError> {
        let duplicate = self.descriptor.try_clone();
        duplicate.map_err(XdpError::of("duplicating the XDP program's descriptor", "a free file descriptor"))
    }

    /// From now on redirects what is for the lane of `queue` to `socket`.
    pub(super) fn set_socket(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), XdpError> {
        let number = socket.as_raw_fd().to_ne_bytes();
        let result = self.maps.sockets.set(&queue.to_ne_bytes(), &number);
        result.map_err(XdpError::of("entering a socket into the XDP program's map", PRIVILEGE))
    }

    /// Makes `claims` the ones in force, all of them at once: a packet is judged by the old ones or by the new ones.
    /// When this returns, no packet is judged by the old ones any more. Where it fails, they stay.
    ///
    /// Gives what was counted of the old ones' routes.
    pub(super) fn set_claims(&mut self, claims: &Claims) -> Result<Vec<RouteCount>, XdpError> {
        let image = checked_image(claims, self.generation.wrapping_add(1))?;
        let image = image.stamping(self.arrivals).with(&self.next_hops);
        self.go_by(image).map_err(XdpError::of("putting claims in force in the XDP program", PRIVILEGE))?;
        let counted = self.maps.routes.take(self.generation, self.route_count);
        self.generation = self.generation.wrapping_add(1);
        self.route_count = claims.route_count();
        counted.map_err(XdpError::of(READING_ROUTES, PRIVILEGE))
    }

    /// What was counted of the routes since the claims in force were put in force, on all cores together.
    pub(super) fn route_counts(&self) -> Result<Vec<RouteCount>, XdpError> {
        let counted = self.maps.routes.read(self.generation, self.route_count);
        counted.map_err(XdpError::of(READING_ROUTES, PRIVILEGE))
    }

    /// The same for next hops.
    pub(super) fn set_next_hops(&mut self, next_hops: &NextHops) -> Result<(), XdpError> {
        let image = self.image.clone().with(next_hops);
        self.go_by(image)
            .map_err(XdpError::of("putting next hops in force in the XDP program", PRIVILEGE))?;
        self.next_hops = next_hops.clone();
        Ok(())
    }

    fn go_by(&mut self, image: Image) -> io::Result<()> {
        let map = image_map(&image)?;
        put_in_force(&self.maps.images, &map)?;
        (self.image, self.in_force) = (image, map);
        Ok(())
    }

    /// Which gateways were used since the last time, or since the next hops or the claims were put in force: a bit for each,
    /// by its index modulo 64. One that is used in the very moment may be told of only when it is used again.
    pub(super) fn take_gateways_used(&self) -> Result<u64, XdpError> {
        self.take_used().map_err(XdpError::of("reading which gateways the XDP program uses", PRIVILEGE))
    }

    fn take_used(&self) -> io::Result<u64> {
        let mut cell = self.in_force.value(&USED_KEY)?;
        let used = next_hops::take_used(&mut cell);
        if used != 0 {
            self.in_force.set(&USED_KEY, &cell)?;
        }
        Ok(used)
    }

    /// How often claims were put in force, the first ones included.
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    /// What the program has counted since it was loaded, on all cores together.
    pub(super) fn counts(&self) -> Result<[u64; COUNT_MAX], XdpError> {
        let value = self.maps.counts.value(&ONLY);
        let value = value.map_err(XdpError::of("reading the XDP program's counts", PRIVILEGE))?;
        let (words, _) = value.as_chunks();
        let mut sums = [0_u64; COUNT_MAX];
        for one_core in words.chunks(words.len() / self.maps.cpu_count.max(1)) {
            for (sum, count) in sums.iter_mut().zip(one_core) {
                *sum = sum.wrapping_add(u64::from_ne_bytes(*count));
            }
        }
        Ok(sums)
    }

    /// Runs the program on a frame, attached or not.
    pub(super) fn test_run(&self, frame: &[u8], out: &mut [u8]) -> io::Result<TestResult> {
        bpf::test_run(self.descriptor.as_fd(), frame, out)
    }
}

/// The image of claims that are not too many.
fn checked_image(claims: &Claims, generation: u32) -> Result<Image, XdpError> {
    let own = claims.addresses.iter().filter(|address| address.owner == Owner::Barelane).count();
    for (found, max) in [(claims.claims.len(), CLAIMS_MAX), (own, OWNED_MAX)] {
        if found > max as usize {
            return Err(XdpError::ClaimsTooMany { found, max });
        }
    }
    Ok(Image::new(claims, generation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_relocation_is_a_load_of_a_map() {
        for &(index, _) in driver::RELOCATIONS {
            assert_eq!(driver::INSTRUCTIONS[index] & 0xff, LOAD_64);
            assert_eq!(
                driver::INSTRUCTIONS[index + 1],
                0,
                "the second half holds the upper bits, which are 0"
            );
        }
    }
}
