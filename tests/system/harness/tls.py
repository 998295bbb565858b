"""A certificate authority for a test run, made with openssl(1)."""

import ssl
import subprocess
from pathlib import Path


class Authority:
    """A CA and the certificates it signs, in a folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.key, self.cert = self.folder / "ca.key", self.folder / "ca.pem"
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                  "-subj", "/CN=larder test authority", "-addext", "basicConstraints=critical,CA:TRUE",
                  "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", self.key, "-out", self.cert)

    @staticmethod
    def _run(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)

    def issue(self, name, names, days=2):
        """A key and certificate for subject alternative names; returns their paths."""
        key, req, cert, ext = (self.folder / f"{name}.{s}" for s in ("key", "req", "pem", "ext"))
        ext.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                  "-keyout", key, "-out", req)
        self._run("x509", "-req", "-in", req, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                  "-extfile", ext, "-out", cert)
        for path in (self.cert, key, cert):
            path.chmod(0o644)
        return key, cert

    @staticmethod
    def context(pair):
        """A server context for a key and certificate."""
        key, cert = pair
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context
