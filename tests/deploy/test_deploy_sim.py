"""The loop over real physics with the shipped controller: it walks, turns and squats with moving arms, untripped."""

import numpy as np
import pytest
from deploy_fakes import chunk

from wbvla.deploy.lmo import LmoController
from wbvla.deploy.runtime import LocalSource, RobotLoop
from wbvla.deploy.safety import SafetyLayer
from wbvla.robots.platforms import shipped_lmo

pytest.importorskip("mujoco")


class Dance:
    """Stand, walk back, turn; arms swing."""

    instruction = "dance"

    def __init__(self, arm_rest):
        self._rest = arm_rest

    def reset(self):
        return

    def act(self, observation):
        flags = [(0, 0, 0), (-1, 0, 0), (0, 0, 1)][min(observation.sequence // 15, 2)]
        swing = 0.3 * np.sin(0.6 * observation.sequence + np.arange(14))
        height = np.full(10, 0.62 - 0.002 * min(observation.sequence, 30))
        return chunk(self._rest + swing, flags=np.tile(flags, (10, 1)), height_m=height)


def test_real_physics_real_controller_no_false_trip(spec, arm_rest):
    from wbvla.sim.body import SimBody, SimBodyConfig
    from wbvla.sim.tasks import tasks

    task = tasks.build("box-lift")
    world = task.build(spec)
    task.reset(world, 3)
    start = world.root_pose()[0].copy()
    body = SimBody(world, SimBodyConfig(cameras=()))
    safety, lmo = SafetyLayer(spec), LmoController.load(shipped_lmo(spec.name), spec)
    report = RobotLoop(body, spec, lmo, LocalSource(Dance(arm_rest)), safety).run(250)
    body.close()
    xyz, _ = world.root_pose()
    assert report.trip == ""
    assert xyz[2] > 0.45
    assert np.linalg.norm(xyz[:2] - start[:2]) > 0.1
    assert not set(report.counts) & {"hold_stand", "chunk_replayed", "chunk_late"}


def test_pushed_over_it_trips_on_tilt_and_is_sat_down_damped(spec, arm_rest):
    from wbvla.sim.body import SimBody, SimBodyConfig
    from wbvla.sim.tasks import tasks

    world = tasks.build("box-lift").build(spec)
    body = SimBody(world, SimBodyConfig(cameras=()))
    lmo = LmoController.load(shipped_lmo(spec.name), spec)

    class Push:
        def observe(self, tick):
            torso = world.model.body(spec.torso_link).id
            world.data.xfrc_applied[torso, 1] = 600.0 if 20 <= tick.index < 45 else 0.0

    report = RobotLoop(body, spec, lmo, LocalSource(Dance(arm_rest)), SafetyLayer(spec), [Push()]).run(400)
    speed = np.abs(body.read().dq).max()
    body.close()
    assert report.reason == "tripped"
    assert report.trip in ("tilt", "flail")
    assert report.ticks < 300
    assert speed < 3.0
