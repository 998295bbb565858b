"""A file system of a few MiB, to be filled."""

import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
MNT_DETACH = 2
SHM = Path("/dev/shm")  # a container's own is a tmpfs of 64 MiB
libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *args):
    if getattr(libc, name)(*args):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


class Disk:
    """A tmpfs of `size` bytes that the calling thread sees, and all that it starts from here on, until leave().
    Where mounting is forbidden, as in most containers, it is /dev/shm, if that is small and empty.
    Raises OSError that says why there is none."""

    def __init__(self, size):
        self.old = self.lock = self.path = None
        try:
            self._mount(size)
        except OSError as e:
            if e.errno not in (errno.EPERM, errno.EACCES):
                raise
            self._take_shm(size, e)

    def _mount(self, size):
        old = [os.open(path, os.O_RDONLY) for path in ("/proc/thread-self/ns/mnt", "/")]
        try:
            _call("unshare", CLONE_NEWNS)
        except OSError:
            for fd in old:
                os.close(fd)
            raise
        self.old = old
        self.path = Path(tempfile.mkdtemp(prefix="larder-disk-", dir="/tmp"))
        try:
            _call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
            _call("mount", b"none", bytes(self.path), b"tmpfs", 0, b"mode=0777,size=%d" % size)
        except OSError:
            self.leave()
            raise

    def _take_shm(self, size, why):
        total = os.statvfs(SHM).f_frsize * os.statvfs(SHM).f_blocks
        if not size / 2 <= total <= size * 2:
            raise OSError(errno.EPERM, f"{why.strerror}; and {SHM} has {total >> 20} MiB, not about {size >> 20}")
        lock = os.open(SHM, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)  # other tests take it in turns
        if any(SHM.iterdir()):
            os.close(lock)
            raise OSError(errno.EPERM, f"{why.strerror}; and {SHM} is in use")
        self.lock = lock
        self.path = Path(tempfile.mkdtemp(prefix="larder-disk-", dir=SHM))
        self.path.chmod(0o777)

    @property
    def size(self):
        """Bytes that it has."""
        st = os.statvfs(self.path)
        return st.f_frsize * st.f_blocks

    @property
    def free(self):
        """Bytes that are left."""
        st = os.statvfs(self.path)
        return st.f_frsize * st.f_bavail

    def fill(self, leave=0):
        """A file takes all room but `leave` bytes; its path."""
        path = self.path / "filler"
        with open(path, "ab") as f:
            if (n := self.free - leave) > 0:
                os.posix_fallocate(f.fileno(), f.tell(), n)
        return path

    def leave(self):
        """Unmounts and goes back to where the thread came from."""
        if self.lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self.lock)
            self.lock = None
        if self.old is not None:
            libc.umount2(bytes(self.path), MNT_DETACH)
            here = os.getcwd()
            namespace, root = self.old
            _call("setns", namespace, CLONE_NEWNS)
            # Where the thread's root was another one than the namespace's.
            os.fchdir(root)
            os.chroot(".")
            os.chdir(here)
            os.close(namespace)
            os.close(root)
            self.old = None
            self.path.rmdir()
