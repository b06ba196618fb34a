//! Instants as STAMP packets carry them, and how far they may be off (RFC 8762 section 4.2.1).

use zerocopy::network_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const NS_PER_SECOND: u64 = 1_000_000_000;

/// From 1 January 1900, where NTP begins, to 1 January 1970, where Unix does: 70 years with 17 leap days.
const NTP_TO_UNIX_SECONDS: u64 = (70 * 365 + 17) * 86_400;

const NANOSECOND_MASK: u64 = 0xffff_ffff;

/// How an instant is written: the Z bit of the Error Estimate beside it (RFC 8186 section 2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Z = 0: NTP's 64 bits (RFC 5905 section 6): seconds since 1900, modulo 2^32, and their fraction in units of 2^-32 s.
    #[default]
    Ntp,
    /// Z = 1: the truncated format of PTP version 2 (IEEE 1588-2008): seconds, modulo 2^32, and nanoseconds.
    Ptp,
}

/// An instant as it stands in a packet, in the one format or the other. Zero where there is none.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------------------------------------------------------+
/// |                            seconds                            |
/// +---------------------------------------------------------------+
/// |          fraction in 2^-32 s (NTP), or nanoseconds (PTP)      |
/// +---------------------------------------------------------------+
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(transparent)]
pub struct Timestamp(pub U64);

impl Timestamp {
    /// `unix_ns` nanoseconds after 1 January 1970 in UTC. The fraction of NTP is rounded down, by less than 0.24 ns.
    ///
    /// PTP counts TAI seconds where a clock follows it; here it counts what is passed in, as most senders of UTC do.
    #[inline]
    pub const fn new(unix_ns: u64, format: Format) -> Self {
        let (seconds, ns) = (unix_ns / NS_PER_SECOND, unix_ns % NS_PER_SECOND);
        Self(U64::new(match format {
            Format::Ntp => ((seconds + NTP_TO_UNIX_SECONDS) << 32) | ((ns << 32) / NS_PER_SECOND),
            Format::Ptp => (seconds << 32) | ns,
        }))
    }

    /// The nanoseconds from 1 January 1970 to this instant, to the nearest one.
    ///
    /// NTP's seconds came round in 2036, PTP's do in 2106. Of NTP the instant is taken to lie between 1968 and 2104 (RFC
    /// 4330 section 3), and there is none before 1970; of PTP, between 1970 and 2106, and there is none where the
    /// nanoseconds make a second or more.
    pub const fn unix_ns(self, format: Format) -> Option<u64> {
        let (seconds, rest) = self.parts();
        match format {
            Format::Ntp => {
                let era = if seconds >> 31 == 0 { 1 << 32 } else { 0 };
                let Some(seconds) = (seconds + era).checked_sub(NTP_TO_UNIX_SECONDS) else { return None };
                Some(seconds * NS_PER_SECOND + fraction_ns(rest))
            }
            Format::Ptp if rest < NS_PER_SECOND => Some(seconds * NS_PER_SECOND + rest),
            Format::Ptp => None,
        }
    }

    /// The nanoseconds from `earlier` to this instant, to the nearest one; none where it is not earlier, or no instant.
    ///
    /// Right also where the seconds came round between the two.
    pub const fn since(self, earlier: Self, format: Format) -> Option<u64> {
        let apart = match format {
            Format::Ntp => self.0.get().wrapping_sub(earlier.0.get()),
            Format::Ptp => match (self.unix_ns(format), earlier.unix_ns(format)) {
                (Some(now), Some(then)) => return ptp_since(now, then),
                _ => return None,
            },
        };
        // More than half the range is not later but earlier.
        if apart >> 63 == 1 {
            return None;
        }
        Some((apart >> 32) * NS_PER_SECOND + fraction_ns(apart & NANOSECOND_MASK))
    }

    const fn parts(self) -> (u64, u64) {
        (self.0.get() >> 32, self.0.get() & NANOSECOND_MASK)
    }
}

/// The nanoseconds that a fraction in units of 2^-32 s is, to the nearest one.
const fn fraction_ns(fraction: u64) -> u64 {
    (fraction * NS_PER_SECOND + (1 << 31)) >> 32
}

/// The nanoseconds between two instants whose seconds come round after 2^32.
const fn ptp_since(now: u64, then: u64) -> Option<u64> {
    const ROUND: u64 = NS_PER_SECOND << 32;
    let apart = if now >= then { now - then } else { now + (ROUND - then) };
    if apart < ROUND / 2 { Some(apart) } else { None }
}

/// Whether a clock follows UTC: the S bit of an Error Estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronised {
    /// By an outside source, such as NTP or GPS.
    ToUtc,
    /// By nothing that is known.
    No,
}

/// How far an instant may be off (RFC 4656 section 4.1.2, RFC 8186 section 2.3): multiplier · 2^(scale − 32) seconds.
///
/// ```text
///  0                   1
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
/// +-+-+-----------+---------------+
/// |S|Z|   scale   |  multiplier   |
/// +-+-+-----------+---------------+
/// ```
///
/// A multiplier of zero says nothing of any error: RFC 4656 forbids it to senders, some of which send it all the same.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(transparent)]
pub struct ErrorEstimate(pub U16);

impl ErrorEstimate {
    const S: u16 = 1 << 15;
    const Z: u16 = 1 << 14;
    const SCALE_MAX: u16 = (1 << 6) - 1;

    /// The smallest estimate that is not smaller than `error_ns`: by at most one part in 128, and never zero.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a scale is at most 60 for 2^64 ns, a multiplier at most 255"
    )]
    pub const fn new(error_ns: u64, synchronised: Synchronised, format: Format) -> Self {
        let units = ((error_ns as u128) << 32).div_ceil(NS_PER_SECOND as u128);
        let scale = (u128::BITS - units.leading_zeros()).saturating_sub(8);
        let multiplier = units.div_ceil(1 << scale);
        // Rounding up may have brought 256, which is 128 on the next scale.
        let (scale, multiplier) = if multiplier > 255 { (scale + 1, 128) } else { (scale, multiplier) };
        let multiplier = if multiplier == 0 { 1 } else { multiplier };
        let s = if matches!(synchronised, Synchronised::ToUtc) { Self::S } else { 0 };
        let z = if matches!(format, Format::Ptp) { Self::Z } else { 0 };
        Self(U16::new(s | z | (scale as u16) << 8 | multiplier as u16))
    }

    /// The error in nanoseconds, rounded up, and at most 2^64 − 1; none where the multiplier is zero.
    #[expect(clippy::cast_possible_truncation, reason = "compared before")]
    pub const fn error_ns(self) -> Option<u64> {
        let (scale, multiplier) = (self.0.get() >> 8 & Self::SCALE_MAX, self.0.get() & 0xff);
        if multiplier == 0 {
            return None;
        }
        let ns = (((multiplier as u128) << scale) * NS_PER_SECOND as u128).div_ceil(1 << 32);
        Some(if ns > u64::MAX as u128 { u64::MAX } else { ns as u64 })
    }

    /// Whether the clock follows UTC.
    pub const fn synchronised(self) -> Synchronised {
        if self.0.get() & Self::S == 0 { Synchronised::No } else { Synchronised::ToUtc }
    }

    /// How the instants beside it are written.
    pub const fn format(self) -> Format {
        if self.0.get() & Self::Z == 0 { Format::Ntp } else { Format::Ptp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 23 November 2026, 09:00 UTC, and a bit.
    const NOW: u64 = 1_795_424_400_123_456_789;

    #[test]
    fn both_formats_go_there_and_back_to_the_nanosecond() {
        for format in [Format::Ntp, Format::Ptp] {
            // 2^32 s after 1900, where NTP comes round, among them; and the last instants of either.
            for ns in [0, 1, 999_999_999, NOW, 2_085_978_495_999_999_999, 2_085_978_496_000_000_000] {
                for ns in (0..50).map(|more| ns + more * 7_919) {
                    assert_eq!(Timestamp::new(ns, format).unix_ns(format), Some(ns), "{format:?}");
                }
            }
        }
    }

    #[test]
    fn the_seconds_of_ntp_begin_in_1900_and_those_of_ptp_in_1970() {
        assert_eq!(Timestamp::new(0, Format::Ntp).0.get(), 2_208_988_800 << 32);
        assert_eq!(Timestamp::new(500_000_000, Format::Ntp).0.get(), 2_208_988_800 << 32 | 1 << 31);
        assert_eq!(Timestamp::new(7_000_000_009, Format::Ptp).0.get(), 7 << 32 | 9);
    }

    #[test]
    fn what_is_no_instant_is_none() {
        let before_1970 = Timestamp(U64::new(1 << 63));
        assert_eq!(before_1970.unix_ns(Format::Ntp), None);
        let overfull = Timestamp(U64::new(NS_PER_SECOND));
        assert_eq!(overfull.unix_ns(Format::Ptp), None);
        assert_eq!(overfull.since(Timestamp::default(), Format::Ptp), None);
    }

    #[test]
    fn time_between_two_instants_is_exact_also_where_the_seconds_come_round() {
        for format in [Format::Ntp, Format::Ptp] {
            for then in [NOW, 2_085_978_495_999_999_990, 4_294_967_295_999_999_990] {
                for ns in [0, 1, 2, 100, 1_000_000_007] {
                    let (earlier, later) = (Timestamp::new(then, format), Timestamp::new(then + ns, format));
                    assert_eq!(later.since(earlier, format), Some(ns), "{format:?} {then} {ns}");
                    let back = earlier.since(later, format);
                    assert_eq!(back, (ns == 0).then_some(0), "{format:?} {then} {ns}");
                }
            }
        }
    }

    #[test]
    fn an_estimate_is_no_smaller_than_the_error_and_hardly_larger() {
        let mut error = 1_u64;
        while error < 1 << 62 {
            for near in [error - 1, error, error + error / 3] {
                let estimate = ErrorEstimate::new(near, Synchronised::ToUtc, Format::Ntp);
                let read = estimate.error_ns().unwrap();
                assert!(read >= near && read <= near + near / 127 + 1, "{near} became {read}");
            }
            error *= 2;
        }
        assert!(ErrorEstimate::new(u64::MAX, Synchronised::No, Format::Ptp).error_ns() == Some(u64::MAX));
    }

    #[test]
    fn the_bits_of_an_estimate_stand_where_the_rfcs_put_them() {
        let second = ErrorEstimate::new(NS_PER_SECOND, Synchronised::ToUtc, Format::Ntp);
        assert_eq!(second.0.get(), 0x8000 | 25 << 8 | 128);
        let none = ErrorEstimate::new(0, Synchronised::No, Format::Ptp);
        assert_eq!(none.0.get(), 0x4001);
        assert_eq!((none.synchronised(), none.format()), (Synchronised::No, Format::Ptp));
        assert_eq!((second.synchronised(), second.format()), (Synchronised::ToUtc, Format::Ntp));
        assert_eq!(ErrorEstimate(U16::new(0x3f00)).error_ns(), None);
        assert_eq!(ErrorEstimate(U16::new(0x3fff)).error_ns(), Some(u64::MAX));
    }
}
