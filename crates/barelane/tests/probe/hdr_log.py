"""Reads the HdrHistogram log of a report with Python's own implementation of HdrHistogram.

Called with a file of `barelane probe --json` and a place for the log. Prints, for each quantity, what all its runs hold
together: the tag, the number of samples, and the values at 50, 90, 99 and 99.9 percent.
"""

import json
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

HIGHEST = 1 << 62
report, place = sys.argv[1:]
with open(report, encoding="utf-8") as file, open(place, "w", encoding="ascii") as log:
    log.write(json.load(file)["hdr_log"])

sums = {}
reader = HistogramLogReader(place, HdrHistogram(1, HIGHEST, 3))
while (interval := reader.get_next_interval_histogram()) is not None:
    sums.setdefault(interval.get_tag(), HdrHistogram(1, HIGHEST, 3)).add(interval)
for tag, histogram in sums.items():
    percentiles = [histogram.get_value_at_percentile(percent) for percent in (50, 90, 99, 99.9)]
    print(tag, histogram.get_total_count(), *percentiles)
