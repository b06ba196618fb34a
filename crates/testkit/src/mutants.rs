//! Frames that something happened to, each from a seed of its own: to compare two answerers with each other.
//!
//! Nothing is said of what must become of one. A third are the vectors' questions and right packets as they are; to the
//! others one to three things happen, and then, mostly, their checksums are made right again, so that what happened is
//! judged, and not the damage.

use crate::endpoint::Endpoint;
use crate::packets::Packets;
use crate::random::Random;
use crate::vectors::Vector;

/// No frame here is longer: an MTU of 1500 with three tags, and some bytes too many.
pub const LEN_MAX: usize = 1_530;
/// What is shorter is no frame.
pub const LEN_MIN: usize = 14;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const ARP: u16 = 0x0806;
const VLANS: [u16; 2] = [0x8100, 0x88a8];

const ICMP: u8 = 1;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// An endless supply of frames for one endpoint.
#[derive(Debug)]
pub struct Mutants<'a> {
    endpoint: &'a Endpoint,
    vectors: &'a [Vector],
}

impl<'a> Mutants<'a> {
    /// Frames for this endpoint, many of which these vectors could ask.
    pub fn new(endpoint: &'a Endpoint, vectors: &'a [Vector]) -> Self {
        Self { endpoint, vectors }
    }

    /// The frame of this seed, of [`LEN_MIN`] to [`LEN_MAX`] bytes.
    pub fn of(&self, seed: u64) -> Vec<u8> {
        let mut random = Random::new(seed);
        let mut frame = self.begin(&mut random);
        if random.below(3) > 0 {
            for _ in 0..=random.below(3) {
                self.mutate(&mut frame, &mut random);
            }
            if random.below(4) > 0 {
                mend(&mut frame, &mut random);
            }
        }
        frame.truncate(LEN_MAX);
        frame.resize(frame.len().max(LEN_MIN), 0);
        frame
    }

    /// What it is before anything happens to it.
    fn begin(&self, random: &mut Random) -> Vec<u8> {
        match random.below(16) {
            0 => {
                let size = LEN_MIN + random.below(120);
                random.bytes(size)
            }
            1..5 => Packets::new(self.endpoint, random.next()).valid().question,
            _ => self.question(random),
        }
    }

    /// A vector's question, every vector equally likely.
    fn question(&self, random: &mut Random) -> Vec<u8> {
        let Some(vector) = self.vectors.get(random.below(self.vectors.len())) else { return Vec::new() };
        vector.question_at(random.below(vector.question_count()))
    }

    /// Something happens to it.
    fn mutate(&self, frame: &mut Vec<u8>, random: &mut Random) {
        let (network, len) = (network_of(frame).1, frame.len());
        match random.below(15) {
            0 => change(frame, random.below(len), |byte| byte ^ (1 << (random.next() % 8))),
            1 => {
                let at = random.below(len.min(network + 60));
                let to = random.next().to_le_bytes()[0];
                change(frame, at, |byte| if to & 1 == 0 { to } else { byte ^ (1 << (to >> 5)) });
            }
            2 => write_word(frame, random.below(network + 60), a_word(random, len)),
            3 => frame.truncate(random.below(len + 1)),
            4 => frame.truncate(len.saturating_sub(1 + random.below(8))),
            5 => {
                let size = random.below(40);
                frame.extend(if random.below(2) == 0 { vec![0; size] } else { random.bytes(size) });
            }
            6 => insert(frame, 12, &a_tag(random)),
            7 if network > LEN_MIN && len >= network => drop(frame.drain(12..16)),
            8 => write(frame, 6 * random.below(2), &self.a_mac(random)),
            9 => self.write_address(frame, network, random),
            10 => options(frame, network, random),
            11 => lengths(frame, network, random),
            12 => {
                let at = transport_of(frame, network);
                write(frame, at, &[random.next().to_le_bytes()[0] % 140]);
            }
            13 => {
                let other = self.question(random);
                let at = random.below(frame.len().min(other.len()) + 1);
                frame.truncate(at);
                frame.extend(other.iter().skip(at));
            }
            _ => write_word(frame, network + 6, random.next().to_le_bytes()[0].into()),
        }
    }

    fn a_mac(&self, random: &mut Random) -> [u8; 6] {
        let [a, b, c] = [0, 1, 5].map(|_| random.next().to_le_bytes()[0] % 6);
        let Endpoint { mac, asker, .. } = self.endpoint;
        let known = [*mac, asker.mac, [0xff; 6], [0; 6], [0x33, 0x33, 0xff, 0, 0, a], [b, 0, 0x5e, 0, 0, c]];
        random.one_of(&known)
    }

    /// Another source, target or destination: one of ours, the asker's, or one that nobody can have.
    fn write_address(&self, frame: &mut [u8], network: usize, random: &mut Random) {
        let own: Vec<_> = self.endpoint.addresses.iter().map(|address| address.ip).collect();
        let own = random.one_of(&own);
        let is_ipv4 = network_of(frame).0 != IPV6;
        let bytes = match (own, random.below(6)) {
            (_, 0) if is_ipv4 => {
                random.one_of(&[[0; 4], [255; 4], [127, 0, 0, 1], [224, 0, 0, 1], [10, 0, 0, 255]]).to_vec()
            }
            (_, 0) => random
                .one_of(&[0, 1, 0xff00, 0xff02 << 112 | 1, 0xfe80 << 112 | 9_u128])
                .to_be_bytes()
                .to_vec(),
            (_, 1) if is_ipv4 => self.endpoint.asker.ipv4.octets().to_vec(),
            (_, 1) => self.endpoint.asker.ipv6.octets().to_vec(),
            (std::net::IpAddr::V4(ip), _) => ip.octets().to_vec(),
            (std::net::IpAddr::V6(ip), _) => ip.octets().to_vec(),
        };
        let places: &[usize] = match network_of(frame).0 {
            IPV4 => &[12, 16],
            ARP => &[14, 24],
            _ => &[8, 24, 48],
        };
        write(frame, network + random.one_of(places), &bytes);
    }
}

/// The Ethernet type behind the tags, and where the network header begins.
fn network_of(frame: &[u8]) -> (u16, usize) {
    let mut at = LEN_MIN - 2;
    while VLANS.contains(&word(frame, at)) && at < LEN_MIN + 10 {
        at += 4;
    }
    (word(frame, at), at + 2)
}

fn transport_of(frame: &[u8], network: usize) -> usize {
    match network_of(frame).0 {
        IPV4 => network + usize::from(byte(frame, network) & 0x0f) * 4,
        _ => network + 40,
    }
}

fn byte(frame: &[u8], at: usize) -> u8 {
    frame.get(at).copied().unwrap_or(0)
}

fn word(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([byte(frame, at), byte(frame, at + 1)])
}

/// Writes as much as there is room for.
fn write(frame: &mut [u8], at: usize, bytes: &[u8]) {
    frame.iter_mut().skip(at).zip(bytes).for_each(|(byte, &to)| *byte = to);
}

fn write_word(frame: &mut [u8], at: usize, word: u16) {
    write(frame, at, &word.to_be_bytes());
}

fn add(frame: &mut [u8], at: usize, by: u16) {
    write_word(frame, at, word(frame, at).wrapping_add(by));
}

fn change(frame: &mut [u8], at: usize, change: impl FnOnce(u8) -> u8) {
    if let Some(byte) = frame.get_mut(at) {
        *byte = change(*byte);
    }
}

fn insert(frame: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let at = at.min(frame.len());
    drop(frame.splice(at..at, bytes.iter().copied()));
}

/// A number where something may change its mind: small ones, all ones, and what could be a length.
fn a_word(random: &mut Random, len: usize) -> u16 {
    let near = u16::try_from(len).unwrap_or(u16::MAX).wrapping_sub(random.one_of(&[14, 34, 54, 0]));
    let other = random.next().to_le_bytes()[0].into();
    random.one_of(&[0, 1, 7, 8, 19, 20, 28, 0x7fff, 0x8000, 0xffff, near, near.wrapping_add(1), other])
}

fn a_tag(random: &mut Random) -> [u8; 4] {
    let [low, high, ..] = random.next().to_le_bytes();
    let [first, second] = random.one_of(&[0x8100, 0x88a8, 0x9100_u16]).to_be_bytes();
    [first, second, high, low]
}

/// IPv4 options, or an IPv6 extension header, with the lengths that they need.
fn options(frame: &mut Vec<u8>, network: usize, random: &mut Random) {
    match network_of(frame).0 {
        IPV4 => {
            let words = 1 + random.below(10);
            let option = random.one_of(&[0, 1, 7, 68, 131, 148, 0x88]);
            let bytes = [vec![option, 4], random.bytes(words * 4 - 2)].concat();
            insert(frame, network + 20, &bytes);
            change(frame, network, |byte| byte.wrapping_add(u8::try_from(words).unwrap_or(1)));
            add(frame, network + 2, u16::try_from(bytes.len()).unwrap_or(4));
        }
        IPV6 => {
            let next = byte(frame, network + 6);
            insert(frame, network + 40, &[next, 0, 1, 4, 0, 0, 0, 0]);
            write(frame, network + 6, &[random.one_of(&[0, 43, 44, 50, 51, 60, 135, 139, 140, 253, 59])]);
            add(frame, network + 4, 8);
        }
        _ => {}
    }
}

/// A length that is off by little: the packet's or the datagram's.
fn lengths(frame: &mut [u8], network: usize, random: &mut Random) {
    let transport = transport_of(frame, network);
    let of_packet = if network_of(frame).0 == IPV6 { network + 4 } else { network + 2 };
    let at = random.one_of(&[of_packet, transport + 4]);
    let by = random.one_of(&[1, 2, 7, 8, 9, 20, 0xffff, 0xfffe, 0xfff8, 0xfff7, 0xffec]);
    add(frame, at, by);
}

/// Makes its checksums right, as far as its lengths say what they are about; of UDP's sometimes none, or unfinished.
fn mend(frame: &mut [u8], random: &mut Random) {
    let (ethertype, network) = network_of(frame);
    let transport = transport_of(frame, network);
    let (protocol, addresses, end) = match ethertype {
        IPV4 => {
            write_word(frame, network + 10, 0);
            let sum = sum(frame, network, transport);
            write_word(frame, network + 10, !fold(sum));
            (
                byte(frame, network + 9),
                network + 12..network + 20,
                network + usize::from(word(frame, network + 2)),
            )
        }
        IPV6 => (
            byte(frame, network + 6),
            network + 8..network + 40,
            transport + usize::from(word(frame, network + 4)),
        ),
        _ => return,
    };
    let len = match protocol {
        UDP => usize::from(word(frame, transport + 4)),
        _ => end.saturating_sub(transport),
    };
    let pseudo = sum(frame, addresses.start, addresses.end) + u64::from(protocol) + len as u64;
    let (at, pseudo) = match protocol {
        UDP => (transport + 6, pseudo),
        ICMP => (transport + 2, 0),
        ICMPV6 => (transport + 2, pseudo),
        _ => return,
    };
    write_word(frame, at, 0);
    let right = !fold(sum(frame, transport, transport + len) + pseudo);
    let right = if protocol == UDP && right == 0 { 0xffff } else { right };
    write_word(
        frame,
        at,
        if protocol == UDP { random.one_of(&[right, right, right, right, 0, fold(pseudo)]) } else { right },
    );
}

/// The sum of RFC 1071 over `start..end`, as far as the frame goes.
fn sum(frame: &[u8], start: usize, end: usize) -> u64 {
    let bytes = frame.get(start..end.min(frame.len())).unwrap_or_default();
    bytes.chunks(2).map(|pair| u64::from(word(pair, 0))).sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{endpoint, vectors};

    #[test]
    fn a_seed_gives_the_same_frame_again_and_another_one_another() {
        let (endpoint, vectors) = (endpoint::load().unwrap(), vectors::load().unwrap());
        let mutants = Mutants::new(&endpoint, &vectors);
        let all: Vec<_> = (0..1_000).map(|seed| mutants.of(seed)).collect();
        assert_eq!(all, (0..1_000).map(|seed| mutants.of(seed)).collect::<Vec<_>>());
        assert!(all.iter().all(|frame| (LEN_MIN..=LEN_MAX).contains(&frame.len())));
        let mut distinct = all.clone();
        distinct.sort();
        distinct.dedup();
        assert!(distinct.len() > 950, "{}", distinct.len());
    }

    #[test]
    fn what_is_mended_is_what_another_stack_writes() {
        let endpoint = endpoint::load().unwrap();
        let mut random = Random::new(5);
        for _ in 0..500 {
            let question = Packets::new(&endpoint, random.next()).valid().question;
            let mut mended = question.clone();
            let network = network_of(&mended).1;
            // What a checksum covers, but for the checksums themselves.
            if word(&mended, network - 2) == IPV4 {
                write_word(&mut mended, network + 10, 0xbad);
            }
            mend(&mut mended, &mut random);
            let differing = question.iter().zip(&mended).filter(|(one, other)| one != other).count();
            let protocol =
                byte(&question, network + if word(&question, network - 2) == IPV4 { 9 } else { 6 });
            assert!(differing == 0 || (protocol == UDP && differing <= 2), "{differing}");
        }
    }
}
