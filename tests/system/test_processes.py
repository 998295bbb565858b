"""The command line and the pool: start, stop, reload, crashes, rights."""

import os
import re
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from harness.client import Broken, Client
from harness.daemon import NOBODY
from harness.message import answer
from harness.wait import alive, free_port, until

FRESH = "Cache-Control: max-age=600"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to drop from")

CONF = """
via = %s
store = "{home}/store"
listen "127.0.0.1:{port}" {
    kind = forward
}
"""


def run(d, *args, **more):
    """Runs the larder binary with arguments of its own."""
    return subprocess.run([d.build.larder, *args], capture_output=True, text=True, timeout=30, cwd="/",
                          env=d.environment(), **d._identity(), **more)


# ---- command line ----

def test_version(larder):
    r = run(larder("forward", start=False), "-V")
    assert r.returncode == 0 and re.search(r"larder \d+\.\d+", r.stdout)
    for library in ("curl", "lmdb", "openssl", "uv"):
        assert library in r.stdout.lower()


def test_help(larder):
    r = run(larder("forward", start=False), "-h")
    assert r.returncode == 0 and "-l" in r.stdout and "-T" in r.stdout


@pytest.mark.parametrize("args", [["-Z"], ["-l", "sideways=127.0.0.1:1"], ["-l", "reverse=127.0.0.1:1"], ["-w", "x"],
                                  ["-S", "12q"], ["-o", "nosuchoption=1"], ["-o", "novalue"], ["stray"], ["--nosuch"]],
                         ids=lambda a: " ".join(a))
def test_usage_errors(larder, args):
    r = run(larder("forward", start=False), *args, "-t")
    assert r.returncode in (1, 2) and r.stderr.startswith("larder: "), r.stderr
    assert not r.stdout


def test_check_and_print(larder):
    d = larder(start=False, conf=CONF % "off")
    d.ports = [free_port()]
    d.write_conf(d.conf_text)
    r = run(d, "-c", str(d.conf), "-t")
    assert r.returncode == 0 and "configuration OK" in r.stdout + r.stderr
    first = run(d, "-c", str(d.conf), "-T")
    assert first.returncode == 0 and re.search(r"^via\s*=\s*\"?off", first.stdout, re.M)
    d.conf.write_text(first.stdout)
    again = run(d, "-c", str(d.conf), "-T")
    assert again.stdout == first.stdout


@pytest.mark.parametrize("text, says", [
    ("via = sideways\n", "larder.conf:1"), ("\n\nnosuch = 1\n", "larder.conf:3"), ("size = \"12q\"\n", "larder.conf:1"),
    ("workers = 100000\n", "larder.conf:1"), ("listen \"x\" {\n", "larder.conf"), ("via = \"off\n", "larder.conf"),
])
def test_errors_name_file_and_line(larder, text, says):
    d = larder(start=False, conf="")
    d.conf.write_text(text)
    r = run(d, "-c", str(d.conf), "-t")
    assert r.returncode != 0 and says in r.stderr, r.stderr


def test_missing_file(larder):
    r = run(larder("forward", start=False), "-c", "/nonexistent.conf", "-t")
    assert r.returncode != 0 and "/nonexistent.conf" in r.stderr


def test_ready_is_said_once_and_alone(larder):
    d = larder("forward", workers=2)
    d.stop()
    assert d.stdout == b"larder: ready\n"


def test_without_anything_it_is_a_forward_proxy(larder, origin):
    """Neither -c nor -l: 127.0.0.1:3128 and a store under XDG_CACHE_HOME."""
    d = larder("forward", start=False)
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", 3128))
        except OSError:
            pytest.skip("port 3128 is taken on this machine")
    r = run(d, "-T")
    assert '127.0.0.1:3128' in r.stdout and "forward" in r.stdout


def test_pid_file(larder):
    d = larder("forward", options=["pid_file={home}/pid"])
    assert int((d.home / "pid").read_text()) == d.pid
    d.stop()
    assert not (d.home / "pid").exists()


def test_names_and_ipv6_listeners(larder, origin):
    origin.on("*", answer("x"))
    port = free_port()
    d = larder(f"forward=localhost:{port}", f"forward=[::1]:{free_port('::1')}")
    assert Client(port).get(origin.url("/")).status == 200
    six = int(d.listeners[1].rsplit(":", 1)[1])
    assert Client(six, host="::1").get(origin.url("/")).status == 200


# ---- a second one ----

def test_second_on_the_same_port_is_refused(larder):
    a = larder("forward")
    b = larder(f"forward=127.0.0.1:{a.port}", start=False)
    b.ports = [a.port]
    b.spawn()
    assert b.process.wait(30) == 1
    assert "in use" in b.said() and str(a.port) in b.said()
    b.process = None


def test_second_on_the_same_store_is_refused(larder):
    a = larder("forward")
    b = larder("forward", start=False)
    b.store, b.ports = a.store, [free_port()]
    b.spawn()
    assert b.process.wait(30) == 1
    assert "store" in b.said()
    b.process = None


def test_port_taken_by_somebody_else(larder):
    with socket.create_server(("127.0.0.1", 0)) as s:
        d = larder(f"forward=127.0.0.1:{s.getsockname()[1]}", start=False)
        d.ports = [0]
        d.spawn()
        assert d.process.wait(30) == 1 and "in use" in d.said()
        d.process = None


# ---- stopping ----

@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_drain_finishes_what_runs(larder, origin, connect, sig):
    gate = threading.Event()

    def slow(req, conn):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nCache-Control: no-store\r\n\r\nabc")
        gate.wait(20)
        conn.send(b"def")
    origin.on("/slow", slow)
    d = larder("forward", workers=2, options=["accept_defer=0"])
    idle = connect(d.port)
    c = connect(d.port)
    c.send(c.compose("GET", origin.url("/slow")))
    c.head()
    assert c.exactly(3) == b"abc"
    d.process.send_signal(sig)
    assert idle.closed()

    def refused():
        with socket.socket() as s:
            s.settimeout(1)
            return s.connect_ex(("127.0.0.1", d.port)) != 0
    assert d.process.poll() is None
    gate.set()
    assert c.exactly(3) == b"def" and c.closed()
    assert d.process.wait(20) == 0
    assert refused()


def test_drain_is_bounded(larder, origin, connect):
    origin.on("/slow", lambda q, c: c.peer_gone(30) and None)
    d = larder("forward", options=["drain_timeout=500ms"])
    c = connect(d.port)
    c.send(c.compose("GET", origin.url("/slow")))
    origin.wait(1)
    d.process.send_signal(signal.SIGTERM)
    assert d.process.wait(15) == 0


def test_drain_says_close(larder, origin, connect):
    gate = threading.Event()
    origin.on("/slow", lambda q, c: gate.wait(20) and answer("x", fields=["Cache-Control: no-store"]))
    d = larder("forward", options=["accept_defer=0"])
    c = connect(d.port)
    idle = connect(d.port)
    c.send(c.compose("GET", origin.url("/slow")))
    origin.wait(1)
    d.process.send_signal(signal.SIGTERM)
    assert idle.closed()
    gate.set()
    r = c.response()
    assert r.body == b"x" and r.get("Connection", "").lower() == "close" and c.closed()


def test_tunnels_are_cut_when_draining_takes_too_long(larder, connect):
    d = larder("forward", options=["connect_ports=all", "drain_timeout=500ms"])
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        c = connect(d.port)
        c.send(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")
        assert c.response("CONNECT").status == 200
        d.process.send_signal(signal.SIGTERM)
        assert d.process.wait(15) == 0


# ---- reload ----

def test_reload_takes_effect_without_losing_anything(larder, origin, connect):
    gate = threading.Event()

    def slow(req, conn):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nCache-Control: no-store\r\n\r\nabc")
        gate.wait(30)
        conn.send(b"def")
    origin.on("/slow", slow)
    origin.on("*", answer("x", fields=["Cache-Control: no-store"]))
    d = larder(conf=CONF % "both", workers=2)
    c = connect(d.port)
    c.send(c.compose("GET", origin.url("/slow")))
    c.head()
    assert d.get(origin.url("/")).has("Via")
    d.write_conf(CONF % "off")
    failures, stop = [], threading.Event()

    def hammer():
        while not stop.is_set():
            try:
                if d.get(origin.url("/")).status != 200:
                    failures.append("status")
            except (Broken, OSError) as e:
                failures.append(repr(e))
    t = threading.Thread(target=hammer)
    t.start()
    d.process.send_signal(signal.SIGHUP)
    until(lambda: d.stat("main.reloads") == 1, "the reload")
    until(lambda: all(not d.get(origin.url("/")).has("Via") for _ in range(10)), "the new configuration")
    stop.set()
    t.join()
    assert not failures, failures[:3]
    gate.set()
    assert c.exactly(6) == b"abcdef"


def test_reload_with_an_error_keeps_the_old(larder, origin):
    origin.on("*", answer("x", fields=["Cache-Control: no-store"]))
    d = larder(conf=CONF % "both")
    workers = set(d.pids())
    d.conf.write_text("via = sideways\n")
    d.process.send_signal(signal.SIGHUP)
    until(lambda: d.stat("main.reload_errors") == 1, "the refusal")
    assert "larder.conf:1" in d.said()
    assert d.get(origin.url("/")).has("Via") and set(d.pids()) == workers


def test_reload_by_larderctl(larder, origin):
    d = larder(conf=CONF % "both")
    d.write_conf(CONF % "off")
    assert d.ctl("reload").returncode == 0
    until(lambda: d.stat("main.reloads") == 1, "the reload")


def test_reload_keeps_the_store(larder, origin):
    origin.on("/a", answer("x", fields=[FRESH]))
    d = larder(conf=CONF % "both")
    d.get(origin.url("/a"))
    d.settle()
    d.process.send_signal(signal.SIGHUP)
    until(lambda: d.stat("main.reloads") == 1, "the reload")
    assert d.get(origin.url("/a")).cache.get("hit")


def test_reload_adds_and_removes_listeners(larder, origin):
    origin.on("*", answer("x"))
    d = larder(conf=CONF % "both")
    more = free_port()
    d.write_conf(CONF % "both" + f'listen "127.0.0.1:{more}" {{\n kind = forward\n}}\n')
    d.process.send_signal(signal.SIGHUP)

    def there():
        try:
            return Client(more).get(origin.url("/")).status == 200
        except (OSError, Broken):
            return False
    until(there, "the new listener")
    d.write_conf(CONF % "both")
    d.process.send_signal(signal.SIGHUP)
    until(lambda: not there(), "the listener to go")
    assert d.get(origin.url("/")).status == 200


# ---- crashes ----

def test_killed_worker_is_replaced(larder, origin):
    origin.on("/a", answer("x", fields=[FRESH]))
    d = larder("forward", workers=2)
    d.get(origin.url("/a"))
    d.settle()
    for _ in range(3):
        before = set(d.pids())
        victim = d.role("worker")[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(set(d.pids()) - {victim}) == len(before), "the replacement")

        def works():
            try:
                return d.get(origin.url("/a")).cache.get("hit")
            except (OSError, Broken):
                return False
        until(lambda: all(works() for _ in range(8)), "all workers to serve")
    assert d.stat("main.crashes") == 3
    assert d.ctl("verify", store=True).returncode == 0


def test_killed_keeper_is_replaced(larder, origin):
    origin.on("/a", answer("x", fields=[FRESH]))
    d = larder("forward")
    victim = d.role("keeper")[0]
    os.kill(victim, signal.SIGKILL)

    def answers():
        try:
            return d.stat("main.crashes") == 1
        except AssertionError:
            return False
    until(answers, "the new keeper")
    assert d.get(origin.url("/a")).status == 200


def test_killed_master_takes_all_along_and_a_new_one_starts(larder, origin):
    origin.on("/a", answer("x", fields=[FRESH]))
    d = larder("forward", workers=2)
    d.get(origin.url("/a"))
    d.settle()
    d.kill()
    d.start()
    assert d.get(origin.url("/a")).cache.get("hit")


def test_stopped_worker_does_not_stop_the_end(larder):
    d = larder("forward", workers=2, options=["drain_timeout=500ms"])
    victim = d.role("worker")[0]
    os.kill(victim, signal.SIGSTOP)
    d.process.send_signal(signal.SIGTERM)
    try:
        d.process.wait(30)
    finally:
        if alive(victim):
            os.kill(victim, signal.SIGKILL)
    assert not alive(victim)
    d.process = None


# ---- rights ----

@AS_ROOT
def test_children_have_no_rights(larder, origin):
    origin.on("*", answer("x", fields=[FRESH]))
    d = larder("forward", as_root=True, workers=2, options=["user=nobody"])
    assert d.get(origin.url("/")).status == 200
    assert len(d.pids()) == 3
    for pid in d.pids():
        text = Path(f"/proc/{pid}/status").read_text()
        assert re.search(rf"^Uid:\s+{NOBODY}\s+{NOBODY}\s+{NOBODY}\s+{NOBODY}$", text, re.M), text
        assert re.search(r"^NoNewPrivs:\s+1$", text, re.M)
        for kind in ("CapEff", "CapPrm", "CapInh"):
            assert re.search(rf"^{kind}:\s+0+$", text, re.M), kind
        groups = re.search(r"^Groups:(.*)$", text, re.M).group(1).split()
        assert set(groups) <= {str(NOBODY)}
        assert not re.search(rf"^Gid:.*\b0\b", text, re.M)


@AS_ROOT
def test_store_belongs_to_the_user(larder):
    d = larder("forward", as_root=True, options=["user=nobody"])
    info = os.stat(d.store)
    assert info.st_uid == NOBODY and info.st_mode & 0o077 == 0


@AS_ROOT
def test_control_socket_is_closed_to_others(larder):
    d = larder("forward", as_root=True, options=["user=nobody"])
    assert os.stat(d.control).st_mode & 0o077 == 0
    assert d.ctl("stats").returncode == 0


@AS_ROOT
def test_unknown_user_is_refused(larder):
    d = larder("forward", as_root=True, start=False, options=["user=no-such-user"])
    d.ports = [free_port()]
    d.spawn()
    assert d.process.wait(30) in (1, 2) and "no-such-user" in d.said()
    d.process = None


def test_every_worker_accepts(larder, origin):
    origin.on("/a", answer("x", fields=[FRESH]))
    d = larder("forward", workers=3)
    assert len(d.role("worker")) == 3 and len(d.role("keeper")) == 1
    for _ in range(40):
        assert d.get(origin.url("/a")).status == 200
    assert d.stat("main.workers") == 3


# ---- larderctl ----

def test_ctl_status_version_help(larder):
    d = larder("forward")
    assert str(d.port) in d.status()
    assert re.search(r"\d+\.\d+", d.ctl("version").stdout)
    assert d.ctl("stats").stdout.count("\n") > 50


def test_ctl_without_a_daemon(larder):
    d = larder("forward")
    d.stop()
    r = d.ctl("stats")
    assert r.returncode != 0 and r.stderr.startswith("larderctl: ")


@pytest.mark.parametrize("args", [[], ["nonsense"], ["--nosuch"], ["purge"]], ids=str)
def test_ctl_usage_errors(larder, args):
    d = larder("forward", start=False)
    r = d.ctl(*args)
    assert r.returncode != 0 and "larderctl" in r.stderr
