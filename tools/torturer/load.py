"""Clients that ask for all kinds of things, each thread for paths of its own, and remember what was said to be stored."""

import random
import threading

from bodies import PATHS, VARIANTS, body, whole
from harness.client import Broken


class Wrong(AssertionError):
    """larder did what it must never do."""


class Client:
    """One thread's paths and what it knows about them."""

    def __init__(self, torture, number, count):
        self.torture = torture
        self.paths = PATHS[number::count]
        self.dice = random.Random(torture.dice.random())
        self.stored = {}  # (path, variant) → version: an answer said hit
        self.thread = None
        self.error = None
        self.answers = self.hits = self.broken = 0

    # ---- one request ----

    def judge(self, path, variant, r):
        """Is the answer one that the origin has given, whole and of this path? Its version."""
        found = whole(r.body)
        if r.status != 200 or found is None:
            raise Wrong(f"{path}: {r.start} with {len(r.body)} bytes that are no whole body: {r.raw!r}")
        if found[0] != path or found[2] != variant or found[1] > self.torture.versions.now[path]:
            raise Wrong(f"{path} {variant}: the body is {found}")
        return found[1]

    def get(self, c, path, variant=""):
        """A plain GET."""
        r = c.get(self.torture.origin.url(path), *([f"X-Kind: {variant}"] if variant else []))
        if r.status in (502, 503, 504):
            return None
        version = self.judge(path, variant, r)
        self.answers += 1
        if r.cache.get("hit"):
            self.hits += 1
            known = self.stored.get((path, variant))
            if known and version < known:
                raise Wrong(f"{path} {variant}: version {version} came back after {known}")
            self.stored[path, variant] = version
        return r

    def get_range(self, c, path):
        """A piece of a large body."""
        first = self.dice.randrange(0, 60000)
        last = first + self.dice.randrange(1, 60000)
        r = c.get(self.torture.origin.url(path), f"Range: bytes={first}-{last}")
        if r.status != 206:
            return
        version = int(r.get("ETag").strip('"').split(".")[0])
        if r.body != body(path, version, "")[first:last + 1]:
            raise Wrong(f"{path}: bytes {first}-{last} of version {version} are wrong: {r.raw!r}")
        self.answers += 1

    def forget(self, path):
        """It is about to be invalidated: from here on it may be stored or not."""
        for variant in VARIANTS:
            self.stored.pop((path, variant), None)

    def change(self, c, path):
        """POST raises the version and ends what is stored."""
        self.forget(path)
        c.request("POST", self.torture.origin.url(path), body=b"x" * self.dice.randrange(1, 5000))

    def purge(self, path):
        """larderctl purge, which may find no keeper."""
        self.forget(path)
        self.torture.daemon.ctl("purge", self.torture.origin.url(path))

    def one(self, c):
        """Something at random."""
        path = self.dice.choice(self.paths)
        what = self.dice.random()
        if what < 0.02:
            self.change(c, path)
        elif what < 0.022:
            self.purge(path)
        elif what < 0.12 and path.startswith("/large/"):
            self.get_range(c, path)
        else:
            self.get(c, path, self.dice.choice(VARIANTS) if path.startswith("/vary/") else "")

    # ---- the thread ----

    def run(self, stop):
        """Until it is told to stop; connections that break are made anew."""
        try:
            while not stop.is_set():
                try:
                    with self.torture.daemon.client() as c:
                        while not stop.is_set():
                            self.one(c)
                except (Broken, OSError):
                    self.broken += 1
                    stop.wait(0.01)
        except BaseException as e:  # noqa: B036: told by the main thread
            self.error = e

    def start(self, stop):
        """Begins."""
        self.thread = threading.Thread(target=self.run, args=(stop,))
        self.thread.start()

    def check(self, share):
        """All (or a share) of what was stored is served from the store, byte for byte."""
        known = [k for k in self.stored if not k[0].startswith("/stale/") and self.dice.random() < share]
        with self.torture.daemon.client() as c:
            for path, variant in known:
                version = self.stored[path, variant]
                r = self.get(c, path, variant)
                if r is None or not r.cache.get("hit") or self.stored[path, variant] != version:
                    raise Wrong(f"{path} {variant}: version {version} was stored and is lost: "
                                f"{r and r.get('Cache-Status')}")
        return len(known)
