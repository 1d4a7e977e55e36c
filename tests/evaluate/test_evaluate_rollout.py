"""Trials run the deployed loop over real physics: same seed, same numbers; falls and successes are seen."""

from collections.abc import Mapping

import numpy as np
import pytest

from wbvla.core.command import Command
from wbvla.core.records import BodyState
from wbvla.deploy.sources import LocalSource
from wbvla.evaluate.random_policy import RandomPolicy
from wbvla.evaluate.rollout import Arena, Player, RolloutConfig, run_trials
from wbvla.evaluate.trials import Trial, make_trials
from wbvla.robots.description import RobotSpec
from wbvla.robots.platforms import load_robot
from wbvla.sim.scene import World
from wbvla.sim.tasks import BoxLift

SMALL = RolloutConfig(image_width=32, image_height=24, film_width=64, film_height=48, time_limit_s=1.0)


class StiffLegs:
    """No balance at all: the legs are held where they stand, so that a robot with a tilted start falls."""

    def __init__(self, spec: RobotSpec, lean: float = 0.0) -> None:
        index = spec.indices(spec.lmo_joints)
        self.kp, self.kd, self._legs = (spec.column(c)[index] for c in ("kp", "kd", "default"))
        self._legs = self._legs + lean * np.array(["ankle_pitch" in n for n in spec.lmo_joints])

    def reset(self, height_m: float) -> None:
        assert height_m > 0

    def step(self, state: BodyState, command: Command) -> np.ndarray:
        return self._legs


class Wait(BoxLift):
    """A task that is done by standing for half a second."""

    def progress(self, world: World) -> Mapping[str, bool]:
        return {"begun": world.time_s > 0.1, "waited": world.time_s >= 0.5}

    def success(self, world: World) -> bool:
        return world.time_s >= 0.5


@pytest.fixture(scope="module")
def spec() -> RobotSpec:
    return load_robot("agibot_x2")


def random_source(arena: Arena, trial: Trial) -> LocalSource:
    return LocalSource(RandomPolicy(arena.spec, trial.seed))


SEEING = Player(name="random", description="", make_source=random_source)
BLIND = Player(name="random", description="", make_source=random_source, sees=False)


def test_success_ends_the_trial_and_the_film_is_kept(spec: RobotSpec) -> None:
    with Arena(Wait(), spec, StiffLegs(spec), SMALL) as arena:
        season = run_trials(arena, make_trials(["a"], ["b"], 2), BLIND, films=1)
    first = season.results[0]
    assert first.success
    assert first.reason == "success"
    assert first.duration_s == pytest.approx(0.5, abs=0.05)
    assert first.efficiency.time_to_goal_s == pytest.approx(0.5, abs=0.05)
    assert list(first.subgoals) == ["begun", "waited"]
    assert list(season.films) == ["seed 1000000, done"]
    assert b"ftyp" in next(iter(season.films.values()))[:64]
    assert set(season.traces["locomotion command"]["series"]) == {"s_x", "s_y", "s_psi"}


def test_same_trial_same_numbers_and_no_success_by_luck(spec: RobotSpec) -> None:
    trial = make_trials(["a"], ["b"], 1)[0]
    with Arena(BoxLift(), spec, StiffLegs(spec), SMALL) as arena:
        first, again = arena.run(trial, SEEING), arena.run(trial, BLIND)
    assert first.result == again.result
    np.testing.assert_array_equal(first.log.column("q"), again.log.column("q"))
    assert not first.result.success
    assert first.result.reason == "time limit"
    assert first.loop.chunks > 5


def test_falling_is_seen_and_trips_the_safety_layer(spec: RobotSpec) -> None:
    config = RolloutConfig(image_width=32, image_height=24, time_limit_s=6.0)
    with Arena(BoxLift(), spec, StiffLegs(spec, lean=-0.5), config) as arena:
        run = arena.run(make_trials(["a"], ["b"], 1)[0], BLIND)
    assert run.result.safety.fell
    assert run.result.safety.trip in ("tilt", "flail")
    assert run.result.reason.startswith("safety")
    assert run.result.duration_s < 6.0
