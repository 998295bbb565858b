"""RFC 9209: what Proxy-Status says about larder's own answers."""

import socket

import pytest

from harness.message import sf_members
from way import FRESH, answer

OK = b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"


def sends(data):
    """A script that sends bytes and closes."""
    def script(req, conn):
        conn.send(data)
        conn.close()
    return script


# §2.3: (name, script, status, error types)
FAILURES = [
    ("closed", lambda q, c: c.close(), 502, ("connection_terminated", "http_response_incomplete")),
    ("reset", lambda q, c: c.reset(), 502, ("connection_terminated", "http_response_incomplete")),
    ("half a head", sends(OK + b"Content-Le"), 502, ("http_response_incomplete", "connection_terminated")),
    ("no HTTP", sends(b"SSH-2.0-x\r\n\r\n"), 502, ("http_protocol_error",)),
    ("two lengths", sends(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 502, ("http_protocol_error",)),
    ("unknown transfer coding", sends(OK + b"Transfer-Encoding: x-mine\r\n\r\nab"), 502, ("http_response_transfer_coding", "http_protocol_error")),
    ("large head", sends(OK + b"X: " + b"a" * 400000 + b"\r\n\r\n"), 502, ("http_response_header_section_size", "http_response_header_size")),
    ("unasked 101", sends(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), 502,
     ("http_upgrade_failed", "http_protocol_error")),
]


@pytest.mark.parametrize("script, status, errors", [r[1:] for r in FAILURES], ids=[r[0] for r in FAILURES])
def test_failure(way, script, status, errors):
    way.on(script)
    r = way.ask()
    assert r.status == status and r.proxy["name"] == "pantry" and r.proxy["error"] in errors, r.raw
    assert r.proxy.get("details")


def test_refused_connection(way):
    r = way.dead()
    assert r.status == 502 and r.proxy["error"] == "connection_refused"


def test_unknown_name(kind, make):
    d = make("forward" if kind == "forward" else "reverse,http://no.such.invalid", options=["pseudonym=pantry"])
    with d.client() as c:
        r = c.request("GET", "http://no.such.invalid/" if kind == "forward" else "/", host="no.such.invalid")
    assert r.status == 502 and r.proxy["error"] == "dns_error"


def test_silent_origin(own_way):
    """504 where nothing comes in time (RFC 9110 §15.6.5, RFC 9111 §5.2.2.2)."""
    way = own_way("first_byte_timeout=1s")
    way.on(lambda q, c: answer("old", fields=["Cache-Control: max-age=60, must-revalidate", "Age: 70", 'ETag: "v"']) if way.count() == 1
           else (c.peer_gone(), None)[1])
    way.ask()
    way.settle()
    r = way.ask()
    assert r.status == 504 and r.proxy["error"] in ("http_response_timeout", "connection_read_timeout")


def test_bad_request(way):
    r = way.raw("GET %T HTTP/1.1\r\nHost: %H\r\nX A: 1\r\n\r\n")
    assert r.status == 400 and r.proxy["error"] == "http_request_error"


def test_denied(own_way):
    way = own_way("allow=192.0.2.1")
    r = way.ask()
    assert r.status == 403 and r.proxy["error"] == "http_request_denied"


def test_only_if_cached(way):
    """Made by larder itself, without anybody's fault."""
    r = way.ask("Cache-Control: only-if-cached")
    assert r.status == 504 and r.proxy["name"] == "pantry"


def test_not_on_answers_of_others(way):
    """§2: larder says nothing where it has nothing to say."""
    way.on(answer("no", status=503, fields=["Cache-Control: no-store"]))
    r = way.ask()
    assert r.status == 503 and not r.has("Proxy-Status")


def test_members_of_others_stay(way):
    """§2"""
    way.on(answer("no", status=502, fields=["Cache-Control: max-age=600", "Proxy-Status: up; error=dns_error; details=\"x, y\""]))
    for r in way.twice():
        assert sf_members(r.get("Proxy-Status"))[0] == 'up; error=dns_error; details="x, y"'


def test_stale_instead_of_an_error(way):
    """§2.1.1: the error that was hidden may be told; the client's answer is the stored one."""
    way.on(lambda q, c: answer("old", fields=["Cache-Control: max-age=60, stale-if-error=600", "Age: 70"]) if way.count() == 1 else c.reset())
    way.ask()
    way.settle()
    r = way.ask()
    assert r.status == 200 and r.body == b"old"


def test_received_status(own_way):
    """§2.1.4: what the next hop sent, where larder's answer is another."""
    way = own_way("object_max=64k")
    way.on(answer("x", fields=[FRESH]))
    assert way.ask().status == 200
    way.on(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
    r = way.ask("Cache-Control: no-cache")
    assert r.status == 502 and r.proxy.get("received-status", 101) == 101


def test_errors_are_not_stored(way):
    way.on(lambda q, c: c.reset() if way.count() == 1 else answer("well", fields=[FRESH]))
    r = way.ask(method="POST", body=b"x")
    assert r.status == 502 and "no-store" in r.get("Cache-Control", "")
    way.settle()
    assert way.ask().body == b"well"


def test_silence_after_the_connection(kind, make):
    """§2.3.9: nobody accepts."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(0)
        fillers = []
        try:
            for _ in range(4):
                f = socket.socket()
                f.setblocking(False)
                f.connect_ex(s.getsockname())
                fillers.append(f)
            place = f"127.0.0.1:{s.getsockname()[1]}"
            d = make("forward" if kind == "forward" else f"reverse,http://{place}", options=["connect_timeout=1s", "first_byte_timeout=1s"])
            with d.client() as c:
                r = c.request("GET", f"http://{place}/" if kind == "forward" else "/", host=place)
        finally:
            for f in fillers:
                f.close()
    assert r.status == 504 and r.proxy["error"] in ("connection_timeout", "http_response_timeout", "connection_read_timeout")


def test_no_addresses(way):
    """§4: a forward listener's next-hop is what the client named itself."""
    way.on(lambda q, c: c.reset())
    for r in (way.dead(), way.ask(method="POST", body=b"x")):
        told = r.get("Proxy-Status") if way.kind == "reverse" else r.proxy.get("details", "")
        assert r.status == 502 and told and "127.0.0.1" not in told and str(way.origin.port) not in told
