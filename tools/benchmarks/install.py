"""Gets the peers and the load generators from Debian, without leaving their services running."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# package: the services that it starts
PACKAGES = {"nginx-light": ("nginx",), "varnish": ("varnish", "varnishncsa"), "squid": ("squid",),
            "trafficserver": ("trafficserver",), "apache2": ("apache2", "apache-htcacheclean"), "wrk": ()}
WANTS = Path("/etc/systemd/system/multi-user.target.wants")
POLICY = Path("/usr/sbin/policy-rc.d")  # what Debian asks before it starts a service


def installed(package):
    """Whether a package is there."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True, check=False)
    return "ok installed" in done.stdout


def install():
    """Installs what is missing; services of what was missing are neither started nor enabled."""
    missing = [package for package in PACKAGES if not installed(package)]
    if not missing:
        print("all installed")
        return 0
    if os.geteuid() != 0:
        print(f"needs root to install {' '.join(missing)}", file=sys.stderr)
        return 1
    print(f"installing {' '.join(missing)}")
    made = not POLICY.exists()
    if made:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "-q", "update"], check=True, stdout=subprocess.DEVNULL)
        done = subprocess.run(["apt-get", "-q", "-y", "--no-install-recommends", "install", *missing], check=False,
                              capture_output=True, text=True, env=environment)
        if done.returncode:
            print((done.stdout + done.stderr)[-3000:], file=sys.stderr)
            return 1
    finally:
        if made:
            POLICY.unlink(missing_ok=True)
    services = [service for package in missing for service in PACKAGES[package]]
    if services and shutil.which("systemctl"):
        subprocess.run(["systemctl", "--quiet", "disable", *services], check=False, stderr=subprocess.DEVNULL)
        if Path("/run/systemd/system").exists():
            subprocess.run(["systemctl", "--quiet", "stop", *services], check=False, stderr=subprocess.DEVNULL)
    for service in services:
        # Debian enables them also where systemd is yet to come.
        (WANTS / f"{service}.service").unlink(missing_ok=True)
    return 0
