//! Which frames a route means by their VLAN: a bit for each VID, and one for what has no VLAN.

use std::fmt;

/// The words that hold a bit for each value of a tag's 12 bits.
const WORDS: usize = 4096 / 64;

/// A set of VIDs. VID 0 stands for a frame of no VLAN: without a tag, or with one that only has a priority (IEEE 802.1Q
/// 9.6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VlanSet([u64; WORDS]);

impl VlanSet {
    /// The VID of what has no VLAN.
    pub const NO_VLAN: u16 = 0;
    /// The highest number that a VLAN can have.
    pub const VID_MAX: u16 = 4094;
    /// Only what has no VLAN.
    pub const UNTAGGED: Self = Self::EMPTY.with(Self::NO_VLAN);
    /// Nothing.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// These and `vid`; the lowest 12 bits of it count.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "12 bits less 6 are below 64")]
    pub const fn with(mut self, vid: u16) -> Self {
        self.0[(vid as usize >> 6) % WORDS] |= 1 << (vid % 64);
        self
    }

    /// Whether a frame with this VID is meant; the lowest 12 bits of it count.
    pub fn contains(&self, vid: u16) -> bool {
        self.0.get((usize::from(vid) >> 6) % WORDS).is_some_and(|word| word >> (vid % 64) & 1 == 1)
    }

    /// What is in both.
    #[must_use]
    pub fn common(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(mine, its)| *mine &= its);
        self
    }

    /// Whether all of `other` are among these.
    pub fn cover(&self, other: &Self) -> bool {
        self.common(other) == *other
    }

    /// The lowest of them.
    pub fn first(&self) -> Option<u16> {
        self.iter().next()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (Self::NO_VLAN..4096).filter(|&vid| self.contains(vid))
    }
}

impl FromIterator<u16> for VlanSet {
    fn from_iter<I: IntoIterator<Item = u16>>(vids: I) -> Self {
        vids.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for VlanSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "VlanSet({self})")
    }
}

/// `untagged`, numbers, and runs of them as `2-9`.
impl fmt::Display for VlanSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vids: Vec<u16> = self.iter().filter(|&vid| vid != Self::NO_VLAN).collect();
        let untagged = self.contains(Self::NO_VLAN).then(|| "untagged".to_owned());
        let runs = vids.chunk_by(|before, after| before + 1 == *after);
        let runs = runs.filter_map(|run| match (run.first()?, run.last()?) {
            (first, last) if first == last => Some(first.to_string()),
            (first, last) => Some(format!("{first}-{last}")),
        });
        out.write_str(&untagged.into_iter().chain(runs).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let set: VlanSet = [0, 7, 63, 64, 4094].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 7, 63, 64, 4094]);
        assert!(set.cover(&VlanSet::UNTAGGED) && !VlanSet::UNTAGGED.cover(&set));
        assert_eq!(set.common(&VlanSet::UNTAGGED), VlanSet::UNTAGGED);
        assert_eq!((set.first(), VlanSet::EMPTY.first()), (Some(0), None));
    }

    #[test]
    fn a_set_prints_as_words_numbers_and_runs() {
        let set: VlanSet = [42, 3, 4, 5, 0].into_iter().collect();
        assert_eq!(set.to_string(), "untagged, 3-5, 42");
    }
}
