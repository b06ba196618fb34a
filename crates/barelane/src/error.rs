//! What can go wrong, and the exit code that says so.
//!
//! Scripts rely on three codes (see "What the command line promises" in the design): 0 for done, 1 for "it ran and
//! failed", 2 for "the input or a setting is wrong". A wrong setting is told in one line that names the setting, the
//! value that was found, what is wrong with it, and what to do instead, so that nobody has to look anything up.

use std::fmt;
use std::process::ExitCode;

use host::HostError;
use nic::xdp::XdpError;

/// A setting of the configuration, by both of its names.
///
/// Holding one proves that it stands in the table of keys: the constants beside it are the only ones there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name in a configuration file, section first: `nic.mode`.
    pub key: &'static str,
    /// Its name on the command line, or nothing where it has none: `--mode`.
    pub flag: Option<&'static str>,
}

impl fmt::Display for Setting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.flag {
            Some(flag) => write!(out, "{} ({flag})", self.key),
            None => out.write_str(self.key),
        }
    }
}

/// One wrong setting: what it is, what was found, why that cannot be, and what can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The setting, by its names.
    pub setting: String,
    /// The value that was found.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to do instead, as an imperative.
    pub remedy: String,
    /// Where the value was read, such as `barelane.toml line 12`; nothing for the command line.
    pub place: Option<String>,
}

impl Wrong {
    /// A wrong `value` of `setting`. Say next what is wrong ([`Wrong::because`]) and what helps ([`Wrong::remedy`]).
    pub fn new(setting: impl fmt::Display, value: impl fmt::Display) -> Self {
        Self {
            setting: setting.to_string(),
            value: value.to_string(),
            problem: String::new(),
            remedy: String::new(),
            place: None,
        }
    }

    /// Says what is wrong with the value.
    #[must_use]
    pub fn because(mut self, problem: impl fmt::Display) -> Self {
        self.problem = problem.to_string();
        self
    }

    /// Says what to do instead.
    #[must_use]
    pub fn remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = remedy.to_string();
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = printable(&self.value);
        let (problem, remedy) = (printable(&self.problem), printable(&self.remedy));
        write!(out, "{} = \"{value}\": {problem}; {remedy}", printable(&self.setting))?;
        match &self.place {
            Some(place) => write!(out, " ({place})"),
            None => Ok(()),
        }
    }
}

/// The text on one line, with its control characters escaped: what somebody typed never moves a terminal's cursor.
pub(crate) fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line
}

/// Why a verb did not finish.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is wrong, or this host does not allow it. Nothing was changed. Exit code 2.
    #[error("{0}")]
    Setting(Box<Wrong>),
    /// The input or the command line cannot be used. Exit code 2.
    #[error("{0}")]
    Input(String),
    /// The host refuses what was asked of it. Exit code 2 where a setting would change that, else 1.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The card refuses. Exit code 2 where a setting would change that, else 1.
    #[error(transparent)]
    Card(#[from] XdpError),
    /// It ran and failed. Exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl From<Wrong> for Error {
    fn from(wrong: Wrong) -> Self {
        Self::Setting(Box::new(wrong))
    }
}

impl Error {
    /// What the process ends with.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit_number())
    }

    /// The same as a number.
    pub(crate) fn exit_number(&self) -> u8 {
        if self.is_setting() { 2 } else { 1 }
    }

    fn is_setting(&self) -> bool {
        match self {
            Self::Card(error) => error.is_setting(),
            Self::Failed(_) => false,
            Self::Host(error) => matches!(
                error,
                HostError::NoSuchInterface { .. }
                    | HostError::CoreNotAllowed { .. }
                    | HostError::MemoryNotLocked { .. }
            ),
            Self::Setting(_) | Self::Input(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_setting_is_told_in_one_line_with_value_and_remedy() {
        let setting = Setting { key: "nic.interface", flag: Some("--nic") };
        let mut wrong = Wrong::new(setting, "eth9").because("there is no such interface").remedy("choose lo");
        let line = "nic.interface (--nic) = \"eth9\": there is no such interface; choose lo";
        assert_eq!(wrong.to_string(), line);
        let typed = Wrong { value: "a\n\u{1b}[2Jb".into(), ..wrong.clone() };
        assert!(typed.to_string().contains("\"a\\n\\u{1b}[2Jb\""), "{typed}");
        wrong.place = Some("a.toml line 3".into());
        assert_eq!(Error::from(wrong).to_string(), format!("{line} (a.toml line 3)"));
    }
}
