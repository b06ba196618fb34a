//! bpf(2), so far as one XDP program needs it (include/uapi/linux/bpf.h, `union bpf_attr`).
//!
//! libbpf does this and far more, in C; `aya` brings an ELF reader and BTF that a committed table does not need. Each
//! function fills in the part of the union that its command reads; the kernel takes all that follows as zero.
#![expect(unsafe_code, reason = "the kernel reads and writes through addresses in the attributes")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::sys::{checked, descriptor};

const MAP_CREATE: libc::c_int = 0;
const MAP_LOOKUP_ELEM: libc::c_int = 1;
const MAP_UPDATE_ELEM: libc::c_int = 2;
const PROG_LOAD: libc::c_int = 5;
const PROG_TEST_RUN: libc::c_int = 10;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const MAP_GET_FD_BY_ID: libc::c_int = 14;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const MAP_UPDATE_BATCH: libc::c_int = 26;
const LINK_CREATE: libc::c_int = 28;
const LINK_GET_FD_BY_ID: libc::c_int = 30;

const PROG_TYPE_XDP: u32 = 6;
const ATTACH_TYPE_XDP: u32 = 37;
/// The room for the verifier's words. A refused program of this size says a few KiB; more is cut off at the end.
const LOG_SIZE: usize = 256 << 10;
const NAME_LEN_MAX: usize = 15;

/// `enum bpf_map_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum MapType {
    Array = 2,
    PerCpuArray = 6,
    ArrayOfMaps = 12,
    Sockets = 17,
}

/// Maps of another length may take this one's place in a map of maps (`BPF_F_INNER_MAP`, since Linux 5.10).
pub(super) const REPLACEABLE: u32 = 1 << 12;

/// Calls bpf(2).
///
/// # Safety
/// `attributes` must be a prefix of `union bpf_attr` as `command` reads it, and every address in it must be good for
/// what the command does with it, while the call runs.
unsafe fn call<A>(command: libc::c_int, attributes: &mut A) -> io::Result<libc::c_long> {
    let address: *mut A = attributes;
    // SAFETY: `address` is good for `size_of::<A>()` bytes; the rest is the caller's promise.
    checked(unsafe { libc::syscall(libc::SYS_bpf, command, address, size_of::<A>()) })
}

/// A name as the kernel takes them: at most 15 bytes and a zero.
fn name_field(name: &str) -> [u8; NAME_LEN_MAX + 1] {
    let mut field = [0; NAME_LEN_MAX + 1];
    for (to, from) in field.iter_mut().zip(name.bytes().take(NAME_LEN_MAX)) {
        *to = from;
    }
    field
}

fn number(descriptor: BorrowedFd<'_>) -> u32 {
    descriptor.as_raw_fd().unsigned_abs()
}

/// A map, and the sizes that its keys and values have.
#[derive(Debug)]
pub(super) struct Map {
    descriptor: OwnedFd,
    key_size: usize,
    /// What the kernel reads or writes for one value: of per-CPU maps, one for each possible CPU.
    value_size: usize,
}

/// What a map is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct MapPlan {
    pub(super) name: &'static str,
    pub(super) map_type: MapType,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) entries_max: u32,
    pub(super) flags: u32,
}

#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: [u8; NAME_LEN_MAX + 1],
}

#[repr(C)]
struct MapElement {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct MapBatch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

impl Map {
    /// Makes a map. `copies` is how many values an entry has: the possible CPUs for a per-CPU map, else 1.
    pub(super) fn new(plan: &MapPlan, copies: usize) -> io::Result<Self> {
        Self::create(plan, copies, 0)
    }

    /// Makes a map whose values are maps like `inner`.
    pub(super) fn of_maps(plan: &MapPlan, inner: &Self) -> io::Result<Self> {
        Self::create(plan, 1, inner.number())
    }

    fn create(plan: &MapPlan, copies: usize, inner_map_fd: u32) -> io::Result<Self> {
        let mut attributes = MapCreate {
            map_type: plan.map_type as u32,
            key_size: plan.key_size,
            value_size: plan.value_size,
            max_entries: plan.entries_max,
            map_flags: plan.flags,
            inner_map_fd,
            numa_node: 0,
            map_name: name_field(plan.name),
        };
        // SAFETY: the attributes of MAP_CREATE hold no address.
        let result = unsafe { call(MAP_CREATE, &mut attributes) };
        let value_size = plan.value_size as usize * copies;
        Ok(Self { descriptor: descriptor(result?)?, key_size: plan.key_size as usize, value_size })
    }

    /// Sets one entry.
    pub(super) fn set(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let mut attributes = self.element(key, value.len(), value.as_ptr() as u64)?;
        // SAFETY: `element` has checked that key and value have the sizes that the kernel reads.
        unsafe { call(MAP_UPDATE_ELEM, &mut attributes) }.map(drop)
    }

    /// Sets the first entries of an array, one for each value, in one call.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "as many as the map has entries, whose number has 32 bits"
    )]
    pub(super) fn set_all<const N: usize>(&self, values: &[[u8; N]]) -> io::Result<()> {
        if N != self.value_size || self.key_size != size_of::<u32>() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let keys: Vec<u32> = (0..values.len() as u32).collect();
        let mut attributes = MapBatch {
            in_batch: 0,
            out_batch: 0,
            keys: keys.as_ptr() as u64,
            values: values.as_ptr() as u64,
            count: keys.len() as u32,
            map_fd: self.number(),
            elem_flags: 0,
            flags: 0,
        };
        // SAFETY: there are `count` keys of four bytes and as many values of the map's size, and both live until the call
        // returns.
        unsafe { call(MAP_UPDATE_BATCH, &mut attributes) }?;
        if attributes.count as usize == values.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// The value of one entry: one for each possible CPU in a per-CPU map.
    pub(super) fn value(&self, key: &[u8]) -> io::Result<Vec<u8>> {
        let mut value = vec![0; self.value_size];
        let mut attributes = self.element(key, value.len(), value.as_mut_ptr() as u64)?;
        // SAFETY: `element` has checked the key's size, and `value` has the room that the kernel fills.
        unsafe { call(MAP_LOOKUP_ELEM, &mut attributes) }?;
        Ok(value)
    }

    fn element(&self, key: &[u8], value_size: usize, value: u64) -> io::Result<MapElement> {
        if key.len() != self.key_size || value_size != self.value_size {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let map_fd = number(self.descriptor.as_fd());
        Ok(MapElement { map_fd, padding: 0, key: key.as_ptr() as u64, value, flags: 0 })
    }

    pub(super) fn number(&self) -> u32 {
        number(self.descriptor.as_fd())
    }
}

#[repr(C)]
struct ProgramLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; NAME_LEN_MAX + 1],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

/// Why the kernel has refused a program.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) source: io::Error,
    /// The verifier's words; empty where it was not the verifier.
    pub(super) log: String,
}

/// Loads an XDP program. Asks for the verifier's words only after a refusal, since writing them takes long.
pub(super) fn load(name: &str, license: &str, instructions: &[u64]) -> Result<OwnedFd, Refusal> {
    let mut log = Vec::new();
    try_load(name, license, instructions, &mut log).or_else(|_first| {
        log = vec![0; LOG_SIZE];
        try_load(name, license, instructions, &mut log).map_err(|source| {
            let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
            Refusal { source, log: String::from_utf8_lossy(log.get(..end).unwrap_or_default()).into_owned() }
        })
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a table of some hundred instructions, a log of LOG_SIZE"
)]
fn try_load(name: &str, license: &str, instructions: &[u64], log: &mut [u8]) -> io::Result<OwnedFd> {
    let license = CString::new(license)?;
    let mut attributes = ProgramLoad {
        prog_type: PROG_TYPE_XDP,
        insn_cnt: instructions.len() as u32,
        insns: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_size: log.len() as u32,
        log_buf: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        kern_version: 0,
        prog_flags: 0,
        prog_name: name_field(name),
        prog_ifindex: 0,
        expected_attach_type: ATTACH_TYPE_XDP,
    };
    // SAFETY: `insns` holds `insn_cnt` instructions of 8 bytes, `license` ends with a zero, and the kernel writes at most
    // `log_size` bytes to `log_buf`; all three live until the call returns.
    let result = unsafe { call(PROG_LOAD, &mut attributes) };
    descriptor(result?)
}

#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

/// Attaches a program to an interface for as long as the descriptor that it gives is open.
pub(super) fn attach(program: BorrowedFd<'_>, ifindex: u32, flags: u32) -> io::Result<OwnedFd> {
    let mut attributes =
        LinkCreate { prog_fd: number(program), target_ifindex: ifindex, attach_type: ATTACH_TYPE_XDP, flags };
    // SAFETY: the attributes of LINK_CREATE for an XDP program hold no address.
    let result = unsafe { call(LINK_CREATE, &mut attributes) };
    descriptor(result?)
}

#[repr(C)]
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    padding: u32,
}

impl TestRun {
    /// Runs whose results nobody wants.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "frames, of which the kernel takes none beyond a page"
    )]
    fn of(program: BorrowedFd<'_>, frame: &[u8], repeat: u32) -> Self {
        Self {
            prog_fd: number(program),
            retval: 0,
            data_size_in: frame.len() as u32,
            data_size_out: 0,
            data_in: frame.as_ptr() as u64,
            data_out: 0,
            repeat,
            duration: 0,
            ctx_size_in: 0,
            ctx_size_out: 0,
            ctx_in: 0,
            ctx_out: 0,
            flags: 0,
            cpu: 0,
            batch_size: 0,
            padding: 0,
        }
    }
}

/// `struct xdp_md`: which frame came by which interface.
#[repr(C)]
struct XdpContext {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

impl XdpContext {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "frames, of which the kernel takes none beyond a page"
    )]
    fn of(frame: &[u8], ifindex: u32, queue: u32) -> Self {
        Self {
            data: 0,
            data_end: frame.len() as u32,
            data_meta: 0,
            ingress_ifindex: ifindex,
            rx_queue_index: queue,
            egress_ifindex: 0,
        }
    }
}

/// The frames of a run are real ones, and go where the program says (`BPF_F_TEST_XDP_LIVE_FRAMES`, since Linux 5.18).
const LIVE_FRAMES: u32 = 1 << 1;

/// Runs a program on `count` real frames, as if an interface had received them: what it sends is sent. Comes back when
/// all are on their way. A frame that comes round again is as it was left: only a new one is filled from `frame`.
#[expect(clippy::cast_possible_truncation, reason = "a structure of some bytes")]
pub(super) fn send_live(program: BorrowedFd<'_>, ifindex: u32, frame: &[u8], count: u32) -> io::Result<()> {
    let context = XdpContext::of(frame, ifindex, 0);
    let mut attributes = TestRun {
        ctx_size_in: size_of::<XdpContext>() as u32,
        ctx_in: (&raw const context) as u64,
        flags: LIVE_FRAMES,
        ..TestRun::of(program, frame, count)
    };
    // SAFETY: the kernel reads `data_size_in` bytes of `frame` and `ctx_size_in` of `context`, both of which live until
    // the call returns, and writes to neither: there is no room for results.
    unsafe { call(PROG_TEST_RUN, &mut attributes) }.map(drop)
}

/// What a program made of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TestResult {
    /// What it returned.
    pub(super) action: u32,
    /// How long the frame is then.
    pub(super) len: usize,
    /// How long the program ran.
    pub(super) ns: u32,
}

/// Runs a program on a frame, attached or not; `out` receives the frame as it left it.
#[expect(clippy::cast_possible_truncation, reason = "the room for one frame")]
pub(super) fn test_run(program: BorrowedFd<'_>, frame: &[u8], out: &mut [u8]) -> io::Result<TestResult> {
    let mut attributes = TestRun {
        data_size_out: out.len() as u32,
        data_out: out.as_mut_ptr() as u64,
        ..TestRun::of(program, frame, 1)
    };
    // SAFETY: the kernel reads `data_size_in` bytes of `frame` and writes at most `data_size_out` bytes to `out`, and
    // both live until the call returns.
    unsafe { call(PROG_TEST_RUN, &mut attributes) }?;
    let TestRun { retval: action, data_size_out, duration: ns, .. } = attributes;
    Ok(TestResult { action, len: data_size_out as usize, ns })
}

/// The same as if a queue of an interface had received the frame.
#[expect(clippy::cast_possible_truncation, reason = "the room for one frame, and a structure of some bytes")]
pub(super) fn test_run_at(
    program: BorrowedFd<'_>,
    ifindex: u32,
    queue: u32,
    frame: &[u8],
    out: &mut [u8],
) -> io::Result<TestResult> {
    let context = XdpContext::of(frame, ifindex, queue);
    let mut attributes = TestRun {
        data_size_out: out.len() as u32,
        data_out: out.as_mut_ptr() as u64,
        ctx_size_in: size_of::<XdpContext>() as u32,
        ctx_in: (&raw const context) as u64,
        ..TestRun::of(program, frame, 1)
    };
    // SAFETY: the kernel reads `data_size_in` bytes of `frame` and `ctx_size_in` of `context`, and writes at most
    // `data_size_out` bytes to `out`; all three live until the call returns. It writes no context: there is no room for one.
    unsafe { call(PROG_TEST_RUN, &mut attributes) }?;
    let TestRun { retval: action, data_size_out, duration: ns, .. } = attributes;
    Ok(TestResult { action, len: data_size_out as usize, ns })
}

#[repr(C)]
struct ById {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

#[repr(C)]
struct ObjectInfo {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// The beginning of `struct bpf_prog_info`, up to the name.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    before: [u64; 8],
    name: [u8; NAME_LEN_MAX + 1],
}

const PROGRAM_INFO_SIZE: u32 = 80;
const _: () = assert!(size_of::<ProgramInfo>() == PROGRAM_INFO_SIZE as usize);

/// What the kernel has by numbers that are the same for every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Program,
    Map,
    Link,
}

/// A descriptor of an object that somebody has made. `NotFound` where there is none of this number.
pub(super) fn open(kind: Kind, id: u32) -> io::Result<OwnedFd> {
    let command = match kind {
        Kind::Program => PROG_GET_FD_BY_ID,
        Kind::Map => MAP_GET_FD_BY_ID,
        Kind::Link => LINK_GET_FD_BY_ID,
    };
    let mut attributes = ById { id, next_id: 0, open_flags: 0 };
    // SAFETY: the attributes of these commands hold no address.
    let result = unsafe { call(command, &mut attributes) };
    descriptor(result?)
}

/// The number of the map that is the only value of a map of maps.
pub(super) fn inner_map(id: u32) -> io::Result<u32> {
    let map =
        Map { descriptor: open(Kind::Map, id)?, key_size: size_of::<u32>(), value_size: size_of::<u32>() };
    let value = map.value(&[0; size_of::<u32>()])?;
    value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes)).ok_or(io::ErrorKind::InvalidData.into())
}

/// The name of a loaded program.
pub(super) fn program_name(id: u32) -> io::Result<String> {
    let program = open(Kind::Program, id)?;
    let mut info = ProgramInfo::default();
    let mut attributes = ObjectInfo {
        bpf_fd: number(program.as_fd()),
        info_len: PROGRAM_INFO_SIZE,
        info: (&raw mut info) as u64,
    };
    // SAFETY: the kernel writes at most `info_len` bytes to `info`, which has that many. The zeros that it holds ask for
    // none of the further arrays that the structure can point to.
    unsafe { call(OBJ_GET_INFO_BY_FD, &mut attributes) }?;
    let end = info.name.iter().position(|&byte| byte == 0).unwrap_or(info.name.len());
    Ok(String::from_utf8_lossy(info.name.get(..end).unwrap_or_default()).into_owned())
}
