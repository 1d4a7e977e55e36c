"""One recipe trained once per seed, filmed as it learns."""

from dataclasses import replace
from pathlib import Path

from wbvla.lmo.film import films_as_it_learns
from wbvla.lmo.train import LmoConfig, OnIteration, train


def train_each(
    config: LmoConfig,
    seeds: tuple[int, ...],
    folder: Path,
    on_iteration: OnIteration | None = None,
    warm_start: Path | None = None,
) -> Path:
    """The same training once per seed, one after the other, in `folder/seed_N`; without seeds: once, in `folder`.

    Called again, finished runs are passed over and the others go on. Returns the folder, or the only checkpoint.
    """
    if not seeds:
        return train(config, folder, on_iteration, warm_start=warm_start, watch=films_as_it_learns)
    for seed in seeds:
        seeded = replace(config, seed=seed, environment=replace(config.environment, seed=seed))
        train(seeded, folder / f"seed_{seed}", on_iteration, warm_start=warm_start, watch=films_as_it_learns)
    return folder
