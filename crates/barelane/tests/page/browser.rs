//! The page in Chromium: what it draws, at which widths and in which colours, and what it does not do.
//!
//! The browser runs without a window, in a network namespace that has nothing in it, so that not even a page that
//! wanted to could load anything; and what it wanted to load stands in the browser's own log of its network stack.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use testkit::chromium::{Browser, Image, Scheme};

use super::{Folder, HOSTILE, kernel};
use crate::sample::Law;

/// What a visit of a page left behind.
struct Visit {
    /// The document after its scripts ran.
    document: String,
    /// What the page's own scripts said to the console, complaints and refusals included.
    console: Vec<String>,
    /// The log of the browser's network stack.
    network: String,
    screenshot: Image,
}

/// Width and height of the window, and the colours that the reader prefers.
#[derive(Clone, Copy)]
struct Window(u32, u32, Scheme);

const DESK: Window = Window(1280, 2600, Scheme::Light);
const DESK_AT_NIGHT: Window = Window(1280, 2600, Scheme::Dark);
const PHONE: Window = Window(390, 2600, Scheme::Light);

fn visit(folder: &Folder, page: &Path, window: Window) -> Visit {
    let dumped = chromium(folder, page, window, &["--dump-dom"]);
    let picture = folder.0.join("page.png");
    chromium(folder, page, window, &[&format!("--screenshot={}", picture.display())]);
    let words = String::from_utf8_lossy(&dumped.stderr);
    let own = format!("source: file://{}", page.display());
    Visit {
        document: String::from_utf8_lossy(&dumped.stdout).into_owned(),
        console: words
            .lines()
            .filter(|line| line.contains("CONSOLE") && line.contains(&own))
            .map(str::to_owned)
            .collect(),
        network: fs::read_to_string(folder.0.join("network.json")).unwrap(),
        screenshot: Image::of_png(&fs::read(&picture).unwrap()).unwrap(),
    }
}

fn chromium(folder: &Folder, page: &Path, window: Window, options: &[&str]) -> std::process::Output {
    let Window(width, height, scheme) = window;
    let profile = folder.0.join("profile");
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "120", "unshare", "--net", "chromium"]);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.args(["--hide-scrollbars", "--force-device-scale-factor=1", "--enable-logging=stderr"]);
    command.arg("--virtual-time-budget=4000");
    command.arg(format!("--window-size={width},{height}"));
    command.arg(format!("--user-data-dir={}", profile.display()));
    command.arg(format!("--log-net-log={}", folder.0.join("network.json").display()));
    if let Scheme::Dark = scheme {
        command.arg("--blink-settings=preferredColorScheme=0");
    }
    command.args(options).arg(format!("file://{}", page.display()));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    // The next visit shall begin as the first.
    fs::remove_dir_all(profile).unwrap();
    output
}

/// Every value of an attribute in a document.
fn values<'a>(document: &'a str, attribute: &str) -> Vec<&'a str> {
    let begin = format!(" {attribute}=\"");
    document.split(&begin as &str).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect()
}

/// What must hold of every page that draws.
fn assert_drawn(visit: &Visit, charts: usize) {
    assert_eq!(visit.console, Vec::<String>::new());
    assert_eq!(values(&visit.document, "data-charts"), [charts.to_string()]);
    let points = values(&visit.document, "data-drawn-points");
    assert_eq!(points.len(), charts);
    assert!(points.iter().all(|points| points.parse::<u32>().unwrap() > 20), "{points:?}");
    assert_eq!(visit.document.matches("<canvas").count(), charts);
}

/// Every colour that has to be there has as many pixels as a line across a chart at least.
fn assert_coloured(screenshot: &Image, colours: &[u32]) {
    for &colour in colours {
        let count = screenshot.count(colour);
        assert!(count > 150, "#{colour:06x}: {count} pixels of {:?}", screenshot.size);
    }
}

#[test]
#[ignore = "needs Chromium: cargo xtask test"]
fn chromium_draws_one_run_by_day_and_by_night_and_on_a_phone() {
    let folder = Folder::new("chromium-one");
    let page = folder.write(&[("stalled", Law { is_stalled: true, ..Law::new(4, "192.0.2.1") })]);
    let day = visit(&folder, &page, DESK);
    assert_drawn(&day, 4);
    assert_coloured(&day.screenshot, &[0xff_ff_ff, 0x0b_62_a8, 0xbc_46_00, 0x9c_3d_86, 0xb3_26_1e]);
    let night = visit(&folder, &page, DESK_AT_NIGHT);
    assert_drawn(&night, 4);
    assert_coloured(&night.screenshot, &[0x14_17_1a, 0x6c_b4_f2, 0xff_9a_5c, 0xe7_9a_d2]);
    assert_eq!(night.screenshot.count(0xff_ff_ff), 0, "something is white at night");
    let phone = visit(&folder, &page, PHONE);
    assert_drawn(&phone, 4);
    assert_eq!(phone.screenshot.size.0, 390);
    assert_eq!(phone.screenshot.right_edge(), Some([0xff; 3]), "something is wider than the phone");
}

#[test]
#[ignore = "needs Chromium: cargo xtask test"]
fn chromium_draws_several_runs_over_one_another() {
    let folder = Folder::new("chromium-three");
    let lane = Law::new(2, "192.0.2.1");
    let page =
        folder.write(&[("kernel", kernel()), ("lane", lane.clone()), ("again", Law { seed: 3, ..lane })]);
    for window in [DESK, PHONE] {
        let seen = visit(&folder, &page, window);
        assert_drawn(&seen, 4);
        assert_coloured(&seen.screenshot, &[0x0b_62_a8, 0xbc_46_00, 0x00_77_5a]);
    }
}

#[test]
#[ignore = "needs Chromium and axe-core: cargo xtask test"]
fn axe_core_finds_nothing_in_chromium_that_keeps_anybody_out() {
    let folder = Folder::new("chromium-axe");
    let page = folder.write(&[("stalled", Law { is_stalled: true, ..Law::new(4, "192.0.2.1") })]);
    let mut browser = Browser::start(folder.0.join("profile"), Command::spawn).unwrap();
    browser.visit(&format!("file://{}", page.display())).unwrap();
    browser.until("document.documentElement.dataset.charts === '4'", Duration::from_mins(1)).unwrap();
    for (width, scheme) in [(1280, Scheme::Light), (390, Scheme::Dark)] {
        browser.resize(width, 900, scheme).unwrap();
        assert_eq!(browser.violations(&tools()).unwrap(), Vec::<String>::new(), "{width} {scheme:?}");
    }
}

/// Where `cargo xtask test` put the clients that are not installed.
fn tools() -> PathBuf {
    PathBuf::from(std::env::var_os("BARELANE_TOOLS").expect("BARELANE_TOOLS is set by `cargo xtask test`"))
}

/// As many as a page takes, and too few samples for the deep percentiles, so that some cells have words for ears alone.
#[test]
#[ignore = "needs Chromium: cargo xtask test"]
fn chromium_draws_twelve_runs_that_can_be_told_apart_on_a_page_that_scrolls_no_way_but_down() {
    let folder = Folder::new("chromium-twelve");
    let names: Vec<String> = (1..=12).map(|number| format!("run-{number}")).collect();
    let law = |seed| Law { seed, runs: 1, questions: 900, ..Law::new(1, "192.0.2.1") };
    let laws: Vec<(&str, Law)> = names.iter().map(String::as_str).zip((1..).map(law)).collect();
    let page = folder.write(&laws);
    let seen = visit(&folder, &page, DESK);
    assert_drawn(&seen, 4);
    let (_, key) = seen.document.split_once("class=\"legend\"").unwrap();
    let (key, _) = key.split_once("</ul>").unwrap();
    let lines: BTreeSet<_> = values(key, "class")
        .into_iter()
        .filter(|class| class.starts_with("ink-"))
        .zip(values(key, "stroke-dasharray"))
        .collect();
    assert_eq!(lines.len(), 12, "{key}");
    for window in [DESK, PHONE] {
        let seen = visit(&folder, &with_a_ruler(&folder, &page), window);
        let sizes = ["data-page-width", "data-window-width"].map(|name| values(&seen.document, name)[0]);
        assert_eq!(sizes[0], sizes[1], "the page is wider than its window");
    }
}

/// A copy of the page, without its policy and with a script that writes down how wide it is.
fn with_a_ruler(folder: &Folder, page: &Path) -> PathBuf {
    let text = fs::read_to_string(page).unwrap();
    let (before, rest) = text.split_once("<meta http-equiv=\"Content-Security-Policy\"").unwrap();
    let (_, after) = rest.split_once('>').unwrap();
    let ruler = "<script>addEventListener('load', () => setTimeout(() => { const root = document.documentElement; \
                 root.setAttribute('data-page-width', root.scrollWidth); \
                 root.setAttribute('data-window-width', root.clientWidth); }, 1000))</script>";
    folder.put("ruled.html", &format!("{before}{after}{ruler}"))
}

#[test]
#[ignore = "needs Chromium: cargo xtask test"]
fn chromium_neither_runs_nor_loads_what_a_hostile_report_says() {
    let folder = Folder::new("chromium-hostile");
    let page = folder.write(&[("a", Law::new(6, HOSTILE)), ("b", Law::new(7, HOSTILE))]);
    let seen = visit(&folder, &page, DESK);
    assert_drawn(&seen, 4);
    assert!(!seen.document.contains("<title>ran"), "it ran");
    assert!(!seen.network.contains("hostile.invalid"), "it was loaded");
}

/// The test above would pass with a browser that sees nothing; this one shows that it sees.
#[test]
#[ignore = "needs Chromium: cargo xtask test"]
fn chromium_would_run_and_load_what_is_not_escaped() {
    let folder = Folder::new("chromium-control");
    let page = folder.put("page.html", &format!("<!DOCTYPE html><title>quiet</title>{HOSTILE}"));
    let seen = visit(&folder, &page, DESK);
    assert!(seen.document.contains("<title>ran"), "{}", seen.document);
    assert!(seen.network.contains("hostile.invalid"), "the log of the network does not show loads");
}
