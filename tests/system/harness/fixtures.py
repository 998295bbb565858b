"""What the suites with a daemon share of their conftest.py: the build under test, the end of daemons, their logs."""

import os

import pytest

from .daemon import Build


def pytest_addoption(parser):
    """--build"""
    parser.addoption("--build", default=os.environ.get("LARDER_BUILD", "build/check-gcc-asan"),
                     help="the Meson build folder with larder and larderctl in it")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):  # pylint: disable=unused-argument
    """Adds the end of each daemon's log to a failed test's report."""
    report = (yield).get_result()
    if report.failed:
        daemons = getattr(item, "daemons", []) + getattr(item.module, "shared_daemons", [])
        for d in daemons + getattr(item.config, "daemons", []):
            if d.log.exists():
                report.sections.append((f"log of larder in {d.home}", d.log.read_text("utf-8", "replace")[-8000:]))


@pytest.fixture(scope="session")
def build(request):
    """The binaries under test."""
    folder = request.config.getoption("--build")
    if not os.path.isabs(folder):
        folder = os.path.join(request.config.invocation_params.dir, folder)
    b = Build(folder)
    yield b
    b.remove()


def finish(daemons):
    """Stops all, and only then says what was wrong."""
    wrong = []
    for d in daemons:
        try:
            d.stop()
            d.judge()
        except AssertionError as e:
            wrong.append(str(e))
        finally:
            d.remove()
    assert not wrong, "\n".join(wrong)
