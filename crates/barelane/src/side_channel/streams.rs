//! What a lane says of streams, as it stands in the segment: of all of a protocol together, and of each that has a place.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use telemetry::streams::{Counts, Protocol, Stream, StreamKey, Totals};
use telemetry::{Histogram, SharedStreams, WallClock};

use super::image::Image;

/// What stands for a jitter that there is not.
const NONE: u64 = u64::MAX;

/// One stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamFigures {
    /// What its sender speaks.
    pub protocol: Protocol,
    /// Who sends.
    pub source: SocketAddr,
    /// Which of our addresses and ports it sends to.
    pub destination: SocketAddr,
    /// The session's identifier; 0 where there is none.
    pub ssid: u16,
    /// What became of its packets.
    pub counts: Counts,
    /// The highest sequence since the sender last began.
    pub highest: u64,
    /// Its interarrival jitter; nothing where its packets do not say when they were sent.
    pub jitter_ns: Option<u64>,
    /// When its first packet came, since 1970.
    pub began_unix_ns: u64,
    /// When its last one did.
    pub last_seen_unix_ns: u64,
}

impl StreamFigures {
    /// How many words one has in the segment.
    pub(super) const WORDS: usize = 18;

    fn of((key, stream): (StreamKey, Stream), wall: &WallClock) -> Self {
        let StreamKey { source, destination, source_port, destination_port, ssid, protocol } = key;
        let is_stamped = stream.is_stamped();
        Self {
            protocol,
            source: SocketAddr::new(ip_of(source), source_port),
            destination: SocketAddr::new(ip_of(destination), destination_port),
            ssid,
            counts: stream.counts,
            highest: stream.highest,
            jitter_ns: is_stamped.then(|| stream.jitter.ns()),
            began_unix_ns: wall.at(stream.began).0,
            last_seen_unix_ns: wall.at(stream.last_seen).0,
        }
    }

    /// As it stands in the segment.
    pub(super) fn to_words(self) -> [u64; Self::WORDS] {
        let [source, other_half] = words_of(self.source.ip());
        let [destination, destination_half] = words_of(self.destination.ip());
        let [source_port, destination_port, ssid] =
            [self.source.port(), self.destination.port(), self.ssid].map(u64::from);
        let [expected, received, duplicate, late, too_late, restarts] = self.counts.to_words();
        [
            self.protocol as u64,
            source,
            other_half,
            destination,
            destination_half,
            source_port,
            destination_port,
            ssid,
            expected,
            received,
            duplicate,
            late,
            too_late,
            restarts,
            self.highest,
            self.jitter_ns.unwrap_or(NONE),
            self.began_unix_ns,
            self.last_seen_unix_ns,
        ]
    }

    /// The same back; nothing where none stands there, or what stands there cannot be one.
    pub(super) fn of_words(words: [u64; Self::WORDS]) -> Option<Self> {
        let [protocol, source, other_half, destination, destination_half, rest @ ..] = words;
        let [source_port, destination_port, ssid, rest @ ..] = rest;
        let [expected, received, duplicate, late, too_late, restarts, rest @ ..] = rest;
        let [highest, jitter_ns, began_unix_ns, last_seen_unix_ns] = rest;
        let address = |halves, port| Some(SocketAddr::new(ip_of_words(halves), u16::try_from(port).ok()?));
        Some(Self {
            protocol: Protocol::of_number(u8::try_from(protocol).ok()?)?,
            source: address([source, other_half], source_port)?,
            destination: address([destination, destination_half], destination_port)?,
            ssid: u16::try_from(ssid).ok()?,
            counts: Counts::of_words([expected, received, duplicate, late, too_late, restarts]),
            highest,
            jitter_ns: (jitter_ns != NONE).then_some(jitter_ns),
            began_unix_ns,
            last_seen_unix_ns,
        })
    }
}

/// An address whose IPv4 form is told by its beginning.
fn ip_of(address: u128) -> IpAddr {
    Ipv6Addr::from_bits(address).to_canonical()
}

/// The sixteen bytes of its IPv6 form, in the order of a packet.
fn words_of(ip: IpAddr) -> [u64; 2] {
    let octets = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    let (words, _) = octets.as_chunks::<8>();
    [0, 1].map(|half| words.get(half).map_or(0, |bytes| u64::from_le_bytes(*bytes)))
}

fn ip_of_words(words: [u64; 2]) -> IpAddr {
    let [high, low] = words.map(u64::swap_bytes);
    ip_of(u128::from(high) << 64 | u128::from(low))
}

/// What is published of a lane that tells streams apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaneStreams {
    /// How many have room.
    pub places: usize,
    /// What all of them had, those that are gone too.
    pub totals: Totals,
    /// By how much transits differed.
    pub differences: Histogram,
    /// Those that have a place.
    pub known: Vec<StreamFigures>,
}

impl LaneStreams {
    /// Room for all that there can be.
    pub(crate) fn of(streams: &SharedStreams) -> Self {
        let places = streams.room();
        Self { places, known: Vec::with_capacity(places), ..Self::default() }
    }

    /// Looks at what the lane has noted. Where it died in the middle of a publication, what it published before stays.
    pub(crate) fn look(&mut self, streams: &SharedStreams, wall: &WallClock) {
        self.totals = streams.totals().unwrap_or(self.totals);
        self.differences = streams.differences.read();
        self.known.clear();
        self.known.extend(streams.iter().map(|stream| StreamFigures::of(stream, wall)).take(self.places));
    }
}

/// The area of a lane's streams.
pub(crate) fn streams(image: &mut Image, of: &LaneStreams) {
    image.gauge("places", "streams", "How many streams have room.", of.places as u64);
    image.gauge("known", "streams", "How many have a place.", of.known.len() as u64);
    for protocol in Protocol::ALL {
        totals(image, protocol, &of.totals);
    }
    let sentence = "By how much the transit of a STAMP packet (when it came, less when it was sent) differed from that of the one before \
                    of its stream.";
    image.histogram("stamp_differences", sentence, &of.differences);
    image.streams("streams", "Those that have a place.", of);
}

/// What all streams of a protocol had, whether they have a place or not.
fn totals(image: &mut Image, protocol: Protocol, totals: &Totals) {
    let (name, of) = (protocol.name(), totals.of(protocol));
    let sentence = "Streams that have begun; one that lost its place and comes back begins again.";
    image.count(&format!("{name}_begun"), "streams", sentence, of.begun);
    let Counts { expected, received, duplicate, late, too_late, restarts } = of.counts;
    for (what, count, sentence) in [
        (
            "expected",
            expected,
            "Sequences from a stream's first to its highest, each of its sender's beginnings by itself.",
        ),
        ("received", received, "Those of them that came, each once; expected - received are lost."),
        ("duplicate", duplicate, "Packets that had come before."),
        ("late", late, "Of the received, those that came after a higher one."),
        (
            "too_late",
            too_late,
            "Packets too far behind to know whether they had come before; none of them is received.",
        ),
    ] {
        image.count(&format!("{name}_{what}"), "packets", sentence, count);
    }
    let sentence = "How often a sender has begun its sequence anew.";
    image.count(&format!("{name}_restarts"), "restarts", sentence, restarts);
    if protocol.is_stamped() {
        let sentence = "Interarrival jitter over all streams (RFC 3550 A.8): the sender's clock against the one that says when frames came.";
        image.gauge(&format!("{name}_jitter"), "ns", sentence, of.jitter.ns());
    }
}

#[cfg(test)]
mod tests {
    use telemetry::streams::{Seen, Sequence};
    use telemetry::{Ns, Tick, TickRate, WallTime};

    use super::*;

    fn figures(source: &str, jitter_ns: Option<u64>) -> StreamFigures {
        StreamFigures {
            protocol: if jitter_ns.is_some() { Protocol::Stamp } else { Protocol::Sockperf },
            source: source.parse().unwrap(),
            destination: "[fd00::1]:862".parse().unwrap(),
            ssid: 0xfffe,
            counts: Counts::of_words([7, 6, 5, 4, 3, 2]),
            highest: 1 << 40,
            jitter_ns,
            began_unix_ns: 11,
            last_seen_unix_ns: 12,
        }
    }

    #[test]
    fn a_stream_is_the_same_after_it_was_words_and_zeros_are_none() {
        for (source, jitter_ns) in
            [("192.0.2.1:65535", Some(9)), ("[2001:db8::ff01]:1", None), ("[::1]:0", Some(0))]
        {
            let figures = figures(source, jitter_ns);
            assert_eq!(StreamFigures::of_words(figures.to_words()), Some(figures));
        }
        assert_eq!(StreamFigures::of_words([0; StreamFigures::WORDS]), None);
        let mut words = figures("192.0.2.1:1", None).to_words();
        words[5] = 65_536;
        assert_eq!(StreamFigures::of_words(words), None, "no port is that high");
    }

    #[test]
    fn the_bytes_of_an_address_stand_as_in_a_packet() {
        let words = figures("192.0.2.1:1", None).to_words();
        let bytes: Vec<u8> = words[1..5].iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(bytes[..16], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]);
        assert_eq!(bytes[16..], "fd00::1".parse::<Ipv6Addr>().unwrap().octets());
    }

    #[test]
    fn what_a_lane_noted_is_looked_at_with_the_time_of_day() {
        let (streams, mut totals) = (SharedStreams::new(4), Totals::default());
        let key = StreamKey {
            source: 0xffff_c000_0201,
            destination: 1,
            source_port: 4_000,
            destination_port: 862,
            ssid: 5,
            protocol: Protocol::Stamp,
        };
        for (sequence, now) in [(8, 100), (10, 300)] {
            let sequence = Sequence::Wrapping(sequence);
            let seen = Seen { sequence, sent_ns: Some(now * 3), arrived_ns: now, now: Tick(now) };
            streams.note(0, key, &seen, &mut totals);
        }
        streams.publish(&totals);
        let wall = WallClock::new(Tick(0), WallTime(1_000_000), TickRate::NANOSECONDS, Ns(0), true);
        let mut looked = LaneStreams::of(&streams);
        (0..2).for_each(|_| looked.look(&streams, &wall));
        let [stream] = looked.known[..] else { panic!("{:?}", looked.known) };
        assert_eq!(stream.source.to_string(), "192.0.2.1:4000");
        assert_eq!((stream.counts.lost(), stream.highest, stream.jitter_ns), (1, 10, Some(25)));
        assert_eq!((stream.began_unix_ns, stream.last_seen_unix_ns), (1_000_100, 1_000_300));
        assert_eq!((looked.places, looked.totals, looked.differences.sum()), (4, totals, 400));
    }
}
