"""RFC 9110 §6.2: versions that are not larder's own."""

import pytest

from way import FRESH


@pytest.mark.parametrize("version", ["1.2", "1.9"])
def test_higher_minor_version(way, version):
    """As 1.1, both ways."""
    way.on(f"HTTP/{version} 200 OK\r\n{FRESH}\r\nContent-Length: 2\r\n\r\nok".encode())
    c = way.client()
    for _ in range(2):
        c.send(way.fill(f"GET %T HTTP/{version}\r\nHost: %H\r\n\r\n"))
        r = c.response()
        assert r.status == 200 and r.minor == 1 and r.body == b"ok"
    assert way.last().start.endswith("HTTP/1.1")


def test_505_says_why(way):
    """RFC 9110 §15.6.6"""
    r = way.raw("GET %T HTTP/3.0\r\nHost: %H\r\n\r\n")
    assert r.status == 505 and b"1.1" in r.body


def test_origin_of_http10(way):
    """RFC 9112 §2.3: its answer is understood; the connection is not kept."""
    def script(req, conn):
        conn.send(b"HTTP/1.0 200 OK\r\n" + FRESH.encode() + b"\r\nContent-Length: 2\r\n\r\nok")
        conn.close()
    way.on(script)
    a, b = way.twice()
    assert a.body == b.body == b"ok" and b.cache.get("hit")
