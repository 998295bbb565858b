"""Responses that depend on request fields: RFC 9111 4.1, RFC 9110 12.5."""

import gzip

from model import MAY, MUST, SHOULD, asked, body, fetched, fresh, get, given, has, hit, lacks, number, ok, row, stale


def pair(name, level, text, vary, one, two, check, at="9111 4.1"):
    """A response for one request, then another request."""
    return row(name, at, level, text, get(fresh(f"Vary: {vary}"), *one), get(*two, check))


GZIP = gzip.compress(b"plain", mtime=0)

ROWS = {"vary": [
    pair("vary-match", MAY, "The same field value: the stored response.", "Foo", ["Foo: 1"], ["Foo: 1"], hit),
    pair("vary-differ", MUST, "Another value: not that response.", "Foo", ["Foo: 1"], ["Foo: 2"], fetched),
    pair("vary-omitted", MUST, "No such field: not that response.", "Foo", ["Foo: 1"], [], fetched),
    pair("vary-added", MUST, "One where there was none: not that response.", "Foo", [], ["Foo: 1"], fetched),
    pair("vary-absent", MAY, "None in either: the stored response.", "Foo", [], [], hit),
    pair("vary-star", MUST, "Vary: * matches nothing.", "*", ["Foo: 1"], ["Foo: 1"], asked),
    pair("vary-star-list", MUST, "Nor does * in a list.", "Foo, *", ["Foo: 1"], ["Foo: 1"], asked),
    pair("vary-star-first", MUST, "Wherever it stands.", "*, Foo", ["Foo: 1"], ["Foo: 1"], asked),
    pair("vary-name-case", MUST, "Names in Vary are without regard to case.", "fOO", ["Foo: 1"], ["Foo: 2"], fetched),
    pair("vary-two", MUST, "With two fields both have to match.", "Foo, Bar", ["Foo: 1", "Bar: a"], ["Foo: 1", "Bar: b"], fetched),
    pair("vary-two-match", MAY, "And where both do, it is the stored one.", "Foo, Bar", ["Foo: 1", "Bar: a"], ["Bar: a", "Foo: 1"], hit),
    pair("vary-three", MUST, "Fields over two lines of Vary count, too.", "Foo\r\nVary: Bar", ["Foo: 1", "Bar: a"], ["Foo: 1", "Bar: b"],
        fetched),
    pair("vary-value-case", MUST, "The value of an unknown field is compared with its case.", "Foo", ["Foo: abc"], ["Foo: ABC"], fetched),
    pair("vary-blank-around", MAY, "White space around a value does not count.", "Foo", ["Foo: 1"], ["Foo:   1  "], hit),
    pair("vary-lines", MAY, "A list over two lines is the list in one.", "Foo", ["Foo: 1, 2"], ["Foo: 1", "Foo: 2"], hit),
    pair("vary-other-field", MAY, "Fields that Vary does not name may differ.", "Foo", ["Foo: 1", "Baz: 1"], ["Foo: 1", "Baz: 2"], hit),
    pair("vary-cookie", MUST, "Vary: Cookie counts.", "Cookie", ["Cookie: a=1"], ["Cookie: a=2"], fetched),
    pair("vary-encoding-case", MAY, "Accept-Encoding: codings are without regard to case.", "Accept-Encoding", ["Accept-Encoding: gzip"],
        ["Accept-Encoding: GZIP"], hit),
    pair("vary-encoding-order", MAY, "Their order means nothing.", "Accept-Encoding", ["Accept-Encoding: gzip, br"],
        ["Accept-Encoding: br,gzip"], hit),
    pair("vary-encoding-x", MAY, "x-gzip is gzip.", "Accept-Encoding", ["Accept-Encoding: gzip"], ["Accept-Encoding: x-gzip"], hit,
        at="9110 8.4.1.3"),
    row("vary-encoding-differ", "9111 4.1", MUST, "What is stored in gzip for one client does not go so to another that takes no coding.",
        get(fresh("Vary: Accept-Encoding", "Content-Encoding: gzip", body=GZIP), "Accept-Encoding: gzip",
            given(has("Content-Encoding", "gzip"))),
        get(ok("Vary: Accept-Encoding", body="plain"), "Accept-Encoding: identity", lacks("Content-Encoding"), body("plain"))),
    pair("vary-language-case", MAY, "Accept-Language: tags are without regard to case.", "Accept-Language", ["Accept-Language: en-GB"],
        ["Accept-Language: en-gb"], hit),
    pair("vary-language-spaces", MAY, "White space between its members means nothing.", "Accept-Language",
        ["Accept-Language: en, de;q=0.5"], ["Accept-Language: en,de; q=0.50"], hit),
    pair("vary-language-order", MAY, "Members with weights may come in any order.", "Accept-Language", ["Accept-Language: en, de;q=0.5"],
        ["Accept-Language: de;q=0.5, en"], hit),
    pair("vary-language-weights", MUST, "Other weights are another wish.", "Accept-Language", ["Accept-Language: en, de;q=0.5"],
        ["Accept-Language: de, en;q=0.5"], fetched),
    row("vary-both-kept", "9111 4.1", MAY, "Several variants are stored beside each other.", get(fresh("Vary: Foo"), "Foo: 1"),
        get("Foo: 2", given(fetched)), get("Foo: 1", hit, number(1)), get("Foo: 2", hit, number(2))),
    row("vary-many-kept", "9111 4.1", MAY, "Three of them, asked for in turn.", get(fresh("Vary: Foo"), "Foo: 1"), get("Foo: 2"),
        get("Foo: 3"), get("Foo: 1", hit, number(1)), get("Foo: 3", hit, number(3)), get("Foo: 2", hit, number(2))),
    row("vary-changes", "9111 4.1", MUST, "Where Vary changes between responses, each is held to its own.",
        get(fresh("Vary: Foo"), "Foo: 1", "Bar: a"), get(fresh("Vary: Foo, Bar"), "Foo: 2", "Bar: a"), get("Foo: 2", "Bar: b", fetched)),
    row("vary-newest", "9111 4", MUST, "Of several that match, the one with the latest Date is used.",
        get(fresh("Vary: Foo", "Date: {-100}"), "Foo: 1", "Bar: a"), get(fresh("Vary: Bar", "Date: {-10}"), "Foo: 2", "Bar: b"),
        get(fresh(), "Foo: 1", "Bar: b", given(hit), number(2))),
    row("vary-and-none", "9111 4.1", SHOULD, "A variant that matches goes before a later response without Vary.",
        get(fresh("Vary: Foo"), "Foo: 1"), get(fresh(), "Foo: 2", given(fetched)), get("Foo: 1", given(hit), number(1))),
    row("vary-other-stale", "9111 4.1", MUST, "A variant is fresh or stale by itself.", get(stale("Vary: Foo"), "Foo: 1"),
        get(fresh("Vary: Foo"), "Foo: 2"), get("Foo: 1", asked)),
]}
