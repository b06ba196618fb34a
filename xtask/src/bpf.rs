//! The XDP programs' C sources, compiled into the tables that the loader holds.
//!
//! Building Barelane needs no clang: the tables are committed. Whoever changes a source runs this once, and CI runs it
//! again to compare. The code section depends on the source and the compiler's version alone, so the version is
//! pinned; a newer one may be as good, but its table would differ without a reason that a reader could see.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail, ensure};
use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget};

use crate::workspace;

/// The pinned compiler. Debian's package has the same name.
const COMPILER: &str = "clang-14";
/// The programs, each with its table.
const PROGRAMS: [(&str, &str); 3] = [
    ("crates/nic/bpf/lane.c", "crates/nic/src/xdp/program/lane.rs"),
    ("crates/nic/bpf/swap.c", "crates/nic/src/xdp/bare/swap.rs"),
    ("crates/nic/bpf/pass.c", "crates/nic/src/xdp/bare/pass.rs"),
];
/// The section that each source puts its one function into.
const SECTION: &str = "xdp";
const INSTRUCTION_SIZE: u64 = 8;
const WORDS_PER_LINE: usize = 4;

/// What to do with the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Write them.
    Write,
    /// Compare the committed ones with what the sources give; fail where they differ.
    Check,
}

/// Compiles the programs and writes their tables, or compares the committed ones.
pub(crate) fn run(mode: Mode) -> Result<()> {
    PROGRAMS.iter().try_for_each(|(source, committed)| run_one(mode, source, committed))
}

fn run_one(mode: Mode, source: &str, committed: &str) -> Result<()> {
    let table = table(source, &compile(source)?)?;
    let path = workspace::root().join(committed);
    match mode {
        Mode::Write => fs::write(&path, table).with_context(|| format!("writing {committed}")),
        Mode::Check => {
            let found = fs::read_to_string(&path).with_context(|| format!("reading {committed}"))?;
            ensure!(
                found == table,
                "{committed} is not what {source} gives: run `cargo xtask bpf` and commit it"
            );
            Ok(())
        }
    }
}

/// The bytes of the object file.
fn compile(source: &str) -> Result<Vec<u8>> {
    let output = object_path()?;
    let status = Command::new(COMPILER)
        .args(["-O2", "-target", "bpf", "-mcpu=v3", "-g0", "-Wall", "-Wextra", "-Werror", "-c"])
        .arg(workspace::root().join(source))
        .arg("-o")
        .arg(&output)
        .status()
        .with_context(|| format!("{COMPILER} does not start: apt-get install {COMPILER}"))?;
    ensure!(status.success(), "{COMPILER} refuses {source}");
    fs::read(&output).with_context(|| format!("reading {}", output.display()))
}

fn object_path() -> Result<PathBuf> {
    let directory = workspace::target().join("bpf");
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    Ok(directory.join("program.o"))
}

/// The Rust source of the table.
fn table(source: &str, bytes: &[u8]) -> Result<String> {
    let object = object::File::parse(bytes).context("the compiler's output is no object file")?;
    let section = object.section_by_name(SECTION).with_context(|| format!("no section `{SECTION}`"))?;
    let words = words(section.data()?)?;
    let mut out = String::new();
    let name = source.rsplit('/').next().unwrap_or(source);
    writeln!(
        out,
        "//! `bpf/{name}` as {COMPILER} compiles it. Written by `cargo xtask bpf`; never by hand.\n"
    )?;
    writeln!(out, "/// The instructions, as `struct bpf_insn` lies in a little-endian machine's memory.")?;
    writeln!(out, "#[rustfmt::skip]\npub(super) const INSTRUCTIONS: [u64; {}] = [", words.len())?;
    for line in words.chunks(WORDS_PER_LINE) {
        let line: Vec<_> = line.iter().map(|&word| hexadecimal(word)).collect();
        writeln!(out, "    {},", line.join(", "))?;
    }
    writeln!(out, "];")?;
    let relocations: Vec<_> = section.relocations().collect();
    if relocations.is_empty() {
        return Ok(out);
    }
    writeln!(out, "\n/// Which instruction takes the address of which map.")?;
    writeln!(out, "#[rustfmt::skip]\npub(super) const RELOCATIONS: &[(usize, &str)] = &[")?;
    for (offset, relocation) in relocations {
        writeln!(out, "    ({}, \"{}\"),", offset / INSTRUCTION_SIZE, target(&object, relocation.target())?)?;
    }
    writeln!(out, "];")?;
    Ok(out)
}

/// Four groups of four digits: the immediate in two, the offset, the registers with the opcode.
fn hexadecimal(word: u64) -> String {
    let [first, second, third, fourth] = [48, 32, 16, 0].map(|shift| word >> shift & 0xffff);
    format!("0x{first:04x}_{second:04x}_{third:04x}_{fourth:04x}")
}

fn words(code: &[u8]) -> Result<Vec<u64>> {
    let (words, rest) = code.as_chunks();
    ensure!(rest.is_empty() && !words.is_empty(), "section `{SECTION}` is not a row of instructions");
    Ok(words.iter().map(|word| u64::from_le_bytes(*word)).collect())
}

/// The name of the map that a relocation refers to.
fn target<'object>(object: &'object object::File<'_>, target: RelocationTarget) -> Result<&'object str> {
    let RelocationTarget::Symbol(index) = target else { bail!("a relocation without a symbol") };
    let symbol = object.symbol_by_index(index)?;
    ensure!(
        symbol.is_undefined(),
        "the program refers to data or a function of its own, which is not loaded"
    );
    symbol.name().map_err(|error| anyhow!("a map without a name: {error}"))
}
