//! `cargo xtask tidy`: the rules of style that a program can check.
//!
//! Formatting and most lints are the compiler's tools' own. What they cannot know is here: how long a file may be,
//! where unsafe code may stand, which crate may use which, and that no rule of `docs/conformance.md` is without a
//! vector. Each finding says where, which rule, and what to do about it.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::step::{Steps, cargo, output};
use crate::workspace;

mod arrows;
mod files;
mod source;
mod unsafety;
mod vectors;

use source::Source;

/// One place that breaks one rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}. {}", self.path, self.line, self.rule, self.remedy)
    }
}

/// Checks everything and sums up.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    all(&mut steps);
    steps.close()
}

/// Every check, as steps.
pub(crate) fn all(steps: &mut Steps) {
    tool(steps, "formatting", "rustfmt", &["fmt", "--all", "--check"]);
    tool(steps, "lints", "clippy", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]);
    steps.call("rules of style", rules);
}

/// Runs one of cargo's own tools, where the toolchain has it: a minimal one has not.
fn tool(steps: &mut Steps, name: &str, component: &str, arguments: &[&str]) {
    let verb = arguments.first().copied().unwrap_or_default();
    if output(&mut cargo(&[verb, "--version"])).is_err() {
        return steps
            .skip(name, &format!("the toolchain has no {component}: rustup component add {component}"));
    }
    steps.run(name, &mut cargo(arguments));
}

fn rules() -> Result<()> {
    let sources = sources()?;
    let mut findings = files::check(&sources);
    findings.extend(unsafety::check(&sources, &read("ARCHITECTURE.md")?));
    findings.extend(arrows::check(&sources)?);
    findings.extend(vectors::check(&read("docs/conformance.md")?)?);
    for finding in &findings {
        println!("   {finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    println!("   {} files, no findings", sources.len());
    Ok(())
}

/// Every Rust file of the workspace and of the fuzz targets.
fn sources() -> Result<Vec<Source>> {
    let places = ["crates", "xtask", "fuzz"];
    let paths = places.iter().flat_map(|place| workspace::files(place, ".rs"));
    paths.map(|path| Ok(Source::new(workspace::relative(&path), &read_path(&path)?))).collect()
}

fn read(path: &str) -> Result<String> {
    read_path(&workspace::root().join(path))
}

fn read_path(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
