"""Draws docs/images/task_<name>.webp: a task as the robot's head and a bystander see it, and how other seeds look.

python scripts/task_sheet.py [--task box-loading] [--seed 1000000] [--out FOLDER]

The scripted teleoperator does the task; the pictures are of the start, of the first moment of each sub-goal and of the
end. Exit code 1 when it failed.
"""

import argparse
import io
import sys
from dataclasses import dataclass, field
from pathlib import Path

import mujoco
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wbvla.collect.stage import Outcome, Stage, StageConfig
from wbvla.core.files import write_bytes
from wbvla.core.records import Tick
from wbvla.sim.camera import RenderConfig, Renderer
from wbvla.sim.scene import World
from wbvla.sim.tasks import tasks

OUT = Path(__file__).parents[1] / "docs" / "images"
SIZE = RenderConfig(width=264, height=198, shadows=True, samples=8)
GAP, LABEL, COLUMNS = 4, 24, 6
LIMIT_BYTES = 400_000
EYES, OUTSIDE = "head", "view"
OVERVIEW = "overview"
"""outside camera of worlds that have one"""


@dataclass
class Diary:
    """An Observer that remembers where everything was, ten times per second."""

    world: World
    times_s: list[float] = field(default_factory=list)
    states: list[np.ndarray] = field(default_factory=list)

    def observe(self, tick: Tick) -> None:
        """Note positions of joints and of what is placed."""
        if tick.index % 5 == 0:
            data = self.world.data
            self.times_s.append(self.world.time_s)
            self.states.append(np.concatenate([data.qpos, data.mocap_pos.ravel(), data.mocap_quat.ravel()]))

    def restore(self, index: int) -> None:
        """Put everything back to where it was."""
        model, data = self.world.model, self.world.data
        qpos, xyz, quat = np.split(self.states[index], [model.nq, model.nq + 3 * model.nmocap])
        data.qpos[:], data.mocap_pos[:], data.mocap_quat[:] = qpos, xyz.reshape(-1, 3), quat.reshape(-1, 4)
        mujoco.mj_forward(model, data)


def moments(diary: Diary, outcome: Outcome) -> list[tuple[str, int]]:
    """Name and index of at most `COLUMNS` pictures: start, sub-goals in their order, end."""
    reached = {goal: at for goal, at in outcome.subgoals_s.items() if at is not None}
    named = [("start", 0), *((goal, int(np.searchsorted(diary.times_s, at))) for goal, at in reached.items())]
    last = len(diary.times_s) - 1
    named = [(name, min(index, last)) for name, index in named[: -1 if outcome.success else None]]
    while len(named) > COLUMNS - 1:
        gaps = [named[i + 1][1] - named[i - 1][1] for i in range(1, len(named) - 1)]
        named.pop(1 + int(np.argmin(gaps)))
    return [*named, (outcome.reason, last)]


def grid(rows: list[list[np.ndarray]]) -> Image.Image:
    """Pictures side by side with white gaps."""
    wide, high = SIZE.width + GAP, SIZE.height + GAP
    image = Image.new("RGB", (wide * COLUMNS - GAP, high * len(rows) - GAP), (255, 255, 255))
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            image.paste(Image.fromarray(picture), (x * wide, y * high))
    return image


def cameras_of(stage: Stage) -> tuple[str, ...]:
    """The robot's eyes, first those that see what the task is about, and a camera outside."""
    names = {stage.world.model.camera(i).name for i in range(stage.world.model.ncam)}
    return (*stage.task.cameras, EYES, OVERVIEW if OVERVIEW in names else OUTSIDE)


def sheet(task: str, seed: int) -> tuple[Image.Image, Outcome]:
    """The whole sheet."""
    stage = Stage(StageConfig(task=task))
    diary = Diary(stage.world)
    outcome = stage.run(seed, [diary])
    cameras = cameras_of(stage)
    eyes = Renderer(stage.world.model, cameras, SIZE)
    columns, shown = moments(diary, outcome), []
    for _, index in columns:
        diary.restore(index)
        shown.append(eyes.render(stage.world.data))
    others = []
    for other in range(COLUMNS):
        stage.task.reset(stage.world, other)
        others.append(eyes.render(stage.world.data))
    eyes.close()
    doing = grid([[pictures[camera] for pictures in shown] for camera in cameras])
    looks = grid([[pictures[camera] for pictures in others] for camera in cameras])
    image = Image.new("RGB", (doing.width, doing.height + looks.height + 2 * LABEL), (255, 255, 255))
    image.paste(doing, (0, LABEL))
    image.paste(looks, (0, doing.height + 2 * LABEL))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(15)
    for x, (name, index) in enumerate(columns):
        text = f"{name.replace('_', ' ')}, {diary.times_s[index]:.1f} s"
        draw.text((x * (SIZE.width + GAP) + 2, 3), text, fill=(29, 37, 48), font=font)
    draw.text((2, doing.height + LABEL + 3), f"{task}: starts of other seeds", fill=(29, 37, 48), font=font)
    stage.close()
    return image, outcome


def main() -> int:
    """0 when every task was done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--task", choices=list(tasks), help="default: all")
    parser.add_argument("--seed", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    failed = False
    for task in [options.task] if options.task else tasks:
        image, outcome = sheet(task, options.seed)
        for quality in (86, 78, 68, 55):
            image.save(content := io.BytesIO(), format="webp", quality=quality, method=6)
            if len(content.getvalue()) <= LIMIT_BYTES:
                break
        path = options.out / f"task_{task.replace('-', '_')}.webp"
        write_bytes(path, content.getvalue())
        sys.stdout.write(f"{path} {len(content.getvalue()) // 1000} kB, {outcome.reason}\n")
        failed |= not outcome.success
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
