"""Tunnels by CONNECT (RFC 9110 §9.3.6)."""

import os
import socket
import threading

import pytest

from harness.wait import free_port, until


class Echo:
    """A TCP server that gives back what it gets, in capitals, and half-closes after its peer."""

    def __init__(self, greeting=b""):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        self.greeting = greeting
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock):
        try:
            sock.sendall(self.greeting)
            while data := sock.recv(65536):
                sock.sendall(data.upper())
            sock.sendall(b"<end>")
        except OSError:
            pass
        sock.close()

    def stop(self):
        """No more connections."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def echo():
    """An echo server."""
    e = Echo(b"hi ")
    yield e
    e.stop()


@pytest.fixture(scope="module")
def tunneller(shared_larder):
    """A proxy that may tunnel to all ports."""
    return shared_larder("forward", options=["connect_ports=all"])


def tunnel(c, port, extra=b""):
    """Opens a tunnel and returns the answer."""
    c.send(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode() + extra)
    return c.response("CONNECT")


def test_bytes_both_ways(tunneller, echo, connect):
    c = connect(tunneller.port)
    r = tunnel(c, echo.port)
    assert r.status == 200 and not r.has("Content-Length") and not r.has("Transfer-Encoding")
    assert c.exactly(3) == b"hi "
    c.send(b"hello")
    assert c.exactly(5) == b"HELLO"


def test_bytes_sent_too_early(tunneller, echo, connect):
    c = connect(tunneller.port)
    assert tunnel(c, echo.port, b"early").status == 200
    assert c.exactly(8) == b"hi EARLY"


def test_half_close(tunneller, echo, connect):
    c = connect(tunneller.port)
    tunnel(c, echo.port)
    c.send(b"last")
    c.sock.shutdown(socket.SHUT_WR)
    assert c.rest() == b"hi LAST<end>"


def test_much_data(tunneller, echo, connect):
    c = connect(tunneller.port)
    tunnel(c, echo.port)
    c.exactly(3)
    data = os.urandom(1 << 20) * 8
    t = threading.Thread(target=lambda: (c.send(data), c.sock.shutdown(socket.SHUT_WR)))
    t.start()
    got = c.exactly(len(data))
    t.join()
    assert got == data.upper() and c.rest() == b"<end>"


def test_many_tunnels(tunneller, echo, connect):
    many = [connect(tunneller.port) for _ in range(100)]
    for c in many:
        assert tunnel(c, echo.port, b"x").status == 200
    for c in many:
        assert c.exactly(4) == b"hi X"
    assert tunneller.stat("exchange.tunnels_open") >= 100
    for c in many:
        c.close()
    until(lambda: tunneller.stat("exchange.tunnels_open") == 0, "the tunnels to end")


def test_peer_reset_ends_it(tunneller, echo, connect):
    c = connect(tunneller.port)
    tunnel(c, echo.port)
    before = tunneller.stat("exchange.tunnels_open")
    c.reset()
    until(lambda: tunneller.stat("exchange.tunnels_open") < before, "the tunnel to end")


def test_refused(tunneller, connect):
    c = connect(tunneller.port)
    r = tunnel(c, free_port())
    assert r.status == 502 and r.proxy["error"] == "connection_refused"


def test_unresolvable(tunneller, connect):
    c = connect(tunneller.port)
    c.send("CONNECT nowhere.invalid:443 HTTP/1.1\r\nHost: nowhere.invalid:443\r\n\r\n")
    r = c.response("CONNECT")
    assert r.status == 502 and r.proxy["error"] == "dns_error"


def test_port_is_refused_by_default(proxy, echo, connect):
    c = connect(proxy.port)
    r = tunnel(c, echo.port)
    assert r.status == 403 and "connect_ports" in r.body.decode()


def test_host_by_name(tunneller, echo, connect):
    c = connect(tunneller.port)
    c.send(f"CONNECT localhost:{echo.port} HTTP/1.1\r\nHost: localhost:{echo.port}\r\n\r\n")
    assert c.response("CONNECT").status == 200 and c.exactly(3) == b"hi "


def test_http10_connect(tunneller, echo, connect):
    c = connect(tunneller.port)
    c.send(f"CONNECT 127.0.0.1:{echo.port} HTTP/1.0\r\n\r\n")
    assert c.response("CONNECT").status == 200 and c.exactly(3) == b"hi "


def test_idle_tunnel_is_closed(larder, echo, connect):
    d = larder("forward", options=["connect_ports=all", "tunnel_idle=1s"])
    c = connect(d.port)
    tunnel(c, echo.port)
    assert c.exactly(3) == b"hi " and c.closed()


def test_tunnels_max(larder, echo, connect):
    d = larder("forward", options=["connect_ports=all", "tunnels_max=2"])
    for _ in range(2):
        assert tunnel(connect(d.port), echo.port).status == 200
    assert tunnel(connect(d.port), echo.port).status == 503


def test_silent_target_times_out(larder, connect):
    d = larder("forward", options=["connect_ports=all", "connect_timeout=300ms"])
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fill = [socket.socket() for _ in range(4)]
        for s in fill:
            s.setblocking(False)
            s.connect_ex(full.getsockname())
        r = tunnel(connect(d.port), full.getsockname()[1])
        assert r.status == 504 and r.proxy["error"] == "connection_timeout"
        for s in fill:
            s.close()


def test_logged_with_bytes(larder, echo, connect):
    d = larder("forward", options=["connect_ports=all", "access_log={home}/access", "access_log_format=json"])
    c = connect(d.port)
    tunnel(c, echo.port)
    c.send(b"12345")
    c.sock.shutdown(socket.SHUT_WR)
    c.rest()
    import json
    line = until(lambda: (d.home / "access").read_text(), "the log line")
    row = json.loads(line.splitlines()[0])
    assert row["outcome"] == "tunnel" and row["method"] == "CONNECT" and row["status"] == 200
