"""Plays scenarios against a daemon, judges them, and makes those that differ smaller."""

import asyncio
import copy
import itertools
import json
import multiprocessing
import socket
import traceback

from harness.daemon import Larder

from generate import scenario
from judge import Judge
from wire import Client, Stage

CLIENTS, BATCH = 16, 400
SHRINK_WIDTH, SHRINK_ROUNDS = 200, 40
# The options that leave nothing but the RFCs' own choices, and that settle soon.
OPTIONS = ("store_set_cookie=yes", "origin_retry=0", "commit_delay=0")


class Result:
    """What came of many scenarios: kind -> [count, level, clause, first example]."""

    def __init__(self):
        self.scenarios = self.exchanges = self.strays = 0
        self.kinds = {}
        self.broken = []

    def add(self, played, findings, example):
        """Counts one scenario."""
        self.scenarios += 1
        self.exchanges += played
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
        for key, value in other.kinds.items():
            kept = self.kinds.setdefault(key, {"count": 0, "clause": value["clause"], "examples": []})
            kept["count"] += value["count"]
            kept["examples"] = (kept["examples"] + value["examples"])[:3]


class Scene:
    """A daemon with a forward and a reverse listener, and the origin's socket."""

    def __init__(self, build, workers, hurried):
        self.hurried = hurried
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        origin = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.larder = Larder(build, "forward", f"reverse,{origin}", workers=workers, options=OPTIONS)

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
        if left:
            await scene.settle()
    for play in plays:
        if len(play.seen) == len(play.scenario["steps"]):
            try:
                result.add(len(play.seen), Judge(play.url, play.scenario, play.seen).run(), play.scenario)
            except Exception:  # noqa: BLE001
                result.broken.append((play.scenario, traceback.format_exc()))


async def many(scene, source, until):
    """Plays what the source gives, up to a number of exchanges."""
    result, stage = Result(), scene.stage()
    await stage.start()
    clients = [Client(stage.ports) for _ in range(CLIENTS)]
    while result.exchanges < until and len(result.broken) < 20:
        plays = [stage.begin(s) for s in itertools.islice(source, BATCH)]
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

def smaller(played):
    """Simpler versions of a scenario, the boldest first."""
    for n in range(len(played["steps"])):
        if len(played["steps"]) > 1:
            out = copy.deepcopy(played)
            del out["steps"][n]
            yield out
    if played.get("query"):
        yield {**copy.deepcopy(played), "query": False}
    for n, step in enumerate(played["steps"]):
        for key, plain in (("framing", "length"), ("interim", False), ("obey", "yes"), ("ranges", False), ("status", 200), ("length", 16), ("fail", None)):
            if step["origin"].get(key, plain) != plain:
                out = copy.deepcopy(played)
                out["steps"][n]["origin"][key] = plain
                yield out
        for part in ("fields", "fields304"):
            for m in range(len(step["origin"][part])):
                out = copy.deepcopy(played)
                del out["steps"][n]["origin"][part][m]
                yield out
        for m in range(len(step["fields"])):
            out = copy.deepcopy(played)
            del out["steps"][n]["fields"][m]
            yield out
        if n and step["origin"] != played["steps"][0]["origin"]:
            out = copy.deepcopy(played)
            out["steps"][n]["origin"] = copy.deepcopy(played["steps"][0]["origin"])
            yield out
    yield from fewer_members(played)


def fewer_members(played):
    """The same with a directive less."""
    for n, step in enumerate(played["steps"]):
        for where in (step["fields"], step["origin"]["fields"], step["origin"]["fields304"]):
            for m, (name, value) in enumerate(where):
                parts = value.split(",")
                if name.lower() != "cache-control" or len(parts) < 2 or '"' in value:
                    continue
                for k in range(len(parts)):
                    where[m][1] = ",".join(parts[:k] + parts[k + 1:]).strip()
                    out = copy.deepcopy(played)
                    where[m][1] = value
                    yield out


async def shrunk(scene, jobs):
    """[(scenario, finding, url, seen)] of the smallest that still show [(scenario, level, kind)]; None where none does."""
    stage, out = scene.stage(), []
    await stage.start()
    clients = [Client(stage.ports) for _ in range(4)]

    async def first(candidates, key):
        """The first of the candidates that shows it: (scenario, finding, url, seen)."""
        plays, result = [stage.begin(c) for c in candidates], Result()
        await together(scene, stage, clients, plays, result)
        for play in plays:
            if len(play.seen) == len(play.scenario["steps"]):
                found = next((f for f in Judge(play.url, play.scenario, play.seen).run() if (f.level, f.kind) == key), None)
                if found:
                    return play.scenario, found, play.url, play.seen
        return None

    for played, *key in jobs:
        best = await first([played] * 3, tuple(key))
        for _ in range(SHRINK_ROUNDS):
            if not best or not (found := await first(list(smaller(best[0]))[:SHRINK_WIDTH], tuple(key))):
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
