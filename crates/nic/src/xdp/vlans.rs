//! Which VLANs of a link are served.
//!
//! A tag says of which of up to 4,094 networks on one cable a frame is (IEEE 802.1Q). Each of them may have a host of
//! its own with the very address that is served on another, so an address alone does not say whose a frame is. The
//! choice is a bit for each VID, read by the program for each tag.
//!
//! | VID | what it says | served |
//! |---|---|---|
//! | none, 0 | no VLAN; 0 stands in a tag that only has a priority | always |
//! | 1 to 4094 | the VLAN | where it was named |
//! | 4095 | reserved (IEEE 802.1Q table 9-2) | never |

use std::fmt;

/// The VLANs that are served beside what has no VLAN.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Vlans([u8; Self::SIZE]);

/// A number that is no VLAN's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} is no VLAN: they are numbered from 1 to {}", Vlans::VID_MAX)]
pub struct VlanError {
    /// What was given.
    pub found: u16,
}

impl Vlans {
    /// The highest number that a VLAN can have.
    pub const VID_MAX: u16 = 4094;
    /// How many bytes hold a bit for each value of the tag's 12 bits.
    pub(super) const SIZE: usize = 4096 / 8;

    /// None: what has no tag, or one that only has a priority.
    pub const UNTAGGED: Self = {
        let mut bits = [0; Self::SIZE];
        bits[0] = 1;
        Self(bits)
    };

    /// Every VLAN there can be: all bits but that of VID 4095.
    pub const ALL: Self = {
        let mut bits = [0xff; Self::SIZE];
        bits[Self::SIZE - 1] = 0x7f;
        Self(bits)
    };

    /// These and one more.
    pub fn with(mut self, vid: u16) -> Result<Self, VlanError> {
        let byte = self.0.get_mut(usize::from(vid / 8)).filter(|_| (1..=Self::VID_MAX).contains(&vid));
        *byte.ok_or(VlanError { found: vid })? |= 1 << (vid % 8);
        Ok(self)
    }

    /// These, of those numbers.
    pub fn of(vids: &[u16]) -> Result<Self, VlanError> {
        vids.iter().try_fold(Self::UNTAGGED, |vlans, &vid| vlans.with(vid))
    }

    /// What both serve.
    #[must_use]
    pub fn common(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(mine, its)| *mine &= its);
        self
    }

    /// Their numbers, in order.
    pub fn vids(&self) -> impl Iterator<Item = u16> + '_ {
        let is_set =
            |vid: &u16| self.0.get(usize::from(vid / 8)).is_some_and(|byte| byte >> (vid % 8) & 1 == 1);
        (1..=Self::VID_MAX).filter(is_set)
    }

    /// A bit for each VID, the lowest first, as the program reads them.
    pub(super) const fn bits(&self) -> &[u8; Self::SIZE] {
        &self.0
    }
}

impl Default for Vlans {
    fn default() -> Self {
        Self::UNTAGGED
    }
}

impl fmt::Debug for Vlans {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Vlans({self})")
    }
}

/// Their numbers, runs of them as `2-9`; `none` where there is none, `all` where none is missing.
impl fmt::Display for Vlans {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UNTAGGED => return out.write_str("none"),
            Self::ALL => return out.write_str("all"),
            _ => {}
        }
        let vids: Vec<u16> = self.vids().collect();
        let runs = vids
            .chunk_by(|before, after| before + 1 == *after)
            .filter_map(|run| Some((run.first()?, run.last()?)));
        for (index, (first, last)) in runs.enumerate() {
            out.write_str(if index == 0 { "" } else { ", " })?;
            match last - first {
                0 => write!(out, "{first}")?,
                _ => write!(out, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_that_a_vlan_can_have_are_taken() {
        for vid in [0, 4095, 4096, u16::MAX] {
            assert_eq!(Vlans::UNTAGGED.with(vid), Err(VlanError { found: vid }));
        }
        assert_eq!(Vlans::of(&[1, 4094]).unwrap().vids().collect::<Vec<_>>(), [1, 4094]);
        assert_eq!(Vlans::of(&[]), Ok(Vlans::UNTAGGED));
        assert_eq!(Vlans::of(&(1..=Vlans::VID_MAX).collect::<Vec<_>>()), Ok(Vlans::ALL));
    }

    #[test]
    fn what_has_no_vlan_is_always_served_and_the_reserved_vid_never() {
        for vlans in [Vlans::UNTAGGED, Vlans::ALL, Vlans::of(&[7]).unwrap(), Vlans::default()] {
            assert_eq!((vlans.bits()[0] & 1, vlans.bits()[511] >> 7), (1, 0), "{vlans}");
        }
    }

    #[test]
    fn what_two_have_in_common_is_what_both_serve() {
        let [one, other] = [&[1, 7, 42][..], &[7, 42, 99]].map(|vids| Vlans::of(vids).unwrap());
        assert_eq!(one.common(other), Vlans::of(&[7, 42]).unwrap());
        assert_eq!(one.common(Vlans::UNTAGGED), Vlans::UNTAGGED);
        assert_eq!(one.common(Vlans::ALL), one);
    }

    #[test]
    fn they_print_as_numbers_and_runs() {
        assert_eq!(Vlans::of(&[7, 3, 4, 5, 42]).unwrap().to_string(), "3-5, 7, 42");
        assert_eq!((Vlans::UNTAGGED.to_string(), Vlans::ALL.to_string()), ("none".into(), "all".into()));
    }
}
