"""RFC 9112 §2 to §7: how messages are told apart, both ways."""

import pytest

from harness.message import chunked
from way import FRESH, Broken, answer

PLAIN = answer("ok", fields=["Cache-Control: no-store"])
G, P = "GET %T HTTP/1.1\r\nHost: %H\r\n", "POST %T HTTP/1.1\r\nHost: %H\r\n"

# (name, statuses that may answer, request): nothing of it reaches the origin, and the connection is closed.
BAD_REQUESTS = [
    ("length and chunked", 400, P + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("two lengths", 400, P + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"),
    ("listed lengths", 400, P + "Content-Length: 4, 5\r\n\r\nabcd"),
    ("signed length", 400, P + "Content-Length: +4\r\n\r\nabcd"),
    ("negative length", 400, P + "Content-Length: -1\r\n\r\n"),
    ("hex length", 400, P + "Content-Length: 0x4\r\n\r\nabcd"),
    ("empty length", 400, P + "Content-Length: \r\n\r\n"),
    ("length with space", 400, P + "Content-Length: 4 4\r\n\r\nabcd"),
    ("huge length", (400, 413), P + "Content-Length: 99999999999999999999999\r\n\r\nabc"),
    ("unknown coding", (400, 501), P + "Transfer-Encoding: gzip\r\n\r\n"),
    ("unknown coding and chunked", 501, P + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("chunked not last", 400, P + "Transfer-Encoding: chunked, gzip\r\n\r\n"),
    ("chunked twice", (400, 501), P + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ("identity", (400, 501), P + "Transfer-Encoding: identity\r\n\r\n"),
    ("tab before chunked", (400, 501), P + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    ("quoted chunked", (400, 501), P + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    ("chunked with parameter", (400, 501), P + "Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n"),
    ("chunked in 1.0", 400, "POST %T HTTP/1.0\r\nHost: %H\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("space before colon", 400, G + "X-A : 0\r\n\r\n"),
    ("tab before colon", 400, G + "X-A\t: 0\r\n\r\n"),
    ("length, space before colon", 400, P + "Content-Length : 4\r\n\r\nabcd"),
    ("folded", 400, G + "X-A: 1\r\n two\r\n\r\n"),
    ("folded with a tab", 400, G + "X-A: 1\r\n\ttwo\r\n\r\n"),
    ("white space before the first field", 400, "GET %T HTTP/1.1\r\n X-A: 1\r\nHost: %H\r\n\r\n"),
    ("bare CR in a value", 400, G + "X-A: 1\rX-B: 2\r\n\r\n"),
    ("bare LF", 400, "GET %T HTTP/1.1\nHost: %H\nX-A: 1\n\n"),
    ("bare CR in the request line", 400, "GET %T\r HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("NUL in a value", 400, G + "X-A: 1\x002\r\n\r\n"),
    ("no colon", 400, G + "nonsense\r\n\r\n"),
    ("empty name", 400, G + ": value\r\n\r\n"),
    ("no token", 400, G + "X/Y: value\r\n\r\n"),
    ("obs-text in a name", 400, G + "X\xffY: value\r\n\r\n"),
    ("two hosts", 400, G + "Host: %H\r\n\r\n"),
    ("no host", 400, "GET %T HTTP/1.1\r\n\r\n"),
    ("host with a path", 400, "GET %T HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    ("host with user", 400, "GET %T HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    ("host list", 400, "GET %T HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    ("host with a bad port", 400, "GET %T HTTP/1.1\r\nHost: a:b\r\n\r\n"),
    ("space in the target", 400, "GET %T/a b HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("control in the target", 400, "GET %T/a\x01b HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("fragment", 400, "GET %T#b HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("asterisk", 400, "GET * HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("authority-form", 400, "GET %H HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("userinfo", 400, "GET http://user:pw@%H/ HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("no version", (400, 505), "GET %T\r\nHost: %H\r\n\r\n"),
    ("version 2", (400, 505), "GET %T HTTP/2.0\r\nHost: %H\r\n\r\n"),
    ("lower case http", (400, 505), "GET %T http/1.1\r\nHost: %H\r\n\r\n"),
    ("version of many digits", (400, 505), "GET %T HTTP/1.10\r\nHost: %H\r\n\r\n"),
    ("two spaces", 400, "GET  %T HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("tab in the request line", 400, "GET\t%T HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("space at the line's end", 400, "GET %T HTTP/1.1 \r\nHost: %H\r\n\r\n"),
    ("no token as method", 400, "G(T %T HTTP/1.1\r\nHost: %H\r\n\r\n"),
    ("no HTTP", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
]


@pytest.mark.parametrize("status, text", [r[1:] for r in BAD_REQUESTS], ids=[r[0] for r in BAD_REQUESTS])
def test_bad_request(way, status, text):
    way.on(PLAIN)
    c = way.client()
    c.send(way.fill(text + G.replace("%T", "%T/second") + "\r\n"))
    r = c.response()
    assert r.status in (status if isinstance(status, tuple) else (status,)), r.raw
    assert r.get("Connection", "").lower() == "close"
    try:
        rest = c.rest()
    except ConnectionError:
        rest = b""
    assert rest == b"" and way.count() == way.count("/second") == 0


# (name, request after the head, whether it is taken)
BAD_CHUNKS = [
    ("no size", "\r\nabc\r\n0\r\n\r\n"), ("not hex", "xyz\r\nabc\r\n0\r\n\r\n"), ("signed", "+3\r\nabc\r\n0\r\n\r\n"),
    ("0x", "0x3\r\nabc\r\n0\r\n\r\n"), ("longer than said", "3\r\nabcdef\r\n0\r\n\r\n"), ("overflow", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    ("wraps to 3", "10000000000000003\r\nabc\r\n0\r\n\r\n"), ("space before size", " 3\r\nabc\r\n0\r\n\r\n"),
    ("bare LF after size", "3\nabc\r\n0\r\n\r\n"), ("bare LF after data", "3\r\nabc\n0\r\n\r\n"),
    ("NUL in an extension", "3;a=\x00\r\nabc\r\n0\r\n\r\n"), ("CR in an extension", "3;a=\rb\r\nabc\r\n0\r\n\r\n"),
    ("bad trailer", "3\r\nabc\r\n0\r\nno colon\r\n\r\n"), ("endless extension", "3;" + "a" * 100000 + "\r\nabc\r\n0\r\n\r\n"),
]


@pytest.mark.parametrize("body", [r[1] for r in BAD_CHUNKS], ids=[r[0] for r in BAD_CHUNKS])
def test_bad_chunks(way, body):
    way.on(PLAIN)
    c = way.client()
    c.send(way.fill(P + "Transfer-Encoding: chunked\r\n\r\n"))
    try:
        c.send(body + way.fill(G.replace("%T", "%T/second") + "\r\n"))
        assert c.response().status in (400, 413, 431, 502)
        c.rest()
    except (Broken, ConnectionError):
        pass
    assert way.count("/second") == 0 and all(r.body_broken for r in way.seen())


# (name, body as chunks, content, trailers)
GOOD_CHUNKS = [
    ("one", "3\r\nabc\r\n0\r\n\r\n", b"abc"), ("two", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc"), ("none", "0\r\n\r\n", b""),
    ("upper case", "A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"), ("lower case", "a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    ("leading zeros", "0003\r\nabc\r\n000\r\n\r\n", b"abc"), ("extension", "3;a\r\nabc\r\n0;b=c\r\n\r\n", b"abc"),
    ("quoted extension", "3;a=\"b;\\\"c\"\r\nabc\r\n0\r\n\r\n", b"abc"), ("spaces around an extension", "3 ; a = b\r\nabc\r\n0\r\n\r\n", b"abc"),
    ("CRLF in data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"), ("trailer", "3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", b"abc"),
]


@pytest.mark.parametrize("body, content", [r[1:] for r in GOOD_CHUNKS], ids=[r[0] for r in GOOD_CHUNKS])
def test_good_chunks(way, body, content):
    """Of requests, and of answers."""
    way.on(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n" + body.encode())
    c = way.client()
    c.send(way.fill(P + "Transfer-Encoding: chunked\r\n\r\n") + body)
    r = c.response()
    assert r.status == 200 and r.body == content and way.last().body == content
    assert c.request("GET", way.target(), host=way.host).body == content


@pytest.mark.parametrize("case", ["chunked", "Chunked", "CHUNKED"])
def test_names_of_codings_in_any_case(way, case):
    """§7"""
    way.on(f"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nTransfer-Encoding: {case}\r\n\r\n".encode() + chunked([b"abc"]))
    r = way.raw(P + f"Transfer-Encoding: {case}\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert r.body == way.last().body == b"abc"


OK = b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 2094 08:49:37 GMT\r\nCache-Control: max-age=600\r\n"

# (name, answer): 502, and nothing is stored of it.
BAD_RESPONSES = [
    ("garbage", b"\x00\x01\x02\x03\r\n\r\n"), ("HTTP/0.9", b"<html>hello</html>"),
    ("version 2", b"HTTP/2.0 200 OK\r\nContent-Length: 1\r\n\r\nx"), ("version 1.10", b"HTTP/1.10 200 OK\r\nContent-Length: 1\r\n\r\nx"),
    ("no status", b"HTTP/1.1\r\n\r\n"), ("short status", b"HTTP/1.1 20 OK\r\nContent-Length: 1\r\n\r\nx"),
    ("long status", b"HTTP/1.1 2000 OK\r\nContent-Length: 1\r\n\r\nx"), ("status 099", b"HTTP/1.1 099 OK\r\nContent-Length: 1\r\n\r\nx"),
    ("length and chunked", OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([b"abc"])),
    ("two lengths", OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), ("listed lengths", OK + b"Content-Length: 3, 4\r\n\r\nabcd"),
    ("signed length", OK + b"Content-Length: +3\r\n\r\nabc"), ("negative length", OK + b"Content-Length: -3\r\n\r\nabc"),
    ("length in words", OK + b"Content-Length: three\r\n\r\nabc"), ("huge length", OK + b"Content-Length: 99999999999999999999999999\r\n\r\nabc"),
    ("chunked in 1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([b"abc"])),
    ("chunked twice", OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + chunked([b"abc"])),
    ("folded", OK + b"X-A: 1\r\n folded\r\nContent-Length: 1\r\n\r\nx"), ("no colon", OK + b"nonsense\r\nContent-Length: 1\r\n\r\nx"),
    ("empty name", OK + b": value\r\nContent-Length: 1\r\n\r\nx"), ("NUL in a value", OK + b"X-A: a\x00b\r\nContent-Length: 1\r\n\r\nx"),
    ("bare CR in a value", OK + b"X-A: a\rX-B: b\r\nContent-Length: 1\r\n\r\nx"), ("half a head", OK + b"Content-Le"),
    ("length, space before colon", OK + b"Content-Length : 1\r\n\r\nx"),
    ("chunked, space before colon", OK + b"Transfer-Encoding : chunked\r\n\r\n" + chunked([b"abc"])),
    ("bare LF", b"HTTP/1.1 200 OK\nCache-Control: max-age=600\nContent-Length: 3\n\nabc"),
    ("white space before the first field", b"HTTP/1.1 200 OK\r\n X-A: 1\r\nContent-Length: 1\r\n\r\nx"),
]


@pytest.mark.parametrize("data", [r[1] for r in BAD_RESPONSES], ids=[r[0] for r in BAD_RESPONSES])
def test_bad_response(way, data):
    def script(req, conn):
        conn.send(data)
        conn.close()
    way.on(script)
    r = way.ask()
    assert r.status == 502 and r.has("Proxy-Status"), r.raw
    way.settle()
    way.on(answer("well", fields=[FRESH]))
    assert way.ask().body == b"well"


def test_white_space_before_a_colon_of_an_answer(way):
    """§5.1: a proxy removes it."""
    way.on(OK + b"X-A : 1\r\nX-B\t: 2\r\nContent-Length: 4\r\n\r\nbody")
    a, b = way.twice()
    for r in (a, b):
        assert r.status == 200 and r.body == b"body" and r.get("X-A") == "1" and r.get("X-B") == "2"


# (name, answer, whether the connection is closed, content)
GOOD_RESPONSES = [
    ("length", OK + b"Content-Length: 3\r\n\r\nabc", False, b"abc"), ("no length", OK + b"\r\nabc", True, b"abc"),
    ("length 0", OK + b"Content-Length: 0\r\n\r\n", False, b""), ("chunks", OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked([b"ab", b"c"]), False, b"abc"),
    ("1.0", b"HTTP/1.0 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 3\r\n\r\nabc", True, b"abc"),
    ("1.0 without length", b"HTTP/1.0 200 OK\r\nCache-Control: max-age=600\r\n\r\nabc", True, b"abc"),
    ("no reason", b"HTTP/1.1 200 \r\nCache-Control: max-age=600\r\nContent-Length: 3\r\n\r\nabc", False, b"abc"),
    ("no space after the status", b"HTTP/1.1 200\r\nCache-Control: max-age=600\r\nContent-Length: 3\r\n\r\nabc", False, b"abc"),
    ("odd reason", b"HTTP/1.1 200 All \xfcber\r\nCache-Control: max-age=600\r\nContent-Length: 3\r\n\r\nabc", False, b"abc"),
    ("empty value", OK + b"X-A:\r\nContent-Length: 3\r\n\r\nabc", False, b"abc"),
    ("length with leading zeros", OK + b"Content-Length: 003\r\n\r\nabc", False, b"abc"),
]


@pytest.mark.parametrize("data, closes, content", [r[1:] for r in GOOD_RESPONSES], ids=[r[0] for r in GOOD_RESPONSES])
def test_good_response(way, data, closes, content):
    def script(req, conn):
        conn.send(data)
        if closes:
            conn.close()
    way.on(script)
    a, b = way.twice()
    for r in (a, b):
        assert r.status == 200 and r.body == content and r.minor == 1, r.raw
        assert len(r.all("Content-Length")) + len(r.all("Transfer-Encoding")) == 1 or r.get("Connection") == "close"
    assert b.cache.get("hit") and way.count() == 1


@pytest.mark.parametrize("lengths", ["Content-Length: 3\r\nContent-Length: 3\r\n", "Content-Length: 3, 3\r\n"], ids=["lines", "list"])
def test_the_same_length_twice(way, lengths):
    """§6.3, RFC 9110 §8.6: refused, or taken as one."""
    way.on(OK + lengths.encode() + b"\r\nabc")
    r = way.ask()
    assert r.status == 502 or (r.body == b"abc" and r.all("Content-Length") == ["3"])
    r = way.raw(P + lengths + "\r\nabc")
    assert r.status in (400, 200, 502) and all(q.body == b"abc" and q.all("Content-Length") == ["3"] for q in way.seen() if q.method == "POST")


@pytest.mark.parametrize("status", [204, 304, 205])
def test_statuses_without_content(way, status):
    """§6.3: the next answer begins right after the head; RFC 9110 §8.6, §15.3.5."""
    way.on(answer("", status=status, fields=["Cache-Control: no-store", 'ETag: "v"'], length=status == 205))
    c = way.client()
    for _ in range(2):
        r = c.request("GET", way.target(), ['If-None-Match: "v"'] if status == 304 else [], host=way.host)
        assert r.status == status and r.body == b"" and not r.has("Transfer-Encoding")
        assert not r.has("Content-Length") or status != 204


def test_204_with_a_length_and_a_body(way):
    """§6.3, RFC 9110 §8.6: no content whatever the fields say; what follows is no answer (§6.3, §9.2)."""
    def script(req, conn):
        conn.send(b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\nCache-Control: no-store\r\n\r\n")
    way.on(script)
    r = way.ask()
    assert r.status == 204 and not r.has("Content-Length")


def test_head_has_no_content(way):
    """§6.3"""
    way.on(answer("12345", fields=["Cache-Control: no-store"]))
    c = way.client()
    for _ in range(2):
        r = c.request("HEAD", way.target(), host=way.host)
        assert r.status == 200 and r.get("Content-Length") == "5"
    assert c.request("GET", way.target(), host=way.host).body == b"12345"


def test_extra_bytes_after_an_answer(way):
    """§6.3, §9.2: they are no answer to the next request."""
    way.on(OK.replace(b"max-age=600", b"no-store") + b"Content-Length: 3\r\n\r\nabc"
           + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    for _ in range(3):
        assert way.ask().body == b"abc"


@pytest.mark.parametrize("data", [b"Content-Length: 10\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
                                  b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"], ids=["length", "chunk", "no last chunk"])
def test_incomplete_answer(way, data):
    """§8: the client can tell that it is incomplete, and nothing is stored."""
    def script(req, conn):
        conn.send(OK + data)
        conn.close()
    way.on(script)
    c = way.client()
    c.send(way.fill(G + "\r\n"))
    try:
        r = c.response()
        assert r.status == 502
    except Broken:
        pass
    way.settle()
    way.on(answer("whole", fields=[FRESH]))
    assert way.ask().body == b"whole"


@pytest.mark.parametrize("data", ["Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"], ids=["length", "chunks"])
def test_incomplete_request(way, data):
    """§8, §6.3: never forwarded as if it were whole."""
    way.on(PLAIN)
    c = way.client()
    c.send(way.fill(P + data))
    c.close()
    way.settle()
    assert all(r.body_broken for r in way.seen())


def test_empty_lines_before_a_request(way):
    """§2.2"""
    way.on(PLAIN)
    assert way.raw("\r\n" + G + "\r\n").status == 200


def test_octets(way):
    """§2.2, RFC 9110 §5.5: obs-text is opaque."""
    way.on(answer("ok", fields=["Cache-Control: no-store", "X-Text: \xe4\xf6\x80\xff"]))
    r = way.ask("X-Text: \xe4\xf6\x80\xff")
    assert r.get("X-Text") == way.last().get("X-Text") == "\xe4\xf6\x80\xff"


def test_long_request_line(way):
    """§3: 8000 octets are to be supported."""
    way.on(PLAIN)
    path = "/" + "a" * 8000
    way.on(PLAIN, path=path)
    assert way.ask(path=path).status == 200 and way.last(path).target.endswith("a" * 8000)


def test_endless_request_line(way):
    """§3"""
    c = way.client()
    c.send(way.fill("GET %T/" + "a" * 100000))
    r = c.response()
    assert r.status == 414 and r.get("Connection", "").lower() == "close"


@pytest.mark.parametrize("name", ["X" * 40, "a!#$%&'*+-.^_`|~9"])
def test_any_token_is_a_method(way, name):
    """§3.1, RFC 9110 §9.1: methods are tokens, in their own case."""
    way.on(PLAIN)
    r = way.ask(method=name)
    assert r.status in (200, 501) and (r.status == 501 or way.last().method == name)


@pytest.mark.parametrize("target, seen", [("http://%H", "/"), ("http://%H?q", "/?q"), ("HTTP://%H%P", "%P"), ("http://%H%P/a%20b?c=%41", "%P/a%20b?c=%41")],
                         ids=["no path", "query without path", "scheme in upper case", "escapes"])
def test_absolute_form(way, target, seen):
    """§3.2.1, §3.2.2: servers accept it, and send the origin path and query; an empty path is "/"."""
    way.origin.on("/", PLAIN)
    way.origin.on("*", PLAIN)
    before = len(way.origin.requests)
    r = way.raw(f"GET {target} HTTP/1.1\r\nHost: %H\r\n\r\n")
    assert r.status == 200
    mine = [q for q in way.origin.requests[before:] if q.target == way.fill(seen)]
    assert mine and mine[-1].start == way.fill(f"GET {seen} HTTP/1.1") and mine[-1].get("Host") == way.host


def test_host_of_an_absolute_form(way):
    """§3.2.2: the target's host counts, and is sent on."""
    way.on(PLAIN)
    r = way.raw("GET %U HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n")
    assert r.status == 200 and way.last().all("Host") == [way.host]


def test_host_comes_first_and_once(way):
    """§3.2, RFC 9110 §7.2"""
    way.on(PLAIN)
    way.ask("X-A: 1")
    assert way.last().fields[0] == ("Host", way.host) and len(way.last().all("Host")) == 1


def test_version_is_larders_own(way):
    """§2.3, RFC 9110 §6.2, §7.6"""
    way.on(b"HTTP/1.0 200 OK\r\nCache-Control: no-store\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    r = way.raw("GET %T HTTP/1.0\r\nHost: %H\r\n\r\n")
    assert r.minor == 1 and r.body == b"ok" and way.last().start.endswith("HTTP/1.1")


def test_trailers_are_no_header_fields(way):
    """§7.1.2, RFC 9110 §6.5.1"""
    way.on(OK + b"Trailer: X-T, Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\nCache-Control: no-store\r\n"
           b"Content-Length: 99\r\n\r\n")
    a, b = way.twice()
    for r in (a, b):
        assert r.body == b"abc" and not r.has("X-T") and r.get("Cache-Control") == "max-age=600" and "99" not in r.all("Content-Length")
    assert b.cache.get("hit")


def test_trailers_are_not_stored(way):
    """RFC 9111 §3.1"""
    way.on(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")
    _, b = way.twice("TE: trailers", "Connection: TE")
    assert b.cache.get("hit") and not b.trailers and not b.has("X-T") and not b.has("Trailer")


def test_chunked_for_http10(way):
    """§6.1: no Transfer-Encoding for HTTP/1.0; the connection's end tells."""
    way.on(OK.replace(b"max-age=600", b"no-store") + b"Transfer-Encoding: chunked\r\n\r\n" + chunked([b"ab", b"cd"]))
    c = way.client()
    c.send(way.fill("GET %T HTTP/1.0\r\nHost: %H\r\n\r\n"))
    r = c.response()
    assert not r.has("Transfer-Encoding") and r.body == b"abcd" and c.closed()


def test_a_known_length_is_sent(way):
    """§6.3: rather than chunks, to the origin and to the client."""
    way.on(answer("12345", fields=["Cache-Control: no-store"]))
    r = way.ask(method="POST", body=b"abc")
    assert way.last().get("Content-Length") == "3" and not way.last().has("Transfer-Encoding")
    assert r.get("Content-Length") == "5" and not r.has("Transfer-Encoding")


def test_chunks_of_a_request_become_chunks(way):
    """§6.1, §6.3: one framing, never both."""
    way.on(PLAIN)
    way.raw(P + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    q = way.last()
    assert q.body == b"abc" and len(q.all("Transfer-Encoding")) + len(q.all("Content-Length")) == 1


def test_no_body_no_framing(way):
    """RFC 9110 §8.6: no Content-Length for requests without content whose method does not expect any."""
    way.on(PLAIN)
    way.ask()
    assert not way.last().has("Content-Length") and not way.last().has("Transfer-Encoding")


def test_post_without_content_says_so(way):
    """RFC 9110 §8.6"""
    way.on(PLAIN)
    way.ask("Content-Length: 0", method="POST")
    assert way.last().get("Content-Length") == "0"


def test_a_body_of_a_get_is_no_request(way):
    """§6: content of any method is framed alike."""
    way.on(PLAIN)
    inner = way.fill(G.replace("%T", "%T/inner") + "\r\n")
    c = way.client()
    c.send(way.fill(G + f"Content-Length: {len(inner)}\r\n\r\n") + inner)
    assert c.response().status in (200, 400)
    assert way.count("/inner") == 0


def test_a_body_of_a_get_that_is_a_hit(way):
    """§9.3: what a server does not read must not become a request."""
    way.on(answer("hit", fields=[FRESH]))
    way.ask()
    way.settle()
    inner = way.fill(G.replace("%T", "%T/inner") + "\r\n")
    c = way.client()
    c.send(way.fill(G + f"Content-Length: {len(inner)}\r\n\r\n") + inner)
    assert c.response().status in (200, 400)
    assert (c.closed(1) or c.silent()) and way.count("/inner") == 0
