"""Preconditions of clients against stored responses (RFC 9110 §13, RFC 9111 §4.3.2)."""

import pytest

from harness.message import answer, http_date

OLD, NEWER = http_date(-100000), http_date(-50)
STORED = ["Cache-Control: max-age=600", 'ETag: "a"', "Last-Modified: " + OLD, "Content-Type: text/plain",
          "X-Extra: 1", "Vary: X-None"]

# (request fields, status, clause)
ROWS = [
    (['If-None-Match: "a"'], 304, "13.1.2"),
    (['If-None-Match: "b", "a"'], 304, "13.1.2"),
    (['If-None-Match: W/"a"'], 304, "8.8.3.2 weak comparison"),
    (["If-None-Match: *"], 304, "13.1.2"),
    (['If-None-Match: "b"'], 200, "13.1.2"),
    (['If-None-Match: "b"', "If-Modified-Since: " + NEWER], 200, "13.2.2 If-None-Match wins"),
    (["If-Modified-Since: " + OLD], 304, "13.1.3"),
    (["If-Modified-Since: " + NEWER], 304, "13.1.3"),
    (["If-Modified-Since: " + http_date(-200000)], 200, "13.1.3"),
    (["If-Modified-Since: nonsense"], 200, "13.1.3"),
    (['If-None-Match: "a'], 200, "8.8.3 malformed"),
]


@pytest.fixture
def stored(proxy, origin):
    """The URL of a fresh stored response."""
    origin.on("/c", answer("body", fields=STORED))
    proxy.get(origin.url("/c"))
    proxy.settle()
    return origin.url("/c")


@pytest.mark.parametrize("ask, status, clause", ROWS, ids=[f"{i}-{r[2]}" for i, r in enumerate(ROWS)])
def test_from_the_store(proxy, origin, stored, ask, status, clause):
    r = proxy.get(stored, *ask)
    assert r.status == status and r.cache.get("hit") and origin.count("/c") == 1
    assert r.body == (b"body" if status == 200 else b"")


def test_304_has_the_right_fields(proxy, stored):
    r = proxy.get(stored, 'If-None-Match: "a"')
    assert r.status == 304
    for name in ("ETag", "Cache-Control", "Date", "Vary"):
        assert r.has(name), name
    for name in ("Content-Length", "Content-Type", "Transfer-Encoding"):
        assert not r.has(name), name


def test_304_keeps_the_connection_usable(proxy, stored, connect):
    c = connect(proxy.port)
    for _ in range(3):
        assert c.get(stored, 'If-None-Match: "a"').status == 304
        assert c.get(stored).body == b"body"


def test_conditions_on_a_miss_reach_the_client_right(proxy, origin):
    origin.on("/m", lambda q, c: answer(status=304, fields=['ETag: "a"']) if q.get("If-None-Match") == '"a"'
              else answer("whole", fields=STORED))
    r = proxy.get(origin.url("/m"), 'If-None-Match: "a"')
    assert r.status == 304 and r.body == b""
    proxy.settle()
    assert proxy.get(origin.url("/m")).body == b"whole"


@pytest.mark.parametrize("field", ['If-Match: "zzz"', "If-Unmodified-Since: " + http_date(-200000)], ids=["match", "unmodified"])
def test_failed_precondition(proxy, origin, field):
    origin.on("/p", lambda q, c: answer("x", status=412) if q.has("If-Match") or q.has("If-Unmodified-Since")
              else answer("body", fields=STORED))
    proxy.get(origin.url("/p"))
    proxy.settle()
    assert proxy.get(origin.url("/p"), field).status == 412


def test_conditions_of_unsafe_requests_are_the_origins(proxy, origin, stored):
    with proxy.client() as c:
        c.request("PUT", stored, ['If-Match: "zzz"'], b"new")
    assert origin.last("/c").method == "PUT" and origin.last("/c").get("If-Match") == '"zzz"'


def test_client_validator_and_stale_entry(proxy, origin):
    """The client holds "b", larder a stale "a", the origin now has "b"."""
    def now_b(req, conn):
        if '"b"' in (req.get("If-None-Match") or ""):
            return answer(status=304, fields=['ETag: "b"', "Cache-Control: max-age=600"])
        return answer("B", fields=['ETag: "b"', "Cache-Control: max-age=600"])
    origin.on("/s", [answer("A", fields=['ETag: "a"', "Cache-Control: max-age=0"]), now_b])
    proxy.get(origin.url("/s"))
    proxy.settle()
    r = proxy.get(origin.url("/s"), 'If-None-Match: "b"')
    assert r.status == 304 or (r.status == 200 and r.body == b"B")
    proxy.settle()
    r = proxy.get(origin.url("/s"))
    assert r.status == 200 and r.body == b"B"
