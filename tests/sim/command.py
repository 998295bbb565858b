#!/usr/bin/python3
"""Tests of larder-simulate's command line: command.py PROGRAM."""

import json
import subprocess
import sys
import unittest

PROGRAM = sys.argv.pop()
RECIPE = ["--generate=zipf", "--objects=500", "--requests=5000"]


def run(*options, trace=""):
    """Runs it; status, standard output, standard error."""
    done = subprocess.run([PROGRAM, *options], input=trace, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


class Command(unittest.TestCase):
    """What it prints and what it refuses."""

    def test_help(self):
        status, out, _ = run("--help")
        self.assertEqual(status, 0)
        for option in ("--cache", "--charge", "--json", "--generate", "zipf", "drift"):
            self.assertIn(option, out)

    def test_refused(self):
        for options in (["--cache=0%"], ["--cache=101%"], ["--cache="], ["--cache=1%,x"], ["--charge=rent"], ["--alpha=x"],
                        ["--objects=0"], ["--unknown"], ["word"], ["--print"], [f"--cache={','.join(['1%'] * 33)}"]):
            with self.subTest(options=options):
                status, out, err = run(*options, trace="a\n")
                self.assertEqual((status, out), (2, ""))
                self.assertIn("usage:", err)

    def test_bad_traces(self):
        for trace, said in (("", "no requests"), ("a 1\nb 2k\n", "line 2"), ("a 99999999999999\n", "line 1")):
            with self.subTest(trace=trace):
                status, out, err = run("--name=mine", trace=trace)
                self.assertEqual((status, out), (1, ""))
                self.assertIn("mine", err)
                self.assertIn(said, err)
        self.assertEqual(run("--generate=nonsense")[0], 1)

    def test_json(self):
        status, out, _ = run("--json", "--name=a \"b\"\\", "--charge=payload", "--cache=50%,300", trace="a 100\nb 200\na 100\nc 100\n")
        self.assertEqual(status, 0)
        said = json.loads(out)
        self.assertEqual(said["trace"], "a \"b\"\\")
        self.assertEqual((said["requests"], said["objects"], said["footprint"]), (4, 3, 400))
        half, whole = said["caches"]
        self.assertEqual((half["percent"], half["bytes"], whole["bytes"]), (50, 200, 300))
        for name in ("larder", "LRU", "FIFO", "GDSF"):
            self.assertEqual(whole[name]["objects"], 0.25)
            self.assertEqual(whole[name]["bytes"], 0.2)

    def test_a_printed_trace_gives_the_same(self):
        trace = run(*RECIPE, "--print")[1]
        self.assertEqual(len(trace.splitlines()), 5000)
        made = run(*RECIPE, "--json", "--name=x")[1]
        self.assertEqual(json.loads(run("--json", "--name=x", trace=trace)[1]), json.loads(made))
        self.assertNotEqual(run(*RECIPE, "--print", "--seed=5")[1], trace)

    def test_table(self):
        status, out, _ = run(*RECIPE, "--cache=10%,1M")
        self.assertEqual(status, 0)
        lines = out.splitlines()
        self.assertIn("zipf 0.9: 5000 requests", lines[0])
        self.assertEqual([line.split()[0] for line in lines[3:5]], ["10%", "1M"])
        self.assertRegex(lines[5], r"^larder / LRU: objects 1\.\d+ on average")


if __name__ == "__main__":
    unittest.main()
