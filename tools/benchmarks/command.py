"""The command: options, the folder, the tools in C, and the rounds."""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import install
import processes
import report
import servers
import works
from processes import Failure, LOAD_CORE, find

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
TOOLS = {"bare": ("bare.c", "serve.c"), "origin": ("origin.c", "serve.c"), "load": ("load.c", "load_conn.c")}


def say(text):
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


class Bench:
    """What the works and servers need of each other: folders, tools, the origin, the load."""

    def __init__(self, options):
        self.options = options
        self.larder_options = options.larder_option
        self.larder = None
        self.has_wrk = bool(find("wrk"))
        base = Path(tempfile.mkdtemp(prefix="larder-bench-", dir=options.dir))
        base.chmod(0o755)
        self.base, self.count = base, 0
        self.origin = None
        self.origin_port = processes.free_port()
        self.spent = 0

    def folder(self, name):
        """A new folder."""
        self.count += 1
        path = self.base / f"{name}-{self.count}"
        path.mkdir()
        return path

    def tool(self, name):
        """The path of one of the programs in C."""
        return TOP / "build" / "bench" / name

    def build(self, larder):
        """Builds the tools, and larder as a release where it is needed and not given."""
        (TOP / "build" / "bench").mkdir(parents=True, exist_ok=True)
        for name, files in TOOLS.items():
            sources = [HERE / file for file in files]
            newest = max(path.stat().st_mtime for path in [*sources, *HERE.glob("*.h")])
            if self.tool(name).exists() and self.tool(name).stat().st_mtime > newest:
                continue
            made = self.tool(f"{name}.{os.getpid()}")
            subprocess.run(["cc", "-O2", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-parameter",
                            "-o", made, *sources], check=True)
            made.rename(self.tool(name))
        if larder:
            self.larder = Path(self.options.larder) if self.options.larder else build_larder()

    def start(self):
        """Starts the origin."""
        self.origin = processes.start([self.tool("origin"), self.origin_port], LOAD_CORE, self.base / "origin.log")
        processes.wait_for(lambda: processes.accepts(self.origin_port), 10, "the origin listens")

    def close(self):
        """Ends the origin and removes everything."""
        processes.stop(self.origin)
        if self.options.keep:
            say(f"kept {self.base}")
        else:
            shutil.rmtree(self.base, ignore_errors=True)

    def fetched(self):
        """How many requests the origin has had."""
        class Origin:
            port = self.origin_port
        return int(servers.serves(Origin, "count", "-")[1])

    def timed(self):
        """Load for as long as a turn lasts."""
        return ["-d", self.options.seconds]

    def load_args(self, server, target, size, more, connections):
        """The load generator's command line."""
        body = ["-b"] if server.caches else []
        return [self.tool("load"), "-p", server.port, "-c", connections, "-t", target, "-s", size, *body, *more]

    def measured(self, server, action):
        """Does something and tells the server's and the generator's processor time, and what the origin had to do."""
        fetched, used = self.fetched(), processes.cpu(server.pid)
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = action()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        result["cpu"] = processes.cpu(server.pid) - used
        result["generator_cpu"] = after.ru_utime + after.ru_stime - own.ru_utime - own.ru_stime
        if server.process.poll() is not None:
            raise Failure(f"{server.name} ended: {server.last_words()}")
        return result, self.fetched() - fetched

    def load(self, server, target, size, more, connections, limit=None, turn=True):
        """Runs the load generator to its end: its result with processor time, and the origin's requests."""
        args = self.load_args(server, target, size, more, connections)
        seconds = limit or (self.options.seconds + 60 if "-d" in more else 600)
        return self.measured(server, lambda: json.loads(processes.run(args, LOAD_CORE, self.base / "load.log", seconds)))

    def load_start(self, server, target, size, more, connections):
        """Starts the load generator beside another one."""
        return processes.start(self.load_args(server, target, size, more, connections), LOAD_CORE,
                               self.base / "load.log", pipe=True)

    def load_end(self, process):
        """Waits for it."""
        try:
            return json.loads(process.communicate(timeout=120)[0])
        except (ValueError, subprocess.TimeoutExpired):
            raise Failure("the second client did not end") from None
        finally:
            processes.stop(process)

    def wrk(self, server, target, size, connections):
        """Runs wrk and checks what it says of the answers."""
        seconds = max(1, round(self.options.seconds))
        args = [find("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-H", "Host: bench.test",
                f"http://127.0.0.1:{server.port}{target}"]
        return self.measured(server, lambda: read_wrk(processes.run(args, LOAD_CORE, self.base / "wrk.log"), size))


def read_wrk(text, size):
    """wrk's report as a result like the load generator's."""
    total = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m), ([\d.]+)(B|KB|MB|GB) read", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    if not total or not p99 or "Non-2xx" in text or "Socket errors" in text:
        raise Failure(f"wrk: {' '.join(text.split())[-200:]}")
    requests = int(total.group(1))
    seconds = float(total.group(2)) * {"ms": 1e-3, "s": 1, "m": 60}[total.group(3)]
    octets = float(total.group(4)) * {"B": 1, "KB": 1024, "MB": 1 << 20, "GB": 1 << 30}[total.group(5)]
    # wrk's count of bytes is of everything read, heads too, rounded.
    if not requests or not 0.97 * size < octets / requests < size * 1.03 + 1500:
        raise Failure(f"wrk: {requests} answers, {octets:.0f} bytes")
    return {"requests": requests, "seconds": seconds, "bytes": octets,
            "p99": float(p99.group(1)) * {"us": 1, "ms": 1e3, "s": 1e6}[p99.group(2)]}


def build_larder():
    """A release build of larder in build/release."""
    build = TOP / "build" / "release"
    if not (build / "build.ninja").exists():
        say("setting up build/release")
        subprocess.run(["meson", "setup", build, "--buildtype=release", "-Dtests=false"], cwd=TOP, check=True,
                       stdout=subprocess.DEVNULL)
    say("building larder")
    done = subprocess.run(["ninja", "-C", build, "src/main/larder"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"larder does not build:\n{done.stdout[-3000:]}")
    return build / "src" / "main" / "larder"


class Runner:
    """Works in their order, servers interleaved within each."""

    def __init__(self, bench, chosen_works, chosen_servers):
        self.bench, self.works, self.servers = bench, chosen_works, chosen_servers
        self.figures = {}  # row -> server -> [Figure]
        self.voids = {}  # row -> server -> why
        self.fleet, self.fleet_settings = {}, None

    def can(self, cls, work):
        """Whether a server takes part in a work."""
        return (cls.caches or work.bare) and (cls.only is None or work.name in cls.only)

    def void(self, work, name, why):
        """Takes a server out of a work."""
        for row in work.rows_of():
            self.voids.setdefault(row, {})[name] = str(why)
        say(f"  {name}: void: {why}")

    def dismiss(self):
        """Ends all servers."""
        for server in self.fleet.values():
            server.remove()
        self.fleet, self.fleet_settings = {}, None

    def member(self, name, work):
        """The running server of that name, started at its first use."""
        if name not in self.fleet:
            server = servers.ALL[name](self.bench, work.settings, self.bench.origin_port)
            self.fleet[name] = server
            server.prepare()
            server.start()
            servers.wait_serving(server)
        return self.fleet[name]

    def run_work(self, work):
        """All rounds of one work."""
        say(f"{work.name}: {work.title}")
        if self.fleet_settings is not work.settings:
            self.dismiss()
            self.fleet_settings = work.settings
        ready = []
        for name, cls in self.servers.items():
            if self.can(cls, work):
                self.attempt(work, name, lambda server: work.prepare(self.bench, server), ready)
        rounds = min(self.bench.options.rounds, work.rounds_max)
        for number in range(rounds):
            for name in list(ready):
                done = []
                self.attempt(work, name, lambda server: self.turn(work, server, number), done)
                if not done:
                    ready.remove(name)

    def attempt(self, work, name, action, done):
        """Does something with a server; a failure voids its figures of that work."""
        try:
            action(self.member(name, work))
            done.append(name)
        except Exception as e:  # whatever it is, the other figures are worth keeping
            self.void(work, name, e if isinstance(e, (Failure, OSError)) else repr(e))
            if name in self.fleet and (not self.fleet[name].process or self.fleet[name].process.poll() is not None):
                self.fleet.pop(name).remove()

    def turn(self, work, server, number):
        """One turn of one server."""
        figures = work.turn(self.bench, server, number)
        for row, figure in figures.items():
            self.figures.setdefault(row, {}).setdefault(server.name, []).append(figure)
        shown = ", ".join(f"{row} {figure.value:,.1f}{figure.unit}" for row, figure in figures.items())
        say(f"  {number + 1} {server.name}: {shown}")

    def run(self):
        """Everything."""
        try:
            for work in self.works:
                self.run_work(work)
        finally:
            self.dismiss()


def names(text, known, what):
    """A list of names out of an argument."""
    chosen = [name for name in text.split(",") if name]
    for name in chosen:
        if name not in known:
            raise SystemExit(f"bench: no {what} {name}; there are {', '.join(known)}")
    return chosen


def arguments(argv):
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="tools/bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Compares larder with other caches on this machine: servers on one core, load and origin on another,\n"
        "in interleaved rounds. Shows medians, processor time for a request, and ratios.",
        epilog="works: " + "\n       ".join(f"{w.name:13} {w.title}" for w in works.ALL.values()) +
        "\n\nservers: " + "\n         ".join(f"{s.name:13} {s.title}" for s in servers.ALL.values()) +
        "\n\ntools/benchmarks/README.md says how figures come about and what makes them void.")
    add = parser.add_argument
    add("--install", action="store_true", help="install the peers from Debian (their services stay off), and end")
    add("--only", metavar="WORK,…", default="", help="these works; default: all")
    add("--servers", metavar="NAME,…", default="", help="these servers; default: all that are installed")
    add("--rounds", type=int, help="rounds; default: 5")
    add("--seconds", type=float, help="how long a turn lasts; default: 3")
    add("--objects", type=int, help="objects for restart and memory; default: 1,000,000")
    add("--fill-limit", type=float, default=1800, metavar="SECONDS", help="how long storing them may take; default: 1800")
    add("--quick", action="store_true", help="a look at everything: 1 round of 1 s, 20,000 objects")
    add("--generator", choices=("load", "wrk"), default="load", help="the client for hits below 1 MiB")
    add("--larder", metavar="FILE", help="this larder instead of a release build")
    add("--larder-option", metavar="NAME=VALUE", action="append", default=[], help="an option for larder (-o)")
    add("--dir", help="where the temporary folder is made (a disk, not a tmpfs); default: the system's")
    add("--keep", action="store_true", help="keep the temporary folder (configurations, logs, stores)")
    add("--json", metavar="FILE", help="write all figures")
    add("--svg", metavar="FILE", help="write a bar chart")
    options = parser.parse_args(argv)
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (1 if options.quick else 3)
    options.objects = options.objects or (20000 if options.quick else 1000000)
    return options


def choose(bench, options):
    """The works and servers that take part."""
    chosen = [works.ALL[name] for name in names(options.only, works.ALL, "work") or works.ALL]
    wanted = names(options.servers, servers.ALL, "server") or list(servers.ALL)
    bench.build(any(name.startswith("larder") for name in wanted))
    present = {name: servers.ALL[name] for name in wanted if servers.ALL[name].path(bench)}
    for name in wanted:
        if name not in present:
            say(f"{name}: not installed (tools/bench --install gets the peers)")
    return chosen, present


def main(argv):
    """The command."""
    options = arguments(argv)
    if options.install:
        return install.install()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("bench: needs two cores")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bench = Bench(options)
    begun = time.time()
    try:
        chosen, present = choose(bench, options)
        os.sched_setaffinity(0, {LOAD_CORE})
        processes.raise_limits()
        bench.start()
        runner = Runner(bench, chosen, present)
        try:
            runner.run()
        except KeyboardInterrupt:
            say("interrupted")
        result = report.Report(runner, options, begun)
        print(result.text())
        if options.json:
            Path(options.json).write_text(result.json())
        if options.svg:
            Path(options.svg).write_text(result.svg())
    finally:
        bench.close()
    return 0
