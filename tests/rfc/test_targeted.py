"""RFC 9213: fields for some caches only. Reverse listeners use CDN-Cache-Control, forward ones no targeted field."""

import pytest

from way import FRESH, http_date, numbered

ETAG = 'ETag: "v"'
PLAIN, AWAY = "Cache-Control: max-age=600", "Cache-Control: no-store"
T = "CDN-Cache-Control: "

# (name, response fields, what becomes of the second request where the field counts, and where it does not)
ROWS = [
    ("max-age", [T + "max-age=600", AWAY], "hit", "no"),
    ("max-age 0", [T + "max-age=0", PLAIN, ETAG], "asked", "hit"),
    ("no-store", [T + "no-store", PLAIN], "no", "hit"),
    ("private", [T + "private", PLAIN], "no", "hit"),
    ("no-cache", [T + "no-cache", PLAIN, ETAG], "asked", "hit"),
    ("no-store makes max-age inoperative", [T + "no-store, max-age=600", PLAIN], "no", "hit"),
    ("no-cache makes max-age inoperative", [T + "max-age=600, no-cache", PLAIN, ETAG], "asked", "hit"),
    ("s-maxage", [T + "max-age=0, s-maxage=600", AWAY], "hit", "no"),
    ("stale-while-revalidate", [T + "max-age=1, stale-while-revalidate=600", "Age: 5", AWAY], "stale", "no"),
    ("Expires is ignored", [T + "max-age=0", "Expires: " + http_date(600), ETAG], "asked", "hit"),
    ("unknown directives", [T + "x-mine=5;p=1, max-age=600, y", AWAY], "hit", "no"),
    ("parameters", [T + "max-age=600;x=1", AWAY], "hit", "no"),
    ("several lines", [T + "max-age=0", T + "max-age=600", AWAY], "hit", "no"),
    ("last of a key", [T + "max-age=0, max-age=600", AWAY], "hit", "no"),
    ("no lifetime", [T + "x-mine", PLAIN, ETAG], "asked", "hit"),
    ("private with names", [T + 'max-age=600, private="X-Mine"', AWAY], "hit", "no"),
    # Ignored whole: empty, malformed
    ("empty", [T, PLAIN], "hit", "hit"),
    ("malformed", [T + "max-age=0, &&", PLAIN], "hit", "hit"),
    ("upper case key", [T + "Max-Age=0", PLAIN], "hit", "hit"),
    ("too many digits", [T + "max-age=0, x=9999999999999999", PLAIN], "hit", "hit"),
    ("trailing comma", [T + "no-store,", PLAIN], "hit", "hit"),
    ("space around =", [T + "max-age = 0", PLAIN], "hit", "hit"),
    ("unclosed string", [T + 'no-store, x="a', PLAIN], "hit", "hit"),
    # Others than ours
    ("another target", ["Surrogate-Cache-Control: no-store", PLAIN], "hit", "hit"),
    ("another cdn", ["Other-CDN-Cache-Control: max-age=0", PLAIN], "hit", "hit"),
]


@pytest.mark.parametrize("fields, used, unused", [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_targeted(way, fields, used, unused):
    verdict = used if way.kind == "reverse" else unused
    way.on(numbered(fields, body="1" if verdict in ("hit", "stale") else None))
    assert way.verdict() == verdict


@pytest.mark.parametrize("value", ["max-age=600", "max-age=600, &&", "x;y=1, no-cache=\"a\""], ids=["used", "malformed", "odd"])
def test_passed_on(way, value):
    """§2.2, §3"""
    way.on(numbered([PLAIN, T + value, "Other-Cache-Control: no-store"]))
    for r in way.twice():
        assert r.get("CDN-Cache-Control") == value and r.get("Other-Cache-Control") == "no-store" and r.get("Cache-Control") == "max-age=600"


def test_must_revalidate(way):
    """§2.2: one of those that have to be implemented."""
    way.on(numbered([T + "max-age=1, must-revalidate", "Age: 5", FRESH, ETAG]))
    verdict = way.verdict((), ["Cache-Control: max-stale"])
    assert verdict == ("asked" if way.kind == "reverse" else "hit")


def test_age_counts(way):
    """§2.2: the directives mean what they mean in Cache-Control."""
    way.on(numbered([T + "max-age=60", "Age: 70", PLAIN, ETAG]))
    assert way.verdict() == ("asked" if way.kind == "reverse" else "hit")


# §2.1: values of another type are not made use of. (name, value)
WRONG = [("string", 'max-age="600"'), ("decimal", "max-age=600.0"), ("token", "max-age=x"), ("negative", "max-age=-600"), ("boolean", "max-age"),
         ("list", "max-age=(600)")]


@pytest.mark.parametrize("value", [r[1] for r in WRONG], ids=[r[0] for r in WRONG])
def test_wrong_type(way, value):
    way.on(numbered([T + value, AWAY, ETAG]))
    assert way.verdict() in ("asked", "no")
