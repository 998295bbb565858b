"""The requirements table (tests/rfc): every row is whole, and every test that it names exists."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "tests/rfc"))
import table  # pylint: disable=wrong-import-position


class Collected:
    """The names of all tests that there are."""

    def __init__(self):
        self.errors = []
        self.rfc = self._pytest("tests/rfc", "--open", "all")
        self.system = self._pytest("tests/system")
        self.unit = self._unit()

    def _pytest(self, folder, *more):
        r = subprocess.run(["/usr/bin/python3", "-m", "pytest", "--collect-only", "-q", "--color=no", "-p", "no:cacheprovider", *more],
                           cwd=TOP / folder, capture_output=True, text=True,
                           env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"})
        if r.returncode:
            self.errors.append(f"{folder}: pytest cannot collect the tests: {r.stdout[-400:]}")
        return {line for line in r.stdout.splitlines() if re.match(r"test_\w+\.py::", line)}

    @staticmethod
    def _unit():
        """{program: (names of its tests, text of its files)}"""
        out = {}
        for build in sorted((TOP / "tests/unit").glob("*/meson.build")):
            for name, files in re.findall(r"\['([\w-]+)',\s*(?:\[)?files\(([^)]*)\)", build.read_text()):
                text = "\n".join((build.parent / f).read_text("utf-8", "replace") for f in re.findall(r"'([\w.-]+)'", files))
                added = set(re.findall(r"tcase_add_(?:loop_)?test(?:_raise_signal|_exit)?\(\s*\w+,\s*(\w+)", text))
                out[name] = (set(re.findall(r"START_TEST\((\w+)\)", text)) & added, text)
        return out

    def missing(self, name):
        """Why there is no such test, or None."""
        where, _, what = name.rpartition("::")
        if name.startswith("unit/"):
            tests, text = self.unit.get(where[5:], (set(), ""))
            match = re.fullmatch(r"(\w+)(?:\[(.*)\])?", what)
            if not match or match.group(1) not in tests:
                return "there is no such unit test"
            return None if not match.group(2) or f'"{match.group(2)}"' in text else "its table has no such row"
        if name.startswith("system/"):
            return None if name[7:] in self.system or any(t.startswith(name[7:] + "[") for t in self.system) else "there is no such system test"
        kinds = [k for k in table.KINDS if self._with_kind(name, k) in self.rfc]
        if not kinds and name not in self.rfc:
            return "there is no such test"
        return f"runs through a {kinds[0]} listener only" if len(kinds) == 1 else None

    @staticmethod
    def _with_kind(name, kind):
        return f"{name[:name.index('[') + 1]}{kind}-{name[name.index('[') + 1:]}" if "[" in name else f"{name}[{kind}]"


def judge(row, tests, shown):
    """What is wrong with one row."""
    if row.level not in table.LEVELS:
        yield f"unknown level {row.level!r}"
    if unknown := row.given - table.KEYS:
        yield f"unknown key {', '.join(sorted(unknown))}"
    if not re.fullmatch(r"(\d+|[A-Z])(\.\d+)*", row.section) or row.name == row.section:
        yield "the name is no section with a few words after it"
    if not row.text.strip():
        yield "no text"
    if bool(row.reason) == bool(row.tests):
        yield "neither a test nor a reason" if not row.reason else "both tests and a reason why it does not apply"
    if row.tests and not row.larder.strip():
        yield "does not say what larder does"
    for name in row.tests:
        if why := tests.missing(name):
            yield f"{name}: {why}"
        if not row.open and name in shown:
            yield f"{name} does not run by default, since an open row names it"
    if row.open and not any("/" not in t.split("::")[0] for t in row.tests):
        yield "an open row needs a test of this folder that shows it"


def findings():
    """All that is wrong with the table."""
    tests = Collected()
    yield from tests.errors
    seen, named, shown = set(), set(), set()
    documents = []
    for path in table.files():
        try:
            documents.append(table.load(path))
        except (tomllib.TOMLDecodeError, KeyError, AttributeError, TypeError) as e:
            yield f"{path.relative_to(TOP)}: {type(e).__name__}: {e}"
    for d in documents:
        shown |= {t for r in d.rows if r.open for t in r.tests}
    for d in documents:
        for row in d.rows:
            here = f"{d.path.relative_to(TOP)}: {row.name}"
            if row.id.lower() in seen:
                yield f"{here}: stands twice"
            seen.add(row.id.lower())
            named |= {t.split("[")[0] for t in row.tests}
            for what in judge(row, tests, shown):
                yield f"{here}: {what}"
    for name in sorted({t.split("[")[0] for t in tests.rfc} - named):
        yield f"tests/rfc/{name} shows no row of the table"
