"""larder and its peers: how each is configured, started and asked for its version."""

import http.client
import os
import pwd
import re
import shutil
import subprocess
import time
from pathlib import Path
from string import Template

import processes
from processes import Failure, SERVER_CORE, accepts, files_limit, find, free_port, run, start, stop, wait_for

TEMPLATES = Path(__file__).resolve().parent / "templates"
MEBI = 1 << 20
AVERAGE = 4000  # the object size that Traffic Server makes its directory for


class Settings:
    """What servers of one group of works are started with."""

    def __init__(self, cap=8 << 30, memory=3 << 30):
        self.cap, self.memory = cap, memory


class Server:
    """One server under test. Its folder and port live as long as the object; it can be started again."""

    name = ""
    program = ""
    title = ""
    caches = True  # the bare responder does not
    persistent = True  # finds its store again after a restart
    only = None  # names of works, where not all
    version_args = ("-V",)

    def __init__(self, bench, settings, origin):
        self.bench, self.settings, self.origin = bench, settings, origin
        self.port = free_port()
        self.dir = bench.folder(self.name)
        self.log = self.dir / "log"
        self.process = None

    @classmethod
    def path(cls, bench):
        """The program's path, or None where it is not installed."""
        return find(cls.program)

    @classmethod
    def version(cls, bench):
        """The program's version as it says it."""
        done = subprocess.run([cls.path(bench), *cls.version_args], capture_output=True, text=True, check=False)
        match = re.search(r"\d+\.\d+(\.\d+)*", done.stdout + done.stderr)
        return match.group(0) if match else "?"

    def values(self):
        """What templates may name."""
        s = self.settings
        return {"dir": self.dir, "port": self.port, "origin": self.origin, "cap": s.cap, "memory": s.memory,
                "cap_mb": s.cap // MEBI, "memory_mb": s.memory // MEBI,
                "files": files_limit(), "cached_files": files_limit() // 2}

    def template(self, source, target, **more):
        """Fills a template in."""
        text = Template((TEMPLATES / source).read_text()).substitute(self.values(), **more)
        (self.dir / target).write_text(text)
        return self.dir / target

    def own(self, path, user):
        """Makes a folder and, as root, gives it to the user that the server becomes."""
        path.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            entry = pwd.getpwnam(user)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        return path

    def prepare(self):
        """Writes configuration and folders, once."""

    def command(self):
        """The command line that runs the server in the foreground."""
        raise NotImplementedError

    def environment(self):
        """What to add to the environment."""
        return {}

    def launch(self):
        """Starts the process without waiting."""
        self.process = start(self.command(), SERVER_CORE, self.log, self.environment(), cwd=self.dir)

    def start(self):
        """Starts the server and waits until it accepts."""
        self.launch()
        wait_for(lambda: self.process.poll() is not None or accepts(self.port), 60, f"{self.name} accepts connections")
        if self.process.poll() is not None:
            raise Failure(f"{self.name} ended at once: {self.last_words()}")

    def last_words(self):
        """The end of its log."""
        lines = self.log.read_text("utf-8", "replace").split("\n") if self.log.exists() else []
        return " | ".join(line for line in lines[-6:] if line)

    def flush(self):
        """Waits until a restart would find what is stored."""
        processes.settle(self.pid)

    def stop(self):
        """Ends it and whatever it started."""
        stop(self.process)
        self.process = None

    def remove(self):
        """Ends it and removes all its files."""
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def pid(self):
        """The process that everything else descends from."""
        return self.process.pid


class Bare(Server):
    """The practical limit."""

    name, title, caches = "bare", "bare responder", False

    @classmethod
    def path(cls, bench):
        return str(bench.tool("bare"))

    @classmethod
    def version(cls, bench):
        return ""

    def command(self):
        return [self.bench.tool("bare"), self.port]


class Larder(Server):
    """larder as a reverse proxy, with every stored response synced before it counts."""

    name, title = "larder", "larder"
    options = ()

    @classmethod
    def path(cls, bench):
        return str(bench.larder) if bench.larder else None

    def prepare(self):
        self.dir.chmod(0o755)

    def command(self):
        args = [self.bench.larder, "-l", f"reverse=127.0.0.1:{self.port},http://127.0.0.1:{self.origin}",
                "-s", self.dir / "store", "-S", str(self.settings.cap), "-w", "1", "-o", "access_log=off"]
        for option in (*self.options, *self.bench.larder_options):
            args += ["-o", option]
        return args


class LarderBatch(Larder):
    """larder that syncs once a second."""

    name, title = "larder-batch", "larder, durability=batch"
    options = ("durability=batch",)
    only = ("miss-4k", "miss-64k", "phases")


class Nginx(Server):
    """nginx with proxy_cache."""

    name, title, program = "nginx", "nginx proxy_cache", "nginx"
    version_args = ("-v",)

    def prepare(self):
        self.template("nginx.conf", "nginx.conf")

    def command(self):
        return [self.path(self.bench), "-p", self.dir, "-c", self.dir / "nginx.conf", "-e", self.dir / "error.log"]


class Varnish(Server):
    """Varnish with its store in memory."""

    name, title, program, persistent = "varnish", "Varnish, malloc", "varnishd", False

    def storage(self):
        """The -s argument."""
        return f"malloc,{self.settings.cap}"

    def prepare(self):
        self.template("varnish.vcl", "default.vcl")

    def command(self):
        return [self.path(self.bench), "-F", "-j", "none", "-n", self.dir / "work", "-f", self.dir / "default.vcl",
                "-a", f"127.0.0.1:{self.port}", "-s", self.storage(), "-t", "86400",
                "-p", "thread_pools=1", "-p", "thread_pool_min=200", "-p", "thread_pool_max=2000",
                "-p", "timeout_idle=300", "-p", "vsl_mask=-VCL_trace", "-p", "listen_depth=4096",
                "-p", "default_grace=10", "-p", "nuke_limit=100000"]


class VarnishFile(Varnish):
    """Varnish with its store in a file."""

    name, title = "varnish-file", "Varnish, file"
    only = ("miss-4k", "miss-64k", "phases", "memory")

    def storage(self):
        return f"file,{self.dir}/storage,{self.settings.cap}"


class Squid(Server):
    """Squid with memory and a file for each object."""

    name, title, program = "squid", "Squid, aufs", "squid"
    version_args = ("-v",)
    store = ("aufs", " 16 256")

    def prepare(self):
        self.own(self.dir, "proxy")
        self.own(self.dir / "cache", "proxy")
        conf = self.template("squid.conf", "squid.conf", store=self.store[0], store_args=self.store[1])
        run([self.path(self.bench), "-N", "-z", "-n", self.service(), "-f", conf], SERVER_CORE, self.log)

    def service(self):
        """Shared memory and sockets of an instance are named by this."""
        return f"bench{os.getpid()}p{self.port}"

    def command(self):
        return [self.path(self.bench), "-N", "-n", self.service(), "-f", self.dir / "squid.conf"]

    def remove(self):
        super().remove()
        for left in Path("/dev/shm").glob(f"*{self.service()}*"):
            left.unlink(missing_ok=True)


class SquidRock(Squid):
    """Squid with all objects in one file: better at storing, worse at hits."""

    name, title = "squid-rock", "Squid, rock"
    store = ("rock", " max-size=104857600")
    only = ("miss-4k", "miss-64k", "phases", "memory", "restart")


class TrafficServer(Server):
    """Apache Traffic Server."""

    name, title, program = "ats", "Traffic Server", "traffic_server"
    sync = 5

    def flush(self):
        # It writes its directory every so often, 2 MiB each half second, and not when it ends.
        directory = 10 * self.settings.cap / AVERAGE
        time.sleep(3 * self.sync + 1.5 * directory / (4 * MEBI))

    def lay_out(self, cap):
        """Its folders and all of its files but records.config."""
        root = {"prefix": "/usr", "exec_prefix": "/usr", "bindir": "/usr/bin", "sbindir": "/usr/bin",
                "sysconfdir": self.dir / "etc", "datadir": self.dir, "includedir": "/usr/include",
                "libdir": "/usr/lib/trafficserver", "libexecdir": "/usr/lib/trafficserver/modules",
                "localstatedir": self.dir, "runtimedir": self.dir / "run", "logdir": self.dir / "logs",
                "cachedir": self.dir / "cache"}
        (self.dir / "runroot.yaml").write_text("".join(f"{key}: {value}\n" for key, value in root.items()))
        for name in ("etc", "run", "logs", "cache"):
            (self.dir / name).mkdir()
        (self.dir / "etc/remap.config").write_text(f"map / http://127.0.0.1:{self.origin}/\n")
        (self.dir / "etc/storage.config").write_text(f"{self.dir}/cache {cap}\n")
        for name in ("plugin.config", "ssl_multicert.config", "hosting.config", "volume.config", "parent.config"):
            (self.dir / "etc" / name).write_text("")
        allow = Path("/etc/trafficserver/ip_allow.yaml")
        if allow.exists():
            shutil.copy(allow, self.dir / "etc/ip_allow.yaml")

    def prepare(self):
        self.lay_out(self.settings.cap)
        user = "#-1" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.template("ats-records.config", "etc/records.config", user=user, sync=self.sync,
                      average=AVERAGE)

    def command(self):
        return [self.path(self.bench), f"--run-root={self.dir}/runroot.yaml"]


class Apache(Server):
    """Apache httpd with mod_cache_disk."""

    name, title, program = "apache", "Apache mod_cache_disk", "apache2"
    version_args = ("-v",)

    def prepare(self):
        self.own(self.dir / "cache", "www-data")
        self.template("apache.conf", "apache.conf", modules="/usr/lib/apache2/modules")

    def command(self):
        return [self.path(self.bench), "-D", "FOREGROUND", "-d", self.dir, "-f", self.dir / "apache.conf"]


ALL = {cls.name: cls for cls in (Bare, Larder, LarderBatch, Nginx, Varnish, VarnishFile, Squid, SquidRock,
                                 TrafficServer, Apache)}


def serves(server, number, size):
    """Asks a server for one URL and says how it was answered: status, body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", f"/{size}/{number}", headers={"Host": "bench.test"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_serving(server, seconds=60):
    """Waits until answers come (some accept before their store is ready)."""
    def answered():
        try:
            return serves(server, "ready", 16)[0] == 200
        except (OSError, http.client.HTTPException):
            return False
    wait_for(answered, seconds, f"{server.name} answers")
