"""Bodies both ways: lengths, chunks, trailers, Expect, pipelining, HEAD, OPTIONS, TRACE, interim responses."""

import threading

import pytest

from harness.message import answer, chunked
from harness.origin import raw_script
from harness.wait import until

NO = "Cache-Control: no-store"
PLAIN = answer("ok", fields=[NO])


@pytest.mark.parametrize("size", [0, 1, 1000, 65536, 1000000])
def test_post_by_length(proxy, origin, size):
    origin.on("/p", lambda q, c: answer(q.body, fields=[NO]))
    body = bytes(i * 7 & 255 for i in range(min(size, 4096))) * (size // 4096 + 1)
    with proxy.client() as c:
        r = c.request("POST", origin.url("/p"), [f"Content-Length: {size}"], body[:size])
    assert r.body == body[:size]
    assert origin.last().get("Content-Length") == str(size) and not origin.last().has("Transfer-Encoding")


def test_post_by_chunks(proxy, origin, connect):
    origin.on("/p", lambda q, c: answer(q.body, fields=[NO]))
    c = connect(proxy.port)
    c.send(c.compose("POST", origin.url("/p"), ["Transfer-Encoding: chunked"]) + chunked([b"abc", b"d" * 70000, b"e"]))
    assert c.response().body == b"abc" + b"d" * 70000 + b"e"


def test_chunk_extensions_are_swallowed(proxy, origin, connect):
    origin.on("/p", lambda q, c: answer(q.body, fields=[NO]))
    c = connect(proxy.port)
    c.send(c.compose("POST", origin.url("/p"), ["Transfer-Encoding: chunked"])
           + b'3;name=value;q="a;b"\r\nabc\r\n0000;last\r\n\r\n')
    assert c.response().body == b"abc"


def test_request_arrives_byte_by_byte(proxy, origin, connect):
    origin.on("/p", lambda q, c: answer(q.body, fields=[NO]))
    c = connect(proxy.port)
    for byte in c.compose("POST", origin.url("/p"), ["Transfer-Encoding: chunked"]) + chunked([b"abc", b"de"]):
        c.send(bytes([byte]))
    assert c.response().body == b"abcde"


def test_response_arrives_byte_by_byte(proxy, origin):
    def drip(req, conn):
        for byte in b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([b"abc", b"de"]):
            conn.send(bytes([byte]))
    origin.on("/d", drip)
    assert proxy.get(origin.url("/d")).body == b"abcde"
    proxy.settle()
    r = proxy.get(origin.url("/d"))
    assert r.body == b"abcde" and r.cache.get("hit") and r.get("Content-Length") == "5"


def test_chunked_answer_streams(proxy, origin, connect):
    """Each piece reaches the client before the next one exists."""
    gate = threading.Semaphore(0)

    def pieces(req, conn):
        conn.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(5):
            conn.send(b"1\r\n%d\r\n" % i)
            gate.acquire(timeout=20)
        conn.send(b"0\r\n\r\n")
    origin.on("/s", pieces)
    c = connect(proxy.port)
    c.send(c.compose("GET", origin.url("/s")))
    head = c.head()
    assert "chunked" in head.get("Transfer-Encoding")
    for i in range(5):
        assert c._line() == b"1" and c.exactly(3) == b"%d\r\n" % i
        gate.release()
    assert c._line() == b"0"


def test_close_delimited_answer(proxy, origin):
    def script(req, conn):
        conn.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\n" + b"until the end" * 1000)
        conn.close()
    origin.on("/c", script)
    r = proxy.get(origin.url("/c"))
    assert r.body == b"until the end" * 1000


def test_trailers_of_an_answer(proxy, origin):
    origin.on("/t", b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
              + chunked([b"abc"], ["X-Sum: 6"]))
    r = proxy.get(origin.url("/t"), "TE: trailers", "Connection: TE")
    assert r.body == b"abc" and (r.trailers == ["X-Sum: 6"] or not r.trailers)


def test_trailers_do_not_become_fields(proxy, origin):
    """RFC 9110 §6.5.1: framing and caching fields in trailers count for nothing."""
    origin.on("/t", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=60\r\n\r\n"
              + chunked([b"abc"], ["Content-Length: 99", "Set-Cookie: evil=1", "X-Sum: 6"]))
    proxy.get(origin.url("/t"))
    proxy.settle()
    r = proxy.get(origin.url("/t"))
    assert r.body == b"abc" and not r.has("Set-Cookie") and r.get("Content-Length", "3") == "3"


def test_expect_100(proxy, origin, connect):
    origin.on("/e", lambda q, c: answer(q.body, fields=[NO]))
    c = connect(proxy.port)
    c.send(c.compose("POST", origin.url("/e"), ["Expect: 100-continue", "Content-Length: 5"]))
    assert c.head().status == 100
    c.send(b"hello")
    assert c.response().body == b"hello"


def test_expect_100_refused_by_the_origin(proxy, origin, connect):
    @raw_script
    def refuse(req, conn):
        return answer("no", status=401, fields=[NO, "Connection: close"])
    origin.on("/e", refuse)
    c = connect(proxy.port)
    c.send(c.compose("POST", origin.url("/e"), ["Expect: 100-continue", "Content-Length: 5"]))
    r = c.response()
    assert r.status == 401 and r.body == b"no"


def test_client_that_does_not_wait_for_100(proxy, origin, connect):
    origin.on("/e", lambda q, c: answer(q.body, fields=[NO]))
    c = connect(proxy.port)
    c.send(c.compose("POST", origin.url("/e"), ["Expect: 100-continue", "Content-Length: 5"]) + b"hello")
    assert c.response().body == b"hello"


def test_unknown_expectation(proxy, origin):
    origin.on("/e", PLAIN)
    with proxy.client() as c:
        r = c.request("POST", origin.url("/e"), ["Expect: wonders"], b"x")
    assert r.status in (200, 417)


def test_early_hints_come_through(proxy, origin):
    origin.on("/h", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + PLAIN)
    r = proxy.get(origin.url("/h"))
    assert r.status == 200 and [i.status for i in r.interim] == [103]
    assert r.interim[0].get("Link") == "</a.css>; rel=preload"


def test_interim_is_not_for_http10(proxy, origin, connect):
    origin.on("/h", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + PLAIN)
    c = connect(proxy.port)
    c.send(f"GET {origin.url('/h')} HTTP/1.0\r\n\r\n")
    assert c.head().status == 200


def test_pipelining_in_order(proxy, origin, connect):
    origin.on("*", lambda q, c: answer(q.path, fields=[NO]))
    c = connect(proxy.port)
    c.send(b"".join(c.compose("GET", origin.url(f"/{i}")) for i in range(30)))
    for i in range(30):
        assert c.response().body == f"/{i}".encode()


def test_pipelining_hits_and_misses_and_bodies(proxy, origin, connect):
    origin.on("/hit", answer("hit", fields=["Cache-Control: max-age=60"]))
    origin.on("/post", lambda q, c: answer(q.body, fields=[NO]))
    proxy.get(origin.url("/hit"))
    proxy.settle()
    c = connect(proxy.port)
    c.send(b"".join([c.compose("GET", origin.url("/hit")), c.compose("POST", origin.url("/post"), body=b"one"),
                     c.compose("HEAD", origin.url("/hit")), c.compose("GET", origin.url("/hit")),
                     c.compose("POST", origin.url("/post"), ["Transfer-Encoding: chunked"]), chunked([b"two"]),
                     c.compose("GET", origin.url("/hit"))]))
    for method, body in (("GET", b"hit"), ("POST", b"one"), ("HEAD", b""), ("GET", b"hit"), ("POST", b"two"), ("GET", b"hit")):
        assert c.response(method).body == body


def test_pipelined_after_close_is_ignored(proxy, origin, connect):
    origin.on("*", lambda q, c: answer(q.path, fields=[NO]))
    c = connect(proxy.port)
    c.send(c.compose("GET", origin.url("/1"), ["Connection: close"]) + c.compose("GET", origin.url("/2")))
    assert c.response().body == b"/1" and c.closed() and origin.count("/2") == 0


def test_head(proxy, origin):
    origin.on("/h", answer("12345", fields=[NO, "X-A: 1"]))
    with proxy.client() as c:
        r = c.request("HEAD", origin.url("/h"))
        assert r.status == 200 and r.get("X-A") == "1" and r.get("Content-Length") == "5"
        assert c.get(origin.url("/h")).body == b"12345"
    assert origin.requests[0].method == "HEAD"


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_body(proxy, origin, connect, status):
    origin.on("/n", answer(status=status, fields=[NO, 'ETag: "a"']))
    c = connect(proxy.port)
    for _ in range(2):
        r = c.get(origin.url("/n"), *(['If-None-Match: "a"'] if status == 304 else []))
        assert r.status == status and not r.has("Transfer-Encoding")


def test_options_asterisk(proxy, connect):
    c = connect(proxy.port)
    r = c.request("OPTIONS", "*", host=f"127.0.0.1:{proxy.port}")
    assert r.status in (200, 204, 400)


# RFC 9110 §7.6.2
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
def test_max_forwards_zero_is_answered_here(larder, origin, method):
    d = larder("forward", options=["trace=yes"])
    origin.on("*", PLAIN)
    with d.client() as c:
        r = c.request(method, origin.url("/x"), ["Max-Forwards: 0", "Cookie: secret=1"])
    assert r.status in (200, 204) and origin.count() == 0
    if method == "TRACE":
        assert r.get("Content-Type") == "message/http" and r.body.startswith(b"TRACE ") and b"secret" not in r.body


def test_max_forwards_counts_down(proxy, origin):
    origin.on("*", PLAIN)
    with proxy.client() as c:
        c.request("OPTIONS", origin.url("/x"), ["Max-Forwards: 5"])
    assert origin.last().get("Max-Forwards") == "4"


def test_trace_is_refused_by_default(proxy, origin):
    with proxy.client() as c:
        assert c.request("TRACE", origin.url("/x")).status == 405
    assert origin.count() == 0


def test_upload_streams_with_back_pressure(larder, origin, connect):
    d = larder("forward")
    got = threading.Event()

    @raw_script
    def slow_reader(req, conn):
        got.wait(20)
        left = 50_000_000 - len(conn.buffer)
        while left > 0 and (data := conn.sock.recv(1 << 20)):
            left -= len(data)
        conn.buffer = b""
        return answer(str(left), fields=[NO])
    origin.on("/u", slow_reader)
    c = connect(d.port)
    c.send(c.compose("POST", origin.url("/u"), ["Content-Length: 50000000"]))
    c.sock.settimeout(1)
    sent, block = 0, b"x" * 100000
    try:
        while sent < 50_000_000:
            sent += c.sock.send(block[:50_000_000 - sent])
    except (TimeoutError, OSError):
        pass
    assert sent < 40_000_000, "the proxy swallowed the body although nobody took it"
    if not d.build.sanitized:
        assert d.memory() < 64 << 20
    got.set()
    c.sock.settimeout(20)
    c.send(b"x" * (50_000_000 - sent))
    assert c.response().body == b"0"


def test_client_that_leaves_in_its_upload(proxy, origin, connect):
    origin.on("/u", PLAIN)
    c = connect(proxy.port)
    c.send(c.compose("POST", origin.url("/u"), ["Content-Length: 100"]) + b"abc")
    until(lambda: origin.connections, "the origin to be asked")
    c.reset()
    origin.wait(1, "/u")
    assert origin.last("/u").body_broken
