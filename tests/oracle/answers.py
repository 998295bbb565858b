"""Compares what a client saw with the response that it should have been made from."""

import re
from dataclasses import dataclass

from fields import Fields, age_value, date_field, delta, hop_by_hop
from oracle import answers, current_age

MADE = {"age", "via", "cache-status", "proxy-status", "connection", "keep-alive", "transfer-encoding", "content-length",
        "content-range", "date", "trailer"}
PROXYS = {"proxy-authenticate", "proxy-authentication-info"}
NEEDED_IN_304 = ("cache-control", "content-location", "etag", "expires", "vary", "date")       # RFC 9110 15.4.5
DESCRIBES = ("content-type", "content-encoding", "content-language", "content-range")


@dataclass
class Finding:
    """A difference: level is must, should or cautious (a hit that could have been)."""
    step: int
    level: str
    kind: str
    clause: str
    expected: str
    seen: str


class Comparison:
    """Differences between an answer and the response s that it was made from; how: hit, validated, stale, forwarded."""

    def __init__(self, step, s, q, seen, how, late=False):
        self.step, self.s, self.q, self.seen, self.how = step, s, q, seen, how
        self.late = late        # the origin was asked behind the client's back
        self.findings = []
        told = seen.fields.get("x-id")
        self.other = told is not None and told != s.id
        mine, upd = s.fields.get("x-upd"), seen.fields.get("x-upd")
        if (upd is not None or told is not None) and upd != mine:
            self.other = True
        self.status()

    @property
    def weight(self):
        """How wrong it is: for choosing the likeliest origin of an answer."""
        return 1000 * self.other + sum({"must": 20, "should": 5, "cautious": 1}[f.level] for f in self.findings)

    def say(self, level, kind, clause, expected, seen):
        """Notes a difference."""
        self.findings.append(Finding(self.step, level, kind, clause, str(expected), str(seen)))

    def status(self):
        """Which of the allowed statuses it is, and then the rest by it."""
        s, seen = self.s, self.seen
        allowed = answers(s, self.q)
        if seen.status == s.status and (self.how == "forwarded" or seen.status in (206, 304, 412, 416)):
            allowed = {s.status: s.body}
        if seen.status not in allowed:
            clause = {304: "RFC 9111 4.3.2", 412: "RFC 9111 4.3.2", 206: "RFC 9110 14.2", 416: "RFC 9110 14.2"}
            self.say("must", f"status {seen.status} instead of {next(iter(allowed))}",
                     clause.get(seen.status, clause.get(next(iter(allowed)), "RFC 9111 4")), "/".join(map(str, allowed)), seen.status)
            return
        best = next(iter(allowed))
        if seen.status != best and self.how != "forwarded" and seen.status != 304 and "either" not in allowed:
            level, clause = ("should", "RFC 9111 4.3.2") if best == 304 else ("cautious", "RFC 9110 14.2")
            self.say(level, f"{seen.status} where {best} would do", clause, best, seen.status)
        if not seen.complete and s.complete:
            self.say("must", "answer cut off", "RFC 9112 8", f"{len(s.body)} bytes", f"{len(seen.body)} bytes")
            return
        if not seen.complete and seen.status != s.status:
            return
        if seen.status == 304 and s.status != 304:
            self.not_modified()
        elif seen.status == 206 and s.status != 206:
            self.partial(allowed[206])
        elif seen.status == 416 and s.status != 416:
            self.unsatisfiable()
        else:
            self.whole()
        self.age()

    def same(self, name, wanted):
        """Whether a field is there as it should be: line for line, or in one."""
        got = self.seen.fields.all(name)
        return got == wanted or (len(wanted) > 1 and got == [", ".join(wanted)])

    def end_to_end(self):
        """What of the response belongs to the client. Proxy-Authenticate is only kept out of stores (RFC 9111 3.1)."""
        out = self.s.fields.without(hop_by_hop(self.s.fields) - (PROXYS if self.how == "forwarded" else set()))
        if self.how in ("hit", "stale"):
            out = out.without(self.s.directives.names_fields("no-cache"))
        return out

    def carried(self, needed=None, may_add=False):
        """Fields: all of them (or those needed) unchanged, none added."""
        want, optional = self.end_to_end(), self.s.secret | self.s.directives.names_fields("private") | \
            self.s.directives.names_fields("no-cache")
        for name in sorted(want.names() - MADE):
            wanted, got = want.all(name), self.seen.fields.all(name)
            if self.same(name, wanted) or (not got and (name in optional or name in PROXYS)):
                continue
            if not got and needed is not None and name not in needed:
                continue
            if self.s.was and name in ("content-encoding", "content-range"):    # RFC 9111 3.2 lets these be as they were
                continue
            kind = f"{name} lost" if not got else f"{name} changed"
            if self.s.was and name in ("etag", "content-type"):
                kind = f"{name} of a 304 not taken"
            self.say("must", kind, "RFC 9111 3.1, 3.2" if self.how != "forwarded" else "RFC 9110 7.7", wanted, got or "nothing")
        for name in sorted(self.seen.fields.names() - want.names() - MADE):
            if name in optional and self.how not in ("hit", "stale"):
                continue
            connection = name in hop_by_hop(self.s.fields)
            field_named = name in self.s.directives.names_fields("no-cache")
            kind = "connection's field sent on" if connection else "no-cache field reused" if field_named else f"{name} added"
            clause = "RFC 9110 7.6.1" if connection else "RFC 9111 5.2.2.4" if field_named else "RFC 9110 7.7"
            self.say("must", kind, clause, "nothing", self.seen.fields.all(name))
        self.date()
        if not self.seen.fields.has("via"):
            self.say("must", "no Via", "RFC 9110 7.6.3", "Via", "nothing")

    def date(self):
        """Date: the response's, or one made (RFC 9110 6.6.1)."""
        has, date = date_field(self.s.fields, "date", self.s.got[1])
        got = self.seen.fields.all("date")
        if date is not None and got != self.s.fields.all("date"):
            self.say("must", "Date changed", "RFC 9110 6.6.1", self.s.fields.all("date"), got)
        elif not has and date_field(self.seen.fields, "date", self.seen.got)[1] is None:
            self.say("must", "no Date", "RFC 9110 6.6.1", "a Date", got)

    def length(self, wanted):
        """Content-Length, where there is one."""
        got = self.seen.fields.get("content-length")
        if got is not None and got != str(wanted):
            self.say("must", "Content-Length", "RFC 9110 8.6", wanted, got)

    def whole(self):
        """The response as it is."""
        s, seen = self.s, self.seen
        body = b"" if self.q.method == "HEAD" or seen.status in (204, 304) else s.body
        if s.complete and seen.body != body:
            self.say("must", "body", "RFC 9110 6.4", body.hex(), seen.body.hex())
        elif not s.complete and (seen.complete and seen.fields.has("content-length") or not s.body.startswith(seen.body)):
            self.say("must", "incomplete answer passed as whole", "RFC 9111 3.3", "a broken answer", "a whole one")
        if seen.status not in (204, 304) and s.method != "HEAD":
            self.length(len(s.body))
        if seen.status in (206, 416) and s.fields.get("content-range") != seen.fields.get("content-range"):
            self.say("must", "content-range changed", "RFC 9110 14.4", s.fields.get("content-range"), seen.fields.get("content-range"))
        self.carried()

    def not_modified(self):
        """A 304 made by the cache."""
        if self.seen.body:
            self.say("must", "304 with content", "RFC 9110 15.4.5", "none", self.seen.body.hex())
        self.carried(NEEDED_IN_304)
        extra = [n for n in DESCRIBES if self.seen.fields.has(n)]
        if extra:
            self.say("should", "304 describes the representation", "RFC 9110 15.4.5", "nothing of " + ", ".join(extra), extra)

    def partial(self, allowed):
        """A 206 made from a whole response."""
        s, seen = self.s, self.seen
        kind = (seen.fields.get("content-type") or "").lower()
        if kind.startswith("multipart/byteranges"):
            boundary = re.search(r'boundary="?([^";]+)', seen.fields.get("content-type"))[1].encode()
            parts = seen.body.split(b"--" + boundary)[1:-1]
            ranges = [self.part(p.split(b"\r\n\r\n", 1)) for p in parts]
            self.carried(NEEDED_IN_304 if self.q.fields.has("if-range") else None)
            self.findings = [f for f in self.findings if f.kind not in ("content-type changed", "content-type added",
                                                                          "content-type of a 304 not taken")]   # RFC 9110 15.3.7.2
        else:
            ranges = [self.piece(seen.fields.get("content-range"), seen.body)]
            self.length(len(seen.body))
            self.carried(NEEDED_IN_304 if self.q.fields.has("if-range") else None)
        covered = all(any(r and r[0] <= a and b <= r[1] for r in ranges) for a, b in allowed)
        if not covered:
            self.say("must", "wrong ranges", "RFC 9110 14.2", sorted(allowed), ranges)

    def part(self, halves):
        """One part of several."""
        fields = Fields([(n, v) for n, _, v in (line.partition(":") for line in halves[0].decode("latin-1").split("\r\n") if line)])
        return self.piece(fields.get("content-range"), halves[1][:-2] if len(halves) > 1 else b"")

    def piece(self, text, data):
        """(start, end) that Content-Range says, checked against the bytes."""
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", text or "")
        if not match:
            self.say("must", "Content-Range", "RFC 9110 14.4", "a range", text)
            return None
        a, b = int(match[1]), int(match[2]) + 1
        if self.s.body[a:b] != data or match[3] != str(len(self.s.body)):
            self.say("must", "bytes of a range", "RFC 9110 15.3.7", f"{self.s.body[a:b].hex()} of {len(self.s.body)}", f"{text}: {data.hex()}")
        return a, b

    def unsatisfiable(self):
        """A 416 made by the cache."""
        got = self.seen.fields.get("content-range")
        if got != f"bytes */{len(self.s.body)}":
            self.say("should", "Content-Range of 416", "RFC 9110 15.5.17", f"bytes */{len(self.s.body)}", got)

    def age(self):
        """Age (RFC 9111 5.1, 4.2.3)."""
        seen, lines = self.seen, self.seen.fields.all("age")
        if seen.status == 416 and self.s.status != 416:
            return
        low, high = current_age(self.s, (seen.sent, seen.got))
        upstream = self.s.fields.has("age")
        if self.how == "forwarded":
            if upstream and delta(self.s.fields.get("age").split(",")[0].strip()) is None:
                return
            if not upstream and lines and self.s.id in (seen.fields.get("x-id"), None):
                self.say("should", "Age on a new answer", "RFC 9111 5.1", "no Age", lines)
            if not lines and upstream and seen.status == self.s.status:
                self.say("must", "Age lost", "RFC 9110 7.7", self.s.fields.all("age"), "nothing")
            if not lines or not upstream:
                return
            if lines == self.s.fields.all("age"):
                return
        if self.how == "validated" and not lines:
            if age_value(self.s.fields) > 2:
                self.say("must", "Age of a 304 lost", "RFC 9111 5.1", age_value(self.s.fields), "nothing")
            return
        if len(lines) != 1 or delta(lines[0]) is None:
            self.say("must", "no Age" if not lines else "Age malformed", "RFC 9111 4, 5.1", f"one Age of {low:.0f} to {high:.0f}", lines)
        elif not low - 1 <= int(lines[0]) <= high + 1 and not (high >= 2 ** 31 - 1 and int(lines[0]) >= 2 ** 31 - 1):
            self.say("must", "Age", "RFC 9111 4.2.3", f"{low:.0f} to {high:.0f}", lines[0])
