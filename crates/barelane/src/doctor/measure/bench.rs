//! What is asked between two states of a fix: a target that was named, or a lane on the demo's link.

use std::time::Duration;

use clap::Parser;

use crate::args::{Arguments, DoctorArguments, ProbeArguments, Verb};
use crate::demo::Link;
use crate::error::{Error, Wrong};
use crate::signals::Signals;
use crate::{probe, say};

/// How long is asked, where nothing else is said: some ten thousand round trips, of which a hundred are beyond p99.
const PART: Duration = Duration::from_millis(500);

/// How often a part is asked at most.
const TRIES: usize = 5;

/// Who is asked.
#[derive(Debug)]
pub(super) enum Bench {
    /// Whoever is there.
    Target(Box<ProbeArguments>),
    /// A lane, started anew for each part, so that it takes its memory and its place under the settings that are in force.
    Link(Box<Link>),
}

/// The figures of one part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub(super) p50_ns: u64,
    pub(super) p99_ns: u64,
}

impl Bench {
    pub(super) fn new(arguments: &DoctorArguments, lane: Option<usize>) -> Result<Self, Error> {
        match &arguments.measuring.target {
            Some(target) => Ok(Self::Target(Box::new(asked_of(target, &arguments.measuring.probe)?))),
            None => Ok(Self::Link(Box::new(Link::build(lane)?))),
        }
    }

    /// In words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Target(arguments) => format!("{} by {}", arguments.target, arguments.proto),
            Self::Link(link) => link.words(),
        }
    }

    /// Whether questions leave by a card of the operator's.
    pub(super) const fn has_card(&self) -> bool {
        matches!(self, Self::Target(_))
    }

    /// Asks for one part; again where nothing was answered, as when something else had the cores for all of it.
    pub(super) fn ask(&self, signals: &Signals) -> Result<Figures, Error> {
        for _ in 0..TRIES {
            let asked = match self {
                Self::Target(arguments) => probe::percentiles(arguments, signals)?,
                Self::Link(link) => link.ask(PART, signals)?,
            };
            if let (Some(p50_ns), Some(p99_ns)) = asked {
                return Ok(Figures { p50_ns, p99_ns });
            }
            say::note("nothing was answered in this part: it is asked again");
        }
        Err(Error::Failed(format!("nothing was answered in {TRIES} parts")))
    }
}

/// The probe's arguments, read as `barelane probe` reads them.
fn asked_of(target: &str, options: &[String]) -> Result<ProbeArguments, Wrong> {
    let is_length = |option: &String| ["--seconds", "--count"].iter().any(|name| option.starts_with(name));
    let length = (!options.iter().any(is_length)).then(|| format!("--seconds={}", PART.as_secs_f64()));
    let words = ["barelane", "probe", target].map(str::to_owned);
    let parsed = Arguments::try_parse_from(words.into_iter().chain(options.iter().cloned()).chain(length));
    let remedy = "write behind -- what barelane probe takes for one measurement";
    let wrong = |why: &dyn std::fmt::Display| Wrong::new("--target", target).because(why).remedy(remedy);
    let parsed = parsed.map_err(|error| {
        let said = error.to_string();
        wrong(&said.lines().next().unwrap_or_default().trim_start_matches("error: "))
    })?;
    let measure = match parsed.verb {
        Verb::Probe(command) => command.measure,
        _ => None,
    };
    let measure = measure.ok_or_else(|| wrong(&"that is no measurement"))?;
    if measure.schedule.search || measure.repeat != "1" {
        return Err(wrong(&"a part is one run: no --search, no --repeat"));
    }
    Ok(measure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_targets_options_are_those_of_the_probe_and_a_part_is_half_a_second() {
        let options = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let asked = asked_of("192.0.2.1", &options(&["--proto", "udp:7"])).unwrap();
        assert_eq!((asked.proto.as_str(), asked.seconds.as_deref()), ("udp:7", Some("0.5")));
        let asked = asked_of("192.0.2.1", &options(&["--count", "100"])).unwrap();
        assert_eq!((asked.count.as_deref(), asked.seconds), (Some("100"), None));
        for words in [&["--nonsense"][..], &["--repeat", "6"], &["--search"]] {
            let wrong = asked_of("192.0.2.1", &options(words)).unwrap_err().to_string();
            assert!(wrong.starts_with("--target = \"192.0.2.1\"") && wrong.contains("behind --"), "{wrong}");
        }
    }
}
