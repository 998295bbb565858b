"""What came of it: tables for the terminal, JSON, and the rows of the manual's table."""

import json
import time
from pathlib import Path

import peers
import scenarios
from model import MAY

GOOD = ("right", "yes")
SIGNS = {"right": "+", "wrong": "-", "yes": "y", "no": "n", "untested": "?"}


def sums(rows, verdicts, category, optional):
    """How many of a category's rows are good, of those that could be tested."""
    found = [verdicts[s.name][0] for s in rows if s.category == category and (s.level == MAY) == optional]
    return sum(v in GOOD for v in found), sum(v != "untested" for v in found)


def table(head, lines):
    """Aligned columns, the first to the left."""
    widths = [max(len(str(line[i])) for line in [head, *lines]) for i in range(len(head))]
    for line in [head, *lines]:
        print("  ".join(str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(line, widths))).rstrip())


def categories(rows):
    """Those that have rows here."""
    return [c for c in scenarios.CATEGORIES if any(s.category == c for s in rows)]


def behind(rows, results):
    """Rows where larder is not right, but a peer is: (scenario, larder's verdict, the peers)."""
    out = []
    for s in rows:
        verdict = results.get("larder", {}).get(s.name)
        better = [n for n in results if n != "larder" and results[n][s.name][0] in GOOD]
        if verdict and verdict[0] not in GOOD and better:
            out.append((s, verdict, better))
    return out


def unreached(rows, results):
    """Rows that no peer has right."""
    others = [n for n in results if n != "larder"]
    return [s for s in rows if others and all(results[n][s.name][0] not in GOOD for n in others)]


def told(s):
    """A row's place and text."""
    return f"{s.name} ({s.level}; RFC {s.at}): {s.text}"


def tell(rows, results, versions, every):
    """Prints everything; the rows where larder is behind a peer."""
    names = list(results)
    for optional, title in ((False, "What must or should be so: right, of those that could be tested"),
                            (True, "What a cache may do, and better does: done, of those that could be tested")):
        lines = []
        for category in categories(rows):
            if any(s.category == category and (s.level == MAY) == optional for s in rows):
                lines.append([category, *("%d/%d" % sums(rows, results[n], category, optional) for n in names)])
        if lines:
            every_category = [[sums(rows, results[n], c, optional) for c in categories(rows)] for n in names]
            lines.append(["all", *("%d/%d" % tuple(map(sum, zip(*found))) for found in every_category)])
            print(f"\n{title}\n")
            table(["", *(f"{n} {versions[n]}".strip() for n in names)], lines)
    if every:
        print("\nEvery row: + right, - wrong, y done, n not done, ? could not be tested\n")
        table(["", *names], [[s.name, *(SIGNS[results[n][s.name][0]] for n in names)] for s in rows])
    unsolved = [s for s in rows if results.get("larder", {}).get(s.name, ("right",))[0] not in GOOD]
    if unsolved:
        print("\nlarder is not right:\n")
        for s in unsolved:
            print(f"  {told(s)}\n      {': '.join(results['larder'][s.name])}")
    late = behind(rows, results)
    if len(names) > 1 and "larder" in names:
        print(f"\nRows where larder is not right but a peer is: {len(late) or 'none'}")
        for s, verdict, better in late:
            print(f"  {s.name}: {', '.join(better)}; larder: {': '.join(verdict)}")
        lone = unreached(rows, results)
        print(f"\nRows that all peers here fail: {len(lone) or 'none'}")
        for s in lone:
            mine = results["larder"][s.name][0]
            print(f"  {told(s)} {'larder does it' if mine in GOOD else 'larder, too'}")
    return late


def tested(rows, verdicts):
    """What larder has not right of what must or should be so; 1 if there is something."""
    wrong = [s for s in rows if s.level != MAY and verdicts[s.name][0] not in GOOD]
    for s in wrong:
        print(f"{told(s)}\n    {': '.join(verdicts[s.name])}")
    print(f"compare: {len(rows) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


def listed(rows):
    """The scenarios."""
    for s in rows:
        print(f"{s.category}: {told(s)}")
    print(f"{len(rows)} scenarios, {sum(s.level != MAY for s in rows)} of them must or should")


def today():
    """The date of a run."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def read(path, rows):
    """What document() made: date, verdicts, versions. KeyError: not about one of these rows."""
    data = json.loads(Path(path).read_text("utf-8"))
    told_of = {s["name"]: s["verdicts"] for s in data["scenarios"]}
    words = {True: {"right": "yes", "wrong": "no"}, False: {"yes": "right", "no": "wrong"}}
    results = {n: {} for n in data["versions"]}
    for s in rows:
        for n, verdict in told_of[s.name].items():
            results[n][s.name] = (words[s.level == MAY].get(verdict["verdict"], verdict["verdict"]), verdict["why"])
    return data["date"], results, data["versions"]


def document(date, rows, results, versions):
    """For machines."""
    return {"date": date, "versions": versions, "scenarios": [
        {"name": s.name, "category": s.category, "rfc": s.at, "level": s.level, "text": s.text,
         "verdicts": {n: dict(zip(("verdict", "why"), results[n][s.name])) for n in results}} for s in rows]}


def quoted(text):
    """A C string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def manual(date, rows, results, versions):
    """Rows that man/gen.c includes: who was compared, then every category's sums in the same order."""
    written, must = time.strftime("%B %-d, %Y", time.strptime(date, "%Y-%m-%d")), sum(s.level != MAY for s in rows)
    out = ["/* Made by tools/compare --man man/comparison.def. */",
           f"COMPARED({quoted(written)}, {must}, {len(rows) - must}, {len(unreached(rows, results))})"]
    for n in results:
        title = peers.ALL[n].title
        short = title if " " not in title else n.upper()
        out.append(f"PEER({quoted(short)}, {quoted(title if short == title else f'{title} ({short})')}, {quoted(versions[n])})")
    for optional in (False, True):
        lines = [[category, [sums(rows, results[n], category, optional) for n in results]] for category in categories(rows)
                 if any(s.category == category and (s.level == MAY) == optional for s in rows)]
        lines.append(["all", [tuple(map(sum, zip(*column))) for column in zip(*(found for _, found in lines))]])
        for category, found in lines:
            out.append(f'COMPARISON({quoted(category)}, {int(optional)}, {quoted(" ".join("%d/%d" % cell for cell in found))})')
    return "\n".join(out) + "\n"
