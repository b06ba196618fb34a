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
