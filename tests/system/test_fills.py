"""Fetches that several clients read from: pace, leaving, byte-exactness, the end of the daemon."""

import os
import random
import threading

import pytest

from harness.client import Broken
from harness.message import answer, http_date
from harness.wait import until

FRESH = "Cache-Control: max-age=600"


def noise(size, seed=1):
    """Bytes that no offset error goes unnoticed in."""
    return random.Random(seed).randbytes(size)


def steps(body, gates, head):
    """A script that sends the head, and a part of the body whenever a gate opens."""
    cut = len(body) // len(gates)

    def script(req, conn):
        conn.send(head)
        for i, gate in enumerate(gates):
            assert gate.wait(30)
            conn.send(body[i * cut:(i + 1) * cut if i + 1 < len(gates) else len(body)])
        return None if "Content-Length" in head.decode() else conn.close()
    return script


def ask(d, url, *fields):
    """A client whose request has been sent."""
    c = d.client()
    c.send(c.compose("GET", url, fields))
    return c


def peek(c):
    """The answer's head, which stays to be read."""
    r = c.head()
    c.buffer = r.raw + c.buffer
    return r


@pytest.mark.parametrize("known", [True, False], ids=["length", "chunks"])
@pytest.mark.parametrize("size", [30_000, 400_000, 6_000_000])
def test_growing_body_at_different_paces(proxy, origin, size, known):
    body, gates = noise(size), [threading.Event() for _ in range(6)]
    head = answer(b"", fields=[FRESH] + ([f"Content-Length: {size}"] if known else ["Connection: close"]), length=False)
    origin.on("/g", steps(body, gates, head))
    clients = []
    for gate in gates:
        clients.append(ask(proxy, origin.url("/g")))
        assert peek(clients[-1]).status == 200
        gate.set()
    slow = clients.pop(1)
    for c in clients + [slow]:
        assert c.response().body == body
        c.close()
    assert origin.count("/g") == 1
    proxy.settle()
    again = proxy.get(origin.url("/g"))
    assert again.cache.get("hit") and again.body == body


def test_ranges_of_a_growing_body(proxy, origin):
    body, gates = noise(3_000_000), [threading.Event() for _ in range(3)]
    origin.on("/r", steps(body, gates, answer(b"", fields=[FRESH, f"Content-Length: {len(body)}"], length=False)))
    whole = ask(proxy, origin.url("/r"))
    assert whole.head().status == 200
    wanted = [(0, 9), (500_000, 1_499_999), (999_990, 1_000_010)]
    clients = [ask(proxy, origin.url("/r"), f"Range: bytes={a}-{b}") for a, b in wanted]
    for gate in gates:
        gate.set()
    for c, (a, b) in zip(clients, wanted):
        r = c.response()
        assert r.status == 206 and r.get("Content-Range") == f"bytes {a}-{b}/{len(body)}"
        assert r.body == body[a:b + 1]
        c.close()
    assert whole.exactly(len(body)) == body and origin.count("/r") == 1
    whole.close()


def test_clients_that_leave_do_not_disturb_the_rest(proxy, origin):
    body, gates = noise(2_000_000), [threading.Event() for _ in range(8)]
    origin.on("/l", steps(body, gates, answer(b"", fields=[FRESH, f"Content-Length: {len(body)}"], length=False)))
    first = ask(proxy, origin.url("/l"))
    assert first.head().status == 200
    others = [ask(proxy, origin.url("/l")) for _ in range(6)]
    for c in others:
        assert c.head().status == 200
    for i, gate in enumerate(gates):
        gate.set()
        if i == 1:
            first.reset()
        elif i < 5 and i > 1:
            others.pop().reset()
    for c in others:
        assert c.exactly(len(body)) == body
        c.close()
    assert origin.count("/l") == 1


def test_stalled_reader_slows_nobody(proxy, origin):
    """What is stored waits for nobody: one client that takes nothing, one that takes all."""
    body = noise(8_000_000)
    origin.on("/s", answer(body, fields=[FRESH]))
    stalled = ask(proxy, origin.url("/s"))
    assert stalled.head().status == 200
    assert proxy.get(origin.url("/s")).body == body
    assert stalled.exactly(len(body)) == body and origin.count("/s") == 1
    stalled.close()


def test_validation_storm(proxy, origin):
    """Many clients, one stale response: one conditional request, and all have the same bytes."""
    body, gate = noise(200_000), threading.Event()

    def validate(req, conn):
        assert req.get("If-None-Match") == '"v"'
        gate.wait(20)
        return answer(status=304, fields=[FRESH, 'ETag: "v"'])
    origin.on("/v", [answer(body, fields=["Cache-Control: max-age=1", 'ETag: "v"', "Date: " + http_date(-30)]), validate])
    proxy.get(origin.url("/v"))
    proxy.settle()
    before = proxy.stat("exchange.active")
    clients = [ask(proxy, origin.url("/v")) for _ in range(30)]
    until(lambda: proxy.stat("exchange.active") >= before + 30, "all requests to wait")
    gate.set()
    for c in clients:
        r = c.response()
        assert r.status == 200 and r.body == body and r.cache["fwd-status"] == 304
        c.close()
    assert origin.count("/v") == 2


def test_broken_off_for_all_readers(proxy, origin):
    gate = threading.Event()

    def breaks(req, conn):
        conn.send(answer(noise(400_000), fields=[FRESH])[:-1000])
        gate.wait(20)
        conn.reset()
    origin.on("/b", breaks)
    clients = [ask(proxy, origin.url("/b")) for _ in range(4)]
    for c in clients:
        assert c.head().status == 200
    gate.set()
    for c in clients:
        with pytest.raises(Broken):
            c.exactly(400_000)
        c.close()
    proxy.settle()
    assert not proxy.get(origin.url("/b"), "Cache-Control: only-if-cached").cache.get("hit")


@pytest.mark.parametrize("where", ["head", "body", "commit"])
def test_daemon_ends_while_fetches_run(larder, origin, where):
    """SIGTERM with fetches at each stage: judged by the sanitizers and the exit status."""
    d = larder("forward", options=["drain_timeout=1s"])
    gate = threading.Event()

    def slow(req, conn):
        if where == "body":
            conn.send(answer(b"x" * 100_000, fields=[FRESH])[:-1])
        gate.wait(10)
    origin.on("*", slow if where != "commit" else answer(os.urandom(3_000_000), fields=[FRESH]))
    clients = [ask(d, origin.url(f"/{i}")) for i in range(12)]
    if where == "commit":
        for c in clients:
            assert c.response().status == 200
    else:
        origin.wait(12)
    d.stop()
    gate.set()
    for c in clients:
        c.close()
    assert d.process is None


def test_reverse_listener_serves_its_tree_only(larder, origin):
    origin.on("*", lambda q, c: answer(q.target, fields=[FRESH]))
    d = larder(f"reverse,{origin.url('/base')}", f"reverse,{origin.url('/other')}")
    for listener, tree in ((0, "base"), (1, "other")):
        for path in ("/x", "/../x", "/%2e%2e/x", "/y/../../x"):
            with d.client(listener) as c:
                assert c.request("GET", path, host="one.example").body == f"/{tree}/x".encode()
