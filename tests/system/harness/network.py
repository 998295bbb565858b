"""A network namespace for a test: nothing that it sends can leave the machine."""

import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *args):
    if getattr(libc, name)(*args):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


class Network:
    """The calling thread, and all that it starts from here on, live in a network of their own until leave()."""

    def __init__(self, *addresses):
        self.old = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _call("unshare", CLONE_NEWNET)
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            for a in addresses:
                subprocess.run(["ip", "address", "add", f"{a}/32", "dev", "lo"], check=True)
        except BaseException:
            self.leave()
            raise

    def leave(self):
        """Back to where the thread came from."""
        _call("setns", self.old, CLONE_NEWNET)
        os.close(self.old)
