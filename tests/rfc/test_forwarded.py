"""RFC 7239, RFC 8586: Forwarded and CDN-Loop."""

import re

import pytest

from harness.client import Client
from harness.wait import free_port
from way import answer

PLAIN = answer("ok", fields=["Cache-Control: no-store"])
ADD, REMOVE = "forwarded=extend", "forwarded=remove"


def elements(value):
    """[{parameter: value}] of a Forwarded, quotes undone."""
    out = []
    for element in re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+', value):
        pairs = [p.strip().partition("=") for p in re.findall(r'(?:[^;"]|"(?:[^"\\]|\\.)*")+', element)]
        assert len({k.lower() for k, _, _ in pairs}) == len(pairs)
        out.append({k.lower(): re.sub(r"\\(.)", r"\1", v.strip('"')) for k, _, v in pairs})
    return out


def test_not_by_default(way):
    """§8.3: who a client is, is told to nobody unasked."""
    way.on(PLAIN)
    way.ask()
    assert not way.last().has("Forwarded") and not way.last().has("X-Forwarded-For")


def test_untouched_by_default(way):
    way.on(PLAIN)
    way.ask("Forwarded: for=192.0.2.1;by=_x", 'Forwarded: FOR="[2001:db8::1]:80"')
    assert way.last().all("Forwarded") == ["for=192.0.2.1;by=_x", 'FOR="[2001:db8::1]:80"']


def test_added(own_way):
    """§4, §5"""
    way = own_way(ADD)
    way.on(PLAIN)
    way.ask()
    e = elements(way.last().get("Forwarded"))
    assert len(e) == 1 and e[0]["for"].split(":")[0] == "127.0.0.1" and e[0].get("proto", "http") == "http"
    assert e[0].get("host", way.host) == way.host


def test_appended(own_way):
    """§4: at the end, what is there stays as it is."""
    way = own_way(ADD)
    way.on(PLAIN)
    way.ask('Forwarded: for="_a,b";x=y', "X-A: 1", "Forwarded: for=192.0.2.7")
    e = elements(way.last().get("Forwarded"))
    assert [x["for"].split(":")[0] for x in e] == ["_a,b", "192.0.2.7", "127.0.0.1"] and e[0]["x"] == "y"


def test_removed(own_way):
    """§4: all of them."""
    way = own_way(REMOVE)
    way.on(PLAIN)
    way.ask("Forwarded: for=192.0.2.1", "Forwarded: for=192.0.2.2")
    assert "192.0.2" not in way.last().get("Forwarded", "")


def test_ipv6_is_quoted(kind, make, origin):
    """§4, §6.1: in brackets, and in quotes."""
    port, path = free_port("::1"), f"/fwd6/{kind}"
    d = make(f"forward=[::1]:{port}" if kind == "forward" else f"reverse=[::1]:{port},http://{origin.authority}", options=[ADD])
    origin.on(path, PLAIN)
    with Client(port, host="::1") as c:
        assert c.request("GET", origin.url(path) if kind == "forward" else path, host=origin.authority).status == 200
    assert d and re.search(r'for="\[::1\](:\d+)?"', origin.last(path).get("Forwarded"), re.I)


def test_cdn_loop_is_added(way):
    """RFC 8586 §2: a gateway names itself in each request that it forwards."""
    way.on(PLAIN)
    way.ask()
    if way.kind == "reverse":
        assert way.last().get("CDN-Loop", "").split(";")[0] == "pantry"
    else:
        assert way.last().get("CDN-Loop", "pantry").startswith("pantry")


@pytest.mark.parametrize("option", ["via=both", "via=off", "via=response"])
def test_cdn_loop_is_kept(own_way, option):
    """RFC 8586 §2: never removed, whatever the configuration."""
    way = own_way(option)
    way.on(PLAIN)
    way.ask("CDN-Loop: one.example, two; v=1")
    assert way.last().get("CDN-Loop").startswith("one.example, two; v=1")


def test_cdn_loop_alone_sees_loops(own_way):
    """RFC 8586 §2: where Via is not sent, CDN-Loop is."""
    way = own_way("via=off")
    way.on(PLAIN)
    way.ask()
    assert way.last().get("CDN-Loop") == "pantry"


def test_cdn_loop_and_connection(way):
    """RFC 8586 §3, RFC 9110 §7.6.1: no connection option."""
    way.on(PLAIN)
    way.ask("CDN-Loop: one.example", "Connection: CDN-Loop")
    assert way.last().get("CDN-Loop", "").startswith("one.example")
