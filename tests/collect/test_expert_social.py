"""The experts of social and navigation tasks do them by flags, arms and grippers alone, gently and without a fall."""

from collections.abc import Callable

import numpy as np
import pytest

from wbvla.collect.expert import STRAYED
from wbvla.collect.stage import Stage, StageConfig
from wbvla.core.records import Tick
from wbvla.sim.person_body import PERSON
from wbvla.sim.tasks.handshake import Handshake
from wbvla.sim.tasks.stop_when_told import StopWhenTold

PHASES = {
    "wave": ["wave"],
    "greet": ["come", "wave"],
    "handshake": ["wait", "come", "ready", "take", "shake", "release"],
    "stop-when-told": ["walk", "stop", "walk"],
    "go-through": ["line_up", "through", "last"],
    "go-to-furniture": ["last"],
}


class Watcher:
    """Calls something at every control tick."""

    def __init__(self, look: Callable[[Tick], None]) -> None:
        self._look = look

    def observe(self, tick: Tick) -> None:
        self._look(tick)


@pytest.mark.parametrize("name", list(PHASES))
def test_the_expert_does_the_task_in_its_phases(name: str) -> None:
    stage = Stage(StageConfig(task=name))
    phases: list[str] = []

    def look(tick: Tick) -> None:
        if stage.expert.phase and (not phases or phases[-1] != stage.expert.phase):
            phases.append(stage.expert.phase)

    outcome = stage.run(3, [Watcher(look)])
    assert outcome.success, outcome
    wanted = PHASES[name]
    assert [phase for phase in phases if phase in wanted][-len(wanted) :] == wanted
    assert set(phases) <= set(stage.expert.phases)
    assert outcome.instruction in stage.task.phrasings(3)
    assert all(time is not None for time in outcome.subgoals_s.values())
    assert not any(stage.world.data.xfrc_applied.ravel())
    if outcome.contact is not None and name != "handshake":
        assert outcome.contact.max_n == 0.0
    stage.close()


def test_a_handshake_is_felt_and_stays_far_below_the_limit() -> None:
    stage = Stage(StageConfig(task="handshake"))
    outcome = stage.run(8)
    assert isinstance(stage.task, Handshake)
    assert outcome.success
    assert outcome.contact is not None
    assert outcome.contact.region == "hand"
    assert 2.0 < outcome.contact.filtered_n < stage.task.config.limit_n
    assert outcome.contact.duration_s >= stage.task.config.hold_s
    stage.close()


def test_a_robot_pushed_aside_while_it_waves_faces_the_person_again() -> None:
    stage = Stage(StageConfig(task="wave"))
    world, turned = stage.world, []

    def look(tick: Tick) -> None:
        if stage.expert.phase == "wave" and stage.expert.phase_s > 0.8 and not turned:
            at, looks = stage.expert.person.facing(world)  # type: ignore[attr-defined]
            world.place(PERSON, (*(at + 1.6 * np.array([-np.sin(looks), np.cos(looks)])), 0.0), looks - 0.6)
            turned.append(world.time_s)

    outcome = stage.run(6, [Watcher(look)])
    assert turned
    assert STRAYED in stage.expert.lapses
    assert outcome.success, outcome
    stage.close()


def test_who_does_not_heed_the_palm_is_lost() -> None:
    stage = Stage(StageConfig(task="stop-when-told"))
    stage.expert._told = lambda: False  # type: ignore[attr-defined]
    outcome = stage.run(3)
    assert isinstance(stage.task, StopWhenTold)
    assert not outcome.success
    assert outcome.reason == "did not stop"
    assert stage.task.signal.ignored
    stage.close()
