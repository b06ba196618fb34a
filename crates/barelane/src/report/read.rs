//! Reads the reports that are compared. What is not one is refused with the file, what was found, and what helps.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use probe::Report;

use super::Run;
use crate::error::{Error, Wrong};

/// The largest file that is read. A report of twenty runs with full histograms has some 2 MB; what is larger than
/// this is none, and would only fill the memory before it is refused.
const SIZE_MAX: u64 = 64 << 20;

/// Every report, with a name that no other has.
pub(super) fn all(paths: &[PathBuf]) -> Result<Vec<Run>, Error> {
    let reports = paths.iter().map(|path| one(path)).collect::<Result<Vec<_>, _>>()?;
    let names = names(paths);
    Ok(names.into_iter().zip(reports).map(|(name, report)| Run::named(name, report)).collect())
}

fn one(path: &Path) -> Result<Report, Wrong> {
    let wrong = || Wrong::new("FILE.json", path.display());
    let text = text(path).map_err(|problem| {
        wrong().because(problem).remedy("name a file that barelane probe --json has written")
    })?;
    if text.trim().is_empty() {
        return Err(wrong().because("it is empty").remedy("measure again with barelane probe --json"));
    }
    Report::from_json(&text).map_err(|problem| {
        wrong().because(problem).remedy("name a file that barelane probe --json of this version has written")
    })
}

fn text(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = file.take(SIZE_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| error.to_string())?;
    if text.len() as u64 > SIZE_MAX {
        return Err(format!("it has more than {} MiB", SIZE_MAX >> 20));
    }
    Ok(text)
}

/// The files' names without folder and ending; where two would be called the same, as they were typed.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let short = |path: &PathBuf| path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let stems: Vec<String> = paths.iter().map(short).collect();
    let is_unique = |name: &String| stems.iter().filter(|other| *other == name).count() == 1;
    let name = |(path, stem): (&PathBuf, &String)| {
        if is_unique(stem) { stem.clone() } else { path.display().to_string() }
    };
    paths.iter().zip(&stems).map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_name_are_told_apart_by_their_folders() {
        let paths = ["a/x.json", "b/x.json", "c/y.json"].map(PathBuf::from);
        assert_eq!(names(&paths), ["a/x.json", "b/x.json", "y"]);
    }

    #[test]
    fn what_is_no_report_is_refused_with_its_name_and_a_remedy() {
        let folder = std::env::temp_dir().join(format!("barelane-read-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let cases = [
            ("empty", "", "it is empty"),
            ("text", "rtt 12 µs", "not a report"),
            ("list", "[1]", "schema"),
            ("older", r#"{"schema": "barelane-probe-1"}"#, "barelane-probe-1"),
            ("partial", r#"{"schema": "barelane-probe-2"}"#, "missing field"),
        ];
        for (name, text, problem) in cases {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            let wrong = one(&path).unwrap_err().to_string();
            for part in [name, problem, "barelane probe --json"] {
                assert!(wrong.contains(part), "`{part}` is not in {wrong}");
            }
        }
        assert!(one(&folder.join("none")).unwrap_err().to_string().contains("No such file"));
        assert!(one(&folder).unwrap_err().to_string().contains("directory"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
