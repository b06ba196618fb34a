"""A STAMP sender made with scapy: every shape of a packet, and what its answer must say (RFC 8762, RFC 8972).

Takes the interface, the server's MAC address, the mode (`open`, or `signed` and the key), and a file for the answers.
Ends with a line that says how many answers there were and what their T3 - T2 add up to, in nanoseconds, so that it can be
compared with what the server counted.
"""

import ctypes
import hashlib
import hmac
import struct
import sys
import time

from scapy.all import IP, UDP, IPv6, raw, wrpcap
from scapy.contrib.stamp import (
    ErrorEstimate,
    STAMPSessionReflectorTestUnauthenticated,
    STAMPSessionSenderTestUnauthenticated,
    STAMPTestTLV,
)

from wire import ASKER4, ASKER6, SERVER4, SERVER6, Wire, checksums_are_right

PORT, OWN_PORT = 862, 40862
NTP_EPOCH = 2208988800
UNRECOGNISED, EXTRA_PADDING, HMAC = 0x80, 1, 8
# Both ends read the same kernel's clock. What the server adds to that is a line of its own, off by microseconds.
SLACK_NS = 1_000_000
# While nothing corrects the clock, the kernel's word of its error grows by 500 us a second; the server asks once a second.
ERROR_SLACK_NS = 20_000_000
STA_UNSYNC = 0x40


class Sender:
    def __init__(self, wire, key):
        self.wire, self.key, self.clock = wire, key, kernels_clock()
        self.answers, self.residence = [], 0

    def base(self, seq, ssid, stamp):
        """The packet before its TLVs. Scapy knows no authenticated ones: RFC 8762 figure 4, RFC 8972 figure 2."""
        error = ErrorEstimate(S=0, Z=0, scale=22, multiplier=5)
        if self.key is None:
            packet = bytearray(raw(STAMPSessionSenderTestUnauthenticated(seq=seq, err_estimate=error, ssid=ssid)))
            packet[4:12] = stamp.to_bytes(8, "big")
            return bytes(packet)
        packet = struct.pack("!I12xQ2sH68x", seq, stamp, raw(error), ssid)
        return packet + self.sign(packet)

    def sign(self, text):
        return hmac.new(self.key, text, hashlib.sha256).digest()[:16]

    def ask(self, payload, family, ttl):
        ip = IP(src=ASKER4, dst=SERVER4, ttl=ttl) if family == 4 else IPv6(src=ASKER6, dst=SERVER6, hlim=ttl)
        question = self.wire.ethernet() / ip / UDP(sport=OWN_PORT, dport=PORT) / payload
        at = 14 + (20 if family == 4 else 40)
        ports = struct.pack("!HH", PORT, OWN_PORT)
        return self.wire.ask(question, lambda frame: frame[at : at + 4] == ports), at + 8

    def check(self, seq, family, ttl, ssid, tlvs, expected):
        """One exchange. `expected` is what must come back behind the base packet."""
        name = f"IPv{family}, sequence {seq}, {len(tlvs)} bytes of TLVs"
        sent_ns = time.time_ns()
        stamp = ntp(sent_ns)
        base = self.base(seq, ssid, stamp)
        answer, at = self.ask(base + tlvs, family, ttl)
        received_ns = time.time_ns()
        if answer is None:
            return self.wire.expect(f"{name}: no answer", False)
        payload, right = answer[at : at + len(base) + len(tlvs)], self.wire.expect
        right(f"{name}: length", len(payload) == len(base) + len(tlvs) and len(answer) == at + len(payload))
        right(f"{name}: checksum", checksums_are_right(answer))
        right(f"{name}: TLVs {payload[len(base):].hex()}", payload[len(base) :] == expected)
        fields = self.read(payload[: len(base)])
        right(f"{name}: what is copied", fields[:5] == (seq, seq, stamp, ssid, ttl))
        t2, t3, error = fields[5:]
        right(f"{name}: error estimate {error:#x} for {self.clock}", self.is_true(error))
        residence = nanoseconds(t3 - t2)
        right(f"{name}: T3 - T2 is {residence}", residence > 0)
        early, late = unix_ns(t2) - sent_ns, received_ns - unix_ns(t3)
        right(f"{name}: T2 is {early} ns after T1, T4 {late} ns after T3", min(early, late) > -SLACK_NS)
        self.residence += residence
        self.answers.append(answer)

    def is_true(self, error):
        """Whether an Error Estimate says of the clock what the kernel says, and of the rest no more than milliseconds."""
        is_synchronised, kernels_ns = self.clock
        told_ns = ((error & 0xFF) << (error >> 8 & 0x3F)) * 10**9 >> 32
        least, most = kernels_ns - ERROR_SLACK_NS, kernels_ns + kernels_ns // 100 + ERROR_SLACK_NS
        return error >> 14 == 2 * is_synchronised and 0 < told_ns and least <= told_ns <= most

    def read(self, base):
        """Both sequence numbers, T1, session, TTL, T2, T3 and the error estimate, as they stand in an answer."""
        if self.key is None:
            fields = STAMPSessionReflectorTestUnauthenticated(base)
            self.wire.expect("zeros", (fields.mbz1, fields.mbz2, fields.err_estimate.Z) == (0, 0, 0))
            stamps = [int.from_bytes(base[at : at + 8], "big") for at in (28, 16, 4)]
            rest = (fields.ssid, fields.ttl_sender)
            return (fields.seq, fields.seq_sender, stamps[0], *rest, *stamps[1:], int.from_bytes(base[12:14], "big"))
        self.wire.expect("the answer's HMAC", base[96:] == self.sign(base[:96]))
        fields = struct.unpack("!I12xQHH4xQ8xI12xQH6xB15x", base[:96])
        seq, t3, error, ssid, t2, seq_sender, t1, _, ttl = fields
        return (seq, seq_sender, t1, ssid, ttl, t2, t3, error)


def kernels_clock():
    """Whether the kernel's clock follows an outside source, and its largest error in nanoseconds (adjtimex(2))."""
    timex = ctypes.create_string_buffer(256)
    ctypes.CDLL(None).adjtimex(timex)
    (maxerror_us,), (status,) = struct.unpack_from("=q", timex, 24), struct.unpack_from("=i", timex, 40)
    return status & STA_UNSYNC == 0, maxerror_us * 1000


def ntp(ns):
    return (ns // 10**9 + NTP_EPOCH) % 2**32 << 32 | (ns % 10**9 << 32) // 10**9


def nanoseconds(units):
    """What a number of 2^-32 seconds is, to the nearest nanosecond."""
    return (units * 10**9 + 2**31) >> 32


def unix_ns(stamp):
    return nanoseconds(stamp) - NTP_EPOCH * 10**9


def tlv(kind, value, flags=UNRECOGNISED):
    return raw(STAMPTestTLV(flags=flags, type=kind, len=len(value), value=value))


def main(interface, server_mac, mode, key, path):
    wire = Wire(interface, server_mac)
    sender = Sender(wire, key.encode() if mode == "signed" else None)
    value = bytes(range(1, 30))
    shapes = [(b"", b""), (tlv(EXTRA_PADDING, value), tlv(EXTRA_PADDING, value, 0))]
    if mode == "open":
        shapes += [(tlv(200, value), tlv(200, value)), (bytes(33), bytes(33))]
    for number in range(200):
        for family in (4, 6):
            for asked, expected in shapes:
                sender.check(number, family, 1 + number, number * 7, asked, expected)
    if mode == "signed":
        for seq, before in ((1, tlv(201, value)), (2, tlv(EXTRA_PADDING, value) + tlv(202, b""))):
            after = before if before[1] == 201 else tlv(EXTRA_PADDING, value, 0) + tlv(202, b"")
            signed = [part + tlv(HMAC, sender.sign(seq.to_bytes(4, "big") + part), flags) for part, flags in
                      ((before, UNRECOGNISED), (after, 0))]
            sender.check(seq, 4, 64, 3, *signed)
        wrong = bytearray(sender.base(3, 0, 0))
        wrong[20] ^= 1
        answer, _ = sender.ask(bytes(wrong), 4, 64)
        wire.expect("an answer to a packet whose HMAC is wrong", answer is None)
    wrpcap(path, sender.answers)
    print(f"residence {len(sender.answers)} {sender.residence}")
    wire.close()


main(*sys.argv[1:])
