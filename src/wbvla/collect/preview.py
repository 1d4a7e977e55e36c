"""The live preview: a page on loopback with the newest frame and the counts; it can only be looked at."""

import io
import json
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from wbvla.core.errors import ConfigError

PAGE = Path(__file__).with_name("preview.html")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self'; connect-src 'self'"
QUALITY = 70


class Preview:
    """Serves pictures and status until it is left. `with Preview(...) as preview: preview.url`."""

    def __init__(
        self, picture: Callable[[], np.ndarray | None], status: Callable[[], dict[str, Any]], port: int = 0
    ) -> None:
        """`port` 0: any free one."""
        try:
            self._server = ThreadingHTTPServer((LOOPBACK[0], port), partial(_Handler, picture, status))
        except OSError as error:
            raise ConfigError(f"port {port} cannot be used ({error}); choose another with --port") from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="wbvla-preview", daemon=True)

    @property
    def url(self) -> str:
        """What to open."""
        return f"http://{LOOPBACK[0]}:{self._server.server_port}/"

    def __enter__(self) -> "Preview":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET of three names; other hosts' names (DNS rebinding) are turned away."""

    timeout = 5

    def __init__(
        self, picture: Callable[[], np.ndarray | None], status: Callable[[], dict[str, Any]], *given: Any
    ) -> None:
        self._picture, self._status = picture, status
        super().__init__(*given)

    def do_GET(self) -> None:
        """One answer."""
        name = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        path = urlsplit(self.path).path
        if name not in LOOPBACK:
            self._answer(403, "text/plain", b"not from there\n")
        elif path == "/":
            self._answer(200, "text/html; charset=utf-8", PAGE.read_bytes())
        elif path == "/status.json":
            self._answer(200, "application/json", json.dumps(self._status()).encode())
        elif path == "/frame.jpg" and (picture := self._picture()) is not None:
            Image.fromarray(picture).save(jpeg := io.BytesIO(), format="jpeg", quality=QUALITY)
            self._answer(200, "image/jpeg", jpeg.getvalue())
        else:
            self._answer(404, "text/plain", b"there is only /, /frame.jpg and /status.json here\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed between the operator's lines."""

    def _answer(self, code: int, kind: str, content: bytes) -> None:
        self.send_response(code)
        for header, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(content))),
            ("Content-Security-Policy", POLICY),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(content)
