"""One test's way through larder: a listener, a URL that nobody else uses, and the origin behind both."""

import json
import re
import socket

from harness.client import Broken, Client
from harness.message import answer, http_date
from harness.wait import until

FRESH = "Cache-Control: max-age=600"


def dated(fields):
    """Fields with {-100} and the like made dates, so many seconds from now."""
    return [re.sub(r"\{(-?\d+)\}", lambda m: http_date(int(m.group(1))), f) for f in fields]


def counters(daemon):
    """The daemon's counters by name, asked for on its control socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.connect(str(daemon.control))
        s.sendall(b"stats json\n")
        text = b""
        while data := s.recv(65536):
            text += data
    found = json.loads(text[text.index(b"{"):text.rindex(b"}") + 1])
    return {f"{room}.{name}": n for room, group in found.items() if isinstance(group, dict) for name, n in group.items()} | found


def numbered(fields=(), status=200, body=None, **more):
    """A script: the n-th answer has the body "n", so that a test sees which one it got. `fields` may be a
    function of the request."""
    count = [0]

    def script(req, conn):
        count[0] += 1
        some = fields(req) if callable(fields) else list(fields)
        text = body if body is not None else str(count[0])
        return answer("" if status in (204, 205, 304) else text, status=status, fields=some, **more)
    return script


class Way:
    """What a test asks through. kind: forward or reverse."""

    def __init__(self, kind, daemon, origin, path):
        self.kind, self.daemon, self.origin, self.path = kind, daemon, origin, path
        self.port = daemon.ports[("forward", "reverse").index(kind)]
        self.dead_port = daemon.ports[0 if kind == "forward" else -1]
        self.clients = []

    def close(self):
        """Closes what is open."""
        for c in self.clients:
            c.close()

    # ---- the origin's side ----

    def on(self, *answers, path=""):
        """What the origin answers: bytes in turn, the last one stays; or one function(request, connection)."""
        script = answers[0] if len(answers) == 1 else list(answers)
        self.origin.on((self.path + path).split("?")[0], script)
        return self

    def seen(self, path=""):
        """The requests that came to the origin."""
        with self.origin.lock:
            return [r for r in self.origin.requests if r.path == self.path + path]

    def last(self, path=""):
        """The latest of them."""
        return self.seen(path)[-1]

    def count(self, path=""):
        """How many came."""
        return len(self.seen(path))

    # ---- the client's side ----

    @property
    def host(self):
        """The authority of the URL."""
        return self.origin.authority

    def url(self, path=""):
        """The whole URL."""
        return f"http://{self.host}{self.path}{path}"

    def target(self, path=""):
        """As it stands in request lines to this listener."""
        return self.url(path) if self.kind == "forward" else self.path + path

    def fill(self, text):
        """%T the target, %H the authority, %U the URL, %P the path."""
        return (text.replace("%T", self.target()).replace("%H", self.host).replace("%U", self.url())
                .replace("%P", self.path))

    def client(self):
        """A connection that is closed when the test is over."""
        self.clients.append(Client(self.port))
        return self.clients[-1]

    def ask(self, *fields, method="GET", body=b"", path=""):
        """One request on a connection of its own."""
        with Client(self.port) as c:
            return c.request(method, self.target(path), list(fields), body, self.host)

    def raw(self, text, method="GET"):
        """Sends a request in text and returns its final answer."""
        c = self.client()
        c.send(self.fill(text))
        return c.response(method)

    def dead(self, *fields):
        """A request for an origin that refuses connections."""
        with Client(self.dead_port) as c:
            return c.request("GET", f"http://127.0.0.1:{self.daemon.refused}{self.path}" if self.kind == "forward" else self.path,
                             list(fields), host=f"127.0.0.1:{self.daemon.refused}")

    def settle(self):
        """Waits until nothing is being fetched, served or written."""
        def quiet():
            now = counters(self.daemon)
            return not any(now[n] for n in ("exchange.fills", "exchange.active", "store.queue_bytes", "store.spools"))
        until(quiet, "larder to come to rest")

    def twice(self, *first, then=None, method="GET"):
        """The answers to two requests, the second sent when the first one's response is stored."""
        a = self.ask(*first)
        self.settle()
        return a, self.ask(*(first if then is None else then), method=method)

    def verdict(self, first=(), then=None, method="GET"):
        """What becomes of the second of two requests: "hit", "stale" (from the store without asking, though no
        longer fresh), "asked" (validated), or "no" (fetched as if nothing were stored)."""
        _, b = self.twice(*first, then=then, method=method)
        asked = [r for r in self.seen() if r.method in ("GET", "HEAD")]
        if b.cache.get("hit"):
            assert b.body in (b"1", b"") and "fwd" not in b.cache, b.raw
            return "hit" if b.cache.get("ttl", 1) > 0 else "stale"
        assert len(asked) == 2, [r.start for r in asked]
        return "asked" if asked[1].has("If-None-Match") or asked[1].has("If-Modified-Since") else "no"


__all__ = ["Broken", "FRESH", "Way", "answer", "counters", "dated", "http_date", "numbered"]
