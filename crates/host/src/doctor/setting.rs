//! Settings of the host that can be read, changed, and put back as they were.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Machine;
use super::tree::in_force;
use crate::ethtool::Parameter;

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// A file of the kernel's.
    File {
        /// Its path.
        file: String,
    },
    /// A parameter of a card, as ethtool has it.
    Parameter {
        /// The card.
        #[serde(flatten)]
        card: CardName,
        /// Which of its parameters.
        parameter: Parameter,
    },
    /// An offload of a card: `on` or `off`.
    Offload {
        /// The card.
        #[serde(flatten)]
        card: CardName,
        /// The kernel's name for the offload.
        offload: String,
    },
}

/// A card by its name, and by its address, so that another one that came to have its name is not taken for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardName {
    /// The interface's name.
    pub nic: String,
    /// Its Ethernet address.
    pub mac: String,
}

/// A setting and the value that it should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which.
    #[serde(flatten)]
    pub setting: Setting,
    /// The value.
    pub to: String,
}

impl Change {
    /// A file of the kernel's should hold this.
    pub(crate) fn file(path: impl Into<String>, to: impl fmt::Display) -> Self {
        Self { setting: Setting::File { file: path.into() }, to: to.to_string() }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file } => out.write_str(file),
            Self::Parameter { card, parameter } => write!(out, "{} {parameter}", card.nic),
            Self::Offload { card, offload } => write!(out, "{} {offload}", card.nic),
        }
    }
}

impl Setting {
    /// The value, exactly as it stands; why it cannot be read, else.
    pub fn read(&self, machine: &Machine) -> Result<String, String> {
        match self {
            Self::File { file } => machine.tree.read(file).map_err(|unread| unread.why),
            Self::Parameter { card, parameter } => {
                let found = machine.card_of(card)?.parameters.get(parameter).copied();
                found.map(|number| number.to_string()).ok_or_else(|| "the card does not tell it".to_owned())
            }
            Self::Offload { card, offload } => {
                let is_active = machine.card_of(card)?.active.contains(offload);
                Ok(if is_active { "on" } else { "off" }.to_owned())
            }
        }
    }

    /// Sets the value to what was read once, or to a word.
    pub fn write(&self, machine: &Machine, value: &str) -> Result<(), String> {
        match self {
            Self::File { file } => {
                machine.tree.write(file, in_force(value)).map_err(|error| error.to_string())
            }
            Self::Parameter { card, .. } | Self::Offload { card, .. } => {
                machine.card_of(card)?;
                machine.cards.write(card, self, value)
            }
        }
    }
}

/// Whether two readings of a setting say the same.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    in_force(one) == in_force(other)
}
