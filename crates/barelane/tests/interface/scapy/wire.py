"""A raw socket on one interface: questions go out as bytes, answers come back as bytes.

The scripts beside this file are third-party clients: their packets are made and read by scapy, which shares nothing
with Barelane. Each takes the interface and the server's MAC address, prints every answer that is wrong, and exits 1
where there was one. They ask in the name of addresses that the client's kernel does not have, so that it keeps quiet.
"""

import logging
import socket
import struct
import sys
import time

logging.getLogger("scapy").setLevel(logging.ERROR)

from scapy.all import ICMP, IP, UDP, Ether, raw  # noqa: E402

SERVER4, SERVER6 = "10.9.0.1", "fd09::1"
ASKER4, ASKER6 = "10.9.0.99", "fd09::99"
ECHO_PORT = 7
# How long an answer may take. A lane needs microseconds; a busy machine with two cores may need milliseconds.
ANSWER_MAX = 2.0
# After so many wrong answers the rest says nothing new, and unanswered questions take their time.
FAULTS_MAX = 30

_ETH_P_ALL = 3
_OUTGOING = 4
_SOL_PACKET, _PACKET_AUXDATA = 263, 8
# struct tpacket_auxdata: status, len, snaplen, mac, net, vlan_tci, vlan_tpid (linux/if_packet.h).
_AUXDATA = struct.Struct("@IIIHHHH")
_VLAN_VALID = 1 << 4


class Wire:
    def __init__(self, interface, server_mac):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self.socket.bind((interface, 0))
        self.socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        self.mac = ":".join(f"{byte:02x}" for byte in self.socket.getsockname()[4])
        self.server_mac = server_mac
        self.faults = 0
        self.asked = 0

    def ethernet(self, **fields):
        return Ether(**{"src": self.mac, "dst": self.server_mac, **fields})

    def ask(self, question, is_answer, seconds=ANSWER_MAX):
        """Sends a question; gives the first frame of the server's that is an answer to it, or None."""
        self.asked += 1
        self.socket.send(raw(question))
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame = self._frame()
            except TimeoutError:
                return None
            if frame and frame[6:12] == bytes.fromhex(self.server_mac.replace(":", "")) and is_answer(frame):
                return frame
        return None

    def _frame(self):
        """The next frame that came in; its VLAN tag, which the kernel takes off, put back."""
        frame, ancillary, _, address = self.socket.recvmsg(65536, 256)
        if address[2] == _OUTGOING:
            return None
        for level, kind, data in ancillary:
            if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
                status, _, _, _, _, tci, tpid = _AUXDATA.unpack_from(data)
                if status & _VLAN_VALID:
                    frame = frame[:12] + struct.pack("!HH", tpid or 0x8100, tci) + frame[12:]
        return frame

    def silence(self, question):
        """Sends a question, then a ping; gives the first thing that comes back before the ping's answer, or None.

        A lane takes frames in their order, so that nothing has to be waited for. What the server's kernel says to
        groups by itself (MLD reports, router solicitations) is no answer.
        """
        strays, mark = [], struct.pack("!HHI", 0x5151, 0, self.asked)

        def is_pong(frame):
            if not frame[0] & 1 and frame[38:46] != mark:
                strays.append(frame)
            return frame[38:46] == mark

        self.socket.send(raw(question))
        ping = self.ethernet() / IP(src=ASKER4, dst=SERVER4) / ICMP(id=0x5151) / mark[4:]
        self.expect("the ping behind a question: no answer", self.ask(ping, is_pong) is not None)
        return strays[0] if strays else None

    def expect(self, what, is_right):
        """Notes a wrong answer."""
        if not is_right:
            self.faults += 1
            print(f"WRONG: {what}")
        if self.faults == FAULTS_MAX:
            self.close()

    def close(self):
        print(f"{self.asked} questions, {self.faults} wrong answers")
        sys.exit(1 if self.faults or not self.asked else 0)


def layer(frame, kind):
    """One layer of a frame as scapy reads it, or None."""
    return Ether(frame).getlayer(kind)


def checksums_are_right(frame):
    """Whether every checksum is the one that scapy computes for the same packet."""
    packet, fresh = Ether(frame), Ether(frame)
    for part in (part for part in map(fresh.getlayer, range(8)) if part is not None):
        is_absent = isinstance(part, UDP) and part.chksum == 0 and IP in fresh
        for field in ("chksum", "cksum"):
            if field in part.fields and not is_absent:
                part.delfieldval(field)
    return raw(packet) == raw(fresh)


def payload(size):
    """Bytes that no two positions near each other share, ending in zeros, as a careless echo would trim them."""
    body = bytes((index * 7 + index // 256 + 1) & 0xFF for index in range(size))
    return body[: size - size // 3] + bytes(size // 3)
