"""The requirements table: one TOML file for each RFC, one TOML table for each requirement.

    rfc = 9111
    title = "HTTP Caching"

    ["3.1 hop-by-hop fields"]          the section, then a few words: the row's name
    level = "MUST NOT"                 of LEVELS; BY DEFINITION where the text states it without a key word
    text = "…"                         the requirement, in our own words
    larder = "…"                       what larder does
    tests = ["test_fields.py::test_stored[keep-alive]"]
    reason = "…"                       instead of larder and tests: why it does not apply
    open = "…"                         a fault that is known, or a part that is missing: its tests run with --open

Tests are named "FILE::FUNCTION[CASE]" (of this folder; the listener's kind is left out, since both are run),
"system/FILE::FUNCTION[CASE]", or "unit/PROGRAM::TEST[ROW]", where ROW is a string that stands in the test's table."""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
LEVELS = {"MUST", "MUST NOT", "SHALL", "SHALL NOT", "REQUIRED", "SHOULD", "SHOULD NOT", "RECOMMENDED", "NOT RECOMMENDED",
          "MAY", "OPTIONAL", "BY DEFINITION"}
KEYS = {"level", "text", "larder", "tests", "reason", "open"}
KINDS = ("forward", "reverse")


@dataclass
class Row:
    """One requirement."""
    rfc: int
    name: str
    given: set
    level: str = ""
    text: str = ""
    larder: str = ""
    tests: list = field(default_factory=list)
    reason: str = ""
    open: str = ""

    @property
    def section(self):
        """The section's number."""
        return self.name.split(" ")[0]

    @property
    def id(self):
        """RFC and name."""
        return f"{self.rfc} {self.name}"


@dataclass
class Document:
    """One RFC."""
    path: Path
    rfc: int
    title: str
    rows: list


def load(path):
    """One file. A row that stands twice, and whatever else is no TOML, raises tomllib.TOMLDecodeError."""
    data = tomllib.loads(path.read_text("utf-8"))
    rfc, title = data.pop("rfc"), data.pop("title")
    rows = [Row(rfc, name, set(row), **{k: v for k, v in row.items() if k in KEYS}) for name, row in data.items()]
    return Document(path, rfc, title, rows)


def files():
    """The table's files, in the order of their numbers."""
    return sorted(FOLDER.glob("rfc*.toml"), key=lambda p: int(re.sub(r"\D", "", p.stem)))


def load_all():
    """All documents."""
    return [load(p) for p in files()]


def rows():
    """All rows."""
    return [r for d in load_all() for r in d.rows]


def plain(name):
    """A test's name without the kind of listener that it ran through, as the table gives it."""
    match = re.fullmatch(r"(.*?)\[(.*)\]", name)
    if not match:
        return name
    for kind in KINDS:
        if match.group(2) == kind:
            return match.group(1)
        if match.group(2).startswith(kind + "-"):
            return f"{match.group(1)}[{match.group(2)[len(kind) + 1:]}]"
    return name


def open_tests():
    """The names of this folder's tests that open rows name."""
    return {t for r in rows() if r.open for t in r.tests}
