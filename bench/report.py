# SPDX-License-Identifier: MIT
"""From raw figures to docs/performance.md: medians, ratios, geometric means, tables."""
import math
import os
import statistics

import plots
import workloads

BASE, US, RIVAL = "native", "vmrun", "gvisor"
ORDER = ("native", "vmrun", "gvisor", "uml", "proot", "qemu-user")
MODE_TITLES = {"free": "All processors", "pinned": "Everything on one processor"}
KIND_TITLES = {"work": "tests that do not sleep", "wake": "tests bound by wake-ups", "app": "applications"}


class Figures:
    """Medians of one mode."""

    def __init__(self, book, mode):
        raw = book.data["modes"].get(mode, {})
        self.units = book.data["units"]
        self.known = workloads.results()
        self.median = {r: {p: statistics.median(v) for p, v in raw[r].items() if v} for r in self.known if r in raw}
        names = {p for row in self.median.values() for p in row}
        self.peers = [p for p in ORDER if p in names] + sorted(names - set(ORDER))

    def cost(self, result, peer, base=BASE):
        """How many times as dear as under `base`; None if not both were measured."""
        row = self.median[result]
        if not row.get(peer) or not row.get(base):
            return None
        return row[base] / row[peer] if "/s" in self.units[result] else row[peer] / row[base]

    def of_kind(self, *kinds):
        return [r for r in self.median if self.known[r][1] in kinds and self.median[r]]

    def mean(self, kind, peer, base=BASE):
        """(geometric mean of costs, of how many tests)."""
        costs = [c for r in self.of_kind(kind) if (c := self.cost(r, peer, base))]
        return (math.exp(statistics.fmean(map(math.log, costs))), len(costs)) if costs else (None, 0)


def number(v):
    """Three digits that count."""
    if v is None:
        return "-"
    if v >= 100:
        return "%.0f" % v
    return "%.1f" % v if v >= 10 else "%.2f" % v


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows])


def result_table(fig, results):
    """Medians of all peers, then what vmrun costs against native and gVisor."""
    ratios = [(US, BASE), (US, RIVAL)] if US in fig.peers else []
    ratios = [(a, b) for a, b in ratios if b in fig.peers]
    head = ["", "unit"] + fig.peers + ["%s/%s" % r for r in ratios]
    return table(head, [[fig.known[r][2], fig.units[r]] + [number(fig.median[r].get(p)) for p in fig.peers] +
                        [number(fig.cost(r, a, b)) for a, b in ratios] for r in results])


def mean_table(figs):
    """Geometric means of cost, in each mode, of each kind."""
    rows = []
    peers = [p for p in figs[0][1].peers if p != BASE]
    for mode, fig in figs:
        for kind in KIND_TITLES:
            means = {p: fig.mean(kind, p) for p in peers}
            if any(n for _, n in means.values()):
                rows.append(["%s, %s" % (MODE_TITLES[mode].lower(), KIND_TITLES[kind])] +
                            ["%s (%d)" % (number(m), n) if n else "-" for m, n in means.values()] +
                            [number(fig.mean(kind, US, RIVAL)[0])])
    return table(["geometric mean of cost"] + ["%s/native" % p for p in peers] + ["%s/%s" % (US, RIVAL)], rows)


def all_figures(book):
    return [(m, f) for m in MODE_TITLES if (f := Figures(book, m)).median]


def text_tables(book):
    """For the terminal: the same tables."""
    parts = []
    for mode, fig in all_figures(book):
        parts += [MODE_TITLES[mode], aligned(result_table(fig, [r for r in fig.median if fig.median[r]]))]
    if goals(book):
        parts.append(aligned(goals(book).split("\n\n", 1)[1].strip()))
    if parts:
        parts += [aligned(mean_table(all_figures(book))), noise(book)]
    return "\n\n".join(parts) or "nothing measured"


def aligned(markdown):
    """A markdown table with columns padded."""
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in markdown.splitlines() if not line.startswith("|---")]
    width = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(r, width))) for r in rows)


METHOD = """## How it is measured

`bench/run` ([bench/README.md](../bench/README.md)). The same static binary (`bench/sysbench/`) runs natively and under every peer. In
each round the peers take turns test by test; a figure is the median over {rounds} rounds. A result is measured for half a second
inside the sandbox, by its own clock, so its start does not count; starts have their own rows. A cost is time against time, or
throughput against throughput the other way round: 1 is native speed, larger is slower. A test that a sandbox fails, or that takes
longer than a minute, is shown as `-` and is left out of that sandbox's means, whose number of tests is in brackets; vmrun/gvisor
is over the tests that both passed. "One processor" puts the sandbox with all its helpers on one processor (`taskset`): what an
operation costs without help from another core. Before a cell, the benchmark waits up to two seconds for the machine to be idle, counts
the cells for which it was not, and touches 256 MiB, so that no cell pays for memory that the hypervisor below has to give back first. Memory is the sum of the shares (Pss) of all processes of the sandbox.

Not measured: disks (files are in the page cache or in memory, as each sandbox keeps them), networks beyond a tap, more than
one instance at a time, machines with virtualisation hardware or more processors. PRoot and QEMU's user mode do not isolate: their calls go
to the host's kernel. Where QEMU executes a program, that one runs natively: those cells are left out. User-mode Linux boots once a
round for all tests of a group, has one processor, and reads its files through hostfs.
"""


def noise(book):
    """How quiet the machine was."""
    busy, cells = (sum(c[i] for c in book.data["busy"].values()) for i in (0, 1))
    return "%d of %d cells began while other programs kept the processors busy%s." % \
        (busy, cells, ": read the figures with care" if busy * 10 > cells else "")


def machine_table(book):
    m, peers = book.data["machine"], book.data["peers"]
    lines = ["%s, %s processors, %s of memory, Linux %s, KVM: %s; measured %s." %
             (m.get("processor"), m.get("processors"), m.get("memory"), m.get("kernel"), m.get("kvm"), m.get("date")), ""]
    rows = [[p, peers[p]["version"], peers[p]["about"]] for p in sorted(peers, key=lambda p: ORDER.index(p) if p in ORDER else 99)]
    lines.append("| | version | |\n|---|---|---|\n" + "\n".join("| " + " | ".join(r) + " |" for r in rows))
    lines += ["", noise(book)]
    if book.data["absent"]:
        lines += [""] + ["Not here: %s." % a for a in book.data["absent"]]
    return "\n".join(lines)


def image(path, title, docs):
    return "![%s](%s)\n" % (title, os.path.relpath(path, docs)) if path else ""


def goal_row(fig, result, rival, cost, least):
    """What is to be reached, what was, and whether it is."""
    title, unit, row = fig.known[result][2], fig.units[result], fig.median[result]
    got = row.get(US)
    if got is None or (rival and not row.get(rival)):
        return None
    if least is not None:
        return [title, "at least %s %s" % (number(least), unit), "%s %s" % (number(got), unit), "yes" if got >= least else "no"]
    now = fig.cost(result, US, rival)
    rate = "/s" in unit
    want = "at least %s times %s's rate" % (number(1 / cost), rival) if rate else "at most %s times %s's time" % (number(cost), rival)
    return [title, want, "%s times (%s to %s %s)" % (number(1 / now if rate else now), number(got), number(row[rival]), unit),
            "yes" if now <= cost else "no"]


def goals(book):
    """The table of what network performance is to reach."""
    fig = Figures(book, "free")
    rows = [r for g in workloads.GOALS if g[0] in fig.median and (r := goal_row(fig, *g))]
    return "## What is to be reached\n\n" + table(["", "goal", "measured", "reached"], rows) + "\n" if rows else ""


def sections(book, docs, folder):
    """Markdown of each table with its plot."""
    for mode, fig in all_figures(book):
        yield "## System services: %s\n" % MODE_TITLES[mode].lower()
        for kind in ("work", "wake"):
            if results := fig.of_kind(kind):
                title = "%s, %s" % (KIND_TITLES[kind].capitalize(), MODE_TITLES[mode].lower())
                yield "### %s\n" % KIND_TITLES[kind].capitalize()
                yield image(plots.bars(fig, results, title, os.path.join(folder, "%s-%s.svg" % (mode, kind))), title, docs)
                yield result_table(fig, results + (fig.of_kind("cpu") if kind == "work" else [])) + "\n"
        for kind, name, title in (("net", "network", "Networks"), ("app", "applications", "Applications"), ("start", "starts", "Start of a whole process")):
            if results := fig.of_kind(kind):
                where = "" if mode == "free" else ", on one processor"
                yield "## %s%s\n" % (title, where)
                path = os.path.join(folder, "%s%s.svg" % (name, "" if mode == "free" else "-pinned"))
                yield image(plots.bars(fig, results, title + where, path), title, docs)
                yield result_table(fig, results + (fig.of_kind("memory") if kind == "start" else [])) + "\n"


def rounds_of(book):
    counts = [len(v) for rows in book.data["modes"].values() for row in rows.values() for v in row.values()]
    return statistics.mode(counts) if counts else 0


def write(book, docs):
    """docs/performance.md and docs/performance/*.svg."""
    figs = all_figures(book)
    if not figs:
        return
    folder = os.path.join(docs, "performance")
    os.makedirs(folder, exist_ok=True)
    text = ["# What system services and programs cost under vmrun, beside native and other sandboxes\n",
            "<!-- written by bench/run: change that, not this -->\n", "## In short\n", mean_table(figs) + "\n",
            "## The machine, and who was measured\n", machine_table(book) + "\n"]
    text += [s for s in [goals(book)] + list(sections(book, docs, folder)) if s]
    text.append(METHOD.format(rounds=rounds_of(book)))
    with open(os.path.join(docs, "performance.md"), "w") as f:
        f.write("\n".join(text))
