"""A fixed list of trials: which seed, which words; and what came of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wbvla.core.errors import ConfigError
from wbvla.evaluate.efficiency import TrialEfficiency
from wbvla.evaluate.safety import TrialSafety

TEST_SEED = 1_000_000
"""first seed of evaluation; demonstrations are recorded below it"""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One start: the seed fixes the scene, the instruction is said to the policy."""

    index: int
    seed: int
    instruction: str
    phrasing: str
    """`train` when the policy may have read these words in training, `test` when it never did"""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What happened in one trial."""

    trial: Trial
    success: bool
    subgoals: Mapping[str, bool]
    """sub-goal -> reached at some time"""
    subgoal_times_s: Mapping[str, float | None]
    """control time at which it was first reached [s]"""
    duration_s: float
    """control time until the trial ended [s]"""
    reason: str
    """why it ended: `success`, `time`, `tripped`, `finished`"""
    safety: TrialSafety
    efficiency: TrialEfficiency
    chunks: int
    """action chunks that were put into effect"""


def make_trials(
    train: Sequence[str], test: Sequence[str], count: int, phrasing: str = "test", first_seed: int = TEST_SEED
) -> tuple[Trial, ...]:
    """`count` trials with consecutive seeds, instructions in turn; raises ConfigError without words to say."""
    words = {"train": train, "test": test}.get(phrasing)
    if not words:
        raise ConfigError(
            f"no {phrasing!r} instructions; phrasing must be `train` or `test` and the task must have some"
        )
    if count < 1:
        raise ConfigError(f"the number of trials must be positive, not {count}")
    return tuple(
        Trial(index=i, seed=first_seed + i, instruction=words[i % len(words)], phrasing=phrasing) for i in range(count)
    )
