//! THE counter table: every counter and every drop reason, once, with the sentence that explains it.
//!
//! Three kinds of counters obey one law, checked after every simulated turn and at the end of every run:
//!
//! ```text
//! rx = Σ replied + passed + Σ dropped
//! ```
//!
//! Counters of the kind [`Kind::Note`] stand beside the law: they count events, not the fate of frames.

/// Where on the packet's road a counter is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Taking frames from the NIC's queue.
    Rx,
    /// Reading the headers.
    Parse,
    /// Finding the class.
    Classify,
    /// Writing the answer.
    Respond,
    /// Handing the answer to the NIC's queue.
    Tx,
    /// The loop itself.
    Turn,
}

/// What a counter says about the fate of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Frames that came in.
    Received,
    /// Frames that left as answers.
    Replied,
    /// Frames handed on unchanged to the tier or the stack behind.
    Passed,
    /// Frames that ended here, with the reason.
    Dropped,
    /// Events that are no frame's fate.
    Note,
}

/// One row of THE table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The name that scripts, pages and metrics use.
    pub name: &'static str,
    /// What it says about a frame's fate.
    pub kind: Kind,
    /// Where it is counted.
    pub stage: Stage,
    /// What it means, for a reader who has never seen it.
    pub sentence: &'static str,
}

macro_rules! table {
    (
        flow { $( $flow:ident $flow_name:literal $kind:ident $flow_stage:ident $flow_sentence:literal; )* }
        reasons { $( $reason:ident $reason_name:literal $reason_stage:ident $reason_sentence:literal; )* }
    ) => {
        /// The index of one counter in [`Counters`] and of one row in [`TABLE`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Counter {
            $( #[doc = $flow_sentence] $flow, )*
            $( #[doc = $reason_sentence] $reason, )*
        }

        /// Why a frame was not answered. Each reason is a counter too.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason {
            $( #[doc = $reason_sentence] $reason = Counter::$reason as u8, )*
        }

        /// THE table, in the order of [`Counter`].
        pub const TABLE: &[Row] = &[
            $( Row { name: $flow_name, kind: Kind::$kind, stage: Stage::$flow_stage, sentence: $flow_sentence }, )*
            $( Row {
                name: $reason_name, kind: Kind::Dropped, stage: Stage::$reason_stage, sentence: $reason_sentence,
            }, )*
        ];

        impl Counter {
            /// Every counter, in the order of [`TABLE`].
            pub const ALL: &[Counter] = &[ $( Counter::$flow, )* $( Counter::$reason, )* ];
        }

        impl Reason {
            /// Every reason, in the order of [`TABLE`].
            pub const ALL: &[Reason] = &[ $( Reason::$reason, )* ];

            /// The counter that counts frames dropped for this reason.
            #[inline]
            pub const fn counter(self) -> Counter {
                match self { $( Reason::$reason => Counter::$reason, )* }
            }
        }
    };
}

table! {
    flow {
        Rx "rx" Received Rx "Frames taken from the receive ring.";
        RepliedArp "replied_arp" Replied Respond "ARP requests answered, and ARP conflicts defended.";
        RepliedNdp "replied_ndp" Replied Respond "Neighbour solicitations answered.";
        RepliedIcmpv4 "replied_icmpv4" Replied Respond "ICMP echo requests answered.";
        RepliedIcmpv6 "replied_icmpv6" Replied Respond "ICMPv6 echo requests answered.";
        RepliedUdp "replied_udp" Replied Respond "UDP datagrams answered.";
        RepliedStamp "replied_stamp" Replied Respond "STAMP packets reflected.";
        RepliedSockperf "replied_sockperf" Replied Respond "sockperf messages answered with a pong.";
        RepliedUnreachable "replied_unreachable" Replied Respond
            "Datagrams to a closed port answered with Port Unreachable.";
        Passed "passed" Passed Respond "Frames handed on unchanged to the stack behind.";
        ToLane "to_lane" Passed Respond "Frames that the driver tier handed on unchanged to a lane.";
        ArpConflict "arp_conflict" Note Respond "ARP packets of another host that uses one of our addresses.";
        UdpChecksumPartial "udp_checksum_partial" Note Respond
            "UDP datagrams whose sender left the checksum to a NIC that does not exist (veth), answered all the same.";
        ArrivalUnknown "arrival_unknown" Note Rx
            "Frames that should bear the time of their arrival and do not: no age limit holds for them.";
        TransmitUnknown "transmit_unknown" Note Tx
            "Answers that should say when they left and do not, or say a time at which they were not under way: how long that took is not known.";
        StreamEvicted "stream_evicted" Note Respond
            "Packets whose stream got the place of the one that was quiet for longest (`lane.streams`): the figures of that one are gone.";
        Warmed "warmed" Note Tx "Frames that a lane has sent to itself, by which its way out stays warm (`lane.keep_warm`).";
        Turn "turns" Note Turn "Passes of the lane's loop that found at least one frame.";
        TurnEmpty "turns_empty" Note Turn "Passes of the lane's loop that found nothing.";
        TablesTaken "tables_taken" Note Turn "New tables taken over between two turns.";
        NextHopsTaken "next_hops_taken" Note Turn "New ways to askers behind routers taken over between two turns.";
    }
    reasons {
        AnswerTooOld "answer_too_old" Rx
            "The frame had waited for longer than `lane.age_limit` when the lane came to it: its answer would be late.";
        FrameTruncated "frame_truncated" Parse "The frame ends inside a header that it announces.";
        EthernetNotOurs "ethernet_not_ours" Parse
            "The Ethernet destination is neither our address nor one that this protocol may be sent to.";
        EthernetSource "ethernet_source" Parse "The Ethernet source is a group address or our own.";
        EtherTypeUnknown "ethertype_unknown" Parse "Neither ARP, IPv4 nor IPv6.";
        VlanTooDeep "vlan_too_deep" Parse "More than two VLAN tags.";
        VlanNotServed "vlan_not_served" Parse "A VLAN that is not served, where no program before the lane looks at them.";
        ArpMalformed "arp_malformed" Parse "Not an ARP packet for IPv4 over Ethernet (RFC 826), or from a hardware address that no other station has.";
        ArpNotRequest "arp_not_request" Respond "An ARP packet that is no request (RFC 826).";
        Ipv4Version "ipv4_version" Parse "The version field is not 4 (RFC 1122 3.2.1.1).";
        Ipv4Length "ipv4_length" Parse "The header or total length does not fit the frame (RFC 791).";
        Ipv4Checksum "ipv4_checksum" Parse "The header checksum is wrong (RFC 1122 3.2.1.2).";
        Ipv4Options "ipv4_options" Parse "The header carries options, which are the kernel's to judge.";
        Ipv4Fragment "ipv4_fragment" Parse "A fragment, which is the kernel's to reassemble.";
        Ipv6Version "ipv6_version" Parse "The version field is not 6 (RFC 8200 3).";
        Ipv6Length "ipv6_length" Parse "The payload length does not fit the frame (RFC 8200 3).";
        Ipv6Extension "ipv6_extension" Parse "An extension header follows, which is the kernel's to judge.";
        ProtocolUnknown "protocol_unknown" Parse "Neither ICMP nor UDP.";
        IcmpLength "icmp_length" Parse "Too short for an ICMP header.";
        UdpLength "udp_length" Parse "The UDP length is below 8 or beyond the IP payload (RFC 768).";
        SourceInvalid "source_invalid" Respond
            "A source that no single host can have (RFC 1122 3.2.1.3), or our own address.";
        Unclaimed "unclaimed" Classify "No route claims this address, protocol and port.";
        IcmpChecksum "icmp_checksum" Respond "The ICMP checksum is wrong.";
        UdpChecksum "udp_checksum" Respond "The UDP checksum is wrong (RFC 1122 4.1.3.4).";
        UdpChecksumMissing "udp_checksum_missing" Respond "UDP over IPv6 without a checksum (RFC 8200 8.1).";
        UdpSourcePort "udp_source_port" Respond
            "An answer could start a loop between two services, or has no port to go to (CERT CA-1996-01).";
        StampMalformed "stamp_malformed" Respond
            "Too short for a STAMP packet of the mode that is served (RFC 8762 4.2).";
        StampShort "stamp_short" Respond
            "A STAMP packet that is shorter than its answer would be (RFC 8762 4.6), and is not to be answered: `stamp.short_packets`.";
        StampHmac "stamp_hmac" Respond "An authenticated STAMP packet whose HMAC is wrong (RFC 8762 4.4).";
        SockperfMalformed "sockperf_malformed" Respond
            "A datagram that is not as long as the sockperf message in it.";
        SockperfNotClient "sockperf_not_client" Respond "A sockperf message that is no client's.";
        SockperfWarmUp "sockperf_warm_up" Respond "A sockperf message that only warms caches: it is taken, and not answered.";
        SockperfSilent "sockperf_silent" Respond
            "A sockperf message that asks for no pong, as most of under-load do: it is taken, and not answered.";
        NdpHopLimit "ndp_hop_limit" Respond "A solicitation that has crossed a router (RFC 4861 7.1.1).";
        NdpMalformed "ndp_malformed" Respond "A solicitation that RFC 4861 7.1.1 says to discard.";
        ArpConflictWithheld "arp_conflict_withheld" Respond
            "Another host uses our address, and we have defended it less than 10 s ago (RFC 5227 2.4).";
        RouteLimited "route_limited" Respond "The route has answered as often as it may: `answers_per_second`.";
        SourceLimited "source_limited" Respond
            "The route has answered this source as often as it may: `answers_per_second_per_source`.";
        ErrorWithheld "error_withheld" Respond "A closed port, and the error rate limit is reached.";
        NextHopUnresolved "next_hop_unresolved" Respond
            "The way back leads by a gateway whose Ethernet address the kernel does not know (RFC 1122 2.3.2); it is asked to find it.";
        NextHopElsewhere "next_hop_elsewhere" Respond
            "The kernel's way back leads out of another interface, or there is none: a lane sends on its own alone.";
        TailroomMissing "tailroom_missing" Respond "The answer would not fit into the frame.";
        TxRingFull "tx_ring_full" Tx "The transmit ring had no room for the answer.";
    }
}

/// How many counters there are.
pub const COUNTER_COUNT: usize = TABLE.len();

const _: () = assert!(COUNTER_COUNT == Counter::ALL.len() && COUNTER_COUNT < 128);

/// Where the counters of answers begin in THE table: one for each kind of answer, one behind the other.
const ANSWERED_FIRST: usize = Counter::RepliedArp as usize;

/// How many kinds of answers there are.
pub const ANSWERED_COUNT: usize = Counter::Passed as usize - ANSWERED_FIRST;

/// The counters of answers stand together, and no others between them.
const fn answered_stand_together() -> bool {
    let mut index = 0;
    while index < COUNTER_COUNT {
        let is_within = index >= ANSWERED_FIRST && index < ANSWERED_FIRST + ANSWERED_COUNT;
        #[expect(clippy::indexing_slicing, reason = "below the table's length, in a constant")]
        if matches!(TABLE[index].kind, Kind::Replied) != is_within {
            return false;
        }
        index += 1;
    }
    true
}

const _: () = assert!(answered_stand_together());

impl Counter {
    /// The counters of answers, in the order of [`Counters::answered`].
    pub fn answered() -> &'static [Counter] {
        Self::ALL.get(ANSWERED_FIRST..).and_then(|rest| rest.get(..ANSWERED_COUNT)).unwrap_or_default()
    }

    /// This counter's row of THE table.
    pub fn row(self) -> &'static Row {
        #[expect(
            clippy::indexing_slicing,
            reason = "the table has a row for each counter: both come from one macro"
        )]
        &TABLE[self as usize]
    }
}

impl Reason {
    /// The name that scripts, traces and metrics use.
    pub fn name(self) -> &'static str {
        self.counter().row().name
    }
}

/// A lane's private counts: plain words, one writer, no atomics.
///
/// The array is a power of two long, so that an index made from a [`Counter`] needs no bounds check.
#[derive(Clone, Debug)]
#[repr(align(128))]
pub struct Counters {
    counts: [u64; 128],
}

impl Default for Counters {
    fn default() -> Self {
        Self { counts: [0; 128] }
    }
}

impl Counters {
    /// Counts one.
    #[inline]
    pub fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts `more`.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "masked to the length of the array")]
    pub fn add(&mut self, counter: Counter, more: u64) {
        // See `Cargo.toml`: to measure what counting costs.
        if cfg!(silent) {
            return;
        }
        let count = &mut self.counts[counter as usize & 127];
        *count = count.wrapping_add(more);
    }

    /// What has been counted so far.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "masked to the length of the array")]
    pub fn of(&self, counter: Counter) -> u64 {
        self.counts[counter as usize & 127]
    }

    /// How often each kind of answer was given.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "constants, below the length of the array")]
    pub const fn answered(&self) -> [u64; ANSWERED_COUNT] {
        let mut answered = [0; ANSWERED_COUNT];
        let mut index = 0;
        while index < ANSWERED_COUNT {
            answered[index] = self.counts[ANSWERED_FIRST + index];
            index += 1;
        }
        answered
    }

    /// The sum of all counters of one kind.
    pub fn sum(&self, kind: Kind) -> u64 {
        Counter::ALL
            .iter()
            .filter(|counter| counter.row().kind == kind)
            .map(|&counter| self.of(counter))
            .sum()
    }

    /// What was received and has no fate. Zero between two turns, or a frame was lost or counted twice.
    pub fn unaccounted(&self) -> i128 {
        i128::from(self.sum(Kind::Received))
            - i128::from(self.sum(Kind::Replied))
            - i128::from(self.sum(Kind::Passed))
            - i128::from(self.sum(Kind::Dropped))
    }

    /// Every counter with its value, in the order of THE table.
    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        Counter::ALL.iter().map(|&counter| (counter, self.of(counter)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_own_name_and_a_sentence() {
        for (index, row) in TABLE.iter().enumerate() {
            assert!(row.sentence.ends_with('.'), "{}", row.name);
            assert!(TABLE[index + 1..].iter().all(|other| other.name != row.name), "{}", row.name);
        }
    }

    #[test]
    fn a_reason_counts_in_its_own_row() {
        for &reason in Reason::ALL {
            assert_eq!(reason as usize, reason.counter() as usize);
            assert_eq!(reason.counter().row().kind, Kind::Dropped);
        }
    }

    #[test]
    fn the_kinds_of_answers_are_told_in_the_tables_order() {
        let mut counters = Counters::default();
        for (number, &counter) in (1..).zip(Counter::answered()) {
            assert_eq!(counter.row().kind, Kind::Replied);
            counters.add(counter, number);
        }
        counters.count(Counter::Passed);
        assert!(counters.answered().into_iter().eq(1..=ANSWERED_COUNT as u64));
    }

    #[test]
    fn the_law_of_conservation_sees_a_lost_frame() {
        let mut counters = Counters::default();
        counters.add(Counter::Rx, 3);
        counters.count(Counter::RepliedArp);
        counters.count(Reason::Unclaimed.counter());
        assert_eq!(counters.unaccounted(), 1);
        counters.count(Counter::Passed);
        assert_eq!(counters.unaccounted(), 0);
    }
}
