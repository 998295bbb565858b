"""Ceilings and clocks towards clients: 408, 413, 414, 431, 503, slow and greedy clients."""

import threading
import time

import pytest

from harness.client import Broken
from harness.message import answer
from harness.wait import until

PLAIN = answer("ok", fields=["Cache-Control: no-store"])


@pytest.fixture(scope="module")
def strict(shared_larder):
    """A proxy with small limits and short patience."""
    return shared_larder("forward", options=[
        "request_line_max=1k", "request_head_max=4k", "request_fields_max=20", "request_body_max=10k",
        "head_timeout=500ms", "body_timeout=500ms", "idle_timeout=500ms"])


@pytest.mark.parametrize("line, fields, status", [
    (900, 0, 200), (1100, 0, 414), (100000, 0, 414), (100, 3000, 200), (100, 4100, 431), (100, 200000, 431),
])
def test_head_sizes(strict, origin, connect, line, fields, status):
    origin.on("*", PLAIN)
    path = "/" + "a" * (line - len(origin.url("/")) - 15)
    c = connect(strict.port)
    try:
        c.send(c.compose("GET", origin.url(path), [f"X-Fill: {'b' * fields}"] if fields else []))
    except ConnectionError:
        pass
    r = c.response()
    assert r.status == status
    if status != 200:
        assert r.get("Connection").lower() == "close" and origin.count() == 0


def test_field_count(strict, origin):
    origin.on("*", PLAIN)
    assert strict.get(origin.url("/"), *[f"X-{i}: 1" for i in range(15)]).status == 200
    assert strict.get(origin.url("/"), *[f"X-{i}: 1" for i in range(25)]).status == 431


def test_body_by_length(strict, origin, connect):
    origin.on("*", PLAIN)
    c = connect(strict.port)
    assert c.request("POST", origin.url("/"), body=b"x" * 10000).status == 200
    c.send(c.compose("POST", origin.url("/"), ["Content-Length: 20000"]))
    assert c.response().status == 413 and origin.count() == 1


def test_body_by_chunks(strict, origin, connect):
    origin.on("*", PLAIN)
    c = connect(strict.port)
    c.send(c.compose("POST", origin.url("/"), ["Transfer-Encoding: chunked"]))
    try:
        for _ in range(20):
            c.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
        c.send(b"0\r\n\r\n")
    except ConnectionError:
        pass
    try:
        assert c.response().status == 413
    except (Broken, ConnectionError):
        pass
    assert all(r.body_broken for r in origin.requests)


def test_expect_with_too_large_a_body(strict, origin, connect):
    c = connect(strict.port)
    c.send(c.compose("POST", origin.url("/"), ["Content-Length: 20000", "Expect: 100-continue"]))
    r = c.response()
    assert r.status == 413 and not r.interim


@pytest.mark.parametrize("piece", ["", "GET ", "GET / HTTP/1.1\r\nHost: x\r\n"])
def test_slow_head(strict, connect, piece):
    c = connect(strict.port)
    c.send(piece)
    if piece:
        r = c.response()
        assert r.status == 408 and r.get("Connection").lower() == "close"
    c.rest()
    assert c.eof


def test_dripping_head(strict, connect):
    """A byte now and then does not extend the time."""
    c = connect(strict.port)
    begun = time.monotonic()
    stop = threading.Event()

    def drip():
        try:
            for ch in "GET / HTTP/1.1\r\nX: " + "y" * 1000:
                c.send(ch)
                if stop.wait(0.05):
                    return
        except OSError:
            pass
    t = threading.Thread(target=drip)
    t.start()
    try:
        assert c.response().status == 408
    except (Broken, ConnectionError):
        pass
    stop.set()
    t.join()
    assert time.monotonic() - begun < 8


def test_idle_connection_is_closed(strict, origin, connect):
    origin.on("*", PLAIN)
    c = connect(strict.port)
    assert c.get(origin.url("/")).status == 200
    assert c.closed()


def test_slow_body(strict, origin, connect):
    origin.on("*", PLAIN)
    c = connect(strict.port)
    c.send(c.compose("POST", origin.url("/"), ["Content-Length: 10"]) + b"abc")
    try:
        assert c.response().status == 408
    except (Broken, ConnectionError):
        pass
    until(lambda: c.eof or c.closed(), "the connection to close")
    assert not any(r.body == b"abc" and not r.body_broken for r in origin.requests)
    assert strict.stat("client.timeouts_body") >= 1


def test_counters_tell(strict, connect):
    before = strict.stat("client.bad_requests")
    c = connect(strict.port)
    c.send("nonsense\r\n\r\n")
    c.response()
    assert strict.stat("client.bad_requests") == before + 1


def test_silent_connections_wait_in_the_kernel(larder, origin, connect):
    origin.on("*", PLAIN)
    d = larder("forward", options=["accept_defer=60s"])
    silent = connect(d.port)
    assert connect(d.port).request("GET", origin.url("/")).status == 200
    assert d.stat("client.accepted") == 1
    assert silent.request("GET", origin.url("/")).status == 200
    assert d.stat("client.accepted") == 2


def test_without_deferral_all_are_accepted(larder, connect):
    d = larder("forward", options=["accept_defer=0"])
    _silent = connect(d.port)
    until(lambda: d.stat("client.accepted") == 1, "the silent connection to be accepted")


@pytest.mark.parametrize("way, tells", [("probe", True), ("abandon", True), ("answer", False)])
def test_clients_that_are_gone_stop_the_fetch(larder, origin, connect, way, tells):
    gone = threading.Event()

    def slow(_req, conn):
        if conn.peer_gone(20 if tells else 3):
            gone.set()
    origin.on("/slow", slow)
    d = larder("forward", options=[f"half_closed={way}"])
    c = connect(d.port)
    c.send(c.compose("GET", origin.url("/slow")))
    origin.wait(1)
    c.close()
    assert gone.wait(20 if tells else 3) == tells


def test_client_that_takes_nothing(larder, origin, connect):
    d = larder("forward", options=["send_timeout=500ms"])
    origin.on("/big", answer(b"x" * (30 << 20), fields=["Cache-Control: no-store"]))
    c = connect(d.port)
    c.send(c.compose("GET", origin.url("/big")))
    until(lambda: d.stat("client.timeouts_send") == 1, "the send time-out")
    until(lambda: d.stat("client.connections") == 0, "the connection to go")
    with pytest.raises(Broken):
        c.response()


def test_client_that_is_too_slow(larder, origin, connect):
    d = larder("forward", options=["min_rate=1M", "rate_window=1s"])
    origin.on("/big", answer(b"x" * (30 << 20), fields=["Cache-Control: no-store"]))
    c = connect(d.port)
    c.send(c.compose("GET", origin.url("/big")))

    def sip():
        c.sock.recv(100)
        return d.stat("client.slow") == 1
    until(sip, "the slow client to be cut")


def test_connections_max(larder, origin, connect):
    d = larder("forward", options=["connections_max=5"])
    origin.on("*", PLAIN)
    first = [connect(d.port) for _ in range(5)]
    for c in first:
        assert c.get(origin.url("/")).status == 200
    extra = connect(d.port)
    r = extra.response()
    assert r.status == 503 and extra.closed()
    first[0].close()
    until(lambda: d.stat("client.connections") == 4, "room")
    assert connect(d.port).get(origin.url("/")).status == 200
    assert d.stat("client.refused_limit") >= 1


def test_connections_per_client(larder, origin, connect):
    d = larder("forward", options=["connections_per_client=3"])
    origin.on("*", PLAIN)
    for c in [connect(d.port) for _ in range(3)]:
        assert c.get(origin.url("/")).status == 200
    assert connect(d.port).response().status == 503
    assert connect(d.port, source="127.0.0.9").get(origin.url("/")).status == 200


def test_keepalive_requests(larder, origin, connect):
    d = larder("forward", options=["keepalive_requests=3"])
    origin.on("*", PLAIN)
    c = connect(d.port)
    for n in (1, 2, 3):
        r = c.get(origin.url("/"))
    assert r.get("Connection").lower() == "close" and c.closed()


def test_fills_max(larder, origin, connect):
    d = larder("forward", options=["fills_max=16"])
    gate = threading.Event()
    origin.on("*", lambda q, c: gate.wait(30) and PLAIN)
    waiting = [connect(d.port) for _ in range(16)]
    for i, c in enumerate(waiting):
        c.send(c.compose("GET", origin.url(f"/{i}")))
    origin.wait(16)
    r = d.get(origin.url("/more"))
    assert r.status == 503
    gate.set()
    for c in waiting:
        assert c.response().status == 200


def test_out_of_descriptors_is_survived(larder, origin, connect):
    d = larder("forward", nofile=256)
    origin.on("*", PLAIN)
    held = []
    for _ in range(400):
        try:
            held.append(connect(d.port, timeout=5))
        except OSError:
            break
    for c in held:
        c.close()
    until(lambda: d.stat("client.connections") == 0, "all to be closed")
    for _ in range(5):
        assert d.get(origin.url("/")).status == 200


def test_back_pressure_on_what_is_not_stored(larder, origin, connect):
    """A client that does not read holds the origin up instead of filling memory."""
    d = larder("forward", options=["pipe_bytes=64k"])
    sent = [0]

    def endless(req, conn):
        conn.send(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 100000000\r\n\r\n")
        block = b"x" * 100000
        conn.sock.settimeout(1.5)
        try:
            for _ in range(1000):
                conn.sock.sendall(block)
                sent[0] += len(block)
        except OSError:
            conn.kept = False
    origin.on("/e", endless)
    c = connect(d.port)
    c.send(c.compose("GET", origin.url("/e")))
    assert c.head().status == 200
    until(lambda: not origin.open, "the origin to be held up")
    assert sent[0] < 60_000_000
