"""Frames that are unusual but right, and frames that are wrong: tags, padding, truncation, checksums, shapes."""

import sys

from scapy.all import ARP, ICMP, IP, UDP, Dot1AD, Dot1Q, IPv6, raw
from scapy.layers.inet import IPOption_Router_Alert
from scapy.layers.inet6 import IPv6ExtHdrFragment, IPv6ExtHdrHopByHop

from wire import (
    ASKER4,
    ASKER6,
    ECHO_PORT,
    SERVER4,
    SERVER6,
    Wire,
    checksums_are_right,
    layer,
    payload,
)


def udp4(size=33, **fields):
    return IP(src=ASKER4, dst=SERVER4) / UDP(sport=40000, dport=ECHO_PORT, **fields) / payload(size)


def udp6(size=33, **fields):
    return IPv6(src=ASKER6, dst=SERVER6) / UDP(sport=40000, dport=ECHO_PORT, **fields) / payload(size)


def echoes(frame):
    datagram = layer(frame, UDP)
    return datagram is not None and datagram.sport == ECHO_PORT and datagram.dport == 40000


def answered(wire, what, question, body=None):
    """The question is answered with its own payload; gives the answer."""
    answer = wire.ask(question, echoes)
    wire.expect(f"{what}: no answer", answer is not None)
    if answer is not None:
        wire.expect(f"{what}: payload differs", raw(layer(answer, UDP).payload)[:33] == (body or payload(33)))
        wire.expect(f"{what}: checksum", checksums_are_right(answer))
    return answer or bytes(60)


def silent(wire, what, question):
    """Nothing comes back at all."""
    answer = wire.silence(question)
    wire.expect(f"{what}: answered with {answer and answer.hex()}", answer is None)


def tags_are_kept(wire):
    for network in (udp4(), udp6()):
        answer = answered(wire, "one tag", wire.ethernet() / Dot1Q(vlan=42, prio=5) / network)
        wire.expect(f"one tag: {answer[12:16].hex()}", answer[12:16].hex() == "8100a02a")
        answer = answered(wire, "two tags", wire.ethernet() / Dot1AD(vlan=7) / Dot1Q(vlan=42, prio=5) / network)
        wire.expect(f"two tags: {answer[12:20].hex()}", answer[12:20].hex() == "88a800078100a02a")
        answer = answered(wire, "priority tag", wire.ethernet() / Dot1Q(vlan=0, prio=5) / network)
        wire.expect(f"priority tag: {answer[12:16].hex()}", answer[12:16].hex() == "8100a000")
    deep = wire.ethernet() / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / udp4()
    silent(wire, "three tags", deep)


def other_vlans_are_not_answered(wire):
    """VLAN 200 is another network, whose host may have the very same address."""
    for network in (udp4(), udp6()):
        silent(wire, "VLAN 200", wire.ethernet() / Dot1Q(vlan=200) / network)
        silent(wire, "VLAN 200 within 7", wire.ethernet() / Dot1AD(vlan=7) / Dot1Q(vlan=200) / network)
        silent(wire, "VLAN 42 within 200", wire.ethernet() / Dot1AD(vlan=200) / Dot1Q(vlan=42) / network)
    broadcast = wire.ethernet(dst="ff:ff:ff:ff:ff:ff") / Dot1Q(vlan=200)
    silent(wire, "ARP on VLAN 200", broadcast / ARP(psrc=ASKER4, pdst=SERVER4))
    silent(wire, "another has our address on VLAN 200", broadcast / ARP(psrc=SERVER4, pdst=ASKER4))


def padding_is_not_echoed(wire):
    short = IP(src=ASKER4, dst=SERVER4) / UDP(sport=40000, dport=ECHO_PORT) / b"x"
    question = raw(wire.ethernet() / short) + b"\xa5" * 40
    answer = wire.ask(question, echoes)
    wire.expect("trailer: no answer", answer is not None)
    wire.expect("trailer: it came back", answer is None or b"\xa5" not in answer)
    wire.expect("trailer: the frame is not 60 bytes", answer is None or len(answer) in (43, 60))


def checksums(wire):
    answered(wire, "UDP checksum 0 over IPv4", wire.ethernet() / udp4(chksum=0))
    silent(wire, "UDP checksum 0 over IPv6", wire.ethernet() / udp6(chksum=0))
    silent(wire, "wrong UDP checksum over IPv4", wire.ethernet() / udp4(chksum=0x1234))
    silent(wire, "wrong UDP checksum over IPv6", wire.ethernet() / udp6(chksum=0x1234))
    silent(wire, "wrong IPv4 header checksum", wire.ethernet() / IP(src=ASKER4, dst=SERVER4, chksum=1) / UDP(sport=40000, dport=ECHO_PORT))
    silent(wire, "wrong ICMP checksum", wire.ethernet() / IP(src=ASKER4, dst=SERVER4) / ICMP(chksum=1) / b"x")


def truncation(wire):
    for network in (udp4(), udp6()):
        whole = raw(wire.ethernet() / network)
        # The socket wants at least a whole Ethernet header.
        for length in range(14, len(whole)):
            silent(wire, f"cut to {length} bytes", whole[:length])


def shapes(wire):
    """Only Barelane has the address, so what it does not answer nobody answers."""
    options = IP(src=ASKER4, dst=SERVER4, options=[IPOption_Router_Alert()]) / UDP(sport=40000, dport=ECHO_PORT) / payload(33)
    silent(wire, "IPv4 options", wire.ethernet() / options)
    first = IP(src=ASKER4, dst=SERVER4, flags="MF") / UDP(sport=40000, dport=ECHO_PORT) / payload(32)
    silent(wire, "first fragment", wire.ethernet() / first)
    later = IP(src=ASKER4, dst=SERVER4, frag=100, proto=17) / payload(33)
    silent(wire, "later fragment", wire.ethernet() / later)
    datagram = UDP(sport=40000, dport=ECHO_PORT) / payload(33)
    silent(wire, "hop-by-hop options", wire.ethernet() / IPv6(src=ASKER6, dst=SERVER6) / IPv6ExtHdrHopByHop() / datagram)
    silent(wire, "IPv6 fragment", wire.ethernet() / IPv6(src=ASKER6, dst=SERVER6) / IPv6ExtHdrFragment(m=1) / datagram)


def loops_are_refused(wire):
    """RFC 862's echo service answers no other such service: two of them would never stop."""
    for port in (7, 13, 17, 19, 37, 53, 123):
        question = IP(src=ASKER4, dst=SERVER4) / UDP(sport=port, dport=ECHO_PORT) / b"x"
        silent(wire, f"from port {port}", wire.ethernet() / question)


def groups_are_not_answered(wire):
    for target in ("10.9.0.255", "255.255.255.255", "224.0.0.1"):
        question = IP(src=ASKER4, dst=target) / ICMP() / b"x"
        silent(wire, f"echo to {target}", wire.ethernet(dst="ff:ff:ff:ff:ff:ff") / question)
    silent(wire, "ARP for another", wire.ethernet(dst="ff:ff:ff:ff:ff:ff") / ARP(psrc=ASKER4, pdst="10.9.0.200"))


def main(interface, server_mac):
    wire = Wire(interface, server_mac)
    for check in (
        tags_are_kept,
        other_vlans_are_not_answered,
        padding_is_not_echoed,
        checksums,
        truncation,
        shapes,
        loops_are_refused,
        groups_are_not_answered,
    ):
        check(wire)
    wire.close()


main(*sys.argv[1:])
