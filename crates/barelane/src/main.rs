//! The binary: everything is in the library, so that it can be tested and used without a process.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use host::lines::WholeLines;

/// No two lanes have a cache line in common, whatever they have on the heap.
#[global_allocator]
static ALLOCATOR: WholeLines = WholeLines;

fn main() -> ExitCode {
    barelane::main()
}
