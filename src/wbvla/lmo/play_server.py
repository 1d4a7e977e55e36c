"""A small local page that shows the driven robot and takes keys: one WebSocket, one driver, loopback unless keyed.

The page sends `{"keys": ["w"]}` ten times a second (its heartbeat) and `{"press": "push"}` once; it gets a JSON status
and a JPEG, in turn, about fifteen times a second. Anything else, or anything long, ends the connection.
"""

import hmac
import io
import json
import os
import secrets
import stat
import threading
import time
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from wbvla.core.errors import ConfigError
from wbvla.lmo.driven import DrivenRobot

PAGE = Path(__file__).with_name("play.html")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_BYTES = 512
"""longest message that is read"""
MIN_KEY = 32
BAD, BUSY, NO_KEY = 1008, 1013, 4401
"""WebSocket close codes: refused message, somebody else drives, wrong key"""
INLINE = "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
POLICY = f"default-src 'none'; {INLINE}; img-src data:; connect-src 'self'"
"""what the page may load: itself"""


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where the page is served, and to whom."""

    address: str = "127.0.0.1"
    """interface to listen on; anything but loopback needs a key"""
    port: int = 8765
    """0: any free one"""
    key: Path | None = None
    """file with the key that a browser must present; made when absent, mode 600. It crosses the network in clear:
    on a network that you do not trust use an ssh tunnel to loopback instead"""
    frames_hz: float = 15.0
    """pictures per second that are sent [Hz]"""
    quality: int = 75
    """of the JPEG"""
    most_messages_hz: float = 100.0
    """a driver that sends more is refused [Hz]"""


def read_key(path: Path) -> str:
    """The key in a file that only its owner may read; made when there is none. Raises ConfigError."""
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(MIN_KEY) + "\n")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} can be read by others; run `chmod 600 {path}` and think of making a new key")
    key = path.read_text().strip()
    if len(key) < MIN_KEY:
        raise ConfigError(f"{path} holds {len(key)} characters, a key has at least {MIN_KEY}; remove it for a new one")
    return key


def parse(message: str | bytes) -> dict[str, Any]:
    """One message of the page. Raises ConfigError naming what is wrong."""
    if isinstance(message, bytes):
        raise ConfigError("messages are text, this one is bytes")
    try:
        said = json.loads(message)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"a message is no JSON: {error}") from error
    if not isinstance(said, dict) or len(said) != 1 or not set(said) <= {"keys", "press", "key"}:
        raise ConfigError("a message is one of keys, press, key")
    (name, value), kinds = next(iter(said.items())), {"keys": list, "press": str, "key": str}
    if not isinstance(value, kinds[name]) or (name == "keys" and not all(isinstance(k, str) for k in value)):
        raise ConfigError(f"{name} must be {'a list of words' if name == 'keys' else 'a word'}")
    return said


class PlayServer:
    """Serves one robot to one driver at a time. `with PlayServer(...) as server: server.url`."""

    def __init__(self, robot: DrivenRobot, config: ServerConfig) -> None:
        if config.address not in LOOPBACK and config.key is None:
            raise ConfigError(
                f"{config.address} can be reached from the network and there is no key: "
                "use 127.0.0.1, or name a key file with --key"
            )
        self._robot, self._config = robot, config
        self._key = None if config.key is None else read_key(config.key)
        self._driver = threading.Lock()
        try:
            self._server: Server = serve(
                self._drive, config.address, config.port, process_request=self._answer, max_size=MAX_BYTES,
                compression=None, server_header=None, open_timeout=5, ping_interval=5, ping_timeout=5, close_timeout=2,
            )  # fmt: skip
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {config.address} port {config.port}: {error.strerror or error}; "
                "is another one running there? --port 0 takes any free one"
            ) from error
        self.port = int(self._server.socket.getsockname()[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="play-server", daemon=True)
        self.refused = 0
        """messages, keys and visitors that were turned away"""

    @property
    def url(self) -> str:
        """What to open; the key is after the #, which a browser does not send."""
        shown = f"[{self._config.address}]" if ":" in self._config.address else self._config.address
        return f"http://{shown}:{self.port}/" + (f"#{self._key}" if self._key else "")

    def __enter__(self) -> "PlayServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._robot.steering.let_go()
        self._thread.join(timeout=5)

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """The page, or None to go on to the WebSocket; other sites and other names of this host are turned away."""
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        name = urlsplit(f"//{host}").hostname
        foreign = origin is not None and urlsplit(origin).netloc != host
        if foreign or (self._key is None and name not in LOOPBACK):
            self.refused += 1
            return connection.respond(HTTPStatus.FORBIDDEN, "not from there\n")
        if request.path == "/drive":
            return None
        if request.path != "/":
            return connection.respond(HTTPStatus.NOT_FOUND, "there is only / here\n")
        content = PAGE.read_bytes()
        headers = Headers({
            "Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(content)),
            "Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Connection": "close",
        })  # fmt: skip
        return Response(HTTPStatus.OK, "OK", headers, content)

    def _drive(self, connection: ServerConnection) -> None:
        """One visitor, until he leaves or says something wrong."""
        try:
            if not self._is_known(connection):
                self._refuse(connection, NO_KEY, "wrong key")
            elif not self._driver.acquire(blocking=False):
                self._refuse(connection, BUSY, "somebody else drives")
            else:
                try:
                    self._serve(connection)
                finally:
                    self._robot.steering.let_go()
                    self._driver.release()
        except (ConnectionClosed, TimeoutError):
            return

    def _is_known(self, connection: ServerConnection) -> bool:
        if self._key is None:
            return True
        try:
            given = parse(connection.recv(timeout=3.0)).get("key", "")
        except ConfigError:
            return False
        return hmac.compare_digest(given.encode(errors="replace"), self._key.encode())

    def _serve(self, connection: ServerConnection) -> None:
        """Keys in on this thread, pictures out on another."""
        over = threading.Event()
        sender = threading.Thread(target=self._show, args=(connection, over), name="play-pictures", daemon=True)
        sender.start()
        allowed, before = 50.0, time.monotonic()
        try:
            for message in connection:
                now = time.monotonic()
                allowed = min(50.0, allowed + (now - before) * self._config.most_messages_hz) - 1.0
                before = now
                if allowed < 0:
                    return self._refuse(connection, BAD, "too many messages")
                self._take(parse(message))
        except ConfigError as error:
            self._refuse(connection, BAD, str(error))
        finally:
            over.set()
            sender.join(timeout=5)

    def _take(self, said: dict[str, Any]) -> None:
        if "keys" in said:
            self._robot.steering.hold(said["keys"])
        elif "press" in said:
            self._robot.steering.press(said["press"])

    def _show(self, connection: ServerConnection, over: threading.Event) -> None:
        """Status and newest picture, each once."""
        shown_s = -1.0
        try:
            while not over.wait(1.0 / self._config.frames_hz):
                connection.send(json.dumps(asdict(self._robot.status)))
                newest = self._robot.picture()
                if newest is None or newest[1] == shown_s:
                    continue
                shown_s = newest[1]
                Image.fromarray(newest[0]).save(jpeg := io.BytesIO(), format="jpeg", quality=self._config.quality)
                connection.send(jpeg.getvalue())
        except ConnectionClosed:
            return

    def _refuse(self, connection: ServerConnection, code: int, why: str) -> None:
        self.refused += 1
        connection.close(code, why.encode(errors="replace")[:120].decode(errors="ignore"))
