//! A memif interface as it is written: `SOCKET[,role=server|client][,id=N][,queues=N]…`.

use std::fmt::{self, Display};
use std::path::PathBuf;

use nic::memif::{
    BUFFER_SIZE_MAX, BUFFER_SIZE_MIN, Idle, QUEUES_MAX, RING_SIZE_MAX, RING_SIZE_MIN, Role, SECRET_SIZE_MAX,
    Settings, SocketName,
};

use super::values::{Fault, choice, number};
use crate::error::Wrong;
use crate::stamp_key;

/// Which end, by name.
const ROLES: &[(&str, Role)] = &[("server", Role::Server), ("client", Role::Client)];

/// What a lane does when nothing waits, by name.
/// `sleep` is what `adaptive` was called first.
const IDLES: &[(&str, Idle)] = &[("spin", Idle::Spin), ("adaptive", Idle::Sleep), ("sleep", Idle::Sleep)];

/// How it is written.
const USE: &str = "write SOCKET[,role=server|client][,id=N][,queues=N][,ring-size=N][,buffer-size=N][,idle=spin|adaptive]\
                   [,secret-file=FILE]";

/// An interface in shared memory, as the operator wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemifConfig {
    /// What its packets go by. The secret is not in it: it is read when it is needed.
    pub settings: Settings,
    /// The file with the secret; nothing where none is asked for.
    pub secret_file: Option<PathBuf>,
}

impl MemifConfig {
    /// The interface of these words. Who says no role waits for a client, as servers do.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        Self::parse_as(Role::Server, text)
    }

    /// The same of `option`, where who says no role comes to a server.
    pub(crate) fn of_client(option: &str, text: &str) -> Result<Self, Wrong> {
        Self::parse_as(Role::Client, text).map_err(|fault| fault.of(option))
    }

    fn parse_as(role: Role, text: &str) -> Result<Self, Fault> {
        let mut parts = text.split(',');
        let socket = parts.next().unwrap_or_default();
        if socket.is_empty() || socket == "@" {
            return Err(Fault::new(text, "no socket is named", USE));
        }
        let settings = Settings { role, ..Settings::new(SocketName::new(socket)) };
        let mut config = Self { settings, secret_file: None };
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            config.set(key, value, part)?;
        }
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &str, part: &str) -> Result<(), Fault> {
        let settings = &mut self.settings;
        let named = |fault: Fault| Fault { value: part.to_owned(), ..fault };
        let one = [value.to_owned()];
        match key {
            "role" => settings.role = choice(ROLES, &one).map_err(named)?,
            "id" => settings.id = number(value, 0, u32::MAX.into()).map_err(named)?,
            "queues" => settings.queues = number(value, 1, QUEUES_MAX.into()).map_err(named)?,
            "ring-size" => settings.ring_size = power(value, RING_SIZE_MIN, RING_SIZE_MAX).map_err(named)?,
            "buffer-size" => {
                settings.buffer_size = power(value, BUFFER_SIZE_MIN, BUFFER_SIZE_MAX).map_err(named)?;
            }
            "idle" => settings.idle = choice(IDLES, &one).map_err(named)?,
            "secret-file" if !value.is_empty() => self.secret_file = Some(value.into()),
            _ => return Err(Fault::new(part, "no such option of a memif interface", USE)),
        }
        Ok(())
    }

    /// What the interface is opened with: the secret is read from its file.
    pub(crate) fn settings(&self, setting: impl Display) -> Result<Settings, Wrong> {
        let Some(file) = &self.secret_file else { return Ok(self.settings.clone()) };
        let secret = stamp_key::read(&setting, file)?;
        if secret.len() > SECRET_SIZE_MAX || secret.contains(&0) {
            let problem = format!("a secret has at most {SECRET_SIZE_MAX} bytes, none of them 0");
            return Err(Wrong::new(setting, file.display()).because(problem).remedy("write a shorter one"));
        }
        Ok(Settings { secret: Some(secret), ..self.settings.clone() })
    }
}

impl Display for MemifConfig {
    /// Its name: where it is to be had, and which one it is there.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "memif:{}", self.settings.socket)?;
        if self.settings.id == 0 { Ok(()) } else { write!(out, ",id={}", self.settings.id) }
    }
}

/// A power of two within limits, both included.
fn power(text: &str, min: u32, max: u32) -> Result<u32, Fault> {
    let size: u32 = number(text, min.into(), max.into())?;
    if size.is_power_of_two() {
        return Ok(size);
    }
    let near = size.next_power_of_two();
    Err(Fault::new(text, "not a power of two", format!("write {near}")))
}

/// The role's name.
pub(crate) fn role_name(role: Role) -> &'static str {
    super::keys::name_of(ROLES, &role)
}

/// What a lane does when nothing waits, by name.
pub(crate) fn idle_name(idle: Idle) -> &'static str {
    super::keys::name_of(IDLES, &idle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let fault = MemifConfig::parse(text).unwrap_err();
        format!("{}: {}; {}", fault.value, fault.problem, fault.remedy)
    }

    #[test]
    fn a_socket_is_enough_and_everything_else_can_be_said() {
        let plain = MemifConfig::parse("/run/a.sock").unwrap();
        assert_eq!(plain.settings, Settings::new(SocketName::new("/run/a.sock")));
        assert_eq!((plain.settings.role, plain.to_string()), (Role::Server, "memif:/run/a.sock".to_owned()));
        let all = "@a,role=client,id=7,queues=2,ring-size=512,buffer-size=4096,idle=sleep,secret-file=/x";
        let MemifConfig { settings, secret_file } = MemifConfig::parse(all).unwrap();
        assert_eq!(settings.socket, SocketName::Abstract("a".to_owned()));
        assert_eq!((settings.role, settings.id, settings.queues), (Role::Client, 7, 2));
        assert_eq!((settings.ring_size, settings.buffer_size, settings.idle), (512, 4096, Idle::Sleep));
        assert_eq!(secret_file, Some("/x".into()));
        let adaptive = MemifConfig::parse("@a,idle=adaptive").unwrap().settings;
        assert_eq!(adaptive.idle, Idle::Sleep);
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_right() {
        assert!(refused("").starts_with(": no socket is named; write SOCKET[,role="));
        assert!(refused("@").contains("no socket is named"));
        assert_eq!(refused("a,role=master"), "role=master: no such choice; write one of server, client");
        assert_eq!(refused("a,queues=0"), "queues=0: out of range; write a whole number from 1 to 64");
        assert_eq!(refused("a,ring-size=1000"), "ring-size=1000: not a power of two; write 1024");
        assert!(refused("a,colour=red").starts_with("colour=red: no such option"));
        assert!(refused("a,secret-file=").starts_with("secret-file=: no such option"));
    }
}
