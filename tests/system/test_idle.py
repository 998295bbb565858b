"""Thousands of idle keep-alive clients in little memory."""

import resource

import pytest

from harness.client import Client
from harness.message import answer
from harness.wait import until

CLIENTS = 5000
EACH = 8192


@pytest.mark.big
def test_idle_clients_are_cheap_and_still_work(larder, origin):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = CLIENTS + 500 if hard == resource.RLIM_INFINITY else min(CLIENTS + 500, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    count = min(CLIENTS, wanted - 500)
    assert count >= 500, "the descriptor limit of this machine is too low"
    origin.on("/a", answer("x" * 1000, fields=["Cache-Control: max-age=86400"]))
    d = larder("forward", options=["idle_timeout=1h"], workers=1)
    for _ in range(20):
        d.get(origin.url("/a"))
        d.settle()
    before = d.memory()
    clients = []
    try:
        for i in range(count):
            c = Client(d.port, source=f"127.0.0.{2 + i % 200}")
            assert c.get(origin.url("/a")).status == 200
            clients.append(c)
        until(lambda: d.stat("client.idle") >= count, "all to be idle")
        grown = d.memory() - before
        if not d.build.sanitized:
            assert grown <= count * EACH, f"{grown // count} bytes each"
        for c in clients:
            r = c.get(origin.url("/a"))
            assert r.status == 200 and len(r.body) == 1000
    finally:
        for c in clients:
            c.close()
    until(lambda: d.stat("client.connections") == 0, "all to be gone")
    assert origin.count("/a") == 1
