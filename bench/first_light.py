#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What one process pays under vmrun, beside native, in turns in one run.

usage: bench/first_light.py [-n ROUNDS] [VMRUN]
Ratios are of cost (for GB/s inverted): 1 = native speed, larger = slower. The start-up row is a static program
that returns at once; RSS is the peak of a process that only waits, the guest's pages included."""
import argparse, os, statistics, subprocess, sys, tempfile, time

here = os.path.dirname(os.path.abspath(__file__))
ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("-n", type=int, default=5)
ap.add_argument("vmrun", nargs="?", default=os.path.join(here, "../build/vmrun"))
a = ap.parse_args()
vmrun = [os.path.abspath(a.vmrun), "--new"]
TARGET = {"clock_gettime": 1.5, "touch_2MiB": 2, "touch_64MiB": 2, "cpu": 1.03, "read_1MiB": 3, "map_read_touched": 1.5}

with tempfile.TemporaryDirectory() as d:
    exe, true = os.path.join(d, "first_light"), os.path.join(d, "true")
    subprocess.run(["gcc", "-O2", "-static", "-o", exe, os.path.join(here, "first_light.c"), "-D_GNU_SOURCE"], check=True)
    subprocess.run(["gcc", "-O2", "-static", "-xc", "-o", true, "-"], input=b"int main(void){return 0;}", check=True)
    pause = os.path.join(d, "pause")
    subprocess.run(["gcc", "-O2", "-static", "-xc", "-o", pause, "-"], input=b"#include <unistd.h>\nint main(void){return pause();}", check=True)
    data = os.path.join(d, "data")
    with open(data, "wb") as f:
        for _ in range(256):
            f.write(os.urandom(1 << 16) * 16)
    got, unit = {"native": {}, "vmrun": {}}, {}
    for _ in range(a.n):
        for side, cmd in (("native", []), ("vmrun", vmrun)):
            t = time.monotonic()
            subprocess.run(cmd + [true], cwd=d)
            got[side].setdefault("start", []).append((time.monotonic() - t) * 1e3)
            unit["start"], unit["rss"] = "ms", "MiB"
            p = subprocess.Popen(cmd + [pause], cwd=d)
            time.sleep(0.3)
            with open(f"/proc/{p.pid}/status") as f:
                got[side].setdefault("rss", []).append(int(next(l for l in f if l.startswith("VmHWM")).split()[1]) / 1024)
            p.kill()
            p.wait()
            out = subprocess.run(cmd + [exe, data], cwd=d, stdout=subprocess.PIPE, text=True, timeout=300).stdout
            for line in out.splitlines():
                name, value, u = line.split()
                got[side].setdefault(name, []).append(float(value))
                unit[name] = u
print(f"{'test':18}{'native':>12}{'vmrun':>12}{'ratio':>9}{'target':>9}  unit")
for k, u in unit.items():
    n, v = (statistics.median(got[s].get(k, [float("nan")])) for s in ("native", "vmrun"))
    ratio = n / v if "/s" in u else v / n
    print(f"{k:18}{n:12.3f}{v:12.3f}{ratio:9.2f}{TARGET.get(k, ''):>9}  {u}")
