//! Many questions from one: what a vector says under `each`.

use serde::Deserialize;

use crate::hex::Hex;

/// One way to change a question, a number of times.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Mutation {
    /// Every single bit of these bytes, first to last, one at a time.
    FlipBits([usize; 2]),
    /// The frame cut to each of these lengths, first to last.
    Truncate([usize; 2]),
    /// Every number of a range, big-endian, at one place.
    Values(Values),
    /// Each of some byte strings at one place.
    Bytes(Bytes),
}

/// Every number from `from` to `to` but those to `skip`, in `size` bytes at `offset`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "WrittenValues")]
pub(crate) struct Values {
    offset: usize,
    size: usize,
    numbers: Vec<u32>,
    checksums: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenValues {
    offset: usize,
    size: usize,
    from: u32,
    to: u32,
    #[serde(default)]
    skip: Vec<u32>,
    #[serde(default)]
    checksums: Vec<usize>,
}

impl TryFrom<WrittenValues> for Values {
    type Error = String;

    fn try_from(written: WrittenValues) -> Result<Self, String> {
        let WrittenValues { offset, size, from, to, skip, checksums } = written;
        if !matches!(size, 1 | 2) || to >> (8 * size) != 0 {
            return Err(format!("{to} in {size} bytes: numbers are of 1 or 2 bytes here"));
        }
        let numbers = (from..=to).filter(|number| !skip.contains(number)).collect();
        Ok(Self { offset, size, numbers, checksums })
    }
}

/// Each of some byte strings at `offset`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bytes {
    offset: usize,
    each: Vec<Hex>,
    #[serde(default)]
    checksums: Vec<usize>,
}

impl Mutation {
    /// How many questions this makes of one.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::FlipBits([first, last]) => (last + 1).saturating_sub(*first) * 8,
            Self::Truncate([first, last]) => (last + 1).saturating_sub(*first),
            Self::Values(values) => values.numbers.len(),
            Self::Bytes(bytes) => bytes.each.len(),
        }
    }

    /// Whether this makes at least one question, and changes only bytes that a frame of this length has.
    pub(crate) fn fits(&self, frame_len: usize) -> bool {
        let end = match self {
            Self::FlipBits([_, last]) | Self::Truncate([_, last]) => last + 1,
            Self::Values(values) => values.offset + values.size,
            Self::Bytes(bytes) => {
                bytes.offset + bytes.each.iter().map(|Hex(one)| one.len()).max().unwrap_or(0)
            }
        };
        let checksums: &[usize] = match self {
            Self::FlipBits(_) | Self::Truncate(_) => &[],
            Self::Values(values) => &values.checksums,
            Self::Bytes(bytes) => &bytes.checksums,
        };
        self.count() > 0 && end <= frame_len && checksums.iter().all(|offset| offset + 2 <= frame_len)
    }

    /// Makes the question of this index; `index` is below [`Self::count`].
    pub(crate) fn apply(&self, index: usize, frame: &mut Vec<u8>) {
        match self {
            Self::FlipBits([first, _]) => {
                if let Some(byte) = frame.get_mut(first + index / 8) {
                    *byte ^= 1 << (index % 8);
                }
            }
            Self::Truncate([first, _]) => frame.truncate(first + index),
            Self::Values(values) => {
                let number = values.numbers.get(index).copied().unwrap_or_default().to_be_bytes();
                let written = number.get(4 - values.size..).unwrap_or_default();
                write(frame, values.offset, written, &values.checksums);
            }
            Self::Bytes(bytes) => {
                let written = bytes.each.get(index).map_or(&[][..], |Hex(one)| one);
                write(frame, bytes.offset, written, &bytes.checksums);
            }
        }
    }
}

/// Writes bytes, and changes every named checksum by what the words around them changed by.
fn write(frame: &mut [u8], offset: usize, bytes: &[u8], checksums: &[usize]) {
    let (start, end) = (offset & !1, (offset + bytes.len()).next_multiple_of(2));
    let before = words(frame, start, end);
    if let Some(place) = frame.get_mut(offset..offset + bytes.len()) {
        place.copy_from_slice(bytes);
    }
    let after = words(frame, start, end);
    for &checksum in checksums {
        correct(frame, checksum, &before, &after);
    }
}

/// The 16-bit words of a range that begins at an even byte; headers begin at even bytes, so these are their words.
fn words(frame: &[u8], start: usize, end: usize) -> Vec<u16> {
    let word = |offset| [frame.get(offset), frame.get(offset + 1)].map(|byte| byte.copied().unwrap_or(0));
    (start..end).step_by(2).map(|offset| u16::from_be_bytes(word(offset))).collect()
}

/// The checksum whose words changed from `before` to `after`: the definition of RFC 1071, over the difference only.
/// A sum that comes out as zero is written as ffff: equal in one's complement, and to UDP zero means none.
fn correct(frame: &mut [u8], checksum: usize, before: &[u16], after: &[u16]) {
    let Some(place) = frame.get_mut(checksum..checksum + 2) else { return };
    let Ok(field) = <[u8; 2]>::try_from(&*place) else { return };
    let mut sum = u64::from(!u16::from_be_bytes(field));
    sum += before.iter().map(|&word| u64::from(!word)).sum::<u64>();
    sum += after.iter().map(|&word| u64::from(word)).sum::<u64>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let complement = u16::try_from(sum).map_or(0, |folded| !folded);
    place.copy_from_slice(&if complement == 0 { 0xffff } else { complement }.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use etherparse::{Ipv4HeaderSlice, PacketBuilder};

    use super::*;

    #[derive(Deserialize)]
    struct Written {
        each: Vec<Mutation>,
    }

    fn mutation(text: &str) -> Mutation {
        toml::from_str::<Written>(&format!("each = [{text}]")).unwrap().each.remove(0)
    }

    fn all(mutation: &Mutation, frame: &[u8]) -> Vec<Vec<u8>> {
        let question = |index| {
            let mut frame = frame.to_vec();
            mutation.apply(index, &mut frame);
            frame
        };
        (0..mutation.count()).map(question).collect()
    }

    #[test]
    fn every_bit_is_flipped_once() {
        let flips = all(&mutation("{ flip_bits = [1, 2] }"), &[0; 3]);
        assert_eq!(flips.len(), 16);
        assert_eq!(flips.iter().map(|frame| frame[1].count_ones() + frame[2].count_ones()).sum::<u32>(), 16);
        assert!(flips.iter().all(|frame| frame[0] == 0));
    }

    #[test]
    fn a_frame_is_cut_to_every_length() {
        let lengths: Vec<usize> =
            all(&mutation("{ truncate = [1, 3] }"), &[0; 9]).iter().map(Vec::len).collect();
        assert_eq!(lengths, [1, 2, 3]);
    }

    #[test]
    fn skipped_numbers_are_not_written() {
        let values = mutation("{ values = { offset = 1, size = 1, from = 2, to = 5, skip = [3, 4] } }");
        assert_eq!(all(&values, &[9, 9, 9]), [[9, 2, 9], [9, 5, 9]]);
    }

    #[test]
    fn corrected_checksums_are_what_another_stack_computes() {
        let mut frame = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 9], [10, 0, 0, 1], 61).udp(40000, 7);
        builder.write(&mut frame, b"odd").unwrap();
        for text in [
            "{ values = { offset = 8, size = 1, from = 0, to = 255, checksums = [10] } }",
            "{ values = { offset = 4, size = 2, from = 0, to = 65535, checksums = [10] } }",
            "{ bytes = { offset = 13, each = [\"000000\", \"ffffff\", \"0a0b0c\"], checksums = [10] } }",
        ] {
            for changed in all(&mutation(text), &frame) {
                let header = Ipv4HeaderSlice::from_slice(&changed).unwrap().to_header();
                let (found, right) = (header.header_checksum, header.calc_header_checksum());
                assert!(
                    found == right || (found, right) == (0xffff, 0),
                    "{found:04x} instead of {right:04x}"
                );
            }
        }
    }

    #[test]
    fn a_mutation_beyond_the_frame_does_not_fit() {
        assert!(mutation("{ flip_bits = [0, 59] }").fits(60));
        assert!(!mutation("{ flip_bits = [0, 60] }").fits(60));
        assert!(!mutation("{ bytes = { offset = 58, each = [\"000000\"] } }").fits(60));
        assert!(!mutation("{ bytes = { offset = 0, each = [] } }").fits(60));
    }
}
