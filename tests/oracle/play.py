"""Plays scenarios against a daemon, judges them, and makes those that differ smaller."""

import asyncio
import copy
import json
import multiprocessing
import traceback

from generate import scenario
from answers import Finding  # noqa: F401
from judge import Judge
from wire import Client, Stage

CLIENTS = 12
SHRINK_TRIES = 250


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


async def one(stage, client, played):
    """(findings, url, seen) of a scenario."""
    url, seen = await stage.play(client, played)
    return Judge(url, played, seen).run(), url, seen


async def many(place, source, until):
    """Plays what the source gives, up to a number of exchanges; a place is (ports, the origin's listening socket)."""
    ports, listening = place
    result, stage = Result(), Stage(ports)
    await stage.origin.start(listening)

    async def worker():
        client = Client(ports)
        while result.exchanges < until and (played := next(source, None)) is not None:
            try:
                findings, _, _ = await one(stage, client, played)
                result.add(len(played["steps"]), findings, played)
            except Exception:  # noqa: BLE001
                result.broken.append((played, traceback.format_exc()))
                client.close()
                if len(result.broken) > 20:
                    break
        client.close()

    await asyncio.gather(*(worker() for _ in range(CLIENTS)))
    result.strays = stage.origin.strays
    return result


def numbered(seed, first, step):
    """Scenarios first, first + step, …"""
    number = first
    while True:
        yield scenario(seed, number)
        number += step


def share(queue, place, seed, first, step, until):
    """One process's share."""
    try:
        queue.put(asyncio.run(many(place, numbered(seed, first, step), until)))
    except BaseException:  # noqa: BLE001
        result = Result()
        result.broken.append((None, traceback.format_exc()))
        queue.put(result)


def run(places, seed, exchanges):
    """Plays generated scenarios, a process for each place."""
    total, queue, count = Result(), multiprocessing.Queue(), len(places)
    shares = [multiprocessing.Process(target=share, args=(queue, place, seed, n, count, exchanges // count))
              for n, place in enumerate(places)]
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


async def shrunk(place, jobs):
    """[(scenario, finding, url, seen)] of the smallest that still show [(scenario, level, kind)]."""
    ports, listening = place
    stage, client, out = Stage(ports), Client(ports), []
    await stage.origin.start(listening)

    async def shows(played, key):
        try:
            findings, url, seen = await one(stage, client, played)
        except Exception:  # noqa: BLE001
            client.close()
            return None
        found = next((f for f in findings if (f.level, f.kind) == key), None)
        return found and (played, found, url, seen)

    for played, *key in jobs:
        best, tries = await shows(played, tuple(key)), 0
        progress = best is not None
        while progress and tries < SHRINK_TRIES:
            progress = False
            for candidate in smaller(best[0]):
                tries += 1
                if found := await shows(candidate, tuple(key)):
                    best, progress = found, True
                    break
                if tries >= SHRINK_TRIES:
                    break
        out.append(best)
    client.close()
    return out


def shrink(place, jobs):
    """The same, waited for."""
    return asyncio.run(shrunk(place, jobs))


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
        if number == finding.step:
            lines.append(f"     ** {finding.clause}: expected {finding.expected}; seen {finding.seen}")
            break
    return "\n".join(lines)
