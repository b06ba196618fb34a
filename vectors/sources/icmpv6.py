"""ICMPv6 echo: RFC 4443."""

from scapy.all import Raw, raw
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6ParamProblem, ICMPv6TimeExceeded

from . import frames as f
from .endpoint import KERNEL6, OWN6, SECOND6
from .topic import Topic, bytes_at, flip_bits, values

ABOUT = """ICMPv6 echo: RFC 4443.
Byte 54 is the type, 55 the code, 56 the checksum, 58 the identifier, 60 the sequence number, 62 the first data byte."""

SUM = [f.ICMPV6_CHECKSUM]
SIZES = [0, 1, 2, 3, 17, 18, 19, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1023, 1024, 1451, 1452]


def exchange(dst=OWN6, **fields):
    return f.to_us() / f.ip6_question(dst=dst) / f.echo6_request(**fields), f.from_us() / f.ip6_answer(
        src=dst
    ) / f.echo6_reply(**fields)


def topic():
    t = Topic("icmpv6", ABOUT)
    _echo(t)
    _checksum(t)
    _other_types(t)
    return t


def _echo(t):
    t.replies("N5-echo", "4443 4.2", "An echo request is answered.", *exchange())
    t.replies(
        "N5-second-address",
        "4443 2.2 (a)",
        "The reply's source is the request's destination.",
        *exchange(dst=SECOND6),
    )
    for size in SIZES:
        t.replies(
            f"N5-{size}-bytes",
            "4443 4.2",
            "The data come back entirely and unmodified, odd lengths included.",
            *exchange(content=f.data(size)),
        )
    t.replies(
        "N5-trailing-zeros",
        "4443 4.2",
        "Zeros at the end are data and come back.",
        *exchange(content=b"zeros follow" + bytes(20)),
    )
    t.replies(
        "N5-only-zeros",
        "4443 4.2",
        "Data of zeros only come back.",
        *exchange(ident=0, seq=0, content=bytes(64)),
    )
    t.replies(
        "N5-only-ones",
        "4443 4.2",
        "Data of 0xff only come back.",
        *exchange(ident=0xFFFF, seq=0xFFFF, content=b"\xff" * 65),
    )
    t.replies(
        "N5-padding",
        "4443 4.2",
        "What follows the packet in its frame is not data.",
        *exchange(content=b"\x01"),
        room=80,
        filler=0x5A,
    )
    t.passes(
        "N5-kernel-address",
        "4443 4.2",
        "An echo request to an address that the kernel has, and where we do not claim it, is the kernel's.",
        f.echo6(dst=KERNEL6),
        "unclaimed",
    )
    for wanted in (0x0000, 0x0001, 0x00FF, 0x0100, 0xFEFF, 0xFFFE):
        content = f.word_for(wanted, lambda word: f.number(f.ip6_answer() / f.echo6_reply(content=word), 42))
        t.replies(
            f"N6-reply-checksum-{wanted:04x}",
            "1624 3",
            "A reply whose checksum comes out at the edge of the numbers.",
            *exchange(content=content),
        )


def _checksum(t):
    rule = "4443 2.3"
    question, _ = exchange()
    t.drops(
        "N6-flip",
        rule,
        "A message with one wrong bit in checksum, identifier, sequence number or data is dropped.",
        question,
        "icmp_checksum",
        each=[flip_bits(56, 79)],
    )
    t.silences(
        "N6-flip-type-and-code",
        rule,
        "One wrong bit in type or code: never an answer.",
        question,
        each=[flip_bits(54, 55)],
    )
    t.drops(
        "N6-flip-source",
        rule,
        "The source address is part of the sum.",
        question,
        "icmp_checksum",
        each=[flip_bits(25, 36)],
    )
    right = f.number(question, 56)
    t.drops(
        "N6-any",
        rule,
        "Every wrong checksum; zero does not mean none.",
        question,
        "icmp_checksum",
        each=[values(56, 2, 0, 0xFFFF, skip=[right])],
    )
    t.drops(
        "N6-without-pseudo-header",
        rule,
        "A sum over the message alone, as in ICMP for IPv4, is wrong.",
        question,
        "icmp_checksum",
        each=[bytes_at(56, [_sum_alone(raw(question)[54:])])],
    )
    odd, _ = exchange(content=f.data(17))
    t.drops(
        "N6-flip-odd",
        rule,
        "The last byte of an odd message counts.",
        odd,
        "icmp_checksum",
        each=[flip_bits(78, 78)],
    )


def _sum_alone(message):
    from scapy.utils import checksum

    return checksum(message[:2] + b"\0\0" + message[4:]).to_bytes(2, "big")


def _other_types(t):
    question, _ = exchange()
    t.passes(
        "N1-types",
        "4443 2.4 (a, b)",
        "Every other type, with every code, is not ours; 135 is a neighbour solicitation and stands in ndp.toml.",
        question,
        "unclaimed",
        each=[values(54, 1, 0, 255, skip=[128, 135], checksums=SUM), values(55, 1, 0, 255, checksums=SUM)],
    )
    t.passes(
        "N5-codes",
        "4443 4.1",
        "An echo request with a code other than 0 is none that RFC 4443 defines: not ours.",
        question,
        "unclaimed",
        each=[values(55, 1, 1, 255, checksums=SUM)],
    )
    quoted = Raw(raw(f.ip6_answer(src=OWN6, dst="fd00::9") / f.udp_answer()))
    for name, error in [
        ("unreachable", ICMPv6DestUnreach(code=4)),
        ("too-big", ICMPv6PacketTooBig(mtu=1280)),
        ("time-exceeded", ICMPv6TimeExceeded()),
        ("parameter-problem", ICMPv6ParamProblem()),
    ]:
        t.passes(
            f"N3-{name}",
            "4443 2.4 (e.1)",
            "An error message is never answered.",
            f.to_us() / f.ip6_question() / error / quoted,
            "unclaimed",
        )
