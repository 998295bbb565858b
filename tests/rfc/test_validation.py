"""RFC 9111 §3.2, §4.3: asking the origin, and what its answers change."""

import pytest

from way import FRESH, answer, http_date, numbered

OLD = http_date(-100000)
STALE = ["Cache-Control: max-age=60", "Age: 70"]

# (name, fields of what is stored, fields that the validating request has, fields that it has not)
REQUESTS = [
    ("strong tag", ['ETag: "v"'], ['If-None-Match: "v"'], ["If-Modified-Since"]),
    ("weak tag", ['ETag: W/"v"'], ['If-None-Match: W/"v"'], ["If-Modified-Since"]),
    ("date", ["Last-Modified: " + OLD], ["If-Modified-Since: " + OLD], ["If-None-Match"]),
    ("both", ['ETag: "v"', "Last-Modified: " + OLD], ['If-None-Match: "v"', "If-Modified-Since: " + OLD], []),
    ("odd tag", ['ETag: "a\\b,d"'], ['If-None-Match: "a\\b,d"'], []),
    ("empty tag", ['ETag: ""'], ['If-None-Match: ""'], []),
    ("bad tag", ["ETag: v"], [], ["If-None-Match"]),
    ("bad date", ["Last-Modified: long ago"], [], ["If-Modified-Since"]),
    ("rfc850 date", ["Last-Modified: Sunday, 06-Nov-94 08:49:37 GMT"], ["If-Modified-Since"], []),
]


@pytest.mark.parametrize("stored, there, gone", [r[1:] for r in REQUESTS], ids=[r[0] for r in REQUESTS])
def test_validating_request(way, stored, there, gone):
    way.on(numbered(STALE + stored))
    way.twice()
    asked = way.last()
    assert way.count() == 2
    for f in there:
        name, _, value = f.partition(": ")
        assert asked.has(name) and (not value or asked.get(name) == value), asked.raw
    for name in gone + ["If-Range", "Range", "If-Match", "If-Unmodified-Since"]:
        assert not asked.has(name), name


def test_the_clients_fields_go_along(way):
    way.on(numbered(STALE + ['ETag: "v"']))
    way.twice(then=["X-Mine: 1", "Accept: text/x", "Authorization: Basic eDp5"])
    assert way.last().get("X-Mine") == "1" and way.last().get("Accept") == "text/x" and way.last().has("Authorization")


def test_304_is_not_for_a_client_without_conditions(way):
    way.on(answer("kept", fields=STALE + ['ETag: "v"']), answer(status=304, fields=[FRESH, 'ETag: "v"']))
    _, b = way.twice()
    assert b.status == 200 and b.body == b"kept" and b.get("Content-Length") == "4"


def test_a_full_answer_takes_its_place(way):
    way.on(answer("old", fields=STALE + ['ETag: "v"', "X-Old: 1"]), answer("new", fields=[FRESH, 'ETag: "w"']))
    _, b = way.twice()
    assert b.body == b"new"
    way.settle()
    c = way.ask()
    assert c.cache.get("hit") and c.body == b"new" and not c.has("X-Old")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_errors_are_passed_or_the_stale_one_used(way, status):
    """§4.3.3: 5xx is forwarded, where nothing allows the stale answer."""
    way.on(answer("old", fields=STALE + ['ETag: "v"']), answer("no", status=status), answer(status=304, fields=[FRESH, 'ETag: "v"']))
    _, b = way.twice()
    assert (b.status, b.body) == (status, b"no")
    way.settle()
    c = way.ask()
    assert (c.status, c.body) == (200, b"old") and way.last().get("If-None-Match") == '"v"'


def freshened(way, stored, news, body="kept"):
    """Stores, validates with a 304 that has these fields, and returns the answers to the second and third request."""
    way.on(answer(body, fields=stored), answer(status=304, fields=news), answer("replaced", fields=[FRESH]))
    way.ask()
    way.settle()
    b = way.ask()
    way.settle()
    return b, way.ask()


# §3.2, §4.3.4: (name, stored field, 304's field, what is served from then on or None)
UPDATES = [
    ("new value", "X-A: 1", "X-A: 2", "2"),
    ("new field", None, "X-A: 2", "2"),
    ("old field stays", "X-A: 1", None, "1"),
    ("cache-control", None, "Cache-Control: max-age=600, x-mine", None),
    ("content-length", None, "Content-Length: 99", None),
    ("content-encoding", "X-A: 1", "Content-Encoding: gzip", "1"),
    ("content-type", "Content-Type: text/x", "Content-Type: text/y", None),
    ("content-range", "X-A: 1", "Content-Range: bytes 0-1/4", "1"),
    ("connection-named", "X-A: 1", "X-A: 2\r\nConnection: X-A", "1"),
    ("keep-alive", "X-A: 1", "Keep-Alive: timeout=5", "1"),
    ("transfer-encoding", "X-A: 1", "Trailer: X-B", "1"),
]


@pytest.mark.parametrize("before, news, value", [r[1:] for r in UPDATES], ids=[r[0] for r in UPDATES])
def test_304_updates(way, before, news, value):
    stored = STALE + ['ETag: "v"'] + ([before] if before else [])
    fresh = [] if news and news.startswith("Cache-Control") else [FRESH]
    b, c = freshened(way, stored, fresh + ['ETag: "v"'] + ([news] if news else []))
    assert c.cache.get("hit"), c.raw
    for r in (b, c):
        assert r.body == b"kept" and r.get("Content-Length") == "4" and r.get("X-A") == value, r.raw
        assert not r.has("Content-Encoding") and not r.has("Content-Range") and not r.has("Keep-Alive") and not r.has("Trailer")
        assert len(r.all("Cache-Control")) == 1 and len(r.all("Date")) == 1 and len(r.all("ETag")) == 1


def test_304_brings_a_type_and_a_weak_tag(way):
    """§3.2: neither is left out; a strong tag may become a weak one."""
    b, c = freshened(way, STALE + ['ETag: "v"', "Content-Type: text/x"], [FRESH, 'ETag: W/"v"', "Content-Type: text/y"])
    for r in (b, c):
        assert r.body == b"kept" and r.get("ETag") == 'W/"v"' and r.get("Content-Type") == "text/y", r.raw
    assert c.cache.get("hit")


def test_304_brings_no_digest_of_what_was_compressed(own_way):
    """§3.2: other bytes are stored than the origin speaks of."""
    way, text = own_way("compress=yes"), "abcdefgh" * 1000
    digests = ["Repr-Digest: sha-256=:AAAA:", "Digest: sha-256=AAAA", "Content-MD5: AAAA"]
    way.on(answer(text, fields=STALE + ['ETag: "v"', "Content-Type: text/plain"]),
           answer(status=304, fields=[FRESH, 'ETag: "v"', *digests]))
    way.ask()
    way.settle()
    way.ask()
    way.settle()
    c = way.ask("Accept-Encoding: gzip")
    assert c.cache.get("hit") and c.get("Content-Encoding") == "gzip" and c.get("ETag") == 'W/"v"', c.raw
    assert not any(c.has(f.split(":")[0]) for f in digests), c.raw


@pytest.mark.parametrize("first", [[], ["Vary: X-B"]], ids=["none before", "another before"])
def test_304_brings_vary(way, first):
    """§3.2, §4.1: from then on the stored answer is selected by what the validated request had."""
    def script(req, conn):
        if req.has("If-None-Match"):
            return answer(status=304, fields=[FRESH, 'ETag: "v"', "Vary: X-A"])
        return answer(str(way.count()), fields=[*(STALE if way.count() == 1 else [FRESH, "Vary: X-A"]), 'ETag: "v"', *first])
    way.on(script)
    _, b = way.twice(then=["X-A: 1"])
    assert b.body == b"1" and b.get("Vary") == "X-A"
    way.settle()
    c = way.ask("X-A: 1")
    assert c.cache.get("hit") and c.body == b"1"
    d = way.ask("X-A: 2")
    assert not d.cache.get("hit") and way.count() == 3


# §4.3.4: a 304 to conditions that are passed on. (name, method, the request's fields)
PASSED = [
    ("if-match", "GET", ["If-Match: *", 'If-None-Match: "v"']),
    ("if-unmodified-since", "GET", ["If-Unmodified-Since: " + http_date(0), 'If-None-Match: "v"']),
    ("head", "HEAD", ['If-None-Match: "v"', "Cache-Control: no-cache"]),
]


@pytest.mark.parametrize("news, value", [(['ETag: "v"', "X-A: 2"], "2"), (['ETag: "w"', "X-A: 2"], "1"), (["X-A: 2"], "1")],
                         ids=["same tag", "other tag", "no tag"])
@pytest.mark.parametrize("method, fields", [r[1:] for r in PASSED], ids=[r[0] for r in PASSED])
def test_304_that_is_passed_on_updates(way, method, fields, news, value):
    way.on(answer("kept", fields=["Cache-Control: max-age=600", 'ETag: "v"', "X-A: 1"]), answer(status=304, fields=[FRESH, *news]))
    _, b = way.twice(then=fields, method=method)
    assert b.status == 304 and way.count() == 2
    way.settle()
    c = way.ask()
    assert c.cache.get("hit") and c.body == b"kept" and c.get("X-A") == value


# (name, method, the request's fields)
@pytest.mark.parametrize("method, fields", [
    ("HEAD", ["If-None-Match: *", "Cache-Control: no-cache"]),
    ("GET", ["If-Match: *", "If-None-Match: *"]),
    ("HEAD", ["If-Modified-Since: " + http_date(0), "Cache-Control: no-cache"]),
], ids=["head any", "if-match any", "head date"])
def test_304_that_names_nothing(way, method, fields):
    """§4.3.4: what is stored has no validator, and the origin has changed it: the client's condition is false for that, too."""
    way.on(answer("old", fields=["Cache-Control: max-age=5"]), answer(status=304, fields=["Cache-Control: max-age=600"]),
           answer("new", fields=[FRESH]))
    _, b = way.twice(then=fields, method=method)
    assert b.status == 304 and way.count() == 2
    way.settle()
    c = way.ask("Cache-Control: min-fresh=60")
    assert c.body == b"new" and way.count() == 3


@pytest.mark.parametrize("lifetime, kept", [([], False), ([FRESH], True)], ids=["alone", "with a lifetime"])
def test_304_brings_a_cookie(way, lifetime, kept):
    """Who asked is given it; others only where the 304 itself says for how long it is fresh (§7.3)."""
    way.on(answer("kept", fields=STALE + ['ETag: "v"']), answer(status=304, fields=['ETag: "v"', "Set-Cookie: a=b", *lifetime]))
    _, b = way.twice()
    assert b.status == 200 and b.body == b"kept" and b.all("Set-Cookie") == ["a=b"] and way.count() == 2
    way.settle()
    c = way.ask()
    assert c.status == 200 and c.body == b"kept" and c.all("Set-Cookie") == (["a=b"] if kept else [])
    assert c.cache.get("hit") and way.count() == 2


def test_304_updates_all_lines_of_a_field(way):
    _, c = freshened(way, STALE + ['ETag: "v"', "X-A: 1", "X-A: 2"], [FRESH, 'ETag: "v"', "X-A: 3"])
    assert c.cache.get("hit") and c.all("X-A") == ["3"]


def test_304_brings_several_lines(way):
    _, c = freshened(way, STALE + ['ETag: "v"', "X-A: 1"], [FRESH, 'ETag: "v"', "X-A: 2", "X-A: 3"])
    assert c.cache.get("hit") and c.all("X-A") == ["2", "3"]


def test_304_expires_and_date(way):
    when = http_date(-20)
    _, c = freshened(way, ["Expires: " + http_date(-60), 'ETag: "v"', "Date: " + http_date(-120)],
                     ["Expires: " + http_date(400), 'ETag: "v"', "Date: " + when])
    assert c.cache.get("hit") and c.all("Date") == [when] and len(c.all("Expires")) == 1 and 340 <= c.cache["ttl"] <= 420


def test_304_without_lifetime_keeps_the_stored_one(way):
    """§4.3.4, §3.2: Cache-Control stays as stored; the new Date makes it fresh again."""
    way.on(answer("kept", fields=["Cache-Control: max-age=60", "Date: " + http_date(-100), 'ETag: "v"']),
           answer(status=304, fields=['ETag: "v"']))
    way.ask()
    way.settle()
    way.ask()
    way.settle()
    assert way.ask().cache.get("hit") and way.count() == 2


# §4.3.4: which stored answer a 304 is about. (name, stored, 304, freshened?)
SELECTS = [
    ("strong", ['ETag: "v"'], ['ETag: "v"'], True),
    ("other strong", ['ETag: "v"'], ['ETag: "w"'], False),
    ("weak", ['ETag: W/"v"'], ['ETag: W/"v"'], True),
    ("strong in the 304, weak stored", ['ETag: W/"v"'], ['ETag: "v"'], False),
    ("date", ["Last-Modified: " + OLD], ["Last-Modified: " + OLD], True),
    ("other date", ["Last-Modified: " + OLD], ["Last-Modified: " + http_date(-50000)], False),
    ("nothing", ['ETag: "v"'], [], True),
    ("nothing against a date", ["Last-Modified: " + OLD], [], True),
    ("what is no validator", ['ETag: "v"'], ["ETag: v"], False),
    ("tag same, date other", ['ETag: "v"', "Last-Modified: " + OLD], ['ETag: "v"', "Last-Modified: " + http_date(-50000)], True),
]


@pytest.mark.parametrize("stored, news, same", [r[1:] for r in SELECTS], ids=[r[0] for r in SELECTS])
def test_304_selects(way, stored, news, same):
    way.on(answer("kept", fields=STALE + stored), answer(status=304, fields=[FRESH, *news]), answer("fresh", fields=[FRESH]))
    way.ask()
    way.settle()
    b = way.ask()
    assert b.status == 200 and b.body == (b"kept" if same else b"fresh")
    way.settle()
    c = way.ask()
    assert c.body == b.body and c.cache.get("hit")


def test_304_freshens_all_that_the_request_selects(way):
    """§4.3.4: two stored answers that the request matches, one entity tag, one validation."""
    way.on(answer("1", fields=STALE + ["Vary: X-A", 'ETag: "v"']), answer("2", fields=STALE + ["Vary: X-B", 'ETag: "v"']),
           answer(status=304, fields=[FRESH, 'ETag: "v"']), answer("asked again", fields=[FRESH]))
    for fields in (["X-A: 1"], ["X-A: 2", "X-B: 1"], ["X-A: 1", "X-B: 1"]):
        way.ask(*fields)
        way.settle()
    assert way.count() == 3 and way.last().get("If-None-Match") == '"v"'
    assert way.ask("X-A: 1", "X-B: 2").cache.get("hit") and way.ask("X-A: 2", "X-B: 1").cache.get("hit")


def test_304_for_one_variant_leaves_the_others(way):
    """§4.3.4: what the request does not select is not made fresh by its 304."""
    def script(req, conn):
        tag = f'ETag: "{req.get("X-A")}"'
        if req.has("If-None-Match"):
            return answer(status=304, fields=[FRESH, "Vary: X-A", tag])
        return answer(req.get("X-A"), fields=STALE + ["Vary: X-A", tag])
    way.on(script)
    for value in "12":
        way.ask(f"X-A: {value}", "Cache-Control: no-cache")
        way.settle()
    way.ask("X-A: 1")
    way.settle()
    before = way.count()
    assert way.ask("X-A: 1").cache.get("hit") and way.count() == before
    b = way.ask("X-A: 2")
    assert b.body == b"2" and way.count() == before + 1


def test_no_cache_with_fields_without_validation(way):
    """§5.2.2.4: the named fields are not sent without the origin's say."""
    way.on(answer("kept", fields=['Cache-Control: max-age=600, no-cache="X-Mine, x-other"', "X-Mine: 1", "X-Other: 2", "X-Free: 3"]))
    a, b = way.twice()
    assert a.get("X-Mine") == "1" and b.cache.get("hit")
    assert not b.has("X-Mine") and not b.has("X-Other") and b.get("X-Free") == "3"


def test_no_cache_with_fields_after_validation(way):
    way.on(answer("kept", fields=STALE[1:] + ['Cache-Control: max-age=60, no-cache="X-Mine"', "X-Mine: 1", 'ETag: "v"']),
           answer(status=304, fields=['Cache-Control: max-age=600, no-cache="X-Mine"', "X-Mine: 2", 'ETag: "v"']))
    _, b = way.twice()
    assert b.status == 200 and b.body == b"kept" and b.get("X-Mine") in (None, "2")


def test_private_with_fields(way):
    """§5.2.2.7: the rest is stored, the named fields are for the one client."""
    way.on(answer("kept", fields=['Cache-Control: max-age=600, private="X-Mine"', "X-Mine: 1", "X-Free: 3"]))
    a, b = way.twice()
    assert a.get("X-Mine") == "1" and b.cache.get("hit") and not b.has("X-Mine") and b.get("X-Free") == "3"


# §4.3.5: (name, HEAD's fields, what a GET gets then)
HEADS = [
    ("same", [FRESH, 'ETag: "v"', "X-A: 2", "Content-Length: 4"], "hit"),
    ("other tag", [FRESH, 'ETag: "w"', "Content-Length: 4"], "asked"),
    ("other length", [FRESH, 'ETag: "v"', "Content-Length: 9"], "asked"),
    ("other date", [FRESH, "Last-Modified: " + http_date(-500), "Content-Length: 4"], "asked"),
]


@pytest.mark.parametrize("fields, verdict", [r[1:] for r in HEADS], ids=[r[0] for r in HEADS])
def test_head_freshens_or_invalidates(way, fields, verdict):
    def script(req, conn):
        if req.method == "HEAD":
            return answer("", fields=fields, length=False)
        return answer("kept", fields=["Cache-Control: max-age=600", 'ETag: "v"', "Last-Modified: " + OLD, "X-A: 1"])
    way.on(script)
    way.ask()
    way.settle()
    way.ask("Cache-Control: no-cache", method="HEAD")
    asked = way.count()
    way.settle()
    b = way.ask()
    assert way.seen()[1].method == "HEAD"
    if verdict == "hit":
        assert b.cache.get("hit") and b.body == b"kept" and b.get("X-A") == "2" and way.count() == asked
    else:
        assert way.count() > asked and b.body == b"kept"


def test_head_brings_its_fields(way):
    """§4.3.5, §3.2"""
    def script(req, conn):
        if req.method == "HEAD":
            return answer("", fields=[FRESH, 'ETag: "v"', "X-A: 2", "X-B: 3", "Content-Length: 4"], length=False)
        return answer("kept", fields=["Cache-Control: max-age=60", "Age: 30", 'ETag: "v"', "X-A: 1", "X-C: 4"])
    way.on(script)
    way.ask()
    way.settle()
    way.ask("Cache-Control: no-cache", method="HEAD")
    way.settle()
    b = way.ask()
    assert b.cache.get("hit") and b.body == b"kept" and b.cache["ttl"] > 60
    assert (b.get("X-A"), b.get("X-B"), b.get("X-C")) == ("2", "3", "4")


def test_304_for_the_stores_tag_is_a_200_for_the_client(way):
    """§4.3.2: the client has another one."""
    way.on(lambda q, c: answer("kept", fields=STALE + ['ETag: "v"']) if way.count() == 1
           else answer(status=304, fields=[FRESH, 'ETag: "v"']) if '"v"' in q.get("If-None-Match", "")
           else answer("kept", fields=[FRESH, 'ETag: "v"']))
    way.ask()
    way.settle()
    b = way.ask('If-None-Match: "mine"')
    assert b.status == 200 and b.body == b"kept" and b.get("ETag") == '"v"'


# A conditional request of the client's meets a stale stored answer (§4.3.1, §4.3.3).
def test_client_has_what_the_origin_has(way):
    def script(req, conn):
        if '"new"' in (req.get("If-None-Match") or ""):
            return answer(status=304, fields=[FRESH, 'ETag: "new"'])
        return answer("new", fields=[FRESH, 'ETag: "new"'])
    way.on(answer("old", fields=STALE + ['ETag: "old"']))
    way.ask()
    way.settle()
    way.on(script)
    b = way.ask('If-None-Match: "new"')
    assert b.status == 304 or (b.status == 200 and b.body == b"new")
    way.settle()
    c = way.ask()
    assert c.status == 200 and c.body == b"new"


def test_client_and_store_have_the_same(way):
    way.on(answer("kept", fields=STALE + ['ETag: "v"']), answer(status=304, fields=[FRESH, 'ETag: "v"', "X-A: 1"]))
    way.ask()
    way.settle()
    b = way.ask('If-None-Match: "v"')
    assert b.status == 304 and b.body == b""
    way.settle()
    c = way.ask()
    assert c.cache.get("hit") and c.body == b"kept" and c.get("X-A") == "1"


def test_a_304_to_the_clients_own_condition_is_passed_on(way):
    """§4.3.3: nothing stored; the client asked with a condition of its own."""
    way.on(answer(status=304, fields=['ETag: "v"', "Cache-Control: max-age=600"]), answer("whole", fields=[FRESH]))
    assert way.ask('If-None-Match: "v"').status in (200, 304)
    way.settle()
    assert way.ask().body == b"whole"


def test_if_match_is_for_the_origin(way):
    """RFC 9110 §13.2.1: a cache does not evaluate preconditions of a request that it forwards."""
    way.on(numbered(["Cache-Control: no-store"]))
    way.ask('If-Match: "x"', "If-Unmodified-Since: " + OLD)
    assert way.last().get("If-Match") == '"x"' and way.last().get("If-Unmodified-Since") == OLD
