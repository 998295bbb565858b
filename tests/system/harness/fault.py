"""Makes system calls of a daemon fail while it runs, by a preloaded library."""

import errno
import mmap
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

WRITE, SYNC, OPEN, LINK, READ, MEMORY = 1, 2, 4, 8, 16, 32


class Fault:
    """`environment` goes to the daemon; order() arms the fault, lift() ends it."""

    def __init__(self, sanitized):
        self.home = folder = Path(tempfile.mkdtemp(prefix="larder-fault-", dir="/tmp"))
        folder.chmod(0o755)
        library = folder / "fault.so"
        more = [] if sanitized else ["-DWITH_MALLOC"]
        subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-fPIC", "-shared", *more, "-o", library,
                        Path(__file__).with_name("fault.c")], check=True)
        path = folder / "order"
        path.write_bytes(bytes(24))
        path.chmod(0o666)
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 24)
        self.environment = {"LD_PRELOAD": str(library), "LARDER_FAULT": str(path)}
        if sanitized:
            self.environment["ASAN_OPTIONS"] = "verify_asan_link_order=0:detect_leaks=0"

    def order(self, what, error=errno.EIO, every=1, pid=0):
        """From now on every n-th call of these kinds fails, of that process or of all."""
        self.map[4:24] = struct.pack("=5I", error, every, pid, 0, 0)
        self.map[0:4] = struct.pack("=I", what)

    def lift(self):
        """Nothing fails any more; how many calls have failed."""
        self.map[0:4] = bytes(4)
        return struct.unpack("=I", self.map[20:24])[0]

    def remove(self):
        """Deletes the library."""
        self.map.close()
        shutil.rmtree(self.home, ignore_errors=True)
