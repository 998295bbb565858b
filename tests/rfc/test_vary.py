"""RFC 9111 §4.1, RFC 9110 §12.5.5: selecting stored answers by request fields."""

import pytest

from way import FRESH, answer, http_date, numbered

# (name, Vary lines, first request's fields, second request's fields, the same?)
ROWS = [
    ("equal", ["X-A"], ["X-A: 1"], ["X-A: 1"], True),
    ("other value", ["X-A"], ["X-A: 1"], ["X-A: 2"], False),
    ("absent in both", ["X-A"], [], [], True),
    ("absent in the second", ["X-A"], ["X-A: 1"], [], False),
    ("absent in the first", ["X-A"], [], ["X-A: 1"], False),
    ("empty is not absent", ["X-A"], [], ["X-A:"], False),
    ("name in odd case", ["x-A"], ["X-a: 1"], ["x-a: 1"], True),
    ("white space around", ["X-A"], ["X-A: 1"], ["X-A:    1  "], True),
    ("lines joined", ["X-A"], ["X-A: 1", "X-A: 2"], ["X-A: 1, 2"], True),
    ("order of lines", ["X-A"], ["X-A: 1", "X-A: 2"], ["X-A: 2", "X-A: 1"], False),
    ("value in odd case", ["X-A"], ["X-A: a"], ["X-A: A"], False),
    ("two names", ["X-A, X-B"], ["X-A: 1", "X-B: 2"], ["X-B: 2", "X-A: 1"], True),
    ("two names, one differs", ["X-A, X-B"], ["X-A: 1", "X-B: 2"], ["X-A: 1", "X-B: 3"], False),
    ("two lines of Vary", ["X-A", "X-B"], ["X-A: 1", "X-B: 2"], ["X-A: 1", "X-B: 3"], False),
    ("swapped values", ["X-A, X-B"], ["X-A: 1"], ["X-B: 1"], False),
    ("others do not matter", ["X-A"], ["X-A: 1", "X-B: 1"], ["X-A: 1", "X-B: 2"], True),
    ("accept-encoding white space", ["Accept-Encoding"], ["Accept-Encoding: gzip,br"], ["Accept-Encoding: gzip, br"], True),
    ("accept-encoding order", ["Accept-Encoding"], ["Accept-Encoding: gzip, br"], ["Accept-Encoding: br, gzip"], True),
    ("accept-encoding case", ["Accept-Encoding"], ["Accept-Encoding: gzip"], ["Accept-Encoding: GZip"], True),
    ("accept-encoding weight 1", ["Accept-Encoding"], ["Accept-Encoding: gzip"], ["Accept-Encoding: gzip;q=1.0"], True),
    ("accept-encoding weights", ["Accept-Encoding"], ["Accept-Encoding: gzip, br;q=0.5"], ["Accept-Encoding: gzip;q=0.5, br"], False),
    ("accept-encoding refusal", ["Accept-Encoding"], ["Accept-Encoding: gzip"], ["Accept-Encoding: gzip;q=0"], False),
    ("accept-language case", ["Accept-Language"], ["Accept-Language: de-AT"], ["Accept-Language: DE-at"], True),
    ("accept-language weights", ["Accept-Language"], ["Accept-Language: de, en;q=0.5"], ["Accept-Language: de;q=0.5, en"], False),
    ("accept-language others", ["Accept-Language"], ["Accept-Language: de"], ["Accept-Language: en"], False),
    ("user-agent", ["User-Agent"], ["User-Agent: a (b, c)"], ["User-Agent: a (b,c)"], False),
    ("cookie", ["Cookie"], ["Cookie: a=1"], ["Cookie: a=2"], False),
    ("empty members", [", X-A ,,"], ["X-A: 1"], ["X-A: 1"], True),
    ("empty members, other value", [", X-A ,,"], ["X-A: 1"], ["X-A: 2"], False),
    ("repeated name", ["X-A, x-a"], ["X-A: 1"], ["X-A: 1"], True),
    ("empty vary", [""], ["X-A: 1"], ["X-A: 2"], True),
    ("origin", ["Origin"], ["Origin: http://a.example"], ["Origin: http://b.example"], False),
    ("many names", [", ".join(f"X-{n}" for n in range(20))], ["X-19: 1"], ["X-19: 2"], False),
]


@pytest.mark.parametrize("vary, first, then, same", [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_selected(way, vary, first, then, same):
    way.on(numbered([FRESH, *[f"Vary: {v}" for v in vary]]))
    _, b = way.twice(*first, then=then)
    assert bool(b.cache.get("hit")) == same and b.body == (b"1" if same else b"2")
    if not same:
        assert b.cache["fwd"] == "vary-miss"


def by(name, *more):
    """A script that answers with a request field's value."""
    return lambda q, c: answer(q.get(name, "-"), fields=[FRESH, f"Vary: {name}", f'ETag: "{q.get(name, "-")}"', *more])


def test_several_variants_at_once(way):
    way.on(by("Accept-Language"))
    for _ in range(2):
        for lang in ("de", "en", "fr"):
            r = way.ask(f"Accept-Language: {lang}")
            assert r.body == lang.encode()
            way.settle()
    assert r.cache.get("hit") and way.count() == 3


def test_the_latest_by_date(way):
    """§4.1: when several match, the one with the latest Date."""
    way.on(answer("old", fields=[FRESH, "Vary: X-A", "Date: " + http_date(-60)]),
           answer("new", fields=[FRESH, "Vary: X-B", "Date: " + http_date(-10)]))
    way.ask("X-A: 1")
    way.settle()
    way.ask("X-A: 2", "X-B: 1")
    way.settle()
    b = way.ask("X-A: 1", "X-B: 1")
    assert b.cache.get("hit") and b.body == b"new"


def test_the_latest_by_date_that_came_first(way):
    """§4.1: Date counts, not the order of arrival."""
    way.on(answer("new", fields=[FRESH, "Vary: X-A", "Date: " + http_date(-10)]),
           answer("old", fields=[FRESH, "Vary: X-B", "Date: " + http_date(-60)]))
    way.ask("X-A: 1")
    way.settle()
    way.ask("X-A: 2", "X-B: 1")
    way.settle()
    b = way.ask("X-A: 1", "X-B: 1")
    assert b.cache.get("hit") and b.body == b"new"


def test_one_without_vary_matches_all(way):
    """§4.1: a stored answer without Vary is selected by any request."""
    way.on(answer("varied", fields=[FRESH, "Vary: X-A", "Date: " + http_date(-60)]), answer("plain", fields=[FRESH]))
    way.ask("X-A: 1")
    way.settle()
    way.ask("X-A: 2")
    way.settle()
    b = way.ask("X-A: 3")
    assert b.cache.get("hit") and b.body == b"plain"


def test_other_variants_stay(way):
    """§4.1: a vary miss does not do away with what other requests select."""
    way.on(by("X-A"))
    for value in "121":
        r = way.ask(f"X-A: {value}")
        way.settle()
    assert r.cache.get("hit") and r.body == b"1" and way.count() == 2


def test_validators_of_all_variants(way):
    """§4.3.1, RFC 9110 §13.1.2: a request that no stored variant matches may carry the entity tags of all."""
    def script(req, conn):
        if '"1"' in (req.get("If-None-Match") or ""):
            return answer(status=304, fields=[FRESH, "Vary: X-A", 'ETag: "1"'])
        return answer("one", fields=[FRESH, "Vary: X-A", 'ETag: "1"'])
    way.on(script)
    way.ask("X-A: 1")
    way.settle()
    b = way.ask("X-A: 2")
    assert way.last().get("If-None-Match") == '"1"' and b.status == 200 and b.body == b"one" and way.count() == 2


def test_all_tags_in_one_line(way):
    """§4.3.1: several stored variants, one condition."""
    way.on(by("X-A"))
    for value in "12":
        way.ask(f"X-A: {value}")
        way.settle()
    assert way.ask("X-A: 3").body == b"3"
    assert sorted(way.last().get("If-None-Match", "").split(", ")) == ['"1"', '"2"']


def test_number_of_variants_is_bounded(way):
    way.on(by("X-A"))
    with way.client() as c:
        for n in range(200):
            assert c.request("GET", way.target(), [f"X-A: {n}"], host=way.host).body == str(n).encode()
    way.settle()
    b = way.ask("X-A: 199")
    assert b.cache.get("hit") and b.body == b"199"


def test_vary_is_sent_on(way):
    """RFC 9110 §12.5.5: recipients after larder need it, too."""
    way.on(numbered([FRESH, "Vary: X-A, Accept"]))
    a, b = way.twice()
    assert a.get("Vary") == b.get("Vary") == "X-A, Accept" and b.cache.get("hit")


def test_one_without_vary_does_not_hide_a_match(way):
    """§4.1: some forget Vary on their default answer; the latest one with a valid Vary is to be chosen."""
    way.on(answer("varied", fields=[FRESH, "Vary: X-A", "Date: " + http_date(-60)]), answer("plain", fields=[FRESH]))
    way.ask("X-A: 1")
    way.settle()
    way.ask("X-A: 2")
    way.settle()
    b = way.ask("X-A: 1")
    assert b.cache.get("hit") and b.body == b"varied"


LANGUAGES = [("liked best", "yes", "fr;q=0.2, en", "hit"), ("not liked best", "yes", "fr, en;q=0.9", "no"), ("without the option", "no", "fr;q=0.2, en", "no")]


@pytest.mark.parametrize("option, accepts, verdict", [r[1:] for r in LANGUAGES], ids=[r[0] for r in LANGUAGES])
def test_share_languages(own_way, option, accepts, verdict):
    """§4.1: what is stored in a language, for requests that would have it first."""
    way = own_way("share_languages=" + option)
    way.on(numbered([FRESH, "Vary: Accept-Language", "Content-Language: en"]))
    assert way.verdict(["Accept-Language: en, de;q=0.5"], ["Accept-Language: " + accepts]) == verdict
