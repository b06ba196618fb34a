//! How often a route answers, at most: all askers together, and each source by itself.
//!
//! ```text
//!   limit ──▶ pace, bucket of the route                       answers of the route
//!   limit, source ──hash──▶ one of 65,536 words               answers to the source
//! ```
//!
//! A source is all addresses with the same first bits; the limit says how many.
//!
//! The words of the sources are as many as are there from the start, however many sources ask: two whose hashes meet
//! share one, so that under a flood of forged sources each of them may be granted less, but never more. Which ones meet
//! is nobody's to foresee, since the hash is keyed anew for each lane.
//!
//! Only an answer takes a token. Whether there is one is asked before the packet is looked at any further, so that what is
//! beyond the limit costs least.

use std::hash::{BuildHasher, Hasher, RandomState};

use lookup::Key;
use route::table::LIMIT_COUNT_MAX;
use route::{Family, Limit};
use telemetry::{Reason, Tick, TickRate};

use crate::bucket::Pace;

/// How many words for sources: half a mebibyte. At a limit of 1,000 a second, so many forged sources as to ask 65,536 times
/// as often take a tenth of a lawful asker's tokens at 100 a second and word.
const SOURCE_COUNT: usize = 1 << 16;

/// A tenth of a second's answers may be given at once, and one always.
const BURSTS_PER_SECOND: u32 = 10;

/// One limit, at the lane's clock.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    route: Option<Pace>,
    source: Option<Pace>,
    /// Which bits say what source an IPv4 address is, and the first half of an IPv6 address; none where no limit asks for it.
    ipv4_mask: u64,
    ipv6_mask: u64,
    empty_at: u64,
}

/// All limits of a lane, and how far they are used up.
#[derive(Debug)]
pub(crate) struct Limits {
    rows: Box<[Row]>,
    sources: Box<[u64]>,
    seed: u64,
}

/// An answer that may be given now: what is to be written down when it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permit {
    limit: usize,
    source: usize,
    route_after: Option<u64>,
    source_after: Option<u64>,
}

impl Limits {
    /// Room for the most limits; those of the lane's first tables untouched.
    pub(crate) fn new(rate: TickRate, limits: &[Limit]) -> Self {
        let mut all = Self {
            rows: vec![Row::default(); LIMIT_COUNT_MAX].into_boxed_slice(),
            sources: vec![0; SOURCE_COUNT].into_boxed_slice(),
            seed: RandomState::new().build_hasher().finish(),
        };
        all.set(rate, limits);
        all
    }

    /// Begins to hold the limits of new tables. Each begins with a full bucket; what sources have used up stays.
    pub(crate) fn set(&mut self, rate: TickRate, limits: &[Limit]) {
        for (row, limit) in self.rows.iter_mut().zip(limits) {
            *row = Row::new(rate, limit);
        }
    }

    /// Whether one more may be answered, or which limit is reached. `source` is the asker's address as a number.
    pub(crate) fn ask(&self, limit: usize, source: u128, is_ipv4: bool, now: Tick) -> Result<Permit, Reason> {
        let Some(row) = self.rows.get(limit) else { return Err(Reason::RouteLimited) };
        let word = self.word(limit, row.source_of(source, is_ipv4), is_ipv4);
        let used = self.sources.get(word).copied().unwrap_or(u64::MAX);
        let after = |pace: Option<Pace>, empty_at, reason| {
            pace.map(|pace| pace.after_event(empty_at, now).ok_or(reason)).transpose()
        };
        let source_after = after(row.source, used, Reason::SourceLimited)?;
        let route_after = after(row.route, row.empty_at, Reason::RouteLimited)?;
        Ok(Permit { limit, source: word, route_after, source_after })
    }

    /// The answer was given.
    pub(crate) fn take(&mut self, permit: Permit) {
        if let (Some(row), Some(after)) = (self.rows.get_mut(permit.limit), permit.route_after) {
            row.empty_at = after;
        }
        if let (Some(used), Some(after)) = (self.sources.get_mut(permit.source), permit.source_after) {
            *used = after;
        }
    }

    /// Which word a source has.
    #[expect(clippy::cast_possible_truncation, reason = "masked to as many as there are")]
    fn word(&self, limit: usize, source: u64, is_ipv4: bool) -> usize {
        let key = [source, u64::from(is_ipv4), limit as u64];
        key.hash(self.seed) as usize & (SOURCE_COUNT - 1)
    }
}

impl Row {
    /// With a full bucket.
    fn new(rate: TickRate, limit: &Limit) -> Self {
        let pace = |per_second: u32| Pace::new(rate, per_second, (per_second / BURSTS_PER_SECOND).max(1));
        let mask = |family| limit.per_source.map_or(0, |most| most.prefix.mask(family));
        Self {
            route: limit.per_second.map(|most| pace(most.get())),
            source: limit.per_source.map(|most| pace(most.per_second.get())),
            ipv4_mask: mask(Family::V4),
            ipv6_mask: mask(Family::V6),
            empty_at: 0,
        }
    }

    /// Which source an asker's address is.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an IPv4 address has 32 bits, and half of an IPv6 address 64"
    )]
    fn source_of(&self, asker: u128, is_ipv4: bool) -> u64 {
        if is_ipv4 { asker as u64 & self.ipv4_mask } else { (asker >> 64) as u64 & self.ipv6_mask }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use route::{SourceLimit, SourcePrefix};

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn limits(per_second: u32, per_source: u32) -> Limits {
        let per_source = NonZeroU32::new(per_source).map(SourceLimit::from);
        let limit = Limit { per_second: per_second.try_into().ok(), per_source };
        Limits::new(TickRate::NANOSECONDS, &[limit])
    }

    /// One answer a second to each source of these prefixes.
    fn one_each(ipv4_len: u8, ipv6_len: u8) -> Limit {
        let prefix = SourcePrefix::LONGEST.with(Family::V4, ipv4_len).with(Family::V6, ipv6_len);
        Limit { per_source: Some(SourceLimit { prefix, per_second: NonZeroU32::MIN }), ..Limit::NONE }
    }

    /// This limit, with a seed by which the hashes of the sources below do not meet.
    fn seeded(limit: Limit) -> Limits {
        Limits { seed: 4, ..Limits::new(TickRate::NANOSECONDS, &[limit]) }
    }

    fn is_answered(limits: &mut Limits, source: u128, is_ipv4: bool) -> bool {
        limits.ask(0, source, is_ipv4, Tick(SECOND)).map(|permit| limits.take(permit)).is_ok()
    }

    /// How many of `count` questions of one source, evenly over a second, are answered.
    fn answered(limits: &mut Limits, source: u128, is_ipv4: bool, count: u64) -> Result<u64, Reason> {
        let mut answered = 0;
        let mut refused = None;
        for index in 0..count {
            match limits.ask(0, source, is_ipv4, Tick(SECOND + index * SECOND / count)) {
                Ok(permit) => {
                    limits.take(permit);
                    answered += 1;
                }
                Err(reason) => refused = Some(reason),
            }
        }
        refused.map_or(Ok(answered), |reason| if answered > 0 { Ok(answered) } else { Err(reason) })
    }

    #[test]
    fn a_source_is_answered_as_often_as_it_may_be_and_another_one_too() {
        let mut limits = limits(0, 100);
        for source in [0x0a00_0001, 0x0a00_0002] {
            let count = answered(&mut limits, source, true, 10_000).unwrap();
            assert!((100..=110).contains(&count), "{count}");
        }
    }

    #[test]
    fn hosts_of_one_ipv6_link_are_one_source() {
        let mut limits = limits(0, 1);
        let on = |link: u128, host: u128| link << 64 | host;
        assert!(limits.ask(0, on(1, 1), false, Tick(SECOND)).map(|permit| limits.take(permit)).is_ok());
        assert_eq!(limits.ask(0, on(1, 2), false, Tick(SECOND)).unwrap_err(), Reason::SourceLimited);
        assert!(limits.ask(0, on(2, 1), false, Tick(SECOND)).is_ok());
    }

    #[test]
    fn addresses_of_one_prefix_are_one_source_and_those_of_another_are_another() {
        const IPV4: u128 = 0xc633_644d;
        const IPV6: u128 = 0x2001_0db8_00ff_12ff << 64 | 0x4d;
        for (ipv4_len, ipv6_len) in [(32, 64), (31, 63), (24, 56), (1, 1)] {
            for (asker, len, bits, is_ipv4) in [(IPV4, ipv4_len, 32, true), (IPV6, ipv6_len, 128, false)] {
                let mut limits = seeded(one_each(ipv4_len, ipv6_len));
                let mut ask = |turned: u128| is_answered(&mut limits, asker ^ turned, is_ipv4);
                let bit = |index: u8| 1_u128 << (bits - 1 - index);
                assert!(ask(0), "/{len}");
                for index in len..bits {
                    assert!(!ask(bit(index)), "/{len}: bit {index} tells two sources apart");
                }
                assert!(ask(bit(len - 1)), "/{len}: bit {} tells no sources apart", len - 1);
            }
        }
    }

    #[test]
    fn new_limits_bring_their_own_prefixes() {
        let mut limits = seeded(one_each(32, 64));
        assert!(is_answered(&mut limits, 1, true) && is_answered(&mut limits, 2, true));
        limits.set(TickRate::NANOSECONDS, &[one_each(24, 64)]);
        assert!(is_answered(&mut limits, 1 << 8, true) && !is_answered(&mut limits, 1 << 8 | 1, true));
    }

    #[test]
    fn a_route_is_answered_as_often_as_it_may_be_whoever_asks() {
        let mut limits = limits(50, 0);
        let mut answered = 0;
        for source in 0..10_000_u64 {
            if let Ok(permit) = limits.ask(0, source.into(), true, Tick(SECOND + source * SECOND / 10_000)) {
                limits.take(permit);
                answered += 1;
            }
        }
        assert!((50..=55).contains(&answered), "{answered}");
        assert_eq!(limits.ask(0, 1, true, Tick(2 * SECOND - 1)).unwrap_err(), Reason::RouteLimited);
    }

    #[test]
    fn what_was_not_answered_takes_no_token() {
        let limits = limits(1, 1);
        assert!((0..100).all(|_| limits.ask(0, 1, true, Tick(SECOND)).is_ok()));
    }
}
