"""The store on disk: what survives, what it may cost, and memory while gigabytes pass."""

import ctypes
import mmap
import os
import random
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from harness.client import Broken, Client
from harness.message import answer
from harness.origin import raw_script
from harness.wait import free_port, until

FRESH = "Cache-Control: max-age=86400"


def body(i, size):
    """A body that nobody else has."""
    seed = b"%d:" % i
    return (seed * (size // len(seed) + 1))[:size]


def disk_usage(path):
    """Bytes of blocks allocated below a folder."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.stat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def verify(d):
    """larderctl verify --deep finds nothing."""
    r = d.ctl("verify", "--deep", store=True)
    assert r.returncode == 0, r.stdout + r.stderr


def chill(file):
    """Takes the file out of the page cache, as far as the kernel will. Was it more than half of it?"""
    os.fsync(file.fileno())
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as m:
        pages = (ctypes.c_ubyte * -(-len(m) // mmap.PAGESIZE))()
        start = ctypes.c_char.from_buffer(m)
        at, n = ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(len(m))
        assert ctypes.CDLL(None).mincore(at, n, pages) == 0
        del start
    return sum(p & 1 for p in pages) * 2 < len(pages)


@pytest.mark.parametrize("size", [1000, 60000, 3 << 20])
@pytest.mark.parametrize("way", ["map", "sendfile"])
def test_after_a_restart_the_loop_does_not_read(larder, origin, size, way):
    origin.on("/x", answer(b"x" * size, fields=[FRESH, "Vary: Accept"]))
    d = larder("forward", options=[f"send_files={way}"])
    d.get(origin.url("/x"))
    # More than what is read ahead of the index's first pages.
    for i in range(60):
        origin.on(f"/{i}", answer(body(i, 60000), fields=[FRESH]))
        d.get(origin.url(f"/{i}"))
    d.settle()
    d.stop()
    cold = {}
    for file in d.store.rglob("*"):
        if file.is_file():
            with open(file, "rb") as f:
                cold[file.name] = os.stat(file).st_size and chill(f)
    d.start()
    for _ in range(2):
        r = d.get(origin.url("/x"))
        assert r.body == b"x" * size and r.cache.get("hit")
    # Marker and variant, at the first time; what was asked for lately is in memory. A file system that is nothing
    # but memory has nothing cold.
    if cold["data.mdb"]:
        assert d.stat("store.cold_lookups") == 2
    assert origin.count("/x") == 1


def test_a_start_with_a_warm_index_asks_no_thread(larder, origin):
    origin.on("/x", answer(b"x" * 1000, fields=[FRESH]))
    d = larder("forward")
    d.get(origin.url("/x"))
    d.settle()
    d.stop()
    d.start()
    assert d.get(origin.url("/x")).cache.get("hit")
    d.get(origin.url("/none"))
    assert d.stat("store.cold_lookups") == 0


@pytest.mark.parametrize("cut", ["last bytes", "half"])
@pytest.mark.parametrize("way", ["map", "sendfile"])
def test_body_files_cut_under_readers_break_the_transfer(larder, origin, way, cut):
    sent = random.Random(5).randbytes((12 << 20) + 100)
    origin.on("/x", answer(sent, fields=[FRESH]))
    d = larder("forward", options=[f"send_files={way}"])
    d.get(origin.url("/x"))
    d.settle()
    pids = d.pids()
    with Client(d.port) as slow:
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.send(f"GET {origin.url('/x')} HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: d.stat("store.hits") >= 1, "the hit")
        file, = [p for p in (d.store / "blobs").rglob("*") if p.is_file()]
        os.truncate(file, len(sent) - 50 if cut == "last bytes" else len(sent) // 2)
        got = b""
        while data := slow.sock.recv(1 << 20):
            got += data
    body = got.split(b"\r\n\r\n", 1)[1]
    assert len(body) < len(sent)
    assert body[:len(sent) // 4] == sent[:len(sent) // 4]
    # What is left of a piece that was on its way when the file was cut may be the zeros of its last page.
    assert len(os.path.commonprefix([body, sent])) >= len(body) - 4096
    # No process died of it, and whoever asks again is not told less.
    assert d.pids() == pids
    assert d.get(origin.url("/y")).status in (200, 404)


def test_stored_things_survive_a_restart(larder, origin):
    sizes = {"/small": 100, "/inline": 60000, "/blob": 70000, "/large": 5 << 20, "/empty": 0}
    for i, (path, size) in enumerate(sizes.items()):
        origin.on(path, answer(body(i, size), fields=[FRESH, 'ETag: "x"']))
    origin.on("/vary", lambda q, c: answer(q.get("X-A", ""), fields=[FRESH, "Vary: X-A"]))
    d = larder("forward")
    for path in sizes:
        d.get(origin.url(path))
    for v in "12":
        d.get(origin.url("/vary"), f"X-A: {v}")
        d.settle()
    asked = origin.count()
    d.stop()
    d.start()
    for i, (path, size) in enumerate(sizes.items()):
        r = d.get(origin.url(path))
        assert r.cache.get("hit") and r.body == body(i, size), path
    for v in "12":
        assert d.get(origin.url("/vary"), f"X-A: {v}").body == v.encode()
    assert origin.count() == asked
    verify(d)


def test_equal_bodies_share_a_file(larder, origin):
    origin.on("*", answer(body(1, 1 << 20), fields=[FRESH]))
    d = larder("forward")
    for i in range(10):
        d.get(origin.url(f"/{i}"))
    d.settle()
    files = [p for p in (d.store / "blobs").rglob("*") if p.is_file()]
    assert len(files) == 1 and d.stat("store.dedup") == 9
    verify(d)


def test_purge(larder, origin):
    origin.on("*", answer("x", fields=[FRESH]))
    d = larder("forward")
    for path in ("/a", "/b"):
        d.get(origin.url(path))
    d.settle()
    assert d.ctl("purge", origin.url("/a")).returncode == 0
    assert not d.get(origin.url("/a")).cache.get("hit")
    assert d.get(origin.url("/b")).cache.get("hit")


def test_purge_without_a_daemon(larder, origin):
    origin.on("*", answer("x", fields=[FRESH]))
    d = larder("forward")
    d.get(origin.url("/a"))
    d.settle()
    d.stop()
    r = d.ctl("purge", origin.url("/a"), store=True)
    assert r.returncode == 0, r.stderr
    d.start()
    assert not d.get(origin.url("/a")).cache.get("hit")


def test_usage(larder, origin):
    import json
    origin.on("*", answer(body(1, 1 << 20), fields=[FRESH]))
    d = larder("forward")
    d.get(origin.url("/a"))
    d.settle()
    r = d.ctl("usage", "--json", store=True)
    assert r.returncode == 0, r.stderr
    usage = json.loads(r.stdout)
    assert usage["records"] == 1 and usage["blobs"] == 1 and 1 << 20 <= usage["allocated"] <= usage["cap"]


@pytest.mark.parametrize("size", [3000, 200000], ids=["small", "large"])
def test_cap_is_hard(larder, origin, size):
    cap = 16 << 20
    d = larder("forward", size="16M", options=["durability=none"])
    origin.on("*", lambda q, c: answer(body(int(q.path[1:]), size), fields=[FRESH]))
    count = 3 * cap // size if size > 10000 else 8000
    peak = 0
    with d.client() as c:
        for i in range(count):
            assert c.get(origin.url(f"/{i}")).body == body(i, size)
            if i % 50 == 0:
                peak = max(peak, disk_usage(d.store))
    d.settle()
    peak = max(peak, disk_usage(d.store))
    assert peak <= cap + (64 << 10), f"{peak >> 10} KiB of {cap >> 10}"
    assert d.stat("store.evictions") > 0
    r = d.get(origin.url(f"/{count - 1}"))
    assert r.body == body(count - 1, size)
    verify(d)


def test_popular_things_stay(larder, origin):
    d = larder("forward", size="16M", options=["durability=none"])
    origin.on("*", lambda q, c: answer(body(len(q.path), 20000), fields=[FRESH]))
    with d.client() as c:
        for i in range(3000):
            c.get(origin.url(f"/{i}"))
            if i % 10 == 0:
                for hot in range(5):
                    c.get(origin.url(f"/hot{hot}"))
    assert sum(origin.count(f"/hot{h}") for h in range(5)) < 60


def test_unknown_format_is_refused_and_kept(larder):
    d = larder("forward")
    d.stop()
    (d.store / "format").write_text("larder 999\n")
    d.ports = [free_port()]
    d.spawn()
    assert d.process.wait(30) == 1 and "format" in d.said()
    d.process = None
    assert (d.store / "format").read_text() == "larder 999\n"


def test_foreign_folder_is_not_taken(larder):
    d = larder("forward", start=False)
    d.store = Path("/proc")
    d.ports = [free_port()]
    d.spawn()
    assert d.process.wait(30) == 1 and "/proc" in d.said()
    d.process = None


def test_kill_in_the_middle_of_writing(larder, origin):
    origin.on("*", lambda q, c: answer(body(int(q.path[1:]), 30000 if int(q.path[1:]) % 3 else 150000), fields=[FRESH]))
    d = larder("forward", workers=2)
    n = 0
    for _ in range(3):
        stop = threading.Event()

        def load(start):
            i = start
            try:
                with d.client() as c:
                    while not stop.is_set():
                        c.get(origin.url(f"/{i}"))
                        i += 2
            except (Broken, OSError):
                pass
        threads = [threading.Thread(target=load, args=(n + k,)) for k in range(2)]
        for t in threads:
            t.start()
        base = origin.count()
        until(lambda: origin.count() >= base + 60, "some load")
        d.kill()
        stop.set()
        for t in threads:
            t.join()
        d.start()
        n += 1000
    verify(d)
    asked = origin.count()
    for path in {r.path for r in origin.requests}:
        assert d.get(origin.url(path)).body == body(int(path[1:]), 30000 if int(path[1:]) % 3 else 150000)
    assert origin.count() - asked < asked, "nothing was kept"


def test_spool_is_emptied_at_start(larder):
    d = larder("forward")
    d.stop()
    spool = d.store / "spool"
    spool.mkdir(exist_ok=True)
    (spool / "leftover").write_bytes(b"x" * 1000)
    d.start()
    assert not (spool / "leftover").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_full_disk(larder, origin):
    """Service goes on without storing when the disk is full, and recovers by itself."""
    d = larder("forward", start=False, size="256M", options=["durability=none"])
    d.store.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0777", "none", str(d.store)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount here")
    try:
        os.chown(d.store, 65534, 65534)
        origin.on("*", lambda q, c: answer(body(int(q.path[1:]), 100000), fields=[FRESH]))
        d.start()
        with d.client() as c:
            for i in range(200):
                assert c.get(origin.url(f"/{i}")).body == body(i, 100000)
        assert d.get(origin.url("/0")).body == body(0, 100000)
        d.stop()
    finally:
        if d.process and d.process.poll() is None:
            d.process.kill()
            d.process.wait()
            d.process = None
        until(lambda: subprocess.run(["umount", str(d.store)], capture_output=True).returncode == 0, "the mount to go")


def test_fetch_outlives_its_client(larder, origin, connect):
    """finish_bytes: little is missing, so the fetch goes on and the next one is a hit."""
    gate = threading.Event()
    data = body(1, 500000)

    def slow(req, conn):
        conn.send(answer(data, fields=[FRESH])[:-1000])
        gate.wait(20)
        conn.send(data[-1000:])
    origin.on("/f", slow)
    d = larder("forward")
    c = connect(d.port)
    c.send(c.compose("GET", origin.url("/f")))
    c.head()
    c.exactly(100000)
    c.reset()
    until(lambda: d.stat("client.connections") == 0, "the client to be gone")
    gate.set()
    d.settle()
    r = d.get(origin.url("/f"))
    assert r.cache.get("hit") and r.body == data and origin.count("/f") == 1


# ---- gigabytes ----

GIGA = 1 << 30
BLOCK = bytes(range(256)) * 4096
TWICE = BLOCK * 2


def flood(size, fields):
    """A script that answers with `size` bytes."""
    def script(req, conn):
        conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n{fields}\r\n\r\n".encode())
        left = size
        while left > 0 and conn.send(BLOCK[:left]):
            left -= len(BLOCK)
    return script


class Peak:
    """The most memory the daemon held while the block ran."""

    def __init__(self, d):
        self.d, self.value, self.done = d, 0, threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def _watch(self):
        while not self.done.wait(0.1):
            self.value = max(self.value, self.d.memory())

    def __enter__(self):
        self.before = self.d.memory()
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.done.set()
        self.thread.join()

    def assert_below(self, grown):
        """Its growth stayed below that many bytes."""
        if not self.d.build.sanitized:
            assert self.value - self.before <= grown, f"grew by {(self.value - self.before) >> 10} KiB"


def take(c, size):
    """Reads a body of that size and checks that each block is right."""
    got = len(c.buffer)
    assert c.buffer == BLOCK[:got]
    while got < size:
        data = c.sock.recv(1 << 18)
        assert data, f"ended at {got} of {size}"
        at = got % len(BLOCK)
        assert TWICE.startswith(data, at), f"wrong bytes after {got}"
        got += len(data)
    c.buffer = b""


@pytest.mark.big
@pytest.mark.parametrize("fields, size", [("Cache-Control: no-store", 2 * GIGA), (FRESH, GIGA // 2)], ids=["passed", "stored"])
def test_large_download_in_little_memory(larder, origin, connect, fields, size):
    d = larder("forward", size="2G", options=["durability=none"])
    origin.on("/g", flood(size, fields))
    d.get(origin.url("/warm"))
    with Peak(d) as peak:
        for _ in range(2):
            c = connect(d.port)
            c.send(c.compose("GET", origin.url("/g")))
            r = c.head()
            assert int(r.get("Content-Length")) == size
            take(c, size)
            if "no-store" in fields:
                break
            until(lambda: not d.stat("exchange.fills"), "the fetch to be stored")
    peak.assert_below(8 << 20)
    if fields == FRESH:
        assert r.cache.get("hit") and origin.count("/g") == 1


@pytest.mark.big
def test_large_upload_in_little_memory(larder, origin, connect):
    size = 2 * GIGA

    @raw_script
    def sink(req, conn):
        left = size - len(conn.buffer)
        conn.buffer = b""
        view = bytearray(1 << 20)
        while left > 0 and (n := conn.sock.recv_into(view)):
            left -= n
        return answer(str(left), fields=["Cache-Control: no-store"])
    origin.on("/u", sink)
    d = larder("forward")
    d.get(origin.url("/warm"))
    with Peak(d) as peak:
        c = connect(d.port)
        c.send(c.compose("POST", origin.url("/u"), [f"Content-Length: {size}"]))
        for _ in range(size // len(BLOCK)):
            c.send(BLOCK)
        assert c.response().body == b"0"
    peak.assert_below(8 << 20)


@pytest.mark.big
def test_slow_reader_of_a_large_stored_body(larder, origin, connect):
    """A reader that stands still costs no memory, and others go at their own pace."""
    size = 200 << 20
    d = larder("forward", size="2G", options=["durability=none"])
    origin.on("/g", flood(size, FRESH))
    d.get(origin.url("/warm"))
    with Peak(d) as peak:
        slow = connect(d.port)
        slow.send(slow.compose("GET", origin.url("/g")))
        slow.head()
        fast = connect(d.port)
        fast.send(fast.compose("GET", origin.url("/g")))
        fast.head()
        take(fast, size)
        take(slow, size)
    peak.assert_below(8 << 20)
    assert origin.count("/g") == 1
