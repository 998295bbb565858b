"""tools/differential: generated exchanges against larder and against an oracle made from the RFCs' text alone."""

import argparse
import json
import socket
import sys
import time
from pathlib import Path

from harness.daemon import Build, Larder

import play

# The options that leave nothing but the RFCs' own choices.
OPTIONS = ("store_set_cookie=yes", "origin_retry=0")
LEVELS = {"must": 0, "should": 1, "cautious": 2}


class Scene:
    """A daemon with a forward listener, and for each process that plays an origin with its reverse listener."""

    def __init__(self, folder, processes, workers):
        self.build = Build(folder)
        self.sockets = [socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(processes)]
        origins = [f"http://127.0.0.1:{s.getsockname()[1]}" for s in self.sockets]
        self.larder = Larder(self.build, "forward", *(f"reverse,{o}" for o in origins), workers=workers, options=OPTIONS)

    def __enter__(self):
        self.larder.start()
        return self

    def __exit__(self, kind, *rest):
        try:
            self.larder.stop()
        finally:
            self.larder.remove()
            self.build.remove()
            for s in self.sockets:
                s.close()

    @property
    def places(self):
        """[(ports, listening socket)]."""
        ports = self.larder.ports
        return [({"forward": ports[0], "reverse": ports[1 + n]}, s) for n, s in enumerate(self.sockets)]


def ordered(result):
    """Kinds by weight."""
    return sorted(result.kinds.items(), key=lambda item: (LEVELS[item[0][0]], -item[1]["count"]))


def report(scene, result, wanted, out):
    """Differences by kind, each with its smallest scenario."""
    kinds = [(key, value) for key, value in ordered(result) if key[0] in wanted]
    jobs = [(value["examples"][0][0], *key) for key, value in kinds]
    for (key, value), small in zip(kinds, play.shrink(scene.places[0], jobs)):
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
    parser.add_argument("--levels", default="must,should,cautious", help="which differences are shown")
    parser.add_argument("--replay", type=Path, help="play the scenarios of a file (a line of JSON each) instead")
    options = parser.parse_args(args)
    with Scene(options.build, options.processes, options.workers) as scene:
        if options.replay:
            return replay(scene, options.replay)
        begun = time.monotonic()
        result = play.run(scene.places, options.seed, options.exchanges)
        took = time.monotonic() - begun
        for key, value in ordered(result):
            print(f"{value['count']:7} {key[0]:9} {key[1]} ({value['clause']})")
        report(scene, result, options.levels.split(","), sys.stdout)
    for played, trace in result.broken[:5]:
        print(f"\nbroken: {json.dumps(played)}\n{trace}")
    bad = sum(v["count"] for k, v in result.kinds.items() if k[0] != "cautious") + len(result.broken)
    print(f"\n{result.exchanges} exchanges in {result.scenarios} scenarios, {took:.0f} s: {bad} differences, "
          f"{sum(v['count'] for k, v in result.kinds.items() if k[0] == 'cautious')} cautious, {len(result.broken)} broken")
    return 1 if bad else 0


def replay(scene, path):
    """Shows what happens in given scenarios."""
    import asyncio
    from wire import Client, Stage

    async def each(played):
        ports, listening = scene.places[0]
        stage, client = Stage(ports), Client(ports)
        await stage.origin.start(listening)
        findings, url, seen = await play.one(stage, client, played)
        client.close()
        return findings, url, seen

    for line in path.read_text().splitlines():
        played = json.loads(line)
        findings, url, seen = asyncio.run(each(played))
        last = play.Finding(len(seen), "must", "", "", "", "")
        print(play.tell(played, last, url, seen))
        for f in findings:
            print(f"  {f.level} at {f.step}: {f.kind} ({f.clause}): expected {f.expected}; seen {f.seen}")
    return 0
