"""The origin that all programs have: each scenario's play says what it answers, and is told what came."""

import asyncio

from wire import LIMIT, Broken, filled, read_body, read_head

REASONS = {100: "Continue", 103: "Early Hints", 200: "OK", 201: "Created", 204: "No Content", 206: "Partial Content", 301: "Moved Permanently",
           304: "Not Modified", 404: "Not Found", 416: "Range Not Satisfiable", 500: "Internal Server Error"}


def encoded(answer, number, method, values):
    """An answer in bytes. The n-th one says so in X-Number, and, unless it has another body, in its body."""
    if answer.raw is not None:
        return filled(answer.raw, values).encode("latin-1")
    body = str(number) if answer.body is None else answer.body
    body = body.encode("latin-1") if isinstance(body, str) else body
    bare = answer.status in (204, 304)
    fields = [filled(f, values) for f in answer.fields]
    names = {f.partition(":")[0].lower() for f in fields}
    lines = [f"HTTP/1.{answer.minor} {answer.status} {REASONS.get(answer.status, 'Other')}"]
    if answer.date and "date" not in names:
        lines.append(filled("Date: {0}", values))
    if answer.status != 304 and method != "HEAD":
        lines.append(f"X-Number: {number}")
    lines += fields
    if answer.framing == "length" and not bare and "content-length" not in names:
        lines.append(f"Content-Length: {len(body) + answer.missing}")
    elif answer.framing == "chunked" and not bare:
        lines.append("Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:3], body[3:]) if p)
        body += b"" if answer.missing else b"0\r\n" + "".join(f"{t}\r\n" for t in answer.trailers).encode("latin-1") + b"\r\n"
    if answer.closes:
        lines.append("Connection: close")
    head = "".join(f"HTTP/1.1 {s} {REASONS.get(s, 'Interim')}\r\n" + "".join(f"{f}\r\n" for f in more) + "\r\n" for s, *more in answer.interim)
    head += "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("latin-1") + (b"" if bare or method == "HEAD" else body + answer.extra)


class Origin:
    """Listens on a port; plays register by the name in their URLs: /c/NAME/…"""

    def __init__(self):
        self.plays, self.server, self.port = {}, None, None
        self.open = set()

    @property
    def authority(self):
        """As it stands in Host."""
        return f"127.0.0.1:{self.port}"

    async def start(self):
        """Begins to listen."""
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, limit=LIMIT, backlog=512)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self):
        """Ends all connections."""
        self.server.close()
        for writer in list(self.open):
            writer.close()

    async def serve(self, reader, writer):
        """One connection."""
        self.open.add(writer)
        try:
            nth = 1
            while await self.exchange(reader, writer, nth):
                nth += 1
        except (Broken, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    async def exchange(self, reader, writer, nth):
        """One request and its answer; whether another may follow."""
        request = await read_head(reader)
        if request is None:
            return False
        words = request.start.split(" ")
        request.method, request.target = words[0], words[1] if len(words) > 1 else ""
        request.nth = nth
        path = request.target.partition("://")[2].partition("/")[2] if "://" in request.target else request.target[1:]
        play = self.plays.get(path.split("/")[1] if path.count("/") else "")
        if play is None:
            await read_body(reader, request, False)
            writer.write(b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 5\r\n\r\nready")
            return not request.closes
        if request.get("Expect") and play.continues(request):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not request.get("Expect") or play.continues(request):
            await read_body(reader, request, False)
        answer, count = play.arrived(request)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.drop:
            return False
        data = encoded(answer, count, request.method, play.values)
        if answer.slowly and request.method != "HEAD":
            head, _, body = data.partition(b"\r\n\r\n")
            writer.write(head + b"\r\n\r\n" + body[:1])
            await writer.drain()
            await asyncio.sleep(answer.slowly)
            data = body[1:]
        writer.write(data)
        await writer.drain()
        return not (answer.closes or answer.framing == "close" or answer.missing or answer.minor == 0 or request.closes)
