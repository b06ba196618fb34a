//! A configuration file, read strictly: what is not in the table of keys is an error that names the nearest key.
//!
//! A misspelt key that is silently ignored is the worst fault of a configuration: the operator believes that
//! something is set. So every complaint here names the file, the line, and what was probably meant.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::cards::Written;
use super::keys::{self, ALL, KEYS, Key, Takes, UNTAGGED};
use super::{Config, RouteConfig};
use crate::error::Wrong;

/// The file's text, and how to call a place in it.
struct Source<'a> {
    text: &'a str,
    name: &'a str,
}

impl Source<'_> {
    /// Such as `barelane.toml line 12`.
    fn place(&self, offset: usize) -> String {
        let lines = self.text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
        format!("{} line {}", self.name, lines + 1)
    }

    fn wrong(&self, at: usize, setting: &str, value: &str) -> Wrong {
        Wrong { place: Some(self.place(at)), ..Wrong::new(setting, value) }
    }
}

/// What `text` says, on top of the defaults.
pub(super) fn parse(text: &str, name: &str) -> Result<Written, Wrong> {
    let source = Source { text, name };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        source.wrong(at, "--config", name).because(error.message()).remedy("correct the TOML")
    })?;
    let mut written = Written::default();
    for (section, value) in table.get_ref() {
        match (section.get_ref().as_ref(), value.get_ref()) {
            ("nic", DeValue::Array(cards)) => written.cards = read_cards(&source, cards)?,
            _ => read_section(&source, &mut written.common, section, value)?,
        }
    }
    Ok(written)
}

type Item<'i> = Spanned<DeValue<'i>>;

fn read_section(
    source: &Source<'_>,
    config: &mut Config,
    section: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Item<'_>,
) -> Result<(), Wrong> {
    let name = section.get_ref().as_ref();
    match (name, value.get_ref()) {
        ("route", DeValue::Array(routes)) => {
            routes.iter().try_for_each(|route| read_route(source, config, route))
        }
        ("nic" | "lane" | "serve" | "log" | "stamp", DeValue::Table(table)) => {
            read_table(source, config, name, table)
        }
        ("nic", _) => Err(wrong_shape(source, value, name)
            .remedy("write a section: [nic], or [[nic]] above each of several cards")),
        ("lane" | "serve" | "log" | "stamp", _) => {
            Err(wrong_shape(source, value, name).remedy(format!("write a section: [{name}]")))
        }
        ("route", _) => Err(wrong_shape(source, value, name).remedy("write [[route]] above each route")),
        _ => Err(unknown(source, section.span().start, name)),
    }
}

/// The cards of `[[nic]]`: of each what stands there, and nothing of what is common.
fn read_cards(source: &Source<'_>, cards: &[Item<'_>]) -> Result<Vec<Config>, Wrong> {
    let card = |card: &Item<'_>| {
        let DeValue::Table(table) = card.get_ref() else {
            return Err(wrong_shape(source, card, "nic").remedy("write [[nic]] above each card"));
        };
        let mut config = Config::default();
        read_table(source, &mut config, "nic", table)?;
        Ok(config)
    };
    cards.iter().map(card).collect()
}

fn read_table(
    source: &Source<'_>,
    config: &mut Config,
    section: &str,
    table: &DeTable<'_>,
) -> Result<(), Wrong> {
    for (key_name, value) in table {
        let full = format!("{section}.{}", key_name.get_ref());
        let Some(key) = KEYS.iter().find(|key| key.setting.key == full) else {
            return Err(unknown(source, key_name.span().start, &full));
        };
        let texts = texts_of(source, key, value)?;
        keys::set(config, key.setting, &texts)
            .map_err(|wrong| Wrong { place: Some(source.place(value.span().start)), ..wrong })?;
    }
    Ok(())
}

/// One `[[route]]`: it must say what it answers with, and what it says of sources must be of a limit for each.
fn read_route(source: &Source<'_>, config: &mut Config, route: &Item<'_>) -> Result<(), Wrong> {
    let DeValue::Table(table) = route.get_ref() else {
        return Err(wrong_shape(source, route, "route").remedy("write [[route]] above each route"));
    };
    config.routes.push(RouteConfig::default());
    read_table(source, config, "route", table)?;
    let Some(RouteConfig { respond: Some(_), per_source, .. }) = config.routes.last() else {
        let wrong = source.wrong(route.span().start, keys::ROUTE_RESPOND.key, "");
        return Err(wrong.because("a route needs it").remedy("add it to this [[route]]"));
    };
    if per_source.is_some() { Ok(()) } else { check_no_source_prefix(source, table) }
}

/// Refuses to be told what one source is where no limit is for each.
fn check_no_source_prefix(source: &Source<'_>, route: &DeTable<'_>) -> Result<(), Wrong> {
    let needless = [keys::ROUTE_SOURCE_PREFIX_IPV4, keys::ROUTE_SOURCE_PREFIX_IPV6];
    for (name, value) in route {
        if let Some(setting) =
            needless.iter().find(|setting| setting.key == format!("route.{}", name.get_ref()))
        {
            let found = source.text.get(value.span()).unwrap_or_default();
            let wrong = source.wrong(value.span().start, setting.key, found);
            return Err(wrong
                .because("this route has no limit for each source")
                .remedy("set answers_per_second_per_source too, or leave the key out"));
        }
    }
    Ok(())
}

/// The texts of a value, which must be of the kind that its key takes.
fn texts_of(source: &Source<'_>, key: &Key, value: &Item<'_>) -> Result<Vec<String>, Wrong> {
    let wanted = match key.takes {
        Takes::Text => "a string, in quotes",
        Takes::Number => "a whole number, without quotes",
        Takes::Texts => "an array of strings: [\"…\", \"…\"]",
        Takes::Numbers => "an array of whole numbers: [0, 1]",
        Takes::NumbersOrAll => "an array of whole numbers: [1, 2], or \"all\"",
        Takes::NumbersOrUntagged => "an array of whole numbers and \"untagged\": [\"untagged\", 7]",
    };
    let texts = match (key.takes, value.get_ref()) {
        (Takes::Text | Takes::Number, _) => scalar(key.takes, value).map(|text| vec![text]),
        (Takes::Texts, DeValue::Array(items)) => items.iter().map(|item| scalar(Takes::Text, item)).collect(),
        (Takes::Numbers | Takes::NumbersOrAll, DeValue::Array(items)) => {
            items.iter().map(|item| scalar(Takes::Number, item)).collect()
        }
        (Takes::NumbersOrUntagged, DeValue::Array(items)) => items
            .iter()
            .map(|item| {
                scalar(Takes::Number, item)
                    .or_else(|| scalar(Takes::Text, item).filter(|text| text == UNTAGGED))
            })
            .collect(),
        (Takes::NumbersOrAll, DeValue::String(word)) if word == ALL => Some(vec![word.to_string()]),
        _ => None,
    };
    texts
        .ok_or_else(|| wrong_shape(source, value, &key.setting.to_string()).remedy(format!("write {wanted}")))
}

fn scalar(takes: Takes, value: &Item<'_>) -> Option<String> {
    match (takes, value.get_ref()) {
        (Takes::Text, DeValue::String(text)) => Some(text.to_string()),
        (Takes::Number, DeValue::Integer(number)) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        _ => None,
    }
}

fn wrong_shape(source: &Source<'_>, value: &Item<'_>, setting: &str) -> Wrong {
    let found = source.text.get(value.span()).unwrap_or_default();
    source.wrong(value.span().start, setting, found).because("not of the kind that it takes")
}

/// A key that does not exist, with the one that is spelt most like it.
fn unknown(source: &Source<'_>, at: usize, full: &str) -> Wrong {
    let distance = |key: &&Key| strsim::damerau_levenshtein(key.setting.key, full);
    let last_word = full.rsplit('.').next().unwrap_or(full);
    let same_word = KEYS.iter().find(|key| key.setting.key.rsplit('.').next() == Some(last_word));
    let nearest = same_word.or_else(|| KEYS.iter().min_by_key(distance));
    let remedy =
        nearest.map_or_else(String::new, |key| format!("the nearest key there is: {}", key.setting.key));
    let line = source.text.get(at..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let value = line.split_once('=').map_or("", |(_, value)| value).trim().trim_matches('"');
    source.wrong(at, full, value).because("unknown key").remedy(remedy)
}

#[cfg(test)]
mod tests {
    use nic::xdp::Vlans;

    use super::*;
    use crate::args::ServeArguments;

    const DEFAULT: &str = include_str!("../../../../configs/default.toml");

    fn parse(text: &str, name: &str) -> Result<Config, Wrong> {
        Config::parse(text, name)
    }

    fn refused(text: &str) -> String {
        parse(text, "a.toml").unwrap_err().to_string()
    }

    #[test]
    fn the_default_file_says_exactly_the_defaults() {
        assert_eq!(parse(DEFAULT, "default.toml").unwrap(), Config::default());
    }

    #[test]
    fn the_default_file_names_every_key_with_a_sentence() {
        let mut section = String::new();
        let mut named = Vec::new();
        let mut explained = false;
        for line in DEFAULT.lines() {
            let line = line.strip_prefix("#! ").unwrap_or(line);
            match line.trim_matches(['[', ']']) {
                name if line.starts_with('[') => section = name.to_owned(),
                _ if line.starts_with("# ") => explained = true,
                _ => {
                    if let Some((key, _)) = line.split_once(" = ") {
                        assert!(explained, "{key} has no sentence above it");
                        named.push(format!("{section}.{key}"));
                        explained = false;
                    }
                }
            }
        }
        let known: Vec<_> = KEYS.iter().map(|key| key.setting.key.to_owned()).collect();
        assert_eq!(named, known);
    }

    #[test]
    fn the_example_of_a_route_in_the_default_file_is_right() {
        let text: String =
            DEFAULT.lines().map(|line| line.strip_prefix("#! ").unwrap_or(line).to_owned() + "\n").collect();
        let config = parse(&text, "default.toml").unwrap();
        assert_eq!(config.routes.len(), 1);
        let [route] = config.routes.as_slice() else { panic!("{:?}", config.routes) };
        assert!(route.nic.is_some() && route.address.is_some() && route.vlans.is_some());
        assert!(route.respond.is_some() && !route.from.is_empty() && route.tier == route::TierChoice::Auto);
        assert_eq!(route.next_hop, Some(route::NextHop::Reflect));
    }

    #[test]
    fn every_example_is_a_configuration() {
        for text in [
            include_str!("../../../../configs/single-address.toml"),
            include_str!("../../../../configs/kernel-shared.toml"),
            include_str!("../../../../configs/two-queues.toml"),
        ] {
            parse(text, "example").unwrap();
        }
        let two = super::parse(include_str!("../../../../configs/two-cards.toml"), "example").unwrap();
        let cards = two.overruled(&ServeArguments::default()).unwrap();
        assert!(cards.is_several() && cards.iter().all(|card| !card.serve.addresses.is_empty()));
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one_and_the_line() {
        assert_eq!(
            refused("[nic]\ninterfaec = \"eth1\"\n"),
            "nic.interfaec = \"eth1\": unknown key; the nearest key there is: nic.interface (a.toml line 2)"
        );
        assert!(refused("[lane]\nmode = \"auto\"").contains("nearest key there is: nic.mode"));
        assert!(refused("[nick]\nmode = \"auto\"").contains("unknown key"));
        assert!(refused("[[route]]\nadress = \"10.0.0.1\"").contains("route.address"));
    }

    #[test]
    fn a_value_of_another_kind_is_refused() {
        assert!(refused("[nic]\nring_size = \"2048\"").contains("write a whole number, without quotes"));
        assert!(refused("[nic]\nqueues = 1").contains("an array of whole numbers"));
        for vlans in ["5", "\"5\"", "[\"5\"]", "[\"all\"]"] {
            let wrong = refused(&format!("[serve]\nvlans = {vlans}"));
            assert!(wrong.contains("an array of whole numbers: [1, 2], or \"all\""), "{wrong}");
        }
        assert!(refused("nic = 1").contains("write a section: [nic], or [[nic]] above each"));
        assert!(refused("nic = [1]").contains("write [[nic]] above each card"));
        assert!(refused("[[nic]]\ninterfaec = \"a\"").ends_with("nic.interface (a.toml line 2)"));
        assert!(refused("[[serve]]\nadmin = \"off\"").contains("write a section: [serve]"));
        assert!(refused("[route]\naddress = \"10.0.0.1\"").contains("write [[route]]"));
    }

    #[test]
    fn vlans_are_an_array_of_numbers_or_all() {
        let vlans = |text: &str| parse(&format!("serve.vlans = {text}"), "a.toml").unwrap().serve.vlans;
        assert_eq!(vlans("[7, 42]"), Vlans::of(&[7, 42]).unwrap());
        assert_eq!((vlans("\"all\""), vlans("[]")), (Vlans::ALL, Vlans::UNTAGGED));
    }

    #[test]
    fn a_route_without_its_responder_is_refused() {
        assert!(refused("[[route]]\naddress = \"10.0.0.1\"").contains("route.respond"));
    }

    #[test]
    fn every_condition_of_a_route_may_be_left_out() {
        let routes = |text: &str| {
            let config = parse(&format!("[[route]]\nrespond = \"udp-echo:7-9\"\n{text}"), "a.toml").unwrap();
            config.all_routes().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(routes(""), ["udp-echo:7-9", "icmp-echo"]);
        let all = "address = \"10.0.0.0/8\"\nfrom = [\"192.0.2.1\", \"fd00::/8\"]\nvlans = [7, \"untagged\"]\ntier = \"kernel\"";
        let said = "udp-echo:7-9 on 10.0.0.0/8 from 192.0.2.1, fd00::/8, VLANs untagged, 7, tier kernel";
        assert_eq!(routes(all), [said, "icmp-echo"]);
        let limits = "answers_per_second = 9\nanswers_per_second_per_source = 3\nsource_prefix_ipv6 = 56";
        let said = "udp-echo:7-9, at most 9/s, 3/s to one source (IPv4 /32, IPv6 /56)";
        assert_eq!(routes(limits), [said, "icmp-echo"]);
        let said = "udp-echo:7-9, at most 3/s to one source (IPv4 /24, IPv6 /64)";
        // Whichever stands first.
        assert_eq!(routes("source_prefix_ipv4 = 24\nanswers_per_second_per_source = 3"), [said, "icmp-echo"]);
    }

    #[test]
    fn what_a_source_is_needs_a_limit_for_each_and_a_length_that_can_be() {
        let limited = "answers_per_second_per_source = 9";
        for (text, says) in [
            (
                "answers_per_second = 9\nsource_prefix_ipv4 = 24",
                "route.source_prefix_ipv4 = \"24\": this route has no limit for each source; set \
                 answers_per_second_per_source too, or leave the key out (a.toml line 4)",
            ),
            (
                "tier = \"lane\"\nsource_prefix_ipv6 = 64",
                "route.source_prefix_ipv6 = \"64\": this route has no limit for each source; set \
                 answers_per_second_per_source too, or leave the key out (a.toml line 4)",
            ),
            (
                &format!("{limited}\nsource_prefix_ipv4 = 33"),
                "route.source_prefix_ipv4 = \"33\": out of range; write a whole number from 1 to 32 (a.toml line 4)",
            ),
            (
                &format!("{limited}\nsource_prefix_ipv6 = 65"),
                "route.source_prefix_ipv6 = \"65\": out of range; write a whole number from 1 to 64 (a.toml line 4)",
            ),
            (&format!("{limited}\nsource_prefix_ipv6 = 0"), "write a whole number from 1 to 64"),
            (&format!("{limited}\nsource_prefix_ipv4 = \"24\""), "write a whole number, without quotes"),
        ] {
            let told = refused(&format!("[[route]]\nrespond = \"icmp-echo\"\n{text}"));
            assert!(told.contains(says), "{told}");
        }
    }

    #[test]
    fn a_route_has_a_next_hop_of_its_own_where_it_differs_from_the_servers() {
        let next_hops = |servers: &str| {
            let route = |own: &str| format!("[[route]]\nrespond = \"icmp-echo\"\n{own}\n");
            let own = ["", "next_hop = \"auto\"", "next_hop = \"reflect\""].map(route).concat();
            let config = parse(&format!("{own}[serve]\n{servers}\n"), "a.toml").unwrap();
            config.all_routes().iter().map(|route| route.next_hop).collect::<Vec<_>>()
        };
        let [auto, reflect] = [route::NextHop::Auto, route::NextHop::Reflect].map(Some);
        assert_eq!(next_hops(""), [None, None, reflect, None]);
        assert_eq!(next_hops("next_hop = \"reflect\""), [None, auto, None, None]);
    }

    #[test]
    fn a_condition_that_cannot_be_is_told_with_what_can() {
        for (text, says) in [
            (
                "address = \"10.0.0.1/8\"",
                "route.address = \"10.0.0.1/8\": an address with bits behind the prefix; write 10.0.0.0/8",
            ),
            ("address = \"lan\"", "route.address = \"lan\": not a prefix; write one such as"),
            ("from = [\"10.0.0.0/33\"]", "write a length from 0 to 32"),
            ("from = [\"::ffff:10.0.0.1\"]", "write it as IPv4"),
            ("from = [\"10.0.0.0/8\", \"10.0.0.0/8\"]", "given twice"),
            ("from = []", "no packet meets this; name what matches, or leave the key out"),
            ("from = \"10.0.0.0/8\"", "an array of strings"),
            (
                "vlans = [4095]",
                "route.vlans = \"4095\": out of range; write a whole number from 1 to 4094, or \"untagged\"",
            ),
            ("vlans = [\"tagged\"]", "\"untagged\": [\"untagged\", 7]"),
            ("vlans = []", "no packet meets this"),
            ("tier = \"moon\"", "write one of auto, driver, lane, kernel"),
            ("next_hop = \"moon\"", "route.next_hop = \"moon\": no such choice; write one of auto, reflect"),
            ("next_hop = [\"auto\"]", "write a string, in quotes"),
            ("ports = 7", "unknown key"),
        ] {
            let told = refused(&format!("[[route]]\nrespond = \"icmp-echo\"\n{text}"));
            assert!(told.contains(says) && told.ends_with("(a.toml line 3)"), "{told}");
        }
    }

    #[test]
    fn broken_toml_is_told_with_its_line() {
        assert!(refused("[nic]\nmode = auto\n").contains("(a.toml line 2)"));
    }
}
