"""larderctl on the store: ls, show, cat, du, purge of many, trim, verify; beside a daemon and without one."""

import json
import os
import pty
import subprocess

import pytest
from harness.message import answer
from harness.wait import until

BIG = bytes(range(256)) * 1200  # a body file
SMALL = b"\0small\r\n\xff"
FRESH = ["Cache-Control: max-age=600", 'ETag: "v1"']


def fill(d, origin, paths, body=SMALL, fields=()):
    """Stores one response a path."""
    for path in paths:
        origin.on(path, lambda req, conn: answer(body, fields=[*FRESH, *fields]))
    with d.client() as c:
        for path in paths:
            assert c.get(origin.url(path)).status == 200
    d.settle()


class Tool:
    """larderctl, beside the running daemon or after its end."""

    def __init__(self, d, running):
        self.d, self.running = d, running

    def __call__(self, *args, binary=False):
        d = self.d
        return subprocess.run([d.build.larderctl, "--socket", str(d.control), "-s", str(d.store), *args],
                              capture_output=True, text=not binary, timeout=60, env=d.environment(), cwd="/",
                              **d._identity())

    def objects(self, *args):
        """The JSON lines of a command that succeeds."""
        r = self(*args, "--json")
        assert r.returncode == 0, r.stderr
        return [json.loads(line) for line in r.stdout.splitlines()]


@pytest.fixture(params=["running", "stopped"])
def ready(request):
    """Turns a filled daemon into a Tool for it."""
    def make(d):
        if request.param == "stopped":
            d.stop()
        return Tool(d, request.param == "running")
    return make


def test_ls(larder, origin, ready):
    d = larder()
    fill(d, origin, ["/a/1", "/a/2", "/b"])
    fill(d, origin, ["/a/big"], BIG)
    ctl = ready(d)
    r = ctl("ls", origin.url("/a/"))
    assert r.returncode == 0, r.stderr
    lines = r.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [origin.url(p) for p in ("/a/1", "/a/2", "/a/big")]
    assert lines[0].split()[1:3] == ["200", str(len(SMALL))] and lines[0].endswith(" inline")
    assert lines[2].split()[1:3] == ["200", str(len(BIG))] and lines[2].endswith(" blob")
    age, ttl = lines[0].split()[3].split("/")
    assert int(age) + int(ttl) == 600
    assert len(ctl("ls").stdout.splitlines()) == 4
    assert len(ctl("ls", "127.0.0.1").stdout.splitlines()) == 4
    assert len(ctl("ls", origin.authority).stdout.splitlines()) == 4
    assert f"from {origin.authority}" in ctl("ls", "--long", origin.url("/b")).stdout
    one = ctl.objects("ls", origin.url("/b"))[0]
    assert (one["url"], one["status"], one["size"]) == (origin.url("/b"), 200, len(SMALL))
    assert (one["lifetime"], one["where"], one["etag"]) == (600, "inline", '"v1"')


def test_ls_normalises(larder, origin, ready):
    d = larder()
    fill(d, origin, ["/~x/y"])
    ctl = ready(d)
    assert ctl("ls", origin.url("/%7ex/")).stdout.startswith(origin.url("/~x/y") + " ")


@pytest.mark.parametrize("args,status,sentence", [
    (["ls", "http://nothing.example/"], 1, "nothing is stored for"),
    (["ls", "nothing.example"], 1, "nothing is stored for"),
    (["ls", "http://user@host/"], 2, "is neither a URL"),
    (["ls", "ho st"], 2, "is neither a URL"),
    (["show", "http://nothing.example/"], 1, "is not stored"),
    (["cat", "http://nothing.example/"], 1, "is not stored"),
    (["cat", "--variant", "2", "{url}"], 1, "has no variant 2"),
    (["cat", "--variant", "x", "{url}"], 2, "is not a number"),
    (["show", "nothing"], 2, "is not a URL"),
    (["show"], 2, "needs a URL"),
    (["du", "-n", "0"], 2, "is not a number"),
    (["du", "--long"], 2, "knows no --long"),
    (["purge"], 2, "needs URLs"),
    (["purge", "--host", "x", "--prefix", "http://x/"], 2, "needs URLs"),
    (["purge", "--prefix", "x"], 2, "is not the beginning of a URL"),
    (["purge", "--host", "http://x/"], 2, "is not a host"),
    (["purge", "--host", "*.10.0.0.1"], 2, "is not a host"),
    (["purge", "--host", "*.x.example:80"], 2, "is not a host"),
    (["trim", "x"], 2, "unexpected argument"),
])
def test_errors(larder, origin, ready, args, status, sentence):
    d = larder()
    fill(d, origin, ["/a"])
    r = ready(d)(*[a.replace("{url}", origin.url("/a")) for a in args])
    assert (r.returncode, r.stdout) == (status, "") and sentence in r.stderr, r.stderr


def test_show(larder, origin, ready):
    d = larder()
    fill(d, origin, ["/s"], BIG)
    fill(d, origin, ["/twin"], BIG)
    for _ in range(2):
        d.get(origin.url("/s"))
    ctl = ready(d)
    text = ctl("show", origin.url("/s")).stdout
    for piece in (f"key          GET {origin.url('/s')}", "lifetime     600 s, as the response says", "fresh",
                  "shared by 2", f"origin       {origin.authority}", "    Cache-Control: max-age=600",
                  "uses         2 lately" if ctl.running else "uses         unknown"):
        assert piece in text, text
    one, = ctl.objects("show", origin.url("/s"))
    assert one["references"] == 2 and len(one["digest"]) == 64 and one["queue"] == "small"
    assert one["heuristic"] is False and one["head"].startswith("HTTP/1.1 200 OK\r\n")


def test_cat(larder, origin, ready):
    d = larder()
    for path, body in (("/small", SMALL), ("/big", BIG), ("/empty", b"")):
        fill(d, origin, [path], body)
    ctl = ready(d)
    for path, body in (("/small", SMALL), ("/big", BIG), ("/empty", b"")):
        r = ctl("cat", origin.url(path), binary=True)
        assert (r.returncode, r.stdout) == (0, body), r.stderr


def test_variants(larder, origin, ready):
    d = larder()
    origin.on("/v", lambda req, conn: answer(req.get("X-Kind", "").encode(), fields=[*FRESH, "Vary: X-Kind"]))
    with d.client() as c:
        for kind in ("one", "two", 'th"r\xe9e'):
            c.get(origin.url("/v"), f"X-Kind: {kind}")
    d.settle()
    ctl = ready(d)
    found = {o["selecting"]: o for o in ctl.objects("ls", origin.url("/v"))}
    assert len(found) == 3 and all(o["vary"] == "x-kind" for o in found.values())
    n = found["x-kind:two\n"]["variant"]
    assert ctl("cat", "--variant", str(n), origin.url("/v")).stdout == "two"
    assert f"[{n}: x-kind:two]" in ctl("ls", origin.url("/v")).stdout
    assert len(ctl.objects("show", origin.url("/v"))) == 3
    assert ctl.objects("purge", "--prefix", origin.url("/v"))[0]["responses"] == 3
    assert ctl("ls").stdout == ""


def test_reverse(larder, origin, ready):
    """Keys of a reverse listener are marked, and found by the URL that ls shows."""
    d = larder(f"reverse,{origin.url('')}")
    origin.on("/r", lambda req, conn: answer(SMALL, fields=FRESH))
    with d.client() as c:
        assert c.get("/r", host="site.example").status == 200
    d.settle()
    ctl = ready(d)
    assert ctl("ls").stdout.startswith(f"http://site.example/r via {origin.authority} 200 ")
    assert ctl.objects("ls", "*.example")[0]["via"] == origin.authority
    assert f"via          {origin.authority}\n" in ctl("show", "http://site.example/r").stdout
    assert ctl("cat", "http://site.example/r", binary=True).stdout == SMALL
    assert ctl.objects("purge", "--host", "site.example")[0]["urls"] == 1


def test_reverse_origin_host(larder, origin):
    """A listener whose origin has one name: found by the name that clients use, too."""
    d = larder(conf='listen "127.0.0.1:{port}" {\n\tkind = reverse\n\torigin = "%s"\n\torigin_host = inner.example\n}\n'
               % origin.url(""))
    origin.on("/r", lambda req, conn: answer(b"text", fields=FRESH))
    assert d.get("/r", host="outer.example").status == 200
    d.settle()
    for name in ("inner.example", "outer.example"):
        r = d.ctl("-c", str(d.conf), "cat", f"http://{name}/r", store=True)
        assert (r.returncode, r.stdout) == (0, "text"), r.stderr


def test_du(larder, origin, ready):
    d = larder(f"reverse,{origin.url('')}")
    with d.client() as c:
        for host, n in (("small.example", 1), ("large.example", 5), ("medium.example", 2)):
            for i in range(n):
                origin.on(f"/{i}", lambda req, conn: answer(b"x" * 20000, fields=FRESH))
                assert c.get(f"/{i}", host=host).status == 200
    d.settle()
    ctl = ready(d)
    hosts = ctl.objects("du")
    assert [(h["host"], h["entries"], h["bodies"]) for h in hosts] == [
        ("large.example", 5, 100000), ("medium.example", 2, 40000), ("small.example", 1, 20000)]
    assert all(h["charge"] > h["bodies"] for h in hosts)
    assert len(ctl.objects("du", "-n", "2")) == 2
    lines = ctl("du", "-n", "1").stdout.splitlines()
    assert lines[1].split()[2:] == ["5", "large.example"] and lines[2].split()[2:] == ["8", "total"]


def test_purge_prefix(larder, origin, ready):
    d = larder()
    fill(d, origin, [f"/old/{i}" for i in range(1100)])
    fill(d, origin, ["/older"])
    fill(d, origin, ["/old/big"], BIG)
    ctl = ready(d)
    prefix = origin.url("/old/")
    assert ctl.objects("purge", "--prefix", prefix, "--dry-run") == [
        {"urls": 1101, "responses": 1101, "dry_run": True}]
    assert len(ctl("ls").stdout.splitlines()) == 1102
    r = ctl("purge", "--prefix", prefix)
    assert r.stdout == "purged 1101 URLs, 1101 responses\n", r.stderr
    assert [line.split()[0] for line in ctl("ls").stdout.splitlines()] == [origin.url("/older")]
    until(lambda: ctl.objects("usage")[0]["blobs"] == 0, "the body's file to go")
    r = ctl("verify", "--deep")
    assert (r.returncode, r.stdout) == (0, "no findings\n")
    assert ctl("purge", "--prefix", prefix).stdout == "purged 0 URLs, 0 responses\n"


def test_purge_host_is_that_host(larder, origin, ready):
    d = larder(f"reverse,{origin.url('')}")
    origin.on("/p", lambda req, conn: answer(SMALL, fields=FRESH))
    hosts = ["a.example", "www.a.example", "xa.example", "a.example:8080"]
    with d.client() as c:
        for host in hosts:
            assert c.get("/p", host=host).status == 200
    d.settle()
    ctl = ready(d)
    left = lambda: {o["url"] for o in ctl.objects("ls")}
    assert ctl("purge", "--host", "a.example:8080").returncode == 0
    assert left() == {f"http://{h}/p" for h in hosts[:3]}
    assert ctl("purge", "--host", "a.example").returncode == 0
    assert left() == {"http://www.a.example/p", "http://xa.example/p"}
    assert ctl("purge", "--host", "*.a.example").returncode == 0
    assert left() == {"http://xa.example/p"}


def test_trim(larder, origin, ready):
    d = larder()
    fill(d, origin, [f"/t/{i}" for i in range(300)], b"t" * 30000)
    assert d.ctl("purge", "--prefix", origin.url("/t/")).returncode == 0
    ctl = ready(d)
    before = ctl.objects("usage")[0]["index_bytes"]
    one, = ctl.objects("trim")
    assert one["before"] == before and one["after"] < before / 4
    assert ctl.objects("usage")[0]["index_bytes"] <= one["after"] + 65536
    assert "the index took " in ctl("trim").stdout
    assert ctl("verify").returncode == 0


def test_writers_and_a_daemon_without_a_socket(larder, origin):
    """What has to write is refused with a sentence where the daemon can't be asked."""
    d = larder()
    fill(d, origin, ["/a"])
    for args in (["trim"], ["purge", "--prefix", origin.url("/")], ["verify", "--repair"]):
        r = d.ctl("-o", "control=off", *args, store=True)
        assert r.returncode == 2 and "a daemon runs on it" in r.stderr, (args, r.stderr)
    assert d.ctl("-o", "control=off", "purge", "--prefix", origin.url("/"), "--dry-run", store=True).returncode == 0
    assert d.get(origin.url("/a")).status == 200
    assert origin.count("/a") == 1


def test_verify_shows_progress_on_a_terminal(larder, origin):
    d = larder()
    fill(d, origin, ["/a", "/b"])
    master, slave = pty.openpty()
    r = subprocess.run([d.build.larderctl, "-s", str(d.store), "verify"], stdout=subprocess.PIPE, stderr=slave,
                       text=True, timeout=60, env=d.environment(), cwd="/", **d._identity())
    os.close(slave)
    shown = os.read(master, 4096).decode()
    os.close(master)
    assert (r.returncode, r.stdout) == (0, "no findings\n")
    assert shown.startswith("\r[" + "#" * 40 + "] 100 % of "), shown


def test_verify_finds(larder, origin, ready):
    """Status 1 for findings; a repair without a daemon leaves nothing to find."""
    d = larder()
    fill(d, origin, ["/big"], BIG)
    blob, = [p for p in d.store.glob("blobs/*/*") if p.is_file()]
    blob.write_bytes(b"x" * len(BIG))
    ctl = ready(d)
    assert ctl("verify").returncode == 0
    r = ctl("verify", "--deep")
    assert r.returncode == 1 and "has another digest" in r.stdout and "findings" in r.stdout
    if not ctl.running:
        assert ctl("verify", "--deep", "--repair").returncode == 1
        assert ctl("verify", "--deep").returncode == 0


@pytest.mark.parametrize("how", ["zeros", "truncated"])
def test_verify_of_an_index_that_cannot_be_read(larder, origin, how):
    """It is said, and --repair leaves an empty store that works."""
    d = larder()
    fill(d, origin, [f"/{i}" for i in range(300)])
    fill(d, origin, ["/big"], BIG)
    d.stop()
    index = d.store / "index" / "data.mdb"
    with index.open("r+b") as f:
        size = f.seek(0, os.SEEK_END)
        f.seek(8192)
        if how == "zeros":
            f.write(bytes(size - 8192))
        else:
            f.truncate(size // 2 // 4096 * 4096)
    r = d.ctl("verify", store=True)
    assert r.returncode in (1, 2) and "damaged" in r.stdout + r.stderr, r
    r = d.ctl("verify", "--repair", store=True)
    assert r.returncode == 1 and r.stdout.endswith("has been removed\n1 findings, repaired\n"), r
    assert not [p for p in d.store.glob("blobs/*/*") if p.is_file()]
    d.start()
    fill(d, origin, ["/big"], BIG)
    d.stop()
    r = d.ctl("verify", "--deep", store=True)
    assert (r.returncode, r.stdout) == (0, "no findings\n"), r


def test_purge_passes_what_is_out_of_range(larder, origin):
    """A prefix of https among many of http under the same host: nothing is purged, nothing is missed."""
    d = larder()
    fill(d, origin, [f"/n/{i}" for i in range(600)])
    port = origin.authority.rpartition(":")[2]
    assert d.ctl("purge", "--prefix", f"https://127.0.0.1:{port}/").stdout == "purged 0 URLs, 0 responses\n"
    assert d.ctl("purge", "--prefix", f"http://127.0.0.1:{port}/n/").stdout == "purged 600 URLs, 600 responses\n"


def test_fetches_while_purging(larder, origin):
    """Who asks while all is purged gets right answers, and no fetch fails."""
    d = larder(workers=2)
    paths = [f"/m/{i}" for i in range(1500)]
    fill(d, origin, paths)
    purge = subprocess.Popen([d.build.larderctl, "--socket", str(d.control), "-s", str(d.store), "purge", "--prefix",
                              origin.url("/m/")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env=d.environment(), cwd="/", **d._identity())
    with d.client() as c:
        for path in paths[::10]:
            r = c.get(origin.url(path))
            assert (r.status, r.body) == (200, SMALL)
    out, said = purge.communicate(timeout=60)
    assert purge.returncode == 0 and out.startswith("purged 1"), said
    d.settle()
    assert d.ctl("verify", "--deep", store=True).returncode == 0
