"""Crowds: each work starts its clients, raises AssertionError for what must never happen, and returns its figures."""

import json
import os
import random
import signal
import statistics
import threading
import time
from contextlib import contextmanager

from harness.client import Broken
from harness.crowd import Body, Crowd, Load
from harness.daemon import Larder
from harness.paced import Paced, body, stretch
from harness.wait import alive, until

MEBI = 1 << 20


@contextmanager
def stage(build, workers=4, options=()):
    """A daemon and an origin."""
    origin = Paced()
    d = Larder(build, "forward", workers=workers, size="20G", options=list(options))
    try:
        yield d.start(), origin
        d.stop()
    finally:
        d.remove()
        origin.stop()


def right(crowd):
    """No client was given a wrong byte."""
    wrong = crowd.wrong()
    assert not wrong, f"{len(wrong)} clients: {wrong[0]}"


def processor(d):
    """Seconds of processor time that its processes have used."""
    ticks = 0
    for pid in [d.pid, *d.pids()]:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
            ticks += sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def percentile(values, share):
    """The value below which that share of them lies."""
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def one_flight(build, clients=1000, urls=1, size=8 * MEBI, rate=MEBI, slow=0, slow_rate=65536, delay=1000, seconds=60):
    """All clients at once on a few uncached URLs; a share of them reads slowly, and is let go when the others are done."""
    with stage(build) as (d, origin):
        paths = [f"/{size}/{rate}/{delay}/fresh/{n}" for n in range(urls)]
        bodies = [Body(body(path, size)) for path in paths]
        crowd = Crowd(d.port)
        try:
            for n in range(clients):
                crowd.add(origin.url(paths[n % urls]), bodies[n % urls], slow_rate if n // urls % 100 < slow * 100 else 0)
            fast = [g for g in crowd.guests if not g.rate]
            used = processor(d)
            crowd.ask()
            memory = [0]
            looked = [time.monotonic()]

            def fast_done():
                if time.monotonic() > looked[0] + 1:
                    memory[0] = max(memory[0], d.memory())
                    looked[0] = time.monotonic()
                return all(g.ended for g in fast)
            assert crowd.run(fast_done, seconds), "some clients are not done"
            right(crowd)
            assert all(g.whole and g.status == 200 for g in fast), f"{sum(not g.whole for g in fast)} answers broke off"
            figures = origin.figures()
            asked = [figures[path]["count"] for path in paths]
            assert asked == [1] * urls, f"the origin was asked {asked} times"
            first = max(g.first - figures[origin.path(g.url)]["first"] for g in crowd.guests)
            own = max(f["last"] - f["first"] for f in figures.values())
            took = max(g.ended for g in fast) - min(f["first"] for f in figures.values())
            return {"first byte, ms": first * 1e3, "origin's time, s": own, "time, s": took, "time / origin's": took / own,
                    "processor time, s": processor(d) - used, "memory, MiB": memory[0] / MEBI}
        finally:
            crowd.close()


def private(build, clients=100, size=MEBI, delay=1000, wait=0):
    """Answers that can't be shared: the first wave does not know that, one that comes later for the same URL does, and so does
    the first for a further URL of a folder that is known for such. Beside them, as many clients of the origin itself."""
    with stage(build, options=[f"collapse_wait={wait}ms"]) as (d, origin):
        folder, figures = f"/{size}/0/{delay}/private", {}
        for name, port, path in [("direct", origin.port, "x"), ("first wave", d.port, "x"), ("second wave", d.port, "x"),
                                 ("sibling", d.port, None), ("sibling", d.port, None), ("first wave of a sibling", d.port, "y")]:
            guests = clients if path else 1
            path = f"{folder}/{path or random.random()}"
            data, crowd = Body(body(path, size)), Crowd(port)
            try:
                for _ in range(guests):
                    crowd.add(origin.url(path), data)
                before, began = origin.figures().get(path, {"count": 0})["count"], time.monotonic()
                crowd.ask()
                assert crowd.run(seconds=60 + delay / 50), "some clients are not done"
                right(crowd)
                assert all(g.whole and g.status == 200 for g in crowd.guests)
                assert origin.figures()[path]["count"] == before + guests
                if guests > 1:
                    figures[f"{name}, s"] = max(g.ended for g in crowd.guests) - began
            finally:
                crowd.close()
        for name in ("first wave", "second wave", "first wave of a sibling"):
            figures[f"{name} / direct"] = figures[f"{name}, s"] / figures["direct, s"]
        figures["not awaited"], figures["waited out"] = d.stat("exchange.not_awaited"), d.stat("exchange.waited_out")
        return figures


def union(ranges):
    """How many bytes there are in any of them."""
    total = end = 0
    for a, b in sorted(ranges):
        total += max(0, b - max(a, end))
        end = max(end, b)
    return total


def read_whole(d, url, size):
    """One GET, looked at as it comes; the seconds that it took."""
    began = time.monotonic()
    with d.client(timeout=60) as c:
        c.send(c.compose("GET", url, ()))
        head = c.head()
        assert head.status == 200 and head.get("Content-Length") == str(size), head.raw
        for at in range(0, size, MEBI):
            end = min(at + MEBI, size)
            assert c.exactly(end - at) == stretch(at, end), f"wrong bytes between {at} and {end}"
    return time.monotonic() - began


def ask_ranges(d, url, wanted, clients):
    """Many clients get all of the ranges, each the next one that is left."""
    queue, lock, wrong = list(wanted), threading.Lock(), []

    def client():
        try:
            with d.client(timeout=60) as c:
                while True:
                    with lock:
                        if not queue:
                            return
                        first, end = queue.pop()
                    r = c.get(url, f"Range: bytes={first}-{end - 1}")
                    assert r.status == 206 and r.body == stretch(first, end), f"{r.status}, bytes {first} to {end - 1}"
        except Exception as e:  # told below
            wrong.append(e)
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, f"{len(wrong)} clients: {wrong[0]!r}"


def verified(d):
    """The store is sound."""
    r = d.ctl("verify", "--deep", store=True, timeout=300)
    assert r.returncode == 0, r.stdout + r.stderr


def ranges(build, clients=50, count=1000, size=1 << 30, longest=MEBI, seed=5):
    """Ranges at random of something that nothing is known of, then all of it: its holes alone are fetched."""
    dice = random.Random(seed)
    with stage(build) as (d, origin):
        path = f"/{size}/0/0/ranges/x"
        url, wanted = origin.url(path), []
        for _ in range(count):
            first = dice.randrange(size)
            wanted.append((first, min(size, first + dice.randint(1, longest))))
        began = time.monotonic()
        ask_ranges(d, url, wanted, clients)
        took = time.monotonic() - began
        sent = origin.figures()[path]["bytes"]
        d.settle()
        have = json.loads(d.ctl("show", "--json", url, store=True).stdout)["present"]
        whole = read_whole(d, url, size)
        rest = origin.figures()[path]["bytes"] - sent
        d.settle()
        verified(d)
        return {"time, s": took, "union, MiB": union(wanted) / MEBI, "sent, MiB": sent / MEBI,
                "sent / union": sent / union(wanted), "stored / union": have / union(wanted), "whole GET, s": whole,
                "sent for it, MiB": rest / MEBI, "sent for it / holes": rest / (size - have)}


def resumed(build, size=100 * MEBI):
    """An origin that dies at 70 %: the next GET fetches the rest."""
    with stage(build) as (d, origin):
        path = f"/{size}/0/0/dies/x"
        with d.client(timeout=60) as c:
            c.send(c.compose("GET", origin.url(path), ()))
            assert c.head().status == 200
            try:
                c.exactly(size)
                raise AssertionError("the answer looks whole")
            except Broken:
                pass
        d.settle()
        first = origin.figures()[path]["bytes"]
        read_whole(d, origin.url(path), size)
        rest = origin.figures()[path]["bytes"] - first
        d.settle()
        verified(d)
        return {"sent at first, MiB": first / MEBI, "sent then, MiB": rest / MEBI, "sent then / rest": rest / (size - size * 7 // 10)}


def owners(workers, port):
    """Those of the workers that have a connection to the origin."""
    wanted = f":{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as f:
        inodes = {p[9] for p in (line.split() for line in f.readlines()[1:]) if p[2].endswith(wanted) and p[3] == "01"}
    found = []
    for pid in workers:
        try:
            links = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        except OSError:
            continue
        if any(f"socket:[{inode}]" in links for inode in inodes):
            found.append(pid)
    return found


def killed(build, rounds=100, clients=60, size=2 * MEBI, rate=8 * MEBI, delay=60, seed=None, say=lambda text: None):
    """kill -9 of the worker that fetches, at a random moment: before the head, in the body, while it is written."""
    rng = random.Random(seed)
    whole = broken = again = 0
    longest = 0
    with stage(build) as (d, origin):
        for n in range(rounds):
            head = delay * (10 if n % 3 == 0 else 1)  # in every third round most kills come before it
            path = f"/{size}/{rate}/{head}/fresh/{n}"
            data = Body(body(path, size))
            crowd, workers = Crowd(d.port), d.role("worker")
            try:
                for _ in range(clients):
                    crowd.add(origin.url(path), data)
                began = time.monotonic()
                crowd.ask()
                crowd.run(seconds=rng.uniform(0, head / 1000 + size / rate + 0.05))
                victims = owners(workers, origin.port) or workers
                os.kill(rng.choice(victims), signal.SIGKILL)
                assert crowd.run(seconds=40), f"round {n}: {sum(not g.ended for g in crowd.guests)} clients hang"
                right(crowd)
                longest = max(longest, max(g.ended for g in crowd.guests) - began)
                whole += sum(g.whole for g in crowd.guests)
                broken += sum(not g.whole for g in crowd.guests)
                again += origin.figures()[path]["count"] > 1
                assert all(g.status in (0, 200) for g in crowd.guests), [g.head.raw for g in crowd.guests if g.status not in (0, 200)][0]
            finally:
                crowd.close()
            until(lambda: len(d.role("worker")) == 4, "a new worker", 60)
            if n % 10 == 9:
                say(f"{n + 1} rounds: {whole} whole answers, {broken} broken, {again} times fetched again")
                r = d.ctl("verify", store=True, timeout=120)
                assert r.returncode == 0, r.stdout + r.stderr
        d.judge()
        return {"rounds": rounds, "whole": whole, "broken": broken, "fetched again": again, "longest, s": longest}


def snails(build, clients=5000, size=10 * MEBI, others=50, seconds=5, control="fresh", workers=4, one=True):
    """Clients that read a byte a second, of one object or of one each; others are timed meanwhile, and before."""
    options = ["min_rate=0", "send_timeout=1h"]
    with stage(build, workers, options) as (d, origin):
        small = f"/10000/0/0/fresh/small"
        warm = Body(body(small, 10000))

        def look(count):
            took = []
            for _ in range(count):
                with d.client() as c:
                    began = time.monotonic()
                    r = c.get(origin.url(small))
                    took.append(time.monotonic() - began)
                    assert r.status == 200 and r.body == warm.data.raw
            return took
        look(1)
        d.settle()
        before = look(others)
        empty = d.memory()
        crowd = Crowd(d.port)
        try:
            paths = [f"/{size}/0/0/{control}/{0 if one else n}" for n in range(clients)]
            data = Body(body(paths[0], size))
            for path in paths:
                crowd.add(origin.url(path), data if one else Body(body(path, 2000)), 1)
            crowd.ask()
            crowd.run(lambda: len(crowd.due) == clients, 120)
            crowd.run(seconds=seconds)
            most = d.memory()
            during = look(others)
            right(crowd)
            bad = [g for g in crowd.guests if g.status not in (0, 200)]
            assert not bad, f"{len(bad)} other answers: {bad[0].head.raw}"
            assert all(g.first and not g.ended for g in crowd.guests), \
                f"{sum(not g.first for g in crowd.guests)} were sent nothing, {sum(bool(g.ended) for g in crowd.guests)} were cut off"
            return {"memory before, MiB": empty / MEBI, "memory, MiB": most / MEBI,
                    "others before, ms": statistics.median(before) * 1e3, "others, ms": statistics.median(during) * 1e3,
                    "others before p95, ms": percentile(before, 0.95) * 1e3, "others p95, ms": percentile(during, 0.95) * 1e3,
                    "asked": sum(f["count"] for p, f in origin.figures().items() if p in set(paths))}
        finally:
            crowd.close()


def outage(build, clients=24, pace=40, before=2, away=5, retry=2, workers=4):
    """Requests at a steady pace for what is fresh, what is stale and may be served so, and what was never seen; the origin
    goes away in the middle and comes back."""
    with stage(build, workers, [f"origin_retry={retry}s"]) as (d, origin):
        known = {kind: [f"/{2000 + n}/0/0/{kind}/{n}" for n in range(20)] for kind in ("fresh", "stale")}
        for path in known["fresh"] + known["stale"]:
            assert d.get(origin.url(path)).status == 200
        d.settle()
        rng, seen = random.Random(3), [0]

        def choose():
            kind = rng.choice(("fresh", "stale", "none"))
            seen[0] += 1
            return kind, origin.url(rng.choice(known[kind]) if kind in known else f"/2000/0/0/none/{seen[0]}")
        load = Load(d.port, clients, pace, choose)
        try:
            load.run(before)
            origin.stop()
            gone = time.monotonic()
            load.run(away)
            origin.start()
            back = time.monotonic()
            load.run(2 * retry + 1)
        finally:
            load.close()
        return judge_outage(load.answers, gone, back, retry)


def judge_outage(answers, gone, back, retry):
    """The figures of an outage."""
    stored = [a for a in answers if a.kind != "none"]
    bad = [a for a in stored if a.status != 200]
    assert not bad, f"{len(bad)} of {len(stored)} answers that were stored: {bad[0]}"
    missing = [a for a in answers if a.kind == "none"]
    assert all(a.status in (200, 502, 504) for a in missing), {a.status for a in missing}
    failures = [a for a in missing if a.status != 200]
    assert failures, "nobody noticed that the origin was away"
    first = min(a.ended for a in failures)
    quick = [a for a in missing if first < a.asked < back]
    assert all(a.status != 200 for a in quick)
    lately = [a for a in failures if a.ended > back]
    during = [a for a in stored if gone < a.asked < back]
    return {"answers": len(answers), "stored ones meanwhile": len(during),
            "stored before, longest ms": max(a.took for a in stored if a.asked < gone) * 1e3,
            "stored meanwhile, longest ms": max(a.took for a in during) * 1e3,
            "failures": len(failures), "failure, longest ms": max(a.took for a in quick) * 1e3,
            "last failure after its return, s": max((a.ended - back for a in lately), default=0), "retry, s": retry}
