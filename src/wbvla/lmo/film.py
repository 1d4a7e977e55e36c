"""Films a controller at a script of commands, and the actor of a training as it is: real physics, H.264."""

import tempfile
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from wbvla.core.contract import write_artefact
from wbvla.core.errors import WbvlaError
from wbvla.core.files import replaced
from wbvla.data.video import VideoCodec, VideoWriter
from wbvla.deploy.lmo import POLICY_FILE
from wbvla.lmo.dolly import FRONT, SIDE, Shot, refresh, roll_to, studio
from wbvla.lmo.export import build_onnx, contract_of
from wbvla.lmo.plant import FULL, Layout, PhysicsConfig
from wbvla.lmo.trace import Act, Script, Trace, follow
from wbvla.lmo.train import Training
from wbvla.lmo.trial import Trial, TrialConfig
from wbvla.robots.description import RobotSpec
from wbvla.sim.camera import RenderConfig, Renderer

Frame = UInt8[np.ndarray, "height width 3"]
CODEC = VideoCodec(crf=26, preset="veryfast", gop=25)
SOLID = PhysicsConfig(options=replace(FULL, colliders=True))
"""limbs meet the floor: who falls lies on it"""
BENCH = TrialConfig(num_robots=1, num_threads=1, arm_amplitude=0.6, physics=SOLID)
"""one robot with noise, delay and moving arms"""
PUSH_S = 0.2
FIXED_S = 60.0
"""glide of a camera that stays where it is [s]"""


@dataclass(frozen=True, kw_only=True)
class FilmConfig:
    """Size and rate of a film."""

    width: int = 416
    """[px]"""
    height: int = 352
    """[px]"""
    fps: int = 25
    """frames per second, a divisor of 50 [Hz]"""
    samples: int = 4
    """samples per pixel against jagged edges"""
    shadows: bool = False
    """cast shadows; several times the cost without a graphics card"""
    shot: Shot = field(default=SIDE)
    """where the camera stands"""
    glide_s: float = 1.2
    """time over which the dolly's way is averaged; longer than the film: it stands still [s]"""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A script worth filming."""

    script: Script
    shot: Shot
    note: str
    """in words"""
    highlights_s: tuple[float, float]
    """span that a strip shows [s]"""
    glide_s: float = 1.2
    """of the camera, as in `FilmConfig` [s]"""


def scenes(spec: RobotSpec) -> dict[str, Scene]:
    """Forward, side-step, turn, squat and push recovery, 6 to 8 s each."""
    stand, (low, high) = spec.nominal_height_m, spec.height_range_m
    still = Act(seconds=1.0, height_m=stand)

    def command(x: int, y: int, psi: int) -> Script:
        return (still, Act(seconds=4.0, height_m=stand, flags=(x, y, psi)), replace(still, seconds=2.0))

    squat = (still, Act(seconds=2.5, height_m=low), Act(seconds=2.5, height_m=high))
    knock = Act(seconds=PUSH_S, height_m=stand, force_n=(150.0, 0.0))
    push = (
        still,
        knock,
        replace(still, seconds=2.8),
        replace(knock, force_n=(0.0, 150.0)),
        replace(still, seconds=3.0),
    )
    return {
        "forward": Scene(script=command(1, 0, 0), shot=SIDE, note="s_x = 1", highlights_s=(2.0, 3.4)),
        "side-step": Scene(script=command(0, 1, 0), shot=FRONT, note="s_y = 1, to its left", highlights_s=(2.0, 3.4)),
        "turn": Scene(
            script=command(0, 0, 1), shot=FRONT, note="s_psi = 1, to its left", glide_s=FIXED_S, highlights_s=(1.0, 5.0)
        ),
        "squat": Scene(
            script=squat, shot=SIDE, note=f"height {low:.2f} m, then {high:.2f} m", glide_s=FIXED_S,
            highlights_s=(1.0, 4.6),
        ),
        "push recovery": Scene(
            script=push, shot=SIDE, note="150 N for 0.2 s from behind", glide_s=FIXED_S, highlights_s=(1.0, 2.5)
        ),
    }  # fmt: skip


def film(policy: Path, spec: RobotSpec, commands: Script, path: Path, config: FilmConfig = FilmConfig()) -> Trace:
    """Run one robot through the commands and write an mp4; returns what it did. `policy` is an artefact's folder."""
    trial, trace = run_one(policy, spec, commands)
    every = round(1.0 / (trace.dt_s * config.fps))
    ticks = range(0, len(trace.yaw), every)
    with replaced(path) as aside:
        writer = VideoWriter(aside, config.height, config.width, config.fps, CODEC)
        for tick, picture in zip(ticks, pictures(spec, trial.layout, trace, list(ticks), config)):
            writer.add(captioned(picture, caption(trace, commands, tick)))
        writer.close()
    return trace


def run_one(policy: Path, spec: RobotSpec, commands: Script, seed: int = 0) -> tuple[Trial, Trace]:
    """One robot through a script."""
    trial = Trial(policy, spec, replace(BENCH, seed=seed))
    return trial, follow(trial, [commands])


def pictures(spec: RobotSpec, layout: Layout, trace: Trace, ticks: list[int], config: FilmConfig) -> list[Frame]:
    """The first robot of a trace at some ticks, from a dolly that glides along and keeps its heading."""
    world = studio(spec, (config.shot,))
    joints = world.qpos[spec.indices(layout.joint_names)]
    quality = RenderConfig(width=config.width, height=config.height, samples=config.samples, shadows=config.shadows)
    renderer = Renderer(world.model, (config.shot.name,), quality)
    glide, frames = smoothed(trace.position_w[:, 0, :2], round(config.glide_s / trace.dt_s)), []
    try:
        for tick in ticks:
            world.data.qpos[:7] = trace.qpos[tick, 0, :7]
            world.data.qpos[joints] = trace.qpos[tick, 0, layout.qpos.numpy()]
            roll_to(world, glide[tick], 0.0)
            refresh(world)
            frames.append(renderer.render(world.data)[config.shot.name])
    finally:
        renderer.close()
    return frames


def smoothed(way: Float[np.ndarray, "tick 2"], window: int) -> Float[np.ndarray, "tick 2"]:
    """Mean over a centred window, shorter at the ends."""
    total = np.cumsum(np.concatenate([np.zeros((1, 2)), way]), axis=0)
    ticks = np.arange(len(way))
    low, high = np.maximum(ticks - window // 2, 0), np.minimum(ticks + window // 2 + 1, len(way))
    return (total[high] - total[low]) / (high - low)[:, None]


def caption(trace: Trace, commands: Script, tick: int) -> str:
    """Time, command, speed over the last 0.7 s (a gait cycle), height, and a push while it lasts."""
    now, left = tick * trace.dt_s, tick * trace.dt_s
    act = commands[-1]
    for candidate in commands:
        if left < candidate.seconds - 1e-9:
            act = candidate
            break
        left -= candidate.seconds
    vx, vy, wz = trace.velocity[max(0, tick - 35) : tick + 1, 0].mean(axis=0)
    names = zip(act.flags, (("back", "forward"), ("right", "left"), ("turn right", "turn left")))
    asked = " ".join(words[flag > 0] for flag, words in names if flag) or f"stand at {act.height_m:.2f} m"
    force = float(np.hypot(*act.force_n))
    pushed = f"   PUSH {force:.0f} N" if force else ""
    height = trace.position_w[tick, 0, 2]
    return f"{now:4.1f} s  {asked:<16}  {vx:+.2f} {vy:+.2f} m/s {wz:+.2f} rad/s  {height:.2f} m{pushed}"


def captioned(picture: Frame, words: str) -> Frame:
    """White words on a dark bar at the bottom."""
    image = Image.fromarray(picture)
    draw, bar = ImageDraw.Draw(image), 22
    draw.rectangle((0, image.height - bar, image.width, image.height), fill=(24, 30, 40))
    draw.text((8, image.height - bar + 4), words, fill=(235, 240, 246), font=ImageFont.load_default(12))
    return np.asarray(image)


def film_training(training: Training, path: Path, config: FilmConfig = FilmConfig()) -> Trace:
    """Film the actor as it is now: 1 s of standing, 4 s forward, 2 s of stopping, without any of the curriculum's help.

    Weights go through a temporary artefact to a robot of their own: the run, its worlds and random generators stay
    as they are.
    """
    with tempfile.TemporaryDirectory(prefix="wbvla-film-") as folder:
        policy, spec = artefact_of(training, Path(folder) / "lmo"), training.env.spec
        return film(policy, spec, scenes(spec)["forward"].script, path, config)


def films_as_it_learns(training: Training) -> None:
    """Watches a training: every `film_every` iterations a film in the run's folder, `films/ITERATION.mp4`.

    A computer that cannot draw says so and trains on.
    """
    every = training.config.film_every
    if every == 0 or training.iteration % every:
        return
    path = training.folder / "films" / f"{training.iteration:06d}.mp4"
    path.parent.mkdir(exist_ok=True)
    try:
        film_training(training, path)
    except (WbvlaError, OSError, RuntimeError) as error:
        warnings.warn(f"no film of iteration {training.iteration}: {error}", stacklevel=2)


def artefact_of(training: Training, folder: Path) -> Path:
    """The actor as it is now as an artefact to be measured: never to be shipped, for it may still lean on help."""
    actor = {name: value.detach().cpu().clone() for name, value in training.learner.actor.state_dict().items()}
    contract = contract_of(training.env.spec, training.config.environment)
    files = {POLICY_FILE: build_onnx(actor)}
    return write_artefact(folder, contract, {"iteration": training.iteration}, "An actor in training.\n", files).folder
