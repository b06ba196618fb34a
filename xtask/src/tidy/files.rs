//! Rules about one file by itself.

use super::Finding;
use super::source::Source;

/// The most lines of a file without its tests. One that grows beyond has become two things; STYLE asks for some 300.
const LINE_COUNT_MAX: usize = 600;

/// What may stand before the module doc: an attribute or two over several lines.
const HEAD_LINES: usize = 12;

/// What stands for work left undone. Written in two halves, so that this file may pass its own rule.
const UNFINISHED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Names that say nothing about what is in a file.
const EMPTY_NAMES: [&str; 5] = ["mod.rs", "utils.rs", "util.rs", "common.rs", "helpers.rs"];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let rules = [is_short, says_what_it_is, has_a_name, is_finished, names_say_what_they_give];
    sources.iter().flat_map(|source| rules.iter().flat_map(move |rule| rule(source))).collect()
}

fn is_short(source: &Source) -> Vec<Finding> {
    let count = source.lines_without_tests();
    if count <= LINE_COUNT_MAX || source.is_generated() {
        return Vec::new();
    }
    let rule = "a file has at most 600 lines without its tests";
    vec![finding(
        source,
        count,
        rule,
        format!("It has {count}: find the second thing in it and move that out."),
    )]
}

/// A file begins with its module doc; attributes may stand before it.
fn says_what_it_is(source: &Source) -> Vec<Finding> {
    if source.text.lines().take(HEAD_LINES).any(|line| line.starts_with("//!")) {
        return Vec::new();
    }
    vec![finding(
        source,
        1,
        "a file begins with its module doc",
        "Say what is in it, and why, in sentences.".to_owned(),
    )]
}

fn has_a_name(source: &Source) -> Vec<Finding> {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    if !EMPTY_NAMES.contains(&name) {
        return Vec::new();
    }
    let remedy = "Name it after what is in it; a module `foo` is `foo.rs` beside `foo/`.".to_owned();
    vec![finding(source, 1, "a file's name says what is in it", remedy)]
}

fn is_finished(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().enumerate();
    let marked = lines.filter(|(_, line)| UNFINISHED.iter().any(|mark| super::source::has_word(line, mark)));
    let remedy = || "Do it now, or write down in an issue what is missing and why it can wait.".to_owned();
    marked
        .map(|(index, _)| finding(source, index + 1, "nothing is left undone in the code", remedy()))
        .collect()
}

fn names_say_what_they_give(source: &Source) -> Vec<Finding> {
    let getters = source.code_lines().filter(|(_, line)| line.contains("fn get_"));
    let remedy = || "Name the function after what it gives, without `get_`.".to_owned();
    getters.map(|(line, _)| finding(source, line, "a name says what it is", remedy())).collect()
}

fn finding(source: &Source, line: usize, rule: &'static str, remedy: String) -> Finding {
    Finding { path: source.path.clone(), line, rule, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_found(path: &str, text: &str) -> Vec<usize> {
        let sources = [Source::new(path.to_owned(), text)];
        check(&sources).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_good_file_has_no_findings() {
        assert!(lines_found("a/b.rs", "//! What it is.\nfn give() {}\n").is_empty());
    }

    #[test]
    fn a_long_file_is_found_where_it_ends() {
        let text = format!("//! What it is.\n{}", "a();\n".repeat(600));
        assert_eq!(lines_found("a/b.rs", &text), [601]);
        let tested = text.replacen("a();\n", "", 2) + "mod tests {\n" + &"a();\n".repeat(600);
        assert!(lines_found("a/b.rs", &tested).is_empty());
    }

    #[test]
    fn what_is_left_undone_is_found() {
        let text = format!("//! What it is.\n// {}: later\n", UNFINISHED[0]);
        assert_eq!(lines_found("a/b.rs", &text), [2]);
    }

    #[test]
    fn a_file_without_a_doc_or_a_name_is_found() {
        assert_eq!(lines_found("a/b.rs", "fn a() {}\n"), [1]);
        assert_eq!(lines_found("a/mod.rs", "//! What it is.\n"), [1]);
    }

    #[test]
    fn a_getter_is_found_but_not_in_a_comment() {
        assert_eq!(lines_found("a/b.rs", "//! fn get_\nfn get_len() {}\n"), [2]);
    }
}
