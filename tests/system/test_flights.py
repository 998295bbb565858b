"""One fetch for the whole pool: clients of several workers, one origin request."""

import os
import random
import signal
import threading
import time

import pytest

from harness.client import Broken
from harness.message import answer, chunked, http_date
from harness.wait import until

FRESH = "Cache-Control: max-age=600"
CLIENTS = 40


def noise(size, seed=1):
    """Bytes that no offset error goes unnoticed in."""
    return random.Random(seed).randbytes(size)


@pytest.fixture
def pool(larder):
    """Four workers."""
    return larder("forward", workers=4)


def ask(d, url, *fields):
    """A client whose request has been sent."""
    c = d.client()
    c.send(c.compose("GET", url, fields))
    return c


def crowd(d, url, n=CLIENTS, fields=()):
    """Clients whose requests have all arrived."""
    before = d.stat("exchange.active")
    clients = [ask(d, url, *fields) for _ in range(n)]
    until(lambda: d.stat("exchange.active") >= before + n, "all requests to wait")
    return clients


@pytest.mark.parametrize("known", [True, False], ids=["length", "chunks"])
@pytest.mark.parametrize("size", [0, 4_000, 300_000, 9_000_000])
def test_one_request_for_all(pool, origin, size, known):
    body, gate, half = noise(size), threading.Event(), threading.Event()

    def slow(req, conn):
        gate.wait(20)
        whole = answer(body, fields=[FRESH]) if known else \
            answer(b"", fields=[FRESH, "Transfer-Encoding: chunked"], length=False) + chunked([body] if body else [])
        conn.send(whole[:len(whole) // 2])
        half.wait(20)
        conn.send(whole[len(whole) // 2:])
    origin.on("/o", slow)
    clients = crowd(pool, origin.url("/o"))
    gate.set()
    late = []
    if size > 100_000:
        for c in clients:
            r = c.head()
            assert r.status == 200
            c.buffer = r.raw + c.buffer
        late = [ask(pool, origin.url("/o")) for _ in range(CLIENTS)]
    half.set()
    for c in clients + late:
        r = c.response()
        assert r.status == 200 and r.body == body
        c.close()
    assert origin.count("/o") == 1
    assert pool.stat("exchange.followed") > 0
    pool.settle()
    assert pool.get(origin.url("/o")).cache.get("hit")


def test_what_cannot_be_shared_is_released(pool, origin):
    """Nobody waits for the end of another's private answer."""
    gate = threading.Event()

    def private(req, conn):
        conn.send(answer(b"x" * 100_000, fields=["Cache-Control: private"])[:-1])
        gate.wait(20)
        conn.send(b"x")
    origin.on("/p", private)
    clients = [ask(pool, origin.url("/p")) for _ in range(12)]
    origin.wait(12)
    gate.set()
    for c in clients:
        assert c.response().body == b"x" * 100_000
        c.close()
    assert origin.count("/p") == 12


def test_siblings_of_what_cannot_be_shared(pool, origin):
    """Once a folder's answers could not be shared, a further URL's first clients do not wait for each other; one that could
    changes that."""
    for n in range(3):
        origin.on(f"/me/{n}", answer("mine", fields=["Cache-Control: private"]))
        pool.get(origin.url(f"/me/{n}"))
    gate = threading.Event()

    def slow(fields):
        def run(req, conn):
            gate.wait(20)
            return answer("slow", fields=fields)
        return run
    origin.on("/me/new", slow(["Cache-Control: private"]))
    clients = [ask(pool, origin.url("/me/new")) for _ in range(9)]
    origin.wait(9, "/me/new")
    assert pool.stat("exchange.not_awaited") == 9
    # A folder below it is another, and so is the same one for requests with cookies.
    others = {}
    for path, fields in (("/me/deeper/new", ()), ("/me/cookie", ["Cookie: a=b"])):
        origin.on(path, slow([FRESH]))
        others[path] = crowd(pool, origin.url(path), 6, fields)
    gate.set()
    for c in clients + sum(others.values(), []):
        assert c.response().body == b"slow"
        c.close()
    assert [origin.count(path) for path in others] == [1, 1]
    assert pool.stat("exchange.not_awaited") == 9
    origin.on("/me/all", answer("ours", fields=[FRESH]))
    pool.get(origin.url("/me/all"))
    gate.clear()
    origin.on("/me/newer", slow([FRESH]))
    clients = crowd(pool, origin.url("/me/newer"), 9)
    gate.set()
    for c in clients:
        assert c.response().body == b"slow"
        c.close()
    assert origin.count("/me/newer") == 1


def test_waiting_has_an_end(larder, origin):
    """Option collapse_wait: who has waited for so long for another's head fetches for itself."""
    d = larder("forward", workers=3, options=["collapse_wait=150ms"])
    gate, seen = threading.Event(), []

    def first_is_slow(req, conn):
        seen.append(req)
        if len(seen) == 1:
            gate.wait(30)
        return answer("body", fields=[FRESH])
    origin.on("/w", first_is_slow)
    first = ask(d, origin.url("/w"))
    origin.wait(1)
    for c in [ask(d, origin.url("/w")) for _ in range(6)]:
        r = c.response()
        assert r.status == 200 and r.body == b"body"
        assert r.cache.get("hit") or r.cache.get("collapsed") or r.cache["detail"] == "collapse-wait"
        c.close()
    assert not gate.is_set() and origin.count("/w") > 1
    assert d.stat("exchange.waited_out") >= 1
    gate.set()
    assert first.response().body == b"body"
    first.close()


def test_each_language_once(pool, origin):
    gate = threading.Event()

    def language(req, conn):
        gate.wait(20)
        return answer(req.get("Accept-Language") * 1000, fields=[FRESH, "Vary: Accept-Language"])
    origin.on("/l", language)
    clients = []
    for name in ("en", "fr", "de"):
        clients += [(name, c) for c in crowd(pool, origin.url("/l"), 12, [f"Accept-Language: {name}"])]
    gate.set()
    for name, c in clients:
        assert c.response().body == name.encode() * 1000
        c.close()
    # Those who waited for another's language begin again, together.
    assert 3 <= origin.count("/l") <= 12


def test_one_validation_for_all(pool, origin):
    body, gate = noise(200_000), threading.Event()

    def validate(req, conn):
        assert req.get("If-None-Match") == '"v"'
        gate.wait(20)
        return answer(status=304, fields=[FRESH, 'ETag: "v"'])
    origin.on("/v", [answer(body, fields=["Cache-Control: max-age=1", 'ETag: "v"', "Date: " + http_date(-30)]), validate])
    pool.get(origin.url("/v"))
    pool.settle()
    clients = crowd(pool, origin.url("/v"))
    gate.set()
    for c in clients:
        r = c.response()
        assert r.status == 200 and r.body == body and r.cache["fwd-status"] == 304
        c.close()
    assert origin.count("/v") == 2


def test_an_origin_that_fails_fails_once(pool, origin):
    gate = threading.Event()

    def breaks(req, conn):
        gate.wait(20)
        conn.reset()
    origin.on("/f", breaks)
    clients = crowd(pool, origin.url("/f"))
    gate.set()
    for c in clients:
        assert c.response().status == 502
        c.close()
    assert origin.count("/f") == 1


def test_invalidation_reaches_other_workers(pool, origin):
    """RFC 9111 §4.4: what a PUT outdates while it is on its way is not stored by any worker."""
    gate = threading.Event()

    def old(req, conn):
        if req.method == "PUT":
            return answer(b"")
        if not gate.is_set():
            conn.send(answer(b"o" * 50_000, fields=[FRESH])[:-1])
            gate.wait(20)
            conn.send(b"o")
            return None
        return answer(b"new", fields=[FRESH])
    origin.on("/i", old)
    clients = [ask(pool, origin.url("/i")) for _ in range(8)]
    for c in clients:
        assert c.head().status == 200
    for _ in range(8):
        with pool.client() as c:
            assert c.request("PUT", origin.url("/i"), body=b"x").status == 200
    gate.set()
    for c in clients:
        assert c.exactly(50_000) == b"o" * 50_000
        c.close()
    pool.settle()
    for _ in range(8):
        assert pool.get(origin.url("/i")).body == b"new"


@pytest.mark.parametrize("moment", ["head", "body"])
def test_killed_owner(pool, origin, moment):
    """Who has been sent nothing begins again; nobody gets a wrong byte."""
    body, gate = noise(3_000_000), threading.Event()
    seen = []

    def slow(req, conn):
        seen.append(conn)
        if len(seen) > 1:
            return answer(body, fields=[FRESH])
        if moment == "body":
            conn.send(answer(body, fields=[FRESH])[:2_000_000])
        gate.wait(20)
        return None
    origin.on("/k", slow)
    clients = crowd(pool, origin.url("/k"), 24)
    origin.wait(1)
    if moment == "body":
        for c in clients:
            assert c.head().status == 200
    fetching = [pid for pid in pool.role("worker") if pool_connects(pid, origin.port)]
    assert len(fetching) == 1
    os.kill(fetching[0], signal.SIGKILL)
    whole = broken = 0
    for c in clients:
        try:
            if moment == "body":
                assert c.exactly(len(body)) == body
            else:
                r = c.response()
                assert r.status == 200 and r.body == body
            whole += 1
        except Broken:
            broken += 1
        c.close()
    gate.set()
    if moment == "body":
        assert broken == 24
    else:
        assert whole > 0  # those of the other workers
    assert origin.count("/k") <= 2
    until(lambda: len(pool.role("worker")) == 4, "a new worker")
    assert pool.get(origin.url("/k")).body == body
    assert pool.ctl("verify", store=True).returncode == 0


def pool_connects(pid, port):
    """Has the process a connection to that port?"""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as f:
        for line in f.readlines()[1:]:
            parts = line.split()
            if parts[2].endswith(f":{port:04X}") and parts[3] == "01" and f"socket:[{parts[9]}]" in inodes:
                return True
    return False


def test_killed_at_random_moments(pool, origin):
    """Workers die under a crowd: every answer is whole and right, or visibly broken."""
    body = noise(2_000_000)
    pieces = [body[i:i + 50_000] for i in range(0, len(body), 50_000)]

    def slow(req, conn):
        conn.send(answer(b"", fields=[FRESH, f"Content-Length: {len(body)}"], length=False))
        for piece in pieces:
            if not conn.send(piece):
                return None
            time.sleep(0.002)
        return None
    origin.on("*", slow)
    rng = random.Random(5)
    whole = 0
    for n in range(6):
        clients = [ask(pool, origin.url(f"/r{n}")) for _ in range(16)]
        time.sleep(rng.random() * 0.15)
        victims = pool.role("worker")
        os.kill(rng.choice(victims), signal.SIGKILL)
        for c in clients:
            try:
                r = c.response()
                assert r.status == 200 and r.body == body
                whole += 1
            except Broken:
                pass
            c.close()
        until(lambda: len(pool.role("worker")) == 4, "a new worker")
    assert whole > 0
    assert pool.ctl("verify", store=True).returncode == 0


def test_reload_in_the_middle(pool, origin):
    """New workers follow what old ones fetch."""
    body, gate = noise(1_000_000), threading.Event()

    def slow(req, conn):
        conn.send(answer(body, fields=[FRESH])[:500_000])
        gate.wait(20)
        conn.send(answer(body, fields=[FRESH])[500_000:])
    origin.on("/r", slow)
    old = [ask(pool, origin.url("/r")) for _ in range(8)]
    for c in old:
        assert c.head().status == 200
    before = set(pool.role("worker"))
    os.kill(pool.pid, signal.SIGHUP)
    until(lambda: len(set(pool.role("worker")) - before) == 4, "new workers")
    new = [ask(pool, origin.url("/r")) for _ in range(8)]
    for c in new:
        assert c.head().status == 200
    gate.set()
    for c in old + new:
        assert c.exactly(len(body)) == body
        c.close()
    assert origin.count("/r") == 1
