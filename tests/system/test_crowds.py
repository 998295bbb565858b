"""Very many clients at once: the short forms of tools/crowd."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from harness.client import Broken
from harness.crowd import Body, Crowd
from harness.message import answer
from harness.wait import until

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "crowds"))

import works  # noqa: E402

KIBI, MEBI = 1 << 10, 1 << 20
FRESH = "Cache-Control: max-age=600"


@pytest.mark.parametrize("urls, slow", [(1, 0), (3, 0), (1, 0.5)], ids=["one", "three", "half-slow"])
def test_one_flight(build, urls, slow):
    """One request for each URL, every byte right, whatever the others do."""
    figures = works.one_flight(build, clients=200, urls=urls, size=512 * KIBI, rate=MEBI, slow=slow, delay=300)
    if not build.sanitized:
        assert figures["memory, MiB"] < 128


def test_private_answers(build):
    """As many requests as clients, all of them at the same time once it is known."""
    figures = works.private(build, clients=40, size=50 * KIBI, delay=500)
    # One after the other would take 20 s.
    assert all(figures[f"{name}, s"] < 20 * 0.5 for name in ("first wave", "second wave", "first wave of a sibling"))
    assert figures["not awaited"] == 40 and figures["waited out"] == 0


def test_private_answers_with_a_wait(build):
    """The first wave does not wait for the head either, once collapse_wait is over."""
    figures = works.private(build, clients=40, size=50 * KIBI, delay=1500, wait=50)
    assert figures["first wave, s"] < 40 * 1.5 and figures["waited out"] == 39


def test_killed_owners(build):
    figures = works.killed(build, rounds=6, clients=24, size=300 * KIBI, rate=3 * MEBI, delay=60)
    assert figures["rounds"] == 6 and figures["whole"] > 0


def test_ranges(build):
    """The short form of a long one."""
    figures = works.ranges(build, clients=12, count=60, size=24 * MEBI, longest=MEBI // 2)
    assert figures["stored / union"] >= 1 and figures["sent for it / holes"] == 1


def test_resumed(build):
    assert works.resumed(build, size=10 * MEBI)["sent then / rest"] == 1


def test_outage(build):
    """What is stored goes on without an error, the rest fails at once, and all is well when the origin is back."""
    figures = works.outage(build, clients=8, pace=15, before=0.5, away=1.5, retry=1, workers=2)
    assert figures["stored ones meanwhile"] > 0 and figures["failures"] > 0


@pytest.mark.parametrize("control", ["fresh", "private"])
def test_snails(build, control):
    """Clients that read a byte a second, of an object each."""
    figures = works.snails(build, clients=150, size=300 * KIBI, seconds=0.5, control=control, workers=2, one=False, others=5)
    assert figures["asked"] == 150


@pytest.mark.big
def test_memory_of_snails(build):
    """Thousands of them cost no more than a few windows."""
    figures = works.snails(build, clients=700, size=300 * KIBI, seconds=1, control="private", workers=2, one=False, others=20)
    assert figures["memory, MiB"] < 100


# ---- Owners that stand still ----

@pytest.mark.parametrize("moment", ["head", "body"])
def test_stopped_owner(larder, origin, moment):
    """A worker that is stopped, not dead: who was sent nothing begins again after owner_silence, who was in the middle
    sees it break off, and those who come later do not wait."""
    d = larder("forward", workers=3, options=["owner_silence=600ms"])
    body, gate, seen = b"s" * 600_000, threading.Event(), []

    def slow(req, conn):
        seen.append(conn)
        if len(seen) > 1:
            return answer(body, fields=[FRESH])
        if moment == "body":
            conn.send(answer(body, fields=[FRESH])[:300_000])
        gate.wait(40)
        conn.send(answer(body, fields=[FRESH])[300_000 if moment == "body" else 0:])
        return None
    origin.on("/s", slow)
    before = d.stat("exchange.active")
    crowd = Crowd(d.port)
    for _ in range(24):
        crowd.add(origin.url("/s"), Body(body))
    crowd.ask()
    until(lambda: d.stat("exchange.active") >= before + 24, "all requests to wait")
    if moment == "body":
        crowd.run(lambda: all(g.got for g in crowd.guests))
    stopped, = works.owners(d.role("worker"), origin.port)
    os.kill(stopped, signal.SIGSTOP)
    try:
        crowd.run(lambda: any(g.ended for g in crowd.guests), 20)
        crowd.run(seconds=1)
        ended = [g for g in crowd.guests if g.ended]
        assert not crowd.wrong() and ended
        assert all(g.whole for g in ended) if moment == "head" else not any(g.whole for g in ended)
        assert d.stat("exchange.owners_silent") > 0
        assert origin.count("/s") <= (1 if moment == "body" else 3)
    finally:
        os.kill(stopped, signal.SIGCONT)
        gate.set()
    assert crowd.run(seconds=30), "clients hang"
    assert not crowd.wrong()
    crowd.close()
    d.settle()
    assert d.get(origin.url("/s")).body == body


def test_upgrade_while_clients_wait(larder, origin):
    """SIGHUP in the middle of a flight whose head is not there yet: old workers answer theirs, new ones join."""
    d = larder("forward", workers=2)
    gate = threading.Event()

    def slow(req, conn):
        gate.wait(40)
        return answer(b"u" * 100_000, fields=[FRESH])
    origin.on("/u", slow)
    old = Crowd(d.port)
    for _ in range(8):
        old.add(origin.url("/u"), Body(b"u" * 100_000))
    old.ask()
    origin.wait(1)
    until(lambda: d.stat("exchange.active") >= 8, "all requests to wait")
    before = set(d.role("worker"))
    os.kill(d.pid, signal.SIGHUP)
    until(lambda: len(set(d.role("worker")) - before) == 2, "new workers")
    new = Crowd(d.port)
    for _ in range(8):
        new.add(origin.url("/u"), Body(b"u" * 100_000))
    new.ask()
    new.run(seconds=0.3)
    gate.set()
    for crowd in (old, new):
        assert crowd.run(seconds=30), "clients hang"
        assert all(g.whole and g.status == 200 for g in crowd.guests) and not crowd.wrong()
        crowd.close()
    assert origin.count("/u") == 1


def test_clients_vanish_while_they_wait(larder, origin):
    """They go in the moment that something comes for them, in every worker; the rest get theirs."""
    d = larder("forward", workers=3)
    body, gate = b"v" * 400_000, threading.Event()

    def slow(req, conn):
        gate.wait(40)
        conn.send(answer(body, fields=[FRESH])[:200_000])
        threading.Event().wait(0.05)
        conn.send(answer(body, fields=[FRESH])[200_000:])
    origin.on("/v", slow)
    crowd = Crowd(d.port)
    for _ in range(40):
        crowd.add(origin.url("/v"), Body(body))
    crowd.ask()
    origin.wait(1)
    until(lambda: d.stat("exchange.active") >= 40, "all requests to wait")
    leaving = [d.client() for _ in range(40)]
    for c in leaving:
        c.send(c.compose("GET", origin.url("/v")))
    for c in leaving[:20]:
        c.reset()
    gate.set()
    for c in leaving[20:]:
        try:
            c.head()
        except Broken:
            pass
        c.reset()
    assert crowd.run(seconds=30), "clients hang"
    assert all(g.whole for g in crowd.guests) and not crowd.wrong()
    crowd.close()
    assert origin.count("/v") == 1
