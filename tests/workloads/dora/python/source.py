# SPDX-License-Identifier: MIT
import time
import pyarrow as pa
from dora import Node

node = Node()
for i in range(20):
    node.send_output("number", pa.array(list(range(100000)) if i % 2 else [i]))  # odd ones are large: shared memory
    time.sleep(0.02)
