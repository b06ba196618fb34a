//! The earliest tier that may answer, and that this link carries.
//!
//! What the program answers in the driver leaves by `XDP_TX`. In native mode that is the driver's to send, and a veth sends
//! it only to another end that has an XDP program as well (`veth_xdp_flush` in `drivers/net/veth.c`); else it is lost,
//! and nobody is told. In generic mode the kernel sends it as it sends everything.

use nic::xdp::ModeChoice;
use route::Tier;

use super::Facts;
use crate::config::{Config, EarliestChoice};

/// A tier, and why it is the one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarliestTier {
    /// [`Tier::Driver`] or [`Tier::Lane`].
    pub tier: Tier,
    /// In words.
    pub why: String,
    /// Why the answers of this tier may be lost, where it was forced on a link that is not known to carry them.
    pub danger: Option<String>,
}

impl EarliestTier {
    /// The earliest tier for what was asked, on what was found.
    pub(super) fn of(config: &Config, facts: &Facts) -> Self {
        let (tier, why, danger) = match (config.serve.tier, carries(config.nic.mode, facts)) {
            _ if facts.is_memif() => (Tier::Lane, "shared memory has no driver".to_owned(), None),
            (EarliestChoice::Lane, _) => (Tier::Lane, "serve.tier says so".to_owned(), None),
            (EarliestChoice::Driver, carried) => {
                (Tier::Driver, "serve.tier says so".to_owned(), carried.err())
            }
            (EarliestChoice::Auto, Ok(why)) => (Tier::Driver, why.to_owned(), None),
            (EarliestChoice::Auto, Err(why_not)) => (Tier::Lane, why_not, None),
        };
        Self { tier, why, danger }
    }

    /// What people call it.
    pub fn name(&self) -> &'static str {
        match self.tier {
            Tier::Driver => "driver",
            Tier::Lane | Tier::Kernel => "lane",
        }
    }
}

/// Whether what a program answers in the driver leaves this link, and why, or why not.
fn carries(mode: ModeChoice, facts: &Facts) -> Result<&'static str, String> {
    let name = &facts.link.name;
    match (mode, facts.is_veth(), facts.other_end_has_program) {
        (ModeChoice::Generic, ..) => Ok("in generic mode the kernel sends what the program answers"),
        (_, false, _) => Ok("the driver sends what its program answers"),
        (_, true, Some(true)) => Ok("the other end of this veth has an XDP program too"),
        (_, true, Some(false)) => Err(format!(
            "the other end of the veth {name} has no XDP program, without which a veth loses what the driver answers"
        )),
        (_, true, None) => Err(format!(
            "the other end of the veth {name} cannot be seen, and without an XDP program there a veth loses what the \
             driver answers"
        )),
    }
}
