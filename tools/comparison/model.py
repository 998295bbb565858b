"""The vocabulary that scenarios are written in.

A scenario is row(NAME, RFC and section, LEVEL, TEXT, STEP…). A step is a request with what the origin answers from then
on and with checks of what came of it; a check in given(…) is a condition of the whole scenario: where it does not hold,
the scenario could not be tested. Levels: MUST and SHOULD are right or wrong; MAY is what a cache is free to do, and better
does: yes or no."""

import re
from dataclasses import dataclass, field

MUST, SHOULD, MAY = "must", "should", "may"


@dataclass
class Answer:
    """What the origin answers. framing: length, chunked or close; missing: so many bytes of the body (or the last chunk) never come."""
    status: int = 200
    fields: tuple = ()
    body: object = None
    framing: str = "length"
    missing: int = 0
    extra: bytes = b""
    delay: float = 0
    slowly: float = 0  # the body's first byte, then so long nothing
    interim: tuple = ()
    trailers: tuple = ()
    date: bool = True
    closes: bool = False
    drop: bool = False  # close the connection instead
    minor: int = 1
    lasts: int = 0  # seconds that the next step waits for, and a little more
    raw: str = None


@dataclass
class Check:
    """A function of what was seen in a step, and what to call it."""
    name: str
    holds: object
    given: bool = False


@dataclass
class Step:
    """One request, or several alike at once."""
    method: str = "GET"
    fields: tuple = ()
    checks: tuple = ()
    origin: object = None  # an Answer, a list of them in turn, or None: as before
    validated: Answer = None  # to conditional requests
    ranged: Answer = None  # to requests with Range
    sub: str = ""  # goes behind the scenario's path
    body: bytes = b""
    raw: str = None  # the request's text instead
    copies: int = 1
    connection: str = ""  # a name: steps with the same share a connection
    pause: float = 0  # before it
    refuses: bool = False  # the origin does not send 100
    hangs: float = 0  # the client leaves after so many seconds


@dataclass
class Scenario:
    """One row."""
    name: str
    at: str
    level: str
    text: str
    steps: tuple
    category: str = ""


@dataclass
class Seen:
    """What came of a step."""
    answers: list = field(default_factory=list)  # Messages, or None where none came
    interim: list = field(default_factory=list)
    requests: list = field(default_factory=list)  # that the origin got
    numbers: set = field(default_factory=set)  # of the answers before this step
    total: int = 0  # requests at the origin so far
    before: list = field(default_factory=list)  # what was seen in earlier steps
    reused: bool = False
    host: str = ""

    @property
    def answer(self):
        """The first answer."""
        return self.answers[0] if self.answers else None

    @property
    def number(self):
        """Which of the origin's answers this is."""
        value = self.answer.get("X-Number") if self.answer else None
        return int(value) if value and value.isdigit() else None


def row(name, at, level, text, *steps):
    """A scenario."""
    return Scenario(name, at, level, text, steps)


def ok(*fields, **more):
    """An answer with these fields."""
    return Answer(fields=fields, **more)


def fresh(*fields, **more):
    """One that is fresh for an hour."""
    return Answer(fields=("Cache-Control: max-age=3600", *fields), **more)


def stale(*fields, control="max-age=1", **more):
    """One that is fresh for a second; the next step waits until that is over."""
    return Answer(fields=(f"Cache-Control: {control}", *fields), lasts=1, **more)


def ask(method, *parts, **more):
    """A request. Of its parts, an Answer is what the origin says from now on, strings are fields, the rest are checks."""
    answers = [p for p in parts if isinstance(p, Answer)]
    origin = more.pop("origin", None) or (answers if len(answers) > 1 else answers[0] if answers else None)
    return Step(method, tuple(p for p in parts if isinstance(p, str)), tuple(p for p in parts if isinstance(p, Check)), origin, **more)


def get(*parts, **more):
    """GET."""
    return ask("GET", *parts, **more)


def head(*parts, **more):
    """HEAD."""
    return ask("HEAD", *parts, **more)


def given(check):
    """A condition of the scenario."""
    return Check(check.name, check.holds, True)


# ---- checks: where the answer came from ----

hit = Check("answered from the cache", lambda s: not s.requests and s.number in s.numbers)
unasked = Check("origin not asked", lambda s: not s.requests and s.answer is not None)
asked = Check("origin asked", lambda s: bool(s.requests))
fetched = Check("answered by the origin", lambda s: bool(s.requests) and s.number is not None and s.number not in s.numbers)
old = Check("a stored answer is sent", lambda s: s.number in s.numbers)
validated = Check("validated with the origin, then the stored answer", lambda s: s.number in s.numbers and any(
    r.get("If-None-Match") or r.get("If-Modified-Since") for r in s.requests))


def total(n):
    """The origin has had so many requests in all."""
    return Check(f"{n} requests at the origin", lambda s: s.total == n)


def number(n):
    """It is the origin's n-th answer."""
    return Check(f"answer {n}", lambda s: s.number == n)


# ---- what went to the origin ----

def matches(value, pattern):
    """Whether a field is there and is so."""
    return value is not None and re.fullmatch(pattern, value, re.S) is not None


def sent(name, pattern=".*"):
    """A field of the request that the origin got."""
    return Check(f"origin gets {name}: {pattern}", lambda s: any(matches(r.get(name), pattern) for r in s.requests))


def sent_not(name, pattern=".*"):
    """No such field in it."""
    return Check(f"origin does not get {name}: {pattern}", lambda s: bool(s.requests) and not any(matches(r.get(name), pattern) for r in s.requests))


def sent_as(method):
    """The method that the origin got."""
    return Check(f"origin gets {method}", lambda s: any(r.method == method for r in s.requests))


def sent_body(body):
    """The body that the origin got."""
    return Check(f"origin gets the body {body!r}", lambda s: any(r.body == body for r in s.requests))


# ---- what the client got ----

def status(*codes):
    """One of these."""
    return Check("status " + " or ".join(map(str, codes)), lambda s: s.answer is not None and s.answer.status in codes)


def body(text):
    """Exactly this body."""
    data = text.encode("latin-1") if isinstance(text, str) else text
    return Check(f"body {text[:24]!r}", lambda s: s.answer is not None and s.answer.whole and s.answer.body == data)


def has(name, pattern=".*"):
    """A field whose lines together match."""
    return Check(f"{name}: {pattern}", lambda s: s.answer is not None and matches(s.answer.get(name), pattern))


def lacks(name, pattern=".*"):
    """No field, or one that does not match."""
    return Check(f"no {name}: {pattern}", lambda s: s.answer is not None and not matches(s.answer.get(name), pattern))


def lines(name, *values):
    """Exactly these lines of a field."""
    return Check(f"{name} lines {', '.join(values)}", lambda s: s.answer is not None and tuple(s.answer.all(name)) == values)


def same(name, step=1):
    """A field has the value that it had in the answer of an earlier step."""
    return Check(f"{name} as in step {step}", lambda s: s.answer is not None and s.before[step - 1].answer is not None and
                 s.answer.all(name) == s.before[step - 1].answer.all(name) != [])


def other(name, step=1):
    """A field is there and has another value than it had in the answer of an earlier step."""
    return Check(f"{name} not as in step {step}", lambda s: s.answer is not None and s.before[step - 1].answer is not None and
                 s.answer.all(name) not in ([], s.before[step - 1].answer.all(name)))


def age(low, high):
    """One Age, within these bounds."""
    def holds(s):
        values = s.answer.all("Age") if s.answer else []
        return len(values) == 1 and values[0].isdigit() and low <= int(values[0]) <= high
    return Check(f"Age of {low} to {high}", holds)


def interim(code, field_name=None):
    """An interim response came."""
    return Check(f"interim {code}", lambda s: any(m.status == code and (not field_name or m.get(field_name)) for m in s.interim))


def either(*checks):
    """One of them holds."""
    return Check(" or ".join(c.name for c in checks), lambda s: any(c.holds(s) for c in checks))


def all_of(*checks):
    """All of them hold."""
    return Check(" and ".join(c.name for c in checks), lambda s: all(c.holds(s) for c in checks))


def when(text, holds):
    """Whatever else."""
    return Check(text, holds)


def trailer(name):
    """A trailer field came."""
    return Check(f"trailer {name}", lambda s: s.answer is not None and any(n.lower() == name.lower() for n, _ in s.answer.trailers))


whole = Check("a whole body", lambda s: s.answer is not None and s.answer.whole)
broken = Check("the end is missing, and visibly so", lambda s: s.answer is None or not s.answer.whole or s.answer.status >= 500)
reused = Check("on the same connection", lambda s: s.reused and s.answer is not None)
all_whole = Check("everybody got the body", lambda s: all(a is not None and a.whole and a.status == 200 for a in s.answers))
silent = Check("no answer", lambda s: s.answer is None)
