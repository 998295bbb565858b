"""Real clients through larder, byte-identical to going direct, every time."""

import filecmp
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness.servers import GitServer, Nginx, NpmRegistry, PutStore
from harness.wait import until

OLD = 86400 * 200


@pytest.fixture
def home():
    """A folder for the client, gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="larder-client-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make_logged(larder):
    """A factory of forward proxies with a JSON access log; rows() gives its lines."""
    def make(*options):
        d = larder("forward", workers=2, options=["access_log={home}/access", "access_log_format=json", *options])

        def rows():
            d.settle()
            lines = lambda: (d.home / "access").read_text().splitlines()
            until(lambda: len(lines()) >= d.stat("exchange.requests"), "the log to be written")
            return [json.loads(line) for line in lines()]
        d.rows = rows
        return d
    return make


@pytest.fixture
def logged(make_logged):
    """One of them that tunnels to all ports."""
    return make_logged("connect_ports=all")


def need(*names):
    """The programs must be there: tools/check installs them."""
    for name in names:
        assert shutil.which(name), f"{name} is not installed: tools/check installs what the tests need"


def run(args, home, proxy=None, **more):
    """Runs a client with a clean environment, through the proxy if one is given."""
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **more.pop("env", {})}
    if proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        env.update(http_proxy=url, HTTP_PROXY=url, https_proxy=url, all_proxy=url, no_proxy="")
    r = subprocess.run([str(a) for a in args], capture_output=True, env=env, timeout=120, **{"cwd": home, **more})
    assert r.returncode == 0, f"{args}: {r.stdout.decode()[-3000:]}\n{r.stderr.decode()[-3000:]}"
    return r.stdout


def same_trees(a, b):
    """Both folders hold the same files with the same bytes."""
    names = sorted(str(p.relative_to(a)) for p in Path(a).rglob("*") if p.is_file())
    assert names == sorted(str(p.relative_to(b)) for p in Path(b).rglob("*") if p.is_file())
    assert names
    _, differ, errors = filecmp.cmpfiles(a, b, names, shallow=False)
    assert not differ and not errors, (differ, errors)


# ---- curl and wget ----

@pytest.mark.parametrize("options", [[], ["--http1.0"], ["--compressed"], ["-r", "100-199"], ["-r", "-50"],
                                     ["-H", "Cache-Control: no-cache"], ["--raw"]], ids=" ".join)
def test_curl(logged, home, options):
    need("curl")
    with Nginx(more="gzip on; gzip_types text/html; gzip_min_length 10; gzip_proxied any;") as server:
        server.write("page.html", "<p>hello larder</p>\n" * 5000, age=OLD)
        direct = run(["curl", "-sf", *options, server.url("/page.html")], home)
        for _ in range(3):
            assert run(["curl", "-sf", *options, server.url("/page.html")], home, logged) == direct
            logged.settle()


def test_curl_resume(logged, home):
    need("curl")
    data = os.urandom(3 << 20)
    with Nginx() as server:
        server.write("iso", data, age=OLD)
        for have in (1 << 20, 2 << 20, 100):
            (home / "part").write_bytes(data[:have])
            run(["curl", "-sf", "-C", "-", "-o", home / "part", server.url("/iso")], home, logged)
            assert (home / "part").read_bytes() == data
            logged.settle()
        assert logged.rows()[-1]["outcome"] == "hit"


def test_curl_upload(logged, home):
    need("curl")
    data = os.urandom(1 << 20)
    (home / "up").write_bytes(data)
    with PutStore() as store:
        run(["curl", "-sf", "-T", home / "up", store.url("/thing")], home, logged)
        assert store.items["/thing"] == data
        assert run(["curl", "-sf", store.url("/thing")], home, logged) == data


def test_curl_tunnel(logged, home):
    need("curl")
    with Nginx() as server:
        server.write("a", b"tunnelled" * 1000, age=OLD)
        assert run(["curl", "-sf", "-p", server.url("/a")], home, logged) == b"tunnelled" * 1000
        until(lambda: [r for r in logged.rows() if r["outcome"] == "tunnel"], "the tunnel in the log")


def test_wget_mirror(logged, home):
    need("wget")
    with Nginx() as server:
        for i in range(20):
            links = " ".join(f'<a href="page{(i * k) % 20}.html">x</a><img src="img/{i}.png">' for k in (1, 3, 7))
            server.write(f"page{i}.html", links, age=OLD)
            server.write(f"img/{i}.png", os.urandom(5000 * i), age=OLD)
        server.write("index.html", '<a href="page0.html">0</a> <a href="page1.html">1</a>', age=OLD)
        command = ["wget", "-q", "--mirror", "-nH", server.url("/")]
        for name in ("direct", "first", "second"):
            (home / name).mkdir()
            run(command, home, logged if name != "direct" else None, cwd=home / name)
            logged.settle()
        same_trees(home / "direct", home / "first")
        same_trees(home / "direct", home / "second")
        rows = logged.rows()
        assert all(r["outcome"] == "hit" for r in rows[-10:]), rows[-10:]


# ---- apt ----

def archive(server, home):
    """A small archive with two packages and its index, below the server's root."""
    pool = server.www / "pool"
    pool.mkdir()
    for name, size in (("larder-demo-a", 2000), ("larder-demo-b", 300000)):
        tree = home / "build" / name
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "usr/share" / name).mkdir(parents=True)
        (tree / "usr/share" / name / "data").write_bytes(os.urandom(size))
        (tree / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: Tests <tests@localhost>\nDescription: a demo\n")
        run(["dpkg-deb", "-b", "--root-owner-group", tree, pool / f"{name}_1.0_all.deb"], home)
    dist = server.www / "dists/stable/main/binary-all"
    dist.mkdir(parents=True)
    packages = run(["apt-ftparchive", "packages", "pool"], home, cwd=server.www)
    (dist / "Packages").write_bytes(packages)
    for arch in ("amd64", "arm64"):
        other = dist.parent / f"binary-{arch}"
        other.mkdir()
        (other / "Packages").write_bytes(packages)
    release = run(["apt-ftparchive", "-o", "APT::FTPArchive::Release::Codename=stable",
                   "-o", "APT::FTPArchive::Release::Suite=stable", "-o", "APT::FTPArchive::Release::Components=main",
                   "-o", "APT::FTPArchive::Release::Architectures=all amd64 arm64", "release", "dists/stable"], home, cwd=server.www)
    (server.www / "dists/stable/Release").write_bytes(release)
    for path in server.www.rglob("*"):
        if path.is_file():
            Nginx.age(path, OLD)


def apt(home, name, server, proxy=None):
    """apt-get update and download with folders of its own; returns what was downloaded."""
    root = home / name
    for folder in ("etc/apt", "state/lists/partial", "cache/archives/partial", "got"):
        (root / folder).mkdir(parents=True)
    (root / "status").touch()
    (root / "sources.list").write_text(f"deb [trusted=yes] {server.url('/')} stable main\n")
    (root / "apt.conf").write_text(f"""
Dir "{root}"; Dir::Etc::sourcelist "{root}/sources.list"; Dir::Etc::sourceparts "/dev/null"; Dir::Etc::parts "/dev/null";
Dir::Etc::main "/dev/null"; Dir::State "{root}/state"; Dir::State::status "{root}/status"; Dir::Cache "{root}/cache";
Dir::Log "{root}"; APT::Sandbox::User "{'root' if os.geteuid() == 0 else ''}"; Acquire::Languages "none";
Acquire::AllowInsecureRepositories "true"; {f'Acquire::http::Proxy "http://127.0.0.1:{proxy.port}";' if proxy else ''}
""")
    env = {"APT_CONFIG": str(root / "apt.conf")}
    run(["apt-get", "-q", "update"], home, env=env)
    run(["apt-get", "-q", "download", "larder-demo-a", "larder-demo-b"], home, env=env, cwd=root / "got")
    return root / "got"


def test_apt(logged, home):
    need("apt-get", "apt-ftparchive", "dpkg-deb")
    with Nginx() as server:
        archive(server, home)
        direct = apt(home, "direct", server)
        first = apt(home, "first", server, logged)
        before = len(logged.rows())
        second = apt(home, "second", server, logged)
        same_trees(direct, first)
        same_trees(direct, second)
        debs = [r for r in logged.rows()[before:] if r["url"].endswith(".deb")]
        assert len(debs) == 2 and all(r["outcome"] == "hit" for r in debs), debs


# ---- npm ----

def test_npm(logged, home):
    need("npm")
    with NpmRegistry() as registry:
        registry.add("larder-leaf", "1.0.0", {"index.js": "module.exports = 'leaf'", "blob.bin": os.urandom(200000)})
        registry.add("larder-root", "2.0.0", {"index.js": "module.exports = require('larder-leaf')"}, {"larder-leaf": "^1.0.0"})

        def install(name, proxy):
            place = home / name
            place.mkdir()
            (place / "package.json").write_text('{"name": "app", "version": "1.0.0", "dependencies": {"larder-root": "2.0.0"}}')
            flags = [f"--registry={registry.url('/')}", f"--cache={place}/cache", "--no-audit", "--no-fund", "--no-update-notifier",
                     "--fetch-retries=0"]
            if proxy:
                flags += [f"--proxy=http://127.0.0.1:{proxy.port}", "--noproxy="]
            run(["npm", "install", *flags], home, proxy, cwd=place)
            return place / "node_modules"
        direct = install("direct", None)
        first = install("first", logged)
        logged.settle()
        asked = len(registry.requests)
        second = install("second", logged)
        same_trees(direct, first)
        same_trees(direct, second)
        if all(r["method"] != "CONNECT" for r in logged.rows()):
            assert len(registry.requests) == asked, registry.requests[asked:]
        assert logged.rows(), "npm did not go through the proxy"


# ---- git ----

def test_git(logged, home):
    need("git")
    repo = home / "repos" / "demo.git"
    work = home / "work"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]
    run([*git, "init", "-q", "--bare", repo], home)
    run([*git, "init", "-q", work], home)
    for i in range(10):
        (work / f"file{i}").write_bytes(os.urandom(20000))
        run([*git, "add", "."], home, cwd=work)
        run([*git, "commit", "-q", "-m", f"c{i}"], home, cwd=work)
    run([*git, "push", "-q", repo, "main"], home, cwd=work)
    with GitServer(home / "repos") as server:
        url = server.url("/demo.git")
        run([*git, "clone", "-q", url, home / "direct"], home)
        run([*git, "clone", "-q", url, home / "proxied"], home, logged)
        assert logged.rows(), "git did not go through the proxy"
        for clone in ("direct", "proxied"):
            run([*git, "fsck", "--full", "--strict"], home, cwd=home / clone)
        heads = {run([*git, "rev-parse", "HEAD^{tree}"], home, cwd=home / c) for c in ("direct", "proxied")}
        assert len(heads) == 1
        (work / "more").write_bytes(os.urandom(2 << 20))
        run([*git, "add", "."], home, cwd=work)
        run([*git, "commit", "-q", "-m", "more"], home, cwd=work)
        run([*git, "push", "-q", url, "main"], home, logged, cwd=work)
        run([*git, "pull", "-q"], home, logged, cwd=home / "proxied")
        assert (home / "proxied/more").read_bytes() == (work / "more").read_bytes()


# ---- ccache ----

def test_ccache(larder, home):
    """ccache's remote store behind a reverse listener: PUT, GET and HEAD pass through, and nothing stale comes back."""
    need("ccache", "gcc")
    (home / "a.c").write_text("int main(void) { return 7; }\n")
    with PutStore() as store:
        d = larder(f"reverse,http://127.0.0.1:{store.port}")

        def build(name):
            env = {"CCACHE_DIR": str(home / name), "CCACHE_REMOTE_STORAGE": f"http://127.0.0.1:{d.port}/cc",
                   "CCACHE_SECONDARY_STORAGE": f"http://127.0.0.1:{d.port}/cc"}
            run(["ccache", "gcc", "-c", "a.c", "-o", f"{name}.o"], home, env=env)
            return (home / f"{name}.o").read_bytes(), run(["ccache", "--print-stats"], home, env=env).decode()
        first, _ = build("one")
        assert store.items, "nothing was put"
        second, stats = build("two")
        assert first == second
        hits = dict(line.split("\t") for line in stats.splitlines() if "\t" in line)
        assert any(int(v) for k, v in hits.items() if k.endswith("storage_hit") and not k.startswith(("local", "primary"))), stats


# ---- a browser ----

PAGE = """<!doctype html><title>larder</title><link rel=stylesheet href=style.css><script src=code.js></script>
<body><img id=i src=pixel.png><div id=out>nothing</div><script>
addEventListener('load', async () => {
  const r = await fetch('data.json'); const d = await r.json();
  const i = document.getElementById('i');
  document.getElementById('out').textContent = ['page', code(), d.word, i.naturalWidth,
      getComputedStyle(document.body).color].join('|');
});
</script>"""
PIXEL = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da"
                      "63fcffff3f030005fe02fea72d1c3a0000000049454e44ae426082")


def test_chromium(make_logged, home):
    need("chromium")
    with Nginx() as server:
        # A browser likes to call home: nothing but the test's server may be reached.
        logged = make_logged(f"http_ports={server.port}", "connect_ports=1")
        server.write("index.html", PAGE, age=OLD)
        server.write("style.css", "body { color: rgb(1, 2, 3) }", age=OLD)
        server.write("code.js", "function code() { return 'ran' }", age=OLD)
        server.write("data.json", '{"word": "fetched"}', age=OLD)
        server.write("pixel.png", PIXEL, age=OLD)

        def load(name, proxy):
            args = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update", "--disable-sync",
                    "--disable-dev-shm-usage", "--disable-default-apps", "--disable-extensions", "--no-pings",
                    f"--user-data-dir={home}/{name}", "--virtual-time-budget=10000", "--dump-dom"]
            args += [f"--proxy-server=http://127.0.0.1:{proxy.port}", "--proxy-bypass-list=<-loopback>"] if proxy else ["--no-proxy-server"]
            return run([*args, server.url("/index.html")], home)
        direct = load("direct", None)
        assert b"page|ran|fetched|" in direct and b"rgb(1, 2, 3)" in direct, direct
        assert load("first", logged) == direct
        logged.settle()
        assert load("second", logged) == direct
        mine = [r for r in logged.rows() if f":{server.port}/" in r["url"]]
        second = [r for r in mine if r["outcome"] == "hit"]
        assert {r["url"].rsplit("/", 1)[1] for r in second} >= {"index.html", "style.css", "code.js", "data.json"}, mine


def test_parallel_downloads_are_identical(logged, home):
    need("curl")
    data = {f"f{i}": os.urandom(1 << (8 + i)) for i in range(14)}
    with Nginx() as server:
        for name, content in data.items():
            server.write(name, content, age=OLD)
        for _ in range(2):
            shutil.rmtree(home / "out", ignore_errors=True)
            urls = [x for name in data for x in ("-o", f"{home}/out/{name}", server.url("/" + name))]
            run(["curl", "-sf", "--create-dirs", "--parallel", *urls], home, logged)
            for name, content in data.items():
                got = hashlib.sha256((home / "out" / name).read_bytes()).digest()
                assert got == hashlib.sha256(content).digest(), name
            logged.settle()
