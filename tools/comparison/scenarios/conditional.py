"""Conditions of clients, answered from what is stored: RFC 9110 13, RFC 9111 4.3.2."""

from model import (MAY, MUST, SHOULD, ask, asked, body, either, fetched, fresh, get, given, has, head, hit, lacks, ok, row, sent,
                   stale, status, unasked)

TAG, DATE = 'ETag: "a"', "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"
SAME, LATER, EARLIER = "Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 07 Nov 1994 08:49:37 GMT", "Sat, 05 Nov 1994 08:49:37 GMT"


def unchanged(name, at, text, stored, *wishes, level=MAY):
    """The client gets 304 from the cache."""
    return row(name, at, level, text, get(fresh(*stored)), get(given(hit)), get(*wishes, unasked, status(304)))


def changed(name, at, text, stored, *wishes, level=MUST):
    """The client gets the whole response."""
    return row(name, at, level, text, get(fresh(*stored)), get(given(hit)), get(*wishes, status(200)))


ROWS = {"conditional requests": [
    unchanged("inm-match", "9110 13.1.2", "If-None-Match with the stored tag: 304.", [TAG], 'If-None-Match: "a"'),
    changed("inm-differ", "9110 13.1.2", "With another tag: the response.", [TAG], 'If-None-Match: "b"'),
    unchanged("inm-list", "9110 13.1.2", "In a list: 304.", [TAG], 'If-None-Match: "x", "a" ,"y"'),
    unchanged("inm-lines", "9110 13.1.2", "Over two lines: 304.", [TAG], 'If-None-Match: "x"', 'If-None-Match: "a"'),
    unchanged("inm-star", "9110 13.1.2", "With *: 304.", [TAG], "If-None-Match: *"),
    unchanged("inm-weak-client", "9110 13.1.2", "The comparison is weak: W/ in the request.", [TAG], 'If-None-Match: W/"a"'),
    unchanged("inm-weak-stored", "9110 13.1.2", "The comparison is weak: W/ in the response.", ['ETag: W/"a"'], 'If-None-Match: "a"'),
    changed("inm-part", "9110 13.1.2", "A part of a tag is not that tag.", ['ETag: "abc"'], 'If-None-Match: "ab"'),
    changed("inm-case", "9110 8.8.3", "Tags are compared with their case.", [TAG], 'If-None-Match: "A"'),
    unchanged("inm-comma", "9110 8.8.3", "A tag may have a comma in it.", ['ETag: "a,b"'], 'If-None-Match: "x", "a,b"'),
    unchanged("ims-same", "9110 13.1.3", "If-Modified-Since the stored date: 304.", [DATE], f"If-Modified-Since: {SAME}"),
    unchanged("ims-later", "9110 13.1.3", "Since a later date: 304.", [DATE], f"If-Modified-Since: {LATER}"),
    changed("ims-earlier", "9110 13.1.3", "Since an earlier one: the response.", [DATE], f"If-Modified-Since: {EARLIER}"),
    changed("ims-invalid", "9110 13.1.3", "Since no date: the response.", [DATE], "If-Modified-Since: yesterday"),
    unchanged("ims-850", "9110 5.6.7", "In the form of RFC 850: 304.", [DATE], "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"),
    unchanged("ims-asctime", "9110 5.6.7", "In the form of asctime: 304.", [DATE], "If-Modified-Since: Sun Nov  6 08:49:37 1994"),
    changed("inm-before-ims", "9110 13.1.3", "Beside an If-None-Match that does not match, If-Modified-Since does not count.", [TAG, DATE],
        'If-None-Match: "b"', f"If-Modified-Since: {LATER}"),
    unchanged("inm-before-ims-match", "9110 13.1.3", "Nor beside one that matches.", [TAG, DATE], 'If-None-Match: "a"',
        f"If-Modified-Since: {EARLIER}"),
    changed("inm-no-tag", "9110 13.1.2", "Without a stored tag, none matches.", [DATE], 'If-None-Match: "a"', f"If-Modified-Since: {LATER}"),
    unchanged("ims-no-date", "9111 4.3.2", "Without a stored Last-Modified, Date counts.", ["Date: {-100}"], "If-Modified-Since: {-50}",
        level=SHOULD),
    row("304-fields", "9110 15.4.5", MUST, "The 304 has ETag, Cache-Control, Date, Vary, Expires and Content-Location as the 200 would.",
        get(fresh(TAG, "Vary: Foo", "Expires: {7200}", "Content-Location: x")),
        get('If-None-Match: "a"', given(status(304)), has("ETag", '"a"'), has("Cache-Control", ".*max-age=3600.*"), has("Date"),
            has("Vary", "Foo"), has("Expires"), has("Content-Location", "x"))),
    row("304-no-body", "9110 15.4.5", MUST, "It has no body, and no Content-Length but that of the 200.", get(fresh(TAG, body="12345")),
        get('If-None-Match: "a"', given(status(304)), body(""), lacks("Content-Length", "0"))),
    row("304-few-fields", "9110 15.4.5", SHOULD, "It leaves out what the client has: Content-Type and the like.",
        get(fresh(TAG, "Content-Type: text/x-y")), get('If-None-Match: "a"', given(status(304)), lacks("Content-Type"))),
    row("head-inm", "9110 13.1.2", MAY, "HEAD with a condition gets 304, too.", get(fresh(TAG)), get(given(hit)),
        head('If-None-Match: "a"', unasked, status(304))),
    row("404-inm", "9110 13.2.1", MUST, "Conditions do not count where the stored answer is no success.", get(fresh(TAG, status=404)),
        get('If-None-Match: "a"', given(unasked), status(404))),
    row("im-left", "9111 4.3.2", MUST, "If-Match is for origins: a cache passes it on or ignores it, and makes no 412 of it.",
        get(fresh(TAG)), get(given(hit)), get('If-Match: "b"', either(asked, status(200)))),
    row("ius-left", "9111 4.3.2", MUST, "So is If-Unmodified-Since.", get(fresh(DATE)), get(given(hit)),
        get(f"If-Unmodified-Since: {EARLIER}", either(asked, status(200)))),
    row("miss-condition", "9110 13.1.2", MUST,
        "Where nothing is stored, a condition gets its 304 from the origin, or from what the origin sent whole.",
        get('If-None-Match: "a"', asked, status(304), origin=fresh(TAG), validated=ok(TAG, status=304))),
    row("miss-304-not-stored", "9111 3", MUST, "A 304 to a client's condition is not stored as a response.",
        get('If-None-Match: "a"', origin=fresh(TAG), validated=fresh(TAG, status=304)), get(fresh(TAG), status(200))),
    row("stale-condition", "9111 4.3.2", MAY, "A condition on what is stale is answered once the origin has said 304.", get(stale(TAG)),
        get('If-None-Match: "a"', status(304), asked, origin=fresh(TAG), validated=ok("Cache-Control: max-age=3600", TAG, status=304))),
    row("stale-condition-other", "9111 4.3.2", MUST,
        "A client that has another version than the stored one gets the stored one whole after such a 304.", get(stale(TAG)),
        get('If-None-Match: "z"', status(200), origin=fresh(TAG), validated=ok("Cache-Control: max-age=3600", TAG, status=304))),
    row("stale-condition-freshens", "9111 4.3.2", MAY, "And it is fresh for others then.", get(stale(TAG)),
        get('If-None-Match: "a"', given(status(304)), origin=fresh(TAG), validated=ok("Cache-Control: max-age=3600", TAG, status=304)),
        get(hit)),
    row("post-condition", "9110 13.2.1", MUST, "Conditions of other methods are the origin's.", get(fresh(TAG)),
        ask("POST", ok(), 'If-None-Match: "a"', fetched, sent("If-None-Match", '"a"'), body=b"x")),
]}
