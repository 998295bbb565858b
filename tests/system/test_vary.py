"""Selecting stored responses by request fields (RFC 9111 §4.1)."""

import pytest

from harness.message import answer

FRESH = "Cache-Control: max-age=600"


def by(name, vary=None):
    """A script that answers with the value of a request field."""
    return lambda q, c: answer(q.get(name, "-"), fields=[FRESH, f"Vary: {vary or name}"])


def test_variants_are_kept_apart(proxy, origin):
    origin.on("/v", by("Accept-Language"))
    for _ in range(2):
        for lang in ("de", "en", "fr"):
            r = proxy.get(origin.url("/v"), f"Accept-Language: {lang}")
            assert r.body == lang.encode()
            proxy.settle()
    assert origin.count("/v") == 3 and r.cache.get("hit")


def test_other_variant_is_a_vary_miss(proxy, origin):
    origin.on("/v", by("Accept-Language"))
    proxy.get(origin.url("/v"), "Accept-Language: de")
    proxy.settle()
    assert proxy.get(origin.url("/v"), "Accept-Language: en").cache["fwd"] == "vary-miss"


# (Vary, first request's fields, second request's fields, same?)
@pytest.mark.parametrize("vary, a, b, same", [
    ("X-A", ["X-A: 1"], ["x-a:   1  "], True),
    ("x-a", ["X-A: 1"], ["X-A: 2"], False),
    ("X-A", [], [], True),
    ("X-A", [], ["X-A: 1"], False),
    ("X-A", ["X-A: 1", "X-A: 2"], ["X-A: 1, 2"], True),
    ("X-A, X-B", ["X-A: 1", "X-B: 2"], ["X-B: 2", "X-A: 1"], True),
    ("X-A, X-B", ["X-A: 1"], ["X-B: 1"], False),
    ("Accept-Encoding", ["Accept-Encoding: gzip,br"], ["Accept-Encoding: gzip, br"], True),
    ("Accept-Encoding", ["Accept-Encoding: gzip"], ["Accept-Encoding: br"], False),
    ("Accept-Encoding", ["Accept-Encoding: X-GZIP;q=1.0, br;q=0"], ["Accept-Encoding: gzip"], True),
    ("Accept-Encoding", ["Accept-Encoding: gzip, *;q=0"], ["Accept-Encoding: gzip, identity;q=0"], True),
    ("Accept-Encoding", ["Accept-Encoding: identity"], ["Accept-Encoding:"], True),
    ("Accept-Encoding", ["Accept-Encoding: identity"], [], False),
    ("Accept-Language", ["Accept-Language: de, en;q=0.50"], ["Accept-Language: EN;q=0.5,de, fr;q=0"], True),
    ("Cookie", ["Cookie: a=1"], ["Cookie: a=2"], False),
], ids=range(15))
def test_selecting(proxy, origin, vary, a, b, same):
    origin.on("/v", answer("x", fields=[FRESH, f"Vary: {vary}"]))
    proxy.get(origin.url("/v"), *a)
    proxy.settle()
    assert bool(proxy.get(origin.url("/v"), *b).cache.get("hit")) == same


def test_vary_that_changes(proxy, origin):
    origin.on("/v", [answer("1", fields=[FRESH, "Vary: X-A"]), answer("2", fields=[FRESH, "Vary: X-B"])])
    proxy.get(origin.url("/v"), "X-A: 1")
    proxy.settle()
    assert proxy.get(origin.url("/v"), "X-A: 2", "X-B: 1").body == b"2"
    proxy.settle()
    assert proxy.get(origin.url("/v"), "X-A: 9", "X-B: 1").body == b"2"
    assert proxy.get(origin.url("/v"), "X-A: 1", "X-B: 9").body == b"1"
    assert origin.count("/v") == 2


def test_purge_removes_all_variants(proxy, origin):
    origin.on("/v", by("X-A"))
    for n in "12":
        proxy.get(origin.url("/v"), f"X-A: {n}")
        proxy.settle()
    assert proxy.ctl("purge", origin.url("/v")).returncode == 0
    for n in "12":
        assert not proxy.get(origin.url("/v"), f"X-A: {n}").cache.get("hit")


def test_variants_are_validated_each_by_its_own(proxy, origin):
    def script(req, conn):
        tag = '"%s"' % req.get("X-A")
        fields = ["Cache-Control: max-age=0", "Vary: X-A", "ETag: " + tag]
        return answer(status=304, fields=fields) if req.get("If-None-Match") == tag else answer(tag, fields=fields)
    origin.on("/v", script)
    for _ in range(2):
        for n in "12":
            assert proxy.get(origin.url("/v"), f"X-A: {n}").body == b'"%s"' % n.encode()
            proxy.settle()
    assert origin.last("/v").get("If-None-Match") == '"2"'


def test_many_variants_are_bounded(proxy, origin):
    origin.on("/v", by("X-A"))
    with proxy.client() as c:
        for n in range(300):
            assert c.get(origin.url("/v"), f"X-A: {n}").body == str(n).encode()
    proxy.settle()
    r = proxy.get(origin.url("/v"), "X-A: 299")
    assert r.body == b"299" and r.cache.get("hit")


def negotiate(req, conn):
    """A page in German and English, with tags that tell them apart; other languages get English."""
    lang = "de" if (req.get("Accept-Language") or "").startswith("de") else "en"
    fields = [FRESH, "Vary: Accept-Language", f'ETag: "{lang}"']
    if f'"{lang}"' in (req.get("If-None-Match") or ""):
        return answer(status=304, fields=fields)
    return answer(lang * 50000, fields=fields)


@pytest.mark.parametrize("ask, got", [("de-CH", "de"), ("fr", "en")])
def test_the_origin_chooses_among_variants(proxy, origin, ask, got):
    """RFC 9111 §4.3.1, §4.3.4: what is there for others is told to the origin, and serves when it says so."""
    origin.on("/v", negotiate)
    for lang in ("de", "en"):
        proxy.get(origin.url("/v"), f"Accept-Language: {lang}")
        proxy.settle()
    r = proxy.get(origin.url("/v"), f"Accept-Language: {ask}")
    assert origin.last("/v").get("If-None-Match") == '"en", "de"'
    assert r.status == 200 and r.body == (got * 50000).encode()
    assert r.cache["fwd"] == "vary-miss" and r.cache["fwd-status"] == 304
    proxy.settle()
    n = origin.count("/v")
    r = proxy.get(origin.url("/v"), f"Accept-Language: {ask}")
    assert r.cache.get("hit") and r.body == (got * 50000).encode() and origin.count("/v") == n
    # A client's own condition is answered from what was chosen.
    assert proxy.get(origin.url("/v"), f"Accept-Language: {ask}", f'If-None-Match: "{got}"').status == 304


def test_a_coding_that_the_client_cannot_read_is_not_offered(proxy, origin):
    """Some origins give all codings the same tag."""
    def script(req, conn):
        zipped = "gzip" in (req.get("Accept-Encoding") or "")
        if req.has("If-None-Match"):
            return answer(status=304, fields=[FRESH, "Vary: Accept-Encoding", 'ETag: "same"'])
        return answer("zipped" if zipped else "plain", fields=[
            FRESH, "Vary: Accept-Encoding", 'ETag: "same"'] + ["Content-Encoding: gzip"] * zipped)
    origin.on("/v", script)
    assert proxy.get(origin.url("/v"), "Accept-Encoding: gzip").body == b"zipped"
    proxy.settle()
    assert proxy.get(origin.url("/v")).body == b"plain"


def test_variants_max(larder, origin):
    d = larder("forward", options=["variants_max=2"])
    origin.on("/v", by("X-A"))
    for n in "123":
        d.get(origin.url("/v"), f"X-A: {n}")
        d.settle()
    for n in "32":
        assert d.get(origin.url("/v"), f"X-A: {n}").cache.get("hit")
    assert not d.get(origin.url("/v"), "X-A: 1").cache.get("hit")


def test_invalidation_takes_all_variants(proxy, origin):
    origin.on("/v", by("X-A"))
    proxy.get(origin.url("/v"), "X-A: 1")
    proxy.settle()
    with proxy.client() as c:
        c.request("DELETE", origin.url("/v"), ["X-A: 2"])
    proxy.settle()
    assert not proxy.get(origin.url("/v"), "X-A: 1").cache.get("hit")
