//! One lookup, in constant time, whatever the number of keys: a perfect hash by displacement.
//!
//! ```text
//!   key ──hash──▶ bucket ──▶ displacements[bucket] ─┐
//!        └──────────────────────────────── mix ◀────┘ ──▶ slots[slot] ──▶ same key? its value : nothing
//! ```
//!
//! All keys are known before the first packet, so the builder can try, bucket by bucket and the largest first, until
//! it finds a displacement that sends every key of the bucket to a slot of its own (Belazzougui, Botelho,
//! Dietzfelbinger, "Hash, displace, and compress", ESA 2009). A lookup is then two loads and one comparison, and no
//! sender can make it longer: there is no chain and no probing. What is not in the table fails the comparison.
//!
//! Half of the slots or more stay empty, and there is a bucket for every key. That costs 68 to 136 bytes a key and
//! makes the first or second displacement fit nearly always. Should a bucket fit nowhere, the builder starts again
//! with another seed.

/// What is looked up: whom a packet is for and what it asks. One word where that fits, since every word costs.
pub trait Key: Copy + Ord {
    /// The key of an empty slot, which no question has.
    const VACANT: Self;

    /// Spreads keys over 64 bits, differently for each seed. The upper bits are the better ones.
    fn hash(self, seed: u64) -> u64;
}

/// How many displacements are tried for one bucket before the seed is changed. Half of all slots are free, so a
/// bucket of k keys fits with a probability of about 2^-k each time; buckets of more than 8 are rare.
const DISPLACEMENTS_MAX: u32 = 1 << 16;

#[derive(Clone, Copy, Debug)]
struct Slot<K, V> {
    key: K,
    value: V,
}

/// A table from `K` to `V`, built once, looked up in constant time.
#[derive(Debug)]
pub struct Lookup<K, V> {
    seed: u64,
    bucket_shift: u32,
    slot_shift: u32,
    displacements: Box<[u32]>,
    slots: Box<[Slot<K, V>]>,
}

/// Odd, and half of its bits set, evenly: the golden ratio's fraction, and its neighbour in the usual pair.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
const FOLD: u64 = 0xbf58_476d_1ce4_e5b9;

impl Key for u64 {
    const VACANT: Self = Self::MAX;

    #[inline(always)]
    fn hash(self, seed: u64) -> u64 {
        (self ^ seed).wrapping_mul(MIX)
    }
}

impl Key for [u64; 3] {
    const VACANT: Self = [u64::MAX; 3];

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "both halves are folded into one")]
    fn hash(self, seed: u64) -> u64 {
        let [high, low, selector] = self;
        let wide = u128::from(high ^ seed) * u128::from(low ^ FOLD);
        (wide as u64 ^ (wide >> 64) as u64 ^ selector ^ seed).wrapping_mul(MIX)
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "shifted down to as many bits as there are buckets")]
fn bucket(hash: u64, shift: u32) -> usize {
    (hash >> shift) as usize
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "shifted down to as many bits as there are slots")]
fn place(hash: u64, displacement: u32, shift: u32) -> usize {
    ((hash ^ u64::from(displacement)).wrapping_mul(FOLD) >> shift) as usize
}

impl<K: Key, V: Copy> Lookup<K, V> {
    /// The table of `entries`, whose keys must differ. `vacant` fills the empty slots and is never given out.
    ///
    /// # Panics
    /// Where two entries have the same key, or one has all bits set: [`crate::RouteTable`] excludes both.
    pub fn new(entries: &[(K, V)], vacant: V) -> Self {
        let mut keys: Vec<K> = entries.iter().map(|&(key, _)| key).collect();
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair.first() != pair.last()), "two entries have the same key");
        assert!(keys.last() != Some(&K::VACANT), "no question has the key of an empty slot");
        // Ends: with distinct keys each seed succeeds with a probability well above one half.
        let mut seed = MIX;
        loop {
            if let Some(table) = Self::try_seed(entries, vacant, seed) {
                return table;
            }
            seed = seed.wrapping_mul(FOLD) | 1;
        }
    }

    fn try_seed(entries: &[(K, V)], vacant: V, seed: u64) -> Option<Self> {
        let bucket_count = entries.len().next_power_of_two().max(2);
        let slot_count = bucket_count * 2;
        let (bucket_shift, slot_shift) = (64 - bucket_count.ilog2(), 64 - slot_count.ilog2());
        let mut buckets: Vec<(usize, u64, &(K, V))> = entries
            .iter()
            .map(|entry| {
                let hash = entry.0.hash(seed);
                (bucket(hash, bucket_shift), hash, entry)
            })
            .collect();
        buckets.sort_by_key(|&(bucket, ..)| bucket);
        let mut groups: Vec<_> = buckets.chunk_by(|one, next| one.0 == next.0).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));

        let mut displacements = vec![0; bucket_count].into_boxed_slice();
        let mut slots = vec![Slot { key: K::VACANT, value: vacant }; slot_count].into_boxed_slice();
        for group in groups {
            let displacement =
                (0..DISPLACEMENTS_MAX).find(|&displacement| fits(group, &slots, displacement, slot_shift))?;
            for &(bucket, hash, &(key, value)) in group {
                *displacements.get_mut(bucket)? = displacement;
                *slots.get_mut(place(hash, displacement, slot_shift))? = Slot { key, value };
            }
        }
        Some(Self { seed, bucket_shift, slot_shift, displacements, slots })
    }

    /// The value of `key`. Two loads, one comparison; two cache lines.
    #[inline(always)]
    pub fn find(&self, key: K) -> Option<V> {
        let hash = key.hash(self.seed);
        let displacement = *self.displacements.get(bucket(hash, self.bucket_shift))?;
        let slot = self.slots.get(place(hash, displacement, self.slot_shift))?;
        if slot.key == key { Some(slot.value) } else { None }
    }

    /// How many bytes the table takes.
    pub fn size(&self) -> usize {
        size_of_val(&*self.displacements) + size_of_val(&*self.slots)
    }
}

/// Whether every key of a bucket gets a free slot of its own with this displacement.
fn fits<K: Key, V>(
    group: &[(usize, u64, &(K, V))],
    slots: &[Slot<K, V>],
    displacement: u32,
    shift: u32,
) -> bool {
    let is_free = |place: usize| slots.get(place).is_some_and(|slot| slot.key == K::VACANT);
    group.iter().enumerate().all(|(index, &(_, hash, _))| {
        let own = place(hash, displacement, shift);
        is_free(own)
            && group.iter().take(index).all(|&(_, other, _)| place(other, displacement, shift) != own)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_key_is_found_and_no_other(
            keys in prop::collection::btree_set(prop::array::uniform3(any::<u64>()), 0..300),
            stranger in prop::array::uniform3(any::<u64>()),
        ) {
            let entries: Vec<_> = keys.iter().enumerate().map(|(index, &key)| (key, index)).collect();
            let table = Lookup::new(&entries, usize::MAX);
            for (key, index) in &entries {
                prop_assert_eq!(table.find(*key), Some(*index));
            }
            prop_assert_eq!(table.find(stranger).is_some(), keys.contains(&stranger));
        }
    }

    #[test]
    fn ten_thousand_ports_and_addresses_fit() {
        let keys = (0..100u64)
            .flat_map(|host| (0..100u64).map(move |port| (2 << 16 | port) << 32 | (0x0a00_0000 + host)));
        let entries: Vec<_> = keys.enumerate().map(|(index, key)| (key, index)).collect();
        let table = Lookup::new(&entries, usize::MAX);
        assert!(entries.iter().all(|(key, index)| table.find(*key) == Some(*index)));
        assert!(table.size() / entries.len() <= 200);
    }

    #[test]
    fn an_empty_table_finds_nothing_not_even_the_vacant_key() {
        let table = Lookup::<u64, u8>::new(&[], 1);
        assert_eq!(table.find(0), None);
    }

    #[test]
    #[should_panic(expected = "two entries have the same key")]
    fn a_key_given_twice_is_our_fault() {
        Lookup::new(&[([1, 2, 3], 1), ([1, 2, 3], 2)], 0);
    }
}
