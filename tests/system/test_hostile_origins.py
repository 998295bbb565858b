"""Broken answers: 502 with Proxy-Status, nothing stored, the connection not used again (RFC 9112 §6, §7, §8)."""

import contextlib
import random
import threading

import pytest

from harness.client import Broken
from harness.message import answer, chunked
from harness.origin import broken
from harness.wait import until

FRESH = b"Cache-Control: max-age=600\r\n"
OK = b"HTTP/1.1 200 OK\r\n" + FRESH

# (name, clause, bytes): no head of these may be believed.
BAD_HEADS = [
    ("nothing", "-", b""),
    ("garbage", "4", b"\x00\x01\x02\x03\r\n\r\n"),
    ("HTTP/0.9", "4", b"<html>hello</html>"),
    ("other protocol", "4", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ("version 2", "2.3", b"HTTP/2.0 200 OK\r\n" + FRESH + b"Content-Length: 1\r\n\r\nx"),
    ("version 1.10", "2.3", b"HTTP/1.10 200 OK\r\n" + FRESH + b"Content-Length: 1\r\n\r\nx"),
    ("no status", "4", b"HTTP/1.1\r\n" + FRESH + b"\r\n"),
    ("short status", "4", b"HTTP/1.1 20 OK\r\n" + FRESH + b"Content-Length: 1\r\n\r\nx"),
    ("long status", "4", b"HTTP/1.1 2000 OK\r\n" + FRESH + b"Content-Length: 1\r\n\r\nx"),
    ("status 099", "4", b"HTTP/1.1 099 OK\r\n" + FRESH + b"Content-Length: 1\r\n\r\nx"),
    ("status 600", "9110-15", b"HTTP/1.1 abc OK\r\n" + FRESH + b"Content-Length: 1\r\n\r\nx"),
    ("length and chunked", "6.3", OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([b"abc"])),
    ("two lengths", "6.3", OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    ("listed lengths", "6.3", OK + b"Content-Length: 3, 4\r\n\r\nabcd"),
    ("signed length", "6.3", OK + b"Content-Length: +3\r\n\r\nabc"),
    ("negative length", "6.3", OK + b"Content-Length: -3\r\n\r\nabc"),
    ("length in words", "6.3", OK + b"Content-Length: three\r\n\r\nabc"),
    ("huge length", "6.3", OK + b"Content-Length: 99999999999999999999999999\r\n\r\nabc"),
    ("unknown coding", "6.1", OK + b"Transfer-Encoding: gzip\r\n\r\nabc"),
    ("gzip, chunked", "6.1", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked([b"abc"])),
    ("chunked twice", "7.1", OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + chunked([b"abc"])),
    ("folded", "5.2", OK + b"X-A: 1\r\n folded\r\nContent-Length: 1\r\n\r\nx"),
    ("no colon", "5", OK + b"nonsense\r\nContent-Length: 1\r\n\r\nx"),
    ("empty name", "5.1", OK + b": value\r\nContent-Length: 1\r\n\r\nx"),
    ("NUL in a value", "5.5", OK + b"X-A: a\x00b\r\nContent-Length: 1\r\n\r\nx"),
    ("bare CR in a value", "2.2", OK + b"X-A: a\rX-B: b\r\nContent-Length: 1\r\n\r\nx"),
    ("half a head", "8", OK + b"Content-Le"),
    ("huge head", "-", OK + b"X-A: " + b"a" * 100000 + b"\r\nContent-Length: 1\r\n\r\nx"),
    ("many fields", "-", OK + b"X: 1\r\n" * 1000 + b"Content-Length: 1\r\n\r\nx"),
    ("unasked 101", "9110-15.2.2", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    ("endless 103", "9110-15.2", b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" * 100 + OK + b"Content-Length: 1\r\n\r\nx"),
]


@pytest.mark.parametrize("clause, data", [r[1:] for r in BAD_HEADS], ids=[r[0] for r in BAD_HEADS])
def test_bad_head(proxy, origin, clause, data):
    origin.on("/h", [broken(data), answer("well", fields=["Cache-Control: max-age=600"])])
    with proxy.client() as c:
        r = c.request("POST", origin.url("/h"), body=b"x")
    assert r.status == 502, (clause, r.raw)
    assert r.proxy.get("error", "").startswith(("http_", "connection_")), r.get("Proxy-Status")
    proxy.settle()
    assert proxy.get(origin.url("/h")).body == b"well"


@pytest.mark.parametrize("data", [r[2] for r in BAD_HEADS if r[2]], ids=[r[0] for r in BAD_HEADS if r[2]])
def test_bad_head_is_not_stored(proxy, origin, data):
    origin.on("/h", [broken(data), broken(data), answer("well", fields=["Cache-Control: max-age=600"])])
    assert proxy.get(origin.url("/h")).status == 502
    proxy.settle()
    r = proxy.get(origin.url("/h"))
    assert not r.cache.get("hit")


# (name, clause, bytes): the head is fine, the body is not: the client must notice, and nothing may be stored.
BAD_BODIES = [
    ("short body", "8", OK + b"Content-Length: 10\r\n\r\nabc"),
    ("no last chunk", "8", OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
    ("half a chunk", "8", OK + b"Transfer-Encoding: chunked\r\n\r\n10\r\nabc"),
    ("half the end", "7.1", OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"),
    ("bad chunk size", "7.1", OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxx\r\n"),
    ("huge chunk size", "7.1", OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nfffffffffffffffffff\r\nabc\r\n"),
    ("signed chunk size", "7.1", OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n-3\r\nabc\r\n0\r\n\r\n"),
    ("chunk too long", "7.1", OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"),
    ("bare LF in chunks", "7.1", OK + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n"),
    ("bad trailer", "7.1.2", OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nbad trailer\r\n\r\n"),
]


@pytest.mark.parametrize("clause, data", [r[1:] for r in BAD_BODIES], ids=[r[0] for r in BAD_BODIES])
def test_bad_body(proxy, origin, connect, clause, data):
    origin.on("/b", [broken(data), answer("well", fields=["Cache-Control: max-age=600"])])
    c = connect(proxy.port)
    c.send(c.compose("GET", origin.url("/b")))
    try:
        r = c.response()
        assert r.status == 502, f"{clause}: a broken body looks complete: {r.raw} {r.body!r}"
    except (Broken, ConnectionError):
        pass
    proxy.settle()
    assert proxy.get(origin.url("/b")).body == b"well"


def test_reset_in_the_body(proxy, origin, connect):
    def script(req, conn):
        conn.send(OK + b"Content-Length: 100000\r\n\r\nabc")
        conn.peer_gone(0.2)
        conn.reset()
    origin.on("/b", [script, answer("well", fields=["Cache-Control: max-age=600"])])
    c = connect(proxy.port)
    c.send(c.compose("GET", origin.url("/b")))
    with pytest.raises(Broken):
        c.response()
    proxy.settle()
    assert proxy.get(origin.url("/b")).body == b"well"


# Bytes behind a complete answer: the pooled connection must not be used for anyone else (response splitting).
@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 6\r\n\r\npoison", b"x", b"\r\n"],
                         ids=["answer", "byte", "crlf"])
@pytest.mark.parametrize("status", [200, 204, 304])
def test_extra_bytes_do_not_poison(proxy, origin, extra, status):
    first = answer("" if status != 200 else "first", status=status, fields=["Cache-Control: no-store"])
    origin.on("/first", lambda q, c: c.send(first + extra) and None)
    origin.on("/second", answer("second", fields=["Cache-Control: no-store"]))
    for _ in range(3):
        proxy.get(origin.url("/first"))
        assert proxy.get(origin.url("/second")).body == b"second"


def test_body_of_a_head_answer_does_not_poison(proxy, origin):
    origin.on("/first", lambda q, c: c.send(answer("body that must not be there", fields=["Cache-Control: no-store"])) and None)
    origin.on("/second", answer("second", fields=["Cache-Control: no-store"]))
    for _ in range(3):
        with proxy.client() as c:
            assert c.request("HEAD", origin.url("/first")).status == 200
        assert proxy.get(origin.url("/second")).body == b"second"


def test_answer_before_the_question_is_not_used(proxy, origin):
    """An idle pooled connection on which the origin speaks unasked is dropped."""
    spoken = threading.Event()

    def prime(req, conn):
        conn.send(answer("primed", fields=["Cache-Control: no-store"]))
        conn.send(answer("poison", fields=["Cache-Control: max-age=600"]))
        spoken.set()
    origin.on("/prime", prime)
    origin.on("/real", answer("real", fields=["Cache-Control: no-store"]))
    proxy.get(origin.url("/prime"))
    assert spoken.wait(10)
    for _ in range(3):
        assert proxy.get(origin.url("/real")).body == b"real"


def test_early_answer_to_a_post(proxy, origin, connect):
    """An origin that answers before it has the body: the client gets the answer, the connection is not reused."""
    from harness.origin import raw_script

    @raw_script
    def early(req, conn):
        conn.send(answer("enough", status=413, fields=["Cache-Control: no-store", "Connection: close"]))
        conn.close()
        conn.peer_gone(5)
    origin.on("/p", early)
    origin.on("/second", answer("second", fields=["Cache-Control: no-store"]))
    c = connect(proxy.port)
    c.send(c.compose("POST", origin.url("/p"), ["Content-Length: 100000000"]) + b"x" * 1000)
    assert c.response().status in (413, 502)
    assert proxy.get(origin.url("/second")).body == b"second"


def test_compressed_bomb_is_not_inflated(proxy, origin):
    body = b"\x1f\x8b not really gzip"
    origin.on("/z", answer(body, fields=["Content-Encoding: gzip", "Cache-Control: max-age=600"]))
    for _ in range(2):
        r = proxy.get(origin.url("/z"), "Accept-Encoding: gzip")
        assert r.body == body and r.get("Content-Encoding") == "gzip"
        proxy.settle()


def test_redirects_are_the_clients(proxy, origin):
    origin.on("/r", answer("", status=302, fields=["Location: /elsewhere"]))
    r = proxy.get(origin.url("/r"))
    assert r.status == 302 and r.get("Location") == "/elsewhere" and origin.count("/elsewhere") == 0


def test_cookies_are_not_larders(proxy, origin):
    origin.on("*", answer("x", fields=["Set-Cookie: a=1; Path=/", "Cache-Control: no-store"]))
    proxy.get(origin.url("/1"))
    proxy.get(origin.url("/2"))
    assert not origin.last().has("Cookie")


def test_errors_say_that_the_origin_was_asked(proxy, origin):
    """RFC 9211 §2.2: a request that was forwarded says so, whoever made the answer."""
    origin.on("/", lambda q, c: c.send(b"nonsense\r\n\r\n") and None)
    r = proxy.get(origin.url("/"))
    assert r.status == 502 and r.cache.get("fwd") == "uri-miss" and not r.cache.get("detail")


@pytest.mark.parametrize("connections", [1, 3, 0])
def test_random_misbehaviour(larder, connections):
    """Many clients, some of which leave, and an origin that splits, resets, cuts off, garbles and adds: a body is right or seen to be broken."""
    from harness.origin import Origin

    seed = random.SystemRandom().randrange(1 << 30)
    bad = Origin()
    wrong, right = [], []

    def body_of(path):
        dice = random.Random(path)
        return (path.encode() + b"|") * dice.choice([1, 7, 300, 9000])

    def misbehave(req, conn):
        dice = random.Random(f"{seed}{req.path}{bad.count()}")
        body, how = body_of(req.path), dice.choice(["well"] * 6 + ["cut", "reset", "garbage", "more", "early reset", "close"])
        if how == "early reset":
            return conn.reset()
        if how == "garbage":
            conn.send(dice.randbytes(dice.randrange(1, 2000)))
            return conn.close()
        framing = dice.choice(["length", "chunked", "end"] if how != "more" else ["length", "chunked"])
        head = b"HTTP/1.1 103 Early Hints\r\n\r\n" * dice.choice([0, 0, 3]) + b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"
        if framing == "length":
            data = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        elif framing == "chunked":
            step = dice.randrange(1, len(body) + 1)
            step = max(step, len(body) // 100 + 1)
            data = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked([body[i:i + step] for i in range(0, len(body), step)])
        else:
            data = head + b"\r\n" + body
        if how == "more":
            conn.send(data + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
            return conn.close()
        # An orderly end cannot be told from the end of a body that it ends.
        cut = how == "reset" or (how == "cut" and framing != "end")
        if cut:
            data = data[:dice.randrange(len(data))]
        while data:
            n = dice.choice([1, 10, 1000, 100000, len(data)])
            conn.send(data[:n])
            data = data[n:]
        if how == "reset":
            return conn.reset()
        if cut or how == "close" or framing == "end":
            return conn.close()
        return None

    def ask(d, n):
        dice = random.Random(seed + n)
        for i in range(60):
            path = f"/{n}/{i}"
            try:
                with d.client() as c:
                    if dice.random() < 0.1:
                        c.send(c.compose(dice.choice(["GET", "PUT"]), bad.url(path), ["Content-Length: 100000"]) + b"u" * dice.randrange(9999))
                        continue
                    upload = dice.choice([None, None, b"u" * 10, b"u" * 200000])
                    r = c.request("PUT", bad.url(path), body=upload) if upload else c.request("GET", bad.url(path))
            except (Broken, OSError):
                continue
            if r.status == 200 and r.body == body_of(path):
                right.append(path)
            elif r.status not in (502, 503, 504):
                wrong.append((path, r.status, len(r.body), len(body_of(path)), r.body[-80:], r.raw[:300]))
    bad.on("*", misbehave)
    try:
        d = larder("forward", workers=1, options=[f"origin_host_connections={connections}"])
        threads = [threading.Thread(target=ask, args=(d, n)) for n in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not wrong, (seed, wrong[:3])
        assert len(right) > 100, (seed, len(right))
        until(lambda: d.stat("origin.active") == 0 and d.stat("origin.waiting") == 0, "the end of all transfers")
        bad.on("*", answer("well", fields=["Cache-Control: no-store"]))
        assert d.get(bad.url("/after")).body == b"well"
    finally:
        bad.stop()


@contextlib.contextmanager
def asking(d, url):
    """A request under way; what is yielded gets its response."""
    got = []
    t = threading.Thread(target=lambda: got.append(d.get(url)))
    t.start()
    try:
        yield got
    finally:
        t.join()


def test_requests_wait_for_a_connection(larder, origin):
    """origin_queue: so many wait for their turn, the rest is sent away at once (503, RFC 9209 2.3.12)."""
    go = threading.Event()

    def slow(req, conn):
        go.wait(20)
        return answer("well", fields=["Cache-Control: no-store"])
    origin.on("*", slow)
    d = larder("forward", workers=1, options=["origin_host_connections=1", "origin_queue=1"])
    with asking(d, origin.url("/1")) as first:
        origin.wait(1)
        with asking(d, origin.url("/2")) as second:
            until(lambda: d.stat("origin.waiting") == 1, "the one that waits")
            try:
                r = d.get(origin.url("/3"))
            finally:
                go.set()
    assert r.status == 503 and int(r.get("Retry-After")) > 0
    assert r.proxy.get("error") == "connection_limit_reached"
    assert first[0].body == second[0].body == b"well"
    assert origin.connections == 1 and origin.count("/3") == 0
    assert d.stat("origin.queued") == 1 and d.stat("origin.waiting") == 0 and d.stat("origin.errors_queue") == 1


def test_waiting_for_a_connection_ends(larder, origin):
    """origin_queue_timeout: 503, and the one that has the connection is none the worse."""
    go = threading.Event()

    def slow(req, conn):
        go.wait(20)
        return answer("well", fields=["Cache-Control: no-store"])
    origin.on("*", slow)
    d = larder("forward", workers=1, options=["origin_host_connections=1", "origin_queue_timeout=200ms"])
    with asking(d, origin.url("/1")) as first:
        origin.wait(1)
        try:
            r = d.get(origin.url("/2"))
        finally:
            go.set()
    assert r.status == 503 and r.get("Retry-After") and r.proxy.get("error") == "connection_limit_reached"
    assert first[0].body == b"well" and d.stat("origin.errors_queue") == 1
