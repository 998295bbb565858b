"""RFC 9211: what Cache-Status says."""

import threading

import pytest

from harness.message import sf_members
from harness.wait import until
from way import FRESH, answer, counters, numbered

ETAG = 'ETag: "v"'
STALE = ["Cache-Control: max-age=60", "Age: 70", ETAG]

# (name, response fields, second request's fields, its method, members that are there, members that are not)
ROWS = [
    ("hit", [FRESH], [], "GET", {"hit": True}, ["fwd", "fwd-status", "stored", "collapsed"]),
    ("hit by 304", [FRESH, ETAG], ['If-None-Match: "v"'], "GET", {"hit": True}, ["fwd"]),
    ("hit by range", [FRESH], ["Range: bytes=0-0"], "GET", {"hit": True}, ["fwd"]),
    ("hit by HEAD", [FRESH], [], "HEAD", {"hit": True}, ["fwd"]),
    ("stale hit", ["Cache-Control: max-age=60, stale-while-revalidate=600", "Age: 70"], [], "GET", {"hit": True}, ["fwd"]),
    ("stale", STALE, [], "GET", {"fwd": "stale", "fwd-status": 200}, ["hit"]),
    ("request", [FRESH, ETAG], ["Cache-Control: no-cache"], "GET", {"fwd": "request"}, ["hit"]),
    ("vary-miss", [FRESH, "Vary: X-A"], ["X-A: 1"], "GET", {"fwd": "vary-miss", "stored": True}, ["hit"]),
    ("method", [FRESH], [], "POST", {"fwd": "method"}, ["hit", "stored"]),
    ("uri-miss", ["Cache-Control: no-store"], [], "GET", {"fwd": "uri-miss", "detail": "no-store"}, ["hit", "stored"]),
]


@pytest.mark.parametrize("fields, then, method, there, gone", [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_member(way, fields, then, method, there, gone):
    way.on(numbered(fields))
    _, b = way.twice(then=then, method=method)
    member = b.cache
    assert member["name"] == "pantry" and {k: member.get(k, 200 if k == "fwd-status" else None) for k in there} == there, b.raw
    assert not [k for k in gone if k in member], b.raw


def test_first_miss(way):
    way.on(answer("x", fields=[FRESH]))
    c = way.ask().cache
    assert c["fwd"] == "uri-miss" and c["stored"] is True and 590 <= c["ttl"] <= 600 and c.get("fwd-status", 200) == 200


def test_bypass(own_way):
    way = own_way("cache=no")
    way.on(answer("x", fields=[FRESH]))
    assert way.ask().cache["fwd"] == "bypass"


def test_fwd_status_of_a_validation(way):
    """§2.3: what the next hop said, where the client is told something else."""
    way.on(answer("x", fields=STALE), answer(status=304, fields=[FRESH, ETAG]))
    _, b = way.twice()
    assert b.status == 200 and b.cache["fwd"] == "stale" and b.cache["fwd-status"] == 304 and "hit" not in b.cache


def test_fwd_status_behind_a_stale_answer(way):
    """§2.3: an error that stale-if-error hides."""
    way.on(answer("x", fields=["Cache-Control: max-age=60, stale-if-error=600", "Age: 70", ETAG]), answer("no", status=503))
    _, b = way.twice()
    assert b.status == 200 and b.cache.get("fwd") == "stale" and b.cache.get("fwd-status") == 503


def test_ttl(way):
    """§2.4: what is left, below zero once it is stale."""
    way.on(numbered(["Cache-Control: max-age=60, stale-while-revalidate=600", "Age: 100"]))
    _, b = way.twice()
    assert -100 <= b.cache["ttl"] <= -40
    way.on(numbered([FRESH, "Age: 100"]), path="/b")
    way.ask(path="/b")
    way.settle()
    assert 440 <= way.ask(path="/b").cache["ttl"] <= 500


def test_collapsed(way):
    """§2.6"""
    gate = threading.Event()
    way.on(lambda q, c: gate.wait(20) and answer("x", fields=[FRESH]))
    clients = [way.client() for _ in range(5)]
    for c in clients:
        c.send(c.compose("GET", way.target(), host=way.host))
    way.origin.wait(1, way.path)
    until(lambda: counters(way.daemon)["exchange.active"] >= 5, "all requests to wait")
    gate.set()
    members = [c.response().cache for c in clients]
    assert way.count() == 1 and sum(1 for m in members if m.get("collapsed")) >= 4
    assert all("hit" in m or m["fwd"] == "uri-miss" for m in members)


def test_appended(way):
    """§2: caches before keep their members; the last one is the nearest."""
    way.on(answer("x", fields=[FRESH, "Cache-Status: up; hit; ttl=5, \"other one\"; fwd=miss"]))
    a, b = way.twice()
    for r in (a, b):
        members = sf_members(r.get("Cache-Status"))
        assert members[:2] == ["up; hit; ttl=5", '"other one"; fwd=miss'] and members[2].startswith("pantry;") and len(members) == 3


def test_off(own_way):
    """§6: may be kept from those whom it is not meant for."""
    way = own_way("cache_status=no")
    way.on(answer("x", fields=[FRESH]))
    for r in way.twice():
        assert not r.has("Cache-Status")


@pytest.mark.parametrize("name, member", [("pantry", "pantry"), ("a.example", "a.example"), ("1st", '"1st"')])
def test_names_are_tokens_or_strings(kind, make, origin, name, member):
    """§2, RFC 9651: what is no token is a string."""
    d = make("forward" if kind == "forward" else f"reverse,http://{origin.authority}", options=[f"pseudonym={name}"])
    with d.client() as c:
        r = c.request("GET", origin.url(f"/cs/{kind}") if kind == "forward" else f"/cs/{kind}", host=origin.authority)
    assert r.get("Cache-Status").split(";")[0] in (member, f'"{name}"')


def test_detail_of_what_is_not_stored(own_way):
    """§2.8"""
    way = own_way("store_set_cookie=no")
    for path, fields, word in (("/p", ["Cache-Control: private"], "private"), ("/v", [FRESH, "Vary: *"], "vary-any"),
                               ("/c", [FRESH, "Set-Cookie: a=b"], "set-cookie")):
        way.on(answer("x", fields=fields), path=path)
        c = way.ask(path=path).cache
        assert c["detail"] == word and "stored" not in c
