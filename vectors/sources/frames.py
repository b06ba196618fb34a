"""Frames, built field by field with scapy, and the text that a vector file holds of them.

Answers are built here from the fields that the RFCs and our reply policy ask for. Nothing in this folder knows
the code under test.
"""

from scapy.all import ARP, ICMP, IP, UDP, Dot1AD, Dot1Q, Ether, IPv6, Raw, raw
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest

from .endpoint import (
    ASKER4,
    ASKER6,
    ASKER_MAC,
    ASKER_PORT,
    HOP_LIMIT,
    OWN4,
    OWN6,
    OWN_MAC,
)

FRAME_LEN_MIN = 60
# Where the fields stand in an untagged frame.
IPV4, IPV6, TRANSPORT4, TRANSPORT6 = 14, 14, 34, 54
IPV4_CHECKSUM, ICMPV4_CHECKSUM, UDPV4_CHECKSUM = 24, 36, 40
ICMPV6_CHECKSUM, UDPV6_CHECKSUM = 56, 60

NAMES = {
    "Ethernet": "Ethernet",
    "802.1Q": "VLAN tag",
    "802.1ad": "VLAN tag",
    "ARP": "ARP",
    "IP": "IPv4",
    "IPv6": "IPv6",
    "ICMP": "ICMP",
    "UDP": "UDP",
    "Raw": "data",
    "Padding": "padding",
    "IP in ICMP": "quoted IPv4",
    "UDP in ICMP": "quoted UDP",
    "ICMP in ICMP": "quoted ICMP",
    "IPv6 Extension Header - Fragmentation header": "fragment header",
    "IPv6 Extension Header - Hop-by-Hop Options Header": "hop-by-hop options",
    "IPv6 Extension Header - Destination Options Header": "destination options",
    "IPv6 Option Header Routing": "routing header",
    "ICMPv6 Neighbor Discovery - Neighbor Solicitation": "neighbour solicitation",
    "ICMPv6 Neighbor Discovery - Neighbor Advertisement": "neighbour advertisement",
    "ICMPv6 Neighbor Discovery Option - Source Link-Layer Address": "source link-layer address",
    "ICMPv6 Neighbor Discovery Option - Destination Link-Layer Address": "target link-layer address",
}


def parts(frame, room=FRAME_LEN_MIN, filler=0):
    """The frame as (name, bytes) per layer, with the padding up to `room` bytes as the last."""
    if not isinstance(frame, bytes):
        whole, cut, layer = raw(frame), [], frame
        while layer and layer.name != "NoPayload":
            size = len(raw(layer)) - len(raw(layer.payload)) if layer.payload else len(raw(layer))
            cut.append((NAMES.get(layer.name, layer.name), size))
            layer = layer.payload
        named, at = [], 0
        for name, size in cut:
            named.append((name, whole[at : at + size]))
            at += size
        assert at == len(whole), (at, len(whole), cut)
    else:
        whole, named = frame, [("bytes", frame)]
    if len(whole) < room:
        named.append(("padding", bytes([filler]) * (room - len(whole))))
    return named


def text(named):
    """The lines of a frame in a vector file: each layer on lines of its own, named, 32 bytes a line."""
    lines = []
    for name, content in named:
        shape = [6, 6, 2] if name == "Ethernet" and len(content) == 14 else [4] * 8
        for at in range(0, len(content), 32):
            row, groups = content[at : at + 32], []
            for size in shape:
                groups.append(row[:size].hex())
                row = row[size:]
            line = " ".join(group for group in groups if group)
            lines.append(f"{line:<71}  # {name}" if at == 0 else line)
    return "\n".join(lines)


def data(size):
    """Payload that shows every shift and swap: no two 16-bit words of the first 256 are the same."""
    return bytes((i * 7 + (i >> 8) + 1) & 0xFF for i in range(size))


def word_for(wanted, checksum_of):
    """The 16-bit word for which `checksum_of(word)` is `wanted`; checksums are linear, so one try finds it."""
    word = ((checksum_of(b"\0\0") - wanted) % 0xFFFF).to_bytes(2, "big")
    assert checksum_of(word) == wanted, (wanted, word.hex())
    return word


def folded_pseudo_header(question):
    """What a sender with checksum offload writes: the folded sum over the pseudo header alone, not complemented."""
    ip = raw(question)[14:34]
    pseudo = ip[12:20] + bytes([0, 17]) + raw(question)[38:40]
    total = sum(int.from_bytes(pseudo[i : i + 2], "big") for i in range(0, len(pseudo), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def number(frame, at):
    """The 16-bit number at byte `at` of a frame or layer."""
    return int.from_bytes(raw(frame)[at : at + 2], "big")


def payload(content):
    """`content` as a layer, or nothing: scapy has no empty payload."""
    return Raw(content) if content else None


def stack(*layers):
    """The layers on top of each other, those that are None left out."""
    frame = None
    for layer in layers:
        if layer is not None:
            frame = layer if frame is None else frame / layer
    return frame


# Questions: from the asker to us unless a field says otherwise.


def tags(*vlans):
    """VLAN tags as layers: (kind, pcp, dei, id) each, kind 0x8100 or 0x88a8."""
    kinds = {0x8100: Dot1Q, 0x88A8: Dot1AD}
    return [kinds[kind](prio=pcp, dei=dei, vlan=vid) for kind, pcp, dei, vid in vlans]


def to_us(dst=OWN_MAC, src=ASKER_MAC):
    """The Ethernet header of a question."""
    return Ether(dst=dst, src=src)


def from_us(dst=ASKER_MAC):
    """The Ethernet header of an answer."""
    return Ether(dst=dst, src=OWN_MAC)


def ip_question(dst=OWN4, src=ASKER4, **fields):
    """An IPv4 header as a common sender writes it: some ID, DF clear, TTL 61."""
    return IP(**{"src": src, "dst": dst, "id": 0xBEEF, "ttl": 61, "flags": 0, **fields})


def ip_answer(src=OWN4, dst=ASKER4, **fields):
    """An IPv4 header by our reply policy: ID 0, DF set, TTL 64."""
    return IP(**{"src": src, "dst": dst, "id": 0, "ttl": HOP_LIMIT, "flags": "DF", **fields})


def ip6_question(dst=OWN6, src=ASKER6, **fields):
    """An IPv6 header as a common sender writes it: some flow label, hop limit 61."""
    return IPv6(**{"src": src, "dst": dst, "fl": 0x2BEEF, "hlim": 61, **fields})


def ip6_answer(src=OWN6, dst=ASKER6, **fields):
    """An IPv6 header by our reply policy: flow label 0, hop limit 64."""
    return IPv6(**{"src": src, "dst": dst, "fl": 0, "hlim": HOP_LIMIT, **fields})


def echo_request(ident=0x1234, seq=1, content=data(18), **fields):
    """An ICMP echo request."""
    return stack(ICMP(type=8, code=0, id=ident, seq=seq, **fields), payload(content))


def echo_reply(ident=0x1234, seq=1, content=data(18), **fields):
    """The ICMP echo reply to it."""
    return stack(ICMP(type=0, code=0, id=ident, seq=seq, **fields), payload(content))


def echo6_request(ident=0x1234, seq=1, content=data(18), **fields):
    """An ICMPv6 echo request."""
    return ICMPv6EchoRequest(id=ident, seq=seq, data=content, **fields)


def echo6_reply(ident=0x1234, seq=1, content=data(18), **fields):
    """The ICMPv6 echo reply to it."""
    return ICMPv6EchoReply(id=ident, seq=seq, data=content, **fields)


def udp_question(content=data(18), sport=ASKER_PORT, dport=7, **fields):
    """A UDP datagram to one of our services."""
    return stack(UDP(sport=sport, dport=dport, **fields), payload(content))


def udp_answer(content=data(18), sport=7, dport=ASKER_PORT, **fields):
    """The answer to it: ports swapped, data kept."""
    return stack(UDP(sport=sport, dport=dport, **fields), payload(content))


# The two questions that most vectors start from, and their answers.


def udp4(dst=OWN4, eth=None, **ip):
    """A UDP question over IPv4, 60 bytes long without padding."""
    return (eth or to_us()) / ip_question(dst=dst, **ip) / udp_question()


def udp4_answer(src=OWN4, **ip):
    """The answer to it."""
    return from_us() / ip_answer(src=src, **ip) / udp_answer()


def echo4(dst=OWN4, eth=None, **ip):
    """An echo request over IPv4, 60 bytes long without padding."""
    return (eth or to_us()) / ip_question(dst=dst, **ip) / echo_request()


def echo4_answer(src=OWN4, **ip):
    """The answer to it."""
    return from_us() / ip_answer(src=src, **ip) / echo_reply()


def udp6(dst=OWN6, eth=None, **ip):
    """A UDP question over IPv6."""
    return (eth or to_us()) / ip6_question(dst=dst, **ip) / udp_question()


def udp6_answer(src=OWN6, **ip):
    """The answer to it."""
    return from_us() / ip6_answer(src=src, **ip) / udp_answer()


def echo6(dst=OWN6, eth=None, **ip):
    """An echo request over IPv6."""
    return (eth or to_us()) / ip6_question(dst=dst, **ip) / echo6_request()


def echo6_answer(src=OWN6, **ip):
    """The answer to it."""
    return from_us() / ip6_answer(src=src, **ip) / echo6_reply()


def unreachable4(question, src=OWN4, dst=ASKER4, eth=None, **ip):
    """Port Unreachable with as much of the question as a 576 byte datagram holds (RFC 1122 3.2.2, RFC 1812 4.3.2.3)."""
    quote = raw(question[IP])[: 576 - 20 - 8]
    return (
        (eth or from_us()) / ip_answer(src=src, dst=dst, **ip) / ICMP(type=3, code=3, unused=0) / Raw(quote)
    )


def unreachable6(question, src=OWN6, dst=ASKER6, eth=None, **ip):
    """Port Unreachable with as much of the question as a 1280 byte packet holds (RFC 4443 2.4 c)."""
    quote = raw(question[IPv6])[: 1280 - 40 - 8]
    return (eth or from_us()) / ip6_answer(src=src, dst=dst, **ip) / ICMPv6DestUnreach(code=4) / Raw(quote)


def arp(**fields):
    """An ARP request for our address, broadcast."""
    eth = fields.pop("eth", None) or to_us(dst="ff:ff:ff:ff:ff:ff")
    known = {"op": 1, "hwsrc": ASKER_MAC, "psrc": ASKER4, "hwdst": "00:00:00:00:00:00", "pdst": OWN4}
    return eth / ARP(hwtype=1, ptype=0x0800, hwlen=6, plen=4, **{**known, **fields})


def arp_answer(**fields):
    """The reply to it."""
    eth = fields.pop("eth", None) or from_us()
    known = {"op": 2, "hwsrc": OWN_MAC, "psrc": OWN4, "hwdst": ASKER_MAC, "pdst": ASKER4}
    return eth / ARP(hwtype=1, ptype=0x0800, hwlen=6, plen=4, **{**known, **fields})
