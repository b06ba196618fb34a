//! Streams as metrics: of each lane and protocol, all streams together.
//!
//! No family has a stream for a label. Addresses and ports are whatever a sender writes into its packets, and Prometheus remembers every
//! value of a label: a flood of forged sources would fill its memory, and not ours alone. Who lost most is asked of `barelane top`.

use telemetry::streams::Protocol;

use super::Families;
use crate::admin::exposition::{Kind, Label, Value};
use crate::side_channel::Area;
use crate::top::figures::streams::counts;

impl Families {
    /// The streams of a lane.
    pub(super) fn streams(&mut self, area: &Area) {
        let lane: Label = ("lane", area.index.to_string());
        let number = |name: &str| Value::Number(area.number(name).unwrap_or(0));
        let help = "How many streams a lane has room for.";
        self.gauge("barelane_stream_places", "", help, std::slice::from_ref(&lane), number("places"));
        let help = "How many streams have a place.";
        self.gauge("barelane_stream_known", "", help, std::slice::from_ref(&lane), number("known"));
        for protocol in Protocol::ALL {
            let labels = [lane.clone(), ("protocol", protocol.name().to_owned())];
            self.stream_packets(area, protocol, &labels);
            if protocol.is_stamped() {
                self.stream_jitter(area, protocol, &labels);
            }
        }
    }

    fn stream_packets(&mut self, area: &Area, protocol: Protocol, labels: &[Label]) {
        let counts = counts(area, protocol);
        let fates = [
            ("in_order", counts.received.saturating_sub(counts.late)),
            ("late", counts.late),
            ("duplicate", counts.duplicate),
            ("too_late", counts.too_late),
        ];
        let help = "Packets of streams by how their sequence stands to those before: their sum is what came, in_order and late what was expected.";
        for (fate, count) in fates {
            let labels = [labels, &[("fate", fate.to_owned())]].concat();
            let count = Value::Number(count);
            self.add("barelane_stream_packets", Kind::Counter, "packets", help, labels, count);
        }
        let help = "Packets that were expected: from a stream's first sequence to its highest.";
        let (name, expected) = ("barelane_stream_expected_packets", Value::Number(counts.expected));
        self.add(name, Kind::Counter, "packets", help, labels.to_vec(), expected);
        let help = "Packets that were expected and have not come; one that comes late makes it less.";
        let lost = Value::Number(counts.lost());
        self.gauge("barelane_stream_lost_packets", "packets", help, labels, lost);
        let begun = area.number(&format!("{}_begun", protocol.name())).unwrap_or(0);
        let help = "Streams that have begun; one that lost its place and comes back begins again.";
        let begun = Value::Number(begun);
        self.add("barelane_stream_beginnings", Kind::Counter, "", help, labels.to_vec(), begun);
        let help = "How often a sender has begun its sequence anew.";
        let restarts = Value::Number(counts.restarts);
        self.add("barelane_stream_restarts", Kind::Counter, "", help, labels.to_vec(), restarts);
    }

    fn stream_jitter(&mut self, area: &Area, protocol: Protocol, labels: &[Label]) {
        let name = protocol.name();
        let jitter = Value::Ns(area.number(&format!("{name}_jitter")).unwrap_or(0));
        let help = "Interarrival jitter over all streams of a lane (RFC 3550 A.8).";
        self.gauge("barelane_stream_jitter_seconds", "seconds", help, labels, jitter);
        let differences = area.histogram(&format!("{name}_differences")).unwrap_or_default();
        let help = "By how much the transit of a packet differed from that of the one before of its stream.";
        let (name, value) =
            ("barelane_stream_transit_difference_seconds", Value::Residence(Box::new(differences)));
        self.add(name, Kind::Histogram, "seconds", help, labels.to_vec(), value);
    }
}
