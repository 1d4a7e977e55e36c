"""Draws docs/images/egovideo.webp, a sheet of rooms and primitives, and docs/films/egovideo.mp4, a minute of clips.

python scripts/ego_film.py [--seed 0] [--docs FOLDER]

Left of the sheet: walks to things at their start, half-way and at the touch, in rooms of the split `train` (first six
rows) and `test`. Right: each primitive. The film shows both, with the words that the person was told.
"""

import argparse
import io
import sys
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wbvla.collect.ego.clips import Clip, ClipConfig, draw_clip
from wbvla.collect.ego.room import EgoRoom, RoomPlan
from wbvla.collect.ego.walker import PRIMITIVES
from wbvla.core.files import write_bytes
from wbvla.data.video import VideoCodec, VideoWriter
from wbvla.sim.camera import RenderConfig

DOCS = Path(__file__).parents[1] / "docs"
SIZE = RenderConfig(width=224, height=168, samples=4)
FPS, LABEL, GAP, SECONDS = 10, 24, 4, 60
SHEET_BYTES, FILM_BYTES = 420_000, 1_500_000
CODEC = VideoCodec(crf=27, preset="slow", gop=50, fast_decode=False)

Take = tuple[str, list[np.ndarray]]
"""what the person was told, and the pictures"""


def shoot(room: EgoRoom, clip: Clip) -> Take:
    """A clip's pictures."""
    return clip.phrasings[0], [room.see(clip.walk, row) for row in range(len(clip.walk))]


def walks(seed: int) -> list[Take]:
    """One walk to a thing in each of ten rooms, the last four of the split `test`."""
    config = ClipConfig(seconds=3.0, goal_seconds=9.0, goal_share=1.0, fps=FPS, seed=seed)
    found = []
    for number in range(10):
        plan = RoomPlan("train" if number < 6 else "test", seed, number)
        room = EgoRoom(plan, SIZE)
        found.append(shoot(room, draw_clip(plan, config, number)))
        room.close()
    return found


def primitives(seed: int) -> list[Take]:
    """One whole clip of each primitive, in as few rooms as it takes."""
    config = ClipConfig(seconds=3.0, goal_seconds=9.0, goal_share=0.0, fps=FPS, seed=seed)
    found: dict[int, Take] = {}
    number = 100
    while len(found) < len(PRIMITIVES):
        plan = RoomPlan("train", seed, number)
        room = EgoRoom(plan, SIZE)
        for index in range(number * 10, number * 10 + 5):
            clip = draw_clip(plan, config, index)
            kind = int(clip.walk.primitive[-1])
            if kind not in found and len(clip.walk) == 30:
                found[kind] = shoot(room, clip)
        room.close()
        number += 1
    return [found[kind] for kind in range(len(PRIMITIVES))]


def captioned(picture: np.ndarray, text: str) -> np.ndarray:
    """A picture over a line of words."""
    image = Image.new("RGB", (SIZE.width, SIZE.height + LABEL), (18, 20, 24))
    image.paste(Image.fromarray(picture), (0, 0))
    lines = textwrap.wrap(text, 44)
    font = ImageFont.load_default(11 if len(lines) == 1 else 9)
    for number, line in enumerate(lines):
        place = (5, SIZE.height + (5 if len(lines) == 1 else 1 + 11 * number))
        ImageDraw.Draw(image).text(place, line, fill=(236, 238, 240), font=font)
    return np.asarray(image)


def strip(take: Take, columns: int) -> Image.Image:
    """A few moments of a clip side by side under its words."""
    text, pictures = take
    image = Image.new("RGB", (columns * (SIZE.width // 2 + GAP), SIZE.height // 2 + 16), (255, 255, 255))
    for x, row in enumerate(np.linspace(0, len(pictures) - 1, columns).round().astype(int)):
        small = Image.fromarray(pictures[row]).resize((SIZE.width // 2, SIZE.height // 2), Image.Resampling.LANCZOS)
        image.paste(small, (x * (SIZE.width // 2 + GAP), 14))
    ImageDraw.Draw(image).text((1, 0), text, fill=(29, 37, 48), font=ImageFont.load_default(11))
    return image


def sheet(left: list[Take], right: list[Take]) -> bytes:
    """Walks on the left, primitives on the right."""
    columns = [[strip(take, 4) for take in left], [strip(take, 4) for take in right]]
    wide, high = columns[0][0].width, columns[0][0].height
    image = Image.new("RGB", (2 * wide + 12, high * max(len(c) for c in columns)), (255, 255, 255))
    for x, column in enumerate(columns):
        for y, row in enumerate(column):
            image.paste(row, (x * (wide + 12), y * high))
    for quality in (86, 78, 68, 55):
        image.save(content := io.BytesIO(), format="webp", quality=quality, method=6)
        if len(content.getvalue()) <= SHEET_BYTES:
            break
    return content.getvalue()


def film(takes: list[Take], path: Path) -> None:
    """A minute of clips, one after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer, left = VideoWriter(path, SIZE.height + LABEL, SIZE.width, FPS, CODEC), SECONDS * FPS
    for text, pictures in takes:
        for picture in pictures[:left]:
            writer.add(captioned(picture, text))
        left -= min(left, len(pictures))
    writer.close()


def main() -> int:
    """0 when both are small enough for the docs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", type=Path, default=DOCS)
    options = parser.parse_args()
    goals, moves = walks(options.seed), primitives(options.seed)
    picture, path = sheet(goals, moves), options.docs / "films" / "egovideo.mp4"
    write_bytes(options.docs / "images" / "egovideo.webp", picture)
    shown = [*goals[:4], goals[-1]]  # with two primitives after each, all of them within the minute
    takes = [take for i, goal in enumerate(shown) for take in (goal, *moves[2 * i : 2 * i + 2])]
    film([*takes, goals[4]], path)
    sizes = len(picture), path.stat().st_size
    sys.stdout.write(f"{options.docs}: sheet {sizes[0] // 1000} kB, film {sizes[1] // 1000} kB\n")
    return int(sizes[0] > SHEET_BYTES or sizes[1] > FILM_BYTES)


if __name__ == "__main__":
    sys.exit(main())
