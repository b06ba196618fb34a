"""UDP over IPv4: RFC 768, RFC 1122 4.1, and closed ports."""

from scapy.all import UDP, Raw

from . import frames as f
from .endpoint import ASKER_PORT, CLOSED_PORT, KERNEL4, LOOP_PORTS, OWN4, SECOND4
from .topic import Topic, bytes_at, flip_bits, values

ABOUT = """UDP echo over IPv4 and what a closed port gives: RFC 768, RFC 1122 3.2.2 and 4.1, RFC 792, CERT CA-1996-01.
Byte 34 is the source port, 36 the destination port, 38 the length (26 in a frame of 60), 40 the checksum, 42 the first data byte."""

IP_SUM, UDP_SUM = [f.IPV4_CHECKSUM], [f.UDPV4_CHECKSUM]
SIZES = [0, 1, 2, 3, 17, 18, 19, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1023, 1024, 1471, 1472]


def exchange(content=f.data(18), port=7, asker=ASKER_PORT, dst=OWN4, **fields):
    question = f.to_us() / f.ip_question(dst=dst) / f.udp_question(content, sport=asker, dport=port, **fields)
    return question, f.from_us() / f.ip_answer(src=dst) / f.udp_answer(content, sport=port, dport=asker)


def closed(content=f.data(18), dst=OWN4, dport=CLOSED_PORT, **ip):
    question = f.to_us() / f.ip_question(dst=dst, **ip) / f.udp_question(content, dport=dport)
    return question, f.unreachable4(question, src=dst)


def topic():
    t = Topic("udpv4", ABOUT)
    _echo(t)
    _checksum(t)
    _length(t)
    _closed(t)
    _loops(t)
    return t


def _echo(t):
    t.replies(
        "U1-echo",
        "862",
        "A datagram to the echo service comes back, ports and addresses swapped.",
        *exchange(),
    )
    t.replies("U1-echo-other-port", "862", "Any port may be an echo service.", *exchange(port=4000))
    t.replies(
        "U1-echo-kernel-address",
        "862",
        "A claimed port on an address that the kernel has is ours.",
        *exchange(dst=KERNEL4),
    )
    for size in SIZES:
        t.replies(
            f"U1-{size}-bytes",
            "862",
            "The data come back entirely, odd lengths included.",
            *exchange(f.data(size)),
        )
    t.replies(
        "U1-trailing-zeros",
        "862",
        "Zeros at the end are data and come back.",
        *exchange(b"zeros follow" + bytes(20)),
    )
    t.replies("U1-only-zeros", "862", "Data of zeros only come back.", *exchange(bytes(65)))
    t.replies("U1-only-ones", "862", "Data of 0xff only come back.", *exchange(b"\xff" * 65))
    for asker in (1, 6, 8, 12, 14, 52, 54, 122, 124, 3999, 4001, 9999, 0x8000, 0xFFFF):
        t.replies(
            f"U1-source-port-{asker}",
            "768",
            "A source port that starts no loop is answered.",
            *exchange(asker=asker),
        )


def _checksum(t):
    rule = "1122 4.1.3.4"
    question, answer = exchange()
    right = f.number(question, 40)
    partial = f.folded_pseudo_header(question)
    t.drops(
        "U1-flip",
        rule,
        "A datagram with one wrong bit in ports, checksum or data is silently discarded.",
        question,
        "udp_checksum",
        each=[flip_bits(34, 37)],
    )
    t.drops(
        "U1-flip-data",
        rule,
        "One wrong bit in checksum or data.",
        question,
        "udp_checksum",
        each=[flip_bits(40, 59)],
    )
    odd, _ = exchange(f.data(17))
    t.drops(
        "U1-flip-odd",
        rule,
        "The last byte of an odd datagram counts.",
        odd,
        "udp_checksum",
        each=[flip_bits(58, 58)],
    )
    t.drops(
        "U1-any",
        rule,
        "Every wrong checksum but zero, which means none.",
        question,
        "udp_checksum",
        each=[values(40, 2, 1, 0xFFFF, skip=[right])],
    )
    t.drops(
        "U1-pseudo-header",
        rule,
        "The addresses are part of the sum.",
        question,
        "udp_checksum",
        each=[bytes_at(26, [b"\x0a\x00\x00\x0a", b"\x0b\x00\x00\x09"], IP_SUM)],
    )
    t.drops(
        "U1-closed-port",
        rule,
        "A wrong datagram to a closed port is silently discarded too: no error is sent.",
        closed()[0],
        "udp_checksum",
        each=[flip_bits(40, 59)],
    )
    t.replies(
        "U2-no-checksum",
        "768",
        "A zero checksum means none; the answer carries one.",
        question,
        answer,
        each=[bytes_at(40, [b"\x00\x00"])],
    )
    t.replies(
        "U2-no-checksum-broken-data",
        "768",
        "Without a checksum nothing can be found wrong; the data come back as they came.",
        f.to_us() / f.ip_question() / f.udp_question(b"whatever it was meant to be", chksum=0),
        f.from_us() / f.ip_answer() / f.udp_answer(b"whatever it was meant to be"),
    )
    word = f.word_for(0xFFFF, lambda word: f.number(f.ip_question() / f.udp_question(word), 26))
    crafted, back = exchange(word)
    t.replies(
        "U2-computed-zero",
        "768",
        "A checksum that is computed as zero is sent as ffff, as it was received.",
        crafted,
        back,
    )
    t.replies(
        "U2-computed-zero-from-none",
        "768",
        "The same where the question carried none, so that ours is computed.",
        crafted,
        back,
        each=[bytes_at(40, [b"\x00\x00"])],
    )
    t.replies(
        "U2-partial-accepted",
        "KERNEL veth",
        "A sender that leaves the checksum to a card that is none is answered with a whole one, where the link is known to do it.",
        question,
        answer,
        each=[bytes_at(40, [partial.to_bytes(2, "big")])],
        settings='{ partial_checksums = "accept" }',
    )
    t.drops(
        "U1-partial-refused",
        rule,
        "An unfinished checksum is a wrong one where the link is not known to leave them.",
        question,
        "udp_checksum",
        each=[bytes_at(40, [partial.to_bytes(2, "big")])],
    )
    t.drops(
        "U1-flip-partial-allowed",
        rule,
        "Where unfinished checksums are accepted, wrong ones are not.",
        question,
        "udp_checksum",
        each=[values(40, 2, 1, 0xFFFF, skip=sorted([right, partial]))],
        settings='{ partial_checksums = "accept" }',
    )


def _length(t):
    question, _ = exchange()
    t.drops(
        "U5-short",
        "768",
        "A length below 8 does not hold the header.",
        question,
        "udp_length",
        each=[values(38, 2, 0, 7)],
    )
    t.drops(
        "U5-long",
        "768",
        "A length beyond the IP payload is dropped, also where the frame has padding.",
        question,
        "udp_length",
        each=[values(38, 2, 27, 0xFFFF)],
    )
    t.drops(
        "U5-long-into-padding",
        "768",
        "Padding is not payload, however the UDP length counts it.",
        f.to_us() / f.ip_question(len=30) / UDP(sport=ASKER_PORT, dport=7, len=26) / Raw(f.data(18)),
        "udp_length",
    )
    t.replies(
        "U5-shorter-than-payload",
        "768",
        "What the IP payload holds beyond the UDP length is not data: it is neither summed nor echoed.",
        f.to_us()
        / f.ip_question(len=20 + 8 + 18)
        / UDP(sport=ASKER_PORT, dport=7, len=8 + 3)
        / Raw(b"abc" + b"\x5a" * 15),
        f.from_us() / f.ip_answer() / f.udp_answer(b"abc"),
        each=[bytes_at(40, [f.number(f.ip_question() / f.udp_question(b"abc"), 26).to_bytes(2, "big")])],
    )
    t.drops(
        "U5-no-room",
        "768",
        "An IP payload of fewer than 8 bytes holds no UDP header.",
        question,
        "udp_length",
        each=[values(16, 2, 20, 27, checksums=IP_SUM)],
    )
    t.drops(
        "U5-closed-port",
        "768",
        "A wrong length at a closed port is silently discarded too.",
        closed()[0],
        "udp_length",
        each=[bytes_at(38, [b"\x00\x00", b"\x00\x07", b"\x00\x1b", b"\xff\xff"])],
    )


def _closed(t):
    rule = "1122 4.1.3.1"
    partial = f.folded_pseudo_header(closed()[0]).to_bytes(2, "big")
    t.drops(
        "U1-partial-refused-closed-port",
        "1122 4.1.3.4",
        "An unfinished checksum is a wrong one at a closed port too: no error is sent.",
        closed()[0],
        "udp_checksum",
        each=[bytes_at(40, [partial])],
    )
    t.replies(
        "U3-closed-port-0",
        rule,
        "Port 0 is closed like any other.",
        *closed(dport=0),
    )
    for asker in (0, 7, 4000):
        question = f.to_us() / f.ip_question() / f.udp_question(sport=asker, dport=CLOSED_PORT)
        t.replies(
            f"U3-closed-port-from-{asker}",
            rule,
            "Any source port may be refused: nothing answers an error, so that no loop can start.",
            question,
            f.unreachable4(question),
        )
    t.replies(
        "U3-closed-port", rule, "A datagram to a closed port is refused with Port Unreachable.", *closed()
    )
    t.replies(
        "U3-closed-port-second-address",
        rule,
        "A service of one address is not one of the other: the error comes from the address that was asked.",
        *closed(dst=SECOND4, dport=7),
    )
    t.passes(
        "U3-kernel-address",
        rule,
        "A port that we do not claim on an address that the kernel has is the kernel's.",
        closed(dst=KERNEL4)[0],
        "unclaimed",
    )
    for size in (0, 1, 2, 17, 18, 19, 65, 519, 520, 521, 522, 1000, 1472):
        t.replies(
            f"C2-quote-{size}-bytes",
            "1122 3.2.2",
            "The error quotes the datagram unchanged, as much of it as 576 bytes hold (RFC 1812 4.3.2.3).",
            *closed(f.data(size)),
        )
    question = closed(ttl=1, id=0x1234, flags="DF", tos=0xB9)[0]
    t.replies(
        "C2-quote-unchanged",
        "1122 3.2.2",
        "TTL, ID, type of service and flags in the quote are those that came.",
        question,
        f.unreachable4(question, tos=0xB8),
    )
    question = f.to_us() / f.ip_question() / f.udp_question(dport=CLOSED_PORT, chksum=0)
    t.replies(
        "U3-closed-port-no-checksum",
        rule,
        "A datagram without a checksum is refused too, and quoted without one.",
        question,
        f.unreachable4(question),
    )
    t.replies(
        "C2-padding-not-quoted", "1122 3.2.2", "Padding is not part of the quote.", *closed(b"x"), filler=0x5A
    )


def _loops(t):
    question, _ = exchange()
    t.drops(
        "P5-source-ports",
        "CA-1996-01",
        "Ports whose services answer anything, our own ones, and port 0 are never answered.",
        question,
        "udp_source_port",
        each=[bytes_at(34, [port.to_bytes(2, "big") for port in LOOP_PORTS], UDP_SUM)],
    )
    other, _ = exchange(port=4000)
    t.drops(
        "P5-source-ports-other-service",
        "CA-1996-01",
        "The same at our other service.",
        other,
        "udp_source_port",
        each=[bytes_at(34, [port.to_bytes(2, "big") for port in LOOP_PORTS], UDP_SUM)],
    )
