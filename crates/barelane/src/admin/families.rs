//! Metrics from a snapshot. `docs/metrics.md` lists every family; a test holds the two together.
//!
//! What may be added up is one family with labels, and what may not is several: a frame that the driver tier hands to a lane is
//! received twice, so that driver and lanes have families of their own, while the fates of a lane's frames are one, whose sum
//! is what the lane received.

use host::ethtool::queue_of;

use super::exposition::{Family, Form, Kind, Label, Value};
use super::health::FRESH_MAX_NS;
use crate::side_channel::{Area, Field, Form as FieldForm, STALLED_BY, STALLS_OF, Snapshot};

mod streams;

/// What the names of histograms of residence begin with in the segment, and those of depths.
const RESIDENCE: &str = "residence_";
const DEPTH: &str = "depth_";

/// What the histograms of all kinds of answers are called here.
const RESIDENCE_FAMILY: &str = "barelane_lane_residence_seconds";
const RESIDENCE_HELP: &str =
    "From the beginning of a lane's turn to that of the next one, for each answer between.";

/// The label that says which card a sample is of.
const NIC: &str = "nic";

/// The families that are of the process, whatever cards it serves.
const OF_PROCESS: [&str; 2] = ["barelane_log_lost_lines", "barelane_log_suppressed_events"];

/// All families of a server, each name once, in the order in which they were first met.
#[derive(Debug, Default)]
pub(super) struct Families(pub(super) Vec<Family>);

impl Families {
    /// What a snapshot says, at this time since 1970.
    pub(super) fn of(snapshot: &Snapshot, now_ns: u64) -> Self {
        let mut families = Self::default();
        families.publication(snapshot, now_ns);
        snapshot.of_kind("server").for_each(|area| families.server(area));
        snapshot.of_kind("lane").for_each(|area| families.lane(area));
        snapshot.of_kind("streams").for_each(|area| families.streams(area));
        snapshot.of_kind("driver").for_each(|area| families.counters("driver", area, &[]));
        snapshot.of_kind("queue").for_each(|area| families.queue(area));
        snapshot.of_kind("memif").for_each(|area| families.peers(area));
        snapshot.of_kind("route").for_each(|area| families.route(area));
        snapshot.of_kind("link").for_each(|area| families.link(area));
        snapshot.of_kind("nic").for_each(|area| families.nic(area));
        families
    }

    /// What the snapshots of several cards say: each sample with its card's name, and once what is of the whole process.
    pub(super) fn of_cards(cards: &[(String, Snapshot)], now_ns: u64) -> Self {
        let mut all = Self::default();
        for (index, (nic, snapshot)) in cards.iter().enumerate() {
            for Family { name, kind, unit, help, samples } in Self::of(snapshot, now_ns).0 {
                let is_of_process = OF_PROCESS.contains(&name.as_str());
                for (mut labels, value) in samples.into_iter().filter(|_| !is_of_process || index == 0) {
                    let is_named = is_of_process || labels.iter().any(|(label, _)| *label == NIC);
                    labels.splice(..0, (!is_named).then(|| (NIC, nic.clone())));
                    all.add(&name, kind, &unit, &help, labels, value);
                }
            }
        }
        all
    }

    /// All of it as one page.
    pub(super) fn text(&self, form: Form) -> String {
        let mut page = String::new();
        // Writing to a string cannot fail.
        let _cannot_fail = self.0.iter().try_for_each(|family| family.write(&mut page, form));
        if form == Form::OpenMetrics {
            page.push_str("# EOF\n");
        }
        page
    }

    /// Whether what follows is of now: a page is served for as long as there is somebody to serve it.
    fn publication(&mut self, snapshot: &Snapshot, now_ns: u64) {
        let published = snapshot.areas.iter().map(Area::published_unix_ns).min().unwrap_or(0);
        let age_ns = now_ns.saturating_sub(published);
        let help =
            "Whether the server has published within the last second; where not, all else here is old.";
        self.gauge("barelane_up", "", help, &[], Value::Number(u64::from(age_ns <= FRESH_MAX_NS)));
        let help = "The time since the server last published what is said here.";
        self.gauge("barelane_publication_age_seconds", "seconds", help, &[], Value::Ns(age_ns));
        let help = "When the server started, since 1970.";
        self.gauge("barelane_start_time_seconds", "seconds", help, &[], Value::Ns(snapshot.began_unix_ns));
    }

    fn server(&mut self, area: &Area) {
        let names = ["version", "nic", "driver", "mode", "zero_copy"].map(|name| (name, name));
        let names = names.into_iter().chain([("kernel", "kernel_release"), ("tier", "tier")]);
        let labels: Vec<Label> =
            names.map(|(label, field)| (label, area.text(field).unwrap_or_default())).collect();
        let help = "What serves, and where: always 1.";
        self.add("barelane", Kind::Info, "", help, labels, Value::Number(1));
        let help =
            "Whether packets can come by the link: 0 where it has no carrier, is set down, or is gone.";
        let is_up = area.text("link").is_some_and(|link| link == "up");
        self.gauge("barelane_link_up", "", help, &[], Value::Number(u64::from(is_up)));
        let help = "A gap between two turns of a lane is a stall where it is longer.";
        let limit = Value::Ns(area.number("stall_limit").unwrap_or(0));
        self.gauge("barelane_stall_limit_seconds", "seconds", help, &[], limit);
        let count = |name| Value::Number(area.number(name).unwrap_or(0));
        let help = "Lines of the log that were lost, because nobody read it.";
        self.add("barelane_log_lost_lines", Kind::Counter, "lines", help, vec![], count("log_lost"));
        let help = "Events that were not told, because too many of their name came at once.";
        let name = "barelane_log_suppressed_events";
        self.add(name, Kind::Counter, "events", help, vec![], count("log_suppressed"));
        let help = "The clock of instants that times of lanes are counted between, and who reads it; none where nobody does: always 1.";
        for (of, field) in
            [("turn", "turn_clock"), ("arrival", "arrival_clock"), ("transmit", "transmit_clock")]
        {
            let labels = vec![("of", of.to_owned()), ("clock", area.text(field).unwrap_or_default())];
            self.add("barelane_clock", Kind::Info, "", help, labels, Value::Number(1));
        }
        let help =
            "A frame is dropped as too old where it has waited for longer; 0 where that is not limited.";
        let limit = Value::Ns(area.number("age_limit").unwrap_or(0));
        self.gauge("barelane_age_limit_seconds", "seconds", help, &[], limit);
        let help = "Questions that were asked for /healthz; each is among the frames that its tier received.";
        for (tier, field) in [("driver", "health_questions_driver"), ("lane", "health_questions_lane")] {
            let labels = vec![("tier", tier.to_owned())];
            self.add("barelane_health_questions", Kind::Counter, "questions", help, labels, count(field));
        }
    }

    fn lane(&mut self, area: &Area) {
        let labels: [Label; 1] = [("lane", area.index.to_string())];
        let number = |name: &'static str| (name, area.number(name).unwrap_or(0).to_string());
        let which = [labels[0].clone(), number("queue"), number("core")];
        let help = "The queue that a lane serves, and its core: always 1.";
        self.add("barelane_lane", Kind::Info, "", help, which.to_vec(), Value::Number(1));
        self.counters("lane", area, &labels);
        self.depths(area, &labels);
        self.stalls(area, &labels);
        self.causes(area, &labels);
        self.residences(area, &labels);
        let help =
            "The shortest wait of a frame for its lane since the publication before; 0 where nothing came.";
        let standing = Value::Ns(area.number("standing_queue").unwrap_or(0));
        self.gauge("barelane_lane_standing_queue_seconds", "seconds", help, &labels, standing);
    }

    /// THE counter table, as a lane or the driver tier has counted by it.
    fn counters(&mut self, tier: &str, area: &Area, labels: &[Label]) {
        // A program in the driver has no turns, and no tables of its own to take.
        let is_counted =
            |field: &&Field| !field.kind.is_empty() && (tier == "lane" || field.unit == "frames");
        for field in area.fields.iter().filter(is_counted) {
            let count = Value::Number(area.number(&field.name).unwrap_or(0));
            let (what, help) = match field.kind.as_str() {
                "received" => ("received_frames", "Frames that came in."),
                "note" => noted(field),
                _ => ("frames", "Frames by what became of them: their sum is what came in."),
            };
            let counter = ("counter", field.name.clone());
            let more = match field.kind.as_str() {
                "received" => vec![],
                "note" => vec![counter],
                fate => vec![("fate", fate.to_owned()), counter, ("stage", field.stage.clone())],
            };
            let name = format!("barelane_{tier}_{what}");
            self.add(&name, Kind::Counter, &field.unit, help, [labels, &more].concat(), count);
        }
    }

    fn depths(&mut self, area: &Area, labels: &[Label]) {
        for field in &area.fields {
            let Some(place) = field.name.strip_prefix(DEPTH) else { continue };
            let value = Value::Number(area.number(&field.name).unwrap_or(0));
            let (place, name, help) = match place.strip_suffix("_max") {
                None => (
                    place,
                    "barelane_lane_depth_frames",
                    "Frames in each place, at the lane's last housekeeping.",
                ),
                Some(place) => (
                    place,
                    "barelane_lane_depth_max_frames",
                    "Frames in each place, at most at any of the lane's housekeepings since its start.",
                ),
            };
            self.gauge(name, "frames", help, &[labels, &[("place", place.to_owned())]].concat(), value);
        }
    }

    fn stalls(&mut self, area: &Area, labels: &[Label]) {
        let stalls = area.stalls("stalls").unwrap_or_default();
        let help = "Times that the lane was not there for longer than barelane_stall_limit_seconds.";
        self.add(
            "barelane_lane_stalls",
            Kind::Counter,
            "",
            help,
            labels.to_vec(),
            Value::Number(stalls.count),
        );
        let help = "The lengths of all stalls together.";
        let name = "barelane_lane_stalled_seconds";
        self.add(name, Kind::Counter, "seconds", help, labels.to_vec(), Value::Ns(stalls.ns));
        let help = "The longest stall since the lane's start.";
        self.gauge(
            "barelane_lane_longest_stall_seconds",
            "seconds",
            help,
            labels,
            Value::Ns(stalls.longest_ns),
        );
    }

    /// Stalls by what caused them: how many, and how long.
    fn causes(&mut self, area: &Area, labels: &[Label]) {
        for field in area.fields.iter().filter(|field| field.form == FieldForm::Count) {
            let number = area.number(&field.name).unwrap_or(0);
            let labels = |cause: &str| [labels, &[("cause", cause.to_owned())]].concat();
            if let Some(cause) = field.name.strip_prefix(STALLS_OF) {
                let help = "Stalls by their cause, as far as the kernel tells it; those of a lane's start have none.";
                let name = "barelane_lane_stalls_by_cause";
                self.add(name, Kind::Counter, "", help, labels(cause), Value::Number(number));
            } else if let Some(cause) = field.name.strip_prefix(STALLED_BY) {
                let help = "The lengths of all stalls of one cause together.";
                let name = "barelane_lane_stalled_by_cause_seconds";
                self.add(name, Kind::Counter, "seconds", help, labels(cause), Value::Ns(number));
            }
        }
    }

    fn residences(&mut self, area: &Area, labels: &[Label]) {
        let histograms = area.fields.iter().filter(|field| field.form == FieldForm::Histogram);
        for field in histograms {
            let value = Value::Residence(Box::new(area.histogram(&field.name).unwrap_or_default()));
            let (name, help, more) = match field.name.strip_prefix(RESIDENCE) {
                Some(answer) => (RESIDENCE_FAMILY, RESIDENCE_HELP, vec![("answer", answer.to_owned())]),
                None => (&*format!("barelane_lane_{}_seconds", field.name), &*field.sentence, vec![]),
            };
            self.add(name, Kind::Histogram, "seconds", help, [labels, &more].concat(), value);
        }
    }

    /// What no lane has seen. Some count frames, some events, and some are a part of others: nothing to be added up.
    fn queue(&mut self, area: &Area) {
        let queue = ("queue", area.number("queue").unwrap_or(area.index).to_string());
        for field in area.fields.iter().filter(|field| field.form == FieldForm::Count) {
            let name = format!("barelane_queue_{}", field.name);
            let count = Value::Number(area.number(&field.name).unwrap_or(0));
            self.add(&name, Kind::Counter, "", &field.sentence, vec![queue.clone()], count);
        }
    }

    fn peers(&mut self, area: &Area) {
        for field in area.fields.iter().filter(|field| field.form == FieldForm::Count) {
            let count = Value::Number(area.number(&field.name).unwrap_or(0));
            let help =
                "Peers in shared memory by what happened to them: a peer that left was connected before.";
            let event = ("event", field.name.clone());
            self.add("barelane_memif_peers", Kind::Counter, "peers", help, vec![event], count);
        }
    }

    /// What became of a route's questions, at each tier; nothing where a reload left fewer routes.
    fn route(&mut self, area: &Area) {
        let Some(route) = area.text("route").filter(|route| !route.is_empty()) else { return };
        let help = "Packets that a route took, by what became of them and by the tier: what the driver left to a lane counts there.";
        for tier in ["lane", "driver"] {
            let number = |what: &str| area.number(&format!("{tier}_{what}")).unwrap_or(0);
            let (taken, unanswered) = (number("taken"), number("unanswered"));
            for (fate, count) in [("answered", taken.saturating_sub(unanswered)), ("unanswered", unanswered)]
            {
                let labels = vec![
                    ("route", (area.index + 1).to_string()),
                    ("what", route.clone()),
                    ("tier", tier.to_owned()),
                    ("fate", fate.to_owned()),
                ];
                self.add(
                    "barelane_route_frames",
                    Kind::Counter,
                    "frames",
                    help,
                    labels,
                    Value::Number(count),
                );
            }
        }
    }

    /// What the kernel counts of the interface. Some numbers are a part of others, so that each is a family.
    fn link(&mut self, area: &Area) {
        let read = Value::Ns(area.number("read").unwrap_or(0));
        let help = "When the card was last asked what it has counted, since 1970.";
        self.gauge("barelane_link_read_time_seconds", "seconds", help, &[], read);
        let left_out = Value::Number(area.number("statistics_left_out").unwrap_or(0));
        let help = "How many numbers the card's driver has beyond those in barelane_nic_statistic.";
        self.gauge("barelane_nic_statistics_left_out", "", help, &[], left_out);
        for field in area.fields.iter().filter(|field| field.form == FieldForm::Count) {
            let name = format!("barelane_link_{}", field.name);
            let count = Value::Number(area.number(&field.name).unwrap_or(0));
            self.add(&name, Kind::Counter, "", &field.sentence, vec![], count);
        }
    }

    /// What the driver counts, by its own names.
    fn nic(&mut self, area: &Area) {
        let help = "What the card's driver counts itself, by its own names; the kernel does not tell what they mean.";
        for field in &area.fields {
            let queue = queue_of(&field.name).map_or_else(String::new, |queue| queue.to_string());
            let labels = vec![("statistic", field.name.clone()), ("queue", queue)];
            let number = Value::Number(area.number(&field.name).unwrap_or(0));
            self.add("barelane_nic_statistic", Kind::Unknown, "", help, labels, number);
        }
    }

    fn gauge(&mut self, name: &str, unit: &str, help: &str, labels: &[Label], value: Value) {
        self.add(name, Kind::Gauge, unit, help, labels.to_vec(), value);
    }

    /// Adds a sample to the family of this name.
    fn add(&mut self, name: &str, kind: Kind, unit: &str, help: &str, labels: Vec<Label>, value: Value) {
        let known = self.0.iter().rposition(|family| family.name == name && family.kind == kind);
        let sample = (labels, value);
        if let Some(family) = known.and_then(|place| self.0.get_mut(place)) {
            return family.samples.push(sample);
        }
        let (name, unit, help) = (name.to_owned(), unit.to_owned(), help.to_owned());
        self.0.push(Family { name, kind, unit, help, samples: vec![sample] });
    }
}

/// Events that are no frame's fate, by what is counted.
fn noted(field: &Field) -> (&'static str, &'static str) {
    match field.unit.as_str() {
        "turns" => ("turns", "Turns: passes of the loop that found frames (turns), or none (turns_empty)."),
        "tables" => ("taken_tables", "Tables and ways taken over between two turns."),
        _ => ("noted_frames", "Frames that had something worth a note, whatever became of them."),
    }
}
