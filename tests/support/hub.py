"""A file server on loopback that can misbehave, and can stand in for the model hub."""

import hashlib
import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from loopback import serving

from pycurate.models.weights import HubWeights

DATA = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
PAIR = HubWeights("Model/tag", "someone/model", ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"))

# A program that fetches PAIR into the folder it is given, and the PYTHONPATH that it needs.
FETCH = "import sys; from hub import *; from pycurate.models.weights import *; fetch_pair(PAIR, Path(sys.argv[1]))"
IMPORTS = str(Path(__file__).parent)

OTHER = 12345  # another user
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


@dataclass
class Served:
    """A file that is served, and how.

    `cut`: close a connection after as many bytes, each or, with `cuts`, the first ones. `pause`: seconds before each
    1,000 bytes. `ranges`: whether a wish to start later is met. `claim`: what Content-Length says, if not the truth.
    `failures`: how many requests are answered with 503 first.
    """

    data: bytes
    cut: int | None = None
    cuts: int = 1 << 30
    pause: float = 0
    ranges: bool = True
    claim: int | None = None
    failures: int = 0
    starts: list[int] = field(default_factory=list)  # where each answer began


class Hub:
    """The server's address and what it serves, by path."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.stored: dict[str, Path] = {}  # hub paths REPOSITORY/NAME -> file
        self.token = ""  # what a client has to show, if anything

    def serve(self, path: str, data: bytes, **how: object) -> str:
        """Serve `data` as `path`; its address."""
        self.files[path] = Served(data, **how)  # type: ignore[arg-type]
        return f"{self.url}{path}"

    def store(self, repository: str, name: str, file: Path) -> None:
        """Have `file` on the hub as `name` in `repository`."""
        self.stored[f"{repository}/{name}"] = file

    url = ""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *args: object) -> None:
        """Nothing: the tests look at what arrived."""

    def do_HEAD(self) -> None:
        """The hub's answer: where a file is, its size and its hash."""
        match = re.fullmatch(r"/(.+)/resolve/[^/]+/([^/]+)", self.path)
        file = self.hub.stored.get(f"{match[1]}/{match[2]}") if match else None
        if self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._refuse(401, "GatedRepo")
            return
        if file is None:
            self._refuse(404, "EntryNotFound")
            return
        data = file.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        self.hub.files.setdefault(f"/store/{digest}", Served(data))
        self.send_response(302)
        # The store is another host than the hub, or its clients would follow.
        self.send_header("Location", f"{self.hub.url.replace('127.0.0.1', 'localhost')}/store/{digest}")
        self.send_header("X-Linked-Etag", f'"{digest}"')
        self.send_header("X-Linked-Size", str(len(data)))
        self.send_header("X-Repo-Commit", hashlib.sha1(data).hexdigest())
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """A file, from the wished byte on."""
        if "/resolve/" in self.path:
            self.do_HEAD()
            return
        served = self.hub.files.get(self.path)
        if served is None:
            self.send_error(404)
            return
        if served.failures:
            served.failures -= 1
            self.send_error(503)
            return
        wish = re.fullmatch(r"bytes=(\d+)-\d*", self.headers.get("Range", "")) if served.ranges else None
        start = int(wish[1]) if wish else 0
        served.starts.append(start)
        body = served.data[start:]
        self.send_response(206 if wish else 200)
        if wish:
            self.send_header("Content-Range", f"bytes {start}-{len(served.data) - 1}/{len(served.data)}")
        self.send_header("Content-Length", str(len(body) if served.claim is None else served.claim))
        self.end_headers()
        cut = served.cut if len(served.starts) <= served.cuts else None
        self._send(body[:cut], served.pause)
        self.close_connection = True

    def _send(self, body: bytes, pause: float) -> None:
        step = 1000 if pause else len(body) or 1
        try:
            for at in range(0, len(body), step):
                time.sleep(pause)
                self.wfile.write(body[at : at + step])
                self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has seen enough


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A server on a free port of loopback, for the time of the block."""
    hub = Hub()
    with serving(_Handler, hub=hub) as port:
        hub.url = f"http://127.0.0.1:{port}"
        yield hub


def visible(folder: Path) -> list[str]:
    """The files that a glob over finished files finds."""
    return sorted(path.name for path in folder.glob("[!.]*"))


def gets(hub: Hub) -> list[list[int]]:
    """From what byte on each of the served files was sent."""
    return [served.starts for served in hub.files.values()]
