"""What ends stored responses early: PURGE, tags, cache groups, purges while fetches are under way."""

import json
import threading

import pytest

from harness.message import answer
from harness.wait import until

FRESH = "Cache-Control: max-age=600"
ME = "purge_from=127.0.0.0/8"


def store(d, url, **more):
    """Asks twice: the second answer has to be a hit."""
    d.get(url, **more)
    d.settle()
    r = d.get(url, **more)
    assert r.cache.get("hit"), r.head
    return r


def hit(d, url, **more):
    """Is it still stored, and fresh? Asks the origin for nothing."""
    r = d.get(url, "Cache-Control: only-if-cached", **more)
    return r.status == 200


def tool(d, *args):
    """larderctl that knows the store as well as the daemon's socket."""
    return d.ctl("--socket", str(d.control), *args, store=True)


def purge(d, url, *fields, host=None):
    """A PURGE request's answer."""
    with d.client() as c:
        return c.request("PURGE", url, fields, host=host)


@pytest.fixture(params=["forward", "reverse"])
def shelf(request, larder, origin):
    """make(*options): a daemon, and a function that makes its request targets."""
    def make(*options, **more):
        if request.param == "forward":
            return larder("forward", options=[ME, *options], **more), origin.url
        return larder(f"reverse,{origin.url('')}", options=[ME, *options], **more), lambda path: path
    return make


@pytest.mark.parametrize("listener", ["forward", "reverse"])
@pytest.mark.parametrize("options, status", [([], 405), (["purge_from=192.0.2.0/24"], 403)])
def test_not_for_everybody(larder, origin, listener, options, status):
    origin.on("*", answer("x", fields=[FRESH]))
    d = larder(listener if listener == "forward" else f"reverse,{origin.url('')}", options=options)
    url = origin.url("/x") if listener == "forward" else "/x"
    store(d, url)
    r = purge(d, url)
    assert r.status == status and b"purge_from" in r.body
    if status == 405:
        assert "GET" in r.get("Allow")
    assert hit(d, url) and origin.count("/x") == 1
    assert d.stat("exchange.purges") == 0


def test_purge_of_a_url(shelf, origin):
    d, url = shelf()
    origin.on("/a", [answer("1", fields=[FRESH]), answer("2", fields=[FRESH])])
    origin.on("/b", answer("b", fields=[FRESH]))
    store(d, url("/a"))
    store(d, url("/b"))
    r = purge(d, url("/a"))
    assert (r.status, r.body) == (200, b"purged 1 responses\n")
    r = purge(d, url("/a"))
    assert (r.status, r.body) == (404, b"nothing is stored for this URL\n")
    assert d.get(url("/a")).body == b"2"
    assert hit(d, url("/b"))
    assert origin.count("/a") == 2 and all(q.method == "GET" for q in origin.requests)
    assert d.stat("exchange.purges") == 2 and d.stat("store.removals") == 1


def test_purge_takes_all_variants(shelf, origin):
    d, url = shelf()
    origin.on("/v", lambda req, conn: answer(req.get("X-Kind"), fields=[FRESH, "Vary: X-Kind"]))
    for kind in ("one", "two", "three"):
        d.get(url("/v"), f"X-Kind: {kind}")
    d.settle()
    assert purge(d, url("/v")).body == b"purged 3 responses\n"
    assert not hit(d, url("/v"))


def test_purge_with_a_body_and_more_requests(shelf, origin):
    """The connection goes on as the framing says."""
    d, url = shelf()
    origin.on("*", answer("x", fields=[FRESH]))
    store(d, url("/a"))
    with d.client() as c:
        assert c.request("PURGE", url("/a")).status == 200
        assert c.get(url("/a")).status == 200
        assert c.request("PURGE", url("/a"), body=b"nothing to see").status in (200, 404)
    assert d.get(url("/a")).status == 200


def test_client_leaves_while_purging(shelf, origin):
    d, url = shelf()
    origin.on("*", answer("x", fields=[FRESH]))
    store(d, url("/a"))
    for _ in range(20):
        with d.client() as c:
            c.send(c.compose("PURGE", url("/a")))
    until(lambda: not hit(d, url("/a")), "the purge to be done")
    assert d.get(url("/a")).status == 200


@pytest.mark.parametrize("how", ["option", "Soft-Purge: 1", "Fastly-Soft-Purge: 1", "Soft-Purge: ?1"])
def test_soft_purge(shelf, origin, how):
    """Marked stale: the next use validates, and what the 304 says counts from then on."""
    d, url = shelf(*(["purge_soft=yes"] if how == "option" else []))
    origin.on("/a", [answer("1", fields=[FRESH, 'ETag: "1"']), answer(status=304, fields=[FRESH, 'ETag: "1"'])])
    store(d, url("/a"))
    r = purge(d, url("/a"), *([] if how == "option" else [how]))
    assert (r.status, r.body) == (200, b"marked 1 responses stale\n")
    r = d.get(url("/a"))
    assert r.body == b"1" and r.cache["fwd"] == "stale" and r.cache["fwd-status"] == 304
    assert origin.last("/a").get("If-None-Match") == '"1"'
    d.settle()
    assert d.get(url("/a")).cache.get("hit") and origin.count("/a") == 2
    assert d.stat("store.softened") == 1


def test_soft_purge_and_stale_answers(shelf, origin):
    """RFC 5861: what may be served stale, and for how long, counts from the purge."""
    d, url = shelf()
    origin.on("/swr", [answer("1", fields=["Cache-Control: max-age=600, stale-while-revalidate=60"]),
                       answer("2", fields=[FRESH])])
    origin.on("/sie", [answer("1", fields=["Cache-Control: max-age=600, stale-if-error=60"]), answer(status=503)])
    origin.on("/must", [answer("1", fields=["Cache-Control: max-age=600, must-revalidate"]), answer(status=503)])
    for path in ("/swr", "/sie", "/must"):
        store(d, url(path))
        assert purge(d, url(path), "Soft-Purge: 1").status == 200
    assert d.get(url("/swr")).body == b"1"
    until(lambda: origin.count("/swr") == 2, "the validation")
    d.settle()
    assert d.get(url("/swr")).body == b"2"
    r = d.get(url("/sie"))
    assert (r.status, r.body) == (200, b"1") and origin.count("/sie") == 2
    assert d.get(url("/must")).status == 503


# ---- Keys ----

def keyed(origin, path, keys, field="Surrogate-Key", **more):
    """A page with keys."""
    origin.on(path, answer(path, fields=[FRESH, f"{field}: {keys}", *more.get("fields", ())]))


def test_keys_of_a_reverse_listener(larder, origin):
    d = larder(f"reverse,{origin.url('')}", options=[ME])
    keyed(origin, "/a", "red blue")
    keyed(origin, "/b", "blue", "xkey")
    keyed(origin, "/c", "redder")
    r = store(d, "/a", host="one.example")
    assert not r.all("Surrogate-Key")
    store(d, "/b", host="two.example")
    store(d, "/c", host="one.example")
    assert purge(d, "/", "Surrogate-Key: red", host="any.example").body == b"purged 1 responses\n"
    assert not hit(d, "/a", host="one.example") and hit(d, "/b", host="two.example")
    store(d, "/a", host="one.example")
    # Both fields, several words; each key counts by itself.
    r = purge(d, "/", "xkey: nothing blue")
    assert (r.status, r.body) == (200, b"purged 2 responses\n")
    assert not hit(d, "/a", host="one.example") and not hit(d, "/b", host="two.example")
    assert hit(d, "/c", host="one.example")
    assert purge(d, "/", "xkey: nothing").status == 200
    assert d.ctl("verify", store=True).returncode == 0


@pytest.mark.parametrize("options, seen, works", [
    (["tag_pass=yes"], True, True), (["tag_fields=off"], True, False), (["tag_fields=X-Tag"], True, False),
    (["tag_fields=Surrogate-Key"], False, True),
])
def test_fields_of_keys(larder, origin, options, seen, works):
    d = larder(f"reverse,{origin.url('')}", options=[ME, *options])
    keyed(origin, "/a", "red")
    assert d.get("/a").all("Surrogate-Key") == (["red"] if seen else [])
    d.settle()
    assert d.get("/a").all("Surrogate-Key") == (["red"] if seen else [])
    purge(d, "/other", "Surrogate-Key: red")
    assert hit(d, "/a") != works


def test_soft_purge_of_keys(larder, origin):
    d = larder(f"reverse,{origin.url('')}", options=[ME])
    keyed(origin, "/a", "red", fields=['ETag: "1"'])
    store(d, "/a")
    assert purge(d, "/", "Surrogate-Key: red", "Soft-Purge: 1").body == b"marked 1 responses stale\n"
    assert d.get("/a").cache["fwd"] == "stale"
    assert origin.last("/a").get("If-None-Match") == '"1"'


def test_forward_keys_are_of_the_origin(larder, origins):
    """No origin's key ends what another one's does."""
    a, b = origins(), origins()
    d = larder("forward", options=[ME, "tag_fields=Surrogate-Key"])
    for o in (a, b):
        keyed(o, "/x", "red")
        store(d, o.url("/x"))
    assert purge(d, a.url("/"), "Surrogate-Key: red").body == b"purged 1 responses\n"
    assert not hit(d, a.url("/x")) and hit(d, b.url("/x"))
    # The operator's is for all.
    store(d, a.url("/x"))
    assert d.ctl("purge", "--tag", "red").stdout == "purged 2 responses\n"


def test_keys_change_with_a_304(larder, origin):
    """RFC 9111 §3.2: what the 304 says takes the place of what was stored."""
    d = larder(f"reverse,{origin.url('')}", options=[ME])
    stale, site = "Cache-Control: max-age=0", "site.example"
    origin.on("/a", [answer("1", fields=[stale, 'ETag: "1"', "Surrogate-Key: old", 'Cache-Groups: "g"']),
                     answer(status=304, fields=[FRESH, 'ETag: "1"', "Surrogate-Key: new"]), answer("2")])
    d.get("/a", host=site)
    d.settle()
    assert d.get("/a", host=site).cache["fwd-status"] == 304
    d.settle()
    purge(d, "/", "Surrogate-Key: old")
    assert hit(d, "/a", host=site)
    tags = json.loads(d.ctl("show", "--json", f"http://{site}/a", store=True).stdout)["tags"]
    assert tags == ["group g", "key new"]
    purge(d, "/", "Surrogate-Key: new")
    assert not hit(d, "/a", host=site)


def test_too_many_keys(larder, origin):
    d = larder(f"reverse,{origin.url('')}", options=[ME])
    keyed(origin, "/most", " ".join(f"k{i}" for i in range(256)))
    keyed(origin, "/more", " ".join(f"k{i}" for i in range(257)))
    keyed(origin, "/long", "k" * 1025)
    store(d, "/most")
    for path in ("/more", "/long"):
        assert d.get(path).cache["detail"] == "too-many-tags"
    assert purge(d, "/", "Surrogate-Key: " + " ".join(f"k{i}" for i in range(257))).status == 400
    assert purge(d, "/", "Surrogate-Key: k255").body == b"purged 1 responses\n"


# ---- Groups (RFC 9875) ----

def grouped(origin, path, groups):
    """A page in cache groups."""
    origin.on(path, answer(path, fields=[FRESH, f"Cache-Groups: {groups}"]))


def unsafe(d, url, method="POST"):
    """An unsafe request's answer."""
    with d.client() as c:
        return c.request(method, url, body=b"x")


def test_invalidation_of_groups(shelf, origin):
    """§3: all of the groups that the answer to an unsafe request names."""
    d, url = shelf()
    for path, groups in (("/a", '"one"'), ("/b", '"two", "one"'), ("/c", '"two";p'), ("/d", '"One"'), ("/e", "one")):
        grouped(origin, path, groups)
        assert store(d, url(path)).get("Cache-Groups") == groups
    origin.on("/post", answer("x", fields=['Cache-Group-Invalidation: "one", "three"']))
    assert unsafe(d, url("/post")).get("Cache-Group-Invalidation")
    assert [hit(d, url(p)) for p in ("/a", "/b", "/c", "/d", "/e")] == [False, False, True, True, True]
    assert d.stat("exchange.group_invalidations") == 2


@pytest.mark.parametrize("method, status, field", [
    ("GET", 200, '"one"'), ("OPTIONS", 200, '"one"'), ("POST", 404, '"one"'), ("POST", 500, '"one"'),
    ("POST", 200, "one"), ("POST", 200, '"one", 1'), ("POST", 200, '"one'),
])
def test_groups_that_stay(shelf, origin, method, status, field):
    """§3: ignored for safe methods; errors invalidate nothing; what is no list of strings is ignored."""
    d, url = shelf()
    grouped(origin, "/a", '"one"')
    store(d, url("/a"))
    origin.on("/other", answer("x", status=status, fields=[f"Cache-Group-Invalidation: {field}"]))
    unsafe(d, url("/other"), method)
    assert hit(d, url("/a"))
    assert d.stat("exchange.group_invalidations") == 0


def test_groups_are_of_one_origin(larder, origins):
    """§2.1"""
    a, b = origins(), origins()
    d = larder("forward")
    for o in (a, b):
        grouped(o, "/x", '"one"')
        store(d, o.url("/x"))
    b.on("/post", answer("x", fields=['Cache-Group-Invalidation: "one"']))
    unsafe(d, b.url("/post"))
    assert hit(d, a.url("/x")) and not hit(d, b.url("/x"))


def test_invalidated_response_takes_its_groups_along(shelf, origin):
    """§2.2.1: those that share a group with it, and no further."""
    d, url = shelf()
    for path, groups in (("/a", '"one"'), ("/b", '"one", "two"'), ("/c", '"two"')):
        grouped(origin, path, groups)
        store(d, url(path))
    unsafe(d, url("/a"))
    assert [hit(d, url(p)) for p in ("/a", "/b", "/c")] == [False, False, True]


def test_groups_can_be_turned_off(shelf, origin):
    d, url = shelf("cache_groups=no")
    grouped(origin, "/a", '"one"')
    grouped(origin, "/b", '"one"')
    store(d, url("/a"))
    store(d, url("/b"))
    origin.on("/post", answer("x", fields=['Cache-Group-Invalidation: "one"']))
    unsafe(d, url("/post"))
    unsafe(d, url("/b"))
    assert hit(d, url("/a"))


def test_purge_of_groups(shelf, origin):
    d, url = shelf()
    for path, groups in (("/a", '"one"'), ("/b", '"one"'), ("/c", '"two"')):
        grouped(origin, path, groups)
        store(d, url(path))
    assert purge(d, url("/"), 'Cache-Groups: "one"').body == b"purged 2 responses\n"
    assert hit(d, url("/c"))


# ---- While fetches are under way ----

HOW = {
    "url": lambda d, o: purge(d, o.url("/f")),
    "key": lambda d, o: purge(d, o.url("/"), "Surrogate-Key: red"),
    "group": lambda d, o: unsafe(d, o.url("/post")),
    "ctl-url": lambda d, o: d.ctl("purge", o.url("/f")),
    "ctl-prefix": lambda d, o: d.ctl("purge", "--prefix", o.url("/")),
    "ctl-host": lambda d, o: d.ctl("purge", "--host", "127.0.0.1"),
    "ctl-tag": lambda d, o: d.ctl("purge", "--tag", "red"),
    "ctl-regex": lambda d, o: d.ctl("purge", "--regex", "/f$"),
    "ctl-soft": lambda d, o: d.ctl("purge", "--soft", "--tag", "red"),
    "other": lambda d, o: d.ctl("purge", "--regex", "/g$"),
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("when", ["head", "body"])
def test_what_was_being_fetched_is_not_stored(larder, origin, how, when):
    """By whatever worker; nor is it given to those who come later. What a purge does not mean is."""
    d = larder("forward", options=[ME, "tag_fields=Surrogate-Key"], workers=4)
    gate = threading.Event()
    fields = [FRESH, "Surrogate-Key: red", 'Cache-Groups: "g"']

    def page(req, conn):
        if gate.is_set() or origin.count("/f") > 8:
            return answer(b"new", fields=fields)
        if when == "body":
            conn.send(answer(b"o" * 50_000, fields=fields)[:-1])
        gate.wait(20)
        conn.send(b"o" if when == "body" else answer(b"o" * 50_000, fields=fields))
        return None
    origin.on("/f", page)
    origin.on("/post", answer("x", fields=['Cache-Group-Invalidation: "g"']))
    clients = []
    for _ in range(8):
        c = d.client()
        c.send(c.compose("GET", origin.url("/f")))
        clients.append(c)
    origin.wait(1, "/f")
    until(lambda: d.stat("exchange.active") == 8, "all requests to wait")
    if when == "body":
        for c in clients:
            r = c.head()
            assert r.status == 200
    r = HOW[how](d, origin)
    assert getattr(r, "returncode", 0) == 0, r.stderr
    gate.set()
    for c in clients:
        if when == "body":
            assert c.exactly(50_000) == b"o" * 50_000
        else:
            assert c.response().status == 200
        c.close()
    d.settle()
    for _ in range(8):
        body = d.get(origin.url("/f")).body
        if how == "other":
            assert body == b"o" * 50_000
        else:
            assert body == b"new"
    assert d.ctl("verify", "--deep", store=True).returncode == 0


def test_late_comers_do_not_join(larder, origin):
    """Who asks after a purge is not given what was fetched before it, though the fetch still runs."""
    d = larder("forward", options=["tag_fields=Surrogate-Key"], workers=4)
    gate = threading.Event()
    fields = [FRESH, "Surrogate-Key: red"]

    def page(req, conn):
        if origin.count("/f") > 1:
            return answer(b"new", fields=fields)
        conn.send(answer(b"o" * 50_000, fields=fields)[:-1])
        gate.wait(20)
        conn.send(b"o")
        return None
    origin.on("/f", page)
    early = []
    for _ in range(8):  # of all workers
        c = d.client()
        c.send(c.compose("GET", origin.url("/f")))
        assert c.head().status == 200
        early.append(c)
    assert origin.count("/f") == 1
    assert d.ctl("purge", "--tag", "red").returncode == 0
    for _ in range(8):
        assert d.get(origin.url("/f")).body == b"new"
    gate.set()
    for c in early:
        assert c.exactly(50_000) == b"o" * 50_000
        c.close()


# ---- larderctl ----

@pytest.fixture(params=["running", "stopped"])
def filled(request, larder, origin):
    """A store with tags, and a function that asks larderctl for JSON."""
    d = larder(f"reverse,{origin.url('')}", options=[ME])
    for i in range(30):
        keyed(origin, f"/p/{i}", f"all mod{i % 3}", fields=['Cache-Groups: "g g"'])
        d.get(f"/p/{i}", host="site.example")
    d.settle()
    if request.param == "stopped":
        d.stop()

    def ctl(*args):
        r = tool(d, *args, "--json")
        assert r.returncode == 0, r.stderr
        return [json.loads(line) for line in r.stdout.splitlines()]
    return ctl


def test_ctl_by_tag(filled):
    assert filled("purge", "--tag", "mod1", "--dry-run") == [{"responses": 10, "dry_run": True}]
    assert filled("purge", "--tag", "mod1", "--soft") == [{"responses": 10, "soft": True, "dry_run": False}]
    assert sum(e["ttl"] <= 0 for e in filled("ls")) == 10
    assert filled("purge", "--tag", "mod1") == [{"responses": 10, "dry_run": False}]
    assert filled("purge", "--tag", "g g") == [{"responses": 20, "dry_run": False}]
    assert filled("ls") == [] and filled("usage")[0]["tags"] == 0


def test_ctl_by_pattern(filled):
    assert filled("purge", "--regex", "/p/1.$", "--dry-run") == [{"urls": 10, "responses": 10, "dry_run": True}]
    assert filled("purge", "--regex", "/p/1.$", "--soft")[0]["responses"] == 10
    assert sum(e["ttl"] <= 0 for e in filled("ls")) == 10
    assert filled("purge", "--regex", "^http://site\\.example/p/1\\d$") == [{"urls": 10, "responses": 10, "dry_run": False}]
    assert len(filled("ls")) == 20


def test_ctl_soft_by_host_and_prefix(filled):
    assert filled("purge", "--prefix", "http://site.example/p/2", "--soft")[0]["responses"] == 11
    assert sum(e["ttl"] <= 0 for e in filled("ls")) == 11
    assert filled("purge", "--host", "*.example", "--soft")[0]["responses"] == 30
    assert sum(e["ttl"] <= 0 for e in filled("ls")) == 30


@pytest.mark.parametrize("running", [True, False])
def test_ctl_by_url(larder, origin, running):
    d = larder()
    origin.on("/v", lambda req, conn: answer("x", fields=[FRESH, "Vary: X-Kind"]))
    for kind in "ab":
        d.get(origin.url("/v"), f"X-Kind: {kind}")
    d.settle()
    if not running:
        d.stop()
    url, none = origin.url("/v"), origin.url("/none")
    ctl = lambda *more: tool(d, "purge", *more)
    r = ctl("--dry-run", url, none)
    assert r.stdout == f"would purge {url}\nnot stored {none}\n", r.stderr
    assert ctl("--soft", url).stdout == f"marked stale {url}\n"
    assert json.loads(ctl("--json", url).stdout) == {"url": url, "responses": 2, "dry_run": False}
    assert ctl(url).stdout == f"not stored {url}\n"
    r = ctl("nonsense")
    assert r.returncode == 2 and "is not a URL" in r.stderr


@pytest.mark.parametrize("args, sentence", [
    (["--regex", "a(b"], "missing closing parenthesis"), (["--regex", ""], "is not a pattern"),
    (["--tag", ""], "is not a tag"), (["--tag", "x" * 1025], "longer than"),
    (["--tag", "x", "--host", "y"], "needs URLs, or one of"), (["--regex", "x", "http://y/"], "needs URLs, or one of"),
    (["--tag", "a\nb"], "is not a tag"), ([], "needs URLs, or one of"),
])
def test_ctl_mistakes(larder, args, sentence):
    r = larder().ctl("purge", *args)
    assert r.returncode == 2 and sentence in r.stderr, r.stderr


def test_ctl_endless_pattern(larder, origin):
    d = larder()
    path = "/" + "a" * 100
    origin.on(path, answer("x", fields=[FRESH]))
    store(d, origin.url(path))
    r = d.ctl("purge", "--regex", "(a+)+[xy]$")
    assert r.returncode == 2 and "takes too long to match" in r.stderr
    assert hit(d, origin.url(path))


def test_a_reload_does_not_end_a_purge(larder, origin):
    """Whoever waits for a purge that a keeper began is told its end, though another keeper took its place."""
    d = larder("forward")
    for i in range(300):
        origin.on(f"/{i}", answer("x", fields=[FRESH]))
    with d.client() as c:
        for i in range(300):
            c.get(origin.url(f"/{i}"))
    d.settle()
    asked = threading.Thread(target=lambda: d.ctl("reload"))
    asked.start()
    r = d.ctl("purge", "--host", "127.0.0.1")
    asked.join()
    assert r.returncode == 0, r.stderr
    assert d.ctl("ls", store=True).stdout == ""
