"""Neighbour discovery: RFC 4861, RFC 4862, RFC 6980, RFC 7527."""

from scapy.all import Raw, raw
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6NDOptUnknown,
    IPv6,
    IPv6ExtHdrFragment,
)

from . import frames as f
from .endpoint import ASKER6, ASKER_MAC, KERNEL6, OTHER6, OTHER_MAC, OWN6, OWN_MAC, SECOND6, solicited_node
from .topic import Topic, bytes_at, flip_bits, truncate, values

ABOUT = """Neighbour solicitations and their advertisements: RFC 4861 7.1.1 and 7.2, RFC 4862 5.4, RFC 6980, RFC 7527.
Byte 18 is the payload length (32), 21 the hop limit, 22 the source, 38 the destination, 54 the type, 55 the code,
56 the checksum, 58 the reserved word, 62 the target, 78 the option (type, length in units of 8, address)."""

SUM = [f.ICMPV6_CHECKSUM]
GROUP, GROUP_MAC = solicited_node(1)


def solicitation(
    target=OWN6,
    src=ASKER6,
    dst=GROUP,
    mac=GROUP_MAC,
    option=ICMPv6NDOptSrcLLAddr(lladdr=ASKER_MAC),
    hop_limit=255,
    eth=None,
    **fields,
):
    return f.stack(
        (eth or f.to_us(dst=mac))
        / IPv6(src=src, dst=dst, hlim=hop_limit)
        / ICMPv6ND_NS(tgt=target, **fields),
        option,
    )


def advertisement(target=OWN6, dst=ASKER6, mac=ASKER_MAC, solicited=1):
    return (
        f.from_us(dst=mac)
        / IPv6(src=target, dst=dst, hlim=255)
        / ICMPv6ND_NA(tgt=target, R=0, S=solicited, O=1)
        / ICMPv6NDOptDstLLAddr(lladdr=OWN_MAC)
    )


def probe(option=None, dst=GROUP, mac=GROUP_MAC, **fields):
    return solicitation(src="::", dst=dst, mac=mac, option=option, **fields)


TO_ALL = {"dst": "ff02::1", "mac": "33:33:00:00:00:01", "solicited": 0}


def topic():
    t = Topic("ndp", ABOUT)
    _answered(t)
    _probes(t)
    _validity(t)
    _not_ours(t)
    return t


def _answered(t):
    rule = "4861 7.2.4"
    t.replies(
        "D2-solicitation",
        rule,
        "A multicast solicitation is answered to the asker: solicited, override, our link-layer address, hop limit 255.",
        solicitation(),
        advertisement(),
    )
    second, second_mac = solicited_node(5)
    t.replies(
        "D2-second-address",
        rule,
        "The advertisement names and comes from the address that was asked for.",
        solicitation(target=SECOND6, dst=second, mac=second_mac),
        advertisement(target=SECOND6),
    )
    t.replies(
        "D2-unicast",
        rule,
        "A unicast solicitation, as a host asks whether we are still there, is answered.",
        solicitation(dst=OWN6, mac=OWN_MAC),
        advertisement(),
    )
    t.replies(
        "D2-unicast-no-option",
        "4861 4.3",
        "It need not carry the asker's link-layer address.",
        solicitation(dst=OWN6, mac=OWN_MAC, option=None),
        advertisement(),
    )
    t.replies(
        "D2-multicast-no-option",
        rule,
        "Without the option the frame's source is all there is to answer to.",
        solicitation(option=None),
        advertisement(),
    )
    t.replies(
        "D2-multicast-to-unicast-mac",
        "6085",
        "A solicitation to the group in a frame to us alone is answered.",
        solicitation(mac=OWN_MAC),
        advertisement(),
    )
    t.replies(
        "D2-link-local-asker",
        rule,
        "An asker with a link-local address gets its answer there.",
        solicitation(src="fe80::9"),
        advertisement(dst="fe80::9"),
    )
    t.replies(
        "D2-reserved-ignored",
        "4861 4.3",
        "The reserved word is ignored and not returned.",
        solicitation(res=0xA5A5A5A5),
        advertisement(),
    )
    t.replies(
        "D1-unknown-option",
        "4861 4.6",
        "An unknown option before the known one is skipped.",
        solicitation(
            option=ICMPv6NDOptUnknown(type=253, len=2, data=b"\xa5" * 14)
            / ICMPv6NDOptSrcLLAddr(lladdr=ASKER_MAC)
        ),
        advertisement(),
    )
    t.replies(
        "D1-unknown-option-after",
        "4861 4.6",
        "And one behind it.",
        solicitation(
            option=ICMPv6NDOptSrcLLAddr(lladdr=ASKER_MAC)
            / ICMPv6NDOptUnknown(type=253, len=1, data=b"\xa5" * 6)
        ),
        advertisement(),
    )
    t.replies(
        "D2-traffic-class",
        rule,
        "Traffic class and flow label of the question do not matter.",
        solicitation(),
        advertisement(),
        each=[bytes_at(15, [b"\x00\x00\x01", b"\x0f\xff\xff"])],
    )


def _probes(t):
    rule = "4862 5.4.3"
    t.replies(
        "D3-probe",
        rule,
        "Duplicate address detection learns that the address is taken: unsolicited, to all nodes.",
        probe(),
        advertisement(**TO_ALL),
    )
    nonce = ICMPv6NDOptUnknown(type=14, len=1, data=b"\x01\x02\x03\x04\x05\x06")
    t.replies(
        "D3-probe-with-nonce",
        "7527 4.2",
        "A probe with a nonce, as Linux sends it, is answered alike.",
        probe(option=nonce),
        advertisement(**TO_ALL),
    )
    second, second_mac = solicited_node(5)
    t.replies(
        "D3-probe-second-address",
        rule,
        "And for every address of ours.",
        probe(target=SECOND6, dst=second, mac=second_mac),
        advertisement(target=SECOND6, **TO_ALL),
    )
    t.drops(
        "D1-probe-with-source-option",
        "4861 7.1.1",
        "A probe must not name a link-layer address.",
        probe(option=ICMPv6NDOptSrcLLAddr(lladdr=ASKER_MAC)),
        "ndp_malformed",
    )
    t.drops(
        "D1-probe-unicast",
        "4861 7.1.1",
        "A probe must go to the solicited-node group: not to us.",
        probe(dst=OWN6, mac=OWN_MAC),
        "ndp_malformed",
    )
    t.drops(
        "D1-probe-all-nodes",
        "4861 7.1.1",
        "Nor to all nodes.",
        probe(dst="ff02::1", mac="33:33:00:00:00:01"),
        "ndp_malformed",
    )
    t.drops(
        "D1-probe-prefix",
        "4861 7.1.1",
        "The group is ff02::1:ff00:0/104, all 104 bits of it.",
        probe(),
        "ndp_malformed",
        each=[
            bytes_at(
                38,
                [
                    bytes.fromhex(ip)
                    for ip in (
                        "ff020000000000000000000100000001",
                        "ff0500000000000000000001ff000001",
                        "ff0200000000000100000001ff000001",
                        "ff020000000000000000000200000001",
                    )
                ],
                SUM,
            )
        ],
    )


def _validity(t):
    rule = "4861 7.1.1"
    question = solicitation()
    t.drops(
        "D1-hop-limit",
        rule,
        "Only a hop limit of 255 proves that no router was crossed.",
        question,
        "ndp_hop_limit",
        each=[values(21, 1, 0, 254)],
    )
    t.drops(
        "D1-hop-limit-probe",
        rule,
        "The same for probes.",
        probe(),
        "ndp_hop_limit",
        each=[values(21, 1, 0, 254)],
    )
    t.drops(
        "D1-code",
        rule,
        "The code must be 0.",
        question,
        "ndp_malformed",
        each=[values(55, 1, 1, 255, checksums=SUM)],
    )
    t.drops(
        "D1-flip",
        rule,
        "A solicitation with one wrong bit in checksum, reserved word or option is dropped.",
        question,
        "icmp_checksum",
        each=[flip_bits(56, 61)],
    )
    t.drops(
        "D1-flip-option",
        rule,
        "One wrong bit in the option's address.",
        question,
        "icmp_checksum",
        each=[flip_bits(80, 85)],
    )
    t.drops(
        "D1-flip-source",
        rule,
        "The pseudo header is part of the sum.",
        question,
        "icmp_checksum",
        each=[flip_bits(30, 36)],
    )
    t.drops(
        "D1-option-length-zero",
        rule,
        "Options have a length above 0.",
        question,
        "ndp_malformed",
        each=[bytes_at(79, [b"\x00"], SUM)],
    )
    t.drops(
        "D1-option-length-beyond",
        "4861 4.6",
        "And end within the message.",
        question,
        "ndp_malformed",
        each=[values(79, 1, 2, 255, checksums=SUM)],
    )
    unknown_zero = solicitation(option=ICMPv6NDOptSrcLLAddr(lladdr=ASKER_MAC) / Raw(b"\xfd\x00" + bytes(6)))
    t.drops(
        "D1-second-option-length-zero",
        rule,
        "Every option, not only the first.",
        unknown_zero,
        "ndp_malformed",
    )
    t.drops(
        "D1-option-cut",
        "4861 4.6",
        "Options are whole: a byte that begins one and ends with the message is none.",
        solicitation(option=ICMPv6NDOptSrcLLAddr(lladdr=ASKER_MAC) / Raw(b"\xfd")),
        "ndp_malformed",
    )
    for size in (8, 12, 16, 20, 23):
        short = (
            f.to_us(dst=GROUP_MAC)
            / IPv6(src=ASKER6, dst=GROUP, hlim=255, nh=58)
            / Raw(_checksummed(raw(ICMPv6ND_NS(tgt=OWN6, cksum=0))[:size]))
        )
        t.drops(f"D1-length-{size}", rule, "A solicitation has 24 bytes or more.", short, "ndp_malformed")
    t.silences(
        "D1-cut",
        "8200 3",
        "A frame that ends before its solicitation is not answered.",
        question,
        each=[truncate(14, 85)],
    )
    sources = (bytes.fromhex("333300000001"), bytes.fromhex("020000000001"))
    wrong_frames = [bytes_at(0, [b"\xff" * 6 + source for source in sources])]
    for name, lengths, reason in [
        ("beyond", (33, 53, 0xFFFF), "ipv6_length"),
        ("below-8", (0, 7), "icmp_length"),
        ("below-24", (8, 23), "ndp_malformed"),
    ]:
        t.drops(
            f"D1-length-{name}-wrong-frame",
            "8200 3, 4861 7.1.1",
            "A wrong length is found before a frame that is not to us, or from a group or from ourselves.",
            question,
            reason,
            each=wrong_frames + [bytes_at(18, [size.to_bytes(2) for size in lengths])],
        )
    for name, src in [("multicast", "ff02::9"), ("loopback", "::1"), ("ours", OWN6)]:
        t.drops(
            f"D1-source-{name}",
            "4291 2.7",
            "A source that no single other host can have is not answered.",
            solicitation(src=src),
            "source_invalid",
        )
    t.drops(
        "D1-group-source-mac",
        "802.3 3.2.3",
        "Nor a frame whose sender is a group or we ourselves.",
        question,
        "ethernet_source",
        each=[bytes_at(6, [bytes.fromhex("333300000001"), b"\xff" * 6, bytes.fromhex("020000000001")])],
    )
    t.drops(
        "D1-broadcast-mac",
        "2464 7",
        "IPv6 knows no broadcast: a solicitation comes in a frame to an IPv6 group, or to us.",
        solicitation(mac="ff:ff:ff:ff:ff:ff"),
        "ethernet_not_ours",
    )
    t.drops(
        "D1-other-mac",
        "4861 7.2.1",
        "A frame to another card is not for us.",
        solicitation(mac=OTHER_MAC),
        "ethernet_not_ours",
    )
    t.replies(
        "D1-option-names-another",
        "4861 7.2.4",
        "The answer goes to the station that asked; an option that names another, or a group, sends it nowhere else.",
        solicitation(),
        advertisement(),
        each=[bytes_at(80, [b"\xff" * 6, bytes.fromhex("333300000001"), bytes.fromhex("020000000077")], SUM)],
    )


def _checksummed(message):
    from scapy.layers.inet6 import in6_chksum

    total = in6_chksum(58, IPv6(src=ASKER6, dst=GROUP), message)
    return message[:2] + total.to_bytes(2, "big") + message[4:]


def _not_ours(t):
    for name, target in [("other", OTHER6), ("multicast", "ff02::1"), ("unspecified", "::")]:
        t.passes(
            f"D1-target-{name}",
            "4861 7.2.3",
            "A solicitation for an address that is not ours is not ours to answer.",
            solicitation(target=target),
            "unclaimed",
        )
    kernel, kernel_mac = solicited_node(2)
    t.passes(
        "D1-kernel-target",
        "4861 7.2.3",
        "Neighbour discovery for an address that the kernel has is the kernel's.",
        solicitation(target=KERNEL6, dst=kernel, mac=kernel_mac),
        "unclaimed",
    )
    t.passes(
        "D1-kernel-target-probe",
        "4862 5.4.3",
        "Probes for it too.",
        probe(target=KERNEL6, dst=kernel, mac=kernel_mac),
        "unclaimed",
    )
    t.passes(
        "D4-fragmented",
        "6980 5",
        "A solicitation with a fragment header is not answered by us.",
        f.to_us(dst=GROUP_MAC)
        / IPv6(src=ASKER6, dst=GROUP, hlim=255)
        / IPv6ExtHdrFragment(nh=58, id=1)
        / Raw(raw(solicitation())[54:]),
        "ipv6_extension",
    )
    for name, message, dst, mac in [
        ("advertisement", ICMPv6ND_NA(tgt=OTHER6) / ICMPv6NDOptDstLLAddr(lladdr=OTHER_MAC), OWN6, OWN_MAC),
        ("router-solicitation", ICMPv6ND_RS(), "ff02::2", "33:33:00:00:00:02"),
        ("router-advertisement", ICMPv6ND_RA(), "ff02::1", "33:33:00:00:00:01"),
    ]:
        t.passes(
            f"D5-{name}",
            "4861 4",
            "The rest of neighbour discovery is the kernel's.",
            f.to_us(dst=mac) / IPv6(src="fe80::9", dst=dst, hlim=255) / message,
            "unclaimed",
        )
    t.passes(
        "D5-advertisement-of-our-address",
        "4862 5.4.4",
        "An advertisement of our address by another is not answered: RFC 4862 defends by answering, not by shouting.",
        f.to_us(dst="33:33:00:00:00:01")
        / IPv6(src=OTHER6, dst="ff02::1", hlim=255)
        / ICMPv6ND_NA(tgt=OWN6, O=1)
        / ICMPv6NDOptDstLLAddr(lladdr=OTHER_MAC),
        "unclaimed",
    )
