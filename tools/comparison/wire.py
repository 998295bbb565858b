"""HTTP/1.1 in bytes for both ends: heads, bodies, and dates."""

import asyncio
import re
import time
from email.utils import formatdate

LIMIT = 1 << 20


class Broken(Exception):
    """What came was no whole message."""


def filled(text, values):
    """Text with %U (URL), %P (path), %H (authority) filled in, and {-100} and the like made dates so many seconds from now."""
    text = text.replace("%U", f"http://{values['H']}{values['P']}").replace("%P", values["P"]).replace("%H", values["H"])
    return re.sub(r"\{(-?\d+)\}", lambda m: formatdate(time.time() + int(m.group(1)), usegmt=True), text)


class Message:
    """A head, and the body when it has come."""

    def __init__(self, raw):
        lines = raw.split(b"\r\n")
        self.raw, self.start = raw, lines[0].decode("latin-1")
        self.fields = []
        for line in lines[1:]:
            if line:
                name, _, value = line.partition(b":")
                self.fields.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
        self.body, self.trailers, self.whole = b"", [], False

    def all(self, name):
        """The values of a field's lines."""
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name):
        """A field's lines as one value, or None."""
        values = self.all(name)
        return ", ".join(values) if values else None

    @property
    def status(self):
        """Of a response."""
        match = re.match(r"HTTP/1\.[01] (\d{3})", self.start)
        if not match:
            raise Broken(f"no status line: {self.start!r}")
        return int(match.group(1))

    @property
    def closes(self):
        """Whether its sender closes the connection after it."""
        tokens = [t.strip().lower() for t in (self.get("Connection") or "").split(",")]
        old = "HTTP/1.0" in self.start and "keep-alive" not in tokens
        return "close" in tokens or old


async def read_head(reader):
    """A head; None where the connection ends before it begins."""
    try:
        return Message((await reader.readuntil(b"\r\n\r\n"))[:-4])
    except asyncio.IncompleteReadError as e:
        if not e.partial.strip():
            return None
        raise Broken(f"the connection ended in a head: {e.partial[:80]!r}") from None
    except (asyncio.LimitOverrunError, ConnectionError) as e:
        raise Broken(str(e)) from None


async def read_chunked(reader, message):
    """A chunked body and its trailers."""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0].strip(), 16)
        if not size:
            break
        message.body += await reader.readexactly(size)
        if await reader.readexactly(2) != b"\r\n":
            raise Broken("a chunk without its end")
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        name, _, value = line.decode("latin-1").partition(":")
        message.trailers.append((name, value.strip()))


async def read_body(reader, message, until_close):
    """The body as the head announces it; `whole` says whether it all came."""
    try:
        if "chunked" in (message.get("Transfer-Encoding") or "").lower():
            await read_chunked(reader, message)
        elif (length := message.get("Content-Length")) is not None:
            left = int(length.split(",")[0])
            while left and (data := await reader.read(min(left, LIMIT))):
                message.body += data
                left -= len(data)
            if left:
                return
        elif until_close:
            while data := await reader.read(LIMIT):
                message.body += data
        message.whole = True
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError, Broken):
        message.whole = False


async def read_response(reader, method):
    """Interim responses and the final one with its body."""
    interim = []
    while True:
        message = await read_head(reader)
        if message is None:
            raise Broken("the connection was closed without an answer")
        if message.status >= 200:
            break
        interim.append(message)
        if message.status == 101:
            return message, interim[:-1]
    if method == "HEAD" or message.status in (204, 304):
        message.whole = True
    else:
        await read_body(reader, message, until_close=True)
    return message, interim
