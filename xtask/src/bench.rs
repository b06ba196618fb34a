//! `cargo xtask bench`: how fast it is, said so that it can be repeated and compared.
//!
//! | option | gives |
//! |---|---|
//! | none | round trips as ratios: the same client against the kernel, DPDK, bare XDP and Barelane, in turns, in one run |
//! | `--saturation` | answers a second when more is asked than is carried, as ratios |
//! | `--overload` | what an age limit makes of a lane that is asked for twice as much as it carries |
//! | `--memif` | round trips and answers a second over memif, as ratios against DPDK |
//! | `--telemetry` | what counting costs a packet in instructions, and what readers cost round trips and answers a second |
//! | `--idle` | one question a second against a stream, and the processor time of a lane, for each idle policy |
//! | `--road` | nanoseconds a packet from ring to ring, over memif in own memory, beside a straight C function |
//! | `--instructions` | instructions a packet for each class, counted by callgrind, against the committed baseline |
//! | `--histogram` | nanoseconds and instructions of a record, as ratios against `HdrHistogram` |
//! | `--checksum` | gigabytes a second for each checksum implementation and length |
//!
//! Nanoseconds are this machine's, of this minute; ratios within one round are what can be compared. Instructions are
//! the same everywhere with the same compiler, so that CI can hold them.

mod checksum;
mod facts;
mod histogram;
mod idle;
pub(crate) mod instructions;
mod memif;
mod overload;
mod ratios;
mod road;
mod saturation;
mod telemetry;

use anyhow::Result;

use crate::step::Steps;

/// What to measure.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(crate) struct Arguments {
    /// Count instructions a packet instead.
    #[arg(long)]
    instructions: bool,
    /// Write what was counted as the new baseline, to be committed.
    #[arg(long, requires = "instructions")]
    save: bool,
    /// Measure the checksum implementations instead.
    #[arg(long)]
    checksum: bool,
    /// Measure what a record in a histogram takes, beside one that others wrote, instead.
    #[arg(long)]
    histogram: bool,
    /// Measure what a packet costs from ring to ring, beside a straight C function, instead.
    #[arg(long)]
    road: bool,
    /// Measure answers a second at saturation instead.
    #[arg(long)]
    saturation: bool,
    /// Measure a lane that is asked for more than it carries, with an age limit and without, instead.
    #[arg(long)]
    overload: bool,
    /// With --overload: the age limit.
    #[arg(long, default_value = "100us", requires = "overload")]
    age_limit: String,
    /// Measure round trips and answers a second over memif instead.
    #[arg(long)]
    memif: bool,
    /// Measure what it costs to be seen instead.
    #[arg(long)]
    telemetry: bool,
    /// With --telemetry: only the instructions that counting costs.
    #[arg(long, requires = "telemetry")]
    without_readers: bool,
    /// Measure one question a second against a stream, for each idle policy, instead: nine minutes, whatever the rounds.
    #[arg(long)]
    idle: bool,
    /// How long to measure round trips, saturation or overload altogether, in seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// In how many rounds. From six on, it is also said where the median lies.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
}

/// Measures, prints, and writes the result below `bench-results/`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.instructions {
        let mode = if arguments.save { instructions::Mode::Save } else { instructions::Mode::Compare };
        let mut steps = Steps::default();
        steps.judge("instructions a packet", || instructions::run(mode));
        return steps.close();
    }
    if arguments.checksum {
        return checksum::run();
    }
    if arguments.histogram {
        return histogram::run(arguments.rounds);
    }
    if arguments.road {
        return road::run(arguments.rounds);
    }
    if arguments.saturation {
        return saturation::run(arguments.seconds, arguments.rounds);
    }
    if arguments.overload {
        return overload::run(arguments.seconds, arguments.rounds, &arguments.age_limit);
    }
    if arguments.idle {
        return idle::run(arguments.rounds);
    }
    if arguments.memif {
        return memif::run(arguments.seconds, arguments.rounds);
    }
    if arguments.telemetry {
        let readers =
            if arguments.without_readers { telemetry::Readers::None } else { telemetry::Readers::Some };
        return telemetry::run(arguments.seconds, arguments.rounds, readers);
    }
    ratios::run(arguments.seconds, arguments.rounds)
}
