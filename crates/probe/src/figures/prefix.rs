//! The same row of figures under several names: `rtt_p50_ns`, `response_p50_ns`, `residence_p50_ns`.
//!
//! Readers of the JSON form want flat keys with the quantity in them; the code wants one type. [`prefix!`] makes the
//! module that `#[serde(flatten, with = "…")]` needs to go from the one to the other.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde::ser::Serializer;
use serde_json::Value;

use super::Figures;

/// Makes a module named after a quantity, for `#[serde(flatten, with = "…")]` on [`Figures`].
macro_rules! prefix {
    ($quantity:ident) => {
        mod $quantity {
            const PREFIX: &str = concat!(stringify!($quantity), "_");

            pub(super) fn serialize<S: serde::Serializer>(
                figures: &crate::figures::Figures,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                crate::figures::prefix::write(PREFIX, figures, serializer)
            }

            pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<crate::figures::Figures, D::Error> {
                crate::figures::prefix::read(PREFIX, deserializer)
            }
        }
    };
}
pub(crate) use prefix;

pub(crate) fn write<S: Serializer>(prefix: &str, figures: &Figures, to: S) -> Result<S::Ok, S::Error> {
    let keyed = figures.keyed();
    to.collect_map(keyed.iter().map(|(key, value)| (format!("{prefix}{key}"), value)))
}

pub(crate) fn read<'de, D: Deserializer<'de>>(prefix: &str, from: D) -> Result<Figures, D::Error> {
    let all = BTreeMap::<String, Value>::deserialize(from)?;
    let own = all.into_iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value)));
    serde_json::from_value(own.collect()).map_err(|error| D::Error::custom(format!("{prefix}…: {error}")))
}
