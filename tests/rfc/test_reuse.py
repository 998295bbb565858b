"""RFC 9111 §4, §5.2.1, §5.4, RFC 5861, RFC 8246: whether a stored answer is used for a second request."""

import pytest

from way import FRESH, answer, http_date, numbered

ETAG = 'ETag: "v"'


def stale(more="", by=10):
    """Fields of an answer that is stale since `by` seconds."""
    return [f"Cache-Control: max-age=60{more}", f"Age: {60 + by}", ETAG]


# (name, response fields, second request's fields, what becomes of it)
ROWS = [
    ("fresh", [FRESH, ETAG], [], "hit"),
    ("stale", stale(), [], "asked"),
    ("stale without validator", stale()[:2], [], "no"),
    ("at the end of the lifetime", ["Cache-Control: max-age=60", "Age: 60", ETAG], [], "asked"),
    # §5.2.1.1
    ("max-age above the age", [FRESH, "Age: 100", ETAG], ["Cache-Control: max-age=300"], "hit"),
    ("max-age below the age", [FRESH, "Age: 100", ETAG], ["Cache-Control: max-age=50"], "asked"),
    ("max-age 0", [FRESH, ETAG], ["Cache-Control: max-age=0"], "asked"),
    ("max-age of a stale one", stale(), ["Cache-Control: max-age=300"], "asked"),
    ("max-age huge", [FRESH, "Age: 100", ETAG], ["Cache-Control: max-age=99999999999"], "hit"),
    ("max-age with max-stale", stale(), ["Cache-Control: max-age=300, max-stale=100"], "stale"),
    ("max-age too small with max-stale", stale(), ["Cache-Control: max-age=30, max-stale=100"], "asked"),
    ("max-age beats swr", stale(", stale-while-revalidate=600"), ["Cache-Control: max-age=30"], "asked"),
    # §5.2.1.2
    ("max-stale enough", stale(), ["Cache-Control: max-stale=100"], "stale"),
    ("max-stale too small", stale(by=50), ["Cache-Control: max-stale=10"], "asked"),
    ("max-stale without number", stale(), ["Cache-Control: max-stale"], "stale"),
    ("max-stale 0", stale(), ["Cache-Control: max-stale=0"], "asked"),
    ("max-stale bad", stale(), ["Cache-Control: max-stale=x"], "asked"),
    ("max-stale and must-revalidate", stale(", must-revalidate"), ["Cache-Control: max-stale"], "asked"),
    ("max-stale and proxy-revalidate", stale(", proxy-revalidate"), ["Cache-Control: max-stale"], "asked"),
    ("max-stale and s-maxage", ["Cache-Control: s-maxage=60", "Age: 70", ETAG], ["Cache-Control: max-stale"], "asked"),
    ("max-stale and no-cache", ["Cache-Control: no-cache, max-age=60", "Age: 70", ETAG], ["Cache-Control: max-stale"], "asked"),
    # §5.2.1.3
    ("min-fresh less than is left", [FRESH, ETAG], ["Cache-Control: min-fresh=300"], "hit"),
    ("min-fresh more than is left", [FRESH, "Age: 400", ETAG], ["Cache-Control: min-fresh=300"], "asked"),
    ("min-fresh more than the lifetime", [FRESH, ETAG], ["Cache-Control: min-fresh=700"], "asked"),
    ("min-fresh and max-stale", [FRESH, "Age: 400", ETAG], ["Cache-Control: min-fresh=300, max-stale=999"], "asked"),
    # §5.2.1.4, §5.4
    ("no-cache", [FRESH, ETAG], ["Cache-Control: no-cache"], "asked"),
    ("no-cache and immutable", ["Cache-Control: max-age=600, immutable", ETAG], ["Cache-Control: no-cache"], "asked"),
    ("no-cache in odd case", [FRESH, ETAG], ["CACHE-CONTROL: NO-cache"], "asked"),
    ("no-cache within quotes", [FRESH, ETAG], ['Cache-Control: ext="no-cache"'], "hit"),
    ("pragma", [FRESH, ETAG], ["Pragma: no-cache"], "asked"),
    ("pragma beside cache-control", [FRESH, ETAG], ["Pragma: no-cache", "Cache-Control: max-age=300"], "hit"),
    ("other pragma", [FRESH, ETAG], ["Pragma: x-mine"], "hit"),
    # §5.2.1.5: says what to store, not what to use
    ("no-store of the second request", [FRESH, ETAG], ["Cache-Control: no-store"], "hit"),
    # §5.2.1.6, §5.2.1.7
    ("no-transform", [FRESH, ETAG], ["Cache-Control: no-transform"], "hit"),
    ("only-if-cached", [FRESH, ETAG], ["Cache-Control: only-if-cached"], "hit"),
    ("only-if-cached with max-stale", stale(), ["Cache-Control: only-if-cached, max-stale"], "stale"),
    # §5.2.1: others are ignored
    ("unknown directive", [FRESH, ETAG], ["Cache-Control: x-mine=5"], "hit"),
    ("response directive in a request", [FRESH, ETAG], ["Cache-Control: must-revalidate, private"], "hit"),
    # §5.2.2.2, §5.2.2.8
    ("must-revalidate fresh", ["Cache-Control: max-age=600, must-revalidate", ETAG], [], "hit"),
    ("must-revalidate stale", stale(", must-revalidate"), [], "asked"),
    ("proxy-revalidate fresh", ["Cache-Control: max-age=600, proxy-revalidate", ETAG], [], "hit"),
    ("proxy-revalidate stale", stale(", proxy-revalidate"), [], "asked"),
    ("must-revalidate beats swr", stale(", must-revalidate, stale-while-revalidate=600"), [], "asked"),
    ("s-maxage beats swr", ["Cache-Control: s-maxage=60, stale-while-revalidate=600", "Age: 70", ETAG], [], "asked"),
    ("no-cache beats swr", ["Cache-Control: no-cache, stale-while-revalidate=600", ETAG], [], "asked"),
    # RFC 5861 §3
    ("swr", stale(", stale-while-revalidate=600"), [], "stale"),
    ("swr used up", stale(", stale-while-revalidate=5"), [], "asked"),
    ("swr at its end", stale(", stale-while-revalidate=10", by=30), [], "asked"),
    ("swr quoted", stale(', stale-while-revalidate="600"'), [], "stale"),
    ("swr bad", stale(", stale-while-revalidate=x"), [], "asked"),
    ("swr of a request", stale(), ["Cache-Control: stale-while-revalidate=600"], "asked"),
    ("sie is not swr", stale(", stale-if-error=600"), [], "asked"),
    # RFC 8246 §2
    ("immutable", ["Cache-Control: max-age=600, immutable", ETAG], [], "hit"),
    ("immutable stale", stale(", immutable"), [], "asked"),
    ("immutable of a request", [FRESH, ETAG], ["Cache-Control: immutable, max-age=0"], "asked"),
    ("immutable with no-cache", ["Cache-Control: max-age=600, immutable, no-cache", ETAG], [], "asked"),
    # §4.2.3, §5.1
    ("age used up", ["Cache-Control: max-age=60", "Age: 61", ETAG], [], "asked"),
    ("age not used up", ["Cache-Control: max-age=600", "Age: 61", ETAG], [], "hit"),
    ("age list", ["Cache-Control: max-age=600", "Age: 0, 1000", ETAG], [], "hit"),
    ("age list, first large", ["Cache-Control: max-age=600", "Age: 1000, 0", ETAG], [], "asked"),
    ("age lines", ["Cache-Control: max-age=600", "Age: 0", "Age: 1000", ETAG], [], "hit"),
    ("age lines, first large", ["Cache-Control: max-age=600", "Age: 1000", "Age: 0", ETAG], [], "asked"),
    ("age negative", ["Cache-Control: max-age=600", "Age: -7200", ETAG], [], "hit"),
    ("age word", ["Cache-Control: max-age=600", "Age: abc", ETAG], [], "hit"),
    ("age fraction", ["Cache-Control: max-age=600", "Age: 7200.0", ETAG], [], "hit"),
    ("age huge", ["Cache-Control: max-age=600", "Age: 99999999999999999999", ETAG], [], "asked"),
    ("age as large as the largest lifetime", ["Cache-Control: max-age=99999999999", "Age: 2147483648", ETAG], [], "asked"),
    ("date long ago", ["Cache-Control: max-age=600", "Date: " + http_date(-3600), ETAG], [], "asked"),
    ("date ahead", ["Cache-Control: max-age=600", "Date: " + http_date(3600), ETAG], [], "hit"),
    ("date bad", ["Cache-Control: max-age=600", "Date: yesterday", ETAG], [], "hit"),
    ("date long ago, small age", ["Cache-Control: max-age=600", "Date: " + http_date(-3600), "Age: 5", ETAG], [], "asked"),
    ("expires against date", ["Date: " + http_date(-100), "Expires: " + http_date(500), ETAG], [], "hit"),
    ("expires less than age", ["Date: " + http_date(0), "Expires: " + http_date(100), "Age: 200", ETAG], [], "asked"),
    # RFC 9110 §5.6.7: forms of dates
    ("date in rfc850", ["Cache-Control: max-age=600", "Date: Sunday, 06-Nov-94 08:49:37 GMT", ETAG], [], "asked"),
    ("date in asctime", ["Cache-Control: max-age=600", "Date: Sun Nov  6 08:49:37 1994", ETAG], [], "asked"),
]


@pytest.mark.parametrize("fields, then, verdict", [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_reused(way, fields, then, verdict):
    way.on(numbered(fields, body="1" if verdict in ("hit", "stale") else None))
    assert way.verdict((), then) == verdict


# §5.2.1.7, §4: (name, response fields or None, request fields)
TIMEOUTS = [
    ("nothing", None, ["Cache-Control: only-if-cached"]),
    ("stale", stale(), ["Cache-Control: only-if-cached"]),
    ("no-cache", [FRESH, ETAG], ["Cache-Control: only-if-cached, no-cache"]),
    ("min-fresh", [FRESH, ETAG], ["Cache-Control: only-if-cached, min-fresh=900"]),
    ("response no-cache", ["Cache-Control: no-cache", ETAG], ["Cache-Control: only-if-cached"]),
    ("other variant", [FRESH, "Vary: X-A"], ["Cache-Control: only-if-cached", "X-A: 1"]),
]


@pytest.mark.parametrize("fields, then", [r[1:] for r in TIMEOUTS], ids=[r[0] for r in TIMEOUTS])
def test_only_if_cached_gets_504(way, fields, then):
    if fields:
        way.on(numbered(fields))
        way.ask()
        way.settle()
    asked = way.count()
    assert way.ask(*then).status == 504 and way.count() == asked


# §4.2.4, RFC 5861 §4: the origin answers a validation with an error, or not at all.
# (name, Cache-Control, request fields, failure, served stale?)
ERRORS = [
    ("500", "max-age=60, stale-if-error=600", [], 500, True),
    ("502", "max-age=60, stale-if-error=600", [], 502, True),
    ("503", "max-age=60, stale-if-error=600", [], 503, True),
    ("504", "max-age=60, stale-if-error=600", [], 504, True),
    ("501 is no such error", "max-age=60, stale-if-error=600", [], 501, False),
    ("404 is no such error", "max-age=60, stale-if-error=600", [], 404, False),
    ("used up", "max-age=60, stale-if-error=5", [], 503, False),
    ("not allowed", "max-age=60", [], 503, False),
    ("by request", "max-age=60", ["Cache-Control: stale-if-error=600"], 503, True),
    ("by request, used up", "max-age=60", ["Cache-Control: stale-if-error=5"], 503, False),
    ("must-revalidate", "max-age=60, stale-if-error=600, must-revalidate", [], 503, False),
    ("proxy-revalidate", "max-age=60, stale-if-error=600, proxy-revalidate", [], 503, False),
    ("s-maxage", "s-maxage=60, stale-if-error=600", [], 503, False),
    ("no-cache", "max-age=60, stale-if-error=600, no-cache", [], 503, False),
    ("request no-cache", "max-age=60, stale-if-error=600", ["Cache-Control: no-cache"], 503, False),
    ("bad number", "max-age=60, stale-if-error=x", [], 503, False),
]


@pytest.mark.parametrize("control, then, failure, served", [r[1:] for r in ERRORS], ids=[r[0] for r in ERRORS])
def test_stale_if_error(way, control, then, failure, served):
    way.on(answer("old", fields=[f"Cache-Control: {control}", "Age: 70", ETAG]), answer("no", status=failure))
    way.ask()
    way.settle()
    b = way.ask(*then)
    assert (b.status, b.body) == ((200, b"old") if served else (failure, b"no")) and way.count() == 2


# §4.2.4, §5.2.2.2: no answer at all; 504 unless another status says it better, as 502 does for connections that break
# (RFC 9209 §2.3.8). (name, Cache-Control, status)
DISCONNECTED = [
    ("must-revalidate", "max-age=60, must-revalidate", 502), ("proxy-revalidate", "max-age=60, proxy-revalidate", 502),
    ("s-maxage", "s-maxage=60", 502), ("no-cache", "no-cache, max-age=60", 502), ("plain", "max-age=60", 200),
    ("stale-if-error", "max-age=60, stale-if-error=600", 200), ("stale-if-error used up", "max-age=60, stale-if-error=5", 502),
]


@pytest.mark.parametrize("control, status", [r[1:] for r in DISCONNECTED], ids=[r[0] for r in DISCONNECTED])
def test_origin_does_not_answer(way, control, status):
    way.on(lambda q, c: answer("old", fields=[f"Cache-Control: {control}", "Age: 70", ETAG]) if way.count() == 1 else c.reset())
    way.ask()
    way.settle()
    b = way.ask()
    assert b.status == status and (b.body == b"old") == (status == 200)


def test_fresh_is_served_without_the_origin(way):
    way.on(lambda q, c: answer("old", fields=[FRESH]) if way.count() == 1 else c.reset())
    _, b = way.twice()
    assert b.status == 200 and b.body == b"old" and b.cache.get("hit")


def test_stale_while_revalidate_validates_behind(way):
    """RFC 5861 §3"""
    way.on(answer("old", fields=stale(", stale-while-revalidate=600")), answer("new", fields=[FRESH]))
    _, b = way.twice()
    assert b.body == b"old"
    way.origin.wait(2, way.path)
    way.settle()
    b = way.ask()
    assert b.body == b"new" and b.cache.get("hit") and way.count() == 2 and way.last().get("If-None-Match") == '"v"'


def test_stale_while_revalidate_with_a_failing_origin(way):
    """RFC 5861 §3: the failure behind the scene does not disturb who is served."""
    way.on(answer("old", fields=stale(", stale-while-revalidate=600")), answer("no", status=503))
    _, b = way.twice()
    assert b.body == b"old"
    way.origin.wait(2, way.path)
    way.settle()
    assert way.ask().body == b"old"


def test_head_is_answered_from_a_stored_get(way):
    way.on(answer("12345", fields=[FRESH, ETAG, "X-Mine: 1"]))
    _, b = way.twice(method="HEAD")
    assert b.status == 200 and b.cache.get("hit") and b.get("Content-Length") == "5" and b.get("X-Mine") == "1"
    assert b.get("ETag") == '"v"' and b.has("Age") and way.count() == 1


def test_head_on_a_stale_get_is_passed_on(way):
    way.on(answer("12345", fields=stale()))
    _, b = way.twice(method="HEAD")
    assert b.status == 200 and way.count() == 2 and way.last().method in ("HEAD", "GET")


@pytest.mark.parametrize("status", [404, 410, 301, 302, 308])
def test_stored_errors_and_redirects_are_used(way, status):
    way.on(answer("gone", status=status, fields=[FRESH, "Location: /elsewhere", "X-Mine: 1"]))
    _, b = way.twice()
    assert b.status == status and b.cache.get("hit") and b.body == b"gone"
    assert b.get("Location") == "/elsewhere" and b.get("X-Mine") == "1"


def test_the_field_lines_are_the_same_from_the_store(way):
    fields = [FRESH, "X-Odd:   kept  as it came", "x-lower: 1", "X-Twice: 1", "X-Twice: 2", "X-Empty:", "X-Text: \xe4\xff\x80",
              "Content-Type: text/x; q=1", "Server: some", "Link: <a>; rel=b"]
    way.on(answer("body", fields=fields))
    a, b = way.twice()
    mine = {f.split(":")[0].lower() for f in fields}
    assert [f for f in a.fields if f[0].lower() in mine] == [f for f in b.fields if f[0].lower() in mine]
    assert b.cache.get("hit") and b.get("X-Text") == "\xe4\xff\x80" and b.all("X-Twice") == ["1", "2"]


def test_immutable_without_tls(way):
    """RFC 8246 §3: not to be trusted where nothing vouches for the answer."""
    way.on(numbered(["Cache-Control: max-age=600, immutable", ETAG]))
    assert way.verdict((), ["Cache-Control: max-age=0"]) == "asked"
