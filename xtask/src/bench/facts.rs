//! What a figure depends on, and where results are written.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::step::output;
use crate::workspace;

/// The compiler, as it names itself.
pub(super) fn rustc() -> Result<String> {
    Ok(output(Command::new("rustc").arg("--version"))?.trim().to_owned())
}

/// The machine, the compiler, the code and the command of a result.
pub(super) fn facts() -> Result<Value> {
    let git = |arguments: &[&str]| output(Command::new("git").args(arguments).current_dir(workspace::root()));
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo");
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Ok(json!({
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "processor": processor.map(|(_, name)| name),
        "core_count": read("/proc/cpuinfo").matches("processor\t").count(),
        "rustc": rustc()?,
        "git_commit": git(&["rev-parse", "HEAD"])?.trim(),
        "git_is_clean": git(&["status", "--porcelain"])?.is_empty(),
        "command": env::args().skip(1).fold("cargo xtask".to_owned(), |line, word| line + " " + &word),
    }))
}

/// Writes a result with its facts and says where: `bench-results/NAME-UNIXTIME.json`.
pub(super) fn write(name: &str, result: &Value) -> Result<PathBuf> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let directory = workspace::root().join("bench-results");
    fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    let path = directory.join(format!("{name}-{seconds}.json"));
    let whole = json!({ "unix_time_s": seconds, "facts": facts()?, "result": result });
    fs::write(&path, serde_json::to_string_pretty(&whole)? + "\n")
        .with_context(|| path.display().to_string())?;
    println!("   written to {}", workspace::relative(&path));
    Ok(path)
}
