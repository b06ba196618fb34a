//! How many queues of an interface are in use.
//!
//! `IFLA_NUM_RX_QUEUES` is what the device could have at the most, and a lane that binds a queue beyond those in use is
//! refused with EINVAL. Those in use are told by the `netdev` family for interfaces that are up (kernel 6.8 and later:
//! one answer per queue), and by ethtool's channels where the driver has them, up or down.

use netlink_packet_core::DefaultNla;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use crate::HostError;
use crate::ethtool;
use crate::netlink::generic::{self, Family};
use crate::netlink::{Ask, attribute, number};

/// Queues in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Queues {
    pub(super) rx: u32,
    pub(super) tx: u32,
}

/// The `netdev` family: `include/uapi/linux/netdev.h`.
#[derive(Debug)]
pub(super) struct Netdev;

impl Family for Netdev {
    const NAME: &'static str = "netdev";
}

const COMMAND_QUEUE_GET: u8 = 10;
const ATTRIBUTE_INTERFACE: u16 = 2;
const ATTRIBUTE_TYPE: u16 = 3;
const TYPE_RX: u32 = 0;
const TYPE_TX: u32 = 1;

/// The queues in use; where neither source knows, the device's own maximum, which is then all that can be said: a
/// queue that is too many is still refused when it is bound.
pub(super) fn in_use(answer: &LinkMessage) -> Result<Queues, HostError> {
    let index = answer.header.index;
    let is_up = answer.header.flags.contains(LinkFlags::Up);
    let listed = if is_up { listed(index) } else { None };
    let known = match listed {
        Some(queues) => Some(queues),
        None => ethtool::channels(index)?.map(|channels| Queues { rx: channels.rx(), tx: channels.tx() }),
    };
    Ok(known.unwrap_or_else(|| most(answer)))
}

/// One answer per queue. Kernels before 6.8 do not know the question, and refuse it; then there is no list.
fn listed(index: u32) -> Option<Queues> {
    let question = vec![DefaultNla::new(ATTRIBUTE_INTERFACE, index.to_ne_bytes().to_vec())];
    let asked = format!("list the queues of the interface of index {index}");
    let answers = generic::ask::<Netdev>(COMMAND_QUEUE_GET, question, Ask::List, &asked).ok()?;
    let count = |wanted: u32| {
        let types = answers.iter().filter_map(|queue| number(&attribute(queue, ATTRIBUTE_TYPE)?));
        u32::try_from(types.filter(|found| *found == wanted).count()).unwrap_or(u32::MAX)
    };
    let queues = Queues { rx: count(TYPE_RX), tx: count(TYPE_TX) };
    (queues.rx > 0 && queues.tx > 0).then_some(queues)
}

fn most(answer: &LinkMessage) -> Queues {
    let mut queues = Queues { rx: 1, tx: 1 };
    for attribute in &answer.attributes {
        match attribute {
            LinkAttribute::NumRxQueues(count) => queues.rx = *count,
            LinkAttribute::NumTxQueues(count) => queues.tx = *count,
            _ => {}
        }
    }
    queues
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::link::{InfoKind, LinkInfo};

    use crate::netlink::ask_route;
    use crate::{links, namespace};

    use super::*;

    /// Makes a veth whose number of queues is left to the kernel: as many as there are cores, but one in use.
    fn make_veth(name: &str) {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth)]),
        ];
        let ask = Ask::One(NLM_F_CREATE | NLM_F_EXCL);
        ask_route(RouteNetlinkMessage::NewLink(message), ask, "make a veth").unwrap();
    }

    #[test]
    fn the_queues_in_use_are_counted_and_not_those_that_could_be() {
        let Some(namespace) = namespace::tests::for_test() else { return };
        let of_each_state = namespace.run(|| {
            make_veth("few");
            let down = links::link("few").unwrap();
            links::set_up(down.index).unwrap();
            [down, links::link("few").unwrap()]
        });
        for link in of_each_state.unwrap() {
            assert_eq!((link.rx_queues, link.tx_queues), (1, 1), "{link:?}");
        }
    }
}
