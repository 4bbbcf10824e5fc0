"""A proxy on loopback that loses part of an answer: what was asked for is done, and who asked does not learn it."""

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from loopback import serving


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_behind: str
    asked: re.Pattern[str]
    lost: threading.Event

    def log_message(self, *_: object) -> None:
        pass

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        behind = http.client.HTTPConnection(self.server_behind)
        behind.request(self.command, self.path, body, dict(self.headers))
        answer = behind.getresponse()
        content = answer.read()
        whole = self.lost.is_set() or not self.asked.match(f"{self.command} {self.path}")
        if not whole:
            self.lost.set()
            self.close_connection = True
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.headers["Content-Length"] or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if whole else content[: len(content) // 2])

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on


@contextmanager
def losing(url: str, asked: str) -> Iterator[tuple[str, threading.Event]]:
    """The address of a proxy before `url`, and whether it has lost half of the first answer to what matches `asked`,
    such as `POST /.*`."""
    lost = threading.Event()
    with serving(_Handler, server_behind=urlsplit(url).netloc, asked=re.compile(asked), lost=lost) as port:
        yield f"http://127.0.0.1:{port}", lost
