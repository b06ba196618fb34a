//! What was asked of the doctor, checked.

use std::path::{Path, PathBuf};

use host::HostError;
use host::doctor::{Examined, Machine, REQUIREMENTS, examine_all};

use crate::args::DoctorArguments;
use crate::error::{Error, Wrong};
use crate::state;

/// The record's name, unless said otherwise.
const RECORD: &str = "doctor.json";

/// What to look at, and how to say it.
#[derive(Debug)]
pub(super) struct Settings {
    nics: Vec<String>,
    pub(super) cores: Vec<usize>,
    /// Names of requirements; none for all.
    only: Vec<String>,
    root: Option<PathBuf>,
    pub(super) record: PathBuf,
    pub(super) is_json: bool,
}

impl Settings {
    pub(super) fn new(arguments: &DoctorArguments) -> Result<Self, Wrong> {
        if let Some(root) = arguments.root.as_ref().filter(|root| !root.is_dir()) {
            return Err(Wrong::new("--root", root.display())
                .because("there is no such directory")
                .remedy("name one that holds a machine's proc and sys"));
        }
        Ok(Self {
            nics: arguments.nic.clone(),
            cores: cores(arguments)?,
            only: arguments.only.iter().map(|name| known(name)).collect::<Result<_, _>>()?,
            record: arguments.record.clone().unwrap_or_else(|| default_record(arguments.root.as_deref())),
            root: arguments.root.clone(),
            is_json: arguments.json,
        })
    }

    /// The machine as it is now, around each of the cards; around none where none was named.
    pub(super) fn machines(&self) -> Result<Vec<Machine>, Error> {
        let nics: Vec<&str> = self.nics.iter().map(String::as_str).collect();
        let machines = match (nics.as_slice(), &self.root) {
            (several @ [_, _, ..], root) => Machine::around(root.as_deref(), several, &self.cores),
            (one, None) => Machine::this(one.first().copied(), &self.cores).map(|machine| vec![machine]),
            (one, Some(root)) => {
                Machine::copy(root.clone(), one.first().copied(), &self.cores).map(|machine| vec![machine])
            }
        };
        machines.map_err(|error| match error {
            // A copy's card is a file.
            HostError::File { path, source } if self.root.is_some() => {
                Wrong::new("--nic", path.file_stem().unwrap_or_default().display())
                    .because(format_args!("{}: {source}", path.display()))
                    .remedy("name a card that has a file card/NAME.json in the copy")
                    .into()
            }
            error => Error::Host(error),
        })
    }

    /// Looks at what was asked for.
    pub(super) fn examine(&self, machines: &[Machine]) -> Vec<Examined> {
        let is_asked = |one: &Examined| self.only.is_empty() || self.only.iter().any(|name| name == one.name);
        examine_all(machines).into_iter().filter(is_asked).collect()
    }
}

/// The cores that lanes would have: of several cards one each.
fn cores(arguments: &DoctorArguments) -> Result<Vec<usize>, Wrong> {
    let cores = arguments.core.iter().map(|text| core(text)).collect::<Result<Vec<_>, _>>()?;
    let (cards, count) = (arguments.nic.len(), cores.len());
    if cards < 2 || count == 0 || count == cards {
        return Ok(cores);
    }
    Err(Wrong::new("--core", arguments.core.join(", "))
        .because(format_args!("{count} cores for {cards} cards: there is one for each of them"))
        .remedy("name as many as cards, in their order, or none"))
}

fn core(text: &str) -> Result<usize, Wrong> {
    text.parse().map_err(|_| {
        Wrong::new("--core", text).because("that is not the number of a core").remedy("write one, such as 3")
    })
}

fn known(name: &str) -> Result<String, Wrong> {
    let names = || REQUIREMENTS.iter().map(|one| one.name);
    if names().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    let nearest = names()
        .max_by(|one, other| strsim::jaro_winkler(one, name).total_cmp(&strsim::jaro_winkler(other, name)));
    Err(Wrong::new("--only", name)
        .because("there is no such requirement")
        .remedy(format_args!("did you mean {}? barelane doctor lists them", nearest.unwrap_or_default())))
}

fn default_record(root: Option<&Path>) -> PathBuf {
    if let Some(root) = root {
        return root.join(state::STATE.trim_start_matches('/')).join(RECORD);
    }
    state::directory().join(RECORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_requirement_is_refused_with_the_nearest() {
        assert_eq!(known("swap").unwrap(), "swap");
        let line = known("huge-page").unwrap_err().to_string();
        assert!(line.contains("--only = \"huge-page\"") && line.contains("huge-pages?"), "{line}");
    }

    #[test]
    fn a_copy_keeps_its_record_with_it() {
        let path = default_record(Some(Path::new("/copy")));
        assert_eq!(path, Path::new("/copy/var/lib/barelane/doctor.json"));
    }
}
