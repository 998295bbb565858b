"""What larderctl explain says, and whether it is what a request then gets."""

import json

ETAG = 'ETag: "v"'
FRESH = ["Cache-Control: max-age=6000", ETAG]
STALE = ["Cache-Control: max-age=60", "Age: 600", ETAG]
BIG = bytes(range(256)) * 1200  # not inline
SLACK = 300  # seconds that a busy machine may lose between two looks


def ask(d, *args, listener=None):
    """What explain says, parsed."""
    where = ["--listener", d.names[listener]] if listener is not None else []
    r = d.ctl("explain", "--json", *where, *args)
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def params(value):
    """The parameters of one Cache-Status member."""
    parts = [p.strip().partition("=") for p in value.split(";")[1:]]
    return {name: text if eq else True for name, eq, text in parts}


def agree(said, r, seen, method="GET"):
    """The explanation against the answer, and the request that the origin got for it."""
    got = r.cache
    assert got.get("hit", False) == (said["verdict"] in ("hit", "stale")), (said, got)
    assert got.get("fwd") == said.get("fwd"), (said, got)
    if "status" in said:
        assert r.status == said["status"], said
    if "cache_status" in said:
        foretold = params(said["cache_status"])
        assert {k: str(v) for k, v in got.items() if k not in ("ttl", "name")} == \
               {k: str(v) for k, v in foretold.items() if k != "ttl"}, (said, got)
        if "ttl" in got:
            assert int(foretold["ttl"]) - SLACK <= got["ttl"] <= int(foretold["ttl"])
            assert said["selected"]["ttl"] == int(foretold["ttl"])
    if said["verdict"] in ("hit", "stale"):
        assert said["selected"]["age"]["seconds"] <= int(r.get("Age")) <= said["selected"]["age"]["seconds"] + SLACK
        assert said["selected"]["fresh"] == (said["selected"]["ttl"] > 0)
    elif seen is not None:
        for line in said["conditions"]:
            name, _, value = line.partition(": ")
            assert seen.get(name) == value, (line, seen.raw)
        if not said["conditions"] and said["verdict"] in ("miss", "validate"):
            assert not seen.has("If-None-Match") and not seen.has("If-Modified-Since")
    assert said["collapsed"] == got.get("collapsed", False)
    if "not_stored" in said and said["not_stored"] not in ("bypass",):
        assert not got.get("stored") and got.get("detail") == said["not_stored"], (said, got)


def send(d, listener, target, origin, fields=(), method="GET", body=b""):
    """One request."""
    with d.client(listener) as c:
        return c.request(method, target, list(fields), body=body, host=origin.authority)
