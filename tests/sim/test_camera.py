"""Drawing: the camera model is the documented one, depth is metric, and without OpenGL the message helps."""

import os
import stat

import numpy as np
import pytest

from wbvla.core.errors import ConfigError, RenderError
from wbvla.robots.platforms import load_robot
from wbvla.sim import camera as camera_module
from wbvla.sim.camera import RenderConfig, Renderer, find_gl, out_of_view
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.scene import RoomConfig, World, add_box, build_scene

X2 = load_robot("agibot_x2")
SIZE = RenderConfig(width=160, height=120)


@pytest.fixture(scope="module")
def world() -> World:
    scene = build_scene(X2, MjcfOptions(), RoomConfig())
    add_box(scene, "box", (0.02, 0.02, 0.02), 0.1, (1.0, 0.0, 0.0))
    return World(X2, scene)


@pytest.fixture(scope="module")
def renderer(world: World):
    made = Renderer(world.model, ("head", "head_forward"), SIZE)
    yield made
    made.close()


def project(world: World, camera: str, point: np.ndarray) -> tuple[float, float, float]:
    """Pinhole: column and row [px] and distance along the axis [m] of a point, from the camera's documented facts."""
    pose = world.data.camera(camera)
    local = pose.xmat.reshape(3, 3).T @ (point - pose.xpos)
    facts = next(c for c in X2.cameras if c.name == camera)
    focal = SIZE.height / 2 / np.tan(np.radians(facts.fovy_deg) / 2)
    depth = -local[2]
    return SIZE.width / 2 + focal * local[0] / depth, SIZE.height / 2 - focal * local[1] / depth, depth


@pytest.mark.parametrize("xyz", [(0.6, 0.0, 0.8), (0.7, 0.12, 0.6), (0.55, -0.1, 0.75)])
def test_a_red_box_appears_where_the_pinhole_says(world: World, renderer: Renderer, xyz) -> None:
    world.reset()
    world.place("box", xyz)
    column, row, distance = project(world, "head", np.array(xyz))
    rgb = renderer.render(world.data)["head"].astype(int)
    red = (rgb[..., 0] > 2 * rgb[..., 1]) & (rgb[..., 0] > 2 * rgb[..., 2])
    rows, columns = np.nonzero(red)
    assert len(rows) > 8
    assert columns.mean() == pytest.approx(column, abs=2.5)
    assert rows.mean() == pytest.approx(row, abs=2.5)
    depth = renderer.render_depth(world.data)["head"]
    assert depth[int(row), int(column)] == pytest.approx(distance, abs=0.035)


def test_depth_of_the_far_wall(world: World, renderer: Renderer) -> None:
    world.reset()
    eye = world.data.camera("head_forward").xpos[0]
    middle = renderer.render_depth(world.data)["head_forward"][60, 80]
    assert middle == pytest.approx(RoomConfig().half_x - eye, abs=0.03)


def test_same_state_same_picture(world: World, renderer: Renderer) -> None:
    world.reset()
    first, second = renderer.render(world.data), renderer.render(world.data)
    for name, rgb in first.items():
        assert rgb.shape == (120, 160, 3)
        np.testing.assert_array_equal(rgb, second[name])


def test_what_is_out_of_view_is_left_out_and_not_missed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cameras, rng = ("head", "left_hand", "head_forward", "view"), np.random.default_rng(2)
    eyes = Renderer(world.model, cameras, SIZE)
    groups, left_out = world.model.geom_group.copy(), []
    for _ in range(6):
        world.reset(rng.uniform(-1.5, 1.5, 2), rng.uniform(-np.pi, np.pi))
        world.place("box", world.root_pose()[0] + rng.uniform((0.2, -0.4, -0.4), (0.7, 0.4, 0.2)))
        sparing = eyes.render(world.data)
        assert np.array_equal(world.model.geom_group, groups)
        aside = [out_of_view(world.model, world.data, world.model.camera(name).id, 4 / 3) for name in cameras]
        left_out.append(np.mean(aside, axis=1))
        with monkeypatch.context() as patch:
            patch.setattr(camera_module, "out_of_view", lambda *_: np.zeros(world.model.ngeom, dtype=bool))
            whole = eyes.render(world.data)
        for name in cameras:
            assert np.array_equal(sparing[name], whole[name]), name
    eyes.close()
    assert (np.mean(left_out, axis=0) > (0.5, 0.5, 0.5, 0.2)).all()


def test_wrong_use_is_refused(world: World) -> None:
    with pytest.raises(ConfigError, match="tail"):
        Renderer(world.model, ("tail",), SIZE)
    made = Renderer(world.model, ("head",), SIZE)
    made.close()
    made.close()
    with pytest.raises(RenderError, match="closed"):
        made.render(world.data)


def test_without_opengl_the_error_names_the_command(tmp_path, monkeypatch) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'ImportError: libEGL.so.1: cannot open' >&2\nexit 1\n")
    broken.chmod(broken.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setattr(camera_module.sys, "executable", str(broken))
    monkeypatch.delenv("WBVLA_GL", raising=False)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    find_gl.cache_clear()
    with pytest.raises(RenderError, match=r"libEGL.*apt-get install -y libegl1 libgl1-mesa-dri libosmesa6"):
        find_gl()
    monkeypatch.undo()
    find_gl.cache_clear()
    assert find_gl() in ("egl", "osmesa")
    assert os.environ["MUJOCO_GL"] == find_gl()
