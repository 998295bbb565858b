"""Scenarios out of a seed: a few requests to one URL, and what its origin says to each.

A scenario is plain data (lists, dicts, strings), so that it can be printed, kept and made smaller:
{"listener", "query", "steps": [{"method", "fields", "content", "conn", "origin": {"status", "fields", "fields304",
"version", "length", "obey", "ranges", "framing", "fail", "interim"}}]}. {imf:-60} in a value is a date a minute before
the scenario began, {850:…} and {asc:…} are the other forms; a word after it breaks the date. {self} is the URL."""

import random

THEMES = (("fresh", 16), ("malformed", 12), ("validate", 14), ("condition", 10), ("range", 9), ("vary", 10), ("unsafe", 6),
          ("authorize", 4), ("head", 6), ("stale", 8), ("status", 6), ("heuristic", 5), ("request", 8), ("fields", 4), ("any", 10))
STATUSES = (200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 418, 429, 451, 500, 501, 502, 503, 504, 299, 399, 499, 599)
MALFORMED_NUMBERS = ("abc", "-1", "1.5", "60s", "", "0x10", "+60", "6 0", "1e3", '"60"', '"abc"', "00060", "99999999999999999999", "2147483648",
                     "4294967296", "60;x=1", "'60'")
BAD_DATES = ("0", "-1", "never", "", "{imf:+600:utc}", "{imf:+600:nozone}", "{imf:+600:zone}", "{imf:+600:dash}", "Mon, 32 Jan 2035 00:00:00 GMT",
             "Thu, 01 Jan 2035 25:00:00 GMT", "1893456000", "{imf:+600}, {imf:+900}")
DATE_FORMS = ("imf", "imf", "imf", "imf", "850", "asc")


class Maker:
    """One scenario's dice."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        d = self.dice
        self.theme = d.choices([t for t, _ in THEMES], [w for _, w in THEMES])[0]
        self.version = d.randrange(8)
        self.vary = d.choice(("Accept-Language", "Accept-Encoding", "X-Kind", "Accept", "Accept-Language, X-Kind", "*", "x-kind,  Accept-Encoding", "X-Kind, *"))

    def chance(self, percent):
        """True so often."""
        return self.dice.random() * 100 < percent

    def date(self, seconds):
        """A placeholder in one of the forms."""
        return "{%s:%+d%s}" % (self.dice.choice(DATE_FORMS), seconds, ":lower" if self.theme == "malformed" and self.chance(6) else "")

    def make(self):
        """The scenario."""
        d = self.dice
        count = d.choices((2, 3, 4, 5, 6), (22, 30, 24, 14, 10))[0]
        self.state = self.resource()
        steps = []
        for number in range(count):
            if number and self.chance(45 if self.theme in ("validate", "head", "stale", "vary") else 22):
                self.state = self.resource()
                if self.chance(50):
                    self.version = (self.version + 1) % 8
            steps.append(self.step(number))
        return {"listener": d.choice(("forward", "reverse")), "query": self.chance(15), "theme": self.theme, "steps": steps}

    # ---- what the origin says ----

    def lifetime(self):
        """Directives of freshness and fields beside them: ([directive], [field])."""
        d, cc, fields = self.dice, [], []
        kinds = {"fresh": (40, 12, 22, 8, 12), "malformed": (40, 20, 30, 0, 10), "heuristic": (3, 0, 5, 70, 22), "stale": (55, 8, 25, 0, 12)}
        kind = d.choices(("max-age", "s-maxage", "expires", "heuristic", "none"), kinds.get(self.theme, (56, 8, 16, 8, 12)))[0]
        span = d.choice((0, 1, 30, 60, 60, 600, 3600, 3600, 86400))
        if kind in ("max-age", "s-maxage"):
            value = str(span)
            if self.theme == "malformed" and self.chance(55):
                value = d.choice(MALFORMED_NUMBERS)
            cc.append(f"{kind}={value}" if value or self.chance(50) else kind)
            if kind == "s-maxage" and self.chance(60):
                cc.append(f"max-age={d.choice((0, 60, 3600))}")
            if self.theme == "malformed" and self.chance(35):
                cc.append(f"{kind}={d.choice(('0', '60', '3600', 'abc', '-5'))}")
        if kind == "expires" or self.chance(12):
            fields.append(["Expires", self.date(d.choice((-600, -60, 0, 60, 600, 3600, 86400)))])
            if self.theme == "malformed":
                if self.chance(50):
                    fields[-1][1] = d.choice(BAD_DATES)
                if self.chance(25):
                    fields.append(["Expires", self.date(d.choice((-600, 600)))])
        return cc, fields

    def directives(self):
        """Further directives."""
        d, out = self.dice, []
        common = {"public": 14, "must-revalidate": 10, "proxy-revalidate": 5, "no-cache": 8, "no-store": 4, "private": 5, "must-understand": 2,
                  "immutable": 4, "no-transform": 5, "ext=1": 5, 'no-cache="X-Secret"': 4, 'private="X-Secret"': 4, "pre-check=0": 1,
                  "stale-while-revalidate=600": 4, "stale-if-error=600": 5}
        more = {"stale": {"stale-while-revalidate=600": 15, "stale-if-error=600": 25, "stale-if-error=5": 8, "stale-while-revalidate=5": 8, "must-revalidate": 15},
                "authorize": {"public": 25, "must-revalidate": 25}, "status": {"must-understand": 20, "public": 25, "no-store": 10},
                "malformed": {"no-store=1": 4, "public=yes": 3, "no-cache=": 2, 'ext="a, max-age=0"': 6, 'ext="no-store"': 6, "MUST-REVALIDATE": 3,
                              "Private": 3, "No-Store": 3, ",": 5, "max-age": 4, "stale-if-error=x": 4, "=": 2, 'private=""': 2},
                "any": {"no-store": 4, "private": 4}}.get(self.theme, {})
        for word, percent in {**common, **more}.items():
            if self.chance(percent):
                out.append(word)
        d.shuffle(out)
        return out

    def case(self, text):
        """Directive names in odd case now and then."""
        return text if not self.chance(6) else text.upper() if '"' not in text else text.capitalize()

    def cache_control(self, cc):
        """Lines of Cache-Control."""
        if not cc:
            return []
        if len(cc) > 1 and self.chance(12):
            cut = self.dice.randrange(1, len(cc))
            return [["Cache-Control", ", ".join(cc[:cut])], ["cache-control", ",".join(cc[cut:])]]
        return [["Cache-Control", self.dice.choice((", ", ", ", ",", " , ")).join(cc)]]

    def validators(self):
        """ETag and Last-Modified."""
        out, weight = [], 75 if self.theme in ("validate", "condition", "range", "head") else 45
        if self.chance(weight):
            tag = f'"v{self.version}"'
            out.append(["ETag", "W/" + tag if self.chance(25) else tag])
            if self.theme in ("malformed", "any") and self.chance(8):
                out[-1][1] = self.dice.choice((f"v{self.version}", "", f'w/"v{self.version}"', f"'v{self.version}'"))
        if self.chance(weight - 15) or self.theme == "heuristic":
            out.append(["Last-Modified", self.date(self.dice.choice((-100000, -100000, -10000, -2000, -100, -2)) - self.version)])
            if self.theme == "heuristic" and self.chance(15):
                out[-1][1] = self.dice.choice(BAD_DATES + ("{imf:+1000}",))
        return out

    def clocks(self):
        """Date and Age."""
        d, out = self.dice, []
        offset = d.choices((0, -10, -100, -1000, -100000, 100, 1000), (64, 8, 8, 6, 3, 5, 6))[0]
        if not self.chance(8):
            out.append(["Date", self.date(offset)])
            if self.theme == "malformed" and self.chance(12):
                out[-1][1] = d.choice(BAD_DATES[:11])
        if self.chance(20):
            out.append(["Age", str(d.choice((0, 10, 25, 50, 100, 1000, 100000)))])
            if self.theme == "malformed" and self.chance(55):
                out[-1][1] = d.choice(("abc", "-1", "10, 20", "20, abc", "abc, 20", "1.5", "", "99999999999999", "2147483648", "0x1", "1 0", '"10"'))
                if self.chance(30):
                    out.append(["Age", "5000"])
        return out

    def resource(self):
        """How the origin stands now."""
        d = self.dice
        cc, fields = self.lifetime()
        cc += self.directives()
        d.shuffle(cc) if self.chance(40) else None
        status = 200
        if self.chance(75 if self.theme == "status" else 30 if self.theme == "any" else 7):
            status = d.choice(STATUSES)
        validators, clocks = self.validators(), self.clocks()
        out = self.cache_control([self.case(c) for c in cc]) + fields + validators + clocks
        out.append(["Content-Type", d.choice(("text/plain", "image/png"))])
        if self.theme == "vary" and not self.chance(10) or self.chance(4):
            out.append(["Vary", self.vary])
        if self.chance(10) or any("X-Secret" in c for c in cc):
            out.append(["X-Secret", "s"])
        if self.chance(25):
            out.append(["X-Both", f"full{d.randrange(100)}"])
        if self.theme in ("fields", "any") or self.chance(5):
            out += self.odd_fields()
        if status in (300, 301, 302, 303, 307, 308, 201):
            out.append(["Location", "{path}/other"])
        d.shuffle(out) if self.chance(30) else None
        return {"status": status, "fields": out, "fields304": self.fields304(cc, fields, validators), "version": self.version,
                "length": d.choice((0, 1, 10, 16, 16, 40, 200)), "obey": d.choices(("yes", "ignore", "304"), (86, 8, 6))[0],
                "ranges": self.chance(70), "framing": d.choices(("length", "chunked", "close"), (70, 22, 8))[0],
                "interim": self.chance(4), **({"fail": d.choice(("close", "truncate", "truncate"))} if self.chance(14 if self.theme == "stale" else 2) else {})}

    def odd_fields(self):
        """Fields that a cache must keep, or must not."""
        pool = (["Set-Cookie", "a=b"], ["Set-Cookie", "c=d; Path=/"], ["X-Twice", "1"], ["X-Twice", "2"], ["X-Empty", ""], ["X-Latin", "\xe9\xff"],
                ["Connection", "X-Hop"], ["X-Hop", "1"], ["Keep-Alive", "timeout=9"], ["Proxy-Authenticate", "Basic realm=x"], ["Warning", '110 - "x"'],
                ["Pragma", "no-cache"], ["Content-Language", "en"], ["Content-Encoding", "x-none"], ["Surrogate-Control", "max-age=1"], ["Link", "</a>, </b>"],
                ["Content-Location", "{self}"], ["X-Comma", "a, b ,c"], ["Trailer", "X-T"], ["Upgrade", "foo"], ["Accept-Ranges", "bytes"], ["Server", "x y"])
        picked = self.dice.sample(pool, self.dice.randrange(1, 5))
        if ["X-Hop", "1"] in picked and ["Connection", "X-Hop"] not in picked:
            picked.append(["Connection", "X-Hop"])
        return [list(p) for p in picked]

    def fields304(self, cc, fields, validators):
        """What a 304 carries: usually the right thing."""
        d, out = self.dice, []
        if not self.chance(15):
            out += self.cache_control(cc) + fields if self.chance(60) else [["Cache-Control", f"max-age={d.choice((0, 60, 600, 3600))}"]]
        out += [v for v in validators if not self.chance(12)]
        if self.theme == "validate" and self.chance(6):
            out = [f for f in out if f[0] != "ETag"] + [["ETag", d.choice(('"other"', f'W/"v{self.version}"', f'"v{self.version}"'))]]
        if not self.chance(8):
            out.append(["Date", self.date(d.choice((0, 0, 0, 0, -20, -500)))])
        if self.chance(8):
            out.append(["Age", str(d.choice((5, 50, 5000)))])
        if self.chance(40):
            out.append(["X-Both", f"upd{d.randrange(100)}"])
        if self.chance(8):
            out.append(["Content-Type", "text/html"])
        if self.chance(4):
            out.append(["Content-Length", d.choice(("7", "0"))])
        if self.theme == "vary":
            out += [["Vary", self.vary]] if self.chance(50) else []
        if self.theme in ("fields", "any") and self.chance(20):
            out += self.odd_fields()
        return out

    # ---- what the client asks ----

    def step(self, number):
        """One request."""
        d, fields, method, content = self.dice, [], "GET", False
        if self.theme == "unsafe" and number and self.chance(50) or self.chance(2):
            method = d.choice(("POST", "POST", "PUT", "DELETE", "PATCH", "FROB", "OPTIONS", "SEARCH"))
            content = method in ("POST", "PUT", "PATCH") and self.chance(70)
        elif self.chance(40 if self.theme == "head" else 5):
            method = "HEAD"
        if self.chance({"request": 55, "stale": 25, "any": 20}.get(self.theme, 4)):
            fields += self.request_directives()
        if self.chance({"condition": 65, "validate": 25, "any": 20, "head": 10}.get(self.theme, 3)):
            fields += self.conditions()
        if self.chance({"range": 65, "any": 12}.get(self.theme, 2)):
            fields += self.range()
        if self.chance({"authorize": 50}.get(self.theme, 2)):
            fields.append(["Authorization", "Basic eDp5"])
        if self.theme == "vary" or self.chance(5):
            fields += self.negotiation()
        if self.chance(5):
            fields += d.choice(([["Cookie", "a=b"]], [["X-Odd", "\xe9 x"]], [["Connection", "X-Gone"], ["X-Gone", "1"]], [["Referer", "http://x/"]]))
        state = dict(self.state)
        if self.theme == "unsafe" and method == "POST" and self.chance(60):
            state["fields"] = state["fields"] + [["Content-Location", d.choice(("{self}", "{path}", "{path}/else"))]]
        return {"method": method, "fields": fields, "content": content, "conn": d.randrange(2), "origin": state}

    def request_directives(self):
        """Cache-Control or Pragma of a request."""
        d = self.dice
        pool = ("no-cache", "max-age=0", "max-age=20", "max-age=5000", "max-stale", "max-stale=50", "max-stale=5000", "min-fresh=20", "min-fresh=5000",
                "only-if-cached", "no-store", "stale-if-error=5000", "no-transform", "max-age=abc", 'max-age="0"', "ext", "max-stale=x", "min-fresh=-1")
        if self.chance(8):
            return [["Pragma", "no-cache"]]
        return self.cache_control([self.case(c) for c in d.sample(pool, d.choice((1, 1, 1, 2, 2, 3)))])

    def tag(self):
        """An entity-tag that is likely the one."""
        return self.dice.choice(('"v%d"' % self.version,) * 5 + ('W/"v%d"' % self.version, '"v%d"' % ((self.version + 7) % 8), '"nobody"', '"a,b"'))

    def conditions(self):
        """Preconditions."""
        d, out = self.dice, []
        if self.chance(65):
            out.append(["If-None-Match", d.choice((self.tag(), self.tag(), f"{self.tag()}, {self.tag()}", f"{self.tag()} ,W/\"z\",", "*", "v1", '"open'))])
        if self.chance(45):
            seconds = d.choice((-100000, -100000, -10000, -2000, -100, 0, 1000)) - self.version * self.chance(70)
            out.append(["If-Modified-Since", self.date(seconds) if not self.chance(10) else d.choice(BAD_DATES)])
        if self.chance(8):
            out.append(["If-Match", d.choice((self.tag(), "*", '"nobody"'))])
        if self.chance(6):
            out.append(["If-Unmodified-Since", self.date(d.choice((-200000, 0)))])
        return out

    def range(self):
        """Range, perhaps with If-Range."""
        d, out = self.dice, []
        out.append(["Range", d.choice(("bytes=0-0", "bytes=0-4", "bytes=2-", "bytes=-3", "bytes=5-9", "bytes=0-99999", "bytes=15-", "bytes=16-", "bytes=500-",
                                       "bytes=-0", "bytes=-500", "bytes=0-1,4-5", "bytes=0-1, 2-3", "bytes=4-5,0-1", "bytes=3-1", "bytes=a-b", "bytes=", "items=0-1",
                                       "bytes=0-1,900-", "BYTES=0-3", "bytes = 0-3", "bytes=0 - 3", "bytes=0-18446744073709551616"))])
        if self.chance(30):
            out.append(["If-Range", d.choice((self.tag(), self.tag(), self.date(-100000 - self.version), self.date(-2 - self.version), "junk"))])
        return out

    def negotiation(self):
        """Selecting fields."""
        out = []
        for name, values in (("Accept-Language", ("en", "de", "en, de", "en,de", "EN", "en;q=1.0", "en;q=0.5, de", "de, en;q=0.5")),
                             ("Accept-Encoding", ("gzip", "GZIP", "gzip, br", "br, gzip", "identity", "gzip;q=1", "gzip;q=0")),
                             ("X-Kind", ("a", "a", "b", "A", "a, b", "a,b", "")), ("Accept", ("text/html", "*/*", "text/html, */*;q=0.1"))):
            if self.chance(60):
                out.append([name, self.dice.choice(values)])
        if self.chance(5) and out:
            out.append(list(out[-1]))
        return out


def scenario(seed, number):
    """The scenario of a seed and a number."""
    return Maker(f"{seed}/{number}").make()
