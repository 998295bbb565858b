"""https origins: verified, pooled, HTTP/2."""

import os
import shutil
import socket
import tempfile
import threading

import pytest

from harness.message import answer
from harness.servers import Nginx
from harness.tls import Authority
from harness.wait import until

FRESH = "Cache-Control: max-age=600"


@pytest.fixture(scope="module")
def authority():
    """One CA for the file, readable for the daemon's user."""
    folder = tempfile.mkdtemp(prefix="larder-tls-", dir="/tmp")
    os.chmod(folder, 0o755)
    yield Authority(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pair(authority):
    """A good certificate for loopback."""
    return authority.issue("good", "IP:127.0.0.1,DNS:localhost")


@pytest.fixture(scope="module")
def trusting(shared_larder, authority):
    """A proxy that trusts the CA."""
    return shared_larder("forward", options=[f"ca_file={authority.cert}"])


def test_fetch_and_store(trusting, origins, pair):
    o = origins(tls=Authority.context(pair))
    o.on("/a", answer("secret", fields=[FRESH]))
    r = trusting.get(o.url("/a"))
    assert r.status == 200 and r.body == b"secret"
    trusting.settle()
    assert trusting.get(o.url("/a")).cache.get("hit") and o.count("/a") == 1


def test_schemes_are_kept_apart(trusting, origins, pair):
    o = origins(tls=Authority.context(pair))
    o.on("/a", answer("secret", fields=[FRESH]))
    trusting.get(o.url("/a"))
    trusting.settle()
    r = trusting.get(f"http://{o.authority}/a")
    assert not r.cache.get("hit") and r.body != b"secret"


def test_connections_are_pooled(trusting, origins, pair):
    o = origins(tls=Authority.context(pair))
    o.on("*", answer("x", fields=["Cache-Control: no-store"]))
    with trusting.client() as c:
        for i in range(10):
            assert c.get(o.url(f"/{i}")).status == 200
    assert o.connections == 1


def test_reverse_to_https(larder, origins, authority, pair):
    o = origins(tls=Authority.context(pair))
    o.on("*", answer("x", fields=[FRESH]))
    d = larder(f"reverse,https://{o.authority}", options=[f"ca_file={authority.cert}"])
    assert d.get("/a", host="www.example").body == b"x"
    d.settle()
    assert d.get("/a", host="www.example").cache.get("hit")
    assert o.last().get("Host") == "www.example"


def refused(r):
    """A TLS failure that says so."""
    assert r.status == 502 and r.proxy["error"].startswith("tls_"), r.raw


def test_unknown_authority(larder, origins, pair):
    o = origins(tls=Authority.context(pair))
    refused(larder("forward").get(o.url("/")))
    assert o.count() == 0


def test_wrong_name(trusting, origins, authority):
    o = origins(tls=Authority.context(authority.issue("other", "DNS:other.example")))
    refused(trusting.get(o.url("/")))
    assert o.count() == 0


def test_plain_server_behind_https(trusting):
    with socket.create_server(("127.0.0.1", 0)) as server:
        def greet():
            sock, _ = server.accept()
            with sock:
                sock.sendall(b"220 this is not TLS\r\n")
                sock.settimeout(5)
                try:
                    while sock.recv(4096):
                        pass
                except OSError:
                    pass
        thread = threading.Thread(target=greet)
        thread.start()
        refused(trusting.get(f"https://127.0.0.1:{server.getsockname()[1]}/"))
        thread.join(10)


def test_verification_off(larder, origins, pair):
    o = origins(tls=Authority.context(pair))
    o.on("/", answer("x", fields=["Cache-Control: no-store"]))
    assert larder("forward", options=["tls_verify=no"]).get(o.url("/")).status == 200


def test_truncated_body_over_tls(trusting, origins, pair):
    o = origins(tls=Authority.context(pair))

    def cut(req, conn):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nCache-Control: max-age=600\r\n\r\nabc")
        conn.reset()
    o.on("/t", [cut, answer("whole", fields=[FRESH])])
    with trusting.client() as c:
        c.send(c.compose("GET", o.url("/t")))
        c.head()
        assert c.rest() in (b"abc", b"")
    trusting.settle()
    assert trusting.get(o.url("/t")).body == b"whole"


@pytest.mark.parametrize("offered", ["yes", "no"])
def test_http2_origin(larder, authority, pair, offered):
    body = bytes(range(256)) * 2000
    with Nginx(tls=pair, http2=True) as server:
        server.write("a.bin", body, age=86400 * 100)
        d = larder("forward", options=[f"ca_file={authority.cert}", f"origin_http2={offered}"])
        r = d.get(server.url("/a.bin"))
        assert r.status == 200 and r.body == body
        d.settle()
        r = d.get(server.url("/a.bin"))
        assert r.cache.get("hit") and r.body == body
        with d.client() as c:
            assert c.get(server.url("/missing")).status == 404
            r = c.get(server.url("/a.bin"), "Cache-Control: no-cache")
            assert r.body == body
        wanted = "HTTP/2.0" if offered == "yes" else "HTTP/1.1"
        assert {line.split()[0] for line in server.access()} == {wanted}


def test_queue_of_an_https_origin(larder, origins, authority, pair):
    """origin_queue: so many wait for a connection to it, the rest gets 503 with Retry-After (RFC 9209 2.3.12)."""
    o, gate = origins(tls=Authority.context(pair)), threading.Event()

    def slow(req, conn):
        gate.wait(20)
        return answer(b"q", fields=["Cache-Control: no-store"])
    o.on("*", slow)
    d = larder("forward", options=[f"ca_file={authority.cert}", "origin_host_connections=1", "origin_queue=1"])
    first = d.client()
    first.send(first.compose("GET", o.url("/0")))
    o.wait(1)
    others = [d.client() for _ in range(6)]
    for n, c in enumerate(others):
        c.send(c.compose("GET", o.url(f"/{n + 1}")))
    until(lambda: d.stat("origin.errors_queue") == 4, "four to be refused")
    gate.set()
    answers = [c.response() for c in [first, *others]]
    assert sorted(r.status for r in answers) == [200] * 3 + [503] * 4
    for r in answers:
        if r.status == 503:
            assert r.get("Retry-After") and r.proxy["error"] == "connection_limit_reached"
    assert d.stat("origin.waiting") == 0
    for c in [first, *others]:
        c.close()


def test_connections_that_die_when_used_again(trusting, origins, pair):
    """However many did so before, a request that may be repeated goes to a new one (RFC 9112 §9.3.1)."""
    used = set()

    def script(req, conn):
        if conn.number in used:
            conn.reset()
            return None
        used.add(conn.number)
        return answer(req.path, fields=["Cache-Control: no-store"])
    o = origins(tls=Authority.context(pair)).on("*", script)
    for i in range(24):
        r = trusting.get(o.url(f"/{i}"))
        assert r.status == 200 and r.body == b"/%d" % i, r.raw
    assert o.count() > 36, "few were used again"
