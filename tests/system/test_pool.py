"""The pool under way: nothing is lost when workers come and go; sockets and notes of a service manager."""

import os
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager

from harness.client import Broken
from harness.message import answer
from harness.wait import until

SELF_AWARE = ("import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.environ['LISTEN_FDS'] = '1'; "
              "os.execv(sys.argv[1], sys.argv[1:])")


@contextmanager
def hammered(d, url, clients=4):
    """Asks again and again on fresh connections meanwhile; yields the failures so far."""
    failures, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                r = d.get(url)
                if r.status != 200:
                    failures.append(r.status)
            except (Broken, OSError) as e:
                failures.append(repr(e))
    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for t in threads:
        t.start()
    try:
        yield failures
    finally:
        stop.set()
        for t in threads:
            t.join()


def test_worker_told_to_end_is_replaced_without_loss(larder, origin):
    origin.on("*", answer("x", fields=["Cache-Control: max-age=600"]))
    d = larder("forward", workers=2)
    with hammered(d, origin.url("/a")) as failures:
        for _ in range(4):
            victims = set(d.role("worker"))
            os.kill(min(victims), signal.SIGTERM)
            until(lambda: min(victims) not in d.pids() and len(d.role("worker")) == 2, "the replacement")
    assert not failures, failures[:3]
    assert d.stat("main.crashes") == 0


def test_reloads_in_a_row_lose_nothing(larder, origin):
    origin.on("*", answer("x", fields=["Cache-Control: max-age=600"]))
    d = larder("forward", workers=2)
    with hammered(d, origin.url("/a")) as failures:
        for _ in range(5):
            assert d.ctl("reload").returncode == 0
    assert not failures, failures[:3]
    assert d.stat("main.reloads") == 5


def test_siblings_cover_for_a_worker_that_keeps_dying(larder, origin):
    origin.on("*", answer("x", fields=["Cache-Control: max-age=600"]))
    d = larder("forward", workers=2)
    for death in range(1, 7):
        victim = next(int(line.split("pid ")[1].split(",")[0]) for line in d.status().splitlines()
                      if line.startswith("worker 0"))
        os.kill(victim, signal.SIGKILL)
        until(lambda: d.stat("main.crashes") == death, "the death to be noticed")
        if death == 6:
            break
        until(lambda: "worker 0" in d.status(), "the replacement")
    # Now it is away for the better part of a second; its socket still gets its share of connections.
    answered = 0
    while "worker 0" not in d.status():
        for _ in range(8):
            assert d.client(timeout=5).get(origin.url("/a")).status == 200
            answered += 1
    assert answered >= 8 and "keeps dying" in d.said()


def test_socket_activation_and_notification(larder, origin):
    origin.on("*", answer("x"))
    d = larder("forward", start=False, workers=2)
    with socket.create_server(("127.0.0.1", 0)) as given, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notes:
        notes.bind(str(d.home / "notify"))
        os.chmod(d.home / "notify", 0o777)
        notes.settimeout(20)
        d.ports = [given.getsockname()[1]]

        def hand_over():
            os.dup2(given.fileno(), 3)
            os.set_inheritable(3, True)
        process = subprocess.Popen(["/usr/bin/python3", "-c", SELF_AWARE, *d.command()], close_fds=False,
                                   preexec_fn=hand_over, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
                                   env={**d.environment(), "NOTIFY_SOCKET": str(d.home / "notify")}, **d._identity())
        try:
            assert f"MAINPID={process.pid}" in notes.recv(1000).decode().split("\n")
            assert process.stdout.readline() == b"larder: ready\n"
            for _ in range(6):
                assert d.get(origin.url("/")).status == 200
            process.send_signal(signal.SIGHUP)
            assert notes.recv(1000).startswith(b"RELOADING=1")
            assert notes.recv(1000).startswith(b"READY=1")
            assert d.get(origin.url("/")).status == 200
            process.send_signal(signal.SIGTERM)
            assert notes.recv(1000) == b"STOPPING=1"
            assert process.wait(30) == 0, process.stderr.read()
            # The socket is still the manager's: who connects now waits for the next larder.
            with socket.create_connection(given.getsockname(), 5):
                pass
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
