"""A STAMP reflector of scapy's own packets: counts its answers itself, and has every question for a millisecond."""

import socket
import sys
import time

from scapy.contrib.stamp import (
    ErrorEstimate,
    STAMPSessionReflectorTestUnauthenticated,
    STAMPSessionSenderTestUnauthenticated,
)

NTP_TO_UNIX = 2_208_988_800


def now():
    return NTP_TO_UNIX + time.time_ns() / 1e9


def reflect(bytes_in, count):
    received = now()
    question = STAMPSessionSenderTestUnauthenticated(bytes_in)
    answer = STAMPSessionReflectorTestUnauthenticated(
        seq=count,
        err_estimate=ErrorEstimate(S=0, Z=0, scale=20, multiplier=1),
        ssid=question.ssid,
        ts_rx=received,
        seq_sender=question.seq,
        err_estimate_sender=question.err_estimate,
        ttl_sender=64,
        tlv_objects=question.tlv_objects,
    )
    # As it came, bit for bit: by its name it would be made a number of seconds first.
    answer.fields["ts_sender"] = question.fields["ts"]
    time.sleep(0.001)
    answer.ts = now()
    return bytes(answer)


def main(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    peer = socket.socket(family, socket.SOCK_DGRAM)
    peer.bind((address, 862))
    count = 1000
    while True:
        question, asker = peer.recvfrom(2048)
        peer.sendto(reflect(question, count), asker)
        count += 1


main(*sys.argv[1:])
