"""A web server on loopback that serves a folder, counts what it sends, and can misbehave."""

import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote

from loopback import serving
from trustme import LeafCert

PART = 1 << 16  # bytes that are sent at once
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Web:
    """What is served, and how; it may be changed at any time.

    `cut`: of every so many answers to GET the connection of one ends in the middle. `busy`: the statuses of the next
    answers, such as 503 or 429, with `Retry-After`. `pause`: seconds before each PART. `changes`: after so many answers
    to GET another ETag. `ranges`: "met"; "ignored": the whole file is sent; "wrong": other bytes, which are named
    truly; "short": the connection ends before all that are named are sent; "none", "more": none or more are sent than
    are named, and that is all. `status`: of every answer, if not 200.
    """

    folder: Path
    url: str = ""
    cut: int = 0
    busy: list[int] = field(default_factory=list)
    pause: float = 0
    changes: int = 1 << 30
    ranges: str = "met"
    status: int = 200
    shown: set[str] = field(default_factory=set)  # credentials that came with a request
    sent: Counter[str] = field(default_factory=Counter)  # bytes of bodies, by path
    asked: Counter[str] = field(default_factory=Counter)  # requests, by method
    lock: threading.Lock = field(default_factory=threading.Lock)

    def etag(self, path: Path) -> str:
        return f'"{path.stat().st_mtime_ns:x}-{self.asked["GET"] > self.changes}"'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        web = self.web
        with web.lock:
            web.asked[self.command] += 1
            web.shown |= {self.headers["Authorization"]} - {None}
            number = web.asked["GET"]
            status = web.busy.pop(0) if web.busy else web.status
        path = web.folder / unquote(self.path).lstrip("/")
        if status == 200 and not path.is_file():
            status = 404
        if status != 200:
            self.send_response(status)
            self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = path.stat().st_size
        start, stop = 0, size
        if (wanted := RANGE.fullmatch(self.headers.get("Range", ""))) and web.ranges != "ignored":
            start = int(wanted[1]) + (512 if web.ranges == "wrong" else 0)
            stop = min(stop, int(wanted[2]) + 1 if wanted[2] else stop)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        else:
            self.send_response(200)
        stop = {"none": start, "more": stop + 1}.get(web.ranges, stop)
        self.send_header("ETag", web.etag(path))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if self.command == "GET":
            broken = bool(web.cut) and number % web.cut == 0
            end = start + (stop - start) // 2 if broken or web.ranges == "short" else stop
            with open(path, "rb") as file:
                file.seek(start)
                self._send(file.read(max(0, end - start)))
            self.close_connection = self.close_connection or end < stop

    def _send(self, data: bytes) -> None:
        for at in range(0, len(data), PART):
            time.sleep(self.web.pause)
            part = data[at : at + PART]
            self._count(len(part))  # first: who has it may look at once
            try:
                self.wfile.write(part)
            except ConnectionError:  # the client has heard enough
                self._count(-len(part))
                self.close_connection = True
                return

    def _count(self, size: int) -> None:
        with self.web.lock:
            self.web.sent[self.path] += size


@contextmanager
def web_server(folder: Path, certificate: LeafCert | None = None) -> Iterator[Web]:
    """The folder on a web server, one for https:// if it has a certificate; `url` is its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
    if certificate:
        certificate.configure_cert(context)
    web = Web(folder)
    with serving(_Handler, context, web=web) as port:
        web.url = f"https://localhost:{port}" if certificate else f"http://127.0.0.1:{port}"
        yield web
