//! The table of keys: every setting once, with both of its names, what it takes, and how it is read.
//!
//! A file and the command line both end here, so a value means the same in both and is refused in the same words.
//! A test holds `configs/default.toml` to this table: it names every key, and says exactly the defaults.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use nic::xdp::{ModeChoice, RING_SIZE_MAX, RING_SIZE_MIN, TransmitStamps, Vlans, Wake, ZeroCopyChoice};
use route::{Family, NextHop, ServiceError, ShortPackets, SourcePrefix, TierChoice, VlanSet};
use telemetry::Ns;
use telemetry::streams::WAYS;
use tracing::level_filters::LevelFilter;
use wire::ethernet::Mac;

use super::values::{self, Fault, address, choice, duration, number, prefix, unique};
use super::{
    AdminChoice, ArrivalChoice, Config, EarliestChoice, Hold, IdleChoice, LogFormat, MemifConfig,
    PartialChoice, RouteConfig,
};
use crate::error::{Setting, Wrong};

macro_rules! settings {
    ($( $name:ident $key:literal $flag:expr; )*) => {
        $( #[doc = concat!("`", $key, "`")] pub const $name: Setting = Setting { key: $key, flag: $flag }; )*
    };
}

settings! {
    INTERFACE "nic.interface" Some("--nic");
    MEMIF "nic.memif" Some("--memif");
    MAC "nic.mac" Some("--mac");
    QUEUES "nic.queues" Some("--queue");
    MODE "nic.mode" Some("--mode");
    ZERO_COPY "nic.zero_copy" Some("--zero-copy");
    WAKE "nic.wake" Some("--wake");
    RING_SIZE "nic.ring_size" None;
    ARRIVAL_STAMPS "nic.arrival_stamps" Some("--arrival-stamps");
    TRANSMIT_STAMPS "nic.transmit_stamps" Some("--transmit-stamps");
    NIC_ADDRESSES "nic.addresses" None;
    NIC_CORES "nic.cores" None;
    CORES "lane.cores" Some("--core");
    IDLE "lane.idle" Some("--idle");
    SPIN_FOR_US "lane.spin_for_us" None;
    KEEP_WARM "lane.keep_warm" Some("--keep-warm");
    HOP_LIMIT "lane.hop_limit" None;
    ERRORS_PER_SECOND "lane.errors_per_second" None;
    PARTIAL_CHECKSUMS "lane.partial_checksums" None;
    AGE_LIMIT "lane.age_limit" Some("--age-limit");
    STREAMS "lane.streams" Some("--streams");
    ADDRESSES "serve.addresses" Some("--address");
    RESPOND "serve.respond" Some("--respond");
    VLANS "serve.vlans" Some("--vlan");
    TIER "serve.tier" Some("--tier");
    NEXT_HOP "serve.next_hop" Some("--next-hop");
    HOUSEKEEPING_CORE "serve.housekeeping_core" Some("--housekeeping-core");
    HOLD "serve.hold" Some("--hold");
    ADDRESS_CHECK_MS "serve.address_check_ms" None;
    ADMIN "serve.admin" Some("--admin");
    ADMIN_TOKEN_FILE "serve.admin_token_file" Some("--admin-token");
    ADMIN_TLS_CERT_FILE "serve.admin_tls_cert_file" Some("--admin-tls-cert");
    ADMIN_TLS_KEY_FILE "serve.admin_tls_key_file" Some("--admin-tls-key");
    LOG_FORMAT "log.format" Some("--log-format");
    LOG_LEVEL "log.level" Some("--log-level");
    STAMP_KEY_FILE "stamp.key_file" Some("--stamp-key");
    STAMP_SHORT_PACKETS "stamp.short_packets" Some("--stamp-short");
    ROUTE_NIC "route.nic" None;
    ROUTE_ADDRESS "route.address" None;
    ROUTE_FROM "route.from" None;
    ROUTE_VLANS "route.vlans" None;
    ROUTE_RESPOND "route.respond" None;
    ROUTE_TIER "route.tier" None;
    ROUTE_NEXT_HOP "route.next_hop" None;
    ROUTE_PER_SECOND "route.answers_per_second" None;
    ROUTE_PER_SOURCE "route.answers_per_second_per_source" None;
    ROUTE_SOURCE_PREFIX_IPV4 "route.source_prefix_ipv4" None;
    ROUTE_SOURCE_PREFIX_IPV6 "route.source_prefix_ipv6" None;
}

/// How the program may be attached, by name.
pub const MODES: &[(&str, ModeChoice)] =
    &[("auto", ModeChoice::Auto), ("native", ModeChoice::Native), ("generic", ModeChoice::Generic)];

/// Zero-copy, by name.
pub const ZERO_COPIES: &[(&str, ZeroCopyChoice)] =
    &[("auto", ZeroCopyChoice::Auto), ("yes", ZeroCopyChoice::Yes), ("no", ZeroCopyChoice::No)];

/// Who drives the rings, by name.
pub const WAKES: &[(&str, Wake)] =
    &[("need-wakeup", Wake::NeedWakeup), ("busy-poll", Wake::BusyPoll), ("spin", Wake::Spin)];

/// Who says when a question came, by name.
pub const ARRIVAL_STAMPERS: &[(&str, ArrivalChoice)] =
    &[("auto", ArrivalChoice::Auto), ("driver", ArrivalChoice::Driver), ("none", ArrivalChoice::None)];

/// Who says when an answer left, by name.
pub const TRANSMIT_STAMPERS: &[(&str, TransmitStamps)] =
    &[("none", TransmitStamps::None), ("kernel", TransmitStamps::Kernel)];

/// What lanes do where nothing comes, by name.
pub const IDLES: &[(&str, IdleChoice)] =
    &[("spin", IdleChoice::Spin), ("adaptive", IdleChoice::Adaptive), ("interrupt", IdleChoice::Interrupt)];

/// What to do with partial checksums, by name.
pub const PARTIALS: &[(&str, PartialChoice)] =
    &[("auto", PartialChoice::Auto), ("accept", PartialChoice::Accept), ("refuse", PartialChoice::Refuse)];

/// Where answers are made at the earliest, by name.
pub const TIERS: &[(&str, EarliestChoice)] =
    &[("auto", EarliestChoice::Auto), ("driver", EarliestChoice::Driver), ("lane", EarliestChoice::Lane)];

/// What to do with STAMP packets that are shorter than their answers, by name.
pub const SHORT_PACKETS: &[(&str, ShortPackets)] =
    &[("drop", ShortPackets::Drop), ("answer", ShortPackets::Answer)];

/// What can be held, by name.
pub const HOLDS: &[(&str, Hold)] = &[("power", Hold::Power), ("irqs", Hold::Irqs)];

/// What stands for nothing at all.
pub const NONE: &str = "none";
/// The forms of a line, by name.
pub const LOG_FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

/// The least levels, by name.
pub const LOG_LEVELS: &[(&str, LevelFilter)] =
    &[("info", LevelFilter::INFO), ("warn", LevelFilter::WARN), ("error", LevelFilter::ERROR)];

/// What stands for every number that there can be.
pub const ALL: &str = "all";

/// What stands for what has no number.
pub const UNTAGGED: &str = "untagged";

/// What a key takes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A string.
    Text,
    /// An integer.
    Number,
    /// An array of strings.
    Texts,
    /// An array of integers.
    Numbers,
    /// An array of integers, or the word [`ALL`].
    NumbersOrAll,
    /// An array of integers, the word [`UNTAGGED`] among them.
    NumbersOrUntagged,
}

/// One row of the table.
#[derive(Debug)]
pub struct Key {
    /// Its names.
    pub setting: Setting,
    /// What it takes in a file.
    pub takes: Takes,
    /// Reads the texts of its values, one for [`Takes::Text`] and [`Takes::Number`], into the configuration.
    read: fn(&mut Config, &[String]) -> Result<(), Fault>,
}

macro_rules! keys {
    ($( $setting:ident $takes:ident |$config:ident, $texts:ident| $read:expr; )*) => {
        /// Every key there is.
        pub const KEYS: &[Key] = &[
            $( Key { setting: $setting, takes: Takes::$takes, read: |$config, $texts| { $read; Ok(()) } }, )*
        ];
    };
}

keys! {
    INTERFACE Text |config, texts| config.nic.interface = texts.concat();
    MEMIF Text |config, texts| config.nic.memif = memif(&texts.concat())?;
    MAC Text |config, texts| config.nic.mac = mac(&texts.concat())?;
    QUEUES Numbers |config, texts| config.nic.queues = unique(texts, |text| number(text, 0, 65_535))?;
    MODE Text |config, texts| config.nic.mode = choice(MODES, texts)?;
    ZERO_COPY Text |config, texts| config.nic.zero_copy = choice(ZERO_COPIES, texts)?;
    WAKE Text |config, texts| config.nic.wake = choice(WAKES, texts)?;
    RING_SIZE Number |config, texts| config.nic.ring_size = ring_size(&texts.concat())?;
    ARRIVAL_STAMPS Text |config, texts| config.nic.arrival_stamps = choice(ARRIVAL_STAMPERS, texts)?;
    TRANSMIT_STAMPS Text |config, texts| config.nic.transmit_stamps = choice(TRANSMIT_STAMPERS, texts)?;
    NIC_ADDRESSES Texts |config, texts| config.serve.addresses = unique(texts, address)?;
    NIC_CORES Numbers |config, texts| config.lane.cores = cores(texts)?;
    CORES Numbers |config, texts| config.lane.cores = cores(texts)?;
    IDLE Text |config, texts| config.lane.idle = choice(IDLES, texts)?;
    SPIN_FOR_US Number |config, texts| config.lane.spin_for_us = number(&texts.concat(), 1, 1_000_000)?;
    KEEP_WARM Text |config, texts| config.lane.keep_warm = keep_warm(&texts.concat())?;
    HOP_LIMIT Number |config, texts| config.lane.hop_limit = number(&texts.concat(), 1, 255)?;
    ERRORS_PER_SECOND Number |config, texts|
        config.lane.errors_per_second = number(&texts.concat(), 0, 1_000_000)?;
    PARTIAL_CHECKSUMS Text |config, texts| config.lane.partial_checksums = choice(PARTIALS, texts)?;
    AGE_LIMIT Text |config, texts| config.lane.age_limit = age_limit(&texts.concat())?;
    STREAMS Number |config, texts| config.lane.streams = streams(&texts.concat())?;
    ADDRESSES Texts |config, texts| config.serve.addresses = unique(texts, address)?;
    RESPOND Texts |config, texts| config.serve.respond = unique(texts, service)?;
    VLANS NumbersOrAll |config, texts| config.serve.vlans = vlans(texts)?;
    TIER Text |config, texts| config.serve.tier = choice(TIERS, texts)?;
    NEXT_HOP Text |config, texts| config.serve.next_hop = choice(NextHop::NAMES, texts)?;
    HOUSEKEEPING_CORE Number |config, texts|
        config.serve.housekeeping_core = Some(number(&texts.concat(), 0, 65_535)?);
    HOLD Texts |config, texts| config.serve.hold = Some(holds(texts)?);
    ADDRESS_CHECK_MS Number |config, texts| config.serve.address_check_ms = number(&texts.concat(), 0, 10_000)?;
    ADMIN Text |config, texts| config.serve.admin = admin(&texts.concat())?;
    ADMIN_TOKEN_FILE Text |config, texts| config.serve.admin_token_file = texts.concat().into();
    ADMIN_TLS_CERT_FILE Text |config, texts| config.serve.admin_tls_cert_file = texts.concat().into();
    ADMIN_TLS_KEY_FILE Text |config, texts| config.serve.admin_tls_key_file = texts.concat().into();
    LOG_FORMAT Text |config, texts| config.log.format = choice(LOG_FORMATS, texts)?;
    LOG_LEVEL Text |config, texts| config.log.level = choice(LOG_LEVELS, texts)?;
    STAMP_KEY_FILE Text |config, texts| config.stamp.key_file = texts.concat().into();
    STAMP_SHORT_PACKETS Text |config, texts| config.stamp.short_packets = choice(SHORT_PACKETS, texts)?;
    ROUTE_NIC Text |config, texts| last_route(config).nic = Some(texts.concat());
    ROUTE_ADDRESS Text |config, texts| last_route(config).address = Some(prefix(&texts.concat())?);
    ROUTE_FROM Texts |config, texts| last_route(config).from = some(unique(texts, prefix)?)?;
    ROUTE_VLANS NumbersOrUntagged |config, texts|
        last_route(config).vlans = Some(Box::new(some(unique(texts, vid)?)?.into_iter().collect()));
    ROUTE_RESPOND Text |config, texts| last_route(config).respond = Some(service(&texts.concat())?);
    ROUTE_TIER Text |config, texts| last_route(config).tier = choice(TierChoice::NAMES, texts)?;
    ROUTE_NEXT_HOP Text |config, texts| last_route(config).next_hop = Some(choice(NextHop::NAMES, texts)?);
    ROUTE_PER_SECOND Number |config, texts|
        last_route(config).per_second = NonZeroU32::new(number(&texts.concat(), 1, PER_SECOND_MAX)?);
    ROUTE_PER_SOURCE Number |config, texts|
        last_route(config).per_source = NonZeroU32::new(number(&texts.concat(), 1, PER_SECOND_MAX)?);
    ROUTE_SOURCE_PREFIX_IPV4 Number |config, texts| set_source_prefix(config, Family::V4, texts)?;
    ROUTE_SOURCE_PREFIX_IPV6 Number |config, texts| set_source_prefix(config, Family::V6, texts)?;
}

/// The highest limit: more answers a second than any link carries.
const PER_SECOND_MAX: i64 = 100_000_000;

/// The route whose keys are being read: [`file`](super::file) adds one for each `[[route]]`.
fn last_route(config: &mut Config) -> &mut RouteConfig {
    if config.routes.is_empty() {
        config.routes.push(RouteConfig::default());
    }
    let last = config.routes.len() - 1;
    #[expect(clippy::indexing_slicing, reason = "a route was pushed where there was none")]
    &mut config.routes[last]
}

/// Sets how many bits of this family's addresses say what one source is.
fn set_source_prefix(config: &mut Config, family: Family, texts: &[String]) -> Result<(), Fault> {
    let len = number(&texts.concat(), 1, SourcePrefix::LONGEST.len(family).into())?;
    let prefix = &mut last_route(config).source_prefix;
    *prefix = Some(prefix.unwrap_or(SourcePrefix::LONGEST).with(family, len));
    Ok(())
}

fn service(text: &str) -> Result<route::Service, Fault> {
    text.parse().map_err(|_| Fault::new(text, "no such responder", format!("write {}", ServiceError::USE)))
}

/// An interface in shared memory; an empty text is none.
fn memif(text: &str) -> Result<Option<MemifConfig>, Fault> {
    if text.is_empty() { Ok(None) } else { MemifConfig::parse(text).map(Some) }
}

/// The Ethernet address of a station; an empty text is none.
fn mac(text: &str) -> Result<Option<Mac>, Fault> {
    if text.is_empty() { Ok(None) } else { values::mac(text).map(Some) }
}

/// Where to serve metrics: an address of this host, never a name, so that nothing has to be asked to start.
fn admin(text: &str) -> Result<AdminChoice, Fault> {
    if text == "off" {
        return Ok(AdminChoice::Off);
    }
    let address = text.parse::<SocketAddr>().ok().filter(|address| address.port() > 0);
    let remedy = "write ADDRESS:PORT, such as 127.0.0.1:9464 or [::1]:9464, or off";
    address.map(AdminChoice::At).ok_or_else(|| Fault::new(text, "not an address with a port", remedy))
}

/// A VLAN, or what has none.
fn vid(text: &str) -> Result<u16, Fault> {
    if text == UNTAGGED {
        return Ok(VlanSet::NO_VLAN);
    }
    number(text, 1, VlanSet::VID_MAX.into())
        .map_err(|fault| Fault { remedy: format!("{}, or \"{UNTAGGED}\"", fault.remedy), ..fault })
}

/// What a condition lists, which must be something: of nothing, no packet is.
fn some<T>(values: Vec<T>) -> Result<Vec<T>, Fault> {
    if values.is_empty() {
        return Err(Fault::new("[]", "no packet meets this", "name what matches, or leave the key out"));
    }
    Ok(values)
}

fn vlans(texts: &[String]) -> Result<Vlans, Fault> {
    if texts == [ALL] {
        return Ok(Vlans::ALL);
    }
    let vids = unique(texts, |text| number(text, 1, Vlans::VID_MAX.into()))?;
    Vlans::of(&vids).map_err(|error| Fault::new(&error.found.to_string(), error.to_string(), "remove it"))
}

fn cores(texts: &[String]) -> Result<Vec<usize>, Fault> {
    unique(texts, |text| number(text, 0, 65_535))
}

/// What is to be held: nothing where that is said, alone.
fn holds(texts: &[String]) -> Result<Vec<Hold>, Fault> {
    if texts == [NONE] {
        return Ok(Vec::new());
    }
    unique(texts, |text| choice(HOLDS, &[text.to_owned()]))
        .map_err(|fault| Fault { remedy: format!("{}; or {NONE}, alone", fault.remedy), ..fault })
}

/// The shortest age limit: a wake-up between two cores takes a part of it. The longest: whoever asked has given up by then.
const AGE_LIMIT_MIN: Ns = Ns(1_000);
const AGE_LIMIT_MAX: Ns = Ns(1_000_000_000);

/// How old a question may be; nothing where that is not limited.
pub(crate) fn age_limit(text: &str) -> Result<Option<Ns>, Fault> {
    if text == "off" { Ok(None) } else { duration(text, AGE_LIMIT_MIN, AGE_LIMIT_MAX).map(Some) }
}

/// How often a lane may send to itself: no more often than it looks whether it is time, and no more seldom than caches keep anything.
const KEEP_WARM_MIN: Ns = Ns(100_000);
const KEEP_WARM_MAX: Ns = Ns(1_000_000_000);

/// How long a lane answers nothing before it sends a frame to itself; nothing where it never does.
fn keep_warm(text: &str) -> Result<Option<Ns>, Fault> {
    if text == "off" { Ok(None) } else { duration(text, KEEP_WARM_MIN, KEEP_WARM_MAX).map(Some) }
}

/// Slots of a ring; 0 for as many as are best.
fn ring_size(text: &str) -> Result<u32, Fault> {
    power_of_two(text, RING_SIZE_MIN, RING_SIZE_MAX, "the kernel's rings are powers of two")
}

/// The most streams that a lane tells apart: 3 MiB of places, which is more than most cores' own caches hold, and as much again that
/// housekeeping copies ten times a second.
const STREAMS_MAX: u32 = 16_384;

/// How many streams a lane tells apart; 0 for none.
fn streams(text: &str) -> Result<u32, Fault> {
    #[expect(clippy::cast_possible_truncation, reason = "the places of a set, which are few")]
    let least = WAYS as u32;
    power_of_two(text, least, STREAMS_MAX, "places for streams are powers of two")
        .map_err(|fault| Fault { remedy: format!("{}, or 0 for none", fault.remedy), ..fault })
}

/// A power of two within limits, or 0.
fn power_of_two(text: &str, min: u32, max: u32, rule: &str) -> Result<u32, Fault> {
    if text == "0" {
        return Ok(0);
    }
    let size: u32 = number(text, min.into(), max.into())?;
    if size.is_power_of_two() {
        return Ok(size);
    }
    Err(Fault::new(text, rule, format!("write {}", size.next_power_of_two())))
}

/// Reads `values` into the configuration.
pub fn set(config: &mut Config, setting: Setting, values: &[String]) -> Result<(), Wrong> {
    let Some(key) = KEYS.iter().find(|key| key.setting == setting) else {
        return Err(Wrong::new(setting, values.join(" ")).because("no such setting").remedy("remove it"));
    };
    (key.read)(config, values).map_err(|fault| fault.of(setting))
}

/// The name of a choice.
pub fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: &T) -> &'static str {
    names.iter().find(|(_, known)| known == value).map_or("?", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_are_numbers_or_all_of_them() {
        let read = |texts: &[&str]| {
            let texts: Vec<_> = texts.iter().map(ToString::to_string).collect();
            let mut config = Config::default();
            set(&mut config, VLANS, &texts).map(|()| config.serve.vlans).map_err(|wrong| wrong.to_string())
        };
        assert_eq!(read(&["42", "7"]), Ok(Vlans::of(&[7, 42]).unwrap()));
        assert_eq!((read(&["all"]), read(&[])), (Ok(Vlans::ALL), Ok(Vlans::UNTAGGED)));
        assert!(read(&["42", "42"]).unwrap_err().contains("given twice"));
        assert!(read(&["all", "42"]).unwrap_err().contains("from 1 to 4094"));
    }

    #[test]
    fn what_is_held_is_named_or_none_alone() {
        let read = |texts: &[&str]| {
            let texts: Vec<_> = texts.iter().map(ToString::to_string).collect();
            let mut config = Config::default();
            set(&mut config, HOLD, &texts).map(|()| config.serve.hold).map_err(|wrong| wrong.to_string())
        };
        assert_eq!(read(&["power", "irqs"]), Ok(Some(vec![Hold::Power, Hold::Irqs])));
        assert_eq!((read(&["none"]), read(&[])), (Ok(Some(vec![])), Ok(Some(vec![]))));
        let wrong =
            "serve.hold (--hold) = \"none\": no such choice; write one of power, irqs; or none, alone";
        assert_eq!(read(&["power", "none"]).unwrap_err(), wrong);
    }

    #[test]
    fn an_age_limit_is_a_time_with_its_unit() {
        let read = |text: &str| {
            let mut config = Config::default();
            set(&mut config, AGE_LIMIT, &[text.to_owned()]).map(|()| config.lane.age_limit)
        };
        for (text, ns) in [("1000ns", 1_000), ("50us", 50_000), ("2ms", 2_000_000), ("1s", 1_000_000_000)] {
            assert_eq!(read(text), Ok(Some(Ns(ns))), "{text}");
        }
        assert_eq!(read("off"), Ok(None));
    }

    #[test]
    fn every_key_stands_once() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(
                KEYS[index + 1..].iter().all(|other| other.setting.key != key.setting.key),
                "{}",
                key.setting
            );
        }
    }

    #[test]
    fn a_value_outside_its_limits_is_refused_with_the_limits() {
        let refused = |setting, value: &str| {
            set(&mut Config::default(), setting, &[value.to_owned()]).unwrap_err().to_string()
        };
        assert!(refused(HOP_LIMIT, "0").contains("write a whole number from 1 to 255"));
        assert!(refused(HOP_LIMIT, "256").contains("write a whole number from 1 to 255"));
        assert!(refused(RING_SIZE, "1000").ends_with("powers of two; write 1024"));
        assert!(refused(STREAMS, "1000").ends_with("powers of two; write 1024, or 0 for none"));
        for text in ["1", "3", "16385", "32768", "-4", "many"] {
            let wrong = refused(STREAMS, text);
            assert!(wrong.starts_with("lane.streams (--streams) = "), "{wrong}");
            assert!(wrong.ends_with("write a whole number from 4 to 16384, or 0 for none"), "{wrong}");
        }
        for text in ["", "50", "50 us", "-1us", "0us", "999ns", "1001ms", "1.5us", "99999999999999999999s"] {
            let wrong = refused(AGE_LIMIT, text);
            assert!(wrong.starts_with("lane.age_limit (--age-limit) = "), "{wrong}");
            assert!(wrong.ends_with("write a time such as 50us, from 1us to 1s, or off"), "{wrong}");
        }
        for text in ["", "1", "99us", "2s", "on"] {
            let wrong = refused(KEEP_WARM, text);
            assert!(wrong.starts_with("lane.keep_warm (--keep-warm) = "), "{wrong}");
            assert!(wrong.ends_with("write a time such as 50us, from 100us to 1s, or off"), "{wrong}");
        }
        assert!(refused(ARRIVAL_STAMPS, "hardware").ends_with("write one of auto, driver, none"));
        assert!(refused(TIER, "moon").ends_with("no such choice; write one of auto, driver, lane"));
        let wrong =
            "stamp.short_packets (--stamp-short) = \"false\": no such choice; write one of drop, answer";
        assert_eq!(refused(STAMP_SHORT_PACKETS, "false"), wrong);
        assert!(refused(LOG_FORMAT, "xml").ends_with("no such choice; write one of text, json"));
        assert!(refused(LOG_LEVEL, "debug").ends_with("no such choice; write one of info, warn, error"));
        for text in ["", "9464", "localhost:9464", "127.0.0.1:0", "::1:9464x"] {
            assert!(refused(ADMIN, text).contains("write ADDRESS:PORT"), "{text}");
        }
        assert!(refused(RESPOND, "udp-echo:0").contains("no such responder"));
        for vid in ["0", "4095", "trunk", "-1"] {
            let wrong = format!("serve.vlans (--vlan) = \"{vid}\": out of range");
            assert_eq!(refused(VLANS, vid), format!("{wrong}; write a whole number from 1 to 4094"));
        }
        assert!(refused(ADDRESSES, "10.0.0.1").contains("10.0.0.1/24"));
        assert!(refused(ADDRESSES, "10.0.0.1/64").contains("from 0 to 32"));
        assert!(refused(ADDRESSES, "::ffff:10.0.0.1/64").contains("write 10.0.0.1"));
    }
}
