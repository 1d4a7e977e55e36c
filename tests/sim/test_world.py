"""Worlds: contacts meet whom they should, objects go where they are put, hands hold a box."""

import numpy as np
import pytest

from wbvla.core.errors import ConfigError
from wbvla.robots.platforms import load_robot
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.scene import RoomConfig, World, add_box, add_container, add_table, build_scene

X2 = load_robot("agibot_x2")


@pytest.fixture(scope="module")
def world() -> World:
    scene = build_scene(X2, MjcfOptions(visuals=False), RoomConfig())
    add_table(scene, "table", (0.75, 0.0, 0.6), (0.5, 1.0, 0.03), (0.8, 0.6, 0.4))
    add_box(scene, "box", (0.1, 0.12, 0.08), 0.6, (0.8, 0.1, 0.1))
    add_container(scene, "bin", (0.2, 0.2, 0.15), (0.1, 0.3, 0.7))
    return World(X2, scene)


def settle(world: World, seconds: float) -> None:
    world.step(round(seconds / world.model.opt.timestep))


def test_reset_stands_on_both_soles(world: World) -> None:
    world.reset(xy=(0.1, -0.2), yaw=0.7)
    position, quat = world.root_pose()
    np.testing.assert_allclose(position, (0.1, -0.2, X2.nominal_height_m))
    assert 2 * np.arctan2(quat[3], quat[0]) == pytest.approx(0.7)
    lowest = min(world.data.geom_xpos[i][2] for i in range(world.model.ngeom) if "_sole_" in world.model.geom(i).name)
    assert lowest == pytest.approx(X2.sole_radius, abs=2e-3), "the default pose stands on the floor"


def test_objects_rest_on_what_they_are_put_on(world: World) -> None:
    world.reset()
    world.place("box", (0.75, 0.0, 0.69))
    settle(world, 0.3)
    assert world.touching("box", "table")
    assert world.body_pose("box")[0][2] == pytest.approx(0.68, abs=3e-3)
    world.place("bin", (-1.0, 1.0, 0.15))
    world.place("box", (-1.0, 1.0, 0.2))
    settle(world, 0.4)
    assert world.touching("box", "bin")
    assert not world.touching("box", "table")


def test_only_movable_things_can_be_placed(world: World) -> None:
    with pytest.raises(ConfigError, match="fixed in the scene"):
        world.place("table", (0.0, 0.0, 1.0))
    with pytest.raises(ConfigError, match="no body 'cup'"):
        world.place("cup", (0.0, 0.0, 1.0))


def test_reset_restores_everything(world: World) -> None:
    world.reset()
    before = (world.data.qpos.copy(), world.data.ctrl.copy(), world.data.mocap_pos.copy())
    world.place("bin", (1.0, 1.0, 1.0))
    settle(world, 0.2)
    world.reset()
    for now, then in zip((world.data.qpos, world.data.ctrl, world.data.mocap_pos), before):
        np.testing.assert_array_equal(now, then)
