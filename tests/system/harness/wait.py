"""Waiting for states, ports, scratch space."""

import os
import random
import socket
import time

PATIENCE = float(os.environ.get("LARDER_TEST_PATIENCE", "20"))


def until(condition, what, seconds=None):
    """Polls until condition() is true and returns its value; fails naming `what`."""
    end = time.monotonic() + (PATIENCE if seconds is None else seconds)
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def free_port(host="127.0.0.1"):
    """A free port below the range that the kernel gives to outgoing connections."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(200):
        port = random.SystemRandom().randrange(10240, 32000)
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


def alive(pid):
    """Whether a process exists and is not a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return f.read().rsplit(b")", 1)[1].split()[0] != b"Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid):
    """The process ids of a process's children."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(p) for p in f.read().split()]
    except FileNotFoundError:
        return []


def listening(port, host="127.0.0.1"):
    """Whether something accepts on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        return s.connect_ex((host, port)) == 0
