"""Processes that the benchmark starts: pinned to a core, watched, measured, and ended by id."""

import ctypes
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

SERVER_CORE, LOAD_CORE = 0, 1
FILES = 262144


class Failure(Exception):
    """Something that makes a figure void; its text says what."""


def free_port():
    """A port of loopback that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, seconds, what):
    """Polls until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds:g} s")
        time.sleep(0.005)


def accepts(port):
    """Whether somebody accepts connections on a port."""
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def find(program):
    """The path of a program, the system administrator's included."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


PRCTL = ctypes.CDLL(None).prctl


def _prepare():
    PRCTL(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: what is left when the benchmark is killed


def raise_limits():
    """As many descriptors for this process and its children as can be had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for want in (FILES, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(want, soft), max(want, hard)))
            return
        except (ValueError, OSError):
            continue


def files_limit():
    """How many descriptors a server may have."""
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], FILES)


def start(args, core, log, env=None, cwd=None, pipe=False):
    """Starts a program on a core, its output in a file (or its standard output in a pipe)."""
    with open(log, "ab") as out:
        return subprocess.Popen(["taskset", "-c", str(core)] + [str(a) for a in args], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE if pipe else out, stderr=out, cwd=cwd, preexec_fn=_prepare,
                                start_new_session=True, env={**os.environ, **(env or {})})


def run(args, core, log, seconds=60, env=None):
    """Runs a program to its end and returns its standard output."""
    process = start(args, core, log, env, pipe=True)
    try:
        out, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Failure(f"{Path(args[0]).name} did not end within {seconds:g} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        raise Failure(f"{Path(args[0]).name} failed ({process.returncode}); see {log}")
    return out.decode("utf-8", "replace")


def _parents():
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry)] = (int(fields[1]), fields[19])
    return parents


def tree(pid):
    """A process and all its descendants: ids with their start times."""
    parents = _parents()
    if pid not in parents:
        return {}
    found, grown = {pid: parents[pid][1]}, True
    while grown:
        grown = False
        for child, (parent, started) in parents.items():
            if parent in found and child not in found:
                found[child] = started
                grown = True
    return found


def stop(process, seconds=60):
    """Asks a process to end, and makes it and its children end if they do not."""
    if process is None:
        return
    family = tree(process.pid)
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pid, started in family.items():
        if pid != process.pid and _parents().get(pid, (0, None))[1] == started:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    if process.stdout:
        process.stdout.close()


def cpu(pid):
    """Seconds of processor time that a process and its descendants have used, by the scheduler's nanoseconds."""
    total = 0
    for member in tree(pid):
        try:
            tasks = os.listdir(f"/proc/{member}/task")
        except OSError:
            continue
        for task in tasks:
            try:
                total += int(Path(f"/proc/{member}/task/{task}/schedstat").read_text().split()[0])
            except (OSError, IndexError):
                continue
    return total / 1e9


def memory(pid):
    """Bytes of anonymous and shared memory of a process and its descendants, shared pages divided among them."""
    total = 0
    for member in tree(pid):
        try:
            text = Path(f"/proc/{member}/smaps_rollup").read_text()
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                total += int(line.split()[1]) * 1024
    return total


def touch_pages(folder, size):
    """Has the machine own as much memory as a turn may fill with new pages: in a virtual one the first use of a page
    costs many times the second, and whoever comes first would pay for all."""
    path, piece = Path(folder) / "touched", bytes(1 << 20)
    with open(path, "wb") as f:
        for _ in range(size >> 20):
            f.write(piece)
    path.unlink()


def settle(pid, seconds=20):
    """Waits until a server has little left to do."""
    end, quiet, last = time.monotonic() + seconds, 0, cpu(pid)
    while quiet < 3 and time.monotonic() < end:
        time.sleep(0.1)
        now = cpu(pid)
        quiet = quiet + 1 if now - last < 0.01 else 0
        last = now


def allocated(folder):
    """Bytes that the files below a folder really occupy."""
    total = 0
    for base, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.lstat(os.path.join(base, file)).st_blocks * 512
            except OSError:
                continue
    return total


def forget_pages(folder):
    """Asks the kernel to drop the cached pages of all files below a folder."""
    for base, _, files in os.walk(folder):
        for file in files:
            path = os.path.join(base, file)
            if not os.path.isfile(path) or os.path.islink(path):
                continue
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(fd)
