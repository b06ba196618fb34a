"""Ethernet II and VLAN tags: RFC 894, IEEE 802.3, 802.1Q."""

from scapy.all import ARP, Ether, Raw

from . import frames as f
from . import ndp
from .endpoint import ASKER_MAC, BROADCAST_MAC, CLOSED_PORT, OTHER4, OTHER6, OTHER_MAC, OWN_MAC
from .topic import Topic, bytes_at, truncate, values

ABOUT = """Ethernet II frames, their minimum length, whose they are, and VLAN tags.
RFC 894, RFC 1122 2.3.3, IEEE 802.3 4A.3.2.3 (60 bytes without the checksum sequence), IEEE 802.1Q."""

TAGGED = {
    "C-tag": [(0x8100, 5, 1, 100)],
    "S-tag-and-C-tag": [(0x88A8, 3, 0, 200), (0x8100, 7, 0, 4094)],
    "two-C-tags": [(0x8100, 0, 0, 1), (0x8100, 1, 0, 2)],
    "priority-tag": [(0x8100, 6, 0, 0)],
}


def topic():
    t = Topic("ethernet", ABOUT)
    _minimum_length(t)
    _whose(t)
    _tags(t)
    _ethertypes(t)
    return t


def _minimum_length(t):
    short = f.to_us() / f.ip_question() / f.udp_question(b"x")
    answer = f.from_us() / f.ip_answer() / f.udp_answer(b"x")
    t.replies(
        "L1-padding-is-not-echoed",
        "1122 2.3.3",
        "What pads a question to 60 bytes does not come back: the answer is padded with zeros.",
        short,
        answer,
        filler=0x5A,
    )
    t.replies(
        "L1-short-question-long-answer",
        "1122 2.3.3",
        "A question that its sender did not pad, as on a virtual link, gets an answer of 60 bytes.",
        short,
        answer,
        room=0,
    )
    t.replies(
        "L1-long-trailer",
        "894",
        "A trailer beyond the datagram's end does not come back, however long it is.",
        short,
        answer,
        room=1514,
        filler=0x5A,
    )
    t.replies(
        "L1-short-echo",
        "1122 2.3.3",
        "The answer to an empty echo request is padded with zeros too.",
        f.to_us() / f.ip_question() / f.echo_request(content=b""),
        f.from_us() / f.ip_answer() / f.echo_reply(content=b""),
        room=0,
    )
    t.drops(
        "L1-cut-inside-the-header",
        "894",
        "A frame that ends inside its Ethernet header is dropped.",
        f.udp4(),
        "frame_truncated",
        each=[truncate(1, 13)],
    )


def _whose(t):
    for name, frame in [("udp4", f.udp4), ("echo4", f.echo4), ("udp6", f.udp6), ("echo6", f.echo6)]:
        t.drops(
            f"I3-other-mac-{name}",
            "1122 3.3.6",
            "Our IP address in a frame to another card is not for us.",
            frame(eth=f.to_us(dst=OTHER_MAC)),
            "ethernet_not_ours",
        )
        t.drops(
            f"C3-broadcast-mac-{name}",
            "1122 3.3.6",
            "Our unicast address in a link-layer broadcast or multicast is silently discarded.",
            frame(eth=f.to_us(dst=BROADCAST_MAC)),
            "ethernet_not_ours",
            each=[
                bytes_at(
                    0,
                    [
                        b"\xff" * 6,
                        bytes.fromhex("01005e000001"),
                        bytes.fromhex("333300000001"),
                        bytes.fromhex("0180c2000000"),
                    ],
                )
            ],
        )
        t.drops(
            f"L1-group-source-{name}",
            "802.3 3.2.3",
            "A frame whose source is a group address or our own has no sender to answer.",
            frame(eth=f.to_us()),
            "ethernet_source",
            each=[
                bytes_at(
                    6,
                    [
                        b"\xff" * 6,
                        bytes.fromhex("01005e000001"),
                        bytes.fromhex("333300000001"),
                        bytes.fromhex("020000000001"),
                    ],
                )
            ],
        )
    for name, frame in [
        ("arp", f.arp(eth=f.to_us(dst=OTHER_MAC), pdst=OTHER4)),
        ("udp4", f.udp4(eth=f.to_us(dst=OTHER_MAC), dst=OTHER4)),
        ("echo4", f.echo4(eth=f.to_us(dst=OTHER_MAC), dst=OTHER4)),
        ("udp6", f.udp6(eth=f.to_us(dst=OTHER_MAC), dst=OTHER6)),
    ]:
        t.drops(
            f"I3-other-mac-other-address-{name}",
            "802.3 4.2.4.1",
            "What another station says to a third, as a promiscuous card hears it, is nobody's business here.",
            frame,
            "ethernet_not_ours",
        )
    for name, ip, protocol in [
        ("4", f.ip_question(), "1122 3.2.2"),
        ("6", f.ip6_question(), "4443 2.4 (e.4)"),
    ]:
        t.drops(
            f"C3-broadcast-mac-closed-port-{name}",
            protocol,
            "A closed port is not refused to a link-layer broadcast or multicast.",
            f.to_us(dst=BROADCAST_MAC) / ip / f.udp_question(dport=CLOSED_PORT),
            "ethernet_not_ours",
            each=[bytes_at(0, [b"\xff" * 6, bytes.fromhex("01005e000001"), bytes.fromhex("333300000001")])],
        )


def _tags(t):
    for name, vlans in TAGGED.items():
        tags = f.tags(*vlans)
        for what, question, answer in [
            ("udp4", f.ip_question() / f.udp_question(), f.ip_answer() / f.udp_answer()),
            ("echo4", f.ip_question() / f.echo_request(), f.ip_answer() / f.echo_reply()),
            ("udp6", f.ip6_question() / f.udp_question(), f.ip6_answer() / f.udp_answer()),
            ("echo6", f.ip6_question() / f.echo6_request(), f.ip6_answer() / f.echo6_reply()),
        ]:
            t.replies(
                f"L1-{name}-{what}",
                "802.1Q 9.3",
                "VLAN tags, priority and drop bit included, are kept in the answer.",
                f.stack(f.to_us(), *tags, question),
                f.stack(f.from_us(), *tags, answer),
            )
        request = f.arp()
        t.replies(
            f"L1-{name}-arp",
            "802.1Q 9.3",
            "An ARP request inside VLAN tags is answered inside the same tags.",
            f.stack(f.to_us(dst=BROADCAST_MAC), *tags, request[ARP]),
            f.stack(f.from_us(), *tags, f.arp_answer()[ARP]),
        )
        closed = f.ip_question() / f.udp_question(dport=CLOSED_PORT)
        refusal = f.unreachable4(f.to_us() / closed).payload
        t.replies(
            f"L1-{name}-closed-port",
            "802.1Q 9.3",
            "A closed port inside VLAN tags is refused inside the same tags; the quote begins at the IP header.",
            f.stack(f.to_us(), *tags, closed),
            f.stack(f.from_us(), *tags, refusal),
        )
        closed = f.ip6_question() / f.udp_question(dport=CLOSED_PORT)
        t.replies(
            f"L1-{name}-closed-port-6",
            "802.1Q 9.3",
            "The same over IPv6.",
            f.stack(f.to_us(), *tags, closed),
            f.stack(f.from_us(), *tags, f.unreachable6(f.to_us() / closed).payload),
        )
        asked = ndp.solicitation()
        t.replies(
            f"L1-{name}-solicitation",
            "802.1Q 9.3",
            "A neighbour solicitation inside VLAN tags is answered inside the same tags.",
            f.stack(f.to_us(dst=ndp.GROUP_MAC), *tags, asked.payload),
            f.stack(f.from_us(), *tags, ndp.advertisement().payload),
        )
        t.replies(
            f"L1-{name}-largest",
            "802.1Q",
            "Tags do not count towards the 1,500 bytes that a frame carries.",
            f.stack(f.to_us(), *tags, f.ip_question() / f.udp_question(f.data(1472))),
            f.stack(f.from_us(), *tags, f.ip_answer() / f.udp_answer(f.data(1472))),
        )
        t.passes(
            f"L1-{name}-unknown",
            "802.1Q",
            "An unknown protocol inside VLAN tags is handed on.",
            f.stack(f.to_us(), *tags, Raw(b"\x00" * 40)),
            "ethertype_unknown",
            each=[bytes_at(12 + 4 * len(tags), [b"\x88\xcc", b"\x88\xf7", b"\x88\x47", b"\x00\x26"])],
        )
        t.drops(
            f"L1-{name}-cut",
            "802.1Q 9.3",
            "A frame that ends inside its VLAN tags is dropped.",
            f.stack(f.to_us(), *tags, f.ip_question() / f.udp_question()),
            "frame_truncated",
            each=[truncate(14, 13 + 4 * len(tags))],
        )
    deep = f.tags((0x88A8, 0, 0, 1), (0x8100, 0, 0, 2), (0x8100, 0, 0, 3))
    t.passes(
        "L1-three-tags",
        "802.1Q",
        "More than two VLAN tags are handed on, not guessed at.",
        f.stack(f.to_us(), *deep, f.ip_question() / f.udp_question()),
        "vlan_too_deep",
    )


def _ethertypes(t):
    known = [0x0800, 0x0806, 0x8100, 0x86DD, 0x88A8]
    t.passes(
        "L1-unknown-ethertypes",
        "894",
        "Every EtherType but those of ARP, IPv4, IPv6 and VLAN tags is handed on, lengths of 802.3 frames included.",
        Ether(dst=OWN_MAC, src=ASKER_MAC, type=0x0600) / Raw(b"\x45" * 46),
        "ethertype_unknown",
        each=[values(12, 2, 0, 0xFFFF, skip=known)],
    )
    t.passes(
        "L1-unknown-ethertype-multicast",
        "894",
        "Bridges, LLDP and PTP speak to groups: handed on.",
        Ether(dst="01:80:c2:00:00:00", src=ASKER_MAC, type=0x0600) / Raw(b"\x42" * 46),
        "ethertype_unknown",
        each=[
            bytes_at(
                0,
                [
                    bytes.fromhex("0180c2000000"),
                    bytes.fromhex("0180c200000e"),
                    bytes.fromhex("011b19000000"),
                    b"\xff" * 6,
                ],
            ),
            bytes_at(12, [b"\x00\x26", b"\x88\xcc", b"\x88\xf7", b"\x88\x09"]),
        ],
    )
