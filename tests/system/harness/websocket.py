"""RFC 6455 in its smallest form: an echo server and a client."""

import base64
import hashlib
import os
import socket
import struct
import threading

from .client import Client

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key):
    """Sec-WebSocket-Accept for a key (§4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + MAGIC).digest()).decode()


def frame(opcode, payload, mask=False):
    """One final frame (§5.2)."""
    size = len(payload)
    head = bytes([0x80 | opcode])
    bit = 0x80 if mask else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + apply_mask(payload, key)


def apply_mask(payload, key):
    """§5.3"""
    size = len(payload)
    stretched = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")).to_bytes(size, "big") if size else b""


def read_frame(exactly):
    """(opcode, payload) of the next frame."""
    first, second = exactly(2)
    size = second & 127
    if size == 126:
        size = struct.unpack(">H", exactly(2))[0]
    elif size == 127:
        size = struct.unpack(">Q", exactly(8))[0]
    key = exactly(4) if second & 128 else None
    payload = exactly(size) if size else b""
    return first & 15, apply_mask(payload, key) if key else payload


class Server:
    """Echoes each message."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock):
        stream = sock.makefile("rb")
        key = ""
        try:
            while (line := stream.readline().strip()):
                name, _, value = line.decode("latin-1").partition(":")
                if name.lower() == "sec-websocket-key":
                    key = value.strip()
            sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         + f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n".encode())
            while True:
                opcode, payload = read_frame(stream.read)
                sock.sendall(frame(opcode, payload))
                if opcode == 8:
                    break
        except (OSError, ValueError):
            pass
        sock.close()

    def stop(self):
        """No more connections."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Connection:
    """A client's side."""

    def __init__(self, client, target, host):
        self.client = client
        key = base64.b64encode(os.urandom(16)).decode()
        client.send(client.compose("GET", target, ["Connection: Upgrade", "Upgrade: websocket",
                                                   f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"], host=host))
        r = client.response()
        assert r.status == 101 and r.get("Sec-WebSocket-Accept") == accept_key(key), r.raw

    @classmethod
    def through_proxy(cls, proxy, port, tunnel):
        """By absolute-form and Upgrade, or inside a CONNECT tunnel."""
        client, host = Client(proxy), f"127.0.0.1:{port}"
        if not tunnel:
            return cls(client, f"http://{host}/", host)
        client.send(f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n")
        assert client.response("CONNECT").status == 200
        return cls(client, "/", host)

    @classmethod
    def through_reverse(cls, port):
        """As a visitor of a reverse listener."""
        return cls(Client(port), "/", "www.example")

    def send(self, message):
        """A binary message."""
        self.client.send(frame(2, message, mask=True))

    def receive(self):
        """The next message."""
        return read_frame(self.client.exactly)[1]

    def close(self):
        """The closing handshake."""
        self.client.send(frame(8, b"", mask=True))
        assert read_frame(self.client.exactly)[0] == 8
        self.client.close()
