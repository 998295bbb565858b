"""Upgrade (RFC 9110 §7.8): WebSocket and others, through an exchange of 101 and a relay."""

import pytest

from harness import websocket
from harness.message import answer
from harness.origin import raw_script


@raw_script
def shout(req, conn):
    """Switches to a protocol that answers in capitals."""
    if not req.has("Upgrade"):
        return answer("no upgrade asked", fields=["Cache-Control: no-store"])
    conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: shout\r\nX-Mine: 1\r\n\r\nHI ")
    conn.kept = False
    data = conn.buffer or conn.sock.recv(65536)
    while data:
        conn.send(data.upper())
        data = conn.sock.recv(65536)


def test_any_protocol(proxy, origin, connect):
    origin.on("/u", shout)
    c = connect(proxy.port)
    c.send(c.compose("GET", origin.url("/u"), ["Connection: Upgrade", "Upgrade: shout"]))
    r = c.response()
    assert r.status == 101 and r.get("Upgrade") == "shout" and "upgrade" in r.get("Connection").lower()
    assert r.get("X-Mine") == "1" and c.exactly(3) == b"HI "
    c.send(b"abc")
    assert c.exactly(3) == b"ABC"
    assert origin.last().get("Upgrade") == "shout" and "upgrade" in origin.last().get("Connection").lower()


def test_refused_upgrade_is_an_ordinary_answer(proxy, origin, connect):
    origin.on("/u", answer("plain", fields=["Cache-Control: no-store"]))
    c = connect(proxy.port)
    r = c.get(origin.url("/u"), "Connection: Upgrade", "Upgrade: shout")
    assert r.status == 200 and r.body == b"plain"
    assert c.get(origin.url("/u")).body == b"plain"


def test_upgrade_without_connection_is_dropped(proxy, origin):
    origin.on("/u", answer("plain", fields=["Cache-Control: no-store"]))
    proxy.get(origin.url("/u"), "Upgrade: shout")
    assert not origin.last().has("Upgrade")


def test_h2c_is_not_passed_on(proxy, origin):
    """RFC 9113 §3.1: an h2c upgrade would take the connection out of larder's sight."""
    origin.on("/u", answer("plain", fields=["Cache-Control: no-store"]))
    r = proxy.get(origin.url("/u"), "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
    assert r.status == 200 and not origin.last().has("HTTP2-Settings")


@pytest.mark.parametrize("way", ["upgrade", "connect", "reverse"])
def test_websocket_echo(larder, way):
    server = websocket.Server()
    try:
        if way == "reverse":
            d = larder(f"reverse,http://127.0.0.1:{server.port}")
            ws = websocket.Connection.through_reverse(d.port)
        else:
            d = larder("forward", options=["connect_ports=all"])
            ws = websocket.Connection.through_proxy(d.port, server.port, tunnel=way == "connect")
        for size in (0, 1, 125, 126, 65535, 65536, 300000):
            message = (b"larder " * (size // 7 + 1))[:size]
            ws.send(message)
            assert ws.receive() == message
        ws.close()
    finally:
        server.stop()
