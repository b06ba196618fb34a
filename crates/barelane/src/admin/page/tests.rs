//! The page as it is sent, and the figures as they are asked for; what a browser makes of them is in `tests/interface/page.rs`.

use std::path::Path;

use serde_json::Value;

use super::{Looks, PAGE, POLICY, PageFigures};
use crate::side_channel::tests::{lane_streams, memif_areas, snapshot, wanted};
use crate::side_channel::{Image, Snapshot, streams};
use crate::web::hash;

const DOCUMENT: &str = include_str!("../../../../../docs/page.md");

const SECOND: u64 = 1_000_000_000;

fn figures(before: &Snapshot, now: &Snapshot) -> Value {
    let cards = vec!["lane0".to_owned()];
    let figures = PageFigures::between(before, now, Path::new("/s"), 9 * SECOND, cards);
    serde_json::to_value(figures).unwrap()
}

#[test]
fn the_policy_names_each_script_and_the_style_that_stand_in_the_page() {
    let inside = |name: &str| {
        let [begin, end] = [format!("<{name}>"), format!("</{name}>")];
        let parts = PAGE.split(&begin).skip(1);
        parts.map(|rest| hash(rest.split(&end).next().unwrap())).collect::<Vec<_>>()
    };
    let (scripts, styles) = (inside("script"), inside("style"));
    assert_eq!((scripts.len(), styles.len()), (2, 1), "one that ends within is two");
    let wanted = format!("script-src {}; style-src {};", scripts.join(" "), styles.join(" "));
    assert!(POLICY.starts_with("default-src 'none'; ") && POLICY.contains(&wanted), "{}", *POLICY);
    assert!(!POLICY.contains("unsafe"), "{}", *POLICY);
}

#[test]
fn the_page_is_whole_and_asks_for_its_figures_alone() {
    for place in ["{style}", "{licence}", "{uplot}", "{script}"] {
        assert!(!PAGE.contains(place), "{place} is still there");
    }
    assert!(PAGE.trim_end().ends_with("</html>"));
    for load in [" src=", "url(", "@import", "href=\"http", "<iframe", "<object", " style=", " onclick="] {
        assert!(!PAGE.contains(load), "{load}");
    }
    assert_eq!(PAGE.matches("fetch(").count(), 1);
    for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!super::SCRIPT.contains(way), "{way}");
    }
}

#[test]
fn figures_are_those_of_top_with_curves_and_whatever_areas_have() {
    let (before, now) = (snapshot(wanted(10), SECOND), snapshot(wanted(30), 2 * SECOND));
    let told = figures(&before, &now);
    assert_eq!(told["schema"], "barelane-page-1");
    assert_eq!(told["now_unix_ns"], 9 * SECOND);
    assert_eq!(told["cards"], serde_json::json!(["lane0"]));
    let top = crate::top::figures::Figures::between(&before, &now, Path::new("/s"), true);
    assert_eq!(told["server"], serde_json::to_value(top).unwrap());
    let curves = told["curves"].as_array().unwrap();
    assert!(!curves.is_empty());
    for curve in curves {
        let points = curve["all"].as_array().unwrap();
        let rising = |place: usize| points.is_sorted_by_key(|point| point[place].as_f64().unwrap());
        assert!(points.len() >= 2 && rising(0) && rising(1), "{curve}");
    }
    for (kind, areas) in told["tables"].as_object().unwrap() {
        let wanted: Vec<_> = now.of_kind(kind).collect();
        assert_eq!(areas.as_array().unwrap().len(), wanted.len(), "{kind}");
        for (area, row) in wanted.iter().zip(areas.as_array().unwrap()) {
            let fields = ["texts", "numbers"].map(|key| row[key].as_array().unwrap().len());
            assert_eq!(fields.iter().sum::<usize>(), area.fields.len(), "{kind}: a field is not told");
        }
    }
}

#[test]
fn of_many_streams_those_that_lost_most_are_told() {
    let mut all = lane_streams(7);
    all.places = 64;
    all.known = (0..64).map(|_| all.known[1]).collect();
    (0..64)
        .zip(&mut all.known)
        .for_each(|(lost, stream)| stream.counts.expected = stream.counts.received + lost);
    let mut areas = wanted(3);
    let place = areas.iter().position(|(kind, ..)| *kind == "streams").unwrap();
    let mut image = Image::new();
    streams(&mut image, &all);
    areas[place].2 = image;
    let now = snapshot(areas, SECOND);
    let told = &figures(&now, &now)["server"]["lanes"][0]["streams"];
    let lost: Vec<_> =
        told["streams"].as_array().unwrap().iter().map(|stream| stream["lost"].as_u64()).collect();
    assert_eq!(lost, (44..64).rev().map(Some).collect::<Vec<_>>());
    assert_eq!(told["known"], 64, "how many there are is told");
}

#[test]
fn over_memif_the_peers_are_told_too() {
    let now = snapshot(memif_areas(3), SECOND);
    let told = figures(&now, &now);
    assert_eq!(told["tables"]["driver"], Value::Array(Vec::new()));
    let peers = &told["tables"]["memif"][0]["numbers"];
    assert!(peers.as_array().unwrap().iter().any(|number| number["name"] == "connected"), "{peers}");
}

#[test]
fn the_document_has_every_key() {
    let now = snapshot(wanted(3), SECOND);
    let told = figures(&now, &now);
    let mut keys: Vec<&String> = told.as_object().unwrap().keys().collect();
    let inner = [&told["curves"][0], &told["tables"]["route"][0], &told["tables"]["queue"][0]["numbers"][0]];
    keys.extend(inner.into_iter().filter_map(Value::as_object).flat_map(|object| object.keys()));
    assert!(keys.len() > 10, "{keys:?}");
    for key in keys {
        assert!(DOCUMENT.contains(&format!("`{key}`")), "{key} in docs/page.md");
    }
}

#[test]
fn rates_are_of_a_look_that_is_neither_too_young_nor_too_old() {
    let looks = Looks::default();
    let tenth = SECOND / 10;
    let over = |at: u64| {
        looks.take(snapshot(wanted(at), at * tenth), |before, now| {
            let published = |look: &Snapshot| look.areas[0].published_unix_ns();
            (published(now) - published(before)) / tenth
        })
    };
    // When somebody asks, and how long before the look was that he is told rates of; in tenths of a second.
    for (at, wanted) in
        [(10, 0), (12, 0), (15, 5), (20, 5), (21, 6), (30, 10), (30, 10), (35, 5), (90, 0), (100, 10)]
    {
        assert_eq!(over(at), wanted, "at {at}");
    }
}

#[test]
fn looks_from_a_clock_that_was_put_back_are_forgotten() {
    let looks = Looks::default();
    let published = |before: &Snapshot, _: &Snapshot| before.areas[0].published_unix_ns();
    assert_eq!(looks.take(snapshot(wanted(1), 50 * SECOND), published), 50 * SECOND);
    assert_eq!(looks.take(snapshot(wanted(2), 10 * SECOND), published), 10 * SECOND);
    assert_eq!(looks.take(snapshot(wanted(3), 11 * SECOND), published), 10 * SECOND);
}
