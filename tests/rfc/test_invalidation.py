"""RFC 9111 §4.4: what unsafe requests invalidate."""

import pytest

from way import FRESH, answer, numbered

ETAG = 'ETag: "v"'


def gone(way, path=""):
    """Whether what was stored for the path is not used without asking the origin."""
    way.settle()
    before = way.count(path)
    b = way.ask(path=path)
    assert b.status == 200
    return not b.cache.get("hit") and way.count(path) == before + 1


# (name, method, status of its answer, invalidated?)
ROWS = [
    ("PUT 200", "PUT", 200, True), ("PUT 201", "PUT", 201, True), ("PUT 204", "PUT", 204, True), ("PUT 299", "PUT", 299, True),
    ("POST 200", "POST", 200, True), ("POST 302", "POST", 302, True), ("POST 303", "POST", 303, True), ("POST 304", "POST", 304, True),
    ("DELETE 200", "DELETE", 200, True), ("DELETE 204", "DELETE", 204, True), ("PATCH 200", "PATCH", 200, True),
    ("unknown 200", "BREW", 200, True), ("unknown 399", "BREW", 399, True), ("MKCOL 201", "MKCOL", 201, True),
    ("post 200", "post", 200, True), ("lower get 200", "get", 200, True),
    ("POST 400", "POST", 400, False), ("POST 404", "POST", 404, False), ("POST 499", "POST", 499, False),
    ("PUT 500", "PUT", 500, False), ("DELETE 503", "DELETE", 503, False), ("unknown 400", "BREW", 400, False),
    ("OPTIONS 200", "OPTIONS", 200, False), ("TRACE 200", "TRACE", 200, False), ("HEAD 200", "HEAD", 200, False),
    ("GET 200", "GET", 200, False), ("PROPFIND 207", "PROPFIND", 207, False), ("REPORT 200", "REPORT", 200, False),
    ("SEARCH 200", "SEARCH", 200, False), ("QUERY 200", "QUERY", 200, False),
]


@pytest.mark.parametrize("method, status, invalidates", [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_target(way, method, status, invalidates):
    other = answer("" if status in (204, 304) else "x", status=status)
    way.on(lambda q, c: answer("stored", fields=[FRESH]) if q.method == "GET" else other)
    way.ask()
    way.settle()
    way.ask(method=method, body=b"b" if method not in ("GET", "HEAD", "TRACE") else b"")
    assert gone(way) == invalidates


# §4.4: Location and Content-Location. (name, field with %U for the origin, status, invalidated?)
LOCATIONS = [
    ("Location path", "Location: %P/b", 201, True),
    ("Location whole", "Location: http://%H%P/b", 201, True),
    ("Content-Location path", "Content-Location: %P/b", 200, True),
    ("Content-Location whole", "Content-Location: http://%H%P/b", 200, True),
    ("relative", "Location: b", 201, True),
    ("dot segments", "Location: %P/x/../b", 201, True),
    ("with fragment", "Location: %P/b#part", 303, True),
    ("network path", "Location: //%H%P/b", 201, True),
    ("in an error", "Location: %P/b", 404, False),
    ("other host", "Location: http://other.example%P/b", 201, False),
    ("other port", "Location: http://127.0.0.1:1%P/b", 201, False),
    ("other scheme", "Location: https://%H%P/b", 201, False),
    ("other host, Content-Location", "Content-Location: http://other.example%P/b", 200, False),
    ("no URI", "Location: http://[::%P/b", 201, False),
]


@pytest.mark.parametrize("field, status, invalidates", [r[1:] for r in LOCATIONS], ids=[r[0] for r in LOCATIONS])
def test_locations(way, field, status, invalidates):
    way.on(numbered([FRESH, ETAG]), path="/b")
    way.on(answer("x", status=status, fields=[way.fill(field)]), path="/a")
    way.ask(path="/b")
    way.settle()
    way.ask(method="POST", body=b"b", path="/a")
    assert gone(way, "/b") == invalidates


def test_all_variants(way):
    way.on(lambda q, c: answer(q.get("X-A", "-"), fields=[FRESH, "Vary: X-A"]))
    for value in "12":
        way.ask(f"X-A: {value}")
        way.settle()
    way.ask("X-A: 3", method="PUT", body=b"new")
    way.settle()
    for value in "12":
        assert not way.ask(f"X-A: {value}").cache.get("hit")


def test_the_query_is_another_uri(way):
    way.on(numbered([FRESH, ETAG]))
    way.ask(path="?a")
    way.settle()
    way.ask(method="POST", body=b"x", path="?b")
    way.settle()
    assert way.ask(path="?a").cache.get("hit")


def test_a_safe_request_with_location_does_not(way):
    way.on(numbered([FRESH, ETAG]), path="/b")
    way.on(answer("x", status=302, fields=[way.fill("Location: %P/b")]), path="/a")
    way.ask(path="/b")
    way.settle()
    way.ask(path="/a")
    assert not gone(way, "/b")


def test_an_answer_that_never_came_does_not_invalidate(way):
    """§4.4 speaks of non-error answers; who can't know asks again or not, but never loses what others may use wrongly."""
    way.on(lambda q, c: answer("stored", fields=[FRESH, ETAG]) if q.method == "GET" else c.reset())
    way.ask()
    way.settle()
    assert way.ask(method="POST", body=b"x").status == 502
    assert way.ask().body == b"stored"


def test_unsafe_goes_through(way):
    """§4: a cache writes unsafe requests through to the origin, and their answers are not the GET's."""
    way.on(lambda q, c: answer("stored", fields=[FRESH]) if q.method == "GET" else answer("posted", fields=[FRESH]))
    way.ask()
    way.settle()
    assert way.ask(method="POST", body=b"x").body == b"posted" and way.last().body == b"x"
    way.settle()
    assert way.ask().body == b"stored"


@pytest.mark.parametrize("fields, reused", [
    (["Cache-Control: max-age=600", "Content-Location: %P"], True),
    (["Cache-Control: max-age=600"], False),
    (["Content-Location: %P"], False),
    (["Cache-Control: max-age=600", "Content-Location: %P/other"], False),
], ids=["both", "no location", "no freshness", "other location"])
def test_post_answers_for_a_later_get(way, fields, reused):
    """RFC 9110 §9.3.3: with explicit freshness and a Content-Location that is the target."""
    way.on(lambda q, c: answer("posted", fields=[way.fill(f) for f in fields]) if q.method == "POST" else answer("got", fields=[FRESH]))
    way.ask(method="POST", body=b"x")
    way.settle()
    b = way.ask()
    assert b.body == (b"posted" if reused else b"got") and bool(b.cache.get("hit")) == reused
