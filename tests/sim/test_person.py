"""The person is as tall as the seed says, gives way when pushed, is felt where touched, and differs between splits."""

import mujoco
import numpy as np
import pytest

from wbvla.core.errors import ConfigError
from wbvla.robots.platforms import load_robot
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.person import HAIR_STYLES, OFFER, REST, STOP, WARDROBES, WAVE, Person, PersonConfig
from wbvla.sim.person_body import PERSON, add_person, all_parts
from wbvla.sim.person_contact import QUASI_STATIC_N, PersonContact, summarise_contact, transient_limit_n
from wbvla.sim.scene import RoomConfig, World, build_scene

FAR = (-3.0, 2.0)
"""where the robot is out of reach"""


@pytest.fixture(scope="module")
def world() -> World:
    scene = build_scene(load_robot("agibot_x2"), MjcfOptions(), RoomConfig(furnished=False))
    add_person(scene)
    world = World(load_robot("agibot_x2"), scene)
    Person(world)
    return world


def met(world: World, seed: int, gesture: str = REST) -> Person:
    """The person of a seed at the origin, looking along x, with the arm in a gesture."""
    person = next(actor for actor in world.actors if isinstance(actor, Person))
    world.reset(FAR)
    person.reset(world, np.zeros(2), 0.0, seed)
    person.plan = lambda world: gesture
    person.pose(world, gesture)
    return person


def top_m(world: World) -> float:
    """Height of the crown above the floor [m]."""
    geom = world.model.geom(f"{PERSON}.head").id
    return float(world.data.geom_xpos[geom][2] + world.model.geom_size[geom][2])


def test_statures_span_the_range_and_the_body_is_as_tall_as_it_says(world: World) -> None:
    statures = []
    for seed in range(40):
        person = met(world, seed)
        statures.append(person.stature_m)
        assert top_m(world) == pytest.approx(person.stature_m, abs=0.01)
        shoe = world.model.geom(f"{PERSON}.left_shoe").id
        assert world.data.geom_xpos[shoe][2] == pytest.approx(world.model.geom_size[shoe][2], abs=1e-6)
    assert 1.5 <= min(statures) < 1.56
    assert 1.84 < max(statures) <= 1.9


def test_same_seed_same_person_and_no_seed_inherits_from_another(world: World) -> None:
    def looks(seed: int) -> np.ndarray:
        met(world, seed)
        model = world.model
        return np.concatenate([model.geom_rgba.ravel(), model.geom_size.ravel(), model.body_mass, world.data.qpos])

    first, other = looks(3), looks(4)
    assert np.array_equal(looks(3), first)
    assert not np.array_equal(other, first)


def test_gestures_put_the_hand_where_they_should(world: World) -> None:
    for seed in range(12):
        person = met(world, seed, REST)
        assert person.fingers(world)[2] < 0.9
        assert not person.hand_raised(world)
        for gesture in (WAVE, STOP):
            person.pose(world, gesture)
            assert person.hand_raised(world), gesture
            palm = person.hand_axes(world)[:, 1]
            assert palm[0] > 0.9, "the palm is shown to whoever stands before the person"
        person.pose(world, OFFER)
        low, high = person.config.hand_height_m
        assert low - 0.03 < person.fingers(world)[2] < high + 0.03
        assert person.fingers(world)[0] > 0.3
        assert person.hand_axes(world)[2, 0] > 0.5, "thumb up"


def test_a_waving_arm_swings_and_a_plan_moves_it_without_a_jump(world: World) -> None:
    person = met(world, 1, REST)
    person.plan = lambda world: WAVE
    hands = []
    for _ in range(800):
        world.step()
        hands.append(person.fingers(world))
    steps = np.linalg.norm(np.diff(hands, axis=0), axis=1) / world.model.opt.timestep
    assert steps.max() < 6.0
    late = np.array(hands[400:])
    assert np.ptp(late[:, 1]) > 0.12
    assert person.hand_raised(world)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_offered_hand_gives_way_like_an_arm_not_like_a_wall(world: World, axis: int) -> None:
    person = met(world, 5, OFFER)
    world.step(300)
    rest, hand = person.fingers(world), world.model.body(f"{PERSON}_hand").id
    force, moved = np.zeros(3), []
    for push_n in (5.0, 10.0):
        force[axis] = push_n
        for _ in range(500):
            arm = person.fingers(world) - world.data.xipos[hand]
            world.data.xfrc_applied[hand] = np.concatenate([force, np.cross(arm, force)])
            world.step()
        moved.append(float((person.fingers(world) - rest)[axis]))
    world.data.xfrc_applied[hand] = 0.0
    assert 50.0 < 10.0 / moved[1] < 1500.0, "a human arm's stiffness [N/m]"
    assert moved[0] == pytest.approx(0.5 * moved[1], rel=0.25)
    world.step(800)
    assert np.linalg.norm(person.fingers(world) - rest) < 0.005


def test_the_robot_s_hand_is_felt_with_the_force_that_it_presses_with(world: World) -> None:
    """The robot's hand, held by its arm, is pressed on the offered hand; what is measured is what the springs bear."""
    person = met(world, 2, OFFER)
    spec = world.spec
    palm = person.fingers(world) - (world.palm_position("right") - world.root_pose()[0])
    world.data.qpos[:3] = palm + np.array([0.0, 0.06, 0.0])
    mujoco.mj_forward(world.model, world.data)
    root = world.data.qpos[:7].copy()
    for step in range(400):
        world.data.qpos[:7], world.data.qvel[:6] = root, 0.0
        world.data.qpos[1] = root[1] - min(0.08, 0.0004 * step)
        world.step()
    assert spec.name == "agibot_x2"
    report = person.meter.report()
    assert 1.0 < report.filtered_n < report.max_n * 1.001
    assert report.max_n < 60.0, "an arm on springs gives way"
    assert report.region == "hand"
    assert person.meter.touching("hand")
    bent = np.array([world.data.qfrc_actuator[world.model.joint(f"{PERSON}_{j}").dofadr[0]] for j in ("shoulder_yaw",)])
    assert np.abs(bent).max() > 0.1, "its springs bear the push"


@pytest.mark.parametrize("seed", range(6))
def test_a_person_of_any_size_is_met_on_the_surface_of_trunk_and_legs(world: World, seed: int) -> None:
    person = met(world, seed)
    for part in ("chest", "belly", "left_thigh", "left_shin"):
        person.meter.reset()
        geom = world.model.geom(f"{PERSON}.{part}").id
        hand = world.palm_position("left") - world.root_pose()[0]
        world.data.qpos[:3] = world.data.geom_xpos[geom] - hand + np.array([0.05, 0.0, 0.0])
        mujoco.mj_forward(world.model, world.data)
        person.feel(world)
        assert person.meter.report().max_n > 0.0, part


def test_limits_are_those_of_the_standard_and_every_part_that_is_met_has_one() -> None:
    assert {part.region for part in all_parts() if part.region} == set(QUASI_STATIC_N)
    assert QUASI_STATIC_N["hand"] == 140.0
    assert transient_limit_n("hand") == 280.0
    assert transient_limit_n("head") == QUASI_STATIC_N["head"] == 65.0


def contact(share: float) -> PersonContact:
    return PersonContact(max_n=200 * share, filtered_n=140 * share, region="hand", share_of_limit=share, duration_s=1.0)


def test_a_summary_names_the_worst_and_counts_what_was_too_much() -> None:
    summary = summarise_contact([contact(0.0), contact(1.2), contact(0.5)])
    assert summary is not None
    assert (summary["touched"], summary["beyond_limit"], summary["trials"]) == (2, 1, 3)
    assert summary["worst_share_of_limit"] == pytest.approx(1.2)
    assert summarise_contact([]) is None


def test_people_of_train_and_test_wear_nothing_in_common() -> None:
    train, test = WARDROBES["train"], WARDROBES["test"]
    for clothes in ("shirts", "trousers", "hair"):
        assert not set(getattr(train, clothes)) & set(getattr(test, clothes))
    with pytest.raises(ConfigError, match="train"):
        PersonConfig(split="holdout")


def test_hair_is_worn_in_every_style(world: World) -> None:
    assert {met(world, seed).hair for seed in range(100)} == set(HAIR_STYLES)
