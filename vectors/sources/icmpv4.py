"""ICMP echo: RFC 792, RFC 1122 3.2.2."""

from scapy.all import ICMP, Raw, raw

from . import frames as f
from .endpoint import KERNEL4, OWN4, SECOND4
from .topic import Topic, bytes_at, flip_bits, values

ABOUT = """ICMP echo: RFC 792, RFC 1122 3.2.2, RFC 6633, RFC 6918.
Byte 34 is the type, 35 the code, 36 the checksum, 38 the identifier, 40 the sequence number, 42 the first data byte."""

ICMP_ONLY = [f.ICMPV4_CHECKSUM]
# Around the 60-byte minimum, the powers of two, the steps of wide checksum loops, and the largest that 1500 carry.
SIZES = [
    0,
    1,
    2,
    3,
    7,
    8,
    17,
    18,
    19,
    31,
    32,
    33,
    56,
    63,
    64,
    65,
    127,
    128,
    129,
    255,
    256,
    257,
    511,
    1023,
    1024,
    1471,
    1472,
]


def exchange(dst=OWN4, **fields):
    return f.to_us() / f.ip_question(dst=dst) / f.echo_request(**fields), f.from_us() / f.ip_answer(
        src=dst
    ) / f.echo_reply(**fields)


def topic():
    t = Topic("icmpv4", ABOUT)
    _echo(t)
    _checksum(t)
    _other_types(t)
    return t


def _echo(t):
    t.replies("C4-echo", "1122 3.2.2.6", "An echo request is answered.", *exchange())
    t.replies(
        "C5-second-address",
        "1122 3.2.2.6",
        "The reply's source is the request's destination, also on a host with many addresses.",
        *exchange(dst=SECOND4),
    )
    for size in SIZES:
        t.replies(
            f"C6-{size}-bytes",
            "1122 3.2.2.6",
            "The data come back entirely, odd lengths included.",
            *exchange(content=f.data(size)),
        )
    t.replies(
        "C6-trailing-zeros",
        "1122 3.2.2.6",
        "Zeros at the end are data and come back.",
        *exchange(content=b"zeros follow" + bytes(20)),
    )
    t.replies("C6-only-zeros", "1122 3.2.2.6", "Data of zeros only come back.", *exchange(content=bytes(64)))
    t.replies("C6-only-ones", "1122 3.2.2.6", "Data of 0xff only come back.", *exchange(content=b"\xff" * 65))
    for ident, seq in [(0, 0), (0xFFFF, 0xFFFF), (0x00FF, 0xFF00), (1, 0x8000)]:
        t.replies(
            f"C4-id-{ident:04x}-sequence-{seq:04x}",
            "792",
            "Identifier and sequence number come back.",
            *exchange(ident=ident, seq=seq),
        )
    t.passes(
        "C4-kernel-address",
        "1122 3.2.2.6",
        "An echo request to an address that the kernel has, and where we do not claim it, is the kernel's.",
        f.echo4(dst=KERNEL4),
        "unclaimed",
    )
    t.replies(
        "C6-padding",
        "1122 3.2.2.6",
        "Padding beyond the datagram is not data.",
        *exchange(content=b"\x01\x02\x03"),
        filler=0x5A,
    )


def _checksum(t):
    question, _ = exchange()
    t.drops(
        "C8-flip",
        "792",
        "A message with one wrong bit in checksum, identifier, sequence number or data is dropped.",
        question,
        "icmp_checksum",
        each=[flip_bits(36, 59)],
    )
    t.silences(
        "C8-flip-type-and-code",
        "792",
        "One wrong bit in type or code: never an answer.",
        question,
        each=[flip_bits(34, 35)],
    )
    t.drops(
        "C8-any",
        "792",
        "Every wrong checksum; zero does not mean none.",
        question,
        "icmp_checksum",
        each=[values(36, 2, 0, 0xFFFF, skip=[f.number(question, 36)])],
    )
    odd, _ = exchange(content=f.data(17))
    t.drops(
        "C8-flip-odd",
        "792",
        "The last byte of an odd message counts.",
        odd,
        "icmp_checksum",
        each=[flip_bits(58, 58)],
    )
    t.replies(
        "C8-all-zero-message",
        "1624 3",
        "A reply of zeros only has the checksum ffff, which patching the request's alone would miss.",
        *exchange(ident=0, seq=0, content=bytes(18)),
    )
    t.replies("C8-all-zero-empty", "1624 3", "The same without data.", *exchange(ident=0, seq=0, content=b""))
    t.replies(
        "C8-all-ones-message",
        "1624 3",
        "A message of 0xff bytes only behind the type.",
        *exchange(ident=0xFFFF, seq=0xFFFF, content=b"\xff" * 18),
    )
    for wanted in (0x0000, 0x0001, 0x07FF, 0x0800, 0xF7FE, 0xF7FF, 0xFFFE):
        content = f.word_for(wanted, lambda word: f.number(f.echo_reply(content=word), 2))
        t.replies(
            f"C8-reply-checksum-{wanted:04x}",
            "1624 3",
            "A reply whose checksum comes out at the edge of the numbers.",
            *exchange(content=content),
        )


def _other_types(t):
    question, _ = exchange()
    t.passes(
        "C1-types",
        "1122 3.2.2",
        "Every other type, with every code, is not ours: replies, errors, timestamps, and the unknown.",
        question,
        "unclaimed",
        each=[
            values(34, 1, 0, 255, skip=[8], checksums=ICMP_ONLY),
            values(35, 1, 0, 255, checksums=ICMP_ONLY),
        ],
    )
    t.passes(
        "C1-echo-codes",
        "792",
        "An echo request with a code other than 0 is none that RFC 792 defines: not ours.",
        question,
        "unclaimed",
        each=[values(35, 1, 1, 255, checksums=ICMP_ONLY)],
    )
    for kind, name in [
        (4, "source-quench"),
        (5, "redirect"),
        (15, "information-request"),
        (17, "mask-request"),
        (30, "traceroute"),
        (37, "domain-name-request"),
    ]:
        t.passes(
            f"C9-{name}",
            "6633 3" if kind == 4 else "6918 2",
            "Deprecated messages are never answered.",
            f.to_us() / f.ip_question() / ICMP(type=kind) / Raw(f.data(18)),
            "unclaimed",
        )
    t.drops(
        "C1-short",
        "792",
        "A message of fewer than 8 bytes has no header.",
        question,
        "icmp_length",
        each=[values(16, 2, 20, 27, checksums=[f.IPV4_CHECKSUM])],
    )
    error = (
        f.to_us()
        / f.ip_question()
        / ICMP(type=3, code=3)
        / Raw(raw(f.ip_answer(src=OWN4, dst="10.0.0.9") / f.udp_answer()))
    )
    t.passes(
        "C3-error-message",
        "1122 3.2.2",
        "An error message is never answered.",
        error,
        "unclaimed",
        each=[bytes_at(34, [bytes([kind]) for kind in (3, 4, 5, 11, 12)], ICMP_ONLY)],
    )
