//! The facts in the kernel's answers about links and addresses, each where the kernel puts it.

use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, InfoKind, LinkAttribute, LinkInfo, LinkMessage, LinkXdp, XdpAttached,
};

use super::program::{self, AttachedProgram, ProgramMode};
use super::{AddressState, InterfaceAddress};

pub(super) fn into_link(message: RouteNetlinkMessage) -> Option<LinkMessage> {
    match message {
        RouteNetlinkMessage::NewLink(link) => Some(link),
        _ => None,
    }
}

pub(super) fn find<T>(answer: &LinkMessage, what: impl FnMut(&LinkAttribute) -> Option<T>) -> Option<T> {
    answer.attributes.iter().find_map(what)
}

pub(super) fn name_of(answer: &LinkMessage) -> Option<String> {
    find(answer, |attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}

pub(super) fn mac_of(attribute: &LinkAttribute) -> Option<[u8; 6]> {
    match attribute {
        LinkAttribute::Address(bytes) => bytes.as_slice().try_into().ok(),
        _ => None,
    }
}

pub(super) fn mtu_of(attribute: &LinkAttribute) -> Option<u32> {
    match attribute {
        LinkAttribute::Mtu(mtu) => Some(*mtu),
        _ => None,
    }
}

pub(super) fn peer_of(attribute: &LinkAttribute) -> Option<u32> {
    match attribute {
        LinkAttribute::Link(index) if *index != 0 => Some(*index),
        _ => None,
    }
}

pub(super) fn peer_namespace_of(attribute: &LinkAttribute) -> Option<i32> {
    match attribute {
        LinkAttribute::LinkNetNsId(number) => Some(*number),
        _ => None,
    }
}

/// Whether a program is attached, in any mode. Its number says nothing in another namespace's answer.
pub(super) fn has_program(attribute: &LinkAttribute) -> Option<bool> {
    let LinkAttribute::Xdp(facts) = attribute else { return None };
    let attached = facts.iter().find_map(|fact| match fact {
        LinkXdp::Attached(attached) => Some(*attached),
        _ => None,
    });
    attached.map(|attached| attached != XdpAttached::None)
}

pub(super) fn kind_of(attribute: &LinkAttribute) -> Option<String> {
    let LinkAttribute::LinkInfo(infos) = attribute else { return None };
    infos.iter().find_map(|info| match info {
        LinkInfo::Kind(InfoKind::Other(kind)) => Some(kind.clone()),
        LinkInfo::Kind(kind) => Some(kind.to_string()),
        _ => None,
    })
}

pub(super) fn program_of(attribute: &LinkAttribute) -> Option<AttachedProgram> {
    let LinkAttribute::Xdp(facts) = attribute else { return None };
    let mode = facts.iter().find_map(|fact| match fact {
        LinkXdp::Attached(XdpAttached::Driver) => Some(ProgramMode::Native),
        LinkXdp::Attached(XdpAttached::SocketBuffer) => Some(ProgramMode::Generic),
        LinkXdp::Attached(XdpAttached::Hardware) => Some(ProgramMode::Offloaded),
        LinkXdp::Attached(XdpAttached::Multiple) => Some(ProgramMode::Several),
        _ => None,
    })?;
    let id = facts.iter().find_map(|fact| match fact {
        LinkXdp::ProgId(id) | LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) | LinkXdp::HwProgId(id) => {
            Some(*id)
        }
        _ => None,
    })?;
    Some(AttachedProgram { id, name: program::name_of(id), mode })
}

pub(super) fn address_on(index: u32, answer: &RouteNetlinkMessage) -> Option<InterfaceAddress> {
    let RouteNetlinkMessage::NewAddress(address) = answer else { return None };
    // `Address` is the other end of a point-to-point interface; `Local`, where given, is always its own.
    let of = |what: fn(&AddressAttribute) -> Option<IpAddr>| address.attributes.iter().find_map(what);
    let own = of(|attribute| match attribute {
        AddressAttribute::Local(ip) => Some(*ip),
        _ => None,
    });
    let any = of(|attribute| match attribute {
        AddressAttribute::Address(ip) => Some(*ip),
        _ => None,
    });
    let found = InterfaceAddress {
        ip: own.or(any)?,
        prefix_len: address.header.prefix_len,
        state: state_of(&address.attributes),
    };
    (address.header.index == index).then_some(found)
}

/// An address that was found to be another host's stays tentative beside that, for the kernel too never uses it.
fn state_of(attributes: &[AddressAttribute]) -> AddressState {
    let flags = attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Flags(flags) => Some(*flags),
        _ => None,
    });
    match flags.unwrap_or(AddressFlags::empty()) {
        flags if flags.contains(AddressFlags::Dadfailed) => AddressState::Duplicate,
        flags if flags.contains(AddressFlags::Tentative) => AddressState::Tentative,
        _ => AddressState::InForce,
    }
}

/// `disable_ipv6` of the interface; nothing where it has no IPv6 to disable.
pub(super) fn ipv6_switch(attribute: &LinkAttribute) -> Option<i32> {
    let LinkAttribute::AfSpecUnspec(families) = attribute else { return None };
    let ipv6 = families.iter().find_map(|family| match family {
        AfSpecUnspec::Inet6(facts) => Some(facts),
        _ => None,
    })?;
    ipv6.iter().find_map(|fact| match fact {
        AfSpecInet6::DevConf(settings) => Some(settings.disable_ipv6),
        _ => None,
    })
}
