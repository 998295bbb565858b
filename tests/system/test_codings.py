"""Content codings: undone for clients that do not take them, made once where that is wanted (RFC 9110 §8.4, §12.5.3)."""

import gzip
import random
import zlib

import pytest

from harness.client import Broken
from harness.message import answer
from harness.wait import until

TEXT = b"".join(b"line %d of the shelf\n" % i for i in range(2000))
LARGE = bytes(random.Random(8).choices(b"abcdefgh \n", k=3 << 20))
FRESH = ["Cache-Control: max-age=600", 'ETag: "t"', "Content-Type: text/plain"]


def gz(data, level=9):
    """The same bytes each time."""
    return gzip.compress(data, level, mtime=0)


def raw_deflate(data):
    """What some servers call deflate."""
    c = zlib.compressobj(6, zlib.DEFLATED, -15)
    return c.compress(data) + c.flush()


def coded(body, coding="gzip", fields=()):
    """A stored answer in a coding."""
    return answer(body, fields=FRESH + [f"Content-Encoding: {coding}", *fields])


def is_plain(r, body, decoded=True):
    """Asserts that the answer is the body without a coding."""
    assert r.status == 200 and r.body == body and r.complete and not r.has("Content-Encoding")
    if decoded:
        assert r.get("ETag") == 'W/"t"' and "accept-encoding" in r.get("Vary", "").lower()
    if r.has("Content-Length"):
        assert int(r.get("Content-Length")) == len(body)


@pytest.mark.parametrize("coding, code", [("gzip", gz), ("x-gzip", gz), ("deflate", zlib.compress),
                                          ("deflate", raw_deflate)], ids=["gzip", "x-gzip", "zlib", "bare"])
@pytest.mark.parametrize("body", [TEXT, LARGE], ids=["small", "large"])
def test_decoded_for_those_who_do_not_take_it(proxy, origin, coding, code, body):
    """The first client, from the fetch; the second, from the store."""
    origin.on("/d", coded(code(body), coding))
    is_plain(proxy.get(origin.url("/d"), "Accept-Encoding: br"), body)
    proxy.settle()
    r = proxy.get(origin.url("/d"), "Accept-Encoding: identity")
    is_plain(r, body)
    assert r.cache.get("hit") and origin.count("/d") == 1
    for fields in ((), ("Accept-Encoding: gzip, deflate",), ("Accept-Encoding: *",)):
        r = proxy.get(origin.url("/d"), *fields)
        assert r.get("Content-Encoding") == coding and r.body == code(body) and r.get("ETag") == '"t"'
    assert origin.count("/d") == 1


def test_length_and_ranges_of_the_small(proxy, origin):
    origin.on("/s", coded(gz(TEXT), fields=["Content-Digest: sha-256=:AA==:", "Accept-Ranges: bytes"]))
    proxy.get(origin.url("/s"))
    proxy.settle()
    r = proxy.get(origin.url("/s"), "Accept-Encoding: identity")
    is_plain(r, TEXT)
    assert int(r.get("Content-Length")) == len(TEXT) and not r.has("Content-Digest") and not r.has("Accept-Ranges")
    r = proxy.get(origin.url("/s"), "Accept-Encoding: identity", "Range: bytes=10-19")
    assert r.status == 206 and r.body == TEXT[10:20] and r.get("Content-Range") == f"bytes 10-19/{len(TEXT)}"
    assert r.all("Content-Length") == ["10"] and not r.has("Content-Encoding")
    # RFC 9110 §13.1.5: a weak tag is none for If-Range.
    r = proxy.get(origin.url("/s"), "Accept-Encoding: identity", "Range: bytes=10-19", 'If-Range: W/"t"')
    is_plain(r, TEXT)
    r = proxy.get(origin.url("/s"), "Range: bytes=10-19")
    assert r.status == 206 and r.body == gz(TEXT)[10:20] and r.get("Content-Encoding") == "gzip"


@pytest.mark.parametrize("body", [TEXT, LARGE], ids=["small", "large"])
def test_heads_and_conditions(proxy, origin, body, connect):
    origin.on("/h", coded(gz(body)))
    proxy.get(origin.url("/h"))
    proxy.settle()
    r = connect(proxy.port).request("HEAD", origin.url("/h"), ["Accept-Encoding: identity"])
    assert r.status == 200 and not r.has("Content-Encoding") and r.get("ETag") == 'W/"t"'
    assert r.get("Content-Length", str(len(body))) == str(len(body))
    for tag in ('"t"', 'W/"t"'):
        r = proxy.get(origin.url("/h"), "Accept-Encoding: identity", f"If-None-Match: {tag}")
        assert r.status == 304 and r.get("ETag") == 'W/"t"' and not r.has("Content-Encoding")
    assert origin.count("/h") == 1


@pytest.mark.parametrize("ours, theirs", [(["Cache-Control: no-transform"], []), ([], ["Cache-Control: no-transform"])],
                         ids=["response", "request"])
def test_no_transform(proxy, origin, ours, theirs):
    """RFC 9110 §7.7, RFC 9111 §5.2.1.6, §5.2.2.6."""
    origin.on("/n", coded(gz(TEXT), fields=ours))
    for _ in range(2):
        r = proxy.get(origin.url("/n"), "Accept-Encoding: identity", *theirs)
        assert r.get("Content-Encoding") == "gzip" and r.body == gz(TEXT) and r.get("ETag") == '"t"'
        proxy.settle()


def test_other_codings_pass(proxy, origin):
    origin.on("/o", coded(b"not brotli", "br"))
    for _ in range(2):
        r = proxy.get(origin.url("/o"), "Accept-Encoding: gzip")
        assert r.get("Content-Encoding") == "br" and r.body == b"not brotli"
        proxy.settle()


def test_switched_off(larder, origin):
    origin.on("/d", coded(gz(TEXT)))
    d = larder("forward", options=["decode=no"])
    r = d.get(origin.url("/d"), "Accept-Encoding: identity")
    assert r.get("Content-Encoding") == "gzip" and r.body == gz(TEXT)


@pytest.mark.parametrize("spoil", [lambda b: b[:-20], lambda b: b[:2000] + b"\xff" * 50 + b[2050:], lambda b: b"plain text"],
                         ids=["cut", "damaged", "none"])
def test_what_cannot_be_decoded_breaks_off(proxy, origin, connect, spoil):
    """Nobody takes a part for the whole."""
    origin.on("/x", coded(spoil(gz(LARGE))))
    for _ in range(2):
        with pytest.raises(Broken):
            connect(proxy.port).get(origin.url("/x"), "Accept-Encoding: identity")
        proxy.settle()


def test_a_bomb_is_paid_for_by_its_reader(proxy, origin):
    """64 MiB of zeros in 64 KiB: decoded as they are read."""
    origin.on("/b", coded(gz(bytes(64 << 20), 9)))
    r = proxy.get(origin.url("/b"), "Accept-Encoding: identity")
    assert r.complete and len(r.body) == 64 << 20 and not r.body.strip(b"\0")


@pytest.mark.parametrize("shared", [True, False])
def test_one_variant_for_all_codings(larder, origin, shared):
    """Option share_codings: a stored coding serves who asks for another."""
    def serve(req, conn):
        zipped = "gzip" in req.get("Accept-Encoding", "")
        return (coded(gz(TEXT), fields=["Vary: Accept-Encoding, X-A"]) if zipped
                else answer(TEXT, fields=FRESH + ["Vary: Accept-Encoding, X-A"]))
    origin.on("/y", serve)
    d = larder("forward", options=["share_codings=" + ("yes" if shared else "no")])
    d.get(origin.url("/y"), "Accept-Encoding: gzip")
    d.settle()
    for fields in ((), ("Accept-Encoding: br",), ("Accept-Encoding: identity",)):
        r = d.get(origin.url("/y"), *fields)
        is_plain(r, TEXT, decoded=shared)
        assert not shared or r.cache.get("hit")
        d.settle()
    r = d.get(origin.url("/y"), "Accept-Encoding: gzip, br")
    assert shared == (origin.count("/y") == 1) and (not shared or r.body == gz(TEXT))
    before = origin.count("/y")
    d.get(origin.url("/y"), "Accept-Encoding: gzip", "X-A: other")
    assert origin.count("/y") == before + 1


# ---- compress = yes ----

@pytest.fixture
def site(larder, origin):
    """A reverse proxy that compresses."""
    d = larder(f"reverse,http://{origin.authority}", options=["compress=yes"])
    d.ask = lambda path, *fields: d.get(path, *fields, host="www.example")
    return d


@pytest.mark.parametrize("body", [TEXT, LARGE], ids=["small", "large"])
def test_compressed_once(site, origin, body):
    origin.on("/c", answer(body, fields=FRESH))
    r = site.ask("/c", "Accept-Encoding: gzip")
    assert r.status == 200 and r.body == body and r.get("ETag") == '"t"' and r.cache.get("stored")
    site.settle()
    r = site.ask("/c", "Accept-Encoding: gzip")
    assert r.cache.get("hit") and r.get("Content-Encoding") == "gzip" and gzip.decompress(r.body) == body
    assert int(r.get("Content-Length")) == len(r.body) < len(body) and r.get("ETag") == 'W/"t"'
    assert "accept-encoding" in r.get("Vary").lower()
    for fields in ((), ("Accept-Encoding: br",), ("Accept-Encoding: gzip;q=0",), ("Cache-Control: no-transform",)):
        r = site.ask("/c", *fields)
        is_plain(r, body)
        assert r.cache.get("hit")
    r = site.ask("/c", "Accept-Encoding: gzip", 'If-None-Match: "t"')
    assert r.status == 304 and "accept-encoding" in r.get("Vary").lower() and not r.has("Content-Encoding")
    assert origin.count("/c") == 1
    stats = site.stats()
    assert stats["exchange.recoded"] == 1 and stats["exchange.recoded_bytes"] > len(body) // 4


def test_compressed_is_validated_by_the_origins_tag(site, origin):
    """The origin knows its tag alone, and compares it to the letter."""
    def serve(req, conn):
        if req.get("If-None-Match") == '"t"':
            return answer(status=304, fields=['ETag: "t"', "Cache-Control: max-age=600", "Vary: X-None"])
        assert not req.has("If-None-Match"), req.get("If-None-Match")
        return answer(TEXT, fields=["Cache-Control: no-cache", 'ETag: "t"', "Content-Type: text/plain"])
    origin.on("/v", serve)
    site.ask("/v")
    site.settle()
    r = site.ask("/v", "Accept-Encoding: gzip")
    assert r.cache.get("fwd-status") == 304 and gzip.decompress(r.body) == TEXT and r.get("Content-Encoding") == "gzip"
    site.settle()
    for coding, undo in (("gzip", gzip.decompress), ("identity", bytes)):
        r = site.ask("/v", f"Accept-Encoding: {coding}")
        assert r.cache.get("hit") and "accept-encoding" in r.get("Vary").lower() and undo(r.body) == TEXT
    assert origin.count("/v") == 2


@pytest.mark.parametrize("body, fields", [
    (TEXT, ["Content-Type: image/png"]), (TEXT, []), (b"short", ["Content-Type: text/plain"]),
    (TEXT, ["Content-Type: text/plain", "Cache-Control: max-age=600, no-transform"]),
    (random.Random(3).randbytes(20000), ["Content-Type: text/plain"]),
    (gz(TEXT), ["Content-Type: text/plain", "Content-Encoding: gzip"]),
], ids=["type", "no-type", "short", "no-transform", "noise", "coded"])
def test_not_compressed(site, origin, body, fields):
    origin.on("/k", answer(body, fields=["Cache-Control: max-age=600", 'ETag: "t"', *fields]))
    site.ask("/k", "Accept-Encoding: gzip")
    site.settle()
    r = site.ask("/k", "Accept-Encoding: gzip")
    assert r.cache.get("hit") and r.body == body and r.get("ETag") == '"t"' and site.stat("exchange.recoded") == 0


def test_invalidated_while_it_is_compressed(site, origin, connect):
    """What is invalidated between the fetch and the commit is not stored."""
    origin.on("/w", lambda q, c: answer(LARGE, fields=FRESH) if q.method == "GET" else answer("done"))
    for _ in range(5):
        site.ask("/w")
        assert connect(site.port).request("POST", "/w", host="www.example").status == 200
        before = origin.count("/w")
        site.ask("/w")
        assert origin.count("/w") == before + 1
        connect(site.port).request("POST", "/w", host="www.example")
    until(lambda: site.stat("exchange.fills") == 0, "all fetches to be over")
