"""Service around origins that fail: what is stored, quick answers, and offline mode."""

import socket
import time

import pytest

from harness.message import answer, http_date
from harness.origin import Origin
from harness.wait import free_port, until

STALE = "Date: " + http_date(-30)


def aged(body, control):
    """A response that was fresh until a while ago."""
    return answer(body, fields=[f"Cache-Control: {control}", 'ETag: "e"', STALE], date=False)


@pytest.mark.parametrize("control, served", [
    ("max-age=1", True),
    ("max-age=1, stale-if-error=600", True),
    ("max-age=1, stale-if-error=5", False),
    ("max-age=1, must-revalidate", False),
    ("max-age=1, proxy-revalidate", False),
    ("s-maxage=1", False),
    ("max-age=1, no-cache", False),
])
def test_stale_while_the_origin_is_away(larder, control, served):
    """RFC 9111 §4.2.4, RFC 5861 §4; also once it is known to be away."""
    origin = Origin()
    origin.on("/s", aged(b"old", control))
    d = larder("forward", workers=2)
    url = origin.url("/s")
    assert d.get(url).body == b"old"
    d.settle()
    origin.stop()
    for _ in range(6):
        r = d.get(url)
        assert r.status == (200 if served else 502)
        if served:
            assert r.body == b"old" and r.cache["ttl"] < 0
            # RFC 9211 §2.3: no hit where the origin was asked first.
            assert r.cache.get("hit") or (r.cache["fwd"], r.cache["detail"]) == ("stale", "origin-error")
    if not served:
        assert d.stat("exchange.fast_failures") > 0


def test_quick_failures_and_recovery(larder):
    """One request in a while tries; the others have their answer at once. Normal again when it is back."""
    port = free_port()
    d = larder("forward", workers=2, options=["origin_retry=500ms"])
    url = f"http://127.0.0.1:{port}/x"
    for _ in range(10):
        began = time.monotonic()
        r = d.get(url)
        assert r.status == 502 and r.proxy["error"] in ("destination_unavailable", "connection_refused")
        assert time.monotonic() - began < 2
    assert d.stat("exchange.fast_failures") >= 5
    assert d.stat("exchange.origins_down") <= 5
    origin = Origin(port=port)
    try:
        origin.on("/x", answer(b"back"))
        until(lambda: d.get(url).status == 200, "the origin to be tried again")
        for _ in range(5):
            assert d.get(url).body == b"back"
    finally:
        origin.stop()


def test_silent_origin_holds_up_one_request(larder):
    """A host that answers no packet: after the first time-out the others need not wait for theirs."""
    deaf = socket.socket()
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(0)
    full = [socket.socket() for _ in range(4)]
    for s in full:
        s.setblocking(False)
        s.connect_ex(deaf.getsockname())
    d = larder("forward", options=["connect_timeout=400ms", "origin_retry=30s"])
    url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
    assert d.get(url).status == 504
    began = time.monotonic()
    for i in range(20):
        assert d.get(url + str(i)).status == 504
    assert time.monotonic() - began < 20 * 0.4
    assert d.stat("exchange.fast_failures") == 20
    for s in full + [deaf]:
        s.close()


def test_what_answers_is_not_away(larder, origin):
    """A 5xx, a broken answer, a refused request: the origin is there."""
    def cut(req, conn):
        conn.reset()
    origin.on("/500", answer(b"no", status=500))
    origin.on("/cut", cut)
    origin.on("/ok", answer(b"yes", fields=["Cache-Control: no-store"]))
    d = larder("forward")
    for _ in range(3):
        assert d.get(origin.url("/500")).status == 500
        assert d.get(origin.url("/cut")).status == 502
        assert d.get(origin.url("/ok")).body == b"yes"
    assert d.stat("exchange.origins_down") == 0


def test_offline_and_back(larder, origin):
    """Everything stored is served, whatever its age; nothing is fetched."""
    origin.on("/fresh", answer(b"fresh", fields=["Cache-Control: max-age=600"]))
    origin.on("/stale", aged(b"stale", "max-age=1, must-revalidate"))
    d = larder("forward", f"reverse,{origin.url()}", workers=2)
    for path in ("/fresh", "/stale"):
        d.get(origin.url(path))
    d.settle()
    assert d.ctl("offline").stdout == "offline off\n"
    assert d.ctl("offline", "on").stdout == "offline on\n"
    assert "offline" in d.ctl("status").stdout
    before = len(origin.requests)
    for _ in range(4):
        r = d.get(origin.url("/fresh"))
        assert r.body == b"fresh" and r.cache.get("hit")
        r = d.get(origin.url("/stale"))
        assert r.body == b"stale" and r.cache["ttl"] < 0 and r.cache["detail"] == "offline"
        r = d.get(origin.url("/other"))
        assert r.status == 504 and b"offline" in r.body
        with d.client() as c:
            assert c.request("POST", origin.url("/fresh"), body=b"x").status == 504
        with d.client() as c:
            assert c.request("CONNECT", f"127.0.0.1:{origin.port}").status in (403, 504)
        with d.client(1) as c:
            assert c.request("GET", "/none", host="x.example").status == 504
    assert len(origin.requests) == before
    assert d.ctl("offline", "sideways").returncode != 0
    assert d.ctl("offline", "off").stdout == "offline off\n"
    assert d.get(origin.url("/other")).status == 200


def test_offline_listener(larder, origin):
    d = larder("forward", options=["offline=yes"])
    assert d.get(origin.url("/a")).status == 504
    assert not origin.requests
