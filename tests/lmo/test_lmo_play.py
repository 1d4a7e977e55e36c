"""Driving by hand: keys become commands, the page's server moves a real simulated robot and refuses what is wrong."""

import http.client
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from wbvla.core.errors import ConfigError, RenderError
from wbvla.lmo.driven import DrivenConfig, DrivenRobot
from wbvla.lmo.play import PlayConfig, serve_page
from wbvla.lmo.play_server import BAD, BUSY, MAX_BYTES, NO_KEY, PlayServer, ServerConfig, parse, read_key
from wbvla.lmo.play_window import Switches, has_display, show_window
from wbvla.lmo.steer import SteerConfig, Steering
from wbvla.robots.platforms import load_robot, shipped_lmo

SPEC = load_robot("agibot_x2")
SMALL = DrivenConfig(width=64, height=48, picture_hz=5.0)
PATIENCE_S = 60.0
"""a busy machine runs the loop slower than real time"""


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def robot() -> Iterator[DrivenRobot]:
    """A robot whose loop runs in a thread, as `wbvla lmo play` has it."""
    made = DrivenRobot(shipped_lmo("agibot_x2"), SPEC, Steering(SPEC, SteerConfig()), SMALL)
    loop = threading.Thread(target=made.run, daemon=True)
    loop.start()
    yield made
    made.stop()
    loop.join(timeout=10)
    made.close()


@pytest.fixture
def server(robot: DrivenRobot) -> Iterator[PlayServer]:
    robot.steering.press("reset")
    with PlayServer(robot, ServerConfig(port=0)) as made:
        yield made


def address(server: PlayServer) -> str:
    return f"ws://127.0.0.1:{server.port}/drive"


def drive(client: ClientConnection, keys: list[str], until, press: str = "", patience_s: float = PATIENCE_S) -> dict:
    """Hold keys with a heartbeat, and press what is over soon with each, until the status says so; returns that one."""
    limit, beat, status = time.monotonic() + patience_s, 0.0, {}
    while time.monotonic() < limit:
        if time.monotonic() - beat > 0.1:
            client.send(json.dumps({"keys": keys}))
            if press:
                client.send(json.dumps({"press": press}))
            beat = time.monotonic()
        message = client.recv(timeout=10)
        if isinstance(message, str):
            status = json.loads(message)
            if until(status):
                return status
    raise AssertionError(f"not within {patience_s} s: {status}")


def closed_with(client: ClientConnection) -> int:
    """The code with which the server ends the connection."""

    def listen() -> None:
        while True:
            client.recv(timeout=10)

    with pytest.raises(ConnectionClosed) as caught:
        listen()
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def test_keys_are_commands_and_silence_is_standing() -> None:
    clock = Clock()
    steering = Steering(SPEC, SteerConfig(dead_man_s=0.5, height_rate_mps=0.1), clock)
    assert steering.command(0.02).is_stand
    steering.hold(["w", "a"])
    assert steering.command(0.02).flags == (1, 1, 0)
    steering.hold(["w", "s", "e"])
    assert steering.command(0.02).flags == (0, 0, -1), "forward and back cancel out"
    steering.hold(["w", " "])
    assert steering.command(0.02).is_stand
    steering.hold(["w"])
    clock.now_s += 0.51
    assert steering.command(0.02).is_stand, "nobody has confirmed the key"
    steering.hold(["w"])
    steering.let_go()
    assert steering.command(0.02).is_stand


def test_height_keys_stay_in_the_robots_range() -> None:
    steering = Steering(SPEC, SteerConfig(dead_man_s=1e9, height_rate_mps=0.1), Clock())
    steering.hold(["f"])
    assert steering.command(1.0).height_m == pytest.approx(SPEC.nominal_height_m - 0.1)
    for _ in range(100):
        steering.command(1.0)
    assert steering.command(1.0).height_m == SPEC.height_range_m[0]
    steering.hold(["r"])
    assert steering.command(1e3).height_m == SPEC.height_range_m[1]
    steering.level()
    steering.hold([])
    assert steering.command(1.0).height_m == SPEC.nominal_height_m


@pytest.mark.parametrize("keys", [["z"], ["w", "forward"], ["W"]])
def test_unknown_keys_and_presses_are_refused(keys: list[str]) -> None:
    steering = Steering(SPEC, SteerConfig())
    with pytest.raises(ConfigError, match="no such keys"):
        steering.hold(keys)
    with pytest.raises(ConfigError, match="nothing is called"):
        steering.press("jump")
    for _ in range(1000):
        steering.press("push")
    assert len(steering.take()) == 8, "what waits is bounded"
    assert steering.take() == []


def test_keys_of_the_window_are_switches(robot: DrivenRobot) -> None:
    """GLFW's codes: 265 up, 264 down, 32 space, 80 P."""
    switches, steering = Switches(robot), robot.steering
    switches.press(265)
    switches.confirm()
    assert steering.command(0.0).flags == (1, 0, 0)
    switches.press(264)
    switches.confirm()
    assert steering.command(0.0).flags == (-1, 0, 0), "back replaces forward"
    switches.press(264)
    switches.confirm()
    assert steering.command(0.0).is_stand
    switches.press(265)
    switches.press(32)
    switches.confirm()
    assert steering.command(0.0).is_stand
    switches.press(999)


@pytest.mark.parametrize(
    "message",
    ["", "{", "[]", "1", "null", '{"keys": "w"}', '{"keys": [1]}', '{"keys": [], "press": "push"}', '{"go": 1}',
     '{"press": ["push"]}', b'{"keys": []}', "[" * 400],
)  # fmt: skip
def test_messages_that_are_none_are_refused(message: str | bytes) -> None:
    with pytest.raises(ConfigError):
        parse(message)


def test_held_key_walks_the_robot_and_release_stops_it(server: PlayServer) -> None:
    with connect(address(server)) as client:
        start = drive(client, [], lambda s: s["time_s"] > 0.2)
        ahead = drive(client, ["w"], lambda s: s["place_m"][0] > start["place_m"][0] + 0.5)
        assert ahead["flags"] == [1, 0, 0]
        assert ahead["speed"][0] > 0.15
        assert not ahead["fallen"]
        rest = drive(client, [], lambda s: abs(s["speed"][0]) < 0.1 and s["flags"] == [0, 0, 0])
        assert rest["reference"][0] < ahead["reference"][0]


def test_pictures_of_the_robot_come_as_jpeg(server: PlayServer) -> None:
    with connect(address(server)) as client:
        pictures: list[bytes] = []
        while len(pictures) < 3:
            client.send('{"keys": ["q"]}')
            message = client.recv(timeout=10)
            pictures += [message] if isinstance(message, bytes) else []
        assert all(p.startswith(b"\xff\xd8") and p.endswith(b"\xff\xd9") for p in pictures)
        assert pictures[0] != pictures[2], "it moves"


def test_pushes_arms_and_fresh_starts(server: PlayServer, robot: DrivenRobot) -> None:
    with connect(address(server)) as client:
        arms = drive(client, [], lambda s: True)["arms"]
        client.send('{"press": "arms"}')
        drive(client, [], lambda s: s["arms"] != arms)
        drive(client, [], lambda s: s["pushed"], press="push")
        drive(client, ["f"], lambda s: s["height_m"] < 0.56)
        client.send('{"keys": []}')  # a key that is still held moves the new start's height too
        client.send('{"press": "reset"}')
        drive(client, [], lambda s: s["height_goal_m"] == SPEC.nominal_height_m and abs(s["place_m"][0]) < 0.05)
        client.send('{"press": "arms"}')
        drive(client, [], lambda s: s["arms"] == arms)


def test_a_closed_page_lets_the_robot_stand(server: PlayServer, robot: DrivenRobot) -> None:
    with connect(address(server)) as client:
        drive(client, ["w"], lambda s: s["flags"] == [1, 0, 0])
    limit = time.monotonic() + PATIENCE_S
    while robot.status.flags != (0, 0, 0) and time.monotonic() < limit:
        time.sleep(0.02)
    assert robot.status.flags == (0, 0, 0)


def test_a_silent_page_lets_the_robot_stand(server: PlayServer) -> None:
    """The socket stays open, its heartbeat stops."""
    with connect(address(server)) as client:
        drive(client, ["w"], lambda s: s["flags"] == [1, 0, 0])
        limit = time.monotonic() + PATIENCE_S
        while time.monotonic() < limit:
            message = client.recv(timeout=10)
            if isinstance(message, str) and json.loads(message)["flags"] == [0, 0, 0]:
                return
    raise AssertionError("it walks on")


@pytest.mark.parametrize(
    "message", ["nonsense", '{"keys": ["z"]}', '{"press": "jump"}', '{"press": "' + 200 * "é" + '"}', b"\x00"]
)
def test_a_wrong_message_ends_the_visit(server: PlayServer, message: str | bytes) -> None:
    with connect(address(server)) as client:
        client.send(message)
        assert closed_with(client) == BAD
    assert server.refused == 1


def test_long_and_too_many_messages_end_the_visit(server: PlayServer) -> None:
    with connect(address(server)) as client:
        client.send('{"keys": [' + " " * MAX_BYTES + "]}")
        assert closed_with(client) == 1009
    with connect(address(server)) as client:

        def flood() -> None:
            for _ in range(100_000):
                client.send('{"keys": []}')

        with pytest.raises(ConnectionClosed):
            flood()


def test_one_drives_at_a_time(server: PlayServer) -> None:
    with connect(address(server)) as first:
        drive(first, [], lambda s: True)
        with connect(address(server)) as second:
            assert closed_with(second) == BUSY
        drive(first, [], lambda s: True)
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:  # the first one's thread may need a moment to leave
        with connect(address(server)) as third:
            try:
                return drive(third, [], lambda s: True) and None
            except ConnectionClosed:
                time.sleep(0.1)
    raise AssertionError("nobody can drive any more")


def test_page_is_served_and_other_sites_are_turned_away(server: PlayServer) -> None:
    def get(path: str, **headers: str) -> tuple[int, str, str]:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        client.request("GET", path, headers=headers)
        answer = client.getresponse()
        return answer.status, answer.read().decode(), answer.headers.get("Content-Security-Policy", "")

    status, text, policy = get("/")
    assert status == 200
    assert "<title>wbvla lmo play</title>" in text
    assert "default-src 'none'" in policy
    assert get("/../../etc/passwd")[0] == 404
    assert get("/", Host="evil.example")[0] == 403, "a name that was made to point here"
    with pytest.raises(InvalidStatus, match="403"):
        connect(address(server), origin="http://evil.example")  # pyright: ignore[reportArgumentType]


def test_open_addresses_need_a_key(robot: DrivenRobot, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no key"):
        PlayServer(robot, ServerConfig(address="0.0.0.0", port=0))
    file = tmp_path / "play.key"
    with PlayServer(robot, ServerConfig(address="127.0.0.1", port=0, key=file)) as server:
        assert file.stat().st_mode & 0o777 == 0o600
        key = file.read_text().strip()
        assert len(key) >= 32
        assert server.url.endswith("#" + key)
        for said in ('{"key": "wrong"}', '{"keys": ["w"]}', "nonsense"):
            with connect(address(server)) as client:
                client.send(said)
                assert closed_with(client) == NO_KEY
        with connect(address(server)) as client:
            client.send(json.dumps({"key": key}))
            drive(client, [], lambda s: True)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_key(file)
    short = tmp_path / "short.key"
    short.write_text("abc")
    short.chmod(0o600)
    with pytest.raises(ConfigError, match="at least 32"):
        read_key(short)


def test_a_page_that_cannot_be_served_says_why_and_leaves_ctrl_c_alone(robot: DrivenRobot, server: PlayServer) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ConfigError, match="no key"):
        serve_page(robot, ServerConfig(address="0.0.0.0", port=0), print)
    with pytest.raises(ConfigError, match=rf"port {server.port}.*--port 0"):
        serve_page(robot, ServerConfig(port=server.port), print)
    assert signal.getsignal(signal.SIGINT) is before


def test_what_is_no_way_to_show_is_refused() -> None:
    with pytest.raises(ConfigError, match="--show"):
        PlayConfig(show="hologram")
    assert PlayConfig().address == "127.0.0.1"
    assert ServerConfig().address == "127.0.0.1"


def test_no_window_without_a_display(robot: DrivenRobot, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if sys.platform.startswith("linux"):
        assert not has_display()
        with pytest.raises(RenderError, match="--show browser"):
            show_window(robot)


def test_a_fallen_robot_lies_damped_until_it_starts_afresh() -> None:
    """Without its loop: pushed over, it keeps damping, and `reset` stands it up again."""
    robot = DrivenRobot(shipped_lmo("agibot_x2"), SPEC, Steering(SPEC, SteerConfig()), SMALL, pictures=False)
    robot.world.data.qvel[:3] = (3.0, 3.0, 0.0)
    for _ in range(150):
        robot.tick()
        if robot.fallen:
            break
    assert robot.fallen
    robot.tick()
    rows = robot.world.ctrl
    assert (robot.world.model.actuator_gainprm[rows, 0] == 0).all()
    assert (robot.world.model.actuator_biasprm[rows, 2] < 0).all()
    robot.steering.press("reset")
    for _ in range(25):
        robot.tick()
    assert not robot.fallen
    assert robot.status.height_m > 0.55
    robot.close()
