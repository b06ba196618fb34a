//! A capture as a card: questions come from a file, answers go to another, no NIC and no privileges.
//!
//! Reads pcap and pcapng (by the `pcap-parser` crate) of link type Ethernet; writes pcap with nanosecond stamps. An
//! answer carries the stamp of its question: nothing here measures time.

use std::io::{self, Read, Write};

use pcap_parser::pcapng::Block;
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Linktype, PcapBlockOwned, PcapError, create_reader};
use thiserror::Error;

use crate::queue::{BURST_MAX, Burst, FRAME_LEN_MIN, Frame, Queue};

/// Bytes of one buffer: the longest packet that a capture holds (the usual snap length of 262,144 is for other link
/// types; an Ethernet frame, jumbo or coalesced, stays below 64 KiB), and room for an answer.
const BUFFER_SIZE: usize = 1 << 16;

/// Bytes of the file that are looked at together: some blocks, the largest included.
const READ_SIZE: usize = 1 << 20;

/// Why a capture cannot be read or written.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// Not a capture.
    #[error("not a capture: neither pcap nor pcapng")]
    NotACapture,
    /// Another link than Ethernet.
    #[error("link type {0} is not Ethernet (1): capture on an Ethernet interface")]
    LinkType(i32),
    /// The file ends inside a packet, or its blocks contradict each other.
    #[error("the capture is damaged after packet {0}")]
    Damaged(u64),
    /// A packet larger than any Ethernet frame.
    #[error("packet {number} has {size} bytes: the most that is read is {BUFFER_SIZE}")]
    TooLarge {
        /// Its number, from 1.
        number: u64,
        /// Its size.
        size: usize,
    },
    /// The operating system said no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// When a packet was captured, since 1970 in the capture's own clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Whole seconds.
    pub seconds: u32,
    /// And nanoseconds.
    pub nanoseconds: u32,
}

/// The packets of a capture, one after the other.
pub struct Reader<'file> {
    blocks: Box<dyn PcapReaderIterator + Send + 'file>,
    clocks: Clocks,
    count: u64,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Reader").field("count", &self.count).finish_non_exhaustive()
    }
}

impl<'file> Reader<'file> {
    /// Begins to read; the first block says what kind of capture it is.
    pub fn new(file: impl Read + Send + 'file) -> Result<Self, CaptureError> {
        let blocks = create_reader(READ_SIZE, file).map_err(|error| match error {
            PcapError::ReadError => CaptureError::Io(io::ErrorKind::Other.into()),
            _ => CaptureError::NotACapture,
        })?;
        Ok(Self { blocks, clocks: Clocks::default(), count: 0 })
    }

    /// Gives the next packet to `take`; `None` at the end of the capture.
    pub fn next<T>(&mut self, take: impl FnOnce(Stamp, &[u8]) -> T) -> Result<Option<T>, CaptureError> {
        loop {
            let is_exhausted = self.blocks.reader_exhausted();
            let (size, block) = match self.blocks.next() {
                Ok(found) => found,
                Err(PcapError::Eof) => return Ok(None),
                Err(PcapError::Incomplete(_)) if !is_exhausted => {
                    self.blocks.refill().map_err(|_| CaptureError::Damaged(self.count))?;
                    continue;
                }
                Err(_) => return Err(CaptureError::Damaged(self.count)),
            };
            if let Some((stamp, bytes)) = self.clocks.packet(&block)? {
                self.count += 1;
                if bytes.len() > BUFFER_SIZE {
                    return Err(CaptureError::TooLarge { number: self.count, size: bytes.len() });
                }
                let taken = take(stamp, bytes);
                drop(block);
                self.blocks.consume(size);
                return Ok(Some(taken));
            }
            drop(block);
            self.blocks.consume(size);
        }
    }
}

/// The units of a capture's stamps, as the blocks read so far declare them.
#[derive(Debug, Default)]
struct Clocks {
    is_in_nanoseconds: bool,
    resolutions: Vec<u64>,
}

impl Clocks {
    /// The packet of a block, if it has one; else what the block declares is noted.
    fn packet<'block>(
        &mut self,
        block: &'block PcapBlockOwned<'_>,
    ) -> Result<Option<(Stamp, &'block [u8])>, CaptureError> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                check_link(header.network)?;
                self.is_in_nanoseconds = header.is_nanosecond_precision();
            }
            PcapBlockOwned::Legacy(packet) => {
                let nanoseconds =
                    packet.ts_usec.saturating_mul(if self.is_in_nanoseconds { 1 } else { 1000 });
                let bytes = packet.data.get(..packet.caplen as usize).unwrap_or(packet.data);
                return Ok(Some((Stamp { seconds: packet.ts_sec, nanoseconds }, bytes)));
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => self.resolutions.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                check_link(interface.linktype)?;
                self.resolutions.push(interface.ts_resolution().unwrap_or(MICROSECONDS).max(1));
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let resolution = self.resolutions.get(packet.if_id as usize).copied().unwrap_or(MICROSECONDS);
                let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                return Ok(Some((stamp_of(ticks, resolution), packet.packet_data())));
            }
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                return Ok(Some((Stamp::default(), packet.packet_data())));
            }
            PcapBlockOwned::NG(_) => {}
        }
        Ok(None)
    }
}

/// What a pcapng stamp counts where nothing else is declared.
const MICROSECONDS: u64 = 1_000_000;

fn check_link(link: Linktype) -> Result<(), CaptureError> {
    if link == Linktype::ETHERNET { Ok(()) } else { Err(CaptureError::LinkType(link.0)) }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "pcap has 32 bits of seconds; nanoseconds stay below 10^9"
)]
fn stamp_of(ticks: u64, resolution: u64) -> Stamp {
    let nanoseconds = u128::from(ticks % resolution) * 1_000_000_000 / u128::from(resolution);
    Stamp { seconds: (ticks / resolution) as u32, nanoseconds: nanoseconds as u32 }
}

/// A capture that is being written: pcap, nanosecond stamps, the machine's own byte order.
#[derive(Debug)]
pub struct Writer<W: Write> {
    file: W,
}

impl<W: Write> Writer<W> {
    /// Begins a capture of Ethernet frames.
    pub fn new(mut file: W) -> Result<Self, CaptureError> {
        for (half, word) in [(4, 0xa1b2_3c4d_u32), (2, 2), (2, 4), (4, 0), (4, 0), (4, 262_144), (4, 1)] {
            let bytes = word.to_le_bytes();
            file.write_all(bytes.get(..half).unwrap_or(&bytes))?;
        }
        Ok(Self { file })
    }

    /// Appends one whole frame.
    pub fn put(&mut self, stamp: Stamp, frame: &[u8]) -> Result<(), CaptureError> {
        let size = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        for word in [stamp.seconds, stamp.nanoseconds, size, size] {
            self.file.write_all(&word.to_le_bytes())?;
        }
        Ok(self.file.write_all(frame)?)
    }

    /// Writes out what is still buffered.
    pub fn finish(mut self) -> Result<W, CaptureError> {
        self.file.flush()?;
        Ok(self.file)
    }
}

/// The card: a burst of packets at a time from the reader, answers into the writer.
#[derive(Debug)]
pub struct Card<'file, W: Write> {
    reader: Reader<'file>,
    writer: Option<Writer<W>>,
    memory: Box<[u8]>,
    stamps: [Stamp; BURST_MAX],
    waiting: std::collections::VecDeque<Frame>,
    error: Option<CaptureError>,
}

impl<'file, W: Write> Card<'file, W> {
    /// A card that receives what `reader` holds and sends into `writer`, if there is one.
    pub fn new(reader: Reader<'file>, writer: Option<Writer<W>>) -> Self {
        Self {
            reader,
            writer,
            memory: vec![0; BUFFER_SIZE * BURST_MAX].into_boxed_slice(),
            stamps: [Stamp::default(); BURST_MAX],
            waiting: std::collections::VecDeque::with_capacity(BURST_MAX),
            error: None,
        }
    }

    /// Ends the capture that was written, and says what went wrong on the way.
    pub fn finish(self) -> Result<(), CaptureError> {
        match (self.error, self.writer) {
            (Some(error), _) => Err(error),
            (None, Some(writer)) => writer.finish().map(drop),
            (None, None) => Ok(()),
        }
    }

    fn load(&mut self, index: usize) -> Result<bool, CaptureError> {
        let start = index * BUFFER_SIZE;
        let buffer = self.memory.get_mut(start..start + BUFFER_SIZE).unwrap_or_default();
        let found = self.reader.next(|stamp, bytes| {
            for (to, from) in buffer.iter_mut().zip(bytes) {
                *to = *from;
            }
            (stamp, bytes.len())
        })?;
        let Some((stamp, len)) = found else { return Ok(false) };
        if let Some(slot) = self.stamps.get_mut(index) {
            *slot = stamp;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 64 buffers of 64 KiB")]
        self.waiting.push_back(Frame::new(start as u32, len as u32));
        Ok(true)
    }
}

impl<W: Write> Queue for Card<'_, W> {
    /// Loads the next burst. A capture that cannot be read further ends here; [`Card::finish`] says why.
    fn rx(&mut self) -> Burst {
        for index in 0..BURST_MAX {
            match self.load(index) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.error.get_or_insert(error);
                    break;
                }
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most BURST_MAX")]
        let remaining = self.waiting.len() as u32;
        Burst { remaining }
    }

    fn next(&mut self, burst: &mut Burst) -> Option<Frame> {
        burst.remaining = burst.remaining.checked_sub(1)?;
        self.waiting.pop_front()
    }

    fn room_mut(&mut self, frame: &Frame) -> &mut [u8] {
        let start = frame.address() as usize;
        self.memory.get_mut(start..start + BUFFER_SIZE).unwrap_or_default()
    }

    fn tx(&mut self, frame: Frame) -> Result<(), Frame> {
        debug_assert!(frame.len() >= FRAME_LEN_MIN);
        let start = frame.address() as usize;
        let bytes = self.memory.get(start..start + frame.len()).unwrap_or_default();
        let stamp = self.stamps.get(start / BUFFER_SIZE).copied().unwrap_or_default();
        if let Some(Err(error)) = self.writer.as_mut().map(|writer| writer.put(stamp, bytes)) {
            self.error.get_or_insert(error);
        }
        Ok(())
    }

    /// A capture has a stack behind it: the one of the machine that was captured.
    fn pass(&mut self, _frame: Frame) -> Result<(), Frame> {
        Ok(())
    }

    fn release(&mut self, _frame: Frame) {}

    fn flush(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(frames: &[&[u8]]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).unwrap();
        for (index, frame) in (0..).zip(frames) {
            writer.put(Stamp { seconds: index, nanoseconds: 999_999_999 }, frame).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn what_is_written_is_read_again_stamps_included() {
        let file = capture(&[&[1; 60], &[2; 1514]]);
        let mut reader = Reader::new(file.as_slice()).unwrap();
        let first = reader.next(|stamp, bytes| (stamp, bytes.to_vec())).unwrap();
        assert_eq!(first, Some((Stamp { seconds: 0, nanoseconds: 999_999_999 }, vec![1; 60])));
        assert_eq!(reader.next(|_, bytes| bytes.len()).unwrap(), Some(1514));
        assert_eq!(reader.next(|_, _| ()).unwrap(), None);
    }

    #[test]
    fn a_card_sends_into_a_capture_what_it_received() {
        let file = capture(&[[7_u8; 60].as_slice(); 100]);
        let mut card =
            Card::new(Reader::new(file.as_slice()).unwrap(), Some(Writer::new(Vec::new()).unwrap()));
        let mut taken = 0;
        loop {
            let mut burst = card.rx();
            if burst.is_empty() {
                break;
            }
            while let Some(frame) = card.next(&mut burst) {
                assert_eq!(card.room_mut(&frame)[59], 7);
                card.tx(frame).unwrap();
                taken += 1;
            }
        }
        assert_eq!(taken, 100);
        card.finish().unwrap();
    }

    #[test]
    fn what_is_no_capture_or_no_ethernet_is_refused() {
        assert!(matches!(
            Reader::new(&b"hello, this is a text and no capture"[..]),
            Err(CaptureError::NotACapture)
        ));
        assert!(matches!(Reader::new(&b""[..]), Err(CaptureError::NotACapture)));
        let mut file = capture(&[&[1; 60]]);
        file[20] = 113;
        let mut reader = Reader::new(file.as_slice()).unwrap();
        assert!(matches!(reader.next(|_, _| ()), Err(CaptureError::LinkType(113))));
    }

    #[test]
    fn a_capture_cut_short_is_damaged_and_says_where() {
        let file = capture(&[&[1; 60], &[2; 60]]);
        let mut reader = Reader::new(&file[..file.len() - 1]).unwrap();
        assert_eq!(reader.next(|_, _| ()).unwrap(), Some(()));
        assert!(matches!(reader.next(|_, _| ()), Err(CaptureError::Damaged(1))));
    }

    #[test]
    fn the_stamps_of_other_resolutions_become_nanoseconds() {
        assert_eq!(stamp_of(5_000_001, 1_000_000), Stamp { seconds: 5, nanoseconds: 1_000 });
        assert_eq!(stamp_of(5, 2), Stamp { seconds: 2, nanoseconds: 500_000_000 });
    }
}
