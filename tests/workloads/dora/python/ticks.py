# SPDX-License-Identifier: MIT
from dora import Node

n = 0
for event in Node():
    if event["type"] == "INPUT":
        n += 1
        print(f"tick {n}", flush=True)
    elif event["type"] == "STOP":
        print("asked to stop", flush=True)
