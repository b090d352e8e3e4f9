"""A server on this machine that misbehaves as told."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """What it serves and how, and what it was asked for.

    Attributes:
        data: The archive.
        ranges: Whether it goes on from where it is asked to.
        breaks: Bytes after which the connection breaks, one for each answer that has more; then it holds.
        status: Of every answer.
        stated: Content-Length, where it lies.
        tag: ETag.
        page: Sent as HTML instead of the archive.
        asked: The Range header of each request, "" where there was none.
    """

    data: bytes = b""
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)
    status: int = 200
    stated: int | None = None
    tag: str = '"1"'
    page: bytes = b""
    asked: list[str] = field(default_factory=list)
    url: str = ""
    drive: Callable[[str], tuple[bytes, bool]] | None = None
    tls: ssl.SSLContext | None = None


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Serve while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:  # a proxy's way to a TLS address
            assert server.tls is not None
            self.send_response(200)
            self.end_headers()
            secure = server.tls.wrap_socket(self.connection, server_side=True)
            self.connection, self.rfile, self.wfile = secure, secure.makefile("rb"), secure.makefile("wb", 0)  # type: ignore[assignment]
            self.handle_one_request()
            self.close_connection = True
            secure.shutdown(socket.SHUT_RDWR)

        def do_GET(self) -> None:
            body, is_file = server.drive(self.path) if server.drive else (server.page or server.data, not server.page)
            asked = self.headers.get("Range", "")
            server.asked.append(asked)
            unchanged = self.headers.get("If-Range", server.tag) == server.tag
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges and unchanged else 0
            self.send_response(206 if start else server.status)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            if is_file:
                self.send_header("Content-Disposition", 'attachment; filename="parks.zip"')
            self.send_header("ETag", server.tag)
            self.send_header("Content-Type", "application/zip" if is_file else "text/html; charset=utf-8")
            self.send_header("Content-Length", str(server.stated or len(body) - start))
            self.end_headers()
            rest = body[start:]
            if server.breaks and len(rest) > server.breaks[0]:
                self.wfile.write(rest[: server.breaks.pop(0)])
            else:
                self.wfile.write(rest)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is what these tests are about."""

    with Quiet(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_address[1]}/parks.zip"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
