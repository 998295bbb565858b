"""An origin in a process of its own that answers any /SIZE/RATE/DELAY/CONTROL/anything: a body of SIZE bytes, RATE of them a
second (0: at once), DELAY milliseconds after the request. It knows how often and when it was asked. Where CONTROL is "ranges"
it heeds Range, and where it is "dies" its first answer breaks off after 70 %."""

import hashlib
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path

BLOCK = random.Random(7).randbytes(1 << 20)
TWICE = BLOCK * 2
CONTROL = {"fresh": "max-age=600", "private": "private", "stale": "max-age=1, stale-if-error=600", "none": "no-store",
           "ranges": "max-age=600", "dies": "max-age=600"}
HEARD = {"stale": -30}  # seconds: such answers are old when they come
PIECES = 64  # a second


def body(path, size):
    """What a path holds: no two have equal bytes at equal places."""
    seed = hashlib.sha256(path.encode()).digest()
    at = int.from_bytes(seed[:4], "big") % (1 << 20)
    if size <= len(BLOCK):
        return (seed + TWICE[at:at + size])[:size]
    block = TWICE[at:at + len(BLOCK)]
    return (seed + block * (size // len(block) + 1))[:size]


def stretch(first, end):
    """Bytes first to end - 1 of what holds ranges: each MiB begins with its number."""
    parts, step = [], len(BLOCK)
    for at in range(first - first % step, end, step):
        block = b"%020d" % at + BLOCK[20:]
        parts.append(block[max(first - at, 0):end - at] if at < first or end - at < step else block)
    return b"".join(parts)


class Site:
    """Counts and times by path."""

    def __init__(self):
        self.lock = threading.Lock()
        self.paths = {}

    def note(self, path, **what):
        """Adds a request, or when its first byte went out, or its last."""
        with self.lock:
            row = self.paths.setdefault(path, {"count": 0, "first": 0, "last": 0, "bytes": 0})
            for key in ("count", "bytes"):
                row[key] += what.pop(key, 0)
            for key, value in what.items():
                row[key] = row[key] or value

    def figures(self):
        """All of it."""
        with self.lock:
            return json.dumps(self.paths).encode()

    def ranges(self, sock, target, size, dies, fields):
        """What was asked for of a body that holds ranges."""
        with self.lock:
            dies &= self.paths[target]["count"] == 1
        asked = fields.get("range", "").removeprefix("bytes=").split("-")
        part = len(asked) == 2 and fields.get("if-range", '"e"') == '"e"'
        first, end = (int(asked[0]), min(int(asked[1] or size) + 1, size)) if part else (0, size)
        sock.sendall((f"HTTP/1.1 {'206 Partial Content' if part else '200 OK'}\r\nDate: {formatdate(usegmt=True)}\r\n"
                      f"ETag: \"e\"\r\nCache-Control: max-age=600\r\nContent-Length: {end - first}\r\n" +
                      (f"Content-Range: bytes {first}-{end - 1}/{size}\r\n" if part else "") + "\r\n").encode())
        upto = size * 7 // 10 if dies else end
        for at in range(first, upto, len(BLOCK)):
            data = stretch(at, min(at + len(BLOCK), upto))
            self.note(target, bytes=len(data))
            sock.sendall(data)
        if dies:
            raise OSError("it dies")

    def answer(self, sock, target, fields):
        """One answer."""
        if target == "/figures":
            data = self.figures()
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
            return
        size, rate, delay, control = target.split("/")[1:5]
        self.note(target, count=1)
        time.sleep(int(delay) / 1000)
        if control in ("ranges", "dies"):
            self.ranges(sock, target, int(size), control == "dies", fields)
            return
        date = formatdate(time.time() + HEARD.get(control, 0), usegmt=True)
        same = fields.get("if-none-match") == '"e"'
        head = (f"HTTP/1.1 {'304 Not Modified' if same else '200 OK'}\r\nDate: {date}\r\nETag: \"e\"\r\n"
                f"Cache-Control: {CONTROL[control]}\r\n" + ("" if same else f"Content-Length: {size}\r\n") + "\r\n")
        sock.sendall(head.encode())
        if not same:
            self.send(sock, target, body(target, int(size)), int(rate))

    def send(self, sock, target, data, rate):
        """The body at its pace."""
        began = time.monotonic()
        self.note(target, first=began)
        step = rate // PIECES or len(data)
        view = memoryview(data)
        for at in range(0, len(data), step or 1):
            sock.sendall(view[at:at + step])
            if rate:
                time.sleep(max(0, began + (at + step) / rate - time.monotonic()))
        self.note(target, last=time.monotonic())

    def serve(self, sock):
        """One connection."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = b""
        try:
            while True:
                while b"\r\n\r\n" not in buffer:
                    data = sock.recv(65536)
                    if not data:
                        return
                    buffer += data
                head, buffer = buffer.split(b"\r\n\r\n", 1)
                lines = head.decode("latin-1").split("\r\n")
                fields = dict(line.lower().split(": ", 1) for line in lines[1:])
                target = lines[0].split(" ")[1]
                path = target if target.startswith("/") else "/" + target.split("/", 3)[3]
                self.answer(sock, path, fields)
        except OSError:
            pass
        finally:
            sock.close()


def main(port):
    """Serves until it is killed."""
    site = Site()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(4096)
        print(listener.getsockname()[1], flush=True)
        threading.stack_size(256 << 10)
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=site.serve, args=(sock,), daemon=True).start()


class Paced:
    """The process, as a test sees it."""

    def __init__(self):
        self.port = 0
        self.process = None
        self.start()

    def start(self):
        """Begins, on the same port as before."""
        here = Path(__file__)
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen([sys.executable, "-m", "harness.paced", str(self.port)], cwd=here.parents[1], env=env,
                                        stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        """Ends at once: connections are closed, new ones refused."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def url(self, path):
        """The URL of a path here."""
        return f"http://127.0.0.1:{self.port}{path}"

    @staticmethod
    def path(url):
        """The path of such a URL."""
        return "/" + url.split("/", 3)[3]

    def figures(self):
        """{path: {"count", "first", "last", "bytes"}}, the times by the monotonic clock; bytes only of what holds ranges."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            c.request("GET", "/figures")
            return json.loads(c.getresponse().read())
        finally:
            c.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
