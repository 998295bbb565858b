"""The command: options, servers, the run, and what is told of it."""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import install
import peers
import report
import scenarios
from origin import Origin
from play import play_all
from processes import Failure, raise_limits

TOP = Path(__file__).resolve().parents[2]
LIMIT = 600  # seconds that a run may take


def say(text):
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def options_of(args):
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="tools/compare", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Asks larder and other caches the same questions about HTTP caching, before the same scripted origin.\n"
                    "See tools/comparison/README.md.",
        epilog="programs: " + ", ".join(peers.ALL) + "\ncategories: " + ", ".join(scenarios.CATEGORIES))
    add = parser.add_argument
    add("--install", action="store_true", help="install the peers from Debian and end")
    add("--servers", metavar="LIST", help="these programs only")
    add("--only", metavar="LIST", help="these scenarios or categories only")
    add("--larder", metavar="FILE", default=str(TOP / "build/release/src/main/larder"), help="the larder to compare (build/release's)")
    add("--larder-option", metavar="NAME=VALUE", action="append", default=[], help="an option for larder (-o)")
    add("--json", metavar="FILE", help="write every verdict with its reason there")
    add("--from", metavar="FILE", dest="source", help="tell of what --json wrote there, and ask nobody")
    add("--man", metavar="FILE", help="write the rows of the manual's table there (man/comparison.def)")
    add("--rows", action="store_true", help="show every program's verdict for every scenario")
    add("--story", action="store_true", help="show all requests and answers (best with --only and --servers)")
    add("--test", action="store_true", help="larder alone: fail on what must or should be so and is not (this is what tools/check runs)")
    add("--list", action="store_true", help="show the scenarios and end")
    add("--keep", action="store_true", help="keep the temporary folder")
    return parser, parser.parse_args(args)


def chosen(parser, options):
    """Programs and scenarios."""
    names = ["larder"] if options.test else options.servers.split(",") if options.servers else list(peers.ALL)
    if unknown := set(names) - set(peers.ALL):
        parser.error(f"unknown program {', '.join(sorted(unknown))}")
    rows = scenarios.ALL
    if options.only:
        words = options.only.split(",")
        if unknown := set(words) - {s.name for s in rows} - set(scenarios.CATEGORIES):
            parser.error(f"unknown scenario {', '.join(sorted(unknown))}")
        rows = [s for s in rows if s.name in words or s.category in words]
    return names, rows


async def ask_one(origin, bench, kind, rows, stories):
    """Starts a program, plays everything and ends it."""
    server = kind(bench, peers.settings(), origin.port)
    begun = time.monotonic()
    try:
        await asyncio.to_thread(server.prepare)
        await asyncio.to_thread(server.start)
        await asyncio.to_thread(peers.wait_ready, server)
        results = await play_all(origin, server, rows, say, stories)
        await asyncio.to_thread(server.stop)
        if said := server.complaint():
            raise Failure(f"{server.name} complained: {said}")
    finally:
        await asyncio.to_thread(server.remove if not bench.keep else server.stop)
    say(f"{server.title} {server.version(bench)}: {time.monotonic() - begun:.0f} s")
    return results


async def ask_all(bench, names, rows, stories):
    """{program: {scenario: verdict}}, one program after the other."""
    origin, results = Origin(), {}
    await origin.start()
    try:
        for name in names:
            results[name] = await ask_one(origin, bench, peers.ALL[name], rows, stories)
    finally:
        await origin.stop()
    return results


def run(options, names, rows):
    """Everything in a temporary folder."""
    base = Path(tempfile.mkdtemp(prefix="larder-compare-"))
    base.chmod(0o755)
    bench = peers.Bench(base, Path(options.larder).resolve(), options.larder_option)
    bench.keep = options.keep
    for name in list(names):
        if peers.ALL[name].path(bench) is None or name == "larder" and not bench.larder.is_file():
            if options.servers or name == "larder":
                raise Failure(f"{name} is not there; --install gets the peers, --larder names a larder")
            say(f"{name} is not installed: left out")
            names.remove(name)
    raise_limits()
    try:
        results = asyncio.run(asyncio.wait_for(ask_all(bench, names, rows, options.story), LIMIT))
        versions = {name: peers.ALL[name].version(bench) for name in names}
    finally:
        if options.keep:
            say(f"kept {base}")
        else:
            shutil.rmtree(base, ignore_errors=True)
    return results, versions


def main(args):
    """The command."""
    parser, options = options_of(args)
    if options.install:
        return install.install()
    names, rows = chosen(parser, options)
    if options.list:
        report.listed(rows)
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        date, results, versions = report.read(options.source, rows) if options.source else (report.today(), *run(options, names, rows))
    except (Failure, OSError, KeyError, ValueError, asyncio.TimeoutError) as e:
        say(f"tools/compare: {e or 'took too long'}")
        return 2
    except KeyboardInterrupt:
        return 130
    if options.test:
        return report.tested(rows, results["larder"])
    if options.json:
        Path(options.json).write_text(json.dumps(report.document(date, rows, results, versions), indent=1) + "\n")
    if options.man:
        Path(options.man).write_text(report.manual(date, rows, results, versions))
    return 1 if report.tell(rows, results, versions, options.rows) else 0
