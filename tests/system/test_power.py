"""durability = none and the machine's end: what was not synced is not trusted under another boot."""

import pytest

from harness.message import answer

FRESH = "Cache-Control: max-age=86400"


@pytest.fixture
def filled(larder, origin):
    """A daemon that never syncs, with something small and something large stored, and the mark that says so."""
    origin.on("/small", answer("small", fields=[FRESH]))
    origin.on("/large", answer("large" * 40000, fields=[FRESH]))
    d = larder("forward", options=["durability=none"])
    for path in ("/small", "/large"):
        d.get(origin.url(path))
    d.settle()
    assert len((d.store / "unsynced").read_text()) == 36
    return d


def served(d, origin):
    """The answers' caches, after both bodies were compared."""
    small, large = d.get(origin.url("/small")), d.get(origin.url("/large"))
    assert small.body == b"small" and large.body == b"large" * 40000
    return [bool(r.cache.get("hit")) for r in (small, large)]


def test_clean_stop_syncs(filled, origin):
    filled.stop()
    assert not (filled.store / "unsynced").exists()
    assert filled.start() and served(filled, origin) == [True, True]


def test_crash_of_larder_alone_keeps_all(filled, origin):
    filled.kill()
    assert (filled.store / "unsynced").exists()
    assert filled.ctl("verify", "--deep", store=True).returncode == 0
    assert filled.start() and served(filled, origin) == [True, True]


@pytest.mark.parametrize("durability", ["none", "full"])
def test_another_boot_empties(filled, origin, durability):
    filled.kill()
    (filled.store / "unsynced").write_text("00000000-0000-0000-0000-000000000000")
    r = filled.ctl("ls", store=True)
    assert r.returncode == 2 and "nothing in it can be trusted" in r.stderr
    filled.options = [f"durability={durability}"]
    filled.start()
    assert "all that was stored has been removed" in filled.said()
    assert (filled.store / "unsynced").exists() == (durability == "none")
    assert not [p for p in (filled.store / "blobs").rglob("*") if p.is_file()]
    assert served(filled, origin) == [False, False]
    filled.settle()
    assert served(filled, origin) == [True, True]


@pytest.mark.parametrize("garbage", [b"x" * 8192, b"\0" * 4096], ids=["other", "begun"])
def test_index_that_was_never_whole(larder, origin, garbage):
    """The first pages did not come to the disk before the power cut."""
    origin.on("/small", answer("small", fields=[FRESH]))
    d = larder("forward")
    d.stop()
    (d.store / "index" / "data.mdb").write_bytes(garbage)
    d.start()
    for hit in (False, True):
        assert bool(d.get(origin.url("/small")).cache.get("hit")) == hit
        d.settle()
