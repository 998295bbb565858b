"""Real and small servers for real clients: nginx, a git server, an npm registry, a PUT/GET store."""

import base64
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .wait import PATIENCE, free_port, listening, until

CONF = """
daemon off;
pid {home}/pid;
error_log {home}/error.log;
{user}
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    types {{ text/html html; text/css css; application/javascript js; image/png png; }}
    default_type application/octet-stream;
    log_format brief '$server_protocol $request_method $request_uri $status $http_range';
    access_log {home}/access.log brief;
    client_body_temp_path {home}/t1; proxy_temp_path {home}/t2; fastcgi_temp_path {home}/t3;
    uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;
    keepalive_timeout 30s;
    {more}
    server {{
        listen 127.0.0.1:{port}{ssl};
        {certificates}
        root {home}/www;
        autoindex on;
    }}
}}
"""


class Nginx:
    """nginx over a folder of its own."""

    def __init__(self, tls=None, http2=False, more=""):
        self.home = Path(tempfile.mkdtemp(prefix="larder-nginx-", dir="/tmp"))
        self.home.chmod(0o755)
        self.www = self.home / "www"
        self.www.mkdir()
        self.tls, self.http2, self.more = tls, http2, more
        self.process = None

    def __enter__(self):
        for _ in range(4):
            self.port = free_port()
            certificates = f"ssl_certificate {self.tls[1]}; ssl_certificate_key {self.tls[0]};" if self.tls else ""
            (self.home / "conf").write_text(CONF.format(
                home=self.home, port=self.port, user="user root;" if os.geteuid() == 0 else "", more=self.more,
                ssl=(" ssl" if self.tls else "") + (" http2" if self.http2 else ""), certificates=certificates))
            self.process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(self.home / "conf"),
                                             "-e", str(self.home / "error.log")],
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            until(lambda: self.process.poll() is not None or listening(self.port), "nginx")
            if self.process.poll() is None:
                return self
        raise AssertionError("nginx does not start: " + (self.home / "error.log").read_text())

    def __exit__(self, *exc):
        self.process.terminate()
        self.process.wait(PATIENCE)
        shutil.rmtree(self.home, ignore_errors=True)

    def url(self, path="/"):
        """The URL of a path."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{path}"

    def write(self, name, data, age=0):
        """A file below the root, `age` seconds old."""
        path = self.www / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        self.age(path, age)
        return path

    @staticmethod
    def age(path, seconds):
        """Makes a file look old, so that it has a heuristic lifetime."""
        when = time.time() - seconds
        os.utime(path, (when, when))

    def access(self):
        """Lines of the access log."""
        return (self.home / "access.log").read_text().splitlines()


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 without log lines; answers are sent by reply()."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        """Says nothing."""

    def reply(self, status, body=b"", **fields):
        """Sends a whole answer; underscores in field names stand for hyphens."""
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        """The request body."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            out = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                out += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return out
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))


class Small:
    """A threaded server with a handler class, as a context manager."""

    handler = Handler

    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("H", (self.handler,), {"owner": self}))
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.requests = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()

    def url(self, path="/"):
        """The URL of a path."""
        return f"http://127.0.0.1:{self.port}{path}"


class GitServer(Small):
    """git http-backend(1) over a folder of repositories."""

    def __init__(self, root):
        self.root = str(root)

    class handler(Handler):
        """Runs the backend as a CGI program."""

        def do_GET(self):
            """Both methods alike."""
            self.owner.requests.append((self.command, self.path))
            url = urlsplit(self.path)
            env = {**os.environ, "GIT_PROJECT_ROOT": self.owner.root, "GIT_HTTP_EXPORT_ALL": "1",
                   "REQUEST_METHOD": self.command, "PATH_INFO": unquote(url.path), "QUERY_STRING": url.query,
                   "CONTENT_TYPE": self.headers.get("Content-Type", ""), "REMOTE_ADDR": "127.0.0.1",
                   "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                   "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "REMOTE_USER": "tester",
                   "GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
                   "GIT_CONFIG_KEY_1": "http.receivepack", "GIT_CONFIG_VALUE_1": "true"}
            data = self.body()
            env["CONTENT_LENGTH"] = str(len(data))
            out = subprocess.run(["git", "http-backend"], input=data, env=env, capture_output=True, timeout=60).stdout
            head, _, body = out.partition(b"\r\n\r\n")
            status, fields = 200, {}
            for line in head.decode().split("\r\n"):
                name, _, value = line.partition(": ")
                if name == "Status":
                    status = int(value.split()[0])
                elif name:
                    fields[name] = value
            self.reply(status, body, **fields)

        do_POST = do_GET


class NpmRegistry(Small):
    """Packuments and tarballs of packages made here."""

    def __init__(self):
        self.packages = {}

    def add(self, name, version, files, dependencies=None):
        """Publishes a package."""
        manifest = {"name": name, "version": version, "main": "index.js", "dependencies": dependencies or {}}
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            for path, text in {"package.json": json.dumps(manifest), **files}.items():
                info = tarfile.TarInfo("package/" + path)
                data = text.encode() if isinstance(text, str) else text
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
        self.packages[name] = (manifest, gzip.compress(raw.getvalue(), mtime=0))

    class handler(Handler):
        """Answers as registries do: packuments for five minutes, tarballs for good."""

        def do_GET(self):
            """A packument or a tarball."""
            self.owner.requests.append(self.path)
            path = unquote(urlsplit(self.path).path)
            name = path.strip("/").split("/-/")[0]
            if name not in self.owner.packages:
                self.reply(404, b"{}", Content_Type="application/json")
                return
            manifest, tarball = self.owner.packages[name]
            if "/-/" in path:
                self.reply(200, tarball, Content_Type="application/octet-stream", Cache_Control="public, max-age=31557600",
                           ETag='"%s"' % hashlib.md5(tarball).hexdigest())
                return
            url = self.owner.url(f"/{name}/-/{name}-{manifest['version']}.tgz")
            dist = {"tarball": url, "shasum": hashlib.sha1(tarball).hexdigest(),
                    "integrity": "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()}
            doc = json.dumps({"name": name, "dist-tags": {"latest": manifest["version"]},
                              "versions": {manifest["version"]: {**manifest, "dist": dist}}}).encode()
            tag = '"%s"' % hashlib.md5(doc).hexdigest()
            if self.headers.get("If-None-Match") == tag:
                self.reply(304, ETag=tag)
                return
            self.reply(200, doc, Content_Type="application/vnd.npm.install-v1+json", Cache_Control="public, max-age=300",
                       ETag=tag, Vary="Accept-Encoding, Accept")

        do_HEAD = do_GET


class PutStore(Small):
    """Keeps what is PUT, for ccache."""

    def __init__(self):
        self.items = {}

    class handler(Handler):
        """GET, HEAD, PUT, DELETE."""

        def do_GET(self):
            """An item."""
            self.owner.requests.append((self.command, self.path))
            item = self.owner.items.get(self.path)
            self.reply(200 if item is not None else 404, item or b"")

        do_HEAD = do_GET

        def do_PUT(self):
            """Stores an item."""
            self.owner.requests.append((self.command, self.path))
            self.owner.items[self.path] = self.body()
            self.reply(201)

        def do_DELETE(self):
            """Removes an item."""
            self.owner.items.pop(self.path, None)
            self.reply(204)
