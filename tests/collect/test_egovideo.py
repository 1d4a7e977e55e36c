"""Egocentric video: the labels match the motion, the truth matches the path, a kill costs one clip at most."""

import dataclasses
from pathlib import Path

import mujoco
import numpy as np
import pytest

from wbvla.collect.ego.arms import Solid
from wbvla.collect.ego.body import camera_twist
from wbvla.collect.ego.clips import draw_clip
from wbvla.collect.ego.person import Person
from wbvla.collect.ego.room import EgoRoom, RoomPlan
from wbvla.collect.ego.video import EgoVideoConfig, clip_config, record_egovideo
from wbvla.collect.ego.walker import PRIMITIVES, Start, Walker, walk_primitive, walk_to_goal
from wbvla.collect.ego.words import GOALS, PROMPTS, SHARES
from wbvla.core.errors import ConfigError, ContractMismatch
from wbvla.data.check import check
from wbvla.data.features import ACTION, PRIMITIVE, STAMPS, STATE, SUCCESS, TARGET
from wbvla.data.reader import Dataset
from wbvla.data.words import SKILL
from wbvla.sim.camera import RenderConfig

TINY = EgoVideoConfig(num_clips=2, seconds=0.6, goal_seconds=3.0, width=64, height=48, clips_per_room=1, seed=3)
# the twist channel each primitive moves, and its sign
MOVES = {
    "advance": (0, 1),
    "turn_left": (2, 1),
    "turn_right": (2, -1),
    "sidestep_left": (1, 1),
    "sidestep_right": (1, -1),
    "squat_down": (3, -1),
    "stand_up": (3, 1),
    "approach_near": (0, 1),
    "back_away": (0, -1),
}


def walker(rng: np.random.Generator, squatting: bool = False) -> Walker:
    start, thing = Start(xy=(0.0, 0.0), yaw=0.0, squatting=squatting), Solid(xyz=(1.9, 0.0, 0.8), half=(0.1, 0.1, 0.1))
    return Walker(Person.draw(rng), start, thing)


@pytest.mark.parametrize("primitive", MOVES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_primitive_moves_the_camera_its_way(primitive: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    walk = walk_primitive(walker(rng, squatting=primitive == "stand_up"), primitive, 20, 10)
    channel, sign = MOVES[primitive]
    mean = sign * walk.twist[3:15].mean(axis=0)
    assert mean[channel] > 0.08
    assert np.argmax(np.abs(mean)) == channel, "another axis moves more"
    assert set(walk.primitive) == {PRIMITIVES.index(primitive)}


def test_stop_ready_stops_with_hands_raised() -> None:
    walk = walk_primitive(walker(np.random.default_rng(0)), "stop_ready", 30, 10)
    assert np.abs(walk.twist[-5:, :3]).max() < 0.05
    height = walk.wrists_w[:, :, 2] - walk.head_xyz[:, None, 2]
    assert height[-1].min() > height[:8].max(), "the hands are raised"
    assert walk.primitive[0] == PRIMITIVES.index("advance")
    assert walk.primitive[-1] == PRIMITIVES.index("stop_ready")


@pytest.mark.parametrize("yaw", [-1.0, 0.6, 2.0])
def test_a_walk_to_a_goal_turns_the_right_way_and_ends_at_its_touch(yaw: float) -> None:
    box = Solid(xyz=(2.0, 0.3, 0.15), half=(0.15, 0.2, 0.15))
    person = Walker(Person.draw(np.random.default_rng(4)), Start(xy=(0.0, 0.0), yaw=yaw), box)
    walk = walk_to_goal(person, 150, 10)
    assert person.has_arrived
    assert abs(person.bearing) < 0.35
    names = [PRIMITIVES[i] for i in walk.primitive]
    assert names[0] == ("turn_right" if yaw > 0 else "turn_left")
    assert names[-1] == "stop_ready"
    assert "squat_down" in names, "the box stands on the floor"
    tips = walk.fingertips(person.person)
    apart = np.linalg.norm(tips - np.array([[box.nearest(tip) for tip in row] for row in tips]), axis=-1).min(axis=1)
    assert apart[-3:].max() < 0.01, "a fingertip rests on the box"
    assert apart[: len(apart) // 2].min() > 0.3, "and did not before"


def test_a_thing_that_nobody_can_reach_ends_the_walk() -> None:
    lamp = Solid(xyz=(1.2, 0.0, 2.6), half=(0.1, 0.1, 0.1))
    person = Walker(Person.draw(np.random.default_rng(1)), Start(xy=(0.0, 0.0), yaw=0.0), lamp)
    walk = walk_to_goal(person, 150, 10)
    assert person.cannot_reach
    assert not person.has_arrived
    assert len(walk) < 150


def test_truth_integrates_back_to_the_path() -> None:
    walk = walk_primitive(walker(np.random.default_rng(5)), "turn_left", 25, 10)
    xyz, yaw = walk.head_xyz[0].copy(), walk.head_rpy[0, 2]
    for (vx, vy, wz, vz), place in zip(walk.twist, walk.head_xyz):
        np.testing.assert_allclose(xyz, place, atol=1e-9)
        turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
        xyz[:2] += turn @ (vx, vy) * 0.1
        xyz[2] += vz * 0.1
        yaw += wz * 0.1
    straight = camera_twist(np.array([[0.0, 0, 1], [0.1, 0, 1]]), np.zeros(2), 10)
    np.testing.assert_allclose(straight[0], (1.0, 0.0, 0.0, 0.0))


def test_rooms_offer_goals_and_clear_paths() -> None:
    for number in range(2):
        plan = RoomPlan("train", 7, number)
        assert plan.goals
        for index in range(4):
            clip = draw_clip(plan, clip_config(EgoVideoConfig()), index)
            assert "{" not in "".join(clip.phrasings)
            assert len(clip.phrasings) == len(set(clip.phrasings)) >= 3
            assert len(clip.walk) >= 2
            assert plan.is_inside(clip.walk.head_xyz[:, :2], 0.05).all(), "walked through a wall"
            moving = ~np.isin(clip.walk.primitive, [PRIMITIVES.index(n) for n in ("stop_ready", "squat_down")])
            assert plan.is_free(clip.walk.head_xyz[moving, :2], 0.1).all(), "walked through furniture"


def test_prompts_cover_every_primitive() -> None:
    assert set(SHARES) == set(PROMPTS) == set(PRIMITIVES)
    assert all("{goal}" in goal for goal in GOALS)


def test_the_picture_follows_the_head_and_shows_the_hands() -> None:
    plan = RoomPlan("train", 0, 0)
    room = EgoRoom(plan, RenderConfig(width=64, height=48))
    start, thing = Start(xy=(0.0, 0.0), yaw=0.0), Solid(xyz=(1.5, 0.0, 0.8))
    walk = walk_primitive(Walker(plan.person, start, thing), "stop_ready", 30, 10)
    views = [room.see(walk, row) for row in (0, 0, 29)]
    skin = np.array(plan.person.skin) / sum(plan.person.skin)
    shares = views[2] / np.maximum(views[2].sum(axis=2, keepdims=True), 1)
    room.close()
    np.testing.assert_array_equal(views[0], views[1])
    assert np.abs(views[0].astype(int) - views[2]).mean() > 5.0
    assert views[0].std() > 15.0, "an empty picture"
    assert (np.abs(shares - skin).max(axis=2) < 0.05)[24:].mean() > 0.03, "no hands in the lower half"


def test_fingers_rest_on_what_is_drawn() -> None:
    """The drawn hand and the drawn thing, by the engine's own distance, at the end of walks to all kinds of goals."""
    touched = []
    for number in range(2):
        plan = RoomPlan("train", 3, number)
        room = EgoRoom(plan, RenderConfig(width=64, height=48))
        for index in range(4):
            clip = draw_clip(plan, clip_config(EgoVideoConfig(goal_share=1.0)), index)
            assert clip.goal is not None
            room.pose(clip.walk, len(clip.walk) - 1)
            model, thing = room.model, room.model.geom(f"solid_{clip.goal.target.shape}").id
            hands = [g for g in range(model.ngeom) if model.body(model.geom_bodyid[g]).name.endswith("fingers")]
            apart = min(mujoco.mj_geomDistance(model, room.data, g, thing, 1.0, None) for g in hands)
            touched.append(clip.touched)
            if clip.touched:
                assert -0.04 < apart < 0.015, f"{clip.phrasings[0]}: {apart:.3f} m"
        room.close()
    assert np.mean(touched) > 0.8


class KilledError(Exception):
    """Stands for the process's end."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording without interruption."""
    folder = tmp_path_factory.mktemp("egovideo")
    record_egovideo(TINY, folder)
    return folder


def test_killed_and_resumed_equals_uninterrupted(whole: Path, tmp_path: Path) -> None:
    def kill(done: int, frames: int) -> None:
        if done == 1:
            raise KilledError

    with pytest.raises(KilledError):
        record_egovideo(TINY, tmp_path, kill)
    frames = record_egovideo(TINY, tmp_path)
    ours_data, theirs_data = Dataset(whole), Dataset(tmp_path)
    assert frames == ours_data.num_frames == theirs_data.num_frames
    assert ours_data.num_episodes == theirs_data.num_episodes == TINY.num_clips
    assert ours_data.tasks == theirs_data.tasks
    for number in range(TINY.num_clips):
        ours, theirs = ours_data.truth(number), theirs_data.truth(number)
        assert ours["camera_twist"].shape == (ours_data.episodes[number].length, 4)
        for key, value in ours.items():
            np.testing.assert_array_equal(value, theirs[key])
    names = sorted(path.relative_to(whole) for path in (whole / "videos").rglob("*.mp4"))
    assert names
    for name in names:
        assert (whole / name).read_bytes() == (tmp_path / name).read_bytes()


def test_clips_say_what_is_done_and_through_which_camera(whole: Path) -> None:
    """Sub-tasks are the runs of primitives; nothing of a robot; pictures have capture times and intrinsics."""
    data = Dataset(whole)
    assert check(whole) == []
    for number in range(data.num_episodes):
        columns = data.columns(number)
        assert {STATE, ACTION, SUCCESS, TARGET} & set(columns) == set()
        named = [PRIMITIVES[i] for i in columns[PRIMITIVE]]
        assert columns[SKILL].tolist() == named
        assert sum(s.end - s.start for s in data.segments(number)) == len(named)
        np.testing.assert_allclose(columns[STAMPS].reshape(-1), np.arange(len(named)) / TINY.fps)
        assert data.phrasings(number)[0] == data.instruction(number)
        assert len(data.phrasings(number)) >= 3
        camera = data.notes(number)["cameras"]["head"]
        assert 58.0 <= 2 * np.degrees(np.arctan(0.5 * camera["height"] / camera["fy"])) <= 68.0


def test_another_recording_is_not_continued(whole: Path) -> None:
    with pytest.raises(ContractMismatch, match="width"):
        record_egovideo(dataclasses.replace(TINY, width=96), whole)
    with pytest.raises(ContractMismatch, match="seed"):
        record_egovideo(dataclasses.replace(TINY, seed=4), whole)
    with pytest.raises(ContractMismatch, match="split"):
        record_egovideo(dataclasses.replace(TINY, split="test"), whole)


def test_impossible_configs_are_refused() -> None:
    with pytest.raises(ConfigError, match="divide"):
        EgoVideoConfig(fps=30)
    with pytest.raises(ConfigError, match="share"):
        EgoVideoConfig(goal_share=1.5)
    with pytest.raises(ConfigError, match="known: train, test"):
        EgoVideoConfig(split="validation")
    with pytest.raises(ConfigError, match="hours"):
        EgoVideoConfig(hours=-1.0)
