"""RFC 9110 §14, §13.1.5, §15.3.7, §15.5.17, RFC 9111 §3.3, §3.4: parts."""

import re

import pytest

from way import FRESH, answer, http_date

BODY = bytes(range(256)) * 4
LARGE = b"".join(b"%07d\n" % n for n in range(32768))  # what small bodies are is not worth storing in part
OLD = http_date(-100000)
STRONG = [FRESH, 'ETag: "r"', "Last-Modified: " + OLD, "Accept-Ranges: bytes", "Content-Type: text/x"]


def serve(fields=None, body=BODY):
    """An origin that knows single ranges."""
    some = STRONG if fields is None else fields
    tag = next((f[6:] for f in some if f.startswith("ETag: ")), None)

    def script(req, conn):
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", req.get("Range", ""))
        if not match or req.get("If-Range", tag) != tag or req.method != "GET":
            return answer(body, fields=some)
        first, last = match.groups()
        first, last = (len(body) - int(last), len(body) - 1) if not first else (int(first), min(int(last or len(body)), len(body) - 1))
        if first >= len(body):
            return answer("", status=416, fields=[f"Content-Range: bytes */{len(body)}"])
        return answer(body[first:last + 1], status=206, fields=some + [f"Content-Range: bytes {first}-{last}/{len(body)}"])
    return script


def judge(r, status, first=0, last=0, body=BODY):
    """What a range answer must be."""
    assert r.status == status, r.raw
    if status == 206:
        assert r.get("Content-Range") == f"bytes {first}-{last}/{len(body)}" and r.body == body[first:last + 1]
        assert r.get("Content-Length") == str(last + 1 - first)
    elif status == 416:
        assert r.get("Content-Range") == f"bytes */{len(body)}"
    else:
        assert r.body == body and not r.has("Content-Range")


# (name, Range, status, first, last)
ROWS = [
    ("first byte", "bytes=0-0", 206, 0, 0), ("some", "bytes=100-199", 206, 100, 199), ("to the end", "bytes=1000-", 206, 1000, 1023),
    ("all", "bytes=0-", 206, 0, 1023), ("suffix", "bytes=-10", 206, 1014, 1023), ("long suffix", "bytes=-5000", 206, 0, 1023),
    ("last too large", "bytes=1000-9999", 206, 1000, 1023), ("last byte", "bytes=1023-1023", 206, 1023, 1023),
    ("unit in odd case", "BYTES=0-9", 206, 0, 9), ("huge last", "bytes=0-99999999999999999999999", 206, 0, 1023),
    ("huge suffix", "bytes=-99999999999999999999999", 206, 0, 1023), ("spaces", "bytes= 0-9 ", 206, 0, 9),
    ("beyond", "bytes=1024-", 416, 0, 0), ("far beyond", "bytes=99999999999999999999-", 416, 0, 0), ("no suffix", "bytes=-0", 416, 0, 0),
    ("both beyond", "bytes=2000-2001, 3000-", 416, 0, 0),
    ("backwards", "bytes=9-5", 200, 0, 0), ("other unit", "lines=1-2", 200, 0, 0), ("words", "bytes=a-b", 200, 0, 0),
    ("nothing", "bytes=", 200, 0, 0), ("no unit", "0-9", 200, 0, 0), ("two dashes", "bytes=0-9-10", 200, 0, 0),
    ("only a dash", "bytes=-", 200, 0, 0), ("negative", "bytes=--5", 200, 0, 0), ("one of two bad", "bytes=0-9, x", 200, 0, 0),
    ("one of two beyond", "bytes=0-9, 5000-", 206, 0, 9),
]


@pytest.mark.parametrize("wanted, status, first, last", [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_from_the_store(way, wanted, status, first, last):
    way.on(answer(BODY, fields=STRONG))
    _, b = way.twice(then=["Range: " + wanted])
    judge(b, status, first, last)
    assert b.cache.get("hit") and way.count() == 1


# §13.1.5: (name, stored fields, If-Range, status)
IF_RANGE = [
    ("same tag", STRONG, '"r"', 206), ("other tag", STRONG, '"x"', 200), ("weak tag", STRONG, 'W/"r"', 200),
    ("stored weak", [FRESH, 'ETag: W/"r"'], 'W/"r"', 200), ("any", STRONG, "*", 200), ("list", STRONG, '"x", "r"', 200),
    ("same date", STRONG, OLD, 206), ("earlier date", STRONG, http_date(-200000), 200), ("later date", STRONG, http_date(-50), 200),
    ("bad", STRONG, "yesterday", 200), ("tag without stored one", [FRESH], '"r"', 200),
    ("weak date", [FRESH, "Date: " + http_date(0), "Last-Modified: " + http_date(0)], http_date(0), 200),
]


@pytest.mark.parametrize("fields, condition, status", [r[1:] for r in IF_RANGE], ids=[r[0] for r in IF_RANGE])
def test_if_range(way, fields, condition, status):
    way.on(answer(BODY, fields=fields))
    _, b = way.twice(then=["Range: bytes=0-9", "If-Range: " + condition])
    judge(b, status, 0, 9)
    assert way.count() == 1


def test_if_range_without_range(way):
    way.on(answer(BODY, fields=STRONG))
    _, b = way.twice(then=['If-Range: "x"'])
    judge(b, 200)


def test_precondition_before_range(way):
    """§13.2.2, §14.2: Range is looked at after the conditions."""
    way.on(answer(BODY, fields=STRONG))
    _, b = way.twice(then=["Range: bytes=0-9", 'If-None-Match: "r"'])
    assert b.status == 304
    b = way.ask("Range: bytes=0-9", 'If-None-Match: "x"')
    judge(b, 206, 0, 9)


def test_range_is_for_get(way):
    """§14.2"""
    way.on(answer(BODY, fields=STRONG))
    _, b = way.twice(then=["Range: bytes=0-9"], method="HEAD")
    assert b.status == 200 and b.get("Content-Length") == "1024" and not b.has("Content-Range")


@pytest.mark.parametrize("status", [404, 301, 203])
def test_range_of_other_statuses(way, status):
    """§14.2: only what would be 200 becomes 206."""
    way.on(answer(BODY, status=status, fields=[*STRONG, "Location: /x"]))
    _, b = way.twice(then=["Range: bytes=0-9"])
    assert b.status == status and b.body == BODY and b.cache.get("hit")


def test_206_fields(way):
    """§15.3.7.1: the fields that a 200 would have had."""
    way.on(answer(BODY, fields=[*STRONG, "Expires: " + http_date(900), "Vary: X-A", "Content-Location: /x", "X-Mine: 1",
                                     "Content-Digest: sha-256=:AAAA:"]))
    _, b = way.twice(then=["Range: bytes=0-9"])
    assert b.status == 206 and not b.has("Content-Digest")
    for name in ("Cache-Control", "Content-Location", "Date", "ETag", "Expires", "Vary", "Content-Type", "X-Mine"):
        assert len(b.all(name)) == 1, name


def parts(r):
    """[(Content-Type, Content-Range, bytes)] of a multipart answer."""
    kind = r.get("Content-Type")
    assert kind.startswith("multipart/byteranges"), kind
    mark = b"--" + re.search(r'boundary="?([^";]+)', kind).group(1).encode()
    pieces = r.body.split(mark)
    assert pieces[-1].strip() == b"--"
    out = []
    for piece in pieces[1:-1]:
        head, body = piece.lstrip(b"\r\n").split(b"\r\n\r\n", 1)
        fields = {k.strip().lower(): v.strip() for k, v in (line.split(":", 1) for line in head.decode().split("\r\n"))}
        out.append((fields.get("content-type"), fields.get("content-range"), body[:-2]))
    return out


def test_several(way):
    """§14.6, §15.3.7.2"""
    way.on(answer(BODY, fields=STRONG))
    _, b = way.twice(then=["Range: bytes=0-9,100-109,-5"])
    if b.status == 200:
        judge(b, 200)
        return
    assert b.status == 206 and not b.has("Content-Range")
    assert parts(b) == [("text/x", f"bytes {f}-{l}/1024", BODY[f:l + 1]) for f, l in ((0, 9), (100, 109), (1019, 1023))]


def test_several_of_which_one_holds(way):
    """§15.3.7.2: one range that was asked for is no multipart."""
    way.on(answer(BODY, fields=STRONG))
    _, b = way.twice(then=["Range: bytes=10-19"])
    assert not b.get("Content-Type").startswith("multipart")
    judge(b, 206, 10, 19)


@pytest.mark.parametrize("wanted", ["bytes=" + ",".join(["0-"] * 500), "bytes=" + ",".join(f"{n}-{n}" for n in range(1000, 0, -1)),
                                    "bytes=0-500,400-600,300-700"], ids=["same", "descending", "overlapping"])
def test_greedy_ranges(way, wanted):
    """§14.2, §17.15: no amplifier."""
    way.on(answer(BODY, fields=STRONG))
    _, b = way.twice(then=["Range: " + wanted])
    assert b.status in (200, 206, 416) and len(b.body) <= 2 * len(BODY) + 200


def test_accept_ranges_none(way):
    """§14.3: the origin said that ranges would not be honoured."""
    way.on(answer(BODY, fields=[FRESH, 'ETag: "r"', "Accept-Ranges: none"]))
    _, b = way.twice(then=["Range: bytes=0-9"])
    judge(b, 200)
    assert b.get("Accept-Ranges") == "none"


def test_miss_with_a_range(way):
    way.on(serve())
    judge(way.ask("Range: bytes=0-99"), 206, 0, 99)
    way.settle()
    judge(way.ask(), 200)


def test_miss_with_a_range_far_inside(own_way):
    way = own_way("range_fill=100")
    way.on(serve())
    judge(way.ask("Range: bytes=500-599"), 206, 500, 599)
    assert way.last().get("Range") == "bytes=500-599"
    way.settle()
    judge(way.ask(), 200)


def test_stored_part_answers_the_same_range(own_way):
    """RFC 9111 §3.3, §4: what was fetched in part is used for what lies within."""
    way = own_way("range_fill=100")
    way.on(serve(body=LARGE))
    for wanted in ("150000-159999", "151000-151999"):
        first, last = map(int, wanted.split("-"))
        b = way.ask("Range: bytes=" + wanted)
        judge(b, 206, first, last, LARGE)
        way.settle()
    assert b.cache.get("hit") and way.count() == 1


def test_parts_are_combined(own_way):
    """RFC 9111 §3.4: two parts with one strong validator."""
    way = own_way("range_fill=100")
    way.on(serve(body=LARGE))
    for wanted in ("150000-159999", "160000-169999", "155000-165000"):
        first, last = map(int, wanted.split("-"))
        b = way.ask("Range: bytes=" + wanted)
        judge(b, 206, first, last, LARGE)
        way.settle()
    assert b.cache.get("hit") and way.count() == 2


def test_parts_make_a_whole(own_way):
    """RFC 9111 §3.4, §3.3: all parts there, the whole is answered with 200."""
    way = own_way("range_fill=100")
    way.on(serve(body=LARGE))
    for wanted in ("131072-262143", "50000-131071", "0-49999"):
        way.ask("Range: bytes=" + wanted)
        way.settle()
    asked = way.count()
    judge(way.ask(), 200, body=LARGE)
    assert way.count() == asked


def test_the_missing_part_is_asked_for(own_way):
    """RFC 9111 §3.3: a whole request on an incomplete one asks for the rest only, by If-Range or If-Match."""
    way = own_way("range_fill=100")
    way.on(serve(body=LARGE))
    way.ask("Range: bytes=131072-262143")
    way.settle()
    judge(way.ask(), 200, body=LARGE)
    asked = way.last()
    assert asked.get("Range") == "bytes=0-131071" and (asked.has("If-Range") or asked.has("If-Match"))


@pytest.mark.parametrize("other", ['ETag: "s"', 'ETag: W/"r"', "X-None: 1"], ids=["other tag", "weak tag", "no validator"])
def test_parts_of_different_answers_are_not_combined(own_way, other):
    """RFC 9111 §3.4: only with one strong validator."""
    way = own_way("range_fill=100")
    new = bytes(reversed(LARGE))
    way.on(lambda q, c: serve(body=LARGE)(q, c) if way.count() == 1 else serve([FRESH, other], new)(q, c))
    way.ask("Range: bytes=131072-262143")
    way.settle()
    way.ask("Range: bytes=70000-131071")
    way.settle()
    b = way.ask()
    assert b.status == 200 and b.body == new


def test_whole_instead_of_the_missing_part(own_way):
    """§14.2, RFC 9111 §3.4: a server may ignore Range at any time, with the same validator, too."""
    way = own_way("range_fill=100")
    way.on(lambda q, c: serve(body=LARGE)(q, c) if way.count() == 1 else answer(LARGE, fields=STRONG))
    way.ask("Range: bytes=131072-262143")
    way.settle()
    judge(way.ask(), 200, body=LARGE)


def test_part_of_another_body_despite_if_range(own_way):
    """§13.1.5, RFC 9111 §3.4: an origin that sends a part of what If-Range did not ask for, and then the whole."""
    way = own_way("range_fill=100")
    new = bytes(reversed(LARGE))

    def script(req, conn):
        if way.count() == 1:
            return serve(body=LARGE)(req, conn)
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", req.get("Range", ""))
        if not match or req.get("If-Range", '"r"') != '"r"':
            return answer(new, fields=[FRESH, 'ETag: "s"'])
        first, last = int(match[1]), int(match[2])
        return answer(new[first:last + 1], status=206, fields=[FRESH, 'ETag: "s"', f"Content-Range: bytes {first}-{last}/{len(new)}"])

    way.on(script)
    way.ask("Range: bytes=131072-262143")
    way.settle()
    way.ask("Range: bytes=70000-131071")
    way.settle()
    judge(way.ask(), 200, body=new)


def test_an_incomplete_answer_is_never_sent_as_whole(way):
    """RFC 9111 §3.3: 200 for a part is forbidden."""
    way.on(lambda q, c: answer(BODY[:100], status=206, fields=STRONG + ["Content-Range: bytes 0-99/1024"]) if way.count() == 1
           else serve()(q, c))
    way.ask("Range: bytes=0-99", "Cache-Control: no-cache")
    way.settle()
    judge(way.ask(), 200)


def test_206_without_content_range(way):
    """§15.3.7.1: what part it is cannot be told; nothing is stored or made of it."""
    way.on(lambda q, c: answer(BODY[:10], status=206, fields=STRONG) if way.count() == 1 else answer(BODY, fields=STRONG))
    way.ask("Range: bytes=0-9", "Cache-Control: no-cache")
    way.settle()
    judge(way.ask(), 200)


@pytest.mark.parametrize("content_range", ["bytes 0-9/5", "bytes 9-0/1024", "bytes x", "bytes 0-9", "lines 0-9/1024", "bytes */1024"])
def test_bad_content_range(way, content_range):
    """§14.4: not recombined, not stored as a part."""
    way.on(lambda q, c: answer(BODY[:10], status=206, fields=STRONG + ["Content-Range: " + content_range]) if way.count() == 1
           else answer(BODY, fields=STRONG))
    way.ask("Range: bytes=0-9", "Cache-Control: no-cache")
    way.settle()
    judge(way.ask(), 200)


def test_416_from_the_origin(way):
    """§15.5.17: passed on, not stored, what is stored stays."""
    way.on(lambda q, c: answer("", status=416, fields=[FRESH, "Content-Range: bytes */1024"]) if q.has("Range") and way.count() == 1
           else answer(BODY, fields=STRONG))
    b = way.ask("Range: bytes=5000-", "Cache-Control: no-cache")
    assert b.status == 416
    way.settle()
    judge(way.ask(), 200)


def test_origin_ignores_ranges(way):
    """§14.2: a server may; the answer is right all the same."""
    way.on(answer(BODY, fields=[FRESH]))
    b = way.ask("Range: bytes=0-99")
    assert (b.status, len(b.body)) in ((200, 1024), (206, 100))


def test_range_of_a_stale_answer(way):
    """RFC 9111 §4.3.1: validated, then cut."""
    way.on(lambda q, c: answer(status=304, fields=[FRESH, 'ETag: "r"']) if q.has("If-None-Match")
           else answer(BODY, fields=["Cache-Control: max-age=60", "Age: 70", 'ETag: "r"']))
    _, b = way.twice(then=["Range: bytes=0-9"])
    judge(b, 206, 0, 9)
    assert way.count() == 2


def test_if_range_on_a_stale_answer_that_changed(way):
    way.on(lambda q, c: answer("new", fields=[FRESH, 'ETag: "s"']) if way.count() > 1
           else answer(BODY, fields=["Cache-Control: max-age=60", "Age: 70", 'ETag: "r"']))
    _, b = way.twice(then=["Range: bytes=0-1", 'If-Range: "r"'])
    assert (b.status, b.body) == (200, b"new")


def test_range_of_an_unsafe_request_is_the_origins(way):
    way.on(answer("done"))
    way.ask("Range: bytes=0-9", method="POST", body=b"x")
    assert way.last().get("Range") == "bytes=0-9"


def test_combined_parts_have_the_newer_fields(own_way):
    """RFC 9111 §3.4, §3.2"""
    way = own_way("range_fill=100")
    way.on(lambda q, c: serve([*STRONG, f"X-Mine: {way.count()}"], LARGE)(q, c))
    for wanted in ("150000-159999", "160000-169999"):
        way.ask("Range: bytes=" + wanted)
        way.settle()
    b = way.ask("Range: bytes=155000-156000")
    assert b.cache.get("hit") and b.get("X-Mine") == "2"


def test_the_tag_of_a_part_is_no_condition(own_way):
    """RFC 9111 §4.3.2: who has a part only does not ask whether the whole is the same."""
    way = own_way("range_fill=100")
    way.on(serve(body=LARGE))
    way.ask("Range: bytes=131072-262143")
    way.settle()
    judge(way.ask(), 200, body=LARGE)
    assert not way.last().has("If-None-Match")


def test_unknown_unit_is_forwarded(way):
    """§14.4"""
    way.on(answer("abc", status=206, fields=[FRESH, "Content-Range: lines 0-2/9"]))
    r = way.ask("Range: lines=0-2")
    assert r.status == 206 and r.body == b"abc" and r.get("Content-Range") == "lines 0-2/9"


def test_206_to_if_range_is_lean(way):
    """§15.3.7"""
    way.on(answer(BODY, fields=[*STRONG, "Content-Language: x"]))
    _, b = way.twice(then=["Range: bytes=0-9", 'If-Range: "r"'])
    assert b.status == 206 and b.has("ETag") and b.has("Content-Range") and not b.has("Content-Language") and not b.has("Content-Type")


def test_fwd_partial(own_way):
    """RFC 9211 §2.2"""
    way = own_way("range_fill=100")
    way.on(serve(body=LARGE))
    way.ask("Range: bytes=131072-262143")
    way.settle()
    assert way.ask().cache.get("fwd") == "partial"


def test_partial_put(way):
    """§14.5"""
    way.on(answer("done"))
    way.ask("Content-Range: bytes 2-4/9", method="PUT", body=b"abc")
    assert way.last().get("Content-Range") == "bytes 2-4/9" and way.last().body == b"abc"
