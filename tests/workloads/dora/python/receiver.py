# SPDX-License-Identifier: MIT
# Microseconds from before the call that sends to the arrival, the median of each size; and that the bytes are right.
import statistics
import time
from dora import Node

seen = {}
for event in Node():
    if event["type"] == "INPUT":
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        if not event["metadata"]["sent"]:
            continue
        data = event["value"].to_numpy()
        assert (data == len(data) % 251).all(), f"wrong bytes in a message of {len(data)}"
        seen.setdefault(len(data), []).append((now - event["metadata"]["sent"]) / 1000)
with open("latency.out", "w") as out:
    for size, times in seen.items():
        out.write(f"{size} {len(times)} {statistics.median(times):.0f}\n")
