"""RFC 9112 §9, RFC 9110 §7.6, §7.8, §10.1.1, §15.2: connections, interim answers, upgrades."""

import pytest

from way import FRESH, answer, numbered

PLAIN = answer("ok", fields=["Cache-Control: no-store"])


def test_persistent(way):
    """§9.3"""
    way.on(PLAIN)
    c = way.client()
    for _ in range(3):
        r = c.request("GET", way.target(), host=way.host)
        assert r.status == 200 and "close" not in r.get("Connection", "").lower()
    assert c.silent()


@pytest.mark.parametrize("option", ["close", "Close", "x, close", "close, x"])
def test_close_is_done(way, option):
    """§9.6: the server answers, says close, and closes; nothing more is processed."""
    way.on(PLAIN)
    c = way.client()
    c.send(way.fill(f"GET %T HTTP/1.1\r\nHost: %H\r\nConnection: {option}\r\n\r\nGET %T/second HTTP/1.1\r\nHost: %H\r\n\r\n"))
    r = c.response()
    assert r.status == 200 and r.get("Connection", "").lower() == "close" and c.closed()
    assert way.count("/second") == 0


def test_http10_is_closed(way):
    """§9.3"""
    way.on(PLAIN)
    c = way.client()
    c.send(way.fill("GET %T HTTP/1.0\r\nHost: %H\r\n\r\n"))
    assert c.response().body == b"ok" and c.closed()


def test_http10_keep_alive_at_a_proxy(way):
    """§9.3: a proxy keeps no connection of an HTTP/1.0 client; a gateway may, and says so."""
    way.on(PLAIN)
    c = way.client()
    c.send(way.fill("GET %T HTTP/1.0\r\nHost: %H\r\nConnection: keep-alive\r\n\r\n"))
    r = c.response()
    if way.kind == "forward":
        assert "keep-alive" not in r.get("Connection", "").lower() and c.closed()
    else:
        assert r.get("Connection", "").lower() == "keep-alive" or c.closed()


def test_pipelining(way):
    """§9.3.2: answers in the order of the requests."""
    way.on(lambda q, c: answer(q.target[-1], fields=["Cache-Control: no-store"]))
    for n in "123":
        way.on(answer(n, fields=["Cache-Control: no-store"]), path=f"/{n}")
    c = way.client()
    c.send("".join(way.fill(f"GET %T/{n} HTTP/1.1\r\nHost: %H\r\n\r\n") for n in "123"))
    assert [c.response().body for _ in range(3)] == [b"1", b"2", b"3"]


def test_close_of_the_origin_is_not_the_clients(way):
    """RFC 9110 §7.6.1: Connection is for one hop."""
    way.on(answer("ok", fields=["Cache-Control: no-store"], close=True))
    c = way.client()
    for _ in range(2):
        r = c.request("GET", way.target(), host=way.host)
        assert r.status == 200 and not r.has("Connection")


def test_close_of_the_client_is_not_the_origins(way):
    way.on(PLAIN)
    way.ask("Connection: close")
    assert "close" not in way.last().get("Connection", "").lower()


def test_idempotent_requests_are_tried_again(way):
    """§9.3.1: on a kept connection that the origin closed meanwhile."""
    def script(req, conn):
        if way.count() == 2:
            conn.reset()
            return None
        return PLAIN
    way.on(script)
    assert way.ask().status == 200
    assert way.ask().status in (200, 502) and way.count() <= 3


def test_other_requests_are_not_tried_again(way):
    """§9.3.1: a proxy does not repeat what is not idempotent."""
    way.on(lambda q, c: c.reset())
    r = way.ask(method="POST", body=b"x")
    assert r.status == 502 and way.count() == 1


def test_no_second_retry(way):
    """§9.3.1"""
    way.on(lambda q, c: c.reset())
    assert way.ask().status == 502 and way.count() <= 2


@pytest.mark.parametrize("status", [103, 102, 199])
def test_interim_answers_are_forwarded(way, status):
    """RFC 9110 §15.2: a proxy forwards them, known or not."""
    way.on(f"HTTP/1.1 {status} Early\r\nLink: </a>\r\n\r\n".encode() + PLAIN)
    r = way.ask()
    assert r.status == 200 and [(i.status, i.get("Link")) for i in r.interim] == [(status, "</a>")]


def test_interim_answers_are_not_for_http10(way):
    """RFC 9110 §15.2"""
    way.on(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + PLAIN)
    r = way.raw("GET %T HTTP/1.0\r\nHost: %H\r\n\r\n")
    assert r.status == 200 and not r.interim


def test_continue_that_larder_did_not_ask_for(way):
    """RFC 9110 §15.2: a 100 for larder's own Expect is not for the client."""
    way.on(b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN)
    r = way.ask()
    assert r.status == 200 and r.body == b"ok"


def test_expect(way):
    """RFC 9110 §10.1.1: forwarded, and the origin's 100 with it."""
    way.on(PLAIN)
    c = way.client()
    c.send(way.fill("POST %T HTTP/1.1\r\nHost: %H\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"))
    assert c.head().status == 100
    c.send("abc")
    assert c.response().status == 200 and way.last().body == b"abc" and way.last().get("Expect").lower() == "100-continue"


def test_expect_without_waiting(way):
    """RFC 9110 §10.1.1: the content came already."""
    way.on(PLAIN)
    r = way.raw("POST %T HTTP/1.1\r\nHost: %H\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
    assert r.status == 200 and way.last().body == b"abc"


def test_expect_that_the_origin_refuses(way):
    """RFC 9110 §10.1.1: the final answer instead of 100."""
    from harness.origin import raw_script  # pylint: disable=import-outside-toplevel

    @raw_script
    def script(req, conn):
        conn.send(answer("no", status=403, close=True))
        conn.close()
    way.on(script)
    c = way.client()
    c.send(way.fill("POST %T HTTP/1.1\r\nHost: %H\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"))
    r = c.response()
    assert r.status == 403 and not r.interim


def test_expect_of_http10(way):
    """RFC 9110 §10.1.1: ignored."""
    way.on(PLAIN)
    r = way.raw("POST %T HTTP/1.0\r\nHost: %H\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
    assert r.status == 200 and not r.interim and way.last().body == b"abc"


def test_unknown_expectation(way):
    """RFC 9110 §10.1.1: 417, or passed on."""
    way.on(PLAIN)
    r = way.ask("Expect: magic")
    assert r.status in (200, 417)


def test_early_answer_to_a_request_with_content(way):
    """§9.5: the origin answers before it has read all; the client gets that answer."""
    from harness.origin import raw_script  # pylint: disable=import-outside-toplevel

    @raw_script
    def script(req, conn):
        conn.send(answer("too large", status=413, close=True))
        conn.close()
    way.on(script)
    c = way.client()
    c.send(way.fill("POST %T HTTP/1.1\r\nHost: %H\r\nContent-Length: 1000\r\n\r\n") + "a" * 10)
    assert c.response().status == 413


def test_upgrade(way):
    """RFC 9110 §7.8"""
    def script(req, conn):
        if "other" in req.get("Upgrade", ""):
            conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\nhello")
            conn.send(conn.exactly(3) or b"nothing")
            conn.close()
            return None
        return PLAIN
    way.on(script)
    c = way.client()
    c.send(way.fill("GET %T HTTP/1.1\r\nHost: %H\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"))
    r = c.response()
    assert r.status == 101 and r.get("Upgrade") == "other" and r.get("Connection").lower() == "upgrade"
    assert c.exactly(5) == b"hello"
    c.send("abc")
    assert c.exactly(3) == b"abc"


def test_upgrade_that_the_origin_ignores(way):
    """RFC 9110 §7.8: the answer is an ordinary one."""
    way.on(PLAIN)
    c = way.client()
    c.send(way.fill("GET %T HTTP/1.1\r\nHost: %H\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"))
    assert c.response().body == b"ok" and c.request("GET", way.target(), host=way.host).status == 200


def test_upgrade_without_connection(way):
    """RFC 9110 §7.8, §7.6.1: not for the next hop."""
    way.on(PLAIN)
    way.ask("Upgrade: other")
    assert not way.last().has("Upgrade")


def test_upgrade_of_http10(way):
    """RFC 9110 §7.8: ignored."""
    way.on(PLAIN)
    r = way.raw("GET %T HTTP/1.0\r\nHost: %H\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
    assert r.status == 200 and not way.last().has("Upgrade")


def test_101_that_nobody_asked_for(way):
    """RFC 9110 §15.2.2, §7.8"""
    way.on(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
    assert way.ask().status == 502


def test_answers_belong_to_their_requests(way):
    """§9.2"""
    way.on(lambda q, c: answer(q.get("X-N"), fields=["Cache-Control: no-store"]))
    for n in range(10):
        assert way.ask(f"X-N: {n}").body == str(n).encode()


def test_graceful_close_after_an_error(way):
    """§9.6: closing in stages; the client reads the whole answer though it goes on sending."""
    c = way.client()
    c.send(way.fill("POST %T HTTP/1.1\r\nHost: %H\r\nContent-Length: x\r\n\r\n") + "a" * 200000)
    r = c.response()
    assert r.status == 400 and len(r.body) == int(r.get("Content-Length"))


def test_hits_and_misses_in_order(way):
    """§9.3.2: a hit does not overtake."""
    way.on(numbered([FRESH]), path="/hit")
    way.on(PLAIN, path="/miss")
    way.ask(path="/hit")
    way.settle()
    c = way.client()
    c.send("".join(way.fill(f"GET %T/{p} HTTP/1.1\r\nHost: %H\r\n\r\n") for p in ("miss", "hit", "miss", "hit")))
    assert [c.response().body for _ in range(4)] == [b"ok", b"1", b"ok", b"1"]


def test_connections_have_no_memory(way):
    """RFC 9110 §3.3: nothing of one request gets into the next."""
    way.on(lambda q, c: answer(q.get("X-Who", "nobody"), fields=["Cache-Control: no-store"]))
    c = way.client()
    a = c.request("GET", way.target(), ["X-Who: a", "Authorization: Basic eDp5", "Cookie: a=b"], host=way.host)
    b = c.request("GET", way.target(), host=way.host)
    assert (a.body, b.body) == (b"a", b"nobody") and not way.last().has("Authorization") and not way.last().has("Cookie")
