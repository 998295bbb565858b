"""Methods and what is special about them: RFC 9110 9, 10.1.1, 7.6.2."""

from model import MAY, MUST, SHOULD, ask, body, either, fetched, fresh, get, given, has, hit, interim, ok, row, sent, sent_as, sent_body, status, unasked, when

ROWS = {"methods": [
    row("put-body", "9110 9.3.4", MUST, "The body of PUT reaches the origin.", ask("PUT", ok(), sent_as("PUT"), sent_body(b"hello"), body=b"hello")),
    row("delete", "9110 9.3.5", MUST, "DELETE reaches it.", ask("DELETE", ok(status=204), sent_as("DELETE"), status(204))),
    row("method-unknown", "9110 9.1", MAY, "A method that is not known reaches it.", ask("BREW", ok(), sent_as("BREW"), status(200))),
    row("method-case", "9110 9.1", MUST, "Methods have case: get is not GET.", get(fresh()), get(given(hit)), ask("get", ok(status=501), either(status(400, 405, 501), sent_as("get")))),
    row("options", "9110 9.3.7", MUST, "OPTIONS reaches it.", ask("OPTIONS", ok("Allow: GET, X-Y"), sent_as("OPTIONS"), has("Allow", "GET, X-Y"))),
    row("options-max-forwards", "9110 7.6.2", MUST, "With Max-Forwards: 0 the proxy answers OPTIONS itself.", ask("OPTIONS", ok(), "Max-Forwards: 0", unasked)),
    row("options-max-forwards-counted", "9110 7.6.2", MUST, "Otherwise it counts one down.", ask("OPTIONS", ok(), "Max-Forwards: 5", sent("Max-Forwards", "4"))),
    row("trace-max-forwards", "9110 7.6.2", MUST, "With Max-Forwards: 0 the proxy does not pass TRACE on.", ask("TRACE", ok(), "Max-Forwards: 0", unasked)),
    row("trace-max-forwards-counted", "9110 7.6.2", MUST, "Otherwise it counts one down, or refuses TRACE.", ask("TRACE", ok(), "Max-Forwards: 5", either(status(405, 501, 403), sent("Max-Forwards", "4")))),
    row("max-forwards-get", "9110 7.6.2", MAY, "For other methods Max-Forwards means nothing.", get(ok(), "Max-Forwards: 0", fetched)),
    row("expect-continue", "9110 10.1.1", MUST, "With Expect: 100-continue the client is told to go on, or answered.",
        ask("POST", ok(), "Expect: 100-continue", "Content-Length: 5", either(interim(100), status(417)), sent_body(b"hello"), body=b"hello")),
    row("expect-final", "9110 10.1.1", MUST, "A final answer instead of the 100 reaches the client.",
        ask("POST", ok(status=403, closes=True), "Expect: 100-continue", "Content-Length: 5", status(403, 417), body=b"hello", refuses=True)),
    row("expect-unknown", "9110 10.1.1", MAY, "Other expectations get 417, or are passed on.", get(ok(), "Expect: x-wonder", status(417, 200))),
    row("empty-post", "9110 8.6", MUST, "A POST without content has Content-Length: 0, or no body at all.", ask("POST", ok(), when("no body", lambda s: all(r.body == b"" for r in s.requests)), fetched)),
    row("redirect-to-client", "9110 15.4", MUST, "A redirection is the client's to follow.", get(ok("Location: /elsewhere", status=302), status(302), has("Location", "/elsewhere"))),
    row("location-kept", "9110 10.2.2", MUST, "Location is passed on as it came, at another host.", get(fresh("Location: http://other.example/a%2fb?c", status=301), has("Location", "http://other.example/a%2fb\\?c"))),
    row("path-kept", "9110 4.2", MUST, "The path and query reach the origin as they came, but for what is equal.", get(ok(), when("the same target", lambda s: any(
        r.target.endswith("/a%2Fb;c=1/d+e?q=%20x&r=[1]") for r in s.requests)), sub="a%2Fb;c=1/d+e?q=%20x&r=[1]")),
    row("long-url", "9112 3", SHOULD, "Request lines of 8,000 bytes are supported.", get(ok(), fetched, sub="x" * 7900)),
    row("body-1m", "9110 6.4", MUST, "A body of 1 MiB comes whole, from the store too.", get(fresh(body="0123456789abcdef" * 65536), body("0123456789abcdef" * 65536)), get(body("0123456789abcdef" * 65536))),
    row("body-empty", "9110 8.6", MUST, "An empty body stays empty.", get(fresh(body=""), body(""), status(200)), get(given(hit), body(""), has("Content-Length", "0"))),
]}
