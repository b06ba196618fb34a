"""The server of sockperf 3.7: its messages over UDP."""

import struct

from scapy.all import raw

from . import frames as f
from .endpoint import LOOP_PORTS, SOCKPERF_PORT
from .topic import Topic, bytes_at, flip_bits, values

ABOUT = """The server of sockperf's clients over UDP, as sockperf 3.7 does it (src/message.h, src/server.h).
Over IPv4 the message begins at byte 42: a sequence number of 8 bytes, flags of 2, a length of 4, data."""

CLIENT, PONG, WARM_UP = 1, 2, 4
HEADER = 14
UDP_SUM = [f.UDPV4_CHECKSUM]
RULE = "sockperf 3.7"


def message(flags=CLIENT | PONG, size=HEADER, seq=7, length=None):
    """A message of `size` bytes, header included."""
    return struct.pack("!QHI", seq, flags, size if length is None else length) + f.data(size - HEADER)


def exchange(asked, answered=None, family=4):
    """A question and its answer over IPv4 or IPv6."""
    if family == 4:
        question, answer = f.to_us() / f.ip_question(), f.from_us() / f.ip_answer()
    else:
        question, answer = f.to_us() / f.ip6_question(), f.from_us() / f.ip6_answer()
    answered = message(PONG) if answered is None else answered
    return (
        question / f.udp_question(asked, dport=SOCKPERF_PORT),
        answer / f.udp_answer(answered, sport=SOCKPERF_PORT),
    )


def topic():
    t = Topic("sockperf", ABOUT)
    _answered(t)
    _silent(t)
    _malformed(t)
    _datagram(t)
    return t


def _answered(t):
    for family in (4, 6):
        name = "" if family == 4 else "-6"
        t.replies(
            f"P7-pong{name}",
            RULE,
            "A client's message that asks for a pong comes back, with the client's flag cleared.",
            *exchange(message(), family=family),
        )
        for size in (15, 16, 17, 64, 65, 200, 1452):
            t.replies(
                f"P7-{size}-bytes{name}",
                RULE,
                "The data come back as they came.",
                *exchange(message(size=size), message(PONG, size), family),
            )
    for seq in (0, 0xFFFFFFFFFFFFFFFF):
        t.replies(
            f"P7-sequence-{seq:x}",
            RULE,
            "So does any sequence number.",
            *exchange(message(seq=seq), message(PONG, seq=seq)),
        )
    t.replies(
        "P7-other-flags",
        RULE,
        "Flags that mean nothing come back too.",
        *exchange(message(0xFFFB), message(0xFFFA)),
    )


def _silent(t):
    for name, flags, reason in (
        ("no-pong", CLIENT, "sockperf_silent"),
        ("warm-up", CLIENT | PONG | WARM_UP, "sockperf_warm_up"),
        ("warm-up-silent", CLIENT | WARM_UP, "sockperf_warm_up"),
        ("servers", PONG, "sockperf_not_client"),
        ("no-flags", 0, "sockperf_not_client"),
    ):
        for family in (4, 6):
            t.drops(
                f"P7-{name}{'' if family == 4 else '-6'}",
                RULE,
                "What is no client's, only warms up, or asks for nothing, is taken and not answered.",
                exchange(message(flags, 40), family=family)[0],
                reason,
            )


def _malformed(t):
    t.drops(
        "P7-length",
        RULE,
        "A message is as long as its datagram.",
        exchange(message(size=18))[0],
        "sockperf_malformed",
        each=[values(54, 2, 0, 0xFFFF, skip=[18], checksums=UDP_SUM)],
    )
    t.drops(
        "P7-length-beyond",
        RULE,
        "Also where its length has 32 bits.",
        exchange(message(size=18, length=0xFFFFFFFF))[0],
        "sockperf_malformed",
    )
    for size in range(HEADER):
        t.drops(
            f"P7-{size}-bytes",
            RULE,
            "Less than a header is no message.",
            exchange(message()[:size])[0],
            "sockperf_malformed",
        )


def _datagram(t):
    question, answer = exchange(message(size=18), message(PONG, 18))
    t.drops(
        "P7-flip",
        "1122 4.1.3.4",
        "A message with one wrong bit in checksum or data is silently discarded.",
        question,
        "udp_checksum",
        each=[flip_bits(40, 59)],
    )
    t.replies(
        "P7-no-checksum",
        "768",
        "A message without a checksum is answered with one.",
        question,
        answer,
        each=[bytes_at(40, [b"\x00\x00"])],
    )
    t.replies(
        "P7-partial-accepted",
        "KERNEL veth",
        "A checksum that its sender left to a card that is none is accepted where the link is known to do it.",
        question,
        answer,
        each=[bytes_at(40, [f.folded_pseudo_header(question).to_bytes(2, "big")])],
        settings='{ partial_checksums = "accept" }',
    )
    t.drops(
        "P7-source-ports",
        "CA-1996-01",
        "No answer to a port whose service answers whatever comes.",
        question,
        "udp_source_port",
        each=[bytes_at(34, [port.to_bytes(2, "big") for port in LOOP_PORTS], UDP_SUM)],
    )
    assert len(raw(question)) == 60
