#!/usr/bin/env python3
"""Writes the vector files with scapy, a stack that shares nothing with ours.

    python3 vectors/generate.py           write vectors/*.toml
    python3 vectors/generate.py --check   write nothing; exit 1 and say which files would change

Needs scapy 2.8.0 (`pip install scapy==2.8.0`). The files are committed: tests read them and need neither Python
nor scapy. The same sources give the same bytes, always.
"""

import logging
import pathlib
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)

WANTED = "2.8.0"

try:
    import scapy
except ImportError:
    sys.exit(f"scapy is missing: pip install scapy=={WANTED}")

from sources import arp, ethernet, icmpv4, icmpv6, ipv4, ipv6, ndp, sockperf, stamp, udpv4, udpv6

TOPICS = [ethernet, arp, ipv4, icmpv4, udpv4, ipv6, icmpv6, ndp, udpv6, stamp, sockperf]


def main(arguments):
    if scapy.VERSION != WANTED:
        sys.exit(f"scapy {scapy.VERSION} found, {WANTED} wanted: pip install scapy=={WANTED}")
    folder, changed, seen = pathlib.Path(__file__).resolve().parent, [], set()
    for module in TOPICS:
        topic = module.topic()
        assert not seen & topic.ids, f"ids stand twice: {seen & topic.ids}"
        seen |= topic.ids
        path, rendered = folder / f"{topic.name}.toml", topic.render(f"scapy {WANTED}")
        if not path.exists() or path.read_text() != rendered:
            changed.append(path.name)
        if "--check" not in arguments:
            path.write_text(rendered)
    print(f"{len(seen)} vectors in {len(TOPICS)} files, changed: {', '.join(changed) or 'none'}")
    return 1 if changed and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
