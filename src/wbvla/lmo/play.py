"""Drive a controller by keyboard, in a window where there is a display, else in the browser."""

import contextlib
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wbvla.core.errors import ConfigError
from wbvla.lmo.driven import DrivenConfig, DrivenRobot
from wbvla.lmo.play_server import PlayServer, ServerConfig
from wbvla.lmo.play_window import HELP, has_display, show_window
from wbvla.lmo.steer import SteerConfig, Steering
from wbvla.robots.description import RobotSpec

SHOWS = ("auto", "window", "browser")


@dataclass(frozen=True, kw_only=True)
class PlayConfig:
    """How a controller is driven by hand."""

    show: str = "auto"
    """`window` (MuJoCo's), `browser`, or `auto`: a window where there is a display"""
    seed: int = 0
    """of the arms' motion and the pushes' directions"""
    address: str = "127.0.0.1"
    """interface that the page listens on; anything but loopback needs --key"""
    port: int = 8765
    """of the page; 0: any free one"""
    key: Path | None = None
    """file with the key for other computers' browsers; made when absent. It crosses the network in clear"""

    def __post_init__(self) -> None:
        if self.show not in SHOWS:
            raise ConfigError(f"--show is one of {', '.join(SHOWS)}, not {self.show!r}")


def play(policy: Path, spec: RobotSpec, config: PlayConfig, say: Callable[[str], None]) -> int:
    """Until the window is closed, or Ctrl-C."""
    in_window = config.show == "window" or (config.show == "auto" and has_display())
    steering = Steering(spec, SteerConfig())
    robot = DrivenRobot(policy, spec, steering, DrivenConfig(seed=config.seed), pictures=not in_window)
    with contextlib.closing(robot):
        if in_window:
            say(HELP)
            show_window(robot)
        else:
            serve_page(robot, ServerConfig(address=config.address, port=config.port, key=config.key), say)
    return 0


def serve_page(robot: DrivenRobot, config: ServerConfig, say: Callable[[str], None]) -> None:
    """Loop and page until Ctrl-C or SIGTERM."""
    ended = threading.Event()
    before = {n: signal.signal(n, lambda *_: ended.set()) for n in (signal.SIGINT, signal.SIGTERM)}
    loop = threading.Thread(target=robot.run, name="play-loop", daemon=True)
    try:
        with PlayServer(robot, config) as server:
            loop.start()
            say(f"READY open {server.url} and hold the keys; Ctrl-C ends")
            while loop.is_alive() and not ended.wait(0.5):
                continue
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        robot.stop()
        if loop.is_alive():
            loop.join(timeout=5)
