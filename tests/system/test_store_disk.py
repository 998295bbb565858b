"""The store on a disk that is too small, fails, or is full for a while: service goes on, no byte is wrong, and
storing comes back by itself."""

import json
import os
import time

import pytest

from harness.churn import Churn, mixed
from harness.disk import Disk
from harness.wait import until

MIB = 1 << 20
# What the long run moves; the usual one takes seconds.
VOLUME = int(os.environ.get("LARDER_TEST_CHURN_MIB", "400")) * MIB


@pytest.fixture
def disk():
    """disk(bytes): a small file system. Ask for it before the daemon."""
    made = []

    def make(size):
        try:
            made.append(Disk(size))
        except OSError as e:
            pytest.skip(f"no small file system to be had: {e.strerror}")
        return made[-1]

    yield make
    for d in made:
        d.leave()


def verify(d):
    """larderctl verify --deep finds nothing."""
    r = d.ctl("verify", "--deep", store=True, timeout=300)
    assert r.returncode == 0, r.stdout + r.stderr


def daemon(larder, disk, **more):
    """A daemon whose store is on the disk."""
    d = larder("forward", start=False, **more)
    d.store = disk.path / "store"
    return d.start()


def tell(d, churn, began):
    """What a run came to, for those who look (pytest -s)."""
    s = d.stats()
    names = ("inserts", "evictions", "refused_full", "refused_queue", "errors", "corrupt")
    print(json.dumps({"asked": churn.asked, "MiB": churn.bytes >> 20, "again": churn.repeats, "hits": churn.hits,
                      "s": round(time.monotonic() - began, 1)} | {n: s[f"store.{n}"] for n in names}))


@pytest.mark.parametrize("cap", ["48M", "256M"], ids=["cap below the disk", "cap above the disk"])
@pytest.mark.parametrize("workers", [1, 2])
def test_misses_beyond_the_disk(disk, larder, origin, cap, workers):
    place = disk(64 * MIB)
    d = daemon(larder, place, size=cap, workers=workers, options=["durability=none"])
    began, churn = time.monotonic(), Churn(d, origin)
    churn.run(VOLUME)
    tell(d, churn, began)
    d.settle()
    s = d.stats()
    assert churn.hits > 0 and s["exchange.errors"] == 0 and s["store.corrupt"] == 0
    if cap == "48M":
        assert s["store.errors"] == 0 and s["store.evictions"] > 0
        assert s["store.inserts"] > churn.asked / 2
    else:
        assert s["store.errors"] + s["store.refused_full"] > 0 and "no space left" in d.said()
    verify(d)
    d.stop()
    verify(d)


def hits_again(d, origin, churn):
    """New responses become hits."""
    def hit():
        churn.run(1)
        d.settle()
        url = origin.url(f"/{churn.next}/200000")
        d.get(url)
        d.settle()
        return d.get(url).cache.get("hit")
    until(hit, "storing to come back")


@pytest.mark.parametrize("leave", [0, 100 << 10], ids=["nothing left", "a little left"])
def test_others_fill_the_disk(disk, larder, origin, leave):
    place = disk(64 * MIB)
    d = daemon(larder, place, size="48M", workers=2)
    churn = Churn(d, origin, size=mixed(high=400000), clients=2, again=0.5)
    churn.run(20 * MIB)
    d.settle()
    filler = place.fill(leave)
    churn.run(30 * MIB)
    d.settle()
    s = d.stats()
    # Whoever met the end counts it; what comes then waits for evictions, and need not be refused.
    assert s["store.disk_full"] > 0 and "is full" in d.said()
    assert s["exchange.errors"] == 0
    filler.unlink()
    hits_again(d, origin, churn)
    verify(d)


def test_starts_on_a_full_disk(disk, larder, origin):
    """What was stored is served, from as many workers as there were never before."""
    place = disk(64 * MIB)
    d = daemon(larder, place, size="32M")
    churn = Churn(d, origin, size=mixed(high=400000), clients=1, again=0)
    kept = [churn.run(1).next and f"/{churn.next}/3000" for _ in range(20)]
    for path in kept:
        d.get(origin.url(path))
    d.settle()
    d.stop()
    filler = place.fill()
    d.workers = 4
    d.start()
    asked = origin.count()
    for path in kept:
        assert d.get(origin.url(path)).cache.get("hit"), path
    assert origin.count() == asked
    churn.clients = 8
    churn.again = 0.5
    churn.run(20 * MIB)
    filler.unlink()
    hits_again(d, origin, churn)
    verify(d)
