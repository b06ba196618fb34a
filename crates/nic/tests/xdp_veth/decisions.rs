//! Each decision of the XDP program: what a frame is, and where it goes.

use std::thread;
use std::time::Instant;

use barelane_nic::Queue;
use barelane_nic::xdp::{Attachment, ModeChoice, Settings};
use telemetry::Reason;

use crate::cable::{Cable, LIMIT, NOTHING, arrives, receive};
use crate::packets::{
    BROADCAST, CLIENTS, KERNELS, KERNELS_V6, OURS, OURS_V6, SERVER_MAC, SOLICITED_NODE, arp, icmp, icmpv6,
    mended, solicitation, tagged, tcp, udp, udp_to, untagged, with,
};

/// Where the program sends a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Lane,
    Kernel,
    Drop(Reason),
}

/// Tags: two VLANs that are served, as customer's and as service provider's, one that is not, none but a priority, and
/// the reserved one.
const TAG: [u8; 4] = [0x81, 0, 0xa0, 5];
const SERVICE_TAG: [u8; 4] = [0x88, 0xa8, 0, 6];
const TAG_UNSERVED: [u8; 4] = [0x81, 0, 0, 200];
const SERVICE_TAG_UNSERVED: [u8; 4] = [0x88, 0xa8, 0, 200];
const TAG_PRIORITY: [u8; 4] = [0x81, 0, 0xe0, 0];
const TAG_RESERVED: [u8; 4] = [0x81, 0, 0x0f, 0xff];

/// Byte offsets of fields behind an Ethernet header.
const IPV4_FIRST: usize = 14;
const IPV4_FRAGMENT: usize = 14 + 6;
const IPV4_PROTOCOL: usize = 14 + 9;
const IPV6_NEXT: usize = 14 + 6;
const ICMP_CODE: usize = 14 + 20 + 1;
const ICMPV6_CODE: usize = 14 + 40 + 1;

fn decisions() -> Vec<(&'static str, Vec<u8>, Way)> {
    [unicast(), neighbours(), on_vlans(), in_group_frames()].concat()
}

/// What a frame's tags decide: whether it is looked at, and no more.
fn on_vlans() -> Vec<(&'static str, Vec<u8>, Way)> {
    use Way::{Drop, Kernel, Lane};
    let claimed = |tags: &[[u8; 4]]| tagged(udp(KERNELS, 7), tags);
    let own = |tags: &[[u8; 4]]| tagged(udp_to(SERVER_MAC, OURS_V6, 4242), tags);
    let asked = |tags: &[[u8; 4]]| tagged(arp(BROADCAST, CLIENTS, OURS), tags);
    let solicited = |tags: &[[u8; 4]]| tagged(solicitation(SOLICITED_NODE, "ff02::1:ff00:9", OURS_V6), tags);
    vec![
        ("claimed port, served VLAN", claimed(&[TAG]), Lane),
        ("claimed port, served VLAN in a service tag", claimed(&[SERVICE_TAG]), Lane),
        ("claimed port, priority tag", claimed(&[TAG_PRIORITY]), Lane),
        ("claimed port, VLAN that is not served", claimed(&[TAG_UNSERVED]), Kernel),
        ("claimed port, reserved VID", claimed(&[TAG_RESERVED]), Kernel),
        ("claimed port, two served VLANs", claimed(&[SERVICE_TAG, TAG]), Lane),
        ("claimed port, priority tag and served VLAN", claimed(&[TAG_PRIORITY, TAG]), Lane),
        ("claimed port, outer VLAN not served", claimed(&[SERVICE_TAG_UNSERVED, TAG]), Kernel),
        ("claimed port, inner VLAN not served", claimed(&[SERVICE_TAG, TAG_UNSERVED]), Kernel),
        ("claimed port, three tags", claimed(&[SERVICE_TAG, TAG, TAG]), Kernel),
        ("own address, served VLAN", own(&[TAG]), Lane),
        ("own address, VLAN that is not served", own(&[TAG_UNSERVED]), Kernel),
        ("own address, TCP, served VLAN", tagged(tcp(OURS), &[TAG]), Drop(Reason::ProtocolUnknown)),
        ("own address, TCP, VLAN that is not served", tagged(tcp(OURS), &[TAG_UNSERVED]), Kernel),
        ("ARP for us, served VLAN", asked(&[TAG]), Lane),
        ("ARP for us, VLAN that is not served", asked(&[TAG_UNSERVED]), Kernel),
        (
            "another has our address, VLAN not served",
            tagged(arp(BROADCAST, OURS, CLIENTS), &[TAG_UNSERVED]),
            Kernel,
        ),
        ("solicitation for us, served VLAN", solicited(&[TAG]), Lane),
        ("solicitation for us, VLAN that is not served", solicited(&[TAG_UNSERVED]), Kernel),
    ]
}

/// A packet to one host in a frame to many is answered by none (RFC 1122 3.3.6): the kernel sees to it, as it would
/// without us. Only a solicitation is for whom it asks, whatever group it was sent to.
fn in_group_frames() -> Vec<(&'static str, Vec<u8>, Way)> {
    use Way::{Kernel, Lane};
    let all_hosts = [1, 0, 0x5e, 0, 0, 1];
    let in_frame_to = |mac: [u8; 6], packet: Vec<u8>| with(packet, 0, &mac);
    vec![
        ("claimed port, broadcast frame", udp_to(BROADCAST, KERNELS, 7), Kernel),
        ("claimed port, multicast frame", udp_to(all_hosts, KERNELS, 7), Kernel),
        ("claimed port over IPv6, broadcast frame", udp_to(BROADCAST, KERNELS_V6, 7), Kernel),
        ("claimed port over IPv6, multicast frame", udp_to(SOLICITED_NODE, KERNELS_V6, 7), Kernel),
        ("claimed ping, broadcast frame", in_frame_to(BROADCAST, icmp(KERNELS, 8)), Kernel),
        ("own address, broadcast frame", udp_to(BROADCAST, OURS, 4242), Kernel),
        ("own address, multicast frame", udp_to(all_hosts, OURS, 4242), Kernel),
        ("own address, TCP, broadcast frame", in_frame_to(BROADCAST, tcp(OURS)), Kernel),
        ("own address over IPv6, broadcast frame", udp_to(BROADCAST, OURS_V6, 4242), Kernel),
        ("own address over IPv6, multicast frame", udp_to(SOLICITED_NODE, OURS_V6, 4242), Kernel),
        (
            "own address, ping over IPv6, multicast frame",
            in_frame_to(SOLICITED_NODE, icmpv6(OURS_V6, 128)),
            Kernel,
        ),
        (
            "solicitation for us, unicast packet, multicast frame",
            solicitation(SOLICITED_NODE, OURS_V6, OURS_V6),
            Lane,
        ),
        ("ARP for us, multicast frame", arp(all_hosts, CLIENTS, OURS), Kernel),
    ]
}

/// Questions to one host, and what is odd about them.
fn unicast() -> Vec<(&'static str, Vec<u8>, Way)> {
    use Way::{Drop, Kernel, Lane};
    let other_mac = [2, 0, 0, 0, 0, 7];
    vec![
        ("claimed port", udp(KERNELS, 7), Lane),
        ("claimed port over IPv6", udp(KERNELS_V6, 7), Lane),
        ("unclaimed port", udp(KERNELS, 8), Kernel),
        ("unclaimed port over IPv6", udp(KERNELS_V6, 8), Kernel),
        ("claimed port, options", with(udp(KERNELS, 7), IPV4_FIRST, &[0x46]), Kernel),
        ("claimed port, first fragment", with(udp(KERNELS, 7), IPV4_FRAGMENT, &[0x20, 0]), Kernel),
        ("claimed port, later fragment", with(udp(KERNELS, 7), IPV4_FRAGMENT, &[0, 9]), Kernel),
        ("claimed port, not to be fragmented", with(udp(KERNELS, 7), IPV4_FRAGMENT, &[0x40, 0]), Lane),
        ("claimed port, extension header", with(udp(KERNELS_V6, 7), IPV6_NEXT, &[60]), Kernel),
        ("claimed port, another's MAC", udp_to(other_mac, KERNELS, 7), Kernel),
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
        ("own address, ping, code 1", with(icmp(OURS, 8), ICMP_CODE, &[1]), Lane),
        ("own address, ping, code 255", with(icmp(OURS, 8), ICMP_CODE, &[255]), Lane),
        ("own address, ping over IPv6, code 1", with(icmpv6(OURS_V6, 128), ICMPV6_CODE, &[1]), Lane),
        ("own address, another's MAC", udp_to(other_mac, OURS, 7), Kernel),
        ("own address, timestamp request", icmp(OURS, 13), Drop(Reason::Unclaimed)),
        ("own address, advertisement", icmpv6(OURS_V6, 136), Drop(Reason::Unclaimed)),
        ("own address, TCP", tcp(OURS), Drop(Reason::ProtocolUnknown)),
        (
            "own address, SCTP",
            mended(with(udp(OURS, 7), IPV4_PROTOCOL, &[132])),
            Drop(Reason::ProtocolUnknown),
        ),
        ("own address, TCP over IPv6", with(udp(OURS_V6, 7), IPV6_NEXT, &[6]), Drop(Reason::ProtocolUnknown)),
        ("own address, SCTP, damaged", with(udp(OURS, 7), IPV4_PROTOCOL, &[132]), Drop(Reason::Ipv4Checksum)),
        ("own address, options", mended(with(udp(OURS, 7), IPV4_FIRST, &[0x46])), Drop(Reason::Ipv4Options)),
        ("own address, version 5", with(udp(OURS, 7), IPV4_FIRST, &[0x55]), Drop(Reason::Ipv4Version)),
        ("own address, header of 16", with(udp(OURS, 7), IPV4_FIRST, &[0x44]), Drop(Reason::Ipv4Length)),
        (
            "own address, fragment",
            mended(with(udp(OURS, 7), IPV4_FRAGMENT, &[0x20, 0])),
            Drop(Reason::Ipv4Fragment),
        ),
        ("own address, extension", with(udp(OURS_V6, 7), IPV6_NEXT, &[0]), Drop(Reason::Ipv6Extension)),
        (
            "own address, fragment header",
            with(udp(OURS_V6, 7), IPV6_NEXT, &[44]),
            Drop(Reason::Ipv6Extension),
        ),
        ("own address, version 7", with(udp(OURS_V6, 7), 14, &[0x70]), Drop(Reason::Ipv6Version)),
        ("shorter than an IPv4 header", udp(OURS, 7)[..30].to_vec(), Kernel),
        ("neither ARP nor IP", with(udp(OURS, 7), 12, &[0x88, 0xb5]), Kernel),
    ]
}

/// Who has an address, and who says that he has it.
fn neighbours() -> Vec<(&'static str, Vec<u8>, Way)> {
    use Way::{Kernel, Lane};
    let other_mac = [2, 0, 0, 0, 0, 7];
    vec![
        ("ARP for us", arp(BROADCAST, CLIENTS, OURS), Lane),
        ("ARP for us, unicast", arp(SERVER_MAC, CLIENTS, OURS), Lane),
        ("ARP by one who has our address", arp(BROADCAST, OURS, CLIENTS), Lane),
        ("ARP for the kernel", arp(BROADCAST, CLIENTS, KERNELS), Kernel),
        ("ARP for us, another's MAC", arp(other_mac, CLIENTS, OURS), Kernel),
        ("solicitation for us", solicitation(SOLICITED_NODE, "ff02::1:ff00:9", OURS_V6), Lane),
        ("solicitation for us, unicast", solicitation(SERVER_MAC, OURS_V6, OURS_V6), Lane),
        ("solicitation for the kernel", solicitation(SERVER_MAC, KERNELS_V6, KERNELS_V6), Kernel),
        ("solicitation for another", solicitation(SOLICITED_NODE, "ff02::1:ff00:9", "2001:db8::77"), Kernel),
    ]
}

fn drop_count(attachment: &Attachment, reason: Reason) -> u64 {
    attachment.counts().unwrap()[reason as usize]
}

fn check_decisions(mode: ModeChoice) {
    let Some(cable) = Cable::lay(1) else { return };
    let (attachment, mut queues) = cable.open(&Settings { mode, ..cable.settings() }).unwrap();
    let (client, kernel) = (cable.client_socket(), cable.kernel_socket());
    for (what, frame, way) in decisions() {
        let dropped = |way| if let Way::Drop(reason) = way { drop_count(&attachment, reason) } else { 0 };
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
    let drops: u64 = Reason::ALL.iter().map(|reason| drop_count(&attachment, *reason)).sum();
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
