# SPDX-License-Identifier: MIT
"""Measures: rounds in which the peers take turns, so that what else the machine does falls on all of them."""
import mmap
import os
import platform
import re
import shutil
import subprocess
import sys
import time

import peers as peer
import workloads

CELL_SECONDS = 60
APP_SECONDS = 180
QUIET_PATIENCE = 2.0    # how long a cell waits for others to leave the processors
WARM = 256 << 20        # bytes of memory that a cell finds ready
SETTLE = 0.7    # until a program that waits has everything it needs


class Book:
    """Raw figures: mode -> result -> peer -> values, and units. What the JSON file holds."""

    def __init__(self, data=None):
        self.data = {"machine": {}, "peers": {}, "absent": [], "units": {}, "modes": {}, "busy": {}} | (data or {})

    def begin(self, mode, test, results):
        """A test that is measured again loses its old values."""
        self.data["busy"].pop("%s %s" % (mode, test), None)
        for name in results:
            self.data["modes"].setdefault(mode, {})[name] = {}

    def note_busy(self, mode, test, busy):
        """Counts the cells of a test, and those that began while the machine was busy."""
        counts = self.data["busy"].setdefault("%s %s" % (mode, test), [0, 0])
        counts[0] += busy
        counts[1] += 1

    def add(self, mode, peer_name, result, value, unit):
        self.data["units"][result] = unit
        self.data["modes"].setdefault(mode, {}).setdefault(result, {}).setdefault(peer_name, []).append(value)

    def add_output(self, mode, peer_name, text, known):
        """Lines "name value unit"; others are messages of programs."""
        for line in text.splitlines():
            m = re.match(r"^(\S+)\s+([0-9.]+)\s+(\S.*)$", line.strip())
            if m and m[1] in known:
                self.add(mode, peer_name, m[1], float(m[2]), m[3])


def say(text):
    print(text, file=sys.stderr, flush=True)


class Run:
    """One call of bench/run."""

    def __init__(self, book, present, work, rounds, seconds, append=False):
        self.book, self.peers, self.work = book, present, work
        self.rounds, self.seconds, self.append = rounds, seconds, append
        self.known = workloads.results()

    def group(self, mode, pin, group, only):
        """All rounds of one group of tests in one mode."""
        steps = [s for s in self.steps(group) if not only or s[1] in only or only & set(self.results_of(s))]
        for how, name, what in [] if self.append else steps:
            self.book.begin(mode, name, what if how == self.system else what[0] if how == self.network else [name])
        for r in range(self.rounds):
            begin = time.monotonic()
            for how, name, what in steps:
                self.step(mode, pin, how, name, what)
            self.batch(mode, pin, steps)
            say("%s, %s, round %d of %d: %.0f s" % (mode, group, r + 1, self.rounds, time.monotonic() - begin))

    def results_of(self, step):
        how, _, what = step
        return what if how == self.system else what[0] if how == self.network else ()

    def steps(self, group):
        """(how it is measured, its name, results or argv) of the tests of a group."""
        if group == "starts":
            return [(self.start, n, a) for n, a in workloads.starts(self.work)] + [(self.memory, workloads.MEMORY, None)]
        if group == "network":
            return [(self.network, n, a) for n, *a in workloads.networks(self.work)]
        if group == "applications":
            return [(self.timed, n, a) for n, a in workloads.applications(self.work)]
        return [(self.system, t, r) for g, t, _, r in workloads.SYSTEM if g == group]

    def step(self, mode, pin, how, name, what):
        for p in self.peers:
            if name not in p.skip and not (p.batch and how != self.start and how != self.memory):
                self.book.note_busy(mode, name, not wait_for_quiet())
                warm_memory()
                how(mode, pin, p, name, what)

    def batch(self, mode, pin, steps):
        """Peers that start slowly take all tests of the round together."""
        for p in self.peers:
            mine = [s for s in steps if s[1] not in p.skip and s[0] in (self.system, self.timed)]
            if p.batch and mine:
                for text in p.run([self.line(p, *s) for s in mine], pin, APP_SECONDS):
                    self.book.add_output(mode, p.name, text, self.known)

    def line(self, p, how, name, what):
        """The command line of a step, inside the sandbox."""
        if how == self.timed:
            return p.timed_command(name, what)
        argv = [os.path.join(self.work, "sysbench"), "-t", str(self.seconds), name]
        return argv if p.batch else p.command(argv)

    def system(self, mode, pin, p, name, results):
        text = p.output(self.line(p, self.system, name, results), pin, CELL_SECONDS)[0]
        self.book.add_output(mode, p.name, text, self.known)
        self.failed(p, name, text)

    def timed(self, mode, pin, p, name, argv):
        text = p.output(self.line(p, self.timed, name, argv), pin, APP_SECONDS)[0]
        self.book.add_output(mode, p.name, text, self.known)
        self.failed(p, name, text)
        clean_outputs()

    def network(self, mode, pin, p, name, what):
        """Inside the sandbox; or from outside through its network, if it has one."""
        _, inside, outside = what
        if outside and p.network is None:
            return
        cmd = p.command(inside) if inside else outside + p.network
        text = p.output(cmd, pin, CELL_SECONDS)[0]
        self.book.add_output(mode, p.name, text, self.known)
        self.failed(p, name, text)

    def start(self, mode, pin, p, name, argv):
        """Wall time from outside: the start of the sandbox is what is measured."""
        cmd, begin = p.command(argv), time.monotonic()
        child, mark = p.start(cmd, pin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            child.wait(CELL_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            wall = time.monotonic() - begin
            p.finish(child, mark)
        if child.returncode == 0:
            self.book.add(mode, p.name, name, wall * 1e3, "ms")
        else:
            self.failed(p, name, "")

    def memory(self, mode, pin, p, name, _):
        """Memory of all processes that a waiting program takes, shared pages by their share (Pss)."""
        cmd = p.command([os.path.join(self.work, "pause")])
        child, mark = p.start(cmd, pin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(SETTLE + (3 if p.batch else 0))
            kib = sum(pss(pid) for pid in peer.our_processes(mark)) if child.poll() is None else 0
        finally:
            p.finish(child, mark)
        if kib:
            self.book.add(mode, p.name, name, kib / 1024, "MiB")
        else:
            self.failed(p, name, "")

    def failed(self, p, name, text):
        if not text.strip():
            say("%s: %s failed or took too long" % (p.name, name))


def processor_times():
    """(all, idle) so far, in ticks of all processors; what the host took away counts as busy."""
    with open("/proc/stat") as f:
        ticks = [int(w) for w in f.readline().split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]


def wait_for_quiet():
    """Waits until others leave the processors idle; False if they do not."""
    deadline = time.monotonic() + QUIET_PATIENCE
    while time.monotonic() < deadline:
        before = processor_times()
        time.sleep(0.1)
        after = processor_times()
        if after[1] - before[1] >= 0.8 * (after[0] - before[0]):
            return True
    return False


def warm_memory():
    """What nobody used for some seconds may be the hypervisor's again, by blocks of 2 MiB (free page reporting): having it back costs
    whoever comes first 8 to 25 us a page, more than any of those who are compared. After this there is some for everybody."""
    with mmap.mmap(-1, WARM) as m:
        try:
            m.madvise(mmap.MADV_HUGEPAGE)
        except OSError:
            pass
        m[::mmap.PAGESIZE] = b"\1" * (WARM // mmap.PAGESIZE)


def pss(pid):
    try:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            return sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    except OSError:
        return 0


def clean_outputs():
    """What applications wrote where there is no sandbox in between."""
    for name in ("db", "db-wal", "db-shm", "mp4", "tar", "o"):
        try:
            os.unlink("/tmp/vmrun-bench." + name)
        except OSError:
            pass


def machine():
    """What a reader must know to read the figures."""
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "unknown")
    with open("/proc/meminfo") as f:
        memory = int(next(f).split()[1]) / (1 << 20)
    return {"processor": model, "processors": len(os.sched_getaffinity(0)), "memory": "%.0f GiB" % memory,
            "kernel": platform.release(), "kvm": kvm_kind(), "date": time.strftime("%Y-%m-%d")}


def kvm_kind():
    loaded = [k for k in ("kvm_intel", "kvm_amd", "kvm_pvm") if os.path.isdir("/sys/module/" + k)]
    if "kvm_pvm" in loaded:
        return "kvm_pvm: shadow paging without virtualisation hardware"
    return loaded[0] if loaded else "none"


def forget(work):
    shutil.rmtree(work, ignore_errors=True)
