"""What is measured. Each work fills servers, measures a turn at a time, and checks that answers were what it is about."""

import http.client
import os
import time
from dataclasses import dataclass, field

import processes
from processes import Failure
from servers import Settings, serves, wait_serving

KIBI, MEBI = 1 << 10, 1 << 20
FOREIGN = 0.001  # the share of requests that a work of hits may see at the origin
STORED = 0.9  # the share of a work's misses that have to be found again
TRIES = 500  # requests after a restart, each for another object, one of which has to be a hit
REST = 3  # seconds that a server has to give memory back after a burst


@dataclass
class Figure:
    """One measured value."""
    value: float
    unit: str = "/s"
    less: bool = False  # less is better
    cpu: float = None  # the server's processor time for one request, in microseconds
    detail: dict = field(default_factory=dict)


def verify(result, what):
    """Raises unless every answer of a load was right."""
    bad = {key: result[key] for key in ("bad_status", "bad_length", "bad_body", "bad_head", "failed") if result[key]}
    if bad:
        status = f" (status {result['first_bad_status']})" if "bad_status" in bad else ""
        raise Failure(f"{what}: {', '.join(f'{key} {value}' for key, value in bad.items())}{status}")
    if not result["requests"] and not result["bytes"]:
        raise Failure(f"{what}: no answers")


def verify_hits(server, result, fetched):
    """Raises unless the origin was left alone."""
    if server.caches and fetched > result["requests"] * FOREIGN:
        raise Failure(f"{fetched} of {result['requests']} were fetched from the origin")


class Work:
    """Base: names, settings and the steps that the runner calls."""

    name = ""
    title = ""
    rounds_max = 1000
    bare = True  # the bare responder can do it
    settings = Settings()
    rows = ()  # names of further figures, where there is more than one

    def rows_of(self):
        """The names of the figures."""
        return self.rows or (self.name,)

    def prepare(self, bench, server):
        """Fills a server, once before the rounds."""

    def turn(self, bench, server, number):
        """Measures once; returns a dictionary of figures."""
        raise NotImplementedError


def warm(bench, server, target, size, span=None):
    """Lets a server store one URL, or a span of them, until it answers them without its origin."""
    order = ["-n", span or 1] + (["-S"] if span else [])
    for _ in range(40):
        result, fetched = bench.load(server, target, size, order, connections=16 if span else 1)
        verify(result, "filling")
        if not server.caches or not fetched:
            return
        processes.settle(server.pid, 5)
    raise Failure(f"still fetches {fetched} of {span or 1} from its origin")


class Hit(Work):
    """One URL, again and again."""

    def __init__(self, name, title, size, connections):
        self.name, self.title, self.size, self.connections = name, title, size, connections
        self.target = f"/{size}/one"

    def prepare(self, bench, server):
        status, body = serves(server, "one", self.size)
        if status != 200 or len(body) != self.size or (server.caches and not body.startswith(self.target.encode())):
            raise Failure(f"answers {status} with {len(body)} bytes")
        warm(bench, server, self.target, self.size)

    def turn(self, bench, server, number):
        if bench.options.generator == "wrk" and self.size < MEBI:
            result, fetched = bench.wrk(server, self.target, self.size, self.connections)
        else:
            result, fetched = bench.load(server, self.target, self.size, bench.timed(), self.connections)
            verify(result, "hits")
        verify_hits(server, result, fetched)
        # Large bodies count by their bytes: a turn ends in the middle of some.
        count = result["bytes"] / self.size if self.size >= MEBI else result["requests"]
        return {self.name: Figure(count / result["seconds"], cpu=result["cpu"] / max(count, 1) * 1e6, detail=result)}


class Latency(Hit):
    """The 99th percentile of hits at 64 connections, by wrk where it is installed."""

    def turn(self, bench, server, number):
        if bench.has_wrk:
            result, fetched = bench.wrk(server, self.target, self.size, self.connections)
        else:
            result, fetched = bench.load(server, self.target, self.size, bench.timed(), self.connections)
            verify(result, "hits")
        verify_hits(server, result, fetched)
        return {self.name: Figure(result["p99"], "us", True, result["cpu"] / result["requests"] * 1e6, result)}


class Connections(Hit):
    """A connection for each request."""

    def turn(self, bench, server, number):
        result, fetched = bench.load(server, self.target, self.size, bench.timed() + ["-k"], self.connections)
        verify(result, "hits")
        verify_hits(server, result, fetched)
        return {self.name: Figure(result["requests"] / result["seconds"],
                                  cpu=result["cpu"] / result["requests"] * 1e6, detail=result)}


class NotModified(Hit):
    """Clients that have the representation already."""

    def turn(self, bench, server, number):
        ask = bench.timed() + ["-H", 'If-None-Match: "bench"', "-e", 304]
        result, fetched = bench.load(server, self.target, self.size, ask, self.connections)
        verify(result, "304 answers")
        verify_hits(server, result, fetched)
        return {self.name: Figure(result["requests"] / result["seconds"],
                                  cpu=result["cpu"] / result["requests"] * 1e6, detail=result)}


class Random(Work):
    """Many small objects, asked for at random."""

    name, title, size, span = "random-4k", "hits of 50,000 objects of 4 KiB at random", 4 * KIBI, 50000

    def span_of(self, bench):
        """How many objects there are."""
        return self.span // 10 if bench.options.quick else self.span

    def prepare(self, bench, server):
        if server.caches:
            warm(bench, server, f"/{self.size}/r/#", self.size, self.span_of(bench))

    def turn(self, bench, server, number):
        ask = bench.timed() + ["-R", self.span_of(bench), "-i", number]
        result, fetched = bench.load(server, f"/{self.size}/r/#", self.size, ask, 64)
        verify(result, "hits")
        verify_hits(server, result, fetched)
        return {self.name: Figure(result["requests"] / result["seconds"],
                                  cpu=result["cpu"] / result["requests"] * 1e6, detail=result)}


class Miss(Work):
    """Each URL once, all of them stored."""

    bare = False

    def __init__(self, name, title, size):
        self.name, self.title, self.size = name, title, size
        self.settings = Settings(cap=4 << 30, memory=256 * MEBI)
        self.next = {}

    def turn(self, bench, server, number):
        os.sync()  # nobody pays for what the one before left to write
        processes.touch_pages(server.dir, 3 << 30)
        first = self.next.get(server.name, 0)
        target = f"/{self.size}/m/#"
        result, fetched = bench.load(server, target, self.size, bench.timed() + ["-S", "-f", first], 64)
        verify(result, "misses")
        done = result["requests"]
        self.next[server.name] = first + done + 1000
        if not done <= fetched <= done + 64:
            raise Failure(f"{done} answers took {fetched} requests to the origin")
        processes.settle(server.pid, 10)
        again, lost = bench.load(server, target, self.size, ["-n", 1000, "-R", done, "-f", first], 16, turn=False)
        verify(again, "the same again")
        kept = 1 - lost / again["requests"]
        if kept < STORED:
            raise Failure(f"only {kept:.0%} were stored, at {done / result['seconds']:,.0f}/s")
        result["stored"] = kept
        return {self.name: Figure(done / result["seconds"], cpu=result["cpu"] / done * 1e6, detail=result)}


class Herd(Work):
    """Clients that want the same cold URL at the same moment."""

    name, title, bare = "herd", "200 clients at once on one cold URL of 1 MiB, whose origin takes 50 ms", False
    rows = ("herd", "herd-fetches")
    size, clients, urls = MEBI, 200, 5
    settings = Settings(cap=4 << 30, memory=256 * MEBI)
    turns = 0

    def turn(self, bench, server, number):
        seconds = cpu = fetches = 0
        for _ in range(self.urls):
            Herd.turns += 1
            result, fetched = bench.load(server, f"/{self.size}/slow/{Herd.turns}", self.size, ["-n", self.clients],
                                         self.clients)
            verify(result, "the herd")
            if result["requests"] != self.clients or not fetched:
                raise Failure(f"{result['requests']} answers took {fetched} requests")
            seconds, cpu, fetches = seconds + result["seconds"], cpu + result["cpu"], fetches + fetched
        return {"herd": Figure(seconds / self.urls * 1e3, "ms", True, cpu / self.urls / self.clients * 1e6),
                "herd-fetches": Figure(fetches / self.urls, "a URL", True)}


class Phases(Work):
    """Small objects, then large ones, then small ones again, each phase more than the cap holds."""

    name, title, bare, rounds_max = "phases", "stored misses while sizes change under a cap of 128 MiB", False, 1
    rows = ("phases-small", "phases-large", "phases-again", "phases-kept", "phases-disk")
    cap = 128 * MEBI
    settings = Settings(cap=cap, memory=16 * MEBI)
    small, large = 2 * KIBI, 256 * KIBI

    def turn(self, bench, server, number):
        many, few = (8000, 120) if bench.options.quick else (40000, 800)
        peak, figures, first = 0, {}, 0
        for row, size, count in zip(self.rows, (self.small, self.large, self.small), (many, few, many)):
            seconds = cpu = 0
            for _ in range(4):
                result, _ = bench.load(server, f"/{size}/p/#", size, ["-n", count // 4, "-S", "-f", first], 32)
                verify(result, row)
                first += count // 4
                seconds, cpu = seconds + result["seconds"], cpu + result["cpu"]
                peak = max(peak, processes.allocated(server.dir))
            figures[row] = Figure(count / seconds, cpu=cpu / count * 1e6)
        processes.settle(server.pid)
        recent = self.cap // (16 * KIBI) if not bench.options.quick else many // 2
        result, fetched = bench.load(server, f"/{self.small}/p/#", self.small,
                                     ["-n", recent, "-S", "-f", first - recent], 1)
        verify(result, "recent ones again")
        figures["phases-kept"] = Figure(100 * (1 - fetched / recent), "%")
        if server.persistent:
            figures["phases-disk"] = Figure(peak / self.cap, "x cap", True)
        return figures


class Objects(Work):
    """Base of the works with very many objects: filled once, in one fleet of servers."""

    bare, size = False, KIBI
    settings = Settings(cap=16 << 30, memory=64 * MEBI)
    filled = {}

    def fill(self, bench, server):
        """Stores the objects, unless an earlier work did; remembers the memory before and after."""
        if id(server) in self.filled:
            return self.filled[id(server)]
        wait_serving(server)
        processes.settle(server.pid, 5)
        empty, count = processes.memory(server.pid), bench.options.objects
        ask = ["-n", count, "-S"]
        result, _ = bench.load(server, f"/{self.size}/o/#", self.size, ask, 64, limit=bench.options.fill_limit, turn=False)
        verify(result, "filling")
        processes.settle(server.pid)
        again, lost = bench.load(server, f"/{self.size}/o/#", self.size, ["-n", 2000, "-R", count], 4, turn=False)
        verify(again, "the same again")
        if lost > 2000 * (1 - STORED):
            raise Failure(f"only {1 - lost / 2000:.0%} were stored")
        processes.settle(server.pid)
        time.sleep(REST)
        self.filled[id(server)] = (empty, processes.memory(server.pid))
        return self.filled[id(server)]


class Memory(Objects):
    """Anonymous and shared memory of all processes."""

    name, title, rounds_max = "memory", "anonymous and shared memory with 1,000,000 objects (--objects)", 1

    def prepare(self, bench, server):
        self.fill(bench, server)

    def turn(self, bench, server, number):
        empty, full = self.fill(bench, server)
        count = bench.options.objects
        return {self.name: Figure(full / MEBI, "MiB", True, detail={"empty": empty, "full": full, "objects": count})}


class Restart(Objects):
    """From exec to the first answer out of the store."""

    name, title = "restart", "exec to first hit with 1,000,000 objects (--objects)"

    def prepare(self, bench, server):
        if not server.persistent:
            raise Failure("does not keep its store")
        self.fill(bench, server)

    def turn(self, bench, server, number):
        if not number:
            server.flush()
        server.stop()
        before, tries, begun = bench.fetched(), 0, time.monotonic()
        server.launch()
        while True:
            if time.monotonic() - begun > 120 or server.process.poll() is not None:
                raise Failure(f"no hit after a restart: {server.last_words()}")
            try:
                status, body = serves(server, f"o/{(number * 7919 + tries * 104729) % bench.options.objects}", self.size)
            except (OSError, http.client.HTTPException):
                time.sleep(0.0005)
                continue
            took = time.monotonic() - begun
            tries += 1
            if tries > TRIES:
                raise Failure("does not find its store again")
            now = bench.fetched()
            if status == 200 and len(body) == self.size and now == before:
                return {self.name: Figure(took * 1e3, "ms", True, detail={"tries": tries})}
            before = now


class Sweep(Work):
    """How long hot hits take, at a fixed rate, alone and while another client walks through cold objects."""

    name, title, bare = "sweep", "p99 of hot hits at 2,000/s, alone and during a cold sweep at 1,000/s", False
    rows = ("sweep-quiet", "sweep-p99", "sweep-factor")
    hot, cold, hot_size, cold_size = 1000, 1000, KIBI, 16 * KIBI
    settings = Settings(cap=2 << 30, memory=64 * MEBI)

    def per_turn(self, bench):
        """How many cold objects a turn needs; they are cold only once."""
        return int(self.cold * (bench.options.seconds + 1))

    def prepare(self, bench, server):
        count = self.per_turn(bench) * bench.options.rounds
        warm(bench, server, f"/{self.cold_size}/cold/#", self.cold_size, count)
        if server.persistent:
            server.flush()
            server.stop()
            processes.forget_pages(server.dir)
            server.start()
            wait_serving(server)
        warm(bench, server, f"/{self.hot_size}/hot/#", self.hot_size, self.hot)

    def hot_hits(self, bench, server):
        """The hot client's view."""
        ask = bench.timed() + ["-R", self.hot, "-r", 2000]
        result, fetched = bench.load(server, f"/{self.hot_size}/hot/#", self.hot_size, ask, 16)
        verify(result, "hot hits")
        return result, fetched

    def turn(self, bench, server, number):
        quiet, fetched = self.hot_hits(bench, server)
        verify_hits(server, quiet, fetched)
        count = self.per_turn(bench)
        sweep = bench.load_start(server, f"/{self.cold_size}/cold/#", self.cold_size,
                                 ["-n", count, "-S", "-f", number * count, "-r", self.cold], 8)
        try:
            during, fetched = self.hot_hits(bench, server)
        finally:
            swept = bench.load_end(sweep)
        verify(swept, "the sweep")
        if fetched > 0.02 * swept["requests"]:
            raise Failure(f"{fetched} requests to the origin during the sweep")
        detail = {"quiet": quiet, "during": during, "sweep": swept}
        return {"sweep-quiet": Figure(quiet["p99"], "us", True), "sweep-p99": Figure(during["p99"], "us", True),
                "sweep-factor": Figure(during["p99"] / quiet["p99"], "x", True, detail=detail)}


ALL = {work.name: work for work in (
    Hit("hit-1k", "hits of 1 KiB", KIBI, 64), Hit("hit-16k", "hits of 16 KiB", 16 * KIBI, 64),
    Hit("hit-64k", "hits of 64 KiB", 64 * KIBI, 64), Hit("hit-256k", "hits of 256 KiB", 256 * KIBI, 32),
    Hit("hit-1m", "hits of 1 MiB", MEBI, 16), Hit("hit-64m", "hits of 64 MiB", 64 * MEBI, 4),
    Random(), Connections("connections", "hits of 1 KiB, a connection each", KIBI, 64),
    NotModified("not-modified", "304 answers", 16 * KIBI, 64), Latency("latency", "p99 of hits of 1 KiB", KIBI, 64),
    Sweep(), Miss("miss-4k", "stored misses of 4 KiB", 4 * KIBI), Miss("miss-64k", "stored misses of 64 KiB", 64 * KIBI),
    Herd(), Phases(), Memory(), Restart())}
