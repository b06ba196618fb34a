"""Who asks and who answers: the one endpoint that every vector is put to. The same as endpoint.toml says."""

OWN_MAC = "02:00:00:00:00:01"
ASKER_MAC = "02:00:00:00:00:02"
OTHER_MAC = "02:00:00:00:00:77"
BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"
ZERO_MAC = "00:00:00:00:00:00"

# Addresses that only Barelane has.
OWN4, OWN6 = "10.0.0.1", "fd00::1"  # icmp-echo, udp-echo:7, udp-echo:4000, stamp:862, sockperf:11111
SECOND4, SECOND6 = "10.0.0.5", "fd00::5"  # icmp-echo
# Addresses that the kernel has too; only udp-echo:7 is claimed on them.
KERNEL4, KERNEL6 = "10.0.0.2", "fd00::2"
# Nobody's here.
OTHER4, OTHER6 = "10.0.0.77", "fd00::77"
ASKER4, ASKER6 = "10.0.0.9", "fd00::9"

ASKER_PORT = 40000
CLOSED_PORT = 9999
HOP_LIMIT = 64
STAMP_PORT, SOCKPERF_PORT = 862, 11111

# The clock stands still: T2 of every STAMP answer, and T3 a nanosecond later. How far it may be off, and its key.
T2_NS, ERROR_NS, IS_SYNCHRONISED = 1795424400123456789, 1500, True
T3_NS = T2_NS + 1
STAMP_KEY = b"the key of the vectors, 32 bytes"

# UDP source ports that are never answered: port 0 and the services that answer whatever they get, and our own.
LOOP_PORTS = [0, 7, 13, 17, 19, 37, 53, 123, 862, 4000, 11111]


def solicited_node(last):
    """The solicited-node multicast address and its MAC for an address that ends in 0x`last`."""
    return f"ff02::1:ff00:{last:x}", f"33:33:ff:00:00:{last:02x}"
