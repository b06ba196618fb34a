"""Keeps a core from everybody else for so many milliseconds, and says from when it did and for how many nanoseconds."""

import os
import sys
import time

NOT_ALLOWED = 77


def main(core, wanted_ms):
    try:
        # On another core first: it comes to this one as somebody who needs not wait for it.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        raise SystemExit(NOT_ALLOWED)
    os.sched_setaffinity(0, {core})
    began_unix_ns, began_ns = time.time_ns(), time.monotonic_ns()
    ends_ns = began_ns + wanted_ms * 1_000_000
    while time.monotonic_ns() < ends_ns:
        pass
    lasted_ns = time.monotonic_ns() - began_ns
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    print(began_unix_ns, lasted_ns)


main(int(sys.argv[1]), int(sys.argv[2]))
