//! The page is read as Prometheus reads it, and health is told of segments that live, stand still, and are old.

use std::collections::{BTreeMap, BTreeSet};

use http_body_util::BodyExt;
use hyper::{Request, StatusCode};
use telemetry::Counter;

use super::answer::{Answerer, Card};
use super::exposition::{Family, Form, Kind, Value};
use super::families::Families;
use super::health::Watched;
use super::page::Looks;
use super::settings::Token;
use crate::side_channel::tests::{Place, facts, figures, memif_areas, snapshot, wanted};
use crate::side_channel::{self, Reader, Segment, ServerFacts, Wanted};

const DOCUMENT: &str = include_str!("../../../../docs/metrics.md");
const DASHBOARD: &str = include_str!("../../../../configs/grafana-barelane.json");

/// Every family that there can be: of a server on an interface, and of one in shared memory.
fn all_families() -> Vec<Family> {
    let mut families = Families::of(&snapshot(wanted(3), 0), 0).0;
    for family in Families::of(&snapshot(memif_areas(3), 0), 0).0 {
        if families.iter().all(|known| known.name != family.name) {
            families.push(family);
        }
    }
    families
}

/// The samples of a page by their names with labels.
fn samples(page: &str) -> BTreeMap<&str, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect()
}

#[test]
fn the_page_says_what_the_segment_says() {
    let families = Families::of(&snapshot(wanted(300), 2_000_000_000), 2_500_000_000);
    let page = families.text(Form::OpenMetrics);
    let samples = samples(&page);
    for (name, value) in [
        ("barelane_up", 1.0),
        ("barelane_publication_age_seconds", 0.5),
        ("barelane_lane_info{lane=\"1\",queue=\"3\",core=\"1\"}", 1.0),
        ("barelane_lane_received_frames_total{lane=\"1\"}", 301.0),
        ("barelane_lane_turns_total{lane=\"0\",counter=\"turns_empty\"}", 300.0),
        (
            "barelane_lane_frames_total{lane=\"0\",fate=\"dropped\",counter=\"udp_checksum\",stage=\"respond\"}",
            300.0,
        ),
        ("barelane_lane_depth_frames{lane=\"0\",place=\"rx\"}", 300.0),
        ("barelane_lane_depth_max_frames{lane=\"0\",place=\"rx\"}", 301.0),
        ("barelane_lane_stalls_total{lane=\"0\"}", 2.0),
        ("barelane_lane_stalled_seconds_total{lane=\"0\"}", 0.0006),
        ("barelane_lane_stalls_by_cause_total{lane=\"0\",cause=\"preempted\"}", 2.0),
        ("barelane_lane_stalls_by_cause_total{lane=\"0\",cause=\"off_core\"}", 0.0),
        ("barelane_lane_stalled_by_cause_seconds_total{lane=\"1\",cause=\"preempted\"}", 0.0006),
        ("barelane_lane_residence_seconds_bucket{lane=\"0\",answer=\"arp\",le=\"0.000000256\"}", 0.0),
        ("barelane_lane_residence_seconds_bucket{lane=\"0\",answer=\"arp\",le=\"0.000000512\"}", 1.0),
        ("barelane_lane_residence_seconds_bucket{lane=\"0\",answer=\"arp\",le=\"+Inf\"}", 1.0),
        ("barelane_lane_residence_seconds_sum{lane=\"0\",answer=\"arp\"}", 0.000_000_3),
        ("barelane_lane_residence_seconds_count{lane=\"0\",answer=\"arp\"}", 1.0),
        ("barelane_queue_rx_dropped_total{queue=\"0\"}", 0.0),
        ("barelane_link_rx_dropped_total", 300.0),
        ("barelane_link_read_time_seconds", 0.3),
        ("barelane_nic_statistic{statistic=\"rx_queue_0_drops\",queue=\"0\"}", 300.0),
        ("barelane_nic_statistic{statistic=\"peer_ifindex\",queue=\"\"}", 7.0),
        ("barelane_nic_statistics_left_out", 3.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name} in\n{page}");
    }
    assert!(page.contains("{version=\"\",nic=\"lane0\","), "{page}");
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn an_old_publication_is_said_to_be_old() {
    let page = Families::of(&snapshot(wanted(1), 1_000_000_000), 2_000_000_001).text(Form::Prometheus);
    let samples = samples(&page);
    assert_eq!((samples["barelane_up"], samples["barelane_publication_age_seconds"]), (0.0, 1.000_000_001));
}

#[test]
fn every_counter_of_the_table_is_on_the_page_and_fates_add_up_to_what_came_in() {
    let page = Families::of(&snapshot(wanted(1), 0), 0).text(Form::Prometheus);
    for counter in Counter::ALL.iter().filter(|counter| **counter != Counter::Rx) {
        let label = format!("counter=\"{}\"", counter.row().name);
        let found = |line: &&str| line.starts_with("barelane_lane_") && line.contains(&label);
        assert_eq!(page.lines().filter(found).count(), 2, "{label}: one for each lane");
    }
    let fates = page.lines().filter(|line| line.starts_with("barelane_lane_frames_total{lane=\"0\""));
    let kinds: BTreeSet<_> =
        fates.filter_map(|line| line.split("fate=\"").nth(1)?.split('"').next()).collect();
    assert_eq!(kinds, BTreeSet::from(["dropped", "passed", "replied"]));
}

#[test]
fn the_two_forms_say_the_same_and_differ_in_their_heads() {
    let families = Families::of(&snapshot(wanted(5), 0), 0);
    let [old, open] = [Form::Prometheus, Form::OpenMetrics].map(|form| families.text(form));
    assert_eq!(samples(&old), samples(&open));
    assert!(old.contains("# TYPE barelane_lane_frames_total counter\n"), "{old}");
    assert!(
        open.contains("# TYPE barelane_lane_frames counter\n# UNIT barelane_lane_frames frames\n"),
        "{open}"
    );
    assert!(old.contains("# TYPE barelane_info gauge\n") && open.contains("# TYPE barelane info\n"));
    assert!(!old.contains("# UNIT") && !old.contains("# EOF"));
    assert!(old.contains("# TYPE barelane_nic_statistic untyped\n"), "{old}");
    assert!(open.contains("# TYPE barelane_nic_statistic unknown\n"), "{open}");
}

#[test]
fn a_family_is_named_after_its_unit_and_no_sample_stands_twice() {
    for family in all_families() {
        let Family { name, unit, kind, help, .. } = &family;
        assert!(unit.is_empty() || name.ends_with(&format!("_{unit}")), "{name} in {unit}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
        assert!(help.ends_with(['.', '1']) && !help.contains('"'), "{name}: {help}");
        assert!(
            *kind == Kind::Histogram
                || family.samples.iter().all(|(_, value)| !matches!(value, Value::Residence(_)))
        );
    }
    for areas in [wanted(2), memif_areas(2)] {
        let page = Families::of(&snapshot(areas, 0), 0).text(Form::Prometheus);
        assert_eq!(samples(&page).len(), page.lines().filter(|line| !line.starts_with('#')).count());
    }
}

#[test]
fn the_document_lists_every_family_with_its_labels_and_no_other() {
    let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `barelane")?.split_once('`'));
    let documented: BTreeMap<String, &str> = rows
        .map(|(name, rest)| (format!("barelane{name}"), rest.split('|').nth(1).unwrap_or("").trim()))
        .collect();
    let known: BTreeMap<String, String> =
        all_families().iter().map(|family| (family.full_name(), labels(family))).collect();
    for (name, labels) in &known {
        assert_eq!(documented.get(name), Some(&labels.as_str()), "{name} in docs/metrics.md");
    }
    assert!(documented.keys().all(|name| known.contains_key(name)), "{documented:?}");
}

fn labels(family: &Family) -> String {
    let (labels, _) = family.samples.first().unwrap();
    labels.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_document_lists_every_counter_with_its_sentence() {
    for &counter in Counter::ALL {
        let row = counter.row();
        let wanted = format!("| `{}` | {} |", row.name, row.sentence);
        assert!(DOCUMENT.contains(&wanted), "{wanted}");
    }
}

#[test]
fn the_dashboard_asks_for_nothing_that_is_not_there() {
    let mut names = BTreeSet::new();
    for family in all_families() {
        let full = family.full_name();
        let endings: &[&str] =
            if family.kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        names.extend(endings.iter().map(|ending| format!("{full}{ending}")));
    }
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let queries: Vec<&str> = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten()
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(queries.len() >= 8, "{queries:?}");
    for query in queries {
        let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let asked: Vec<&str> = words.filter(|word| word.starts_with("barelane_")).collect();
        assert!(!asked.is_empty() && asked.iter().all(|name| names.contains(*name)), "{query}");
    }
}

/// A server's segment in a test's own place.
struct Served {
    _place: Place,
    areas: Vec<Wanted>,
    segment: Segment,
}

impl Served {
    fn new(token: Option<Token>) -> (Self, Answerer) {
        let place = Place::new();
        let mut areas = wanted(10);
        let segment = Segment::create_in(&place.0, &mut areas).unwrap();
        let card = card_of("lane0", &segment);
        (Self { _place: place, areas, segment }, Answerer { token, cards: vec![card] })
    }

    /// Publishes everything anew, lanes that have counted so far included.
    fn publish(&mut self, counts: [u64; 2]) {
        let mut counts = counts.into_iter();
        for (place, (kind, _, image)) in self.areas.iter_mut().enumerate() {
            if *kind == "lane" {
                image.restart();
                side_channel::lane(image, &figures(counts.next().unwrap()));
            }
            self.segment.publish(place, image).unwrap();
        }
    }
}

/// A card as it is looked at.
fn card_of(nic: &str, segment: &Segment) -> Card {
    let watched = Watched { program: None, cores: Vec::new(), sleepers: Vec::new(), asking: None };
    let reader = Some(Reader::open(segment.path()).unwrap());
    Card { nic: nic.to_owned(), reader, watched, looks: Looks::default() }
}

async fn ask(answerer: &Answerer, request: Request<()>) -> (StatusCode, String) {
    let answer = answerer.answer(&request).await;
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(answerer: &Answerer, path: &str) -> (StatusCode, String) {
    ask(answerer, Request::get(path).body(()).unwrap()).await
}

/// Does what is asked of the thread that answers, without a socket.
fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test)
}

#[test]
fn a_server_is_ready_where_every_lane_turns_and_else_says_which_does_not() {
    run(async {
        let (mut served, answerer) = Served::new(None);
        let (status, said) = get(&answerer, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{said}");
        assert!(said.contains("bad  lanes-turn: lane 0, 1 has not turned within the last second"), "{said}");
        let (unavailable, mut before) = (StatusCode::SERVICE_UNAVAILABLE, [10, 11]);
        for (counts, status) in [([20, 11], unavailable), ([30, 30], StatusCode::OK)] {
            // What has been read already, anew: old is another fault.
            served.publish(before);
            let (asked, ()) = tokio::join!(get(&answerer, "/readyz"), async { served.publish(counts) });
            assert_eq!(asked.0, status, "{counts:?}: {}", asked.1);
            before = counts;
        }
    });
}

#[test]
fn an_old_segment_is_neither_ready_nor_healthy_and_metrics_say_how_old() {
    run(async {
        let (_served, answerer) = Served::new(None);
        tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
        for path in ["/readyz", "/healthz"] {
            let (status, said) = get(&answerer, path).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{said}");
            assert!(
                said.contains("bad  segment-fresh: published ") && said.contains("stands still"),
                "{said}"
            );
        }
        let (status, page) = get(&answerer, "/metrics").await;
        assert_eq!((status, samples(&page)["barelane_up"]), (StatusCode::OK, 0.0));
    });
}

#[test]
fn a_program_that_is_not_there_any_more_is_said() {
    run(async {
        let (mut served, mut answerer) = Served::new(None);
        // The loopback, which has none.
        answerer.cards[0].watched.program = Some(7);
        let ((status, said), ()) =
            tokio::join!(get(&answerer, "/healthz"), async { served.publish([20, 20]) });
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{said}");
        assert!(
            said.contains("good lanes-turn") && said.contains("bad  program-attached: none is attached"),
            "{said}"
        );
        let ((status, said), ()) =
            tokio::join!(get(&answerer, "/readyz"), async { served.publish([30, 30]) });
        assert!(status == StatusCode::OK && !said.contains("program"), "{said}");
    });
}

#[test]
fn a_server_whose_link_is_down_or_gone_is_not_ready_and_says_which() {
    run(async {
        let (mut served, answerer) = Served::new(None);
        for (count, link) in [(20, "down"), (30, "gone")] {
            let (_, _, image) = served.areas.iter_mut().find(|(kind, ..)| *kind == "server").unwrap();
            image.restart();
            side_channel::server(image, &facts(link));
            served.publish([count; 2]);
            let ((status, said), ()) =
                tokio::join!(get(&answerer, "/readyz"), async { served.publish([count + 1; 2]) });
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{said}");
            assert!(said.contains(&format!("bad  link: link {link}: ")), "{said}");
        }
    });
}

#[test]
fn whoever_does_not_show_the_token_learns_nothing() {
    run(async {
        let (_served, answerer) = Served::new(Some(Token::of(b"correct")));
        let shown = |value: &str| Request::get("/metrics").header("Authorization", value).body(()).unwrap();
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer wrong",
            "Bearer correct2",
            "Bearer correc",
            "Basic correct",
            "correct",
        ] {
            let (status, said) = ask(&answerer, shown(value)).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{value}: {said}");
        }
        assert_eq!(get(&answerer, "/nothing").await.0, StatusCode::UNAUTHORIZED);
        for value in ["Bearer correct", "bearer correct"] {
            assert_eq!(ask(&answerer, shown(value)).await.0, StatusCode::OK, "{value}");
        }
    });
}

#[test]
fn a_request_for_a_name_that_leads_here_is_refused_unless_it_shows_the_token() {
    run(async {
        let (_served, open) = Served::new(None);
        let asked = |host: &str| Request::get("/metrics").header("Host", host).body(()).unwrap();
        for path in ["/", "/page.json", "/metrics", "/readyz", "/healthz"] {
            let request = Request::get(path).header("Host", "rebound.example:9464").body(()).unwrap();
            assert_eq!(ask(&open, request).await.0, StatusCode::MISDIRECTED_REQUEST, "{path}");
        }
        let absolute = Request::get("http://rebound.example/metrics").body(()).unwrap();
        assert_eq!(ask(&open, absolute).await.0, StatusCode::MISDIRECTED_REQUEST);
        for host in ["127.0.0.1:9464", "[::1]:9464", "localhost:9464"] {
            assert_eq!(ask(&open, asked(host)).await.0, StatusCode::OK, "{host}");
        }
        let both = Request::get("/metrics").header("Host", "127.0.0.1").header("Host", "rebound.example");
        assert_eq!(ask(&open, both.body(()).unwrap()).await.0, StatusCode::MISDIRECTED_REQUEST);
        let (_served, closed) = Served::new(Some(Token::of(b"correct")));
        assert_eq!(ask(&closed, asked("lane.example")).await.0, StatusCode::UNAUTHORIZED);
        let shown =
            Request::get("/metrics").header("Host", "lane.example").header("Authorization", "Bearer correct");
        assert_eq!(ask(&closed, shown.body(()).unwrap()).await.0, StatusCode::OK);
    });
}

#[test]
fn nothing_else_is_there_and_nothing_can_be_changed() {
    run(async {
        let (_served, answerer) = Served::new(None);
        assert_eq!(get(&answerer, "/nothing").await.0, StatusCode::NOT_FOUND);
        let post = Request::post("/metrics").body(()).unwrap();
        assert_eq!(ask(&answerer, post).await.0, StatusCode::METHOD_NOT_ALLOWED);
        let open = Request::get("/metrics")
            .header("Accept", "text/html, Application/OpenMetrics-Text;version=1.0.0;q=0.5");
        assert!(ask(&answerer, open.body(()).unwrap()).await.1.ends_with("# EOF\n"));
        let mut none = answerer;
        none.cards[0].reader = None;
        for path in ["/metrics", "/readyz", "/healthz"] {
            assert_eq!(get(&none, path).await.0, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        }
    });
}

/// Two cards of one server, each with its segment.
struct Two {
    areas: [Vec<Wanted>; 2],
    segments: [Segment; 2],
    _place: Place,
}

impl Two {
    fn new() -> (Self, Answerer) {
        let place = Place::new();
        let mut areas = [wanted(10), wanted(20)];
        for (areas, nic) in areas.iter_mut().zip(["eth1", "eth2"]) {
            let (_, _, image) = &mut areas[0];
            image.restart();
            side_channel::server(image, &ServerFacts { nic: nic.to_owned(), ..facts("up") });
        }
        let segments = areas.each_mut().map(|areas| Segment::create_in(&place.0, areas).unwrap());
        let cards = ["eth1", "eth2"].into_iter().zip(&segments).map(|(nic, segment)| card_of(nic, segment));
        let answerer = Answerer { token: None, cards: cards.collect() };
        (Self { areas, segments, _place: place }, answerer)
    }

    /// Publishes the lanes of one card anew.
    fn publish(&mut self, card: usize, count: u64) {
        for (place, (kind, _, image)) in self.areas[card].iter_mut().enumerate() {
            if *kind == "lane" {
                image.restart();
                side_channel::lane(image, &figures(count));
            }
            self.segments[card].publish(place, image).unwrap();
        }
    }
}

#[test]
fn of_several_cards_each_sample_says_which_one_it_is_of_and_none_stands_twice() {
    run(async {
        let (_two, answerer) = Two::new();
        let (status, page) = get(&answerer, "/metrics").await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let samples = samples(&page);
        assert_eq!(samples.len(), page.lines().filter(|line| !line.starts_with('#')).count());
        for (name, value) in [
            ("barelane_up{nic=\"eth1\"}", 1.0),
            ("barelane_up{nic=\"eth2\"}", 1.0),
            ("barelane_lane_received_frames_total{nic=\"eth1\",lane=\"1\"}", 11.0),
            ("barelane_lane_received_frames_total{nic=\"eth2\",lane=\"1\"}", 21.0),
            ("barelane_link_rx_dropped_total{nic=\"eth2\"}", 20.0),
            ("barelane_log_lost_lines_total", 0.0),
        ] {
            assert_eq!(samples.get(name), Some(&value), "{name} in\n{page}");
        }
        let of_process = |name: &&str| name.starts_with("barelane_log_");
        let unnamed: Vec<_> = samples.keys().filter(|name| !name.contains("nic=\"")).collect();
        assert!(unnamed.len() == 2 && unnamed.iter().all(|name| of_process(name)), "{unnamed:?}");
        for line in page.lines().filter(|line| line.starts_with("# TYPE")) {
            assert_eq!(page.matches(&format!("{line}\n")).count(), 1, "{line}");
        }
    });
}

#[test]
fn a_server_is_ready_where_the_lanes_of_all_cards_turn_and_else_says_which_cards_do_not() {
    run(async {
        let (mut two, answerer) = Two::new();
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        let mut count = [30, 30];
        for (turning, status) in [([true, true], StatusCode::OK), ([true, false], unavailable)] {
            let publishing = async {
                // Each card is looked at for its own time.
                for _ in 0..40 {
                    for card in 0..2 {
                        count[card] += u64::from(turning[card]);
                        two.publish(card, count[card]);
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            };
            let ((found, said), ()) = tokio::join!(get(&answerer, "/readyz"), publishing);
            assert_eq!(found, status, "{said}");
            for (nic, is_turning) in ["eth1", "eth2"].into_iter().zip(turning) {
                let word = if is_turning { "good" } else { "bad " };
                assert!(said.contains(&format!("{word} lanes-turn ({nic}): ")), "{said}");
            }
            assert_eq!(said.matches("good segment-fresh (eth").count(), 2, "{said}");
        }
    });
}

#[test]
fn the_figures_of_each_card_are_given_by_its_number() {
    run(async {
        let (_two, answerer) = Two::new();
        for (path, received) in [("/page.json", 10), ("/page.json?card=0", 10), ("/page.json?card=1", 20)] {
            let (status, said) = get(&answerer, path).await;
            assert_eq!(status, StatusCode::OK, "{path}: {said}");
            let told: serde_json::Value = serde_json::from_str(&said).unwrap();
            assert_eq!(told["cards"], serde_json::json!(["eth1", "eth2"]));
            assert_eq!(told["server"]["lanes"][0]["received"], received, "{path}");
        }
        for path in ["/page.json?card=2", "/page.json?card=", "/page.json?nic=eth1"] {
            let (status, said) = get(&answerer, path).await;
            assert!(status == StatusCode::NOT_FOUND && said.contains("there are 2 cards"), "{path}: {said}");
        }
    });
}
