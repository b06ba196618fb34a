//! What a driver counts itself, by names of its own: `ethtool -S`.
//!
//! The kernel tells neither what a number means nor whether it only grows; it is the driver's word. How many there are depends on
//! the driver and on its queues, and may change while somebody looks. So names are asked for first, and again whenever
//! their number has changed; numbers are paired with the names that they came with, never with older ones.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::request::Room;
use crate::HostError;

/// The most numbers that are read of a card. A card with a hundred queues has some thousands; beyond this the driver's
/// word of how many there are is not believed. Locked memory: 32 bytes each, of those that there are.
pub const STATISTICS_MAX: usize = 32_768;

// Commands and structures of `include/uapi/linux/ethtool.h`.
const SET_INFO: u32 = 0x37;
const STRINGS: u32 = 0x1b;
const STATISTICS: u32 = 0x1d;
/// `ETH_SS_STATS`, the set of names that is asked for.
const SET: u32 = 1;
/// `ETH_GSTRING_LEN`: the room of a name, with a zero behind it where that fits.
const NAME_SIZE: usize = 32;
/// Where the names begin in their answer, and the numbers in theirs.
const NAMES_AT: usize = 12;
const NUMBERS_AT: usize = 8;

/// Two looks at how many there are, and still another number in the answer: the driver changes just now.
const TRIES_MAX: usize = 3;

/// The numbers that one interface's driver counts, as they were when they were last read.
#[derive(Debug)]
pub struct Statistics {
    socket: OwnedFd,
    room: Room,
    names: Vec<String>,
    numbers: Vec<u64>,
}

impl Statistics {
    /// Those of the interface of this name, in the network namespace of the calling thread; `None` where its driver has none.
    pub fn open(name: &str) -> Result<Option<Self>, HostError> {
        let refused = |errno| HostError::refused(asked(name), errno);
        let (family, kind) = (AddressFamily::INET, SocketType::DGRAM);
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).map_err(refused)?;
        let room = Room::of(0).map_err(refused)?;
        let mut statistics = Self { socket, room, names: Vec::new(), numbers: Vec::new() };
        match statistics.read(name) {
            Ok(()) if statistics.names.is_empty() => Ok(None),
            Ok(()) => Ok(Some(statistics)),
            Err(error) if error.errno() == Some(Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads them anew. Where this fails, they stay as they were.
    pub fn read(&mut self, name: &str) -> Result<(), HostError> {
        self.read_all(name).map_err(|errno| HostError::refused(asked(name), errno))
    }

    /// Each name with its number, in the driver's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> + Clone {
        self.names.iter().map(String::as_str).zip(self.numbers.iter().copied())
    }

    /// The numbers by their names; of names that a driver has given twice, the first one's.
    pub fn by_name(&self) -> BTreeMap<&str, u64> {
        self.iter().collect::<Vec<_>>().into_iter().rev().collect()
    }

    fn read_all(&mut self, name: &str) -> Result<(), Errno> {
        for _ in 0..TRIES_MAX {
            let count = self.count(name)?;
            if count != self.names.len() {
                self.read_names(name, count)?;
            }
            if self.read_numbers(name)? {
                return Ok(());
            }
            // Others than were counted on: their names are others, too.
            self.names.clear();
        }
        Err(Errno::AGAIN)
    }

    /// How many there are now; the driver may have another mind at the next call.
    fn count(&mut self, name: &str) -> Result<usize, Errno> {
        let mask = 1_u64 << SET;
        let question = [&words(&[SET_INFO, 0])[..], &mask.to_ne_bytes()].concat();
        let answer = self.room.ask(&self.socket, name, &question)?;
        // One word of 64 bits, and then as many numbers as it has bits.
        let (mask, count) = (word_at(answer, 8) | word_at(answer, 12), word_at(answer, 16));
        if mask == 0 {
            return Ok(0);
        }
        Some(count as usize).filter(|count| *count <= STATISTICS_MAX).ok_or(Errno::TOOBIG)
    }

    fn read_names(&mut self, name: &str, count: usize) -> Result<(), Errno> {
        self.make_room(NAMES_AT + count * NAME_SIZE)?;
        let answer = self.room.ask(&self.socket, name, &words(&[STRINGS, SET, 0]))?;
        let told = (word_at(answer, 8) as usize).min(count);
        let letters = answer.get(NAMES_AT..).unwrap_or_default();
        self.names = letters.chunks_exact(NAME_SIZE).take(told).map(text).collect();
        Ok(())
    }

    /// Reads as many numbers as there are names; whether there are so many.
    fn read_numbers(&mut self, name: &str) -> Result<bool, Errno> {
        let expected = self.names.len();
        self.make_room(NUMBERS_AT + expected * size_of::<u64>())?;
        let Ok(count) = u32::try_from(expected) else { return Err(Errno::TOOBIG) };
        let answer = self.room.ask(&self.socket, name, &words(&[STATISTICS, count]))?;
        let is_whole = word_at(answer, 4) == count;
        if is_whole {
            let (numbers, _) = answer.get(NUMBERS_AT..).unwrap_or_default().as_chunks();
            self.numbers.clear();
            self.numbers.extend(numbers.iter().take(expected).map(|number| u64::from_ne_bytes(*number)));
        }
        Ok(is_whole)
    }

    /// Takes a larger room where this one is too small: once, as long as the driver has no more to tell.
    fn make_room(&mut self, size: usize) -> Result<(), Errno> {
        if self.room.size() < size {
            self.room = Room::of(size)?;
        }
        Ok(())
    }
}

/// Which queue a driver's name is about, where it says so in one of the ways that drivers have: `rx_queue_0_drops` (veth, virtio, Intel),
/// `rx0_packets` and `ch0_poll` (Mellanox), `queue_0_tx_cnt` (ENA), `rx-0.packets`, `[0]: rx_discards` (Broadcom), `rx_bytes[0]` (gVNIC).
pub fn queue_of(name: &str) -> Option<u32> {
    let behind = |word: &str| name.split(word).nth(1);
    let begun = ["rx", "tx", "ch"].into_iter().find_map(|word| name.strip_prefix(word));
    let begun = begun.map(|rest| rest.strip_prefix('-').unwrap_or(rest));
    [behind("queue_"), behind("["), begun].into_iter().flatten().find_map(leading_number)
}

/// The number that a text begins with, where that is all of a word.
fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let is_word =
        text.get(end..).is_none_or(|rest| !rest.starts_with(|letter: char| letter.is_alphanumeric()));
    text.get(..end).filter(|_| is_word)?.parse().ok()
}

fn asked(name: &str) -> String {
    format!("read what the driver of `{name}` counts")
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn word_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_ne_bytes(*word))
}

/// A name without what fills it up.
fn text(letters: &[u8]) -> String {
    let end = letters.iter().position(|letter| *letter == 0).unwrap_or(letters.len());
    String::from_utf8_lossy(letters.get(..end).unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_read_out_of_the_names_that_drivers_give() {
        for (name, queue) in [
            ("rx_queue_0_drops", Some(0)),
            ("tx_queue_12_xdp_xmit_errors", Some(12)),
            ("rx3_packets", Some(3)),
            ("rx-7.rx_packets", Some(7)),
            ("ch10_poll", Some(10)),
            ("queue_2_tx_cnt", Some(2)),
            ("[4]: rx_discards", Some(4)),
            ("rx_drops[5]", Some(5)),
            ("peer_ifindex", None),
            ("rx_64_bytes", None),
            ("rx_1024_to_1522_byte_packets", None),
            ("rx_dropped", None),
            ("tx_queue_stopped", None),
            ("rx_queue_0x_drops", None),
            ("rx99999999999_packets", None),
            ("", None),
        ] {
            assert_eq!(queue_of(name), queue, "{name}");
        }
    }
}
