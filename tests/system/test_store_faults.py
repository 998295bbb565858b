"""What the store meets when the system refuses something: each cause shows in the log and in a counter, service goes
on without storing, no byte is wrong, and storing comes back when the cause goes."""

import errno
import mmap
import os
import signal

import pytest

from harness.churn import FRESH, Churn, body, mixed
from harness.client import Broken
from harness.fault import LINK, MEMORY, OPEN, READ, SYNC, WRITE, Fault
from harness.message import answer
from harness.wait import until

MIB = 1 << 20


@pytest.fixture
def fault(build):
    """A fault to be ordered; its environment is for the daemon."""
    f = Fault(build.sanitized)
    yield f
    f.remove()


def verify(d):
    """larderctl verify --deep finds nothing."""
    r = d.ctl("verify", "--deep", store=True, timeout=300)
    assert r.returncode == 0, r.stdout + r.stderr


def trouble(d):
    """What the store could not do, so far."""
    s = d.stats()
    return s["store.errors"] + s["store.refused_full"]


def stores_again(d, origin, churn):
    """New responses become hits."""
    def hit():
        churn.run(1)
        d.settle()
        url = origin.url(f"/{churn.next}/200000")
        d.get(url)
        d.settle()
        return d.get(url).cache.get("hit")
    until(hit, "storing to come back")


ROWS = {
    "data can't be written": (WRITE, errno.EIO, "input/output error"),
    "the disk is full": (WRITE, errno.ENOSPC, "no space left"),
    "a quota is used up": (WRITE | OPEN, errno.EDQUOT, "no space left"),
    "syncs fail": (SYNC, errno.EIO, "input/output error"),
    "no descriptors": (OPEN, errno.EMFILE, "out of file descriptors"),
    "no descriptors in the system": (OPEN, errno.ENFILE, "out of file descriptors"),
    "no links": (LINK, errno.EIO, "input/output error"),
    "read-only": (WRITE | LINK, errno.EROFS, "not permitted"),
}


@pytest.mark.parametrize("every", [1, 3], ids=["always", "now and then"])
@pytest.mark.parametrize("row", ROWS)
def test_calls_fail(larder, origin, fault, row, every):
    what, error, text = ROWS[row]
    d = larder("forward", workers=2, size="64M", env=fault.environment)
    churn = Churn(d, origin, size=mixed(high=400000), clients=2, again=0.5)
    churn.run(3 * MIB)
    d.settle()
    before = trouble(d)
    fault.order(what, error, every)
    churn.run(6 * MIB)
    until(lambda: trouble(d) > before, "a counter to show it")
    assert fault.lift() > 0
    until(lambda: text in d.said(), "a line in the log")
    stores_again(d, origin, churn)
    assert d.stat("exchange.errors") == 0
    verify(d)


def test_a_body_file_can_not_be_read(larder, origin, fault):
    """Headers may be gone already: then the answer breaks off. Nothing wrong is sent, and later it is whole."""
    d = larder("forward", env=fault.environment)
    url, data = origin.url("/1/3000000"), body(1, 3000000)
    origin.on("/1/3000000", answer(data, fields=[FRESH]))
    d.get(url)
    d.settle()
    fault.order(READ)
    for _ in range(5):
        try:
            assert d.get(url).body == data
        except Broken:
            pass
    assert fault.lift() > 0
    assert d.get(url).body == data


def descriptors(pid):
    """How many a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_worker_out_of_descriptors(larder, origin, connect):
    """Connections that are there go on; bodies that need a file are passed on without one."""
    d = larder("forward", options=["open_files=16"])
    churn = Churn(d, origin)
    worker = d.role("worker")[0]
    clients = [connect(d.port) for _ in range(4)]
    for i, c in enumerate(clients):
        assert c.get(origin.url(f"/{i}/1000")).status == 200
    d.settle()
    before = trouble(d)
    soft = d.limit(worker, "nofile", descriptors(worker))
    for i, c in enumerate(clients * 5):
        r = c.get(origin.url(f"/{100 + i}/300000"))
        assert r.status == 200 and r.body == body(100 + i, 300000)
    d.limit(worker, "nofile", soft)
    assert trouble(d) > before
    until(lambda: "out of file descriptors" in d.said(), "a line in the log")
    stores_again(d, origin, churn)
    verify(d)


def answers(d, origin, numbers, size):
    """Asks for each: whole and right, an error of larder's own, or broken off; how many were right."""
    right = 0
    for i in numbers:
        try:
            with d.client() as c:
                r = c.get(origin.url(f"/{i}/{size}"))
        except (Broken, OSError):
            continue
        if r.status == 200:
            assert r.body == body(i, size)
            right += 1
        else:
            assert r.status in (500, 502, 503), r.start
    return right


CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT)


@pytest.mark.big
@pytest.mark.parametrize("every", [7, 50, 400])
def test_allocations_fail(larder, origin, fault, build, every):
    """A worker without memory answers with an error, breaks off or ends in order; it neither crashes nor lies."""
    if build.sanitized:
        pytest.skip("sanitizers have an allocator of their own: run this with a release build")
    d = larder("forward", size="64M", env=fault.environment)
    churn = Churn(d, origin, size=mixed(high=400000), clients=2, again=0.5)
    churn.run(3 * MIB)
    worker = d.role("worker")[0]
    fault.order(MEMORY, errno.ENOMEM, every, worker)
    answers(d, origin, range(1000, 1100), 3000)
    answers(d, origin, range(2000, 2060), 200000)
    answers(d, origin, range(1000, 1100), 3000)
    assert fault.lift() > 0
    assert not [s for s in CRASHES if f"signal {s.value}" in d.said()], d.said()[-3000:]
    until(lambda: answers(d, origin, range(3000, 3010), 3000) == 10, "service to be whole again")
    stores_again(d, origin, churn)
    verify(d)


@pytest.mark.big
def test_address_space_runs_out(larder, origin, build):
    if build.sanitized:
        pytest.skip("sanitizers map more than any limit allows: run this with a release build")
    d = larder("forward", size="64M")
    churn = Churn(d, origin, size=mixed(high=400000), clients=2, again=0.5)
    churn.run(3 * MIB)
    worker = d.role("worker")[0]
    with open(f"/proc/{worker}/statm", encoding="ascii") as f:
        mapped = int(f.read().split()[0]) * mmap.PAGESIZE
    soft = d.limit(worker, "as", mapped)
    answers(d, origin, range(1000, 1100), 3000)
    answers(d, origin, range(2000, 2100), 900000)
    if worker in d.role("worker"):
        d.limit(worker, "as", soft)
    assert not [s for s in CRASHES if f"signal {s.value}" in d.said()], d.said()[-3000:]
    until(lambda: answers(d, origin, range(3000, 3010), 3000) == 10, "service to be whole again")
    stores_again(d, origin, churn)
    verify(d)
