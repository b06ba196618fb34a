//! Does the page in a browser say what the server does, in every window and to every reader, and whatever becomes of the server?
//!
//! The browser runs on the server's host, so that its loopback is the server's, and it reaches nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::chromium::{Browser, Image, Scheme};

use crate::admin::{Ends, body, get, hosts, sample};
use crate::competitor::{Competed, lane_of};
use crate::server::Server;
use crate::several_cards;
use crate::side_channel::{nanoseconds, wait_until};
use crate::topology::{CLIENT, SERVER, Topology, tools};

/// How long until the page shows what has happened, on two busy cores.
const SHOWN_MAX: Duration = Duration::from_mins(1);

const PAGE: &str = "http://127.0.0.1:9464/";

/// The page is up to date and has been asked for twice, so that it has rates.
const IS_LIVE: &str = "document.documentElement.dataset.state === 'live' && Number(document.documentElement.dataset.answers) > 2";

/// A browser on the server's host.
fn browser(topology: &Topology) -> Browser {
    let profile = std::env::temp_dir().join(format!("barelane-browser-{}", std::process::id()));
    Browser::start(profile, |command| topology.server.run(|| command.spawn()).unwrap()).unwrap()
}

/// One that shows the page of a server that runs.
fn reader(topology: &Topology) -> Browser {
    let mut browser = browser(topology);
    browser.resize(1280, 900, Scheme::Light).unwrap();
    browser.visit(PAGE).unwrap();
    browser.until(IS_LIVE, SHOWN_MAX).unwrap();
    browser
}

/// The text of an element.
fn text(browser: &mut Browser, selector: &str) -> String {
    let value = browser.value(&format!("document.querySelector('{selector}').innerText")).unwrap();
    value.as_str().unwrap().to_owned()
}

/// The rows of a table, cell by cell; each begins with what names it.
fn rows(browser: &mut Browser, id: &str) -> Vec<Vec<String>> {
    let cells = "[...row.cells].map(cell => cell.textContent)";
    let script = format!("[...document.querySelectorAll('#{id} tbody tr')].map(row => {cells})");
    serde_json::from_value(browser.value(&script).unwrap()).unwrap()
}

/// A count as the page writes it: digits in threes.
fn number(text: &str) -> f64 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{text:?} has no number"))
}

/// Asks with `barelane probe`, in both protocols.
fn probe(topology: &Topology, count: &str) {
    for proto in ["udp:7", "icmp"] {
        let arguments =
            ["probe", SERVER[0], "--proto", proto, "--count", count, "--closed", "--timeout", "5"];
        let ended = topology.client(env!("CARGO_BIN_EXE_barelane"), &arguments);
        assert!(ended.status.success(), "{}", ended.said);
    }
}

#[test]
#[ignore = "needs root: a network namespace; and Chromium"]
fn chromium_shows_figures_and_curves_on_a_desk_and_on_a_phone_by_day_and_by_night() {
    let topology = hosts();
    let _server = Server::alone_with(&topology, &["--tier", "lane"]);
    probe(&topology, "2000");
    let mut browser = reader(&topology);
    // What is dark on what, and the inks of what came in and of the curve.
    let (day, night) = ([0xff_ff_ff, 0x16_19_1d, 0x0b_62_a8], [0x14_17_1a, 0xe8_ea_ed, 0x6c_b4_f2]);
    browser.value("document.querySelector('input[value=all]').click()").unwrap();
    for (width, scheme, colours) in [
        (1280, Scheme::Light, day),
        (1280, Scheme::Dark, night),
        (390, Scheme::Light, day),
        (360, Scheme::Dark, night),
    ] {
        browser.resize(width, 900, scheme).unwrap();
        let drawn = |id: &str| format!("Number(document.getElementById('{id}').dataset.drawnPoints) > 10");
        browser.until(&drawn("residence-plot"), SHOWN_MAX).unwrap();
        browser.until(&drawn("rates-plot"), SHOWN_MAX).unwrap();
        let widths = browser.value("[document.documentElement.scrollWidth, innerWidth]").unwrap();
        assert_eq!(widths[0], widths[1], "the page scrolls sideways at {width}");
        let picture = browser.picture().unwrap();
        keep(&picture, &format!("page-{width}-{scheme:?}.png"));
        let image = Image::of_png(&picture).unwrap();
        assert_eq!(image.size.0, width);
        for colour in colours {
            assert!(image.count(colour) > 150, "#{colour:06x} at {width}: {}", image.count(colour));
        }
        assert!(image.colours() > 50 && image.right_edge().is_some(), "{width}");
        let paper = browser.value("getComputedStyle(document.body).backgroundColor").unwrap();
        assert_eq!(paper == "rgb(255, 255, 255)", scheme == Scheme::Light, "{paper}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs root: a network namespace; and Chromium"]
fn chromium_shows_what_was_lost_of_a_stream() {
    let topology = hosts();
    let _server = Server::alone_with(&topology, &["--respond", "stamp", "--streams", "16"]);
    let socket = topology.socket(SERVER[0], wire::stamp::PORT);
    for sequence in [0_u8, 1, 3, 3] {
        let mut packet = [0; 44];
        packet[3] = sequence;
        socket.send(&packet).unwrap();
        assert_eq!(socket.recv(&mut packet).unwrap(), 44);
    }
    let mut browser = reader(&topology);
    browser.until("document.querySelectorAll('#streams-table tbody tr').length === 1", SHOWN_MAX).unwrap();
    let source = socket.local_addr().unwrap().to_string();
    let wanted = [&source, "10.9.0.1:862", "stamp", "3", "1", "1", "0", "0", "0", "–"];
    let shown = rows(&mut browser, "streams-table");
    assert_eq!(shown[0][..wanted.len()], wanted, "what does not say when it was sent has no jitter");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Puts a picture where somebody who wants to look at it has asked for it.
fn keep(picture: &[u8], name: &str) {
    if let Some(folder) = std::env::var_os("BARELANE_PICTURES") {
        fs::write(PathBuf::from(folder).join(name), picture).unwrap();
    }
}

#[test]
#[ignore = "needs root: a network namespace; Chromium and axe-core"]
fn axe_core_finds_nothing_in_chromium_at_either_width_and_in_either_scheme() {
    let topology = hosts();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    probe(&topology, "200");
    let mut browser = reader(&topology);
    for (width, scheme) in
        [(1280, Scheme::Light), (1280, Scheme::Dark), (390, Scheme::Light), (390, Scheme::Dark)]
    {
        browser.resize(width, 900, scheme).unwrap();
        assert_eq!(browser.violations(&tools()).unwrap(), Vec::<String>::new(), "{width} {scheme:?}");
    }
    drop(server);
    browser.until("document.documentElement.dataset.state === 'gone'", SHOWN_MAX).unwrap();
    assert_eq!(browser.violations(&tools()).unwrap(), Vec::<String>::new(), "where nobody answers");
    let _server = with_token(&topology);
    browser.visit(PAGE).unwrap();
    browser.until(ASKS_FOR_TOKEN, SHOWN_MAX).unwrap();
    assert_eq!(browser.violations(&tools()).unwrap(), Vec::<String>::new(), "where it asks for the token");
}

/// What a page of metrics says, added up.
fn metric_sum(page: &str, beginnings: &[&str]) -> f64 {
    let lines = page.lines().filter(|line| beginnings.iter().any(|beginning| line.starts_with(beginning)));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[test]
#[ignore = "needs root: a network namespace; and Chromium"]
fn chromium_shows_what_metrics_say_when_traffic_has_stopped() {
    const COUNT: &str = "300";
    let topology = hosts();
    let _carries = topology.carry_what_drivers_answer();
    for tier in ["lane", "driver"] {
        let _server = Server::alone_with(&topology, &["--tier", tier]);
        probe(&topology, COUNT);
        // From a service's own port, which nobody answers: a drop.
        let service = topology.clients.run(|| UdpSocket::bind((CLIENT[0], 7))).unwrap().unwrap();
        service.send_to(&[0xa5; 16], (SERVER[0], 7)).unwrap();
        let mut browser = reader(&topology);
        let page = same_twice(&topology, &mut browser);
        let tile = |browser: &mut Browser, name: &str| number(&text(browser, &format!("#{name}-count")));
        let [answered, dropped, received] =
            ["answered", "dropped", "received"].map(|name| tile(&mut browser, name));
        let of = |fate: &str| {
            let beginnings = [
                format!("barelane_lane_frames_total{{lane=\"0\",fate=\"{fate}\""),
                format!("barelane_driver_frames_total{{fate=\"{fate}\""),
            ];
            metric_sum(&page, &beginnings.each_ref().map(String::as_str))
        };
        let exactly = |shown: f64, told: f64| (shown - told).abs() < f64::EPSILON;
        assert!(exactly(answered, of("replied")) && answered >= 600.0, "{tier}: {answered}\n{page}");
        assert!(exactly(dropped, of("dropped")) && dropped >= 1.0, "{tier}: {dropped}\n{page}");
        assert!(exactly(received, sample(&page, "barelane_driver_received_frames_total")), "{tier}: {page}");
        for row in rows(&mut browser, "drops-table") {
            let [reason, of_tier, .., count, _] = row.as_slice() else { panic!("{row:?}") };
            let label = format!("counter=\"{reason}\"");
            let beginning = format!("barelane_{of_tier}_frames_total");
            let lines = page.lines().filter(|line| line.starts_with(&beginning) && line.contains(&label));
            assert!(
                exactly(number(count), metric_sum(&lines.collect::<Vec<_>>().join("\n"), &[""])),
                "{row:?}"
            );
        }
        let udp = rows(&mut browser, "answers-table").into_iter().find(|row| row[0] == "udp").unwrap();
        let told = |tier: &str| {
            let labels = "fate=\"replied\",counter=\"replied_udp\",stage=\"respond\"}";
            let lane = if tier == "lane" { "lane=\"0\"," } else { "" };
            sample(&page, &format!("barelane_{tier}_frames_total{{{lane}{labels}"))
        };
        assert!(
            exactly(number(&udp[2]), told("lane")) && exactly(number(&udp[3]), told("driver")),
            "{udp:?}"
        );
        assert!(told(tier) >= 300.0, "{tier} has answered: {udp:?}");
    }
}

#[test]
#[ignore = "needs root: a network namespace; Chromium and axe-core"]
fn in_chromium_one_of_several_cards_is_chosen_and_its_figures_are_shown() {
    let topology = several_cards::cables();
    let _server = several_cards::serve(&topology, &several_cards::file("several-page", &[7]));
    for (card, count) in [(0, 300), (1, 200)] {
        several_cards::ask(&several_cards::socket(&topology, card, 7), count);
    }
    let mut browser = reader(&topology);
    for (card, (nic, count)) in [("lane0", 300.0), ("lane1", 200.0), ("lane0", 300.0)].into_iter().enumerate()
    {
        browser
            .value(&format!("document.querySelectorAll('input[name=card]')[{}].click()", card % 2))
            .unwrap();
        browser.until(&format!("document.getElementById('nic').innerText === '{nic}'"), SHOWN_MAX).unwrap();
        browser.until(IS_LIVE, SHOWN_MAX).unwrap();
        let udp = rows(&mut browser, "answers-table").into_iter().find(|row| row[0] == "udp").unwrap();
        assert!((number(&udp[2]) - count).abs() < f64::EPSILON, "{nic}: {udp:?}");
    }
    assert_eq!(text(&mut browser, "#cards"), "Card\nlane0\nlane1");
    browser.resize(390, 900, Scheme::Light).unwrap();
    let widths = browser.value("[document.documentElement.scrollWidth, innerWidth]").unwrap();
    assert_eq!(widths[0], widths[1], "the page scrolls sideways");
    keep(&browser.picture().unwrap(), "page-cards.png");
    assert_eq!(browser.violations(&tools()).unwrap(), Vec::<String>::new());
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Metrics from a moment when they and the page have settled: the kernels' own noise on the cable goes on for a while.
fn same_twice(topology: &Topology, browser: &mut Browser) -> String {
    let deadline = Instant::now() + SHOWN_MAX;
    let counted = |page: &str| {
        let lines = page.lines().filter(|line| line.contains("frames_total"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let answers = "Number(document.documentElement.dataset.answers)";
    loop {
        let before = counted(body(&get(topology, "/metrics", "")));
        let seen = browser.value(answers).unwrap().as_f64().unwrap();
        browser.until(&format!("{answers} > {seen} + 1"), SHOWN_MAX).unwrap();
        browser.value("document.getElementById('hold').click()").unwrap();
        let page = get(topology, "/metrics", "");
        if counted(body(&page)) == before {
            return body(&page).to_owned();
        }
        browser.value("document.getElementById('hold').click()").unwrap();
        assert!(Instant::now() < deadline, "frames go on coming: {page}");
    }
}

#[test]
#[ignore = "needs root: a network namespace; and Chromium"]
fn in_chromium_everything_is_reached_and_done_from_the_keyboard() {
    let topology = hosts();
    let _server = Server::alone_with(&topology, &["--tier", "lane"]);
    probe(&topology, "50");
    let mut browser = reader(&topology);
    browser.press("Tab").unwrap();
    assert_eq!(text(&mut browser, ":focus"), "To the tables");
    assert_eq!(
        browser.value("document.querySelectorAll('[title]').length").unwrap(),
        0,
        "words for a mouse alone"
    );
    let focused = "(() => { const at = document.activeElement, style = getComputedStyle(at.type === 'radio' ? at.nextSibling : at); \
                   return [at.getAttribute('aria-label') ?? at.id + at.name + at.innerText, \
                   style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 || at.matches('.skip')]; })()";
    let mut walked = Vec::new();
    for _ in 0..40 {
        let at = browser.value(focused).unwrap();
        assert_eq!(at[1], true, "the focus is not seen at {}", at[0]);
        let name = at[0].as_str().unwrap().to_owned();
        if walked.first() == Some(&name) && walked.len() > 1 {
            break;
        }
        walked.push(name);
        browser.press("Tab").unwrap();
        if browser.value("document.activeElement === document.body").unwrap() == true {
            break;
        }
    }
    for wanted in ["hold", "residence", "Lanes", "Answers by kind", "stalls", "Routes", "Rings", "/metrics"] {
        assert!(walked.iter().any(|name| name.starts_with(wanted)), "{wanted} is not among {walked:?}");
    }
    browser.value("document.getElementById('hold').focus()").unwrap();
    browser.press(" ").unwrap();
    browser.until("document.documentElement.dataset.state === 'held'", SHOWN_MAX).unwrap();
    browser.press("Enter").unwrap();
    browser.until(IS_LIVE, SHOWN_MAX).unwrap();
    browser.value("document.querySelector('input[name=residence]').focus()").unwrap();
    browser.press("ArrowRight").unwrap();
    browser
        .until("document.querySelector('input[name=residence]:checked').value === 'all'", SHOWN_MAX)
        .unwrap();
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "needs root: a network namespace; and Chromium"]
fn chromium_is_told_when_the_server_does_not_answer_and_when_it_does_again() {
    let topology = hosts();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let mut browser = reader(&topology);
    let process = server.id();
    drop(server);
    browser.until("document.documentElement.dataset.state === 'gone'", SHOWN_MAX).unwrap();
    let alarm = text(&mut browser, "[role=alert]");
    assert!(alarm.starts_with("The server does not answer.") && alarm.contains("as it was then"), "{alarm}");
    assert!(text(&mut browser, "#state-words").starts_with("no answer · figures "));
    assert!(browser.value("document.title").unwrap().as_str().unwrap().starts_with("does not answer: "));
    browser
        .until(
            "parseFloat(document.getElementById('state-words').innerText.split('figures ')[1]) > 2",
            SHOWN_MAX,
        )
        .unwrap();
    let next = Server::alone_with(&topology, &["--tier", "lane"]);
    browser.until("document.documentElement.dataset.state === 'live'", SHOWN_MAX).unwrap();
    assert_eq!(text(&mut browser, "[role=alert]"), "");
    let said = browser.value("document.querySelector('[role=status]').textContent").unwrap();
    assert_eq!(said, "The server answers again; it was started anew.");
    let facts = text(&mut browser, "#facts");
    assert!(
        facts.contains(&format!("process {}", next.id())) && !facts.contains(&format!("process {process} "))
    );
    // The only complaints are the browser's own, of what could not be loaded.
    let complaints = browser.complaints();
    assert!(
        complaints.iter().all(|complaint| complaint.contains("ERR_CONNECTION_REFUSED")
            || complaint.contains("ERR_EMPTY_RESPONSE")
            || complaint.contains("ERR_CONNECTION_RESET")),
        "{complaints:?}"
    );
}

/// How often a lane is held up, and how long the page may take each time. Where others have the lane's core so often that 64 stalls
/// come within a second, ours is gone before anybody has looked.
const TRIES_MAX: usize = 8;
const DRAWN_MAX: Duration = Duration::from_secs(5);

/// Stops the server for a while, and says which stall is that.
fn stop(server: &Server) -> impl Fn(&Value) -> bool + use<> {
    const STOPPED: Duration = Duration::from_millis(300);
    let (lane, process) = (server.lanes()[0], server.id().to_string());
    let signal =
        |name| assert!(Command::new("kill").args(["-s", name, &process]).status().unwrap().success());
    signal("STOP");
    wait_until(lane, "T");
    let began = Instant::now();
    std::thread::sleep(STOPPED);
    signal("CONT");
    wait_until(lane, "R");
    let (least, lasted_ns) = (nanoseconds(STOPPED) * 9 / 10, nanoseconds(began.elapsed()));
    // What others had of its core after CONT is a part of the stall, and no error of its length.
    move |stall| {
        let [length, waited] = ["length_ns", "run_delay_ns"].map(|key| stall[key].as_u64().unwrap_or(0));
        length >= least && length.saturating_sub(waited) <= lasted_ns * 11 / 10
    }
}

/// The stall of a lane that top tells and the page draws, and all that top says of the lane; nothing where somebody else's stalls
/// have taken its place.
fn told_and_drawn(
    browser: &mut Browser,
    server: &Server,
    is_ours: impl Fn(&Value) -> bool,
) -> Option<(Value, Value)> {
    let told = lane_of(server);
    let stall = told["stalls"].as_array().unwrap().iter().find(|stall| is_ours(stall))?.clone();
    let mark = format!("rect[data-length-ns=\"{}\"]", stall["length_ns"]);
    let is_drawn = format!("document.querySelector('#stalls-line {mark}') !== null");
    browser.until(&is_drawn, DRAWN_MAX).ok()?;
    Some((stall, told))
}

/// Demands that the time line and the table of the page have a stall with its length and its cause, as top tells it.
fn assert_shown(browser: &mut Browser, stall: &Value) {
    let (length, cause) = (stall["length_ns"].as_u64().unwrap(), stall["cause"].as_str().unwrap());
    let drawn = "[...document.querySelectorAll('#stalls-line rect')]";
    let drawn = format!("{drawn}.map(mark => [Number(mark.dataset.lengthNs), mark.dataset.cause])");
    let drawn = browser.value(&drawn).unwrap();
    assert!(drawn.as_array().unwrap().contains(&serde_json::json!([length, cause])), "{stall}: {drawn}");
    let length_ms = f64::from(u32::try_from(length).unwrap()) / 1e6;
    let is_ours =
        |row: &&Vec<String>| row[3] == cause && (0.99..1.01).contains(&(milliseconds(&row[2]) / length_ms));
    let table = rows(browser, "stalls-table");
    assert!(table.iter().find(is_ours).is_some(), "{stall} is not in {table:#?}");
}

#[test]
#[ignore = "needs root: a network namespace; and Chromium"]
fn chromium_shows_a_stopped_servers_stall_as_top_and_metrics_tell_it() {
    let topology = hosts();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let mut browser = reader(&topology);
    let told = (0..TRIES_MAX).find_map(|_| told_and_drawn(&mut browser, &server, stop(&server)));
    let (stall, told) = told.unwrap_or_else(|| panic!("in {TRIES_MAX} stops none was told by top and drawn"));
    let (length, cause) = (stall["length_ns"].as_f64().unwrap(), stall["cause"].as_str().unwrap());
    // Where others had its core for so long before or after, that is the stronger evidence.
    let has_waited = stall["run_delay_ns"].as_f64().is_some_and(|waited| waited >= length / 2.0);
    assert_eq!(cause, if has_waited { "preempted" } else { "off_core" }, "{stall}");
    assert_shown(&mut browser, &stall);
    let page = get(&topology, "/metrics", "");
    let longest_ns = sample(body(&page), "barelane_lane_longest_stall_seconds{lane=\"0\"}") * 1e9;
    let longest = told["stall_max_ns"].as_f64().unwrap();
    // Ticks are put into nanoseconds at each publication, by what a tick is then.
    let is_same = (longest_ns / longest - 1.0).abs() < 0.001;
    assert!(is_same && longest_ns >= length * 0.99, "{longest_ns}, {longest}, {stall}");
    assert!(sample(body(&page), "barelane_lane_stalls_total{lane=\"0\"}") >= 1.0);
}

#[test]
#[ignore = "needs root: a network namespace, and a real-time priority; and Chromium"]
fn chromium_shows_a_competing_threads_stall_with_its_length_and_as_preempted() {
    let topology = hosts();
    let server = Server::alone_with(&topology, &["--tier", "lane"]);
    let mut browser = reader(&topology);
    let core = lane_of(&server)["core"].as_u64().unwrap();
    for _ in 0..TRIES_MAX {
        let Some(competed) = Competed::on(core) else { return };
        if let Some((stall, _)) = told_and_drawn(&mut browser, &server, |stall| competed.is(stall)) {
            assert_eq!(stall["cause"], "preempted", "{stall}");
            return assert_shown(&mut browser, &stall);
        }
    }
    panic!("in {TRIES_MAX} tries none was told by top and drawn");
}

/// A time as the page writes it.
fn milliseconds(text: &str) -> f64 {
    let (number, unit) = text.split_once(' ').unwrap();
    let scale = match unit {
        "ns" => 1e-6,
        "µs" => 1e-3,
        "ms" => 1.0,
        _ => 1e3,
    };
    number.parse::<f64>().unwrap() * scale
}

/// A server that asks for the token 0123abcd.
fn with_token(topology: &Topology) -> Server {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let file = std::env::temp_dir().join(format!("barelane-page-token-{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(&file).unwrap().write_all(b"0123abcd\n").unwrap();
    let server = Server::alone_with(topology, &["--tier", "lane", "--admin-token", file.to_str().unwrap()]);
    fs::remove_file(&file).unwrap();
    server
}

/// The page asks for the token, and the keyboard is where it is to be written.
const ASKS_FOR_TOKEN: &str =
    "document.activeElement.id === 'token' && document.documentElement.dataset.state === 'token'";

#[test]
#[ignore = "needs root: a network namespace; and Chromium"]
fn chromium_is_asked_for_the_token_and_keeps_it_out_of_every_address() {
    let topology = hosts();
    let _server = with_token(&topology);
    assert!(get(&topology, "/page.json", "").starts_with("HTTP/1.1 401 "), "figures for everybody");
    let mut browser = browser(&topology);
    browser.visit(PAGE).unwrap();
    browser.until(ASKS_FOR_TOKEN, SHOWN_MAX).unwrap();
    browser.write("0123abce").unwrap();
    browser.press("Enter").unwrap();
    browser
        .until(
            "document.querySelector('[role=alert]').innerText.includes('not the server’s token')",
            SHOWN_MAX,
        )
        .unwrap();
    browser.write("0123abcd").unwrap();
    browser.press("Enter").unwrap();
    browser.until(IS_LIVE, SHOWN_MAX).unwrap();
    browser.visit(PAGE).unwrap();
    browser.until(IS_LIVE, SHOWN_MAX).unwrap();
    let places = browser.value("[location.href, document.cookie, JSON.stringify(localStorage), ...performance.getEntries().map(entry => entry.name)].join()").unwrap();
    assert!(!places.as_str().unwrap().contains("0123abc"), "{places}");
    // That it was refused twice is the browser's own complaint.
    let complaints = browser.complaints();
    assert!(complaints.iter().all(|complaint| complaint.contains("401 (Unauthorized)")), "{complaints:?}");
}

/// What somebody would name an interface to have it run by whoever opens the page. It goes through a command line.
const HOSTILE: &str = "</script><img src=x onerror=document.title=1>";

#[test]
#[ignore = "needs root: a network namespace; and Chromium"]
fn chromium_shows_a_hostile_name_as_the_text_that_it_is() {
    let topology = hosts();
    let socket = format!("@{HOSTILE}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_barelane"));
    command.args(["serve", "--memif", &socket, "--mac", "02:00:00:00:09:01", "--address", "10.9.0.1/24"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Ends(topology.server.run(|| command.spawn()).unwrap().unwrap());
    let mut browser = browser(&topology);
    let deadline = Instant::now() + SHOWN_MAX;
    // Until somebody listens, the browser shows an error page of its own, which never asks again.
    while browser.visit(PAGE).is_err() || browser.until(IS_LIVE, Duration::from_secs(4)).is_err() {
        assert!(Instant::now() < deadline, "nobody answers");
    }
    assert!(text(&mut browser, "h1").contains(HOSTILE));
    let made = browser.value("[document.querySelectorAll('img').length, document.querySelectorAll('script').length, document.title]").unwrap();
    let title = made[2].as_str().unwrap();
    assert_eq!((&made[0], &made[1], title.contains(HOSTILE)), (&0.into(), &2.into(), true), "{made}");
    let complaints: BTreeSet<String> = browser
        .complaints()
        .into_iter()
        .filter(|complaint| !complaint.contains("ERR_CONNECTION_REFUSED"))
        .collect();
    assert_eq!(complaints, BTreeSet::new());
}

/// The test of complaints would pass with a browser that sees nothing; this one shows that the policy is in force, and that it is heard.
#[test]
#[ignore = "needs root: a network namespace; and Chromium"]
fn chromium_would_run_what_the_policy_lets_it_and_lets_it_run_nothing() {
    let topology = hosts();
    let _server = Server::alone_with(&topology, &["--tier", "lane"]);
    let mut browser = reader(&topology);
    let inject = "const s = document.createElement('script'); s.textContent = 'document.title = \"ran\"'; document.body.append(s); \
                  document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:1/x\" onerror=\"document.title = 2\">')";
    browser.value(inject).unwrap();
    browser.until("document.title.endsWith('barelane serve')", SHOWN_MAX).unwrap();
    let complaints = browser.complaints();
    assert!(
        complaints.iter().any(|complaint| complaint.contains("Content Security Policy")),
        "{complaints:?}"
    );
}
