"""RFC 9111 §4.2.1, §4.2.3, §5.1, RFC 9110 §6.6.1: Age, Date and the lifetime that is left."""

import pytest

from way import FRESH, answer, dated, http_date

SLACK = 60  # seconds that a busy machine may lose

# (name, response fields, Age at the least, lifetime)
ROWS = [
    ("no Age", [], 0, 600),
    ("Age", ["Age: 100"], 100, 600),
    ("Age 0", ["Age: 0"], 0, 600),
    ("Date", ["Date: {-100}"], 100, 600),
    ("Age larger than Date", ["Date: {-50}", "Age: 200"], 200, 600),
    ("Date larger than Age", ["Date: {-200}", "Age: 50"], 200, 600),
    ("Date ahead", ["Date: {1000}"], 0, 600),
    ("Date ahead with Age", ["Date: {1000}", "Age: 100"], 100, 600),
    ("Age with leading zeros", ["Age: 000100"], 100, 600),
    ("Age list", ["Age: 100, 300"], 100, 600),
    ("Age lines", ["Age: 100", "Age: 300"], 100, 600),
    ("Age garbage", ["Age: abc"], 0, 600),
    ("Age negative", ["Age: -100"], 0, 600),
    ("Age fraction", ["Age: 100.5"], 0, 600),
    ("Age with word", ["Age: 100 seconds"], 0, 600),
    ("Age quoted", ['Age: "100"'], 0, 600),
    ("Age empty", ["Age:"], 0, 600),
    ("Date garbage", ["Date: x", "Age: 100"], 100, 600),
]


@pytest.mark.parametrize("fields, age, life", [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_age(way, fields, age, life):
    way.on(answer("x", fields=dated([FRESH, *fields])))
    _, b = way.twice()
    assert b.cache.get("hit"), b.raw
    assert len(b.all("Age")) == 1 and age <= int(b.get("Age")) <= age + SLACK
    assert abs(b.cache["ttl"] + int(b.get("Age")) - life) <= 1


# (name, response fields, lifetime)
LIVES = [
    ("max-age", ["Cache-Control: max-age=500"], 500),
    ("s-maxage", ["Cache-Control: max-age=100, s-maxage=500"], 500),
    ("Expires", ["Date: {0}", "Expires: {500}"], 500),
    ("max-age before Expires", ["Cache-Control: max-age=500", "Expires: {100}"], 500),
    ("Expires from Date", ["Date: {-100}", "Expires: {400}"], 500),
    ("Expires without Date", ["Expires: {500}"], 500),
    ("a tenth", ["Date: {0}", "Last-Modified: {-5000}"], 500),
    ("heuristic limit", ["Date: {0}", "Last-Modified: {-86400000}"], 86400),
    ("saturated", ["Cache-Control: max-age=99999999999"], 2147483648),
    ("first of two", ["Cache-Control: max-age=500, max-age=900"], 500),
]


@pytest.mark.parametrize("fields, life", [r[1:] for r in LIVES], ids=[r[0] for r in LIVES])
def test_lifetime(way, fields, life):
    way.on(answer("x", fields=dated(fields), date=not fields[0].startswith("Expires")))
    _, b = way.twice()
    assert b.cache.get("hit") and abs(b.cache["ttl"] + int(b.get("Age")) - life) <= 2, b.raw


def test_date_is_added_and_stored(way):
    """RFC 9110 §6.6.1"""
    way.on(answer("x", fields=[FRESH], date=False))
    a, b = way.twice()
    assert len(a.all("Date")) == len(b.all("Date")) == 1 and a.get("Date") == b.get("Date")


def test_date_is_added_to_what_is_not_stored(way):
    """RFC 9110 §6.6.1"""
    way.on(answer("x", fields=["Cache-Control: no-store"], date=False))
    assert len(way.ask().all("Date")) == 1


def test_date_of_the_origin_is_kept(way):
    when = http_date(-50)
    way.on(answer("x", fields=[FRESH, "Date: " + when]))
    a, b = way.twice()
    assert a.all("Date") == b.all("Date") == [when] and b.cache.get("hit")


def test_age_of_what_was_just_fetched(way):
    """§5.1: an Age says that a cache was involved; one that the origin's side sent is not lost."""
    way.on(answer("x", fields=[FRESH, "Age: 100"]))
    a = way.ask()
    assert len(a.all("Age")) == 1 and 100 <= int(a.get("Age")) <= 100 + SLACK


def test_no_age_on_a_first_hand_answer(way):
    """§5.1: without Age nobody has to assume a cache."""
    way.on(answer("x", fields=["Cache-Control: no-store"]))
    assert not way.ask().has("Age")


def test_age_of_what_is_passed_through_unstored(way):
    way.on(answer("x", fields=["Cache-Control: no-store", "Age: 100"]))
    assert way.ask().all("Age") == ["100"]


def test_age_after_validation(way):
    """§4.2.3, §4.3.4: validated on the origin, its age begins anew."""
    way.on(answer("x", fields=["Cache-Control: max-age=60", "Age: 70", 'ETag: "v"']),
           answer(status=304, fields=[FRESH, 'ETag: "v"']))
    way.ask()
    way.settle()
    b = way.ask()
    assert b.status == 200 and int(b.get("Age", "0")) < 60
    way.settle()
    c = way.ask()
    assert c.cache.get("hit") and int(c.get("Age")) < 60 and c.body == b"x"


def test_age_from_a_validation_by_a_cache(way):
    """§4.2.3: the 304's own Age counts."""
    way.on(answer("x", fields=["Cache-Control: max-age=60", "Age: 70", 'ETag: "v"']),
           answer(status=304, fields=[FRESH, "Age: 200", 'ETag: "v"']))
    way.ask()
    way.settle()
    way.ask()
    way.settle()
    c = way.ask()
    assert c.cache.get("hit") and 200 <= int(c.get("Age")) <= 200 + SLACK


def test_age_on_a_stale_answer(way):
    """§4.2.4: stale answers say so by their Age; Warning is no more (§5.5)."""
    way.on(answer("x", fields=["Cache-Control: max-age=60, stale-while-revalidate=600", "Age: 70", 'ETag: "v"']))
    _, b = way.twice()
    assert b.cache["ttl"] < 0 and int(b.get("Age")) >= 70 and not b.has("Warning")


def test_age_on_a_304_from_the_store(way):
    way.on(answer("x", fields=[FRESH, "Age: 100", 'ETag: "v"']))
    _, b = way.twice(then=['If-None-Match: "v"'])
    assert b.status == 304 and 100 <= int(b.get("Age")) <= 100 + SLACK


def test_two_lifetimes_the_larger_first(way):
    """§4.2.1: the first, or stale; nothing in between."""
    way.on(answer("x", fields=["Cache-Control: max-age=900, max-age=500", 'ETag: "v"']))
    _, b = way.twice()
    assert not b.cache.get("hit") or abs(b.cache["ttl"] + int(b.get("Age")) - 900) <= 2


def test_age_of_a_stale_answer_on_error(way):
    """RFC 5861 §4"""
    way.on(answer("x", fields=["Cache-Control: max-age=60, stale-if-error=600", "Age: 70", 'ETag: "v"']), answer("no", status=503))
    _, b = way.twice()
    assert b.body == b"x" and int(b.get("Age")) >= 70
