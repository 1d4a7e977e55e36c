"""Variation by seed: the same seed, the same world to the bit whatever came before; only looks and grip differ."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from wbvla.core.errors import ConfigError
from wbvla.robots.platforms import load_robot
from wbvla.sim.camera import RenderConfig, Renderer
from wbvla.sim.furniture import LOOSE, PIECE, SMALL
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.scene import VARIED, RoomConfig, World, add_box, add_table, build_scene
from wbvla.sim.tasks.box_lift import BOX, TABLE, BoxLift, BoxLiftConfig
from wbvla.sim.tasks.variation import PLAIN, SPLITS, VariationConfig, vary

X2 = load_robot("agibot_x2")
ASPECTS = ("objects", "light", "surfaces", "furniture", "distractors", "cameras", "friction")


def build(furnished: bool = True) -> World:
    scene = build_scene(X2, MjcfOptions(), RoomConfig(furnished=furnished))
    add_table(scene, TABLE, (1.3, 0.0, 0.52), (0.55, 1.2, 0.03), (0.6, 0.5, 0.3))
    add_box(scene, BOX, (0.1, 0.1, 0.08), 0.6, (0.72, 0.52, 0.32))
    return World(X2, scene)


@pytest.fixture(scope="module")
def world() -> World:
    return build()


def start(world: World, config: VariationConfig, seed: int) -> dict[str, np.ndarray]:
    """The world of a seed, and every field that may differ."""
    world.reset()
    world.place(BOX, (1.15, 0.0, 0.6))
    vary(world, config, seed, objects=(BOX,), tables=(TABLE,))
    head = world.model.vis.headlight
    fields = {name: getattr(world.model, name).copy() for name in VARIED}
    return fields | {"head_ambient": head.ambient.copy(), "head_diffuse": head.diffuse.copy()}


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(first[name], second[name]) for name in first)


def test_a_seed_inherits_nothing_from_an_earlier_one(world: World) -> None:
    fresh = start(build(), VariationConfig(), 7)
    for earlier in (1, 2, 3):
        start(world, VariationConfig(), earlier)
    assert same(start(world, VariationConfig(), 7), fresh)
    assert not same(start(world, VariationConfig(), 8), fresh)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_each_aspect_can_be_switched_off_alone(world: World, aspect: str) -> None:
    nominal = {name: value.copy() for name, value in world.nominal.items()}
    assert same(start(world, PLAIN, 3), nominal), "off: as it was built"
    alone = [start(world, replace(PLAIN, **{aspect: True}), seed) for seed in (3, 4)]
    assert not same(*alone), "on: differs by seed"
    changed = {name for name in nominal if not np.array_equal(alone[0][name], nominal[name])}
    assert changed
    whole, without = (start(world, replace(VariationConfig(), **{aspect: on}), 3) for on in (True, False))
    for name in changed:
        touched = alone[0][name] != nominal[name]
        assert np.array_equal(whole[name][touched], alone[0][name][touched]), f"{name}: others do not disturb it"
    assert not same(whole, without)
    assert all(np.array_equal(world.nominal[name], nominal[name]) for name in nominal)


def test_pictures_of_a_seed_are_the_same_and_differ_between_seeds() -> None:
    pictures = []
    for _ in range(2):
        world, shown = build(), []
        eyes = Renderer(world.model, ("head", "view"), RenderConfig(width=96, height=96))
        for seed in (5, 6, 5):
            start(world, VariationConfig(), seed)
            shown.append(np.concatenate(list(eyes.render(world.data).values())))
        eyes.close()
        assert np.array_equal(shown[0], shown[2])
        assert np.abs(shown[0].astype(float) - shown[1]).mean() > 8.0
        pictures.append(shown[0])
    assert np.array_equal(*pictures), "another process or world draws the same bytes"


def test_a_furnished_room_moves_as_an_empty_one() -> None:
    states = []
    for world in (build(furnished=True), build(furnished=False)):
        world.reset()
        world.place(BOX, (1.15, 0.0, 0.62))
        if world.model.ngeom > 150:
            vary(world, replace(VariationConfig(), friction=False), 4, objects=(BOX,), tables=(TABLE,))
        world.step(120)
        states.append((world.data.qpos.copy(), world.data.ncon))
    assert np.array_equal(states[0][0], states[1][0])
    assert states[0][1] == states[1][1] > 0


def test_furniture_touches_nothing(world: World) -> None:
    seen = [i for i in range(world.model.ngeom) if world.model.geom(i).name.startswith(PIECE)]
    assert len(seen) > 60
    assert not world.model.geom_contype[seen].any()
    assert not world.model.geom_conaffinity[seen].any()


def standing(world: World, names: dict) -> dict[str, np.ndarray]:
    """Where loose things are that the seed shows."""
    places = {name: world.body_pose(f"{PIECE}{name}")[0] for name in names}
    return {name: xyz for name, xyz in places.items() if xyz[2] > -1.0}


def test_loose_things_stay_off_the_task_and_the_way(world: World) -> None:
    counts, low, high = [], np.array([-2.0, -1.0]), np.array([3.0, 1.0])
    for seed in range(40):
        start(world, VariationConfig(), seed)
        small = standing(world, SMALL)
        for xyz in small.values():
            assert xyz[2] == pytest.approx(0.52, abs=1e-6)
            assert np.linalg.norm(xyz - world.body_pose(BOX)[0]) > 0.3
        for xyz in standing(world, LOOSE).values():
            assert np.linalg.norm(xyz[:2] - world.root_pose()[0][:2]) > 0.9
            assert np.linalg.norm(xyz[:2] - (1.3, 0.0)) > 0.9
        vary(world, VariationConfig(), seed, clear=(*low, *high))
        loose = standing(world, LOOSE)
        assert not any(((low < xyz[:2]) & (xyz[:2] < high)).all() for xyz in loose.values())
        counts.append((len(loose), len(small)))
    assert np.max(counts, axis=0).tolist() == [4, 2]
    assert np.min(counts, axis=0)[1] == 0


def test_floor_and_soles_grip_alike_within_the_range(world: World) -> None:
    grips = []
    for seed in range(30):
        start(world, VariationConfig(), seed)
        soles = [i for i in range(world.model.ngeom) if "_sole_" in world.model.geom(i).name]
        values = {world.model.geom("floor").friction[0], *world.model.geom_friction[soles, 0]}
        assert len(values) == 1
        grips.append(values.pop())
    assert 0.65 <= min(grips) < 0.75
    assert 0.9 < max(grips) <= 1.0


def test_looks_of_train_and_test_are_disjoint() -> None:
    train, test = SPLITS["train"], SPLITS["test"]
    for kind in ("colours", "wraps", "floors", "walls"):
        assert not set(getattr(train, kind)) & set(getattr(test, kind)), kind
    gaps = [np.abs(np.subtract(a, b)).max() for a in train.colours for b in test.colours]
    assert min(gaps) > 0.1
    with pytest.raises(ConfigError, match="train, test"):
        VariationConfig(split="both")


def test_a_task_varies_by_its_config() -> None:
    spec = load_robot("agibot_x2")
    materials = {}
    for split, looks in SPLITS.items():
        task = BoxLift(BoxLiftConfig(variation=VariationConfig(split=split)))
        world = task.build(spec)
        floors = set()
        for seed in range(12):
            task.reset(world, seed)
            floors.add(mujoco.mj_id2name(world.model, mujoco.mjtObj.mjOBJ_MATERIAL, world.model.geom("floor").matid[0]))
        assert floors == {f"floor_{name}" for name in looks.floors}
        materials[split] = floors
    assert not materials["train"] & materials["test"]
