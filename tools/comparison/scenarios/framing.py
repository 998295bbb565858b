"""Where messages end: RFC 9112 6 to 9; what is broken is not stored: RFC 9111 3.3."""

from model import (MAY, MUST, SHOULD, ask, asked, body, broken, either, fetched, fresh, get, given, hit, lacks, ok, reused, row,
                   sent_body, silent, status, unasked, when)

TEXT = "0123456789"
HEAD = "HTTP/1.1 200 OK\r\nDate: {0}\r\nX-Number: 1\r\nCache-Control: max-age=3600\r\n"
refused = either(status(400, 411, 413, 501, 505, 405), silent)


def bad_request(name, at, text, raw, level=MUST):
    """A request that is refused and does not reach the origin."""
    return row(name, at, level, text, get(fresh(), refused, unrequested, raw=raw))


def bad_answer(name, at, text, raw, level=MUST):
    """An answer that is not stored, nor passed on as if it were whole."""
    return row(name, at, level, text, get(ok(raw=raw), either(status(502, 500, 503, 504), broken)), get(fresh(), fetched))


unrequested = when("does not reach the origin", lambda s: not s.requests)

ROWS = {"framing": [
    row("chunked", "9112 7.1", MAY, "A chunked response is stored.", get(fresh(framing="chunked", body=TEXT), body(TEXT)),
        get(hit, body(TEXT))),
    row("until-close", "9112 6.3", MAY, "So is one that ends with its connection.", get(fresh(framing="close", body=TEXT), body(TEXT)),
        get(hit, body(TEXT))),
    row("until-close-1.0", "9112 6.3", MAY, "Also of HTTP/1.0.", get(fresh(framing="close", minor=0, body=TEXT), body(TEXT)),
        get(hit, body(TEXT))),
    row("client-1.0", "9112 7.1", MUST, "A client of HTTP/1.0 is sent no chunks.",
        get(fresh(framing="chunked", body=TEXT), lacks("Transfer-Encoding"), body(TEXT), raw="GET %P HTTP/1.0\r\nHost: %H\r\n\r\n")),
    row("client-1.0-hit", "9112 2.5", MAY, "It may have what was stored for others.", get(fresh(body=TEXT)),
        get(hit, body(TEXT), raw="GET %P HTTP/1.0\r\nHost: %H\r\n\r\n")),
    row("truncated-length", "9112 8", MUST, "A body shorter than its Content-Length is not passed on as whole.",
        get(fresh(body=TEXT[:5], missing=5), broken)),
    row("truncated-length-stored", "9111 3.3", MUST, "Nor stored as whole.", get(fresh(body=TEXT[:5], missing=5)),
        get(fresh(body=TEXT), body(TEXT), asked)),
    row("truncated-chunked", "9112 8", MUST, "A chunked body without its last chunk is not passed on as whole.",
        get(fresh(framing="chunked", body=TEXT, missing=1), broken)),
    row("truncated-chunked-stored", "9111 3.3", MUST, "Nor stored as whole.", get(fresh(framing="chunked", body=TEXT, missing=1)),
        get(fresh(body="new"), body("new"), asked)),
    row("over-long", "9112 6.3", MUST, "What comes behind Content-Length is not of the body.",
        get(fresh(body=TEXT, extra=b"more", closes=True), either(body(TEXT), broken))),
    row("over-long-stored", "9112 6.3", MUST, "Nor does it get to anybody later.", get(fresh(body=TEXT, extra=b"more", closes=True)),
        get(either(body(TEXT), body("2")), origin=fresh())),
    row("extra-response", "9112 9.2", MUST, "A second response that nobody asked for answers no other request.",
        get(fresh(body=TEXT, extra=b"HTTP/1.1 200 OK\r\nX-Number: 66\r\nContent-Length: 4\r\n\r\nevil"), body(TEXT), sub="a"),
        get(ok(body="mine"), body("mine"), sub="b"), get(ok(body="mine"), body("mine"), sub="c")),
    row("length-and-chunked", "9112 6.3", MUST, "Transfer-Encoding goes before Content-Length, which is not passed on beside it.",
        get(ok(raw=HEAD + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"),
            either(body(TEXT), status(502), broken))),
    bad_answer("length-negative", "9112 6.3", "A negative Content-Length is no length.",
        HEAD + "Content-Length: -10\r\nConnection: close\r\n\r\n0123456789"),
    bad_answer("length-two", "9112 6.3", "Nor are two that differ.",
        HEAD + "Content-Length: 10\r\nContent-Length: 4\r\nConnection: close\r\n\r\n0123456789"),
    bad_answer("length-list", "9112 6.3", "Nor in one line.", HEAD + "Content-Length: 10, 4\r\nConnection: close\r\n\r\n0123456789"),
    bad_answer("chunk-size-junk", "9112 7.1", "A chunk size that is no number breaks the body.",
        HEAD + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nxyz\r\n0123456789\r\n0\r\n\r\n"),
    bad_answer("chunk-size-huge", "9112 7.1", "So does one beyond all bounds.",
        HEAD + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nfffffffffffffffffffa\r\n0123456789\r\n0\r\n\r\n"),
    bad_answer("no-http", "9112 4", "What does not begin as a response is none.",
        "NOTHTTP 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"),
    row("answer-fold", "9112 5.2", MUST, "Line folding in a response becomes blanks, or the response is not trusted.",
        get(ok(raw=HEAD + "X-Fold: a\r\n b\r\nContent-Length: 2\r\n\r\nhi"),
            either(status(502), broken, when("one line", lambda s: s.answer.get("X-Fold") in ("a b", "a  b", "a   b"))))),
    row("kept-connection", "9112 9.3", MAY, "A client's connection is kept from one request to the next.", get(fresh(), connection="c"),
        get(reused, status(200), connection="c")),
    row("kept-after-chunked", "9112 9.3", MAY, "Also after a response whose length was not known.",
        get(fresh(framing="chunked", body=TEXT), connection="c"), get(reused, status(200), connection="c")),
    row("kept-to-origin", "9112 9.3", MAY, "A connection to the origin is, too.", get(ok()), get(ok()), get(ok()),
        get(ok(), when("a connection that was used before", lambda s: any(r.nth > 1 for b in [*s.before, s] for r in b.requests)))),
    row("pipelined", "9112 9.3.2", MUST, "Requests that come at once are answered in their order.",
        get(fresh(body=TEXT), body(TEXT),
            raw="GET %P HTTP/1.1\r\nHost: %H\r\n\r\nGET %P HTTP/1.1\r\nHost: %H\r\nConnection: close\r\n\r\n")),
], "framing of requests": [
    row("request-chunked", "9112 7.1", MUST, "The body of a chunked request reaches the origin.",
        get(ok(), sent_body(TEXT.encode()),
            raw="POST %P HTTP/1.1\r\nHost: %H\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n")),
    row("request-length-and-chunked", "9112 6.1", MUST,
        "Content-Length beside Transfer-Encoding does not reach the origin, or the request is refused.",
        get(ok(),
            either(refused,
                when("one framing",
                    lambda s: all(not (r.get("Content-Length") and r.get("Transfer-Encoding")) and r.body == TEXT.encode() for r in s.requests))),
            raw="POST %P HTTP/1.1\r\nHost: %H\r\nConnection: close\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n")),
    bad_request("request-two-lengths", "9112 6.3", "Two lengths that differ are refused.",
        "POST %P HTTP/1.1\r\nHost: %H\r\nConnection: close\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n01234"),
    bad_request("request-length-junk", "9112 6.3", "A length that is none is refused.",
        "POST %P HTTP/1.1\r\nHost: %H\r\nConnection: close\r\nContent-Length: 4x\r\n\r\n01234"),
    bad_request("request-length-plus", "9112 6.3", "So is one with a sign.",
        "POST %P HTTP/1.1\r\nHost: %H\r\nConnection: close\r\nContent-Length: +4\r\n\r\n0123"),
    bad_request("request-space-colon", "9112 5.1", "White space before a colon is refused.",
        "GET %P HTTP/1.1\r\nHost: %H\r\nConnection: close\r\nX-A : 1\r\n\r\n"),
    bad_request("request-no-host", "9112 3.2", "HTTP/1.1 without Host is refused.", "GET %P HTTP/1.1\r\nConnection: close\r\n\r\n"),
    bad_request("request-two-hosts", "9112 3.2", "Two Host lines are refused.",
        "GET %P HTTP/1.1\r\nHost: %H\r\nHost: other.example\r\nConnection: close\r\n\r\n"),
    bad_request("request-bad-host", "9112 3.2", "A Host that is none is refused.",
        "GET %P HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n"),
    bad_request("request-coding", "9112 6.1", "A transfer coding that is not known is refused.",
        "POST %P HTTP/1.1\r\nHost: %H\r\nConnection: close\r\nTransfer-Encoding: x-odd\r\n\r\n0123"),
    row("request-nul", "9110 5.5", MUST, "NUL in a value is refused, or replaced by a blank.",
        get(ok(), either(refused, when("replaced", lambda s: all("\0" not in (r.get("X-A") or "") for r in s.requests))),
            raw="GET %P HTTP/1.1\r\nHost: %H\r\nConnection: close\r\nX-A: a\0b\r\n\r\n")),
    row("request-fold", "9112 5.2", MUST, "Line folding is refused, or replaced by blanks.",
        get(ok(),
            either(refused,
                when("one line",
                    lambda s: all(len(r.all("X-A")) == 1 and r.get("X-A") in ("a b", "a  b", "a   b") and b"\r\n b" not in r.raw for r in s.requests))),
            raw="GET %P HTTP/1.1\r\nHost: %H\r\nConnection: close\r\nX-A: a\r\n b\r\n\r\n")),
    row("request-absolute", "9112 3.2.2", MUST, "An absolute URL in the request line goes before Host.", get(fresh()), get(given(hit)),
        get(either(unasked, when("its authority", lambda s: all(r.get("Host") == s.host for r in s.requests))), status(200),
            raw="GET %U HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n")),
    row("request-empty-line", "9112 2.2", SHOULD, "An empty line before a request is passed over.",
        get(ok(), status(200), raw="\r\nGET %P HTTP/1.1\r\nHost: %H\r\nConnection: close\r\n\r\n")),
    row("request-get-body", "9110 9.3.1", MUST, "A GET with a body does not leave the body's bytes as another request.",
        ask("GET", ok(), when("one request", lambda s: len(s.requests) <= 1 and all(r.method == "GET" for r in s.requests)),
            body=b"GET /c/x HTTP/1.1\r\n\r\n")),
]}
