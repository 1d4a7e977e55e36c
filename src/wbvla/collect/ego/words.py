"""What people are told: instructions that name a primitive or a goal, in two splits without a common phrasing."""

from collections.abc import Mapping

import numpy as np

SHARES = {
    "advance": 500,
    "turn_left": 400,
    "turn_right": 400,
    "sidestep_left": 300,
    "sidestep_right": 300,
    "squat_down": 300,
    "stand_up": 300,
    "approach_near": 400,
    "back_away": 200,
    "stop_ready": 300,
}
"""how often each primitive is prompted; left and right are prompted apart, each as often as the others"""
PROMPTS = {
    "advance": ("walk forward", "go straight ahead", "advance"),
    "turn_left": ("turn left", "turn to the left", "rotate left"),
    "turn_right": ("turn right", "turn to the right", "rotate right"),
    "sidestep_left": ("step to the left", "sidestep left", "move left"),
    "sidestep_right": ("step to the right", "sidestep right", "move right"),
    "squat_down": ("squat down", "crouch down", "lower yourself"),
    "stand_up": ("stand up", "get up", "rise"),
    "approach_near": ("approach {goal}", "come near {goal}", "walk up to {goal}"),
    "back_away": ("back away", "step back", "walk backwards"),
    "stop_ready": ("stop and get ready", "stop here, hands ready", "halt and be ready"),
}
GOALS = (
    "go to {goal}",
    "walk over to {goal}",
    "find {goal} and touch it",
    "walk to {goal} and put your hand on it",
    "go to {goal} and reach for it",
)
"""instructions whose right motion depends on the picture; `{goal}` such as `the red box by the window`"""
PROMPTS_TEST = {
    "advance": ("keep on walking", "onwards"),
    "turn_left": ("face left", "swivel leftwards"),
    "turn_right": ("face right", "swivel rightwards"),
    "sidestep_left": ("shift sideways, left", "a step leftwards"),
    "sidestep_right": ("shift sideways, right", "a step rightwards"),
    "squat_down": ("get low", "knees bent, go lower"),
    "stand_up": ("come up again", "back on your feet"),
    "approach_near": ("get right in front of {goal}", "close in on {goal}"),
    "back_away": ("make some room in front of you", "get further away"),
    "stop_ready": ("no further, be prepared", "stay there with your hands out"),
}
GOALS_TEST = (
    "I need you at {goal}",
    "bring your hand to {goal}",
    "your destination is {goal}",
    "see {goal}? lay a hand on it",
    "could you tap {goal} for me",
)
"""kept for evaluation: no clip of the split `train` is told any of these"""
SAYINGS: Mapping[str, tuple[Mapping[str, tuple[str, ...]], tuple[str, ...]]] = {
    "train": (PROMPTS, GOALS),
    "test": (PROMPTS_TEST, GOALS_TEST),
}
"""by split: ways to prompt each primitive, ways to name a goal"""


def phrasings(rng: np.random.Generator, ways: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Ways to say an instruction with the names of its goal; the first is drawn, the others are all the rest."""
    said = [way.format(goal=name) for way in ways for name in names]
    said = list(dict.fromkeys(said))
    return tuple(said[i] for i in rng.permutation(len(said)))
