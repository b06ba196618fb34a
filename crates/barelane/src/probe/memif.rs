//! The probe's backend `memif`: an interface in shared memory. This host knows nothing of it, so that its addresses and its
//! way to the target are what the operator says.

use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU16;

use host::links::Link;
use nic::memif::{Idle, MemifError, Role};
use probe::clock::MonotonicClock;
use probe::memif::{Interface, Memif, OpenError};
use probe::neighbours::{Neighbours, NextHop, Station, Unresolved};
use probe::transport::Stamps;
use probe::{Ask, frames};
use route::Prefix;
use wire::ethernet::Mac;

use super::target::Target;
use crate::args::MeansArguments;
use crate::config::{MemifConfig, values};
use crate::error::{Error, Wrong};
use crate::plan;
use crate::say;
use crate::signals::Signals;

/// The ports that Linux takes for whoever names none (`ip_local_port_range`), and the identifiers of its ping sockets.
const PORT_MIN: u16 = 32_768;
const PORTS: u64 = 28_232;

/// An interface in shared memory, and who we are on it.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    config: MemifConfig,
    own: Station,
    prefix: Prefix,
    /// As it was written, for complaints.
    address: String,
    beyond: Beyond,
}

/// Who takes questions to what is not on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beyond {
    Nobody,
    Gateway(IpAddr),
    /// Everything goes to this station, and nobody is asked for.
    Fixed(Mac),
}

impl Shared {
    /// Reads what `--memif` and the options beside it mean. The Ethernet address is a random one where none is named.
    pub(super) fn read(text: &str, arguments: &MeansArguments, stamps: Stamps) -> Result<Self, Wrong> {
        refuse_foreign(arguments, stamps)?;
        let config = MemifConfig::of_client("--memif", text)?;
        if config.settings.idle == Idle::Sleep {
            let wrong = Wrong::new("--memif", "idle=sleep")
                .because("the probe spins: a wake-up would be in its figures");
            return Err(wrong.remedy("leave it out"));
        }
        let Some(address) = &arguments.address else {
            let wrong = Wrong::new("--address", "")
                .because("an interface in shared memory has no address of its own");
            return Err(wrong.remedy("name the one to ask from: --address 192.0.2.2/24"));
        };
        let (ip, len) = values::address(address).map_err(|fault| fault.of("--address"))?;
        check_station("--address", address, ip)?;
        let mac = arguments.mac.as_deref().map(|mac| values::mac(mac).map_err(|fault| fault.of("--mac")));
        let own = Station { mac: mac.transpose()?.unwrap_or_else(random_mac), ip };
        // The length is within the family's.
        let prefix = Prefix::around(ip, len).unwrap_or(Prefix::from(ip));
        let beyond = beyond(arguments, prefix, ip)?;
        Ok(Self { config, own, prefix, address: address.clone(), beyond })
    }

    /// The interface, as far as there is one.
    pub(super) fn link(&self) -> Link {
        plan::memif_link(&self.config, self.own.mac)
    }

    /// Our own address.
    pub(super) const fn ip(&self) -> IpAddr {
        self.own.ip
    }

    /// Which of a target's addresses can be asked: one of our own family.
    pub(super) fn choose(&self, target: &str, addresses: &[IpAddr]) -> Result<IpAddr, Wrong> {
        let is_of_family = |ip: &&IpAddr| ip.is_ipv4() == self.own.ip.is_ipv4();
        let Some(&ip) = addresses.iter().find(is_of_family) else {
            let wrong = Wrong::new("--address", &self.address)
                .because(format_args!("of another family than every address of the target {target}"));
            return Err(wrong.remedy("name one of the target's family"));
        };
        check_station("TARGET", target, ip)?;
        if ip == self.own.ip {
            let wrong = Wrong::new("TARGET", target).because("it is our own address, of --address");
            return Err(wrong.remedy("name another address for one of the two"));
        }
        self.next_hop(ip).map(|_| ip)
    }

    /// Who takes questions to `target`.
    fn next_hop(&self, target: IpAddr) -> Result<NextHop, Wrong> {
        match self.beyond {
            Beyond::Fixed(mac) => Ok(NextHop::Fixed(mac)),
            _ if self.prefix.contains(target) => Ok(NextHop::Owner(target)),
            Beyond::Gateway(gateway) => Ok(NextHop::Owner(gateway)),
            Beyond::Nobody => {
                let wrong = Wrong::new("TARGET", target).because(format_args!(
                    "it is not in the prefix of --address {}, and no gateway is named",
                    self.address
                ));
                Err(wrong.remedy("name one, --gateway A, or the station that takes all: --next-hop MAC"))
            }
        }
    }

    /// Opens the interface, waits for its peer, and finds the next hop. To be called before the calling thread is bound to a
    /// core, which the thread beside the interface must not have.
    pub(super) fn open(&self, ask: &Ask, target: &Target, signals: &Signals) -> Result<Memif, Error> {
        let settings = self.config.settings("--memif")?;
        let stop = signals.stop_flag();
        let mut interface = Interface::open(&settings, &stop).map_err(|error| self.refusal(&error))?;
        let mut neighbours =
            Neighbours::new(self.own, self.next_hop(ask.target)?).map_err(|error| unaskable(&error))?;
        let next_hop = interface
            .resolve(&mut neighbours, &MonotonicClock::start(), &stop)
            .map_err(|error| unresolved(ask.target, error))?;
        say::note(format_args!("asking from {} at {}", self.own.ip, self.own.mac));
        let mtu = target.link.as_ref().map_or(0, |link| link.mtu as usize);
        let Station { mac, ip } = self.own;
        let link = frames::Link { mac, ip, next_hop, identity: identity(ask.seed), mtu };
        interface.ask(ask, link, neighbours).map_err(|error| unaskable(&error))
    }

    /// Why there is nobody to ask.
    fn refusal(&self, error: &OpenError) -> Error {
        let wrong =
            |problem: &dyn Display| Wrong::new("--memif", &self.config.settings.socket).because(problem);
        match error {
            OpenError::Memif(MemifError::Thread(_) | MemifError::Kicker(_)) | OpenError::Stopped => {
                Error::Failed(error.to_string())
            }
            OpenError::Memif(MemifError::Socket { .. }) => {
                wrong(error).remedy("stop who listens there, or name another socket").into()
            }
            OpenError::Memif(MemifError::TooLarge { .. }) => {
                wrong(error).remedy("have fewer queues, or smaller rings").into()
            }
            OpenError::Alone(news) => {
                let why = news.last().map_or(String::new(), |line| format!(" ({line})"));
                let (end, other) = match self.config.settings.role {
                    Role::Client => ("no server has let us in", "server"),
                    Role::Server => ("no client has come in", "client"),
                };
                let remedy = format!(
                    "start the other end first, with role={other} and id={}: barelane serve --memif …, VPP or DPDK",
                    self.config.settings.id
                );
                wrong(&format_args!("{error}: {end}{why}")).remedy(remedy).into()
            }
        }
    }
}

/// Refuses what only an interface of this host has.
fn refuse_foreign(arguments: &MeansArguments, stamps: Stamps) -> Result<(), Wrong> {
    if let Some(backend) = arguments.backend.as_deref().filter(|&backend| backend != "memif") {
        let problem = "--memif names an interface in shared memory, which is a backend of its own";
        return Err(Wrong::new("--backend", backend).because(problem).remedy("leave one of the two out"));
    }
    if let Some(nic) = &arguments.nic {
        let problem = "--memif names an interface in shared memory, which is none of this host's";
        return Err(Wrong::new("--nic", nic).because(problem).remedy("leave one of the two out"));
    }
    if stamps == Stamps::Kernel {
        let problem = "an interface in shared memory has no kernel between, which could stamp";
        return Err(Wrong::new("--stamps", "kernel").because(problem).remedy("use --stamps user"));
    }
    Ok(())
}

/// Refuses what only an interface in shared memory has, where none is named.
pub(super) fn refuse_alone(arguments: &MeansArguments) -> Result<(), Wrong> {
    let MeansArguments { mac, address, gateway, next_hop, .. } = arguments;
    let options = [("--mac", mac), ("--address", address), ("--gateway", gateway), ("--next-hop", next_hop)];
    match options.into_iter().find_map(|(option, value)| Some((option, value.as_ref()?))) {
        None => Ok(()),
        Some((option, value)) => {
            let problem =
                "the kernel knows it of its own interfaces: it is said of one in shared memory only";
            Err(Wrong::new(option, value).because(problem).remedy("leave it out, or name --memif SOCKET"))
        }
    }
}

fn beyond(arguments: &MeansArguments, prefix: Prefix, own: IpAddr) -> Result<Beyond, Wrong> {
    let Some(gateway) = &arguments.gateway else {
        let Some(mac) = &arguments.next_hop else { return Ok(Beyond::Nobody) };
        return values::mac(mac).map(Beyond::Fixed).map_err(|fault| fault.of("--next-hop"));
    };
    let wrong = || Wrong::new("--gateway", gateway);
    if arguments.next_hop.is_some() {
        return Err(wrong().because("--next-hop takes all questions").remedy("name one of the two"));
    }
    let ip = values::ip(gateway).map_err(|fault| fault.of("--gateway"))?;
    check_station("--gateway", gateway, ip)?;
    let is_link_local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()) && own.is_ipv6();
    if ip == own || !(prefix.contains(ip) || is_link_local) {
        let wrong = wrong().because("no other host has this address in the prefix of --address");
        return Err(wrong.remedy("name a router that is on the link"));
    }
    Ok(Beyond::Gateway(ip))
}

/// Refuses an address that no station on a link has.
fn check_station(option: &str, text: &str, ip: IpAddr) -> Result<(), Wrong> {
    let is_broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || is_broadcast {
        let wrong = Wrong::new(option, text).because("no station on a link has this address");
        return Err(wrong.remedy("name one such as 192.0.2.1 or 2001:db8::1"));
    }
    Ok(())
}

/// A random address, of one station, administered by nobody but us (IEEE 802c).
fn random_mac() -> Mac {
    let [first, second, third, fourth, fifth, sixth, ..] =
        RandomState::new().hash_one("barelane probe: mac").to_be_bytes();
    Mac([first & 0xfc | 2, second, third, fourth, fifth, sixth])
}

/// The port or identifier to ask from, as the kernel would choose one.
fn identity(seed: u64) -> NonZeroU16 {
    let above = u16::try_from(seed % PORTS).unwrap_or_default();
    NonZeroU16::new(PORT_MIN + above).unwrap_or(NonZeroU16::MAX)
}

fn unaskable(error: &probe::TransportError) -> Error {
    Error::Input(error.to_string())
}

fn unresolved(target: IpAddr, error: Unresolved) -> Error {
    match error {
        Unresolved::Stopped(_) | Unresolved::Gone(_) => Error::Failed(error.to_string()),
        Unresolved::Silent(_) => {
            let remedy =
                "name a target or a gateway that is there, or the station to send to: --next-hop MAC";
            Wrong::new("TARGET", target).because(error).remedy(remedy).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments() -> MeansArguments {
        MeansArguments {
            backend: None,
            memif: None,
            mac: None,
            address: Some("10.9.0.2/24".to_owned()),
            gateway: None,
            next_hop: None,
            stamps: "user".to_owned(),
            spin: false,
            core: None,
            nic: None,
        }
    }

    fn next_hop(arguments: &MeansArguments, target: &str) -> Result<NextHop, String> {
        let shared = Shared::read("@a", arguments, Stamps::User).map_err(|wrong| wrong.to_string())?;
        let ip = shared.choose(target, &[target.parse().unwrap()]).map_err(|wrong| wrong.to_string())?;
        Ok(shared.next_hop(ip).unwrap())
    }

    #[test]
    fn who_is_on_the_link_takes_its_questions_and_a_gateway_all_others() {
        let owner = |ip: &str| Ok(NextHop::Owner(ip.parse().unwrap()));
        let plain = arguments();
        assert_eq!(next_hop(&plain, "10.9.0.1"), owner("10.9.0.1"));
        let wrong = next_hop(&plain, "10.8.0.1").unwrap_err();
        assert!(wrong.contains("TARGET = \"10.8.0.1\"") && wrong.contains("--gateway"), "{wrong}");
        let routed = MeansArguments { gateway: Some("10.9.0.9".to_owned()), ..arguments() };
        assert_eq!(next_hop(&routed, "10.8.0.1"), owner("10.9.0.9"));
        assert_eq!(next_hop(&routed, "10.9.0.1"), owner("10.9.0.1"));
        let fixed = MeansArguments { next_hop: Some("02:00:00:00:00:09".to_owned()), ..arguments() };
        assert_eq!(next_hop(&fixed, "10.8.0.1"), Ok(NextHop::Fixed(Mac([2, 0, 0, 0, 0, 9]))));
        let v6 = Some("fe80::1".to_owned());
        let v6 = MeansArguments { address: Some("fd00::2/64".to_owned()), gateway: v6, ..arguments() };
        assert_eq!(next_hop(&v6, "2001:db8::1"), owner("fe80::1"), "a router by its link-local address");
    }

    #[test]
    fn a_random_address_is_of_one_station_and_administered_locally() {
        for _ in 0..100 {
            let Mac([first, ..]) = random_mac();
            assert_eq!(first & 3, 2);
        }
        assert_ne!(random_mac(), random_mac());
    }

    #[test]
    fn the_identity_is_one_that_the_kernel_would_choose_and_the_seed_says_which() {
        for seed in [0, 1, PORTS - 1, PORTS, u64::MAX] {
            assert!((32_768..=60_999).contains(&identity(seed).get()), "{seed}");
        }
        assert_eq!(identity(7), identity(7));
        assert_ne!(identity(7), identity(8));
    }
}
