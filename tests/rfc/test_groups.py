"""RFC 9875: stored answers in groups, and what invalidates them."""

import pytest

from way import FRESH, answer, numbered


def store(way, **groups):
    """Stores /a, /b… with these values of Cache-Groups."""
    for name, value in groups.items():
        way.on(numbered([FRESH, *([f"Cache-Groups: {value}"] if value else [])]), path="/" + name)
        way.ask(path="/" + name)
    way.settle()


def hit(way, name):
    """Whether /name is still served from the store."""
    return bool(way.ask(path="/" + name).cache.get("hit"))


def post(way, *fields, status=200, path="/post", method="POST"):
    """An unsafe request whose answer has these fields."""
    way.on(answer("done", status=status, fields=list(fields)), path=path)
    way.ask(method=method, body=b"x" if method == "POST" else b"", path=path)
    way.settle()


# §3: (name, Cache-Group-Invalidation, groups of /a, whether /a is gone)
ROWS = [
    ("same", '"one"', '"one"', True), ("other", '"two"', '"one"', False), ("case counts", '"One"', '"one"', False),
    ("any position", '"one"', '"x", "y", "one"', True), ("several", '"x", "one"', '"one"', True), ("none stored", '"one"', "", False),
    ("parameters", '"one";x=1', '"one";y', True), ("tokens are no strings", "one", '"one"', False), ("malformed", '"one", &', '"one"', False),
    ("malformed groups", '"one"', '"one", &', False), ("escapes", '"a\\"b"', '"a\\"b"', True), ("many", '"g31"', ", ".join(f'"g{n}"' for n in range(32)), True),
    ("long", '"' + "x" * 32 + '"', '"' + "x" * 32 + '"', True), ("prefix", '"on"', '"one"', False), ("empty", "", '"one"', False),
]


@pytest.mark.parametrize("invalid, groups, gone", [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_group_invalidation(way, invalid, groups, gone):
    store(way, a=groups, b=None)
    post(way, f"Cache-Group-Invalidation: {invalid}")
    assert hit(way, "a") != gone and hit(way, "b")


def test_lines_are_one_list(way):
    store(way, a=f'"{way.path}1"', b=f'"{way.path}2"')
    post(way, f'Cache-Group-Invalidation: "{way.path}1"', f'Cache-Group-Invalidation: "{way.path}2"')
    assert not hit(way, "a") and not hit(way, "b")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_ignored_with_safe_methods(way, method):
    """§3"""
    store(way, a=f'"{way.path}"')
    post(way, f'Cache-Group-Invalidation: "{way.path}"', "Cache-Control: no-store", method=method)
    assert hit(way, "a")


@pytest.mark.parametrize("status", [404, 500])
def test_errors_do_not_invalidate(way, status):
    """RFC 9111 §4.4: only non-error answers do; an attacker can cause errors at will."""
    store(way, a=f'"{way.path}"')
    post(way, f'Cache-Group-Invalidation: "{way.path}"', status=status)
    assert hit(way, "a")


def test_invalidating_one_takes_its_groups(way):
    """§2.2.1: an unsafe request for one of a group."""
    store(way, a=f'"{way.path}"', b=f'"x", "{way.path}"', c='"x"')
    way.on(lambda q, c: answer("x", fields=[FRESH, f'Cache-Groups: "{way.path}"']), path="/a")
    way.ask(method="POST", body=b"x", path="/a")
    way.settle()
    assert not hit(way, "a") and not hit(way, "b")


def test_no_cascade(way):
    """§2.2.1: what was invalidated by a group does not take its other groups along."""
    store(way, a=f'"{way.path}1"', b=f'"{way.path}1", "{way.path}2"', c=f'"{way.path}2"')
    post(way, f'Cache-Group-Invalidation: "{way.path}1"')
    assert not hit(way, "a") and not hit(way, "b") and hit(way, "c")


def test_groups_are_of_one_origin(way):
    """§2.1: the same name at another origin is another group."""
    store(way, a=f'"{way.path}"')
    other = f"localhost:{way.origin.port}"
    way.on(answer("done", fields=[f'Cache-Group-Invalidation: "{way.path}"']), path="/post")
    with way.client() as c:
        target = f"http://{other}{way.path}/post" if way.kind == "forward" else way.path + "/post"
        assert c.request("POST", target, [], b"x", other).status == 200
    way.settle()
    assert hit(way, "a")


def test_groups_are_passed_on(way):
    way.on(numbered([FRESH, 'Cache-Groups: "a", "b";x']))
    for r in way.twice():
        assert r.get("Cache-Groups") == '"a", "b";x'


def test_many_at_once(way):
    """§3: 32 groups with 32 characters each."""
    names = [f"{n:032}" for n in range(32)]
    store(way, a=f'"{names[0]}"', b=f'"{names[31]}"')
    post(way, "Cache-Group-Invalidation: " + ", ".join(f'"{n}"' for n in names))
    assert not hit(way, "a") and not hit(way, "b")


@pytest.mark.parametrize("invalid, gone", [("two", True), ("one", False)], ids=["new", "old"])
def test_groups_of_a_part(own_way, invalid, gone):
    """§2, RFC 9111 §3.4: what comes for a part that is stored brings its groups, in place of those before."""
    way, body, group = own_way("range_fill=100"), bytes(range(256)) * 1200, ["one"]

    def script(req, conn):
        first, last = (int(n) for n in req.get("Range")[6:].split("-"))
        return answer(body[first:last + 1], status=206, fields=[FRESH, 'ETag: "v"', f'Cache-Groups: "{group[0]}"',
                                                                f"Content-Range: bytes {first}-{last}/{len(body)}"])
    way.on(script, path="/part")
    for group[0], asked in (("one", "bytes=131072-262143"), ("two", "bytes=262144-280000")):
        assert way.ask("Range: " + asked, path="/part").status == 206
        way.settle()
    before = way.count("/part")
    post(way, f'Cache-Group-Invalidation: "{invalid}"')
    r = way.ask("Range: bytes=131072-131080", path="/part")
    assert r.body == body[131072:131081] and (way.count("/part") > before) == gone
