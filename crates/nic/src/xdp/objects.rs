//! The kernel's BPF objects, by the numbers that it has for them and shows in `/proc/PID/fdinfo`.
//!
//! A program, its maps and its link are gone when the last descriptor of them is, and everything that uses them. Whoever
//! has made them cannot look whether they are: somebody else has to, by number.

use std::io;

use super::bpf::{self, Kind};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A program, by `prog_id`.
    Program(u32),
    /// A map, by `map_id`.
    Map(u32),
    /// What attaches a program, by `link_id`.
    Link(u32),
}

impl Object {
    /// Whether the kernel still has it.
    ///
    /// # Errors
    /// It does not say: that takes `CAP_SYS_ADMIN`.
    pub fn is_there(self) -> io::Result<bool> {
        let (kind, id) = match self {
            Self::Program(id) => (Kind::Program, id),
            Self::Map(id) => (Kind::Map, id),
            Self::Link(id) => (Kind::Link, id),
        };
        match bpf::open(kind, id) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The map that is the only value of the map of maps with the number `id`: nobody need have a descriptor of it.
    ///
    /// # Errors
    /// There is no such map, or it is none of maps.
    pub fn inner(id: u32) -> io::Result<Self> {
        bpf::inner_map(id).map(Self::Map)
    }
}
