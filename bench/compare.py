#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs sysbench.c natively and under sandboxes, in turns, in one session, and prints a table of medians with ratios.

usage: compare.py [-n ROUNDS] [--only TEST,...] [--pin CPU] [--json FILE] NAME=COMMAND...
  Measure both free and pinned: a wake-up across processors costs tens of us on virtual machines, so unpinned ping-pongs are bimodal.
  COMMAND gets the benchmark's path and tests appended, e.g.  vmrun='build/vmrun --new'  gvisor='runsc --network=none --ignore-cgroups --platform=systrap do'
Ratios are of cost against native (for GB/s and MB/s inverted): 1 = native speed, larger = slower. A test that a sandbox fails is shown as '-'."""
import argparse, json, math, os, shlex, statistics, subprocess, sys, tempfile
here = os.path.dirname(os.path.abspath(__file__))
ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("-n", type=int, default=3); ap.add_argument("--only", default=""); ap.add_argument("--json"); ap.add_argument("--pin", metavar="CPU", help="everything on one processor: cost of an operation without help from another core"); ap.add_argument("peers", nargs="*")
a = ap.parse_args()
exe = os.path.join(tempfile.mkdtemp(dir="/var/tmp"), "sysbench")
subprocess.run(["gcc", "-O2", "-static", "-w", "-o", exe, os.path.join(here, "sysbench.c"), "-lpthread"], check=True)
tests = a.only.split(",") if a.only else ["cpu", "getppid", "gettime", "read1", "write1", "getrandom", "write_file", "read_file", "pread", "open", "stat", "readdir", "mmap", "pipe", "unix", "tcp", "futex", "thread", "epoll", "signal", "segv", "fork", "exec"]
peers = {"native": []} | {p.split("=", 1)[0]: shlex.split(p.split("=", 1)[1]) for p in a.peers}
got = {p: {} for p in peers}; unit = {}
for _ in range(a.n):
    for t in tests:
        for p, cmd in peers.items():
            try: out = subprocess.run((['taskset', '-c', a.pin] if a.pin else []) + cmd + [exe, t], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60, text=True, cwd="/var/tmp").stdout
            except subprocess.TimeoutExpired: continue
            for l in out.splitlines():
                w = l.split()
                try: value = float(w[1]); got[p].setdefault(w[0], []).append(value); unit[w[0]] = " ".join(w[2:])
                except (ValueError, IndexError): pass
med = {p: {k: statistics.median(v) for k, v in r.items()} for p, r in got.items()}
ratio = {p: {k: (med["native"][k] / v if "/s" in unit[k] else v / med["native"][k]) for k, v in r.items() if k in med["native"] and v} for p, r in med.items()}
print("%-20s" % "test" + "".join("%12s" % p for p in peers) + "".join("%12s" % (p + "/nat") for p in peers if p != "native") + "  unit")
for k in unit:
    print("%-20s" % k + "".join("%12s" % ("%.2f" % med[p][k] if k in med[p] else "-") for p in peers) + "".join("%12s" % ("%.2f" % ratio[p][k] if k in ratio[p] else "-") for p in peers if p != "native") + "  " + unit[k])
for p in peers:
    if p != "native" and ratio[p]: print("%-20s %s: geometric mean of %d ratios to native %.2f" % ("", p, len(ratio[p]), math.exp(statistics.fmean(map(math.log, ratio[p].values())))))
if a.json: json.dump({"median": med, "ratio": ratio, "unit": unit}, open(a.json, "w"), indent=1)
