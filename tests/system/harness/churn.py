"""Misses by the gigabyte: bodies of mixed sizes, every byte of which is known."""

import math
import random
import threading

from .message import answer

BLOCK = random.Random(1).randbytes(1 << 20) * 6
FRESH = "Cache-Control: max-age=86400"


def body(number, size):
    """The body of /number/size: no two are equal, nor are their parts at equal places."""
    head = b"%d/%d:" % (number, size)
    at = number * 7919 % (1 << 20)
    return (head + BLOCK[at:at + max(0, size - len(head))])[:size]


def script(req, conn):
    """The origin's side."""
    number, size = map(int, req.path[1:].split("/"))
    return answer(body(number, size), fields=[FRESH])


def mixed(low=1 << 10, high=4 << 20):
    """Sizes whose logarithms are spread evenly."""
    a, b = math.log(low), math.log(high)
    return lambda rng: int(math.exp(rng.uniform(a, b)))


class Churn:
    """Clients that ask for new URLs, and now and then for one of their latest again, until `total` bytes of bodies
    have come. All answers must be right."""

    def __init__(self, larder, origin, size=mixed(), clients=4, again=0.1, first=0):
        self.larder, self.origin, self.size, self.clients, self.again = larder, origin, size, clients, again
        self.asked = self.bytes = self.repeats = self.hits = 0
        self.next = first
        self.wrong = []
        self.lock = threading.Lock()
        origin.on("*", script)

    def _one(self, c, number, size):
        r = c.get(self.origin.url(f"/{number}/{size}"))
        if r.status != 200:
            raise AssertionError(f"/{number}/{size}: {r.start}: {r.body[:300]!r}")
        if r.body != body(number, size):
            raise AssertionError(f"/{number}/{size}: wrong bytes")
        return r

    def _number(self):
        with self.lock:
            self.next += 1
            return self.next

    def _client(self, seed, total):
        rng, latest = random.Random(seed), []
        try:
            with self.larder.client() as c:
                while self.bytes < total and not self.wrong:
                    number, size = self._number(), self.size(rng)
                    self._one(c, number, size)
                    latest = [*latest[-15:], (number, size)]
                    hit = None
                    if rng.random() < self.again:
                        hit = bool(self._one(c, *rng.choice(latest)).cache.get("hit"))
                    with self.lock:
                        self.asked += 1
                        self.bytes += size
                        self.repeats += hit is not None
                        self.hits += hit or 0
        except Exception as e:  # pylint: disable=broad-except
            self.wrong.append(f"{type(e).__name__}: {e}")

    def run(self, total):
        """Until `total` more bytes have come."""
        total += self.bytes
        threads = [threading.Thread(target=self._client, args=(i, total)) for i in range(self.clients)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.origin.forget()
        assert not self.wrong, self.wrong[0]
        return self
