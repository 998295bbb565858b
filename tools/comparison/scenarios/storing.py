"""What may be stored, and what may not: RFC 9111 3, 3.5, 5.2.2.3 to 5.2.2.7, 7.3."""

from model import (MAY, MUST, SHOULD, ask, asked, body, fetched, fresh, get, given, has, head, hit, lacks, lines, ok, row, sent,
                   sent_as, status, unasked)

CODES = {203: (), 204: (), 300: (), 301: ("Location: /x",), 302: ("Location: /x",), 303: ("Location: /x",), 307: ("Location: /x",),
         308: ("Location: /x",), 400: (), 403: (), 404: (), 405: ("Allow: GET",), 410: (), 414: (), 418: (), 451: (), 500: (), 501: (), 502: (),
         503: (), 504: (), 299: (), 399: ("Location: /x",), 499: (), 599: ()}


def by_code(code, fields):
    """Any final status may be stored where a lifetime is named."""
    return row(f"status-{code}", "9111 3", MAY, f"A {code} with max-age is used again.", get(fresh(*fields, status=code)), get(hit, status(code)))


def never(name, at, text, *directives, level=MUST):
    """A response that a shared cache does not store."""
    return row(name, at, level, text, get(ok(*directives)), get(fetched))


USER = "Authorization: Basic dTpw"

ROWS = {"storing by status": [by_code(*item) for item in CODES.items()] + [
    row("status-unknown-class", "9111 3", MUST, "A status of an unknown kind without a lifetime is not used again.", get(ok(status=477)),
        get(asked)),
    row("status-204-bare", "9110 15.3.5", MUST, "A stored 204 has neither body nor Content-Length.", get(fresh(status=204)),
        get(given(hit), lacks("Content-Length"), body(""))),
], "storing": [
    never("no-store", "9111 5.2.2.5", "A response with no-store is not stored.", "Cache-Control: no-store"),
    never("no-store-max-age", "9111 5.2.2.5", "Nor with a lifetime beside it.", "Cache-Control: max-age=3600, no-store"),
    never("no-store-odd-case", "9111 5.2", "Nor in odd case.", "Cache-Control: No-StOrE, max-age=3600"),
    never("no-store-expires", "9111 5.2.2.5", "Nor with an Expires in the future.", "Cache-Control: no-store", "Expires: {7200}"),
    never("private", "9111 5.2.2.7", "A response with private is not stored by a shared cache.", "Cache-Control: private, max-age=3600"),
    never("private-odd-case", "9111 5.2", "Nor in odd case.", "Cache-Control: max-age=3600, PRIVATE"),
    never("private-s-maxage", "9111 4.2.1", "Of private and s-maxage the more restrictive one counts.",
        "Cache-Control: private, s-maxage=3600", level=SHOULD),
    never("private-public", "9111 4.2.1", "Of private and public, too.", "Cache-Control: public, private, max-age=3600", level=SHOULD),
    never("private-spaces", "9110 5.6.1", "White space between members may be tabs, or missing.", "Cache-Control: max-age=3600\t,\tprivate"),
    row("no-store-after-quote", "9111 5.2", MUST, "A quoted string before it, with a comma and an escaped quote in it, does not hide it.",
        get(ok('Cache-Control: ext="a\\", b", no-store, max-age=3600')), get(asked)),
    row("no-store-in-quote", "9111 5.2", MAY, "Within a quoted string no-store is no directive.",
        get(ok('Cache-Control: max-age=3600, ext="no-store"')), get(hit)),
    row("private-field", "9111 5.2.2.7", MUST, "A field that private names is not stored.",
        get(ok('Cache-Control: max-age=3600, private="X-Secret"', "X-Secret: 1"), has("X-Secret", "1")),
        get(lacks("X-Secret", "1"), ok("Cache-Control: max-age=3600"))),
    row("private-field-rest", "9111 5.2.2.7", MAY, "The rest of the response is stored.",
        get(ok('Cache-Control: max-age=3600, private="X-Secret"', "X-Secret: 1")), get(hit)),
    row("no-cache-field", "9111 5.2.2.4", MUST, "A field that no-cache names is not sent again without validation.",
        get(ok('Cache-Control: max-age=3600, no-cache="X-Secret"', "X-Secret: 1")),
        get(lacks("X-Secret", "1"), ok("Cache-Control: max-age=3600"))),
    row("no-cache-field-rest", "9111 5.2.2.4", MAY, "The rest of the response is.",
        get(ok('Cache-Control: max-age=3600, no-cache="X-Secret"', "X-Secret: 1")), get(hit)),
    row("must-understand-known", "9111 5.2.2.3", SHOULD, "With must-understand, no-store is ignored where the status is understood.",
        get(ok("Cache-Control: max-age=3600, must-understand, no-store")), get(hit)),
    row("must-understand-unknown", "9111 5.2.2.3", MUST, "With must-understand a status that is not understood is not stored.",
        get(ok("Cache-Control: max-age=3600, must-understand, no-store", status=299)), get(asked)),
    row("request-no-store", "9111 5.2.1.5", MUST, "The response to a request with no-store is not stored.",
        get(fresh(), "Cache-Control: no-store"), get(asked)),
    row("set-cookie", "9111 7.3", MAY, "Set-Cookie is no reason not to store what has a lifetime.",
        get(ok("Cache-Control: public, max-age=3600", "Set-Cookie: a=1")), get(hit, has("Set-Cookie", "a=1"))),
    row("set-cookie-max-age", "9111 7.3", MAY, "Nor without public.", get(fresh("Set-Cookie: a=1")), get(hit)),
    row("request-cookie", "9111 7.3", MAY, "A Cookie in the request is none either.", get(fresh(), "Cookie: a=1"), get("Cookie: b=2", hit)),
    row("set-cookie-lines", "9110 5.3", MUST, "Several lines of Set-Cookie stay apart.",
        get(fresh("Set-Cookie: a=1, b", "Set-Cookie: c=2"), lines("Set-Cookie", "a=1, b", "c=2"))),
    row("pragma-response", "9111 5.4", MAY, "Pragma in a response means nothing.", get(fresh("Pragma: no-cache")), get(hit)),
    row("other-url", "9111 4", MUST, "A stored response is for its own URL, query included.", get(fresh(), sub="?a=1"),
        get(fetched, sub="?a=2")),
    row("other-url-case", "9110 4.2.3", MUST, "Paths that differ in case are different.", get(fresh(), sub="Abc"), get(fetched, sub="abc")),
    row("other-url-empty-query", "9110 4.2.3", MUST, "An empty query is not the same as none.", get(fresh(), sub="q"),
        get(fetched, sub="q?")),
    row("same-url-escaped", "9110 4.2.3", MAY, "A needless percent escape is the same URL.", get(fresh(), sub="%7Ename"),
        get(hit, sub="~name")),
    row("same-url-escape-case", "9110 4.2.3", MAY, "So is one that differs in the case of its digits.", get(fresh(), sub="a%2fb"),
        get(hit, sub="a%2Fb")),
    row("slash-escaped", "9110 4.2.3", MUST, "An escaped slash is not a slash.", get(fresh(), sub="x%2Fy"), get(fetched, sub="x/y")),
    row("other-host", "9111 4", MUST, "Another Host is another URL.", get(fresh()), get("Host: other.example", fetched)),
    row("content-location-ignored", "9110 8.7", MUST, "Content-Location of a GET does not make it an answer for that other URL.",
        get(fresh("Content-Location: other"), sub="this"), get(fetched, sub="other")),
], "authorization": [
    row("authorization", "9111 3.5", MUST, "The response to a request with Authorization is not used for others.", get(fresh(), USER),
        get(asked)),
    row("authorization-same", "9111 3.5", MUST, "Nor for the same.", get(fresh(), USER), get(USER, asked)),
    row("authorization-expires", "9111 3.5", MUST, "Expires does not allow it.", get(ok("Expires: {7200}"), USER), get(asked)),
    row("authorization-no-cache", "9111 3.5", MUST, "proxy-revalidate does not allow it.",
        get(ok("Cache-Control: max-age=3600, proxy-revalidate"), USER), get(asked)),
    row("authorization-public", "9111 3.5", MAY, "public allows it.", get(ok("Cache-Control: max-age=3600, public"), USER), get(hit)),
    row("authorization-s-maxage", "9111 3.5", MAY, "s-maxage allows it.", get(ok("Cache-Control: s-maxage=3600"), USER), get(hit)),
    row("authorization-must-revalidate", "9111 3.5", MAY, "must-revalidate allows it.",
        get(ok("Cache-Control: max-age=3600, must-revalidate"), USER), get(hit)),
    row("authorization-later", "9111 4", MAY, "A request with Authorization may have what is stored for all.", get(fresh()), get(USER, hit)),
    row("authorization-passed", "9110 11.6.2", MUST, "Authorization reaches the origin.",
        get(ok(), USER, sent("Authorization", "Basic dTpw"))),
], "other methods": [
    row("post-not-stored", "9110 9.3.3", MUST, "The response to POST is not used for GET without a Content-Location that is the URL.",
        ask("POST", fresh(), body=b"x"), get(fetched)),
    row("post-stored", "9110 9.3.3", MAY, "With that Content-Location and a lifetime it is.",
        ask("POST", fresh("Content-Location: %P"), body=b"x"), get(hit)),
    row("post-other", "9110 9.3.3", MUST, "With another one it is not.", ask("POST", fresh("Content-Location: %Px"), body=b"x"),
        get(fetched)),
    row("post-to-origin", "9111 4", MUST, "POST goes to the origin, whatever is stored for GET.", get(fresh()),
        ask("POST", fresh(), fetched, body=b"x")),
    row("put-not-stored", "9111 3", MUST, "The response to PUT is not used for GET.", ask("PUT", fresh(), body=b"x"), get(fetched)),
    row("unknown-method", "9111 3", MUST, "Nor that to a method that is not known.", ask("BREW", fresh(), asked), get(fetched)),
    row("options-not-stored", "9110 9.3.7", MUST, "The response to OPTIONS is not stored.", ask("OPTIONS", fresh(), asked),
        ask("OPTIONS", asked)),
    row("head-from-get", "9110 9.3.2", MAY, "HEAD is answered from a stored GET.", get(fresh()), head(hit)),
    row("head-length", "9110 9.3.2", SHOULD, "HEAD from a stored GET has its Content-Length, and no body.", get(fresh(body="12345")),
        head(given(hit), has("Content-Length", "5"), body(""))),
    row("get-not-from-head", "9111 4", MUST, "GET is not answered from a stored HEAD.", head(fresh(), given(sent_as("HEAD"))),
        get(fetched, body("2"))),
    row("head-from-head", "9110 9.3.2", MAY, "HEAD may be answered from a stored HEAD.", head(fresh("ETag: \"a\""), given(sent_as("HEAD"))),
        head(unasked, status(200))),
]}
