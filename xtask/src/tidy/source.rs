//! One Rust file as the rules see it: its lines, and its code with comments and literals blanked.

/// One Rust file.
#[derive(Debug)]
pub(super) struct Source {
    /// From the workspace's root.
    pub(super) path: String,
    /// The file as it is.
    pub(super) text: String,
    /// The same, each character of a comment, string or character literal replaced by a blank: what a rule finds
    /// here is code. Lines stay where they are.
    pub(super) code: String,
}

impl Source {
    pub(super) fn new(path: String, text: &str) -> Self {
        Self { path, text: text.to_owned(), code: blank(text) }
    }

    /// How many lines the file has before its unit tests.
    pub(super) fn lines_without_tests(&self) -> usize {
        self.code.lines().position(|line| line == "mod tests {").unwrap_or(self.code.lines().count())
    }

    /// Whether all of it is test code.
    pub(super) fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// Whether a program wrote it.
    pub(super) fn is_generated(&self) -> bool {
        self.text.lines().take(3).any(|line| line.contains("@generated"))
    }

    /// The lines of code that are no tests, numbered from 1.
    pub(super) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let count = if self.is_test() { 0 } else { self.lines_without_tests() };
        self.code.lines().take(count).enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Where `word` stands in `line` as a word of its own, not as a part of a longer name.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(start, _)| {
        let (before, after) = (line.get(..start).unwrap_or(""), line.get(start + word.len()..).unwrap_or(""));
        !before.ends_with(is_name) && !after.starts_with(is_name)
    })
}

/// Blanks comments and literals.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = blank_len(rest, code.chars().next_back());
        let (taken, left) = rest.split_at(if len == 0 { first.len_utf8() } else { len });
        if len == 0 {
            code.push(first);
        } else {
            code.extend(taken.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
        }
        rest = left;
    }
    code
}

/// How many bytes at the beginning of `rest` are a comment or a literal; 0 where it begins with code.
fn blank_len(rest: &str, before: Option<char>) -> usize {
    let in_name = before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    match rest.as_bytes() {
        [b'/', b'/', ..] => rest.find('\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment_len(rest),
        [b'"', ..] => string_len(rest),
        [b'r', b'"' | b'#', ..] if !in_name => raw_string_len(rest),
        [b'\'', ..] => character_len(rest),
        _ => 0,
    }
}

fn block_comment_len(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(left) = rest.get(at..).filter(|left| !left.is_empty()) {
        let step = if left.starts_with("/*") || left.starts_with("*/") { 2 } else { 1 };
        depth += i32::from(left.starts_with("/*")) - i32::from(left.starts_with("*/"));
        at += step.max(left.chars().next().map_or(1, char::len_utf8));
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_len(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            '"' if !is_escaped => return at + 1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    rest.len()
}

/// `r"…"` and `r#"…"#`; 0 for a raw name such as `r#type`.
fn raw_string_len(rest: &str) -> usize {
    let marks = rest.chars().skip(1).take_while(|&letter| letter == '#').count();
    let body = marks + 2;
    if rest.as_bytes().get(marks + 1) != Some(&b'"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(marks));
    rest.get(body..).and_then(|left| left.find(&close)).map_or(rest.len(), |at| body + at + close.len())
}

/// `'x'`, `'\n'`, `'\u{7f}'`; 0 for a lifetime.
fn character_len(rest: &str) -> usize {
    let mut letters = rest.char_indices().skip(1);
    match letters.next() {
        Some((_, '\\')) => rest.get(3..).and_then(|left| left.find('\'')).map_or(0, |at| at + 4),
        Some(_) => letters.next().filter(|&(_, letter)| letter == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let cases = [
            ("let x = 1; // unsafe", "let x = 1;          "),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("un\"safe", 'x')"#, "f(          ,    )"),
            (r##"r#"a "b" c"# + r#type"##, "             + r#type"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            (r"['\'', '\u{7f}', 'é']", "[    ,         ,    ]"),
        ];
        for (text, code) in cases {
            assert_eq!(blank(text).trim_end(), code.trim_end(), "{text}");
        }
    }

    #[test]
    fn a_literal_over_several_lines_keeps_them() {
        assert_eq!(blank("a\n\"b\nc\"\nd").lines().count(), 4);
    }

    #[test]
    fn unit_tests_are_not_counted() {
        let source = Source::new("a.rs".to_owned(), "one\ntwo\nmod tests {\n}\n");
        assert_eq!(source.lines_without_tests(), 2);
    }

    #[test]
    fn a_part_of_a_name_is_no_word() {
        assert!(has_word("unsafe {", "unsafe"));
        assert!(!has_word("unsafe_code", "unsafe"));
        assert!(has_word("unsafe_code, unsafe fn", "unsafe"));
    }
}
