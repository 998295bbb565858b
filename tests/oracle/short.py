"""The short form: fixed seeds, known differences that have to differ still, and proof that the oracle can tell."""

import functools
import json
from pathlib import Path

import play
import rows
from generate import THEMES

SEED, EXCHANGES = "short", 2800
KNOWN = Path(__file__).with_name("known.json")
# What has to come up, and how often at least: else the scenarios test something else than they are meant to.
NEEDED = {"hit 200": 300, "hit 304": 15, "hit 206": 20, "hit 416": 5, "validated 200": 60, "hit 404": 1, "made 504": 5, "forwarded 412": 3}
# How many of a hundred that the most eager cache could answer itself larder does, by status.
EAGER = {200: 95, 206: 85, 304: 85}
# Options that break a rule on purpose, and what the oracle has to say of them.
BROKEN = (("request_directives=no", "must", "reused: request no-cache"), ("request_directives=no", "must", "reused: request max-age"),
          ("via=off", "must", "no Via"))


class Tally:
    """Passed and failed checks."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, right, what):
        """Counts one; says what was wrong."""
        self.passed += bool(right)
        self.failed += not right
        if not right:
            print(f"FAIL {what}", flush=True)


def known():
    """[{"kind", "level", "clause", "note", "scenario"}]: what larder is known to do otherwise."""
    return json.loads(KNOWN.read_text())


def generated(make, tally):
    """The scenarios of the fixed seed: a check for each theme."""
    excused = {(k["level"], k["kind"]) for k in known()}
    result = play.run(make, SEED, EXCHANGES, 2)
    wrong = {}
    for key, value in result.kinds.items():
        if key[0] == "cautious":
            continue
        if key in excused:
            print(f"known: {key[1]} ({value['clause']}), {value['count']} times")
            continue
        for played, f in value["examples"]:
            wrong.setdefault(played["theme"], []).append(f"{f.kind} ({f.clause}) in step {f.step}: expected {f.expected}; seen {f.seen}\n"
                                                         f"     {json.dumps(played)}")
    for theme, _ in THEMES:
        tally.check(theme not in wrong, f"scenarios about {theme}:\n  " + "\n  ".join(wrong.get(theme, [])[:5]))
    for what, least in NEEDED.items():
        tally.check(result.outcomes[what] >= least, f"\"{what}\" came up {result.outcomes[what]} times only")
    for status, least in EAGER.items():
        hits, could = result.could[status, True], result.could[status, True] + result.could[status, False]
        print(f"{hits} hits with {status} of {could} that could be")
        tally.check(could and hits * 100 >= could * least, f"{hits} hits with {status} of {could} that could be, not {least} %")
    tally.check(not result.broken, "broken scenarios: " + "\n".join(trace for _, trace in result.broken[:3]))
    print(f"{result.exchanges} exchanges in {result.scenarios} scenarios; "
          f"{sum(v['count'] for k, v in result.kinds.items() if k[0] == 'cautious')} hits that could have been")


def still_known(make, tally):
    """Each known difference differs still: one that was mended has to leave the list."""
    listed = known()
    with make() as scene:
        for entry, (_, findings, _, _) in zip(listed, play.show(scene, [k["scenario"] for k in listed])):
            tally.check(any((f.level, f.kind) == (entry["level"], entry["kind"]) for f in findings),
                        f"known difference \"{entry['kind']}\" does not show any more: if it was mended, remove it from known.json")


def sensitive(make, tally):
    """The oracle notices a larder that is made to break the rules."""
    for option in dict.fromkeys(o for o, _, _ in BROKEN):
        with make(more=(option,)) as scene:
            kinds = play.generated(scene, "broken", 1200).kinds
        for _, level, kind in (b for b in BROKEN if b[0] == option):
            tally.check((level, kind) in kinds, f"with {option} the oracle does not say \"{kind}\"")


def main(build, workers):
    """Runs all of it; the last line sums up."""
    tally = Tally()
    rows.check(tally)
    make = functools.partial(play.Scene, build, workers, False)
    generated(make, tally)
    still_known(make, tally)
    sensitive(make, tally)
    print(f"oracle: {tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0
