"""larderctl explain: what it says just before a request is what the request then gets."""

import itertools
import re
import threading

import pytest
from harness.explain import BIG, ETAG, FRESH, STALE, agree, ask, send
from harness.message import answer, http_date
from harness.origin import raw_script
from harness.wait import free_port, until

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def d(shared_larder):
    """A forward proxy for all rows."""
    d = shared_larder("forward", options=["origin_retry=10m", "durability=none", "share_codings=no"])
    d.names = ["forward"]
    return d


@pytest.fixture(params=["forward", "reverse"])
def way(request, larder, origin, d):
    """(daemon, listener, the URL and the request's target of a path that nobody else uses)"""
    path = f"/{next(NUMBERS)}"
    if request.param == "forward":
        return d, 0, origin.url(path), origin.url(path), path
    own = larder("forward", f"reverse,http://{origin.authority}", options=["origin_retry=10m", "durability=none"])
    own.names = ["forward", "reverse"]
    return own, 1, origin.url(path), path, path


# (name, status and fields of what is stored, fields of the request that stored it or None for none,
#  method and fields of the request that is explained, verdict, the rule or reason that decides, its clause)
ROWS = [
    # nothing stored
    ("nothing", 200, FRESH, None, "GET", [], "miss", "uri-miss", "RFC 9211 §2.2"),
    ("nothing, HEAD", 200, FRESH, None, "HEAD", [], "pass", "uri-miss", "RFC 9211 §2.2"),
    ("nothing, only-if-cached", 200, FRESH, None, "GET", ["Cache-Control: only-if-cached"], "error", None, "RFC 9111 §5.2.1.7"),
    ("nothing, no-store", 200, FRESH, None, "GET", ["Cache-Control: no-store"], "miss", "uri-miss", "RFC 9211 §2.2"),
    ("POST", 200, FRESH, None, "POST", [], "pass", "method", "RFC 9111 §4"),
    ("DELETE", 200, FRESH, None, "DELETE", [], "pass", "method", "RFC 9111 §4"),
    ("an unknown method", 200, FRESH, None, "BREW", [], "pass", "method", "RFC 9111 §4"),
    ("POST, only-if-cached", 200, FRESH, None, "POST", ["Cache-Control: only-if-cached"], "error", None, "RFC 9111 §5.2.1.7"),
    ("TRACE", 200, FRESH, None, "TRACE", [], "refused", None, None),
    ("If-Match", 200, FRESH, [], "GET", ['If-Match: "v"'], "pass", "request", "RFC 9111 §4.3.2"),
    ("Upgrade", 200, FRESH, [], "GET", ["Connection: upgrade", "Upgrade: x"], "pass", "bypass", None),
    # fresh
    ("fresh", 200, FRESH, [], "GET", [], "hit", "fresh", "RFC 9111 §4.2"),
    ("HEAD of a GET", 200, FRESH, [], "HEAD", [], "hit", "fresh", "RFC 9111 §4.2"),
    ("404", 404, FRESH, [], "GET", [], "hit", "fresh", "RFC 9111 §4.2"),
    ("s-maxage", 200, ["Cache-Control: s-maxage=6000, max-age=1"], [], "GET", [], "hit", "fresh", "RFC 9111 §4.2"),
    ("Expires", 200, ["Expires: {6000}"], [], "GET", [], "hit", "fresh", "RFC 9111 §4.2"),
    ("heuristic", 200, ["Last-Modified: {-900000}"], [], "GET", [], "hit", "fresh", "RFC 9111 §4.2"),
    ("aged", 200, [*FRESH, "Age: 3000"], [], "GET", [], "hit", "fresh", "RFC 9111 §4.2"),
    ("max-age above the age", 200, FRESH, [], "GET", ["Cache-Control: max-age=3000"], "hit", "fresh", "RFC 9111 §4.2"),
    ("only-if-cached", 200, FRESH, [], "GET", ["Cache-Control: only-if-cached"], "hit", "fresh", "RFC 9111 §4.2"),
    ("no-store of the request", 200, FRESH, [], "GET", ["Cache-Control: no-store"], "hit", "fresh", "RFC 9111 §4.2"),
    ("immutable, by a connection that does not vouch for it (RFC 8246 §3)", 200, ["Cache-Control: max-age=6000, immutable"], [], "GET", ["Cache-Control: max-age=0"], "validate", "request-max-age", "RFC 9111 §5.2.1.1"),
    ("If-None-Match holds", 200, FRESH, [], "GET", ['If-None-Match: "v"'], "hit", "fresh", "RFC 9111 §4.2"),
    ("Range", 200, FRESH, [], "GET", ["Range: bytes=0-1"], "hit", "fresh", "RFC 9111 §4.2"),
    ("Range beyond", 200, FRESH, [], "GET", ["Range: bytes=900000-"], "hit", "fresh", "RFC 9111 §4.2"),
    # fresh, but the request wants another
    ("request no-cache", 200, FRESH, [], "GET", ["Cache-Control: no-cache"], "validate", "request-no-cache", "RFC 9111 §5.2.1.4"),
    ("Pragma", 200, FRESH, [], "GET", ["Pragma: no-cache"], "validate", "request-pragma", "RFC 9111 §5.4"),
    ("max-age=0", 200, FRESH, [], "GET", ["Cache-Control: max-age=0"], "validate", "request-max-age", "RFC 9111 §5.2.1.1"),
    ("max-age below the age", 200, [*FRESH, "Age: 600"], [], "GET", ["Cache-Control: max-age=60"], "validate", "request-max-age", "RFC 9111 §5.2.1.1"),
    ("min-fresh", 200, FRESH, [], "GET", ["Cache-Control: min-fresh=9999"], "validate", "request-min-fresh", "RFC 9111 §5.2.1.3"),
    ("max-age=0, only-if-cached", 200, FRESH, [], "GET", ["Cache-Control: max-age=0, only-if-cached"], "error", None, "RFC 9111 §5.2.1.7"),
    ("HEAD, no-cache", 200, FRESH, [], "HEAD", ["Cache-Control: no-cache"], "pass", "request-no-cache", "RFC 9111 §5.2.1.4"),
    ("401 and credentials", 401, [*FRESH, "WWW-Authenticate: Basic"], [], "GET", ["Authorization: Basic eDp5"], "validate", "denied", "RFC 9110 §11.6.1"),
    # stale
    ("stale", 200, STALE, [], "GET", [], "validate", "stale", "RFC 9111 §4.2.4"),
    ("stale by Last-Modified", 200, [*STALE[:2], "Last-Modified: {-90000}"], [], "GET", [], "validate", "stale", "RFC 9111 §4.2.4"),
    ("Expires in the past", 200, ["Expires: 0", ETAG], [], "GET", [], "validate", "stale", "RFC 9111 §4.2.4"),
    ("no lifetime", 200, [ETAG], [], "GET", [], "validate", "stale", "RFC 9111 §4.2.4"),
    ("must-revalidate", 200, ["Cache-Control: max-age=60, must-revalidate", *STALE[1:]], [], "GET", ["Cache-Control: max-stale"], "validate", "never-stale", "RFC 9111 §4.2.4"),
    ("no-cache", 200, ["Cache-Control: no-cache, max-age=6000", ETAG], [], "GET", [], "validate", "no-cache", "RFC 9111 §5.2.2.4"),
    ("max-stale", 200, STALE, [], "GET", ["Cache-Control: max-stale"], "stale", "max-stale", "RFC 9111 §5.2.1.2"),
    ("max-stale too small", 200, STALE, [], "GET", ["Cache-Control: max-stale=9"], "validate", "stale", "RFC 9111 §4.2.4"),
    ("stale, only-if-cached", 200, STALE, [], "GET", ["Cache-Control: only-if-cached"], "error", None, "RFC 9111 §5.2.1.7"),
    ("stale-while-revalidate", 200, ["Cache-Control: max-age=60, stale-while-revalidate=90000", *STALE[1:]], [], "GET", [], "stale", "stale-while-revalidate", "RFC 5861 §3"),
    ("stale HEAD", 200, STALE, [], "HEAD", [], "pass", "stale", "RFC 9111 §4.2.4"),
    # Vary
    ("Vary, the same", 200, [*FRESH, "Vary: X-Kind"], ["X-Kind: a"], "GET", ["X-Kind: a"], "hit", "fresh", "RFC 9111 §4.2"),
    ("Vary, another", 200, [*FRESH, "Vary: X-Kind"], ["X-Kind: a"], "GET", ["X-Kind: b"], "miss", "vary-miss", "RFC 9211 §2.2"),
    ("Vary, absent", 200, [*FRESH, "Vary: X-Kind"], ["X-Kind: a"], "GET", [], "miss", "vary-miss", "RFC 9211 §2.2"),
    ("Vary, without a tag", 200, [FRESH[0], "Vary: X-Kind"], ["X-Kind: a"], "GET", [], "miss", "vary-miss", "RFC 9211 §2.2"),
    ("Vary, spelt otherwise", 200, [*FRESH, "Vary: Accept-Encoding"], ["Accept-Encoding: br, gzip;q=1.0"], "GET", ["Accept-Encoding: gzip,br"], "hit", "fresh", "RFC 9111 §4.2"),
    ("a field that Connection names", 200, [*FRESH, "Vary: X-Kind"], [], "GET", ["X-Kind: a", "Connection: X-Kind"], "hit", "fresh", "RFC 9111 §4.2"),
    # what was not stored
    ("not stored", 200, ["Cache-Control: no-store"], [], "GET", [], "miss", "uri-miss", "RFC 9211 §2.2"),
    ("another's private", 200, ["Cache-Control: private, max-age=600"], [], "GET", [], "miss", "uri-miss", "RFC 9211 §2.2"),
]


def dated(fields):
    """Fields with {-100} made a date so many seconds from now."""
    out = []
    for f in fields:
        head, brace, rest = f.partition("{")
        out.append(head + http_date(int(rest[:-1])) if brace else f)
    return out


@pytest.mark.parametrize("status, stored, first, method, fields, verdict, why, clause",
                         [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_agreement(way, origin, status, stored, first, method, fields, verdict, why, clause):
    """Whatever is said of a request is what happens to it, by that rule."""
    d, listener, url, target, path = way
    origin.on(path, lambda req, conn: answer(b"" if req.method == "HEAD" else b"hello", status=status, fields=dated(stored)))
    if first is not None:
        assert send(d, listener, target, origin, first).status == status
        d.settle()
    before = origin.count(path)
    args = ["--method", method] + [a for f in fields for a in ("--header", f)]
    said = ask(d, *args, url, listener=listener)
    assert origin.count(path) == before
    r = send(d, listener, target, origin, fields, method)
    agree(said, r, origin.last(path) if origin.count(path) > before else None, method)
    assert said["verdict"] == verdict and said.get("clause") == clause, said
    rule = said.get("selected", {}).get("reuse", {}).get("rule")
    if why is not None:
        assert why in (said["reason"], rule), said
    assert ("selected" in said) == (rule is not None)
    assert said["background"] == (why == "stale-while-revalidate")
    assert said["unshareable"] == (stored[0].startswith(("Cache-Control: no-store", "Cache-Control: private")))


LATER = "Date: Sun, 06 Nov 2044 08:49:37 GMT"
CDN = ["CDN-Cache-Control: max-age=700", "Cache-Control: max-age=5"]

# (fields, rule of the lifetime, its clause, seconds at a forward and at a reverse listener)
LIFETIMES = [
    (["Cache-Control: s-maxage=500, max-age=100"], "s-maxage", "RFC 9111 §4.2.1 (1)", 500, 500),
    (["Cache-Control: max-age=100", "Expires: {900}"], "max-age", "RFC 9111 §4.2.1 (2)", 100, 100),
    ([LATER, "Expires: Sun, 06 Nov 2044 09:49:37 GMT"], "expires", "RFC 9111 §4.2.1 (3)", 3600, 3600),
    (["Expires: 0", ETAG], "expires-invalid", "RFC 9111 §5.3", 0, 0),
    ([LATER, "Last-Modified: Sun, 06 Nov 2044 07:49:37 GMT"], "heuristic", "RFC 9111 §4.2.2", 360, 360),
    ([ETAG], "none", "RFC 9111 §4.2", 0, 0),
    (CDN, "max-age", "RFC 9111 §4.2.1 (2)", 5, 700),
    (["CDN-Cache-Control: max-age=x", CDN[1]], "max-age", "RFC 9111 §4.2.1 (2)", 5, 5),
]


@pytest.mark.parametrize("fields, rule, clause, forward, reverse", LIFETIMES)
def test_where_a_lifetime_comes_from(way, origin, fields, rule, clause, forward, reverse):
    """RFC 9111 §4.2.1, §4.2.2, RFC 9213: of what is stored, and of a response that is given."""
    d, listener, url, target, path = way
    origin.on(path, lambda req, conn: answer(b"hello", fields=dated(fields)))
    send(d, listener, target, origin)
    d.settle()
    head = d.home / "head"
    head.write_bytes(answer(fields=dated(fields)))
    said = ask(d, "--response", str(head), url, listener=listener)
    for life in (said["selected"]["lifetime"], said["response"]["lifetime"]):
        assert (life["rule"], life["clause"]) == (rule, clause), said
        assert life["seconds"] == (reverse if listener else forward)
        assert life.get("field") == ("CDN-Cache-Control" if listener and fields is CDN else None)
    assert said["selected"]["ttl"] == said["selected"]["lifetime"]["seconds"] - said["selected"]["age"]["seconds"]


def test_age(way, origin):
    """RFC 9111 §4.2.3: each number, and the sum that they give."""
    d, listener, url, target, path = way
    origin.on(path, lambda req, conn: answer(b"hello", fields=[*FRESH, "Age: 7", f"Date: {http_date(-100)}"]))
    send(d, listener, target, origin)
    d.settle()
    said = ask(d, url, listener=listener)
    age = said["selected"]["age"]
    assert age["age_value"] == 7 and age["apparent"] == age["response_time"] - age["date"] >= 99
    assert age["response_delay"] == age["response_time"] - age["request_time"]
    assert age["corrected"] == 7 + age["response_delay"]
    assert age["initial"] == max(age["apparent"], age["corrected"])
    assert age["seconds"] == age["initial"] + age["resident"]
    agree(said, send(d, listener, target, origin), None)


# ---- What only the running daemon knows ----

def test_offline(larder, origin):
    """Turned on at run time: what is stored is a hit whatever its age, and nothing is fetched."""
    d = larder("forward")
    d.names = ["forward"]
    origin.on("/stale", answer(b"x", fields=STALE)).on("/other", answer(b"x", fields=FRESH))
    assert d.get(origin.url("/stale")).status == 200
    d.settle()
    assert ask(d, origin.url("/stale"))["offline"] is False
    assert d.ctl("offline", "on").returncode == 0
    said = ask(d, origin.url("/stale"))
    assert said["offline"] is True and said["reason"] == "offline"
    agree(said, d.get(origin.url("/stale")), None)
    said = ask(d, origin.url("/other"))
    assert (said["verdict"], said["status"]) == ("error", 504)
    agree(said, d.get(origin.url("/other")), None)
    assert origin.count() == 1


def test_an_origin_that_is_down(larder, origins):
    """Once it is known that it can't be reached: 502 for what is not stored, what is stale where that is allowed."""
    d = larder("forward", options=["origin_retry=10m"])
    origin = origins()
    strict = ["Cache-Control: max-age=60, must-revalidate", *STALE[1:]]
    origin.on("/stale", answer(b"x", fields=STALE)).on("/strict", answer(b"x", fields=strict))
    stale, strict, other = (origin.url(p) for p in ("/stale", "/strict", "/other"))
    assert d.get(stale).status == d.get(strict).status == 200
    d.settle()
    origin.stop()
    said = ask(d, stale)
    assert said["verdict"] == "validate" and said["origin_down"] is False
    assert said["selected"]["on_failure"] == {"rule": "stale-option", "clause": "RFC 9111 §4.2.4", "allowed": True, "seconds": 86400}
    assert d.get(other).status == 502
    for url, verdict in ((other, "error"), (strict, "error"), (stale, "stale")):
        said = ask(d, url)
        assert said["origin_down"] is True and said["verdict"] == verdict
        agree(said, d.get(url), None)
    assert ask(d, strict)["selected"]["on_failure"]["rule"] == "never-stale"


def test_what_could_not_be_shared(larder, origin):
    """A worker's answer that was for one client alone is remembered in the whole pool."""
    d = larder("forward", workers=2)
    url = origin.url("/private")
    origin.on("/private", answer(b"x", fields=["Cache-Control: private"]))
    assert ask(d, url)["unshareable"] is False
    assert d.get(url).cache.get("detail") == "private"
    assert ask(d, url)["unshareable"] is True
    assert "no: an answer to this was lately none for others" in d.ctl("explain", url).stdout
    agree(ask(d, url), d.get(url), origin.last("/private"))


def test_what_siblings_could_not_share(larder, origin):
    """What a folder's answers were is foretold for what is not known in it."""
    d = larder("forward", options=["unshareable_siblings=2"])
    origin.on("*", answer(b"x", fields=["Cache-Control: private"]))
    for name in ("a", "b"):
        assert ask(d, origin.url("/f/new"))["siblings_unshareable"] is False
        d.get(origin.url(f"/f/{name}"))
    said = ask(d, origin.url("/f/new"))
    assert said["siblings_unshareable"] is True and said["unshareable"] is False
    assert "option unshareable_siblings" in d.ctl("explain", origin.url("/f/new")).stdout
    assert d.stat("exchange.not_awaited") == 0
    d.get(origin.url("/f/new"))
    assert d.stat("exchange.not_awaited") == 1


def test_what_credentials_could_not_share(larder, origin):
    """RFC 9111 §3.5: that an answer to credentials is for nobody else is remembered beside what is known of the others."""
    d = larder("forward")
    url, credentials = origin.url("/mixed"), "Authorization: Basic eDp5"
    origin.on("/mixed", lambda req, conn: answer(b"x", fields=["Cache-Control: " + ("max-age=60" if req.has("Authorization") else "private")]))
    assert d.get(url).cache.get("detail") == "private"
    assert d.get(url, credentials).cache.get("detail") == "authorization"
    assert ask(d, url)["unshareable"] is True
    assert ask(d, "--header", credentials, url)["unshareable"] is True


def test_a_fetch_under_way(larder, origin):
    """Who comes while another fetches the same would share it."""
    d = larder("forward", workers=2)
    url = origin.url("/slow")

    def slow(req, conn):
        conn.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=6000\r\nContent-Length: 2\r\n\r\na")
        gate.wait(60)
        conn.send(b"b")

    gate = threading.Event()
    origin.on("/slow", raw_script(slow))
    with d.client() as first, d.client() as second:
        first.send(first.compose("GET", url))
        first.head()
        said = ask(d, url)
        assert said["collapsed"] is True and said["verdict"] == "miss"
        assert "shared       a fetch that it would wait for is under way" in d.ctl("explain", url).stdout
        second.send(second.compose("GET", url))
        until(lambda: d.stat("exchange.active") == 2, "both to wait")
        gate.set()
        r = second.response()
        agree(said, r, None)
    assert r.body == b"ab" and origin.count("/slow") == 1
    d.settle()
    assert ask(d, url)["verdict"] == "hit"


# ---- Bodies ----

def test_part(larder, origin):
    """RFC 9111 §3.3: which bytes are there, and which would be fetched."""
    d = larder("forward", options=["range_fill=0"])
    url = origin.url("/part")

    def script(req, conn):
        first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", req.get("Range", "bytes=0-")).groups()
        first, last = int(first), int(last or len(BIG) - 1)
        part = BIG[first:last + 1]
        return answer(part, status=206, fields=[*FRESH, f"Content-Range: bytes {first}-{last}/{len(BIG)}"])
    origin.on("/part", script)
    wanted = ["--header", "Range: bytes=1000-1999", url]
    said = ask(d, *wanted)
    assert said["verdict"] == "miss" and said["conditions"] == ["Range: bytes=1000-1999"]
    agree(said, d.get(url, "Range: bytes=1000-1999"), origin.last("/part"))
    until(lambda: ask(d, *wanted)["verdict"] == "hit", "the part to be recorded")
    said = ask(d, *wanted)
    assert said["status"] == 206
    assert said["selected"]["extents"] == [[1000, 1999]] and said["stored"][0]["present"] == 1000
    agree(said, d.get(url, "Range: bytes=1000-1999"), None)
    said = ask(d, "--header", "Range: bytes=1500-2499", url)
    assert (said["verdict"], said["missing"], said["clause"]) == ("partial", [2000, 2499], "RFC 9211 §2.2")
    text = d.ctl("explain", "--header", "Range: bytes=1500-2499", url).stdout
    assert "bytes 1000-1999 of 307200 are stored (RFC 9111 §3.3)" in text and "bytes 2000-2499 are fetched first" in text
    agree(said, d.get(url, "Range: bytes=1500-2499"), None)
    assert origin.last("/part").get("Range") == "bytes=2000-2499"
    d.settle()
    assert ask(d, url)["missing"] == [0, 999]
    cached = ask(d, "--header", "Cache-Control: only-if-cached", url)
    assert (cached["verdict"], cached["status"], cached["clause"]) == ("error", 504, "RFC 9111 §5.2.1.7")
    # RFC 9111 §5.2.1.5: nothing of the answer may be added to what is stored
    alone = ["Range: bytes=0-9", "Cache-Control: no-store"]
    said = ask(d, "--header", alone[0], "--header", alone[1], url)
    assert (said["verdict"], said["reason"], said["not_stored"]) == ("miss", "partial", "request-no-store")
    agree(said, d.get(url, *alone), None)
    # a response that could come to be kept as a part
    head = d.home / "head"
    head.write_bytes(answer(b"x" * 10, status=206, fields=[*FRESH, f"Content-Range: bytes 5000-5009/{len(BIG)}"]))
    other = ["--response", str(head), "--header", "Range: bytes=5000-5009", origin.url("/other")]
    said = ask(d, *other)
    assert said["response"]["stored"] is said["response"]["part"] is True and said["response"]["clause"] == "RFC 9111 §3.3"
    assert ask(d, "--response", str(head), origin.url("/other"))["response"]["reason"] == "partial"


def test_codings(larder, origin):
    """What larder compressed itself, and a variant in another coding that the client takes."""
    d = larder("forward", options=["compress=yes", "share_codings=yes"])
    origin.on("/text", answer(b"text " * 1000, fields=[*FRESH, "Content-Type: text/plain"]))
    origin.on("/coded", answer(b"\x1f\x8b not looked at", fields=[*FRESH, "Content-Encoding: gzip", "Vary: Accept-Encoding"]))
    text, coded = origin.url("/text"), origin.url("/coded")
    assert d.get(text).status == d.get(coded, "Accept-Encoding: gzip").status == 200
    d.settle()
    said = ask(d, text)
    assert said["stored"][0]["recoded"] is True and "compressed by larder" in d.ctl("explain", text).stdout
    agree(said, d.get(text), None)
    said = ask(d, "--header", "Accept-Encoding: br, gzip", coded)
    assert said["stored"][0]["coding"] == "gzip" and said["stored"][0]["matches"] is False
    assert said["verdict"] == "hit" and said["selected"]["other_coding"] is True
    agree(said, d.get(coded, "Accept-Encoding: br, gzip"), None)
    assert ask(d, "--header", "Accept-Encoding: br", "--header", "Accept: x", coded)["stored"][0]["selected"] is True


def test_languages(larder, origin):
    """Another list of languages than was asked for; that it is the list is what is said."""
    d = larder("forward", options=["share_languages=yes"])
    url = origin.url("/l")
    origin.on("/l", answer(b"x", fields=[*FRESH, "Vary: Accept-Language", "Content-Language: en"]))
    assert d.get(url, "Accept-Language: en").status == 200
    d.settle()
    for asked, other in (("en", False), ("en, fr;q=0.5", True)):
        said = ask(d, "--header", f"Accept-Language: {asked}", url)
        assert said["verdict"] == "hit" and said["selected"]["other_language"] is other and said["selected"]["other_coding"] is False
        text = d.ctl("explain", "--header", f"Accept-Language: {asked}", url).stdout
        assert ("(option share_languages)" in text) is other and "(option share_codings)" not in text
        agree(said, d.get(url, f"Accept-Language: {asked}"), None)


# ---- Variants ----

def test_variants(larder, origin):
    """RFC 9111 §4.1: all of them, what selects each, and of several that match the most recent by Date."""
    d = larder("forward")
    url = origin.url("/v")
    origin.on("/v", lambda req, conn: answer(req.get("X-Kind", "none"), fields=[
        *FRESH, f"Date: {http_date(int(req.get('X-Date')))}", f"Vary: {req.get('X-Vary')}"]))
    for kind, vary, date in (("a", "X-Kind", -500), ("b", "X-Kind", -400), ("a", "X-Other", -300)):
        r = d.get(url, f"X-Kind: {kind}", f"X-Vary: {vary}", f"X-Date: {date}", "Cache-Control: no-cache")
        assert r.status == 200
        d.settle()
    said = ask(d, "--header", "X-Kind: a", url)
    found = {tuple(v["selecting"]): (v["matches"], v["selected"]) for v in said["stored"]}
    assert found == {("x-kind:a",): (True, False), ("x-kind:b",): (False, False), ("x-other",): (True, True)}
    agree(said, d.get(url, "X-Kind: a"), None)
    text = d.ctl("explain", "--header", "X-Kind: a", url).stdout
    assert "for no x-other: selected (RFC 9111 §4.1)" in text
    assert "for x-kind: a: matches, but is not the most recent (RFC 9111 §4.1)" in text
    assert "for x-kind: b: the request has x-kind: a (RFC 9111 §4.1)" in text


def test_a_response_without_vary_among_variants(larder, origin):
    """RFC 9111 §4.1: any request selects it, unless one with Vary matches, however old."""
    d = larder("forward")
    url = origin.url("/v")
    origin.on("/v", [answer("a", fields=[*FRESH, f"Date: {http_date(-500)}", "Vary: X-Kind"]),
                     answer("any", fields=[*FRESH, f"Date: {http_date(-300)}"])])
    for kind, body in (("a", b"a"), ("b", b"any")):
        assert d.get(url, f"X-Kind: {kind}").body == body
        d.settle()
    for kind, found in (("a", {("x-kind:a",): (True, True), (): (True, False)}),
                        ("c", {("x-kind:a",): (False, False), (): (True, True)})):
        said = ask(d, "--header", f"X-Kind: {kind}", url)
        assert {tuple(v["selecting"]): (v["matches"], v["selected"]) for v in said["stored"]} == found
        agree(said, d.get(url, f"X-Kind: {kind}"), None)
    text = d.ctl("explain", "--header", "X-Kind: a", url).stdout
    assert "for any request: matches, but so does one with Vary (RFC 9111 §4.1)" in text
    assert "for any request: selected (RFC 9111 §4.1)" in d.ctl("explain", url).stdout


def test_tags_and_purges(larder, origin):
    """Groups and keys; a soft purge ends the lifetime, a hard one leaves nothing."""
    d = larder("forward", f"reverse,http://{origin.authority}")
    d.names = ["forward", "reverse"]
    url = origin.url("/t")
    origin.on("/t", answer(b"x", fields=[*FRESH, 'Cache-Groups: "g 1"', "Surrogate-Key: k1 k2"]))
    assert send(d, 1, "/t", origin).status == 200
    d.settle()
    said = ask(d, url, listener=1)
    assert said["selected"]["tags"] == [{"group": "g 1"}, {"key": "k1"}, {"key": "k2"}]
    assert said["selected"]["purged"] is False
    assert d.ctl("purge", "--soft", "--tag", "k1").returncode == 0
    said = ask(d, url, listener=1)
    assert said["selected"]["purged"] is True and said["selected"]["lifetime"]["rule"] == "purged"
    assert said["verdict"] == "validate" and said["conditions"] == ['If-None-Match: "v"']
    assert d.ctl("purge", "--tag", "k2").returncode == 0
    said = ask(d, url, listener=1)
    assert (said["verdict"], said["stored"]) == ("miss", [])
    agree(said, send(d, 1, "/t", origin), origin.last("/t"))


# ---- Listeners, keys, access ----

CONF = """
store = "{home}/store"
size = 256M
control = "{home}/control"
listen "127.0.0.1:%d" { kind = forward  http_ports = { "8000" } }
listen "127.0.0.1:%d" { kind = reverse  origin = "http://127.0.0.1:9/base"  deny = { "10.0.0.0/8" } }
listen "127.0.0.1:%d" { kind = reverse  origin = "http://127.0.0.1:9"  names = { "a.example", "*.b.example" } }
listen "127.0.0.1:%d" { kind = reverse  origin = "http://127.0.0.1:9"  origin_host = "inner.example"  request_directives = no }
listen "127.0.0.1:%d" { kind = reverse  origin = "http://127.0.0.1:9"  cache = no }
"""
KINDS = ["forward", "reverse", "names", "fixed", "uncached"]

# (listener, arguments, verdict, status, key)
PLACES = [
    ("forward", ["http://EXAMPLE.com:8000/a/../%7eb?q"], "miss", None, "GET http://example.com:8000/a/../~b?q"),
    ("forward", ["http://example.com/"], "refused", 403, "GET http://example.com/"),
    ("forward", ["--client", "192.0.2.1", "http://example.com:8000/"], "refused", 403, "GET http://example.com:8000/"),
    ("reverse", ["http://example.com/x"], "miss", None, "GET@127.0.0.1:9/base http://example.com/x"),
    ("reverse", ["http://example.com"], "miss", None, "GET@127.0.0.1:9/base http://example.com/"),
    ("reverse", ["http://example.com?x"], "miss", None, "GET@127.0.0.1:9/base http://example.com/?x"),
    ("reverse", ["--client", "10.1.2.3", "http://example.com/x"], "refused", 403, "GET@127.0.0.1:9/base http://example.com/x"),
    ("reverse", ["https://example.com/x"], "refused", 421, "GET@127.0.0.1:9/base https://example.com/x"),
    ("reverse", ["http://example.com/%zz/../x"], "refused", 400, "GET@127.0.0.1:9/base http://example.com/%zz/../x"),
    ("names", ["http://a.example/x"], "miss", None, "GET http://a.example/x"),
    ("names", ["http://A.B.EXAMPLE/x"], "miss", None, "GET http://a.b.example/x"),
    ("names", ["http://c.example/x"], "refused", 421, "GET http://c.example/x"),
    ("names", ["http://a.example:81/x"], "miss", None, "GET@127.0.0.1:9 http://a.example:81/x"),
    ("fixed", ["http://whatever.example/x"], "miss", None, "GET http://inner.example/x"),
    ("fixed", ["--header", "Cache-Control: only-if-cached", "http://whatever.example/x"], "miss", None, "GET http://inner.example/x"),
    ("uncached", ["http://a.example/x"], "pass", None, "GET@127.0.0.1:9 http://a.example/x"),
    ("forward", ["--header", "Bad name: x", "http://example.com:8000/"], "refused", 400, None),
    ("forward", ["--method", "OPTIONS", "--header", "Max-Forwards: 0", "http://example.com:8000/"], "answered", 200, "GET http://example.com:8000/"),
]


@pytest.fixture(scope="module")
def places(shared_larder):
    """A daemon with one listener of each kind."""
    ports = [free_port() for _ in KINDS]
    d = shared_larder(conf=CONF % tuple(ports))
    d.names = dict(zip(KINDS, (f"127.0.0.1:{p}" for p in ports)))
    return d


@pytest.mark.parametrize("listener, args, verdict, status, key", PLACES)
def test_listeners(places, listener, args, verdict, status, key):
    """RFC 9110 §7.4, §4.2.3, RFC 9111 §2: the key as each listener makes it, and whom it refuses."""
    said = ask(places, *args, listener=listener)
    assert (said["verdict"], said.get("status"), said.get("key")) == (verdict, status, key), said
    assert said["listener"].endswith(places.names[listener])
    if status == 403:
        assert said["option"] in ("http_ports", "allow", "deny") and said["option"] in said["text"]


def test_which_listener(places):
    """Without --listener: the one that names the host, else a forward one."""
    assert ask(places, "http://x.b.example/")["listener"].endswith(places.names["names"])
    assert ask(places, "http://else.example:8000/")["listener"] == f"forward={places.names['forward']}"
    assert ask(places, "--listener", "reverse", "http://else.example/")["listener"].endswith(places.names["reverse"])
