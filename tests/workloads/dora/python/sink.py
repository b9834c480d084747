# SPDX-License-Identifier: MIT
from dora import Node

total = n = 0
for event in Node():
    if event["type"] == "INPUT":
        total += sum(event["value"].to_pylist())
        n += 1
        print(f"message {n}", flush=True)
open("sink.out", "w").write(f"{n} {total}\n")
