//! What ethtool sets as one number each: ring sizes, interrupt coalescing, pause frames, energy-efficient Ethernet.
//!
//! A driver that does not know a group of them answers EOPNOTSUPP, and one that knows the group may leave a parameter of it
//! out: either way the parameter is absent, which is not the same as 0.

use std::collections::BTreeMap;
use std::fmt;

use netlink_packet_core::DefaultNla;
use serde::{Deserialize, Serialize};

use super::{Ethtool, ask, header};
use crate::HostError;
use crate::netlink::generic;
use crate::netlink::{Ask, attribute};

/// One number that a card can be asked for. The names are those of the ethtool program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parameter {
    /// The most slots that a receive ring can have.
    RxRingMax,
    /// The most slots that a transmit ring can have.
    TxRingMax,
    /// Slots of a receive ring.
    RxRing,
    /// Slots of a transmit ring.
    TxRing,
    /// The most queues that receive and transmit.
    CombinedMax,
    /// The most queues that only receive.
    RxMax,
    /// How long a received packet may wait for its interrupt, in microseconds.
    RxUsecs,
    /// How many received packets may share an interrupt.
    RxFrames,
    /// How long a sent packet may wait for its interrupt, in microseconds.
    TxUsecs,
    /// How many sent packets may share an interrupt.
    TxFrames,
    /// Whether the driver changes the receive figures by itself: 1 or 0.
    AdaptiveRx,
    /// Whether the driver changes the transmit figures by itself: 1 or 0.
    AdaptiveTx,
    /// Whether pause frames are agreed on with the other end: 1 or 0.
    PauseAutoneg,
    /// Whether the other end's pause frames stop what is sent: 1 or 0.
    RxPause,
    /// Whether a full receive ring stops the other end: 1 or 0.
    TxPause,
    /// Whether the link sleeps at this moment when it is idle: 1 or 0.
    EeeActive,
    /// Whether the link may sleep when it is idle (IEEE 802.3az): 1 or 0.
    Eee,
}

/// The numbers that a card told of.
pub type Parameters = BTreeMap<Parameter, u32>;

/// Parameters that the kernel tells and takes in one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Rings,
    Channels,
    Coalescing,
    Pause,
    Eee,
}

impl Group {
    const ALL: [Self; 5] = [Self::Rings, Self::Channels, Self::Coalescing, Self::Pause, Self::Eee];

    /// `ETHTOOL_MSG_…_GET`. The number after it is that of `…_SET`.
    const fn question(self) -> u8 {
        match self {
            Self::Rings => 15,
            Self::Channels => super::CHANNELS_GET,
            Self::Coalescing => 19,
            Self::Pause => 21,
            Self::Eee => 23,
        }
    }
}

/// How many bytes the kernel keeps a parameter in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Byte,
    Word,
}

/// Each parameter, its message, its attribute there (`ETHTOOL_A_…`), and its width.
const TABLE: [(Parameter, Group, u16, Width); 17] = [
    (Parameter::RxRingMax, Group::Rings, 2, Width::Word),
    (Parameter::TxRingMax, Group::Rings, 5, Width::Word),
    (Parameter::RxRing, Group::Rings, 6, Width::Word),
    (Parameter::TxRing, Group::Rings, 9, Width::Word),
    (Parameter::CombinedMax, Group::Channels, 5, Width::Word),
    (Parameter::RxMax, Group::Channels, 2, Width::Word),
    (Parameter::RxUsecs, Group::Coalescing, 2, Width::Word),
    (Parameter::RxFrames, Group::Coalescing, 3, Width::Word),
    (Parameter::TxUsecs, Group::Coalescing, 6, Width::Word),
    (Parameter::TxFrames, Group::Coalescing, 7, Width::Word),
    (Parameter::AdaptiveRx, Group::Coalescing, 11, Width::Byte),
    (Parameter::AdaptiveTx, Group::Coalescing, 12, Width::Byte),
    (Parameter::PauseAutoneg, Group::Pause, 2, Width::Byte),
    (Parameter::RxPause, Group::Pause, 3, Width::Byte),
    (Parameter::TxPause, Group::Pause, 4, Width::Byte),
    (Parameter::EeeActive, Group::Eee, 4, Width::Byte),
    (Parameter::Eee, Group::Eee, 5, Width::Byte),
];

impl fmt::Display for Parameter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::RxRingMax => "rx-ring-max",
            Self::TxRingMax => "tx-ring-max",
            Self::RxRing => "rx-ring",
            Self::TxRing => "tx-ring",
            Self::CombinedMax => "combined-max",
            Self::RxMax => "rx-max",
            Self::RxUsecs => "rx-usecs",
            Self::RxFrames => "rx-frames",
            Self::TxUsecs => "tx-usecs",
            Self::TxFrames => "tx-frames",
            Self::AdaptiveRx => "adaptive-rx",
            Self::AdaptiveTx => "adaptive-tx",
            Self::PauseAutoneg => "pause-autoneg",
            Self::RxPause => "rx-pause",
            Self::TxPause => "tx-pause",
            Self::EeeActive => "eee-active",
            Self::Eee => "eee",
        })
    }
}

/// All that the card tells of the table.
pub fn parameters(index: u32) -> Result<Parameters, HostError> {
    let mut told = Parameters::new();
    for group in Group::ALL {
        let asked = format!("read {group:?} of the interface of index {index}");
        let Some(answer) = ask(group.question(), vec![header(index)], &asked)? else { continue };
        let of_group = TABLE.iter().filter(|(_, of, _, _)| *of == group);
        told.extend(
            of_group.filter_map(|(parameter, _, kind, _)| {
                Some((*parameter, value(&attribute(&answer, *kind)?)?))
            }),
        );
    }
    Ok(told)
}

/// Sets one parameter.
///
/// # Errors
/// The driver does not know it or does not take the value, or this process may not.
pub fn set_parameter(index: u32, parameter: Parameter, number: u32) -> Result<(), HostError> {
    let asked = format!("set {parameter} of the interface of index {index} to {number}");
    let row = TABLE.iter().find(|(of, _, _, _)| *of == parameter);
    let Some((_, group, kind, width)) = row else { return Ok(()) };
    let bytes = match width {
        Width::Word => number.to_ne_bytes().to_vec(),
        Width::Byte => vec![u8::from(number != 0)],
    };
    let change = vec![header(index), DefaultNla::new(*kind, bytes)];
    generic::ask::<Ethtool>(group.question() + 1, change, Ask::One(0), &asked).map(drop)
}

fn value(bytes: &[u8]) -> Option<u32> {
    match bytes {
        [byte] => Some(u32::from(*byte)),
        bytes => bytes.try_into().ok().map(u32::from_ne_bytes),
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;
    use crate::veth::{End, VethPair, create};
    use crate::{links, namespace};

    #[test]
    fn every_parameter_stands_once_in_the_table_and_has_a_name_of_its_own() {
        let mut names: Vec<_> = TABLE.iter().map(|(parameter, ..)| parameter.to_string()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }

    #[test]
    fn bytes_and_words_are_numbers_and_nothing_else_is() {
        assert_eq!(value(&[1]), Some(1));
        assert_eq!(value(&70_000_u32.to_ne_bytes()), Some(70_000));
        assert_eq!(value(&[]), None);
        assert_eq!(value(&[1, 2]), None);
    }

    #[test]
    fn a_veth_tells_its_most_channels_and_refuses_what_it_has_not() {
        let Some(namespace) = namespace::tests::for_test() else { return };
        let end = |name, last| End {
            namespace: Some(&namespace),
            name,
            mac: [2, 0, 0, 0, 0, last],
            rx_queues: 2,
            tx_queues: 2,
            addresses: &[],
        };
        let cable = create(&VethPair { a: end("a", 1), b: end("b", 2), mtu: 1500 }).unwrap();
        let (told, refused) = namespace
            .run(|| {
                let index = links::link("a").unwrap().index;
                (parameters(index).unwrap(), set_parameter(index, Parameter::RxUsecs, 0).unwrap_err())
            })
            .unwrap();
        assert_eq!(told.get(&Parameter::RxMax), Some(&2), "{told:?}");
        assert_eq!(told.get(&Parameter::RxUsecs), None, "{told:?} {cable:?}");
        assert_eq!(refused.errno(), Some(Errno::OPNOTSUPP), "{refused}");
    }
}
