"""Fixtures of the system tests: a larder factory, scripted origins, raw clients."""

import os

import pytest

from harness.client import Client
from harness.daemon import Larder
from harness.fixtures import build, finish, pytest_addoption, pytest_runtest_makereport  # pylint: disable=unused-import
from harness.network import Network
from harness.origin import Origin


@pytest.fixture
def larder(build, request):
    """A factory: larder("forward", "reverse,http://…", options=["name=value"]) starts a daemon. It is stopped
    and judged when the test is over."""
    request.node.daemons = daemons = []

    def make(*listeners, start=True, **more):
        d = Larder(build, *listeners, **more)
        daemons.append(d)
        return d.start() if start else d

    yield make
    finish(daemons)


@pytest.fixture(scope="module")
def shared_larder(build, request):
    """The same for a daemon that a whole file of short rows uses."""
    request.module.shared_daemons = daemons = []

    def make(*listeners, **more):
        d = Larder(build, *listeners, **more)
        daemons.append(d)
        return d.start()

    yield make
    finish(daemons)


@pytest.fixture(scope="module")
def proxy(shared_larder):
    """A forward proxy with the defaults, one for the file."""
    return shared_larder("forward")


@pytest.fixture
def origin():
    """A scripted origin."""
    o = Origin()
    yield o
    o.stop()


@pytest.fixture
def origins():
    """A factory of scripted origins."""
    made = []

    def make(**more):
        o = Origin(**more)
        made.append(o)
        return o

    yield make
    for o in made:
        o.stop()


@pytest.fixture
def connect():
    """A factory of raw clients that are closed in the end."""
    made = []

    def make(port, **more):
        c = Client(port, **more)
        made.append(c)
        return c

    yield make
    for c in made:
        c.close()


@pytest.fixture
def network():
    """network(ADDRESS…): from here on the test and what it starts are in a network namespace of their own, with
    the addresses on its loopback. Ask for it before daemons and origins."""
    if os.geteuid() != 0:
        pytest.skip("only root makes network namespaces")
    entered = []

    def enter(*addresses):
        entered.append(Network(*addresses))

    yield enter
    for n in entered:
        n.leave()
