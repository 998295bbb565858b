"""Kills at random moments under load: the short form of tools/torture."""

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "torturer"))

import command  # noqa: E402


def test_a_few_kills(build):
    t = command.torture(build, 6, random.SystemRandom().randrange(1 << 30), say=False)
    assert sum(t.killed.values()) == 6 and t.checked > 0 and sum(c.hits for c in t.clients) > 0
