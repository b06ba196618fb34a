"""IPv6: RFC 8200."""

from scapy.all import Raw
from scapy.layers.inet6 import (
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
    RouterAlert,
)

from . import frames as f
from .endpoint import ASKER6, CLOSED_PORT, OTHER6, OWN6
from .topic import Topic, bytes_at, truncate, values

ABOUT = """The IPv6 header, carrying a UDP or an echo question, and extension headers: RFC 8200.
Byte 14 begins version, traffic class and flow label, 18 is the payload length (26), 20 the next header, 21 the hop limit,
22 the source, 38 the destination."""

UDP_SUM, ICMP_SUM = [f.UDPV6_CHECKSUM], [f.ICMPV6_CHECKSUM]
SOURCES = ["::", "::1", "ff02::1", "ff02::9", "ff0e::1", OWN6]


def address(ip):
    import socket

    return socket.inet_pton(socket.AF_INET6, ip)


def topic():
    t = Topic("ipv6", ABOUT)
    _header(t)
    _addresses(t)
    _extensions(t)
    _fragments(t)
    return t


def both():
    closed = f.to_us() / f.ip6_question() / f.udp_question(dport=CLOSED_PORT)
    return [("udp", f.udp6(), UDP_SUM), ("echo", f.echo6(), ICMP_SUM), ("closed-port", closed, UDP_SUM)]


def _header(t):
    for name, question, _ in both():
        t.drops(
            f"S5-version-{name}",
            "8200 3",
            "Every version but 6 is dropped.",
            question,
            "ipv6_version",
            each=[bytes_at(14, [bytes([v << 4]) for v in range(16) if v != 6])],
        )
        t.drops(
            f"S5-payload-long-{name}",
            "8200 3",
            "A packet longer than its frame is dropped.",
            question,
            "ipv6_length",
            each=[values(18, 2, 27, 0xFFFF)],
        )
        t.drops(
            f"S5-cut-in-header-{name}",
            "8200 3",
            "A frame that ends inside the IPv6 header is dropped.",
            question,
            "frame_truncated",
            each=[truncate(14, 53)],
        )
        t.silences(
            f"S5-cut-in-transport-{name}",
            "8200 3",
            "A frame that ends inside the transport header is not answered.",
            question,
            each=[truncate(54, 61)],
        )
        t.drops(
            f"S5-cut-in-payload-{name}",
            "8200 3",
            "A frame that ends before its packet is dropped.",
            question,
            "ipv6_length",
            each=[truncate(62, 79)],
        )
    t.drops(
        "U5-payload-short",
        "8200 3",
        "A payload without room for a UDP header.",
        f.udp6(),
        "udp_length",
        each=[values(18, 2, 0, 7)],
    )
    t.drops(
        "N1-payload-short",
        "8200 3",
        "A payload without room for an echo header.",
        f.echo6(),
        "icmp_length",
        each=[values(18, 2, 0, 7)],
    )
    for name, question, answer in [("udp", f.udp6(), f.udp6_answer()), ("echo", f.echo6(), f.echo6_answer())]:
        t.replies(
            f"N5-hop-limit-{name}",
            "8200 3",
            "Any hop limit is answered, 0 and 1 included, and the answer's is 64.",
            question,
            answer,
            each=[values(21, 1, 0, 255)],
        )
        t.replies(
            f"N5-flow-label-{name}",
            "6437 3",
            "The question's flow label is the asker's; the answer's is 0.",
            question,
            answer,
            each=[values(16, 2, 0, 0xFFFF)],
        )
        t.replies(
            f"N5-flow-label-top-{name}",
            "6437 3",
            "Its highest four bits are no exception.",
            question,
            answer,
            each=[values(15, 1, 0, 15)],
        )
    for tc, kept in [
        (0x01, 0x00),
        (0x03, 0x00),
        (0xB8, 0xB8),
        (0xBA, 0xB8),
        (0x0F, 0x0C),
        (0xF0, 0xF0),
        (0xFC, 0xFC),
        (0xFF, 0xFC),
    ]:
        t.replies(
            f"N5-traffic-class-{tc:02x}-udp",
            "2474 3",
            "The answer keeps the code point and clears the congestion bits.",
            f.udp6(tc=tc),
            f.udp6_answer(tc=kept),
        )
        t.replies(
            f"N5-traffic-class-{tc:02x}-echo",
            "2474 3",
            "The answer keeps the code point and clears the congestion bits.",
            f.echo6(tc=tc),
            f.echo6_answer(tc=kept),
        )


def _addresses(t):
    for name, question, sums in both():
        t.drops(
            f"U4-source-{name}",
            "8200 3, 4291 2.5",
            "A source that no single host can have, or that is ours, is dropped: no answer, no error.",
            question,
            "source_invalid",
            each=[bytes_at(22, [address(ip) for ip in SOURCES], sums)],
        )
        others = [
            OTHER6,
            "::",
            "::1",
            "fd00:0:0:1::1",
            "fd01::1",
            "fd00::",
            "fd00::100:1",
            "fe80::1",
            "2001:db8::1",
        ]
        t.passes(
            f"S5-destination-{name}",
            "8200 3",
            "A destination that is not ours is not answered.",
            question,
            "unclaimed",
            each=[bytes_at(38, [address(ip) for ip in others], sums)],
        )
    for name, ip, mac in [
        ("all-nodes", "ff02::1", "33:33:00:00:00:01"),
        ("solicited-node", "ff02::1:ff00:1", "33:33:ff:00:00:01"),
        ("mdns", "ff02::fb", "33:33:00:00:00:fb"),
    ]:
        eth = f.to_us(dst=mac)
        t.passes(
            f"N5-{name}-echo",
            "4443 4.2",
            "An echo request to many is the kernel's; its answer may come from an address that only it has.",
            f.echo6(dst=ip, eth=eth),
            "unclaimed",
        )
        t.passes(
            f"N3-{name}-udp",
            "4443 2.4 (e.3)",
            "A datagram to many is the kernel's.",
            f.udp6(dst=ip, eth=eth),
            "unclaimed",
        )
        t.passes(
            f"N3-{name}-closed-port",
            "4443 2.4 (e.3)",
            "No error is sent for a packet to many.",
            eth / f.ip6_question(dst=ip) / f.udp_question(dport=CLOSED_PORT),
            "unclaimed",
        )
    for name, ip in [
        ("link-local", "fe80::9"),
        ("global", "2001:db8::9"),
        ("documentation-end", "fe80::ffff:ffff:ffff:ffff"),
        ("one-bit-from-loopback", "::2"),
        ("one-bit-from-ours", "fd00::3"),
    ]:
        t.replies(
            f"U4-source-{name}",
            "8200 3",
            "Any unicast source is answered.",
            f.udp6(src=ip),
            f.from_us() / f.ip6_answer(dst=ip) / f.udp_answer(),
        )


def _extensions(t):
    rule = "8200 4"
    for name, layer in [
        ("udp", f.udp_question()),
        ("echo", f.echo6_request()),
        ("closed-port", f.udp_question(dport=CLOSED_PORT)),
    ]:
        base = f.to_us() / f.ip6_question()
        headers = {
            "hop-by-hop": IPv6ExtHdrHopByHop(options=[RouterAlert()]),
            "destination-options": IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]),
            "routing-type-0": IPv6ExtHdrRouting(type=0, segleft=1, addresses=[ASKER6]),
            "routing-spent": IPv6ExtHdrRouting(type=0, segleft=0, addresses=[ASKER6]),
            "atomic-fragment": IPv6ExtHdrFragment(offset=0, m=0, id=7),
            "two-headers": IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt(),
        }
        for kind, header in headers.items():
            where = {"routing-type-0": "5095 3", "routing-spent": "5095 3", "atomic-fragment": "6946 4"}.get(
                kind, rule
            )
            row = {"routing-type-0": "S6", "routing-spent": "S6", "atomic-fragment": "S3"}.get(kind, "S5")
            t.passes(
                f"{row}-{kind}-{name}",
                where,
                "Extension headers are the kernel's to judge.",
                base / header / layer,
                "ipv6_extension",
            )
    t.passes(
        "S5-extension-numbers",
        rule,
        "Hop-by-hop, routing, fragment and destination options, whatever follows.",
        f.udp6(),
        "ipv6_extension",
        each=[bytes_at(20, [bytes([n]) for n in (0, 43, 44, 60)])],
    )
    odd = [0, 43, 44, 50, 51, 59, 60, 135, 139, 140, 253, 254]
    t.passes(
        "S5-unknown-next-headers",
        rule,
        "Every other next header is handed on.",
        f.udp6(),
        "protocol_unknown",
        each=[values(20, 1, 0, 255, skip=sorted([*odd, 17, 58]))],
    )
    t.passes(
        "S5-rare-extensions",
        rule,
        "Security, mobility, HIP, shim6, the experiments and 'no next header' are handed on.",
        f.udp6(),
        each=[bytes_at(20, [bytes([n]) for n in (50, 51, 59, 135, 139, 140, 253, 254)])],
    )
    t.passes(
        "S5-jumbogram",
        "2675 3",
        "A payload length of 0 with hop-by-hop options is the kernel's.",
        f.to_us() / f.ip6_question(plen=0) / IPv6ExtHdrHopByHop() / f.udp_question(),
        "ipv6_extension",
    )


def _fragments(t):
    for name, nh in [("udp", 17), ("echo", 58)]:
        base = f.to_us() / f.ip6_question()
        for what, offset, more, content in [
            ("first", 0, 1, f.data(32)),
            ("overlapping", 1, 1, f.data(32)),
            ("last", 4, 0, f.data(9)),
            ("first-without-transport", 0, 1, f.data(4)),
            ("first-exact-header", 0, 1, f.data(8)),
        ]:
            row = "S4" if "first-" in what else "S2"
            t.passes(
                f"{row}-{what}-fragment-{name}",
                "8200 4.5",
                "Fragments are the kernel's to reassemble or refuse.",
                base / IPv6ExtHdrFragment(nh=nh, offset=offset, m=more, id=99) / Raw(content),
                "ipv6_extension",
            )
