"""Fixtures of the requirements' tests: one daemon for all of them, asked through a forward and a reverse listener."""

import itertools

import pytest

import table
from harness.daemon import Larder
from harness.fixtures import build, finish, pytest_runtest_makereport  # pylint: disable=unused-import
from harness.fixtures import pytest_addoption as add_build_option
from harness.origin import Origin
from harness.wait import free_port
from way import Way

numbers = itertools.count()


def pytest_addoption(parser):
    """--build, --open"""
    add_build_option(parser)
    parser.addoption("--open", choices=["no", "only", "all"], default="no",
                     help="whether tests of the table's open rows run: no (default), only these, or all")


def pytest_collection_modifyitems(config, items):
    """Leaves out what --open says."""
    which, names = config.getoption("--open"), table.open_tests()
    if which == "all":
        return
    keep, drop = [], []
    for item in items:
        is_open = f"{item.path.name}::{table.plain(item.name)}" in names
        (keep if is_open == (which == "only") else drop).append(item)
    config.hook.pytest_deselected(items=drop)
    items[:] = keep


@pytest.fixture(scope="session")
def origin():
    """The scripted origin of all tests."""
    o = Origin()
    yield o
    o.stop()


@pytest.fixture(scope="session")
def daemon(build, origin, request):
    """larder with the defaults, but for TRACE, an origin's absence that is not remembered, and less syncing."""
    refused = free_port()
    d = Larder(build, "forward", f"reverse,http://{origin.authority}", f"reverse,http://127.0.0.1:{refused}",
               options=["trace=yes", "origin_retry=0", "durability=none", "pseudonym=pantry"])
    d.refused = refused
    request.config.daemons = [d]
    yield d.start()
    finish([d])


@pytest.fixture
def make(build, request):
    """A factory of daemons with other options; make("forward", …) as in the system tests."""
    request.node.daemons = daemons = []

    def start(*listeners, **more):
        d = Larder(build, *listeners, **more)
        daemons.append(d)
        return d.start()

    yield start
    finish(daemons)


@pytest.fixture(params=table.KINDS)
def kind(request):
    """The kind of listener that a test asks through."""
    return request.param


@pytest.fixture
def way(kind, daemon, origin):
    """The test's way through larder, by a URL of its own."""
    w = Way(kind, daemon, origin, f"/{kind}/{next(numbers)}")
    yield w
    w.close()


@pytest.fixture
def own_way(kind, make, origin):
    """own_way("name=value"): the same through a daemon with other options."""
    made = []

    def start(*options):
        d = make("forward", f"reverse,http://{origin.authority}", options=["durability=none", "pseudonym=pantry", *options])
        made.append(Way(kind, d, origin, f"/own/{kind}/{next(numbers)}"))
        return made[-1]

    yield start
    for w in made:
        w.close()
