//! Gigabytes a second for each checksum implementation and length.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::facts;
use crate::step::{cargo, line, output};

pub(super) fn run() -> Result<()> {
    let mut example =
        cargo(&["run", "--quiet", "--release", "--package", "barelane-wire", "--example", "checksum"]);
    println!("   $ {}", line(&example));
    let rows = output(&mut example)?.lines().map(row).collect::<Result<Vec<_>>>()?;
    println!("   {:<10} {:>5} {:>7}", "sum", "bytes", "GB/s");
    for row in &rows {
        println!(
            "   {:<10} {:>5} {:>7}",
            text(&row["implementation"]),
            text(&row["size_bytes"]),
            text(&row["gb_per_s"])
        );
    }
    facts::write("checksum", &json!({ "schema": "barelane-bench-checksum-1", "rows": rows })).map(drop)
}

/// One line of the example: name, bytes, gigabytes a second.
fn row(line: &str) -> Result<Value> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [name, size, rate] = words[..] else { anyhow::bail!("not a row: {line}") };
    let (size, rate): (u32, f64) = (size.parse().context("size")?, rate.parse().context("rate")?);
    Ok(json!({ "implementation": name, "size_bytes": size, "gb_per_s": rate }))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
