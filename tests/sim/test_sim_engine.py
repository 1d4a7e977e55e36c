"""The batched engine: live state, refreshed outputs, per-world plants, snapshots that continue to the bit."""

import mujoco
import pytest
import torch

from wbvla.core.errors import ConfigError
from wbvla.sim.engine import Engine
from wbvla.sim.engine_mujoco import MujocoEngine
from wbvla.sim.engines import open_engine

PENDULUM = """
<mujoco><worldbody><body><joint name="hinge" axis="0 1 0"/><geom size=".05" pos=".3 0 0" mass="1"/></body></worldbody>
<actuator><motor joint="hinge"/></actuator><sensor><jointpos joint="hinge"/></sensor></mujoco>
"""


def engine(worlds: int = 3, threads: int = 1) -> MujocoEngine:
    return MujocoEngine(mujoco.MjModel.from_xml_string(PENDULUM), worlds, threads, outputs=("sensordata",))


def test_state_is_live_and_outputs_follow_a_step() -> None:
    worlds = engine()
    assert isinstance(worlds, Engine)
    worlds.state("qpos")[:, 0] = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    worlds.step(1)
    assert worlds.output("sensordata")[:, 0].tolist() == [0.0, 0.5, 1.0]
    assert (worlds.state("qvel")[:, 0] > 0).all()


def test_snapshot_continues_to_the_bit_at_any_thread_count() -> None:
    first, second = engine(), engine(threads=2)
    first.state("qvel")[:] = torch.rand(3, 1, dtype=torch.float64)
    first.step(7)
    second.restore(first.snapshot())
    for worlds in (first, second):
        worlds.state("ctrl")[:] = 0.3
        worlds.step(20)
    assert torch.equal(first.state("qpos"), second.state("qpos"))
    assert torch.equal(first.output("sensordata"), second.output("sensordata"))


def test_worlds_have_plants_of_their_own() -> None:
    worlds = engine()
    worlds.parameter("body_mass")[1, 1] = 5.0
    worlds.parameter("body_inertia")[1, 1] *= 5.0
    worlds.commit()
    worlds.state("ctrl")[:] = 2.0
    worlds.step(10)
    speed = worlds.state("qvel")[:, 0]
    assert speed[0] == speed[2]
    assert speed[0] != speed[1]


def test_wrong_use_is_refused_by_name() -> None:
    worlds = engine()
    with pytest.raises(ConfigError, match="xpos is not among"):
        worlds.output("xpos")
    with pytest.raises(ConfigError, match="computed by the engine"):
        worlds.state("sensordata")
    with pytest.raises(ConfigError, match="does not fit"):
        worlds.restore(engine(worlds=2).snapshot())
    with pytest.raises(ConfigError, match="worlds and threads"):
        engine(worlds=0)


def test_engines_are_opened_by_name() -> None:
    model = mujoco.MjModel.from_xml_string(PENDULUM)
    assert isinstance(open_engine("mujoco", model, 2, ("sensordata",)), MujocoEngine)
    with pytest.raises(ConfigError, match="no physics engine 'bullet'; known: mujoco, warp"):
        open_engine("bullet", model, 2, ())
    with pytest.raises(ConfigError, match="runs on the CPU"):
        open_engine("mujoco", model, 2, (), "cuda:0")
