"""Ranges: RFC 9110 14, 13.1.5, 15.3.7; parts stored and put together: RFC 9111 3.3, 3.4."""

from model import MAY, MUST, SHOULD, asked, body, either, fetched, fresh, get, given, has, head, hit, lacks, row, stale, status, unasked, when

TAG, TEXT = 'ETag: "a"', "0123456789"
LARGE = "".join(f"{i:07d}\n" for i in range(40000))  # 320,000 bytes: no cache takes it for a small one


def cut(name, at, text, wanted, content, got, level=MAY):
    """A range of a stored body, without asking."""
    return row(name, at, level, text, get(fresh(TAG, body=TEXT)), get(given(hit)),
               get(f"Range: {wanted}", unasked, status(206), has("Content-Range", f"bytes {got}/10"), body(content)))


def ignored(name, at, level, text, wanted, *codes):
    """A Range that is none."""
    return row(name, at, level, text, get(fresh(TAG, body=TEXT)), get(given(hit)), get(f"Range: {wanted}", status(*codes)))


def conditioned(name, at, text, stored, condition, code, level=MUST):
    """If-Range against what is stored."""
    return row(name, at, level, text, get(fresh(*stored, body=TEXT)), get(given(hit)),
               get("Range: bytes=2-4", f"If-Range: {condition}", status(code)))


def part(first, last, *fields, tag='"p"', text=LARGE):
    """A 206 of a large body."""
    return fresh(f"ETag: {tag}", f"Content-Range: bytes {first}-{last}/{len(text)}", *fields, status=206, body=text[first:last + 1])


OTHER = LARGE[::-1]
UNMIXED = when("bytes of one body only", lambda s: s.answer is None or not s.answer.whole or s.answer.body in (
    OTHER[150050:150150].encode(), OTHER.encode(), LARGE[150050:150150].encode(), LARGE.encode()))

ROWS = {"ranges": [
    cut("range-first", "9110 14.1.2", "The first bytes of a stored body.", "bytes=0-2", "012", "0-2"),
    cut("range-middle", "9110 14.1.2", "Some in its middle.", "bytes=3-5", "345", "3-5"),
    cut("range-open", "9110 14.1.2", "All from one on.", "bytes=7-", "789", "7-9"),
    cut("range-suffix", "9110 14.1.2", "The last ones.", "bytes=-2", "89", "8-9"),
    cut("range-beyond", "9110 14.1.2", "An end beyond the body's means its end.", "bytes=8-100", "89", "8-9"),
    cut("range-suffix-long", "9110 14.1.2", "A suffix longer than the body means all of it.", "bytes=-100", TEXT, "0-9"),
    cut("range-unit-case", "9110 14.1", "The unit's name is without regard to case.", "BYTES=0-2", "012", "0-2"),
    cut("range-huge", "9110 14.1.2", "A number beyond 2^64 is just large.", "bytes=8-99999999999999999999999", "89", "8-9"),
    row("range-416", "9110 15.5.17", SHOULD, "A range that begins beyond the end gets 416.", get(fresh(TAG, body=TEXT)), get(given(hit)),
        get("Range: bytes=10-", status(416))),
    row("range-416-length", "9110 15.5.17", SHOULD, "The 416 tells the length.", get(fresh(TAG, body=TEXT)), get(given(hit)),
        get("Range: bytes=10-", given(status(416)), has("Content-Range", r"bytes \*/10"))),
    row("range-suffix-0", "9110 14.1.2", SHOULD, "The last zero bytes can not be had.", get(fresh(TAG, body=TEXT)), get(given(hit)),
        get("Range: bytes=-0", status(416))),
    ignored("range-unit-other", "9110 14.2", SHOULD, "A unit that is not known is ignored.", "lines=0-2", 200),
    ignored("range-backwards", "9110 14.1.1", MUST, "A range that ends before it begins is invalid.", "bytes=5-3", 200, 416, 400),
    ignored("range-junk", "9110 14.2", MUST, "One that is no range is not half understood.", "bytes=abc", 200, 416, 400),
    row("range-several", "9110 14.6", MAY, "Several ranges are sent as multipart/byteranges.",
        get(fresh(TAG, "Content-Type: text/plain", body=TEXT)), get(given(hit)),
        get("Range: bytes=0-1,5-6", unasked, status(206), has("Content-Type", "multipart/byteranges; *boundary=.*"), lacks("Content-Range"),
            when("both parts", lambda s: b"01\r\n" in s.answer.body and b"56\r\n" in s.answer.body))),
    row("range-several-one", "9110 15.3.7.2", MUST, "One part alone that was wanted is not sent as multipart.", get(fresh(TAG, body=TEXT)),
        get(given(hit)), get("Range: bytes=2-3", given(status(206)), lacks("Content-Type", "multipart.*"), has("Content-Range"))),
    row("range-some-unsatisfiable", "9110 14.1.1", MAY, "Of several, those that can be had are sent.", get(fresh(TAG, body=TEXT)),
        get(given(hit)), get("Range: bytes=2-3,50-60", unasked, status(206), when("the part", lambda s: b"23" in s.answer.body))),
    row("range-other-method", "9110 14.2", MUST, "Range of HEAD is ignored.", get(fresh(TAG, body=TEXT)), get(given(hit)),
        head("Range: bytes=0-2", status(200))),
    row("range-206-fields", "9110 15.3.7", MUST, "The 206 has Date, Cache-Control, ETag, Vary and Content-Location as the 200 would.",
        get(fresh(TAG, "Vary: Foo", "Content-Location: x", body=TEXT)),
        get("Range: bytes=0-1", given(status(206)), has("ETag", '"a"'), has("Vary", "Foo"), has("Date"), has("Cache-Control"),
            has("Content-Location"))),
    row("range-206-length", "9110 15.3.7", MUST, "Its Content-Length is that of the part.", get(fresh(TAG, body=TEXT)),
        get("Range: bytes=0-1", given(status(206)), has("Content-Length", "2"))),
    row("range-206-age", "9111 4", MUST, "It has an Age where it comes from the store.", get(fresh(TAG, body=TEXT)), get(given(hit)),
        get("Range: bytes=0-1", given(unasked), given(status(206)), has("Age", "[0-9]+"))),
    row("range-inm", "9110 13.2.2", MAY, "If-None-Match goes before Range.", get(fresh(TAG, body=TEXT)), get(given(hit)),
        get("Range: bytes=0-1", 'If-None-Match: "a"', status(304))),
    row("range-stale", "9111 4", MUST, "A range of a stale body is not served without asking.", get(stale(TAG, body=TEXT)),
        get("Range: bytes=0-1", asked)),
    row("range-404", "9110 14.2", MUST, "A stored 404 is not cut.", get(fresh(body=TEXT, status=404)),
        get("Range: bytes=0-1", given(unasked), status(404))),
], "if-range": [
    conditioned("if-range-match", "9110 13.1.5", "With the stored strong tag the range is sent.", [TAG], '"a"', 206, level=MAY),
    conditioned("if-range-differ", "9110 13.1.5", "With another tag the whole.", [TAG], '"b"', 200),
    conditioned("if-range-weak", "9110 13.1.5", "With a weak tag the whole.", ['ETag: W/"a"'], 'W/"a"', 200),
    conditioned("if-range-weak-client", "9110 13.1.5", "Also where only the client's is weak.", [TAG], 'W/"a"', 200),
    conditioned("if-range-date", "9110 13.1.5", "With exactly the stored date the range.", ["Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"],
        "Sun, 06 Nov 1994 08:49:37 GMT", 206, level=MAY),
    conditioned("if-range-date-later", "9110 13.1.5", "With a later date the whole.", ["Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"],
        "Mon, 07 Nov 1994 08:49:37 GMT", 200),
    conditioned("if-range-date-no-tag", "9110 13.1.5", "A tag where only a date is stored: the whole.",
        ["Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"], '"a"', 200),
    conditioned("if-range-list", "9110 13.1.5", "A list of tags is no If-Range: the whole.", [TAG], '"b", "a"', 200, level=SHOULD),
], "parts": [
    row("part-not-whole", "9111 3.3", MUST, "A stored part is not sent for the whole.",
        get("Range: bytes=150000-150009", origin=fresh('ETag: "p"', body=LARGE), ranged=part(150000, 150009)),
        get(status(200), body(LARGE))),
    row("part-not-other", "9111 3.3", MUST, "Nor for another part.",
        get("Range: bytes=150000-150009", origin=fresh('ETag: "p"', body=LARGE), ranged=part(150000, 150009)),
        get("Range: bytes=160000-160009", status(206), body(LARGE[160000:160010]), origin=fresh('ETag: "p"', body=LARGE),
            ranged=part(160000, 160009))),
    row("part-again", "9111 3.3", MAY, "The same part is sent again without asking.",
        get("Range: bytes=150000-150009", given(status(206)), origin=fresh('ETag: "p"', body=LARGE), ranged=part(150000, 150009)),
        get("Range: bytes=150000-150009", unasked, status(206), body(LARGE[150000:150010]))),
    row("part-within", "9111 3.3", MAY, "So is a part of it.",
        get("Range: bytes=150000-150099", given(status(206)), origin=fresh('ETag: "p"', body=LARGE), ranged=part(150000, 150099)),
        get("Range: bytes=150010-150019", unasked, status(206), body(LARGE[150010:150020]))),
    row("part-combined", "9111 3.4", MAY, "Two parts that meet are one.",
        get("Range: bytes=150000-150099", given(status(206)), origin=fresh('ETag: "p"', body=LARGE), ranged=part(150000, 150099)),
        get("Range: bytes=150100-150199", given(status(206)), origin=fresh('ETag: "p"', body=LARGE), ranged=part(150100, 150199)),
        get("Range: bytes=150050-150149", unasked, status(206), body(LARGE[150050:150150]))),
    row("part-other-tag", "9111 3.4", MUST, "Parts with different tags are not combined.",
        get("Range: bytes=150000-150099", origin=fresh('ETag: "p"', body=LARGE), ranged=part(150000, 150099)),
        get("Range: bytes=150100-150199", origin=fresh('ETag: "q"', body=OTHER), ranged=part(150100, 150199, tag='"q"', text=OTHER)),
        get("Range: bytes=150050-150149", UNMIXED, origin=fresh('ETag: "q"', body=OTHER),
            ranged=part(150050, 150149, tag='"q"', text=OTHER))),
    row("part-weak-tag", "9111 3.4", MUST, "Nor parts with weak tags.",
        get("Range: bytes=150000-150099", origin=fresh('ETag: W/"p"', body=LARGE), ranged=part(150000, 150099, tag='W/"p"')),
        get("Range: bytes=150100-150199", origin=fresh('ETag: W/"p"', body=OTHER), ranged=part(150100, 150199, tag='W/"p"', text=OTHER)),
        get("Range: bytes=150050-150149", UNMIXED, origin=fresh('ETag: W/"p"', body=OTHER),
            ranged=part(150050, 150149, tag='W/"p"', text=OTHER))),
    row("part-whole-stored", "9111 3", MAY, "The whole of what a range was wanted of is kept for all.",
        get("Range: bytes=0-9", origin=fresh('ETag: "p"', body=LARGE), ranged=part(0, 9)),
        get(given(status(200)), fresh('ETag: "p"', body=LARGE)),
        get("Range: bytes=150000-150009", unasked, status(206), body(LARGE[150000:150010]))),
    row("range-ignored-by-origin", "9110 14.2", MUST, "Where the origin sends 200 to a range, the client gets all of it, or its range.",
        get("Range: bytes=2-4", origin=fresh(TAG, body=TEXT)), get("Range: bytes=2-4", either(body("234"), body(TEXT)))),
    row("broken-not-whole", "9111 3.3", MUST, "What broke off is not sent as if it were whole.",
        get(fresh('ETag: "p"', body="01234", missing=5)), get(fresh('ETag: "p"', body=TEXT), status(200), body(TEXT))),
    row("part-stale", "9111 4", MUST, "A stale part is not served without asking.",
        get("Range: bytes=150000-150009", given(status(206)), origin=stale('ETag: "p"', body=LARGE),
            ranged=stale('ETag: "p"', f"Content-Range: bytes 150000-150009/{len(LARGE)}", status=206, body=LARGE[150000:150010])),
        get("Range: bytes=150000-150009", asked, origin=fresh('ETag: "p"', body=LARGE), ranged=part(150000, 150009))),
    row("part-unknown-unit", "9111 3.3", MUST, "A 206 in a unit that is not known is not stored.",
        get("Range: lines=0-1", origin=fresh('ETag: "p"'), ranged=fresh('ETag: "p"', "Content-Range: lines 0-1/9", status=206, body="xy")),
        get("Range: lines=0-1", either(asked, status(200)))),
    row("206-not-asked", "9110 15.3.7", MUST, "A 206 to a request without Range is not used for the whole.", get(part(0, 9)),
        get(fresh(body="all"), fetched)),
]}
