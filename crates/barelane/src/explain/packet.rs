//! A packet as one writes it: `udp 10.0.0.9:4000 > 10.0.0.1:7`, `icmp6 fd00::9 > fd00::1 vlan 7`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use route::{Asks, Family, Question, VlanSet};

use crate::error::Wrong;

/// What it must look like.
pub(super) const FORM: &str = "write PROTOCOL FROM > TO, such as \"udp 10.0.0.9:4000 > 10.0.0.1:7\", \"udp [fd00::9]:4000 > \
     [fd00::1]:7\", \"icmp 10.0.0.9 > 10.0.0.1\", \"icmp6 fd00::9 > fd00::1\", \"arp 10.0.0.9 > 10.0.0.1\" or \
     \"ndp fd00::9 > fd00::1\"; and \"vlan N\" at its end where it has a tag";

/// A packet that somebody asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    protocol: Protocol,
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    /// The UDP source and destination port; else 0.
    pub(super) ports: (u16, u16),
    /// [`VlanSet::NO_VLAN`] where it has no tag.
    pub(super) vid: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Udp,
    Echo,
    LinkAddress,
}

impl Packet {
    /// What routes look at; nothing for a question for a link address, which no route takes.
    pub(super) fn question(&self) -> Option<Question> {
        let asks = match self.protocol {
            Protocol::Udp => Asks::Udp(self.ports.1),
            Protocol::Echo => Asks::Echo,
            Protocol::LinkAddress => return None,
        };
        Some(Question { asks, to: self.to, from: self.from, vid: self.vid })
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_v4 = self.to.is_ipv4();
        let ((from, to), (from_port, to_port)) = ((self.from, self.to), self.ports);
        match self.protocol {
            Protocol::Udp => {
                write!(out, "udp {} > {}", SocketAddr::new(from, from_port), SocketAddr::new(to, to_port))?;
            }
            Protocol::Echo => write!(out, "{} {from} > {to}", if is_v4 { "icmp" } else { "icmp6" })?,
            Protocol::LinkAddress => write!(out, "{} {from} > {to}", if is_v4 { "arp" } else { "ndp" })?,
        }
        match self.vid {
            VlanSet::NO_VLAN => out.write_str(", untagged"),
            vid => write!(out, " vlan {vid}"),
        }
    }
}

/// Why a text is no packet.
fn wrong(text: &str, problem: impl fmt::Display) -> Wrong {
    Wrong::new("PACKET", text).because(problem).remedy(FORM)
}

impl FromStr for Packet {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (&[protocol, from, ">", to], vlan) = words.split_at_checked(4).unwrap_or_default() else {
            return Err(wrong(text, "not a packet"));
        };
        let vid = match *vlan {
            [] => VlanSet::NO_VLAN,
            ["vlan", vid] => {
                vid.parse().ok().filter(|vid| (1..=VlanSet::VID_MAX).contains(vid)).ok_or_else(|| {
                    wrong(text, format_args!("VLANs are numbered from 1 to {}", VlanSet::VID_MAX))
                })?
            }
            _ => return Err(wrong(text, "not a packet")),
        };
        let (protocol, family) = match protocol {
            "udp" => (Protocol::Udp, None),
            "icmp" => (Protocol::Echo, Some(Family::V4)),
            "icmp6" => (Protocol::Echo, Some(Family::V6)),
            "arp" => (Protocol::LinkAddress, Some(Family::V4)),
            "ndp" => (Protocol::LinkAddress, Some(Family::V6)),
            other => return Err(wrong(text, format_args!("no such protocol as {other}"))),
        };
        let end = |end: &str| match protocol {
            Protocol::Udp => end.parse().map(|end: SocketAddr| (end.ip(), end.port())).ok(),
            Protocol::Echo | Protocol::LinkAddress => end.parse().map(|ip| (ip, 0)).ok(),
        };
        let what = if protocol == Protocol::Udp { "address with port" } else { "address" };
        let end = |text_of_end| {
            end(text_of_end).ok_or_else(|| wrong(text, format_args!("{text_of_end} is no {what}")))
        };
        let ((from, from_port), (to, to_port)) = (end(from)?, end(to)?);
        if Family::of(from) != Family::of(to) || family.is_some_and(|family| family != Family::of(to)) {
            return Err(wrong(text, "addresses of another IP version"));
        }
        Ok(Self { protocol, from, to, ports: (from_port, to_port), vid })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_go_there_and_back() {
        for text in [
            "udp 10.0.0.9:4000 > 10.0.0.1:7 vlan 7",
            "udp [fd00::9]:4000 > [fd00::1]:7, untagged",
            "icmp 10.0.0.9 > 10.0.0.1, untagged",
            "icmp6 fd00::9 > fd00::1 vlan 4094",
            "arp 10.0.0.9 > 10.0.0.1, untagged",
            "ndp fd00::9 > fd00::1, untagged",
        ] {
            let typed = text.trim_end_matches(", untagged");
            assert_eq!(typed.parse::<Packet>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_packet_is_told_with_the_form_that_it_should_have() {
        for (text, problem) in [
            ("", "not a packet"),
            ("udp 10.0.0.9:4000 10.0.0.1:7", "not a packet"),
            ("udp 10.0.0.9:4000 > 10.0.0.1:7 on eth0", "not a packet"),
            ("udp 10.0.0.9:4000 > 10.0.0.1:7 vlan", "not a packet"),
            ("udp 10.0.0.9:4000 > 10.0.0.1:7 vlan 4095", "numbered from 1 to 4094"),
            ("udp 10.0.0.9 > 10.0.0.1:7", "10.0.0.9 is no address with port"),
            ("udp fd00::9:4000 > [fd00::1]:7", "fd00::9:4000 is no address with port"),
            ("udp 10.0.0.9:4000 > 10.0.0.1:65536", "10.0.0.1:65536 is no address with port"),
            ("udp 10.0.0.9:4000 > [fd00::1]:7", "another IP version"),
            ("icmp fd00::9 > fd00::1", "another IP version"),
            ("icmp 10.0.0.9:1 > 10.0.0.1", "10.0.0.9:1 is no address"),
            ("tcp 10.0.0.9:1 > 10.0.0.1:2", "no such protocol as tcp"),
        ] {
            let told = text.parse::<Packet>().unwrap_err().to_string();
            assert!(told.starts_with(&format!("PACKET = \"{text}\": ")), "{told}");
            assert!(told.contains(problem) && told.contains("write PROTOCOL FROM > TO"), "{told}");
        }
    }
}
