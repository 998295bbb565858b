"""The check of everything in the background: what it finds, what it drops, and that it survives a reload."""

import os
import re
import signal

from harness.message import answer
from harness.wait import until

FRESH = "Cache-Control: max-age=86400"
LARGE = bytes(range(256)) * 1200


def body_files(d):
    """All body files."""
    return [p for p in (d.store / "blobs").rglob("*") if p.is_file()]


def scrub_line(d):
    """What larderctl status says of it."""
    return next(line for line in d.status().splitlines() if line.startswith("scrub "))


def test_damaged_body_file_is_fetched_anew(larder, origin):
    origin.on("*", answer(LARGE, fields=[FRESH]))
    d = larder("forward", options=["scrub_interval=1s", "scrub_rate=64M"])
    for path in ("/a", "/b"):
        d.get(origin.url(path))
    d.settle()
    file, = body_files(d)
    with open(file, "r+b") as f:
        f.seek(5000)
        f.write(b"spoilt")
    until(lambda: d.stat("store.scrub_faults") >= 3, "the file and both of its users to be found")
    until(lambda: not body_files(d), "the file to be removed")
    for path in ("/a", "/b"):
        assert d.get(origin.url(path)).body == LARGE and origin.count(path) == 2
    d.settle()
    passes = d.stat("store.scrubs")
    until(lambda: d.stat("store.scrubs") >= passes + 2, "two more passes")
    assert d.stat("store.scrub_faults") == 3 and d.stat("store.corrupt") == 2
    assert re.match(r"scrub +(ended \d+ s ago: \d+ rows, 0 faults; every 1 s|\d+ % of \d+ rows, since \d+ s, 0 faults)$",
                    scrub_line(d))
    assert "has another digest than its name: put right" in d.said()
    assert all(d.get(origin.url(path)).cache.get("hit") for path in ("/a", "/b"))


def test_orphans_are_swept_at_the_start(larder, origin):
    d = larder("forward", start=False)
    folder = d.store / "blobs" / "ab"
    d.start().stop()
    folder.mkdir()
    owner = d.store.stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    (folder / ("ab" * 32)).write_bytes(b"nobody's")
    assert "belongs to nothing" in d.ctl("verify", "--repair", store=True).stdout
    (folder / ("ab" * 32)).write_bytes(b"nobody's")
    d.start()
    until(lambda: d.stat("store.sweeps") == 1, "the sweep")
    assert d.stat("store.orphans") == 1 and not body_files(d)


def test_goes_on_after_a_reload(larder, origin):
    """A new keeper goes on where the old one was, even after the keeper's death."""
    origin.on("*", lambda q, c: answer(q.path.encode() * 20000, fields=[FRESH]))
    d = larder("forward", options=["scrub_interval=1s", "scrub_rate=64k"])
    with d.client() as c:
        for i in range(30):
            c.get(origin.url(f"/{i:04}"))
    d.settle()
    until(lambda: " since " in scrub_line(d) and d.stat("store.scrub_bytes") > 500000, "a pass to be under way")
    rows = int(re.search(r"(\d+) %", scrub_line(d)).group(1))
    assert d.ctl("reload").returncode == 0
    for _ in range(2):
        line = scrub_line(d)
        assert " since " in line and int(re.search(r"(\d+) %", line).group(1)) >= rows, line
        keeper, = d.role("keeper")
        os.kill(keeper, signal.SIGKILL)
        until(lambda: keeper not in d.pids() and d.ctl("status").returncode == 0, "another keeper")
    assert d.stat("store.scrub_faults") == 0
    d.stop()


def test_off(larder):
    d = larder("forward", options=["scrub_interval=0"])
    assert scrub_line(d).split() == ["scrub", "off"]
