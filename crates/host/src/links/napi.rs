//! The NAPI instances of an interface: what polls its queues, and how long they put interrupts off.

use netlink_packet_core::DefaultNla;
use serde::{Deserialize, Serialize};

use super::queues::Netdev;
use crate::netlink::generic;
use crate::netlink::{Ask, attribute};

/// `NETDEV_CMD_NAPI_GET` and its attributes (`include/uapi/linux/netdev.h`).
const COMMAND_NAPI_GET: u8 = 11;
const ATTRIBUTE_INTERFACE: u16 = 1;
const ATTRIBUTE_IRQ: u16 = 3;
const ATTRIBUTE_PROCESS: u16 = 4;
const ATTRIBUTE_DEFER_HARD_IRQS: u16 = 5;
const ATTRIBUTE_GRO_FLUSH_TIMEOUT: u16 = 6;

/// One NAPI instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Napi {
    /// Its interrupt, where it has one of its own.
    pub irq: Option<u32>,
    /// Whether a thread of the kernel's polls it, in place of a softirq.
    pub is_threaded: bool,
    /// How often it polls an empty queue by timer before it takes interrupts again; nothing where the kernel does not tell
    /// (before 6.13).
    pub defer_hard_irqs: Option<u64>,
    /// How long that timer is, in nanoseconds.
    pub gro_flush_timeout_ns: Option<u64>,
}

/// The NAPI instances of an interface, by their numbers; none where it is down, and nothing where the kernel does not tell
/// of them (before 6.8).
pub fn napi(index: u32) -> Option<Vec<Napi>> {
    let question = vec![DefaultNla::new(ATTRIBUTE_INTERFACE, index.to_ne_bytes().to_vec())];
    let asked = format!("list the NAPI instances of the interface of index {index}");
    let answers = generic::ask::<Netdev>(COMMAND_NAPI_GET, question, Ask::List, &asked).ok()?;
    Some(answers.iter().map(|answer| read(answer)).collect())
}

fn read(answer: &[DefaultNla]) -> Napi {
    let value = |kind| attribute(answer, kind).and_then(|bytes| number(&bytes));
    Napi {
        irq: value(ATTRIBUTE_IRQ).and_then(|irq| u32::try_from(irq).ok()),
        is_threaded: value(ATTRIBUTE_PROCESS).is_some_and(|process| process != 0),
        defer_hard_irqs: value(ATTRIBUTE_DEFER_HARD_IRQS),
        gro_flush_timeout_ns: value(ATTRIBUTE_GRO_FLUSH_TIMEOUT),
    }
}

/// An unsigned number of whichever of the two widths the kernel found it to fit in (`nla_put_uint`).
fn number(bytes: &[u8]) -> Option<u64> {
    match bytes.len() {
        4 => bytes.try_into().ok().map(u32::from_ne_bytes).map(u64::from),
        _ => bytes.try_into().ok().map(u64::from_ne_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_both_widths_are_read_and_missing_ones_stay_missing() {
        let attributes = [
            DefaultNla::new(ATTRIBUTE_IRQ, 41_u32.to_ne_bytes().to_vec()),
            DefaultNla::new(ATTRIBUTE_GRO_FLUSH_TIMEOUT, 200_000_u64.to_ne_bytes().to_vec()),
        ];
        let read = read(&attributes);
        assert_eq!((read.irq, read.gro_flush_timeout_ns), (Some(41), Some(200_000)));
        assert_eq!((read.defer_hard_irqs, read.is_threaded), (None, false));
        assert_eq!(number(&[1, 2, 3]), None);
    }

    #[test]
    fn the_loopback_has_none() {
        assert!(napi(super::super::LOOPBACK).is_none_or(|found| found.is_empty()));
    }
}
