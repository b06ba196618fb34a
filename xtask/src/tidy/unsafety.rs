//! Unsafe code stands only in the files that ARCHITECTURE.md lists under "Unsafe code".
//!
//! Unsafe code with an address stays put; without one it spreads. So the list is kept by hand, read here, and held
//! to both ways: no unsafe code outside it, and no file on it that has none.

use std::collections::BTreeSet;
use std::path::Path;

use super::Finding;
use super::source::{Source, has_word};

/// The list's heading in ARCHITECTURE.md. The list ends at the next heading.
const HEADING: &str = "## Unsafe code";

const REMEDY: &str =
    "Find a safe form; or list the file in ARCHITECTURE.md under \"Unsafe code\", with the reason.";

pub(super) fn check(sources: &[Source], architecture: &str) -> Vec<Finding> {
    let listed = listed(architecture);
    let mut findings: Vec<_> = sources.iter().filter_map(|source| unlisted(source, &listed)).collect();
    findings.extend(listed.iter().filter_map(|&(line, path)| stale(line, path, sources)));
    findings.extend(sources.iter().filter_map(|source| unforbidden(source, &listed)));
    findings
}

/// Every path in backticks of the list, with its line.
fn listed(architecture: &str) -> BTreeSet<(usize, &str)> {
    let lines = architecture.lines().enumerate().skip_while(|(_, line)| *line != HEADING).skip(1);
    let lines = lines.take_while(|(_, line)| !line.starts_with("## "));
    let words =
        lines.flat_map(|(index, line)| line.split('`').skip(1).step_by(2).map(move |word| (index + 1, word)));
    words.filter(|(_, word)| Path::new(word).extension().is_some_and(|ending| ending == "rs")).collect()
}

fn first_unsafe_line(source: &Source) -> Option<usize> {
    source.code.lines().position(|line| has_word(line, "unsafe")).map(|index| index + 1)
}

fn unlisted(source: &Source, listed: &BTreeSet<(usize, &str)>) -> Option<Finding> {
    let line = first_unsafe_line(source)?;
    let is_listed = listed.iter().any(|&(_, path)| path == source.path);
    let rule = "unsafe code stands only in listed files";
    (!is_listed).then(|| Finding { path: source.path.clone(), line, rule, remedy: REMEDY.to_owned() })
}

fn stale(line: usize, path: &str, sources: &[Source]) -> Option<Finding> {
    let has_unsafe = sources.iter().any(|source| source.path == path && first_unsafe_line(source).is_some());
    let rule = "the list of unsafe files is true";
    let remedy = format!("{path} has no unsafe code (any more): take it off the list.");
    (!has_unsafe).then(|| Finding { path: "ARCHITECTURE.md".to_owned(), line, rule, remedy })
}

/// The root of a crate none of whose files is listed forbids unsafe code, so that the compiler holds the rule too.
fn unforbidden(source: &Source, listed: &BTreeSet<(usize, &str)>) -> Option<Finding> {
    let home = source.path.strip_suffix("src/lib.rs").or_else(|| source.path.strip_suffix("src/main.rs"))?;
    let has_listed = listed.iter().any(|(_, path)| path.starts_with(home));
    let forbids = source.code.lines().any(|line| line.starts_with("#![forbid(unsafe_code)]"));
    let rule = "a crate without unsafe code forbids it";
    let remedy = "Write #![forbid(unsafe_code)] below the module doc.".to_owned();
    (!has_listed && !forbids).then(|| Finding { path: source.path.clone(), line: 1, rule, remedy })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# A\n## Unsafe code\n- `x/src/a.rs`: why, not `b`\n## Next\n- `x/src/c.rs`\n";

    fn found(path: &str, text: &str) -> Vec<(String, usize)> {
        let sources = [Source::new("x/src/a.rs".to_owned(), "unsafe {}"), Source::new(path.to_owned(), text)];
        check(&sources, LIST).into_iter().map(|finding| (finding.path, finding.line)).collect()
    }

    #[test]
    fn unsafe_code_outside_the_list_is_found() {
        assert_eq!(found("x/src/c.rs", "//! unsafe\nunsafe fn f() {}"), [("x/src/c.rs".to_owned(), 2)]);
        assert!(found("x/src/c.rs", "#![deny(unsafe_code)] // unsafe").is_empty());
    }

    #[test]
    fn a_listed_file_without_unsafe_code_is_found() {
        let sources = [Source::new("x/src/a.rs".to_owned(), "fn f() {}")];
        assert_eq!(check(&sources, LIST)[0].line, 3);
    }

    #[test]
    fn a_crate_that_could_forbid_unsafe_code_and_does_not_is_found() {
        assert_eq!(found("y/src/lib.rs", "fn f() {}"), [("y/src/lib.rs".to_owned(), 1)]);
        assert!(found("y/src/lib.rs", "#![forbid(unsafe_code)]").is_empty());
        assert!(found("x/src/lib.rs", "fn f() {}").is_empty());
    }
}
