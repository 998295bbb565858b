"""A shared cache as RFC 9111 describes it (with RFC 9110, 5861, 8246), as pure functions.

Time comes as an interval (low, high), since nobody knows to the second when a cache looked at its clock. An Objection
is a reason against something, with the clause; an unsure one is a choice of the text, or a matter of that second."""

import re
from dataclasses import dataclass, field, replace

from fields import (Directives, Fields, age_value, byte_ranges, date_field, delta, entity_tags, hop_by_hop, http_date,
                    resolve, selecting, strong_match, vary_names, weak_match)

UNDERSTOOD = {200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405,
              406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426, 500, 501, 502, 503, 504, 505}
REGISTERED = {207, 208, 226, 418, 423, 424, 425, 428, 429, 431, 451, 506, 507, 508, 510, 511}    # understood by some
HEURISTIC = {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501}      # RFC 9110 section 15.1
SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}
SAID_SAFE = {"PROPFIND", "REPORT", "SEARCH", "QUERY", "PRI"}    # by the registry, which a cache may not know
NEVER = {428, 429, 431, 511}                                    # RFC 6585
HEURISTIC_SHARE, HEURISTIC_MAX = 0.1, 86400
SLACK = 2


@dataclass(frozen=True)
class Objection:
    """Why not."""
    kind: str
    clause: str
    sure: bool = True


@dataclass(frozen=True)
class Query:
    """A request as the cache receives it."""
    method: str
    fields: Fields

    @property
    def directives(self):
        """Its Cache-Control."""
        return Directives(self.fields)


@dataclass
class Stored:
    """A response that the cache has received, as it stands after updates."""
    id: str
    method: str
    request: Fields
    status: int
    fields: Fields
    body: bytes
    complete: bool
    asked: float
    got: tuple
    invalid: bool = False
    doubted: bool = False
    replaced: str = ""          # how a 304 came that this version does not know of
    wrong: Objection = None     # why it should not have been there to be validated
    secret: frozenset = frozenset()
    personal: bool = False      # updated by an answer to somebody with Authorization
    was: list = field(default_factory=list)
    others: list = field(default_factory=list)  # requests for which the origin has confirmed it
    url: str = ""

    @property
    def directives(self):
        """Its Cache-Control."""
        return Directives(self.fields)

    def tag(self):
        """Its entity-tag, None where it has no valid one."""
        text = self.fields.get("etag")
        tags = entity_tags(text) if text else None
        return tags[0] if tags and tags != "*" and len(tags) == 1 else None

    def modified(self):
        """Last-Modified in seconds, or None."""
        return date_field(self.fields, "last-modified", self.got[1])[1]


def storable(s):
    """What speaks against storing (RFC 9111 section 3) for a shared cache."""
    out, cc, request = [], s.directives, Directives(s.request)
    if s.method not in ("GET", "HEAD", "POST"):
        return [Objection("method not cacheable", "RFC 9111 3")]
    if s.status < 200:
        out.append(Objection("interim response", "RFC 9111 3"))
    if s.status in NEVER:
        out.append(Objection("status that must not be stored", "RFC 6585 3 to 6"))
    if s.status == 304:
        out.append(Objection("304 as a response of its own", "RFC 9111 3"))
    if request.has("no-store"):
        out.append(Objection("request no-store", "RFC 9111 5.2.1.5", request.plain("no-store")))
    understand = cc.has("must-understand")
    if understand and s.status not in UNDERSTOOD:
        out.append(Objection("must-understand with an unknown status", "RFC 9111 5.2.2.3", s.status not in REGISTERED))
    if cc.has("no-store"):
        out.append(Objection("no-store", "RFC 9111 5.2.2.5", cc.plain("no-store") and not understand))
    if cc.has("private"):
        out.append(Objection("private", "RFC 9111 5.2.2.7", cc.plain("private")))
    if s.request.has("authorization") and not (cc.has("public") or cc.has("must-revalidate") or cc.has("s-maxage")):
        out.append(Objection("authorization", "RFC 9111 3.5"))
    explicit = cc.has("max-age") or cc.has("s-maxage") or s.fields.has("expires")
    if not (explicit or cc.has("public") or s.status in HEURISTIC):
        out.append(Objection("nothing allows storing", "RFC 9111 3"))
    if s.method == "POST" and not (explicit and post_names_itself(s)):
        out.append(Objection("POST without lifetime or Content-Location", "RFC 9110 9.3.3"))
    if not s.complete:
        out.append(Objection("incomplete", "RFC 9111 3.3"))
    return out


def post_names_itself(s):
    """Whether Content-Location names the target URI, whole or as its path."""
    return s.fields.get("content-location") in (s.url, "/" + s.url.split("/", 3)[-1])


def born(s):
    """(known, low, high): the Date, or where it is unusable, when the response came."""
    _, date = date_field(s.fields, "date", s.got[1])
    return (date is not None, *((date, date) if date is not None else s.got))


def lifetime(s):
    """(low, preferred, high, source) of the freshness lifetime in seconds (RFC 9111 4.2.1, 4.2.2)."""
    cc = s.directives
    for name in ("s-maxage", "max-age"):
        if (found := cc.seconds(name)) is not None:
            return (*found, name)
    known, low, high = born(s)
    if s.fields.has("expires"):
        values = s.fields.all("expires")
        until = http_date(values[0], s.got[1])
        if until is None:
            return (0, 0, 0, "invalid Expires")
        least = 0 if len(values) > 1 else until - high
        return (max(0, least), max(0, until - high), max(0, until - low), "Expires")
    if s.status not in HEURISTIC and not cc.has("public"):
        return (0, 0, 0, "none")
    modified = s.modified()
    if modified is None or modified >= low:
        return (0, 0, 0, "none")
    span = min(HEURISTIC_MAX, HEURISTIC_SHARE * (high - modified))
    return (0, span if known else 0, span + 1, "heuristic")


def current_age(s, now):
    """(low, high) of the current age (RFC 9111 4.2.3)."""
    known, low, high = born(s)
    apparent = (max(0, s.got[0] - 1 - low), max(0, s.got[1] - low)) if known else (0, max(0, s.got[1] - s.got[0]))
    said = age_value(s.fields)
    initial = (max(apparent[0], said), max(apparent[1], said + s.got[1] - s.asked))
    return (initial[0] + max(0, now[0] - s.got[1]) - 1, initial[1] + now[1] - s.got[0] + 1)


def freshness(s, now):
    """("fresh" | "stale" | "unsure", staleness low, staleness high); fresh only where everybody must think so."""
    low, preferred, high, _ = lifetime(s)
    age = current_age(s, now)
    if s.doubted:
        return ("stale", 0, age[1])
    if age[1] + SLACK < min(preferred, high):
        word = "fresh"
    elif age[0] - SLACK >= high or high == 0:
        word = "stale"
    else:
        word = "unsure"
    return (word, age[0] - high, age[1] - preferred)


def vary_objections(s, q):
    """What Vary says against it (RFC 9111 4.1)."""
    names = vary_names(s.fields)
    if "*" in names:
        return [Objection("Vary: *", "RFC 9111 4.1")]
    kind = "vary" if not s.was else "vary, after a 304"
    # What was confirmed for a request has been selected by the origin for that one, too (RFC 9110 15.4.5).
    if any(all(selecting(n, r) == selecting(n, q.fields) for n in names) for r in [s.request, *s.others]):
        return []
    return [Objection(kind, "RFC 9111 4.1")]


def same_letters(s, q):
    """Whether the selecting fields agree without any normalising."""
    return all(s.request.get(n) == q.fields.get(n) for n in vary_names(s.fields))


def chosen_for(s, q):
    """Whether s could have been chosen for q, freshness aside (RFC 9111 4)."""
    methods = {"GET": ("GET", "POST"), "HEAD": ("GET", "HEAD", "POST")}.get(q.method, ())
    return s.method in methods and not vary_objections(s, q)


def forbids_stale(s):
    """Whether a directive of the response forbids every stale use (RFC 9111 4.2.4, 5.2.2.2, 5.2.2.8, 5.2.2.10)."""
    cc = s.directives
    return any(cc.has(n) for n in ("must-revalidate", "proxy-revalidate", "s-maxage")) or cc.plain("no-cache")


def within(cc, name, staleness):
    """Whether a stale-* directive covers a staleness (low, high): True, None for unsure, False."""
    found = cc.seconds(name)
    if found is None or found[2] == 0:
        return False
    if staleness[0] - SLACK > found[2]:
        return False
    return True if staleness[1] + SLACK < found[1] else None


def stale_objections(s, q, staleness, error):
    """What speaks against using it stale; error: None, "5xx" or "gone" (nothing came from the origin)."""
    if forbids_stale(s):
        return [Objection("stale although forbidden", "RFC 9111 4.2.4")]
    cc, mine = s.directives, q.directives
    answers = [within(cc, "stale-while-revalidate", staleness)]
    if mine.plain("max-stale"):
        answers.append(True)
    tolerance = within(mine, "max-stale", staleness)
    odd = [v for n, v, _ in mine.list if n == "max-stale" and v is not None]
    answers.append(None if tolerance is False and (len(odd) > 1 or any(delta(v) is None for v in odd)) else tolerance)
    if error:
        answers += [within(cc, "stale-if-error", staleness), within(mine, "stale-if-error", staleness)]
        answers.append(True if error == "gone" else None)
    if True in answers:
        return []
    return [Objection("stale", "RFC 9111 4.2.4", None not in answers)]


def request_objections(s, q, now, word, staleness):
    """What the request's directives say (RFC 9111 5.2.1), with freshness where they ask for more."""
    out, cc = [], q.directives
    if cc.has("no-cache"):
        out.append(Objection("request no-cache", "RFC 9111 5.2.1.4", cc.plain("no-cache")))
    elif not cc.present and "no-cache" in [m.lower() for m in q.fields.members("pragma")]:
        out.append(Objection("request Pragma", "RFC 9111 5.4", False))
    if cc.has("no-store"):
        out.append(Objection("request no-store", "RFC 9111 5.2.1.5", False))
    if q.fields.has("if-match") or q.fields.has("if-unmodified-since"):
        out.append(Objection("a condition for the origin", "RFC 9110 13.1.1, 13.1.4", False))
    age, loose = current_age(s, now), cc.has("max-stale")
    immutable = s.directives.has("immutable") and word == "fresh"
    for name, distance in (("max-age", age), ("min-fresh", None)):
        found = cc.seconds(name)
        if found is None:
            continue
        bad = Objection(f"request {name}", "RFC 9111 5.2.1.1" if name == "max-age" else "RFC 9111 5.2.1.3")
        if name == "min-fresh":
            distance = (staleness[0] + found[1], staleness[1] + found[1])
            limit = 0
        else:
            limit = found[1]
        malformed = not any(delta(v) is not None for n, v, _ in cc.list if n == name) or found[0] != found[1]
        if distance[0] - SLACK > limit:
            out.append(replace(bad, sure=not (loose or malformed or (immutable and name == "max-age"))))
        elif distance[1] + SLACK > limit or malformed:
            out.append(replace(bad, sure=False))
    return out


def reuse(s, q, now, error=None):
    """What speaks against answering q with s without (successful) validation (RFC 9111 section 4)."""
    out = storable(s)
    if not chosen_for(s, q):
        out += vary_objections(s, q) or [Objection("method", "RFC 9111 4")]
    if s.invalid:
        out.append(Objection("invalidated", "RFC 9111 4.4"))
    cc = s.directives
    if cc.plain("no-cache"):
        out.append(Objection("no-cache", "RFC 9111 5.2.2.4"))
    elif "no-cache" in [m.lower() for m in s.fields.members("pragma")]:
        out.append(Objection("Pragma in a response", "RFC 9111 5.4", False))
    elif cc.has("no-cache"):
        out.append(Objection("qualified no-cache", "RFC 9111 5.2.2.4", False))
    if s.replaced:
        out.append(Objection(s.replaced, "RFC 9111 4.3.4"))
    if s.personal:
        out.append(Objection("validated for somebody", "RFC 9111 3.5", False))
    if s.status == 206:
        out.append(Objection("partial", "RFC 9111 3.3", False))
    word, *staleness = freshness(s, now)
    if word == "stale":
        wrong = stale_objections(s, q, staleness, error)
        out += [replace(o, kind="a HEAD said otherwise", clause="RFC 9111 4.3.5") for o in wrong] if s.doubted else wrong
    elif word == "unsure":
        out.append(Objection("about to be stale", "RFC 9111 4.2", False))
    demands = request_objections(s, q, now, word, staleness)
    return out + ([replace(d, sure=False) for d in demands] if error else demands)


# ---- answering from a response ----

def condition(s, q):
    """What q's preconditions make of s (RFC 9111 4.3.2, RFC 9110 13.2.2): "304", "200", "either"."""
    if q.method not in ("GET", "HEAD"):
        return "200"
    tags = q.fields.get("if-none-match")
    if tags is not None:
        listed, mine = entity_tags(tags), s.tag()
        if listed is None or (s.fields.has("etag") and mine is None):
            return "either"
        if listed == "*":
            return "304"
        return "304" if mine and any(weak_match(t, mine) for t in listed) else "200"
    there, since = date_field(q.fields, "if-modified-since", s.got[1])
    if not there or since is None:
        return "200"
    has, modified = date_field(s.fields, "last-modified", s.got[1])
    if modified is not None:
        return "304" if modified <= since else "200"
    if has:
        return "either"
    _, low, high = born(s)
    return "304" if high <= since else "200" if low > since + 1 else "either"


def if_range(s, q):
    """Whether If-Range lets the range count (RFC 9110 13.1.5): True, False, None for either."""
    text = q.fields.get("if-range")
    if text is None:
        return True
    tag = s.tag()
    if text.startswith(('"', "W/")):
        return tag is not None and strong_match(text, tag)
    when, modified = http_date(text, s.got[1]), s.modified()
    if when is None:
        return False
    if modified is None or when != modified:
        return False
    _, low, _ = born(s)
    if low - modified < 1:
        return False
    return True if low - modified >= 60 else None


def answers(s, q, cached=True):
    """{status: body or parts} that q may be answered from s; the first one is what it should be, unless "either" is
    among them. A 206 is {(start, end), …}."""
    full = {s.status: s.body}
    if not 200 <= s.status < 300:
        return full
    out = {}
    if s.status != 200:
        if (word := condition(s, q)) != "200" and s.status != 206:
            full[304] = b""
        return full
    word = condition(s, q)
    if word == "304":
        return {304: b""}
    if word == "either":
        out[304], out["either"] = b"", True
    if q.method != "GET" or not q.fields.has("range"):
        return {**full, **out}
    lines = q.fields.all("range")
    counts = if_range(s, q)
    unit = re.fullmatch(r"([^=]*)=.*", lines[0])
    if counts is False or (unit and unit[1].strip().lower() != "bytes"):
        return {**full, **out}
    ranges = byte_ranges(lines[0]) if len(lines) == 1 else None
    if ranges is None or counts is None:
        return {**full, **out, 206: set(resolve(ranges or [], len(s.body))), 416: b"", "either": True}
    found = resolve(ranges, len(s.body))
    if not found and not s.body and any(first is None and last for first, last in ranges):
        return {**full, **out, 416: b""}    # satisfiable, but there is nothing that a 206 could say (RFC 9110 14.1.2)
    if not found:
        return {416: b"", **full, **out}
    return {206: set(found), **full, **out}


# ---- updating ----

KEEP = {"content-length", "x-id"}
PROCESSED = {"content-encoding", "content-range", "content-type"}


def updated(s, fields, q, asked, got, name):
    """s with the fields of a 304 (or a HEAD's answer) to q in it (RFC 9111 3.2)."""
    fields = fields.without(hop_by_hop(fields) | KEEP)
    new = fields.names()
    kept = [p for p in s.fields.pairs if p[0].lower() not in new and p[0].lower() not in ("age", "date")]
    # Whoever was not authorised has been told that this is for him (RFC 9111 3.5).
    personal = q.fields.has("authorization")
    request = s.request if personal else s.request.without({"authorization"})
    secret = s.secret | s.directives.names_fields("private") | s.directives.names_fields("no-cache")
    return replace(s, fields=Fields(kept + fields.pairs), request=request, asked=asked, got=got, was=[*s.was, name], secret=secret,
                   invalid=False, doubted=False, replaced="", wrong=None, personal=personal,
                   others=[*s.others, q.fields])


def selected(candidates, fields, now):
    """(those that a 304 updates, whether that is sure) out of those that could have been chosen (RFC 9111 4.3.4)."""
    tags = entity_tags(fields.get("etag") or "")
    tag = tags[0] if tags and tags != "*" else None
    has, modified = date_field(fields, "last-modified", now)
    if tag and not tag.startswith("W/"):
        found = [s for s in candidates if s.tag() and strong_match(s.tag(), tag)]
        if found:
            return found, True
    elif tag:
        found = [s for s in candidates if s.tag() and weak_match(s.tag(), tag)]
        dated = [s for s in candidates if not s.tag() and has and modified is not None and s.modified() == modified]
        if found:
            return found + dated, len(found + dated) == 1
    if tag:
        return [s for s in candidates if not s.tag() and has and modified is not None and s.modified() == modified], False
    if has:
        found = [s for s in candidates if modified is not None and s.modified() == modified]
        return found, len(found) == 1 and not found[0].tag()
    return list(candidates), False      # it names none: by the text only one without validators, by custom the one asked for


def head_agrees(s, fields, now):
    """Whether a HEAD's answer is about the stored response (RFC 9111 4.3.5)."""
    if fields.has("etag") and fields.get("etag") != s.fields.get("etag"):
        return False
    if fields.has("last-modified") and fields.get("last-modified") != s.fields.get("last-modified"):
        modified = date_field(fields, "last-modified", now)[1]
        if modified is None or modified != s.modified():
            return False
    length = fields.get("content-length")
    return length is None or length == str(len(s.body))
