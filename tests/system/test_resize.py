"""The cap changed by a reload, under load: evictions follow in steps, and blocks are given back to the file system."""

import os
import threading
import time

import pytest

from harness.client import Broken
from harness.message import answer
from harness.wait import until

FRESH = "Cache-Control: max-age=86400"
CONF = 'listen "127.0.0.1:{port}" {\n\tkind = forward\n}\nsize = %s\nworkers = 2\ndurability = %s\n'
MIB = 1 << 20


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


def resize(d, size, durability="none"):
    """Writes the configuration and has it read."""
    d.write_conf(CONF % (size, durability))
    r = d.ctl("reload")
    assert r.returncode == 0, r.stderr


def without(line, *options):
    """The command line without some options and their values: the configuration has them."""
    return [word for i, word in enumerate(line) if word not in options and line[i - 1] not in options]


class Load(threading.Thread):
    """A client that asks for what may be stored, all the time."""

    def __init__(self, d, origin, size_of, count):
        super().__init__()
        self.d, self.origin, self.size_of, self.count = d, origin, size_of, count
        self.done, self.wrong, self.answers, self.slowest = False, None, 0, 0

    def run(self):
        i = 0
        while not self.done and not self.wrong:
            try:
                with self.d.client() as c:
                    while not self.done:
                        i = (i + 1) % self.count
                        begun = time.monotonic()
                        r = c.get(self.origin.url(f"/{i}"))
                        self.slowest = max(self.slowest, time.monotonic() - begun)
                        self.answers += 1
                        if r.status != 200 or r.body != body(i, self.size_of(i)):
                            self.wrong = f"/{i}: {r.raw!r}"
                            return
                        if (r.get("Connection") or "").lower() == "close":
                            break
            except (Broken, OSError) as e:
                # A connection that was idle may be closed by the reload.
                if not isinstance(e, Broken) or "within a head: b''" not in str(e):
                    self.wrong = repr(e)

    def end(self):
        """Stops it; everything it saw was right."""
        self.done = True
        self.join()
        assert not self.wrong, self.wrong
        return self.answers


@pytest.mark.parametrize("kind", ["small", "large", "mixed"])
def test_lowered_and_raised(larder, origin, kind):
    sizes = {"small": lambda i: 20000, "large": lambda i: 400000, "mixed": lambda i: 400000 if i % 9 == 0 else 6000}
    size_of = sizes[kind]
    origin.on("*", lambda q, c: answer(body(int(q.path[1:]), size_of(int(q.path[1:]))), fields=[FRESH]))
    d = larder(conf=CONF % ("256M", "none"), start=False)
    line = d.command
    d.command = lambda: without(line(), "-S", "-w")
    d.start()
    full, count = 100 * MIB, 0
    with d.client() as c:
        total = 0
        while total < full:
            c.get(origin.url(f"/{count}"))
            total += size_of(count)
            count += 1
    d.settle()
    assert disk_usage(d.store) > full
    load = Load(d, origin, size_of, count)
    load.start()
    try:
        resize(d, "32M")
        begun = time.monotonic()
        until(lambda: disk_usage(d.store) <= 32 * MIB, "the store to shrink")
        print(f"shrunk in {time.monotonic() - begun:.1f} s, {load.answers} answers, slowest {load.slowest * 1000:.0f} ms")
        before = d.stat("store.inserts")
        until(lambda: d.stat("store.inserts") > before + 20, "the store to take more")
        assert disk_usage(d.store) <= 32 * MIB
    finally:
        assert load.end() > 0
    r = d.ctl("verify", "--deep", store=True)
    assert r.returncode == 0, r.stdout
    resize(d, "128M")
    with d.client() as c:
        for i in range(count):
            c.get(origin.url(f"/{i}"))
            if i % 50 == 0 and disk_usage(d.store) > 64 * MIB:
                break
        else:
            assert False, "the store did not grow"
    assert d.stat("store.errors") == 0
