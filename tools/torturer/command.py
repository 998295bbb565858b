"""Rounds of load, a kill at a random moment, and a check of everything."""

import argparse
import os
import random
import signal
import sys
import threading
import time

from bodies import Versions
from harness.daemon import Build, Larder
from harness.origin import Origin
from harness.wait import alive, until
from load import Client, Wrong

VICTIMS = (("worker", 35), ("keeper", 15), ("master", 25), ("all", 25))
THREADS, WORKERS = 4, 2


class Torture:
    """One daemon with its origin and clients."""

    def __init__(self, build, seed, say):
        self.dice = random.Random(seed)
        self.say = say
        self.versions = Versions()
        self.origin = Origin().on("*", self.versions.script)
        for path in self.versions.now:
            self.origin.on(path, self.versions.script)
        self.daemon = Larder(build, "forward", workers=WORKERS, size="1G", options=[])
        self.clients = [Client(self, i, THREADS) for i in range(THREADS)]
        self.killed = dict.fromkeys((name for name, _ in VICTIMS), 0)
        self.checked = 0

    # ---- the daemon ----

    def start(self):
        """With a durability at random: none of them lets a crash of larder do harm."""
        durability = self.dice.choice(("full", "full", "batch", "none"))
        self.daemon.options = [f"durability={durability}", "scrub_interval=1s", "scrub_rate=64M"]
        self.daemon.start()

    def kill(self, victim):
        """SIGKILL, to one or to all."""
        d = self.daemon
        if victim in ("worker", "keeper"):
            pids = d.role(victim)
            pid = self.dice.choice(pids) if pids else d.pids()[0]
            os.kill(pid, signal.SIGKILL)
            until(lambda: not alive(pid), "the victim to be gone")
            return
        pids = d.pids()
        if victim == "all":
            self.dice.shuffle(pids)
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        d.process.kill()
        d.process.wait()
        until(lambda: not any(alive(p) for p in pids), "the children to die with their master")

    def whole(self):
        """All processes are there again."""
        r = self.daemon.ctl("status")
        return r.returncode == 0 and r.stdout.count(", ready, ") == WORKERS + 1

    def quiet(self):
        """Nothing is on its way."""
        try:
            s = self.daemon.stats()
        except AssertionError:
            return False
        return not (s["exchange.fills"] or s["store.queue_bytes"] or s["store.spools"])

    # ---- a round ----

    def verify(self):
        """larderctl verify finds nothing."""
        r = self.daemon.ctl("verify", "--deep", store=True, timeout=120)
        if r.returncode:
            raise Wrong(f"verify, status {r.returncode}:\n{r.stdout[-4000:]}{r.stderr[-2000:]}")

    def load(self):
        """Clients until the kill; raises what they found wrong."""
        stop = threading.Event()
        victim = self.dice.choices([n for n, _ in VICTIMS], [n for _, n in VICTIMS])[0]
        for c in self.clients:
            c.start(stop)
        time.sleep(self.dice.uniform(0.02, 0.7))
        try:
            self.kill(victim)
        finally:
            stop.set()
            for c in self.clients:
                c.thread.join()
        self.killed[victim] += 1
        for c in self.clients:
            if c.error:
                raise c.error
        return victim

    def round(self, share):
        """Load, kill, look."""
        victim = self.load()
        if victim in ("master", "all"):
            self.verify()
            self.start()
        until(self.whole, "all processes to be back", 60)
        until(self.quiet, "larder to come to rest", 60)
        self.verify()
        self.checked += sum(c.check(share) for c in self.clients)
        self.daemon.judge()
        faults = self.daemon.stat("store.scrub_faults")
        if faults or self.daemon.stat("store.corrupt"):
            raise Wrong(f"{faults} faults found by the scrub:\n{self.daemon.said()[-4000:]}")
        self.origin.forget()

    def run(self, rounds):
        """All rounds. True if nothing was wrong."""
        self.start()
        for n in range(1, rounds + 1):
            self.round(1 if n == rounds else 0.3)
            if self.say and n % 10 == 0:
                self.tell(n)
        self.daemon.stop()
        self.verify()

    def tell(self, n):
        """A line of progress."""
        kills = ", ".join(f"{count} {name}" for name, count in self.killed.items())
        print(f"{n} rounds: {kills} killed; {sum(c.answers for c in self.clients)} answers, "
              f"{sum(c.hits for c in self.clients)} hits, {sum(c.broken for c in self.clients)} connections broken, "
              f"{self.checked} stored ones checked", flush=True)

    def end(self):
        """Stops whatever is left."""
        self.origin.stop()
        self.daemon.remove()


def torture(build, rounds, seed, say=True):
    """Raises Wrong, or another AssertionError."""
    t = Torture(build, seed, say)
    try:
        t.run(rounds)
        return t
    except BaseException:
        print(f"seed {seed}; the end of larder's log:\n{t.daemon.said()[-4000:]}", file=sys.stderr)
        raise
    finally:
        t.end()


def main(argv):
    """The command line."""
    p = argparse.ArgumentParser(prog="tools/torture", description="Kills larder (a worker, the keeper, the master or "
                                "all of them) at random moments under a mixed load, and checks each time that "
                                "larderctl verify finds nothing, that what was stored is served byte for byte, "
                                "and that nothing partial was ever served as whole.")
    p.add_argument("--build", default="build", help="the Meson build folder (default: build)")
    p.add_argument("--rounds", type=int, default=300)
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    a = p.parse_args(argv)
    build = Build(a.build)
    try:
        t = torture(build, a.rounds, a.seed)
        t.tell(a.rounds)
        print(f"nothing wrong in {a.rounds} rounds, seed {a.seed}")
        return 0
    except AssertionError as e:
        print(f"wrong: {e}", file=sys.stderr)
        return 1
    finally:
        build.remove()
