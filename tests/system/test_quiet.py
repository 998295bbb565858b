"""A daemon whose connections wait for somebody else does nothing."""

import os
import socket
import time

import pytest

from harness.client import Client
from harness.message import answer
from harness.wait import until

TICK = os.sysconf("SC_CLK_TCK")


def worked(d):
    """Processor seconds of all its processes."""
    total = 0
    for pid in d.pids():
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def head(origin, path):
    """A request for the forward proxy."""
    return f"GET {origin.url(path)} HTTP/1.1\r\nHost: x\r\n\r\n"


def idle(c, origin):
    """Answered, and kept."""
    c.send(head(origin, "/a"))
    assert c.response().status == 200


def part(c, origin):
    """A head that does not go on."""
    c.send(head(origin, "/a")[:20])


def ended(c, origin):
    """Waits for an answer, with its own side ended."""
    c.send(head(origin, "/never"))
    c.sock.shutdown(socket.SHUT_WR)


def ahead(c, origin):
    """Has sent more than is read ahead while it waits for an answer."""
    c.sock.setblocking(False)
    try:
        c.send(head(origin, "/never") + head(origin, "/a") * 20000)
    except BlockingIOError:
        pass


def full(c, origin):
    """Takes nothing, with its own side ended."""
    c.send(head(origin, "/large"))
    c.sock.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("state", [idle, part, ended, ahead, full], ids=lambda f: f.__name__)
def test_waiting_connections_cost_nothing(larder, origin, state):
    def never(_, connection):
        connection.peer_gone(60)
        connection.close()

    origin.on("/a", answer("x", fields=["Cache-Control: max-age=86400"]))
    origin.on("/large", answer(b"x" * (24 << 20), fields=["Cache-Control: max-age=86400"]))
    origin.on("/never", never)
    d = larder("forward")
    d.get(origin.url("/a"))
    d.get(origin.url("/large"))
    d.settle()
    clients = [Client(d.port) for _ in range(20)]
    try:
        for c in clients:
            state(c, origin)
        until(lambda: d.stat("client.connections") >= len(clients), "all to be there")
        time.sleep(1.5)  # what is asked once, after a second, has been asked
        before = worked(d)
        time.sleep(1)
        assert worked(d) - before < 0.25
        assert d.stat("client.connections") == len(clients)
    finally:
        for c in clients:
            c.reset()
