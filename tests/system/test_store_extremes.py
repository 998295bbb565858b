"""The store at the ends of its options: tiny caps, bodies beyond the cap, no body in the index or all of them, and one
body under a thousand URLs."""

import pytest

from harness.churn import FRESH, Churn, body, mixed
from harness.message import answer, chunked
from harness.wait import until

MIB = 1 << 20


def verify(d):
    """larderctl verify --deep finds nothing."""
    r = d.ctl("verify", "--deep", store=True, timeout=300)
    assert r.returncode == 0, r.stdout + r.stderr


def files(d):
    """The body files."""
    return [p for p in (d.store / "blobs").rglob("*") if p.is_file()]


def allocated(d):
    """Blocks of everything that has a name in the store."""
    return sum(p.lstat().st_blocks * 512 for p in [d.store, *d.store.rglob("*")])


@pytest.mark.parametrize("options", [
    ["inline_max=0"],
    ["inline_max=1M"],
    ["queue_bytes=1M"],
    ["batch_records=1"],
    ["batch_bytes=64k"],
    ["open_files=16"],
    ["commit_delay=50ms"],
    ["object_max=4k"],
    ["object_max=4k", "inline_max=0"],
], ids=lambda o: ",".join(o))
@pytest.mark.parametrize("cap", ["4M", "32M"])
def test_options_at_their_ends(larder, origin, cap, options):
    d = larder("forward", size=cap, workers=2, options=["durability=none", *options])
    churn = Churn(d, origin, size=mixed(high=1000000), clients=2, again=0.3)
    churn.run(30 * MIB)
    d.settle()
    s = d.stats()
    assert s["exchange.errors"] == 0 and s["store.errors"] == 0 and s["store.corrupt"] == 0
    assert s["store.inserts"] > 0
    assert allocated(d) <= int(cap[:-1]) * MIB
    verify(d)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_larger_than_the_cap(larder, origin, framing):
    """It passes through whole. One that says its length costs nothing of what is stored."""
    data = body(1, 6 * MIB) * 3
    made = answer(data, fields=[FRESH]) if framing == "length" else answer(
        chunked([data[i:i + 50000] for i in range(0, len(data), 50000)]), fields=[FRESH, "Transfer-Encoding: chunked"],
        length=False)
    origin.on("/huge", made).on("/small", answer("x", fields=[FRESH]))
    d = larder("forward", size="8M", options=["queue_bytes=1M"])
    d.get(origin.url("/small"))
    d.settle()
    for _ in range(3):
        assert d.get(origin.url("/huge")).body == data
    d.settle()
    assert origin.count("/huge") == 3
    if framing == "length":
        assert d.get(origin.url("/small")).cache.get("hit")
    assert allocated(d) <= 8 * MIB
    verify(d)


def test_a_thousand_urls_of_one_body(larder, origin):
    """One file; it goes with the last URL."""
    data = body(1, 100000)
    origin.on("*", answer(data, fields=[FRESH]))
    d = larder("forward", workers=2)
    urls = [origin.url(f"/{i}") for i in range(1000)]
    with d.client() as c:
        for url in urls:
            assert c.get(url).body == data
    d.settle()
    assert len(files(d)) == 1 and d.stat("store.dedup") == 999
    assert d.ctl("purge", *urls[:-1]).returncode == 0
    d.settle()
    assert len(files(d)) == 1
    r = d.get(urls[-1])
    assert r.cache.get("hit") and r.body == data
    verify(d)
    assert d.ctl("purge", urls[-1]).returncode == 0
    until(lambda: not files(d), "the file to go")
    assert d.stats()["store.blobs_removed"] == 1
    verify(d)


def test_equal_bodies_in_the_index(larder, origin):
    """Each has its own: removing one leaves the others."""
    data = body(1, 5000)
    origin.on("*", answer(data, fields=[FRESH]))
    d = larder("forward")
    with d.client() as c:
        for i in range(50):
            c.get(origin.url(f"/{i}"))
        d.settle()
        assert d.ctl("purge", origin.url("/7")).returncode == 0
        for i in range(50):
            r = c.get(origin.url(f"/{i}"))
            assert r.body == data and bool(r.cache.get("hit")) == (i != 7), i
    assert not files(d)
    verify(d)
