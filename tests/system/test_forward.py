"""The forward proxy: what reaches the origin, what comes back (RFC 9110 §7, RFC 9112 §3)."""

import socket

import pytest

from harness.message import answer
from harness.wait import free_port

PLAIN = answer("hello", fields=["Cache-Control: no-store", "Content-Type: text/plain"])


def test_bytes_come_through(proxy, origin):
    origin.on("/a", answer(bytes(range(256)) * 40, fields=["X-Odd:  spaced value ", "Cache-Control: no-store"]))
    r = proxy.get(origin.url("/a"))
    assert r.status == 200 and r.body == bytes(range(256)) * 40
    assert r.get("X-Odd") == "spaced value"


def test_request_becomes_origin_form(proxy, origin):
    origin.on("*", PLAIN)
    proxy.get(origin.url("/p/%7ea?q=1&r=%20"), "X-One: 1", "Accept: */*")
    req = origin.last()
    assert req.start == "GET /p/%7ea?q=1&r=%20 HTTP/1.1"
    assert req.fields[0] == ("Host", origin.authority)
    assert req.get("X-One") == "1" and req.get("Accept") == "*/*"


def test_nothing_is_invented(proxy, origin):
    origin.on("*", PLAIN)
    proxy.get(origin.url("/"))
    names = {n.lower() for n, _ in origin.last().fields}
    assert names <= {"host", "via", "cdn-loop"}, names


def test_field_order_and_case_survive(proxy, origin):
    origin.on("*", answer("x", fields=["x-B: 1", "X-a: 2", "Set-Cookie: a=1", "Set-Cookie: b=2", "x-B: 3",
                                       "Cache-Control: no-store"]))
    r = proxy.get(origin.url("/"), "x-Zed: 1", "X-alpha: 2", "x-Zed: 3")
    assert [f for f in origin.last().fields if f[0].lower().startswith("x-")] == [
        ("x-Zed", "1"), ("X-alpha", "2"), ("x-Zed", "3")]
    assert [f for f in r.fields if f[0].lower() in ("x-b", "x-a", "set-cookie")] == [
        ("x-B", "1"), ("X-a", "2"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("x-B", "3")]


# RFC 9110 §7.6.1: what stands for this hop alone is not forwarded.
@pytest.mark.parametrize("fields, gone", [
    (["Connection: x-this, keep-alive", "X-This: 1"], ["x-this", "connection"]),
    (["Keep-Alive: timeout=5"], ["keep-alive"]),
    (["Proxy-Connection: keep-alive"], ["proxy-connection"]),
    (["TE: gzip", "Connection: TE"], ["te"]),
    (["Proxy-Authorization: Basic eDp5"], ["proxy-authorization"]),
], ids=["connection-names", "keep-alive", "proxy-connection", "te", "proxy-authorization"])
def test_hop_by_hop_request_fields_stay_here(proxy, origin, fields, gone):
    origin.on("*", PLAIN)
    proxy.get(origin.url("/"), *fields)
    for name in gone:
        assert not origin.last().has(name), name


def test_hop_by_hop_response_fields_stay_here(proxy, origin):
    origin.on("/", answer("x", fields=["Connection: X-Secret", "X-Secret: 1", "Keep-Alive: timeout=9",
                                       "Proxy-Connection: close", "X-Open: 1", "Cache-Control: no-store"]))
    r = proxy.get(origin.url("/"))
    assert r.get("X-Open") == "1"
    for name in ("X-Secret", "Keep-Alive", "Proxy-Connection"):
        assert not r.has(name), name


def test_connection_cannot_name_essential_fields_away(proxy, origin):
    origin.on("/", answer("x", fields=["Connection: cache-control, content-length", "Cache-Control: no-store"]))
    r = proxy.get(origin.url("/"), "Connection: host, authorization", "Authorization: Basic eDp5")
    assert origin.last().has("Host") and origin.last().get("Authorization") == "Basic eDp5"
    assert r.get("Cache-Control") == "no-store"


def test_via_both_ways(proxy, origin):
    origin.on("/", answer("x", fields=["Via: 1.1 upstream", "Cache-Control: no-store"]))
    r = proxy.get(origin.url("/"), "Via: 1.0 before")
    assert origin.last().get("Via").startswith("1.0 before, 1.1 ")
    assert r.get("Via").startswith("1.1 upstream, 1.1 ")


def test_via_off(larder, origin):
    origin.on("/", PLAIN)
    d = larder("forward", options=["via=off"])
    r = d.get(origin.url("/"))
    assert not r.has("Via") and not origin.last().has("Via")


def test_via_in_responses_only(larder, origin):
    origin.on("/", PLAIN)
    d = larder("forward", options=["via=response"])
    assert d.get(origin.url("/")).has("Via") and not origin.last().has("Via")


def test_loop_is_refused(larder, origin):
    d = larder("forward", options=["pseudonym=oneself"])
    r = d.get(origin.url("/"), "Via: 1.1 oneself")
    assert r.status in (400, 508) and origin.count() == 0
    assert "loop" in r.proxy.get("error", "") + r.get("Proxy-Status", "")


def test_loop_through_itself_ends(larder):
    d = larder("forward", options=["pseudonym=mirror"])
    r = d.get(f"http://127.0.0.1:{d.port}/")
    assert r.status >= 400
    assert d.stat("exchange.requests") + d.stat("client.bad_requests") < 10


def test_pseudonym_names_cache_status_and_via(larder, origin):
    origin.on("/", PLAIN)
    d = larder("forward", options=["pseudonym=pantry"])
    r = d.get(origin.url("/"))
    assert r.cache["name"] == "pantry" and "pantry" in r.get("Via")
    assert "pantry" in origin.last().get("Via")


def test_absolute_form_wins_over_host(proxy, origin):
    origin.on("/", PLAIN)
    assert proxy.get(origin.url("/"), "Host: elsewhere.example").status == 200
    assert origin.last().get("Host") == origin.authority


def test_strict_host(larder, origin):
    origin.on("/", PLAIN)
    d = larder("forward", options=["strict_host=yes"])
    assert d.get(origin.url("/"), "Host: elsewhere.example").status == 400
    assert origin.count() == 0
    assert d.get(origin.url("/"), f"Host: {origin.authority}").status == 200


def test_http10_client(proxy, origin, connect):
    origin.on("/", PLAIN)
    c = connect(proxy.port)
    c.send(f"GET {origin.url('/')} HTTP/1.0\r\n\r\n")
    r = c.response()
    assert r.status == 200 and r.body == b"hello" and c.closed()
    assert origin.last().start.endswith("HTTP/1.1")


def test_http10_keep_alive(proxy, origin, connect):
    origin.on("/", PLAIN)
    c = connect(proxy.port)
    for _ in range(2):
        c.send(f"GET {origin.url('/')} HTTP/1.0\r\nHost: {origin.authority}\r\nConnection: keep-alive\r\n\r\n")
        r = c.response()
        assert r.status == 200
        if r.get("Connection", "").lower() != "keep-alive":
            break
    assert r.body == b"hello"


def test_http10_client_of_a_chunked_origin(proxy, origin, connect):
    origin.on("/", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: no-store\r\n\r\n"
                   b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    c = connect(proxy.port)
    c.send(f"GET {origin.url('/')} HTTP/1.0\r\n\r\n")
    r = c.response()
    assert not r.has("Transfer-Encoding") and r.body == b"abcde" and c.closed()


def test_http10_origin(proxy, origin):
    origin.on("/", lambda q, c: (c.send(b"HTTP/1.0 200 OK\r\nCache-Control: no-store\r\n\r\nold"), c.close())[0] and None)
    r = proxy.get(origin.url("/"))
    assert r.status == 200 and r.body == b"old" and r.minor == 1


def test_keep_alive_to_both_sides(proxy, origin, connect):
    origin.on("*", PLAIN)
    c = connect(proxy.port)
    for i in range(20):
        assert c.get(origin.url(f"/{i}")).body == b"hello"
    assert origin.connections == 1


def test_connection_close_is_honoured(proxy, origin, connect):
    origin.on("/", PLAIN)
    c = connect(proxy.port)
    r = c.get(origin.url("/"), "Connection: close")
    assert r.get("Connection", "").lower() == "close" and c.closed()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND", "REPORT", "OPTIONS", "BREW"])
def test_methods_pass(proxy, origin, method):
    origin.on("/m", PLAIN)
    with proxy.client() as c:
        r = c.request(method, origin.url("/m"), body=b"some=body")
    assert r.status == 200 and r.body == b"hello"
    assert origin.last().method == method and origin.last().body == b"some=body"
    assert r.cache.get("fwd") == "method"


def test_refused_connection(proxy):
    r = proxy.get(f"http://127.0.0.1:{free_port()}/")
    assert r.status == 502 and r.proxy["error"] == "connection_refused"


def test_unresolvable_name(proxy):
    r = proxy.get("http://nowhere.invalid/")
    assert r.status == 502 and r.proxy["error"] == "dns_error"


def test_silent_origin_times_out(larder, origin):
    d = larder("forward", options=["first_byte_timeout=300ms"])
    origin.on("/", lambda q, c: c.peer_gone() and None)
    r = d.get(origin.url("/"))
    assert r.status == 504 and r.proxy["error"] == "http_response_timeout"


def test_origin_that_stalls_in_a_body(larder, origin, connect):
    d = larder("forward", options=["stall_timeout=300ms"])
    origin.on("/", lambda q, c: (c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nCache-Control: max-age=60\r\n\r\nabc"),
                                 c.peer_gone())[1] and None)
    c = connect(d.port)
    c.send(c.compose("GET", origin.url("/")))
    assert c.head().status == 200
    assert c.rest() == b"abc"


def test_origin_that_cannot_be_reached_in_time(larder):
    d = larder("forward", options=["connect_timeout=300ms"])
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fill = [socket.socket() for _ in range(4)]
        for s in fill:
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", port))
        r = d.get(f"http://127.0.0.1:{port}/")
        assert r.status == 504 and r.proxy["error"] == "connection_timeout"
        for s in fill:
            s.close()


def test_ipv6_origin(proxy, origins):
    o = origins(host="::1")
    o.on("/", PLAIN)
    assert proxy.get(o.url("/")).body == b"hello"
    assert o.last().get("Host") == f"[::1]:{o.port}"


def test_localhost_by_name(proxy, origin):
    origin.on("/", PLAIN)
    assert proxy.get(f"http://LocalHost:{origin.port}/").body == b"hello"


def test_origin_form_on_a_forward_listener(proxy, connect):
    c = connect(proxy.port)
    r = c.get("/", host=f"127.0.0.1:{proxy.port}")
    assert r.status in (400, 404, 421, 508)


def test_dead_pooled_connection_is_replaced(proxy, origin):
    def close_after(req, conn):
        conn.send(PLAIN)
        conn.close()
    origin.on("*", close_after)
    for i in range(10):
        assert proxy.get(origin.url(f"/{i}")).status == 200


def test_post_is_not_repeated(proxy, origin):
    origin.on("/", lambda q, c: c.close())
    with proxy.client() as c:
        r = c.request("POST", origin.url("/"), body=b"once")
    assert r.status == 502 and origin.count() == 1


def test_client_that_leaves_does_no_harm(proxy, origin, connect):
    origin.on("/slow", lambda q, c: c.peer_gone(5) and None)
    c = connect(proxy.port)
    c.send(c.compose("GET", origin.url("/slow")))
    origin.wait(1)
    c.reset()
    origin.on("/", PLAIN)
    assert proxy.get(origin.url("/")).status == 200
    proxy.settle()
