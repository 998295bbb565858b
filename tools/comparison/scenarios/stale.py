"""What is used although it is stale, and what not: RFC 9111 4.2.4, RFC 5861, RFC 8246; and many at once."""

from model import MAY, MUST, SHOULD, all_whole, asked, either, fetched, fresh, get, given, has, hit, number, ok, old, row, stale, status, total, when

TAG = 'ETag: "a"'
GONE, FAILED = ok(drop=True), ok(status=503)
ALLOWED = "max-age=1, stale-while-revalidate=1000"
OWN = when("no two answers alike", lambda s: len({a.get("X-Number") for a in s.answers if a}) == len(s.answers))
ON_ERROR = "max-age=1, stale-if-error=1000"


def forbidden(name, at, text, control, answer):
    """Nothing stale."""
    return row(name, at, MUST, text, get(stale(TAG, control=control)),
               get(answer, when("no stale answer", lambda s: s.number is None or s.number not in s.numbers)))


ROWS = {"stale": [
    row("stale-while-revalidate", "5861 3", MAY, "With stale-while-revalidate the stale response is sent at once.",
        get(stale(TAG, control=ALLOWED)), get(fresh(delay=2), old, number(1))),
    row("stale-while-revalidate-asks", "5861 3", MAY, "And the origin is asked in the background.", get(stale(TAG, control=ALLOWED)),
        get(fresh(), given(number(1))), get(given(hit), either(number(2), number(1)), total(2), pause=1)),
    row("stale-while-revalidate-new", "5861 3", MAY, "What it answers serves from then on.", get(stale(TAG, control=ALLOWED)),
        get(fresh(), given(number(1))), get(hit, number(2), pause=1)),
    row("stale-while-revalidate-over", "5861 3", MUST, "Not longer than it says.",
        get(stale(TAG, control="max-age=1, stale-while-revalidate=1")), get(fresh(), asked, fetched, pause=2)),
    row("stale-while-revalidate-must", "9111 5.2.2.2", MUST, "Not beside must-revalidate.",
        get(stale(TAG, control=ALLOWED + ", must-revalidate")), get(fresh(), fetched)),
    row("stale-if-error-503", "5861 4", MAY, "With stale-if-error a 503 of the origin is not seen.", get(stale(TAG, control=ON_ERROR)),
        get(FAILED, old, status(200))),
    row("stale-if-error-500", "5861 4", MAY, "Nor a 500.", get(stale(TAG, control=ON_ERROR)), get(ok(status=500), old, status(200))),
    row("stale-if-error-gone", "5861 4", MAY, "Nor a connection that breaks.", get(stale(TAG, control=ON_ERROR)),
        get(GONE, old, status(200))),
    row("stale-if-error-404", "5861 4", MUST, "A 404 is no such error.", get(stale(TAG, control=ON_ERROR)),
        get(ok(status=404), status(404))),
    row("stale-if-error-request", "5861 4", MAY, "A client may say it, too.", get(stale(TAG)),
        get(FAILED, "Cache-Control: stale-if-error=1000", old)),
    row("stale-gone", "9111 4.2.4", MAY, "Who can not reach the origin may send what is stale.", get(stale(TAG)), get(GONE, old)),
    row("stale-error-keeps", "9111 4.3.3", MAY, "Such an error does not end what is stored.", get(stale(TAG)), get(FAILED),
        get(number(1), origin=fresh(TAG), validated=ok("Cache-Control: max-age=3600", TAG, status=304))),
    forbidden("must-revalidate-gone", "9111 5.2.2.2", "must-revalidate: no stale answer where the origin is out of reach.",
        "max-age=1, must-revalidate", GONE),
    forbidden("must-revalidate-503", "9111 5.2.2.2", "Nor where it sends 503.", "max-age=1, must-revalidate, stale-if-error=1000", FAILED),
    forbidden("proxy-revalidate-gone", "9111 5.2.2.8", "proxy-revalidate: nor then.", "max-age=1, proxy-revalidate", GONE),
    forbidden("s-maxage-gone", "9111 5.2.2.10", "s-maxage means proxy-revalidate.", "s-maxage=1", GONE),
    forbidden("no-cache-gone", "9111 5.2.2.4", "no-cache: nothing without validation, either.", "max-age=3600, no-cache", GONE),
    row("must-revalidate-status", "9111 5.2.2.2", SHOULD, "The client is told by 504, or by a status that says it better (502, 503).",
        get(stale(TAG, control="max-age=1, must-revalidate")), get(GONE, status(504, 502, 503))),
    row("gone-status", "9110 15.6", MUST, "An origin that breaks off without an answer is a 502 or 504.", get(GONE, status(502, 503, 504))),
    row("gone-not-stored", "9111 3", MUST, "That error is not stored.", get(GONE), get(fresh(), fetched)),
    row("stale-age", "9111 4", MUST, "A stale answer has its Age.", get(stale(TAG, control=ALLOWED)),
        get(fresh(), given(number(1)), has("Age", "[1-9]"))),
    row("immutable-fresh", "8246 2", MAY, "immutable: what is fresh is used.", get(ok("Cache-Control: max-age=3600, immutable")), get(hit)),
    row("immutable-stale", "8246 2", MUST, "What is stale is validated all the same.", get(stale(TAG, control="max-age=1, immutable")),
        get(asked)),
], "many at once": [
    row("collapsed", "9111 4", MAY, "Many who want the same at once have it fetched once.",
        get(fresh(delay=1), total(1), all_whole, copies=6)),
    row("collapsed-body", "9111 4", MAY, "Also while the body is coming.",
        get(fresh(body="0123456789", slowly=1), total(1), all_whole, copies=6)),
    row("collapsed-private", "9111 4", MUST, "Where the response turns out to be private, each gets one of its own.",
        get(ok("Cache-Control: private", delay=0.5), OWN, copies=4)),
    row("collapsed-no-store", "9111 4", MUST, "With no-store, too.", get(ok("Cache-Control: no-store", delay=0.5), OWN, copies=4)),
    row("collapsed-validation", "9111 4", MAY, "A stale response that many want is validated once.", get(stale(TAG)),
        get(total(2), all_whole, copies=6, origin=fresh(TAG, delay=0.7),
            validated=ok("Cache-Control: max-age=3600", TAG, status=304, delay=0.7))),
    row("left-alone", "9111 3.3", MAY, "A small fetch whose client leaves is finished for others.",
        get(fresh(body="0123456789", slowly=1), hangs=0.5), get(hit, pause=1.5)),
]}
