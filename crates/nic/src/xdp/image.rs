//! The driver's form of the route table: what `bpf/image.h` reads.
//!
//! ```text
//!   cell   0          1..9     9..137    137..139      139..141    then
//!        ┌────────┬────────┬──────────┬─────────────┬───────────┬────────────────────────────┬───────────────┐
//!        │ header │ VLANs  │ refused  │ refinements │ next hops │ IPv4: displacements, slots │ IPv6: as IPv4 │ …
//!        └────────┴────────┴──────────┴─────────────┴───────────┴────────────────────────────┴───────────────┘
//! ```
//!
//! An image is written whole and never changed, but for the word in which the program notes which gateways it uses. It is found by the same perfect hash as a lane's tables
//! ([`lookup::Lookup`]), so that a question costs the program two loads and one comparison, however many claims there are.
//!
//! A key says what is asked, and of whom, in memory order: what the program would have to shift and swap for each packet
//! is done here, once. In IPv4 all of it fits one word:
//!
//! ```text
//!   63            48 47            32 31                              0
//!  +----------------+----------------+---------------------------------+
//!  |    selector    | any? │  kind   |             address             |
//!  +----------------+----------------+---------------------------------+
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use lookup::{Key, Lookup};

use super::claims::{
    Answers, Claim, ClaimKey, ClaimedAddress, Claims, Owner, PartialChecksums, RefinedKey, Tier,
};
use super::next_hops::{Described, NextHops};
use super::refinements::one_more;
use super::sources;
use super::stamped::ArrivalStamps;

/// A cache line.
pub(super) type Cell = [u8; CELL_SIZE];
pub(super) const CELL_SIZE: usize = 64;

/// Where what has a fixed place stands, and where that ends.
const VLANS_CELL: usize = 1;
const REFUSED_CELL: usize = 9;
const REFINEMENTS_CELL: usize = 137;
pub(super) const NEXT_HOPS_CELL: usize = 139;
const TABLES_CELL: usize = 141;

const _: () = assert!((REFUSED_CELL - VLANS_CELL) * CELL_SIZE == 4096 / 8);
const _: () = assert!((REFINEMENTS_CELL - REFUSED_CELL) * CELL_SIZE == 65536 / 8);
const _: () = assert!((NEXT_HOPS_CELL - REFINEMENTS_CELL) * CELL_SIZE == 128);
const _: () = assert!((TABLES_CELL - NEXT_HOPS_CELL) * CELL_SIZE == size_of::<Described>());

/// `ACCEPTS_PARTIAL`.
const ACCEPTS_PARTIAL: u8 = 1;
/// `STAMPS_ARRIVALS`.
const STAMPS_ARRIVALS: u8 = 2;
/// Where the flags are in the header: behind two tables, the Ethernet address and the hop limit.
const FLAGS_AT: usize = 2 * size_of::<Table>() + 6 + 1;

/// What a packet asks, as `enum kind` counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Arp = 0,
    Icmpv4 = 1,
    Udpv4 = 2,
    Icmpv6 = 3,
    Solicitation = 4,
    Udpv6 = 5,
}

const ARP_REQUEST: u16 = 1;
const SOLICITATION: u16 = 135;
const UDP: u8 = 17;

/// The macros `QUESTION` and `ANY_QUESTION`.
fn question(kind: Kind, selector: u16) -> u64 {
    u64::from(selector.to_be()) << 48 | u64::from(kind as u8 ^ Kind::Udpv4 as u8) << 32
}

fn any_question(kind: Kind) -> u64 {
    question(kind, 0) | 1 << 40
}

/// `struct class`: the tier, or the group that says it; who is on the link; and which address may not ask, for it is the
/// link's broadcast address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class {
    tier: Tier,
    /// How many bits of its address an asker on the link shares with ours; 0 where every answer is reflected.
    link_len: u8,
    /// One more than the group, or than the route, in 22 bits; 0 for none.
    refinement: u32,
    broadcast: u32,
}

impl Class {
    const VACANT: Self = Self { tier: Tier::Kernel, link_len: 0, refinement: 0, broadcast: 0 };

    fn bytes(self) -> [u8; 8] {
        let first = self.tier as u32 | u32::from(self.link_len) << 2 | self.refinement << 10;
        // Two words of 32 bits, as the little-endian machine that the program is compiled for has them.
        (u64::from(self.broadcast) << 32 | u64::from(first)).to_le_bytes()
    }
}

/// Everything that the program knows, as it reads it.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) cells: Vec<Cell>,
    /// How many cells are what is claimed; behind them are the next hops.
    claims_end: usize,
}

impl Image {
    /// The image of what is claimed, with its number in the header, and without a next hop.
    pub(super) fn new(claims: &Claims, generation: u32) -> Self {
        let (ipv4, ipv6) = Entries::of(claims).tables();
        let mut cells = Cells(vec![[0; CELL_SIZE]]);
        cells.add(claims.vlans.bits());
        cells.add(&refused(&claims.answers));
        cells.add(&[0; (TABLES_CELL - REFINEMENTS_CELL) * CELL_SIZE]);
        debug_assert_eq!(cells.0.len(), TABLES_CELL);
        let places = [
            cells.add_table(&ipv4, u64::to_ne_bytes, Class::bytes),
            cells.add_table(&ipv6, sources::words, Class::bytes),
        ];
        let refinements = claims.refinements.add(&mut cells);
        cells.put(REFINEMENTS_CELL, &refinements);
        cells.put(0, &header(claims, places, generation));
        let Cells(cells) = cells;
        Self { claims_end: cells.len(), cells }
    }

    /// The same, and whether the program writes before each frame for a lane when it came.
    pub(super) fn stamping(mut self, arrivals: ArrivalStamps) -> Self {
        let flags = self.cells.first_mut().and_then(|header| header.get_mut(FLAGS_AT));
        if let (Some(flags), ArrivalStamps::Program) = (flags, arrivals) {
            *flags |= STAMPS_ARRIVALS;
        }
        self
    }

    /// The same with these next hops.
    pub(super) fn with(mut self, next_hops: &NextHops) -> Self {
        self.cells.truncate(self.claims_end);
        let mut cells = Cells(self.cells);
        let described = next_hops.add(&mut cells);
        cells.put(NEXT_HOPS_CELL, &described);
        Self { cells: cells.0, ..self }
    }
}

/// An image in the making.
pub(super) struct Cells(Vec<Cell>);

impl Cells {
    /// Adds bytes, and says in which cell they begin.
    fn add(&mut self, bytes: &[u8]) -> u32 {
        let first = self.0.len();
        self.0.extend(cells_of(bytes));
        number(first)
    }

    /// Writes bytes over what is there from this cell on.
    fn put(&mut self, first: usize, bytes: &[u8]) {
        for (cell, content) in self.0.iter_mut().skip(first).zip(cells_of(bytes)) {
            *cell = content;
        }
    }

    /// Adds items of the same size, a whole number of which fits a cell.
    pub(super) fn add_items<T>(&mut self, items: &[T], bytes_of: impl Fn(&T) -> Vec<u8>) -> u32 {
        let bytes: Vec<u8> = items.iter().flat_map(bytes_of).collect();
        self.add(&bytes)
    }

    /// Adds maps of the same size, a whole number of cells each, one behind the other.
    pub(super) fn add_maps(&mut self, maps: &[Vec<u16>]) -> u32 {
        let bytes: Vec<u8> = maps.iter().flatten().flat_map(|entry| entry.to_ne_bytes()).collect();
        self.add(&bytes)
    }

    /// Adds a table's arrays, and says how `struct table` describes it.
    pub(super) fn add_table<K: Key, V: Copy, const N: usize>(
        &mut self,
        table: &Lookup<K, V>,
        key_bytes: impl Fn(K) -> [u8; N],
        value_bytes: impl Fn(V) -> [u8; 8],
    ) -> Table {
        let displacements: Vec<u8> = table.displacements().iter().flat_map(|one| one.to_ne_bytes()).collect();
        let slots: Vec<u8> = table
            .slots()
            .flat_map(|(key, value)| key_bytes(key).into_iter().chain(value_bytes(value)))
            .collect();
        let masks = [number(table.displacements().len() - 1), number(table.slots().len() - 1)];
        let places = [self.add(&displacements), self.add(&slots)];
        let numbers = masks.into_iter().chain(places).flat_map(u32::to_ne_bytes);
        let mut described = Table::default();
        let fields = table.seed().to_ne_bytes().into_iter().chain(numbers);
        described.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        described
    }
}

/// The questions that are claimed, by family. In maps, so that no key is there twice.
#[derive(Default)]
struct Entries {
    ipv4: BTreeMap<u64, Class>,
    ipv6: BTreeMap<[u64; 3], Class>,
}

impl Entries {
    fn of(claims: &Claims) -> Self {
        let mut entries = Self::default();
        for address in &claims.addresses {
            entries.add_address(address);
        }
        let links: BTreeMap<IpAddr, (Option<Ipv4Addr>, u8)> =
            claims.addresses.iter().map(|one| (one.ip, (one.broadcast, one.link_len))).collect();
        let class = |ip, tier, refinement| {
            let (broadcast, link_len) = links.get(&ip).copied().unwrap_or_default();
            Class { tier, link_len, refinement, broadcast: word_of(broadcast) }
        };
        for &Claim { key, tier, route, is_reflected } in &claims.claims {
            let ClaimKey { address, protocol, selector } = key;
            let class = class(address, tier, one_more(route));
            let class = if is_reflected { Class { link_len: 0, ..class } } else { class };
            entries.add(address, protocol, |kind| question(kind, selector), class);
        }
        for &RefinedKey { address, protocol, group } in &claims.refined {
            let class = class(address, Tier::Kernel, group + 1);
            entries.add(address, protocol, any_question, class);
        }
        entries
    }

    /// An address of ours alone: whoever asks where it is, and whoever says that he has it.
    fn add_address(&mut self, &ClaimedAddress { ip, owner, neighbours: tier, .. }: &ClaimedAddress) {
        if owner == Owner::Kernel {
            return;
        }
        let class = Class { tier, link_len: 0, refinement: 0, broadcast: 0 };
        match ip {
            IpAddr::V4(ip) => {
                for question in [question(Kind::Arp, ARP_REQUEST), any_question(Kind::Arp)] {
                    self.ipv4.insert(question | low_word(ip), class);
                }
            }
            IpAddr::V6(ip) => {
                let [high, low] = words(ip.octets());
                self.ipv6.insert([high, low, question(Kind::Solicitation, SOLICITATION)], class);
            }
        }
    }

    fn add(&mut self, ip: IpAddr, protocol: u8, question_of: impl Fn(Kind) -> u64, class: Class) {
        match ip {
            IpAddr::V4(ip) => {
                let kind = if protocol == UDP { Kind::Udpv4 } else { Kind::Icmpv4 };
                self.ipv4.insert(question_of(kind) | low_word(ip), class);
            }
            IpAddr::V6(ip) => {
                let kind = if protocol == UDP { Kind::Udpv6 } else { Kind::Icmpv6 };
                let [high, low] = words(ip.octets());
                self.ipv6.insert([high, low, question_of(kind)], class);
            }
        }
    }

    fn tables(self) -> (Lookup<u64, Class>, Lookup<[u64; 3], Class>) {
        let ipv4: Vec<_> = self.ipv4.into_iter().collect();
        let ipv6: Vec<_> = self.ipv6.into_iter().collect();
        (Lookup::new(&ipv4, Class::VACANT), Lookup::new(&ipv6, Class::VACANT))
    }
}

/// A link's broadcast address in memory order; where it has none, the limited broadcast address, which may never ask.
fn word_of(broadcast: Option<Ipv4Addr>) -> u32 {
    u32::from_ne_bytes(broadcast.unwrap_or(Ipv4Addr::BROADCAST).octets())
}

/// An IPv4 address in memory order, in the lower half of a word.
fn low_word(ip: Ipv4Addr) -> u64 {
    u32::from_ne_bytes(ip.octets()).into()
}

/// An IPv6 address as two words in memory order.
fn words(bytes: [u8; 16]) -> [u64; 2] {
    let (halves, _) = bytes.as_chunks();
    let mut words = [0; 2];
    words.iter_mut().zip(halves).for_each(|(word, half)| *word = u64::from_ne_bytes(*half));
    words
}

/// Bytes, cut into cells; the last one is filled up with zeros.
fn cells_of(bytes: &[u8]) -> impl Iterator<Item = Cell> + '_ {
    bytes.chunks(CELL_SIZE).map(|chunk| {
        let mut cell = [0; CELL_SIZE];
        cell.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        cell
    })
}

/// One bit for each source port, by its bytes in memory order; port 0 has nobody to answer.
fn refused(answers: &Answers) -> Vec<u8> {
    let mut bits = vec![0; 65536 / 8];
    for port in answers.refused_sources.iter().copied().chain([0]) {
        let port = port.to_be();
        if let Some(byte) = bits.get_mut(usize::from(port / 8)) {
            *byte |= 1 << (port % 8);
        }
    }
    bits
}

/// `struct table`: seed, two masks, two first cells.
pub(super) type Table = [u8; 24];

#[expect(
    clippy::cast_possible_truncation,
    reason = "a route table compiles to less than 2^32 cells of 64 bytes"
)]
fn number(count: usize) -> u32 {
    count as u32
}

/// `struct header`.
fn header(claims: &Claims, [ipv4, ipv6]: [Table; 2], generation: u32) -> Cell {
    let flags = match claims.answers.partial_checksums {
        PartialChecksums::Accept => ACCEPTS_PARTIAL,
        PartialChecksums::Refuse => 0,
    };
    let fields = ipv4.into_iter().chain(ipv6).chain(claims.mac);
    let fields = fields.chain([claims.answers.hop_limit, flags]).chain(generation.to_ne_bytes());
    let mut cell = [0; CELL_SIZE];
    cell.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    cell
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xdp::Vlans;

    fn claims() -> Claims {
        let key = |address: &str, protocol, selector| ClaimKey {
            address: address.parse().unwrap(),
            protocol,
            selector,
        };
        let claim = |key, tier, is_reflected| Claim { key, tier, route: 5, is_reflected };
        Claims {
            mac: [2, 0, 0, 0, 0, 1],
            vlans: Vlans::UNTAGGED.with(9).unwrap().with(4094).unwrap(),
            addresses: vec![
                ClaimedAddress::new("192.0.2.1".parse().unwrap(), Owner::Barelane),
                ClaimedAddress::new("2001:db8::1".parse().unwrap(), Owner::Kernel),
            ],
            claims: vec![
                claim(key("192.0.2.1", 17, 0x1234), Tier::Driver, false),
                claim(key("2001:db8::1", 58, 128), Tier::Lane, true),
            ],
            answers: Answers { hop_limit: 64, refused_sources: vec![0x1234], ..Answers::default() },
            ..Claims::default()
        }
    }

    #[test]
    fn what_has_a_fixed_place_stands_where_the_program_reads_it() {
        let Image { cells, .. } = Image::new(&claims(), 7);
        let header = cells[0];
        assert_eq!(header[48..], [2, 0, 0, 0, 0, 1, 64, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(cells[VLANS_CELL][..2], [1, 1 << 1], "VID 0, which is no VLAN, and VID 9");
        assert_eq!(cells[VLANS_CELL + 7][63], 1 << 6, "VID 4094");
        // 0x1234 lies in memory as 0x3412: bit 2 of byte 0x682, which is byte 2 of cell 26.
        assert_eq!(cells[REFUSED_CELL + 26][2], 1 << 2);
        assert_eq!(cells[REFUSED_CELL][0], 1, "port 0");
    }

    #[test]
    fn a_key_has_its_fields_where_the_program_reads_them() {
        let entries = Entries::of(&claims());
        let keys: Vec<_> = entries.ipv4.keys().map(|key| key.to_ne_bytes()).collect();
        let arp_request = [192, 0, 2, 1, 2, 0, 0, 1];
        let any_arp = [192, 0, 2, 1, 2, 1, 0, 0];
        let udp = [192, 0, 2, 1, 0, 0, 0x12, 0x34];
        for key in [arp_request, any_arp, udp] {
            assert!(keys.contains(&key), "{key:?} in {keys:?}");
        }
        assert_eq!(keys.len(), 3);
        let classes: Vec<_> = entries.ipv4.values().map(|class| class.bytes()).collect();
        assert!(classes.contains(&[0, 6 << 2, 0, 0, 255, 255, 255, 255]), "route 5, one more: {classes:?}");
        let [key] = entries.ipv6.keys().collect::<Vec<_>>()[..] else { panic!("one key") };
        assert_eq!(sources::words(*key)[..8], [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0]);
        assert_eq!(sources::words(*key)[16..], [0, 0, 0, 0, 1, 0, 0, 128], "kind 3 xor 2, type 128");
    }

    #[test]
    fn a_claim_that_is_reflected_is_of_a_link_with_everybody_on_it() {
        let mut claims = claims();
        claims.addresses.iter_mut().for_each(|address| address.link_len = 24);
        let link_lens = |claims: &Claims| {
            let Entries { ipv4, ipv6 } = Entries::of(claims);
            let [udp, echo] = [question(Kind::Udpv4, 0x1234), question(Kind::Icmpv6, 128)];
            let of_echo =
                ipv6.iter().find(|([.., asked], _)| *asked == echo).map(|(_, class)| class.link_len);
            [ipv4.iter().find(|(key, _)| *key >> 32 == udp >> 32).map(|(_, class)| class.link_len), of_echo]
        };
        assert_eq!(link_lens(&claims), [Some(24), Some(0)]);
        claims.claims.iter_mut().for_each(|claim| claim.is_reflected = !claim.is_reflected);
        assert_eq!(link_lens(&claims), [Some(0), Some(24)]);
    }

    #[test]
    fn the_header_says_whether_arrivals_are_stamped_and_nothing_else_changes() {
        let plain = Image::new(&claims(), 7);
        let without = plain.clone().stamping(ArrivalStamps::None);
        let mut with = plain.clone().stamping(ArrivalStamps::Program);
        assert_eq!(without.cells, plain.cells);
        assert_eq!(with.cells[0][FLAGS_AT] ^ plain.cells[0][FLAGS_AT], STAMPS_ARRIVALS);
        with.cells[0][FLAGS_AT] ^= STAMPS_ARRIVALS;
        assert_eq!(with.cells, plain.cells);
    }

    #[test]
    fn the_constants_are_those_of_the_source() {
        let source = include_str!("../../bpf/image.h");
        for text in [
            format!("CELL_SIZE = {CELL_SIZE}, VLANS_CELL = {VLANS_CELL}, REFUSED_CELL = {REFUSED_CELL}"),
            format!("REFINEMENTS_CELL = {REFINEMENTS_CELL}, NEXT_HOPS_CELL = {NEXT_HOPS_CELL}"),
            format!("ACCEPTS_PARTIAL = {ACCEPTS_PARTIAL}, STAMPS_ARRIVALS = {STAMPS_ARRIVALS}"),
            "enum tier { T_DRIVER, T_LANE, T_KERNEL, T_NOBODY }".to_owned(),
            "enum kind { K_ARP, K_ICMPV4, K_UDPV4, K_ICMPV6, K_SOLICITATION, K_UDPV6 }".to_owned(),
        ] {
            assert!(source.contains(&text), "{text}");
        }
    }
}
