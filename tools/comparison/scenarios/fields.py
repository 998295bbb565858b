"""Fields that are passed on, and those that are not: RFC 9110 5, 7.6, RFC 9111 3.1, RFC 9112."""

from model import (MAY, MUST, SHOULD, asked, body, fresh, get, given, has, head, hit, interim, lacks, lines, ok, row, sent,
                   sent_not, status, trailer, when)

VIA = "([Hh][Tt][Tt][Pp]/)?1.1 .*"
LONG = "x" * 3000


def passed(name, at, text, field, value, level=MUST):
    """A field of a response, fetched and from the store."""
    return row(name, at, level, text, get(fresh(f"{field}: {value}"), lines(field, value)), get(given(hit), lines(field, value)))


def dropped(name, at, text, *fields, field, level=MUST):
    """A field that does not come through, nor out of the store."""
    return row(name, at, level, text, get(fresh(*fields), lacks(field)), get(fresh(*fields), lacks(field)))


ROWS = {"fields kept": [
    passed("field-unknown", "9111 3.1", "Fields that nobody knows are passed on and stored.", "X-Unknown", "some value"),
    passed("field-obs-text", "9110 5.5", "Bytes beyond ASCII are kept.", "X-Text", "caf\xe9 \xff"),
    passed("field-empty", "9110 5.5", "So is an empty value.", "X-Empty", ""),
    passed("field-inner-space", "9110 5.5", "White space within a value stays.", "X-Space", "a  b\tc"),
    passed("field-long", "9110 5.4", "A field of 3,000 bytes is kept.", "X-Long", LONG),
    passed("field-underscore", "9110 5.6.2", "All characters of tokens may stand in a name.", "X_Odd.!#$%&'*+-^`|~", "1"),
    passed("field-content-type", "9111 3.1", "Content-Type stays as it came.", "Content-Type", 'Text/X-Y; a="b;c"'),
    passed("field-etag-weak", "9110 8.8.3", "So does a weak ETag.", "ETag", 'W/"a"'),
    passed("field-content-md5", "9110 7.7", "And other fields about the content.", "Content-Digest", "sha-256=:AAAA:"),
    row("field-lines-order", "9110 5.3", MUST, "The order of a field's lines stays.",
        get(fresh("X-A: 1", "X-B: 2", "X-A: 3"), has("X-A", "1, ?3")), get(given(hit), has("X-A", "1, ?3"))),
    row("field-many", "9110 5.4", MUST, "Many fields are kept.", get(fresh(*(f"X-F{i}: {i}" for i in range(80))), has("X-F79", "79")),
        get(given(hit), has("X-F0", "0"), has("X-F79", "79"))),
    row("request-field-unknown", "9110 5.1", MUST, "Unknown fields of requests reach the origin.",
        get(ok(), "X-Unknown: caf\xe9", sent("X-Unknown", "caf\xe9"))),
    row("request-cache-control", "9111 5.2", MUST, "A client's Cache-Control reaches the origin.",
        get(ok(), "Cache-Control: max-age=60, foo", sent("Cache-Control", ".*max-age=60.*foo.*|.*foo.*max-age=60.*"))),
    row("request-cookie-passed", "9110 5.1", MUST, "So does its Cookie.", get(ok(), "Cookie: a=1; b=2", sent("Cookie", "a=1; b=2"))),
    row("host-passed", "9110 7.2", MUST, "Host reaches the origin.",
        get(ok(), when("the client's Host", lambda s: any(r.get("Host") == s.host for r in s.requests)))),
    row("cache-control-passed", "9111 5.2", MUST, "Cache-Control of a response is passed on as it came.",
        get(ok("Cache-Control: max-age=3600, s-maxage=10, foo=bar"), has("Cache-Control", "max-age=3600, s-maxage=10, foo=bar"))),
    row("expires-passed", "9111 5.3", MUST, "Expires that is no date is passed on.", get(ok("Expires: 0"), has("Expires", "0"))),
    row("vary-passed", "9110 12.5.5", MUST, "Vary of a response is passed on.", get(fresh("Vary: Foo, Bar"), "Foo: 1"),
        get("Foo: 1", given(hit), has("Vary", "Foo, ?Bar"))),
    row("link-in-hit", "9111 3.1", MUST, "Fields of what is stored are all there for HEAD.", get(fresh("X-A: 1", 'ETag: "a"')),
        get(given(hit)), head(has("X-A", "1"), has("ETag", '"a"'))),
], "hop by hop": [
    dropped("connection-named", "9110 7.6.1", "A field that Connection names is not passed on.", "Connection: X-Hop", "X-Hop: 1",
        field="X-Hop"),
    dropped("connection-named-case", "9110 7.6.1", "Also where it is named in another case, in a list.", "Connection: foo, x-HOP",
        "X-Hop: 1", field="X-Hop"),
    row("keep-alive", "9110 7.6.1", MUST, "Keep-Alive of the origin, which Connection names, is not passed on.",
        get(fresh("Connection: keep-alive", "Keep-Alive: timeout=77"), lacks("Keep-Alive", ".*77.*"))),
    dropped("proxy-connection", "9110 7.6.1", "Proxy-Connection is not passed on.", "Proxy-Connection: keep-alive",
        field="Proxy-Connection", level=SHOULD),
    dropped("upgrade-named", "9111 3.1", "Upgrade without its switch of protocols is not passed on.", "Connection: Upgrade", "Upgrade: x",
        field="Upgrade"),
    row("request-connection-named", "9110 7.6.1", MUST, "A field of a request that Connection names does not reach the origin.",
        get(ok(), "Connection: close, X-Hop", "X-Hop: 1", sent_not("X-Hop"))),
    row("request-te", "9110 10.1.4", MUST, "TE, which Connection names, is for the next hop only.",
        get(ok(), "Connection: close, TE", "TE: x-thing", sent_not("TE", ".*x-thing.*"))),
    row("request-keep-alive", "9110 7.6.1", SHOULD, "Keep-Alive of a client does not reach the origin.",
        get(ok(), "Connection: close, Keep-Alive", "Keep-Alive: timeout=77", sent_not("Keep-Alive", ".*77.*"))),
    row("request-proxy-connection", "9110 7.6.1", SHOULD, "Nor does Proxy-Connection.",
        get(ok(), "Proxy-Connection: keep-alive", sent_not("Proxy-Connection"))),
    row("request-upgrade", "9110 7.8", MUST, "Upgrade does not reach the origin without Connection that names it.",
        get(ok(), "Connection: close, Upgrade", "Upgrade: x-none/1",
            when("Upgrade only with Connection",
                lambda s: all("upgrade" in (r.get("Connection") or "").lower() or not r.get("Upgrade") for r in s.requests)))),
    row("connection-close-private", "9110 7.6.1", MUST, "Connection: close of the origin is not the client's.",
        get(fresh("Connection: close")),
        get(given(hit), "Connection: keep-alive",
            when("the connection stays", lambda s: "close" not in (s.answer.get("Connection") or "").lower()), connection="c")),
], "via": [
    row("via-response", "9110 7.6.3", MAY, "A response has Via.", get(ok(), has("Via", VIA))),
    row("via-request", "9110 7.6.3", MUST, "A request that is forwarded has Via.", get(ok(), sent("Via", VIA))),
    row("via-appended", "9110 7.6.3", MUST, "What stood there stays in front.",
        get(ok(), "Via: 1.0 first", given(sent("Via")), sent("Via", f"1.0 first, {VIA}"))),
    row("via-response-appended", "9110 7.6.3", MUST, "Also in responses.",
        get(ok("Via: 1.0 first"), given(has("Via", ".*1.1.*")), has("Via", f"1.0 first, {VIA}"))),
    row("via-version", "9110 7.6.3", MUST, "It has the version of the message received, where the client spoke HTTP/1.0.",
        get(ok(), given(sent("Via")), sent("Via", VIA.replace("1.1", "1.0")), raw="GET %P HTTP/1.0\r\nHost: %H\r\n\r\n")),
], "interim and trailers": [
    row("early-hints", "9110 15.2", MUST, "An interim response is passed on.",
        get(ok(interim=((103, "Link: </x>; rel=preload"),)), interim(103, "Link"), status(200))),
    row("early-hints-not-merged", "9110 15.2", MUST, "Its fields do not become those of the final one.",
        get(fresh(interim=((103, "X-Hint: 1"),)), status(200), lacks("X-Hint")), get(status(200), lacks("X-Hint"))),
    row("interim-several", "9110 15.2", MUST, "Several interim responses before the final one are understood.",
        get(fresh(interim=((102,), (103, "X-Hint: 1"), (103, "X-Hint: 2"))), status(200), body("1"))),
    row("interim-100", "9110 10.1.1", MUST, "A 100 that nobody asked for is no final response.",
        get(fresh(interim=((100,),)), status(200), body("1"))),
    row("trailers-passed", "9110 6.5", MAY, "Trailer fields are passed on.",
        get(ok("Trailer: X-End", framing="chunked", trailers=("X-End: 1",), body="0123456789"), "TE: trailers", "Connection: TE, close",
            trailer("X-End"))),
    row("trailers-not-fields", "9110 6.5.1", MUST, "They do not become header fields, in what is stored neither.",
        get(fresh("Trailer: X-End", framing="chunked", trailers=("X-End: 1",), body="0123456789")), get(lacks("X-End"), body("0123456789"))),
    row("trailers-no-control", "9110 6.5.1", MUST, "Cache-Control in a trailer has no effect.",
        get(ok("Cache-Control: max-age=0", framing="chunked", trailers=("Cache-Control: max-age=3600",), body="0123456789")), get(asked)),
]}
