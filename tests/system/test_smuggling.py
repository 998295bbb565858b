"""Malformed requests: each is refused with the connection closed, and nothing of it reaches an origin
(RFC 9112 §2.2, §3, §5, §6, §7, §11)."""

import pytest

from harness.client import Broken
from harness.message import answer

# (name, clause, status or statuses, request; %U is an absolute URL, %H its authority)
REFUSED = [
    ("length and chunked", "6.1", 400, "POST %U HTTP/1.1\r\nHost: %H\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("two lengths", "6.3", 400, "POST %U HTTP/1.1\r\nHost: %H\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"),
    ("listed lengths", "6.3", 400, "POST %U HTTP/1.1\r\nHost: %H\r\nContent-Length: 4, 5\r\n\r\nabcd"),
    ("signed length", "6.3", 400, "POST %U HTTP/1.1\r\nHost: %H\r\nContent-Length: +4\r\n\r\nabcd"),
    ("negative length", "6.3", 400, "POST %U HTTP/1.1\r\nHost: %H\r\nContent-Length: -1\r\n\r\n"),
    ("hex length", "6.3", 400, "POST %U HTTP/1.1\r\nHost: %H\r\nContent-Length: 0x4\r\n\r\nabcd"),
    ("empty length", "6.3", 400, "POST %U HTTP/1.1\r\nHost: %H\r\nContent-Length: \r\n\r\n"),
    ("huge length", "6.3", 400, "POST %U HTTP/1.1\r\nHost: %H\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
    ("unknown coding", "6.1", (400, 501), "POST %U HTTP/1.1\r\nHost: %H\r\nTransfer-Encoding: gzip\r\n\r\n"),
    ("chunked not last", "6.1", (400, 501), "POST %U HTTP/1.1\r\nHost: %H\r\nTransfer-Encoding: chunked, gzip\r\n\r\n"),
    ("chunked twice", "7.1", (400, 501), "POST %U HTTP/1.1\r\nHost: %H\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ("chunked twice, two lines", "7.1", (400, 501), "POST %U HTTP/1.1\r\nHost: %H\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("identity", "6.1", (400, 501), "POST %U HTTP/1.1\r\nHost: %H\r\nTransfer-Encoding: identity\r\n\r\n"),
    ("vertical tab before chunked", "6.1", (400, 501), "POST %U HTTP/1.1\r\nHost: %H\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    ("quoted chunked", "6.1", (400, 501), "POST %U HTTP/1.1\r\nHost: %H\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    ("chunked in HTTP/1.0", "6.1", 400, "POST %U HTTP/1.0\r\nHost: %H\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("space before colon", "5.1", 400, "GET %U HTTP/1.1\r\nHost: %H\r\nContent-Length : 0\r\n\r\n"),
    ("tab before colon", "5.1", 400, "GET %U HTTP/1.1\r\nHost: %H\r\nX-A\t: 0\r\n\r\n"),
    ("folded line", "5.2", 400, "GET %U HTTP/1.1\r\nHost: %H\r\nX-A: 1\r\n two\r\n\r\n"),
    ("first line folded", "2.2", 400, "GET %U HTTP/1.1\r\n X-A: 1\r\nHost: %H\r\n\r\n"),
    ("bare CR in a value", "2.2", 400, "GET %U HTTP/1.1\r\nHost: %H\r\nX-A: 1\rX-B: 2\r\n\r\n"),
    ("bare CR ends lines", "2.2", 400, "GET %U HTTP/1.1\rHost: %H\r\r\n\r\n"),
    ("NUL in a value", "5.5", 400, "GET %U HTTP/1.1\r\nHost: %H\r\nX-A: 1\x002\r\n\r\n"),
    ("NUL in a name", "5.1", 400, "GET %U HTTP/1.1\r\nHost: %H\r\nX\x00A: 1\r\n\r\n"),
    ("no colon", "5", 400, "GET %U HTTP/1.1\r\nHost: %H\r\nnonsense\r\n\r\n"),
    ("empty name", "5.1", 400, "GET %U HTTP/1.1\r\nHost: %H\r\n: value\r\n\r\n"),
    ("name with a slash", "5.1", 400, "GET %U HTTP/1.1\r\nHost: %H\r\nX/Y: value\r\n\r\n"),
    ("obs-text in a name", "5.1", 400, "GET %U HTTP/1.1\r\nHost: %H\r\nX\xffY: value\r\n\r\n"),
    ("two hosts", "3.2", 400, "GET %U HTTP/1.1\r\nHost: %H\r\nHost: %H\r\n\r\n"),
    ("no host", "3.2", 400, "GET /x HTTP/1.1\r\n\r\n"),
    ("host with a path", "3.2", 400, "GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    ("host with user", "3.2", 400, "GET /x HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    ("host list", "3.2", 400, "GET /x HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    ("space in the target", "3", 400, "GET %U/a b HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("control in the target", "3.2", 400, "GET %U/a\x01b HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("fragment", "3.2", 400, "GET %U/a#b HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("userinfo", "9110-4.2.4", 400, "GET http://user:pw@%H/ HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("backslash in the authority", "3.2", 400, "GET http://a\\b/ HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("port out of bounds", "9110-4.2", 400, "GET http://127.0.0.1:99999/ HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("empty authority", "9110-4.2.1", 400, "GET http:///x HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("other scheme", "3.2.2", 400, "GET gopher://%H/ HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("target *", "3.2.4", 400, "GET * HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("no version", "2.3", (400, 505), "GET %U\r\nHost: %H\r\n\r\n"),
    ("HTTP/2.0", "2.3", (400, 505), "GET %U HTTP/2.0\r\nHost: %H\r\n\r\n"),
    ("HTTP/1.10", "2.3", (400, 505), "GET %U HTTP/1.10\r\nHost: %H\r\n\r\n"),
    ("lower case http", "2.3", (400, 505), "GET %U http/1.1\r\nHost: %H\r\n\r\n"),
    ("two spaces", "3", 400, "GET  %U HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("tab in the request line", "3", 400, "GET\t%U HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("space at the line's end", "3", 400, "GET %U HTTP/1.1 \r\nHost: %H\r\n\r\n"),
    ("method with a bracket", "3.1", 400, "G(T %U HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("no method", "3", 400, " %U HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("TLS hello", "3", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    ("HTTP/2 preface", "3", (400, 505), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("CONNECT without port", "9110-9.3.6", 400, "CONNECT example HTTP/1.1\r\nHost: example\r\n\r\n"),
    ("CONNECT with a path", "9110-9.3.6", 400, "CONNECT example:443/x HTTP/1.1\r\nHost: example:443\r\n\r\n"),
    ("CONNECT port 0", "9110-9.3.6", (400, 403), "CONNECT example:0 HTTP/1.1\r\nHost: example:0\r\n\r\n"),
]


def fill(text, origin):
    """Puts the origin's names in."""
    return text.replace("%U", origin.url("").rstrip("/")).replace("%H", origin.authority)


@pytest.mark.parametrize("clause, status, text", [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refused(proxy, origin, connect, clause, status, text):
    origin.on("*", answer("leak", fields=["Cache-Control: max-age=600"]))
    c = connect(proxy.port)
    c.send(fill(text, origin) + fill("GET %U/second HTTP/1.1\r\nHost: %H\r\n\r\n", origin))
    r = c.response()
    assert r.status in (status if isinstance(status, tuple) else (status,)), (clause, r.raw)
    assert r.has("Proxy-Status") and r.get("Connection", "").lower() == "close"
    try:
        rest = c.rest()
    except ConnectionError:
        rest = b""
    assert rest == b"" and origin.count() == 0


# (name, chunked body): the head is right, the body is not.
BAD_CHUNKS = [
    ("no size", "\r\nabc\r\n0\r\n\r\n"), ("not hex", "xyz\r\nabc\r\n0\r\n\r\n"), ("signed", "+3\r\nabc\r\n0\r\n\r\n"),
    ("0x", "0x3\r\nabc\r\n0\r\n\r\n"), ("too long data", "3\r\nabcdef\r\n0\r\n\r\n"), ("bare LF after size", "3\nabc\r\n0\r\n\r\n"),
    ("bare LF after data", "3\r\nabc\n0\r\n\r\n"), ("overflow", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    ("space before size", " 3\r\nabc\r\n0\r\n\r\n"), ("NUL in an extension", "3;a=\x00\r\nabc\r\n0\r\n\r\n"),
    ("CR in an extension", "3;a=\rb\r\nabc\r\n0\r\n\r\n"), ("bad trailer", "3\r\nabc\r\n0\r\nno colon\r\n\r\n"),
    ("endless extension", "3;" + "a" * 100000 + "\r\nabc\r\n0\r\n\r\n"),
]


@pytest.mark.parametrize("body", [r[1] for r in BAD_CHUNKS], ids=[r[0] for r in BAD_CHUNKS])
def test_bad_chunks(proxy, origin, connect, body):
    origin.on("*", answer("ok", fields=["Cache-Control: no-store"]))
    c = connect(proxy.port)
    c.send(fill("POST %U/first HTTP/1.1\r\nHost: %H\r\nTransfer-Encoding: chunked\r\n\r\n", origin))
    try:
        c.send(body + fill("GET %U/second HTTP/1.1\r\nHost: %H\r\n\r\n", origin))
        r = c.response()
        assert r.status in (400, 502), r.raw
        c.rest()
    except (Broken, ConnectionError):
        pass
    assert origin.count("/second") == 0
    assert all(q.body_broken for q in origin.requests), "the origin took a broken body for complete"


def test_bare_lf_between_lines_is_tolerated_or_refused(proxy, origin, connect):
    """RFC 9112 §2.2 permits it; either way the field must not be lost or merged."""
    origin.on("*", answer("ok", fields=["Cache-Control: no-store"]))
    c = connect(proxy.port)
    c.send(fill("GET %U/lf HTTP/1.1\nHost: %H\nX-A: 1\n\n", origin))
    r = c.response()
    if r.status == 200:
        assert origin.last().get("X-A") == "1" and "\n" not in origin.last().get("X-A")
    else:
        assert r.status == 400


def test_empty_lines_before_a_request(proxy, origin, connect):
    """RFC 9112 §2.2"""
    origin.on("*", answer("ok", fields=["Cache-Control: no-store"]))
    c = connect(proxy.port)
    c.send("\r\n" + fill("GET %U/x HTTP/1.1\r\nHost: %H\r\n\r\n", origin))
    assert c.response().status == 200


def test_body_of_a_get_is_not_a_request(proxy, origin, connect):
    inner = fill("GET %U/inner HTTP/1.1\r\nHost: %H\r\n\r\n", origin)
    origin.on("*", answer("ok", fields=["Cache-Control: no-store"]))
    c = connect(proxy.port)
    c.send(fill(f"GET %U/outer HTTP/1.1\r\nHost: %H\r\nContent-Length: {len(inner)}\r\n\r\n{inner}", origin))
    assert c.response().status in (200, 400)
    assert origin.count("/inner") == 0


def test_hit_does_not_leave_a_request_body_in_the_stream(proxy, origin, connect):
    """A GET with a body that is answered from the store: its body is no next request."""
    origin.on("*", answer("ok", fields=["Cache-Control: max-age=600"]))
    proxy.get(origin.url("/outer"))
    proxy.settle()
    inner = fill("GET %U/inner HTTP/1.1\r\nHost: %H\r\n\r\n", origin)
    c = connect(proxy.port)
    c.send(fill(f"GET %U/outer HTTP/1.1\r\nHost: %H\r\nContent-Length: {len(inner)}\r\n\r\n{inner}", origin))
    assert c.response().status in (200, 400)
    assert c.closed(1) or c.silent()
    assert origin.count("/inner") == 0


def test_connection_header_cannot_strip_framing(proxy, origin, connect):
    origin.on("*", answer("ok", fields=["Cache-Control: no-store"]))
    c = connect(proxy.port)
    c.send(fill("POST %U/x HTTP/1.1\r\nHost: %H\r\nConnection: content-length\r\nContent-Length: 3\r\n\r\nabc", origin))
    assert c.response().status == 200
    assert origin.last().body == b"abc"


def test_header_injection_by_escapes_is_not_decoded(proxy, origin):
    origin.on("*", answer("ok", fields=["Cache-Control: no-store"]))
    proxy.get(origin.url("/a%0d%0aX-Evil:%201"))
    assert origin.last().start == "GET /a%0d%0aX-Evil:%201 HTTP/1.1" and not origin.last().has("X-Evil")
