"""What clients wish (RFC 9111 5.2.1), and fields for caches of one kind (RFC 9213), and the groups of RFC 9875."""

from model import MAY, MUST, SHOULD, ask, asked, either, fetched, fresh, get, given, has, hit, lacks, ok, row, stale, status, unasked, validated

NOT_MODIFIED = ok('ETag: "a"', "Cache-Control: max-age=3600", status=304)
TAGGED = fresh('ETag: "a"')


def targeted(name, level, text, value, cache_control, check, *fields, at="9213 2.1"):
    """CDN-Cache-Control beside Cache-Control. What must be so is so for caches that understand it."""
    known = (get(ok("CDN-Cache-Control: max-age=3600", "Cache-Control: max-age=0"), sub="known"), get(given(hit), sub="known"))
    asked_about = get(ok(f"CDN-Cache-Control: {value}", f"Cache-Control: {cache_control}", *fields))
    return row(name, at, level, text, *(() if level == MAY else known), asked_about, get(check))


GROUPED = (get(fresh('Cache-Groups: "g"'), sub="known"), get(given(hit), sub="known"),
           ask("POST", ok('Cache-Group-Invalidation: "g"'), sub="known-too", body=b"x"), get(fresh(), given(fetched), sub="known"))

ROWS = {"request directives": [
    row("request-no-cache", "9111 5.2.1.4", MAY, "no-cache of a client has what is stored validated.", get(fresh()),
        get("Cache-Control: no-cache", asked)),
    row("request-pragma", "9111 5.4", MAY, "Pragma: no-cache alone, in a request, is the old way to say it.", get(fresh()),
        get("Pragma: no-cache", asked)),
    row("request-max-age-0", "9111 5.2.1.1", MAY, "max-age=0 wants nothing that has any age.", get(fresh("Age: 10")),
        get("Cache-Control: max-age=0", asked)),
    row("request-max-age", "9111 5.2.1.1", MAY, "max-age=100 does not want what is older.", get(fresh("Age: 1000")),
        get("Cache-Control: max-age=100", asked)),
    row("request-max-age-within", "9111 5.2.1.1", MAY, "What is younger is served.", get(fresh("Age: 10")),
        get("Cache-Control: max-age=100", hit)),
    row("request-min-fresh", "9111 5.2.1.3", MAY, "min-fresh does not want what will be stale too soon.", get(fresh("Age: 3000")),
        get("Cache-Control: min-fresh=1000", asked)),
    row("request-min-fresh-within", "9111 5.2.1.3", MAY, "What stays fresh long enough is served.", get(fresh()),
        get("Cache-Control: min-fresh=1000", hit)),
    row("request-max-stale", "9111 5.2.1.2", MAY, "max-stale takes what is stale.", get(stale('ETag: "a"')),
        get("Cache-Control: max-stale=10000", hit)),
    row("request-max-stale-any", "9111 5.2.1.2", MAY, "max-stale without a number takes it however stale.", get(stale('ETag: "a"')),
        get("Cache-Control: max-stale", hit)),
    row("request-max-stale-beyond", "9111 5.2.1.2", MUST, "Not what is staler than it says.", get(stale('ETag: "a"')),
        get("Cache-Control: max-stale=1", asked, pause=2)),
    row("request-max-stale-forbidden", "9111 5.2.2.2", MUST, "Not what must-revalidate forbids.",
        get(stale('ETag: "a"', control="max-age=1, must-revalidate")), get("Cache-Control: max-stale=10000", asked)),
    row("only-if-cached-nothing", "9111 5.2.1.7", MAY, "only-if-cached with nothing stored gets 504.",
        get(fresh(), "Cache-Control: only-if-cached", status(504), unasked)),
    row("only-if-cached-stale", "9111 5.2.1.7", MAY, "With something stale stored, too.", get(stale()),
        get("Cache-Control: only-if-cached", status(504), unasked)),
    row("only-if-cached-hit", "9111 5.2.1.7", MAY, "With something fresh stored it gets that.", get(fresh()),
        get("Cache-Control: only-if-cached", hit)),
    row("request-no-store-hit", "9111 5.2.1.5", MAY, "no-store of a client does not speak of what is stored already.", get(fresh()),
        get("Cache-Control: no-store", hit)),
    row("request-unknown", "9111 5.2.3", MAY, "Unknown wishes are passed over.", get(fresh()), get("Cache-Control: foo=bar", hit)),
    row("request-no-cache-validates", "9111 5.2.1.4", MAY, "no-cache of a client is satisfied by a 304.", get(TAGGED),
        get("Cache-Control: no-cache", validated, validated=NOT_MODIFIED, origin=fresh('ETag: "a"'))),
    row("request-no-cache-new", "9111 5.2.1.4", MAY, "What it brings takes the place of what was stored.", get(fresh()),
        get("Cache-Control: no-cache", fresh(), given(fetched)), get(hit, either(lacks("X-Number", "1")))),
], "targeted fields": [
    targeted("targeted-longer", MAY, "CDN-Cache-Control goes before Cache-Control, longer than it.", "max-age=3600", "max-age=0", hit),
    targeted("targeted-allows", MAY, "Also where Cache-Control forbids to store.", "max-age=3600", "no-store", hit),
    targeted("targeted-shorter", MUST, "Who understands it does not go by Cache-Control.", "max-age=0", "max-age=3600", asked),
    targeted("targeted-no-store", MUST, "Nor stores what it forbids to store.", "no-store", "max-age=3600", asked),
    targeted("targeted-private", MUST, "Nor what it calls private.", "private, max-age=3600", "max-age=3600", asked),
    targeted("targeted-no-cache", MUST, "Nor uses without validation what it says no-cache of.", "no-cache", "max-age=3600", asked),
    targeted("targeted-expires", MUST, "Expires does not count beside it.", "max-age=0", "public", asked, "Expires: {7200}"),
    targeted("targeted-broken", MUST, "One that is no Structured Field is ignored.", "max-age=3600, &&", "max-age=0", asked, at="9213 2.2"),
    targeted("targeted-type", MUST, "So is one whose max-age is a string.", 'max-age="3600"', "max-age=0", asked, at="9213 2.2"),
    targeted("targeted-empty", MUST, "An empty one is ignored.", "", "no-store", asked),
    row("targeted-passed", "9213 2.1", SHOULD, "It is passed on to others that it may be for.",
        get(ok("CDN-Cache-Control: max-age=10, no-cache"), has("CDN-Cache-Control", "max-age=10, no-cache"))),
    targeted("targeted-parameters", MAY, "Parameters in it are passed over.", "max-age=3600;x=1", "max-age=0", hit, at="9213 2.2"),
], "cache groups": [
    row("group-invalidation", "9875 3", MAY, "Cache-Group-Invalidation of the answer to an unsafe request ends what is in that group.",
        get(fresh('Cache-Groups: "g1"'), sub="a"), get(given(hit), sub="a"),
        ask("POST", ok('Cache-Group-Invalidation: "g1"'), sub="b", body=b"x"), get(fresh(), fetched, sub="a")),
    row("group-other", "9875 3", MAY, "Other groups stay out of it; case counts.", *GROUPED, get(fresh('Cache-Groups: "G1"'), sub="a"),
        get(given(hit), sub="a"), ask("POST", ok('Cache-Group-Invalidation: "g1"'), sub="b", body=b"x"), get(hit, sub="a")),
    row("group-safe", "9875 3", MUST, "The answer to a safe request ends no group.", *GROUPED, get(fresh('Cache-Groups: "g2"'), sub="a"),
        get(given(hit), sub="a"), get(ok('Cache-Group-Invalidation: "g2"'), sub="b"), get(hit, sub="a")),
    row("group-of-invalidated", "9875 2.2.1", MAY, "What an unsafe request invalidates takes its groups along.",
        get(fresh('Cache-Groups: "g3"'), sub="a"), get(fresh('Cache-Groups: "g3"'), sub="b"), get(given(hit), sub="b"),
        ask("POST", ok(), sub="a", body=b"x"), get(fresh(), fetched, sub="b")),
], "status fields": [
    row("cache-status-hit", "9211 2.1", MAY, "Cache-Status says hit.", get(fresh()), get(given(hit), has("Cache-Status", ".*; *hit.*"))),
    row("cache-status-miss", "9211 2.2", MAY, "It says why the origin was asked.", get(fresh(), has("Cache-Status", ".*; *fwd=.*"))),
    row("cache-status-ttl", "9211 2.4", MAY, "It says how long the response stays fresh.", get(fresh()),
        get(given(hit), has("Cache-Status", ".*; *ttl=3[56][0-9][0-9].*"))),
    row("cache-status-chain", "9211 2", MUST, "That of a cache before is kept, before an own one.",
        get(fresh("Cache-Status: first; hit"), has("Cache-Status", "first; *hit.*"))),
    row("proxy-status", "9209 2", MAY, "Proxy-Status says what went wrong with the origin.",
        get(ok(drop=True), status(502, 503, 504), has("Proxy-Status", ".*error=.*"))),
]}
