//! Distributions of delays, as formulas and as draws: what is drawn by one is judged by the other.

use testkit::random::Random;

/// A distribution of delays, in seconds: a mixture of parts with weights that add up to 1.
#[derive(Clone, Debug)]
pub(crate) struct Law(Vec<(f64, Part)>);

#[derive(Clone, Copy, Debug)]
enum Part {
    /// Never below `shift`; beyond it exponential with this mean.
    Exponential {
        shift: f64,
        mean: f64,
    },
    Uniform {
        from: f64,
        to: f64,
    },
}

impl Law {
    pub(crate) fn exponential(shift: f64, mean: f64) -> Self {
        Self(vec![(1.0, Part::Exponential { shift, mean })])
    }

    pub(crate) fn uniform(from: f64, to: f64) -> Self {
        Self(vec![(1.0, Part::Uniform { from, to })])
    }

    /// One of two laws: the first with this share.
    pub(crate) fn one_of(share: f64, first: &Self, second: &Self) -> Self {
        let weighted = |law: &Self, share: f64| {
            law.0.iter().map(|(weight, part)| (weight * share, *part)).collect::<Vec<_>>()
        };
        Self([weighted(first, share), weighted(second, 1.0 - share)].concat())
    }

    /// P(delay ≤ x).
    pub(crate) fn cdf(&self, x: f64) -> f64 {
        self.0.iter().map(|(weight, part)| weight * part.cdf(x)).sum()
    }

    /// The integral of [`Law::cdf`] from minus infinity to x.
    pub(crate) fn cdf_integral(&self, x: f64) -> f64 {
        self.0.iter().map(|(weight, part)| weight * part.cdf_integral(x)).sum()
    }

    /// A delay, by inversion.
    pub(crate) fn draw(&self, random: &mut Random) -> f64 {
        let mut left = uniform(random);
        for (weight, part) in &self.0 {
            if left < *weight {
                return part.quantile(left / weight);
            }
            left -= weight;
        }
        self.0[0].1.quantile(0.5)
    }
}

impl Part {
    fn cdf(self, x: f64) -> f64 {
        match self {
            Self::Exponential { shift, mean } => -(-(x - shift).max(0.0) / mean).exp_m1(),
            Self::Uniform { from, to } => ((x - from) / (to - from)).clamp(0.0, 1.0),
        }
    }

    /// Exponential, with y = x − shift: ∫₀ʸ 1 − e^(−s/mean) ds = y − mean · (1 − e^(−y/mean)).
    /// Uniform: a parabola up to `to`, and from there a line of slope 1.
    fn cdf_integral(self, x: f64) -> f64 {
        match self {
            Self::Exponential { shift, mean } => (x - shift).max(0.0) - mean * self.cdf(x),
            Self::Uniform { from, to } => {
                let inside = (x.min(to) - from).max(0.0);
                inside * inside / (2.0 * (to - from)) + (x - to).max(0.0)
            }
        }
    }

    fn quantile(self, share: f64) -> f64 {
        match self {
            Self::Exponential { shift, mean } => shift - mean * (-share).ln_1p(),
            Self::Uniform { from, to } => from + share * (to - from),
        }
    }
}

/// Uniform in [0, 1).
pub(crate) fn uniform(random: &mut Random) -> f64 {
    (random.next() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Where a distribution function reaches `share`, by bisection between 0 and 100 s down to a picosecond.
pub(crate) fn quantile(cdf: impl Fn(f64) -> f64, share: f64) -> f64 {
    let (mut low, mut high) = (0.0, 100.0);
    while high - low > 1e-12 {
        let middle = f64::midpoint(low, high);
        if cdf(middle) < share { low = middle } else { high = middle }
    }
    high
}

#[test]
fn draws_follow_their_law() {
    let fast = Law::exponential(1e-4, 1e-4);
    let slow = Law::uniform(1e-3, 3e-3);
    let mut random = Random::new(1);
    for law in [fast.clone(), slow.clone(), Law::one_of(0.7, &fast, &slow)] {
        let mut draws: Vec<f64> = (0..100_000).map(|_| law.draw(&mut random)).collect();
        draws.sort_unstable_by(f64::total_cmp);
        let step = 1.0 / draws.len() as f64;
        let distance = |(rank, x): (usize, &f64)| (law.cdf(*x) - (rank as f64 + 0.5) * step).abs();
        let furthest = draws.iter().enumerate().map(distance).fold(0.0, f64::max);
        assert!(furthest < 1.95 / (draws.len() as f64).sqrt(), "Kolmogorov-Smirnov, 0.1 %: {furthest}");
        let slope = (law.cdf_integral(2e-3 + 1e-7) - law.cdf_integral(2e-3 - 1e-7)) / 2e-7;
        assert!((slope - law.cdf(2e-3)).abs() < 1e-6, "{slope}");
    }
}
