//! Which crate may use which: the arrows of ARCHITECTURE.md.
//!
//! ```text
//! barelane → everything      probe → nic, wire, telemetry      nic   → ring, lookup
//!                            lane  → nic::Queue, wire, route, telemetry, lookup   route → wire, lookup
//! leaves: wire, ring, telemetry, host, lookup                          for tests only: testkit
//! ```
//!
//! The probe has nothing of the lane, so that an error in the lane cannot hide itself. The lane has nothing of a card
//! but the trait, so that the same loop runs on every card.

use anyhow::{Context, Result};

use super::Finding;
use super::source::{Source, has_word};
use crate::workspace;

/// Each crate and what it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("ring", &[]),
    ("telemetry", &[]),
    ("host", &[]),
    ("lookup", &[]),
    ("nic", &["ring", "lookup"]),
    ("route", &["wire", "lookup"]),
    ("lane", &["nic", "wire", "route", "telemetry", "lookup"]),
    ("probe", &["nic", "wire", "telemetry"]),
    ("barelane", &["wire", "ring", "telemetry", "host", "lookup", "nic", "route", "lane", "probe"]),
    ("testkit", &["wire", "ring", "telemetry", "nic", "route", "lane"]),
];

pub(super) fn check(sources: &[Source]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for manifest in workspace::files("crates", "Cargo.toml") {
        let text = std::fs::read_to_string(&manifest)?;
        findings.extend(manifest_arrows(&workspace::relative(&manifest), &text)?);
    }
    findings.extend(
        sources.iter().filter(|source| source.path.starts_with("crates/lane/src/")).flat_map(only_the_trait),
    );
    Ok(findings)
}

fn manifest_arrows(path: &str, text: &str) -> Result<Vec<Finding>> {
    let name = path.split('/').nth(1).unwrap_or_default();
    let found = ARROWS.iter().find(|(from, _)| *from == name);
    let (_, allowed) =
        found.with_context(|| format!("{path}: no arrow for this crate in xtask/src/tidy/arrows.rs"))?;
    let manifest: toml::Table = text.parse().with_context(|| path.to_owned())?;
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    let ours = dependencies.into_iter().flat_map(toml::Table::keys).filter(|to| is_ours(to));
    let wrong = ours.filter(|to| !allowed.contains(&to.as_str()));
    Ok(wrong.map(|to| against_the_arrow(path, text, name, to)).collect())
}

fn is_ours(name: &str) -> bool {
    ARROWS.iter().any(|(from, _)| *from == name)
}

fn against_the_arrow(path: &str, text: &str, from: &str, to: &str) -> Finding {
    let line = text.lines().position(|line| line.starts_with(to)).map_or(1, |index| index + 1);
    let remedy =
        format!("{from} may not use {to}: move what it needs, or argue for the arrow in a decision record.");
    Finding { path: path.to_owned(), line, rule: "crates use each other along the arrows only", remedy }
}

/// The cards. What the lane needs of `nic` stands beside them: the trait and its tokens.
const CARDS: [&str; 3] = ["xdp", "sim", "pcap"];

/// The lane names no card.
fn only_the_trait(source: &Source) -> Vec<Finding> {
    let names_a_card = |line: &str| line.contains("nic::") && CARDS.iter().any(|card| has_word(line, card));
    let uses = source.code_lines().filter(|(_, line)| names_a_card(line));
    let finding = |(line, _)| Finding {
        path: source.path.clone(),
        line,
        rule: "the lane knows no card, only the trait `nic::Queue`",
        remedy: "Ask for it through the trait.".to_owned(),
    };
    uses.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_against_the_arrow_is_found_where_it_stands() {
        let text = "[dependencies]\nwire.workspace = true\nlane.workspace = true\n\n[dev-dependencies]\nhost = \"1\"\n";
        let findings = manifest_arrows("crates/probe/Cargo.toml", text).unwrap();
        assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn a_crate_without_an_arrow_is_an_error() {
        assert!(manifest_arrows("crates/other/Cargo.toml", "").is_err());
    }

    #[test]
    fn a_lane_that_names_a_card_is_found() {
        let text = "use nic::{Frame, Queue};\nuse nic::xdp::Socket;\n#[cfg(test)]\nmod tests {\nuse nic::sim::Sim;\n}\n";
        let source = Source::new("crates/lane/src/lane.rs".to_owned(), text);
        assert_eq!(only_the_trait(&source).iter().map(|finding| finding.line).collect::<Vec<_>>(), [2]);
    }
}
