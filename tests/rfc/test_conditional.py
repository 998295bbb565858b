"""RFC 9110 §13, RFC 9111 §4.3.2: conditions of clients, answered from what is stored."""

import pytest

from way import FRESH, answer, http_date, numbered

OLD, OLDER, NEWER, NOW = http_date(-100000), http_date(-200000), http_date(-5000), http_date(0)
TAGGED = ['ETag: "a"', "Last-Modified: " + OLD]

# (name, stored fields, request fields, status)
ROWS = [
    # §13.1.2
    ("inm same", TAGGED, ['If-None-Match: "a"'], 304),
    ("inm other", TAGGED, ['If-None-Match: "b"'], 200),
    ("inm list", TAGGED, ['If-None-Match: "x", "a", "y"'], 304),
    ("inm list without spaces", TAGGED, ['If-None-Match: "x","a"'], 304),
    ("inm empty members", TAGGED, ['If-None-Match: , "x",, "a" ,'], 304),
    ("inm lines", TAGGED, ['If-None-Match: "x"', 'If-None-Match: "a"'], 304),
    ("inm weak asks strong", TAGGED, ['If-None-Match: W/"a"'], 304),
    ("inm strong asks weak", ['ETag: W/"a"'], ['If-None-Match: "a"'], 304),
    ("inm weak asks weak", ['ETag: W/"a"'], ['If-None-Match: W/"a"'], 304),
    ("inm any", TAGGED, ["If-None-Match: *"], 304),
    ("inm any without tag", [], ["If-None-Match: *"], 304),
    ("inm without stored tag", ["Last-Modified: " + OLD], ['If-None-Match: "a"'], 200),
    ("inm unquoted", TAGGED, ["If-None-Match: a"], 200),
    ("inm unclosed", TAGGED, ['If-None-Match: "a'], 200),
    ("inm lower w", TAGGED, ['If-None-Match: w/"a"'], 200),
    ("inm in other case", TAGGED, ['If-None-Match: "A"'], 200),
    ("inm comma in a tag", ['ETag: "a,b"'], ['If-None-Match: "x", "a,b"'], 304),
    ("inm half of a tag", ['ETag: "a"'], ['If-None-Match: "x,a"'], 200),
    ("inm empty tag", ['ETag: ""'], ['If-None-Match: ""'], 304),
    ("inm obs-text", ['ETag: "\xe4"'], ['If-None-Match: "\xe4"'], 304),
    # §13.1.3
    ("ims same", TAGGED, ["If-Modified-Since: " + OLD], 304),
    ("ims later", TAGGED, ["If-Modified-Since: " + NEWER], 304),
    ("ims earlier", TAGGED, ["If-Modified-Since: " + OLDER], 200),
    ("ims bad", TAGGED, ["If-Modified-Since: yesterday"], 200),
    ("ims list", TAGGED, [f"If-Modified-Since: {OLD}, {OLD}"], 200),
    ("ims twice", TAGGED, ["If-Modified-Since: " + OLD, "If-Modified-Since: " + OLD], 200),
    ("ims rfc850", TAGGED, ["If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"], 200),
    ("ims asctime", ["Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"], ["If-Modified-Since: Sun Nov  6 08:49:37 1994"], 304),
    ("ims rfc850 same", ["Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"], ["If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"], 304),
    # RFC 9111 §4.3.2: Date stands in for Last-Modified
    ("ims against Date", ["Date: " + OLDER, "Cache-Control: max-age=900000"], ["If-Modified-Since: " + OLD], 304),
    ("ims against a later Date", ["Date: " + http_date(-50)], ["If-Modified-Since: " + OLD], 200),
    # §13.2.2
    ("inm before ims", TAGGED, ['If-None-Match: "b"', "If-Modified-Since: " + NEWER], 200),
    ("inm before ims, same", TAGGED, ['If-None-Match: "a"', "If-Modified-Since: " + OLDER], 304),
    ("inm before bad ims", TAGGED, ['If-None-Match: "a"', "If-Modified-Since: x"], 304),
]


@pytest.mark.parametrize("stored, ask, status", [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_answered(way, stored, ask, status):
    control = [] if any(f.startswith("Cache-Control") for f in stored) else [FRESH]
    way.on(answer("body", fields=control + stored))
    _, b = way.twice(then=ask)
    assert b.status == status and b.cache.get("hit") and way.count() == 1
    assert b.body == (b"body" if status == 200 else b"")


@pytest.mark.parametrize("ask, status", [
    (['If-None-Match: "a"'], 304), (['If-None-Match: "b"'], 200), (["If-Modified-Since: " + OLD], 304),
], ids=["same", "other", "date"])
def test_answered_for_head(way, ask, status):
    way.on(answer("body", fields=[FRESH, *TAGGED]))
    _, b = way.twice(then=ask, method="HEAD")
    assert b.status == status and b.cache.get("hit") and way.count() == 1


# §13.2.1: conditions are for answers that would be 2xx; others are sent as they are.
@pytest.mark.parametrize("status", [404, 301, 410, 500])
def test_not_for_other_statuses(way, status):
    way.on(answer("body", status=status, fields=[FRESH, *TAGGED, "Location: /x"]))
    _, b = way.twice(then=['If-None-Match: "a"'])
    assert b.status == status and b.cache.get("hit") and b.body == b"body"


# §13.1.1, §13.1.4, §13.1.5 and RFC 9111 §4.3.2: (name, stored, request fields, statuses)
OTHERS = [
    ("if-match same", TAGGED, ['If-Match: "a"'], 200),
    ("if-match any", TAGGED, ["If-Match: *"], 200),
    ("if-match list", TAGGED, ['If-Match: "x", "a"'], 200),
    ("if-match other", TAGGED, ['If-Match: "b"'], 412),
    ("if-match weak", ['ETag: W/"a"'], ['If-Match: W/"a"'], 412),
    ("if-unmodified later", TAGGED, ["If-Unmodified-Since: " + NEWER], 200),
    ("if-unmodified earlier", TAGGED, ["If-Unmodified-Since: " + OLDER], 412),
    ("if-unmodified bad", TAGGED, ["If-Unmodified-Since: x"], 200),
    ("if-match before if-unmodified", TAGGED, ['If-Match: "a"', "If-Unmodified-Since: " + OLDER], 200),
]


@pytest.mark.parametrize("stored, ask, status", [r[1:] for r in OTHERS], ids=[r[0] for r in OTHERS])
def test_preconditions_of_writers(way, stored, ask, status):
    """They are the origin's; answered here, the answer is the same as the origin's."""
    way.on(answer("body", fields=[FRESH, *stored]), answer("origin's", status=status))
    _, b = way.twice(then=ask)
    assert b.status == status
    if way.count() == 2:
        assert way.last().get(ask[0].split(":")[0]) == ask[0].split(": ", 1)[1]


def test_304_fields(way):
    """§15.4.5: what must be in a 304, and what should not."""
    way.on(answer("body", fields=[FRESH, *TAGGED, "Expires: " + http_date(900), "Vary: X-A", "Content-Location: /x",
                                  "Content-Type: text/x", "X-Mine: 1"]))
    _, b = way.twice(then=['If-None-Match: "a"'])
    assert b.status == 304
    for name in ("Cache-Control", "Content-Location", "Date", "ETag", "Expires", "Vary"):
        assert len(b.all(name)) == 1, name
    for name in ("Content-Type", "Content-Length", "Last-Modified", "Transfer-Encoding", "X-Mine"):
        assert not b.has(name), name


def test_304_without_a_tag_has_last_modified(way):
    way.on(answer("body", fields=[FRESH, "Last-Modified: " + OLD]))
    _, b = way.twice(then=["If-Modified-Since: " + OLD])
    assert b.status == 304 and b.get("Last-Modified") == OLD


def test_304_has_no_content(way):
    """§15.4.5, RFC 9112 §6.3: the next answer on the connection begins right after the head."""
    way.on(answer("body", fields=[FRESH, *TAGGED]))
    way.ask()
    way.settle()
    c = way.client()
    for _ in range(3):
        assert c.request("GET", way.target(), ['If-None-Match: "a"'], host=way.host).status == 304
        assert c.request("GET", way.target(), host=way.host).body == b"body"


@pytest.mark.parametrize("field", ['If-Match: "a"', 'If-None-Match: "a"', "If-Modified-Since: " + OLD, "If-Unmodified-Since: " + OLD,
                                   "If-None-Match: *", "If-Match: *"],
                         ids=["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-none-match any", "if-match any"])
def test_conditions_of_unsafe_methods_are_the_origins(way, field):
    """§13.2.1: not evaluated by a cache that forwards."""
    way.on(answer("body", fields=[FRESH, *TAGGED]), answer("done", status=412))
    way.ask()
    way.settle()
    b = way.ask(field, method="PUT", body=b"new")
    assert b.status == 412 and way.last().method == "PUT" and way.last().get(field.split(":")[0]) == field.split(": ", 1)[1]


@pytest.mark.parametrize("ask", [['If-None-Match: "a"'], ["If-Modified-Since: " + NEWER], ['If-None-Match: "b"']], ids=["tag", "date", "other"])
def test_on_a_miss(way, ask):
    """The client's condition never leads to a partial or missing stored answer."""
    way.on(lambda q, c: answer(status=304, fields=[FRESH, *TAGGED]) if q.get("If-None-Match") == '"a"' or (
        q.has("If-Modified-Since") and not q.has("If-None-Match")) else answer("body", fields=[FRESH, *TAGGED]))
    b = way.ask(*ask)
    assert b.status in (200, 304) and (b.status == 304 or b.body == b"body")
    way.settle()
    assert way.ask().body == b"body"


def test_conditions_are_not_sent_twice(way):
    """RFC 9111 §4.3.1: the client's own conditions and larder's do not contradict each other at the origin."""
    way.on(numbered(["Cache-Control: max-age=60", "Age: 70", 'ETag: "v"', "Last-Modified: " + OLD]))
    way.twice(then=["If-Modified-Since: " + NEWER])
    assert len(way.last().all("If-Modified-Since")) <= 1 and way.last().get("If-Modified-Since") != NEWER


@pytest.mark.parametrize("stored, ask", [r[1:3] for r in OTHERS if r[3] == 412], ids=[r[0] for r in OTHERS if r[3] == 412])
def test_conditions_for_the_origin_are_not_evaluated_here(way, stored, ask):
    """RFC 9111 §4.3.2: ignored, or left to the origin; larder itself never says 412."""
    way.on(answer("body", fields=[FRESH, *stored]), answer("origin's", status=412))
    _, b = way.twice(then=ask)
    assert b.body == (b"body" if way.count() == 1 else b"origin's")
