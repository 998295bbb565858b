"""Runs the works and compares their figures with what they ought to be."""

import argparse
import sys

import works
from harness.daemon import Build

# name: (function, arguments, {figure: the most it ought to be})
ALL = {
    "one-flight": (works.one_flight, {}, {"first byte, ms": 200, "time / origin's": 1.2, "memory, MiB": 128}),
    "flights": (works.one_flight, {"urls": 8}, {"first byte, ms": 200, "time / origin's": 1.2, "memory, MiB": 128}),
    "half-slow": (works.one_flight, {"slow": 0.5}, {"first byte, ms": 200, "time / origin's": 1.2, "memory, MiB": 128}),
    # Who knows nothing waits for a head, once: that is why there is no bound for the first wave.
    "private": (works.private, {}, {"second wave / direct": 1.4, "first wave of a sibling / direct": 1.4}),
    "private-wait": (works.private, {"wait": 200}, {"first wave / direct": 1.6, "second wave / direct": 1.4}),
    "killed": (works.killed, {}, {}),
    "ranges": (works.ranges, {}, {"sent / union": 1.3, "sent for it / holes": 1}),
    "resumed": (works.resumed, {}, {"sent then / rest": 1}),
    "outage": (works.outage, {}, {"stored meanwhile, longest ms": 50, "failure, longest ms": 100,
                                  "last failure after its return, s": 2}),
    "snails": (works.snails, {}, {"memory, MiB": 256}),
    "snails-small": (works.snails, {"size": 60000}, {"memory, MiB": 256}),
    "snails-each": (works.snails, {"one": False, "size": 200000}, {"memory, MiB": 256}),
    "snails-private": (works.snails, {"one": False, "size": 200000, "control": "private"}, {"memory, MiB": 256}),
}


def show(name, figures, most):
    """Prints them; True if all are as they ought to be."""
    fine = True
    print(f"{name}:")
    for key, value in figures.items():
        text = f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        over = key in most and value > most[key]
        fine &= not over
        print(f"  {key + ':':36} {text:>10}" + (f"   (at most {most[key]})" if key in most else "") + ("   MISSED" if over else ""))
    sys.stdout.flush()
    return fine


def main(argv):
    """The command line."""
    p = argparse.ArgumentParser(prog="tools/crowd", description="Puts crowds of clients on larder: on one object that is "
                                "being fetched, on answers that can't be shared, on a worker that is killed, on ranges of "
                                "what is not stored, on an origin that goes away, and such as read a byte a second. Looks at every byte, and prints figures "
                                "beside what they ought to be. Wants a machine of its own.")
    p.add_argument("--build", default="build", help="the Meson build folder (default: build)")
    p.add_argument("--only", default=",".join(ALL), help=f"which works (default: all of {', '.join(ALL)})")
    p.add_argument("--rounds", type=int, default=100, help="of the work killed (default: 100)")
    a = p.parse_args(argv)
    build = Build(a.build)
    fine = True
    try:
        for name in a.only.split(","):
            function, arguments, most = ALL[name]
            if name == "killed":
                arguments = {"rounds": a.rounds, "say": print}
            try:
                fine &= show(name, function(build, **arguments), most)
            except AssertionError as e:
                print(f"{name}: wrong: {e}", flush=True)
                fine = False
    finally:
        build.remove()
    return 0 if fine else 1
