"""Keys on disk: modes, allow-list, refusals."""

import pytest

from wbvla.core.errors import ConfigError
from wbvla.deploy.keys import client_keys, make_keys, require_private, server_keys


def test_keys_are_private_kept_and_allowed(tmp_path):
    folder = tmp_path / "keys"
    first = make_keys(folder, "x2")
    assert {p.name: p.stat().st_mode & 0o777 for p in first if p.suffix == ".secret"} == {
        "client.secret": 0o600,
        "server.secret": 0o600,
    }
    server, client = server_keys(folder), client_keys(folder)
    assert client.server == server.public
    assert server.allowed == {client.public}
    make_keys(folder, "second")
    assert client_keys(folder) == client
    assert sorted(p.name for p in (folder / "allowed").iterdir()) == ["second.public", "x2.public"]


def test_missing_readable_damaged_keys_and_an_empty_allow_list_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="wbvla keys"):
        client_keys(tmp_path)
    make_keys(tmp_path)
    (tmp_path / "client.secret").chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        client_keys(tmp_path)
    (tmp_path / "server.public").write_text("short")
    with pytest.raises(ConfigError, match="40"):
        server_keys(tmp_path)
    (tmp_path / "allowed" / "robot.public").unlink()
    with pytest.raises(ConfigError, match="names no robot"):
        server_keys(tmp_path)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://[::1]:1", "ipc:///tmp/x"])
def test_loopback_may_be_open(address):
    require_private(address, has_keys=False)


@pytest.mark.parametrize(
    "address", ["tcp://*:1", "tcp://eth0:1", "tcp://127.0.0.1.evil.org:1", "tcp://localhost.evil:1"]
)
def test_anything_else_needs_keys(address):
    require_private(address, has_keys=True)
    with pytest.raises(ConfigError, match="--keys"):
        require_private(address, has_keys=False)
