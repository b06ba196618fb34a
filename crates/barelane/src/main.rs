//! The binary: everything is in the library, so that it can be tested and used without a process.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    barelane::main()
}
