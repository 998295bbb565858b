"""The real larder: started, watched, stopped, and asked."""

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

from .client import Client
from .wait import PATIENCE, alive, children, free_port, until

NOBODY = 65534
COMPLAINTS = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error:|check failed|"
    r"Assertion .* failed|Direct leak of|stack smashing")


class Build:
    """The binaries under test, in a place that every user can read."""

    def __init__(self, folder):
        source = Path(folder)
        found = {}
        for name in ("larder", "larderctl"):
            places = [source / name, source / "src" / "main" / name, source / "src" / "ctl" / name]
            found[name] = next((p for p in places if p.is_file()), None)
            assert found[name], f"no {name} in {source}: build it first, or name the build with --build"
        self.home = Path(tempfile.mkdtemp(prefix="larder-bin-", dir="/tmp"))
        self.home.chmod(0o755)
        for name, path in found.items():
            shutil.copy2(path, self.home / name)
            (self.home / name).chmod(0o755)
        self.larder = str(self.home / "larder")
        self.larderctl = str(self.home / "larderctl")
        symbols = (self.home / "larder").read_bytes()
        self.sanitized = any(s in symbols for s in (b"__asan_init", b"__tsan_init", b"__ubsan_handle"))

    def remove(self):
        """Deletes the copies."""
        shutil.rmtree(self.home, ignore_errors=True)


class Larder:
    """One daemon on free ports with a store of its own. Runs as nobody when the tests run as root, unless
    as_root is set."""

    def __init__(self, build, *listeners, workers=1, size="256M", options=(), conf=None, store=True,
                 as_root=False, args=(), nofile=None, env=None):
        self.build = build
        self.listeners = list(listeners) or (["forward"] if conf is None else [])
        self.workers, self.size, self.options = workers, size, list(options)
        self.conf_text, self.store_wanted, self.extra = conf, store, list(args)
        self.as_root = as_root and os.geteuid() == 0
        self.nofile = nofile
        self.more_env = env or {}
        self.home = Path(tempfile.mkdtemp(prefix="larder-test-", dir="/tmp"))
        self.home.chmod(0o755 if self.as_root else 0o700)
        self.store = self.home / "store"
        self.log = self.home / "stderr"
        self.control = self.home / "control"
        self.conf = self.home / "larder.conf"
        self.process = None
        self.ports = []
        self.stdout = b""
        self.complaints_expected = False
        if os.geteuid() == 0 and not self.as_root:
            os.chown(self.home, NOBODY, NOBODY)

    # ---- starting ----

    def _identity(self):
        if os.geteuid() != 0 or self.as_root:
            return {}
        return {"user": NOBODY, "group": NOBODY, "extra_groups": []}

    def environment(self):
        """The daemon's environment."""
        # What the C library has under way in a look-up that the process's end interrupts.
        suppressions = self.home / "lsan.supp"
        suppressions.write_text("leak:__res_context_send\n")
        suppressions.chmod(0o644)
        asan = "detect_leaks=%d:abort_on_error=0:handle_abort=1" % (0 if self.as_root else 1)
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(self.home), "TZ": "UTC",
               "ASAN_OPTIONS": asan, "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
               "LSAN_OPTIONS": f"report_objects=1:suppressions={suppressions}", "TMPDIR": str(self.home)}
        env.update(self.more_env)
        return env

    def write_conf(self, text):
        """Writes the configuration file; {port} and {home} are filled in."""
        self.conf.write_text(text.replace("{port}", str(self.port)).replace("{home}", str(self.home)))
        self.conf.chmod(0o644)

    def command(self):
        """The command line."""
        out = [self.build.larder]
        if self.conf_text is not None:
            out += ["-c", str(self.conf)]
        for i, text in enumerate(self.listeners):
            kind, _, origin = text.partition(",")
            kind, _, address = kind.partition("=")
            place = address or f"127.0.0.1:{self.ports[i]}"
            out += ["-l", f"{kind}={place}" + (f",{origin}" if origin else "")]
        out += ["-s", str(self.store)] if self.store_wanted else ["-o", "store=off"]
        out += ["-S", self.size, "-w", str(self.workers), "-o", f"control={self.control}"]
        for option in self.options:
            out += ["-o", option.replace("{home}", str(self.home))]
        return out + self.extra

    @property
    def port(self):
        """The first listener's port."""
        return self.ports[0]

    def spawn(self):
        """Starts the process without waiting for it to be ready."""
        if self.conf_text is not None:
            self.write_conf(self.conf_text)
        limits = None
        if self.nofile:
            import resource
            limits = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (self.nofile, self.nofile))
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=log, cwd="/", env=self.environment(), preexec_fn=limits,
                                            **self._identity())
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self.stdout = b""
        self._reader.start()

    def _read(self, process):
        while data := process.stdout.read1(4096):
            self.stdout += data

    def start(self):
        """Starts the daemon and waits until it is ready; a port that was lost to somebody is replaced."""
        for attempt in range(4):
            if not self.ports or attempt:
                self.ports = [free_port() for _ in (self.listeners or [0])]
            self.spawn()
            until(lambda: b"larder: ready\n" in self.stdout or self.process.poll() is not None, "larder: ready")
            if self.process.poll() is None:
                return self
            said = self.said()
            if "in use" not in said:
                break
            self.process.stdout.close()
        raise AssertionError(f"larder did not start (status {self.process.returncode}):\n{said}")

    # ---- watching ----

    def said(self):
        """What it wrote to standard error since its last start."""
        with open(self.log, "rb") as f:
            f.seek(self._log_start)
            return f.read().decode("utf-8", "replace")

    @property
    def pid(self):
        """The master."""
        return self.process.pid

    def pids(self):
        """The processes below the master."""
        return children(self.process.pid)

    def title(self, pid):
        """The names a process goes by: its comm and command line."""
        try:
            comm = Path(f"/proc/{pid}/comm").read_text().strip()
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("latin-1")
        except OSError:
            return ""
        return f"{comm} {line}"

    def status(self):
        """larderctl status."""
        return self.ctl("status").stdout

    def role(self, word):
        """Process ids of the children that larderctl status calls worker or keeper."""
        mine = set(self.pids())
        out = []
        for line in self.status().splitlines():
            if word in line.lower():
                out += [int(n) for n in re.findall(r"\b\d+\b", line) if int(n) in mine]
        return out

    def memory(self):
        """Bytes of memory of their own that its processes hold: Pss_Anon + Pss_Shmem."""
        total = 0
        for pid in [self.pid, *self.pids()]:
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(n) for n in re.findall(r"Pss_(?:Anon|Shmem):\s+(\d+) kB", text)) * 1024
        return total

    # ---- asking ----

    def ctl(self, *args, store=False, timeout=60):
        """Runs larderctl."""
        where = ["-s", str(self.store)] if store else ["--socket", str(self.control)]
        return subprocess.run([self.build.larderctl, *where, *args], capture_output=True, text=True,
                              timeout=timeout, env=self.environment(), cwd="/", **self._identity())

    def stats(self):
        """All counters, {"room.name": value}."""
        run = self.ctl("stats", "--json")
        assert run.returncode == 0, run.stderr
        out = {}
        for key, value in json.loads(run.stdout).items():
            if isinstance(value, dict):
                out.update({f"{key}.{k}": v for k, v in value.items()})
            else:
                out[key] = value
        return out

    def stat(self, name):
        """One counter."""
        stats = self.stats()
        assert name in stats, f"no counter {name} in {sorted(stats)}"
        return stats[name]

    def settle(self):
        """Waits until nothing is being fetched, served or written."""
        def quiet():
            s = self.stats()
            return not (s["exchange.fills"] or s["exchange.active"] or s["store.queue_bytes"] or s["store.spools"])
        until(quiet, "larder to come to rest")

    def client(self, listener=0, **more):
        """A raw client on a listener."""
        return Client(self.ports[listener], **more)

    def get(self, url, *fields, **more):
        """One GET on a connection of its own."""
        with self.client() as c:
            return c.get(url, *fields, **more)

    def limit(self, pid, what, soft):
        """Sets a soft limit of one of its processes (what: nofile, as…); the one before."""
        show = ["prlimit", "--pid", str(pid), f"--{what}", "--raw", "--noheadings", "--output", "SOFT,HARD"]
        run = subprocess.run(show, capture_output=True, text=True, check=True, **self._identity())
        before, hard = run.stdout.split()
        subprocess.run(["prlimit", "--pid", str(pid), f"--{what}={soft}:{hard}"], check=True, **self._identity())
        return before

    # ---- stopping ----

    def kill(self):
        """SIGKILL to the master; waits for it and its children to be gone."""
        pids = self.pids()
        self.process.kill()
        self.process.wait(PATIENCE)
        until(lambda: not any(alive(p) for p in pids), "the children to die with their master")

    def stop(self, status=0):
        """SIGTERM, then waits; asserts the exit status, no children left, and nothing ugly on standard error."""
        if self.process is None:
            return
        pids = self.pids()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE + 15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"larder did not end after SIGTERM:\n{self.said()[-4000:]}") from None
        self._reader.join(5)
        code, self.process = self.process.returncode, None
        left = [p for p in pids if alive(p)]
        assert code == status, f"larder exited with {code}:\n{self.said()[-6000:]}"
        assert not left, f"children outlived the master: {left}"
        self.judge()

    def judge(self):
        """No sanitizer report and no failed check in all it ever said."""
        text = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        found = COMPLAINTS.search(text)
        assert not found, "larder complained:\n" + text[max(0, found.start() - 300):found.start() + 6000]

    def remove(self):
        """Ends what still runs and deletes the folder."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def user_name(uid):
    """The name of a user id."""
    return pwd.getpwuid(uid).pw_name
