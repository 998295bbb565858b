"""Access logs and messages."""

import json
import os
import re
import signal
import threading

import pytest

from harness.message import answer
from harness.wait import until

FRESH = "Cache-Control: max-age=600"


def lines(d, n=1, name="access"):
    """Waits for n lines and returns them."""
    path = d.home / name
    until(lambda: path.exists() and path.read_bytes().count(b"\n") >= n, f"{n} log lines")
    return path.read_text("utf-8").splitlines()


@pytest.fixture
def logged(larder):
    """A factory of proxies with an access log of a format."""
    def make(fmt, *listeners, **more):
        options = ["access_log={home}/access", f"access_log_format={fmt}"] + more.pop("options", [])
        return larder(*(listeners or ["forward"]), options=options, **more)
    return make


def test_combined(logged, origin):
    d = logged("combined")
    origin.on("/a", answer("12345", fields=[FRESH]))
    d.get(origin.url("/a"), 'User-Agent: some "thing"', "Referer: http://r/")
    line = lines(d)[0]
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
                        r'"GET http://127\.0\.0\.1:\d+/a HTTP/1\.1" 200 \d+ "http://r/" "some (\\"|\\x22)thing(\\"|\\x22)"', line), line


def test_common(logged, origin):
    d = logged("common")
    origin.on("/a", answer("12345", fields=[FRESH]))
    d.get(origin.url("/a"))
    assert re.fullmatch(r'127\.0\.0\.1 - - \[[^]]+\] "GET \S+ HTTP/1\.1" 200 \d+', lines(d)[0])


def test_squid(logged, origin):
    d = logged("squid")
    origin.on("/a", answer("12345", fields=[FRESH, "Content-Type: text/plain"]))
    d.get(origin.url("/a"))
    d.settle()
    d.get(origin.url("/a"))
    miss, hit = lines(d, 2)
    pattern = r"\d+\.\d{3} +\d+ 127\.0\.0\.1 TCP_%s/200 \d+ GET http://127\.0\.0\.1:\d+/a - HIER_%s text/plain"
    assert re.fullmatch(pattern % ("MISS", r"DIRECT/127\.0\.0\.1"), miss), miss
    assert re.fullmatch(pattern % (r"(MEM_)?HIT", "NONE/-"), hit), hit


def test_json_and_outcomes(logged, origins):
    d = logged("json", options=["connect_timeout=1s"])
    o = origins()
    o.on("/a", answer("12345", fields=[FRESH]))
    o.on("/p", answer("1", fields=["Cache-Control: private"]))
    o.on("/r", [answer("old", fields=["Cache-Control: max-age=0", 'ETag: "1"']), answer(status=304, fields=['ETag: "1"'])])
    o.on("/w", answer("old", fields=["Cache-Control: max-age=60, stale-while-revalidate=600", "Age: 70"]))
    expected = []
    for path, outcome, status in (("/a", "miss", 200), ("/a", "hit", 200), ("/p", ("miss", "pass"), 200), ("/r", "miss", 200),
                                  ("/r", "revalidated", 200), ("/w", "miss", 200), ("/w", "stale", 200)):
        d.get(o.url(path))
        d.settle()
        expected.append((path, outcome, status))
    with d.client() as c:
        c.request("POST", o.url("/a"), body=b"x")
    expected.append(("/a", "pass", 200))
    d.get("http://nowhere.invalid/")
    expected.append(("/", "error", 502))
    d.get("http://127.0.0.1:25/")
    expected.append(("/", "denied", 403))
    rows = [json.loads(line) for line in lines(d, len(expected))]
    for row, (path, outcome, status) in zip(rows, expected):
        assert row["url"].endswith(path) and row["status"] == status, row
        assert row["outcome"] in (outcome if isinstance(outcome, tuple) else (outcome,)), (path, row)
    first, second = rows[0], rows[1]
    assert first["client"] == "127.0.0.1" or first["client"].startswith("127.0.0.1:")
    assert first["method"] == "GET" and first["protocol"] == "HTTP/1.1" and first["body_bytes"] == 5
    assert first["bytes"] > 100 and first["received"] > 20 and first["stored"] == "yes" and first["origin_status"] == 200
    assert f"127.0.0.1:{o.port}" == first["origin"] and first["listener"] == f"forward=127.0.0.1:{d.port}"
    assert float(first["total"]) >= float(first["ttfb"]) > 0
    assert second["reason"] == "fresh" and second["origin"] is None
    assert rows[2]["stored"] == "private"


def test_json_stays_valid_and_lines_cannot_be_forged(logged, origin, connect):
    d = logged("json")
    origin.on("*", answer("x", fields=["Cache-Control: no-store", "Content-Type: \xff\"\\"]))
    c = connect(d.port)
    c.send(b"GET " + origin.url('/"\\').encode() + b" HTTP/1.1\r\nHost: x\r\nUser-Agent: \xff\xfe \"}\\ \xc3\xa4\r\nReferer: \t\r\n\r\n")
    r = c.response()
    d.get(origin.url("/second"))
    rows = [json.loads(line) for line in lines(d, 2)]
    assert len(rows) == 2 and rows[0]["status"] == r.status and rows[1]["url"].endswith("/second")


@pytest.mark.parametrize("fmt", ["common", "combined", "squid", "%{user_agent}"])
def test_text_lines_cannot_be_forged(logged, origin, connect, fmt):
    d = logged(fmt)
    origin.on("*", answer("x", fields=["Cache-Control: no-store"]))
    c = connect(d.port)
    c.send(f"GET {origin.url('/')} HTTP/1.1\r\nHost: x\r\nUser-Agent: a".encode() + b"\x85\xe2\x80\xa8b\tc\"d\r\n\r\n")
    c.response()
    line = lines(d)[0]
    assert all(32 <= ord(ch) < 127 for ch in line), line


def test_format_string(logged, origin):
    d = logged("%{method} %{status} <%{outcome}> %{referer} 100%%")
    origin.on("/", answer("x", fields=["Cache-Control: no-store"]))
    d.get(origin.url("/"))
    assert re.fullmatch(r"GET 200 <(miss|pass)> - 100%%?", lines(d)[0]), lines(d)[0]


@pytest.mark.parametrize("option", ["access_log_format=%{nonsense}", "access_log=/nonexistent/folder/log", "log_level=loud"])
def test_bad_log_options_are_refused(larder, option):
    d = larder("forward", start=False, options=[option, "access_log={home}/a"] if "format" in option else [option])
    with pytest.raises(AssertionError, match=option.split("=")[0] + "|nonexistent"):
        d.start()
    d.process.wait(10)
    d.process = None


def test_malformed_requests_are_logged(logged, connect):
    d = logged("json")
    c = connect(d.port)
    c.send("nonsense\r\n\r\n")
    assert c.response().status == 400
    row = json.loads(lines(d)[0])
    assert row["status"] == 400 and row["outcome"] == "error" and row["error"]


def test_aborted_client_is_logged_once(logged, origin, connect):
    d = logged("json")
    origin.on("/slow", lambda q, c: c.peer_gone(5) and None)
    c = connect(d.port)
    c.send(c.compose("GET", origin.url("/slow")))
    origin.wait(1)
    c.reset()
    row = json.loads(lines(d)[0])
    assert row["url"].endswith("/slow") and row["status"] in (0, 499, 200)
    d.settle()
    assert len(lines(d)) == 1


def test_reopen(logged, origin):
    d = logged("%{url}", workers=2)
    origin.on("*", answer("x", fields=["Cache-Control: no-store"]))
    d.get(origin.url("/before"))
    lines(d)
    os.rename(d.home / "access", d.home / "access.1")
    d.process.send_signal(signal.SIGUSR1)
    until((d.home / "access").exists, "the new log file")

    def moved():
        for _ in range(4):
            d.get(origin.url("/after"))
        size = (d.home / "access.1").stat().st_size
        for _ in range(8):
            d.get(origin.url("/after"))
        return (d.home / "access").read_text().count("/after") >= 8 and (d.home / "access.1").stat().st_size == size
    until(moved, "all processes to write to the new file")
    assert "/before" in (d.home / "access.1").read_text()


def test_no_line_is_torn_or_lost(logged, origin):
    d = logged("%{url} end", workers=2)
    origin.on("*", answer("x", fields=[FRESH]))

    def many(t):
        with d.client() as c:
            for i in range(100):
                c.get(origin.url(f"/{t}-{i}-" + "x" * 200))
    threads = [threading.Thread(target=many, args=(t,)) for t in range(5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    rows = lines(d, 500)
    assert len(rows) == 500 and len(set(rows)) == 500
    assert all(re.fullmatch(r"http://\S+/\d-\d+-x{200} end", row) for row in rows)


def test_blocked_pipe_never_stalls(larder, origin):
    """Nobody reads the FIFO: lines are dropped and counted, requests go on."""
    d = larder("forward", start=False, options=["access_log={home}/fifo", "access_log_format=%{url} " + "pad" * 300])
    os.mkfifo(d.home / "fifo")
    os.chmod(d.home / "fifo", 0o666)
    keep = os.open(d.home / "fifo", os.O_RDWR | os.O_NONBLOCK)
    try:
        d.start()
        origin.on("*", answer("x", fields=[FRESH]))
        with d.client() as c:
            for _ in range(3000):
                assert c.get(origin.url("/x")).status == 200
        until(lambda: d.stat("log.dropped") > 0, "dropped lines")
    finally:
        os.close(keep)


def test_full_disk_never_stalls(larder, origin):
    d = larder("forward", options=["access_log=/dev/full"])
    origin.on("*", answer("x", fields=[FRESH]))
    with d.client() as c:
        for _ in range(100):
            assert c.get(origin.url("/x")).status == 200
    until(lambda: d.stat("log.failures") > 0, "the failure to be counted")


def test_stdout(larder, origin):
    d = larder("forward", options=["access_log=stdout", "access_log_format=%{url}"])
    origin.on("*", answer("x", fields=[FRESH]))
    d.get(origin.url("/x"))
    until(lambda: origin.url("/x").encode() in d.stdout, "the line on standard output")


def test_error_log_file(larder):
    d = larder("forward", options=["error_log={home}/errors", "log_level=debug"])
    until(lambda: (d.home / "errors").exists() and (d.home / "errors").stat().st_size, "messages")
