#!/usr/bin/python3
"""The house rules, checked: floors, sizes, banned calls, tables that are used and documented, clean pages.

Usage: lint.py [--build DIR]. Prints a line for each finding and "N passed, N failed, N skipped" at the end."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import requirements

TOP = Path(__file__).resolve().parents[2]
FLOORS = {"base": 0, "http": 1, "conf": 1, "log": 1, "stat": 1, "cache": 2, "net": 2, "access": 3, "store": 3, "origin": 3,
          "exchange": 4, "client": 5, "admin": 6, "main": 7, "ctl": 8}
AGREED = {"meson.build", "meson_options.txt", "src", "include", "tests", "tools", "man", "README.md", "COPYING"}
DOT_FILES = {".ci", ".clang-format", ".clang-tidy", ".editorconfig", ".gitignore", ".gitattributes"}
BANNED = re.compile(r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|strtok|gets|atoi|atol|atoll|alloca|mktemp|tmpnam|"
                    r"strncpy|strncat|system|popen)\s*\(")
PURE_BANNED = re.compile(r"(?<![\w.>])(time|clock_gettime|gettimeofday|open|fopen|read|write|socket|getenv|malloc_usable_size)\s*\(")
# main's version.c says which libraries it runs with.
OWNERS = {"uv.h": {"net", "main"}, "curl/curl.h": {"origin", "main"}, "lmdb.h": {"store", "main"}, "confuse.h": {"conf"},
          "pcre2.h": {"store", "main"},
          "openssl": {"store", "net", "origin", "base", "main"}}
FILE_LINES, FUNCTION_LINES, HEADER_LINES = 600, 80, 250
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\b(not implemented|unimplemented)\b")

checks = []


def check(function):
    """Registers a check: a generator of findings."""
    checks.append(function)
    return function


def sources(*patterns):
    """Files below the top, sorted."""
    return sorted(p for pattern in patterns for p in TOP.glob(pattern) if p.is_file())


def c_files():
    """All C of the daemon and its tools."""
    return sources("src/**/*.c", "src/**/*.h", "include/**/*.h", "man/*.c")


def room_of(path):
    """The room that a file belongs to, or None."""
    parts = path.relative_to(TOP).parts
    return parts[1] if parts[0] in ("src", "include") and len(parts) > 2 else None


def name(path):
    """A path as people say it."""
    return str(path.relative_to(TOP))


def strip(text):
    """C without comments, strings and character constants; newlines stay."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def rows(path, macro):
    """First arguments (after the kind where there is one) of a table's rows."""
    return re.findall(rf"^{macro}\(([^\n]*)\)\s*$", path.read_text(), re.M)


@check
def floors():
    """A room includes rooms of lower floors only; .def files are exempt."""
    for path in sources("src/**/*.[ch]", "include/**/*.h"):
        room = room_of(path)
        if room not in FLOORS:
            if room is not None:
                yield f"{name(path)}: room {room} is on no floor"
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+["<]([\w-]+)/([\w.-]+)[">]', line)
            if not match or match.group(1) not in FLOORS or match.group(2).endswith(".def"):
                continue
            if not (TOP / "include" / match.group(1) / match.group(2)).exists() and '"' not in line:
                continue
            other = match.group(1)
            if other != room and FLOORS[other] >= FLOORS[room]:
                yield f"{name(path)}:{number}: {room} (floor {FLOORS[room]}) includes {other} (floor {FLOORS[other]})"


@check
def libraries():
    """A library's header is included only by the rooms that own it."""
    for path in c_files():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r"\s*#\s*include\s+<([\w/.-]+)>", line)
            if not match:
                continue
            for header, owners in OWNERS.items():
                if match.group(1).startswith(header) and room_of(path) not in owners:
                    yield f"{name(path)}:{number}: <{match.group(1)}> belongs to {', '.join(sorted(owners))}"
                if match.group(1).startswith(header) and name(path).startswith("include/"):
                    yield f"{name(path)}:{number}: <{match.group(1)}> leaks through a public header"


@check
def purity():
    """http and cache do no input or output and read no clock."""
    for room in ("http", "cache"):
        for path in sources(f"src/{room}/*.[ch]"):
            if path.name.startswith("gen"):
                continue
            for number, line in enumerate(strip(path.read_text()).splitlines(), 1):
                match = PURE_BANNED.search(line)
                if match:
                    yield f"{name(path)}:{number}: {match.group(1)}() in a pure room"


@check
def file_sizes():
    """Source files stay under 600 lines, public headers under 250."""
    for path in c_files() + sources("tests/**/*.[ch]", "tests/**/*.py"):
        lines = len(path.read_text("utf-8", "replace").splitlines())
        limit = HEADER_LINES if name(path).startswith("include/") else FILE_LINES
        if lines > limit:
            yield f"{name(path)}: {lines} lines (at most {limit})"


@check
def function_sizes():
    """Functions stay under 80 lines."""
    for path in sources("src/**/*.c", "man/*.c"):
        start = None
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line == "{":
                start = number
            elif line == "}" and start:
                if number - start - 1 > FUNCTION_LINES:
                    yield f"{name(path)}:{start}: a function of {number - start - 1} lines (at most {FUNCTION_LINES})"
                start = None


@check
def banned_calls():
    """Functions that have no place here."""
    for path in c_files() + sources("tests/**/*.[ch]"):
        for number, line in enumerate(strip(path.read_text()).splitlines(), 1):
            match = BANNED.search(line)
            if match:
                yield f"{name(path)}:{number}: {match.group(1)}()"


@check
def unfinished():
    """No notes of things to be done."""
    me = Path(__file__).resolve()
    for path in c_files() + sources("tests/**/*.[ch]", "tests/**/*.py", "tools/*", "man/*", "*.md", "include/**/*.def"):
        if path == me or "__pycache__" in path.parts:
            continue
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            if UNFINISHED.search(line):
                yield f"{name(path)}:{number}: {line.strip()[:80]}"


@check
def header_guards():
    """Public headers have the guard that follows from their place, and an opening comment."""
    for path in sources("include/**/*.h"):
        text = path.read_text()
        guard = "LARDER_" + "_".join(path.relative_to(TOP / "include").with_suffix("").parts).upper().replace("-", "_") + "_H"
        if f"#ifndef {guard}" not in text:
            yield f"{name(path)}: no guard {guard}"
        if not text.startswith("/*"):
            yield f"{name(path)}: does not begin with what it is for"


@check
def no_typedef_of_structs():
    """struct stays visible."""
    for path in c_files():
        for number, line in enumerate(strip(path.read_text()).splitlines(), 1):
            if re.match(r"\s*typedef\s+(struct|union|enum)\b", line):
                yield f"{name(path)}:{number}: typedef of a struct"


@check
def counters_are_used():
    """Every counter is written in its room."""
    for path in sources("include/*/counters.def"):
        room = path.parent.name
        text = "\n".join(p.read_text() for p in sources(f"src/{room}/*.[ch]"))
        for row in rows(path, "COUNTER"):
            counter = row.split(",")[1].strip()
            if not re.search(rf"(->|\.|\b){counter}\b", text):
                yield f"{name(path)}: {room}.{counter} is never counted"


@check
def options_are_used():
    """Every option is read somewhere outside its table."""
    text = "\n".join(p.read_text() for p in sources("src/**/*.[ch]"))
    for path in sources("include/*/options.def", "include/exchange/listener.def"):
        for row in rows(path, "OPTION"):
            option = row.split(",")[1].strip()
            if not re.search(rf"(->|\.){option}\b", text):
                yield f"{name(path)}: option {option} has no effect"


@check
def log_fields_are_filled():
    """Every field of the access log is set by somebody."""
    text = "\n".join(p.read_text() for p in sources("src/exchange/*.[ch]", "src/client/*.[ch]"))
    for row in rows(TOP / "include/log/fields.def", "LOG_FIELD"):
        member = row.split(",")[2].strip()
        if not re.search(rf"\.{member}\b", text) and not re.search(rf"->{member}\b", text):
            yield f"include/log/fields.def: nobody fills {member}"


@check
def man_pages(build):
    """The built pages are clean and speak of every option, counter, log field and reason."""
    pages = {p.name: p for p in sorted((build / "man").glob("*.[1-9]"))}
    for wanted in ("larder.8", "larderctl.8", "larder.conf.5", "larder-cache.7"):
        if wanted not in pages:
            yield f"man/{wanted} is not built"
    for path in pages.values():
        r = subprocess.run(["mandoc", "-Tlint", "-W", "warning", str(path)], capture_output=True, text=True)
        for line in r.stdout.splitlines()[:5]:
            yield f"man: {line.replace(str(build) + '/', '')}"
    text = {n: p.read_text() for n, p in pages.items()}
    everything = "\n".join(text.values())
    conf = text.get("larder.conf.5", "")
    for path in sources("include/*/options.def", "include/exchange/listener.def"):
        for row in rows(path, "OPTION"):
            option = row.split(",")[1].strip()
            if not re.search(rf"\b{option}\b", conf):
                yield f"larder.conf(5) does not mention the option {option}"
    for row in rows(TOP / "include/log/fields.def", "LOG_FIELD"):
        field = row.split(",")[0].strip()
        if not re.search(rf"\b{field}\b", conf):
            yield f"larder.conf(5) does not mention the log field {field}"
    for path in sources("include/*/counters.def"):
        for row in rows(path, "COUNTER"):
            counter = f"{path.parent.name}.{row.split(',')[1].strip()}"
            if counter not in everything:
                yield f"no page mentions the counter {counter}"
    for row in rows(TOP / "include/cache/reasons.def", "REASON"):
        token = re.search(r'"([^"]+)"', row).group(1)
        if token not in text.get("larder-cache.7", ""):
            yield f"larder-cache(7) does not mention the reason {token}"
    for row in rows(TOP / "include/cache/clauses.def", "CLAUSE"):
        token = re.search(r'"([^"]+)"', row).group(1)
        if f".It Li {token}\n" not in text.get("larderctl.8", ""):
            yield f"larderctl(8) does not mention the rule {token}"


@check
def top_level():
    """Only the agreed entries at the top."""
    for path in TOP.iterdir():
        known = path.name in AGREED | DOT_FILES or path.name in (".git", ".cache", ".pytest_cache")
        if not known and not path.name.startswith("build"):
            yield f"{path.name} is not a part of the agreed top level"


@check
def room_folders():
    """Every room is in the map, and every room of the map exists."""
    text = (TOP / "src/README.md").read_text()
    for path in sorted(p for p in (TOP / "src").iterdir() if p.is_dir()):
        if path.name not in FLOORS:
            yield f"src/{path.name} is on no floor"
        if not re.search(rf"\b{path.name}\b", text):
            yield f"src/README.md does not show {path.name}"


@check
def names_of_this_place():
    """Nothing speaks of the machine it was written on."""
    words = re.compile("/(" + "wo" + "rk|bash" + r"_jobs)/|\b(deb|registry|security)\.[a-z]+\.(org|com|io)\b")
    for path in c_files() + sources("tests/**/*.[ch]", "tests/**/*.py", "tools/*", "man/*", "*.md", ".ci/*"):
        if "__pycache__" in path.parts:
            continue
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            if words.search(line):
                yield f"{name(path)}:{number}: {line.strip()[:80]}"


@check
def tests_assert():
    """Every test of a daemon asserts something."""
    for path in sources("tests/system/test_*.py", "tests/rfc/test_*.py"):
        blocks = re.split(r"^(?=def |class |@)", path.read_text(), flags=re.M)
        helpers = {m.group(1) for b in blocks if (m := re.match(r"def (\w+)", b)) and "assert " in b}
        words = "|".join(["assert ", "pytest.raises", "until\\(", *(rf"{h}\(" for h in helpers if not h.startswith("test_"))])
        for block in blocks:
            match = re.match(r"def (test_\w+)", block)
            if match and not re.search(words, block) and ".start(" not in block:
                yield f"{name(path)}: {match.group(1)} asserts nothing"


@check
def requirements_table():
    """Every requirement has a test that exists, or a reason why it does not apply."""
    yield from requirements.findings()


@check
def comparison_table():
    """The manual's comparison with other caches is about the scenarios that there are."""
    r = subprocess.run(["/usr/bin/python3", "-B", "tools/comparison/compare.py", "--list"], cwd=TOP, capture_output=True, text=True)
    there = re.search(r"(\d+) scenarios, (\d+) of them must or should", r.stdout)
    text = (TOP / "man/comparison.def").read_text()
    told = re.search(r'^COMPARED\("[^"]*", (\d+), (\d+), \d+\)$', text, re.M)
    if not there or not told:
        yield f"man/comparison.def or the scenarios cannot be read {r.stderr[-200:]}"
    elif (int(told.group(1)) + int(told.group(2)), int(told.group(1))) != (int(there.group(1)), int(there.group(2))):
        yield "man/comparison.def is not about the scenarios of tools/comparison: tools/compare --man man/comparison.def makes it"


def main():
    """Runs all checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, help="a Meson build folder, for the manual pages")
    args = parser.parse_args()
    passed = failed = skipped = 0
    for function in checks:
        needs_build = function.__code__.co_argcount == 1
        if needs_build and not args.build:
            skipped += 1
            print(f"skip {function.__name__}: no --build")
            continue
        findings = list(function(args.build) if needs_build else function())
        print(f"{'FAIL' if findings else 'ok  '} {function.__name__}: {function.__doc__.splitlines()[0]}")
        for finding in findings:
            print(f"     {finding}")
        passed += not findings
        failed += bool(findings)
    print(f"lint: {passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
