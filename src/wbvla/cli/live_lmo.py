"""Training the low-level controller before one's eyes: reward curve, and a strip and film of how it learns to walk."""

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from wbvla.core.files import replaced
from wbvla.core.metrics import read_metrics
from wbvla.data.video import VideoCodec, VideoWriter
from wbvla.lmo.environment import LmoEnvironment
from wbvla.lmo.train import METRICS, Training
from wbvla.robots.description import RobotSpec
from wbvla.sim.camera import RenderConfig, Renderer
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.scene import RoomConfig, World, build_scene

matplotlib.use("Agg")

Frame = UInt8[np.ndarray, "height width 3"]
MILESTONES = (1, 10, 25, 60, 120, 250, 500, 900)
"""iterations that are filmed, besides the last"""
SECONDS, FILM_HZ, PER_ROW = 4.0, 10, 8


class Filming:
    """Films the mean action of the policy as it is, with whatever help the curriculum still gives; changes nothing."""

    def __init__(self, spec: RobotSpec, folder: Path) -> None:
        self.spec, self.folder = spec, folder
        self._world = World(spec, build_scene(spec, MjcfOptions(), RoomConfig()))
        self._renderer = Renderer(self._world.model, ("view",), RenderConfig(width=240, height=240, samples=4))

    def watch(self, training: Training) -> None:
        """Film milestones; draw the curve and the strip anew after each."""
        last = training.iteration == training.config.iterations
        if training.iteration not in MILESTONES and not last:
            return
        frames = self._film(training)
        steps = training.iteration * training.steps_per_iteration / 1e6
        label = f"{steps:.1f}e6 steps, {training.seconds / 60:.0f} min"
        row = _labelled(np.concatenate(frames[:: len(frames) // PER_ROW][:PER_ROW], axis=1), label)
        self._save(self.folder / f"strip_{training.iteration:06d}.png", row)
        self._encode(self.folder / f"film_{training.iteration:06d}.mp4", frames)
        rows = [np.asarray(Image.open(p)) for p in sorted(self.folder.glob("strip_*.png"))]
        self._save(self.folder / "strip.png", np.concatenate(rows, axis=0))
        draw_curve(self.folder)

    def _film(self, training: Training) -> list[Frame]:
        """4 s of walking forward of one nominal robot."""
        config = replace(training.config.environment, num_worlds=1, num_threads=1, randomize=False)
        env = LmoEnvironment(self.spec, config, training.env.stage)
        env.progress = replace(training.env.progress)
        frames = []
        with torch.no_grad():
            obs = env.observations()
            for tick in range(round(SECONDS / env.dt_s)):
                env.worlds.flags[:] = torch.tensor([float(tick * env.dt_s > 0.5), 0.0, 0.0])
                env.worlds.height_goal[:] = self.spec.nominal_height_m
                env.worlds.command_left_s[:] = SECONDS
                obs, *_ = env.step(training.learner.actor(obs))
                if tick % round(1 / env.dt_s / FILM_HZ) == 0:
                    frames.append(self._picture(env))
        return frames

    def _picture(self, env: LmoEnvironment) -> Frame:
        qpos, world = env.engine.state("qpos")[0].cpu().double().numpy(), self._world
        world.reset()
        world.data.qpos[:7] = qpos[:7]
        world.data.qpos[world.qpos[self.spec.indices(env.layout.joint_names)]] = qpos[env.layout.qpos.cpu().numpy()]
        world.step(1)
        return self._renderer.render(world.data)["view"]

    @staticmethod
    def _save(path: Path, picture: Frame) -> None:
        with replaced(path) as aside:
            Image.fromarray(picture).save(aside, format="png")

    @staticmethod
    def _encode(path: Path, frames: list[Frame]) -> None:
        height, width = frames[0].shape[:2]
        with replaced(path) as aside:
            writer = VideoWriter(aside, height, width, FILM_HZ, VideoCodec())
            for frame in frames:
                writer.add(frame)
            writer.close()

    def close(self) -> None:
        self._renderer.close()


def _labelled(picture: Frame, words: str) -> Frame:
    image = Image.fromarray(picture)
    ImageDraw.Draw(image).text((6, 4), words, fill=(20, 20, 20))
    return np.asarray(image)


def draw_curve(folder: Path) -> Path:
    """Reward, falls and tracking errors over environment steps, from the run's metrics, to curve.png."""
    from matplotlib import pyplot as plt

    rows = read_metrics(folder / METRICS)
    steps = [r["env_steps"] / 1e6 for r in rows]
    shown = (
        ("reward", ("reward",)),
        ("falls per robot-minute", ("falls_per_minute",)),
        ("tracking error", ("error_x", "error_y", "error_yaw")),
    )
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
    for axis, (title, names) in zip(axes, shown):
        for name in names:
            axis.plot(steps, [r.get(name) for r in rows], label=name, linewidth=1)
        axis.set(title=title, xlabel="steps [1e6]")
        axis.grid(alpha=0.3)
        if len(names) > 1:
            axis.legend()
    path = folder / "curve.png"
    with replaced(path) as aside:
        figure.savefig(aside, format="png", dpi=110)
    plt.close(figure)
    return path
