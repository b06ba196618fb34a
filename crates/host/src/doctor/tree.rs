//! The kernel's files, all of them read and written below one directory: `/` on a machine that is looked at, another one
//! for a copy of some machine's `/proc` and `/sys`, as tests and support cases have them.
//!
//! A copy holds what the kernel shows, and shall also behave as the kernel does, so that changes can be tried on it: where a
//! file lists choices with the one in force in brackets, writing a choice moves the brackets, and a write is whole or did
//! not happen.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;

use rustix::io::Errno;

/// Where a copy's files are written before they take their names. No file of the kernel's is called so.
const HALF_WRITTEN: &str = ".half-written";

/// A tree of the kernel's files.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
    nature: Nature,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    Kernel,
    Copy,
}

/// Why a file of the kernel's could not be read, or not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The file as the kernel names it.
    pub path: String,
    /// What came instead.
    pub why: String,
    /// Whether it is just not there: this kernel or this machine has no such thing.
    pub is_absent: bool,
}

impl fmt::Display for Unread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path, self.why)
    }
}

impl Unread {
    fn new(path: &str, error: &io::Error) -> Self {
        // A device whose driver has no such notion answers so where others have a value.
        let is_nothing = matches!(Errno::from_io_error(error), Some(Errno::NODEV | Errno::OPNOTSUPP));
        let is_absent = is_nothing || error.kind() == ErrorKind::NotFound;
        let why = if is_absent { "there is no such file".to_owned() } else { error.to_string() };
        Self { path: path.to_owned(), why, is_absent }
    }

    /// The file is there and holds what is not understood.
    pub fn odd(path: &str, held: &str) -> Self {
        Self { path: path.to_owned(), why: format!("`{}` is not understood", held.trim()), is_absent: false }
    }
}

impl Tree {
    /// This machine's own.
    pub fn of_this_machine() -> Self {
        Self { root: PathBuf::from("/"), nature: Nature::Kernel }
    }

    /// A copy below `root`.
    pub fn copy(root: PathBuf) -> Self {
        Self { root, nature: Nature::Copy }
    }

    /// Whether this is the machine itself.
    pub fn is_of_this_machine(&self) -> bool {
        self.nature == Nature::Kernel
    }

    /// What a file holds.
    pub fn read(&self, path: &str) -> Result<String, Unread> {
        let bytes = fs::read(self.at(path)).map_err(|error| Unread::new(path, &error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A file that holds one number of four bytes, as devices do.
    pub fn raw_number(&self, path: &str) -> Result<i32, Unread> {
        let mut bytes = [0; 4];
        let read = File::open(self.at(path)).and_then(|mut file| file.read_exact(&mut bytes));
        read.map_err(|error| Unread::new(path, &error))?;
        Ok(i32::from_ne_bytes(bytes))
    }

    /// What a file says in one word or line: its text without the blanks around it, or the choice that is in force.
    pub fn word(&self, path: &str) -> Result<String, Unread> {
        self.read(path).map(|text| in_force(&text).to_owned())
    }

    /// A file that holds a number.
    pub fn number(&self, path: &str) -> Result<i64, Unread> {
        let text = self.read(path)?;
        text.trim().parse().map_err(|_| Unread::odd(path, &text))
    }

    /// A file that holds a list of cores.
    pub fn cores(&self, path: &str) -> Result<Vec<usize>, Unread> {
        Ok(crate::cores::from_list(self.read(path)?.trim()))
    }

    /// The names in a directory in their order, with numbers in them ordered as numbers; none where there is no such
    /// directory.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(directory)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_by_key(|name| (number_at_end(name), name.clone()));
        names
    }

    /// Whether there is such a file or directory.
    pub fn has(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    /// Writes a value, as `echo` would. It takes effect as a whole or not at all.
    pub fn write(&self, path: &str, value: &str) -> io::Result<()> {
        match self.nature {
            Nature::Kernel => OpenOptions::new().write(true).open(self.at(path))?.write_all(value.as_bytes()),
            Nature::Copy => self.write_copy(path, value),
        }
    }

    /// Opens a file, writes to it, and keeps it open: what is asked for so holds until it is closed.
    pub(super) fn hold(&self, path: &str, bytes: &[u8]) -> io::Result<File> {
        let mut file = OpenOptions::new().write(true).open(self.at(path))?;
        file.write_all(bytes)?;
        Ok(file)
    }

    fn write_copy(&self, path: &str, value: &str) -> io::Result<()> {
        let text = written(&fs::read_to_string(self.at(path))?, value)?;
        let beside = self.root.join(HALF_WRITTEN);
        File::create(&beside)?.write_all(text.as_bytes())?;
        fs::rename(&beside, self.at(path))
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

/// The choice in brackets, where there is one; else all of it, without the blanks around it.
pub(crate) fn in_force(text: &str) -> &str {
    let chosen = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    chosen.map_or_else(|| text.trim(), |(choice, _)| choice)
}

/// What a file of the kernel's shows after a value was written to it.
fn written(shown: &str, value: &str) -> io::Result<String> {
    let end = if shown.ends_with('\n') { "\n" } else { "" };
    if !shown.contains('[') {
        return Ok(format!("{}{end}", value.trim_end_matches('\n')));
    }
    let choices: Vec<_> = shown.split_whitespace().map(|choice| choice.trim_matches(['[', ']'])).collect();
    if !choices.contains(&value.trim()) {
        return Err(ErrorKind::InvalidInput.into());
    }
    let marked: Vec<_> = choices
        .iter()
        .map(|&choice| if choice == value.trim() { format!("[{choice}]") } else { choice.to_owned() })
        .collect();
    Ok(format!("{}{end}", marked.join(" ")))
}

fn number_at_end(name: &str) -> Option<u64> {
    name.trim_start_matches(|letter: char| !letter.is_ascii_digit()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_in_force_is_the_one_in_brackets_or_all_there_is() {
        assert_eq!(in_force("always [madvise] never\n"), "madvise");
        assert_eq!(in_force(" performance\n"), "performance");
        assert_eq!(in_force(""), "");
    }

    #[test]
    fn a_copy_takes_a_value_as_the_kernel_does_and_refuses_a_choice_that_is_none() {
        assert_eq!(written("60\n", "1").unwrap(), "1\n");
        assert_eq!(written("60", "1\n").unwrap(), "1");
        assert_eq!(written("always [madvise] never\n", "never").unwrap(), "always madvise [never]\n");
        assert!(written("always [madvise] never\n", "sometimes").is_err());
    }

    #[test]
    fn cores_are_listed_by_their_numbers() {
        let tree = Tree::of_this_machine();
        assert_eq!(number_at_end("cpu10"), Some(10));
        assert_eq!(number_at_end("cpufreq"), None);
        assert!(tree.names("/no/such/directory").is_empty());
    }

    #[test]
    fn what_is_not_there_is_absent_and_what_cannot_be_read_is_not() {
        let tree = Tree::of_this_machine();
        assert!(tree.read("/proc/no-such-file").unwrap_err().is_absent);
        assert!(!tree.read("/proc").unwrap_err().is_absent, "a directory is there");
        let odd = tree.number("/proc/version").unwrap_err();
        assert!(!odd.is_absent && odd.to_string().contains("not understood"), "{odd}");
    }
}
