//! The configuration: what the operator wants, whole and well formed, and nothing about this host yet.
//!
//! ```text
//!   configs/default.toml ─┐ the same table of keys (config/keys.rs) reads every value,
//!   FILE ─── config/file ─┼─▶ Config ──plan──▶ Plan      so a wrong one is refused in the same words
//!   options ── args ──────┘
//! ```
//!
//! A [`Config`] proves that every value is one that its key can take, for one card: a server has one of each of its cards.
//! Whether this host can do it is the [`Plan`](crate::plan::Plan)'s to find out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use nic::xdp::{ModeChoice, TransmitStamps, Vlans, Wake, ZeroCopyChoice};
use route::{
    Limit, NextHop, Prefix, Route, Service, ShortPackets, SourceLimit, SourcePrefix, TierChoice, VlanSet,
};

use telemetry::Ns;
use wire::ethernet::Mac;

use crate::args::ServeArguments;
use crate::error::{Error, Setting, Wrong};
use crate::per_card::PerCard;

mod cards;
mod file;
pub mod keys;
mod log;
pub(crate) mod memif;
pub(crate) mod values;

pub use log::{LogConfig, LogFormat};
pub use memif::MemifConfig;

use cards::Written;

/// Everything that can be set, of one card. [`Config::default`] is what `configs/default.toml` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The card.
    pub nic: NicConfig,
    /// What all lanes have in common.
    pub lane: LaneConfig,
    /// What is answered.
    pub serve: ServeConfig,
    /// How STAMP is answered.
    pub stamp: StampConfig,
    /// How what happens is told.
    pub log: LogConfig,
    /// Routes, in the order of the file; they come before those that [`ServeConfig::respond`] means.
    pub routes: Vec<RouteConfig>,
}

/// The card, its queues and how they are driven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NicConfig {
    /// The interface's name; empty where none has been given.
    pub interface: String,
    /// The interfaces of the server's other cards.
    pub others: Vec<String>,
    /// An interface in shared memory, in place of that one.
    pub memif: Option<MemifConfig>,
    /// The Ethernet address of an interface that has none of its own.
    pub mac: Option<Mac>,
    /// The queues that get a lane; empty for as many as there are.
    pub queues: Vec<u32>,
    /// How the program is attached.
    pub mode: ModeChoice,
    /// Whether the NIC writes into the lane's memory itself.
    pub zero_copy: ZeroCopyChoice,
    /// Who drives the rings.
    pub wake: Wake,
    /// Slots of each ring; 0 for as many as are best.
    pub ring_size: u32,
    /// Who says when a question came.
    pub arrival_stamps: ArrivalChoice,
    /// Who says when an answer left.
    pub transmit_stamps: TransmitStamps,
}

/// What all lanes have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneConfig {
    /// The cores that get a lane, in the order of the queues; empty for as many as are needed.
    pub cores: Vec<usize>,
    /// What they do where nothing comes.
    pub idle: IdleChoice,
    /// How long [`IdleChoice::Adaptive`] goes on looking after the last packet.
    pub spin_for_us: u32,
    /// How long a lane that spins answers nothing before it sends a frame to itself, by which its way out stays warm; nothing where it
    /// never does.
    pub keep_warm: Option<Ns>,
    /// Time to live and hop limit of answers.
    pub hop_limit: u8,
    /// The most Port Unreachable messages of one lane in a second.
    pub errors_per_second: u32,
    /// What to do with a UDP checksum that its sender left to a NIC that does not exist.
    pub partial_checksums: PartialChoice,
    /// How long a question may have waited for a lane that still answers it.
    pub age_limit: Option<Ns>,
    /// How many streams a lane tells apart; 0 for none.
    pub streams: u32,
}

/// Who says when a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrivalChoice {
    /// The XDP program, where an age limit needs it.
    Auto,
    /// The XDP program.
    Driver,
    /// Nobody.
    None,
}

/// What to do with partial UDP checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartialChoice {
    /// Accept them on a veth, whose peers leave them; refuse them elsewhere.
    Auto,
    /// Accept them: whoever can send to this link could have computed them too.
    Accept,
    /// Refuse them as wrong.
    Refuse,
}

/// What a lane does where nothing comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleChoice {
    /// It looks again at once.
    Spin,
    /// It goes on looking for a while, and then sleeps.
    Adaptive,
    /// It sleeps.
    Interrupt,
}

/// Where answers are made at the earliest, where a route does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarliestChoice {
    /// The earliest tier that may answer, and that the link is known to carry.
    Auto,
    /// The driver, whatever the link carries; the lane for what is not answered there.
    Driver,
    /// The lane.
    Lane,
}

/// What of the machine can be held while lanes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// How fast cores wake.
    Power,
    /// Interrupts, away from the lanes' cores.
    Irqs,
}

/// Where metrics and health are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminChoice {
    /// At [`AdminChoice::DEFAULT`], or nowhere where another server has that port.
    Default,
    /// There, or the server does not start.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl AdminChoice {
    /// Where nobody has named an address. The port is the one that OpenTelemetry has for Prometheus.
    pub const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

    /// The address to be served at, if any.
    pub const fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Default => Some(Self::DEFAULT),
            Self::At(address) => Some(address),
            Self::Off => None,
        }
    }
}

/// As it is written in a file, or that nothing is.
impl fmt::Display for AdminChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(out, "{} (default)", Self::DEFAULT),
            Self::At(address) => address.fmt(out),
            Self::Off => out.write_str("off"),
        }
    }
}

/// What is answered, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeConfig {
    /// Addresses with their prefix lengths; empty for the interface's own.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The services of every address, for what no route takes.
    pub respond: Vec<Service>,
    /// The VLANs that the addresses are served on, beside what is untagged.
    pub vlans: Vlans,
    /// Where answers are made.
    pub tier: EarliestChoice,
    /// Who gets the frame of an answer, where its route does not say it.
    pub next_hop: NextHop,
    /// The core of whatever is no lane; nothing to choose one.
    pub housekeeping_core: Option<usize>,
    /// What is held of the machine while lanes run; nothing said is power, where it can be held.
    pub hold: Option<Vec<Hold>>,
    /// How long to wait for another host that has one of our addresses; 0 does not ask.
    pub address_check_ms: u32,
    /// Where metrics and health are served.
    pub admin: AdminChoice,
    /// The file with the token that whoever asks there must show; empty for none.
    pub admin_token_file: PathBuf,
    /// The file with the certificate that is shown there; empty for no TLS.
    pub admin_tls_cert_file: PathBuf,
    /// The file with its key.
    pub admin_tls_key_file: PathBuf,
}

/// How STAMP is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StampConfig {
    /// The file with the key of the authenticated mode; empty for the unauthenticated one.
    pub key_file: PathBuf,
    /// What to do with a packet that is shorter than its answer.
    pub short_packets: ShortPackets,
}

/// One `[[route]]`. What it answers with is there once a file has been read whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteConfig {
    /// The card that a packet must have come by; whichever where none is named. Of another card it takes nothing on this one.
    pub nic: Option<String>,
    /// Where it must be addressed to: one of [`ServeConfig::addresses`], or of the interface, or all in a prefix.
    pub address: Option<Prefix>,
    /// Who must have asked; empty for everybody.
    pub from: Vec<Prefix>,
    /// The VLANs that it must have come on.
    pub vlans: Option<Box<VlanSet>>,
    /// What answers, and so what else is matched.
    pub respond: Option<Service>,
    /// Where it is answered.
    pub tier: TierChoice,
    /// Who gets its answers, where that is not [`ServeConfig::next_hop`]'s to say.
    pub next_hop: Option<NextHop>,
    /// How often it answers in a second, at most.
    pub per_second: Option<NonZeroU32>,
    /// How often it answers one source.
    pub per_source: Option<NonZeroU32>,
    /// What one source is, where that is said.
    pub source_prefix: Option<SourcePrefix>,
}

impl RouteConfig {
    /// The route that it means on the card that has this interface, which is every card's where it has no name.
    pub fn route(&self, interface: &str) -> Option<Route> {
        let Self { nic, address, from, vlans, respond, tier, next_hop, .. } = self.clone();
        let is_elsewhere = nic.is_some_and(|nic| !interface.is_empty() && nic != interface);
        let (service, limit) = (respond?, self.limit());
        Some(Route { service, address, from, vlans, tier, next_hop, limit, is_elsewhere })
    }

    fn limit(&self) -> Limit {
        let prefix = self.source_prefix.unwrap_or(SourcePrefix::LONGEST);
        let per_source = self.per_source.map(|per_second| SourceLimit { per_second, prefix });
        Limit { per_second: self.per_second, per_source }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            nic: NicConfig {
                interface: String::new(),
                others: Vec::new(),
                memif: None,
                mac: None,
                queues: Vec::new(),
                mode: ModeChoice::Auto,
                zero_copy: ZeroCopyChoice::Auto,
                wake: Wake::NeedWakeup,
                ring_size: 0,
                arrival_stamps: ArrivalChoice::Auto,
                transmit_stamps: TransmitStamps::None,
            },
            lane: LaneConfig {
                cores: Vec::new(),
                idle: IdleChoice::Spin,
                spin_for_us: 1000,
                keep_warm: None,
                hop_limit: 64,
                errors_per_second: 100,
                partial_checksums: PartialChoice::Auto,
                age_limit: None,
                streams: 0,
            },
            serve: ServeConfig {
                addresses: Vec::new(),
                respond: vec![Service::IcmpEcho],
                vlans: Vlans::UNTAGGED,
                tier: EarliestChoice::Auto,
                next_hop: NextHop::Auto,
                housekeeping_core: None,
                hold: None,
                address_check_ms: 1000,
                admin: AdminChoice::Default,
                admin_token_file: PathBuf::new(),
                admin_tls_cert_file: PathBuf::new(),
                admin_tls_key_file: PathBuf::new(),
            },
            stamp: StampConfig::default(),
            log: LogConfig::default(),
            routes: Vec::new(),
        }
    }
}

impl Config {
    /// Every route in the order in which they are tried, the first that matches taking a packet: those of the file, then what
    /// is answered everywhere. A route has a next hop where it differs from the server's.
    pub fn all_routes(&self) -> Vec<Route> {
        let everywhere = self.serve.respond.iter().copied().map(Route::everywhere);
        let differs = |next_hop: &NextHop| *next_hop != self.serve.next_hop;
        let of_file = self.routes.iter().filter_map(|route| route.route(&self.nic.interface));
        let of_file = of_file.map(|route| Route { next_hop: route.next_hop.filter(differs), ..route });
        of_file.chain(everywhere).collect()
    }

    /// The configurations that the arguments of `serve` and `check` mean, one for each card: the file's, overruled by the options.
    pub fn of_cards(arguments: &ServeArguments) -> Result<PerCard<Self>, Error> {
        let written = match &arguments.config {
            Some(path) => Written::read(path)?,
            None => Written::default(),
        };
        Ok(written.overruled(arguments)?)
    }

    /// The configuration of a file for one card: the only one, or the one of this interface.
    pub fn read(path: &Path, nic: Option<&str>) -> Result<Self, Error> {
        let cards = Written::read(path)?.overruled(&ServeArguments::default())?;
        Ok(cards::of_nic(cards, nic)?)
    }

    /// The configuration of one card that `text` means; `name` is how complaints call it.
    pub fn parse(text: &str, name: &str) -> Result<Self, Wrong> {
        let cards = file::parse(text, name)?.overruled(&ServeArguments::default())?;
        cards::of_nic(cards, None)
    }

    /// Whether the server has other cards as well.
    pub fn is_one_of_several(&self) -> bool {
        !self.nic.others.is_empty()
    }

    /// The setting that has the card's addresses.
    pub fn setting_of_addresses(&self) -> Setting {
        if self.is_one_of_several() { keys::NIC_ADDRESSES } else { keys::ADDRESSES }
    }

    /// The setting that has the cores of its lanes.
    pub fn setting_of_cores(&self) -> Setting {
        if self.is_one_of_several() { keys::NIC_CORES } else { keys::CORES }
    }
}
