//! `docs/conformance.md` and the vectors say the same: no rule without a check, no vector without a rule, no name
//! of a vector that does not exist.
//!
//! A row of its tables begins with the rule's id, as `A1`. A vector's id begins with its rule's: `A1-request`. A row
//! names what checks it in backticks: vectors by their ids, or a test by its name.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::Finding;
use crate::workspace;

const DOCUMENT: &str = "docs/conformance.md";

/// One vector: its id, and where it stands.
#[derive(Debug)]
struct Vector {
    id: String,
    path: String,
    line: usize,
}

impl Vector {
    /// The id of the rule that it checks.
    fn rule(&self) -> &str {
        self.id.split('-').next().unwrap_or(&self.id)
    }
}

/// One row: the rule's id, where it stands, and what it names in backticks.
#[derive(Debug)]
struct Row<'a> {
    rule: &'a str,
    line: usize,
    names: Vec<&'a str>,
}

pub(super) fn check(document: &str) -> Result<Vec<Finding>> {
    let mut vectors = Vec::new();
    for path in workspace::files("vectors", ".toml") {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        vectors.extend(vectors_of(&workspace::relative(&path), &text));
    }
    Ok(compare(&rows(document), &vectors))
}

/// The vectors of one file, by their lines `id = "…"`.
fn vectors_of(path: &str, text: &str) -> Vec<Vector> {
    let ids =
        text.lines().enumerate().filter_map(|(index, line)| Some((index, line.strip_prefix("id = \"")?)));
    let vector = |(index, rest): (usize, &str)| Vector {
        id: rest.trim_end_matches('"').to_owned(),
        path: path.to_owned(),
        line: index + 1,
    };
    ids.map(vector).collect()
}

fn rows(document: &str) -> Vec<Row<'_>> {
    let lines = document.lines().enumerate();
    let cells = lines
        .filter_map(|(index, line)| Some((index, line, line.strip_prefix('|')?.split('|').next()?.trim())));
    let rules = cells.filter(|(_, _, rule)| is_rule(rule.trim_matches('`')));
    rules
        .map(|(index, line, rule)| Row { rule: rule.trim_matches('`'), line: index + 1, names: names(line) })
        .collect()
}

/// A capital letter and a number, as `A1`.
fn is_rule(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|letter| letter.is_ascii_uppercase())
        && !letters.as_str().is_empty()
        && letters.all(|letter| letter.is_ascii_digit())
}

fn names(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).filter(|name| !is_rule(name)).collect()
}

fn compare(rows: &[Row<'_>], vectors: &[Vector]) -> Vec<Finding> {
    let rules: BTreeSet<_> = rows.iter().map(|row| row.rule).collect();
    let ids: BTreeSet<_> = vectors.iter().map(|vector| vector.id.as_str()).collect();
    let orphans = vectors.iter().filter(|vector| !rules.contains(vector.rule())).map(orphan);
    let bare = rows.iter().filter(|row| row.names.is_empty()).map(unchecked);
    let named = rows.iter().flat_map(|row| row.names.iter().map(move |&name| (row.line, name)));
    let missing = named.filter(|(_, name)| names_a_vector(name, &rules) && !ids.contains(name));
    orphans.chain(bare).chain(missing.map(|(line, name)| nonexistent(line, name))).collect()
}

/// Whether a name is that of a vector: one of the rules, a hyphen, and more.
fn names_a_vector(name: &str, rules: &BTreeSet<&str>) -> bool {
    name.split_once('-').is_some_and(|(rule, _)| rules.contains(rule))
}

fn orphan(vector: &Vector) -> Finding {
    let rule = "every vector belongs to a rule of docs/conformance.md";
    let remedy = format!("Add a row {} there, or correct the id {}.", vector.rule(), vector.id);
    Finding { path: vector.path.clone(), line: vector.line, rule, remedy }
}

fn unchecked(row: &Row<'_>) -> Finding {
    let remedy = format!("Name the vectors or the test of {} in backticks.", row.rule);
    Finding { path: DOCUMENT.to_owned(), line: row.line, rule: "every rule has its check", remedy }
}

fn nonexistent(line: usize, name: &str) -> Finding {
    let remedy = format!("There is no vector {name}: write it, or correct the name.");
    Finding { path: DOCUMENT.to_owned(), line, rule: "every vector that is named exists", remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "| id | rule |\n|---|---|\n| A1 | x | `A1-a`, `some_test` |\n| I2 | y | |\n";

    fn found(document: &str, vectors: &str) -> Vec<(String, usize)> {
        let findings = compare(&rows(document), &vectors_of("vectors/a.toml", vectors));
        findings.into_iter().map(|finding| (finding.path, finding.line)).collect()
    }

    #[test]
    fn a_rule_without_a_check_is_found() {
        assert_eq!(found(DOCUMENT, "id = \"A1-a\""), [(super::DOCUMENT.to_owned(), 4)]);
    }

    #[test]
    fn a_name_without_a_vector_is_found() {
        assert_eq!(found("| A1 | `A1-b` |", "id = \"A1-a\""), [(super::DOCUMENT.to_owned(), 1)]);
    }

    #[test]
    fn a_vector_without_a_rule_is_found_where_it_stands() {
        assert_eq!(
            found("| A1 | `A1-a` |", "id = \"A1-a\"\nid = \"Z9-a\""),
            [("vectors/a.toml".to_owned(), 2)]
        );
    }
}
