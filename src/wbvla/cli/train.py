"""`wbvla train RECIPE`: train any recipe in a folder, with fields overridden, a bar and the time left; resumable."""

import dataclasses
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from wbvla.core.errors import ConfigError
from wbvla.recipes.catalogue import load_recipe, names

OnStep = Callable[[Any], None]
FOLDER = "run folder: checkpoints, metrics.jsonl, run.json and the artefact"
DATA = "datasets to learn from; for a latent action model also folders of videos or pictures, and tars of videos"
START = "what to start from: a VLA artefact (fine-tuning) or a controller's checkpoint"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Train in a folder. Called again on the same folder, it goes on where it stopped."""

    folder: Annotated[Path, tyro.conf.arg(help=FOLDER)] = Path("runs/unnamed")
    data: Annotated[tuple[Path, ...], tyro.conf.arg(help=DATA)] = ()
    start: Annotated[Path | None, tyro.conf.arg(metavar="PATH", help=START)] = None


def parse(name: str, args: list[str]) -> tuple[Options, Any]:
    """Options, and the recipe's config with the given fields overridden."""
    config = load_recipe(name)
    flat = Annotated[type(config), tyro.conf.arg(name="")]
    fields: list[Any] = [("config", flat, config)]
    fields += [(f.name, Options.__annotations__[f.name], f.default) for f in dataclasses.fields(Options)]
    whole = dataclasses.make_dataclass(name.replace("-", "_"), fields, frozen=True)
    whole.__doc__ = f"Recipe {name}. {Options.__doc__}"
    default = whole(config, Path("runs") / name)
    plain = (tyro.conf.AvoidSubcommands,)
    given = tyro.cli(whole, default=default, args=args, prog=f"wbvla train {name}", config=plain)
    return Options(folder=given.folder, data=given.data, start=given.start), given.config


def start_training(config: Any, options: Options, on_step: OnStep) -> Any:
    """Call the trainer of the room that the config comes from."""
    room = importlib.import_module(type(config).__module__)
    kind = type(config).__name__
    if kind == "LmoConfig":
        return room.train(config, options.folder, on_step, warm_start=options.start)
    if not options.data:
        raise ConfigError("this recipe learns from recordings; give them with --data FOLDER [FOLDER ...]")
    if kind in ("LamTrainConfig", "PretrainConfig"):
        return room.train(config, options.folder, options.data, on_step)
    if options.start is None:
        raise ConfigError("fine-tuning needs the VLA it starts from; give it with --start FOLDER")
    return room.train(config, options.folder, options.data, options.start, on_step)


@contextmanager
def bar(console: Console) -> Iterator[OnStep]:
    """A bar fed by what `train.loop` and `lmo.train` report."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=None, note="")

        def show(state: Any) -> None:
            lmo = hasattr(state, "iteration")
            done, total = (state.iteration, state.iterations) if lmo else (state.step, state.steps)
            left = state.remaining_s if lmo else state.eta_s
            figures = " ".join(f"{k} {v:.3g}" for k, v in list(state.metrics.items())[:3])
            note = f"ETA {int(left) // 60}:{int(left) % 60:02d}  {figures}"
            progress.update(task, description=f"{done}/{total}", completed=done, total=total, note=note)

        yield show


def main(argv: list[str]) -> int:
    """Exit code 0; without a recipe, or with --help alone, the known ones are listed and the code is 2 or 0."""
    console = Console(soft_wrap=True)
    if not argv or argv[0].startswith("-"):
        console.print("usage: wbvla train RECIPE --data FOLDER [--folder RUN] [--FIELD VALUE ...]\n\nrecipes:")
        console.print("\n".join(f"  {name}" for name in names()))
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    options, config = parse(argv[0], argv[1:])
    with bar(console) as show:
        result = start_training(config, options, show)
    console.print(f"written to {getattr(result, 'artefact', result)}")
    return 0
