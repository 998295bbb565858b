"""What origins are told of who asked: Forwarded, X-Forwarded-*, CDN-Loop; and what clients hear of failures."""

import pytest

from harness.message import answer

PLAIN = answer("x", fields=["Cache-Control: no-store", "Via: 1.0 far"])


@pytest.fixture
def site(larder, origin):
    """site(OPTION…): a reverse proxy before the origin."""
    origin.on("*", PLAIN)
    return lambda *options: larder(f"reverse,http://{origin.authority}", options=list(options))


def test_nothing_is_said_by_default(site, origin):
    site().get("/", "X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.7", host="www.example")
    last = origin.last()
    assert last.get("X-Forwarded-For") == "192.0.2.7" and last.get("Forwarded") == "for=192.0.2.7"
    assert not last.has("X-Forwarded-Host") and last.has("CDN-Loop")


def test_extended(site, origin):
    site("x_forwarded=extend", "forwarded=extend", "pseudonym=pantry").get(
        "/", "X-Forwarded-For: 192.0.2.7", 'Forwarded: for="[2001:db8::1]"', host="www.example")
    last = origin.last()
    assert last.get("X-Forwarded-For") == "192.0.2.7, 127.0.0.1"
    assert last.get("X-Forwarded-Proto") == "http" and last.get("X-Forwarded-Host") == "www.example"
    assert [v for n, v in last.fields if n == "Forwarded"] == [
        'for="[2001:db8::1]"', "for=127.0.0.1;host=www.example;proto=http;by=_pantry"]


def test_replaced(site, origin):
    """Strangers cannot invent where they come from."""
    site("x_forwarded=replace", "forwarded=replace", "forwarded_client=unknown", "pseudonym=pantry").get(
        "/", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Port: 1", "Forwarded: for=192.0.2.7", host="www.example")
    last = origin.last()
    assert last.get("X-Forwarded-For") == "127.0.0.1" and not last.has("X-Forwarded-Port")
    assert [v for n, v in last.fields if n == "Forwarded"] == ["for=unknown;host=www.example;proto=http;by=_pantry"]


def test_nothing_shows(site, origin):
    r = site("x_forwarded=remove", "forwarded=remove", "via=remove", "cdn_loop=never", "cache_status=no").get(
        "/", "X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.7", "Via: 1.1 near", host="www.example")
    assert {n.lower() for n, _ in origin.last().fields} == {"host"}
    assert r.status == 200 and not r.has("Via") and not r.has("Cache-Status")


def test_cdn_loop(site, origin):
    d = site("cdn_loop=always", "pseudonym=pantry")
    d.get("/", "CDN-Loop: other; v=1", host="www.example")
    assert [v for n, v in origin.last().fields if n == "CDN-Loop"] == ["other; v=1", "pantry"]
    asked = origin.count()
    r = d.get("/", "CDN-Loop: other; v=1, pantry", host="www.example")
    assert r.status == 508 and r.proxy["error"] == "proxy_loop_detected" and origin.count() == asked


@pytest.mark.parametrize("kind", ["forward", "reverse"])
def test_next_hop_of_failures(larder, origins, kind):
    """RFC 9209 §2.1.2: clients of a forward proxy named the origin; where a site's stands is not theirs to know."""
    o = origins()
    d = larder("forward" if kind == "forward" else f"reverse,http://{o.authority}")
    o.stop()
    r = d.get(o.url("/")) if kind == "forward" else d.get("/", host="www.example")
    assert r.status == 502 and r.proxy["error"] == "connection_refused"
    assert (r.proxy.get("next-hop") == o.authority) == (kind == "forward")
