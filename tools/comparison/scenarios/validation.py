"""Asking the origin whether what is stored still holds: RFC 9111 4.3, 3.2, 5.2.2.2, 5.2.2.4."""

from model import (MAY, MUST, SHOULD, age, asked, body, fetched, fresh, get, given, has, head, hit, lacks, number, ok, old, other, row, sent, sent_as,
                   stale, status, validated)

TAG, DATE = 'ETag: "a"', "Last-Modified: {-8640000}"


def not_modified(*fields):
    """A 304 that makes it fresh again."""
    return ok("Cache-Control: max-age=3600", *fields, status=304)


def again(*parts, answer=None, then=None, **more):
    """A request to which the origin says 304 if it is asked by a condition, else something new."""
    return get(*parts, origin=then or fresh(), validated=answer or not_modified(TAG), **more)


def updated(name, text, before, after, check, level=MUST, at="9111 3.2"):
    """Fields of a 304 in what is stored."""
    return row(name, at, level, text, get(stale(TAG, *before)), again(given(validated), answer=not_modified(TAG, *after)), get(given(hit), check))


ROWS = {"validation": [
    row("stale-is-asked", "9111 4", MUST, "What is stale is not used without asking.", get(stale(TAG)), get(asked)),
    row("stale-no-validator", "9111 4", MUST, "What is stale and has no validator is fetched anew.", get(stale()), get(fetched)),
    row("validate-tag", "9111 4.3.1", MAY, "A stale response with an ETag is validated by If-None-Match.", get(stale(TAG)),
        again(validated, sent("If-None-Match", '"a"'), number(1))),
    row("validate-weak-tag", "9111 4.3.1", MAY, "So is one with a weak one, sent as it is.", get(stale('ETag: W/"a"')),
        again(validated, sent("If-None-Match", 'W/"a"'), answer=not_modified('ETag: W/"a"'))),
    row("validate-date", "9111 4.3.1", MAY, "One with Last-Modified alone by If-Modified-Since.", get(stale(DATE)),
        again(validated, sent("If-Modified-Since"), answer=not_modified())),
    row("validate-date-as-is", "9111 4.3.1", SHOULD, "If-Modified-Since has the date that the origin gave, not another.",
        get(stale("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT")),
        again(given(sent("If-Modified-Since")), sent("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"), answer=not_modified())),
    row("validate-both", "9111 4.3.1", SHOULD, "With both validators, both conditions are sent.", get(stale(TAG, DATE)),
        again(given(validated), sent("If-None-Match", '"a"'), sent("If-Modified-Since"))),
    row("validate-tag-odd", "9110 8.8.3", MAY, "A tag with commas and letters beyond ASCII is sent as it came.",
        get(stale('ETag: "a,b\xe9c"')), again(validated, sent("If-None-Match", '"a,b\xe9c"'), answer=not_modified('ETag: "a,b\xe9c"'))),
    row("validated-fresh", "9111 4.3.4", MAY, "After a 304 it is fresh again.", get(stale(TAG)), again(given(validated)),
        get(hit, number(1))),
    row("validated-changed", "9111 4.3.3", MUST, "A 200 instead of the 304 is what the client gets.", get(stale(TAG)),
        get(fresh('ETag: "b"'), fetched)),
    row("validated-changed-stored", "9111 4.3.3", MAY, "And it takes the place of the stored one.", get(stale(TAG)),
        get(fresh('ETag: "b"'), given(fetched)), get(hit, number(2))),
    row("validated-404", "9111 4.3.3", MUST, "A 404 instead of it, too.", get(stale(TAG)), get(ok(status=404), status(404))),
    row("validated-age", "9111 4.3.4", SHOULD, "The age begins anew with the 304.",
        get(ok("Cache-Control: max-age=3600", "Date: {-7200}", TAG)), again(given(validated)),
        get(given(hit), given(has("Age")), age(0, 3600))),
    row("validated-still-stale", "9111 4.3.4", MUST, "A 304 that gives no new lifetime beyond the old one lets it get stale again.",
        get(stale(TAG)),
        get(given(validated), origin=ok("Cache-Control: max-age=0"), validated=ok("Cache-Control: max-age=0", TAG, status=304)), get(asked)),
    row("304-no-store", "9111 3.2", MUST, "A 304 that says no-store leaves nothing that is used without asking.", get(stale(TAG)),
        again(given(validated), answer=ok("Cache-Control: no-store", TAG, status=304)), get(asked)),
    row("304-to-client", "9111 4.3.3", MUST, "A client without conditions never sees the 304.", get(stale(TAG)), again(status(200))),
    row("304-other-tag", "9111 4.3.4", MUST, "A 304 with another strong tag than the stored one's does not select it.", get(stale(TAG)),
        again(fetched, answer=ok('ETag: "b"', status=304), then=fresh('ETag: "b"'))),
    updated("304-updates", "The fields of the 304 replace those that are stored.", ["X-Field: old"], ["X-Field: new"],
        has("X-Field", "new")),
    updated("304-adds", "Those that were not there are added.", [], ["X-Field: new"], has("X-Field", "new")),
    updated("304-keeps", "Those that it does not have stay.", ["X-Field: old"], [], has("X-Field", "old")),
    updated("304-replaces-all-lines", "All lines of a field are replaced.", ["X-Field: a", "X-Field: b"], ["X-Field: c"],
        has("X-Field", "c")),
    updated("304-cache-control", "Cache-Control is among them.", [], ["X-Any: 1"], has("Cache-Control", "max-age=3600")),
    updated("304-last-modified", "So is Last-Modified beside the same ETag.", ["Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"],
        ["Last-Modified: Mon, 07 Nov 1994 08:49:37 GMT"], has("Last-Modified", "Mon, 07 Nov 1994.*")),
    updated("304-not-length", "Content-Length stays that of the body.", [], ["Content-Length: 100"], body("1")),
    updated("304-not-connection", "What Connection names in the 304 does not come in.", ["X-Hop: old"], ["Connection: X-Hop", "X-Hop: new"],
        lacks("X-Hop", "new")),
    updated("304-not-encoding", "Content-Encoding stays that of the body.", [], ["Content-Encoding: gzip"],
        lacks("Content-Encoding", "gzip")),
    updated("304-date", "Date is that of the 304.", ["Date: {-100}"], ["Date: {-10}"], other("Date")),
    row("no-cache", "9111 5.2.2.4", MUST, "A response with no-cache is not used without asking.",
        get(ok("Cache-Control: no-cache, max-age=3600", TAG)), get(asked)),
    row("no-cache-stored", "9111 5.2.2.4", MAY, "It is stored, and a 304 lets it be used.", get(ok("Cache-Control: no-cache", TAG)),
        again(validated, answer=ok("Cache-Control: no-cache", TAG, status=304))),
    row("no-cache-each-time", "9111 5.2.2.4", MUST, "It is asked about each time.", get(ok("Cache-Control: no-cache", TAG)),
        again(answer=ok("Cache-Control: no-cache", TAG, status=304), then=ok("Cache-Control: no-cache", TAG)), get(asked)),
    row("no-cache-odd-case", "9111 5.2", MUST, "In odd case, too.", get(ok("Cache-Control: max-age=3600, NO-cache", TAG)), get(asked)),
    row("no-cache-s-maxage", "9111 4.2.1", SHOULD, "Of no-cache and s-maxage the more restrictive one counts.",
        get(ok("Cache-Control: s-maxage=3600, no-cache", TAG)), get(asked)),
    row("must-revalidate-fresh", "9111 5.2.2.2", MAY, "must-revalidate does not keep what is fresh from being used.",
        get(ok("Cache-Control: max-age=3600, must-revalidate")), get(hit)),
    row("must-revalidate-stale", "9111 5.2.2.2", MUST, "What is stale is validated.", get(stale(TAG, control="max-age=1, must-revalidate")),
        get(asked)),
    row("proxy-revalidate-stale", "9111 5.2.2.8", MUST, "With proxy-revalidate, too.",
        get(stale(TAG, control="max-age=1, proxy-revalidate")), get(asked)),
    row("max-age-0-validated", "9111 4.3.1", MAY, "What is stale from the start is stored to be validated.",
        get(ok("Cache-Control: max-age=0", TAG)), again(validated, answer=ok("Cache-Control: max-age=0", TAG, status=304))),
    row("variant-tags", "9111 4.3.1", MAY, "Where no variant matches, the tags of those that are stored are sent.",
        get(fresh("Vary: Foo", 'ETag: "a"'), "Foo: 1"), get(fresh("Vary: Foo", 'ETag: "b"'), "Foo: 2"),
        get("Foo: 3", given(asked), sent("If-None-Match", '.*"a".*'), sent("If-None-Match", '.*"b".*'))),
    row("variant-selected", "9111 4.3.4", MAY, "A 304 with one of them selects that one.",
        get(fresh("Vary: Foo", 'ETag: "a"', body="A"), "Foo: 1"), get(fresh("Vary: Foo", 'ETag: "b"', body="B"), "Foo: 2"),
        again("Foo: 3", old, body("A"), answer=not_modified('ETag: "a"', "Vary: Foo"))),
    row("variant-updates-own", "9111 4.3.4", MUST, "A 304 for one variant does not freshen another.",
        get(stale("Vary: Foo", 'ETag: "a"'), "Foo: 1"), get(stale("Vary: Foo", 'ETag: "b"'), "Foo: 2"),
        again("Foo: 1", given(validated), answer=not_modified('ETag: "a"', "Vary: Foo"), then=fresh("Vary: Foo")), get("Foo: 2", asked)),
    row("head-updates", "9111 4.3.5", SHOULD, "A 200 to HEAD with the same validators updates what is stored for GET.",
        get(fresh(TAG, "X-Field: old")), head(fresh(TAG, "X-Field: new"), "Cache-Control: no-cache", given(sent_as("HEAD"))),
        get(given(old), has("X-Field", "new"))),
    row("head-length-differs", "9111 4.3.5", SHOULD, "One with another Content-Length makes it stale.", get(fresh(TAG)),
        head(fresh("Content-Length: 99", TAG), "Cache-Control: no-cache", given(sent_as("HEAD"))), get(fresh(), asked)),
    row("head-tag-differs", "9111 4.3.5", SHOULD, "One with another ETag does.", get(fresh(TAG)),
        head(fresh('ETag: "b"'), "Cache-Control: no-cache", given(sent_as("HEAD"))), get(fresh(), asked)),
]}
