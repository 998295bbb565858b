"""How long a response is fresh: RFC 9111 4.2, 5.1 to 5.3."""

from model import MAY, MUST, SHOULD, age, asked, fetched, fresh, get, given, has, hit, ok, row, same

PAST, FUTURE = "{-7200}", "{7200}"


def kept(name, at, text, *fields, **more):
    """A response that may be used again without asking."""
    return row(name, at, MAY, text, get(ok(*fields, **more)), get(hit))


def not_kept(name, at, level, text, *fields, **more):
    """A response that may not."""
    return row(name, at, level, text, get(ok(*fields, **more)), get(asked))


ROWS = {"freshness": [
    kept("max-age", "9111 5.2.2.1", "A response is used again while its age is within max-age.", "Cache-Control: max-age=3600"),
    kept("s-maxage", "9111 5.2.2.10", "s-maxage alone makes a response fresh.", "Cache-Control: s-maxage=3600"),
    kept("expires", "9111 5.3", "Expires in the future makes a response fresh.", f"Expires: {FUTURE}"),
    not_kept("max-age-0", "9111 5.2.2.1", MUST, "max-age=0 makes it stale at once.", "Cache-Control: max-age=0"),
    not_kept("expires-past", "9111 5.3", MUST, "Expires in the past is not fresh.", f"Expires: {PAST}"),
    not_kept("expires-date", "9111 4.2", MUST, "Expires equal to Date leaves no lifetime, where the origin's clock is ahead, too.", "Date: {100}", "Expires: {100}"),
    not_kept("expires-zero", "9111 5.3", MUST, "Expires: 0 is in the past.", "Expires: 0", "Last-Modified: {-8640000}"),
    not_kept("expires-words", "9111 5.3", MUST, "An Expires that is no date is in the past, and no reason to guess.",
             "Expires: next week", "Last-Modified: {-8640000}"),
    kept("s-maxage-over-max-age-0", "9111 5.2.2.10", "s-maxage goes before max-age, larger than it.", "Cache-Control: s-maxage=3600, max-age=0"),
    not_kept("s-maxage-under-max-age", "9111 5.2.2.10", MUST, "s-maxage goes before max-age, smaller than it.",
             "Cache-Control: max-age=3600, s-maxage=0"),
    kept("s-maxage-over-expires", "9111 5.3", "s-maxage goes before an Expires in the past.", "Cache-Control: s-maxage=3600", f"Expires: {PAST}"),
    not_kept("s-maxage-under-expires", "9111 5.3", MUST, "s-maxage=0 goes before an Expires in the future.", "Cache-Control: s-maxage=0", f"Expires: {FUTURE}"),
    kept("max-age-over-expires", "9111 5.3", "max-age goes before an Expires in the past.", "Cache-Control: max-age=3600", f"Expires: {PAST}"),
    not_kept("max-age-under-expires", "9111 5.3", MUST, "max-age=0 goes before an Expires in the future.", "Cache-Control: max-age=0", f"Expires: {FUTURE}"),
    not_kept("max-age-odd-case", "9111 5.2", MUST, "Directives are compared without regard to case.", "Cache-Control: MaX-AgE=0", f"Expires: {FUTURE}"),
    kept("max-age-odd-case-kept", "9111 5.2", "The same for one that makes it fresh.", "CACHE-control: MAX-AGE=3600"),
    kept("max-age-quoted", "9111 5.2", "A number in quotes is understood.", 'Cache-Control: max-age="3600"'),
    not_kept("max-age-quoted-0", "9111 5.2", SHOULD, "A zero in quotes is no long time.", 'Cache-Control: max-age="0"', f"Expires: {FUTURE}"),
    kept("max-age-overflow", "9111 1.2.2", "A lifetime beyond 2^31 counts as very long.", "Cache-Control: max-age=2147483649"),
    kept("max-age-overflow-64", "9111 1.2.2", "So does one beyond 2^64.", "Cache-Control: max-age=99999999999999999999"),
    not_kept("max-age-negative", "9111 4.2.1", SHOULD, "A negative lifetime means stale.", "Cache-Control: max-age=-3600", "Last-Modified: {-8640000}"),
    not_kept("max-age-words", "9111 4.2.1", SHOULD, "A lifetime that is no number means stale.", "Cache-Control: max-age=soon", "Last-Modified: {-8640000}"),
    not_kept("max-age-empty", "9111 4.2.1", SHOULD, "A lifetime without a value means stale.", "Cache-Control: max-age", "Last-Modified: {-8640000}"),
    not_kept("max-age-junk-behind", "9111 4.2.1", SHOULD, "Digits with something behind them are no number.", "Cache-Control: max-age=3600a",
             "Last-Modified: {-8640000}"),
    not_kept("max-age-decimal", "9111 4.2.1", SHOULD, "0.5 is not an hour, nor anything.", "Cache-Control: max-age=0.5", "Last-Modified: {-8640000}"),
    not_kept("max-age-inside-quotes", "9111 5.2", MUST, "What stands within a quoted string of another directive is no directive.",
             'Cache-Control: max-age=0, note="a, max-age=3600, b"'),
    not_kept("max-age-in-name", "9111 5.2.3", MUST, "A directive whose name only ends so is another one.", "Cache-Control: x-max-age=3600, max-age=0"),
    kept("unknown-directives", "9111 5.2.3", "Directives that nobody knows change nothing.", 'Cache-Control: foo, max-age=3600, bar="baz, qux"'),
    kept("empty-members", "9110 5.6.1.2", "Empty members of the list are passed over.", "Cache-Control: , ,max-age=3600,,"),
    kept("two-lines", "9110 5.3", "Directives may stand on several lines.", "Cache-Control: public", "Cache-Control: max-age=3600"),
    not_kept("two-lines-no-store", "9110 5.3", MUST, "Also the one that forbids.", "Cache-Control: max-age=3600", "Cache-Control: no-store"),
    not_kept("repeated-zero", "9111 4.2.1", SHOULD, "Of max-age=0 and max-age=3600 the first counts, or it is stale.", "Cache-Control: max-age=0, max-age=3600"),
    kept("expires-850", "9110 5.6.7", "Dates in the form of RFC 850 are read.", "Expires: Thursday, 18-Aug-50 02:01:18 GMT"),
    kept("expires-asctime", "9110 5.6.7", "Dates in the form of asctime are read.", "Expires: Thu Aug 18 02:01:18 2050"),
    not_kept("expires-850-past", "9110 5.6.7", MUST, "A year of two digits more than 50 years ahead is in the past.", "Expires: Sunday, 06-Nov-94 08:49:37 GMT",
             "Last-Modified: {-8640000}"),
    not_kept("expires-zone", "9111 4.2", SHOULD, "A date in another zone is no date.", "Expires: Thu, 18 Aug 2050 02:01:18 AEST"),
    not_kept("expires-twice", "9111 4.2.1", SHOULD, "Of two Expires the first, in the past, counts, or it is stale.", f"Expires: {PAST}", f"Expires: {FUTURE}"),
    kept("expires-far-date", "9111 4.2.1", "The lifetime is Expires less Date, whatever the clock here says.", "Date: {-3}", "Expires: {3600}"),
    not_kept("date-is-old", "9111 4.2.3", MUST, "A Date longer ago than max-age makes it stale.", f"Date: {PAST}", "Cache-Control: max-age=3600"),
    not_kept("old-expires-date", "9111 4.2.3", MUST, "A Date and an Expires an hour apart, both past, are stale.", f"Date: {PAST}", "Expires: {-3600}"),
    kept("no-date", "9110 6.6.1", "Without Date the time of receipt counts.", "Cache-Control: max-age=3600", date=False),
    row("no-date-added", "9110 6.6.1", MUST, "A recipient with a clock that stores a response without Date adds one.",
        get(fresh(date=False)), get(has("Date", "..., .*GMT"))),
], "age": [
    not_kept("age-beyond", "9111 4.2.3", MUST, "An Age larger than the lifetime makes it stale.", "Cache-Control: max-age=3600", "Age: 7200"),
    not_kept("age-equal", "9111 4.2", MUST, "A lifetime is to be larger than the age.", "Cache-Control: max-age=3600", "Age: 3600"),
    not_kept("age-beyond-expires", "9111 4.2.3", MUST, "Also where Expires gives the lifetime.", "Age: 7200", "Expires: {3600}"),
    not_kept("age-beyond-s-maxage", "9111 4.2.3", MUST, "Also where s-maxage does.", "Cache-Control: s-maxage=3600", "Age: 7200"),
    kept("age-within", "9111 4.2.3", "An Age smaller than the lifetime leaves some.", "Cache-Control: max-age=3600", "Age: 1200"),
    not_kept("age-overflow", "9111 1.2.2", MUST, "An Age beyond 2^64 is very old.", "Cache-Control: max-age=3600", "Age: 99999999999999999999"),
    not_kept("age-list", "9111 5.1", SHOULD, "Of a list the first counts.", "Cache-Control: max-age=3600", "Age: 7200, 0"),
    kept("age-list-small", "9111 5.1", "Of a list the first counts, also where it is the smaller one.", "Cache-Control: max-age=3600", "Age: 0, 7200"),
    not_kept("age-lines", "9111 5.1", SHOULD, "Of two lines the first counts.", "Cache-Control: max-age=3600", "Age: 7200", "Age: 0"),
    kept("age-negative", "9111 5.1", "An Age that is no non-negative integer is ignored.", "Cache-Control: max-age=3600", "Age: -7200"),
    kept("age-decimal", "9111 5.1", "So is one with a fraction.", "Cache-Control: max-age=3600", "Age: 7200.0"),
    kept("age-words", "9111 5.1", "So is a word.", "Cache-Control: max-age=3600", "Age: old"),
    row("age-sent", "9111 4", MUST, "What is sent from the store has an Age.", get(fresh()), get(given(hit), age(0, 100))),
    row("age-sent-date", "9111 4.2.3", MUST, "Its Age is no less than the time since Date.", get(fresh("Date: {-1000}")), get(given(hit), age(1000, 1100))),
    row("age-sent-age", "9111 4.2.3", MUST, "Nor less than the Age that it came with, and there is one Age only.", get(fresh("Age: 500")),
        get(given(hit), age(500, 600))),
    row("age-sent-grows", "9111 4.2.3", MUST, "It grows while it is stored.", get(fresh("Age: 500")), get(given(hit), age(502, 600), pause=2.2)),
    row("age-passed-on", "9111 4.2.3", MUST, "The Age of a response just fetched is not lost.", get(fresh("Age: 500"), age(500, 600))),
    row("date-kept", "9110 6.6.1", MUST, "Date tells when the response was made: that of a stored one stays.", get(fresh("Date: {-1000}")),
        get(given(hit), same("Date"))),
], "heuristics": [
    kept("heuristic-200", "9111 4.2.2", "A 200 with an old Last-Modified and no lifetime may be taken for fresh.", "Last-Modified: {-8640000}"),
    row("heuristic-404", "9110 15.1", MAY, "A 404 likewise.", get(ok("Last-Modified: {-8640000}", status=404)), get(hit)),
    row("heuristic-301", "9110 15.1", MAY, "A 301 likewise.", get(ok("Last-Modified: {-8640000}", "Location: /x", status=301)), get(hit)),
    row("heuristic-410", "9110 15.1", MAY, "A 410 likewise.", get(ok("Last-Modified: {-8640000}", status=410)), get(hit)),
    row("heuristic-query", "9111 4.2.2", MAY, "A query is no reason against it.", get(ok("Last-Modified: {-8640000}"), sub="?a=b"), get(hit, sub="?a=b")),
    row("no-heuristic-201", "9110 15.1", MUST, "A 201 is not to be guessed fresh.", get(ok("Last-Modified: {-8640000}", status=201)), get(asked)),
    row("no-heuristic-302", "9110 15.1", MUST, "Nor a 302.", get(ok("Last-Modified: {-8640000}", "Location: /x", status=302)), get(asked)),
    row("no-heuristic-403", "9110 15.1", MUST, "Nor a 403.", get(ok("Last-Modified: {-8640000}", status=403)), get(asked)),
    row("no-heuristic-503", "9110 15.1", MUST, "Nor a 503.", get(ok("Last-Modified: {-8640000}", status=503)), get(asked)),
    row("no-heuristic-599", "9110 15.1", MUST, "Nor a status that is unknown.", get(ok("Last-Modified: {-8640000}", status=599)), get(asked)),
    row("heuristic-public", "9111 3", MAY, "With public, any final status may be.", get(ok("Last-Modified: {-8640000}", "Cache-Control: public", status=203)), get(hit)),
    row("no-heuristic-expired", "9111 4.2.2", MUST, "No guess where a lifetime stands, and is over.",
        get(ok("Last-Modified: {-8640000}", "Cache-Control: max-age=0")), get(fetched)),
]}
