"""The stations of the demo: each calls one room of the house and says what came out."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.cli.eval import experts
from wbvla.cli.journey import Bar, Figure, Outcome, Station
from wbvla.cli.live_lmo import Filming
from wbvla.cli.record import record_expert
from wbvla.collect.ego.video import record_egovideo
from wbvla.core.command import FLAG_NAMES
from wbvla.core.errors import ContractMismatch
from wbvla.core.metrics import read_metrics
from wbvla.data.reader import Dataset
from wbvla.deploy.bundle import open_bundle, write_bundle
from wbvla.evaluate.campaign import Assignment, evaluate_bundle
from wbvla.lam import label as labelling
from wbvla.lam import train as lam
from wbvla.lmo import train as lmo
from wbvla.lmo.export import export
from wbvla.lmo.protocol import DIRECTIONS, walk_and_stop
from wbvla.lmo.train import TrainingProgress
from wbvla.lmo.trial import TrialConfig
from wbvla.recipes.catalogue import load_recipe
from wbvla.recipes.demo import DemoConfig
from wbvla.robots.platforms import load_robot, shipped_lmo
from wbvla.sim.tasks import tasks
from wbvla.train.loop import Progress
from wbvla.vla import finetune, pretrain

COMMAND_S = 5.0
"""length of a command in the walk-and-stop protocol [s]"""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Where the demo keeps what it makes."""

    root: Path
    config: DemoConfig
    lmo: Path
    """artefact of the low-level controller in use"""

    from_scratch: bool = False
    """whether the low-level controller is trained here too"""

    @property
    def egovideo(self) -> Path:
        return self.root / "egovideo"

    @property
    def demonstrations(self) -> Path:
        return self.root / self.config.task

    @property
    def bundle(self) -> Path:
        return self.root / "bundle"

    @property
    def report(self) -> Path:
        return self.root / "report"

    def outcomes(self) -> Path:
        """Folder of what the stations said."""
        return self.root / "stations"


def all_stations(space: Workspace) -> list[Station]:
    """The journey in order."""
    steps: Sequence[tuple[str, str, Callable[[Workspace, Bar], Outcome]]] = (
        ("lmo", "low-level controller: measure it", measure_lmo),
        ("egovideo", "collect: action-free egocentric video", collect_egovideo),
        ("demonstrations", "collect: scripted demonstrations", collect_demonstrations),
        ("lam-locomotion", "latent actions of the moving camera", learn_locomotion),
        ("lam-manipulation", "latent actions of the hands", learn_manipulation),
        ("labels", "label both datasets with codes", write_codes),
        ("vla-pretrain", "vla: predict the codes from picture and words", learn_codes),
        ("vla-finetune", "vla: actions by LoRA and a decoder", learn_actions),
        ("bundle", "join what is deployed", bind),
        ("evaluation", "trials through the deployed loop", evaluate),
    )
    if space.from_scratch:
        steps = (("lmo-training", "low-level controller: learn to walk", train_lmo), *steps)
    return [Station(name=n, title=t, run=lambda bar, run=run: run(space, bar)) for n, t, run in steps]


def train_lmo(space: Workspace, bar: Bar) -> Outcome:
    """PPO from nothing; the curve and a strip of pictures are redrawn as it learns."""
    folder, spec, config = space.root / "lmo-run", load_robot(space.config.robot), load_recipe("x2-lmo")
    folder.mkdir(parents=True, exist_ok=True)
    filming = Filming(spec, folder)

    def show(progress: TrainingProgress) -> None:
        reward, falls = progress.metrics["reward"], progress.metrics["falls_per_minute"]
        words = f"{progress.env_steps_per_s:.0f} steps/s, reward {reward:.2f}, {falls:.1f} falls per robot-minute"
        bar.advance_to(progress.iteration, progress.iterations, words)

    try:
        checkpoint = lmo.train(config, folder, show, watch=filming.watch)
    finally:
        filming.close()
    made = export(checkpoint, config.environment, space.lmo, "x2-lmo", config.seed)
    rows = read_metrics(folder / lmo.METRICS)
    figure = Figure(
        name="reward per tick",
        value=rows[-1]["reward"],
        baseline_name="the first iteration",
        baseline=rows[0]["reward"],
        samples=rows[-1]["env_steps"],
    )
    words = f"a controller from {rows[-1]['env_steps'] / 1e6:.1f}e6 steps; curve.png, strip.png and films as it learned"
    return Outcome(made=words, where=f"{made.folder}, {folder}", figure=figure)


def measure_lmo(space: Workspace, bar: Bar) -> Outcome:
    """5 s of one command and 10 s of settling, in six directions, on randomised plants with moving arms."""
    spec, each = load_robot(space.config.robot), space.config.lmo_robots_each
    bar.advance_to(0, 1, f"{each * len(DIRECTIONS)} robots walk and stop")
    rows = walk_and_stop(space.lmo, spec, TrialConfig(seed=space.config.seed), each)
    axis = {name: int(np.argmax(np.abs(flags))) for name, flags in DIRECTIONS.items()}
    moves = [name for name, a in axis.items() if a < 2 and rows[name]["position_m"] is not None]
    goals = [spec.shaping.goal_speed[axis[name]] * COMMAND_S for name in moves]
    falls = float(np.mean([row["fall_rate"] for row in rows.values()]))
    figure = Figure(
        name="distance from the intended place after a 5 s command [m]",
        value=float(np.mean([rows[name]["position_m"] for name in moves])),
        baseline_name="standing still",
        baseline=float(np.mean(goals)),
        better="lower",
        samples=each * len(moves),
    )
    made = f"{each * len(DIRECTIONS)} robots commanded in six directions; {100 * falls:.0f} % fell"
    where = str(space.lmo) if space.from_scratch else f"{space.lmo.name}, shipped with the package"
    return Outcome(made=made, where=where, figure=figure, details={"rows": rows})


def collect_egovideo(space: Workspace, bar: Bar) -> Outcome:
    """People walk through rooms; nobody says which action that is."""
    clips = space.config.egovideo.num_clips
    began, counts = time.monotonic(), []

    def show(done: int, frames: int) -> None:
        counts.append(frames)
        bar.advance_to(done, clips, f"{frames} frames")

    record_egovideo(space.config.egovideo, space.egovideo, show)
    data, seconds = Dataset(space.egovideo), time.monotonic() - began
    figure = None
    if len(counts) > 1:
        figure = Figure(
            name="frames recorded per second",
            value=(counts[-1] - counts[0]) / seconds,
            baseline_name="filming with a camera",
            baseline=float(data.fps),
            samples=counts[-1] - counts[0],
        )
    minutes = data.num_frames / data.fps / 60
    made = f"{data.num_episodes} clips, {data.num_frames} frames, {minutes:.0f} min at {data.fps} fps, no actions"
    return Outcome(made=made, where=str(space.egovideo), figure=figure)


def collect_demonstrations(space: Workspace, bar: Bar) -> Outcome:
    """The expert acts through what a VLA may command; only successes are kept, all attempts are counted."""
    tally = record_expert(
        space.demonstrations, space.config.task, space.config.demonstrations, space.config.seed, bar.advance_to
    )
    data = Dataset(space.demonstrations)
    figure = Figure(
        name="success of the scripted expert",
        value=tally.kept / max(tally.attempts, 1),
        baseline_name="random policy (measured below)",
        baseline=None,
        samples=tally.attempts,
    )
    made = f"{data.num_episodes} demonstrations, {data.num_frames} frames of 3 cameras, from {tally.attempts} attempts"
    return Outcome(made=made, where=str(space.demonstrations), figure=figure)


def follow(bar: Bar, words: str) -> Callable[[Progress], None]:
    """A training's progress on a bar."""

    def show(progress: Progress) -> None:
        loss = progress.metrics.get("loss")
        bar.advance_to(progress.step, progress.steps, words if loss is None else f"{words}, loss {loss:.3f}")

    return show


def learn_latents(space: Workspace, bar: Bar, stream: str, dataset: Path) -> Outcome:
    """One latent action model, judged on held-out episodes."""
    folder = space.root / f"lam-{stream}"
    config = load_recipe(f"tiny-lam-{stream}")
    trained = lam.train(config, folder, [dataset], follow(bar, "frame pairs"))
    quality = trained.quality
    words = "passed its gate" if quality.passed else f"FAILED its gate ({'; '.join(quality.faults)})"
    figure = Figure(
        name="held-out error of the predicted frame (MSE)",
        value=quality.mse,
        baseline_name="copying the first frame",
        baseline=quality.copy_mse,
        better="lower",
        samples=quality.pairs,
    )
    used = ", ".join(f"{p:.1f}" for p in quality.perplexity)
    gain = f"code gain {quality.code_gain.value:.2f}, perplexity {used}"
    made = f"a codebook of {config.model.quantizer.num_codes} codes, {words}; {gain}"
    return Outcome(made=made, where=str(trained.artefact), figure=figure, details={"passed": quality.passed})


def learn_locomotion(space: Workspace, bar: Bar) -> Outcome:
    """From action-free video."""
    return learn_latents(space, bar, "locomotion", space.egovideo)


def learn_manipulation(space: Workspace, bar: Bar) -> Outcome:
    """From the demonstrations' cameras, without their actions."""
    return learn_latents(space, bar, "manipulation", space.demonstrations)


def write_codes(space: Workspace, bar: Bar) -> Outcome:
    """Codes become columns; a model that failed its gate labels under protest."""
    jobs = (
        ("locomotion", space.egovideo),
        ("locomotion", space.demonstrations),
        ("manipulation", space.demonstrations),
    )
    forced, columns = [], []
    for number, (stream, dataset) in enumerate(jobs):
        artefact = space.root / f"lam-{stream}" / lam.ARTEFACT
        show = _part(bar, number, len(jobs), f"{stream} codes of {dataset.name}")
        try:
            column = labelling.label(artefact, dataset, on_episode=show)
        except ContractMismatch:
            column = labelling.label(artefact, dataset, force=True, on_episode=show)
            forced.append(stream)
        columns.append(f"{dataset.name}:{column}")
    made = ", ".join(columns)
    if forced:
        made += f"; FORCED past the quality gate: {', '.join(sorted(set(forced)))}"
    effective, frames = zip(*(_effective_codes(dataset, f"latent.{stream}") for stream, dataset in jobs))
    figure = Figure(
        name="codes in effective use per token (perplexity), least of the columns",
        value=min(effective),
        baseline_name="one constant code",
        baseline=1.0,
        samples=sum(frames),
    )
    return Outcome(made=made, where=f"{space.egovideo}, {space.demonstrations}", figure=figure)


def _effective_codes(dataset: Path, column: str) -> tuple[float, int]:
    """Mean perplexity per token of a label column, and its number of labelled frames."""
    codes = Dataset(dataset).column(column)
    codes = codes[(codes >= 0).all(axis=1)]
    shares = [np.unique(token, return_counts=True)[1] / len(codes) for token in codes.T]
    return float(np.mean([np.exp(-np.sum(p * np.log(p))) for p in shares])), len(codes)


def _part(bar: Bar, number: int, parts: int, words: str) -> Callable[[int, int], None]:
    return lambda done, total: bar.advance_to(number + done / max(total, 1), parts, words)


def learn_codes(space: Workspace, bar: Bar) -> Outcome:
    """Latent pretraining on video and demonstrations."""
    folder = space.root / "vla-pretrain"
    sets = [space.egovideo, space.demonstrations]
    trained = pretrain.train(load_recipe("tiny-vla-pretrain"), folder, sets, follow(bar, "pictures and words"))
    figure = _codes(trained.figures)
    streams = [name.removeprefix("accuracy_") for name in trained.figures if name.startswith("accuracy_")]
    words = [
        f"{name} {trained.figures[f'accuracy_{name}']:.2f} (majority {trained.figures[f'majority_{name}']:.2f}, "
        f"with another frame's picture {trained.figures[f'blind_{name}']:.2f})"
        for name in streams
    ]
    made = f"a Prismatic-layout VLA that predicts both code streams: {', '.join(words)}"
    return Outcome(made=made, where=str(trained.artefact), figure=figure, details=dict(trained.figures))


def _codes(figures: Mapping[str, float]) -> Figure:
    """Mean over the streams of the share of code tokens that are right."""
    ours = [v for k, v in figures.items() if k.startswith("accuracy_")]
    trivial = [v for k, v in figures.items() if k.startswith("majority_")]
    return Figure(
        name="held-out code tokens predicted right, mean of streams",
        value=float(np.mean(ours)),
        baseline_name="the majority code",
        baseline=float(np.mean(trivial)),
        samples=int(figures.get("frames", len(ours))),
    )


def learn_actions(space: Workspace, bar: Bar) -> Outcome:
    """LoRA and the action decoder on the demonstrations."""
    folder, start = space.root / "vla-finetune", space.root / "vla-pretrain" / pretrain.ARTEFACT
    trained = finetune.train(
        load_recipe("tiny-vla-finetune"), folder, [space.demonstrations], start, follow(bar, "demonstrations")
    )
    figures = trained.figures
    figure = Figure(
        name="held-out error of arm targets (L1) [rad]",
        value=figures["arms_l1_rad"],
        baseline_name="the mean action",
        baseline=figures["arms_l1_mean_rad"],
        better="lower",
        samples=int(pretrain.read_figures(folder).get("frames", 0)),
    )
    words = [
        f"{flag} {figures[f'balanced_accuracy_{flag}']:.2f} ({figures[f'balanced_accuracy_{flag}_majority']:.2f})"
        for flag in FLAG_NAMES
    ]
    made = f"a VLA that acts; balanced accuracy of its flags (majority): {', '.join(words)}"
    return Outcome(made=made, where=str(trained.artefact), figure=figure, details=dict(figures))


def bind(space: Workspace, bar: Bar) -> Outcome:
    """One folder that names what belongs together by its hashes."""
    bar.advance_to(0, 1)
    bundle = write_bundle(space.bundle, space.root / "vla-finetune" / pretrain.ARTEFACT, space.lmo)
    made = f"vla {bundle.vla.digest[:12]} + lmo {bundle.lmo.digest[:12]}"
    return Outcome(made=made, where=str(space.bundle))


def evaluate(space: Workspace, bar: Bar) -> Outcome:
    """Policy server and robot loop as two processes; beside them the expert and a random policy."""
    task = tasks.build(space.config.task)
    assignment = Assignment(bundle=open_bundle(space.bundle), task=task, others=experts(task), stations=_earlier(space))
    report = evaluate_bundle(assignment, space.config.campaign, space.report, bar.advance_to)
    rates = {c["name"]: c["success"] for c in report["contenders"]}
    figure = Figure(
        name=f"success of the trained policy at {space.config.task}",
        value=rates["policy"]["value"],
        baseline_name="random policy",
        baseline=rates["random"]["value"],
        samples=rates["policy"]["trials"],
    )
    made = ", ".join(f"{name} {r['successes']} of {r['trials']}" for name, r in rates.items())
    return Outcome(made=made, where=str(space.report / "report.html"), figure=figure)


def _earlier(space: Workspace) -> list[dict[str, Any]]:
    """What the stations before the evaluation said, for the report."""
    order = [s.name for s in all_stations(space)]
    files = [space.outcomes() / f"{name}.json" for name in order]
    return [json.loads(f.read_text()) for f in files if f.is_file()]


def open_workspace(root: Path, config: DemoConfig, from_scratch: bool) -> Workspace:
    """A workspace with the low-level controller that comes with the package, or with one that is trained in it."""
    lmo_folder = root / "lmo" if from_scratch else shipped_lmo(config.robot)
    return Workspace(root=root, config=config, lmo=lmo_folder, from_scratch=from_scratch)
