"""Very many clients at once, on one thread: every byte that they get is looked at."""

import ctypes
import heapq
import select
import socket
import time
from dataclasses import dataclass

from .message import Response

LIBC = ctypes.CDLL(None)
LIBC.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
READ = 1 << 20
STEP = 0.25  # seconds between two reads of one that is slow
SIP = 64     # bytes at once until a slow one has its first of the body


class Body:
    """Bytes that answers are compared with."""

    def __init__(self, data):
        self.data = ctypes.create_string_buffer(data, len(data))
        self.at = ctypes.addressof(self.data)
        self.size = len(data)


class Guest:
    """One client with one request. `rate`: bytes that it reads a second; 0: all that comes."""

    def __init__(self, port, url, body, rate=0, fields=()):
        self.url, self.body, self.rate, self.fields = url, body, rate, fields
        self.sock = socket.socket()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if 0 < rate < 4096:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.connect(("127.0.0.1", port))
        self.raw = b""
        self.head = None
        self.got = 0
        self.asked = self.first = self.ended = 0
        self.wrong = None  # what must not have happened
        self.broken = False  # it ended too early

    def ask(self):
        """Sends the request."""
        host = self.url.split("/")[2]
        lines = [f"GET {self.url} HTTP/1.1", f"Host: {host}", *self.fields]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.sock.setblocking(False)
        self.asked = time.monotonic()

    @property
    def status(self):
        """The answer's, or 0."""
        return self.head.status if self.head else 0

    @property
    def whole(self):
        """All of it came."""
        return bool(self.ended) and not self.broken and not self.wrong

    def end(self, broken):
        """Nothing more is read."""
        self.ended = time.monotonic()
        self.broken = broken
        self.sock.close()

    def take(self, view, n):
        """n bytes have come."""
        if not self.head:
            self.raw += bytes(view[:n])
            if b"\r\n\r\n" not in self.raw:
                return
            raw, rest = self.raw.split(b"\r\n\r\n", 1)
            self.head = Response(raw + b"\r\n\r\n")
            view, n = memoryview(bytearray(rest)), len(rest)
        if n and not self.first:
            self.first = time.monotonic()
        self.judge(view, n)
        self.got += n
        length = self.head.get("Content-Length")
        if length is not None and self.got == int(length):
            self.end(False)

    def judge(self, view, n):
        """Are they the ones that they have to be?"""
        if self.status != 200 or self.wrong or not n:
            return
        if self.got + n > self.body.size:
            self.wrong = f"{self.got + n} bytes of {self.body.size}"
        elif LIBC.memcmp(ctypes.addressof(ctypes.c_char.from_buffer(view)), self.body.at + self.got, n):
            self.wrong = f"wrong bytes after {self.got}"


class Crowd:
    """The clients, connected and still silent."""

    def __init__(self, port):
        self.port = port
        self.guests = []
        self.buffer = bytearray(READ)
        self.view = memoryview(self.buffer)
        self.epoll = None
        self.by_fd = {}  # numbers of those that read what comes
        self.due = []  # (time, number) of those that read at their pace

    def add(self, url, body, rate=0, fields=()):
        """One more."""
        guest = Guest(self.port, url, body, rate, fields)
        self.guests.append(guest)
        return guest

    def _read(self, guest, most):
        try:
            n = guest.sock.recv_into(self.view, most)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            n = 0
        if n:
            guest.take(self.view, n)
        else:
            guest.end(True)

    def ask(self):
        """All send their requests."""
        self.epoll = select.epoll()
        for number, guest in enumerate(self.guests):
            guest.ask()
            self.epoll.register(guest.sock.fileno(), select.EPOLLIN)
            self.by_fd[guest.sock.fileno()] = number

    def _slow(self, now):
        while self.due and self.due[0][0] <= now:
            _, number = heapq.heappop(self.due)
            guest = self.guests[number]
            step = max(STEP, 1 / guest.rate)
            self._read(guest, min(READ, max(1, int(guest.rate * step))))
            if not guest.ended:
                heapq.heappush(self.due, (now + step, number))

    def _ready(self, fd):
        guest = self.guests[self.by_fd[fd]]
        self._read(guest, SIP if guest.rate else READ)
        if guest.rate and guest.first and not guest.ended:
            self.epoll.unregister(fd)
            heapq.heappush(self.due, (time.monotonic() + max(STEP, 1 / guest.rate), self.by_fd[fd]))
        if guest.ended or (guest.rate and guest.first):
            del self.by_fd[fd]

    def run(self, done=lambda: False, seconds=60):
        """Reads until all have ended, done() says so, or the time is over. True but for the last."""
        end = time.monotonic() + seconds
        while self.by_fd or self.due:
            now = time.monotonic()
            if now > end:
                return False
            if done():
                return True
            wait = min(end, self.due[0][0] if self.due else end) - now
            for fd, _ in self.epoll.poll(max(0, min(wait, 0.1))):
                self._ready(fd)
            self._slow(time.monotonic())
        return True

    def close(self):
        """Ends what is left."""
        for guest in self.guests:
            guest.sock.close()
        if self.epoll:
            self.epoll.close()

    def wrong(self):
        """What was wrong."""
        return [g.wrong for g in self.guests if g.wrong]


@dataclass
class Answer:
    """What became of one request of a load."""
    kind: str
    asked: float
    ended: float
    status: int  # 0: it broke off

    @property
    def took(self):
        """Seconds."""
        return self.ended - self.asked


class Load:
    """Clients on kept connections, each of which asks `pace` times a second; choose() says for which (kind, URL)."""

    def __init__(self, port, clients, pace, choose):
        self.port, self.pace, self.choose = port, pace, choose
        self.answers = []
        self.epoll = select.epoll()
        self.due = [(time.monotonic() + n / clients / pace, n) for n in range(clients)]
        self.socks = [None] * clients
        self.waits = {}  # descriptor → (number, kind, asked, bytes so far)

    def _ask(self, number):
        if not self.socks[number]:
            self.socks[number] = sock = socket.create_connection(("127.0.0.1", self.port), 20)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.epoll.register(sock.fileno(), select.EPOLLIN)
        sock = self.socks[number]
        kind, url = self.choose()
        self.waits[sock.fileno()] = (number, kind, time.monotonic(), b"")
        sock.sendall(f"GET {url} HTTP/1.1\r\nHost: {url.split('/')[2]}\r\n\r\n".encode())

    def _drop(self, number):
        self.epoll.unregister(self.socks[number].fileno())
        self.socks[number].close()
        self.socks[number] = None

    def _read(self, fd):
        number, kind, asked, raw = self.waits.get(fd) or (None, None, 0, b"")
        if number is None:  # closed between two requests
            number = next(n for n, s in enumerate(self.socks) if s and s.fileno() == fd)
            self._drop(number)
            return
        try:
            data = self.socks[number].recv(65536)
        except OSError:
            data = b""
        raw += data
        head, end, rest = raw.partition(b"\r\n\r\n")
        response = Response(head + end) if end else None
        if data and not (response and len(rest) == int(response.get("Content-Length", "0"))):
            self.waits[fd] = (number, kind, asked, raw)
            return
        del self.waits[fd]
        now = time.monotonic()
        self.answers.append(Answer(kind, asked, now, response.status if data else 0))
        if not data or "close" in (response.get("Connection") or ""):
            self._drop(number)
        heapq.heappush(self.due, (max(now, asked + 1 / self.pace), number))

    def run(self, seconds):
        """Goes on for a while, then waits for what was asked."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end or self.waits:
            assert now < end + 20, f"{len(self.waits)} clients hang"
            while now < end and self.due and self.due[0][0] <= now:
                self._ask(heapq.heappop(self.due)[1])
            wait = (min(end, self.due[0][0]) if self.due else end) - now
            for fd, _ in self.epoll.poll(max(0.0005, min(wait, 0.05))):
                self._read(fd)

    def close(self):
        """Ends all."""
        for sock in self.socks:
            if sock:
                sock.close()
        self.epoll.close()
