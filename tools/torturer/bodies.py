"""Bodies that say what they are: path, version and variant in front, a digest at the end."""

import functools
import hashlib
import random
import re
import threading
import zlib

from harness.message import answer, chunked

# kind: number of paths, least and most bytes, Cache-Control, chunked
KINDS = {
    "small": (400, 150, 30000, "max-age=86400", False),
    "large": (60, 70000, 600000, "max-age=86400", False),
    "chunked": (80, 150, 150000, "max-age=86400", True),
    "stale": (50, 150, 90000, "max-age=0", False),
    "vary": (40, 150, 90000, "max-age=86400", False),
}
VARIANTS = ("", "one", "two")
PATHS = [f"/{kind}/{i}" for kind, row in KINDS.items() for i in range(row[0])]
HEAD = re.compile(rb"(/\w+/\d+) (\d+) (\w*)\n")


def kind_of(path):
    """The row of KINDS."""
    return KINDS[path.split("/")[1]]


@functools.lru_cache(4000)
def body(path, version, variant):
    """The bytes of one version of a path."""
    _, least, most, _, _ = kind_of(path)
    seed = zlib.crc32(f"{path} {version} {variant}".encode())
    dice = random.Random(seed)
    head = f"{path} {version} {variant}\n".encode()
    middle = dice.randbytes(dice.randint(least, most) - len(head) - 64)
    return head + middle + hashlib.sha256(head + middle).hexdigest().encode()


def whole(data):
    """(path, version, variant) of a whole body; None when anything is wrong with it."""
    match = HEAD.match(data)
    if not match or hashlib.sha256(data[:-64]).hexdigest().encode() != data[-64:]:
        return None
    return match.group(1).decode(), int(match.group(2)), match.group(3).decode()


class Versions:
    """What the origin has: a version a path, raised by each POST."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = dict.fromkeys(PATHS, 1)

    def raise_one(self, path):
        """The next version begins."""
        with self.lock:
            self.now[path] += 1

    def script(self, req, _conn):
        """Answers for every path."""
        path = req.path
        if path not in self.now:
            return answer("no such path", status=404, fields=["Cache-Control: no-store"])
        if req.method == "POST":
            self.raise_one(path)
            return answer("changed", fields=["Cache-Control: no-store"])
        _, _, _, control, pieces = kind_of(path)
        variant = req.get("X-Kind", "") if path.startswith("/vary/") else ""
        version = self.now[path]
        tag = f'"{version}.{variant}"'
        fields = [f"Cache-Control: {control}", f"ETag: {tag}"]
        if path.startswith("/vary/"):
            fields.append("Vary: X-Kind")
        if req.get("If-None-Match") == tag:
            return answer(status=304, fields=fields)
        data = body(path, version, variant)
        if not pieces:
            return answer(data, fields=fields)
        parts = [data[i:i + 20000] for i in range(0, len(data), 20000)]
        return answer(fields=[*fields, "Transfer-Encoding: chunked"], length=False) + chunked(parts)
