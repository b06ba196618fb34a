//! The HTML report, as the binary writes it: what it says, what it refuses, and how a browser shows it.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

mod browser;
mod sample;

use sample::Law;

/// A folder of one test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("barelane-page-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes the page of these measurements.
    fn write(&self, laws: &[(&str, Law)]) -> PathBuf {
        let files: Vec<PathBuf> =
            laws.iter().map(|(name, law)| self.put(&format!("{name}.json"), &law.json())).collect();
        let page = self.0.join("page.html");
        let output = compare(&files, &page);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        page
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `barelane probe compare` over these files.
fn compare(reports: &[PathBuf], page: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
    command.args(["probe", "compare"]).args(reports).arg("--report").arg(page).output().unwrap()
}

/// The page of these measurements, each under its name.
fn page(test: &str, laws: &[(&str, Law)]) -> String {
    let folder = Folder::new(test);
    let page = folder.write(laws);
    fs::read_to_string(page).unwrap()
}

/// What the page's script draws.
fn charts(page: &str) -> Value {
    let (_, rest) = page.split_once(r#"<script type="application/json" id="chart-data">"#).unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

fn chart<'a>(charts: &'a Value, id: &str) -> &'a Value {
    charts.as_array().unwrap().iter().find(|chart| chart["id"] == id).unwrap_or_else(|| panic!("no {id}"))
}

/// The first line of the first view of a chart, and its points on the x axis.
fn first_line(page: &str, id: &str) -> (Vec<f64>, Vec<Option<f64>>) {
    let charts = charts(page);
    let table = &chart(&charts, id)["views"][0]["tables"][0];
    let numbers = |value: &Value| value.as_array().unwrap().iter().map(Value::as_f64).collect::<Vec<_>>();
    let x = numbers(&table["x"]).into_iter().map(Option::unwrap).collect();
    (x, numbers(&table["series"][0]["y"]))
}

/// A measurement through the kernel, some twice as slow as the others.
fn kernel() -> Law {
    Law { backend: "socket", base_ns: 31_000, spread_ns: 14_000, ..Law::new(1, "192.0.2.1") }
}

#[test]
fn the_curve_goes_through_the_percentiles_of_the_report() {
    let law = Law { is_stamp: false, ..Law::new(7, "192.0.2.1") };
    let report: Value = serde_json::from_str(&law.json()).unwrap();
    let (x, y) = first_line(&page("curve", &[("a", law)]), "percentiles");
    for (rarity, key) in [(2.0, "rtt_p50_ns"), (100.0, "rtt_p99_ns"), (10_000.0, "rtt_p99_99_ns")] {
        let point = x.iter().position(|&x| f64::abs(x - rarity) < 1e-9).unwrap();
        assert_eq!(y[point], report[key].as_f64(), "{key}");
    }
    assert_eq!(x.last().copied(), report["rtt_samples"].as_f64().map(|samples| samples + 1.0));
    assert_eq!(y.last().copied().flatten(), report["rtt_max_ns"].as_f64());
}

#[test]
fn every_sample_is_in_the_histogram() {
    let law = Law { is_stamp: false, ..Law::new(8, "192.0.2.1") };
    let report: Value = serde_json::from_str(&law.json()).unwrap();
    let (_, counts) = first_line(&page("histogram", &[("a", law)]), "histogram");
    assert_eq!(Some(counts.into_iter().flatten().sum()), report["rtt_samples"].as_f64());
}

#[test]
fn several_runs_of_a_measurement_stand_behind_one_another_in_time() {
    let law = Law { runs: 2, ..Law::new(9, "192.0.2.1") };
    let (x, _) = first_line(&page("time", &[("a", law)]), "timeline");
    assert!(x.is_sorted(), "{x:?}");
    assert_eq!((x.len(), x[0], x[60]), (120, 0.0, 3.0));
}

#[test]
fn a_figure_that_no_stretch_has_is_not_drawn() {
    let mut report: Value = serde_json::from_str(&Law::new(10, "192.0.2.1").json()).unwrap();
    for point in report["series"].as_array_mut().unwrap() {
        point["rtt_p99_ns"] = Value::Null;
    }
    let folder = Folder::new("few");
    let few = folder.put("few.json", &report.to_string());
    let path = folder.0.join("page.html");
    for (files, place) in [(vec![few.clone()], "/tables/0/series"), (vec![few.clone(), few], "")] {
        assert!(compare(&files, &path).status.success());
        let charts = charts(&fs::read_to_string(&path).unwrap());
        let views = &chart(&charts, "timeline")["views"];
        let drawn = if place.is_empty() { views } else { views[0].pointer(place).unwrap() };
        let names: Vec<_> =
            drawn.as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["p50", "longest"]);
    }
}

#[test]
fn a_run_in_which_the_probe_stood_still_is_marked_in_words_and_in_the_chart() {
    let law = Law { is_stalled: true, ..Law::new(4, "192.0.2.1") };
    let several = page("stalled", &[("a", law.clone())]);
    assert!(several.contains("STALLED."), "no notice");
    let marks = chart(&charts(&several), "timeline")["marks"].clone();
    assert_eq!(marks, json!([{"from": 0.0, "to": 3.0}]), "the stalled run of several, whole");
    let alone = page("stalled-one", &[("a", Law { runs: 1, ..law.clone() })]);
    let marks = chart(&charts(&alone), "timeline")["marks"].clone();
    assert_eq!(marks, json!([{"from": 1.2, "to": 1.24}]), "the stall itself");
    let compared = page("stalled-two", &[("a", law), ("b", Law::new(5, "192.0.2.1"))]);
    assert!(compared.contains("a: STALLED.") && compared.contains("a (stalled)"), "not marked");
    assert!(!compared.contains("b (stalled)"), "the wrong one is marked");
}

#[test]
fn a_difference_is_claimed_where_intervals_are_apart_and_only_there() {
    let apart = page("apart", &[("kernel", kernel()), ("lane", Law::new(2, "192.0.2.1"))]);
    assert!(apart.contains("▼ lower"), "no difference is claimed");
    let laws = [("one", Law::new(2, "192.0.2.1")), ("two", Law::new(3, "192.0.2.1"))];
    let overlapping = page("overlapping", &laws);
    assert!(overlapping.contains("intervals overlap"), "no overlap is told");
    let once = page("once", &laws.map(|(name, law)| (name, Law { runs: 1, ..law })));
    assert!(once.contains("no interval") && once.contains("--repeat"), "nothing is said of intervals");
    assert!(!once.contains("▼ lower") && !once.contains("▲ higher"), "a claim without an interval");
}

#[test]
fn what_was_not_measured_alike_is_named() {
    let different = page("different", &[("kernel", kernel()), ("lane", Law::new(2, "192.0.2.1"))]);
    assert!(different.contains("Not measured alike.") && different.contains("<strong>backend"));
    let alike = page("same", &[("one", Law::new(2, "192.0.2.1")), ("two", Law::new(3, "192.0.2.1"))]);
    assert!(!alike.contains("Not measured alike."));
}

/// What somebody would write into a report to be run by whoever opens its page.
const HOSTILE: &str = r#"</script></title></style><img src="http://hostile.invalid/x" onerror="document.title='ran'"><script>document.title='ran'</script>"#;

#[test]
fn what_comes_from_a_file_is_text_and_never_markup() {
    let folder = Folder::new("hostile");
    let mut report: Value = serde_json::from_str(&Law::new(6, HOSTILE).json()).unwrap();
    let other = folder.put("other.json", &report.to_string());
    for key in [
        "clock",
        "means",
        "nic",
        "driver",
        "wait",
        "backend",
        "schedule",
        "protocol",
        "sent_stamp",
        "received_stamp",
        "ended",
    ] {
        report[key] = HOSTILE.into();
    }
    let files = [folder.put("<img src=x>.json", &report.to_string()), other];
    for files in [&files[..1], &files[..]] {
        let path = folder.0.join("page.html");
        let output = compare(files, &path);
        assert!(output.status.success(), "{output:?}");
        let page = fs::read_to_string(path).unwrap();
        assert!(page.contains("&lt;img src="), "the text is not there");
        assert!(!page.contains("<img"), "markup came through");
        assert_eq!(page.matches("<script").count(), 3, "the data and two scripts of ours");
    }
}

#[test]
fn a_page_loads_nothing() {
    let page = page("loads", &[("a", Law::new(1, "192.0.2.1"))]);
    let (markup, scripts) = page.split_once("<script").unwrap();
    assert!(markup.contains("default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:;"));
    for load in [" src=", "url(", "@import", "href=\"http", "<iframe", "<object"] {
        assert!(!markup.contains(load), "{load}");
    }
    for load in ["fetch(", "XMLHttpRequest", "WebSocket", "sendBeacon", "import("] {
        assert!(!scripts.contains(load), "{load}");
    }
}

#[test]
fn what_is_no_report_ends_with_code_2_and_clear_words_and_writes_nothing() {
    let folder = Folder::new("refused");
    let good = folder.put("good.json", &Law::new(1, "192.0.2.1").json());
    let mut broken: Value = serde_json::from_str(&Law::new(1, "192.0.2.1").json()).unwrap();
    broken["hdr_log"] = "Tag=rtt,0.0,1.0,1.0,HISTFAAAAA!\n".into();
    let cases = [
        (folder.put("empty.json", ""), "it is empty"),
        (folder.put("text.json", "rtt 12 us"), "not a report"),
        (folder.put("foreign.json", r#"{"name": "somebody's own", "rtt": 12}"#), "it names no schema"),
        (folder.put("older.json", r#"{"schema": "barelane-probe-1"}"#), "barelane-probe-1"),
        (folder.put("demo.json", r#"{"schema": "barelane-demo-1"}"#), "barelane-demo-1"),
        (folder.put("part.json", r#"{"schema": "barelane-probe-2", "target": "x"}"#), "missing field"),
        (folder.put("broken.json", &broken.to_string()), "hdr_log"),
        (folder.0.join("none.json"), "No such file"),
    ];
    for (bad, words) in cases {
        let page = folder.0.join("page.html");
        let output = compare(&[good.clone(), bad.clone()], &page);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        let name = bad.file_stem().unwrap().to_str().unwrap();
        assert!(complaint.contains(words) && complaint.contains(name), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        assert!(!page.exists(), "{} was written", page.display());
    }
}

#[test]
fn a_page_that_cannot_be_written_ends_with_code_2() {
    let folder = Folder::new("unwritable");
    let good = folder.put("good.json", &Law::new(1, "192.0.2.1").json());
    let output = compare(&[good], &folder.0.join("none").join("page.html"));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(complaint.contains("--report"), "{complaint}");
}

#[test]
fn more_runs_than_can_be_told_apart_are_refused() {
    let folder = Folder::new("many");
    let good = folder.put("good.json", &Law::new(1, "192.0.2.1").json());
    let output = compare(&vec![good; 13], &folder.0.join("page.html"));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(complaint.contains("at most 12"), "{complaint}");
}
