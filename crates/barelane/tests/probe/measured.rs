//! What is measured over the loopback, and how it is said.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use super::echo::Echo;
use super::*;

/// The longest wait for anything here.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures, demands success, and gives the table and the report.
fn measured(directory: &Directory, options: &[&str]) -> (String, probe::Report) {
    let json = directory.file("probe.json");
    let ended = probe(&[&["--json", &json], options].concat());
    assert!(ended.status.success(), "{options:?}: {}", text(&ended.stderr));
    (text(&ended.stdout), read(&json))
}

#[test]
fn every_schedule_measures_what_it_was_asked_to() {
    let (echo, directory) = (Echo::start(), Directory::new("schedules"));
    let proto = echo.proto();
    for (options, schedule, is_open) in [
        (&["--closed"][..], "closed", false),
        (&["--window", "4"], "closed", false),
        (&["--rate", "2000"], "periodic", true),
        (&["--rate", "2000", "--poisson"], "poisson", true),
        (&["--rate", "500..2000"], "periodic", true),
        (&["--rate", "2000", "--spin"], "periodic", true),
        (&["--rate", "2000", "--stamps", "kernel"], "periodic", true),
    ] {
        let asked = ["--proto", &proto, "--count", "300", "--timeout", "5"];
        let (table, report) = measured(&directory, &[&asked, options].concat());
        assert_eq!((report.schedule.as_str(), report.sent, report.ended.as_str()), (schedule, 300, "done"));
        assert_eq!(report.answered + report.lost + report.late, 300, "{table}");
        let has_response = report.response.samples > 0;
        assert_eq!(
            (has_response, report.response.samples),
            (is_open, u64::from(is_open) * report.rtt.samples)
        );
        assert_eq!(report.series.iter().map(|point| point.sent).sum::<u64>(), 300, "{options:?}");
        assert_eq!(report.histogram("rtt").unwrap().len(), report.rtt.samples);
    }
}

#[test]
fn the_table_and_the_json_say_the_same() {
    let (echo, directory) = (Echo::start(), Directory::new("same"));
    let asked = ["--proto", &echo.proto(), "--count", "400", "--rate", "4000", "--timeout", "5"];
    let (table, report) = measured(&directory, &asked);
    let probe::Report { sent, answered, lost, late, .. } = &report;
    let fates = format!("sent {sent} = answered {answered} + lost {lost} + late {late};");
    assert!(table.contains(&fates), "{fates} is not in\n{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    for (name, figures) in [("response", &report.response), ("rtt", &report.rtt), ("PDV", &report.pdv)] {
        let row = table.lines().find(|line| line.trim_start().starts_with(&format!("{name} "))).unwrap();
        let cells: Vec<&str> = row.split_whitespace().skip(1).collect();
        assert_eq!(cells.len(), 9, "{row}");
        for (cell, (figure, ns)) in cells.iter().zip(figures.named()) {
            let shown = cell.parse::<f64>().ok().map(|us| (us * 1_000.0).round());
            #[expect(clippy::cast_precision_loss, reason = "microseconds of a test")]
            let exact = ns.map(|ns| ns as f64);
            assert!(
                shown.zip(exact).map_or(shown == exact, |(one, other)| (one - other).abs() < 1_000.0),
                "{figure}: {row}"
            );
        }
        assert_eq!(cells[8], figures.samples.to_string());
    }
    assert_eq!(report.stalled_runs > 0, table.contains("STALLED"), "{table}");
}

#[test]
fn several_runs_are_one_report_with_intervals_and_a_page() {
    let (echo, directory) = (Echo::start(), Directory::new("runs"));
    let page = directory.file("page.html");
    let asked = ["--proto", &echo.proto(), "--count", "200", "--repeat", "6", "--report", &page];
    let (table, report) = measured(&directory, &asked);
    assert_eq!((report.repeats.len(), report.sent), (6, 1_200));
    let interval = &report.intervals["rtt_p50_ns"];
    assert!(interval.low <= Some(interval.median) && Some(interval.median) <= interval.high, "{interval:?}");
    assert_eq!(interval.confidence, Some(0.96875));
    assert!(table.contains("rtt p50 over 6 runs"), "{table}");
    assert!(fs::read_to_string(page).unwrap().contains("127.0.0.1"));
}

#[test]
fn a_search_says_its_steps_and_what_it_found() {
    let (echo, directory) = (Echo::start(), Directory::new("search"));
    let (json, page) = (directory.file("search.json"), directory.file("search.html"));
    let proto = echo.proto();
    let files = ["--json", &json, "--report", &page];
    let asked = ["--proto", &proto, "--search", "--rate", "100..200", "--seconds", "0.1"];
    let ended = probe(&[&files[..], &asked].concat());
    let found: serde_json::Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(found["ended"], "done", "{found}");
    assert!(!found["steps"].as_array().unwrap().is_empty());
    // On a machine that others use as well every trial may be disturbed; then no rate passes, and that is said.
    let has_passed = found["rate_without_loss_per_second"].is_number();
    assert_eq!(ended.status.code(), Some(i32::from(!has_passed)), "{}", text(&ended.stderr));
    assert_eq!(Path::new(&page).exists(), has_passed);
}

#[test]
fn a_silent_target_and_a_wrong_answer_end_with_1() {
    let mute = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let proto = format!("udp:{}", mute.local_addr().unwrap().port());
    let ended = probe(&["--proto", &proto, "--count", "3", "--timeout", "0.01"]);
    assert_eq!(ended.status.code(), Some(1), "{}", text(&ended.stderr));
    assert!(text(&ended.stderr).contains("none of 3 questions was answered"), "{}", text(&ended.stderr));
    assert!(text(&ended.stdout).contains("loss 100.0000 %"), "{}", text(&ended.stdout));

    // The last byte is part of what every answer is compared with.
    let liar = Echo::that(|answer| *answer.last_mut().unwrap() ^= 1);
    let ended = probe(&["--proto", &liar.proto(), "--count", "3", "--timeout", "0.01"]);
    assert_eq!(ended.status.code(), Some(1), "{}", text(&ended.stdout));
    assert!(text(&ended.stdout).contains("corrupted"), "{}", text(&ended.stdout));
}

#[test]
fn an_interrupted_measurement_says_and_writes_what_it_has() {
    let (echo, directory) = (Echo::start(), Directory::new("interrupted"));
    let json = directory.file("probe.json");
    let proto = echo.proto();
    let asked = ["probe", "127.0.0.1", "--proto", &proto, "--rate", "1000", "--seconds", "600"];
    let mut child = barelane(&[&asked[..], &["--progress", "--json", &json]].concat()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    // The line of progress is there when the measurement is under way.
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert!(line.starts_with("barelane: ") && line.contains(" of 600 s: sent "), "{line}");
    assert!(Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap().success());
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline || child.kill().is_err(), "it goes on");
        thread::sleep(Duration::from_millis(1));
    }
    let ended = child.wait_with_output().unwrap();
    let table = text(&ended.stdout);
    assert_eq!(ended.status.code(), Some(0), "{table}");
    assert!(table.contains("STOPPED before its end"), "{table}");
    let report = read(&json);
    assert_eq!(report.ended, "stopped");
    assert!(report.answered > 0 && report.sent == report.answered + report.lost + report.late, "{table}");
}

#[test]
#[ignore = "needs Python's hdrhistogram, which cargo xtask test installs"]
fn hdrhistogram_of_python_reads_the_same_percentiles_from_the_log() {
    let (echo, directory) = (Echo::start(), Directory::new("hdr"));
    let asked = ["--proto", &echo.proto(), "--rate", "5000", "--count", "2000", "--repeat", "3"];
    let (_, report) = measured(&directory, &asked);
    let tools =
        PathBuf::from(env::var_os("BARELANE_TOOLS").expect("BARELANE_TOOLS is set by `cargo xtask test`"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/probe/hdr_log.py");
    let mut python = Command::new("/usr/bin/python3");
    python.env("PYTHONPATH", tools.join("hdrhistogram")).args(["-B", script]);
    let read = python.args([directory.file("probe.json"), directory.file("log.hlog")]).output().unwrap();
    assert!(read.status.success(), "{}", text(&read.stderr));
    let expected = |tag: &str, figures: &probe::Figures| {
        let probe::Figures { samples, p50_ns, p90_ns, p99_ns, p99_9_ns, .. } = *figures;
        let percentiles = [p50_ns, p90_ns, p99_ns, p99_9_ns].map(Option::unwrap);
        let numbers: Vec<String> = percentiles.iter().map(ToString::to_string).collect();
        format!("{tag} {samples} {}\n", numbers.join(" "))
    };
    let both = expected("rtt", &report.rtt) + &expected("response", &report.response);
    assert_eq!(text(&read.stdout), both);
}
