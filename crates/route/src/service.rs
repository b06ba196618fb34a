//! What a route answers with, by the names that the command line and the configuration use.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use thiserror::Error;

/// A service that answers one kind of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// ICMP echo on IPv4 addresses (RFC 792), ICMPv6 echo on IPv6 addresses (RFC 4443 4.2).
    IcmpEcho,
    /// UDP echo (RFC 862) on any port.
    UdpEcho {
        /// The port that is answered. Port 0 does not exist.
        port: NonZeroU16,
    },
}

/// A service name that is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{given}` is not a service: use `icmp-echo` or `udp-echo:PORT` with a port from 1 to 65535")]
pub struct ServiceError {
    /// What was given.
    pub given: String,
}

impl fmt::Display for Service {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IcmpEcho => out.write_str("icmp-echo"),
            Self::UdpEcho { port } => write!(out, "udp-echo:{port}"),
        }
    }
}

impl FromStr for Service {
    type Err = ServiceError;

    fn from_str(given: &str) -> Result<Self, ServiceError> {
        let error = || ServiceError { given: given.to_owned() };
        match given.split_once(':') {
            None if given == "icmp-echo" => Ok(Self::IcmpEcho),
            Some(("udp-echo", port)) => Ok(Self::UdpEcho { port: port.parse().map_err(|_| error())? }),
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for name in ["icmp-echo", "udp-echo:7", "udp-echo:65535"] {
            assert_eq!(name.parse::<Service>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_no_service_is_refused_by_name() {
        for name in
            ["", "icmp", "icmp-echo:7", "udp-echo", "udp-echo:", "udp-echo:0", "udp-echo:65536", "UDP-echo:7"]
        {
            assert_eq!(name.parse::<Service>().unwrap_err().given, name);
        }
    }
}
