"""Bandwidth limits: of a client's connection, and of a fetch."""

import time

import pytest

from harness.message import answer

FRESH = "Cache-Control: max-age=600"


def timed(function):
    """What it returns, and the seconds that it took."""
    began = time.monotonic()
    return function(), time.monotonic() - began


@pytest.mark.parametrize("stored", [True, False], ids=["hit", "miss"])
@pytest.mark.parametrize("field", [FRESH, "Cache-Control: private"], ids=["shared", "private"])
def test_client_rate(larder, origin, stored, field):
    """A large body takes its time; others have theirs at the same time."""
    body = b"x" * 400_000
    origin.on("/a", answer(body, fields=[field]))
    d = larder("forward", options=["client_rate=400k"])
    if stored:
        d.get(origin.url("/a"))
        d.settle()
    clients = [d.client() for _ in range(3)]

    def all_of_them():
        for c in clients:
            c.send(c.compose("GET", origin.url("/a"), ()))
        return [c.response().body for c in clients]
    bodies, took = timed(all_of_them)
    assert bodies == [body] * 3
    assert 0.7 < took < 10
    for c in clients:
        c.close()


def test_small_answers_count_too(larder, origin):
    """Many small answers over one connection are limited as one large one is."""
    origin.on("/s", answer(b"s" * 20_000, fields=[FRESH]))
    d = larder("forward", options=["client_rate=200k"])
    d.get(origin.url("/s"))
    d.settle()
    with d.client() as c:
        bodies, took = timed(lambda: [c.get(origin.url("/s")).body for _ in range(12)])
    assert bodies == [b"s" * 20_000] * 12
    assert took > 0.8


def test_fetch_rate(larder, origin):
    """A fetch takes its time, however many follow it; what is stored does not."""
    body = b"y" * 500_000
    origin.on("/f", answer(body, fields=[FRESH]))
    d = larder("forward", workers=2, options=["fetch_rate=500k"])
    clients = [d.client() for _ in range(6)]

    def all_of_them():
        for c in clients:
            c.send(c.compose("GET", origin.url("/f"), ()))
        return [c.response().body for c in clients]
    bodies, took = timed(all_of_them)
    assert bodies == [body] * 6 and origin.count("/f") == 1
    assert took > 0.7
    d.settle()
    _, again = timed(lambda: d.get(origin.url("/f")))
    assert again < took
    for c in clients:
        c.close()


def test_a_client_that_leaves_while_it_waits(larder, origin):
    origin.on("/a", answer(b"x" * 400_000, fields=[FRESH]))
    d = larder("forward", options=["client_rate=10k", "fetch_rate=50k", "finish=always"])
    for _ in range(4):
        c = d.client()
        c.send(c.compose("GET", origin.url("/a"), ()))
        assert c.head().status == 200
        c.reset()
