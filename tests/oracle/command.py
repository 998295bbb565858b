"""tools/differential: generated exchanges against larder and against an oracle made from the RFCs' text alone."""

import argparse
import functools
import json
import sys
import time
from pathlib import Path

from harness.daemon import Build

import play
import short

LEVELS = {"must": 0, "should": 1, "cautious": 2}


def gather(result):
    """Counts a kind "what: a, b" with "what: a" where that is there, too: one cause is enough."""
    heads = {}
    for level, kind in result.kinds:
        head, colon, rest = kind.partition(": ")
        if level == "cautious" and colon:
            heads.setdefault((level, head), []).append(frozenset(rest.split(", ")))
    for (level, head), sets in heads.items():
        sets.sort(key=len)
        for index, features in enumerate(sets):
            if smaller := next((s for s in sets[:index] if s < features), None):
                names = {s: next(k for k in result.kinds if k[0] == level and k[1].partition(": ")[0] == head and
                                 frozenset(k[1].partition(": ")[2].split(", ")) == s) for s in (smaller, features)}
                gone = result.kinds.pop(names[features])
                result.kinds[names[smaller]]["count"] += gone["count"]
                sets[index] = smaller


def ordered(result):
    """Kinds by weight."""
    return sorted(result.kinds.items(), key=lambda item: (LEVELS[item[0][0]], -item[1]["count"]))


def report(scene, result, wanted, word, out):
    """Differences by kind, each with its smallest scenario."""
    kinds = [(key, value) for key, value in ordered(result) if key[0] in wanted and word in key[1]]
    jobs = [(value["examples"][0][0], *key) for key, value in kinds]
    for (key, value), small in zip(kinds, play.shrink(scene, jobs)):
        print(f"\n{key[0]}: {key[1]} ({value['clause']}): {value['count']} times", file=out)
        if small:
            print(play.tell(*small), file=out)
            print("  scenario " + json.dumps(small[0], ensure_ascii=True), file=out)
        else:
            played, finding = value["examples"][0]
            print(f"  not seen again; step {finding.step}: expected {finding.expected}; seen {finding.seen}", file=out)
            print("  scenario " + json.dumps(played, ensure_ascii=True), file=out)


def main(args):
    """The command line."""
    parser = argparse.ArgumentParser(prog="tools/differential", description=__doc__)
    parser.add_argument("--build", default=str(Path(__file__).resolve().parents[2] / "build/check-release"), help="the Meson build folder")
    parser.add_argument("--exchanges", type=int, default=100000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--processes", type=int, default=2, help="that play")
    parser.add_argument("--workers", type=int, default=2, help="larder's")
    parser.add_argument("--hurried", action="store_true", help="do not wait between requests until all is stored")
    parser.add_argument("--levels", default="must,should,cautious", help="which differences are shown")
    parser.add_argument("--kind", default="", metavar="TEXT", help="show only kinds with this in their name")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="an option of larder's")
    parser.add_argument("--short", action="store_true", help="the short form with fixed seeds that the tests run")
    parser.add_argument("--replay", type=Path, help="play the scenarios of a file (a line of JSON each) instead")
    options = parser.parse_args(args)
    build = Build(options.build)
    make = functools.partial(play.Scene, build, options.workers, options.hurried, options.option)
    try:
        if options.short:
            return short.main(build, options.workers)
        if options.replay:
            with make() as scene:
                return replay(scene, options.replay)
        begun = time.monotonic()
        result = play.run(make, options.seed, options.exchanges, options.processes)
        took = time.monotonic() - begun
        gather(result)
        for key, value in ordered(result):
            print(f"{value['count']:7} {key[0]:9} {key[1]} ({value['clause']})", flush=True)
        with make() as scene:
            report(scene, result, options.levels.split(","), options.kind, sys.stdout)
    finally:
        build.remove()
    for played, trace in result.broken[:5]:
        print(f"\nbroken: {json.dumps(played)}\n{trace}")
    print("\noutcomes: " + ", ".join(f"{k} {v}" for k, v in result.outcomes.most_common(14)))
    bad = sum(v["count"] for k, v in result.kinds.items() if k[0] != "cautious") + len(result.broken)
    print(f"\n{result.exchanges} exchanges in {result.scenarios} scenarios, {took:.0f} s: {bad} differences, "
          f"{sum(v['count'] for k, v in result.kinds.items() if k[0] == 'cautious')} cautious, {len(result.broken)} broken")
    return 1 if bad else 0


def replay(scene, path):
    """Shows what happens in given scenarios."""
    scenarios = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    for played, findings, url, seen in play.show(scene, scenarios):
        print(play.tell(played, None, url, seen))
        for f in findings:
            print(f"  {f.level} at {f.step}: {f.kind} ({f.clause}): expected {f.expected}; seen {f.seen}")
    return 0
