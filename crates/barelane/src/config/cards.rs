//! The cards of a server: what each is configured to, of what all have in common and what is its own.
//!
//! ```text
//!   FILE ──▶ Written ─┬ common: [lane] [serve] [[route]] …, and [nic] ─┐
//!                     └ cards: [[nic]] [[nic]] …                       ├─▶ a Config for each card
//!   --nic IF --nic IF, options for all of them ────────────────────────┘
//! ```
//!
//! Who names cards on the command line has those; what the file says of one of them holds. What could be meant for one card only, and
//! does not say for which, is refused where there are several.

use std::fmt::Display;
use std::path::Path;

use super::keys::{
    self, ADDRESSES, ADMIN, ADMIN_TLS_CERT_FILE, ADMIN_TLS_KEY_FILE, ADMIN_TOKEN_FILE, AGE_LIMIT,
    ARRIVAL_STAMPS, CORES, HOLD, HOUSEKEEPING_CORE, IDLE, INTERFACE, KEEP_WARM, LOG_FORMAT, LOG_LEVEL, MAC,
    MEMIF, MODE, NEXT_HOP, QUEUES, RESPOND, STAMP_KEY_FILE, STAMP_SHORT_PACKETS, STREAMS, TIER,
    TRANSMIT_STAMPS, VLANS, WAKE, ZERO_COPY,
};
use super::{Config, file};
use crate::args::ServeArguments;
use crate::error::{Setting, Wrong};
use crate::per_card::PerCard;

/// What a file says, before options overrule it.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// What holds for every card, and the card of `[nic]`.
    pub(super) common: Config,
    /// The cards of `[[nic]]`: what each says of itself, and all else as it is by default.
    pub(super) cards: Vec<Config>,
}

impl Written {
    pub(super) fn read(path: &Path) -> Result<Self, Wrong> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|cause| {
            Wrong::new("--config", &name).because(cause).remedy("name a TOML file that can be read")
        })?;
        file::parse(&text, &name)
    }

    /// A configuration for each card: of those that the command line names, else of the file's.
    pub(super) fn overruled(mut self, arguments: &ServeArguments) -> Result<PerCard<Config>, Wrong> {
        let options = options(arguments);
        overrule(&mut self.common, &options)?;
        let named = if arguments.nic.is_empty() { self.interfaces() } else { arguments.nic.clone() };
        let cards = match named.as_slice() {
            [] => vec![self.common],
            [nic] => vec![self.card(nic, &options)?],
            several => self.several(several, options)?,
        };
        PerCard::of(cards).ok_or_else(no_interface)
    }

    fn interfaces(&self) -> Vec<String> {
        self.cards.iter().map(|card| card.nic.interface.clone()).collect()
    }

    /// What the file says of this card alone.
    fn own(&self, nic: &str) -> Option<&Config> {
        self.cards.iter().find(|card| card.nic.interface == nic)
    }

    /// The configuration of one card.
    fn card(&self, nic: &str, options: &[(Setting, Vec<String>)]) -> Result<Config, Wrong> {
        let mut card = self.common.clone();
        if let Some(own) = self.own(nic) {
            card.nic = own.nic.clone();
            if !own.serve.addresses.is_empty() {
                card.serve.addresses.clone_from(&own.serve.addresses);
            }
            if !own.lane.cores.is_empty() {
                card.lane.cores.clone_from(&own.lane.cores);
            }
        }
        nic.clone_into(&mut card.nic.interface);
        overrule(&mut card, options)?;
        Ok(card)
    }

    /// The configurations of these cards, more than one.
    fn several(
        mut self,
        nics: &[String],
        mut options: Vec<(Setting, Vec<String>)>,
    ) -> Result<Vec<Config>, Wrong> {
        check_interfaces(nics)?;
        check_meant_for_one(&self.common, nics.len())?;
        let cores = self.cores(nics, &options)?;
        self.common.lane.cores.clear();
        options.retain(|(setting, _)| *setting != CORES);
        let mut cards = Vec::new();
        for (index, nic) in nics.iter().enumerate() {
            let mut card = self.card(nic, &options)?;
            card.nic.others = nics.iter().filter(|other| *other != nic).cloned().collect();
            card.lane.cores.extend(cores.get(index));
            check_no_memif(&card)?;
            cards.push(card);
        }
        Ok(cards)
    }

    /// The cores that are named for all cards together: one for each of them, in their order, or none.
    fn cores(&mut self, nics: &[String], options: &[(Setting, Vec<String>)]) -> Result<Vec<usize>, Wrong> {
        let cores = self.common.lane.cores.clone();
        if cores.is_empty() {
            return Ok(cores);
        }
        let wrong = Wrong::new(CORES, list(&cores));
        if cores.len() != nics.len() {
            let problem =
                format!("{} cores for {} cards: there is one for each of them", cores.len(), nics.len());
            let remedy = "name as many as cards, in their order, or write cores in each [[nic]]";
            return Err(wrong.because(problem).remedy(remedy));
        }
        let is_option = options.iter().any(|(setting, values)| *setting == CORES && !values.is_empty());
        if is_option {
            self.cards.iter_mut().for_each(|card| card.lane.cores.clear());
        }
        match nics.iter().find(|nic| self.own(nic).is_some_and(|own| !own.lane.cores.is_empty())) {
            None => Ok(cores),
            Some(nic) => Err(wrong
                .because(format_args!("the [[nic]] of {nic} has cores of its own"))
                .remedy("write cores in each [[nic]], and leave this out")),
        }
    }
}

/// The options of the command line but the cards themselves: each with its values, none where it was not given.
fn options(arguments: &ServeArguments) -> Vec<(Setting, Vec<String>)> {
    let one = |value: &Option<String>| value.iter().cloned().collect::<Vec<_>>();
    vec![
        (MEMIF, one(&arguments.memif)),
        (MAC, one(&arguments.mac)),
        (MODE, one(&arguments.mode)),
        (ZERO_COPY, one(&arguments.zero_copy)),
        (WAKE, one(&arguments.wake)),
        (ARRIVAL_STAMPS, one(&arguments.arrival_stamps)),
        (TRANSMIT_STAMPS, one(&arguments.transmit_stamps)),
        (AGE_LIMIT, one(&arguments.age_limit)),
        (STREAMS, one(&arguments.streams)),
        (QUEUES, arguments.queue.clone()),
        (CORES, arguments.core.clone()),
        (IDLE, one(&arguments.idle)),
        (KEEP_WARM, one(&arguments.keep_warm)),
        (ADDRESSES, arguments.address.clone()),
        (RESPOND, arguments.respond.clone()),
        (VLANS, arguments.vlan.clone()),
        (TIER, one(&arguments.tier)),
        (NEXT_HOP, one(&arguments.next_hop)),
        (HOUSEKEEPING_CORE, one(&arguments.housekeeping_core)),
        (HOLD, arguments.hold.clone()),
        (ADMIN, one(&arguments.admin)),
        (ADMIN_TOKEN_FILE, one(&arguments.admin_token)),
        (ADMIN_TLS_CERT_FILE, one(&arguments.admin_tls_cert)),
        (ADMIN_TLS_KEY_FILE, one(&arguments.admin_tls_key)),
        (LOG_FORMAT, one(&arguments.log_format)),
        (LOG_LEVEL, one(&arguments.log_level)),
        (STAMP_KEY_FILE, one(&arguments.stamp_key)),
        (STAMP_SHORT_PACKETS, one(&arguments.stamp_short)),
    ]
}

fn overrule(config: &mut Config, options: &[(Setting, Vec<String>)]) -> Result<(), Wrong> {
    let mut given = options.iter().filter(|(_, values)| !values.is_empty());
    given.try_for_each(|(setting, values)| keys::set(config, *setting, values))
}

/// Refuses a card without a name, and one that stands twice.
fn check_interfaces(nics: &[String]) -> Result<(), Wrong> {
    if nics.iter().any(String::is_empty) {
        return Err(no_interface());
    }
    let is_twice = |(index, nic): &(usize, &String)| nics.iter().take(*index).any(|before| before == *nic);
    match nics.iter().enumerate().find(is_twice) {
        None => Ok(()),
        Some((_, nic)) => {
            Err(Wrong::new(INTERFACE, nic).because("given twice").remedy("remove one of the two"))
        }
    }
}

fn no_interface() -> Wrong {
    Wrong::new(INTERFACE, "").because("no interface is named").remedy("write interface in each [[nic]]")
}

/// Refuses what is said for all cards and can be one card's only.
fn check_meant_for_one(common: &Config, count: usize) -> Result<(), Wrong> {
    let addresses = common.serve.addresses.iter().map(|(ip, len)| format!("{ip}/{len}"));
    let mac = common.nic.mac.iter().map(ToString::to_string);
    let found = [
        (ADDRESSES, "addresses", list(addresses)),
        (QUEUES, "queues", list(&common.nic.queues)),
        (MAC, "mac", list(mac)),
    ];
    check_no_memif(common)?;
    match found.into_iter().find(|(.., value)| !value.is_empty()) {
        None => Ok(()),
        Some((setting, key, value)) => Err(Wrong::new(setting, value)
            .because(format_args!("{count} cards are served, and this does not say which of them it is for"))
            .remedy(format_args!("leave it out, or write {key} in the [[nic]] of the one that it is for"))),
    }
}

/// Refuses an interface in shared memory among several cards.
fn check_no_memif(config: &Config) -> Result<(), Wrong> {
    match &config.nic.memif {
        None => Ok(()),
        Some(memif) => Err(Wrong::new(MEMIF, memif)
            .because("several cards are served, and an interface in shared memory is served alone")
            .remedy("leave it out, and serve it by another process")),
    }
}

/// The card of this interface; the only one where none is named.
pub(super) fn of_nic(cards: PerCard<Config>, nic: Option<&str>) -> Result<Config, Wrong> {
    let names = list(cards.iter().map(|card| &card.nic.interface));
    let wrong = |problem: &str| {
        Wrong::new("--nic", nic.unwrap_or_default()).because(problem).remedy(format!("name one of {names}"))
    };
    let is_several = cards.is_several();
    let mut found = cards.into_iter().filter(|card| nic.is_none_or(|nic| card.nic.interface == nic));
    match (found.next(), nic) {
        (Some(_), None) if is_several => {
            Err(wrong("the configuration has several cards, and this is of one"))
        }
        (Some(card), _) => Ok(card),
        (None, _) => Err(wrong("the configuration has no such card")),
    }
}

fn list<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use nic::xdp::ModeChoice;

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    /// The cards of a file's text and of options.
    fn cards(text: &str, arguments: &ServeArguments) -> Result<Vec<Config>, String> {
        let written = file::parse(text, "a.toml").unwrap();
        let cards = written.overruled(arguments).map_err(|wrong| wrong.to_string())?;
        Ok(cards.into_iter().collect())
    }

    fn nics(names: &[&str]) -> ServeArguments {
        ServeArguments { nic: words(names), ..Default::default() }
    }

    const TWO: &str = "[[nic]]\ninterface = \"a\"\naddresses = [\"10.0.0.1/24\"]\ncores = [3]\nmode = \"native\"\n\
                       [[nic]]\ninterface = \"b\"\nqueues = [0]\n[serve]\nrespond = [\"udp-echo:7\"]\n";

    #[test]
    fn options_overrule_the_file_and_leave_the_rest() {
        let text = "[nic]\ninterface = \"a\"\nmode = \"native\"\n";
        let [config] = cards(text, &ServeArguments { core: words(&["1", "3"]), ..nics(&["b"]) })
            .unwrap()
            .try_into()
            .unwrap();
        assert_eq!((config.nic.interface.as_str(), config.nic.mode), ("b", ModeChoice::Native));
        assert_eq!(config.lane.cores, [1, 3]);
        assert!(!config.is_one_of_several());
    }

    #[test]
    fn a_wrong_option_is_told_by_both_names() {
        let arguments = ServeArguments { wake: Some("never".into()), ..Default::default() };
        let wrong = cards("", &arguments).unwrap_err();
        assert_eq!(
            wrong,
            "nic.wake (--wake) = \"never\": no such choice; write one of need-wakeup, busy-poll, spin"
        );
    }

    #[test]
    fn each_card_has_what_is_its_own_and_what_is_for_all() {
        let [a, b] = cards(TWO, &ServeArguments::default()).unwrap().try_into().unwrap();
        assert_eq!(
            (a.nic.others.as_slice(), b.nic.others.as_slice()),
            (&words(&["b"])[..], &words(&["a"])[..])
        );
        assert_eq!((a.serve.addresses.len(), b.serve.addresses.len()), (1, 0));
        assert_eq!((a.lane.cores.as_slice(), b.lane.cores.as_slice()), (&[3][..], &[][..]));
        assert_eq!((a.nic.mode, b.nic.mode), (ModeChoice::Native, ModeChoice::Auto));
        assert_eq!((a.nic.queues.as_slice(), b.nic.queues.as_slice()), (&[][..], &[0][..]));
        assert!([&a, &b].iter().all(|card| card.serve.respond[0].to_string() == "udp-echo:7"));
        let generic = ServeArguments { mode: Some("generic".into()), ..Default::default() };
        assert!(cards(TWO, &generic).unwrap().iter().all(|card| card.nic.mode == ModeChoice::Generic));
    }

    #[test]
    fn cards_that_are_named_have_what_the_file_says_of_them() {
        let [c, a] = cards(TWO, &nics(&["c", "a"])).unwrap().try_into().unwrap();
        assert_eq!((c.nic.interface.as_str(), c.serve.addresses.len(), a.serve.addresses.len()), ("c", 0, 1));
        let [a] = cards(TWO, &nics(&["a"])).unwrap().try_into().unwrap();
        assert!(!a.is_one_of_several() && a.lane.cores == [3] && a.serve.addresses.len() == 1);
        let other = ServeArguments { address: words(&["10.0.0.7/24"]), core: words(&["1"]), ..nics(&["a"]) };
        let [a] = cards(TWO, &other).unwrap().try_into().unwrap();
        assert_eq!((a.lane.cores, a.serve.addresses[0].0.to_string()), (vec![1], "10.0.0.7".to_owned()));
        let [one] = cards(
            "[[nic]]\ninterface = \"a\"\n[serve]\naddresses = [\"10.0.0.1/24\"]\n[lane]\ncores = [1, 2]",
            &nics(&[]),
        )
        .unwrap()
        .try_into()
        .unwrap();
        assert_eq!((one.serve.addresses.len(), one.lane.cores.len()), (1, 2));
    }

    #[test]
    fn as_many_cores_as_cards_are_one_for_each_and_overrule_their_own() {
        let cores = ServeArguments { core: words(&["5", "6"]), ..Default::default() };
        let cards = cards(TWO, &cores).unwrap();
        assert_eq!(cards.iter().map(|card| card.lane.cores.clone()).collect::<Vec<_>>(), [[5], [6]]);
    }

    #[test]
    fn what_could_be_meant_for_one_of_several_cards_is_refused_with_where_to_write_it() {
        let two = nics(&["a", "c"]);
        let with = |change: fn(&mut ServeArguments)| {
            let mut arguments = nics(&["a", "c"]);
            change(&mut arguments);
            arguments
        };
        let for_one =
            "2 cards are served, and this does not say which of them it is for; leave it out, or write";
        for (text, arguments, wanted) in [
            ("", with(|one| one.address = words(&["10.0.0.1/24"])), format!("serve.addresses (--address) = \"10.0.0.1/24\": {for_one} addresses in the [[nic]]")),
            ("", with(|one| one.queue = words(&["0", "1"])), format!("nic.queues (--queue) = \"0, 1\": {for_one} queues in the")),
            ("", with(|one| one.mac = Some("02:00:00:00:00:01".into())), format!("nic.mac (--mac) = \"02:00:00:00:00:01\": {for_one} mac in")),
            ("", with(|one| one.core = words(&["1"])), "lane.cores (--core) = \"1\": 1 cores for 2 cards: there is one for each of them; name as many as cards, in their order, or write cores in each [[nic]]".to_owned()),
            ("[serve]\naddresses = [\"10.0.0.1/24\"]", two.clone(), format!("serve.addresses (--address) = \"10.0.0.1/24\": {for_one}")),
            ("[nic]\nqueues = [0]", two.clone(), format!("nic.queues (--queue) = \"0\": {for_one}")),
            ("[lane]\ncores = [1, 2, 3]", two.clone(), "lane.cores (--core) = \"1, 2, 3\": 3 cores for 2 cards".to_owned()),
            (TWO, ServeArguments { core: words(&["1", "2", "3"]), ..Default::default() }, "3 cores for 2 cards".to_owned()),
            ("[nic]\nmemif = \"@x\"", two, "nic.memif (--memif) = \"memif:@x\": several cards are served, and an interface in shared memory is served alone; leave it out, and serve it by another process".to_owned()),
            ("[[nic]]\ninterface = \"a\"\n[[nic]]\ninterface = \"b\"\nmemif = \"@x\"", nics(&[]), "nic.memif (--memif)".to_owned()),
            ("[[nic]]\ninterface = \"a\"\n[[nic]]\nmode = \"auto\"", nics(&[]), "nic.interface (--nic) = \"\": no interface is named; write interface in each [[nic]]".to_owned()),
            ("", nics(&["a", "b", "a"]), "nic.interface (--nic) = \"a\": given twice; remove one of the two".to_owned()),
            (&format!("{TWO}[lane]\ncores = [1, 2]"), nics(&[]), "lane.cores (--core) = \"1, 2\": the [[nic]] of a has cores of its own; write cores in each [[nic]], and leave this out".to_owned()),
        ] {
            let told = cards(text, &arguments).unwrap_err();
            assert!(told.contains(&wanted), "{told}\n{wanted}");
        }
    }

    #[test]
    fn of_several_cards_one_must_be_named_where_one_is_meant() {
        let card = |nic| {
            let cards = file::parse(TWO, "a.toml").unwrap().overruled(&ServeArguments::default()).unwrap();
            of_nic(cards, nic).map(|card| card.nic.interface).map_err(|wrong| wrong.to_string())
        };
        assert_eq!(card(Some("b")), Ok("b".to_owned()));
        assert!(card(None).unwrap_err().ends_with("several cards, and this is of one; name one of a, b"));
        assert!(
            card(Some("c"))
                .unwrap_err()
                .starts_with("--nic = \"c\": the configuration has no such card; name")
        );
    }
}
