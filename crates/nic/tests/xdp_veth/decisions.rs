//! Each decision of the XDP program: what a frame is, and where it goes.

use std::thread;
use std::time::Instant;

use barelane_nic::Queue;
use barelane_nic::xdp::{Attachment, ModeChoice, Settings};

use crate::cable::{Cable, LIMIT, NOTHING, arrives, receive};
use crate::packets::{
    BROADCAST, CLIENTS, KERNELS, KERNELS_V6, OURS, OURS_V6, SERVER_MAC, SOLICITED_NODE, arp, icmp, icmpv6,
    solicitation, tagged, tcp, udp, udp_to, untagged, with,
};

/// Where the program sends a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Lane,
    Kernel,
    Drop(&'static str),
}

/// Byte offsets of fields behind an Ethernet header.
const IPV4_FIRST: usize = 14;
const IPV4_FRAGMENT: usize = 14 + 6;
const IPV4_PROTOCOL: usize = 14 + 9;
const IPV6_NEXT: usize = 14 + 6;
const ICMP_CODE: usize = 14 + 20 + 1;
const ICMPV6_CODE: usize = 14 + 40 + 1;

fn decisions() -> Vec<(&'static str, Vec<u8>, Way)> {
    use Way::{Drop, Kernel, Lane};
    let tag = [0x81, 0, 0, 5];
    let service_tag = [0x88, 0xa8, 0, 6];
    let other_mac = [2, 0, 0, 0, 0, 7];
    vec![
        ("claimed port", udp(KERNELS, 7), Lane),
        ("claimed port, one tag", tagged(udp(KERNELS, 7), &[tag]), Lane),
        ("claimed port, two tags", tagged(udp(KERNELS, 7), &[service_tag, tag]), Lane),
        ("claimed port, three tags", tagged(udp(KERNELS, 7), &[service_tag, tag, tag]), Kernel),
        ("claimed port over IPv6", udp(KERNELS_V6, 7), Lane),
        ("unclaimed port", udp(KERNELS, 8), Kernel),
        ("unclaimed port over IPv6", udp(KERNELS_V6, 8), Kernel),
        ("claimed port, options", with(udp(KERNELS, 7), IPV4_FIRST, &[0x46]), Kernel),
        ("claimed port, first fragment", with(udp(KERNELS, 7), IPV4_FRAGMENT, &[0x20, 0]), Kernel),
        ("claimed port, later fragment", with(udp(KERNELS, 7), IPV4_FRAGMENT, &[0, 9]), Kernel),
        ("claimed port, not to be fragmented", with(udp(KERNELS, 7), IPV4_FRAGMENT, &[0x40, 0]), Lane),
        ("claimed port, extension header", with(udp(KERNELS_V6, 7), IPV6_NEXT, &[60]), Kernel),
        ("claimed port, another's MAC", udp_to(other_mac, KERNELS, 7), Kernel),
        ("claimed port, broadcast MAC", udp_to(BROADCAST, KERNELS, 7), Kernel),
        ("claimed ping", icmp(KERNELS, 8), Lane),
        ("claimed ping, code 1", with(icmp(KERNELS, 8), ICMP_CODE, &[1]), Kernel),
        ("claimed ping over IPv6", icmpv6(KERNELS_V6, 128), Lane),
        ("claimed ping over IPv6, code 1", with(icmpv6(KERNELS_V6, 128), ICMPV6_CODE, &[1]), Kernel),
        ("echo reply", icmp(KERNELS, 0), Kernel),
        ("echo reply over IPv6", icmpv6(KERNELS_V6, 129), Kernel),
        ("TCP", tcp(KERNELS), Kernel),
        ("another host's address", udp("192.0.2.77", 7), Kernel),
        ("own address, any port", udp(OURS, 4242), Lane),
        ("own address, any port, IPv6", udp(OURS_V6, 4242), Lane),
        ("own address, claimed ping", icmp(OURS, 8), Lane),
        ("own address, claimed ping, IPv6", icmpv6(OURS_V6, 128), Lane),
        ("own address, ping, code 1", with(icmp(OURS, 8), ICMP_CODE, &[1]), Drop("icmp_unclaimed")),
        ("own address, ping, code 255", with(icmp(OURS, 8), ICMP_CODE, &[255]), Drop("icmp_unclaimed")),
        (
            "own address, ping over IPv6, code 1",
            with(icmpv6(OURS_V6, 128), ICMPV6_CODE, &[1]),
            Drop("icmp_unclaimed"),
        ),
        ("own address, another's MAC", udp_to(other_mac, OURS, 7), Kernel),
        ("own address, timestamp request", icmp(OURS, 13), Drop("icmp_unclaimed")),
        ("own address, advertisement", icmpv6(OURS_V6, 136), Drop("icmp_unclaimed")),
        ("own address, TCP", tcp(OURS), Drop("tcp")),
        ("own address, SCTP", with(udp(OURS, 7), IPV4_PROTOCOL, &[132]), Drop("protocol_unknown")),
        ("own address, TCP over IPv6", with(udp(OURS_V6, 7), IPV6_NEXT, &[6]), Drop("tcp")),
        ("own address, options", with(udp(OURS, 7), IPV4_FIRST, &[0x46]), Drop("ipv4_options")),
        ("own address, version 5", with(udp(OURS, 7), IPV4_FIRST, &[0x55]), Drop("ipv4_malformed")),
        ("own address, header of 16", with(udp(OURS, 7), IPV4_FIRST, &[0x44]), Drop("ipv4_malformed")),
        ("own address, fragment", with(udp(OURS, 7), IPV4_FRAGMENT, &[0x20, 0]), Drop("ipv4_fragment")),
        ("own address, extension", with(udp(OURS_V6, 7), IPV6_NEXT, &[0]), Drop("ipv6_extension")),
        ("own address, fragment header", with(udp(OURS_V6, 7), IPV6_NEXT, &[44]), Drop("ipv6_extension")),
        ("own address, version 7", with(udp(OURS_V6, 7), 14, &[0x70]), Drop("ipv6_malformed")),
        ("ARP for us", arp(BROADCAST, CLIENTS, OURS), Lane),
        ("ARP for us, unicast", arp(SERVER_MAC, CLIENTS, OURS), Lane),
        ("ARP by one who has our address", arp(BROADCAST, OURS, CLIENTS), Lane),
        ("ARP for the kernel", arp(BROADCAST, CLIENTS, KERNELS), Kernel),
        ("ARP for us, another's MAC", arp(other_mac, CLIENTS, OURS), Kernel),
        ("solicitation for us", solicitation(SOLICITED_NODE, "ff02::1:ff00:9", OURS_V6), Lane),
        ("solicitation for us, unicast", solicitation(SERVER_MAC, OURS_V6, OURS_V6), Lane),
        (
            "solicitation for us, tagged",
            tagged(solicitation(SOLICITED_NODE, "ff02::1:ff00:9", OURS_V6), &[tag]),
            Lane,
        ),
        ("solicitation for the kernel", solicitation(SERVER_MAC, KERNELS_V6, KERNELS_V6), Kernel),
        ("solicitation for another", solicitation(SOLICITED_NODE, "ff02::1:ff00:9", "2001:db8::77"), Kernel),
        ("shorter than an IPv4 header", udp(OURS, 7)[..30].to_vec(), Kernel),
        ("neither ARP nor IP", with(udp(OURS, 7), 12, &[0x88, 0xb5]), Kernel),
    ]
}

fn drop_count(attachment: &Attachment, name: &str) -> u64 {
    attachment.drops().unwrap().iter().find(|drop| drop.name == name).unwrap().count
}

fn check_decisions(mode: ModeChoice) {
    let Some(cable) = Cable::lay(1) else { return };
    let (attachment, mut queues) = cable.open(&Settings { mode, ..cable.settings() }).unwrap();
    let (client, kernel) = (cable.client_socket(), cable.kernel_socket());
    for (what, frame, way) in decisions() {
        let dropped = |way| if let Way::Drop(name) = way { drop_count(&attachment, name) } else { 0 };
        let before = dropped(way);
        client.send(&frame).unwrap();
        match way {
            Way::Lane => {
                let received = receive(&mut queues[0], LIMIT).expect(what);
                assert_eq!(queues[0].room_mut(&received)[..received.len()], frame, "{what}");
                queues[0].release(received);
                queues[0].flush();
            }
            Way::Kernel => assert!(arrives(&kernel, &untagged(&frame), LIMIT), "{what}"),
            Way::Drop(_) => {
                let deadline = Instant::now() + LIMIT;
                while dropped(way) == before && Instant::now() < deadline {
                    thread::yield_now();
                }
                assert_eq!(dropped(way), before + 1, "{what}");
            }
        }
    }
    assert!(receive(&mut queues[0], NOTHING).is_none(), "nothing else was redirected");
    let drops: u64 = attachment.drops().unwrap().iter().map(|drop| drop.count).sum();
    let expected = decisions().iter().filter(|(_, _, way)| matches!(way, Way::Drop(_))).count();
    assert_eq!(drops, expected as u64, "nothing else was dropped");
}

#[test]
fn the_program_decides_as_its_table_says_in_native_mode() {
    check_decisions(ModeChoice::Native);
}

#[test]
fn the_program_decides_as_its_table_says_in_generic_mode() {
    check_decisions(ModeChoice::Generic);
}
