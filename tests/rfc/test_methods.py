"""RFC 9110 §9, §7.6.2, §15: methods and statuses as an intermediary meets them."""

import socket

import pytest

from way import FRESH, answer

PLAIN = answer("ok", fields=["Cache-Control: no-store"])


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "MKCOL", "QUERY", "BREW", "x-Own"])
def test_methods_are_forwarded(way, method):
    way.on(PLAIN)
    r = way.ask(method=method, body=b"abc" if method not in ("GET", "HEAD") else b"")
    assert r.status == 200 and way.last().method == method and way.last().body == (b"" if method in ("GET", "HEAD") else b"abc")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"])
def test_answers_to_other_methods_are_not_cacheable(way, method):
    """RFC 9110 §9.3.4 to §9.3.8: not even for the same method."""
    way.on(answer("1", fields=[FRESH]), answer("2", fields=[FRESH]))
    for n in (b"1", b"2"):
        assert way.ask(method=method).body == n
        way.settle()


def test_head_gets_the_fields_of_get(way):
    """RFC 9110 §9.3.2"""
    way.on(answer("12345", fields=["Cache-Control: no-store", "X-A: 1", 'ETag: "v"']))
    g, h = way.ask(), way.ask(method="HEAD")
    skip = {"date", "cache-status"}
    assert h.body == b"" and [f for f in h.fields if f[0].lower() not in skip] == [f for f in g.fields if f[0].lower() not in skip]


def test_head_with_transfer_encoding(way):
    """RFC 9112 §6.1: no chunks follow."""
    way.on(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n")
    c = way.client()
    for _ in range(2):
        r = c.request("HEAD", way.target(), host=way.host)
        assert r.status == 200 and not r.has("Content-Length")


def test_head_of_a_chunked_answer_from_the_store(way):
    """RFC 9110 §8.6: the length that a GET would have."""
    way.on(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    _, b = way.twice(method="HEAD")
    assert b.cache.get("hit") and b.get("Content-Length") in (None, "3") and b.body == b""


def test_head_leaves_a_miss(way):
    """RFC 9110 §9.3.2: may be stored for later HEADs; never for GETs."""
    way.on(lambda q, c: answer("12345", fields=[FRESH]))
    way.ask(method="HEAD")
    way.settle()
    assert way.ask().body == b"12345"


# RFC 9110 §9.3.6
def connect(way, target):
    """The answer to CONNECT, and the connection."""
    c = way.client()
    c.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")
    return c.response("CONNECT"), c


def test_connect(own_way):
    """Bytes both ways; what is left is delivered when one side closes. Reverse listeners refuse it."""
    way = own_way("connect_ports=1-65535")
    with socket.create_server(("127.0.0.1", 0)) as server:
        r, c = connect(way, f"127.0.0.1:{server.getsockname()[1]}")
        if way.kind == "reverse":
            assert r.status == 405
            return
        assert r.status == 200 and not r.has("Content-Length") and not r.has("Transfer-Encoding")
        peer, _ = server.accept()
        with peer:
            c.send("hello")
            assert peer.recv(5) == b"hello"
            peer.sendall(b"world" * 1000)
        assert c.rest() == b"world" * 1000


def test_connect_is_limited_to_known_ports(way):
    r, _ = connect(way, way.host)
    assert r.status == (403 if way.kind == "forward" else 405)


@pytest.mark.parametrize("target", ["example", "example:0", "example:99999", "example:443/x", ":443", "example:x"],
                         ids=["no port", "port 0", "large port", "path", "no host", "bad port"])
def test_bad_connect(way, target):
    r, _ = connect(way, target)
    assert r.status in (400, 403) if target == "example:0" else r.status == 400


def test_connect_with_content(way):
    """RFC 9110 §9.3.6: it has none."""
    r = way.raw("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nContent-Length: 3\r\n\r\nabc")
    assert r.status == 400


# RFC 9110 §7.6.2, §9.3.7, §9.3.8
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
def test_max_forwards_0(way, method):
    way.on(PLAIN)
    r = way.ask("Max-Forwards: 0", method=method)
    assert r.status == 200 and way.count() == 0


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
@pytest.mark.parametrize("given, seen", [("1", "0"), ("10", "9"), ("007", "6")])
def test_max_forwards_counts_down(way, method, given, seen):
    way.on(PLAIN)
    way.ask(f"Max-Forwards: {given}", method=method)
    assert way.last().all("Max-Forwards") == [seen]


def test_max_forwards_huge(way):
    """The lesser of the value less one and what is supported."""
    way.on(PLAIN)
    way.ask("Max-Forwards: 99999999999999999999999", method="OPTIONS")
    assert len(way.last().all("Max-Forwards")) == 1 and 0 < int(way.last().get("Max-Forwards")) < 99999999999999999999999


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE"])
def test_max_forwards_is_not_made(way, method):
    way.on(PLAIN)
    way.ask(method=method)
    assert not way.last().has("Max-Forwards")


def test_max_forwards_of_other_methods(way):
    """RFC 9110 §7.6.2: may be ignored."""
    way.on(PLAIN)
    assert way.ask("Max-Forwards: 0").status == 200 and way.count() == 1


def test_trace_reflects(way):
    """RFC 9110 §9.3.8: what was received, less what may be secret."""
    way.on(PLAIN)
    r = way.ask("Max-Forwards: 0", "X-A: 1", "Authorization: Basic eDp5", "Cookie: a=b", "Proxy-Authorization: Basic z", method="TRACE")
    assert r.get("Content-Type") == "message/http" and r.body.startswith(f"TRACE {way.target()} HTTP/1.1\r\n".encode())
    assert b"X-A: 1\r\n" in r.body and not any(s in r.body for s in (b"eDp5", b"a=b", b"Basic z"))


def test_options_of_larder_itself(way):
    r = way.ask("Max-Forwards: 0", method="OPTIONS")
    assert r.status == 200 and "GET" in r.get("Allow") and r.get("Content-Length") == "0"


def test_options_of_a_server(way):
    """RFC 9112 §3.2.4: a proxy answers for itself; a gateway asks the server behind it."""
    way.origin.on("*", PLAIN)
    r = way.raw("OPTIONS * HTTP/1.1\r\nHost: %H\r\n\r\n")
    assert r.status == 200
    if way.kind == "reverse":
        assert any(q.start == "OPTIONS * HTTP/1.1" for q in way.origin.requests)


def test_options_without_a_path(way):
    """RFC 9112 §3.2.4"""
    way.origin.on("*", PLAIN)
    r = way.raw(f"OPTIONS http://%H HTTP/1.1\r\nHost: %H\r\nX-Which: {way.path}\r\n\r\n")
    assert r.status == 200
    assert [q.start for q in way.origin.requests if q.get("X-Which") == way.path] == ["OPTIONS * HTTP/1.1"]


def test_trace_is_refused_by_default(make, kind, origin):
    """RFC 9110 §15.5.6: 405 says what is allowed."""
    d = make("forward" if kind == "forward" else f"reverse,http://{origin.authority}")
    with d.client() as c:
        r = c.request("TRACE", origin.url("/t") if kind == "forward" else "/t", host=origin.authority)
    assert r.status == 405 and "GET" in r.get("Allow", "") and "TRACE" not in r.get("Allow")


def test_connect_at_a_gateway(way):
    """RFC 9110 §15.5.6"""
    r, _ = connect(way, "example.com:1")
    assert r.status == (403 if way.kind == "forward" else 405)


def test_connect_at_a_gateway_has_allow(way):
    """RFC 9110 §15.5.6"""
    r, _ = connect(way, "example.com:1")
    if way.kind == "reverse":
        assert r.status == 405 and "GET" in r.get("Allow", "") and "CONNECT" not in r.get("Allow")
    else:
        assert r.status == 403 and not r.has("Allow")


# RFC 9110 §15
@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 207, 226, 299, 300, 303, 305, 306, 307, 308, 400, 401, 402, 403, 404, 406, 407, 409, 411, 412, 413,
                                    415, 418, 421, 422, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 508, 510, 511, 599])
def test_statuses_are_forwarded(way, status):
    way.on(answer("body", status=status, fields=["Cache-Control: no-store", "X-A: 1", "Retry-After: 1"]))
    r = way.ask()
    assert (r.status, r.body, r.get("X-A")) == (status, b"body", "1")


@pytest.mark.parametrize("status", [600, 999])
def test_invalid_statuses(way, status):
    """RFC 9110 §15: as a server error, and nothing is stored."""
    way.on(answer("1", status=status, fields=[FRESH]), answer("2", fields=[FRESH]))
    r = way.ask()
    assert r.status == status or r.status >= 500
    way.settle()
    assert way.ask().body == b"2"


def test_redirects_are_the_clients(way):
    """RFC 9110 §15.4"""
    way.on(answer("", status=302, fields=["Location: " + way.url("/other")]))
    assert way.ask().status == 302 and way.count("/other") == 0


def test_205_has_no_content(way):
    """RFC 9110 §15.3.6"""
    way.on(answer("", status=205, fields=["Cache-Control: no-store"]))
    r = way.ask()
    assert r.status == 205 and r.body == b"" and r.get("Content-Length") == "0"


def test_https_on_a_plain_gateway(way):
    """RFC 9110 §7.4: https is not served over a connection without TLS by who is no proxy."""
    way.on(answer("plain", fields=[FRESH]))
    host = way.host if way.kind == "reverse" else f"127.0.0.1:{way.daemon.refused}"
    r = way.raw(f"GET https://{host}%P HTTP/1.1\r\nHost: {host}\r\n\r\n")
    assert r.status == (421 if way.kind == "reverse" else 502) and way.count() == 0


@pytest.mark.parametrize("target", ["http:///x", "http://:80/x", "https:///x"])
def test_empty_host(way, target):
    """RFC 9110 §4.2.1, §4.2.2"""
    assert way.raw(f"GET {target} HTTP/1.1\r\nHost: %H\r\n\r\n").status == 400


def test_conditions_of_options(way):
    """RFC 9110 §13.2.1: not evaluated with methods that select nothing."""
    way.on(answer("ok", fields=[FRESH, 'ETag: "v"']))
    way.ask()
    way.settle()
    assert way.ask('If-None-Match: "v"', method="OPTIONS").body == b"ok" and way.last().get("If-None-Match") == '"v"'


def test_conditions_where_nothing_can_be_stored(way):
    """RFC 9110 §13.2.1: who can't act as a cache forwards them."""
    way.on(lambda q, c: answer(status=304, fields=['ETag: "v"', "Cache-Control: no-store"]) if q.get("If-None-Match") == '"v"'
           else answer("body", fields=['ETag: "v"', "Cache-Control: no-store"]))
    way.ask()
    way.settle()
    assert way.ask('If-None-Match: "v"').status == 304
    assert way.ask('If-None-Match: "v"', "Cache-Control: no-store").status == 304 and way.last().get("If-None-Match") == '"v"'


def test_keys_are_normalised(way):
    """RFC 9110 §4.2.3"""
    way.origin.on("*", PLAIN)
    for path in ("/~a", "/b"):
        way.on(answer("x", fields=[FRESH]), path=path)
    way.on(answer("x", fields=[FRESH]), path="/%7ea")
    way.ask(path="/%7ea")
    way.settle()
    assert way.ask(path="/~a").cache.get("hit") and way.ask(path="/%7Ea").cache.get("hit")


def test_host_in_upper_case(way):
    """RFC 9110 §4.2.3"""
    way.on(answer("x", fields=[FRESH]))
    first = way.raw(f"GET http://localhost:{way.origin.port}%P HTTP/1.1\r\nHost: localhost:{way.origin.port}\r\n\r\n")
    way.settle()
    second = way.raw(f"GET HTTP://LOCALHOST:{way.origin.port}%P HTTP/1.1\r\nHost: x\r\n\r\n")
    assert first.status == 200 and second.cache.get("hit")
