"""Responses as bytes and as parsed values."""

import re
import time
from email.utils import formatdate

REASONS = {100: "Continue", 101: "Switching Protocols", 103: "Early Hints", 200: "OK", 201: "Created",
           204: "No Content", 206: "Partial Content", 301: "Moved Permanently", 302: "Found",
           304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           416: "Range Not Satisfiable", 500: "Internal Server Error", 503: "Service Unavailable"}


def http_date(offset=0):
    """An IMF-fixdate, `offset` seconds from now."""
    return formatdate(time.time() + offset, usegmt=True)


def answer(body=b"", status=200, fields=(), length=True, date=True, close=False):
    """A response in bytes. `fields`: "Name: value" strings."""
    if isinstance(body, str):
        body = body.encode()
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Something')}"]
    if date and not any(f.lower().startswith("date:") for f in fields):
        lines.append(f"Date: {http_date()}")
    lines += fields
    if length and status not in (204, 304) and status >= 200:
        lines.append(f"Content-Length: {len(body)}")
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def chunked(parts, trailers=()):
    """Parts in the chunked coding."""
    out = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts if p)
    return out + b"0\r\n" + b"".join(t.encode() + b"\r\n" for t in trailers) + b"\r\n"


class Head:
    """A parsed message head: start line and fields in order."""

    def __init__(self, raw):
        self.raw = raw
        lines = raw.split(b"\r\n")
        self.start = lines[0].decode("latin-1")
        self.fields = []
        for line in lines[1:]:
            if line:
                name, _, value = line.partition(b":")
                self.fields.append((name.decode("latin-1"), value.strip().decode("latin-1")))

    def all(self, name):
        """The values of all fields of that name."""
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name, default=None):
        """The combined value of a field, or the default."""
        values = self.all(name)
        return ", ".join(values) if values else default

    def has(self, name):
        """Whether a field of that name is there."""
        return bool(self.all(name))


class Response(Head):
    """A response as a raw client saw it."""

    def __init__(self, raw):
        super().__init__(raw)
        match = re.match(r"HTTP/1\.([01]) (\d{3})(?: (.*))?$", self.start)
        assert match, f"no status line: {self.start!r}"
        self.minor = int(match.group(1))
        self.status = int(match.group(2))
        self.reason = match.group(3) or ""
        self.body = b""
        self.trailers = []
        self.interim = []
        self.complete = False

    @property
    def cache(self):
        """The last member of Cache-Status as a dict: {"hit": True, "ttl": 59, "fwd": "uri-miss", …}."""
        value = self.get("Cache-Status")
        assert value is not None, f"no Cache-Status in {self.raw!r}"
        return sf_params(sf_members(value)[-1])

    @property
    def proxy(self):
        """The last member of Proxy-Status as a dict."""
        value = self.get("Proxy-Status")
        assert value is not None, f"no Proxy-Status in {self.raw!r}"
        return sf_params(sf_members(value)[-1])


def sf_members(value):
    """Members of a structured list, quotes respected."""
    return [m.strip() for m in re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+', value)]


def sf_params(member):
    """Item and parameters of a structured list member."""
    parts = [p.strip() for p in re.findall(r'(?:[^;"]|"(?:[^"\\]|\\.)*")+', member)]
    out = {"name": parts[0].strip('"')}
    for part in parts[1:]:
        key, eq, text = part.partition("=")
        if not eq:
            out[key] = True
        elif re.fullmatch(r"-?\d+", text):
            out[key] = int(text)
        else:
            out[key] = text.strip('"')
    return out
