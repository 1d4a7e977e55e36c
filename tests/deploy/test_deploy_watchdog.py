"""The watchdog process and the flight recorder: silence and wrong answers trip, the last seconds are kept."""

import json
import os
import signal
import sys
import time

import numpy as np
import pytest

import wbvla.deploy.watchdog as watchdog_module
from wbvla.core.errors import RobotError
from wbvla.deploy.recorder import FlightRecorder
from wbvla.deploy.runtime import LocalSource, RobotLoop
from wbvla.deploy.safety import SafetyLayer
from wbvla.deploy.watchdog import Watchdog, WatchdogConfig

TIMEOUT_S = 0.4


@pytest.fixture
def dog(spec, tmp_path):
    command = (sys.executable, "-c", f"open({str(tmp_path / 'damped')!r}, 'w').write('yes')")
    layer = SafetyLayer(spec)
    watchdog = Watchdog(layer, WatchdogConfig(folder=str(tmp_path), timeout_s=TIMEOUT_S, trip_command=command))
    watchdog.start()
    yield watchdog, layer, tmp_path
    watchdog.close()


def spin(watchdog, seconds):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        watchdog.observe(None)
        time.sleep(0.01)


@pytest.fixture
def unchecked(monkeypatch):
    """`observe` needs no tick; the type checker of the test suite is told so."""
    monkeypatch.setattr(Watchdog, "observe", Watchdog.observe.__wrapped__)


def test_living_loop_is_left_alone_and_silence_trips_for_good(dog, unchecked):
    watchdog, layer, folder = dog
    spin(watchdog, 3 * TIMEOUT_S)
    assert layer.trip == ""
    assert watchdog.answered >= 4
    time.sleep(2.5 * TIMEOUT_S)
    assert layer.trip == ""
    spin(watchdog, 0.1)
    assert layer.trip == "watchdog"
    incident = json.loads((folder / "watchdog_incident_00.json").read_text())
    assert "no right answer" in incident["cause"]
    assert incident["watchdog_pid"] == watchdog.pid
    limit = time.monotonic() + 5
    while not (folder / "damped").is_file() and time.monotonic() < limit:
        time.sleep(0.01)
    assert (folder / "damped").is_file()


def test_wrong_answers_do_not_reset_the_timer(dog, unchecked, monkeypatch):
    watchdog, layer, _ = dog
    monkeypatch.setattr(watchdog_module, "answer_to", lambda challenge: 7)
    spin(watchdog, 3 * TIMEOUT_S)
    assert layer.trip == "watchdog"


def test_a_dead_watchdog_trips_too(dog, unchecked):
    watchdog, layer, _ = dog
    watchdog._process.kill()
    spin(watchdog, 0.3)
    assert layer.trip == "watchdog"


def test_a_watchdog_that_was_held_up_itself_blames_nobody(dog, unchecked):
    watchdog, layer, folder = dog
    spin(watchdog, 0.5 * TIMEOUT_S)
    os.kill(watchdog.pid, signal.SIGSTOP)
    spin(watchdog, 2 * TIMEOUT_S)
    os.kill(watchdog.pid, signal.SIGCONT)
    spin(watchdog, 2 * TIMEOUT_S)
    assert layer.trip == ""
    assert not list(folder.glob("watchdog_incident*"))
    time.sleep(2 * TIMEOUT_S)
    spin(watchdog, 0.1)
    assert layer.trip == "watchdog", "it still watches"


def test_a_trip_command_that_is_no_program_is_refused_before_the_run(spec, tmp_path):
    config = WatchdogConfig(folder=str(tmp_path), trip_command=("no-such-damper", "now"))
    with pytest.raises(RobotError, match="no-such-damper"):
        Watchdog(SafetyLayer(spec), config).start()


@pytest.mark.parametrize(("what", "reason"), [("policy", "loop_fault"), ("body", "RuntimeError")])
def test_a_run_that_ends_by_an_error_leaves_a_recording(spec, body, lmo, policy, tmp_path, what, reason):
    """The loop goes on after a policy's error and sees the trip; without a body there are no ticks to see it in."""

    def fail(*_):
        raise RuntimeError("broken")

    class Break:
        def observe(self, tick):
            if tick.index == 10:
                setattr(*((policy, "act") if what == "policy" else (body, "read")), fail)

    with pytest.raises(RuntimeError, match="broken"), FlightRecorder(tmp_path, {}) as recorder:
        RobotLoop(body, spec, lmo, LocalSource(policy), SafetyLayer(spec), [recorder, Break()]).run(200, "lift")
    assert [json.loads(path.read_text())["reason"] for path in tmp_path.glob("*.json")] == [reason]


def test_a_run_keeps_what_earlier_runs_left(spec, body, lmo, policy, tmp_path):
    """Numbers go on; pictures are kept of the last observation alone."""
    for run in range(2):
        recorder = FlightRecorder(tmp_path, {"run": run}, seconds=1.0)
        RobotLoop(body, spec, lmo, LocalSource(policy), SafetyLayer(spec), [recorder]).run(20, "lift")
        recorder.dump("first")
        recorder.dump("second")
        assert all(t.observation is None or not t.observation.images for t in recorder._ticks)
        recorder.close()
    stories = {path.name: json.loads(path.read_text()) for path in sorted(tmp_path.glob("*.json"))}
    assert [(name, s["run"], s["reason"]) for name, s in stories.items()] == [
        ("flight_00.json", 0, "first"),
        ("flight_01.json", 0, "second"),
        ("flight_02.json", 1, "first"),
        ("flight_03.json", 1, "second"),
    ]
    with np.load(tmp_path / "flight_02.npz", allow_pickle=False) as flight:
        assert flight["image_head"].shape == (12, 16, 3)
        assert flight["observed"].tolist() == [
            0,
            -1,
            -1,
            -1,
            -1,
            1,
            -1,
            -1,
            -1,
            -1,
            2,
            -1,
            -1,
            -1,
            -1,
            3,
            -1,
            -1,
            -1,
            -1,
        ]


def test_trip_writes_the_last_ten_seconds_without_pickle(spec, body, lmo, policy, tmp_path):
    recorder = FlightRecorder(tmp_path, {"vla": "abc"}, seconds=1.0)

    class Tip:
        def observe(self, tick):
            if tick.index == 60:
                body.gravity = np.array([1.0, 0.0, 0.0])

    loop = RobotLoop(body, spec, lmo, LocalSource(policy), SafetyLayer(spec), [recorder, Tip()])
    assert loop.run(1000, "lift").trip == "tilt"
    recorder.dump("request")
    recorder.close()
    first, second = recorder.dumps
    story = json.loads(first.read_text())
    assert (story["reason"], story["instruction"], story["vla"]) == ("tilt", "lift", "abc")
    assert story["ticks"] == [13, 62]
    assert story["acts"][-1] == {"tick": 62, "rules": ["tilt"]}
    with np.load(first.with_suffix(".npz"), allow_pickle=False) as flight:
        assert flight["state_q"].shape == (50, 31)
        assert flight["command"].shape == (50, 4)
        assert flight["image_head"].shape == (12, 16, 3)
        np.testing.assert_allclose(np.diff(flight["time_s"]), 0.02)
    assert json.loads(second.read_text())["reason"] == "request"
