"""Range requests (RFC 9110 §14, RFC 9111 §3.3, §4)."""

import pytest

from harness.message import answer, http_date

BODY = bytes(range(256)) * 4
STRONG = ["Cache-Control: max-age=600", 'ETag: "r"', "Last-Modified: " + http_date(-100000), "Accept-Ranges: bytes"]

# (Range, If-Range, status, first, last)
ROWS = [
    ("bytes=0-0", None, 206, 0, 0), ("bytes=0-99", None, 206, 0, 99), ("bytes=100-", None, 206, 100, 1023),
    ("bytes=-1", None, 206, 1023, 1023), ("bytes=-5000", None, 206, 0, 1023), ("bytes=1000-5000", None, 206, 1000, 1023),
    ("Bytes=0-9", None, 206, 0, 9),
    ("bytes=1024-", None, 416, 0, 0), ("bytes=-0", None, 416, 0, 0), ("bytes=5000-6000", None, 416, 0, 0),
    ("bytes=9-5", None, 200, 0, 0), ("lines=1-2", None, 200, 0, 0), ("bytes=x-y", None, 200, 0, 0), ("bytes", None, 200, 0, 0),
    ("bytes=0-99", '"r"', 206, 0, 99), ("bytes=0-99", '"other"', 200, 0, 0), ("bytes=0-99", 'W/"r"', 200, 0, 0),
    ("bytes=0-99", STRONG[2][15:], 206, 0, 99), ("bytes=0-99", http_date(-5), 200, 0, 0),
]


def serve(req, conn):
    """An origin that knows single ranges."""
    value = req.get("Range")
    if not value or req.get("If-Range", '"r"') != '"r"':
        return answer(BODY, fields=STRONG)
    first, _, last = value.split("=")[1].partition("-")
    first, last = (len(BODY) - int(last), len(BODY) - 1) if not first else (int(first), int(last or len(BODY) - 1))
    return answer(BODY[first:last + 1], status=206, fields=STRONG + [f"Content-Range: bytes {first}-{last}/{len(BODY)}"])


def judge(r, status, first, last):
    """Asserts a range answer."""
    assert r.status == status, r.raw
    if status == 206:
        assert r.get("Content-Range") == f"bytes {first}-{last}/{len(BODY)}" and r.body == BODY[first:last + 1]
    elif status == 416:
        assert r.get("Content-Range") == f"bytes */{len(BODY)}"
    else:
        assert r.body == BODY and not r.has("Content-Range")


@pytest.mark.parametrize("wanted, condition, status, first, last", ROWS, ids=[f"{i}-{r[0]}" for i, r in enumerate(ROWS)])
def test_from_the_store(proxy, origin, wanted, condition, status, first, last):
    origin.on("/r", answer(BODY, fields=STRONG))
    proxy.get(origin.url("/r"))
    proxy.settle()
    r = proxy.get(origin.url("/r"), "Range: " + wanted, *([f"If-Range: {condition}"] if condition else []))
    judge(r, status, first, last)
    assert origin.count("/r") == 1 and r.cache.get("hit")


def test_several_ranges(proxy, origin):
    origin.on("/r", answer(BODY, fields=STRONG + ["Content-Type: text/x"]))
    proxy.get(origin.url("/r"))
    proxy.settle()
    r = proxy.get(origin.url("/r"), "Range: bytes=0-9,100-109,-5")
    assert r.status in (200, 206)
    if r.status == 200:
        assert r.body == BODY
        return
    kind = r.get("Content-Type")
    assert kind.startswith("multipart/byteranges") and not r.has("Content-Range")
    mark = kind.split("boundary=")[1].strip('"').encode()
    parts = r.body.split(b"--" + mark)
    assert parts[-1].startswith(b"--") and len(parts) == 5
    for part, (first, last) in zip(parts[1:4], ((0, 9), (100, 109), (1019, 1023))):
        head, body = part.lstrip(b"\r\n").split(b"\r\n\r\n", 1)
        assert f"bytes {first}-{last}/1024".encode() in head and b"text/x" in head
        assert body[:-2] == BODY[first:last + 1]


def test_very_many_ranges_are_no_amplifier(proxy, origin):
    origin.on("/r", answer(BODY, fields=STRONG))
    proxy.get(origin.url("/r"))
    proxy.settle()
    r = proxy.get(origin.url("/r"), "Range: bytes=" + ",".join("0-" for _ in range(1000)))
    assert r.status in (200, 206, 416) and len(r.body) < 2 * len(BODY)


def test_large_file_ranges(proxy, origin):
    big = BODY * 4096
    origin.on("/big", answer(big, fields=STRONG))
    proxy.get(origin.url("/big"))
    proxy.settle()
    for first, last in ((0, 0), (65535, 65536), (len(big) - 10, len(big) - 1), (1000000, 3000000)):
        r = proxy.get(origin.url("/big"), f"Range: bytes={first}-{last}")
        assert r.status == 206 and r.body == big[first:last + 1] and r.cache.get("hit")
    assert origin.count("/big") == 1


def test_miss_from_the_beginning_fills_the_store(proxy, origin):
    origin.on("/r", serve)
    judge(proxy.get(origin.url("/r"), "Range: bytes=0-99"), 206, 0, 99)
    proxy.settle()
    r = proxy.get(origin.url("/r"))
    assert r.body == BODY and r.status == 200


def test_miss_far_inside_is_passed(larder, origin):
    d = larder("forward", options=["range_fill=100"])
    origin.on("/r", serve)
    judge(d.get(origin.url("/r"), "Range: bytes=500-599"), 206, 500, 599)
    assert origin.last("/r").get("Range") == "bytes=500-599"
    d.settle()
    r = d.get(origin.url("/r"))
    assert r.status == 200 and r.body == BODY


def test_origin_without_ranges(proxy, origin):
    origin.on("/r", answer(BODY, fields=["Cache-Control: max-age=600"]))
    r = proxy.get(origin.url("/r"), "Range: bytes=0-99")
    assert r.status in (200, 206)
    assert r.body == (BODY if r.status == 200 else BODY[:100])


def test_partial_answer_is_not_taken_for_the_whole(proxy, origin):
    origin.on("/r", lambda q, c: answer(BODY[:100], status=206, fields=STRONG + ["Content-Range: bytes 0-99/1024"])
              if q.has("Range") else answer(BODY, fields=STRONG))
    proxy.get(origin.url("/r"), "Range: bytes=0-99", "Cache-Control: no-cache")
    proxy.settle()
    r = proxy.get(origin.url("/r"))
    assert r.status == 200 and r.body == BODY


def test_unasked_206_is_not_stored_as_whole(proxy, origin):
    origin.on("/r", [answer(BODY[:100], status=206, fields=STRONG + ["Content-Range: bytes 0-99/1024"]),
                     answer(BODY, fields=STRONG)])
    proxy.get(origin.url("/r"))
    proxy.settle()
    r = proxy.get(origin.url("/r"))
    assert r.status == 200 and r.body == BODY and origin.count("/r") == 2


def test_range_with_head(proxy, origin):
    origin.on("/r", answer(BODY, fields=STRONG))
    proxy.get(origin.url("/r"))
    proxy.settle()
    with proxy.client() as c:
        r = c.request("HEAD", origin.url("/r"), ["Range: bytes=0-9"])
    assert r.status == 200 and r.get("Content-Length") == "1024"
