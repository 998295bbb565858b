"""Walks through what was seen of a scenario with the oracle at hand, and says what differs."""

import json
import re
from dataclasses import replace

from answers import Comparison, Finding
from fields import HOP_BY_HOP, Directives, Fields, byte_ranges, date_field, entity_tags, hop_by_hop, resolve, strong_match, weak_match
from oracle import (Objection, SAFE, SAID_SAFE, Query, Stored, answers, chosen_for, condition, freshness, head_agrees, if_range, lifetime, reuse, same_letters,
                    selected, storable, updated)

CONDITIONS = ("if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range")
ERRORS = (500, 502, 503, 504)


def sure(objections):
    """Those that nobody may overlook."""
    return [o for o in objections if o.sure]


def said_hit(seen):
    """Whether Cache-Status speaks of a hit."""
    members = seen.fields.members("cache-status")
    return bool(members) and re.search(r";\s*hit\b", members[-1]) is not None


def worth(s):
    """Whether a response is of any use later: it was fresh when it came, or can be validated."""
    return freshness(s, s.got)[0] == "fresh" or s.tag() is not None or s.modified() is not None


class Judge:
    """One scenario: everything that was received for its URL so far, in order."""

    def __init__(self, url, scenario, seen):
        self.url, self.scenario, self.seen = url, scenario, seen
        self.known = []
        self.findings = []
        self.reported = set()
        self.stored = set()     # what the cache said that it stored
        self.could = []         # of each answer that could have come from the cache: its status, and whether it did

    def run(self):
        """All findings, step by step."""
        for number, seen in enumerate(self.seen):
            self.number = number
            q = Query(self.scenario["steps"][number]["method"], seen.query)
            before = len(self.findings)
            self.step(q, seen)
            if any(f.level == "must" for f in self.findings[before:]):
                break               # what follows would only be its consequences
        return self.findings

    def say(self, level, kind, clause, expected, seen):
        """Notes a finding of this step."""
        self.findings.append(Finding(self.number, level, kind, clause, str(expected), str(seen)))

    def step(self, q, seen):
        """One request and its answer."""
        now, before = (seen.sent, seen.got), list(self.known)
        for exchange in seen.origin:
            self.forwarded(q, exchange)
        if ready := self.best_hit(q, (now[0], now[1] + 1)):
            could = answers(ready, q)
            best = next(iter(could))
            self.could += [] if "either" in could else [(best, seen.status == best and said_hit(seen))]
        if not seen.origin:
            self.from_cache(q, seen, now)
            return
        self.extra_requests(seen)
        hit, bare = self.best_hit(q, (now[0], now[1] + 1)), self.validators_at_hand(q)
        late = [s for s in before if s.directives.has("stale-while-revalidate") and not sure(reuse(s, q, now))]
        verdicts = {error: [(s, reuse(s, q, now, error)) for s in before] for error in ("gone", "5xx")}
        made, failed = self.receive(q, seen)
        self.cautious(q, seen, hit, bare)
        error = "gone" if failed else "5xx" if seen.origin[-1].status >= 500 else None
        verdict = verdicts.get(error, [])
        stale = [s for s, o in verdict if not sure(o)]
        others = [(s, sure(o)) for s, o in verdict if sure(o)] or [(s, sure(reuse(s, q, now))) for s in before if s.replaced]
        options = []
        if seen.status:
            options = [Comparison(self.number, s, q, seen, how) for s, how in made]
            options += [Comparison(self.number, s, q, seen, "stale", s in late) for s in late + stale]
            # Whoever may answer first and ask behind may ask first, too (RFC 5861 3).
            options += [Comparison(self.number, s, q, seen, "stale") for s in late if failed or seen.origin[-1].status in ERRORS]
        self.settle(seen, options, failed, others)
        eager = stale[-1] if stale and stale[-1] is before[-1] and stale[-1].method != "HEAD" and not dict((id(s), o) for s, o in verdict)[id(stale[-1])] else None
        if not eager or seen.status != (seen.origin[-1].status or seen.status) or not worth(eager) or seen.status < 500:
            return
        if failed:
            self.say("cautious", "no stale answer though the origin failed", "RFC 9111 4.2.4", "stale answer", seen.status)
        elif seen.status in ERRORS and any((d.seconds("stale-if-error") or (0, 0))[1] for d in (eager.directives, q.directives)):
            self.say("cautious", "stale-if-error not used", "RFC 5861 4", "stale answer", seen.status)

    def settle(self, seen, options, failed, others):
        """Chooses the likeliest explanation of the answer and reports what is wrong with it."""
        if failed and (seen.status in (502, 504) or not seen.status):
            return
        if not seen.status:
            if not any(not e.whole for e in seen.origin):
                self.say("must", "no answer", "RFC 9112 9", "an answer", "connection closed")
            return
        said = said_hit(seen)
        best = min(options, key=lambda c: c.weight + (said != c.late) + 2 * (c.s.wrong is not None), default=None)
        if best is None or best.other:
            for s, objections in others:
                if s.id == seen.fields.get("x-id") and s.fields.get("x-upd") == seen.fields.get("x-upd"):
                    for o in objections:
                        self.say("must", f"reused: {o.kind}", o.clause, "the error", f"{seen.status} of {s.id}")
                    return
        if best is None:
            self.say("must", f"unexplained {seen.status}", "RFC 9111 4", "an answer of the origin's", self.summary(seen))
            return
        if best.other:
            self.say("must", "another response than the origin's", "RFC 9111 4.3.3", best.s.id, self.summary(seen))
            return
        self.findings += best.findings
        self.range_condition(seen)
        if o := best.s.wrong:
            self.say("must", f"validated: {o.kind}", o.clause, "nothing to validate", self.summary(seen))
        self.cache_status(seen, best.late)

    def range_condition(self, seen):
        """RFC 9110 13.1.5: whoever takes If-Range out of a request judges it for the client."""
        for e in seen.origin:
            if seen.status != 206 or e.status != 206 or not seen.query.has("if-range") or e.fields.has("if-range"):
                continue
            whole = Stored("", "GET", seen.query, 200, e.answer, b"", True, e.came, (e.came, e.came))
            if if_range(whole, Query("GET", seen.query)) is False:
                self.say("must", "a part although If-Range does not hold", "RFC 9110 13.1.5", "all of it", seen.query.get("if-range"))

    @staticmethod
    def summary(seen):
        """An answer in a few words."""
        return f"{seen.status} X-Id {seen.fields.get('x-id')} X-Upd {seen.fields.get('x-upd')} {seen.fields.get('cache-status')}"

    # ---- without the origin ----

    def from_cache(self, q, seen, now):
        """The origin saw nothing of the request."""
        fits = [s for s in self.known if not reuse(s, q, now)]
        if q.method not in ("GET", "HEAD"):
            if seen.status in (502, 504) and not seen.fields.has("x-id"):
                return      # sent on a connection that the origin was just closing, and not to be sent twice (RFC 9112 9.3.1)
            self.say("must", "not forwarded", "RFC 9111 4", "forwarded", self.summary(seen))
            return
        if q.directives.has("only-if-cached") and seen.status == 504 and not seen.fields.has("x-id"):
            if self.best_hit(q, now):
                self.say("cautious", "504 although stored", "RFC 9111 5.2.1.7", fits[-1].id, 504)
            return
        if not seen.status:
            self.say("must", "no answer", "RFC 9112 9", "an answer", "connection closed")
            return
        options = [Comparison(self.number, s, q, seen, "hit") for s in self.known]
        options = [c for c in options if not c.other]
        if not options:
            self.say("must", f"unexplained {seen.status}", "RFC 9111 4", "forwarded", self.summary(seen))
            return
        named = [c for c in options if c.s.id == seen.fields.get("x-id")] or options
        best = min(reversed(named), key=lambda c: (c.weight, len(sure(reuse(c.s, q, now)))))
        wrong = sure(reuse(best.s, q, now))
        for o in wrong:
            level = "should" if o.clause == "RFC 9111 4.3.5" else "must"
            self.say(level, f"reused: {o.kind}", o.clause, "no reuse", f"{self.summary(seen)}; lifetime {lifetime(best.s)}, "
                     f"{freshness(best.s, now)}")
        if not wrong:
            self.findings += best.findings
            self.cache_status(seen, True)
            self.most_recent(best.s, q, now, seen)

    def most_recent(self, s, q, now, seen):
        """RFC 9111 section 4: of several, the most recent by Date; but one that has a Vary before those that lack it (4.1)."""
        _, mine = date_field(s.fields, "date", s.got[1])
        place = self.known.index(s)
        for other in self.known[place + 1:]:
            _, date = date_field(other.fields, "date", other.got[1])
            kept = other.id in self.stored
            if s.fields.has("vary") and not other.fields.has("vary"):
                continue
            if other.id != s.id and mine is not None and date is not None and date > mine + 1 and not reuse(other, q, now):
                self.say("must" if kept else "cautious", "not the most recent", "RFC 9111 4", other.id, self.summary(seen))
                return

    def cache_status(self, seen, hit):
        """RFC 9211: hit if and only if nothing was forwarded."""
        members = seen.fields.members("cache-status")
        said = said_hit(seen)
        joined = bool(members) and re.search(r";\s*collapsed\b", members[-1]) is not None
        if said != hit and not (hit and joined):
            self.say("must", "Cache-Status", "RFC 9211 2.1", f"hit {hit}", members)
        if members and (told := re.search(r"fwd-status=(\d+)", members[-1])) and seen.origin and int(told[1]) not in [e.status for e in seen.origin]:
            self.say("must", "Cache-Status fwd-status", "RFC 9211 2.3", [e.status for e in seen.origin], members)

    # ---- what the origin saw ----

    def extra_requests(self, seen):
        """More than one request only where the one before came to nothing, or brought a part only."""
        for first, second in zip(seen.origin, seen.origin[1:]):
            if first.status == 206:
                if again := self.twice(first, second):
                    self.say("cautious", "bytes asked for twice", "RFC 9110 15.3.7.3", "those that are missing", again)
                    return
                continue
            if first.status == 416 and any(first.fields.get(n) != seen.query.get(n) for n in CONDITIONS):
                continue    # to a range without the client's conditions, which come before it (RFC 9110 13.2.2)
            if first.status not in (0, 304, *ERRORS) and first.whole:
                self.say("must", "asked twice", "RFC 9111 4", "one request", [e.status for e in seen.origin])
                return

    @staticmethod
    def twice(first, second):
        """What the second request asks for of what a 206 to the first had; None where it is another representation's."""
        had = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", first.answer.get("content-range") or "")
        wants = byte_ranges(second.fields.get("range") or "")
        other = any(second.fields.get(n) != first.fields.get(n) for n in CONDITIONS)    # then it is another question
        if not had or not wants or other or not first.whole or first.answer.get("etag") != second.answer.get("etag"):
            return None
        a, b, length = (int(g) for g in had.groups())
        again = [r for r in resolve(wants, length) if r[0] <= b and r[1] > a]
        return f"{again} after {a} to {b}" if again else None

    @staticmethod
    def wished(q, e):
        """Whether a cache that asks for a part by itself asks for one of those that the client wants (RFC 9110 14.2, RFC 9111
        3.3, 3.4): all of them are the client's; or what is missing of what it holds, which If-Range says (RFC 9110 13.1.5)."""
        asks, wants = byte_ranges(e.fields.get("range") or ""), byte_ranges(q.fields.get("range") or "")
        if q.method != "GET" or not asks or len(asks) > 1:
            return False
        first, last = asks[0]
        if not e.fields.has("if-range"):
            return wants is not None and (first, last) in wants
        # Where If-Range or a range that counts from the end is involved, all of it may be what the client gets.
        if not wants or q.fields.has("if-range") or len(q.fields.all("range")) > 1 or any(a is None for a, _ in wants):
            return True
        return first is not None and any(a <= first and (b is None or last is not None and last <= b) for a, b in wants)

    def forwarded(self, q, e):
        """A request as it arrived at the origin."""
        get = q.method in ("GET", "HEAD")
        if e.method != q.method and not (q.method == "HEAD" and e.method == "GET"):
            self.say("must", "method changed", "RFC 9110 7.7", q.method, e.method)
        cc = q.directives
        # A validation in the background is the cache's own request (RFC 5861 3); the client got what is stored.
        behind = said_hit(self.seen[self.number])
        if get and cc.plain("only-if-cached") and not behind:
            self.say("should", "only-if-cached sent on", "RFC 9111 5.2.1.7", "504 or a stored response", "forwarded")
        hop = hop_by_hop(q.fields)
        loose = set(CONDITIONS) | {"range"} if get else set()
        skip = HOP_BY_HOP | {"via", "content-length", "host", "cache-control", "cdn-loop"}
        # Whoever serves for others adds a name, and takes none away (RFC 8586 2).
        mine, got = q.fields.members("cdn-loop"), e.fields.members("cdn-loop")
        if got[:len(mine)] != mine or len(got) > len(mine) + 1:
            self.say("must", "CDN-Loop changed", "RFC 8586 2", mine, got)
        for name in sorted((q.fields.names() | e.fields.names()) - loose - skip):
            mine, got = ([] if name in hop else q.fields.all(name)), e.fields.all(name)
            if mine != got and got != [", ".join(mine)]:
                self.say("must", f"request's {name} changed", "RFC 9110 7.7", mine, got or "nothing")
        told = [d[:2] for d in Directives(e.fields).list]
        lost = [d[0] for d in cc.list if d[:2] not in told and not (behind and d[0] == "only-if-cached")]
        if lost:
            self.say("must", "request directives lost", "RFC 9111 5.2", lost, e.fields.get("cache-control"))
        if not e.fields.has("via"):
            self.say("must", "request without Via", "RFC 9110 7.6.3", "Via", "nothing")
        if q.method in ("POST", "PUT", "PATCH") and e.content != (b"content" if q.fields.get("content-length") != "0" else b""):
            self.say("must", "request's content", "RFC 9110 6.4", "content", e.content)
        if get:
            self.conditions(q, e)

    def conditions(self, q, e):
        """Preconditions and ranges of a forwarded GET or HEAD (RFC 9111 4.3.1)."""
        tags = {t for s in self.known if (t := s.tag())}
        dates = {v for s in self.known for v in s.fields.all("last-modified") + s.fields.all("date")}
        mine, got = q.fields.get("if-none-match"), e.fields.get("if-none-match")
        if got is not None and got != mine:
            listed, own = entity_tags(got), entity_tags(mine or "") or []
            if listed is None or listed == "*" or not set(listed) <= tags | set(own):
                self.say("must", "If-None-Match of nobody", "RFC 9111 4.3.1", sorted(tags), got)
        mine_since, since = q.fields.get("if-modified-since"), e.fields.get("if-modified-since")
        if since is not None and since != mine_since and since not in dates:
            self.say("must", "If-Modified-Since of nobody", "RFC 9111 4.3.1", sorted(dates), since)
        if since is not None and since != mine_since and got is None:
            asked = [s for s in self.known if since in s.fields.all("last-modified") and chosen_for(s, q)]
            if asked and all(s.tag() for s in asked):
                self.say("must", "validated by date although it has a tag", "RFC 9111 4.3.1", sorted(tags), since)
        for name in ("if-match", "if-unmodified-since"):
            if q.fields.all(name) != e.fields.all(name):
                self.say("must", f"{name} not sent on", "RFC 9110 13.2.1", q.fields.all(name), e.fields.all(name) or "nothing")
        # A cache asks for the parts that it wants itself; those of nobody's wish are still wrong.
        own = self.wished(q, e)
        if e.fields.has("range") and e.fields.get("range") != q.fields.get("range") and not own:
            self.say("must", "another Range", "RFC 9110 14.2", q.fields.get("range"), e.fields.get("range"))
        if e.fields.has("if-range") and e.fields.get("if-range") != q.fields.get("if-range") and e.fields.get("if-range") not in tags | dates:
            self.say("must", "If-Range of nobody", "RFC 9110 13.1.5", sorted(tags), e.fields.get("if-range"))
        if e.fields.has("range") and q.fields.has("if-range") and not e.fields.has("if-range") and not own:
            self.say("must", "If-Range dropped from a Range", "RFC 9110 13.1.5", q.fields.get("if-range"), "nothing")

    # ---- what the origin said ----

    def receive(self, q, seen):
        """Takes in the origin's answers: ([(response, how)] that the client's may come from, whether it failed)."""
        made, failed = [], False
        for e in seen.origin:
            failed = e.status == 0
            if failed:
                continue
            if e.status == 304 and q.method in ("GET", "HEAD"):
                made += self.not_modified(q, e, seen)
                continue
            got = (e.came, seen.got)
            r = Stored(e.answer.get("x-id"), e.method, seen.query, e.status, e.answer, e.body, e.whole, e.came - 1, got, url=self.url)
            made.append((r, "forwarded"))
            if q.method not in SAFE | SAID_SAFE and 200 <= e.status < 400:
                for s in self.known:
                    s.invalid = True
            if e.method == "HEAD" and e.status == 200:
                self.head(q, r, got)
            self.known.append(r)
            if re.search(r";\s*stored\b", (seen.fields.members("cache-status") or [""])[-1]):
                self.stored.add(r.id)
                for o in sure(storable(r)) if r.complete else ():
                    self.say("must", f"stored: {o.kind}", o.clause, "not stored", seen.fields.get("cache-status"))
        return made, failed

    def not_modified(self, q, e, seen):
        """RFC 9111 4.3.3, 4.3.4."""
        got, out = (e.came, seen.got), []
        could = [s for s in self.known if chosen_for(s, q) and s.method != "HEAD"]
        right = [s for s in could if not s.replaced and not sure(storable(s))]
        found, certain = selected(right, e.answer, got[1])
        mine = entity_tags(e.answer.get("etag") or "")
        listed = entity_tags(e.fields.get("if-none-match") or "") or []
        # A cache may ask by the tags of all that it has (RFC 9111 4.3.1), and the client by the same.
        changed = any(e.fields.get(n) != q.fields.get(n) for n in ("if-none-match", "if-modified-since")) or \
            listed != "*" and any(s.tag() in listed for s in self.known if s.tag())
        for s in found:
            new = updated(s, e.answer, q, e.came - 1, got, e.answer.get("x-upd"))
            out.append((new, "validated"))
            self.known.append(new)
            if certain and not q.directives.has("no-store") and not q.fields.has("authorization"):
                s.replaced = self.untold(s, q, e)
        # What should not be there any more, or a variant that this request could not have chosen, asked for by its tag.
        rest = [s for s in could if s not in right] + [s for s in self.known if s not in could and mine and s.tag()]
        for s in reversed(selected(rest, e.answer, got[1])[0] if changed else []):
            new = updated(s, e.answer, q, e.came - 1, got, e.answer.get("x-upd"))
            out.append((new, "validated"))
            if not s.replaced and not sure(storable(s)):
                self.known.append(new)
            for o in sure(storable(s)) + ([Objection(s.replaced, "RFC 9111 4.3.4")] if s.replaced else []):
                new.wrong = o
        asked = entity_tags(q.fields.get("if-none-match") or "")
        own = q.fields.has("if-none-match") or q.fields.has("if-modified-since")
        if own and (not changed or not asked or asked == "*" or not mine or any(weak_match(t, mine[0]) for t in asked)):
            out.append((Stored(e.answer.get("x-upd"), e.method, seen.query, 304, e.answer, b"", True, e.came - 1, got), "forwarded"))
        return out

    @staticmethod
    def untold(s, q, e):
        """How a 304 came, for those who still have the version before it."""
        if q.fields.has("if-match") or q.fields.has("if-unmodified-since"):
            return "not updated by the 304 to an If-Match or If-Unmodified-Since"
        if q.method == "HEAD":
            return "not updated by the 304 to a HEAD"
        return "not updated by a 304" + (", having Vary" if s.fields.has("vary") or e.answer.has("vary") else "")

    def head(self, q, r, got):
        """RFC 9111 4.3.5."""
        for s in [s for s in self.known if s.method == "GET" and s.status == 200 and chosen_for(s, q)]:
            if head_agrees(s, r.fields, got[1]):
                new = updated(s, r.fields, q, r.asked, got, r.id)
                # Its fields are the HEAD's from here on, with the one that we know responses by.
                pairs = [p for p in new.fields.pairs if p[0].lower() != "x-id"] + [("X-Id", r.id)]
                self.known.append(replace(new, id=r.id, fields=Fields(pairs)))
                self.stored |= {r.id} if s.id in self.stored else set()
            else:
                s.doubted = True

    # ---- hits that could have been ----

    def best_hit(self, q, now, known=None):
        """The response that the most eager cache that is right would answer with, if any."""
        known = self.known if known is None else known
        could = [s for s in known if s.method in ("GET", "POST", "HEAD") and not s.replaced]
        varies = False
        for s in reversed(could):
            varies = varies or s.fields.has("vary")
            if varies and not s.fields.has("vary"):
                return None     # which of them counts is open
            if vary := chosen_for(s, q):
                return s if vary and worth(s) and not reuse(s, q, now) else None
            if storable(s) or not s.complete:
                return None
        return None

    def validators_at_hand(self, q):
        """The last response, where it could be validated for q."""
        s = self.known[-1] if self.known else None
        if s is None or q.method != "GET" or s.method != "GET" or not chosen_for(s, q) or storable(s) or s.invalid or s.status != 200:
            return None
        return s if s.tag() or s.modified() else None

    def cautious(self, q, seen, hit, bare):
        """Forwarded although a stored response would have done, or without the validators at hand."""
        if hit and q.method in ("GET", "HEAD"):
            if hit.id not in self.reported and seen.origin[0].status and not said_hit(seen):
                self.say("cautious", "missed hit: " + ", ".join(self.features(hit, q)), "RFC 9111 3, 4", f"{hit.id} from the cache",
                         self.summary(seen))
            self.reported.add(hit.id)
        elif bare and bare.id not in self.reported and not any(q.fields.has(n) for n in ("range", "if-match", "if-unmodified-since")) and \
                not any(seen.origin[0].fields.has(n) for n in ("if-none-match", "if-modified-since")):
            self.reported.add(bare.id)
            self.say("cautious", "asked without validators: " + ", ".join(self.features(bare, q)), "RFC 9111 4.3.1", bare.tag(), "no condition")

    def features(self, s, q):
        """What is unusual about them, for grouping."""
        out, cc = [], s.directives
        out += ["not stored"] if s.id not in self.stored else []
        if s.status != 200:
            out.append(f"status {s.status if s.status in (203, 204, 206, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501) else 'other'}")
        out += [s.method] if s.method != "GET" else []
        out += [f"for {q.method}"] if q.method != "GET" else []
        source = lifetime(s)[3]
        out += [source] if source != "max-age" else []
        out += ["quoted number"] if any(quoted and n in ("max-age", "s-maxage") for n, _, quoted in cc.list) else []
        numbers = [n for n, _, _ in cc.list if n in ("max-age", "s-maxage")]
        out += ["repeated directive"] if len(set(numbers)) < len(numbers) else []
        out += ["Authorization"] if s.request.has("authorization") else []
        out += ["repeated Expires"] if len(s.fields.all("expires")) > 1 else []
        out += ["Set-Cookie"] if s.fields.has("set-cookie") else []
        out += ["Vary"] if s.fields.has("vary") else []
        out += ["normalised Vary"] if not same_letters(s, q) else []
        out += sorted({f"{n}" for n, _, _ in cc.list if n in ("no-cache", "private", "must-understand", "no-store", "immutable")})
        out += sorted({f"request {n}" for n, _, _ in q.directives.list} | {n for n in q.fields.names() if n in (*CONDITIONS, "range", "pragma")})
        out += sorted({f"stored on {n}" for n in s.request.names() if n in (*CONDITIONS, "range", "cache-control")})
        out += ["updated"] if s.was else []
        return out or ["plain"]
