//! One lookup, in constant time, whatever the number of keys: a perfect hash by displacement.
//!
//! ```text
//!                ┌─ lower half ──▶ displacements[bucket] ─┐
//!   key ──hash───┤                                         ▼
//!                └─ upper half ───────────────────────── xor ──▶ slots[slot] ──▶ same key? its value : nothing
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
//!
//! Whoever cannot call [`Lookup::find`], as the XDP program, finds the same in the same arrays: they can be read as they
//! are.
#![forbid(unsafe_code)]

/// What is looked up: whom a packet is for and what it asks. One word where that fits, since every word costs.
pub trait Key: Copy + Ord {
    /// The key of an empty slot, which no question has.
    const VACANT: Self;

    /// Spreads keys over 64 bits, differently for each seed. No two keys may have the same hash for every seed.
    ///
    /// The hashes here need nothing but exclusive-or and products of 64 by 64 bits, both halves of which are folded into one
    /// by exclusive-or, so that a machine without wider words can compute them too.
    fn hash(self, seed: u64) -> u64;

    /// Whether both are the same, word by word: a comparison of whole arrays goes through memory and vector registers.
    fn is(self, other: Self) -> bool;
}

#[derive(Clone, Copy, Debug)]
struct Slot<K, V> {
    key: K,
    value: V,
}

/// A table from `K` to `V`, built once, looked up in constant time.
#[derive(Clone, Debug)]
pub struct Lookup<K, V> {
    seed: u64,
    /// The number of displacements, less 1. Kept, and not made from the length each time: an instruction less.
    bucket_mask: usize,
    /// The same of the slots.
    slot_mask: usize,
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
        folded_product(self, seed)
    }

    #[inline(always)]
    fn is(self, other: Self) -> bool {
        self == other
    }
}

impl Key for [u64; 3] {
    const VACANT: Self = [u64::MAX; 3];

    #[inline(always)]
    fn hash(self, seed: u64) -> u64 {
        let [high, low, selector] = self;
        folded_product(folded_product(high ^ seed, low ^ FOLD) ^ selector, seed)
    }

    #[inline(always)]
    fn is(self, other: Self) -> bool {
        let ([high, low, selector], [other_high, other_low, other_selector]) = (self, other);
        high == other_high && low == other_low && selector == other_selector
    }
}

/// Both halves of the product in one: every bit of it depends on every bit of both factors.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "both halves are folded into one")]
fn folded_product(left: u64, right: u64) -> u64 {
    let wide = u128::from(left) * u128::from(right);
    wide as u64 ^ (wide >> 64) as u64
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "masked to as many bits as there are buckets")]
fn bucket(hash: u64, mask: usize) -> usize {
    hash as usize & mask
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "masked to as many bits as there are slots")]
fn place(hash: u64, displacement: u32, mask: usize) -> usize {
    ((hash >> 32) ^ u64::from(displacement)) as usize & mask
}

impl<K: Key, V: Copy> Lookup<K, V> {
    /// The table of `entries`, whose keys must differ. `vacant` fills the empty slots and is never given out.
    ///
    /// # Panics
    /// Where two entries have the same key, or one has all bits set: a route table excludes both.
    pub fn new(entries: &[(K, V)], vacant: V) -> Self {
        let mut keys: Vec<K> = entries.iter().map(|&(key, _)| key).collect();
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair.first() != pair.last()), "two entries have the same key");
        assert!(keys.last() != Some(&K::VACANT), "no question has the key of an empty slot");
        // Ends: two keys of one bucket must not have the same place, and each seed has it so with about three in four.
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
        let (bucket_mask, slot_mask) = (bucket_count - 1, slot_count - 1);
        // As many as differ: half of all slots stay free, so a bucket of k keys fits with about 2^-k of them.
        let displacements_max = u32::try_from(slot_count).ok()?;
        let mut buckets: Vec<(usize, u64, &(K, V))> = entries
            .iter()
            .map(|entry| {
                let hash = entry.0.hash(seed);
                (bucket(hash, bucket_mask), hash, entry)
            })
            .collect();
        buckets.sort_by_key(|&(bucket, ..)| bucket);
        let mut groups: Vec<_> = buckets.chunk_by(|one, next| one.0 == next.0).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));

        let mut displacements = vec![0; bucket_count].into_boxed_slice();
        let mut slots = vec![Slot { key: K::VACANT, value: vacant }; slot_count].into_boxed_slice();
        for group in groups {
            let displacement =
                (0..displacements_max).find(|&displacement| fits(group, &slots, displacement, slot_mask))?;
            for &(bucket, hash, &(key, value)) in group {
                *displacements.get_mut(bucket)? = displacement;
                *slots.get_mut(place(hash, displacement, slot_mask))? = Slot { key, value };
            }
        }
        Some(Self { seed, bucket_mask, slot_mask, displacements, slots })
    }

    /// The value of `key`. Two loads, one comparison; two cache lines.
    #[inline(always)]
    pub fn find(&self, key: K) -> Option<V> {
        self.place_of(key).copied()
    }

    /// Where the value of `key` lies. What is not read of it costs nothing.
    #[inline(always)]
    pub fn place_of(&self, key: K) -> Option<&V> {
        let hash = key.hash(self.seed);
        let displacement = *self.displacements.get(bucket(hash, self.bucket_mask))?;
        let slot = self.slots.get(place(hash, displacement, self.slot_mask))?;
        if slot.key.is(key) { Some(&slot.value) } else { None }
    }

    /// What keys are hashed with; see [`Key::hash`].
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The displacement of each bucket: a power of two of them, at least two. A key's bucket is the lowest bits of its hash.
    pub fn displacements(&self) -> &[u32] {
        &self.displacements
    }

    /// Key and value of each slot, twice as many as displacements; [`Key::VACANT`] with whatever value where it is empty. A
    /// key's slot is the lowest bits of its hash's upper half, exclusive-or its bucket's displacement.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = (K, V)> + '_ {
        self.slots.iter().map(|slot| (slot.key, slot.value))
    }

    /// The same keys with other values.
    pub fn map<W>(&self, value_of: impl Fn(V) -> W) -> Lookup<K, W> {
        let slot = |slot: &Slot<K, V>| Slot { key: slot.key, value: value_of(slot.value) };
        Lookup {
            seed: self.seed,
            bucket_mask: self.bucket_mask,
            slot_mask: self.slot_mask,
            displacements: self.displacements.clone(),
            slots: self.slots.iter().map(slot).collect(),
        }
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
    mask: usize,
) -> bool {
    let is_free = |place: usize| slots.get(place).is_some_and(|slot| slot.key == K::VACANT);
    group.iter().enumerate().all(|(index, &(_, hash, _))| {
        let own = place(hash, displacement, mask);
        is_free(own) && group.iter().take(index).all(|&(_, other, _)| place(other, displacement, mask) != own)
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

    #[test]
    fn slots_and_displacements_tell_where_each_key_lies() {
        let entries: Vec<_> = (0..1000_u64).map(|key| (key * 77, key)).collect();
        let table = Lookup::new(&entries, u64::MAX);
        let slots: Vec<_> = table.slots().collect();
        assert_eq!(slots.len(), 2 * table.displacements().len());
        assert_eq!(slots.iter().filter(|(key, _)| *key != u64::VACANT).count(), entries.len());
        for &(key, value) in &entries {
            let hash = key.hash(table.seed());
            let displacement = table.displacements()[bucket(hash, table.displacements().len() - 1)];
            assert_eq!(slots[place(hash, displacement, slots.len() - 1)], (key, value));
        }
    }
}
