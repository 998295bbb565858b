"""A client that sends bytes and sees bytes."""

import select
import socket
import struct

from .message import Response

NO_BODY = (204, 304)


class Broken(AssertionError):
    """The peer's answer broke off or was no HTTP."""


class Client:
    """One TCP connection. Use as a context manager or let the `connect` fixture close it."""

    def __init__(self, port, host="127.0.0.1", timeout=20, source=None):
        self.sock = socket.create_connection((host, port), timeout=timeout,
                                             source_address=(source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.eof = False

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        """Closes the connection."""
        self.sock.close()

    def reset(self):
        """Closes the connection with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def send(self, data):
        """Sends bytes (or text as Latin-1) as they are."""
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def _more(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.eof = True
        self.buffer += data
        return bool(data)

    def _line(self):
        while b"\r\n" not in self.buffer:
            if not self._more():
                raise Broken(f"end of stream within a line: {self.buffer[:200]!r}")
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def exactly(self, n):
        """Reads n bytes."""
        parts, have = [self.buffer], len(self.buffer)
        while have < n:
            try:
                data = self.sock.recv(min(1 << 20, max(65536, n - have)))
            except ConnectionResetError:
                data = b""
            if not data:
                self.eof = True
                raise Broken(f"end of stream after {have} of {n} bytes")
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self.buffer = whole[n:]
        return whole[:n]

    def head(self):
        """Reads one response head."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                raise Broken(f"end of stream within a head: {self.buffer[:200]!r}")
        raw, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return Response(raw + b"\r\n\r\n")

    def rest(self):
        """Everything up to the end of the stream."""
        while self._more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def response(self, method="GET"):
        """Reads one final response with its body."""
        interim = []
        while True:
            r = self.head()
            if r.status >= 200 or r.status == 101:
                break
            interim.append(r)
        r.interim = interim
        if method == "HEAD" or r.status in NO_BODY or r.status == 101 or (
                method == "CONNECT" and r.status == 200):
            pass
        elif "chunked" in (r.get("Transfer-Encoding") or "").lower():
            self._chunks(r)
        elif r.has("Content-Length"):
            r.body = self.exactly(int(r.get("Content-Length")))
        else:
            r.body = self.rest()
        r.complete = True
        return r

    def _chunks(self, r):
        parts = []
        while True:
            size = int(self._line().split(b";")[0], 16)
            if size == 0:
                break
            parts.append(self.exactly(size))
            end = self.exactly(2)
            if end != b"\r\n":
                raise Broken(f"chunk not ended by CRLF but {end!r}")
        while True:
            line = self._line()
            if not line:
                break
            r.trailers.append(line.decode("latin-1"))
        r.body = b"".join(parts)

    def request(self, method, target, fields=(), body=b"", host=None):
        """Sends a request head (Host from the target unless given) and body, and reads the answer."""
        self.send(self.compose(method, target, fields, body, host))
        return self.response(method)

    @staticmethod
    def compose(method, target, fields=(), body=b"", host=None):
        """A request in bytes."""
        if host is None:
            host = target.split("//", 1)[1].split("/", 1)[0].split("?")[0] if "://" in target else "localhost"
        lines = [f"{method} {target} HTTP/1.1"]
        if not any(f.lower().startswith("host:") for f in fields):
            lines.append(f"Host: {host}")
        lines += fields
        if body and not any(f.lower().startswith(("content-length:", "transfer-encoding:")) for f in fields):
            lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body

    def get(self, target, *fields, host=None):
        """GET with "Name: value" fields."""
        return self.request("GET", target, fields, host=host)

    def closed(self, seconds=20):
        """Whether the peer closes (or resets) within the time, without sending anything more."""
        self.sock.settimeout(seconds)
        try:
            return not self.buffer and not self._more()
        except (TimeoutError, socket.timeout):
            return False

    def silent(self):
        """Whether the connection is open with nothing to read right now."""
        return not self.buffer and not select.select([self.sock], [], [], 0)[0]
