"""Who may use a listener and what may be reached (open-proxy protection)."""

import pytest

from harness.client import Client
from harness.message import answer
from harness.wait import free_port

PLAIN = answer("ok", fields=["Cache-Control: no-store"])


OUTSIDE = "198.51.100.1"


@pytest.fixture(autouse=True)
def own_network(request):
    """A test that starts its own daemon does so in a network of its own, whose only device is a loopback with
    one more address: what a wrong policy would let out has nowhere to go."""
    if "larder" in request.fixturenames:
        request.getfixturevalue("network")(OUTSIDE)


def outsider(larder, **more):
    """A forward proxy on all addresses and a client that comes to it from a non-loopback address."""
    d = larder(f"forward=0.0.0.0:{free_port('0.0.0.0')}", **more)
    d.ports = [int(d.listeners[0].rsplit(":", 1)[1])]
    return d, Client(d.ports[0], host=OUTSIDE, source=OUTSIDE), OUTSIDE


def names_option(r, option):
    """A refusal that names the option."""
    assert r.status == 403, r.raw
    assert option in r.body.decode(), r.body
    assert r.has("Proxy-Status")


def test_loopback_only_by_default(larder, origin):
    origin.on("*", PLAIN)
    d, c, _ = outsider(larder)
    names_option(c.get(origin.url("/")), "allow")
    assert origin.count() == 0
    assert d.get(origin.url("/")).status == 200


def test_allowed_outsiders_do_not_reach_this_machine(larder, origin):
    origin.on("*", PLAIN)
    d, c, here = outsider(larder, options=["allow=all"])
    for host in ("127.0.0.1", "localhost", "0.0.0.0", here, "127.1", "2130706433", "0x7f000001", "017700000001", "[::1]",
                 "[::ffff:127.0.0.1]", "[::]", "169.254.169.254"):
        r = Client(d.port, host=here, source=here).get(f"http://{host}:{origin.port}/")
        assert r.status in (400, 403), (host, r.raw)
        if r.status == 403:
            names_option(r, "reach_local")
    assert origin.count() == 0


def test_reach_local_opens_it(larder, origin):
    origin.on("*", PLAIN)
    _, c, _ = outsider(larder, options=["allow=all", "reach_local=yes"])
    assert c.get(origin.url("/")).status == 200


@pytest.mark.parametrize("url", ["10.255.255.1", "192.168.255.254", "172.31.255.254", "100.64.0.1", "[fc00::1]"])
def test_reach_private(larder, url):
    d, c, _ = outsider(larder, options=["allow=all", "reach_private=no", "connect_timeout=500ms"])
    names_option(c.get(f"http://{url}:8080/"), "reach_private")
    names_option(d.get(f"http://{url}:8080/"), "reach_private")


def test_pooled_and_stored_are_judged_too(larder, origin):
    """What a local client may fetch and store stays out of an outsider's reach."""
    origin.on("/s", answer("secret", fields=["Cache-Control: max-age=600"]))
    d, c, _ = outsider(larder, options=["allow=all"])
    assert d.get(origin.url("/s")).body == b"secret"
    d.settle()
    assert d.get(origin.url("/s")).cache.get("hit")
    r = c.get(origin.url("/s"))
    assert r.status == 403 and b"secret" not in r.body


@pytest.mark.parametrize("options, client, ok", [
    (["allow=127.0.0.0/8"], "127.0.0.5", True),
    (["allow=127.0.0.5"], "127.0.0.5", True),
    (["allow=127.0.0.5"], "127.0.0.6", False),
    (["allow=127.0.0.0/29"], "127.0.0.9", False),
    (["allow=all", "deny=127.0.0.5"], "127.0.0.5", False),
    (["allow=all", "deny=127.0.0.5"], "127.0.0.6", True),
    (["allow=10.0.0.0/8 127.0.0.6/32"], "127.0.0.6", True),
])
def test_clients(larder, origin, connect, options, client, ok):
    origin.on("*", PLAIN)
    d = larder("forward", options=options)
    r = connect(d.port, source=client).get(origin.url("/"))
    if ok:
        assert r.status == 200
    else:
        names_option(r, "deny" if any("deny" in o for o in options) else "allow")


def test_reverse_serves_all_unless_told(larder, origin):
    origin.on("*", PLAIN)
    d = larder(f"reverse,http://{origin.authority}", options=["deny=127.0.0.7"])
    assert d.get("/", host="h").status == 200
    names_option(Client(d.port, source="127.0.0.7").get("/", host="h"), "deny")


@pytest.mark.parametrize("ports, allowed", [("80 443", False), ("all", True), ("1-65535", True), ("%d", True), ("1-%d", True)])
def test_http_ports(larder, origin, ports, allowed):
    origin.on("*", PLAIN)
    d = larder("forward", options=["http_ports=" + (ports % origin.port if "%" in ports else ports)])
    r = d.get(origin.url("/"))
    if allowed:
        assert r.status == 200
    else:
        names_option(r, "http_ports")


@pytest.mark.parametrize("port", [25, 22, 110, 6000 - 5975, 19])
def test_well_known_ports_are_closed(proxy, port):
    names_option(proxy.get(f"http://127.0.0.1:{port}/"), "http_ports")


@pytest.mark.parametrize("target", ["127.0.0.1:25", "127.0.0.1:80", "127.0.0.1:22"])
def test_connect_ports(proxy, target):
    with proxy.client() as c:
        names_option(c.request("CONNECT", target, host=target), "connect_ports")


@pytest.mark.parametrize("url", ["http://u:p@127.0.0.1:%d/", "http://u@127.0.0.1:%d/", "http://@127.0.0.1:%d/",
                                 "http://127.0.0.1:%d@evil.example/"])
def test_userinfo_is_refused(proxy, origin, url):
    r = proxy.get(url % origin.port, host="x")
    assert r.status == 400 and origin.count() == 0


def test_denied_is_counted_and_logged(larder, origin, connect):
    d = larder("forward", options=["deny=127.0.0.1", "access_log={home}/access", "access_log_format=%{client} %{status} %{outcome}"])
    d.get(origin.url("/"))
    from harness.wait import until
    until(lambda: "127.0.0.1 403 denied" in (d.home / "access").read_text(), "the log line")
    assert d.stat("exchange.denied") + d.stat("client.refused_access") >= 1
