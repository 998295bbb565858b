"""Rows of the oracle itself: input, verdict, and where that is written."""

import calendar

from fields import Directives, Fields, age_value, byte_ranges, entity_tags, http_date, resolve, selecting, vary_names
from oracle import Query, Stored, answers, chosen_for, condition, current_age, freshness, lifetime, reuse, storable, updated

NOW = calendar.timegm((2026, 10, 19, 20, 0, 0))
DATES = (("Mon, 19 Oct 2026 20:00:00 GMT", NOW), ("Monday, 19-Oct-26 20:00:00 GMT", NOW), ("Mon Oct 19 20:00:00 2026", NOW),
         ("mon, 19 oct 2026 20:00:00 gmt", NOW), ("Mon Oct  5 20:00:00 2026", NOW - 14 * 86400), ("Saturday, 01-Jan-00 00:00:00 GMT", 946684800),
         ("Friday, 01-Jan-88 00:00:00 GMT", 567993600),
         ("Mon, 19 Oct 2026 20:00:00 UTC", None), ("Mon, 19 Oct 2026 20:00:00", None), ("0", None), ("Mon, 32 Oct 2026 20:00:00 GMT", None),
         ("Mon, 19 Oct 2026 24:00:00 GMT", None), ("Mon,19 Oct 2026 20:00:00 GMT", None), ("", None))
STAMP = "Mon, 19 Oct 2026 20:00:00 GMT"
LIFETIMES = (   # response fields, preferred lifetime, RFC 9111
    ([("Cache-Control", "max-age=60")], 60, "4.2.1"), ([("Cache-Control", "max-age=60, s-maxage=5")], 5, "5.2.2.10"),
    ([("Cache-Control", 'ext="max-age=9", max-age=60')], 60, "5.2"), ([("Cache-Control", "max-age=abc"), ("Expires", STAMP)], 0, "4.2.1"),
    ([("Cache-Control", "max-age=99999999999")], 2147483648, "1.2.2"), ([("Cache-Control", 'max-age="60"')], 60, "5.2"),
    ([("Cache-Control", "max-age=-1")], 0, "4.2.1"), ([("Expires", "Mon, 19 Oct 2026 20:10:00 GMT")], 600, "4.2.1"),
    ([("Expires", "0")], 0, "5.3"), ([("Last-Modified", "Mon, 19 Oct 2026 10:00:00 GMT")], 3600, "4.2.2"), ([], 0, "4.2.2"),
    ([("Cache-Control", "max-age=5"), ("Expires", "Mon, 19 Oct 2026 20:10:00 GMT")], 5, "4.2.1"))
STORABLE = (    # method, status, request fields, response fields, whether it may be stored, section
    ("GET", 200, [], [], True, "3"), ("GET", 200, [], [("Cache-Control", "no-store")], False, "5.2.2.5"),
    ("GET", 200, [], [("Cache-Control", "private")], False, "5.2.2.7"), ("GET", 302, [], [], False, "3"),
    ("GET", 302, [], [("Cache-Control", "max-age=1")], True, "3"), ("GET", 302, [], [("Cache-Control", "public")], True, "3"),
    ("GET", 299, [], [("Cache-Control", "max-age=9, must-understand")], False, "5.2.2.3"),
    ("GET", 200, [("Authorization", "x y")], [("Cache-Control", "max-age=9")], False, "3.5"),
    ("GET", 200, [("Authorization", "x y")], [("Cache-Control", "s-maxage=9")], True, "3.5"),
    ("GET", 200, [("Cache-Control", "no-store")], [("Cache-Control", "max-age=9")], False, "5.2.1.5"),
    ("POST", 200, [], [("Cache-Control", "max-age=9")], False, "9110 9.3.3"), ("PUT", 200, [], [("Cache-Control", "max-age=9")], False, "3"),
    ("POST", 200, [], [("Cache-Control", "max-age=9"), ("Content-Location", "http://h/p")], True, "9110 9.3.3"))
CONDITIONS = (  # request fields, stored fields, what becomes of it, section
    ([("If-None-Match", '"a", W/"b"')], [("ETag", '"b"')], "304", "9110 13.1.2"), ([("If-None-Match", "*")], [], "304", "9110 13.1.2"),
    ([("If-None-Match", '"x"'), ("If-Modified-Since", STAMP)], [("ETag", '"b"'), ("Last-Modified", STAMP)], "200", "9110 13.2.2"),
    ([("If-Modified-Since", STAMP)], [("Last-Modified", STAMP)], "304", "4.3.2"), ([("If-Modified-Since", "junk")], [("Last-Modified", STAMP)], "200", "9110 13.1.3"),
    ([("If-Modified-Since", "Mon, 19 Oct 2026 19:00:00 GMT")], [("Last-Modified", STAMP)], "200", "4.3.2"))
RANGES = (("bytes=0-4", 10, [(0, 5)]), ("bytes=-3", 10, [(7, 10)]), ("bytes=8-", 10, [(8, 10)]), ("bytes=0-99", 10, [(0, 10)]), ("bytes=10-", 10, []),
          ("bytes=-0", 10, []), ("bytes=0-1,4-5", 10, [(0, 2), (4, 6)]))


def stored(fields, method="GET", status=200, request=()):
    """A response that came at NOW."""
    return Stored("a", method, Fields(request), status, Fields([("Date", STAMP), *fields]), b"0123456789", True, NOW, (NOW, NOW), url="http://h/p")


def check(tally):
    """Runs the rows."""
    for text, seconds in DATES:
        tally.check(http_date(text, NOW) == seconds, f"date {text}: {http_date(text, NOW)}")
    for fields, seconds, section in LIFETIMES:
        tally.check(round(lifetime(stored(fields))[1]) == seconds, f"lifetime of {fields} (RFC 9111 {section}): {lifetime(stored(fields))}")
    for method, status, request, fields, right, section in STORABLE:
        tally.check((not storable(stored(fields, method, status, request))) == right, f"storing {method} {status} {request} {fields} ({section})")
    for asked, fields, word, section in CONDITIONS:
        tally.check(condition(stored(fields), Query("GET", Fields(asked))) == word, f"condition {asked} on {fields} ({section})")
    for text, length, found in RANGES:
        tally.check(resolve(byte_ranges(text), length) == found, f"range {text} of {length}")
    for text in ("bytes=3-1", "bytes=a-b", "bytes=", "items=0-1", "bytes = 0-1"):
        tally.check(byte_ranges(text) is None, f"range {text}")
    for text, value in (("7", 7), ("7, 9", 7), ("x", 0), ("-1", 0), ("", 0), ("1.5", 0)):
        tally.check(age_value(Fields([("Age", text)])) == value, f"Age {text} (RFC 9111 5.1)")
    tally.check(entity_tags('"a,b", W/"c"') == ['"a,b"', 'W/"c"'] and entity_tags("a") is None, "entity-tags")
    tally.check(vary_names(Fields([("Vary", "A, *")])) == {"*"}, "Vary with a star anywhere")
    tally.check(selecting("accept-language", Fields([("Accept-Language", "en;q=1, DE")])) ==
                selecting("accept-language", Fields([("Accept-Language", "de,en")])), "normalised Accept-Language (RFC 9111 4.1)")
    tally.check(Directives(Fields([("Cache-Control", 'a="x, no-store", B')])).list == [("a", "x, no-store", True), ("b", None, False)], "directives")
    updates(tally)
    ages(tally)


def updates(tally):
    """What a 304 changes (RFC 9111 3.2, 4.1)."""
    s = stored([("ETag", '"a"'), ("Vary", "Accept")], request=[("Accept", "a")])
    to = Query("GET", Fields([("Accept", "b")]))
    s = updated(s, Fields([("ETag", 'W/"a"'), ("Content-Type", "x/y"), ("Content-Length", "0")]), to, NOW, (NOW, NOW), "u")
    tally.check(s.tag() == 'W/"a"' and s.fields.get("content-type") == "x/y" and not s.fields.has("content-length"), "fields of a 304")
    for accept, right in (("a", True), ("b", True), ("c", False)):
        tally.check(chosen_for(s, Query("GET", Fields([("Accept", accept)]))) == right, f"{accept} selects what a 304 has confirmed for b")
    tally.check(condition(s, Query("GET", Fields([("If-None-Match", '"a"')]))) == "304", "weak comparison with a weakened tag (RFC 9110 13.1.2)")


def ages(tally):
    """Age, freshness, reuse."""
    s = stored([("Cache-Control", "max-age=60"), ("Age", "30")])
    low, high = current_age(s, (NOW + 10, NOW + 10))
    tally.check(low <= 40 <= high and high - low <= 2, f"current age {low} to {high} (RFC 9111 4.2.3)")
    for later, word in ((0, "fresh"), (29, "unsure"), (100, "stale")):
        tally.check(freshness(s, (NOW + later, NOW + later))[0] == word, f"freshness after {later} s")
    get = Query("GET", Fields())
    tally.check(not reuse(s, get, (NOW, NOW)), "reuse of what is fresh")
    tally.check([o.kind for o in reuse(s, get, (NOW + 100, NOW + 100))] == ["stale"], "reuse of what is stale (RFC 9111 4.2.4)")
    patient = Query("GET", Fields([("Cache-Control", "max-stale=500")]))
    tally.check(not reuse(s, patient, (NOW + 100, NOW + 100)), "max-stale (RFC 9111 5.2.1.2)")
    strict = stored([("Cache-Control", "max-age=60, must-revalidate")])
    tally.check(any(o.sure for o in reuse(strict, patient, (NOW + 100, NOW + 100))), "max-stale against must-revalidate (RFC 9111 5.2.2.2)")
    part = Query("GET", Fields([("Range", "bytes=2-3")]))
    tally.check(answers(s, part).get(206) == {(2, 4)} and answers(s, Query("HEAD", part.fields)) == {200: s.body}, "ranges (RFC 9110 14.2)")
