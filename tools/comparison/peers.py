"""larder and its peers as caches that keep to the standards; how they are started is the benchmark's."""

import http.client
import os
import pwd
import re
import subprocess
from pathlib import Path
from string import Template

import servers
from processes import run, start, wait_for

TEMPLATES = Path(__file__).resolve().parent / "templates"
CORES = "0-1023"  # any


class Bench:
    """What the benchmark's servers want to know."""

    def __init__(self, base, larder, options):
        self.base, self.larder, self.larder_options = base, larder, options

    def folder(self, name):
        """A folder for one server."""
        path = self.base / name
        path.mkdir()
        path.chmod(0o755)
        return path


class Peer:
    """What differs from the benchmark: the configuration, and no core of its own."""

    def values(self):
        """What templates may name."""
        user = "#-1" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        return {"dir": self.dir, "port": self.port, "origin": self.origin, "user": user, "modules": "/usr/lib/apache2/modules"}

    def complaint(self):
        """What it said that makes its verdicts void."""
        return ""

    def template(self, source, target, **more):
        """Fills a template of this folder in."""
        (self.dir / target).write_text(Template((TEMPLATES / source).read_text()).substitute(self.values(), **more))
        return self.dir / target

    def launch(self):
        """Starts the process."""
        self.process = start(self.command(), CORES, self.log, self.environment(), cwd=self.dir)


class Larder(Peer, servers.Larder):
    """larder with its defaults; TRACE, which it refuses otherwise, is passed on, and a failure of the origin is not remembered."""

    title = "larder"
    options = ("trace=yes", "origin_retry=0", "pseudonym=larder")

    def command(self):
        command = [self.bench.larder, "-l", f"reverse=127.0.0.1:{self.port},http://127.0.0.1:{self.origin}", "-s", self.dir / "store",
                   "-S", "256M", "-w", "1", "-o", "access_log=off", "-o", f"control={self.dir}/control"]
        for option in (*self.options, *self.bench.larder_options):
            command += ["-o", option]
        return command

    def environment(self):
        return {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}

    def complaint(self):
        """What a sanitizer or a failed check said."""
        found = re.search(r"(AddressSanitizer|ThreadSanitizer|runtime error:|check failed).*(\n.*){0,12}", self.log.read_text("utf-8", "replace"))
        return found.group(0) if found else ""

    @classmethod
    def version(cls, bench):
        done = subprocess.run([bench.larder, "-V"], capture_output=True, text=True, check=False)
        match = re.search(r"\d+\.\d+(\.\d+)*", done.stdout)
        return match.group(0) if match else ""


class Nginx(Peer, servers.Nginx):
    """nginx"""

    title = "nginx"


class Varnish(Peer, servers.Varnish):
    """Varnish; no grace that the origin did not ask for, and stale responses kept for validation"""

    title = "Varnish"

    def command(self):
        return [self.path(self.bench), "-F", "-j", "none", "-n", self.dir / "work", "-f", self.dir / "default.vcl",
                "-a", f"127.0.0.1:{self.port}", "-s", "malloc,256M", "-p", "default_grace=0", "-p", "default_keep=86400", "-p", "http_max_hdr=256"]


class Squid(Peer, servers.Squid):
    """Squid"""

    title = "Squid"

    def prepare(self):
        self.own(self.dir, "proxy")
        self.own(self.dir / "cache", "proxy")
        conf = self.template("squid.conf", "squid.conf")
        run([self.path(self.bench), "-N", "-z", "-n", self.service(), "-f", conf], CORES, self.log)


class TrafficServer(Peer, servers.TrafficServer):
    """Traffic Server"""

    title = "Traffic Server"

    def prepare(self):
        self.lay_out("256M")
        self.template("ats-records.config", "etc/records.config")


class Apache(Peer, servers.Apache):
    """Apache"""

    title = "Apache"


ALL = {cls.name: cls for cls in (Larder, Nginx, Varnish, Squid, TrafficServer, Apache)}


def settings():
    """The benchmark's, which are of no interest here."""
    return servers.Settings()


def wait_ready(server):
    """Waits until answers come from the origin."""
    def answered():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        try:
            connection.request("GET", "/ready", headers={"Host": f"127.0.0.1:{server.origin}"})
            return connection.getresponse().read() == b"ready"
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
    wait_for(answered, 90, f"{server.name} answers")

