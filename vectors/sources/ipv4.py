"""IPv4: RFC 791, RFC 1122 3.2.1, RFC 6864."""

from scapy.all import (
    IP,
    IPOption,
    IPOption_LSRR,
    IPOption_NOP,
    IPOption_RR,
    IPOption_Timestamp,
    Raw,
    raw,
)

from . import frames as f
from .endpoint import ASKER4, CLOSED_PORT, OTHER4, OWN4
from .topic import Topic, bytes_at, flip_bits, truncate, values

ABOUT = """The IPv4 header, carrying a UDP or an echo question: RFC 791, RFC 1122 3.2.1, RFC 6864.
Byte 14 holds version and header length, 15 the type of service, 16 the total length (46 in a frame of 60),
18 the ID, 20 flags and offset, 22 the TTL, 23 the protocol, 24 the checksum, 26 the source, 30 the destination."""

HEADER = [f.IPV4_CHECKSUM]
UDP_TOO = [f.IPV4_CHECKSUM, f.UDPV4_CHECKSUM]

# RFC 1122 3.2.1.3: what no single host may have as its address, the subnet's broadcast, and what is our own.
SOURCES = [
    "0.0.0.0",
    "0.1.2.3",
    "0.255.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.254",
    "255.255.255.255",
    "10.0.0.255",
    OWN4,
]


def address(ip):
    return bytes(int(part) for part in ip.split("."))


def topic():
    t = Topic("ipv4", ABOUT)
    _version_and_length(t)
    _checksum(t)
    _addresses(t)
    _fields(t)
    _odd_shapes(t)
    return t


def _version_and_length(t):
    t.drops(
        "I1-version",
        "1122 3.2.1.1",
        "Every version but 4 is silently discarded.",
        f.udp4(),
        "ipv4_version",
        each=[bytes_at(14, [bytes([v << 4 | 5]) for v in range(16) if v != 4], HEADER)],
    )
    t.drops(
        "I1-version-closed-port",
        "1122 3.2.1.1",
        "And no error is sent for it.",
        f.to_us() / f.ip_question() / f.udp_question(dport=CLOSED_PORT),
        "ipv4_version",
        each=[bytes_at(14, [bytes([v << 4 | 5]) for v in range(16) if v != 4], HEADER)],
    )
    t.drops(
        "I8-header-length-short",
        "791 3.1",
        "A header of fewer than 20 bytes does not exist.",
        f.udp4(),
        "ipv4_length",
        each=[values(14, 1, 0x40, 0x44, checksums=HEADER)],
    )
    t.drops(
        "I2-total-length-long",
        "791 3.1",
        "A datagram longer than its frame is dropped.",
        f.udp4(),
        "ipv4_length",
        each=[values(16, 2, 47, 0xFFFF, checksums=HEADER)],
    )
    t.drops(
        "I2-total-length-short",
        "791 3.1",
        "A datagram shorter than its header is dropped.",
        f.udp4(),
        "ipv4_length",
        each=[values(16, 2, 0, 19, checksums=HEADER)],
    )
    t.drops(
        "I2-cut-in-header",
        "791 3.1",
        "A frame that ends inside the IPv4 header is dropped.",
        f.udp4(),
        "frame_truncated",
        each=[truncate(14, 33)],
    )
    t.drops(
        "I2-cut-in-payload",
        "791 3.1",
        "A frame that ends before its datagram is dropped, wherever it ends.",
        f.udp4(),
        "ipv4_length",
        each=[truncate(42, 59)],
    )
    t.silences(
        "I2-cut-in-udp",
        "791 3.1",
        "A frame that ends inside the UDP header is not answered.",
        f.udp4(),
        each=[truncate(34, 41)],
    )
    t.silences(
        "I2-cut-in-echo",
        "791 3.1",
        "A frame that ends anywhere inside an echo request is not answered.",
        f.echo4(),
        each=[truncate(14, 59)],
    )


def _checksum(t):
    rule = "1122 3.2.1.2"
    for name, frame in [
        ("udp", f.udp4()),
        ("echo", f.echo4()),
        ("closed-port", f.to_us() / f.ip_question() / f.udp_question(dport=CLOSED_PORT)),
    ]:
        for what, first, last in [
            ("tos", 15, 15),
            ("id", 18, 19),
            ("ttl-and-protocol", 22, 23),
            ("checksum", 24, 25),
            ("source", 26, 29),
            ("destination", 30, 33),
        ]:
            t.drops(
                f"I2-flip-{what}-{name}",
                rule,
                "A header with one wrong bit is silently discarded.",
                frame,
                "ipv4_checksum",
                each=[flip_bits(first, last)],
            )
        t.silences(
            f"I2-flip-shape-{name}",
            rule,
            "One wrong bit in version, lengths, flags or offset: never an answer, whichever check sees it first.",
            frame,
            each=[flip_bits(14, 21)],
        )
        t.drops(
            f"I2-flip-length-{name}",
            rule,
            "One wrong bit in the total length that leaves it within the frame.",
            frame,
            "ipv4_checksum",
            each=[bytes_at(17, [b"\x2c", b"\x2a", b"\x26"])],
        )
        t.drops(
            f"I2-dont-fragment-{name}",
            rule,
            "One wrong bit that makes no fragment of it.",
            frame,
            "ipv4_checksum",
            each=[bytes_at(20, [b"\x40"])],
        )
        t.drops(
            f"I2-checksum-any-{name}",
            rule,
            "Every wrong checksum, the byte-swapped one and zero included.",
            frame,
            "ipv4_checksum",
            each=[values(24, 2, 0, 0xFFFF, skip=[f.number(frame, 24)])],
        )
    ident = int.from_bytes(
        f.word_for(
            0, lambda word: f.number(f.ip_question(id=int.from_bytes(word, "big"), len=46, proto=17), 10)
        ),
        "big",
    )
    t.replies(
        "I2-checksum-zero",
        rule,
        "A checksum that is computed as zero is as right as any.",
        f.udp4(id=ident),
        f.udp4_answer(),
    )


def _addresses(t):
    for name, question, answer in [("udp", f.udp4(), f.udp4_answer()), ("echo", f.echo4(), f.echo4_answer())]:
        t.replies(
            f"I5-answered-{name}",
            "1122 3.2.1.3",
            "The answer's source is the address that was asked.",
            question,
            answer,
        )
        sums = UDP_TOO if name == "udp" else HEADER
        t.drops(
            f"I4-source-{name}",
            "1122 3.2.1.3",
            "A source that no single host can have, or that is ours, is silently discarded.",
            question,
            "source_invalid",
            each=[bytes_at(26, [address(ip) for ip in SOURCES], sums)],
        )
        t.passes(
            f"I3-destination-{name}",
            "1122 3.2.1.3",
            "A destination that is not ours is not answered.",
            question,
            "unclaimed",
            each=[
                bytes_at(
                    30,
                    [
                        address(ip)
                        for ip in [
                            OTHER4,
                            "0.0.0.0",
                            "10.0.0.0",
                            "10.0.0.255",
                            "255.255.255.255",
                            "224.0.0.1",
                            "127.0.0.1",
                            "1.0.0.10",
                            "10.0.1.1",
                            "11.0.0.1",
                        ]
                    ],
                    sums,
                )
            ],
        )
    t.drops(
        "C3-source-closed-port",
        "1122 3.2.1.3",
        "No error goes to a source that is no single host.",
        f.to_us() / f.ip_question() / f.udp_question(dport=CLOSED_PORT),
        "source_invalid",
        each=[bytes_at(26, [address(ip) for ip in SOURCES], UDP_TOO)],
    )
    for name, ip, mac in [
        ("limited-broadcast", "255.255.255.255", "ff:ff:ff:ff:ff:ff"),
        ("subnet-broadcast", "10.0.0.255", "ff:ff:ff:ff:ff:ff"),
        ("all-hosts", "224.0.0.1", "01:00:5e:00:00:01"),
        ("mdns", "224.0.0.251", "01:00:5e:00:00:fb"),
    ]:
        t.passes(
            f"C7-{name}-echo",
            "1122 3.2.2.6",
            "Echo requests to many are not answered: they would make us an amplifier.",
            f.echo4(dst=ip, eth=f.to_us(dst=mac)),
            "unclaimed",
        )
        t.passes(
            f"I3-{name}-udp",
            "1122 3.2.1.3",
            "Datagrams to many are the kernel's; DHCP and mDNS need them.",
            f.udp4(dst=ip, eth=f.to_us(dst=mac)),
            "unclaimed",
        )
        t.passes(
            f"C3-{name}-closed-port",
            "1122 3.2.2",
            "No error is sent for a datagram to many.",
            f.to_us(dst=mac) / f.ip_question(dst=ip) / f.udp_question(dport=CLOSED_PORT),
            "unclaimed",
        )
    t.replies(
        "I4-source-off-subnet",
        "1122 3.2.1.3",
        "Any unicast source is answered, on our subnet or not.",
        f.udp4(src="192.0.2.200"),
        f.from_us() / f.ip_answer(dst="192.0.2.200") / f.udp_answer(),
    )
    t.replies(
        "I4-source-class-e-neighbour",
        "1122 3.2.1.3",
        "The last address before the multicast range is a host's.",
        f.echo4(src="223.255.255.254"),
        f.from_us() / f.ip_answer(dst="223.255.255.254") / f.echo_reply(),
    )
    t.replies(
        "I4-source-first-host",
        "1122 3.2.1.3",
        "The addresses next to 0/8 and 127/8 are hosts'.",
        f.echo4(src="1.0.0.0"),
        f.from_us() / f.ip_answer(dst="1.0.0.0") / f.echo_reply(),
    )
    t.replies(
        "I4-source-after-loopback",
        "1122 3.2.1.3",
        "The addresses next to 127/8 are hosts'.",
        f.echo4(src="128.0.0.1"),
        f.from_us() / f.ip_answer(dst="128.0.0.1") / f.echo_reply(),
    )


def _fields(t):
    for name, question, answer in [("udp", f.udp4(), f.udp4_answer()), ("echo", f.echo4(), f.echo4_answer())]:
        t.replies(
            f"I7-ttl-{name}",
            "1122 3.2.1.7",
            "Any TTL is answered, 0 and 1 included, and the answer's TTL is 64.",
            question,
            answer,
            each=[values(22, 1, 0, 255, checksums=HEADER)],
        )
        t.replies(
            f"I9-id-{name}",
            "6864 4",
            "The question's ID does not matter; the answer is atomic, with DF set and ID 0.",
            question,
            answer,
            each=[values(18, 2, 0, 0xFFFF, checksums=HEADER)],
        )
        t.replies(
            f"I9-dont-fragment-{name}",
            "6864 4",
            "An atomic question is answered like any other.",
            question,
            answer,
            each=[bytes_at(20, [b"\x40"], HEADER), values(18, 2, 0, 0xFFFF, checksums=HEADER)],
        )
    t.replies(
        "I9-reserved-flag",
        "791 3.1",
        "The reserved flag of a whole datagram has no meaning and stops nothing.",
        f.udp4(),
        f.udp4_answer(),
        each=[bytes_at(20, [b"\x80", b"\xc0"], HEADER)],
    )
    for tos, kept in [
        (0x00, 0x00),
        (0x01, 0x00),
        (0x02, 0x00),
        (0x03, 0x00),
        (0xB8, 0xB8),
        (0xBA, 0xB8),
        (0x28, 0x28),
        (0xFC, 0xFC),
        (0xFF, 0xFC),
    ]:
        t.replies(
            f"I5-tos-{tos:02x}-udp",
            "2474 3",
            "The answer keeps the code point and clears the congestion bits.",
            f.udp4(tos=tos),
            f.udp4_answer(tos=kept),
        )
        t.replies(
            f"C4-tos-{tos:02x}-echo",
            "1122 3.2.2.6",
            "An echo reply keeps the type of service; congestion bits are not part of it (RFC 3168).",
            f.echo4(tos=tos),
            f.echo4_answer(tos=kept),
        )
    t.replies(
        "I2-checksum-edges-in-answer",
        "1624 3",
        "Every code point and every source port number of the address: the answer's checksum comes out right.",
        f.udp4(src="172.16.255.254", tos=0x48),
        f.from_us() / f.ip_answer(dst="172.16.255.254", tos=0x48) / f.udp_answer(),
    )


def _odd_shapes(t):
    big = f.data(64)
    for name, frame in [
        ("udp", f.ip_question() / f.udp_question(big)),
        ("echo", f.ip_question() / f.echo_request(content=big)),
        ("closed-port", f.ip_question() / f.udp_question(big, dport=CLOSED_PORT)),
    ]:
        whole = raw(frame)
        for what, flags, offset, content in [
            ("first", "MF", 0, whole[20:60]),
            ("middle", "MF", 5, whole[20:60]),
            ("last", 0, 5, whole[60:]),
            ("last-far", 0, 0x1FFF, whole[20:60]),
            ("first-too-short", "MF", 0, whole[20:28]),
        ]:
            t.passes(
                f"I6-{what}-fragment-{name}",
                "1122 3.3.2",
                "Fragments are the kernel's to reassemble.",
                f.to_us()
                / IP(src=ASKER4, dst=OWN4, id=7, ttl=61, flags=flags, frag=offset, proto=frame.proto)
                / Raw(content),
                "ipv4_fragment",
            )
    for size in (0, 1, 7):
        t.passes(
            f"I6-last-fragment-{size}-bytes",
            "1122 3.3.2",
            "The last fragment may be short, and nobody need have padded its frame.",
            f.to_us() / IP(src=ASKER4, dst=OWN4, id=7, ttl=61, frag=5, proto=17) / Raw(f.data(size)),
            "ipv4_fragment",
            room=0,
        )
        t.passes(
            f"C1-unknown-protocol-{size}-bytes",
            "1122 3.2.2.1",
            "A datagram of an unknown protocol may be short, and nobody need have padded its frame.",
            f.to_us() / IP(src=ASKER4, dst=OWN4, id=7, ttl=61, proto=103) / Raw(f.data(size)),
            "protocol_unknown",
            room=0,
        )
    t.passes(
        "I6-reserved-and-more",
        "1122 3.3.2",
        "The more-fragments bit decides, whatever the other flags.",
        f.udp4(),
        "ipv4_fragment",
        each=[bytes_at(20, [b"\x20", b"\x60", b"\xa0", b"\xe0", b"\x3f", b"\x1f", b"\x01"], HEADER)],
    )
    options = {
        "no-operation": [IPOption_NOP()] * 4,
        "record-route": [IPOption_RR(routers=["0.0.0.0"])],
        "loose-source-route": [IPOption_LSRR(routers=[ASKER4])],
        "timestamp": [IPOption_Timestamp()],
        "unknown": [IPOption(b"\x9e\x04\x00\x00")],
        "forty-bytes": [IPOption_NOP()] * 40,
    }
    for name, option in options.items():
        for what, layer in [
            ("udp", f.udp_question()),
            ("echo", f.echo_request()),
            ("closed-port", f.udp_question(dport=CLOSED_PORT)),
        ]:
            t.passes(
                f"I8-{name}-{what}",
                "1122 3.2.1.8",
                "Options are the kernel's to judge.",
                f.to_us() / f.ip_question(options=option) / layer,
                "ipv4_options",
            )
    for words in range(1, 11):
        frame = f.to_us() / f.ip_question(options=[IPOption_NOP()] * (4 * words)) / f.udp_question(f.data(60))
        t.passes(
            f"I8-header-length-{20 + 4 * words}",
            "791 3.1",
            "Every header length above 20 is options, whatever they hold.",
            frame,
            "ipv4_options",
        )
        t.drops(
            f"I2-flip-option-{20 + 4 * words}",
            "1122 3.2.1.2",
            "The checksum covers the options too.",
            frame,
            "ipv4_checksum",
            each=[flip_bits(34, 33 + 4 * words)],
        )
    t.passes(
        "C1-unknown-protocols",
        "1122 3.2.2.1",
        "Every protocol but ICMP and UDP is handed on.",
        f.udp4(),
        "protocol_unknown",
        each=[values(23, 1, 0, 255, skip=[1, 17], checksums=HEADER)],
    )
