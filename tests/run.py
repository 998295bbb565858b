#!/usr/bin/python3
"""Builds what the tests need and runs the suites; called by tools/check.

    run.py [--jobs N] [unit] [conf] [fuzz] [lint] [oracle] [compare] [system] [rfc] [big] [tsan]

All but tsan run by default: that one looks for data races and takes several minutes. A failing suite makes the exit status non-zero, but all suites still run. The last line sums them up."""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
SUITES = ["unit", "conf", "fuzz", "lint", "oracle", "compare", "system", "rfc", "big", "tsan"]
DEFAULT = SUITES[:-1]

# name: (compiler, Meson options). The first runs everything, the second proves the other compiler, the third is
# what people run: memory is measured on it.
BUILDS = {
    "check-gcc-asan": ("gcc", ["-Db_sanitize=address,undefined", "-Db_lundef=false"]),
    "check-clang": ("clang", ["-Dwerror=true"]),
    "check-release": ("gcc", ["--buildtype=release", "-Dwerror=true"]),
    "check-tsan": ("gcc", ["-Db_sanitize=thread", "-Db_lundef=false"]),
}
NEEDS = {"unit": ["check-gcc-asan", "check-clang"], "conf": ["check-gcc-asan"], "fuzz": ["check-gcc-asan", "check-clang"],
         "lint": ["check-gcc-asan"], "oracle": ["check-gcc-asan"], "compare": ["check-gcc-asan"],
         "system": ["check-gcc-asan"], "rfc": ["check-gcc-asan"],
         "big": ["check-release"], "tsan": ["check-tsan"]}

# What TSan looks at: unit tests of the rooms that have threads, but for those that only repeat it for minutes or map
# more than it leaves room for, and a daemon that stores, evicts and follows other workers' fetches.
TSAN_UNIT = re.compile(r"tests/unit/((?:store|stat|log|net)-(?!churn|crash|list|power|sim)[a-z]+)$")
TSAN_SYSTEM = ["test_store_extremes.py", "test_fills.py", "test_pool.py"]


class Sum:
    """Passed, failed and skipped."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.wrong = []

    def add(self, title, passed, failed, skipped=0):
        """Counts a suite and says so."""
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        if failed:
            self.wrong.append(title)
        print(f"== {title}: {passed} passed, {failed} failed, {skipped} skipped", flush=True)


def jobs():
    """Processes at a time."""
    return len(os.sched_getaffinity(0))


def build(name):
    """Configures (once) and builds; True if all went well. A failure shows its end."""
    compiler, options = BUILDS[name]
    folder = TOP / "build" / name
    begun = time.monotonic()
    if not (folder / "build.ninja").exists():
        steps = [["meson", "setup", str(folder), "--warnlevel=2", *options]]
    else:
        steps = []
    steps.append(["ninja", "-C", str(folder)])
    env = {**os.environ, "CC": compiler}
    for step in steps:
        r = subprocess.run(step, cwd=TOP, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if r.returncode:
            print(r.stdout[-6000:])
            print(f"== build {name}: failed")
            return False
    print(f"== build {name}: {time.monotonic() - begun:.0f} s", flush=True)
    return True


def meson(name, suite, total):
    """Runs a Meson suite and counts the Checks inside its programs."""
    folder = TOP / "build" / name
    env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
    title = f"{suite} ({name})"
    log = folder / "meson-logs" / f"testlog-{suite}.json"
    log.unlink(missing_ok=True)
    r = subprocess.run(["meson", "test", "-C", str(folder), "--suite", suite, "--logbase", f"testlog-{suite}",
                        "--num-processes", str(jobs())], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    if not log.exists():
        print(r.stdout[-6000:])
        total.add(title, 0, 1)
        return
    passed = failed = skipped = 0
    for line in log.read_text().splitlines():
        test = json.loads(line)
        said = test.get("stdout", "") + test.get("stderr", "")
        bad = test["result"] not in ("OK", "EXPECTEDFAIL", "SKIP")
        counted = re.findall(r"Checks: (\d+), Failures: (\d+), Errors: (\d+)", said)
        wrong = sum(int(f) + int(e) for _, f, e in counted)
        passed += sum(int(n) for n, _, _ in counted) - wrong if counted else not bad and test["result"] != "SKIP"
        skipped += test["result"] == "SKIP"
        failed += max(wrong, int(bad))
        if bad:
            print(f"-- {test['name']}: {test['result']}\n{said[-4000:]}")
    if r.returncode and not failed:
        print(r.stdout[-3000:])
        failed = 1
    if not passed + failed:
        print(f"no test in the suite {suite}")
        failed = 1
    total.add(title, passed, failed, skipped)


def tsan(name, count, total):
    """Unit tests one by one, then the daemon; a report of a race fails either."""
    folder = TOP / "build" / name
    for path in sorted(p for p in (folder / "tests/unit").iterdir() if TSAN_UNIT.search(str(p)) and p.is_file()):
        r = subprocess.run([str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
        counted = re.findall(r"Checks: (\d+), Failures: (\d+), Errors: (\d+)", r.stdout)
        checks, wrong = (sum(int(c[0]) for c in counted), sum(int(c[1]) + int(c[2]) for c in counted))
        if r.returncode or "ThreadSanitizer" in r.stdout:
            print(f"-- {path.name}\n{r.stdout[-6000:]}")
            wrong = max(wrong, 1)
        total.add(f"tsan {path.name}", checks - min(wrong, checks), wrong)
    os.environ.setdefault("LARDER_TEST_PATIENCE", "60")
    pytest("tsan system", name, ["-m", "not big", "-n", str(count), *TSAN_SYSTEM], total)


def lint(total):
    """The house rules."""
    r = subprocess.run(["/usr/bin/python3", "tests/lint/lint.py", "--build", "build/check-gcc-asan"], cwd=TOP,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    match = re.search(r"lint: (\d+) passed, (\d+) failed, (\d+) skipped", r.stdout)
    if r.returncode or not match:
        print(r.stdout)
    total.add("lint", *(map(int, match.groups()) if match else (0, 1)))


def tool(name, command, total):
    """A program of tools that tests larder and sums it up by itself."""
    r = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    match = re.search(name + r": (\d+) passed, (\d+) failed", r.stdout)
    print(r.stdout, end="")
    passed, failed = map(int, match.groups()) if match else (0, 1)
    total.add(name, passed, max(failed, int(r.returncode != 0)))


def oracle(folder, total):
    """The short form of the differential test of caching; the long one is tools/differential."""
    tool("oracle", ["/usr/bin/python3", "tools/differential", "--short", "--build", str(TOP / "build" / folder)], total)


def compare(folder, total):
    """The scenarios that larder's peers are asked, too, with larder alone."""
    tool("compare", ["tools/compare", "--test", "--larder", str(TOP / "build" / folder / "src/main/larder")], total)


def pytest(title, folder, extra, total, where="system"):
    """Tests of a daemon against one build; their output is shown as it comes."""
    env = {**os.environ, "LARDER_BUILD": str(TOP / "build" / folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = ["/usr/bin/python3", "-m", "pytest", "-q", "--color=no", *extra]
    p = subprocess.Popen(command, cwd=TOP / "tests" / where, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    last = ""
    for line in p.stdout:
        print(line, end="", flush=True)
        last = line if line.strip() else last
    code = p.wait()
    count = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)\b", last)}
    failed = count.get("failed", 0) + count.get("error", 0) + count.get("errors", 0)
    total.add(title, count.get("passed", 0), max(failed, int(code != 0)), count.get("skipped", 0))


def main():
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="of " + ", ".join(SUITES) + "; default: all but tsan")
    parser.add_argument("--jobs", type=int, default=min(2, jobs()), help="system and rfc tests at a time")
    args = parser.parse_args()
    if unknown := set(args.suites) - set(SUITES):
        parser.error(f"unknown suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    wanted = [s for s in SUITES if s in args.suites] or DEFAULT
    begun, total, built = time.monotonic(), Sum(), {}
    for name in BUILDS:
        if any(name in NEEDS[s] for s in wanted):
            built[name] = build(name)
            if not built[name]:
                total.add(f"build {name}", 0, 1)
    for suite in wanted:
        ready = [n for n in NEEDS[suite] if built[n]]
        if suite in ("unit", "conf", "fuzz"):
            for name in ready:
                meson(name, suite, total)
        elif suite == "lint":
            lint(total)
        elif suite == "oracle" and ready:
            os.environ.setdefault("LARDER_TEST_PATIENCE", "60")
            oracle(ready[0], total)
        elif suite == "compare" and ready:
            os.environ.setdefault("LARDER_TEST_PATIENCE", "60")
            compare(ready[0], total)
        elif suite == "system" and ready:
            os.environ.setdefault("LARDER_TEST_PATIENCE", "60")
            pytest("system", ready[0], ["-m", "not big", "-n", str(args.jobs)], total)
        elif suite == "rfc" and ready:
            os.environ.setdefault("LARDER_TEST_PATIENCE", "60")
            pytest("rfc", ready[0], ["-n", str(args.jobs)], total, "rfc")
        elif suite == "big" and ready:
            pytest("big", ready[0], ["-m", "big"], total)
        elif suite == "tsan" and ready:
            tsan(ready[0], args.jobs, total)
    if total.wrong:
        print("failed: " + ", ".join(total.wrong))
    print(f"{time.monotonic() - begun:.0f} s in all")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped", flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
