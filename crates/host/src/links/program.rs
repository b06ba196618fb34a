//! The XDP program that is attached to an interface: never replaced silently, so it must be possible to name it.

use std::fmt;

use crate::sys;

/// A program that someone attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedProgram {
    /// The kernel's number for it, as `bpftool prog show id` takes it.
    pub id: u32,
    /// The name it was loaded under; nothing where it has none, or where this process may not ask (`CAP_SYS_ADMIN`).
    pub name: Option<String>,
    /// Where in the receive path it runs.
    pub mode: ProgramMode,
}

/// Where in the receive path an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramMode {
    /// In the driver, before the kernel allocates anything for the packet.
    Native,
    /// In the network stack, after the driver made a socket buffer.
    Generic,
    /// In the card.
    Offloaded,
    /// In more than one of these places at once.
    Several,
}

impl fmt::Display for ProgramMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offloaded => "offloaded",
            Self::Several => "several",
        })
    }
}

impl fmt::Display for AttachedProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("without a name");
        write!(f, "program {} ({name}, {})", self.id, self.mode)
    }
}

/// The name under which a program was loaded.
pub(super) fn name_of(id: u32) -> Option<String> {
    sys::program_name(id).ok().filter(|name| !name.is_empty())
}
