"""Scripted origin and raw clients on one event loop; what both saw of a scenario."""

import asyncio
import itertools
import re
import time
from dataclasses import dataclass, field

from fields import Fields, byte_ranges, entity_tags, format_date, http_date, resolve, strong_match, weak_match

PATIENCE = 30
PLACE = re.compile(r"\{(imf|850|asc):([+-]?\d+)(?::(\w+))?\}")


@dataclass
class Exchange:
    """One request that the origin got, and what it said."""
    came: float
    method: str
    target: str
    fields: Fields
    content: bytes = b""
    status: int = 0            # 0: it said nothing
    answer: Fields = field(default_factory=Fields)
    body: bytes = b""          # what it would have been as a whole
    whole: bool = True


@dataclass
class Seen:
    """What a client saw of one step, and the origin meanwhile."""
    query: Fields
    sent: float = 0.0
    got: float = 0.0
    status: int = 0            # 0: no answer
    fields: Fields = field(default_factory=Fields)
    body: bytes = b""
    complete: bool = False
    origin: list = field(default_factory=list)


class Broken(Exception):
    """The peer closed in the middle of something."""


def render(text, base, url):
    """Fills in dates relative to the scenario's beginning, and its URL."""
    def date(match):
        out = format_date(base + int(match[2]), match[1])
        return {None: lambda d: d, "lower": str.lower, "upper": str.upper, "utc": lambda d: d.replace("GMT", "UTC"),
                "nozone": lambda d: d.replace(" GMT", ""), "zone": lambda d: d.replace("GMT", "+0000"),
                "short": lambda d: re.sub(r" 0(\d) ", r" \1 ", d, count=1).replace(":0", ":"), "dash": lambda d: d.replace(" ", "-", 2),
                }[match[3]](out)
    return PLACE.sub(date, text).replace("{self}", url).replace("{path}", "/" + url.split("/", 3)[-1])


def body_of(version, length):
    """Bytes that tell their representation and place."""
    return bytes((version & 15) << 4 | i & 15 for i in range(length))


async def head(reader):
    """Start line and fields."""
    raw = await reader.readuntil(b"\r\n\r\n")
    start, *lines = raw[:-4].decode("latin-1").split("\r\n")
    return start, Fields([(n, v) for n, _, v in (line.partition(":") for line in lines)])


async def content(reader, fields, to_end=False):
    """(bytes, whether complete) of a message's content."""
    out = b""
    try:
        if "chunked" in (fields.get("transfer-encoding") or "").lower():
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                out += (await reader.readexactly(size + 2))[:-2]
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
        elif fields.has("content-length"):
            out = await reader.readexactly(int(fields.get("content-length")))
        elif to_end:
            out = await reader.read()
        return out, True
    except asyncio.IncompleteReadError as e:
        return out + e.partial, False


class Origin:
    """Answers as the running scenarios say: path -> (scenario, base, url, [Seen])."""

    def __init__(self):
        self.running = {}
        self.numbers = itertools.count(1)
        self.server = None
        self.strays = 0

    async def start(self, listening):
        """Serves a listening socket."""
        self.server = await asyncio.start_server(self.serve, sock=listening.dup(), backlog=1024)
        self.port = listening.getsockname()[1]

    async def serve(self, reader, writer):
        """One connection."""
        try:
            while await self.one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def one(self, reader, writer):
        """One request; False when the connection ends."""
        start, fields = await head(reader)
        came = time.time()
        method, target, _ = start.split(" ")
        sent, _ = await content(reader, fields)
        found = self.running.get(re.sub(r"^http://[^/]*", "", target))
        step = fields.get("x-step")
        if not found or step is None or not step.isdigit() or int(step) >= len(found[3]):
            self.strays += 1
            writer.write(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\nCache-Control: no-store\r\n\r\n")
            return True
        scenario, base, url, seen = found
        exchange = Exchange(came, method, target, fields, sent)
        seen[int(step)].origin.append(exchange)
        state = scenario["steps"][int(step)]["origin"]
        data, kept = answer(state, exchange, base, url, f"a{next(self.numbers)}", len(seen[int(step)].origin))
        writer.write(data)
        await writer.drain()
        return kept


def precondition(request, fields, now):
    """What an origin makes of the preconditions (RFC 9110 13.2.2): 304, 412 or 0."""
    get = request.method in ("GET", "HEAD")
    tags = entity_tags(fields.get("etag") or "") or []
    tag = tags[0] if tags else None
    modified = http_date(fields.get("last-modified") or "", now)
    if (listed := request.fields.get("if-match")) is not None:
        listed = entity_tags(listed) or []
        if listed != "*" and not any(tag and strong_match(t, tag) for t in listed):
            return 412
    elif request.fields.has("if-unmodified-since"):
        since = http_date(request.fields.get("if-unmodified-since"), now)
        if since is not None and modified is not None and modified > since:
            return 412
    if (listed := request.fields.get("if-none-match")) is not None:
        listed = entity_tags(listed) or []
        if listed == "*" or any(tag and weak_match(t, tag) for t in listed):
            return 304 if get else 412
    elif get and request.fields.has("if-modified-since"):
        since = http_date(request.fields.get("if-modified-since"), now)
        if since is not None and modified is not None and modified <= since:
            return 304
    return 0


def ranged(request, fields, body, now):
    """(status, fields, body) where a Range counts, else None."""
    ranges = byte_ranges(request.fields.get("range") or "")
    if request.method != "GET" or not ranges:
        return None
    if (text := request.fields.get("if-range")) is not None:
        when = http_date(text, now)
        if when is not None and when != http_date(fields.get("last-modified") or "", now):
            return None
        if when is None and not strong_match(text, fields.get("etag") or ""):
            return None
    found = resolve(ranges, len(body))
    if not found:
        return 416, [("Content-Range", f"bytes */{len(body)}")], b""
    if len(found) > 1:
        return None
    (a, b), = found
    return 206, [("Content-Range", f"bytes {a}-{b - 1}/{len(body)}")], body[a:b]


def answer(state, request, base, url, name, count):
    """(bytes, whether the connection is kept) for a request; notes in it what was said."""
    if state.get("fail") == "close":
        return b"", False
    now = time.time()
    status, framing = state["status"], state.get("framing", "length")
    pairs = [(n, render(v, base, url)) for n, v in state["fields"]]
    whole = body_of(state["version"], state["length"]) if status not in (204, 304) else b""
    body, more, obey = whole, [("X-Id", name)], state.get("obey", "yes")
    conditional = any(request.fields.has(n) for n in ("if-none-match", "if-modified-since"))
    told = precondition(request, Fields(pairs), now) if status == 200 and obey == "yes" else 0
    if obey == "304" and conditional and count == 1 and request.method in ("GET", "HEAD"):
        told = 304
    if told:
        status, body, whole = told, b"", b""
        pairs = [(n, render(v, base, url)) for n, v in state["fields304"]] if told == 304 else [("Cache-Control", "no-store")]
        more = [("X-Upd", name)] if told == 304 else more
    elif status == 200 and state.get("ranges") and (part := ranged(request, Fields(pairs), whole, now)):
        status, extra, body = part
        whole = body
        more += extra
    pairs += more
    request.status, request.answer, request.body = status, Fields(pairs), whole
    out = f"HTTP/1.1 {status} Whatever\r\n" + "".join(f"{n}: {v}\r\n" for n, v in pairs)
    if state.get("interim"):
        out = "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n" + out
    bare, kept = request.method == "HEAD" or status in (204, 304), True
    if state.get("fail") == "truncate" and len(body) > 1 and not bare:
        request.whole = False
        return out.encode("latin-1") + b"Content-Length: %d\r\n\r\n" % len(body) + body[:len(body) // 2], False
    if framing == "chunked" and not bare:
        half = len(body) // 2
        parts = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:half], body[half:]) if p)
        return out.encode("latin-1") + b"Transfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n", True
    if framing == "close" and not bare:
        return out.encode("latin-1") + b"Connection: close\r\n\r\n" + body, False
    if status not in (204, 304):
        out += f"Content-Length: {len(body)}\r\n"
    return out.encode("latin-1") + b"\r\n" + (b"" if bare else body), kept


class Client:
    """One client with two connections to each listener, opened as they are needed."""

    def __init__(self, ports):
        self.ports = ports
        self.open = {}

    def drop(self, key):
        """Forgets a connection."""
        if key in self.open:
            self.open.pop(key)[1].close()

    def close(self):
        """Closes all."""
        for key in list(self.open):
            self.drop(key)

    async def ask(self, listener, which, method, target, fields, sent, seen):
        """One exchange; fills in what was seen."""
        key = (listener, which)
        if key not in self.open:
            self.open[key] = await asyncio.open_connection("127.0.0.1", self.ports[listener])
        reader, writer = self.open[key]
        lines = "".join(f"{n}: {v}\r\n" for n, v in fields)
        seen.sent = time.time()
        writer.write(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + sent)
        try:
            while True:
                start, got = await head(reader)
                if (status := int(start.split(" ")[1])) >= 200:
                    break
            seen.status, seen.fields, seen.complete = status, got, True
            if method != "HEAD" and status not in (204, 304):
                seen.body, seen.complete = await content(reader, got, True)
            if not seen.complete or "close" in (got.get("connection") or "").lower():
                self.drop(key)
        except (asyncio.IncompleteReadError, OSError):
            self.drop(key)
        seen.got = time.time()


class Play:
    """One scenario on its way."""

    def __init__(self, scenario, base, url, path, host):
        self.scenario, self.base, self.url, self.path, self.host = scenario, base, url, path, host
        self.seen = []

    async def step(self, client):
        """The next request; False when there is none."""
        number, steps = len(self.seen), self.scenario["steps"]
        if number == len(steps):
            return False
        step, sent = steps[number], b"content" if steps[number].get("content") else b""
        fields = [(n, render(v, self.base, self.url)) for n, v in step["fields"]] + [("X-Step", str(number))]
        if sent or step["method"] in ("POST", "PUT", "PATCH"):
            fields.append(("Content-Length", str(len(sent))))
        self.seen.append(Seen(Fields(fields)))
        listener = self.scenario["listener"]
        target = self.url if listener == "forward" else self.path
        work = client.ask(listener, step.get("conn", 0), step["method"], target, [("Host", self.host), *fields], sent, self.seen[-1])
        await asyncio.wait_for(work, PATIENCE)
        return True


class Stage:
    """A daemon's ports {"forward": …, "reverse": …} and the origin: begins scenarios."""

    def __init__(self, ports, listening):
        self.ports, self.listening = ports, listening
        self.origin = Origin()
        self.count = itertools.count(1)
        self.mark = f"{time.time_ns():x}"

    async def start(self):
        """Lets the origin serve."""
        await self.origin.start(self.listening)

    def begin(self, scenario):
        """A scenario under a URL of its own."""
        path = f"/{self.mark}/{next(self.count)}" + ("?q=1" if scenario.get("query") else "")
        host = f"127.0.0.1:{self.origin.port}"
        play = Play(scenario, int(time.time()), f"http://{host}{path}", path, host)
        self.origin.running[path] = (scenario, play.base, play.url, play.seen)
        if len(self.origin.running) > 2000:     # late requests still find theirs
            del self.origin.running[next(iter(self.origin.running))]
        return play
