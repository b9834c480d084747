# SPDX-License-Identifier: MIT
"""Plots of costs against native, by matplotlib (Debian's python3-matplotlib)."""
import sys

try:
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.ticker
    from matplotlib import pyplot
except ImportError:
    pyplot = None

BASE = "native"
COLOURS = {"vmrun": "#c8102e", "gvisor": "#1f77b4", "uml": "#7fb27f", "proot": "#b0a0c8", "qemu-user": "#c9b68c"}
OTHERS = ("#555555", "#e69f00", "#56b4e9", "#009e73")
BAR = 0.2       # inches
GAP = 1.0       # bars between two tests


def colours(peers):
    spare = iter(OTHERS * 4)
    return {p: COLOURS.get(p) or next(spare) for p in peers}


def label(cost):
    return "%.2f" % cost if cost < 10 else "%.0f" % cost


def bars(fig, results, title, path):
    """A row of bars for each result, from 1 (native) to the cost, on a log scale. Returns the path, None without matplotlib."""
    peers = [p for p in fig.peers if p != BASE]
    rows = [r for r in results if any(fig.cost(r, p) for p in peers)]
    if not pyplot:
        print("no plots: bench/peers.sh installs python3-matplotlib", file=sys.stderr)
        return None
    if not rows:
        return None
    matplotlib.rcParams.update({"svg.hashsalt": "vmrun", "svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif"})
    step = len(peers) + GAP
    figure, axes = pyplot.subplots(figsize=(9, 1.3 + BAR * step * len(rows)))
    costs = [c for r in rows for p in peers if (c := fig.cost(r, p))]
    axes.set_xscale("log")
    axes.set_xlim(min(costs + [1]) / 1.6, max(costs + [2]) * 2)
    for i, p in enumerate(peers):
        draw_peer(axes, fig, rows, p, [r * step + i for r in range(len(rows))], colours(peers)[p])
    decorate(axes, [fig.known[r][2] for r in rows], [r * step + (len(peers) - 1) / 2 for r in range(len(rows))], step, title)
    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    return path


def draw_peer(axes, fig, rows, peer, places, colour):
    found = [(y, fig.cost(r, peer)) for r, y in zip(rows, places)]
    axes.barh([y for y, c in found if c], [c - 1 for _, c in found if c], left=1, height=0.85, color=colour, label=peer)
    for y, c in found:
        if c:
            axes.annotate(label(c), (c, y), xytext=(3 if c >= 1 else -3, 0), textcoords="offset points", va="center",
                          ha="left" if c >= 1 else "right", fontsize=7, color=colour if peer == "vmrun" else "#444444")
        else:
            axes.annotate("-", (1, y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7, color="#888888")


def decorate(axes, titles, places, step, title):
    axes.set_yticks(places, titles)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(places[-1] + step / 2, places[0] - step / 2)
    axes.axvline(1, color="black", linewidth=1)
    axes.grid(axis="x", which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda v, _: "%g" % v))
    axes.set_xlabel("cost relative to native (1 = native speed, to the right is slower; log scale)")
    axes.set_title(title, loc="left", fontweight="bold")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0 + 0.25 / axes.figure.get_size_inches()[1]), ncol=6, frameon=False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
