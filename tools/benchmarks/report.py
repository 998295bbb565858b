"""Figures as tables, JSON and a chart."""

import json
import platform
import statistics
import time
from html import escape
from pathlib import Path

OURS = ("larder", "larder-batch")
COLOURS = {"bare": "#9a9a9a", "larder": "#c2410c", "larder-batch": "#f59e0b", "nginx": "#15803d", "varnish": "#1d4ed8",
           "varnish-file": "#60a5fa", "squid": "#7e22ce", "squid-rock": "#c084fc", "ats": "#0f766e", "apache": "#be123c"}


def number(value):
    """A figure as people read it."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(head, rows):
    """Aligned columns, the first to the left."""
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [str(row[0]).ljust(widths[0])] + [str(cell).rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


class Report:
    """What came of a run."""

    def __init__(self, runner, options, begun):
        self.options, self.begun, self.took = options, begun, time.time() - begun
        self.works, self.voids = runner.works, runner.voids
        self.titles = {name: cls.title for name, cls in runner.servers.items()}
        self.versions = {name: cls.version(runner.bench) for name, cls in runner.servers.items()}
        self.servers = list(runner.servers)
        # A void of one turn voids the figure.
        self.figures = {row: {name: turns for name, turns in by.items() if name not in self.voids.get(row, {})}
                        for row, by in runner.figures.items()}
        self.rows = [row for work in self.works for row in work.rows_of()]

    def machine(self):
        """Processor, cores, kernel, memory."""
        model = "unknown processor"
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
        cores = Path("/proc/cpuinfo").read_text().count("processor\t")
        memory = int(Path("/proc/meminfo").read_text().split()[1]) // (1 << 20)
        load = Path("/proc/loadavg").read_text().split()[0]
        return f"{model}, {cores} cores, {memory} GiB, Linux {platform.release()}, load at the end {load}"

    def median(self, row, name, key="value"):
        """The median of all rounds, or None."""
        values = [getattr(figure, key) for figure in self.figures.get(row, {}).get(name, [])]
        values = [value for value in values if value is not None]
        return statistics.median(values) if values else None

    def less(self, row):
        """Whether less is better."""
        return any(figure.less for turns in self.figures.get(row, {}).values() for figure in turns)

    def unit(self, row):
        """The unit of a row's figures."""
        return next((figure.unit for turns in self.figures.get(row, {}).values() for figure in turns), "")

    def ratio(self, row, ours, theirs, key="value"):
        """How much better ours is: the median of the ratios of each round."""
        pairs = zip(self.figures.get(row, {}).get(ours, []), self.figures.get(row, {}).get(theirs, []))
        less = self.less(row) or key == "cpu"
        ratios = []
        for mine, other in pairs:
            a, b = getattr(mine, key), getattr(other, key)
            if a and b:
                ratios.append(b / a if less else a / b)
        return statistics.median(ratios) if ratios else None

    def best_peer(self, row, key="value"):
        """The peer with the best median."""
        peers = [name for name in self.servers if name not in OURS and name != "bare" and
                 self.median(row, name, key) is not None]
        pick = min if self.less(row) or key == "cpu" else max
        return pick(peers, key=lambda name: self.median(row, name, key), default=None)

    def figure_table(self, key, title):
        """All medians."""
        rows = []
        for row in self.rows:
            if any(self.median(row, name, key) is not None for name in self.servers):
                unit = "us" if key == "cpu" else self.unit(row)
                rows.append([f"{row} ({unit})"] + [number(self.median(row, name, key)) for name in self.servers])
        return f"{title}\n{table(['work', *self.servers], rows)}"

    def ratio_rows(self):
        """larder against the others, by time and by processor time."""
        for row in self.rows:
            for ours in OURS:
                if self.median(row, ours) is None:
                    continue
                best, thrifty = self.best_peer(row), self.best_peer(row, "cpu")
                yield {"work": row, "server": ours, "bare": self.ratio(row, ours, "bare"),
                       "nginx": self.ratio(row, ours, "nginx"), "best": best, "best_ratio": self.ratio(row, ours, best),
                       "cpu_bare": self.ratio(row, ours, "bare", "cpu"), "cpu_nginx": self.ratio(row, ours, "nginx", "cpu"),
                       "cpu_best": thrifty, "cpu_best_ratio": self.ratio(row, ours, thrifty, "cpu")}

    def ratio_table(self):
        """The same as text."""
        head = ["work", "server", "x bare", "x nginx", "x best", "(peer)", "cpu: x bare", "x nginx", "x best", "(peer)"]
        rows = [[r["work"], r["server"], number(r["bare"]), number(r["nginx"]), number(r["best_ratio"]), r["best"] or "-",
                 number(r["cpu_bare"]), number(r["cpu_nginx"]), number(r["cpu_best_ratio"]), r["cpu_best"] or "-"]
                for r in self.ratio_rows()]
        return f"larder against the others (above 1: larder is better; the median of each round's ratio)\n{table(head, rows)}"

    def text(self):
        """Everything as text."""
        o = self.options
        parts = [f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime(self.begun))}, {self.took:.0f} s; {self.machine()}",
                 f"{o.rounds} rounds of {o.seconds:g} s, {o.objects:,} objects; server on core 0, load and origin on core 1",
                 ", ".join(f"{name} {version}" for name, version in self.versions.items() if version), "",
                 self.figure_table("value", "medians (-: can't or void)"), "", self.ratio_table(), "",
                 self.figure_table("cpu", "processor time of the server for one request (robust where others use the machine)")]
        void = []
        for work in self.works:
            # A work's rows are void together.
            void += [f"  {work.name} {name}: {why}" for name, why in self.voids.get(work.rows_of()[0], {}).items()]
        if void:
            parts += ["", "void:", *void]
        return "\n".join(parts)

    def json(self):
        """Everything for programs."""
        return json.dumps({
            "time": self.begun, "seconds": self.took, "machine": self.machine(), "versions": self.versions,
            "options": vars(self.options), "void": self.voids, "ratios": list(self.ratio_rows()),
            "figures": {row: {name: {"median": self.median(row, name), "cpu": self.median(row, name, "cpu"),
                                     "unit": self.unit(row), "less_is_better": self.less(row),
                                     "rounds": [vars(figure) for figure in turns]} for name, turns in by.items()}
                        for row, by in self.figures.items()}}, indent=1) + "\n"

    def svg(self):
        """A chart: for each work a group of bars, scaled to its best."""
        rows = [row for row in self.rows if self.figures.get(row)]
        bar, gap, left, width, y = 12, 14, 150, 460, 30
        out = []
        for row in rows:
            medians = {name: self.median(row, name) for name in self.servers if self.median(row, name) is not None}
            largest = max(medians.values()) or 1
            hint = ", less is better" if self.less(row) else ""
            out.append(f'<text x="{left}" y="{y - 3}" font-weight="bold">{escape(row)} ({escape(self.unit(row))}{hint})</text>')
            for name, value in medians.items():
                length = max(1, width * value / largest)
                out.append(f'<text x="{left - 6}" y="{y + bar - 2}" text-anchor="end">{name}</text>'
                           f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 2}" fill="{COLOURS[name]}"/>'
                           f'<text x="{left + length + 4:.1f}" y="{y + bar - 2}">{number(value)}</text>')
                y += bar
            y += gap + 8
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{y}" '
                f'font-family="sans-serif" font-size="10"><rect width="100%" height="100%" fill="white"/>\n'
                + "\n".join(out) + "\n</svg>\n")
