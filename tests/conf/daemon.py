#!/usr/bin/python3
"""The configuration through the real daemon: daemon.py LARDER MANDIR.

What -T prints reads back the same, with every option of the tables; the manual's examples are valid.
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

LARDER, MANDIR = sys.argv[1], pathlib.Path(sys.argv[2])


def larder(*args):
    return subprocess.run([LARDER, *args], capture_output=True, text=True, timeout=60)


def examples(page):
    text = page.read_text().split(".Sh EXAMPLES")[1]
    blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text, re.M | re.S)
    return [b.replace("\\e", "\\") for b in blocks]


class Daemon(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(prefix="larder-conf-")
        self.file = pathlib.Path(self.dir.name, "larder.conf")
        self.addCleanup(self.dir.cleanup)

    def print_again(self, *args):
        first = larder(*args, "-T")
        self.assertEqual((first.returncode, first.stderr), (0, ""))
        self.file.write_text(first.stdout)
        second = larder("-c", str(self.file), "-T")
        self.assertEqual((second.returncode, second.stderr), (0, ""))
        self.assertEqual(first.stdout, second.stdout)
        return first.stdout

    def test_defaults_read_back(self):
        text = self.print_again()
        self.assertIn('listen "127.0.0.1:3128" {\n\tkind = "forward"\n}', text)

    def test_odd_values_read_back(self):
        text = self.print_again(
            "-l", "reverse=[::1]:8080,http://127.0.0.1:8000", "-s", '/tmp/a "b" \\ ${HOME} #',
            "-S", "1500", "-o", "access_log_format=%{url} \"%{user_agent}\" \\ $", "-o", "allow=::1 10.0.0.0/8",
            "-o", "idle_timeout=1500ms")
        self.assertIn('store = "/tmp/a \\"b\\" \\\\ \\${HOME} #"', text)
        self.assertIn("size = 1500\n", text)
        self.assertIn("idle_timeout = 1500ms\n", text)

    def test_examples_of_the_manual(self):
        found = examples(MANDIR / "larder.conf.5.in")
        self.assertGreaterEqual(len(found), 4)
        for text in found:
            self.file.write_text(text)
            run = larder("-c", str(self.file), "-o", "access_log=off", "-t")
            self.assertEqual((run.returncode, run.stderr), (0, ""), text)

    def test_errors_name_the_place(self):
        self.file.write_text("# one\n/* two\n*/ idle_timeout = 3x\n")
        run = larder("-c", str(self.file), "-t")
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"{self.file}:3: idle_timeout: ", run.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
