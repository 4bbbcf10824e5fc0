"""Servers on loopback for the time of a block."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], context: SSLContext | None = None, **about: object) -> Iterator[int]:
    """The port of a server that answers by `handler`, whose instances have `about` as attributes; TLS by `context`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), about))
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
