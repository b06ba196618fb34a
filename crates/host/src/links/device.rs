//! The hardware behind an interface: its driver and its NUMA node.
//!
//! The kernel names an interface's parent device by bus and name (`IFLA_PARENT_DEV_BUS_NAME`,
//! `IFLA_PARENT_DEV_NAME`, since 5.14). `/sys/bus` is the same in every network namespace, unlike `/sys/class/net`.

use std::fs;
use std::path::{Path, PathBuf};

use netlink_packet_route::link::{LinkAttribute, LinkMessage};

/// What stands behind an interface, so far as there is anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) driver: Option<String>,
    pub(super) numa_node: Option<u32>,
}

pub(super) fn of(answer: &LinkMessage) -> Device {
    let Some(path) = path_of(answer) else { return Device::default() };
    let Ok(path) = fs::canonicalize(path) else { return Device::default() };
    let driver = fs::read_link(path.join("driver")).ok();
    Device {
        driver: driver.and_then(|target| Some(target.file_name()?.to_string_lossy().into_owned())),
        numa_node: path.ancestors().find_map(numa_node_at),
    }
}

/// The PCI address in the device's path that is nearest to the interface. A virtio port is below its PCI device:
/// `/sys/devices/pci0000:00/0000:00:04.0/virtio3`.
pub(super) fn pci_address_of(answer: &LinkMessage) -> Option<String> {
    pci_address_in(&fs::canonicalize(path_of(answer)?).ok()?)
}

fn pci_address_in(path: &Path) -> Option<String> {
    let names = path.ancestors().filter_map(|part| part.file_name()?.to_str());
    names.into_iter().find(|name| is_pci_address(name)).map(str::to_owned)
}

/// `domain:bus:device.function`, in hexadecimal digits.
fn is_pci_address(name: &str) -> bool {
    let is_hex =
        |part: &str, len: usize| part.len() >= len && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut parts = name.splitn(3, ':');
    let (domain, bus, rest) =
        (parts.next(), parts.next(), parts.next().and_then(|rest| rest.split_once('.')));
    domain.is_some_and(|domain| is_hex(domain, 4))
        && bus.is_some_and(|bus| is_hex(bus, 2))
        && rest.is_some_and(|(device, function)| is_hex(device, 2) && is_hex(function, 1))
}

fn path_of(answer: &LinkMessage) -> Option<PathBuf> {
    let mut bus = None;
    let mut device = None;
    for attribute in &answer.attributes {
        match attribute {
            LinkAttribute::ParentDevBusName(name) => bus = Some(name),
            LinkAttribute::ParentDevName(name) => device = Some(name),
            _ => {}
        }
    }
    Some(Path::new("/sys/bus").join(bus?).join("devices").join(device?))
}

/// The node of this device, if it knows. A virtual function or a virtio port does not; the bus device above it does.
/// Machines without NUMA say −1.
fn numa_node_at(device: &Path) -> Option<u32> {
    fs::read_to_string(device.join("numa_node")).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_pci_device_is_the_one_behind_an_interface() {
        for (path, address) in [
            ("/sys/devices/pci0000:00/0000:00:04.0/virtio3", Some("0000:00:04.0")),
            ("/sys/devices/pci0000:ae/0000:ae:00.0/0000:af:00.1", Some("0000:af:00.1")),
            ("/sys/devices/platform/soc/30be0000.ethernet", None),
            ("/sys/devices/pci0000:00", None),
        ] {
            assert_eq!(pci_address_in(Path::new(path)).as_deref(), address, "{path}");
        }
    }
}
