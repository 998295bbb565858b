"""Plays scenarios against a daemon, judges them, and makes those that differ smaller."""

import asyncio
import collections
import itertools
import json
import multiprocessing
import socket
import traceback

from harness.daemon import Larder

from generate import scenario
from judge import Judge, said_hit
from wire import Client, Stage

CLIENTS, BATCH = 16, 400
SHRINK_ROUNDS = 25
# The options that leave nothing but the RFCs' own choices, and that settle soon.
OPTIONS = ("store_set_cookie=yes", "origin_retry=0", "commit_delay=0")


def outcome(seen):
    """What became of a request, roughly: "hit 206", "validated 200", "forwarded 404"…"""
    how = "hit" if said_hit(seen) else "validated" if any(e.status == 304 for e in seen.origin) and seen.status != 304 else \
        "forwarded" if seen.origin else "made"
    return f"{how} {seen.status}"


class Result:
    """What came of many scenarios: kind -> [count, level, clause, first example]."""

    def __init__(self):
        self.scenarios = self.exchanges = self.strays = 0
        self.kinds = {}
        self.outcomes = collections.Counter()
        self.could = collections.Counter()      # answers that could have come from the cache, by status and whether they did
        self.broken = []

    def add(self, seen, judge, example):
        """Counts one scenario."""
        findings = judge.run()
        self.could.update(judge.could)
        self.scenarios += 1
        self.exchanges += len(seen)
        self.outcomes.update(outcome(s) for s in seen)
        for f in findings:
            kept = self.kinds.setdefault((f.level, f.kind), {"count": 0, "clause": f.clause, "examples": []})
            kept["count"] += 1
            if len(kept["examples"]) < 3:
                kept["examples"].append((example, f))

    def merge(self, other):
        """Adds another's."""
        self.scenarios += other.scenarios
        self.exchanges += other.exchanges
        self.strays += other.strays
        self.broken += other.broken
        self.outcomes += other.outcomes
        self.could += other.could
        for key, value in other.kinds.items():
            kept = self.kinds.setdefault(key, {"count": 0, "clause": value["clause"], "examples": []})
            kept["count"] += value["count"]
            kept["examples"] = (kept["examples"] + value["examples"])[:3]


class Scene:
    """A daemon with a forward and a reverse listener, and the origin's socket."""

    def __init__(self, build, workers, hurried, more=()):
        self.hurried = hurried
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        origin = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.larder = Larder(build, "forward", f"reverse,{origin}", workers=workers, options=OPTIONS + tuple(more))

    def __enter__(self):
        self.larder.start()
        return self

    def __exit__(self, kind, *rest):
        try:
            self.larder.stop()
        finally:
            self.larder.remove()
            self.socket.close()

    def stage(self):
        """For a loop."""
        return Stage({"forward": self.larder.ports[0], "reverse": self.larder.ports[1]}, self.socket)

    async def settle(self):
        """Waits until all that was answered is stored for good, unless the scene is hurried."""
        if not self.hurried:
            await asyncio.to_thread(self.larder.settle)


async def together(scene, stage, clients, plays, result):
    """Plays scenarios side by side, all at the same step; judges each."""
    left = list(plays)
    while left:
        queue, moved = iter(left), []

        async def worker(client):
            for play in queue:
                try:
                    if await play.step(client):
                        moved.append(play)
                except Exception:  # noqa: BLE001
                    result.broken.append((play.scenario, traceback.format_exc()))
                    client.close()

        await asyncio.gather(*(worker(c) for c in clients))
        left = [p for p in left if p in set(moved) and len(p.seen) < len(p.scenario["steps"])]
        await scene.settle()
    for play in plays:
        if len(play.seen) == len(play.scenario["steps"]):
            try:
                result.add(play.seen, Judge(play.url, play.scenario, play.seen), play.scenario)
            except Exception:  # noqa: BLE001
                result.broken.append((play.scenario, traceback.format_exc()))


async def many(scene, source, until):
    """Plays what the source gives, up to a number of exchanges."""
    result, stage = Result(), scene.stage()
    await stage.start()
    clients = [Client(stage.ports) for _ in range(CLIENTS)]
    while result.exchanges < until and len(result.broken) < 20:
        plays = [stage.begin(s) for s in itertools.islice(source, CLIENTS if scene.hurried else BATCH)]
        if not plays:
            break
        await together(scene, stage, clients, plays, result)
    for client in clients:
        client.close()
    result.strays = stage.origin.strays
    return result


def numbered(seed, first, step):
    """Scenarios first, first + step, …"""
    number = first
    while True:
        yield scenario(seed, number)
        number += step


def generated(scene, seed, exchanges):
    """The result of generated scenarios in this process."""
    return asyncio.run(many(scene, numbered(seed, 0, 1), exchanges))


def share(queue, make, seed, first, step, until):
    """One process's share, with a daemon of its own."""
    try:
        with make() as scene:
            queue.put(asyncio.run(many(scene, numbered(seed, first, step), until)))
    except BaseException:  # noqa: BLE001
        result = Result()
        result.broken.append((None, traceback.format_exc()))
        queue.put(result)


def run(make, seed, exchanges, processes):
    """Plays generated scenarios in several processes; make() gives a Scene."""
    total, queue = Result(), multiprocessing.Queue()
    shares = [multiprocessing.Process(target=share, args=(queue, make, seed, n, processes, exchanges // processes))
              for n in range(processes)]
    for s in shares:
        s.start()
    for _ in shares:
        total.merge(queue.get())
    for s in shares:
        s.join()
    return total


# ---- smaller ----

PLAIN = (("framing", "length"), ("interim", False), ("obey", "yes"), ("ranges", False), ("status", 200), ("length", 16), ("fail", None))


def edits(played):
    """What may be left out of a scenario: ("step", n), ("plain", n, key, value), ("same", n), ("field", n, where, m),
    ("directive", n, where, m, k)."""
    steps = played["steps"]
    out = [("step", n) for n in range(len(steps)) if len(steps) > 1]
    for n, step in enumerate(steps):
        if n and step["origin"] != steps[0]["origin"]:
            out.append(("same", n))
        out += [("plain", n, key, value) for key, value in PLAIN if step["origin"].get(key, value) != value]
        for where, fields in (("asked", step["fields"]), ("fields", step["origin"]["fields"]), ("fields304", step["origin"]["fields304"])):
            out += [("field", n, where, m) for m in range(len(fields))]
            for m, (name, value) in enumerate(fields):
                parts = value.split(",")
                if name.lower() in ("cache-control", "if-none-match", "vary") and len(parts) > 1 and '"' not in value.replace('"v', ""):
                    out += [("directive", n, where, m, k) for k in range(len(parts))]
    return out


def edited(played, chosen):
    """A scenario without what was chosen; later parts first, so that places stay what they were."""
    out = json.loads(json.dumps(played))    # steps may share their lists
    order = {"plain": 0, "same": 3, "directive": 1, "field": 2, "step": 4}
    for kind, n, *rest in sorted(chosen, key=lambda e: (order[e[0]], *(-v if isinstance(v, int) else 0 for v in e[1:]))):
        step = out["steps"][n]
        if kind == "step":
            del out["steps"][n]
        elif kind == "plain":
            step["origin"][rest[0]] = rest[1]
        elif kind == "same":
            step["origin"] = json.loads(json.dumps(out["steps"][0]["origin"]))
        else:
            fields = step["fields"] if rest[0] == "asked" else step["origin"][rest[0]]
            if kind == "field":
                del fields[rest[1]]
            else:
                parts = fields[rest[1]][1].split(",")
                del parts[rest[2]]
                fields[rest[1]][1] = ",".join(parts).strip()
    return out if out["steps"] else played


async def shrunk(scene, jobs):
    """[(scenario, finding, url, seen)] of the smallest that still show [(scenario, level, kind)]; None where none does."""
    stage, out = scene.stage(), []
    await stage.start()
    clients = [Client(stage.ports) for _ in range(4)]

    async def shows(candidates, key):
        """What shows it of the candidates: [None or (scenario, finding, url, seen)]."""
        plays = [stage.begin(c) for c in candidates]
        await together(scene, stage, clients, plays, Result())
        out = []
        for play in plays:
            whole = len(play.seen) == len(play.scenario["steps"])
            found = next((f for f in Judge(play.url, play.scenario, play.seen).run() if (f.level, f.kind) == key), None) if whole else None
            out.append(found and (play.scenario, found, play.url, play.seen))
        return out

    for played, *key in jobs:
        best = next((s for s in await shows([played] * 3, tuple(key)) if s), None)
        for _ in range(SHRINK_ROUNDS if best else 0):
            could = edits(best[0])
            good = [e for e, s in zip(could, await shows([edited(best[0], [e]) for e in could], tuple(key))) if s]
            if not good:
                break
            sizes = sorted({len(good), len(good) // 2, len(good) // 4, 1} - {0}, reverse=True)
            trials = await shows([edited(best[0], good[:n]) for n in sizes] + [edited(best[0], good[-n:]) for n in sizes], tuple(key))
            found = min((s for s in trials if s), key=lambda s: len(json.dumps(s[0])), default=None)
            if not found:
                break
            best = found
        out.append(best)
    for client in clients:
        client.close()
    return out


def shrink(scene, jobs):
    """The same, waited for."""
    return asyncio.run(shrunk(scene, jobs))


async def shown(scene, scenarios):
    """[(scenario, findings, url, seen)] of scenarios played one by one."""
    stage, out = scene.stage(), []
    await stage.start()
    client = Client(stage.ports)
    for played in scenarios:
        play = stage.begin(played)
        await together(scene, stage, [client], [play], Result())
        out.append((played, Judge(play.url, played, play.seen).run(), play.url, play.seen))
    client.close()
    return out


def show(scene, scenarios):
    """The same, waited for."""
    return asyncio.run(shown(scene, scenarios))


def tell(played, finding, url, seen):
    """A scenario and what happened, for people."""
    lines = []
    for number, (step, s) in enumerate(zip(played["steps"], seen)):
        lines.append(f"  {number}: {step['method']} over {played['listener']} " + json.dumps(step["fields"], ensure_ascii=True))
        for e in s.origin:
            conditions = [[n, v] for n, v in e.fields.pairs if n.lower().startswith("if-") or n.lower() in ("range", "cache-control")]
            lines.append(f"     origin saw {e.method} {json.dumps(conditions)} and said {e.status or 'nothing'}"
                         f"{'' if e.whole else ' (cut off)'} {json.dumps(e.answer.pairs)}, {len(e.body)} bytes")
        if s.status:
            lines.append(f"     client got {s.status} {json.dumps(s.fields.pairs)}, {len(s.body)} bytes")
        else:
            lines.append("     client got nothing")
        if finding and number == finding.step:
            lines.append(f"     ** {finding.clause}: expected {finding.expected}; seen {finding.seen}")
            break
    return "\n".join(lines)
