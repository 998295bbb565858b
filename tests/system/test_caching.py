"""What is stored, what is used, and what Cache-Status says about it (RFC 9111, RFC 9211)."""

import threading

import pytest

from harness.message import answer, chunked, http_date
from harness.wait import until

FRESH = "Cache-Control: max-age=600"


def twice(d, url, *fields):
    """The answers to the same GET before and after its response was stored."""
    first = d.get(url, *fields)
    d.settle()
    return first, d.get(url, *fields)


def test_miss_then_hit(proxy, origin):
    origin.on("/a", answer("body", fields=[FRESH, "ETag: \"1\"", "X-Mine: yes"]))
    first, second = twice(proxy, origin.url("/a"))
    assert first.cache["fwd"] == "uri-miss" and first.cache.get("stored") and first.cache.get("fwd-status", 200) == 200
    assert second.cache.get("hit") is True and 595 <= second.cache["ttl"] <= 600
    assert "fwd" not in second.cache
    assert first.body == second.body == b"body" and second.get("X-Mine") == "yes"
    assert int(second.get("Age")) >= 0 and not second.has("Proxy-Status")
    assert origin.count("/a") == 1


def test_hit_is_byte_identical(proxy, origin):
    body = bytes(range(256)) * 1200
    fields = [FRESH, "x-lower: a", "X-Twice: 1", "X-Twice: 2", "Content-Type: text/x", "Server: some"]
    origin.on("/a", answer(body, fields=fields))
    first, second = twice(proxy, origin.url("/a"))
    assert first.body == second.body == body
    skip = {"age", "cache-status", "via", "connection", "keep-alive"}
    assert [f for f in first.fields if f[0].lower() not in skip] == [
        f for f in second.fields if f[0].lower() not in skip]


@pytest.mark.parametrize("size", [0, 1, 4095, 65535, 65536, 65537, 300000, 3 << 20])
def test_sizes(proxy, origin, size):
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    origin.on("/s", answer(body, fields=[FRESH]))
    first, second = twice(proxy, origin.url("/s"))
    assert first.body == second.body == body
    assert second.cache.get("hit") and second.get("Content-Length") == str(size)


# (name, request fields, status, response fields, detail where not stored)
NOT_STORED = [
    ("no-store 9111-5.2.2.5", [], 200, ["Cache-Control: no-store, max-age=60"], "no-store"),
    ("private 9111-5.2.2.7", [], 200, ["Cache-Control: private, max-age=60"], "private"),
    ("request no-store 9111-5.2.1.5", ["Cache-Control: no-store"], 200, [FRESH], "request-no-store"),
    ("authorization 9111-3.5", ["Authorization: Basic eDp5"], 200, [FRESH], "authorization"),
    ("vary * 9111-4.1", [], 200, [FRESH, "Vary: *"], "vary-any"),
    ("guessed set-cookie 9111-7.3", [], 200, ["Last-Modified: " + http_date(-86400 * 30), "Set-Cookie: a=b"], "set-cookie"),
    ("429 6585-4", [], 429, [FRESH], "status"),
    ("unknown status 9111-5.2.2.3", [], 299, ["Cache-Control: max-age=60, must-understand"], "status"),
    ("no freshness 9111-3", [], 500, [], "no-freshness"),
    ("no freshness 302", [], 302, ["Location: /x"], "no-freshness"),
    ("bare 403", [], 403, [], "no-freshness"),
]


@pytest.mark.parametrize("ask, status, fields, detail", [r[1:] for r in NOT_STORED], ids=[r[0] for r in NOT_STORED])
def test_not_stored(proxy, origin, ask, status, fields, detail):
    origin.on("/n", answer("x", status=status, fields=fields))
    first, second = twice(proxy, origin.url("/n"), *ask)
    assert first.status == status and not first.cache.get("stored")
    assert first.cache.get("detail") == detail
    assert not second.cache.get("hit") and origin.count("/n") == 2


# (name, request fields, status, response fields)
STORED = [
    ("max-age 9111-5.2.2.1", [], 200, [FRESH]),
    ("s-maxage wins 9111-5.2.2.10", [], 200, ["Cache-Control: max-age=0, s-maxage=60"]),
    ("Expires 9111-5.3", [], 200, ["Expires: " + http_date(600)]),
    ("max-age wins over Expires", [], 200, ["Cache-Control: max-age=60", "Expires: " + http_date(-600)]),
    ("public with authorization 9111-3.5", ["Authorization: Basic eDp5"], 200, ["Cache-Control: public, max-age=60"]),
    ("s-maxage with authorization", ["Authorization: Basic eDp5"], 200, ["Cache-Control: s-maxage=60"]),
    ("heuristic 9111-4.2.2", [], 200, ["Last-Modified: " + http_date(-86400 * 30)]),
    ("404 with lifetime", [], 404, [FRESH]),
    ("301 with lifetime", [], 301, [FRESH, "Location: /x"]),
    ("302 with lifetime", [], 302, [FRESH, "Location: /x"]),
    ("500 with lifetime", [], 500, [FRESH]),
    ("unknown status with lifetime", [], 299, [FRESH]),
    ("204", [], 204, [FRESH]),
    ("set-cookie 9111-7.3", [], 200, [FRESH, "Set-Cookie: a=b"]),
    ("401 with lifetime", [], 401, [FRESH, "WWW-Authenticate: Basic realm=x"]),
    ("416 with lifetime", [], 416, [FRESH]),
    ("first of two 9111-4.2.1", [], 200, ["Cache-Control: max-age=60, max-age=0"]),
    ("CDN-Cache-Control is not for proxies 9213-2.2", [], 200, [FRESH, "CDN-Cache-Control: no-store"]),
    ("public set-cookie", [], 200, ["Cache-Control: public, max-age=60", "Set-Cookie: a=b"]),
    ("quoted max-age 9111-5.2", [], 200, ['Cache-Control: max-age="60"']),
    ("upper case directive", [], 200, ["Cache-Control: MAX-AGE=60"]),
]


@pytest.mark.parametrize("ask, status, fields", [r[1:] for r in STORED], ids=[r[0] for r in STORED])
def test_stored(proxy, origin, ask, status, fields):
    origin.on("/y", answer("" if status == 204 else "x", status=status, fields=fields))
    first, second = twice(proxy, origin.url("/y"), *ask)
    assert first.status == second.status == status and first.cache.get("stored"), first.raw
    assert second.cache.get("hit") and origin.count("/y") == 1


# (name, response fields): stored, but asked about again
STALE = [
    ("max-age=0", ["Cache-Control: max-age=0"]),
    ("no-cache 9111-5.2.2.4", ["Cache-Control: no-cache, max-age=600"]),
    ("Expires in the past", ["Expires: " + http_date(-10)]),
    ("Expires: 0 9111-5.3", ["Expires: 0"]),
    ("Age used up 9111-4.2.3", ["Cache-Control: max-age=60", "Age: 61"]),
    ("Date long ago", ["Cache-Control: max-age=60", "Date: " + http_date(-3600)]),
    ("negative max-age", ["Cache-Control: max-age=-1"]),
]


@pytest.mark.parametrize("fields", [r[1] for r in STALE], ids=[r[0] for r in STALE])
def test_stale_is_validated(proxy, origin, fields):
    origin.on("/z", [answer("old", fields=fields + ['ETag: "v1"']), answer("new", fields=fields + ['ETag: "v2"'])])
    first, second = twice(proxy, origin.url("/z"))
    assert first.body == b"old" and second.body == b"new"
    assert origin.last("/z").get("If-None-Match") == '"v1"'
    assert second.cache.get("fwd") == "stale" and not second.cache.get("hit")


def test_304_freshens(proxy, origin):
    stale = ["Cache-Control: max-age=60", "Age: 60", 'ETag: "v1"', "X-V: 1"]
    origin.on("/f", [answer("kept", fields=stale), answer(status=304, fields=[FRESH, 'ETag: "v1"', "X-V: 2"])])
    first, second = twice(proxy, origin.url("/f"))
    assert second.status == 200 and second.body == b"kept"
    assert second.cache["fwd"] == "stale" and second.cache["fwd-status"] == 304
    assert second.get("X-V") == "2"
    proxy.settle()
    third = proxy.get(origin.url("/f"))
    assert third.cache.get("hit") and third.body == b"kept" and third.get("X-V") == "2" and origin.count("/f") == 2


def test_304_with_last_modified_only(proxy, origin):
    when = http_date(-100000)
    origin.on("/f", [answer("kept", fields=["Cache-Control: max-age=0", "Last-Modified: " + when]),
                     answer(status=304, fields=["Last-Modified: " + when, FRESH])])
    _, second = twice(proxy, origin.url("/f"))
    assert origin.last("/f").get("If-Modified-Since") == when
    assert second.status == 200 and second.body == b"kept"


# Request directives (RFC 9111 §5.2.1) against a fresh stored response.
@pytest.mark.parametrize("field, hit", [
    ("Cache-Control: no-cache", False), ("Pragma: no-cache", False), ("Cache-Control: max-age=0", False),
    ("Cache-Control: max-age=500", True), ("Cache-Control: min-fresh=700", False),
    ("Cache-Control: min-fresh=10", True), ("Cache-Control: only-if-cached", True),
    ("Cache-Control: max-stale", True), ("Cache-Control: no-transform", True),
])
def test_request_directives(proxy, origin, field, hit):
    origin.on("/d", answer("x", fields=[FRESH, 'ETag: "1"']))
    proxy.get(origin.url("/d"))
    proxy.settle()
    r = proxy.get(origin.url("/d"), field)
    assert bool(r.cache.get("hit")) == hit
    assert origin.count("/d") == (1 if hit else 2)
    if not hit:
        assert r.cache["fwd"] in ("request", "stale")


def test_only_if_cached_without_anything(proxy, origin):
    r = proxy.get(origin.url("/none"), "Cache-Control: only-if-cached")
    assert r.status == 504 and origin.count() == 0


def test_max_stale(proxy, origin):
    origin.on("/d", answer("x", fields=["Cache-Control: max-age=60", "Age: 70", 'ETag: "1"']))
    proxy.get(origin.url("/d"))
    proxy.settle()
    r = proxy.get(origin.url("/d"), "Cache-Control: max-stale=100")
    assert r.cache.get("hit") and r.cache["ttl"] < 0 and origin.count("/d") == 1
    proxy.get(origin.url("/d"), "Cache-Control: max-stale=1")
    assert origin.count("/d") == 2


def test_must_revalidate_beats_max_stale(proxy, origin):
    origin.on("/d", answer("x", fields=["Cache-Control: max-age=60, must-revalidate", "Age: 70", 'ETag: "1"']))
    proxy.get(origin.url("/d"))
    proxy.settle()
    proxy.get(origin.url("/d"), "Cache-Control: max-stale")
    assert origin.count("/d") == 2


def test_stale_while_revalidate(proxy, origin):
    stale = answer("old", fields=["Cache-Control: max-age=60, stale-while-revalidate=600", "Age: 70", 'ETag: "1"'])
    origin.on("/w", [stale, answer("new", fields=[FRESH])])
    proxy.get(origin.url("/w"))
    proxy.settle()
    r = proxy.get(origin.url("/w"))
    assert r.body == b"old" and r.cache.get("hit") and r.cache["ttl"] < 0
    origin.wait(2, "/w")
    proxy.settle()
    r = proxy.get(origin.url("/w"))
    assert r.body == b"new" and r.cache.get("hit") and origin.count("/w") == 2


@pytest.mark.parametrize("failure", ["refused", 500, 503, "broken"])
def test_stale_if_error(proxy, origins, failure):
    o = origins()
    stale = answer("old", fields=["Cache-Control: max-age=60, stale-if-error=600", "Age: 70", 'ETag: "1"'])
    after = (lambda q, c: c.close()) if failure == "broken" else answer("no", status=failure if failure != "refused" else 500)
    o.on("/e", [stale, after])
    proxy.get(o.url("/e"))
    proxy.settle()
    if failure == "refused":
        o.stop()
    r = proxy.get(o.url("/e"))
    assert r.status == 200 and r.body == b"old"


def test_stale_if_error_option(larder, origins):
    d = larder("forward", options=["stale_if_error=1h"])
    o = origins()
    o.on("/e", answer("old", fields=["Cache-Control: max-age=60", "Age: 70", 'ETag: "1"']))
    d.get(o.url("/e"))
    d.settle()
    o.stop()
    assert d.get(o.url("/e")).body == b"old"


def test_without_permission_errors_are_passed(proxy, origins):
    o = origins()
    o.on("/e", [answer("old", fields=["Cache-Control: max-age=60", "Age: 70", 'ETag: "1"']), answer("no", status=503)])
    proxy.get(o.url("/e"))
    proxy.settle()
    assert proxy.get(o.url("/e")).status == 503


# RFC 9111 §4.4
@pytest.mark.parametrize("method, status, invalidates", [
    ("POST", 200, True), ("PUT", 201, True), ("DELETE", 204, True), ("PATCH", 302, True),
    ("POST", 404, False), ("POST", 500, False), ("OPTIONS", 200, False), ("BREW", 200, True),
])
def test_invalidation(proxy, origin, method, status, invalidates):
    origin.on("/i", [answer("1", fields=[FRESH]), answer("" if status == 204 else "x", status=status),
                     answer("2", fields=[FRESH])])
    proxy.get(origin.url("/i"))
    proxy.settle()
    with proxy.client() as c:
        c.request(method, origin.url("/i"), body=b"b")
    proxy.settle()
    r = proxy.get(origin.url("/i"))
    assert (r.body == b"2") == invalidates


@pytest.mark.parametrize("method, raw", [
    ("POST", answer("", fields=["X-A: b"])), ("PUT", answer("", status=201, fields=["Location: /i"])), ("DELETE", answer(status=204)),
    ("POST", answer("", fields=["Transfer-Encoding: chunked"], length=False) + chunked([])),
    ("POST", answer("", fields=[FRESH, "Content-Location: /i"])),
], ids=["length", "created", "none", "chunked", "stored"])
def test_empty_answers_that_wait_for_invalidations(proxy, origin, method, raw):
    """The head is held until the store has them; the transfer has ended by then. The next request's answer follows."""
    origin.on("/i", lambda q, c: raw if q.method == method else answer("got", fields=[FRESH]))
    assert proxy.get(origin.url("/i")).body == b"got"
    proxy.settle()
    with proxy.client() as c:
        c.send(c.compose(method, origin.url("/i"), body=b"b") + c.compose("GET", origin.url("/other")))
        r = c.response(method)
        assert r.raw.split(b"\r\n", 1)[0] == raw.split(b"\r\n", 1)[0] and r.body == b""
        if r.status == 204:
            assert not r.has("Content-Length") and not r.has("Transfer-Encoding")
        else:
            assert (r.get("Content-Length") == "0") != (r.get("Transfer-Encoding") == "chunked")
        assert c.response().body == b"fallback" and c.silent()


@pytest.mark.parametrize("where", ["Location: /i", "Content-Location: /i"])
def test_invalidation_of_what_the_answer_names(proxy, origin, where):
    origin.on("/i", [answer("1", fields=[FRESH]), answer("2", fields=[FRESH])])
    origin.on("/post", answer("x", status=201, fields=[where]))
    proxy.get(origin.url("/i"))
    proxy.settle()
    with proxy.client() as c:
        c.request("POST", origin.url("/post"), body=b"b")
    proxy.settle()
    assert proxy.get(origin.url("/i")).body == b"2"


# (where the origin is, what is stored, the unsafe request's target, its answer's fields, is it gone?)
@pytest.mark.parametrize("prefix, stored, target, fields, gone", [
    ("", "/i", "/x/../i", [], True),
    ("", "/x/../i", "/x/../i", [], True),
    ("", "/i?q=/a/../b", "/x/%2e%2E/./i?q=/a/../b", [], True),
    ("", "/i?q=b", "/x/../i?q=/a/../b", [], False),
    ("", "/i", "/post", ["Location: /x/%2e%2e/i"], True),
    ("", "/x/i", "/x/../i", [], False),
    ("/pre/fix", "/i", "/x/../i", [], True),
])
def test_dot_segments_do_not_hide_what_is_invalidated(larder, origin, prefix, stored, target, fields, gone):
    """RFC 9110 §4.2.3, RFC 9111 §4.4"""
    origin.on("*", lambda q, c: answer("x", fields=[FRESH] if q.method == "GET" else fields))
    d = larder(f"reverse,{origin.url(prefix)}")
    assert not d.get(stored, host="www.example").cache.get("hit")
    d.settle()
    assert d.get(stored, host="www.example").cache.get("hit")
    with d.client() as c:
        assert c.request("PUT", target, body=b"b", host="www.example").status == 200
    assert (not d.get(stored, host="www.example").cache.get("hit")) == gone


def test_other_hosts_are_not_invalidated(proxy, origins):
    a, b = origins(), origins()
    a.on("/i", answer("1", fields=[FRESH]))
    b.on("/post", answer("x", status=201, fields=["Location: " + a.url("/i")]))
    proxy.get(a.url("/i"))
    proxy.settle()
    with proxy.client() as c:
        c.request("POST", b.url("/post"), body=b"b")
    proxy.settle()
    assert proxy.get(a.url("/i")).cache.get("hit")


# (fields of HEAD's answer, what a GET is afterwards)
@pytest.mark.parametrize("fields, then", [
    (['ETag: "1"', "Cache-Control: max-age=1000"], "fresh"),
    (['ETag: "2"', FRESH], "stale"),
    (['ETag: "1"', "Cache-Control: no-store"], "gone"),
], ids=["freshened", "outdated", "no-store"])
def test_head_updates_a_stored_get(proxy, origin, fields, then):
    """RFC 9111 §4.3.5"""
    def script(req, conn):
        if req.method == "HEAD":
            return answer("body", fields=fields)
        return answer(status=304) if req.has("If-None-Match") else answer("body", fields=[FRESH, 'ETag: "1"'])
    origin.on("/h", script)
    proxy.get(origin.url("/h"))
    proxy.settle()
    with proxy.client() as c:
        assert c.request("HEAD", origin.url("/h"), ["Cache-Control: no-cache"]).body == b""
    proxy.settle()
    r = proxy.get(origin.url("/h"))
    assert r.body == b"body"
    if then == "fresh":
        assert r.cache.get("hit") and r.cache["ttl"] > 600
    else:
        assert r.cache["fwd"] == ("stale" if then == "stale" else "uri-miss")


def test_a_get_after_a_head_that_says_otherwise(proxy, origin):
    """RFC 9111 §4.3.5: what the HEAD's answer has outdated is not used once the client has that answer."""
    origin.on("*", lambda q, c: answer("new", fields=[FRESH, 'ETag: "2"']) if q.method == "HEAD" or q.has("If-None-Match")
              else answer("old", fields=[FRESH, 'ETag: "1"']))
    for i in range(20):
        url = origin.url(f"/{i}")
        proxy.get(url)
        proxy.settle()
        with proxy.client() as c:
            assert c.get(origin.url(f"/busy{i}")).status == 200
            head = c.request("HEAD", url, ["Cache-Control: no-cache"])
            assert head.get("ETag") == '"2"' and head.get("Content-Length") == "3"
            assert c.get(url).body == b"new"


def test_post_that_answers_get(proxy, origin):
    """RFC 9110 §9.3.3"""
    origin.on("/post", lambda q, c: answer(q.method, fields=[FRESH, "Content-Location: /post"]))
    assert proxy.get(origin.url("/post")).body == b"GET"
    proxy.settle()
    with proxy.client() as c:
        assert c.request("POST", origin.url("/post"), body=b"b").body == b"POST"
    proxy.settle()
    r = proxy.get(origin.url("/post"))
    assert r.cache.get("hit") and r.body == b"POST"
    with proxy.client() as c:
        r = c.request("HEAD", origin.url("/post"))
        assert r.cache.get("hit") and r.get("Content-Length") == "4"
        assert not c.request("POST", origin.url("/post"), body=b"b").cache.get("hit")


def test_no_store_that_comes_later_removes(proxy, origin):
    """What was stored is not served again, not even where stale answers are wanted (RFC 9111 §4.3.3, §5.2.2.5)."""
    origin.on("/n", [answer("old", fields=["Cache-Control: max-age=0", 'ETag: "1"']),
                     answer("new", fields=["Cache-Control: no-store"])])
    assert [b.body for b in twice(proxy, origin.url("/n"))] == [b"old", b"new"]
    proxy.settle()
    assert proxy.get(origin.url("/n"), "Cache-Control: only-if-cached, max-stale").status == 504


def test_denied_is_not_told_to_who_brings_credentials(proxy, origin):
    origin.on("/d", lambda q, c: answer("in", fields=["Cache-Control: no-store"]) if q.has("Authorization")
              else answer("out", status=401, fields=[FRESH, "WWW-Authenticate: Basic realm=x"]))
    first, second = twice(proxy, origin.url("/d"))
    assert first.status == second.status == 401 and second.cache.get("hit")
    r = proxy.get(origin.url("/d"), "Authorization: Basic eDp5")
    assert r.status == 200 and r.body == b"in"


def test_head_from_a_stored_get(proxy, origin):
    origin.on("/h", answer("12345", fields=[FRESH, "X-A: 1"]))
    proxy.get(origin.url("/h"))
    proxy.settle()
    with proxy.client() as c:
        r = c.request("HEAD", origin.url("/h"))
    assert r.cache.get("hit") and r.get("Content-Length") == "5" and r.get("X-A") == "1"


# One resource under several spellings of its URI (RFC 3986 §6.2.2, RFC 9110 §4.2.3)
@pytest.mark.parametrize("a, b, same", [
    ("/x%7Ey", "/x~y", True), ("/x%7ey", "/x%7Ey", True), ("/a/./b", "/a/b", False), ("/a/../b", "/b", False), ("/a/%2E./b", "/a/../b", True),
    ("/x", "/X", False), ("/x?a", "/x?b", False), ("/x", "/x?", False), ("/a%2Fb", "/a/b", False),
    ("/a//b", "/a/b", False), ("/x+y", "/x%20y", False),
])
def test_keys(proxy, origin, a, b, same):
    origin.on("*", answer("x", fields=[FRESH]))
    proxy.get(origin.url(a))
    proxy.settle()
    assert bool(proxy.get(origin.url(b)).cache.get("hit")) == same


def test_hosts_are_compared_in_lower_case(proxy, origin):
    origin.on("*", answer("x", fields=[FRESH]))
    proxy.get(f"http://localhost:{origin.port}/k")
    proxy.settle()
    assert proxy.get(f"http://LOCALHOST:{origin.port}/k").cache.get("hit")


def test_age_grows_with_upstream_age(proxy, origin):
    origin.on("/g", answer("x", fields=["Cache-Control: max-age=600", "Age: 100"]))
    _, second = twice(proxy, origin.url("/g"))
    assert 100 <= int(second.get("Age")) <= 110 and 490 <= second.cache["ttl"] <= 500


def test_upstream_cache_status_is_kept(proxy, origin):
    origin.on("/u", answer("x", fields=[FRESH, "Cache-Status: upstream; hit"]))
    first, second = twice(proxy, origin.url("/u"))
    for r in (first, second):
        assert r.get("Cache-Status").startswith("upstream; hit, ")


def test_one_fetch_for_many(proxy, origin):
    gate = threading.Event()
    origin.on("/c", lambda q, c: gate.wait(20) and answer("together", fields=[FRESH]))
    clients = [proxy.client() for _ in range(20)]
    for c in clients:
        c.send(c.compose("GET", origin.url("/c")))
    origin.wait(1, "/c")
    until(lambda: proxy.stat("exchange.active") >= 20, "all requests to wait")
    gate.set()
    answers = [c.response() for c in clients]
    assert all(r.body == b"together" for r in answers) and origin.count("/c") == 1
    assert sum(1 for r in answers if r.cache.get("collapsed")) >= 19
    for c in clients:
        c.close()


def test_one_fetch_for_many_while_the_body_runs(proxy, origin):
    gate = threading.Event()
    body = b"z" * 200000

    def slow(req, conn):
        conn.send(answer(body, fields=[FRESH])[:-100000])
        gate.wait(20)
        conn.send(body[:100000])
    origin.on("/c", slow)
    a = proxy.client()
    a.send(a.compose("GET", origin.url("/c")))
    assert a.head().status == 200
    b = proxy.client()
    b.send(b.compose("GET", origin.url("/c")))
    assert b.head().status == 200
    assert len(b.exactly(50000)) == 50000
    gate.set()
    assert a.exactly(200000) == body and b.exactly(150000) == body[:150000] and origin.count("/c") == 1
    a.close()
    b.close()


def test_private_answers_are_not_shared_between_waiters(proxy, origin):
    gate = threading.Event()

    def personal(req, conn):
        gate.wait(20)
        return answer(f"for {req.get('X-Who')}", fields=["Cache-Control: private"])
    origin.on("/p", personal)
    clients = [proxy.client() for _ in range(4)]
    for i, c in enumerate(clients):
        c.send(c.compose("GET", origin.url("/p"), [f"X-Who: {i}"]))
    origin.wait(1, "/p")
    gate.set()
    for i, c in enumerate(clients):
        assert c.response().body == f"for {i}".encode()
        c.close()


def test_cookies_do_not_keep_from_the_store(proxy, origin):
    origin.on("/k", answer("x", fields=[FRESH]))
    _, second = twice(proxy, origin.url("/k"), "Cookie: a=1")
    assert second.cache.get("hit")


def test_store_off_still_serves(larder, origin):
    d = larder("forward", store=False)
    origin.on("/a", answer("x", fields=[FRESH]))
    for _ in range(2):
        assert d.get(origin.url("/a")).body == b"x"
    assert origin.count("/a") == 2


def test_object_max(larder, origin):
    d = larder("forward", options=["object_max=100k"])
    origin.on("/big", answer(b"x" * 200000, fields=[FRESH]))
    first, second = twice(d, origin.url("/big"))
    assert len(first.body) == len(second.body) == 200000 and origin.count("/big") == 2
    assert first.cache.get("detail") == "too-large"


def test_broken_off_body_is_not_stored(proxy, origin, connect):
    origin.on("/b", [lambda q, c: (c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n" + FRESH.encode() + b"\r\n\r\nabc"),
                                   c.close())[0] and None, answer("whole", fields=[FRESH])])
    c = connect(proxy.port)
    c.send(c.compose("GET", origin.url("/b")))
    c.head()
    assert c.rest() == b"abc"
    proxy.settle()
    assert proxy.get(origin.url("/b")).body == b"whole"
