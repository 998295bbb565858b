"""What a hostile client may try against one connection after another."""

import json
import socket

import pytest

from harness.message import answer
from harness.wait import until

PLAIN = answer("ok", fields=["Cache-Control: no-store"])


@pytest.mark.parametrize("more, status, timeout", [(4, 408, "1s"), (40, 431, "30s")])
def test_head_that_outgrows_its_buffer_and_never_ends(larder, connect, more, status, timeout):
    """The request line moves with the buffer: it is logged as it came."""
    d = larder("forward", options=[f"head_timeout={timeout}", "request_head_max=32k", "access_log={home}/access",
                                   "access_log_format=json"])
    c = connect(d.port)
    c.send("\r\nGET http://h/the-target HTTP/1.1\r\nHost: h\r\n")
    until(lambda: d.stat("client.bytes_in") >= 45, "the request line to be read")
    sent = 45
    for _ in range(more):
        try:
            c.send("X-A: " + "a" * 2000 + "\r\n")
        except OSError:
            break
        sent += 2007
        until(lambda: d.stat("client.bytes_in") >= sent or not c.silent(), "the fields to be read")
    r = c.response()
    assert r.status == status
    access = d.home / "access"
    until(lambda: access.exists() and access.read_text().endswith("\n"), "the line of the access log")
    line = json.loads(access.read_text())
    assert (line["method"], line["target"], line["status"]) == ("GET", "http://h/the-target", status)


@pytest.mark.parametrize("host", ["other.example", "127.0.0.1:1", ""])
def test_absolute_form_beats_host(proxy, origin, connect, host):
    """RFC 9112 §3.2.2: the Host received is ignored, the origin gets the target's."""
    origin.on("*", PLAIN)
    c = connect(proxy.port)
    assert c.request("GET", origin.url("/x"), [f"Host: {host}"]).status == 200
    assert origin.last().all("Host") == [origin.authority]


def test_what_follows_a_refused_connect_is_no_request(proxy, origin, connect):
    """RFC 9110 §9.3.6: it was meant for the tunnel, and its author may be anybody."""
    origin.on("*", PLAIN)
    c = connect(proxy.port)
    c.send(f"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n"
           f"GET {origin.url('/smuggled')} HTTP/1.1\r\nHost: {origin.authority}\r\n\r\n")
    r = c.response("CONNECT")
    assert r.status == 403 and r.get("Connection") == "close"
    assert c.closed() and origin.count() == 0


def test_clients_that_leave_while_larder_connects_do_no_harm(larder, origin, connect):
    """The descriptors of attempts that were broken off are used again."""
    origin.on("*", answer("ok", fields=["Cache-Control: no-store", "Connection: close"]))
    d = larder("forward")
    for _ in range(150):
        c = connect(d.port)
        c.send(c.compose("GET", origin.url("/x"), ["Upgrade: websocket", "Connection: upgrade"]))
        c.reset()
        c = connect(d.port)
        c.send(c.compose("GET", "http://127.0.0.1:1025/x"))
        c.reset()
    until(lambda: d.stat("exchange.active") == 0, "the requests to end")
    assert [d.get(origin.url("/y")).status for _ in range(30)] == [200] * 30
