//! A capture that says more of each packet than its bytes: pcapng, written by the crate that reads captures here.
//!
//! ```text
//!   section ─ interface, interface … ─ packet, packet … ─ statistics, statistics …
//!             one for each lane        with a comment,    what was seen, and what was
//!                                      and its direction  dropped for want of room
//! ```
//!
//! Stamps are nanoseconds since 1970. Whatever ends the writing between two blocks leaves a file that can be read.

use std::borrow::Cow;
use std::io::{self, Write};

use pcap_parser::{
    EnhancedPacketBlock, InterfaceDescriptionBlock, InterfaceStatisticsBlock, Linktype, OptionCode,
    PcapNGOption, SectionHeaderBlock, ToVec,
};

use crate::pcap::CaptureError;

/// `if_tsresol`: stamps count 10^-9 seconds.
const NANOSECONDS: u8 = 9;

/// `epb_flags`, which the crate has no name for.
const FLAGS: OptionCode = OptionCode(2);

/// The length of a section that is not known beforehand.
const LENGTH_UNKNOWN: i64 = -1;

/// Which way a packet went (`epb_flags`, bits 0 and 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It came in.
    Inbound = 1,
    /// It went out.
    Outbound = 2,
}

/// Where packets were seen.
#[derive(Clone, Debug)]
pub struct Interface<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is, for a person.
    pub description: &'a str,
    /// Which packets were wanted, in the words that were asked with; empty for all.
    pub filter: &'a str,
    /// The most bytes that are kept of a packet.
    pub snaplen: u32,
}

/// One packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The interface, as [`Writer::interface`] has numbered it.
    pub interface: u32,
    /// When, since 1970, UTC.
    pub unix_ns: u64,
    /// Which way it went.
    pub direction: Direction,
    /// How many bytes it had.
    pub len: u32,
    /// Those of them that were kept.
    pub bytes: &'a [u8],
    /// What is known of it.
    pub comment: &'a str,
}

/// What was counted on an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// When the capture began, since 1970, UTC.
    pub began_unix_ns: u64,
    /// And when it ended.
    pub ended_unix_ns: u64,
    /// What was seen there (`isb_ifrecv`).
    pub seen: u64,
    /// What of that the filter takes (`isb_filteraccept`).
    pub matched: u64,
    /// What was dropped for want of room (`isb_ifdrop`).
    pub dropped: u64,
    /// What stands in the file (`isb_usrdeliv`).
    pub written: u64,
}

/// A capture that is being written. Each call writes one block, whole.
#[derive(Debug)]
pub struct Writer<W: Write> {
    file: W,
    interface_count: u32,
}

impl<W: Write> Writer<W> {
    /// Begins a capture. `application` is who writes it.
    pub fn new(file: W, application: &str) -> Result<Self, CaptureError> {
        let mut writer = Self { file, interface_count: 0 };
        writer.put(&mut SectionHeaderBlock {
            block_type: 0,
            block_len1: 0,
            bom: 0,
            major_version: 1,
            minor_version: 0,
            section_len: LENGTH_UNKNOWN,
            options: vec![text(OptionCode::ShbUserAppl, application)],
            block_len2: 0,
        })?;
        Ok(writer)
    }

    /// Adds an interface, and gives its number. All must stand before the first packet.
    pub fn interface(&mut self, interface: &Interface<'_>) -> Result<u32, CaptureError> {
        let mut options = vec![
            text(OptionCode::IfName, interface.name),
            text(OptionCode::IfDescription, interface.description),
        ];
        if !interface.filter.is_empty() {
            // The first byte says that a text of libpcap's language follows.
            options.push(option(OptionCode::IfFilter, [&[0], interface.filter.as_bytes()].concat()));
        }
        options.push(option(OptionCode::IfTsresol, vec![NANOSECONDS]));
        self.put(&mut InterfaceDescriptionBlock {
            block_type: 0,
            block_len1: 0,
            linktype: Linktype::ETHERNET,
            reserved: 0,
            snaplen: interface.snaplen,
            options,
            block_len2: 0,
            if_tsresol: NANOSECONDS,
            if_tsoffset: 0,
        })?;
        self.interface_count += 1;
        Ok(self.interface_count - 1)
    }

    /// Appends a packet.
    pub fn packet(&mut self, packet: &Packet<'_>) -> Result<(), CaptureError> {
        let [ts_high, ts_low] = halves(packet.unix_ns);
        let caplen = u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX);
        self.put(&mut EnhancedPacketBlock {
            block_type: 0,
            block_len1: 0,
            if_id: packet.interface,
            ts_high,
            ts_low,
            caplen,
            origlen: packet.len,
            data: packet.bytes,
            options: vec![
                option(FLAGS, (packet.direction as u32).to_le_bytes().to_vec()),
                text(OptionCode::Comment, packet.comment),
            ],
            block_len2: 0,
        })
    }

    /// Appends what was counted on an interface.
    pub fn statistics(&mut self, interface: u32, counted: &Statistics) -> Result<(), CaptureError> {
        let [ts_high, ts_low] = halves(counted.ended_unix_ns);
        let stamps = [
            (OptionCode::IsbStartTime, counted.began_unix_ns),
            (OptionCode::IsbEndTime, counted.ended_unix_ns),
        ];
        let stamps = stamps.map(|(code, unix_ns)| {
            option(code, halves(unix_ns).map(u32::to_le_bytes).as_flattened().to_vec())
        });
        let counts = [
            (OptionCode::IsbIfRecv, counted.seen),
            (OptionCode::IsbIfDrop, counted.dropped),
            (OptionCode::IsbFilterAccept, counted.matched),
            (OptionCode::IsbUsrDeliv, counted.written),
        ];
        let counts = counts.map(|(code, count)| option(code, count.to_le_bytes().to_vec()));
        self.put(&mut InterfaceStatisticsBlock {
            block_type: 0,
            block_len1: 0,
            if_id: interface,
            ts_high,
            ts_low,
            options: stamps.into_iter().chain(counts).collect(),
            block_len2: 0,
        })
    }

    /// Writes out what is still buffered.
    pub fn flush(&mut self) -> Result<(), CaptureError> {
        Ok(self.file.flush()?)
    }

    fn put(&mut self, block: &mut impl ToVec) -> Result<(), CaptureError> {
        let bytes = block.to_vec().map_err(|error| CaptureError::Io(io::Error::other(error.to_string())))?;
        Ok(self.file.write_all(&bytes)?)
    }
}

/// A stamp as its high and its low word.
#[expect(clippy::cast_possible_truncation, reason = "the two halves of a word")]
const fn halves(unix_ns: u64) -> [u32; 2] {
    [(unix_ns >> 32) as u32, unix_ns as u32]
}

/// An option that is a text, cut where its length has no more bits.
fn text(code: OptionCode, text: &str) -> PcapNGOption<'static> {
    let end = text.floor_char_boundary(usize::from(u16::MAX));
    option(code, text.get(..end).unwrap_or_default().as_bytes().to_vec())
}

fn option(code: OptionCode, value: Vec<u8>) -> PcapNGOption<'static> {
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    PcapNGOption { code, len, value: Cow::Owned(value) }
}

#[cfg(test)]
mod tests {
    use pcap_parser::pcapng::Block;
    use pcap_parser::traits::PcapReaderIterator;
    use pcap_parser::{PcapBlockOwned, PcapError, PcapNGReader};

    use super::*;
    use crate::pcap::{Reader, Stamp};

    const BEGAN: u64 = 1_700_000_000_123_456_789;

    fn packet(bytes: &[u8], unix_ns: u64, direction: Direction) -> Packet<'_> {
        Packet { interface: 0, unix_ns, direction, len: 1514, bytes, comment: "reply replied_udp" }
    }

    /// Two packets of which one has a length that needs padding, and the statistics.
    fn capture() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), "barelane").unwrap();
        let interface =
            Interface { name: "lane0 queue 0", description: "a lane", filter: "udp port 7", snaplen: 65 };
        assert_eq!(writer.interface(&interface).unwrap(), 0);
        assert_eq!(writer.interface(&Interface { filter: "", ..interface }).unwrap(), 1);
        writer.packet(&packet(&[1; 61], BEGAN, Direction::Inbound)).unwrap();
        writer.packet(&packet(&[2; 64], BEGAN + 1, Direction::Outbound)).unwrap();
        let counted = Statistics {
            began_unix_ns: BEGAN,
            ended_unix_ns: BEGAN + 9,
            seen: 5,
            matched: 4,
            dropped: 3,
            written: 2,
        };
        writer.statistics(1, &counted).unwrap();
        writer.file
    }

    /// What a block says, by a reader that takes nothing for granted.
    fn described(block: &PcapBlockOwned<'_>) -> String {
        match block {
            PcapBlockOwned::NG(Block::SectionHeader(section)) => {
                format!("section by {}", section.shb_userappl().unwrap().unwrap())
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => format!(
                "interface {} of 10^-{} s, snaplen {}, filter {:?}",
                interface.if_name().unwrap().unwrap(),
                interface.if_tsresol,
                interface.snaplen,
                interface.if_filter().map(|filter| filter.unwrap().to_owned()),
            ),
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let of = |code| packet.options.iter().find(|option| option.code == code).unwrap();
                let comment = of(OptionCode::Comment).as_str().unwrap();
                format!(
                    "{} of {}: {comment}, {:?}",
                    packet.caplen,
                    packet.origlen,
                    of(FLAGS).as_bytes().unwrap()
                )
            }
            PcapBlockOwned::NG(Block::InterfaceStatistics(counted)) => format!(
                "statistics of {}: {:?} {:?} {:?} {:?}",
                counted.if_id,
                counted.isb_ifrecv().unwrap().unwrap(),
                counted.isb_filteraccept().unwrap().unwrap(),
                counted.isb_ifdrop().unwrap().unwrap(),
                counted.isb_usrdeliv().unwrap().unwrap(),
            ),
            _ => "another block".to_owned(),
        }
    }

    #[test]
    fn what_is_written_is_read_again_by_its_blocks() {
        let file = capture();
        let mut reader = PcapNGReader::new(1 << 16, file.as_slice()).unwrap();
        let mut read = Vec::new();
        loop {
            match reader.next() {
                Ok((size, block)) => {
                    read.push(described(&block));
                    reader.consume(size);
                }
                Err(PcapError::Eof) => break,
                Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
                Err(error) => panic!("{error:?}"),
            }
        }
        let filter = "\0udp port 7".to_owned();
        assert_eq!(
            read,
            [
                "section by barelane".to_owned(),
                format!("interface lane0 queue 0 of 10^-9 s, snaplen 65, filter {:?}", Some(filter)),
                "interface lane0 queue 0 of 10^-9 s, snaplen 65, filter None".to_owned(),
                "61 of 1514: reply replied_udp, [1, 0, 0, 0]".to_owned(),
                "64 of 1514: reply replied_udp, [2, 0, 0, 0]".to_owned(),
                "statistics of 1: 5 4 3 2".to_owned(),
            ]
        );
    }

    #[test]
    fn what_replays_captures_reads_its_packets_and_their_stamps() {
        let file = capture();
        let mut reader = Reader::new(file.as_slice()).unwrap();
        for (nanoseconds, bytes) in [(123_456_789, vec![1; 61]), (123_456_790, vec![2; 64])] {
            let stamp = Stamp { seconds: 1_700_000_000, nanoseconds };
            let read = reader.next(|stamp, bytes| (stamp, bytes.to_vec())).unwrap();
            assert_eq!(read, Some((stamp, bytes)));
        }
        assert_eq!(reader.next(|_, _| ()).unwrap(), None);
    }

    #[test]
    fn a_text_of_any_length_is_cut_between_two_letters() {
        let long = text(OptionCode::Comment, &"é".repeat(40_000));
        assert_eq!((usize::from(long.len), long.value.len()), (65_534, 65_534));
    }
}
