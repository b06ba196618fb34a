//! All of Barelane's automation, in one program and in one language.
//!
//! | command | gives |
//! |---|---|
//! | `cargo xtask test` | every test; installs the third-party clients that it needs, and says so |
//! | `cargo xtask tidy` | the rules of style that a program can check |
//! | `cargo xtask bench` | ratios against the kernel, instructions per packet, checksum speed |
//! | `cargo xtask soak` | many seeds of simulation, many SIGKILLs, questions and frames |
//! | `cargo xtask bpf` | the XDP program's C source, compiled into its committed table |
//! | `cargo xtask ci` | what must hold before a commit lands |
//!
//! Each step prints its command, so that it can be repeated by hand. Nothing is skipped silently: what could not
//! run is listed with its reason when it would have run, and again at the end.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this program talks to the one who started it"
)]

mod bench;
mod bpf;
mod ci;
mod clients;
mod soak;
mod step;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// All of Barelane's automation.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run every test; install what third-party clients are missing, and say so.
    Test(test::Arguments),
    /// Check the rules of style that a program can check.
    Tidy,
    /// Measure: ratios against the kernel, instructions a packet, checksum speed.
    Bench(bench::Arguments),
    /// Run the simulation with many seeds, SIGKILL at many moments, ask by the million.
    Soak(soak::Arguments),
    /// Compile the XDP program into its committed table.
    Bpf(BpfArguments),
    /// Run what must hold before a commit lands.
    Ci,
}

/// What to do with the XDP program's table.
#[derive(Debug, clap::Args)]
struct BpfArguments {
    /// Write nothing; fail where the committed table is not what the source gives.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Test(arguments) => test::run(&arguments),
        Task::Tidy => tidy::run(),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Bpf(arguments) => bpf::run(if arguments.check { bpf::Mode::Check } else { bpf::Mode::Write }),
        Task::Soak(arguments) => soak::run(&arguments),
        Task::Ci => ci::run(),
    }
}
