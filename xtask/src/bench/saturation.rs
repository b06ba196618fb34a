//! Answers a second at saturation as ratios: `barelane demo --saturation` measures, this compares round by round.
//!
//! What the client makes when nobody answers is printed beside them. Where a server comes near it, the client is what was
//! measured, and a ratio against such a server is nearer to 1 than the servers are.

use std::fmt;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::facts;
use super::ratios::{ROUNDS_MIN, Spread, demo, of_rounds, row, spread, within_rounds};
use crate::clients::{self, TESTPMD};

/// What is compared with what, and the least that is wanted of the median.
const COMPARISONS: [(&str, &str, Option<f64>); 6] = [
    ("driver", "bare_xdp_tx", Some(0.85)),
    ("lane", "dpdk_5tswap", Some(1.00)),
    ("driver_by_window", "bare_xdp_tx_by_window", Some(0.85)),
    ("lane_by_window", "dpdk_5tswap_by_window", Some(1.00)),
    ("driver", "lane", None),
    ("driver_by_window", "lane_by_window", None),
];

/// The client alone, and whom it asks.
const CEILINGS: [(&str, &str); 4] = [
    ("bare_xdp_tx", "generator_alone"),
    ("driver", "generator_alone"),
    ("lane", "generator_alone"),
    ("lane_by_window", "bare_xdp_tx_by_window"),
];

const ANSWERED: &str = "answered_per_second";
const SENT: &str = "sent_per_second";

/// One comparison over all rounds.
#[derive(Debug)]
struct Ratio {
    ours: &'static str,
    theirs: &'static str,
    wanted: Option<f64>,
    /// In ascending order, or why there are none.
    rounds: Result<Vec<f64>, String>,
}

pub(super) fn run(seconds: u32, rounds: u32) -> Result<()> {
    for (client, why) in clients::provide(&[&TESTPMD]) {
        println!("   without {}: {why}", client.package);
    }
    let demo = demo(&["--saturation", "--seconds", &seconds.to_string(), "--rounds", &rounds.to_string()])?;
    let ratios = COMPARISONS.map(|(ours, theirs, wanted)| Ratio::of(&demo, ours, theirs, ANSWERED, wanted));
    let ratios = ratios.into_iter().collect::<Result<Vec<_>>>()?;
    let ceilings = CEILINGS.map(|(ours, client)| Ratio::of(&demo, ours, client, SENT, None));
    let ceilings = ceilings.into_iter().collect::<Result<Vec<_>>>()?;
    println!("   answers a second, ours over theirs within one round: min / median / max");
    for ratio in &ratios {
        println!("   {ratio}");
    }
    println!("   answers a second over what the client asks for where nothing is dearer than itself");
    for ratio in &ceilings {
        println!("   {ratio}");
    }
    let [ratios, ceilings] = [ratios, ceilings].map(|all| all.iter().map(Ratio::to_json).collect::<Vec<_>>());
    let result = json!({
        "schema": "barelane-bench-saturation-1", "ratios": ratios, "ceilings": ceilings, "demo": demo
    });
    facts::write("saturation", &result).map(drop)
}

impl Ratio {
    /// Our answers over what `key` says of theirs.
    fn of(
        demo: &Value,
        ours: &'static str,
        theirs: &'static str,
        key: &str,
        wanted: Option<f64>,
    ) -> Result<Self> {
        let (a, b) = (row(demo, ours)?, row(demo, theirs)?);
        let why_not = [a, b].into_iter().find_map(|row| row["not_measured"].as_str());
        let rounds = match why_not {
            Some(why) => Err(why.to_owned()),
            None => Ok(within_rounds(&of_rounds(a, ANSWERED)?, &of_rounds(b, key)?).with_context(|| {
                format!("{ours} and {theirs} have fewer than {ROUNDS_MIN} rounds together")
            })?),
        };
        Ok(Self { ours, theirs, wanted, rounds })
    }

    fn to_json(&self) -> Value {
        let rounds = self.rounds.as_ref().ok();
        let [min, median, max] = rounds.map_or([None; 3], |rounds| spread(rounds).map(Some));
        json!({
            "ours": self.ours, "theirs": self.theirs, "ratio_min": min, "ratio_median": median, "ratio_max": max,
            "ratio_wanted_min": self.wanted, "rounds": rounds, "not_measured": self.rounds.as_ref().err(),
        })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:<18} / {:<22} ", self.ours, self.theirs)?;
        let rounds = match &self.rounds {
            Ok(rounds) => rounds,
            Err(why) => return write!(out, "not measured: {why}"),
        };
        write!(out, "{}", Spread(rounds))?;
        let [_, median, _] = spread(rounds);
        match self.wanted {
            Some(wanted) if median >= wanted => write!(out, "  wanted at least {wanted:.2}: holds"),
            Some(wanted) => write!(out, "  wanted at least {wanted:.2}: DOES NOT HOLD"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo() -> Value {
        let rounds = |rates: [u32; 3]| {
            rates.map(|rate| json!({ "answered_per_second": rate, "sent_per_second": 2 * rate })).to_vec()
        };
        json!({ "rows": [
            { "name": "a", "round_numbers": [1, 2, 3], "rounds": rounds([80, 90, 100]) },
            { "name": "b", "round_numbers": [1, 2, 3], "rounds": rounds([100, 100, 100]) },
            { "name": "c", "round_numbers": [], "rounds": [], "not_measured": "it is not installed" },
        ] })
    }

    #[test]
    fn more_is_wanted_and_not_less() {
        for (wanted, end) in
            [(0.85, "wanted at least 0.85: holds"), (0.95, "wanted at least 0.95: DOES NOT HOLD")]
        {
            let ratio = Ratio::of(&demo(), "a", "b", ANSWERED, Some(wanted)).unwrap().to_string();
            assert!(ratio.contains("0.80 / 0.90 / 1.00") && ratio.ends_with(end), "{ratio}");
        }
    }

    #[test]
    fn a_ceiling_is_what_the_client_asks_for() {
        let ratio = Ratio::of(&demo(), "a", "b", SENT, None).unwrap().to_string();
        assert!(ratio.ends_with("0.40 / 0.45 / 0.50"), "{ratio}");
    }

    #[test]
    fn what_was_not_measured_is_said_with_its_reason() {
        let ratio = Ratio::of(&demo(), "a", "c", ANSWERED, None).unwrap();
        assert!(ratio.to_string().ends_with("not measured: it is not installed"), "{ratio}");
        assert_eq!(ratio.to_json()["not_measured"], "it is not installed");
    }
}
