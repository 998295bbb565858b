"""What field values say, by RFC 9110 and 9111. Nothing here knows what a cache does with it."""

import calendar
import re

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
QUOTED = r'"(?:[^"\\]|\\.)*"'
LIMIT = 2147483648          # RFC 9111 section 1.2.2: larger numbers count as this one
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HOP_BY_HOP = {"connection", "proxy-connection", "keep-alive", "te", "transfer-encoding", "upgrade", "trailer",
              "proxy-authenticate", "proxy-authorization", "proxy-authentication-info"}

_MONTH = "(" + "|".join(MONTHS) + ")"
_TIME = r"(\d\d):(\d\d):(\d\d)"
_FORMS = [re.compile(p, re.I) for p in (
    rf"(?:{'|'.join(DAYS)}), (?P<d>\d\d) {_MONTH.replace('(', '(?P<m>', 1)} (?P<y>\d{{4}}) {_TIME} GMT",
    rf"(?:{'|'.join(LONG_DAYS)}), (?P<d>\d\d)-{_MONTH.replace('(', '(?P<m>', 1)}-(?P<y>\d\d) {_TIME} GMT",
    rf"(?:{'|'.join(DAYS)}) {_MONTH.replace('(', '(?P<m>', 1)} (?P<d>\d\d| \d) {_TIME} (?P<y>\d{{4}})")]


def http_date(text, now):
    """Seconds of an HTTP-date (RFC 9110 5.6.7; case by RFC 9111 4.2), None where it is none."""
    for form in _FORMS:
        match = form.fullmatch(text)
        if not match:
            continue
        day, month, year = int(match["d"]), [m.lower() for m in MONTHS].index(match["m"].lower()) + 1, int(match["y"])
        hour, minute, second = (int(n) for n in re.findall(r"\d\d(?=:)|(?<=:)\d\d", text)[:3])
        if len(match["y"]) == 2:
            this = int(calendar_year(now))
            year += this // 100 * 100
            if year > this + 50:
                year -= 100
        if not 1 <= day <= calendar.monthrange(max(year, 1), month)[1] or hour > 23 or minute > 59 or second > 60:
            return None
        return calendar.timegm((year, month, day, hour, minute, second))
    return None


def calendar_year(now):
    """The year of a moment."""
    import time
    return time.gmtime(now).tm_year


def format_date(seconds, form="imf"):
    """A moment in one of the three forms."""
    import time
    t = time.gmtime(seconds)
    day, month, clock = DAYS[t.tm_wday], MONTHS[t.tm_mon - 1], f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
    if form == "850":
        return f"{LONG_DAYS[t.tm_wday]}, {t.tm_mday:02}-{month}-{t.tm_year % 100:02} {clock} GMT"
    if form == "asc":
        return f"{day} {month} {t.tm_mday:2} {clock} {t.tm_year}"
    return f"{day}, {t.tm_mday:02} {month} {t.tm_year} {clock} GMT"


class Fields:
    """A field section: (name, value) pairs in order."""

    def __init__(self, pairs=()):
        self.pairs = [(n, v.strip(" \t")) for n, v in pairs]

    def all(self, name):
        """Values of all lines."""
        name = name.lower()
        return [v for n, v in self.pairs if n.lower() == name]

    def get(self, name):
        """The combined value, or None."""
        values = self.all(name)
        return ", ".join(values) if values else None

    def has(self, name):
        """Whether there is a line of it."""
        return bool(self.all(name))

    def names(self):
        """Names in lower case."""
        return {n.lower() for n, _ in self.pairs}

    def without(self, names):
        """A copy less some names (lower case)."""
        return Fields([p for p in self.pairs if p[0].lower() not in names])

    def members(self, name):
        """Members of a list field: split at commas outside of quoted strings, empty ones dropped."""
        return members(self.get(name) or "")


def members(text):
    """The same for text."""
    return [m for m in (p.strip(" \t") for p in re.findall(rf"(?:{QUOTED}|[^,])+", text)) if m]


def hop_by_hop(fields):
    """Names that belong to one connection (RFC 9110 7.6.1)."""
    return HOP_BY_HOP | {m.lower() for m in fields.members("connection")}


class Directives:
    """Cache-Control (RFC 9111 5.2): directives in order with their arguments."""

    def __init__(self, fields, name="cache-control"):
        self.present = fields.has(name)
        self.list = []
        for text in fields.members(name):
            match = re.fullmatch(rf"({TOKEN})(?:=({TOKEN}|{QUOTED}))?", text)
            if match:
                value = match[2]
                quoted = value is not None and value.startswith('"')
                self.list.append((match[1].lower(), re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value, quoted))
            else:
                head = re.match(TOKEN, text)
                self.list.append((head[0].lower() if head else "?", "\0malformed", False))

    def has(self, name):
        """Whether it is there in whatever form."""
        return any(n == name for n, _, _ in self.list)

    def plain(self, name):
        """Whether it is there without an argument."""
        return any(n == name and v is None for n, v, _ in self.list)

    def names_fields(self, name):
        """Field names of the qualified forms, lower case."""
        return {f.lower() for n, v, _ in self.list if n == name and v is not None for f in members(v)}

    def seconds(self, name):
        """(low, preferred, high) of a number, None where it is absent. RFC 9111 4.2.1: of several the first or none
        counts; what is no number counts as nothing. Quotes may be taken or not (5.2)."""
        found = [(v, q) for n, v, q in self.list if n == name]
        if not found:
            return None
        value, quoted = found[0]
        number = delta(value)
        if number is None:
            return (0, 0, 0)
        if any(delta(v) is None for v, _ in found):
            return (0, 0, number)
        return (0 if quoted or len(found) > 1 else number, number, number)


def delta(text):
    """delta-seconds, or None."""
    return min(int(text), LIMIT) if text is not None and re.fullmatch(r"[0-9]+", text) else None


def age_value(fields):
    """Age (RFC 9111 5.1): the first member; 0 where it is no number."""
    first = (fields.get("age") or "").split(",")[0].strip(" \t")
    return delta(first) or 0


def date_field(fields, name, now):
    """(there, seconds or None) of a field with one date."""
    values = fields.all(name)
    return (bool(values), http_date(values[0], now) if len(values) == 1 else None)


def entity_tags(text):
    """The entity-tags of a list, "*" for itself, None where it is malformed."""
    if text.strip() == "*":
        return "*"
    tags = members(text)
    return tags if tags and all(re.fullmatch(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"', t) for t in tags) else None


def weak_match(a, b):
    """Weak comparison (RFC 9110 8.8.3.2)."""
    return a.removeprefix("W/") == b.removeprefix("W/")


def strong_match(a, b):
    """Strong comparison."""
    return a == b and not a.startswith("W/")


def byte_ranges(text):
    """A Range value: None where it is no ranges-specifier of bytes, else [(first, last)] with None for what is absent."""
    match = re.fullmatch(r"bytes=(.*)", text, re.I)
    if not match:
        return None
    out = []
    for part in match[1].split(","):
        part = part.strip(" \t")
        if not part:
            continue
        piece = re.fullmatch(r"(\d*)-(\d*)", part)
        if not piece or piece[0] == "-":
            return None
        first, last = (int(g) if g else None for g in piece.groups())
        if first is not None and last is not None and last < first:
            return None
        out.append((first, last))
    return out or None


def resolve(ranges, length):
    """Satisfiable ones as (start, end exclusive)."""
    out = []
    for first, last in ranges:
        if first is None:
            if last and length:
                out.append((max(0, length - last), length))
        elif first < length:
            out.append((first, length if last is None else min(last + 1, length)))
    return out


def accepted_codings(value):
    """Is any coding but identity acceptable by an Accept-Encoding (RFC 9110 12.5.3)?"""
    for member in members(value):
        coding, *rest = [p.strip(" \t").lower() for p in member.split(";")]
        if coding != "identity" and not any(re.fullmatch(r"q=0(\.0{0,3})?", p) for p in rest):
            return True
        if coding in ("identity", "*") and rest:
            return True     # it may be refused itself: not the same as having no word
    return False


def selecting(name, fields):
    """A request field's value in the form that Vary compares: what RFC 9111 4.1 lets a cache normalise."""
    value = fields.get(name)
    if value is None:
        return None
    if name == "accept-encoding" and value and not accepted_codings(value):
        return frozenset()  # whatever stands there, it comes to no coding at all (RFC 9110 12.5.3)
    if name in ("accept-encoding", "accept-language", "accept", "accept-charset"):
        out = set()
        for member in members(value):
            parts = [p.strip(" \t").lower() for p in member.split(";")]
            quality = next((p[2:] for p in parts[1:] if p.startswith("q=")), "1")
            rest = tuple(p for p in parts[1:] if not p.startswith("q="))
            quality = float(quality) if re.fullmatch(r"(0(\.\d{0,3})?|1(\.0{0,3})?)", quality) else quality
            out.add((parts[0], rest, quality))
        return frozenset(out)
    return value


def vary_names(fields):
    """Names in Vary, lower case; {"*"} where it has a star anywhere."""
    names = {m.lower() for m in fields.members("vary")}
    return {"*"} if "*" in names else names
