"""Duplicate address detection as another host does it: an ARP probe and a neighbour solicitation without an address."""

import sys

from scapy.all import ARP, IPv6
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr

from wire import SERVER4, SERVER6, Wire, checksums_are_right, layer

ALL_NODES_MAC = "33:33:00:00:00:01"


def arp_probe(wire):
    """RFC 5227 2.1.1: who has the address, asked by one without any."""
    probe = wire.ethernet(dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=wire.mac, psrc="0.0.0.0", pdst=SERVER4)
    answer = wire.ask(probe, lambda frame: layer(frame, ARP) is not None and layer(frame, ARP).op == 2)
    wire.expect("ARP probe: no answer", answer is not None)
    if answer is not None:
        found = layer(answer, ARP)
        wire.expect("ARP probe: whose", (found.psrc, found.hwsrc) == (SERVER4, wire.server_mac))
        wire.expect("ARP probe: to whom", (found.pdst, found.hwdst) == ("0.0.0.0", wire.mac))


def neighbour_probe(wire):
    """RFC 4862 5.4.2, and the answer as RFC 4861 7.2.4 wants it."""
    group_mac, group = "33:33:ff:00:00:01", "ff02::1:ff00:1"
    probe = wire.ethernet(dst=group_mac) / IPv6(src="::", dst=group, hlim=255) / ICMPv6ND_NS(tgt=SERVER6)
    answer = wire.ask(probe, lambda frame: layer(frame, ICMPv6ND_NA) is not None)
    wire.expect("neighbour probe: no answer", answer is not None)
    if answer is None:
        return
    network, found = layer(answer, IPv6), layer(answer, ICMPv6ND_NA)
    wire.expect("neighbour probe: not to all nodes", network.dst == "ff02::1")
    wire.expect("neighbour probe: hop limit", network.hlim == 255)
    wire.expect("neighbour probe: flags", (found.R, found.S, found.O) == (0, 0, 1))
    wire.expect("neighbour probe: target", found.tgt == SERVER6)
    option = layer(answer, ICMPv6NDOptDstLLAddr)
    wire.expect("neighbour probe: link-layer address", option is not None and option.lladdr == wire.server_mac)
    wire.expect("neighbour probe: checksum", checksums_are_right(answer))
    wire.expect("neighbour probe: not to the all-nodes MAC", answer[:6].hex(":") in (ALL_NODES_MAC, wire.mac))


def main(interface, server_mac):
    wire = Wire(interface, server_mac)
    arp_probe(wire)
    neighbour_probe(wire)
    wire.close()


main(*sys.argv[1:])
