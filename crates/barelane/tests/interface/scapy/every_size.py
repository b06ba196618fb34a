"""ICMP, ICMPv6 and UDP echo of every payload length that fits an MTU of 1500, odd ones included."""

import sys

from scapy.all import ICMP, IP, UDP, IPv6
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest

from wire import ASKER4, ASKER6, ECHO_PORT, SERVER4, SERVER6, Wire, checksums_are_right, payload

MTU, IPV4, IPV6, UDP_OR_ICMP = 1500, 20, 40, 8


def icmp4(wire, size):
    return wire.ethernet() / IP(src=ASKER4, dst=SERVER4) / ICMP(id=0x4242, seq=size) / payload(size)


def icmp6(wire, size):
    return wire.ethernet() / IPv6(src=ASKER6, dst=SERVER6) / ICMPv6EchoRequest(id=0x4242, seq=size, data=payload(size))


def udp4(wire, size):
    return wire.ethernet() / IP(src=ASKER4, dst=SERVER4) / UDP(sport=40000, dport=ECHO_PORT) / payload(size)


def udp6(wire, size):
    return wire.ethernet() / IPv6(src=ASKER6, dst=SERVER6) / UDP(sport=40000, dport=ECHO_PORT) / payload(size)


# What is asked; where the payload begins in the frame; the longest payload; what the answer is.
KINDS = {
    "ICMP echo": (icmp4, 14 + IPV4 + UDP_OR_ICMP, MTU - IPV4 - UDP_OR_ICMP, lambda frame: frame[23] == 1),
    "ICMPv6 echo": (icmp6, 14 + IPV6 + UDP_OR_ICMP, MTU - IPV6 - UDP_OR_ICMP, lambda frame: frame[20] == 58 and frame[54] == 129),
    "UDP echo over IPv4": (udp4, 14 + IPV4 + UDP_OR_ICMP, MTU - IPV4 - UDP_OR_ICMP, lambda frame: frame[23] == 17),
    "UDP echo over IPv6": (udp6, 14 + IPV6 + UDP_OR_ICMP, MTU - IPV6 - UDP_OR_ICMP, lambda frame: frame[20] == 17),
}


def check(wire, name, size):
    make, begin, _, is_answer = KINDS[name]
    answer = wire.ask(make(wire, size), lambda frame: frame[12:14] in (b"\x08\x00", b"\x86\xdd") and is_answer(frame))
    if answer is None:
        return wire.expect(f"{name}, {size} bytes: no answer", False)
    wire.expect(f"{name}, {size} bytes: payload differs", answer[begin : begin + size] == payload(size))
    wire.expect(f"{name}, {size} bytes: frame of {len(answer)}", len(answer) in (begin + size, max(60, begin + size)))
    wire.expect(f"{name}, {size} bytes: padding is not zero", not any(answer[begin + size :]))
    wire.expect(f"{name}, {size} bytes: checksum", checksums_are_right(answer[: begin + size]))


def main(interface, server_mac):
    wire = Wire(interface, server_mac)
    for name, (_, _, size_max, _) in KINDS.items():
        for size in range(size_max + 1):
            check(wire, name, size)
    wire.close()


main(*sys.argv[1:])
