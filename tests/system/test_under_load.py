"""Reloads, deaths and the end of the daemon while wrk keeps it busy."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

from harness.client import Broken, Client
from harness.message import answer
from harness.wait import until

pytestmark = pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")


class Load:
    """wrk at work on one URL."""

    def __init__(self, port, seconds):
        self.process = subprocess.Popen(["wrk", "-t1", "-c16", f"-d{seconds}s", f"http://127.0.0.1:{port}/x"],
                                        stdout=subprocess.PIPE, text=True)

    def result(self):
        """(requests, failed reads, answers that were no 2xx) once it has ended."""
        out = self.process.communicate()[0]
        requests = re.search(r"(\d+) requests in", out)
        reads = re.search(r"Socket errors: connect \d+, read (\d+)", out)
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        assert requests, out
        return int(requests[1]), int(reads[1]) if reads else 0, int(refused[1]) if refused else 0


@pytest.fixture
def site(larder, origin):
    """A reverse proxy of two workers with /x in its store."""
    origin.on("/x", answer("x" * 1024, fields=["Cache-Control: max-age=600"]))
    # As root, for then the kernel lets nobody in any more before the sockets are closed.
    d = larder("reverse," + origin.url(""), workers=2, as_root=True, options=["user=nobody"])
    assert d.get("/x", host=f"127.0.0.1:{d.port}").status == 200
    d.settle()
    return d


def busy(d):
    """Waits until wrk's requests come in."""
    before = d.stat("client.requests")
    until(lambda: d.stat("client.requests") > before + 100, "requests")


def test_reloads_fail_no_request(site):
    load = Load(site.port, 4)
    busy(site)
    for _ in range(4):
        before = site.stat("main.reloads")
        site.process.send_signal(signal.SIGHUP)
        until(lambda: site.stat("main.reloads") > before, "the reload")
        busy(site)
    requests, reads, refused = load.result()
    assert requests > 100 and (reads, refused) == (0, 0)


def test_killed_workers_cost_only_their_connections(site):
    load = Load(site.port, 4)
    for _ in range(3):
        busy(site)
        victim = site.role("worker")[0]
        subprocess.run(["kill", "-9", str(victim)], check=True)
        began = time.monotonic()
        r = site.get("/x", host=f"127.0.0.1:{site.port}")
        assert r.status == 200 and time.monotonic() - began < (10 if site.build.sanitized else 1)
        until(lambda: len(site.role("worker")) == 2, "another worker")
    requests, reads, refused = load.result()
    assert requests > 100 and reads <= 3 * 16 and refused == 0
    run = site.ctl("verify", store=True)
    assert run.returncode == 0, run.stdout


def ask_until_the_end(port, lost):
    """Requests on kept connections and new ones until nobody listens; what was sent and not answered goes to `lost`."""
    while True:
        try:
            c = Client(port, timeout=5)
        except OSError:
            return
        with c:
            for _ in range(50):
                try:
                    r = c.request("GET", "/x", host=f"127.0.0.1:{port}")
                except (Broken, OSError) as e:
                    lost.append(repr(e))
                    break
                if r.get("Connection") == "close":
                    break


@pytest.mark.skipif(os.geteuid() != 0, reason="only root keeps new connections away from a socket that is closed")
def test_the_end_answers_what_was_asked(site):
    """wrk cannot tell a refused connection from a broken one."""
    lost = []
    threads = [threading.Thread(target=ask_until_the_end, args=(site.port, lost)) for _ in range(8)]
    for t in threads:
        t.start()
    busy(site)
    site.stop()
    for t in threads:
        t.join()
    assert not lost
