"""Social tasks are won by the right thing at the right place before the person, and by nothing else."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from wbvla.core.rotation import quat_from_rpy
from wbvla.robots.platforms import load_robot
from wbvla.sim.person import OFFER, STOP, WAVE
from wbvla.sim.person_body import PERSON
from wbvla.sim.scene import World
from wbvla.sim.tasks import Greet, Handshake, StopWhenTold, Wave
from wbvla.sim.tasks.social import SEES, SocialTask, Swings, hand_over_shoulder, person_of, sight
from wbvla.sim.tasks.start import SEARCH, SEEN_SHARE, Start, seen_share

TASKS: tuple[type[SocialTask], ...] = (Wave, Greet, Handshake, StopWhenTold)
ARM_UP = {"shoulder_pitch": 0.0, "shoulder_roll": -1.25, "shoulder_yaw": -1.57, "elbow": -1.75}


def built(kind: type[SocialTask]) -> tuple[SocialTask, World]:
    task = kind()  # pyright: ignore[reportCallIssue]
    return task, task.build(load_robot("agibot_x2"))


def put(world: World, distance_m: float, aside_rad: float = 0.0, turned_rad: float = 0.0) -> None:
    """The robot so far before the person, so far beside where they look, turned so far from facing them."""
    at, looks = person_of(world).facing(world)
    bearing = looks + aside_rad
    world.data.qpos[:2] = at + distance_m * np.array([np.cos(bearing), np.sin(bearing)])
    world.data.qpos[3:7] = quat_from_rpy(np.array([0.0, 0.0, bearing + np.pi + turned_rad]))
    mujoco.mj_forward(world.model, world.data)


def raise_arm(world: World, elbow_rad: float = 0.0) -> None:
    """The right hand up to wave, the elbow a little more or less bent."""
    for joint, angle in ARM_UP.items():
        row = world.spec.joint_names.index(f"right_{joint}_joint")
        world.data.qpos[world.qpos[row]] = angle + (elbow_rad if joint == "elbow" else 0.0)
    mujoco.mj_forward(world.model, world.data)


def swing(task: SocialTask, world: World, seconds: float, rad: float = 0.42) -> dict[str, bool]:
    """Wave by hand-placed states; the last progress."""
    progress: dict[str, bool] = {}
    for tick in range(round(seconds * 10)):
        raise_arm(world, rad * np.sin(2 * np.pi * 0.8 * tick / 10))
        world.data.time += 0.1
        progress = dict(task.progress(world))
    return progress


@pytest.mark.parametrize("kind", TASKS)
def test_same_seed_same_start_person_and_plan(kind: type[SocialTask]) -> None:
    task, world = built(kind)

    def start(seed: int) -> np.ndarray:
        task.reset(world, seed)
        return np.concatenate([world.data.qpos, world.data.mocap_pos.ravel(), world.model.geom_size.ravel()])

    first, other = start(7), start(8)
    assert np.array_equal(start(7), first)
    assert not np.allclose(first, other)
    assert not set(task.train_instructions) & set(task.test_instructions)


@pytest.mark.parametrize("kind", TASKS)
def test_the_split_says_whether_the_person_is_in_view(kind: type[SocialTask]) -> None:
    task, world = built(kind)
    for seed in range(12):
        task.reset(world, seed)
        assert seen_share(world, PERSON, SEES) >= SEEN_SHARE
        assert not task.success(world)
    searching = replace(task.config, start=replace(task.config.start, split=SEARCH, heading_rad=2.0))
    task.config = searching
    for seed in range(12):
        task.reset(world, seed)
        assert seen_share(world, PERSON, SEES) < SEEN_SHARE


def test_difficulty_zero_starts_straight_ahead() -> None:
    task, world = built(Greet)
    task.config = replace(task.config, start=replace(task.config.start, difficulty=0.0))
    task.reset(world, 4)
    away, aside, off = sight(world)
    assert away == pytest.approx(1.9, abs=1e-6)
    assert abs(aside) < 1e-6
    assert abs(off) < 1e-6


def test_swings_count_both_ways_and_forget_slow_ones() -> None:
    swings = Swings(least_m=0.1, longest_s=1.0)
    path = [0.0, 0.2, 0.0, 0.2, 0.0, 0.2, 0.0]
    counts = [swings.see(value, 0.5 * i) for i, value in enumerate(path)]
    assert counts == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert swings.see(0.05, 3.2) == 3.0, "too small a turn is none"
    assert swings.see(0.2, 5.0) == 0.0, "too late a turn starts anew"
    swings.reset()
    assert [swings.see(0.04 * i, 0.5 * i) for i in range(8)][-1] <= 0.5, "one way is no swing"


@pytest.mark.parametrize("kind", [Wave, Greet])
def test_three_swings_before_the_person_are_a_wave(kind: type[SocialTask]) -> None:
    task, world = built(kind)
    task.reset(world, 3)
    put(world, 1.3)
    assert not any(task.progress(world)[goal] for goal in task.subgoals[-2:])
    raise_arm(world)
    assert hand_over_shoulder(world, "right") > 0.1
    assert swing(task, world, 2.0)["raised"]
    assert not task.success(world)
    swing(task, world, 2.4)
    assert task.success(world)
    world.data.time += 2.0
    assert not task.success(world), "a hand that stopped waves no more"


@pytest.mark.parametrize(
    ("distance_m", "aside_rad", "turned_rad", "rad"),
    [(3.5, 0.0, 0.0, 0.42), (0.5, 0.0, 0.0, 0.42), (1.3, 1.5, 0.0, 0.42), (1.3, 0.0, 0.8, 0.42), (1.3, 0.0, 0.0, 0.05)],
)
def test_too_far_too_near_aside_looking_away_or_hardly_moving_is_none(
    distance_m: float, aside_rad: float, turned_rad: float, rad: float
) -> None:
    for kind in (Wave, Greet):
        task, world = built(kind)
        task.reset(world, 3)
        put(world, distance_m, aside_rad, turned_rad)
        assert not swing(task, world, 6.0, rad)[task.subgoals[-1]]


def test_a_hand_below_the_shoulder_is_no_wave() -> None:
    task, world = built(Wave)
    task.reset(world, 3)
    put(world, 1.3)
    elbow = world.qpos[world.spec.joint_names.index("right_elbow_joint")]
    for tick in range(60):
        world.data.qpos[elbow] = -1.0 + 0.5 * np.sin(2 * np.pi * 0.8 * tick / 10)
        mujoco.mj_forward(world.model, world.data)
        world.data.time += 0.1
        assert not any(task.progress(world).values())


def test_greet_wants_the_distance_of_a_talk_which_wave_does_not() -> None:
    for distance_m, greeted in ((1.25, True), (2.0, False)):
        for kind in (Wave, Greet):
            task, world = built(kind)
            task.reset(world, 3)
            put(world, distance_m)
            done = swing(task, world, 6.0)[task.subgoals[-1]]
            assert done == (greeted or kind is Wave)


def test_people_do_what_their_task_says() -> None:
    for kind, gesture in ((Wave, WAVE), (Handshake, OFFER)):
        task, world = built(kind)
        task.reset(world, 1)
        world.step(600)
        assert person_of(world).gesture == gesture


# Handshake.


def hold(task: SocialTask, world: World, seconds: float, gap_m: float, back_m: float = 0.0) -> dict[str, bool]:
    """The robot held so that its closed right hand is so far beside and before the offered fingers, for a time."""
    progress: dict[str, bool] = {}
    finger = world.data.qpos.copy()
    world.data.ctrl[world.grippers] = 0.0
    for _ in range(round(seconds * 10)):
        person = person_of(world)
        side, looks = person.hand_axes(world)[:, 1], person.facing(world)[1]
        away = gap_m * side + back_m * np.array([np.cos(looks), np.sin(looks), 0.0])
        place = person.fingers(world) + away - (world.palm_position("right") - world.root_pose()[0])
        for _ in range(20):
            world.data.qpos[:3], world.data.qpos[3:7], world.data.qvel[:6] = place, finger[3:7], 0.0
            world.step()
        progress = dict(task.progress(world))
    return progress


def offered(seed: int = 2) -> tuple[Handshake, World]:
    """The person's hand is out, the robot before them."""
    task, world = built(Handshake)
    assert isinstance(task, Handshake)
    task.reset(world, seed)
    person = person_of(world)
    person.plan = lambda world: OFFER
    person.pose(world, OFFER)
    put(world, 0.9)
    return task, world


def test_a_hand_held_for_a_second_and_let_go_is_a_handshake() -> None:
    task, world = offered()
    progress = hold(task, world, 0.5, 0.015)
    assert progress["taken"]
    assert not progress["shaken"]
    progress = hold(task, world, 1.0, 0.015)
    assert progress["shaken"]
    assert not progress["released"], "the hand is still held"
    progress = hold(task, world, 1.0, 0.0, 0.3)
    assert progress["released"]
    assert task.success(world)
    contact = task.person_contact(world)
    assert contact.region == "hand"
    assert 0.0 < contact.filtered_n < 60.0


def test_a_short_touch_or_none_is_no_handshake() -> None:
    task, world = offered()
    assert hold(task, world, 0.6, 0.015)["taken"]
    assert not hold(task, world, 1.5, 0.0, 0.3)["released"]
    task, world = offered()
    assert not hold(task, world, 2.0, 0.0, 0.3)["taken"]
    assert task.person_contact(world).max_n == 0.0


def test_who_hurts_the_person_has_lost() -> None:
    task, world = offered()
    task.config = replace(task.config, limit_n=0.5)
    assert not hold(task, world, 1.5, 0.02)["shaken"]
    assert task.hurt()
    assert not hold(task, world, 1.0, 0.0, 0.3)["released"]
    task.reset(world, 2)
    task.progress(world)
    assert not task.hurt(), "a new trial begins unhurt"


# Stop when told.


class Driver:
    """Moves the robot over the floor as a whole, at will, to see what the task makes of it."""

    def __init__(self, task: StopWhenTold, world: World) -> None:
        self.task, self.world, self.pose = task, world, world.data.qpos.copy()

    def go(self, speed_mps: float, seconds: float) -> None:
        """Towards the mat, in physics steps that the person sees."""
        mat = self.task.axis()[0]
        for _ in range(round(seconds / 0.005)):
            way = mat - self.pose[:2]
            self.pose[:2] += way / max(1e-6, float(np.linalg.norm(way))) * min(speed_mps * 0.005, np.linalg.norm(way))
            self.world.data.qpos[:], self.world.data.qvel[: self.world.model.nv - 6] = self._body(), 0.0
            self.world.step()

    def _body(self) -> np.ndarray:
        """The pose as a whole, the person's arm as it is."""
        arm = [self.world.model.joint(f"{PERSON}_{j}").qposadr[0] for j in ("shoulder_pitch", "elbow", "forearm")]
        first = min(int(address) for address in arm)
        return np.concatenate([self.pose[:first], self.world.data.qpos[first:]])

    def until(self, speed_mps: float, raised: bool) -> None:
        """Keep going until the palm is up, or down again."""
        for _ in range(200):
            signal = self.task.signal
            if (signal.raised_s is not None) if raised else (signal.lowered_s is not None):
                return
            self.go(speed_mps, 0.1)
        raise AssertionError("the person has not moved the hand")


def walking(seed: int = 3) -> tuple[StopWhenTold, World, Driver]:
    task, world = built(StopWhenTold)
    assert isinstance(task, StopWhenTold)
    task.reset(world, seed)
    return task, world, Driver(task, world)


def test_walk_stop_wait_and_go_on_is_success() -> None:
    task, world, driver = walking()
    driver.go(0.0, 1.0)
    assert not any(task.progress(world).values()), "nobody is stopped who stands"
    driver.until(0.35, raised=True)
    assert task.progress(world)["walking"]
    assert person_of(world).gesture == STOP
    driver.go(0.35, 0.8)
    driver.go(0.0, 1.0)
    assert task.progress(world)["stopped"]
    assert not task.progress(world)["waited"]
    driver.until(0.0, raised=False)
    assert task.progress(world)["waited"]
    driver.go(0.35, 11.0)
    driver.go(0.0, 1.2)
    assert task.success(world)


def test_a_robot_that_walks_on_has_failed_for_good() -> None:
    task, world, driver = walking()
    driver.until(0.35, raised=True)
    driver.go(0.35, 1.7)
    assert task.signal.ignored
    driver.until(0.0, raised=False)
    driver.go(0.35, 11.0)
    driver.go(0.0, 1.2)
    progress = task.progress(world)
    assert not progress["stopped"]
    assert not progress["waited"]
    assert not task.success(world)


def test_a_robot_that_stops_and_goes_on_too_early_has_failed() -> None:
    task, _, driver = walking()
    driver.until(0.35, raised=True)
    driver.go(0.0, 1.8)
    assert not task.signal.ignored
    driver.go(0.35, 0.5)
    assert task.signal.ignored


def test_the_palm_comes_at_another_time_with_another_seed_and_the_same_with_the_same() -> None:
    def raised(seed: int) -> float:
        task, _, driver = walking(seed)
        driver.until(0.35, raised=True)
        assert task.signal.raised_s is not None
        return task.signal.raised_s

    first, others = raised(3), [raised(seed) for seed in (4, 5, 6)]
    assert raised(3) == first
    assert max(abs(other - first) for other in others) > 0.3


def test_a_start_of_one_s_own_stands_where_it_was_asked_for() -> None:
    task, world = built(Wave)
    task.reset_at(world, 5, Start(distance_m=2.0, lateral_m=0.0, heading_rad=0.4))
    away, aside, _ = sight(world)
    assert away == pytest.approx(2.0)
    assert aside == pytest.approx(-0.4)
