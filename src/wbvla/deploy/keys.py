"""CURVE keys on disk (mode 0600), the allow-list of a server, and the rule that open networks need keys.

    DIR/server.public  DIR/server.secret  DIR/client.public  DIR/client.secret  DIR/allowed/<name>.public

A robot needs `client.*` and `server.public`; a server needs `server.*` and `allowed/`.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from wbvla.core.errors import ConfigError
from wbvla.core.files import write_bytes

KEY_LENGTH = 40
LOOPBACK = ("tcp://127.0.0.1:", "tcp://localhost:", "tcp://[::1]:", "ipc://", "inproc://")


@dataclass(frozen=True, kw_only=True)
class ServerKeys:
    """A server's own pair and the public keys it lets in (Z85)."""

    public: bytes
    secret: bytes
    allowed: frozenset[bytes]


@dataclass(frozen=True, kw_only=True)
class ClientKeys:
    """A robot's own pair and the public key of the one server it trusts (Z85)."""

    public: bytes
    secret: bytes
    server: bytes


def make_keys(folder: Path, client: str = "robot") -> list[Path]:
    """Make a pair for the server and one for a robot, and allow the robot; existing pairs are kept, never replaced."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("server", "client"):
        if not (folder / f"{name}.secret").is_file():
            _write_pair(folder, name)
    write_bytes(folder / "allowed" / f"{client}.public", read_key(folder / "client.public") + b"\n")
    return sorted(p for p in folder.rglob("*") if p.is_file())


def server_keys(folder: Path) -> ServerKeys:
    """Read a server's keys and its allow-list; raises ConfigError when one is missing or readable by others."""
    allowed = frozenset(read_key(p) for p in sorted((folder / "allowed").glob("*.public")))
    if not allowed:
        raise ConfigError(f"{folder}/allowed names no robot; put its client.public there, or run `wbvla keys {folder}`")
    return ServerKeys(
        public=read_key(folder / "server.public"), secret=read_key(folder / "server.secret"), allowed=allowed
    )


def client_keys(folder: Path) -> ClientKeys:
    """Read a robot's keys and the server's public key; raises ConfigError as `server_keys`."""
    return ClientKeys(
        public=read_key(folder / "client.public"),
        secret=read_key(folder / "client.secret"),
        server=read_key(folder / "server.public"),
    )


def read_key(path: Path) -> bytes:
    """One Z85 key; raises ConfigError when it is absent, malformed, or a secret that others may read."""
    if not path.is_file():
        raise ConfigError(f"there is no key {path}; make keys with `wbvla keys {path.parent}`")
    if path.suffix == ".secret" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} can be read by others; run `chmod 600 {path}` and think of making new keys")
    key = path.read_bytes().strip()
    if len(key) != KEY_LENGTH:
        raise ConfigError(f"{path} holds {len(key)} characters, a key has {KEY_LENGTH}")
    return key


def require_private(address: str, has_keys: bool) -> None:
    """Raises ConfigError when an address other than loopback would be used without keys."""
    if not has_keys and not address.startswith(LOOPBACK):
        raise ConfigError(
            f"{address} can be reached from the network and there are no keys: use tcp://127.0.0.1:PORT, or make keys "
            "with `wbvla keys DIR` and pass --keys DIR on both sides"
        )


def _write_pair(folder: Path, name: str) -> None:
    import zmq

    public, secret = zmq.curve_keypair()
    path = folder / f"{name}.secret"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secret + b"\n")
        file.flush()
        os.fsync(file.fileno())
    write_bytes(folder / f"{name}.public", public + b"\n")
