"""`wbvla train RECIPE`: train any recipe in a folder, with fields overridden, a bar and the time left; resumable."""

import dataclasses
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from wbvla.core.errors import ConfigError
from wbvla.recipes.catalogue import load_recipe, names

FOLDER = "run folder: checkpoints, metrics.jsonl, run.json and the artefact"
DATA = "datasets to learn from; for a latent action model also folders of videos or pictures, and tars of videos"
START = "what to start from: a VLA artefact (fine-tuning) or a controller's checkpoint"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Train in a folder. Called again on the same folder, it goes on where it stopped."""

    folder: Annotated[Path, tyro.conf.arg(help=FOLDER)] = Path("runs/unnamed")
    data: Annotated[tuple[Path, ...], tyro.conf.arg(help=DATA)] = ()
    start: Annotated[Path | None, tyro.conf.arg(metavar="PATH", help=START)] = None
    seeds: Annotated[tuple[int, ...], tyro.conf.arg(help="controllers: once per seed, in RUN/seed_N")] = ()


def parse(name: str, args: list[str]) -> tuple[Options, Any]:
    """Options, and the recipe's config with the given fields overridden."""
    config = load_recipe(name)
    flat = Annotated[type(config), tyro.conf.arg(name="")]
    options = [(f.name, Options.__annotations__[f.name], f.default) for f in dataclasses.fields(Options)]
    fields: list[Any] = [("config", flat, config), *options]
    whole = dataclasses.make_dataclass(name.replace("-", "_"), fields, frozen=True)
    whole.__doc__, default = f"Recipe {name}. {Options.__doc__}", whole(config, Path("runs") / name)
    flags, prog = (tyro.conf.AvoidSubcommands,), f"wbvla train {name}"
    given = tyro.cli(whole, default=default, args=args, prog=prog, config=flags)
    return Options(**{f.name: getattr(given, f.name) for f in dataclasses.fields(Options)}), given.config


def start_training(config: Any, options: Options, on_step: Callable[[Any], None]) -> Any:
    """Call the trainer of the room that the config comes from."""
    room, kind = importlib.import_module(type(config).__module__), type(config).__name__
    if kind == "LmoConfig":
        each = importlib.import_module("wbvla.lmo.runs").train_each
        return each(config, options.seeds, options.folder, on_step, options.start)
    if not options.data:
        raise ConfigError("this recipe learns from recordings; give them with --data FOLDER [FOLDER ...]")
    if kind in ("LamTrainConfig", "PretrainConfig"):
        return room.train(config, options.folder, options.data, on_step)
    if options.start is None:
        raise ConfigError("fine-tuning needs the VLA it starts from; give it with --start FOLDER")
    return room.train(config, options.folder, options.data, options.start, on_step)


@contextmanager
def bar(console: Console) -> Iterator[Callable[[Any], None]]:
    """A bar fed by what `train.loop` and `lmo.train` report."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=None, note="")

        def show(state: Any) -> None:
            lmo = hasattr(state, "iteration")
            done, total = (state.iteration, state.iterations) if lmo else (state.step, state.steps)
            left = int(state.remaining_s if lmo else state.eta_s)
            numbers = [f"{k} {v:.3g}" for k, v in list(state.metrics.items())[:3]]
            figures = " ".join([f"ETA {left // 60}:{left % 60:02d} ", *numbers])
            progress.update(task, description=f"{done}/{total}", completed=done, total=total, note=figures)

        yield show


def main(argv: list[str]) -> int:
    """Exit code 0; without a recipe, or with --help alone, the known ones are listed and the code is 2 or 0."""
    console = Console(soft_wrap=True, quiet=os.environ.get("RANK", "0") != "0")
    if not argv or argv[0].startswith("-"):
        usage = "usage: wbvla train RECIPE --data FOLDER [--folder RUN] [--FIELD VALUE ...]\n\nrecipes:\n  "
        console.print(usage + "\n  ".join(names()))
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    options, config = parse(argv[0], argv[1:])
    with bar(console) as show:
        made = start_training(config, options, show)
    console.print(f"written to {getattr(made, 'artefact', made)}")
    return 0
