"""RFC 9110 §4.3, RFC 9112 §9.7, §9.8: origins that speak TLS."""

import os
import re
import shutil
import socket
import ssl
import tempfile

import pytest

from harness.daemon import Larder
from harness.fixtures import finish
from harness.origin import Origin
from harness.tls import Authority
from harness.wait import until
from way import FRESH, Way, answer, numbered


class Secure:
    """Two origins that speak TLS, one with a certificate of somebody else, and a daemon before them."""

    def __init__(self, build):
        self.folder = tempfile.mkdtemp(prefix="larder-tls-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        a = Authority(self.folder)
        self.good = Origin(tls=a.context(a.issue("good", "IP:127.0.0.1,DNS:localhost")))
        self.wrong = Origin(tls=a.context(a.issue("wrong", "DNS:other.example")))
        self.daemon = Larder(build, "forward", f"reverse,https://{self.good.authority}", f"reverse,https://{self.wrong.authority}",
                             options=["pseudonym=pantry", "origin_retry=0", f"ca_file={a.cert}", "access_log={home}/access",
                                      "access_log_format=%{url} %{error}"])
        self.daemon.start()

    def stop(self):
        """Ends all."""
        self.good.stop()
        self.wrong.stop()
        shutil.rmtree(self.folder)
        finish([self.daemon])


@pytest.fixture(scope="module")
def secure(build):
    """The daemon and the origins of this file."""
    s = Secure(build)
    yield s
    s.stop()


@pytest.fixture
def tls(secure, kind, request):
    """A way to the origin with the good certificate."""
    w = Way(kind, secure.daemon, secure.good, f"/{kind}/{request.node.name.split('[')[0]}/{request.node.name.count('chunks')}")
    w.url = lambda path="": f"https://{w.host}{w.path}{path}"
    yield w
    w.close()


def ragged(conn):
    """Ends the connection without the alert."""
    conn.kept = False
    with socket.socket(fileno=os.dup(conn.sock.fileno())) as plain:
        plain.shutdown(socket.SHUT_RDWR)


def test_fetched_and_stored(tls):
    tls.on(answer("body", fields=[FRESH]))
    _, b = tls.twice()
    assert b.body == b"body" and b.cache.get("hit") and tls.count() == 1


def test_wrong_certificate(tls, secure):
    """RFC 9110 §4.3.4"""
    w = Way(tls.kind, secure.daemon, secure.wrong, tls.path)
    w.url = lambda path="": f"https://{w.host}{w.path}{path}"
    w.port = secure.daemon.ports[0 if tls.kind == "forward" else 2]
    w.on(answer("body", fields=[FRESH]))
    r = w.ask()
    assert r.status == 502 and r.proxy["error"] == "tls_certificate_error" and w.count() == 0
    log = w.daemon.home / "access"
    until(lambda: log.exists() and re.search(re.escape(w.path) + " .*certificate", log.read_text()), "the refusal in the log")


@pytest.mark.parametrize("data", [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"], ids=["length", "chunks"])
def test_end_without_alert_after_a_whole_answer(tls, data):
    """RFC 9112 §9.8"""
    def script(req, conn):
        conn.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n" + data)
        ragged(conn)
    tls.on(script)
    a, b = tls.twice()
    assert a.body == b.body == b"abc" and b.cache.get("hit")


def test_end_without_alert_of_a_body_that_the_end_delimits(tls):
    """RFC 9112 §9.8: incomplete; not stored."""
    def script(req, conn):
        conn.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n\r\nabc")
        ragged(conn)
    tls.on(script)
    c = tls.client()
    c.send(tls.fill("GET %T HTTP/1.1\r\nHost: %H\r\nConnection: close\r\n\r\n"))
    assert b"\r\n0\r\n\r\n" not in c.rest()
    tls.settle()
    tls.on(answer("whole", fields=[FRESH]))
    assert tls.ask().body == b"whole"


def test_end_with_alert_of_a_body_that_the_end_delimits(tls):
    def script(req, conn):
        conn.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n\r\nabc")
        conn.kept = False
        try:
            conn.sock.settimeout(5)
            conn.sock.unwrap()
        except (OSError, ssl.SSLError):
            pass
    tls.on(script)
    a, b = tls.twice()
    assert a.body == b.body == b"abc" and b.cache.get("hit")


def test_larder_ends_with_an_alert(tls):
    """RFC 9112 §9.8: clients send one."""
    ends = []

    def script(req, conn):
        conn.send(answer("body", fields=[FRESH], close=True))
        conn.kept = False
        conn.sock.suppress_ragged_eofs = False
        conn.sock.settimeout(10)
        try:
            ends.append(conn.sock.recv(1))
        except ssl.SSLError as e:
            ends.append(e)
    tls.on(script)
    assert tls.ask().body == b"body"
    until(lambda: ends, "the end of the connection")
    assert ends == [b""]


# RFC 8246 §2: (name, Cache-Control, second request's, what becomes of it)
IMMUTABLE = [
    ("reload", "max-age=600, immutable", "max-age=0", "hit"), ("argument", "max-age=600, immutable=1", "max-age=0", "hit"),
    ("twice", "immutable, max-age=600, immutable", "max-age=0", "hit"), ("no-cache", "max-age=600, immutable", "no-cache", "asked"),
    ("mutable", "max-age=600", "max-age=0", "asked"),
]


@pytest.mark.parametrize("control, then, verdict", [r[1:] for r in IMMUTABLE], ids=[r[0] for r in IMMUTABLE])
def test_immutable(tls, control, then, verdict):
    tls.path += "/" + "".join(ch for ch in control + then if ch.isalnum())
    tls.on(numbered([f"Cache-Control: {control}", 'ETag: "v"']))
    assert tls.verdict((), [f"Cache-Control: {then}"]) == verdict


def test_immutable_of_uncertain_length(tls):
    """RFC 8246 §3: what the connection's end delimits may have been cut."""
    def script(req, conn):
        conn.send(b'HTTP/1.1 200 OK\r\nCache-Control: max-age=600, immutable\r\nETag: "v"\r\n\r\nabc')
        conn.kept = False
        try:
            conn.sock.settimeout(5)
            conn.sock.unwrap()
        except (OSError, ssl.SSLError):
            pass
    tls.on(script)
    tls.ask()
    tls.settle()
    tls.ask("Cache-Control: max-age=0")
    assert tls.count() == 2


def test_white_space_before_a_colon(tls):
    """RFC 9112 §5.1; but of framing nobody may see another one than larder (§11.2)."""
    tls.on(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nX-A : 1\r\nContent-Length: 4\r\n\r\nbody")
    for r in tls.twice():
        assert r.status == 200 and r.body == b"body" and r.get("X-A") == "1"
    tls.on(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length : 4\r\n\r\nbody", path="/length")
    assert tls.ask(path="/length").status == 502
