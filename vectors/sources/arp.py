"""ARP: RFC 826, RFC 5227."""

from . import frames as f
from .endpoint import BROADCAST_MAC, KERNEL4, OTHER4, OTHER_MAC, OWN4, OWN_MAC, SECOND4
from .topic import Topic, bytes_at, truncate, values

ABOUT = """ARP as RFC 826 says under "Packet Reception", and address conflicts as RFC 5227 2.4 says.
Byte 14 is the hardware type, 16 the protocol type, 18 and 19 the lengths, 20 the operation, 22 the sender, 32 the target."""


def topic():
    t = Topic("arp", ABOUT)
    _answered(t)
    _silent(t)
    _conflicts(t)
    return t


def _answered(t):
    t.replies(
        "A1-request",
        "826 Packet Reception",
        "A broadcast request for our address is answered to the asker, sender and target swapped.",
        f.arp(),
        f.arp_answer(),
    )
    t.replies(
        "A1-request-unicast",
        "1122 2.3.2.1",
        "A unicast request, as a host polls what it has cached, is answered too.",
        f.arp(eth=f.to_us(), hwdst=OWN_MAC),
        f.arp_answer(),
    )
    t.replies(
        "A1-request-second-address",
        "826 Packet Reception",
        "The answer names the address that was asked for.",
        f.arp(pdst=SECOND4),
        f.arp_answer(psrc=SECOND4),
    )
    t.replies(
        "A1-request-unpadded",
        "826 Packet Reception",
        "A request of 42 bytes, as on a virtual link, gets an answer of 60.",
        f.arp(),
        f.arp_answer(),
        room=0,
    )
    t.replies(
        "A1-request-padding",
        "826 Packet Reception",
        "What pads the request does not come back.",
        f.arp(),
        f.arp_answer(),
        filler=0x5A,
    )
    t.replies(
        "A1-target-hardware-ignored",
        "826 Packet Reception",
        "Whatever stands in the request's target hardware address is of no matter.",
        f.arp(),
        f.arp_answer(),
        each=[bytes_at(32, [b"\x00" * 6, b"\xff" * 6, bytes.fromhex("020000000077")])],
    )
    t.replies(
        "A4-probe",
        "5227 2.1.1",
        "A probe, whose sender address is 0.0.0.0, learns that the address is taken.",
        f.arp(psrc="0.0.0.0"),
        f.arp_answer(pdst="0.0.0.0"),
    )
    t.replies(
        "A1-reply-to-sender-hardware",
        "826 Packet Reception",
        "The answer goes to the sender hardware address, not to the Ethernet source.",
        f.arp(hwsrc=OTHER_MAC),
        f.arp_answer(eth=f.from_us(dst=OTHER_MAC), hwdst=OTHER_MAC),
    )
    t.replies(
        "A1-asker-off-subnet",
        "826 Packet Reception",
        "The sender's address need not be on our subnet.",
        f.arp(psrc="192.0.2.1"),
        f.arp_answer(pdst="192.0.2.1"),
    )


def _silent(t):
    t.drops(
        "A1-hardware-type",
        "826 Packet Reception",
        "Only hardware type 1 is Ethernet.",
        f.arp(),
        "arp_malformed",
        each=[values(14, 2, 0, 0xFFFF, skip=[1])],
    )
    t.drops(
        "A1-protocol-type",
        "826 Packet Reception",
        "Only protocol type 0x0800 is IPv4.",
        f.arp(),
        "arp_malformed",
        each=[values(16, 2, 0, 0xFFFF, skip=[0x0800])],
    )
    t.drops(
        "A1-hardware-length",
        "826 Packet Reception",
        "An Ethernet address has 6 bytes.",
        f.arp(),
        "arp_malformed",
        each=[values(18, 1, 0, 255, skip=[6])],
    )
    t.drops(
        "A1-protocol-length",
        "826 Packet Reception",
        "An IPv4 address has 4 bytes.",
        f.arp(),
        "arp_malformed",
        each=[values(19, 1, 0, 255, skip=[4])],
    )
    t.drops(
        "A1-operation",
        "826 Packet Reception",
        "Only operation 1 is a request; replies and RARP are not answered.",
        f.arp(),
        "arp_not_request",
        each=[values(20, 2, 0, 0xFFFF, skip=[1])],
    )
    t.passes(
        "A1-other-target",
        "826 Packet Reception",
        "A request for another's address is not ours to answer.",
        f.arp(pdst=OTHER4),
        "unclaimed",
        each=[
            bytes_at(
                38,
                [
                    b"\x0a\x00\x00\x4d",
                    b"\x0a\x00\x00\x00",
                    b"\x0a\x00\x00\xff",
                    b"\xff\xff\xff\xff",
                    b"\x00\x00\x00\x00",
                    b"\x0b\x00\x00\x01",
                    b"\x0a\x00\x01\x01",
                ],
            )
        ],
    )
    t.passes(
        "A1-kernel-target",
        "826 Packet Reception",
        "ARP for an address that the kernel has is the kernel's.",
        f.arp(pdst=KERNEL4),
        "unclaimed",
    )
    t.passes(
        "A1-kernel-reply",
        "826 Packet Reception",
        "A reply to the kernel's own question reaches the kernel.",
        f.arp(eth=f.to_us(), op=2, pdst=KERNEL4, hwdst=OWN_MAC),
        "unclaimed",
    )
    t.passes(
        "A1-announcement-of-another",
        "5227 2.3",
        "Another host's announcement of its own address is the kernel's to note.",
        f.arp(psrc=OTHER4, pdst=OTHER4),
        "unclaimed",
    )
    t.drops(
        "A1-other-mac",
        "826",
        "A request in a frame to another card is not for us.",
        f.arp(eth=f.to_us(dst=OTHER_MAC)),
        "ethernet_not_ours",
        each=[
            bytes_at(
                0,
                [bytes.fromhex("020000000077"), bytes.fromhex("01005e000001"), bytes.fromhex("333300000001")],
            )
        ],
    )
    t.drops(
        "A1-group-source",
        "826",
        "A request from a group address has no asker to answer.",
        f.arp(),
        "ethernet_source",
        each=[bytes_at(6, [b"\xff" * 6, bytes.fromhex("01005e000001"), bytes.fromhex("020000000001")])],
    )
    t.drops(
        "A1-group-sender",
        "1812 3.3.2",
        "A sender hardware address that is a group is no station's and would send our answer to many: malformed.",
        f.arp(),
        "arp_malformed",
        each=[bytes_at(22, [b"\xff" * 6, bytes.fromhex("01005e000001"), bytes.fromhex("333300000001")])],
    )
    t.drops(
        "A1-own-sender",
        "826",
        "A sender hardware address that is our own would send our answer to ourselves: malformed.",
        f.arp(),
        "arp_malformed",
        each=[bytes_at(22, [bytes.fromhex("020000000001")])],
    )
    t.drops(
        "A1-cut",
        "826",
        "A frame that ends inside the ARP packet is dropped.",
        f.arp(),
        "frame_truncated",
        each=[truncate(14, 41)],
    )


def _conflicts(t):
    announcement = f.arp(eth=f.from_us(dst=BROADCAST_MAC), hwsrc=OWN_MAC, psrc=OWN4, pdst=OWN4)
    kinds = {
        "gratuitous-request": f.arp(psrc=OWN4, pdst=OWN4),
        "gratuitous-reply": f.arp(op=2, psrc=OWN4, pdst=OWN4, hwdst=BROADCAST_MAC),
        "request-to-us": f.arp(psrc=OWN4, pdst=SECOND4),
        "request-to-another": f.arp(psrc=OWN4, pdst=OTHER4),
        "reply-to-us": f.arp(eth=f.to_us(), op=2, psrc=OWN4, pdst=SECOND4, hwdst=OWN_MAC),
    }
    for name, question in kinds.items():
        t.replies(
            f"A4-conflict-{name}",
            "5227 2.4 (c)",
            "Another host that uses our address is met with one announcement.",
            question,
            announcement,
        )
    conflict = kinds["gratuitous-request"]
    t.conversation(
        "A4-defended-once-in-10-s",
        "5227 2.4 (c)",
        "A second conflict within 10 s is not answered, so that two hosts do not fight for ever.",
        (0, conflict, "reply", None, announcement),
        (1, conflict, "drop", "arp_conflict_withheld", None),
        (9_998, conflict, "drop", "arp_conflict_withheld", None),
        (1, conflict, "reply", None, announcement),
        (9_000, conflict, "drop", "arp_conflict_withheld", None),
    )
    t.conversation(
        "A4-requests-still-answered",
        "5227 2.4",
        "While a defence is withheld, requests are answered as ever.",
        (0, conflict, "reply", None, announcement),
        (1, f.arp(), "reply", None, f.arp_answer()),
    )
    t.passes(
        "A4-kernel-conflict",
        "5227 2.4",
        "A conflict over an address that the kernel has is the kernel's to defend.",
        f.arp(psrc=KERNEL4, pdst=KERNEL4),
        "unclaimed",
    )
