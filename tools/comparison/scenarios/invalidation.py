"""What ends stored responses early: RFC 9111 4.4."""

from model import MAY, MUST, Answer, ask, asked, fetched, fresh, get, given, head, hit, number, ok, row


def after(name, level, text, method, *answer, check=asked, status=200, at="9111 4.4"):
    """A stored response, a request with another method, and the stored response again."""
    return row(name, at, level, text, get(fresh()), get(given(hit)),
               ask(method, Answer(status, answer), given(asked), body=b"x" if method != "OPTIONS" else b""), get(fresh(), check))


def other(name, level, text, *answer, check=asked, at="9111 4.4", method="POST", status=200):
    """Fields of the answer that name another stored URL."""
    return row(name, at, level, text, get(fresh(), sub="other"), get(given(hit), sub="other"),
               ask(method, Answer(status, answer), given(asked), body=b"x", sub="here"),
               get(fresh(), check, sub="other"))


ROWS = {"invalidation": [
    after("invalidated-by-post", MUST, "A POST that succeeds ends what is stored for its URL.", "POST"),
    after("invalidated-by-put", MUST, "A PUT does.", "PUT"),
    after("invalidated-by-delete", MUST, "A DELETE does.", "DELETE"),
    after("invalidated-by-patch", MUST, "A PATCH does.", "PATCH"),
    after("invalidated-by-unknown", MUST, "A method that is not known does.", "BREW"),
    after("invalidated-by-201", MUST, "Any 2xx does.", "POST", status=201),
    after("invalidated-by-204", MUST, "Also without content.", "PUT", status=204),
    after("invalidated-by-303", MUST, "Any 3xx does.", "POST", "Location: /elsewhere", status=303),
    after("not-by-404", MAY, "An error does not: 404.", "POST", check=hit, status=404),
    after("not-by-500", MAY, "Nor 500.", "POST", check=hit, status=500),
    after("not-by-options", MAY, "OPTIONS, which is safe, ends nothing.", "OPTIONS", check=hit),
    row("not-by-head", "9111 4.4", MAY, "Nor does HEAD.", get(fresh()), get(given(hit)), head(), get(hit, number(1))),
    row("invalidated-query", "9111 4.4", MAY, "Another query is another URL.", get(fresh(), sub="a?x=1"),
        ask("POST", ok(), body=b"x", sub="a?x=2"), get(hit, sub="a?x=1")),
    row("invalidated-variants", "9111 4.4", MUST, "All variants are ended.", get(fresh("Vary: Foo"), "Foo: 1"), get("Foo: 2"),
        get("Foo: 2", given(hit)), ask("POST", ok(), given(asked), "Foo: 2", body=b"x"), get(fresh("Vary: Foo"), "Foo: 1", fetched),
        get("Foo: 2", fetched)),
    row("invalidated-then-stored", "9111 4.4", MAY, "What comes next is stored again.", get(fresh()), ask("POST", ok(), body=b"x"),
        get(fresh(), given(fetched)), get(hit)),
    row("invalidated-failed", "9111 4.4", MAY, "A request that gets no answer ends nothing.", get(fresh()),
        ask("POST", ok(drop=True), body=b"x"), get(fresh(), hit)),
    other("invalidated-location", MAY, "Location in the answer names a URL to end, too.", "Location: http://%H%Pother", status=201),
    other("invalidated-content-location", MAY, "So does Content-Location.", "Content-Location: other"),
    other("invalidated-location-relative", MAY, "Also as a relative reference.", "Location: other", status=201),
    other("not-location-of-error", MAY, "Not in an error.", "Content-Location: other", status=404, check=hit),
    other("not-location-elsewhere", MUST, "Nor what is of another origin.", "Location: http://elsewhere.example%Pother", check=hit,
        status=201),
    other("not-location-port", MUST, "Another port is another origin.", "Location: http://127.0.0.1:9%Pother", check=hit, status=201),
    other("not-location-of-safe", MAY, "Location in the answer to a safe request names nothing to end.", "Location: other",
        method="OPTIONS", check=hit),
]}
