//! The intended instants of an open loop.
//!
//! Every schedule is the same two steps. The **position** of a question says how many questions the schedule expects
//! before it: 0, 1, 2, … where arrivals are periodic, the sum of exponential gaps of mean 1 where they are a Poisson
//! process. The **integral of the rate**, turned round, makes an instant of a position:
//!
//! ```text
//!  position                      constant rate r:   t = position / r
//!    ▲            ╱ ∫ rate dt    ramp from a to b over T seconds, where ∫₀ᵗ rate = a·t + (b − a)·t² / 2T:
//!  n ┼ ─ ─ ─ ─ ╱                                          2 · position
//!    │      ╱  ┆                          t = ────────────────────────────────────
//!    │  ╱      ┆                              a + √(a² + 2 (b − a) · position / T)
//!    └─────────┼──────▶ t
//!              t(n)              (the root of a·t + (b − a)·t² / 2T = position, in the form that subtracts nothing,
//!                                 so that it keeps its digits where a is almost b)
//! ```
//!
//! A process with a changing rate made so out of a unit-rate Poisson process is a Poisson process with that rate
//! (time change of a Poisson process: Çinlar, *Introduction to Stochastic Processes*, 1975, 4.7).
//!
//! # Precision
//!
//! Position and gap are fixed-point numbers of 64 whole and 64 fractional bits, and the instant is computed from the
//! position, never from the instant before. The gap's own rounding (up, by less than 2⁻⁶⁴ ticks) is all there is: after
//! 10⁸ questions a periodic schedule is off by less than 10⁻¹¹ ticks, so that its instants are the exact ones, rounded
//! down. A ramp's instant is computed in doubles, each for itself: its
//! error is some 10⁻¹⁵ of the run's length and does not add up either.

use telemetry::{Tick, TickRate};

use super::{Arrivals, Ramp};

/// One in fixed-point numbers of 64 whole and 64 fractional bits.
const ONE: u128 = 1 << 64;

/// One run of an open loop.
#[derive(Clone, Debug)]
pub(super) struct Open {
    began: Tick,
    /// How the positions go on.
    positions: Positions,
    /// How a position becomes an instant.
    integral: Integral,
    due: Tick,
}

impl Open {
    /// A run that begins at `began` and takes `seconds`.
    pub(super) fn new(
        arrivals: Arrivals,
        ramp: Ramp,
        seconds: f64,
        seed: u64,
        rate: TickRate,
        began: Tick,
    ) -> Self {
        let positions = Positions::new(arrivals, seed);
        let integral = Integral::new(ramp, seconds, rate);
        let due = integral.instant(began, positions.position);
        Self { began, positions, integral, due }
    }

    /// When the next question is due.
    pub(super) const fn due(&self) -> Tick {
        self.due
    }

    /// On to the question after that.
    pub(super) fn go_on(&mut self) {
        self.positions.go_on();
        self.due = self.integral.instant(self.began, self.positions.position);
    }
}

/// The positions of the questions, one after the other.
#[derive(Clone, Debug)]
struct Positions {
    /// Fixed-point.
    position: u128,
    arrivals: Arrivals,
    random: u64,
}

impl Positions {
    fn new(arrivals: Arrivals, seed: u64) -> Self {
        // Another sequence than that of the questions' tokens, which begins at the seed itself.
        let mut positions = Self { position: 0, arrivals, random: seed ^ u64::from_be_bytes(*b"arrivals") };
        if arrivals == Arrivals::Poisson {
            positions.go_on();
        }
        positions
    }

    fn go_on(&mut self) {
        let gap = match self.arrivals {
            Arrivals::Periodic => ONE,
            Arrivals::Poisson => self.exponential(),
        };
        self.position = self.position.saturating_add(gap);
    }

    /// An exponentially distributed number of mean 1, by inversion: −ln(1 − u) for u uniform in [0, 1). The longest is
    /// −ln 2⁻⁵³ = 36.7; a Poisson process has a longer gap once in 10¹⁶.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "53 bits fit a double; the result is between 0 and 37"
    )]
    fn exponential(&mut self) -> u128 {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (-(-uniform).ln_1p() * ONE as f64) as u128
    }

    /// `SplitMix64` (Steele, Lea and Flood, 2014).
    const fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = self.random;
        let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

/// The integral of the rate, turned round.
#[derive(Clone, Copy, Debug)]
enum Integral {
    /// A constant rate: ticks between two questions, fixed-point.
    Constant { gap: u128 },
    /// A rate that changes.
    Ramp { from: f64, slope: f64, ticks_per_second: f64 },
}

impl Integral {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "Ask::check bounds the rate; clocks tick some 10^9 times a second"
    )]
    fn new(ramp: Ramp, seconds: f64, rate: TickRate) -> Self {
        if !ramp.is_constant() {
            let slope = (ramp.to - ramp.from) / seconds;
            return Self::Ramp { from: ramp.from, slope, ticks_per_second: rate.per_second() as f64 };
        }
        // The rate in units of 2^-30 questions per second: whole numbers and thousandths are as exact as can be, and
        // a clock of up to 2^34 ticks per second does not overflow.
        let units = ((ramp.from * f64::from(1 << 30)) as u128).max(1);
        let gap = u128::from(rate.per_second()).saturating_mul(1 << 94).div_ceil(units);
        Self::Constant { gap }
    }

    fn instant(self, began: Tick, position: u128) -> Tick {
        let ticks = match self {
            Self::Constant { gap } => multiply(position, gap),
            Self::Ramp { from, slope, ticks_per_second } => {
                ramp_ticks(from, slope, ticks_per_second, position)
            }
        };
        Tick(began.0.saturating_add(ticks))
    }
}

/// The whole part of the product of two fixed-point numbers; at most 2^64 − 1.
fn multiply(left: u128, right: u128) -> u64 {
    let [(left_whole, left_part), (right_whole, right_part)] =
        [left, right].map(|fixed| (fixed >> 64, fixed & (ONE - 1)));
    let product = (left_whole * right_whole).checked_mul(ONE).and_then(|whole| {
        whole
            .checked_add(left_whole * right_part)?
            .checked_add(left_part * right_whole)?
            .checked_add((left_part * right_part) >> 64)
    });
    product.map_or(u64::MAX, |product| (product >> 64) as u64)
}

/// The instant of a position on a ramp, in ticks since its beginning; never where the rate has fallen to 0 before.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the rounding is told in the module's text; a float becomes the nearest number there is"
)]
fn ramp_ticks(from: f64, slope: f64, ticks_per_second: f64, position: u128) -> u64 {
    let position = position as f64 / ONE as f64;
    let squared = from.mul_add(from, 2.0 * slope * position);
    if squared < 0.0 {
        return u64::MAX;
    }
    let seconds = if position > 0.0 { 2.0 * position / (from + squared.sqrt()) } else { 0.0 };
    (seconds * ticks_per_second) as u64
}
