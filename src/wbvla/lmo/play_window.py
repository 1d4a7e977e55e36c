"""The driven robot in MuJoCo's own window: keys are switches there, as the window reports presses only."""

import os
import sys
import time

from wbvla.core.errors import RenderError
from wbvla.lmo.driven import DrivenRobot
from wbvla.lmo.steer import LIFT, MOTION

TICKS_PER_FRAME = 2
"""a picture every second control tick: 25 Hz"""
SWITCHES = {265: "w", 264: "s", 263: "q", 262: "e", ord(","): "a", ord("."): "d", 266: "r", 267: "f"}
"""GLFW's codes: arrows walk and turn, comma and full stop side-step, page up and down change the height"""
PRESSES = {ord("P"): "push", ord("G"): "arms", ord("X"): "reset"}
STOP = ord(" ")
LIFT_S = 0.25
"""a press of a height key acts for this long [s]"""
HELP = (
    "arrows: walk and turn (again to stop), comma and full stop: side-step, page up and down: height, "
    "space: stop, P: push, G: arms on or off, X: start afresh"
)


def has_display() -> bool:
    """Whether a window can be opened here."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


class Switches:
    """Presses to held keys: a motion key toggles and replaces its opposite, a height key acts for a moment."""

    def __init__(self, robot: DrivenRobot) -> None:
        self._robot, self._on, self._lift = robot, set[str](), ("", 0.0)

    def press(self, code: int) -> None:
        """A key of the window; others are none of ours."""
        if code in PRESSES:
            self._robot.steering.press(PRESSES[code])
        elif code == STOP:
            self._on.clear()
        elif code in SWITCHES:
            self._switch(SWITCHES[code])

    def _switch(self, key: str) -> None:
        if key in LIFT:
            self._lift = (key, time.monotonic() + LIFT_S)
            return
        opposite = {k for k, v in MOTION.items() if v == tuple(-x for x in MOTION[key])}
        self._on = (self._on ^ {key}) - opposite

    def confirm(self) -> None:
        """Tell the robot what is on; called as long as the window lives."""
        key, until = self._lift
        self._robot.steering.hold(self._on | ({key} if time.monotonic() < until else set()))


def show_window(robot: DrivenRobot) -> None:
    """Until the window is closed. Raises RenderError where there is no display."""
    if not has_display():
        raise RenderError("there is no display for a window; use --show browser")
    from mujoco import viewer  # loads GLFW, which a machine without a display may lack

    switches, ticks = Switches(robot), 0
    model, data = robot.world.model, robot.world.data
    with viewer.launch_passive(
        model, data, key_callback=switches.press, show_left_ui=False, show_right_ui=False
    ) as window:
        window.cam.distance, window.cam.elevation, window.cam.azimuth = 3.2, -18.0, 20.0
        while window.is_running():
            switches.confirm()
            robot.advance()
            ticks += 1
            if ticks % TICKS_PER_FRAME == 0:
                window.cam.lookat[:] = (*data.qpos[:2], 0.5)
                window.sync()
    robot.steering.let_go()
