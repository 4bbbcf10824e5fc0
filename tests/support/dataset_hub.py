"""A hub of datasets on loopback, as huggingface_hub and obstore ask one: its files are on another host."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from loopback import serving
from web import Web, web_server

LISTING = re.compile(r"/api/datasets/someone/set/tree/(main|v2)/?(.*)")
FILE = re.compile(r"/datasets/someone/set/resolve/(main|v2)/(.+)")
PAGE = 3  # entries in an answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web
    token: str

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        listing, file = LISTING.fullmatch(unquote(url.path)), FILE.fullmatch(unquote(url.path))
        if self.headers.get("Authorization") != f"Bearer {self.token}":
            self._answer(401, {"X-Error-Code": "GatedRepo"})
        elif file and (self.web.folder / file[2]).is_file():  # on another host, which is not to learn the token
            self._answer(302, {"Location": f"{self.web.url}/{quote(file[2])}".replace("127.0.0.1", "localhost")})
        elif listing and (self.web.folder / listing[2]).is_dir():
            folder = self.web.folder / listing[2]
            found = sorted(folder.rglob("*") if "recursive=true" in url.query else folder.iterdir())
            page = re.search(r"cursor=(\d+)", url.query)
            start = int(page[1]) if page else 0
            following = (
                f"http://{self.headers['Host']}{url.path}?{url.query.partition('&cursor')[0]}&cursor={start + PAGE}"
            )
            more = {"Link": f'<{following}>; rel="next"'} if start + PAGE < len(found) else {}
            self._answer(200, more, json.dumps([self._entry(path) for path in found[start : start + PAGE]]))
        else:
            self._answer(404, {"X-Error-Code": "EntryNotFound"})

    def _entry(self, path: Path) -> dict[str, object]:
        kind = "directory" if path.is_dir() else "file"
        return {"type": kind, "oid": "0" * 40, "size": 0, "path": path.relative_to(self.web.folder).as_posix()}

    def _answer(self, status: int, headers: dict[str, str], text: str = "") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(text.encode())


@contextmanager
def dataset_hub(folder: Path, token: str) -> Iterator[tuple[str, Web]]:
    """The folder as the dataset someone/set, for who has the token; the hub's address, and the server of its files."""
    with web_server(folder) as web, serving(_Handler, web=web, token=token) as port:
        yield f"http://127.0.0.1:{port}", web
