"""UDP over IPv6: RFC 768, RFC 8200 8.1, and closed ports by RFC 4443."""

from scapy.all import UDP, Raw, raw

from . import frames as f
from .endpoint import ASKER_PORT, CLOSED_PORT, KERNEL6, LOOP_PORTS, OWN6, SECOND6
from .topic import Topic, bytes_at, flip_bits, values

ABOUT = """UDP echo over IPv6 and what a closed port gives: RFC 768, RFC 8200 8.1, RFC 4443 2.4 and 3.1, CERT CA-1996-01.
Byte 54 is the source port, 56 the destination port, 58 the length (26), 60 the checksum, 62 the first data byte."""

UDP_SUM = [f.UDPV6_CHECKSUM]
SIZES = [0, 1, 2, 3, 17, 18, 19, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1023, 1024, 1451, 1452]


def exchange(content=f.data(18), port=7, asker=ASKER_PORT, dst=OWN6, **fields):
    question = (
        f.to_us() / f.ip6_question(dst=dst) / f.udp_question(content, sport=asker, dport=port, **fields)
    )
    return question, f.from_us() / f.ip6_answer(src=dst) / f.udp_answer(content, sport=port, dport=asker)


def closed(content=f.data(18), dst=OWN6, dport=CLOSED_PORT, **ip):
    question = f.to_us() / f.ip6_question(dst=dst, **ip) / f.udp_question(content, dport=dport)
    return question, f.unreachable6(question, src=dst)


def topic():
    t = Topic("udpv6", ABOUT)
    _echo(t)
    _checksum(t)
    _length(t)
    _closed(t)
    _loops(t)
    return t


def _echo(t):
    t.replies(
        "U1-echo-6",
        "862",
        "A datagram to the echo service comes back, ports and addresses swapped.",
        *exchange(),
    )
    t.replies("U1-echo-other-port-6", "862", "Any port may be an echo service.", *exchange(port=4000))
    t.replies(
        "U1-echo-kernel-address-6",
        "862",
        "A claimed port on an address that the kernel has is ours.",
        *exchange(dst=KERNEL6),
    )
    for size in SIZES:
        t.replies(
            f"U1-{size}-bytes-6",
            "862",
            "The data come back entirely, odd lengths included.",
            *exchange(f.data(size)),
        )
    t.replies(
        "U1-trailing-zeros-6",
        "862",
        "Zeros at the end are data and come back.",
        *exchange(b"zeros follow" + bytes(20)),
    )
    t.replies("U1-only-ones-6", "862", "Data of 0xff only come back.", *exchange(b"\xff" * 65))
    t.replies(
        "U1-padding-6",
        "862",
        "What follows the packet in its frame does not come back.",
        *exchange(b""),
        room=100,
        filler=0x5A,
    )


def _checksum(t):
    rule = "8200 8.1"
    question, answer = exchange()
    right = f.number(question, 60)
    partial = _folded_pseudo_header(question)
    t.drops(
        "S1-no-checksum",
        "8200 8.1",
        "Over IPv6 a zero checksum is not allowed.",
        question,
        "udp_checksum_missing",
        each=[bytes_at(60, [b"\x00\x00"])],
    )
    t.drops(
        "S1-no-checksum-closed-port",
        "8200 8.1",
        "Nor at a closed port: no error is sent.",
        closed()[0],
        "udp_checksum_missing",
        each=[bytes_at(60, [b"\x00\x00"])],
    )
    t.drops(
        "U1-flip-6",
        rule,
        "A datagram with one wrong bit in its ports is silently discarded.",
        question,
        "udp_checksum",
        each=[flip_bits(54, 57)],
    )
    t.drops(
        "U1-flip-data-6",
        rule,
        "One wrong bit in checksum or data.",
        question,
        "udp_checksum",
        each=[flip_bits(60, 79)],
    )
    t.drops(
        "U1-flip-source-6",
        rule,
        "The source address is part of the sum.",
        question,
        "udp_checksum",
        each=[flip_bits(25, 36)],
    )
    t.drops(
        "U1-any-6",
        rule,
        "Every wrong checksum.",
        question,
        "udp_checksum",
        each=[values(60, 2, 1, 0xFFFF, skip=[right])],
    )
    t.drops(
        "U1-closed-port-6",
        rule,
        "A wrong datagram to a closed port is silently discarded too.",
        closed()[0],
        "udp_checksum",
        each=[flip_bits(60, 79)],
    )
    word = f.word_for(0xFFFF, lambda word: f.number(f.ip6_question() / f.udp_question(word), 46))
    t.replies(
        "U2-computed-zero-6",
        "8200 8.1",
        "A checksum that is computed as zero is sent as ffff.",
        *exchange(word),
    )
    t.replies(
        "U2-partial-accepted-6",
        "KERNEL veth",
        "A sender that leaves the checksum to a card that is none is answered with a whole one, where the link is known to do it.",
        question,
        answer,
        each=[bytes_at(60, [partial.to_bytes(2, "big")])],
        settings='{ partial_checksums = "accept" }',
    )
    t.drops(
        "U1-partial-refused-6",
        rule,
        "An unfinished checksum is a wrong one where the link is not known to leave them.",
        question,
        "udp_checksum",
        each=[bytes_at(60, [partial.to_bytes(2, "big")])],
    )
    t.drops(
        "U1-flip-partial-allowed-6",
        rule,
        "Where unfinished checksums are accepted, wrong ones are not.",
        question,
        "udp_checksum",
        each=[values(60, 2, 1, 0xFFFF, skip=sorted([right, partial]))],
        settings='{ partial_checksums = "accept" }',
    )


def _folded_pseudo_header(question):
    """What a sender with checksum offload writes: the folded sum over the pseudo header alone, not complemented."""
    frame = raw(question)
    pseudo = frame[22:54] + bytes([0, 17]) + frame[58:60]
    total = sum(int.from_bytes(pseudo[i : i + 2], "big") for i in range(0, len(pseudo), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _length(t):
    question, _ = exchange()
    t.drops(
        "U5-short-6",
        "768",
        "A length below 8 does not hold the header; 0 is for jumbograms only.",
        question,
        "udp_length",
        each=[values(58, 2, 0, 7)],
    )
    t.drops(
        "U5-long-6",
        "768",
        "A length beyond the payload is dropped.",
        question,
        "udp_length",
        each=[values(58, 2, 27, 0xFFFF)],
    )
    t.drops(
        "U5-long-into-padding-6",
        "768",
        "What follows the packet is not payload, however the UDP length counts it.",
        f.to_us() / f.ip6_question(plen=10) / UDP(sport=ASKER_PORT, dport=7, len=26) / Raw(f.data(18)),
        "udp_length",
    )

    t.replies(
        "U5-shorter-than-payload-6",
        "768",
        "What the payload holds beyond the UDP length is not data: it is neither summed nor echoed.",
        f.to_us()
        / f.ip6_question(plen=8 + 18)
        / UDP(sport=ASKER_PORT, dport=7, len=8 + 3)
        / Raw(b"abc" + b"\x5a" * 15),
        f.from_us() / f.ip6_answer() / f.udp_answer(b"abc"),
        each=[bytes_at(60, [f.number(f.ip6_question() / f.udp_question(b"abc"), 46).to_bytes(2, "big")])],
    )


def _closed(t):
    rule = "4443 3.1"
    partial = _folded_pseudo_header(closed()[0]).to_bytes(2, "big")
    t.drops(
        "U1-partial-refused-closed-port-6",
        "8200 8.1",
        "An unfinished checksum is a wrong one at a closed port too: no error is sent.",
        closed()[0],
        "udp_checksum",
        each=[bytes_at(60, [partial])],
    )
    t.replies(
        "U3-closed-port-6", rule, "A datagram to a closed port is refused with Port Unreachable.", *closed()
    )
    t.replies(
        "U3-closed-port-second-address-6",
        rule,
        "The error comes from the address that was asked.",
        *closed(dst=SECOND6, dport=7),
    )
    t.passes(
        "U3-kernel-address-6",
        rule,
        "A port that we do not claim on an address that the kernel has is the kernel's.",
        closed(dst=KERNEL6)[0],
        "unclaimed",
    )
    for size in (0, 1, 2, 17, 18, 19, 520, 1183, 1184, 1185, 1186, 1452):
        t.replies(
            f"N2-quote-{size}-bytes",
            "4443 2.4 (c)",
            "The error quotes the packet unchanged, as much of it as 1280 bytes hold.",
            *closed(f.data(size)),
        )
    question = closed(hlim=1, tc=0xB9, fl=0xABCDE)[0]
    t.replies(
        "N2-quote-unchanged",
        "4443 2.4 (c)",
        "Hop limit, traffic class and flow label in the quote are those that came.",
        question,
        f.unreachable6(question, tc=0xB8),
    )
    t.replies(
        "N2-padding-not-quoted",
        "4443 2.4 (c)",
        "What follows the packet in its frame is not part of the quote.",
        *closed(b"x"),
        room=100,
        filler=0x5A,
    )


def _loops(t):
    question, _ = exchange()
    t.drops(
        "P5-source-ports-6",
        "CA-1996-01",
        "Ports whose services answer anything, our own ones, and port 0 are never answered.",
        question,
        "udp_source_port",
        each=[bytes_at(54, [port.to_bytes(2, "big") for port in LOOP_PORTS], UDP_SUM)],
    )
