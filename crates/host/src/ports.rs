//! UDP ports of this host's own programs: those that the kernel hands out by itself, and those that are open now.
//!
//! A port that a lane claims on an address of the kernel's is taken from whoever else uses it there, without a word to
//! either. Both questions are answered for the calling thread's network namespace.

use std::fmt::Display;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use crate::HostError;

/// The first and the last port that a program gets which does not ask for one.
const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// Those of them that nobody gets: `8080,9148-9150`.
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";
/// Open sockets, one a line (proc(5), `/proc/net/udp`). The second is not there where the kernel has no IPv6.
const SOCKETS: [&str; 2] = ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"];

/// What is known of UDP ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    handed_out: Option<(u16, u16)>,
    /// As the kernel writes it, which is also how it wants it back.
    reserved: String,
    open: Vec<(IpAddr, u16)>,
}

impl Ports {
    /// Asks the kernel.
    pub fn read() -> Result<Self, HostError> {
        let range = text_of(Path::new(RANGE))?;
        let mut ends = range.split_whitespace().map(str::parse);
        let handed_out = match (ends.next(), ends.next()) {
            (Some(Ok(first)), Some(Ok(last))) => Some((first, last)),
            _ => None,
        };
        let reserved = text_of(Path::new(RESERVED))?.trim().to_owned();
        let mut open = Vec::new();
        for path in SOCKETS.map(Path::new).into_iter().filter(|path| path.exists()) {
            // The first line names the columns.
            open.extend(text_of(path)?.lines().skip(1).filter_map(socket));
        }
        Ok(Self { handed_out, reserved, open })
    }

    /// Whether the kernel may give this port to a program that does not ask for one.
    pub fn is_handed_out(&self, port: u16) -> bool {
        let is_reserved =
            self.reserved.split(',').filter_map(span).any(|(first, last)| first <= port && port <= last);
        self.handed_out.is_some_and(|(first, last)| first <= port && port <= last) && !is_reserved
    }

    /// What `net.ipv4.ip_local_reserved_ports` must be so that it does not, and everything else stays as it is. `ports` is
    /// one, or a range such as `4000-4999`.
    pub fn reserved_with(&self, ports: impl Display) -> String {
        if self.reserved.is_empty() { ports.to_string() } else { format!("{},{ports}", self.reserved) }
    }

    /// The address of a socket that is open on this port and receives what is sent to `ip`.
    pub fn open_on(&self, ip: IpAddr, port: u16) -> Option<IpAddr> {
        let receives =
            |bound: IpAddr| bound == ip || bound.is_unspecified() && (bound.is_ipv6() || ip.is_ipv4());
        self.open.iter().find(|&&(bound, open)| open == port && receives(bound)).map(|&(bound, _)| bound)
    }
}

fn text_of(path: &Path) -> Result<String, HostError> {
    fs::read_to_string(path).map_err(|source| HostError::File { path: PathBuf::from(path), source })
}

/// `8080` or `9148-9150`.
fn span(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

/// The second column: the address, word by word as it lies in memory, and the port.
fn socket(line: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = line.split_whitespace().nth(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = address.as_bytes().chunks(8).map(|word| {
        let text = std::str::from_utf8(word).ok()?;
        u32::from_str_radix(text, 16).ok().map(u32::to_ne_bytes)
    });
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.concat();
    match bytes.len() {
        4 => Some((Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(), port)),
        16 => Some((Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(), port)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use crate::namespace;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_port_within_the_range_is_handed_out_unless_it_is_reserved() {
        let ports = Ports {
            handed_out: Some((32_768, 60_999)),
            reserved: "40000,50000-50010".into(),
            open: Vec::new(),
        };
        for (port, is_handed_out) in [
            (7, false),
            (32_767, false),
            (32_768, true),
            (40_000, false),
            (50_005, false),
            (60_999, true),
            (61_000, false),
        ] {
            assert_eq!(ports.is_handed_out(port), is_handed_out, "{port}");
        }
        assert_eq!(ports.reserved_with(7), "40000,50000-50010,7");
        assert_eq!(Ports::default().reserved_with(7), "7");
    }

    #[test]
    fn an_open_socket_is_found_at_its_address_and_everywhere() {
        let Some(host) = namespace::tests::for_test() else { return };
        let (one, every) = host
            .run(|| (UdpSocket::bind("127.0.0.1:4001").unwrap(), UdpSocket::bind("[::]:4002").unwrap()))
            .unwrap();
        let ports = host.run(|| Ports::read().unwrap()).unwrap();
        assert_eq!(ports.open_on(ip("127.0.0.1"), 4001), Some(ip("127.0.0.1")));
        assert_eq!(ports.open_on(ip("10.0.0.1"), 4001), None);
        assert_eq!(ports.open_on(ip("10.0.0.1"), 4002), Some(ip("::")));
        assert_eq!(ports.open_on(ip("fd00::1"), 4002), Some(ip("::")));
        assert_eq!(ports.open_on(ip("fd00::1"), 4003), None);
        drop((one, every));
    }
}
