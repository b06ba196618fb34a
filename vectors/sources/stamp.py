"""The STAMP session-reflector: RFC 8762, RFC 8972."""

import hashlib
import hmac
import struct

from scapy.all import UDP, Raw, raw
from scapy.contrib.stamp import (
    ErrorEstimate,
    STAMPSessionReflectorTestUnauthenticated,
    STAMPSessionSenderTestUnauthenticated,
    STAMPTestTLV,
)

from . import frames as f
from .endpoint import (
    ERROR_NS,
    IS_SYNCHRONISED,
    LOOP_PORTS,
    OWN4,
    OWN6,
    STAMP_KEY,
    STAMP_PORT,
    T2_NS,
    T3_NS,
)
from .topic import Topic, bytes_at, flip_bits, values

ABOUT = """The STAMP session-reflector: RFC 8762 and its extensions, RFC 8972.
The endpoint's clock stands still: T2 and T3 of every answer are those of endpoint.toml, and T3 is a nanosecond later.
Over IPv4 the base packet begins at byte 42, its TLVs at byte 86; authenticated, at byte 154."""

AUTHENTICATED = '{ stamp = "authenticated" }'
ANSWERING_SHORT = '{ short_packets = "answer" }'
UDP_SUM = [f.UDPV4_CHECKSUM]
BASE, BASE_AUTHENTICATED = 44, 112
NTP_EPOCH = 2208988800
UNRECOGNISED, MALFORMED, INTEGRITY = 0x80, 0x40, 0x20
EXTRA_PADDING, HMAC = 1, 8


def ntp(unix_ns):
    """An instant in NTP's 64 bits, rounded down."""
    seconds, ns = divmod(unix_ns, 10**9)
    return (seconds + NTP_EPOCH) % 2**32 << 32 | (ns << 32) // 10**9


def ptp(unix_ns):
    """The same in PTPv2's truncated format."""
    return unix_ns // 10**9 % 2**32 << 32 | unix_ns % 10**9


def estimate(error_ns, synchronised):
    """The smallest Error Estimate that is not smaller than the error (RFC 4656 4.1.2)."""
    units, scale = -(-(error_ns << 32) // 10**9), 0
    while -(-units // 2**scale) > 255:
        scale += 1
    return ErrorEstimate(S=int(synchronised), Z=0, scale=scale, multiplier=max(1, -(-units // 2**scale)))


T1 = ntp(T2_NS - 52_000)
OURS = estimate(ERROR_NS, IS_SYNCHRONISED)
THEIRS = ErrorEstimate(S=0, Z=0, scale=20, multiplier=3)


def tlv(kind, value, flags=UNRECOGNISED, length=None):
    """A TLV as a sender sends it."""
    return raw(
        STAMPTestTLV(flags=flags, type=kind, len=len(value) if length is None else length, value=value)
    )


def packet(seq=7, stamp=T1, error=THEIRS, ssid=0, tlvs=b"", mbz=0):
    """A sender's unauthenticated packet, with what follows it."""
    base = STAMPSessionSenderTestUnauthenticated(err_estimate=error, seq=seq, ssid=ssid, mbz=mbz)
    return _with_stamps(base, [(4, stamp)]) + tlvs


def reflected(seq=7, stamp=T1, error=THEIRS, ssid=0, tlvs=b"", ttl=61):
    """The reflector's answer to it."""
    base = STAMPSessionReflectorTestUnauthenticated(
        seq=seq, err_estimate=OURS, ssid=ssid, seq_sender=seq, err_estimate_sender=error, ttl_sender=ttl
    )
    return _with_stamps(base, [(4, ntp(T3_NS)), (16, ntp(T2_NS)), (28, stamp)]) + tlvs


def _with_stamps(base, stamps):
    """Scapy keeps instants as numbers of floating point, which do not hold a nanosecond: they are written here."""
    whole = bytearray(raw(base))
    assert len(whole) == BASE
    for at, stamp in stamps:
        whole[at : at + 8] = stamp.to_bytes(8, "big")
    return bytes(whole)


# Scapy has no authenticated packets: RFC 8762 figures 4 and 6, with the SSID of RFC 8972 figures 2 and 4.


def sign(text, key=STAMP_KEY):
    """HMAC-SHA-256, truncated to 128 bits (RFC 8762 4.4)."""
    return hmac.new(key, text, hashlib.sha256).digest()[:16]


def packet_authenticated(seq=7, stamp=T1, error=THEIRS, ssid=0, tlvs=b"", key=STAMP_KEY):
    base = struct.pack("!I12xQ2sH68x", seq, stamp, raw(error), ssid)
    return base + sign(base, key) + tlvs


def reflected_authenticated(seq=7, stamp=T1, error=THEIRS, ssid=0, tlvs=b"", ttl=61):
    base = struct.pack(
        "!I12xQ2sH4xQ8xI12xQ2s6xB15x",
        seq,
        ntp(T3_NS),
        raw(OURS),
        ssid,
        ntp(T2_NS),
        seq,
        stamp,
        raw(error),
        ttl,
    )
    assert len(base) == 96
    return base + sign(base) + tlvs


def hmac_tlv(before, seq=7, key=STAMP_KEY, flags=UNRECOGNISED):
    """The HMAC TLV that follows these TLVs (RFC 8972 4.8)."""
    return tlv(HMAC, sign(seq.to_bytes(4, "big") + before, key), flags)


def exchange(asked, answered, family=4, **ip):
    """A question and its answer over IPv4 or IPv6."""
    if family == 4:
        question, answer = f.to_us() / f.ip_question(**ip), f.from_us() / f.ip_answer()
    else:
        question, answer = f.to_us() / f.ip6_question(**ip), f.from_us() / f.ip6_answer()
    return (
        question / f.udp_question(asked, dport=STAMP_PORT),
        answer / f.udp_answer(answered, sport=STAMP_PORT),
    )


def topic():
    t = Topic("stamp", ABOUT)
    _base(t)
    _sizes(t)
    _datagram(t)
    _authenticated(t)
    _session(t)
    _tlvs(t)
    _tlv_hmac(t)
    return t


def _base(t):
    for family in (4, 6):
        name = "" if family == 4 else "-6"
        t.replies(
            f"P1-unauthenticated{name}",
            "8762 4.3.1",
            "Sequence number, T1, error estimate and TTL are copied; T2 and T3 are the reflector's; the rest is zero.",
            *exchange(packet(), reflected(), family),
        )
        t.replies(
            f"P1-sequence-ffffffff{name}",
            "8762 4.3.1",
            "A stateless reflector's sequence number is the sender's, whatever it is.",
            *exchange(packet(seq=0xFFFFFFFF), reflected(seq=0xFFFFFFFF), family),
        )
    for ttl in (1, 64, 255):
        t.replies(
            f"P1-ttl-{ttl}",
            "8762 4.3.1",
            "The TTL that the question came with is told.",
            *exchange(packet(), reflected(ttl=ttl), ttl=ttl),
        )
        t.replies(
            f"P1-hop-limit-{ttl}-6",
            "8762 4.3.1",
            "So is the hop limit.",
            *exchange(packet(), reflected(ttl=ttl), 6, hlim=ttl),
        )
    t.replies(
        "P1-zero-fields-ignored",
        "8762 4.2.1",
        "What must be zero is ignored when received, and zero when sent.",
        *exchange(packet(mbz=(1 << 224) - 1), reflected()),
    )
    ptp_error = ErrorEstimate(S=1, Z=1, scale=10, multiplier=9)
    stamp = ptp(T2_NS - 52_000)
    t.replies(
        "P1-sender-with-ptp",
        "8762 4.2.1",
        "A sender that writes PTPv2 is answered in NTP, which the Z bits say of each.",
        *exchange(packet(stamp=stamp, error=ptp_error), reflected(stamp=stamp, error=ptp_error)),
    )
    for multiplier, scale in ((0, 0), (255, 63)):
        error = ErrorEstimate(S=0, Z=0, scale=scale, multiplier=multiplier)
        t.replies(
            f"P1-error-estimate-{multiplier}-{scale}",
            "8762 4.3.1",
            "The sender's error estimate is copied, whatever it says.",
            *exchange(packet(error=error), reflected(error=error)),
        )


def _sizes(t):
    for size in (14, 15, 16, 17, 18, 19, 41, 43):
        for family in (4, 6):
            name = f"P1-{size}-bytes" + ("" if family == 4 else "-6")
            question, answer = exchange(packet()[:size], reflected(), family)
            t.drops(
                name,
                "8762 4.6",
                "A packet shorter than the base packet, as TWAMP Light sends them, gets no answer: it would be longer.",
                question,
                "stamp_short",
            )
            t.replies(
                f"{name}-answered",
                "8762 4.6",
                "Where it is to be answered all the same, it is with a base packet.",
                question,
                answer,
                settings=ANSWERING_SHORT,
            )
    _short_answered(t)
    for size in (0, 1, 4, 12, 13):
        t.drops(
            f"P1-{size}-bytes",
            "5357 4.1.2",
            "Without sequence number, timestamp and error estimate it is no packet of any sender.",
            exchange(packet()[:size], b"")[0],
            "stamp_malformed",
        )
    for size in (4, 5, 20, 21, 63, 64, 65, 200, 1427, 1428):
        t.replies(
            f"P1-padding-{size}",
            "8762 4.6",
            "The padding of TWAMP Light comes back as it came: an answer is as long as its question.",
            *exchange(packet(tlvs=bytes(size)), reflected(tlvs=bytes(size))),
        )


def _short_answered(t):
    """What is as ever where short packets are answered."""
    question, answer = exchange(packet()[:14], reflected())
    t.replies(
        "P1-14-bytes-answered-whatever-the-id",
        "6864 4",
        "The question's identification does not matter, nor does it come back.",
        question,
        answer,
        each=[values(18, 2, 0, 255, checksums=[f.IPV4_CHECKSUM])],
        settings=ANSWERING_SHORT,
    )
    t.drops(
        "P1-14-bytes-answered-flip",
        "1122 4.1.3.4",
        "One with a wrong bit in checksum or data is silently discarded, and not lengthened first.",
        question,
        "udp_checksum",
        each=[flip_bits(40, 55)],
        settings=ANSWERING_SHORT,
    )
    t.drops(
        "P1-14-bytes-answered-source-ports",
        "CA-1996-01",
        "Two reflectors must not be made to reflect each other's answers for ever.",
        question,
        "udp_source_port",
        each=[bytes_at(34, [port.to_bytes(2, "big") for port in LOOP_PORTS], UDP_SUM)],
        settings=ANSWERING_SHORT,
    )
    t.drops(
        "P1-13-bytes-where-short-are-answered",
        "5357 4.1.2",
        "Without sequence number, timestamp and error estimate it is no packet of any sender here either.",
        exchange(packet()[:13], b"")[0],
        "stamp_malformed",
        settings=ANSWERING_SHORT,
    )
    for size in (0, 4, 21):
        t.replies(
            f"P1-padding-{size}-where-short-are-answered",
            "8762 4.6",
            "From the base packet on, an answer is as long as its question.",
            *exchange(packet(tlvs=bytes(size)), reflected(tlvs=bytes(size))),
            settings=ANSWERING_SHORT,
        )


def _datagram(t):
    question, answer = exchange(packet(), reflected())
    t.drops(
        "P1-flip",
        "1122 4.1.3.4",
        "A packet with one wrong bit in ports, checksum or data is silently discarded.",
        question,
        "udp_checksum",
        each=[flip_bits(40, 85)],
    )
    t.replies(
        "P1-no-checksum",
        "768",
        "A packet without a checksum is answered with one.",
        question,
        answer,
        each=[bytes_at(40, [b"\x00\x00"])],
    )
    t.drops(
        "P1-no-checksum-6",
        "8200 8.1",
        "Over IPv6 there must be one.",
        exchange(packet(), reflected(), 6)[0],
        "udp_checksum_missing",
        each=[bytes_at(60, [b"\x00\x00"])],
    )
    partial = f.folded_pseudo_header(question)
    t.replies(
        "P1-partial-accepted",
        "KERNEL veth",
        "A checksum that its sender left to a card that is none is accepted where the link is known to do it.",
        question,
        answer,
        each=[bytes_at(40, [partial.to_bytes(2, "big")])],
        settings='{ partial_checksums = "accept" }',
    )
    t.drops(
        "P1-partial-refused",
        "1122 4.1.3.4",
        "An unfinished checksum is a wrong one where the link is not known to leave them.",
        question,
        "udp_checksum",
        each=[bytes_at(40, [partial.to_bytes(2, "big")])],
    )
    t.drops(
        "P1-source-ports",
        "CA-1996-01",
        "Two reflectors must not be made to reflect each other's answers for ever.",
        question,
        "udp_source_port",
        each=[bytes_at(34, [port.to_bytes(2, "big") for port in LOOP_PORTS], UDP_SUM)],
    )
    t.drops(
        "P1-source",
        "1122 3.2.1.3",
        "A source that no single host can have is silently discarded.",
        question,
        "source_invalid",
        each=[
            bytes_at(
                26,
                [b"\x00\x00\x00\x00", b"\x7f\x00\x00\x01", b"\xe0\x00\x00\x01", b"\x0a\x00\x00\xff"],
                [f.IPV4_CHECKSUM, f.UDPV4_CHECKSUM],
            )
        ],
    )
    t.drops(
        "P1-source-own",
        "1122 3.2.1.3",
        "So is our own address.",
        exchange(packet(), b"", src=OWN4)[0],
        "source_invalid",
    )
    t.drops(
        "P1-source-own-6",
        "4291 2.5",
        "Over IPv6 too.",
        exchange(packet(), b"", 6, src=OWN6)[0],
        "source_invalid",
    )
    right = f.number(question, 40)
    behind = UDP(sport=question.sport, dport=STAMP_PORT, len=8 + BASE, chksum=right) / Raw(
        packet() + f.data(10)
    )
    t.replies(
        "P1-shorter-than-payload",
        "768",
        "What the IP payload holds beyond the UDP length is not the packet's.",
        f.to_us() / f.ip_question() / behind,
        answer,
    )


def _authenticated(t):
    rule = "8762 4.4"
    for family in (4, 6):
        name = "" if family == 4 else "-6"
        t.replies(
            f"P1-authenticated{name}",
            "8762 4.3.2",
            "An authenticated packet is answered with one that is signed with the same key.",
            *exchange(packet_authenticated(), reflected_authenticated(), family),
            settings=AUTHENTICATED,
        )
    question, _ = exchange(packet_authenticated(ssid=0x1234), b"")
    question["UDP"].chksum = 0
    t.drops(
        "P1-flip-authenticated",
        rule,
        "One wrong bit under the HMAC, or in it, and the packet is discarded, with no checksum that would find it out.",
        question,
        "stamp_hmac",
        each=[flip_bits(42, 42 + BASE_AUTHENTICATED - 1)],
        settings=AUTHENTICATED,
    )
    t.drops(
        "P1-wrong-key",
        rule,
        "So is one that is signed with another key.",
        exchange(packet_authenticated(key=b"another key"), b"")[0],
        "stamp_hmac",
        settings=AUTHENTICATED,
    )
    t.drops(
        "P1-no-hmac",
        rule,
        "So is one whose HMAC field is zero.",
        exchange(packet_authenticated()[:96] + bytes(16), b"")[0],
        "stamp_hmac",
        settings=AUTHENTICATED,
    )
    whole = packet_authenticated()
    for size in (0, 14, BASE, 96, 111):
        t.drops(
            f"P1-authenticated-{size}-bytes",
            "8762 4.2.2",
            "Shorter than a base packet it cannot be authentic, whatever mode its sender meant.",
            exchange(whole[:size], b"")[0],
            "stamp_malformed",
            settings=AUTHENTICATED,
        )
    t.replies(
        "P1-authenticated-to-unauthenticated",
        "8762 4",
        "A reflector without a key takes an authenticated packet for an unauthenticated one with padding.",
        *_as_unauthenticated(),
    )


def _as_unauthenticated():
    """What an authenticated packet is, read as an unauthenticated one: T1 in the zeros, and a tail that begins with zeros."""
    asked = packet_authenticated()
    base, tail = asked[:BASE], asked[BASE:]
    assert tail[:4] == bytes(4)
    answer = bytearray(reflected(stamp=0, error=ErrorEstimate(S=0, Z=0, scale=0, multiplier=0), tlvs=tail))
    answer[28:36], answer[36:38] = base[4:12], base[12:14]
    return exchange(asked, bytes(answer))


def _session(t):
    for ssid in (1, 0xFFFF):
        t.replies(
            f"P6-ssid-{ssid}",
            "8972 3",
            "The session's identifier is copied.",
            *exchange(packet(ssid=ssid), reflected(ssid=ssid)),
        )
        t.replies(
            f"P6-ssid-{ssid}-authenticated-6",
            "8972 3",
            "The session's identifier is copied.",
            *exchange(packet_authenticated(ssid=ssid), reflected_authenticated(ssid=ssid), 6),
            settings=AUTHENTICATED,
        )


def _with_tlvs(asked, answered, family=4):
    return exchange(packet(tlvs=asked), reflected(tlvs=answered), family)


def _tlvs(t):
    rule = "8972 4"
    for size in (0, 1, 2, 3, 17, 64, 500, 1424):
        t.replies(
            f"P6-extra-padding-{size}",
            "8972 4.1",
            "Extra Padding is known: it comes back with the flag U cleared, its value unchanged.",
            *_with_tlvs(tlv(EXTRA_PADDING, f.data(size)), tlv(EXTRA_PADDING, f.data(size), 0)),
        )
    t.replies(
        "P6-extra-padding-6",
        "8972 4.1",
        "The same over IPv6.",
        *_with_tlvs(tlv(EXTRA_PADDING, f.data(33)), tlv(EXTRA_PADDING, f.data(33), 0), 6),
    )
    for kind in (2, 3, 4, 5, 6, 7, 9, 128, 251, 252, 255):
        t.replies(
            f"P6-unknown-type-{kind}",
            rule,
            "A TLV that is not known comes back unchanged, with the flag U.",
            *_with_tlvs(tlv(kind, f.data(8)), tlv(kind, f.data(8), UNRECOGNISED)),
        )
    t.replies(
        "P6-flag-unset-by-the-sender",
        rule,
        "The reflector sets the flag U of what it does not know, also where the sender has not.",
        *_with_tlvs(tlv(200, f.data(4), 0), tlv(200, f.data(4), UNRECOGNISED)),
    )
    t.replies(
        "P6-flags-cleared",
        rule,
        "The flags M and I, and those that are reserved, are the reflector's to set.",
        *_with_tlvs(tlv(EXTRA_PADDING, f.data(4), 0xFF), tlv(EXTRA_PADDING, f.data(4), 0)),
    )
    several = [(EXTRA_PADDING, 3), (200, 0), (EXTRA_PADDING, 0), (201, 5)]
    t.replies(
        "P6-several",
        rule,
        "Several TLVs come back in their order, each with its own flags.",
        *_with_tlvs(
            b"".join(tlv(kind, f.data(size)) for kind, size in several),
            b"".join(tlv(kind, f.data(size), UNRECOGNISED if kind >= 200 else 0) for kind, size in several),
        ),
    )
    known = tlv(EXTRA_PADDING, f.data(4))
    for name, length in (("one-too-long", 9), ("longest", 0xFFFF)):
        t.replies(
            f"P6-malformed-{name}",
            rule,
            "A TLV that is longer than the packet has the flag M, and the rest comes back as it came.",
            *_with_tlvs(
                known + tlv(EXTRA_PADDING, f.data(8), length=length),
                tlv(EXTRA_PADDING, f.data(4), 0) + tlv(EXTRA_PADDING, f.data(8), MALFORMED, length),
            ),
        )
    t.replies(
        "P6-malformed-unknown",
        rule,
        "Flags add up.",
        *_with_tlvs(tlv(200, f.data(8), length=99), tlv(200, f.data(8), UNRECOGNISED | MALFORMED, 99)),
    )
    for size in (1, 2, 3):
        rest = b"\x80\xc8\x00"[:size]
        t.replies(
            f"P6-malformed-head-{size}",
            rule,
            "Less than the head of a TLV is malformed too.",
            *_with_tlvs(known + rest, tlv(EXTRA_PADDING, f.data(4), 0) + b"\xc0" + rest[1:]),
        )


def _tlv_hmac(t):
    rule = "8972 4.8"

    def both(asked, answered):
        return exchange(packet_authenticated(tlvs=asked), reflected_authenticated(tlvs=answered))

    plain, after = tlv(200, f.data(12)), tlv(200, f.data(12), UNRECOGNISED)
    padding, cleared = tlv(EXTRA_PADDING, f.data(7)), tlv(EXTRA_PADDING, f.data(7), 0)
    failed = tlv(200, f.data(12), UNRECOGNISED | INTEGRITY)
    right = hmac_tlv(plain)
    t.replies(
        "P6-hmac",
        rule,
        "A right HMAC TLV is verified, and made anew over the TLVs as they go back.",
        *both(plain + right, after + hmac_tlv(after, flags=0)),
        settings=AUTHENTICATED,
    )
    t.replies(
        "P6-hmac-between-padding",
        rule,
        "Extra Padding may stand before the HMAC TLV, which covers it, and behind it.",
        *both(padding + hmac_tlv(padding) + padding, cleared + hmac_tlv(cleared, flags=0) + cleared),
        settings=AUTHENTICATED,
    )
    t.replies(
        "P6-padding-needs-no-hmac",
        rule,
        "A single Extra Padding needs no HMAC TLV.",
        *both(padding, cleared),
        settings=AUTHENTICATED,
    )
    wrong = hmac_tlv(plain, key=b"another key")
    whole = bytes([INTEGRITY]) + wrong[1:]
    t.replies(
        "P6-hmac-wrong",
        rule,
        "A wrong HMAC TLV sets the flag I in every TLV; nothing else is changed.",
        *both(plain + wrong, failed + whole),
        settings=AUTHENTICATED,
    )
    t.replies(
        "P6-hmac-missing",
        rule,
        "So does one that is missing where the mode demands it.",
        *both(plain, failed),
        settings=AUTHENTICATED,
    )
    t.replies(
        "P6-hmac-misplaced",
        rule,
        "So does one that something other than padding follows.",
        *both(plain + right + plain, failed + bytes([INTEGRITY]) + right[1:] + failed),
        settings=AUTHENTICATED,
    )
    short = tlv(HMAC, bytes(15))
    t.replies(
        "P6-hmac-length",
        rule,
        "An HMAC TLV of another length than 16 is malformed, and so cannot be verified.",
        *both(short, bytes([MALFORMED | INTEGRITY]) + short[1:]),
        settings=AUTHENTICATED,
    )
    t.replies(
        "P6-hmac-without-key",
        rule,
        "A reflector without a key cannot verify an HMAC TLV, which counts as wrong.",
        *_with_tlvs(plain + right, failed + bytes([INTEGRITY]) + right[1:]),
    )
