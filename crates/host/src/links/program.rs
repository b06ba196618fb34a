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

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::link::{LinkAttribute, LinkMessage, LinkXdp};

    use crate::netlink::{Ask, ask_route};
    use crate::veth::{self, End, VethPair};
    use crate::{links, namespace};

    use super::*;

    const GENERIC: u32 = 1 << 1;
    const NATIVE: u32 = 1 << 2;

    /// Attaches a program, or takes away what is there where the descriptor is −1.
    fn attach(index: u32, program: i32, flags: u32) {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.attributes.push(LinkAttribute::Xdp(vec![LinkXdp::Fd(program), LinkXdp::Flags(flags)]));
        ask_route(RouteNetlinkMessage::SetLink(message), Ask::One(0), "attach a program").unwrap();
    }

    #[test]
    fn an_attached_program_is_seen_with_its_name_and_mode() {
        let Some(namespace) = namespace::tests::for_test() else { return };
        let end = |name, last| End {
            namespace: Some(&namespace),
            name,
            mac: [2, 0, 0, 0, 0, last],
            rx_queues: 1,
            tx_queues: 1,
            addresses: &[],
        };
        let cable = veth::create(&VethPair { a: end("a", 1), b: end("b", 2), mtu: 1500 }).unwrap();
        let seen = namespace.run(|| {
            let program = sys::tests::load_pass_program("host_test");
            [NATIVE, GENERIC].map(|flags| {
                attach(cable.a, program.as_raw_fd(), flags);
                let seen = links::link("a").unwrap().program;
                attach(cable.a, -1, flags);
                assert_eq!(links::link("a").unwrap().program, None);
                seen.unwrap()
            })
        });
        let [native, generic] = seen.unwrap();
        assert_eq!((native.name.as_deref(), native.mode), (Some("host_test"), ProgramMode::Native));
        assert_eq!((generic.name.as_deref(), generic.mode), (Some("host_test"), ProgramMode::Generic));
        assert_eq!(generic.to_string(), format!("program {} (host_test, generic)", generic.id));
    }
}
