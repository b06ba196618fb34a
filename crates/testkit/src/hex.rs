//! Bytes as a person writes them: hexadecimal, in groups, with remarks.

use serde::{Deserialize, Deserializer, de};

/// Bytes written as hexadecimal digits. Blanks and line ends do not matter; `#` begins a remark up to the line's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode(&text).map(Hex).map_err(de::Error::custom)
    }
}

/// The bytes of `text`, or what is wrong with it.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, String> {
    let written = text.lines().filter_map(|line| line.split('#').next());
    let digits: Vec<u8> = written.flat_map(str::bytes).filter(|byte| !byte.is_ascii_whitespace()).collect();
    if !digits.len().is_multiple_of(2) {
        return Err(format!("{} hexadecimal digits: one is missing", digits.len()));
    }
    digits.chunks_exact(2).map(byte_of).collect()
}

fn byte_of(pair: &[u8]) -> Result<u8, String> {
    let text = String::from_utf8_lossy(pair);
    u8::from_str_radix(&text, 16).map_err(|_| format!("`{text}` is no hexadecimal byte"))
}

/// Rows of 32 bytes in groups of 4, each behind its offset: for failure messages.
pub fn rows(bytes: &[u8]) -> String {
    let group = |group: &[u8]| group.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let row = |(index, row): (usize, &[u8])| {
        let groups: Vec<String> = row.chunks(4).map(group).collect();
        format!("    {:04}  {}\n", index * 32, groups.join(" "))
    };
    bytes.chunks(32).enumerate().map(row).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_lines_and_remarks_do_not_matter() {
        assert_eq!(decode("00 ff  # none\n  1a2B # dead\n"), Ok(vec![0x00, 0xff, 0x1a, 0x2b]));
    }

    #[test]
    fn half_bytes_and_other_letters_are_refused() {
        assert!(decode("0").is_err());
        assert!(decode("0g").unwrap_err().contains("0g"));
    }
}
