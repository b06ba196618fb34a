//! The XDP program of an interface: its maps, loading it, attaching it.
//!
//! | map | kind | key | value |
//! |---|---|---|---|
//! | `settings` | array of 1 | – | our MAC address, the VLANs that are served |
//! | `claims` | hash | address, selector, protocol, family | – |
//! | `owned` | hash | address, family | – |
//! | `drops` | per-CPU array | reason | count |
//! | `sockets` | XSK map | queue | AF_XDP socket |
//!
//! What the program does with them stands in `bpf/lane.c`.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::bpf::{self, ALLOCATE_LATE, Map, MapPlan, MapType};
use super::error::{XdpError, why_refused};
use super::interface;
use super::{Claims, Owner, Settings, Vlans};

mod drops;
mod lane;

pub use drops::DropCount;
use drops::{DROP_COUNT, DROPS};

/// What the kernel, `bpftool` and `ip link` call the program.
pub const PROGRAM_NAME: &str = "barelane_lane";
/// The program calls no helper that is for GPL programs only.
const LICENSE: &str = "MIT OR Apache-2.0";
/// The most claims: far more than routes are written, and each takes some 100 bytes of kernel memory when it is made.
pub const CLAIMS_MAX: u32 = 1 << 16;
/// The most addresses that Barelane alone owns.
pub const OWNED_MAX: u32 = 1 << 14;
/// The most queues of one interface: more than any card has.
pub const QUEUES_MAX: u32 = 1 << 12;

/// The opcode of a load of 64 bits from two instructions, and the mark that makes it a map (`BPF_PSEUDO_MAP_FD`).
const LOAD_64: u64 = 0x18;
const IS_MAP: u64 = 1 << 12;
const OPCODE_AND_TARGET: u64 = 0x0fff;

/// `XDP_FLAGS_SKB_MODE` and `XDP_FLAGS_DRV_MODE` (`include/uapi/linux/if_link.h`).
const FLAG_GENERIC: u32 = 1 << 1;
const FLAG_NATIVE: u32 = 1 << 2;

const PRIVILEGE: &str = "CAP_BPF and CAP_NET_ADMIN";

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

/// A key of `claims` or `owned`, as `struct key` lies in memory.
type Key = [u8; KEY_SIZE as usize];
const KEY_SIZE: u32 = 20;

fn key(address: IpAddr, protocol: u8, selector: u16) -> Key {
    let (bytes, family) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 4),
        IpAddr::V6(address) => (address.to_bits(), 6),
    };
    let words = (bytes.to_be_bytes(), selector.to_be_bytes(), [protocol, family]);
    let mut key = Key::default();
    let all = words.0.iter().chain(&words.1).chain(&words.2);
    key.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
    key
}

/// The value of `settings`, as `struct settings_value` lies in memory.
type SettingsValue = [u8; SETTINGS_SIZE as usize];
const SETTINGS_SIZE: u32 = 520;
/// Where the VLANs begin: behind a MAC address and two bytes of nothing.
const VLANS_OFFSET: usize = 8;
const _: () = assert!(VLANS_OFFSET + Vlans::SIZE == SETTINGS_SIZE as usize);

fn settings_value(claims: &Claims) -> SettingsValue {
    let mut value = [0; SETTINGS_SIZE as usize];
    value.iter_mut().zip(claims.mac).for_each(|(to, from)| *to = from);
    value.iter_mut().skip(VLANS_OFFSET).zip(claims.vlans.bits()).for_each(|(to, from)| *to = *from);
    value
}

/// A loaded program with its maps.
#[derive(Debug)]
pub(super) struct Program {
    descriptor: OwnedFd,
    maps: Maps,
    claims: BTreeSet<Key>,
    owned: BTreeSet<Key>,
}

#[derive(Debug)]
struct Maps {
    settings: Map,
    claims: Map,
    owned: Map,
    drops: Map,
    sockets: Map,
}

impl Maps {
    fn new(queue_count: u32) -> io::Result<Self> {
        let map = |name, map_type, key_size, value_size, entries_max, flags, copies| {
            Map::new(&MapPlan { name, map_type, key_size, value_size, entries_max, flags }, copies)
        };
        Ok(Self {
            settings: map("settings", MapType::Array, 4, SETTINGS_SIZE, 1, 0, 1)?,
            claims: map("claims", MapType::Hash, KEY_SIZE, 4, CLAIMS_MAX, ALLOCATE_LATE, 1)?,
            owned: map("owned", MapType::Hash, KEY_SIZE, 4, OWNED_MAX, ALLOCATE_LATE, 1)?,
            drops: map("drops", MapType::PerCpuArray, 4, 8, DROP_COUNT, 0, possible_cpus()?)?,
            sockets: map("sockets", MapType::Sockets, 4, 4, queue_count, 0, 1)?,
        })
    }

    fn by_name(&self, name: &str) -> Option<&Map> {
        match name {
            "settings" => Some(&self.settings),
            "claims" => Some(&self.claims),
            "owned" => Some(&self.owned),
            "drops" => Some(&self.drops),
            "sockets" => Some(&self.sockets),
            _ => None,
        }
    }
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
    let mut instructions = lane::INSTRUCTIONS.to_vec();
    for &(index, name) in lane::RELOCATIONS {
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
    /// Makes the maps and loads the program.
    pub(super) fn load(queue_count: u32) -> Result<Self, XdpError> {
        let maps =
            Maps::new(queue_count).map_err(XdpError::of("making the XDP program's maps", PRIVILEGE))?;
        let instructions = linked(&maps).map_err(XdpError::of("linking the XDP program", PRIVILEGE))?;
        let descriptor = load(PROGRAM_NAME, &instructions)?;
        Ok(Self { descriptor, maps, claims: BTreeSet::new(), owned: BTreeSet::new() })
    }

    /// Attaches it, where no other is.
    pub(super) fn attach(&self, settings: &Settings) -> Result<Attached, XdpError> {
        attach(self.descriptor.as_fd(), &settings.interface, settings.ifindex, settings.mode)
    }

    /// From now on redirects what is for the lane of `queue` to `socket`.
    pub(super) fn set_socket(&self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), XdpError> {
        let number = socket.as_raw_fd().to_ne_bytes();
        let result = self.maps.sockets.set(&queue.to_ne_bytes(), &number);
        result.map_err(XdpError::of("entering a socket into the XDP program's map", PRIVILEGE))
    }

    /// Makes `claims` the ones in force: what is new is added first, then what is gone is removed, so that what stays is
    /// never without its lane. Where it fails, a further call puts right what is left over.
    pub(super) fn set_claims(&mut self, claims: &Claims) -> Result<(), XdpError> {
        let wanted: BTreeSet<_> =
            claims.keys.iter().map(|claim| key(claim.address, claim.protocol, claim.selector)).collect();
        let alone = claims.addresses.iter().filter(|(_, owner)| *owner == Owner::Barelane);
        let owned: BTreeSet<_> = alone.map(|&(address, _)| key(address, 0, 0)).collect();
        for (set, max) in [(&wanted, CLAIMS_MAX), (&owned, OWNED_MAX)] {
            if set.len() > max as usize {
                return Err(XdpError::ClaimsTooMany { found: set.len(), max });
            }
        }
        self.maps
            .settings
            .set(&0_u32.to_ne_bytes(), &settings_value(claims))
            .and_then(|()| replace(&self.maps.owned, &mut self.owned, &owned))
            .and_then(|()| replace(&self.maps.claims, &mut self.claims, &wanted))
            .map_err(XdpError::of("entering claims into the XDP program's maps", PRIVILEGE))
    }

    /// How often the program dropped, by reason.
    pub(super) fn drops(&self) -> Result<Vec<DropCount>, XdpError> {
        let count_of = |reason: u32| -> io::Result<u64> {
            let values = self.maps.drops.value(&reason.to_ne_bytes())?;
            let (counts, _) = values.as_chunks();
            Ok(counts.iter().map(|count| u64::from_ne_bytes(*count)).sum())
        };
        let counts = (0..).zip(DROPS).map(|(reason, (name, sentence))| {
            count_of(reason).map(|count| DropCount { name, sentence, count })
        });
        counts.collect::<io::Result<_>>().map_err(XdpError::of("reading the XDP program's counts", PRIVILEGE))
    }
}

/// Makes `wanted` the entries of `map`, which holds `present`.
fn replace(map: &Map, present: &mut BTreeSet<Key>, wanted: &BTreeSet<Key>) -> io::Result<()> {
    let present_value = 1_u32.to_ne_bytes();
    for key in wanted {
        map.set(key, &present_value)?;
        present.insert(*key);
    }
    for key in present.clone().difference(wanted) {
        map.remove(key)?;
        present.remove(key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_fields_where_the_program_reads_them() {
        let key_v4 = key("192.0.2.1".parse().unwrap(), 17, 0x1234);
        assert_eq!(key_v4[..12], [0; 12]);
        assert_eq!(key_v4[12..], [192, 0, 2, 1, 0x12, 0x34, 17, 4]);
        let key_v6 = key("2001:db8::1".parse().unwrap(), 58, 128);
        assert_eq!(key_v6[..4], [0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!(key_v6[12..], [0, 0, 0, 1, 0, 128, 58, 6]);
    }

    #[test]
    fn the_settings_have_their_fields_where_the_program_reads_them() {
        let vlans = Vlans::UNTAGGED.with(9).unwrap().with(4094).unwrap();
        let value = settings_value(&Claims { mac: [2, 0, 0, 0, 0, 1], vlans, ..Claims::default() });
        assert_eq!(value[..8], [2, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(value[8..10], [1, 1 << 1], "VID 0, which is no VLAN, and VID 9");
        assert_eq!(value[519], 1 << 6, "VID 4094");
    }

    #[test]
    fn every_relocation_is_a_load_of_a_map() {
        for &(index, _) in lane::RELOCATIONS {
            assert_eq!(lane::INSTRUCTIONS[index] & 0xff, LOAD_64);
            assert_eq!(lane::INSTRUCTIONS[index + 1], 0, "the second half holds the upper bits, which are 0");
        }
    }
}
