"""larderctl explain: responses that are given, and the tool around it."""

import json
import subprocess

import pytest
from harness.explain import BIG, FRESH, STALE, ask
from harness.message import answer
from harness.wait import until


@pytest.fixture(scope="module")
def d(shared_larder):
    """A forward proxy."""
    d = shared_larder("forward")
    d.names = ["forward"]
    return d


# ---- Responses that are given ----

# (name, arguments, response, stored, reason, clause)
RESPONSES = [
    ("fresh", [], "HTTP/1.1 200 OK\nCache-Control: max-age=60\n", True, "stored", "RFC 9111 §3"),
    ("HTTP/2 as curl prints it", [], "HTTP/2 200 \r\ncache-control: max-age=60\r\n\r\n", True, "stored", "RFC 9111 §3"),
    ("the last of several", [], "HTTP/1.1 302 Found\nLocation: /x\n\nHTTP/1.1 200 OK\nCache-Control: no-store\n\n", False, "no-store", "RFC 9111 §5.2.2.5"),
    ("a body that tells of HTTP", [], "HTTP/1.1 200 OK\nCache-Control: max-age=60\n\nHTTP:\nHTTP/1.1 is older.\n", True, "stored", "RFC 9111 §3"),
    ("private", [], "HTTP/1.1 200 OK\nCache-Control: private\n", False, "private", "RFC 9111 §5.2.2.7"),
    ("no lifetime", [], "HTTP/1.1 200 OK\n", False, "no-freshness", "RFC 9111 §3"),
    ("Vary: *", [], "HTTP/1.1 200 OK\nCache-Control: max-age=60\nVary: *\n", False, "vary-any", "RFC 9111 §4.1"),
    ("429", [], "HTTP/1.1 429 Slow\nCache-Control: max-age=60\n", False, "status", "RFC 9111 §3"),
    ("a cookie", [], 'HTTP/1.1 200 OK\nSet-Cookie: a=b\nETag: "v"\n', False, "set-cookie", "RFC 9111 §7.3"),
    ("credentials", ["--header", "Authorization: x"], "HTTP/1.1 200 OK\nCache-Control: max-age=60\n", False, "authorization", "RFC 9111 §3.5"),
    ("credentials and public", ["--header", "Authorization: x"], "HTTP/1.1 200 OK\nCache-Control: max-age=60, public\n", True, "stored", "RFC 9111 §3"),
    ("no-store asked", ["--header", "Cache-Control: no-store"], "HTTP/1.1 200 OK\nCache-Control: max-age=60\n", False, "request-no-store", "RFC 9111 §5.2.1.5"),
    ("HEAD", ["--method", "HEAD"], "HTTP/1.1 200 OK\nCache-Control: max-age=60\n", False, "method", "RFC 9111 §3"),
    ("POST", ["--method", "POST"], "HTTP/1.1 200 OK\nCache-Control: max-age=60\n", False, "method", "RFC 9111 §3"),
    ("POST of what GET gets", ["--method", "POST"], "HTTP/1.1 200 OK\nCache-Control: max-age=60\nContent-Location: /given\n", True, "stored", "RFC 9111 §3"),
    ("too large", [], "HTTP/1.1 200 OK\nCache-Control: max-age=60\nContent-Length: 99999999999\n", False, "too-large", None),
    ("206", [], "HTTP/1.1 206 OK\nCache-Control: max-age=60\nContent-Range: bytes 0-1/9\n", False, "partial", "RFC 9111 §3.3"),
]


@pytest.mark.parametrize("args, response, stored, reason, clause", [r[1:] for r in RESPONSES], ids=[r[0] for r in RESPONSES])
def test_responses(d, args, response, stored, reason, clause):
    """RFC 9111 §3: would it be stored?"""
    head = d.home / "response"
    head.write_text(response, newline="")
    said = ask(d, "--response", str(head), *args, "http://example.com:8000/given")["response"]
    assert (said["stored"], said["reason"], said.get("clause")) == (stored, reason, clause), said
    assert bool(said["head"]) == stored


def test_response_in_full(d):
    """RFC 9111 §3.1, §4.1: what is left out, the variant, the head; by name or on standard input."""
    response = ("HTTP/1.1 200 OK\nCache-Control: max-age=60, private=\"X-Mine\", no-cache=\"X-New\"\nX-Mine: 1\nX-New: 2\nAge: 3\n"
                "Connection: close, X-Hop\nX-Hop: 4\nVary: Accept\nX-Kept: 5\n\n")
    args = ["explain", "--response", "-", "--header", "Accept: text/plain", "http://example.com:8000/given"]
    r = subprocess.run([d.build.larderctl, "--socket", str(d.control), "--json", *args], input=response, capture_output=True,
                       text=True, timeout=60, env=d.environment(), **d._identity())
    assert r.returncode == 0, r.stderr
    said = json.loads(r.stdout)["response"]
    assert {f["name"]: f["rule"] for f in said["left_out"]} == {
        "X-Mine": "private", "X-New": "no-cache", "Age": "made-anew", "Connection": "hop-by-hop", "X-Hop": "hop-by-hop"}
    assert said["vary"] == "accept" and said["selecting"] == ["accept:text/plain"]
    kept = [line.partition(":")[0] for line in said["head"].split("\r\n")[1:-1]]
    assert kept == ["Cache-Control", "Vary", "X-Kept", "Date"]
    r = subprocess.run([d.build.larderctl, "--socket", str(d.control), *args], input=response, capture_output=True,
                       text=True, timeout=60, env=d.environment(), **d._identity())
    assert "left out     X-Mine: private names it (RFC 9111 §5.2.2.7)\n" in r.stdout
    assert r.stdout.endswith("storing      stored: The response may be stored (RFC 9111 §3)\n")


# ---- The tool ----

def test_without_a_daemon(larder, origin):
    """The same is said of what is stored, but for what only a daemon knows."""
    d = larder("forward", "reverse,http://127.0.0.1:9")
    d.names = ["forward", "reverse"]
    origin.on("/a", answer(b"x", fields=[*FRESH, "Vary: X-Kind"])).on("/b", answer(BIG, fields=STALE))
    for path in ("/a", "/b"):
        assert d.get(origin.url(path)).status == 200
    d.settle()
    questions = [["--header", "X-Kind: a", origin.url("/a")], [origin.url("/a")], [origin.url("/b")],
                 ["--header", "Cache-Control: max-stale", origin.url("/b")], [origin.url("/c")]]
    running = [ask(d, *q) for q in questions]
    d.write_conf(f'store = "{d.store}"\ncontrol = "{d.control}"\nlisten "127.0.0.1:{d.ports[0]}" {{ kind = forward }}\n')
    d.stop()
    for question, before in zip(questions, running):
        r = d.ctl("-c", str(d.conf), "explain", "--json", *question)
        assert r.returncode == 0, r.stderr
        said = json.loads(r.stdout)
        assert before["daemon"] is True and said["daemon"] is False
        assert "unshareable" not in said and "origin_down" not in said
        for key in ("verdict", "reason", "clause", "key", "stored", "conditions", "fwd", "listener"):
            assert said.get(key) == before.get(key), (key, said, before)
        assert said.get("selected", {}).get("lifetime") == before.get("selected", {}).get("lifetime")
    r = d.ctl("-c", str(d.conf), "explain", origin.url("/a"))
    assert "daemon       none answers: " in r.stdout and r.returncode == 0


def test_leaves_no_trace(larder, origin):
    """Nothing is fetched, logged, counted as a request, a lookup or a use."""
    d = larder("forward", options=["access_log={home}/access", "pseudonym=my pantry"])
    origin.on("/a", answer(b"x", fields=["Cache-Control: max-age=60, stale-while-revalidate=90000", *STALE[1:]]))
    assert d.get(origin.url("/a")).status == 200
    d.settle()

    def trace():
        stats = d.stats()
        uses = json.loads(d.ctl("-s", str(d.store), "show", "--json", origin.url("/a")).stdout)["uses"]
        return {k: v for k, v in stats.items() if k.startswith("exchange.") or k in ("store.lookups", "store.hits")}, \
            uses, (d.home / "access").read_bytes(), d.said()
    log = d.home / "access"
    until(lambda: log.exists() and log.read_bytes().count(b"\n") == 1, "the request to be logged")
    before = trace()
    for method in ("GET", "HEAD", "POST"):
        assert ask(d, "--method", method, origin.url("/a"))["stored"]
        assert ask(d, "--method", method, origin.url("/b"))["stored"] == []
    assert trace() == before and origin.count() == 1
    assert "refused" in d.ctl("explain", "--client", "192.0.2.1", origin.url("/a")).stdout
    assert "refused" not in d.said()


def test_leaves_what_is_damaged(larder, origin):
    """What a request would find damaged, and have removed, stays as it is: with and without a daemon."""
    d = larder("forward")
    origin.on("/a", answer(BIG, fields=FRESH)).on("/b", answer(b"x", fields=FRESH))
    for path in ("/a", "/b"):
        assert d.get(origin.url(path)).status == 200
    d.settle()
    body, = d.store.glob("blobs/*/*")
    body.unlink()
    before = d.stat("store.commits"), d.stat("store.corrupt")
    assert ask(d, origin.url("/a"))["verdict"] == "miss"
    assert d.get(origin.url("/b")).cache.get("hit")
    d.settle()
    assert (d.stat("store.commits"), d.stat("store.corrupt")) == before and "damaged" not in d.said()
    assert [v["where"] for v in ask(d, origin.url("/a"))["stored"]] == ["blob"]


# (fields of what is stored, response, the state that it leaves: confirms, replaced, stored, clause)
NEWS = [
    (STALE, 'HTTP/1.1 304 Not Modified\nETag: "v"\n', True, False, False, "RFC 9111 §4.3.4"),
    (STALE, 'HTTP/1.1 304 Not Modified\nETag: "w"\n', False, False, False, "RFC 9111 §3"),
    (FRESH, 'HTTP/1.1 304 Not Modified\nETag: "v"\n', False, False, False, "RFC 9111 §3"),
    (["Cache-Control: max-age=60, stale-if-error=9999", *STALE[1:]], "HTTP/1.1 503 Busy\nCache-Control: max-age=60\n", False, True, False, "RFC 9111 §4.2.4"),
    (["Cache-Control: max-age=60, must-revalidate, stale-if-error=9999", *STALE[1:]], "HTTP/1.1 503 Busy\nCache-Control: max-age=60\n", False, False, True, "RFC 9111 §3"),
]


@pytest.mark.parametrize("fields, response, confirms, replaced, stored, clause", NEWS)
def test_responses_to_a_validation(larder, origin, fields, response, confirms, replaced, stored, clause):
    """RFC 9111 §4.3.3, §4.2.4: what the answer to a validation does to what is stored, and that it does so."""
    d = larder("forward")
    url = origin.url("/a")
    origin.on("/a", answer(b"old", fields=fields))
    assert d.get(url).status == 200
    d.settle()
    head = d.home / "head"
    head.write_text(response)
    said = ask(d, "--response", str(head), url)
    judged = said["response"]
    assert (judged["confirms"], judged["replaced"], judged["stored"], judged["clause"]) == (confirms, replaced, stored, clause)
    if said["verdict"] == "hit" or (not confirms and " 304 " in response):
        return
    origin.on("/a", (response.replace("\n", "\r\n") + ("" if confirms else "Content-Length: 0\r\n") + "\r\n").encode())
    r = d.get(url)
    d.settle()
    assert r.cache["fwd-status"] == (304 if confirms else 503)
    assert r.status == (503 if stored else 200) and ask(d, url)["stored"][0]["status"] == (503 if stored else 200)


def test_text(larder, origin):
    """A fact a line, the verdict last."""
    d = larder("forward", options=["pseudonym=pantry"])
    url = origin.url("/a")
    origin.on("/a", answer(b"hello", fields=[*FRESH, "Age: 50"]))
    assert d.get(url).status == 200
    d.settle()
    r = d.ctl("explain", "--header", "Cache-Control: max-age=10, no-cache", url)
    lines = r.stdout.splitlines()
    assert lines[:4] == [f"request      GET {url}", f"listener     forward=127.0.0.1:{d.port}", f"key          GET {url}",
                         "directives   no-cache, max-age=10 (RFC 9111 §5.2.1)"]
    assert "lifetime     6000 s: max-age (RFC 9111 §4.2.1 (2))" in lines
    assert 'origin       is sent If-None-Match: "v" (RFC 9111 §4.3.1)' in lines
    assert lines[-2:] == ["Cache-Status fwd=request", "verdict      validate: The request says no-cache (RFC 9111 §5.2.1.4)"]
    lines = d.ctl("explain", url).stdout.splitlines()
    assert lines[-2].startswith("Cache-Status pantry; hit; ttl=59")
    assert lines[-1] == "verdict      hit: It is fresh: its lifetime is above its age (RFC 9111 §4.2)"
    assert all(line.startswith("  ") or (len(line) > 13 and line[12] == " " and line[13] != " ") for line in lines)


WRONG = [
    (["example.com/x"], "is not a URL like"), (["http://a b/"], "is not a URL like"),
    (["--method", "PURGE", "http://a.example/"], "PURGE is not answered from the store"),
    (["--method", "CONNECT", "http://a.example:443/", "--header", "Host: a.example:443"], None),
    (["--listener", "nobody", "http://a.example/"], "there is no listener nobody; there is forward="),
    (["--client", "x", "http://a.example/"], "is not an IP address"),
    (["--header", "nonsense", "http://a.example/"], "is not a field like"),
    (["--header", "a: b\nc: d", "http://a.example/"], "is not a field like"),
    (["--response", "/nowhere/at/all", "http://a.example/"], "/nowhere/at/all: "),
    (["--response", "/dev/null", "http://a.example/"], "there is no response"),
    (["--response", "/etc/hostname", "http://a.example/"], "the response is none: "),
    (["--header", "X: " + "x" * 70000, "http://a.example/"], "too "),
    (["--soft", "http://a.example/"], "explain knows no --soft"), ([], "needs a URL"),
]


@pytest.mark.parametrize("args, text", WRONG)
def test_what_cannot_be_explained(d, args, text):
    """An error says what was wrong, with status 2; what larder would refuse is an answer."""
    r = d.ctl("explain", *args)
    if text is None:
        assert r.returncode == 0 and "verdict      refused: " in r.stdout
    else:
        assert r.returncode == 2 and text in r.stderr, r.stdout + r.stderr
