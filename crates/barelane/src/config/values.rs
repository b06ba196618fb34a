//! Reading one value of a setting, with what to say where it cannot be read.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use route::{Prefix, PrefixError};
use telemetry::Ns;
use wire::ethernet::Mac;

use crate::error::Wrong;

/// Why a text is not a value: the key that was being read adds its name.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(super) value: String,
    pub(super) problem: String,
    pub(super) remedy: String,
}

impl Fault {
    pub(super) fn new(value: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { value: value.to_owned(), problem: problem.into(), remedy: remedy.into() }
    }

    /// The same of the setting whose value was read.
    pub(crate) fn of(self, setting: impl Display) -> Wrong {
        Wrong::new(setting, self.value).because(self.problem).remedy(self.remedy)
    }
}

/// The choice that the text names.
pub(super) fn choice<T: Copy>(names: &[(&str, T)], texts: &[String]) -> Result<T, Fault> {
    let text = texts.concat();
    names.iter().find(|(name, _)| *name == text).map(|&(_, value)| value).ok_or_else(|| {
        let known: Vec<&str> = names.iter().map(|&(name, _)| name).collect();
        Fault::new(&text, "no such choice", format!("write one of {}", known.join(", ")))
    })
}

/// A whole number within limits, both included.
pub(super) fn number<T: FromStr + TryFrom<i64>>(text: &str, min: i64, max: i64) -> Result<T, Fault> {
    let within = text.parse::<i64>().ok().filter(|number| (min..=max).contains(number));
    within
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| Fault::new(text, "out of range", format!("write a whole number from {min} to {max}")))
}

/// Units of time, the longest first, and how many nanoseconds each has.
const UNITS: [(&str, u64); 4] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];

/// A time with its unit, within limits, both included.
pub(super) fn duration(text: &str, min: Ns, max: Ns) -> Result<Ns, Fault> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(unit_at);
    let per_unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, ns)| ns);
    let ns = count.parse().ok().zip(per_unit).and_then(|(count, ns): (u64, _)| count.checked_mul(*ns));
    ns.map(Ns).filter(|ns| (min..=max).contains(ns)).ok_or_else(|| {
        let [min, max] = [min, max].map(duration_text);
        Fault::new(text, "no such time", format!("write a time such as 50us, from {min} to {max}, or off"))
    })
}

/// A time as [`duration`] reads it, in the longest unit that it is whole in.
pub(crate) fn duration_text(Ns(ns): Ns) -> String {
    let whole = UNITS.iter().find(|(_, per_unit)| ns != 0 && ns.is_multiple_of(*per_unit));
    whole.map_or_else(|| format!("{ns}ns"), |(name, per_unit)| format!("{}{name}", ns / per_unit))
}

/// An address.
pub(crate) fn ip(text: &str) -> Result<IpAddr, Fault> {
    let ip = text
        .parse()
        .map_err(|_| Fault::new(text, "not an IP address", "write one such as 192.0.2.1 or 2001:db8::1"))?;
    match ip {
        // No packet on a link carries such an address (RFC 4291 2.5.5.2): it stands for an IPv4 one inside a program.
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => Err(Fault::new(text, "an IPv4 address in an IPv6 one's form", format!("write {v4}"))),
            None => Ok(ip),
        },
        IpAddr::V4(_) => Ok(ip),
    }
}

/// The Ethernet address of a station.
pub(crate) fn mac(text: &str) -> Result<Mac, Fault> {
    let remedy = "write one such as 02:00:00:00:00:01";
    let mac: Mac = text.parse().map_err(|_| Fault::new(text, "not an Ethernet address", remedy))?;
    if mac.is_group() || mac == Mac([0; 6]) {
        return Err(Fault::new(text, "no station has this address", remedy));
    }
    Ok(mac)
}

/// A prefix, or a single address.
pub(super) fn prefix(text: &str) -> Result<Prefix, Fault> {
    text.parse().map_err(|error: PrefixError| {
        let sentence = error.to_string();
        let (problem, remedy) = sentence.split_once(": ").unwrap_or((&sentence, ""));
        Fault::new(text, problem, remedy)
    })
}

/// An address with its prefix length. Without one the link's broadcast address could not be told, so it is not
/// guessed.
pub(crate) fn address(text: &str) -> Result<(IpAddr, u8), Fault> {
    let Some((ip_text, len_text)) = text.split_once('/') else {
        ip(text)?;
        let len = if text.contains(':') { 64 } else { 24 };
        return Err(Fault::new(
            text,
            "the prefix length is missing",
            format!("write it too, such as {text}/{len}"),
        ));
    };
    let ip = ip(ip_text).map_err(|fault| Fault { value: text.to_owned(), ..fault })?;
    let max = if ip.is_ipv4() { 32 } else { 128 };
    let len = number(len_text, 0, max).map_err(|fault| Fault {
        value: text.to_owned(),
        problem: "the prefix length is out of range".into(),
        ..fault
    })?;
    Ok((ip, len))
}

/// Every value, none of them twice.
pub(super) fn unique<T: Copy + Ord>(
    texts: &[String],
    read: impl Fn(&str) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut values = Vec::with_capacity(texts.len());
    let mut known = BTreeSet::new();
    for text in texts {
        let value = read(text)?;
        if !known.insert(value) {
            return Err(Fault::new(text, "given twice", "remove one of the two"));
        }
        values.push(value);
    }
    Ok(values)
}
