# SPDX-License-Identifier: MIT
import time
import numpy
import pyarrow as pa
from dora import Node

node = Node()
for _ in range(20):  # until everybody knows everybody; not counted
    node.send_output("data", pa.array([0], pa.uint8()), {"sent": 0})
    time.sleep(0.1)
for size, count in [(8, 30), (4096, 30), (65536, 30), (1 << 20, 30), (4 << 20, 20), (40 << 20, 5)]:
    data = numpy.full(size, size % 251, dtype=numpy.uint8)
    for _ in range(count):
        node.send_output("data", pa.array(data), {"sent": time.clock_gettime_ns(time.CLOCK_MONOTONIC)})
        time.sleep(0.02 if size < 40 << 20 else 0.5)
