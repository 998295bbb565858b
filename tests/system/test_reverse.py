"""The reverse proxy: a fixed origin, names, Host."""

import pytest

from harness.message import answer
from harness.origin import Origin


def fresh_page(req, conn):
    """Fresh for a minute."""
    return answer("site", fields=["Cache-Control: max-age=60"])


@pytest.fixture
def site(larder, origin):
    """A reverse listener in front of the scripted origin."""
    origin.on("*", fresh_page)
    return larder(f"reverse,http://{origin.authority}")


@pytest.fixture(scope="module")
def named(shared_larder):
    """A reverse listener that serves some names only."""
    o = Origin()
    o.on("*", fresh_page)
    yield shared_larder("reverse,http://" + o.authority, options=["names=www.example *.wild.example"])
    o.stop()


def test_fetches_from_its_origin(site, origin):
    r = site.get("/x?y=1", host="www.example")
    assert r.status == 200 and r.body == b"site"
    assert origin.last().start == "GET /x?y=1 HTTP/1.1"
    assert origin.last().get("Host") == "www.example"


def test_second_request_is_a_hit(site, origin):
    site.get("/x", host="www.example")
    site.settle()
    r = site.get("/x", host="WWW.Example")
    assert r.cache.get("hit") is True and origin.count("/x") == 1
    assert 55 <= r.cache["ttl"] <= 60


def test_hosts_are_kept_apart(site, origin):
    site.get("/x", host="a.example")
    site.settle()
    site.get("/x", host="b.example")
    assert origin.count("/x") == 2


# (response fields, ttl; None: not stored)
TARGETED = [
    (["CDN-Cache-Control: max-age=1000", "Cache-Control: no-store"], 1000),
    (["CDN-Cache-Control: no-store", "Cache-Control: max-age=1000"], None),
    (["Larder-Cache-Control: max-age=500", "CDN-Cache-Control: max-age=1000"], 500),
    (["Larder-Cache-Control: max-age=5.5", "CDN-Cache-Control: max-age=1000"], 1000),
    (["CDN-Cache-Control: max-age=\"1000\"", "Cache-Control: max-age=700"], 700),
    (["CDN-Cache-Control: max-age=1000, &&", "Cache-Control: max-age=700"], 700),
    (["CDN-Cache-Control:", "Cache-Control: max-age=700"], 700),
    (["CDN-Cache-Control: max-age=1000;x=y, extension=(1 2)", "Cache-Control: max-age=700"], 1000),
    (["Other-Cache-Control: no-store", "Cache-Control: max-age=700"], 700),
]


@pytest.mark.parametrize("fields, ttl", TARGETED, ids=range(len(TARGETED)))
def test_targeted_fields(site, origin, fields, ttl):
    """RFC 9213 §2.2"""
    origin.on("/t", answer("x", fields=fields + ['ETag: "1"']))
    r = site.get("/t", host="a.example")
    assert bool(r.cache.get("stored")) == (ttl is not None)
    assert ttl is None or ttl - 100 < r.cache["ttl"] <= ttl
    for _ in range(2):
        for f in fields:
            name, value = f.split(":", 1)
            assert r.get(name) == value.strip(), "passed on"
        site.settle()
        r = site.get("/t", host="a.example")
    assert bool(r.cache.get("hit")) == (ttl is not None)
    if ttl and fields[0].startswith("CDN"):
        assert site.get("/t", 'If-None-Match: "1"', host="a.example").get("CDN-Cache-Control") is not None


def test_targeted_fields_can_be_named(larder, origin):
    origin.on("*", answer("x", fields=["Example-Cache-Control: max-age=900", "CDN-Cache-Control: no-store"]))
    d = larder(f"reverse,http://{origin.authority}", options=["targeted_fields=Example-Cache-Control"])
    assert d.get("/t", host="a.example").cache["ttl"] > 800


def test_origin_host_unites_them(larder, origin):
    origin.on("*", fresh_page)
    d = larder(f"reverse,http://{origin.authority}", options=["origin_host=inner.example"])
    d.get("/x", host="a.example")
    d.settle()
    r = d.get("/x", host="b.example")
    assert origin.count("/x") == 1 and r.cache.get("hit")
    assert origin.last().get("Host") == "inner.example"


def test_prefix_of_the_origin(larder, origin):
    origin.on("*", fresh_page)
    d = larder(f"reverse,http://{origin.authority}/base")
    d.get("/x", host="a.example")
    assert origin.last().target == "/base/x"


@pytest.mark.parametrize("host, status", [
    ("www.example", 200), ("WWW.EXAMPLE", 200), ("a.wild.example", 200), ("a.b.wild.example", 200),
    ("wild.example", 421), ("other.example", 421), ("www.example.other", 421), ("127.0.0.1", 421),
])
def test_names(named, host, status):
    assert named.get("/", host=host).status == status


def test_absolute_form_is_accepted(site, origin):
    r = site.get("http://www.example/abs")
    assert r.status == 200 and origin.last().target == "/abs"


def test_https_targets_are_not_stolen(site, origin):
    with site.client() as c:
        r = c.request("CONNECT", "www.example:443")
    assert r.status in (400, 403, 405, 501) and origin.count() == 0


def test_missing_host_is_refused(site, origin, connect):
    c = connect(site.port)
    c.send("GET / HTTP/1.1\r\n\r\n")
    assert c.response().status == 400 and origin.count() == 0


def test_http10_without_host(site, connect):
    c = connect(site.port)
    c.send("GET /old HTTP/1.0\r\n\r\n")
    assert c.response().status == 200


def test_visitors_cannot_force_the_origin(larder, origin):
    origin.on("*", fresh_page)
    d = larder(f"reverse,http://{origin.authority}", options=["request_directives=no"])
    d.get("/x", host="h")
    d.settle()
    for field in ("Cache-Control: no-cache", "Pragma: no-cache", "Cache-Control: max-age=0", "Cache-Control: no-store"):
        assert d.get("/x", field, host="h").cache.get("hit"), field
    assert origin.count("/x") == 1


def test_dead_origin_is_502(larder, origins):
    o = origins()
    d = larder(f"reverse,http://{o.authority}")
    o.stop()
    r = d.get("/", host="h")
    assert r.status == 502 and r.proxy["error"] == "connection_refused"


def test_cache_off_passes(larder, origin):
    origin.on("*", fresh_page)
    d = larder(f"reverse,http://{origin.authority}", options=["cache=no"])
    for n in (1, 2):
        r = d.get("/x", host="h")
        assert origin.count("/x") == n and r.cache.get("fwd") == "bypass"


def test_cache_status_off(larder, origin):
    origin.on("*", fresh_page)
    d = larder(f"reverse,http://{origin.authority}", options=["cache_status=no"])
    assert not d.get("/x", host="h").has("Cache-Status")


def test_two_listeners_one_daemon(larder, origins):
    a, b = origins(), origins()
    a.on("*", answer("A"))
    b.on("*", answer("B"))
    d = larder(f"reverse,http://{a.authority}", f"reverse,http://{b.authority}", "forward")
    assert d.client(0).get("/", host="h").body == b"A"
    assert d.client(1).get("/", host="h").body == b"B"
    assert d.client(2).get(a.url("/")).body == b"A"
