"""Ground: its height is where MuJoCo's rays meet it, and pads stand on it with upright contacts."""

import mujoco
import numpy as np
import pytest

from wbvla.core.errors import ConfigError
from wbvla.robots.platforms import load_robot
from wbvla.sim.ground import Ground, GroundConfig
from wbvla.sim.mjcf import SOLES, MjcfOptions, build_robot

ROUGH = GroundConfig(unevenness_m=0.02, half_size_m=2.0, seed=3)


def compiled(config: GroundConfig) -> tuple[mujoco.MjModel, mujoco.MjData]:
    spec = mujoco.MjSpec()
    Ground(config).add(spec)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def test_height_is_where_rays_meet_the_ground() -> None:
    model, data = compiled(ROUGH)
    ground = Ground(ROUGH)
    places = np.random.default_rng(0).uniform(-1.8, 1.8, (200, 2))
    hit = np.zeros(1, dtype=np.int32)
    for place, height in zip(places, ground.height(places)):
        start = np.array([*place, 1.0])
        met = 1.0 - mujoco.mj_ray(model, data, start, np.array([0.0, 0.0, -1.0]), None, 1, -1, hit, None)
        assert met == pytest.approx(height, abs=0.006)  # triangles there, bilinear here
        corner = np.round(place / ROUGH.cell_m) * ROUGH.cell_m
        start[:2] = corner + 1e-7
        met = 1.0 - mujoco.mj_ray(model, data, start, np.array([0.0, 0.0, -1.0]), None, 1, -1, hit, None)
        assert met == pytest.approx(float(ground.height(corner)), abs=2e-5)


def test_height_of_caps_is_where_rays_meet_them() -> None:
    config = GroundConfig(shape="caps", unevenness_m=0.02, cell_m=0.2, half_size_m=1.0, seed=5)
    model, data = compiled(config)
    places = np.random.default_rng(0).uniform(-1.3, 1.3, (300, 2))
    heights, hit = Ground(config).height(places), np.zeros(1, dtype=np.int32)
    for place, height in zip(places, heights):
        start = np.array([*place, 1.0])
        met = 1.0 - mujoco.mj_ray(model, data, start, np.array([0.0, 0.0, -1.0]), None, 1, -1, hit, None)
        assert met == pytest.approx(height, abs=1e-6)
    assert heights.max() > 0.015
    assert (heights[np.abs(places).max(axis=1) > 1.15] == 0).all()


def test_unevenness_is_used_up_and_follows_the_seed() -> None:
    grid = np.stack(np.meshgrid(*2 * [np.arange(-2.0, 2.001, 0.1)]), axis=-1)
    heights = Ground(ROUGH).height(grid)
    assert heights.min() == pytest.approx(0.0, abs=1e-6)
    assert heights.max() == pytest.approx(0.02, abs=1e-6)
    other = Ground(GroundConfig(unevenness_m=0.02, half_size_m=2.0, seed=4)).height(grid)
    assert np.abs(heights - other).mean() > 0.004
    assert (Ground(GroundConfig()).height(grid) == 0).all()


def test_impossible_ground_is_refused() -> None:
    with pytest.raises(ConfigError, match="unevenness"):
        GroundConfig(unevenness_m=-0.01)


@pytest.mark.parametrize("soles", SOLES)
def test_soles_of_every_kind_have_the_same_outline(soles: str) -> None:
    spec = load_robot("agibot_x2")
    model = build_robot(spec, MjcfOptions(visuals=False, cameras=False, grippers=False, colliders=False, soles=soles))
    Ground(GroundConfig()).add(model)
    built = model.compile()
    data = mujoco.MjData(built)
    for _ in range(40):
        mujoco.mj_step(built, data)
    foot = data.body(spec.foot_links[0])
    touching = data.contact.pos[: data.ncon] - foot.xpos
    near = touching[np.abs(touching[:, 1]) < 0.1]
    points = np.array(spec.sole_points)
    assert near[:, 0].max() == pytest.approx(points[:, 0].max(), abs=0.02)
    assert near[:, 0].min() == pytest.approx(points[:, 0].min(), abs=0.02)
    assert data.ncon == (8 if soles != "pads" else 32)


def test_box_feet_are_carried_upright_by_a_height_field() -> None:
    """What MuJoCo's contacts with the inner edges of the grid push sideways is little beside what carries the box."""
    flat = GroundConfig(unevenness_m=2e-4, half_size_m=2.0)
    spec, ground, rng = mujoco.MjSpec(), Ground(flat), np.random.default_rng(1)
    ground.add(spec)
    body = spec.worldbody.add_body(name="foot")
    body.add_freejoint()
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=(0.09, 0.055, 0.005), mass=1.0, conaffinity=1)
    model = spec.compile()
    data = mujoco.MjData(model)
    sideways = []
    for _ in range(300):
        place, yaw = rng.uniform(-1.5, 1.5, 2), rng.uniform(-np.pi, np.pi)
        data.qpos[:3] = [*place, float(ground.height(place)) + 0.005 - 0.001]
        data.qpos[3:] = [np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
        mujoco.mj_forward(model, data)
        carried = -data.contact.dist[: data.ncon] @ data.contact.frame[: data.ncon, :3]
        sideways.append(np.linalg.norm(carried[:2]) / abs(carried[2]))
    assert np.mean(sideways) < 0.03
    assert np.mean(np.array(sideways) > 0.2) <= 0.01
