"""Bodies that are stored in part (RFC 9110 §14, §15.3.7, RFC 9111 §3.3, §3.4)."""

import gzip
import json
import random
import re
import threading

import pytest

from harness.client import Broken, Client
from harness.message import http_date
from harness.wait import until

MIB = 1 << 20
PATTERN = random.Random(4).randbytes(MIB)
FIELDS = ["Cache-Control: max-age=600", "Accept-Ranges: bytes", "Content-Type: application/x-test"]


def body_of(length, tag="v1"):
    """A body that betrays every mix-up of places and of versions."""
    out = bytearray()
    for i in range(0, length, MIB):
        out += (b"%s %012d " % (tag.encode(), i) + PATTERN)[:min(MIB, length - i)]
    return bytes(out)


class File:
    """An origin's file that knows ranges, and how many bytes of it were sent."""

    def __init__(self, body, etag='"v1"', fields=FIELDS, lie=None, ranges=True):
        self.body, self.etag, self.fields, self.lie, self.ranges = body, etag, list(fields), lie, ranges
        self.lock = threading.Lock()
        self.sent = 0
        self.asked = []         # the ranges, as (first, end), None for the whole
        self.die_after = None   # bytes of a body, once
        self.gate = None        # an event before the rest of a body, after its first half

    def __call__(self, req, conn):
        first, end, status = 0, len(self.body), 200
        value = req.get("Range")
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", value or "")
        if req.has("If-None-Match") and req.get("If-None-Match") == self.etag:
            return self.head(304, ["Content-Length: 0"][:0])
        if match and self.ranges and req.get("If-Range", self.etag) == self.etag:
            first, end = (int(match[1]), min(int(match[2] or end) + 1, end)) if match[1] else (end - int(match[2]), end)
            status = 206
        with self.lock:
            self.asked.append((first, end) if status == 206 else None)
            die, self.die_after = self.die_after, None
        if first >= len(self.body):
            return self.head(416, [f"Content-Range: bytes */{len(self.body)}", "Content-Length: 0"])
        fields = [f"Content-Length: {end - first}"]
        if status == 206:
            fields.append(self.lie(first, end, len(self.body)) if self.lie else
                          f"Content-Range: bytes {first}-{end - 1}/{len(self.body)}")
        if not conn.send(self.head(status, fields)):
            return None
        return self.stream(conn, first, end, die)

    def head(self, status, fields):
        """Status line and fields."""
        lines = [f"HTTP/1.1 {status} So", "Date: " + http_date()] + ([f"ETag: {self.etag}"] if self.etag else [])
        return "\r\n".join(lines + self.fields + fields + ["", ""]).encode()

    def stream(self, conn, first, end, die):
        """Sends the bytes, and counts them."""
        at, half = first, (first + end) // 2
        while at < end:
            upto = min(end, at + 65536, first + die if die is not None and first + die > at else end)
            if self.gate and at >= half and not self.gate.wait(20):
                return None
            with self.lock:  # before a client can see it
                self.sent += upto - at
            if not conn.send(self.body[at:upto]):
                return None
            at = upto
            if die is not None and at - first >= die:
                conn.close()
                return None
        return None


def union(ranges):
    """How many bytes they cover."""
    sum_, upto = 0, 0
    for first, end in sorted(ranges):
        sum_ += max(0, end - max(first, upto))
        upto = max(upto, end)
    return sum_


def whole(d, url, *fields):
    """A complete GET."""
    with d.client() as c:
        return c.get(url, *fields)


def ranged(d, url, first, end, *fields):
    """One range."""
    return whole(d, url, f"Range: bytes={first}-{end - 1}", *fields)


def judge(r, file, first, end):
    """Asserts a range's answer."""
    assert r.status == 206, r.raw
    assert r.get("Content-Range") == f"bytes {first}-{end - 1}/{len(file.body)}"
    assert r.body == file.body[first:end]


def verify(d):
    """The store is sound."""
    d.settle()
    r = d.ctl("verify", "--deep", store=True)
    assert r.returncode == 0, r.stdout + r.stderr


@pytest.fixture
def small(larder):
    """A daemon for which one MiB is far."""
    return larder("forward", options=["range_fill=64k"])


def test_a_range_is_kept_and_only_holes_are_fetched(small, origin):
    file = File(body_of(3 * MIB))
    origin.on("/f", file)
    url = origin.url("/f")
    r = ranged(small, url, MIB, MIB + 1000)
    judge(r, file, MIB, MIB + 1000)
    assert r.cache.get("fwd") == "uri-miss" and r.cache.get("stored")
    small.settle()
    r = ranged(small, url, MIB + 10, MIB + 20)
    judge(r, file, MIB + 10, MIB + 20)
    assert r.cache.get("hit") and file.asked == [(MIB, MIB + 1000)]
    r = ranged(small, url, MIB + 500, MIB + 1500)
    judge(r, file, MIB + 500, MIB + 1500)
    assert r.cache.get("fwd") == "partial" and file.asked[1] == (MIB + 1000, MIB + 1500)
    small.settle()
    r = whole(small, url)
    assert r.status == 200 and r.body == file.body and not r.has("Content-Range")
    assert r.cache.get("fwd") == "partial" and r.get("Content-Type") == "application/x-test"
    assert file.sent == len(file.body) and file.asked[2:] == [(0, MIB), (MIB + 1500, 3 * MIB)]
    small.settle()
    r = whole(small, url)
    assert r.cache.get("hit") and r.body == file.body and len(file.asked) == 4
    until(lambda: small.stat("store.parts_completed") == 1, "the whole body")
    verify(small)
    r = whole(small, url)
    assert r.cache.get("hit") and r.body == file.body and len(file.asked) == 4


def test_several_ranges_and_heads(small, origin):
    file = File(body_of(2 * MIB))
    origin.on("/f", file)
    url = origin.url("/f")
    wanted = [(MIB, MIB + 100), (300000, 300200), (2 * MIB - 50, 2 * MIB)]
    r = whole(small, url, "Range: bytes=" + ",".join(f"{a}-{b - 1}" for a, b in wanted))
    assert r.status == 206 and r.get("Content-Type").startswith("multipart/byteranges")
    mark = b"--" + r.get("Content-Type").split("boundary=")[1].encode()
    parts = r.body.split(mark)[1:-1]
    assert [p.split(b"\r\n\r\n", 1)[1][:-2] for p in parts] == [file.body[a:b] for a, b in wanted]
    assert file.sent == 350 and sorted(file.asked) == sorted(wanted)
    small.settle()
    with small.client() as c:
        r = c.request("HEAD", url)
        assert r.status == 200 and r.get("Content-Length") == str(2 * MIB) and r.cache.get("hit")
    r = whole(small, url, 'If-None-Match: "v1"')
    assert r.status == 304 and r.cache.get("hit")
    r = ranged(small, url, MIB, MIB + 10, 'If-Range: "v1"')
    judge(r, file, MIB, MIB + 10)
    assert r.cache.get("hit")
    r = whole(small, url, f"Range: bytes={3 * MIB}-")
    assert r.status == 416 and r.get("Content-Range") == f"bytes */{2 * MIB}"
    r = whole(small, url, f"Range: bytes={MIB + 50}-{MIB + 200}", "Cache-Control: only-if-cached")
    assert r.status == 504
    assert file.sent == 350
    r = ranged(small, url, MIB, MIB + 10, 'If-Range: "other"')
    assert r.status == 200 and r.body == file.body and file.sent == len(file.body)
    verify(small)


def test_an_interrupted_download_is_resumed(small, origin):
    file = File(body_of(10 * MIB))
    origin.on("/f", file)
    url = origin.url("/f")
    file.die_after = 7 * MIB
    with small.client() as c, pytest.raises(Broken):
        c.get(url)
    until(lambda: small.stat("exchange.kept") == 1, "the part that came")
    r = whole(small, url)
    assert r.status == 200 and r.body == file.body and r.cache.get("fwd") == "partial"
    assert file.asked == [None, (7 * MIB, 10 * MIB)]
    assert file.sent == len(file.body)
    assert origin.last("/f").get("If-Range") == '"v1"'
    verify(small)


def test_what_a_client_that_left_had_fetched_is_kept(small, origin):
    file = File(body_of(8 * MIB))
    file.gate = threading.Event()
    origin.on("/f", file)
    url = origin.url("/f")
    c = small.client()
    c.send(Client.compose("GET", url))
    c.head()
    c.exactly(3 * MIB)
    c.reset()
    until(lambda: small.stat("exchange.kept") == 1, "the part that came")
    file.gate.set()
    r = ranged(small, url, 2 * MIB, 3 * MIB)
    judge(r, file, 2 * MIB, 3 * MIB)
    assert r.cache.get("hit")
    assert whole(small, url).body == file.body
    assert file.asked[1][0] >= 3 * MIB and len(file.asked) == 2
    verify(small)


@pytest.mark.parametrize("etag, fields", [
    ('W/"v1"', FIELDS), (None, FIELDS), ('"v1"', ["Cache-Control: private"]), ('"v1"', ["Cache-Control: no-store"])])
def test_what_may_not_be_put_together_is_passed_on(small, origin, etag, fields):
    file = File(body_of(2 * MIB), etag=etag, fields=fields)
    origin.on("/f", file)
    for _ in range(2):
        judge(ranged(small, origin.url("/f"), MIB, MIB + 100), file, MIB, MIB + 100)
        small.settle()
    assert file.asked == [(MIB, MIB + 100)] * 2
    assert whole(small, origin.url("/f")).body == file.body


def test_a_changed_body_replaces_what_is_there(small, origin):
    old, new = File(body_of(3 * MIB)), File(body_of(3 * MIB, "v2"), etag='"v2"')
    origin.on("/f", old)
    url = origin.url("/f")
    judge(ranged(small, url, MIB, 2 * MIB), old, MIB, 2 * MIB)
    small.settle()
    origin.on("/f", new)
    judge(ranged(small, url, MIB, MIB + 10), old, MIB, MIB + 10)  # still fresh
    r = whole(small, url)
    assert r.status == 200 and r.body == new.body and r.get("ETag") == '"v2"'
    small.settle()
    judge(ranged(small, url, MIB, MIB + 10), new, MIB, MIB + 10)
    assert new.sent == len(new.body)
    verify(small)


def test_who_has_had_bytes_of_the_old_one_gets_no_mix(small, origin):
    old, new = File(body_of(3 * MIB)), File(body_of(3 * MIB, "v2"), etag='"v2"')
    origin.on("/f", old)
    url = origin.url("/f")
    judge(ranged(small, url, 70000, MIB), old, 70000, MIB)
    small.settle()
    origin.on("/f", new)
    with small.client() as c, pytest.raises(Broken):
        c.get(url, "Range: bytes=70000-")
    r = whole(small, url)
    assert r.body == new.body
    verify(small)


LIES = [
    lambda a, b, n: f"Content-Range: bytes {a + 1}-{b}/{n}",
    lambda a, b, n: f"Content-Range: bytes {a}-{b}/{n}",
    lambda a, b, n: f"Content-Range: bytes 0-{b - a - 1}/{n}",
    lambda a, b, n: f"Content-Range: bytes {a}-{b - 1}/{n + 1}",
    lambda a, b, n: f"Content-Range: bytes {a}-{b - 1}/*",
    lambda a, b, n: f"Content-Range: lines {a}-{b - 1}/{n}",
    lambda a, b, n: "X-No: Content-Range",
]


@pytest.mark.parametrize("lie", range(len(LIES)))
def test_wrong_ranges_are_not_believed(small, origin, lie):
    file = File(body_of(2 * MIB))
    origin.on("/f", file)
    url = origin.url("/f")
    judge(ranged(small, url, MIB, MIB + 1000), file, MIB, MIB + 1000)
    small.settle()
    file.lie = LIES[lie]
    try:
        r = whole(small, url)
        assert r.status == 200 and r.body == file.body
    except Broken:  # it had had bytes before the lie
        assert lie == 2 and file.asked[1] == (0, MIB)
    small.settle()
    file.lie = None
    assert whole(small, url).body == file.body
    verify(small)


def test_an_origin_that_stops_knowing_ranges(small, origin):
    file = File(body_of(2 * MIB))
    origin.on("/f", file)
    url = origin.url("/f")
    judge(ranged(small, url, MIB, MIB + 1000), file, MIB, MIB + 1000)
    small.settle()
    file.ranges = False
    judge(ranged(small, url, MIB + 100, MIB + 2000), file, MIB + 100, MIB + 2000)
    assert whole(small, url).body == file.body
    verify(small)


def test_a_stale_part_is_validated(larder, origin):
    d = larder("forward", options=["range_fill=64k"])
    file = File(body_of(2 * MIB), fields=["Cache-Control: max-age=0", "Accept-Ranges: bytes"])
    origin.on("/f", file)
    url = origin.url("/f")
    judge(ranged(d, url, MIB, MIB + 1000), file, MIB, MIB + 1000)
    d.settle()
    r = ranged(d, url, MIB, MIB + 1000)
    judge(r, file, MIB, MIB + 1000)
    assert origin.last("/f").get("If-None-Match") == '"v1"' and file.sent == 1000
    assert r.cache.get("fwd") == "stale"
    r = ranged(d, url, MIB, MIB + 2000)
    judge(r, file, MIB, MIB + 2000)
    assert file.sent == 2000
    file.etag, file.body = '"v2"', body_of(2 * MIB, "v2")
    judge(ranged(d, url, MIB, MIB + 1000), file, MIB, MIB + 1000)
    assert whole(d, url).body == file.body
    verify(d)


def test_a_soft_purge_of_a_part_in_use(larder, origin):
    """It is validated by newcomers; who reads it goes on."""
    d = larder("forward", options=["range_fill=64k", "purge_from=127.0.0.1"])
    file = File(body_of(4 * MIB))
    origin.on("/f", file)
    url, wrong = origin.url("/f"), []
    judge(ranged(d, url, MIB, MIB + 1000), file, MIB, MIB + 1000)
    d.settle()
    file.gate = threading.Event()

    def read():
        try:
            judge(ranged(d, url, 2 * MIB, 3 * MIB), file, 2 * MIB, 3 * MIB)
        except Exception as e:  # told below
            wrong.append(e)

    reader = threading.Thread(target=read)
    reader.start()
    until(lambda: file.sent >= MIB // 2, "the first half of the hole")
    with d.client() as c:
        assert c.request("PURGE", url, ["Soft-Purge: 1"]).body == b"marked 1 responses stale\n"
    r = ranged(d, url, MIB, MIB + 1000)
    judge(r, file, MIB, MIB + 1000)
    assert origin.last("/f").get("If-None-Match") == '"v1"' and r.cache.get("fwd-status") == 304, r.raw
    file.gate.set()
    reader.join(60)
    assert not wrong and file.sent == MIB + 1000
    verify(d)


def test_a_removed_part_is_gone(small, origin):
    file = File(body_of(2 * MIB))
    origin.on("/f", file)
    url = origin.url("/f")
    judge(ranged(small, url, MIB, MIB + 1000), file, MIB, MIB + 1000)
    small.settle()
    assert f"{url} 200 {2 * MIB} " in small.ctl("ls", store=True).stdout
    assert " part:1000\n" in small.ctl("ls", store=True).stdout
    assert f"{2 * MIB} bytes, stored in part: 1000 of them, in 1 stretches\n" in small.ctl("show", url, store=True).stdout
    shown = json.loads(small.ctl("show", "--json", url, store=True).stdout)
    assert (shown["where"], shown["present"], shown["extents"]) == ("part", 1000, 1)
    r = small.ctl("cat", url, store=True)
    assert r.returncode != 0 and f"only 1000 of {2 * MIB} bytes are stored" in r.stderr and not r.stdout
    usage = small.ctl("usage", store=True).stdout
    assert "\nbodies stored in part                1\n" in usage
    assert small.ctl("purge", url).returncode == 0
    small.settle()
    r = ranged(small, url, MIB, MIB + 1000)
    judge(r, file, MIB, MIB + 1000)
    assert r.cache.get("fwd") == "uri-miss" and file.sent == 2000
    verify(small)


def test_one_fetch_for_ranges_that_overlap(larder, origin):
    d = larder("forward", workers=2, options=["range_fill=8M"])
    file = File(body_of(24 * MIB))
    origin.on("/f", file)
    url = origin.url("/f")
    judge(ranged(d, url, 20 * MIB, 20 * MIB + 10), file, 20 * MIB, 20 * MIB + 10)
    d.settle()
    file.gate = threading.Event()
    wrong = []

    def ask(first, end):
        try:
            judge(ranged(d, url, first, end), file, first, end)
        except Exception as e:  # told below
            wrong.append(e)

    wanted = [(10 * MIB, 12 * MIB)] + [(10 * MIB + i * 1000, 12 * MIB - i * 1000) for i in range(1, 12)]
    threads = [threading.Thread(target=ask, args=w) for w in wanted]
    threads[0].start()
    until(lambda: len(file.asked) == 2, "the fetch")
    for t in threads[1:]:
        t.start()
    until(lambda: d.stat("exchange.active") == len(wanted), "all the readers")
    file.gate.set()
    for t in threads:
        t.join(60)
    assert not wrong and file.sent == 2 * MIB + 10
    verify(d)


def test_random_ranges_of_many_clients(larder, origin):
    d = larder("forward", workers=2, size="512M", options=["range_fill=1M"])
    file = File(body_of(64 * MIB))
    origin.on("/f", file)
    url = origin.url("/f")
    dice = random.Random(7)
    wanted = []
    for _ in range(300):
        first = dice.randrange(2 * MIB, 64 * MIB - 1)
        wanted.append((first, min(64 * MIB, first + dice.choice([100, 10000, 100000, 300000]))))
    queue, wrong, lock = list(wanted), [], threading.Lock()

    def client():
        try:
            with d.client() as c:
                while True:
                    with lock:
                        first, end = queue.pop() if queue else (None, None)
                    if end is None:
                        return
                    judge(c.get(url, f"Range: bytes={first}-{end - 1}"), file, first, end)
        except Exception as e:  # told below
            wrong.append(e)

    threads = [threading.Thread(target=client) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert not wrong, wrong[:3]
    assert file.sent <= 1.3 * union(wanted)
    d.settle()
    before = file.sent
    have = json.loads(d.ctl("show", "--json", url, store=True).stdout)["present"]
    assert have == union(wanted), have / union(wanted)
    assert whole(d, url).body == file.body
    assert file.sent - before <= len(file.body) - have
    verify(d)


def test_parts_outlive_a_crash(larder, origin):
    d = larder("forward", options=["range_fill=64k"])
    file = File(body_of(4 * MIB))
    origin.on("/f", file)
    url = origin.url("/f")
    for i in range(8):
        judge(ranged(d, url, MIB + i * 100000, MIB + i * 100000 + 50000), file, MIB + i * 100000, MIB + i * 100000 + 50000)
    d.settle()
    d.kill()
    d.start()
    verify(d)
    for i in range(8):
        r = ranged(d, url, MIB + i * 100000, MIB + i * 100000 + 50000)
        judge(r, file, MIB + i * 100000, MIB + i * 100000 + 50000)
        assert r.cache.get("hit")
    assert whole(d, url).body == file.body and file.sent == len(file.body)
    verify(d)


def test_everything_that_a_cold_start_brought_is_stored(larder, origin):
    """Clients of two workers that ask at once for ranges of something that nothing is known of: no byte that came is lost."""
    d = larder("forward", workers=2, size="512M", options=["range_fill=512k"])
    dice = random.Random(3)
    for n in range(12):
        file = File(body_of(2 * MIB, f"v{n}"))
        origin.on(f"/f{n}", file)
        url, wanted = origin.url(f"/f{n}"), []
        for _ in range(10):
            first = dice.randrange(600_000, 2 * MIB - 1)
            wanted.append((first, min(2 * MIB, first + dice.choice([100, 10000, 100000, 300000]))))
        clients = [d.client() for _ in wanted]
        for c, (first, end) in zip(clients, wanted):
            c.send(c.compose("GET", url, [f"Range: bytes={first}-{end - 1}"]))
        for c, (first, end) in zip(clients, wanted):
            judge(c.response(), file, first, end)
            c.close()
        assert file.sent == union(wanted)
        d.settle()
        assert json.loads(d.ctl("show", "--json", url, store=True).stdout)["present"] == union(wanted)
    verify(d)


def test_a_range_of_what_is_decoded_needs_no_bytes_of_its_own(larder, origin):
    """A range says nothing of stored bytes that are decoded on the way: the answer is the whole, read from its beginning."""
    d = larder("forward", options=["range_fill=64k"])
    plain = random.Random(9).randbytes(2 * MIB)
    file = File(gzip.compress(plain, 1, mtime=0), fields=[*FIELDS, "Content-Encoding: gzip"])
    end = len(file.body)
    origin.on("/f", file)
    d.get(origin.url("/f"), f"Range: bytes={MIB}-{MIB + 99}", "Accept-Encoding: gzip")
    d.settle()
    r = d.get(origin.url("/f"), f"Range: bytes={MIB + 500_000}-{MIB + 500_099}", "Accept-Encoding: gzip, identity;q=0")
    assert r.status == 206 and r.body == file.body[MIB + 500_000:MIB + 500_100]
    d.settle()
    asked = len(file.asked)
    r = d.get(origin.url("/f"), "Range: bytes=1200000-1200099", "Accept-Encoding: gzip;q=0")
    assert r.status == 200 and r.body == plain
    assert file.asked[asked:] == [(0, MIB), (MIB + 100, MIB + 500_000), (MIB + 500_100, end)]
