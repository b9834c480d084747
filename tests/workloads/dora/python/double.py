# SPDX-License-Identifier: MIT
import pyarrow.compute as pc
from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        node.send_output("twice", pc.multiply(event["value"], 2))
