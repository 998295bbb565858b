"""RFC 9110 §5, §6.6, §7.6, §7.7, §10, §11: what is forwarded, changed, added and left out, both ways."""

import pytest

from way import FRESH, answer, http_date

PLAIN = answer("ok", fields=["Cache-Control: no-store"])

# (name, field lines): they reach the other side as they are.
REQUEST_FIELDS = [
    ("unknown", ["X-Unknown: 1"]), ("odd case", ["x-oDD: 1"]), ("cache-control", ["Cache-Control: no-cache, x-mine=\"a, b\""]),
    ("pragma", ["Pragma: no-cache"]), ("accept", ["Accept: text/*;q=0.3, */*"]), ("accept-encoding", ["Accept-Encoding: gzip;q=0.5, br"]),
    ("authorization", ["Authorization: Basic eDp5"]), ("cookie", ["Cookie: a=b; c=d"]), ("user-agent", ["User-Agent: some (thing)"]),
    ("referer", ["Referer: http://a.example/"]), ("lines in order", ["X-A: 1", "X-B: 2", "X-A: 3"]), ("empty value", ["X-Empty:"]),
    ("obs-text", ["X-Text: \xe4\xff"]), ("date", ["Date: Sun, 06 Nov 1994 08:49:37 GMT"]), ("upgrade-insecure", ["Upgrade-Insecure-Requests: 1"]),
    ("priority", ["Priority: u=1"]), ("forwarded", ["Forwarded: for=192.0.2.1;proto=https"]), ("x-forwarded-for", ["X-Forwarded-For: 192.0.2.1"]),
    ("trace context", ["traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]), ("from", ["From: a@b.example"]),
]
RESPONSE_FIELDS = [
    ("unknown", ["X-Unknown: 1"]), ("odd case", ["x-oDD: 1"]), ("cache-control", ["Cache-Control: no-store, x-mine=\"a, b\", X-Other"]),
    ("warning", ["Warning: 110 - \"stale\""]), ("set-cookie", ["Set-Cookie: a=b, c; Path=/", "Set-Cookie: d=e"]), ("allow", ["Allow: GET, BREW, X"]),
    ("server", ["Server: some/1"]), ("www-authenticate", ["WWW-Authenticate: Basic realm=\"a, b\"", "WWW-Authenticate: New x"]),
    ("authentication-info", ["Authentication-Info: nextnonce=\"x\""]), ("location", ["Location: ../x#y"]), ("etag", ["ETag: W/\"x\""]),
    ("lines in order", ["X-A: 1", "X-B: 2", "X-A: 3"]), ("obs-text", ["X-Text: \xe4\xff"]), ("content-encoding", ["Content-Encoding: x-mine"]),
    ("content-type", ["Content-Type: text/x; charset=y"]), ("expires", ["Expires: 0"]), ("link", ["Link: <a>; rel=b, <c>; rel=d"]),
    ("strict-transport", ["Strict-Transport-Security: max-age=1"]), ("accept-ranges", ["Accept-Ranges: x-mine"]), ("retry-after", ["Retry-After: 5"]),
    ("last-modified", ["Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"]), ("vary", ["Vary: X-A,x-b"]), ("content-location", ["Content-Location: /x"]),
    ("cdn-cache-control", ["CDN-Cache-Control: max-age=5"]), ("pragma", ["Pragma: no-cache"]), ("proxy-status", ["Proxy-Status: up; error=dns_error"]),
]


@pytest.mark.parametrize("fields", [r[1] for r in REQUEST_FIELDS], ids=[r[0] for r in REQUEST_FIELDS])
def test_request_field_goes_through(way, fields):
    way.on(PLAIN)
    way.ask(*fields)
    names = {f.split(":")[0] for f in fields}
    assert [f"{n}: {v}".rstrip() for n, v in way.last().fields if n in names] == fields


@pytest.mark.parametrize("fields", [r[1] for r in RESPONSE_FIELDS], ids=[r[0] for r in RESPONSE_FIELDS])
def test_response_field_goes_through(way, fields):
    control = [] if fields[0].startswith("Cache-Control") else ["Cache-Control: no-store"]
    way.on(answer("ok", fields=control + fields))
    r = way.ask()
    names = {f.split(":")[0] for f in fields}
    assert [f"{n}: {v}" for n, v in r.fields if n in names] == fields


# RFC 9110 §7.6.1: (name, field lines, names that must not arrive)
REQUEST_HOPS = [
    ("connection-named", ["Connection: X-This, x-that", "X-This: 1", "X-That: 2"], ["X-This", "X-That"]),
    ("connection-named twice", ["Connection: X-This", "Connection: X-That", "X-This: 1", "X-That: 2"], ["X-This", "X-That"]),
    ("keep-alive", ["Keep-Alive: timeout=5"], ["Keep-Alive"]), ("proxy-connection", ["Proxy-Connection: keep-alive"], ["Proxy-Connection"]),
    ("te", ["TE: gzip, chunked", "Connection: TE"], ["TE"]), ("te alone", ["TE: gzip"], ["TE"]), ("upgrade", ["Upgrade: x"], ["Upgrade"]),
    ("proxy-authorization", ["Proxy-Authorization: Basic eDp5"], ["Proxy-Authorization"]), ("connection", ["Connection: keep-alive"], ["Connection"]),
    ("option without field", ["Connection: X-Nothing"], ["Connection"]),
]


@pytest.mark.parametrize("fields, gone", [r[1:] for r in REQUEST_HOPS], ids=[r[0] for r in REQUEST_HOPS])
def test_request_field_stays_here(way, fields, gone):
    way.on(PLAIN)
    assert way.ask(*fields, "X-Other: 1").status == 200
    q = way.last()
    assert q.get("X-Other") == "1" and not any(q.has(n) for n in gone), q.raw
    assert "x-" not in q.get("Connection", "").lower()


RESPONSE_HOPS = [
    ("connection-named", ["Connection: X-This, x-that", "X-This: 1", "X-That: 2"], ["X-This", "X-That"]),
    ("keep-alive", ["Keep-Alive: timeout=5"], ["Keep-Alive"]), ("proxy-connection", ["Proxy-Connection: keep-alive"], ["Proxy-Connection"]),
    ("upgrade", ["Upgrade: h2c", "Connection: Upgrade"], ["Upgrade", "Connection"]), ("te", ["TE: x"], ["TE"]),
    ("option without field", ["Connection: X-Nothing"], ["Connection"]),
]


@pytest.mark.parametrize("fields, gone", [r[1:] for r in RESPONSE_HOPS], ids=[r[0] for r in RESPONSE_HOPS])
def test_response_field_stays_here(way, fields, gone):
    """Neither on the wire nor in the store."""
    way.on(answer("ok", fields=[FRESH, *fields, "X-Other: 1"]))
    a, b = way.twice()
    for r in (a, b):
        assert r.get("X-Other") == "1" and not any(r.has(n) for n in gone), r.raw
    assert b.cache.get("hit")


@pytest.mark.parametrize("field", ["Host", "Cache-Control", "Authorization", "Content-Length"])
def test_connection_cannot_name_away(way, field):
    """RFC 9110 §7.6.1: what is meant for all recipients is no connection option."""
    way.on(PLAIN)
    r = way.ask(f"Connection: {field}", "Authorization: Basic eDp5", "Cache-Control: no-cache", method="POST", body=b"abc")
    assert r.status in (200, 400)
    if r.status == 200:
        assert way.last().has(field) and way.last().body == b"abc"


@pytest.mark.parametrize("field", ["Proxy-Authenticate: Basic realm=x", "Proxy-Authentication-Info: x", "Proxy-Authorization: Basic x"],
                         ids=["Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization"])
def test_proxy_fields_are_not_stored(way, field):
    """RFC 9111 §3.1"""
    way.on(answer("ok", fields=[FRESH, field]))
    _, b = way.twice()
    assert b.cache.get("hit") and not b.has(field.split(":")[0])


def test_cookies_are_not_joined(way):
    """RFC 9110 §5.3"""
    way.on(answer("ok", fields=["Cache-Control: public, max-age=600", "Set-Cookie: a=b", "X-A: 1", "Set-Cookie: c=d"]))
    a, b = way.twice()
    assert a.all("Set-Cookie") == b.all("Set-Cookie") == ["a=b", "c=d"]


def test_nothing_is_invented(way):
    """RFC 9110 §7.7: no field but those that say how the message went."""
    way.on(answer("ok", fields=["Cache-Control: no-store"]))
    r = way.ask()
    assert {n.lower() for n, _ in way.last().fields} <= {"host", "via", "cdn-loop"}
    assert {n.lower() for n, _ in r.fields} <= {"date", "cache-control", "content-length", "via", "cache-status", "connection"}


def test_bytes_of_a_request(way):
    """RFC 9112 §2.2, §3.2.1: as it is written."""
    way.on(PLAIN)
    way.ask("X-A: 1", path="?q=%20")
    assert way.last().raw.startswith(way.fill("GET %P?q=%20 HTTP/1.1\r\nHost: %H\r\nX-A: 1\r\n").encode())


def test_status_line(way):
    """RFC 9112 §4"""
    way.on(b"HTTP/1.1 299\r\nCache-Control: max-age=600\r\nContent-Length: 0\r\n\r\n")
    a, b = way.twice()
    for r in (a, b):
        assert r.raw.startswith(b"HTTP/1.1 299 ")


# RFC 9110 §7.7: the path and query are not changed. (name, what follows the path)
PATHS = [("escapes", "/%7euser/%E4%2f"), ("plus", "/a+b"), ("empty segments", "//a///b/"), ("query", "?a=1&&b=%26"), ("empty query", "?"),
         ("semicolon", "/a;b=c"), ("colon", "/a:b@c"), ("brackets", "/a[1]"), ("long", "/" + "x" * 4000)]


@pytest.mark.parametrize("path", [r[1] for r in PATHS], ids=[r[0] for r in PATHS])
def test_target_is_not_changed(way, path):
    way.on(PLAIN, path=path)
    r = way.ask(path=path)
    assert r.status == 200 and way.last(path.split("?")[0]).target == way.path + path


@pytest.mark.parametrize("path", ["/a/../b", "/./a", "/a/%2e%2e/b"], ids=["two dots", "one dot", "escaped dots"])
def test_dot_segments_are_not_changed(way, path):
    """RFC 9110 §7.7"""
    seen = []
    way.origin.on("*", lambda q, c: seen.append(q.target) or PLAIN)
    way.ask(path=path)
    assert [t for t in seen if t.startswith(way.path)] == [way.path + path]


# RFC 9110 §7.6.3
def test_via_of_requests(way):
    way.on(PLAIN)
    way.ask("Via: 1.0 before, HTTP/1.1 two (comment)")
    assert way.last().get("Via") == "1.0 before, HTTP/1.1 two (comment), 1.1 pantry"


def test_via_of_answers(way):
    way.on(answer("ok", fields=[FRESH, "Via: 1.1 up"]))
    for r in way.twice():
        assert r.get("Via") == "1.1 up, 1.1 pantry"


def test_via_names_the_protocol_of_a_request(way):
    way.on(PLAIN)
    way.raw("GET %T HTTP/1.0\r\nHost: %H\r\n\r\n")
    assert way.last().get("Via") == "1.0 pantry"


def test_via_names_the_protocol_of_an_answer(way):
    way.on(b"HTTP/1.0 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 2\r\n\r\nok")
    for r in way.twice():
        assert r.get("Via") == "1.0 pantry"


def test_via_off(own_way):
    way = own_way("via=off")
    way.on(PLAIN)
    r = way.ask()
    assert not r.has("Via") and not way.last().has("Via")


@pytest.mark.parametrize("field", ["Via: 1.1 pantry", "Via: 1.1 x, 1.0 PANTRY (c), 1.1 y", "CDN-Loop: pantry", "CDN-Loop: x, pantry; v=1"])
def test_loops_end(way, field):
    """RFC 9110 §7.6, RFC 8586 §2"""
    way.on(PLAIN)
    r = way.ask(field)
    assert r.status >= 400 and way.count() == 0 and r.proxy["error"] == "proxy_loop_detected"


@pytest.mark.parametrize("field", ["Via: 1.1 pantry2", "Via: 1.1 x (pantry)", "Via: 1.1 my.pantry", "CDN-Loop: pantry2", "CDN-Loop: x; v=pantry"])
def test_others_are_no_loop(way, field):
    way.on(PLAIN)
    assert way.ask(field).status == 200


@pytest.mark.parametrize("where", ["request", "response"])
def test_no_transform(way, where):
    """RFC 9110 §7.7, RFC 9111 §5.2.1.6, §5.2.2.6: the content and what describes it arrive as they are."""
    body = b"<html>" + b"x" * 5000
    control = "Cache-Control: max-age=600" + (", no-transform" if where == "response" else "")
    way.on(answer(body, fields=[control, "Content-Type: text/html", 'ETag: "s"', "Content-MD5: x"]))
    ask = ["Accept-Encoding: gzip", *(["Cache-Control: no-transform"] if where == "request" else [])]
    for r in way.twice(*ask):
        assert r.body == body and not r.has("Content-Encoding") and r.get("ETag") == '"s"' and r.status == 200


def test_content_is_opaque(way):
    """RFC 9110 §7.7: broken gzip and mislabelled text are the client's business."""
    body = bytes(range(256)) * 10
    way.on(answer(body, fields=[FRESH, "Content-Encoding: gzip", "Content-Type: text/plain"]))
    for r in way.twice("Accept-Encoding: gzip"):
        assert r.body == body and r.get("Content-Encoding") == "gzip"


# RFC 9110 §6.6.1
def test_an_invalid_date(way):
    """It may be replaced; there is one in any case."""
    way.on(answer("ok", fields=[FRESH, "Date: yesterday"]))
    for r in way.twice():
        assert len(r.all("Date")) == 1


def test_date_of_larders_own_answers(way):
    for r in (way.ask("Cache-Control: only-if-cached"), way.raw("GET %T HTTP/1.1\r\nHost: a b\r\n\r\n")):
        assert r.status >= 400 and len(r.all("Date")) == 1 and r.get("Date").endswith(" GMT")


# RFC 9110 §5.6.7: all three forms in all fields. (name, date 1994-11-06 08:49:37)
DATES = [("fixdate", "Sun, 06 Nov 1994 08:49:37 GMT"), ("rfc850", "Sunday, 06-Nov-94 08:49:37 GMT"), ("asctime", "Sun Nov  6 08:49:37 1994")]


@pytest.mark.parametrize("date", [r[1] for r in DATES], ids=[r[0] for r in DATES])
def test_dates(way, date):
    way.on(answer("ok", fields=[FRESH, "Last-Modified: " + date]))
    _, b = way.twice(then=["If-Modified-Since: " + date])
    assert b.status == 304 and way.ask("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT").status == 200
    assert way.ask("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT").status == 304 and way.count() == 1


@pytest.mark.parametrize("fields", [["X: " + "a" * 70000], [f"X-{n}: 1" for n in range(1000)]], ids=["one field", "many"])
def test_too_large_heads(way, fields):
    """RFC 9110 §5.4: 4xx, never ignored."""
    way.on(PLAIN)
    r = way.ask(*fields)
    assert r.status == 431 and way.count() == 0


@pytest.mark.parametrize("value", ["a\x01b", "a\x7fb", "a\x0bb"], ids=["SOH", "DEL", "VT"])
def test_control_characters(way, value):
    """RFC 9110 §5.5: refused, or kept."""
    way.on(PLAIN)
    r = way.ask("X-A: " + value)
    assert r.status == 400 or way.last().get("X-A") == value


@pytest.mark.parametrize("control", [",max-age=600", "max-age=600,,,,", " , max-age=600 , ,"], ids=["before", "after", "around"])
def test_empty_list_members(way, control):
    """RFC 9110 §5.6.1.2"""
    way.on(answer("1", fields=["Cache-Control: " + control]))
    _, b = way.twice()
    assert b.cache.get("hit")


def test_date_more_than_fifty_years_ahead(way):
    """RFC 9110 §5.6.7: a two-digit year that seems that far ahead is in the past."""
    year = (int(http_date().split()[3]) + 60) % 100
    way.on(answer("1", fields=[f"Expires: Sunday, 06-Nov-{year:02} 08:49:37 GMT", 'ETag: "v"']), answer("2"))
    _, b = way.twice()
    assert b.body == b"2"
