"""An origin server that is scripted down to its bytes."""

import socket
import ssl
import struct
import threading
from urllib.parse import urlsplit

from .message import Head, answer
from .wait import until


class Request(Head):
    """A request as the origin received it."""

    def __init__(self, raw, conn):
        super().__init__(raw)
        parts = self.start.split(" ")
        self.method, self.target = parts[0], parts[1] if len(parts) > 1 else ""
        self.path = urlsplit(self.target).path if "://" in self.target else self.target.split("?")[0]
        self.conn = conn
        self.body = b""
        self.trailers = []
        self.body_broken = False


class Connection:
    """The origin's side of one connection, handed to scripts."""

    def __init__(self, sock, number):
        self.sock, self.number = sock, number
        self.buffer = b""
        self.kept = True

    def send(self, data):
        """Sends bytes; a peer that has gone is no error."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            self.kept = False
            return False

    def close(self):
        """Ends the connection in order."""
        self.kept = False
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self):
        """Ends the connection with a reset."""
        self.kept = False
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()
        except OSError:
            pass

    def more(self):
        """Reads more into the buffer; False at the end of the stream."""
        try:
            data = self.sock.recv(65536)
        except OSError:
            data = b""
        self.buffer += data
        return bool(data)

    def peer_gone(self, seconds=20):
        """Waits for the peer to close; True when it did."""
        self.sock.settimeout(seconds)
        try:
            while self.sock.recv(65536):
                pass
            return True
        except (TimeoutError, socket.timeout):
            return False
        except OSError:
            return True

    def line(self):
        """One line without its CRLF, or None."""
        while b"\r\n" not in self.buffer:
            if not self.more():
                return None
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def exactly(self, n):
        """n bytes, or None."""
        while len(self.buffer) < n:
            if not self.more():
                return None
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data


class Origin:
    """A threaded server. Scripts by path: bytes, a list of them (one a request, the last one stays),
    or a function(request, connection) that returns bytes or None when it answered by itself."""

    def __init__(self, host="127.0.0.1", tls=None, port=0):
        self.host = host
        self.tls = tls
        self.scripts = {}
        self.fallback = answer("fallback", fields=["Cache-Control: no-store"])
        self.requests = []
        self.connections = 0
        self.lock = threading.Lock()
        self.open = set()
        self.before_body = None
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen(512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def authority(self):
        """host:port"""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def url(self, path="/"):
        """The URL of a path here."""
        return f"{'https' if self.tls else 'http'}://{self.authority}{path}"

    def on(self, path, script):
        """Sets the script of a path; "*" for every path without one."""
        self.scripts[path] = script
        return self

    def count(self, path=None):
        """How many requests came (for a path)."""
        with self.lock:
            return sum(1 for r in self.requests if path is None or r.path == path)

    def forget(self):
        """Drops the requests that came so far: a long run has many."""
        with self.lock:
            self.requests.clear()

    def last(self, path=None):
        """The last request (for a path)."""
        with self.lock:
            return [r for r in self.requests if path is None or r.path == path][-1]

    def wait(self, n, path=None):
        """Waits until n requests have come."""
        until(lambda: self.count(path) >= n, f"{n} requests for {path} at the origin")

    def stop(self):
        """Closes everything; new connections are refused from now on."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self.lock:
            conns = list(self.open)
        for c in conns:
            c.reset()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(60)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                conn = Connection(sock, self.connections)
                self.open.add(conn)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            if self.tls:
                conn.sock = self.tls.wrap_socket(conn.sock, server_side=True)
            while conn.kept and self._one(conn):
                pass
        except (ssl.SSLError, OSError):
            pass
        finally:
            with self.lock:
                self.open.discard(conn)
            try:
                conn.sock.close()
            except OSError:
                pass

    def _one(self, conn):
        while b"\r\n\r\n" not in conn.buffer:
            if not conn.more():
                return False
        raw, conn.buffer = conn.buffer.split(b"\r\n\r\n", 1)
        req = Request(raw + b"\r\n\r\n", conn)
        script = self.scripts.get(req.path, self.scripts.get("*", self.fallback))
        if getattr(script, "reads_body", True):
            self._body(req, conn)
        with self.lock:
            self.requests.append(req)
        if isinstance(script, list):
            with self.lock:
                script = script.pop(0) if len(script) > 1 else script[0]
        if callable(script):
            script = script(req, conn)
        if script is not None:
            if req.method == "HEAD" and b"\r\n\r\n" in script:
                script = script.split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n"
            conn.send(script)
            if b"\r\nconnection: close" in script.split(b"\r\n\r\n", 1)[0].lower():
                conn.close()
        return conn.kept

    def _body(self, req, conn):
        if (req.get("Expect") or "").lower() == "100-continue":
            conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in (req.get("Transfer-Encoding") or "").lower():
            parts = []
            while True:
                line = conn.line()
                size = int(line.split(b";")[0], 16) if line else None
                data = conn.exactly(size + 2) if size else None
                if line is None or (size and data is None):
                    req.body_broken = True
                    break
                if size == 0:
                    break
                parts.append(data[:-2])
            while not req.body_broken:
                line = conn.line()
                if not line:
                    break
                req.trailers.append(line.decode("latin-1"))
            req.body = b"".join(parts)
        elif req.has("Content-Length"):
            body = conn.exactly(int(req.get("Content-Length")))
            req.body_broken = body is None
            req.body = body if body is not None else conn.buffer


def raw_script(function):
    """Marks a script that reads the request body (if any) by itself."""
    function.reads_body = False
    return function


def broken(data):
    """A script: sends the bytes and closes in order."""
    def script(req, conn):
        conn.send(data)
        conn.close()
    return script
