"""RFC 9111 §3, §5.2.2, §5.3: what is stored, and how the second request for it fares."""

import pytest

from way import FRESH, answer, http_date, numbered

ETAG, AUTH = 'ETag: "v"', "Authorization: Basic eDp5"
LONG_AGO = "Last-Modified: " + http_date(-86400 * 100)

# (name, status, response fields, request fields, what becomes of the second request)
ROWS = [
    # §3: statuses
    ("200", 200, [FRESH], [], "hit"), ("201", 201, [FRESH], [], "hit"), ("202", 202, [FRESH], [], "hit"),
    ("203", 203, [FRESH], [], "hit"), ("204", 204, [FRESH], [], "hit"), ("205", 205, [FRESH], [], "hit"),
    ("226", 226, [FRESH], [], "hit"), ("299", 299, [FRESH], [], "hit"), ("300", 300, [FRESH], [], "hit"),
    ("301", 301, [FRESH, "Location: /x"], [], "hit"), ("302", 302, [FRESH, "Location: /x"], [], "hit"),
    ("303", 303, [FRESH, "Location: /x"], [], "hit"), ("307", 307, [FRESH, "Location: /x"], [], "hit"),
    ("308", 308, [FRESH, "Location: /x"], [], "hit"), ("399", 399, [FRESH], [], "hit"), ("400", 400, [FRESH], [], "hit"),
    ("403", 403, [FRESH], [], "hit"), ("404", 404, [FRESH], [], "hit"), ("405", 405, [FRESH, "Allow: GET"], [], "hit"),
    ("410", 410, [FRESH], [], "hit"), ("414", 414, [FRESH], [], "hit"), ("418", 418, [FRESH], [], "hit"),
    ("451", 451, [FRESH], [], "hit"), ("499", 499, [FRESH], [], "hit"), ("500", 500, [FRESH], [], "hit"),
    ("501", 501, [FRESH], [], "hit"), ("502", 502, [FRESH], [], "hit"), ("503", 503, [FRESH], [], "hit"),
    ("504", 504, [FRESH], [], "hit"), ("599", 599, [FRESH], [], "hit"),
    # RFC 9110 §15.1: heuristics
    ("200 heuristic", 200, [LONG_AGO], [], "hit"), ("203 heuristic", 203, [LONG_AGO], [], "hit"),
    ("204 heuristic", 204, [LONG_AGO], [], "hit"), ("300 heuristic", 300, [LONG_AGO], [], "hit"),
    ("301 heuristic", 301, [LONG_AGO], [], "hit"), ("308 heuristic", 308, [LONG_AGO], [], "hit"),
    ("404 heuristic", 404, [LONG_AGO], [], "hit"), ("405 heuristic", 405, [LONG_AGO], [], "hit"),
    ("410 heuristic", 410, [LONG_AGO], [], "hit"), ("414 heuristic", 414, [LONG_AGO], [], "hit"),
    ("501 heuristic", 501, [LONG_AGO], [], "hit"),
    ("201 no heuristic", 201, [LONG_AGO], [], "no"), ("302 no heuristic", 302, [LONG_AGO], [], "no"),
    ("303 no heuristic", 303, [LONG_AGO], [], "no"), ("307 no heuristic", 307, [LONG_AGO], [], "no"),
    ("403 no heuristic", 403, [LONG_AGO], [], "no"), ("500 no heuristic", 500, [LONG_AGO], [], "no"),
    ("503 no heuristic", 503, [LONG_AGO], [], "no"), ("299 no heuristic", 299, [LONG_AGO], [], "no"),
    ("302 heuristic by public", 302, ["Cache-Control: public", LONG_AGO], [], "hit"),
    ("500 heuristic by public", 500, ["Cache-Control: public", LONG_AGO], [], "hit"),
    ("299 heuristic by public", 299, ["Cache-Control: public", LONG_AGO], [], "hit"),
    ("no heuristic beside max-age", 200, ["Cache-Control: max-age=0", LONG_AGO], [], "asked"),
    ("no heuristic beside s-maxage", 200, ["Cache-Control: s-maxage=0", LONG_AGO], [], "asked"),
    ("no heuristic beside Expires", 200, ["Expires: " + http_date(-5), LONG_AGO], [], "asked"),
    ("no heuristic beside bad Expires", 200, ["Expires: soon", LONG_AGO], [], "asked"),
    ("no heuristic beside bad max-age", 200, ["Cache-Control: max-age=x", LONG_AGO], [], "asked"),
    ("no heuristic without date", 200, [ETAG], [], "asked"),
    # §5.2.2.5, §5.2.1.5
    ("no-store", 200, ["Cache-Control: no-store", ETAG], [], "no"),
    ("no-store with lifetime", 200, ["Cache-Control: no-store, max-age=600", ETAG], [], "no"),
    ("no-store in upper case", 200, ["Cache-Control: NO-STORE, max-age=600", ETAG], [], "no"),
    ("no-store on the second line", 200, [FRESH, "Cache-Control: no-store", ETAG], [], "no"),
    ("no-store with argument", 200, ["Cache-Control: max-age=600, no-store=x", ETAG], [], "no"),
    ("no-store with Expires", 200, ["Cache-Control: no-store", "Expires: " + http_date(600), ETAG], [], "no"),
    ("no-store within quotes", 200, ['Cache-Control: max-age=600, ext="a, no-store, b"', ETAG], [], "hit"),
    ("no-store as a value", 200, ["Cache-Control: max-age=600, ext=no-store", ETAG], [], "hit"),
    ("request no-store", 200, [FRESH, ETAG], ["Cache-Control: no-store"], "no"),
    # §5.2.2.7
    ("private", 200, ["Cache-Control: private, max-age=600", ETAG], [], "no"),
    ("private with s-maxage", 200, ["Cache-Control: private, s-maxage=600", ETAG], [], "no"),
    ("private in odd case", 200, ["Cache-Control: max-age=600, Private", ETAG], [], "no"),
    ("private with fields", 200, ['Cache-Control: private="X-Mine", max-age=600', "X-Mine: 1"], [], "hit"),
    ("private with empty list", 200, ['Cache-Control: private="", max-age=600', ETAG], [], "no"),
    # §3.5
    ("authorization", 200, [FRESH, ETAG], [AUTH], "no"),
    ("authorization public", 200, ["Cache-Control: public, max-age=600"], [AUTH], "hit"),
    ("authorization must-revalidate", 200, ["Cache-Control: must-revalidate, max-age=600"], [AUTH], "hit"),
    ("authorization s-maxage", 200, ["Cache-Control: s-maxage=600"], [AUTH], "hit"),
    ("authorization heuristic", 200, [LONG_AGO], [AUTH], "no"),
    ("authorization proxy-revalidate", 200, ["Cache-Control: proxy-revalidate, max-age=600", ETAG], [AUTH], "no"),
    ("authorization no-cache", 200, ["Cache-Control: no-cache", ETAG], [AUTH], "no"),
    ("authorization must-revalidate stale", 200, ["Cache-Control: must-revalidate, max-age=0", ETAG], [AUTH], "asked"),
    # §5.2.2.3
    ("must-understand known", 200, ["Cache-Control: must-understand, no-store, max-age=600"], [], "hit"),
    ("must-understand unknown", 299, ["Cache-Control: must-understand, max-age=600", ETAG], [], "no"),
    ("must-understand unknown no-store", 299, ["Cache-Control: must-understand, no-store, max-age=600", ETAG], [], "no"),
    ("must-understand alone", 200, ["Cache-Control: must-understand, max-age=600"], [], "hit"),
    ("must-understand private", 200, ["Cache-Control: must-understand, no-store, private, max-age=600", ETAG], [], "no"),
    ("must-understand on 404", 404, ["Cache-Control: must-understand, no-store, max-age=600"], [], "hit"),
    # §5.2.2.4
    ("no-cache", 200, ["Cache-Control: no-cache, max-age=600", ETAG], [], "asked"),
    ("no-cache in odd case", 200, ["Cache-Control: max-age=600, No-Cache", ETAG], [], "asked"),
    ("no-cache on its own line", 200, [FRESH, "Cache-Control: no-cache", ETAG], [], "asked"),
    ("no-cache with fields", 200, ['Cache-Control: no-cache="X-Mine", max-age=600', "X-Mine: 1", ETAG], [], "hit"),
    ("no-cache with token field", 200, ["Cache-Control: no-cache=X-Mine, max-age=600", "X-Mine: 1", ETAG], [], "hit"),
    # §5.2.2.1, §5.2.2.10, §5.3, §4.2.1: lifetimes
    ("max-age", 200, ["Cache-Control: max-age=600"], [], "hit"),
    ("max-age 0", 200, ["Cache-Control: max-age=0", ETAG], [], "asked"),
    ("max-age quoted", 200, ['Cache-Control: max-age="600"'], [], "hit"),
    ("max-age quoted with escape", 200, ['Cache-Control: max-age="\\600"', ETAG], [], "hit"),
    ("max-age over expires", 200, ["Cache-Control: max-age=600", "Expires: " + http_date(-600)], [], "hit"),
    ("max-age 0 over expires", 200, ["Cache-Control: max-age=0", "Expires: " + http_date(600), ETAG], [], "asked"),
    ("max-age in odd case", 200, ["cache-control: Max-AGE=600"], [], "hit"),
    ("max-age with leading zeros", 200, ["Cache-Control: max-age=0000600"], [], "hit"),
    ("max-age huge", 200, ["Cache-Control: max-age=99999999999999999999"], [], "hit"),
    ("max-age 2^31", 200, ["Cache-Control: max-age=2147483648"], [], "hit"),
    ("max-age 2^32", 200, ["Cache-Control: max-age=4294967296"], [], "hit"),
    ("max-age with fraction", 200, ["Cache-Control: max-age=600.5", ETAG], [], "asked"),
    ("max-age negative", 200, ["Cache-Control: max-age=-600", ETAG], [], "asked"),
    ("max-age plus", 200, ["Cache-Control: max-age=+600", ETAG], [], "asked"),
    ("max-age word", 200, ["Cache-Control: max-age=ten", ETAG], [], "asked"),
    ("max-age empty", 200, ["Cache-Control: max-age=", ETAG], [], "asked"),
    ("max-age bare", 200, ["Cache-Control: max-age", ETAG], [], "asked"),
    ("max-age hex", 200, ["Cache-Control: max-age=0x600", ETAG], [], "asked"),
    ("max-age with exponent", 200, ["Cache-Control: max-age=6e2", ETAG], [], "asked"),
    ("max-age bad with expires", 200, ["Cache-Control: max-age=x", "Expires: " + http_date(600), ETAG], [], "asked"),
    ("max-age twice", 200, ["Cache-Control: max-age=600, max-age=0", ETAG], [], "hit"),
    ("max-age twice, small first", 200, ["Cache-Control: max-age=0, max-age=600", ETAG], [], "asked"),
    ("max-age same twice", 200, ["Cache-Control: max-age=600, max-age=600"], [], "hit"),
    ("max-age with spaces", 200, ["Cache-Control:   max-age=600  ,  ext "], [], "hit"),
    ("max-age among empty members", 200, ["Cache-Control: ,, max-age=600,,"], [], "hit"),
    ("max-age beside unknown", 200, ['Cache-Control: foo, bar=1, max-age=600, baz="q, r"'], [], "hit"),
    ("max-age within quotes", 200, ['Cache-Control: ext="max-age=600"', ETAG], [], "asked"),
    ("max-age like name", 200, ["Cache-Control: x-max-age=600", ETAG], [], "asked"),
    ("s-maxage", 200, ["Cache-Control: s-maxage=600"], [], "hit"),
    ("s-maxage over max-age 0", 200, ["Cache-Control: max-age=0, s-maxage=600"], [], "hit"),
    ("s-maxage 0 over max-age", 200, ["Cache-Control: max-age=600, s-maxage=0", ETAG], [], "asked"),
    ("s-maxage over expires", 200, ["Cache-Control: s-maxage=600", "Expires: " + http_date(-600)], [], "hit"),
    ("s-maxage bad", 200, ["Cache-Control: max-age=600, s-maxage=x", ETAG], [], "asked"),
    ("expires", 200, ["Expires: " + http_date(600)], [], "hit"),
    ("expires now", 200, ["Expires: " + http_date(0), ETAG], [], "asked"),
    ("expires past", 200, ["Expires: " + http_date(-600), ETAG], [], "asked"),
    ("expires 0", 200, ["Expires: 0", ETAG], [], "asked"),
    ("expires -1", 200, ["Expires: -1", ETAG], [], "asked"),
    ("expires empty", 200, ["Expires: ", ETAG], [], "asked"),
    ("expires word", 200, ["Expires: never", ETAG], [], "asked"),
    ("expires far", 200, ["Expires: Fri, 31 Dec 9999 23:59:59 GMT"], [], "hit"),
    ("expires other zone", 200, ["Expires: " + http_date(600).replace("GMT", "PST"), ETAG], [], "asked"),
    ("expires UTC", 200, ["Expires: " + http_date(600).replace("GMT", "UTC"), ETAG], [], "asked"),
    ("expires numeric zone", 200, ["Expires: " + http_date(600).replace("GMT", "+0000"), ETAG], [], "asked"),
    ("expires without zone", 200, ["Expires: " + http_date(600)[:-4], ETAG], [], "asked"),
    ("expires in lower case", 200, ["Expires: " + http_date(600).lower(), ETAG], [], "hit"),
    ("expires one digit hour", 200, ["Expires: Sat, 01 Jan 2050 1:00:00 GMT", ETAG], [], "asked"),
    ("expires no such day", 200, ["Expires: Thu, 31 Feb 2050 01:00:00 GMT", ETAG], [], "asked"),
    ("expires less Date", 200, ["Date: " + http_date(-3600), "Expires: " + http_date(-3000), ETAG], [], "asked"),
    ("expires ahead of an early Date", 200, ["Date: " + http_date(3600), "Expires: " + http_date(3000), ETAG], [], "asked"),
    ("expires twice", 200, ["Expires: " + http_date(600), "Expires: " + http_date(-600), ETAG], [], "hit"),
    ("expires rfc850", 200, ["Expires: Saturday, 01-Jan-50 00:00:00 GMT"], [], "hit"),
    ("expires asctime", 200, ["Expires: Sat Jan  1 00:00:00 2050"], [], "hit"),
    ("expires rfc850 past", 200, ["Expires: Sunday, 06-Nov-94 08:49:37 GMT", ETAG], [], "asked"),
    # §4.1, §7.3
    ("vary any", 200, [FRESH, "Vary: *", ETAG], [], "no"),
    ("vary any among names", 200, [FRESH, "Vary: Accept, *", ETAG], [], "no"),
    ("vary any on a line", 200, [FRESH, "Vary: Accept", "Vary: *", ETAG], [], "no"),
    ("set-cookie alone", 200, [FRESH, "Set-Cookie: a=b", ETAG], [], "hit"),
    ("set-cookie public", 200, ["Cache-Control: public, max-age=600", "Set-Cookie: a=b"], [], "hit"),
    ("set-cookie s-maxage", 200, ["Cache-Control: s-maxage=600", "Set-Cookie: a=b"], [], "hit"),
    ("cookie", 200, [FRESH], ["Cookie: a=b"], "hit"),
    # §5.4
    ("pragma in a response", 200, ["Pragma: no-cache", FRESH], [], "hit"),
    ("pragma with expires", 200, ["Pragma: no-cache", "Expires: " + http_date(600)], [], "hit"),
    # RFC 8246, RFC 5861: nothing of its own
    ("immutable alone", 200, ["Cache-Control: immutable", ETAG], [], "asked"),
    ("stale-while-revalidate alone", 200, ["Cache-Control: stale-while-revalidate=600", ETAG], [], "stale"),
]


@pytest.mark.parametrize("status, fields, ask, verdict", [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_stored(way, status, fields, ask, verdict):
    way.on(numbered(fields, status))
    assert way.verdict(ask) == verdict


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "BREW", "get"])
def test_other_methods_are_not_stored_for_get(way, method):
    way.on(numbered([FRESH, ETAG]))
    way.ask(method=method)
    way.settle()
    b = way.ask()
    assert b.body == b"2" and not b.cache.get("hit")
    assert not way.last().has("If-None-Match")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "BREW", "get"])
def test_other_methods_are_not_answered_from_a_stored_get(way, method):
    way.on(numbered([FRESH, ETAG]))
    way.ask()
    way.settle()
    b = way.ask(method=method)
    assert b.body == b"2" and not b.cache.get("hit") and b.cache["fwd"] == "method" and way.last().method == method


@pytest.mark.parametrize("status", [407, 425, 428, 429, 431, 511])
def test_what_is_about_one_request_is_not_stored(way, status):
    """RFC 9110 §15.5, RFC 6585, RFC 8470 §5.2: final statuses that larder understands and keeps to one client."""
    way.on(numbered([FRESH, ETAG], status))
    assert way.verdict() == "no"


def test_a_304_that_nobody_asked_for_is_not_stored(way):
    way.on(answer(status=304, fields=[FRESH, ETAG]), answer("2", fields=[FRESH]))
    way.ask()
    way.settle()
    assert way.ask().body == b"2"


def test_an_interim_answer_is_not_stored(way):
    hint = b"HTTP/1.1 103 Early Hints\r\nCache-Control: max-age=600\r\nLink: </a>\r\n\r\n"
    way.on(hint + answer("1", fields=["Cache-Control: no-store"]), hint + answer("2", fields=["Cache-Control: no-store"]))
    a, b = way.twice()
    assert (a.status, a.body, b.status, b.body) == (200, b"1", 200, b"2")
    assert [r.status for r in a.interim + b.interim] == [103, 103]


@pytest.mark.parametrize("status", [401, 412, 416])
def test_the_origins_refusal_leaves_the_stored_answer(way, status):
    way.on(answer("1", fields=[FRESH, ETAG]), answer("no", status=status), answer("3", fields=[FRESH]))
    way.ask()
    way.settle()
    way.ask("Cache-Control: no-cache")
    way.settle()
    assert way.ask().body in (b"1", b"3")


def test_no_store_for_a_stored_key(way):
    """RFC 9111 §5.2.2.5: the answer with no-store is not kept; the older one is not used in its place."""
    way.on(answer("1", fields=["Cache-Control: max-age=0", ETAG]), answer("2", fields=["Cache-Control: no-store"]),
           answer("3", fields=["Cache-Control: no-store"]))
    way.ask()
    way.settle()
    assert way.ask().body == b"2"
    way.settle()
    assert way.ask().body == b"3"


def test_a_newer_answer_takes_the_place_of_the_stored_one(way):
    way.on(answer("1", fields=["Cache-Control: max-age=0", ETAG]), answer("2", fields=[FRESH, 'ETag: "w"']))
    way.ask()
    way.settle()
    assert way.ask().body == b"2"
    way.settle()
    b = way.ask()
    assert b.body == b"2" and b.cache.get("hit") and b.get("ETag") == '"w"'


@pytest.mark.parametrize("data", [
    (b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 10\r\n\r\nabc"),
    (b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
    (b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"),
], ids=["short by length", "chunks break off", "no end of trailers"])
def test_incomplete_is_not_stored(way, data):
    def broken(req, conn):
        conn.send(data)
        conn.close()
    way.on(lambda q, c: broken(q, c) if way.count() == 1 else answer("whole", fields=[FRESH]))
    c = way.client()
    c.send(way.fill("GET %T HTTP/1.1\r\nHost: %H\r\n\r\n"))
    assert c.rest()
    way.settle()
    assert way.ask().body == b"whole"


def test_the_end_of_the_connection_ends_a_body(way):
    """RFC 9112 §6.3: nothing tells such a body from a whole one; it may be stored."""
    def until_close(req, conn):
        conn.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n\r\nabc")
        conn.close()
    way.on(until_close)
    a, b = way.twice()
    assert a.body == b.body == b"abc"


def test_more_than_the_length_is_not_stored_as_content(way):
    def longer(req, conn):
        conn.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 3\r\n\r\nabcdef")
        conn.close()
    way.on(longer)
    a, b = way.twice()
    assert a.body == b.body == b"abc"


def test_206_is_no_answer_to_a_whole_request(way):
    way.on(lambda q, c: answer("abc", status=206, fields=[FRESH, ETAG, "Content-Range: bytes 0-2/6"]) if q.has("Range")
           else answer("abcdef", fields=[FRESH, ETAG]))
    way.ask("Range: bytes=0-2", "Cache-Control: no-cache")
    way.settle()
    b = way.ask()
    assert b.status == 200 and b.body == b"abcdef" and not b.has("Content-Range")


def test_query_is_part_of_the_key(way):
    way.on(lambda q, c: answer(q.target.split("?")[1], fields=[FRESH]))
    for path in ("?a=1", "?a=2", "?a=1&b", "?b&a=1"):
        assert way.ask(path=path).body == path[1:].encode()
    assert way.count() == 4


def test_heuristic_with_a_query(way):
    """RFC 9111 §4.2.2"""
    way.on(numbered([LONG_AGO]))
    way.ask(path="?a=1")
    way.settle()
    assert way.ask(path="?a=1").cache.get("hit")
