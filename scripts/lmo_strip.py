"""Draws docs/images/lmo_strip.webp: forward, side-step, turn, squat and push recovery of the shipped controller.

python scripts/lmo_strip.py [--robot agibot_x2] [--policy FOLDER] [--out FILE] [--frames 7]
"""

import argparse
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wbvla.core.files import write_bytes
from wbvla.lmo.film import FilmConfig, pictures, run_one, scenes
from wbvla.robots.platforms import load_robot, shipped_lmo

OUT = Path(__file__).parents[1] / "docs" / "images" / "lmo_strip.webp"
WIDTH, HEIGHT, LABEL, GAP = 208, 240, 26, 3
LIMIT_BYTES = 600_000


def row(name: str, frames: list[np.ndarray], times_s: list[float]) -> Image.Image:
    """One skill: its name above, the time in each picture."""
    step = WIDTH + GAP
    image = Image.new("RGB", (step * len(frames) - GAP, HEIGHT + LABEL), (255, 255, 255))
    draw, font, small = ImageDraw.Draw(image), ImageFont.load_default(17), ImageFont.load_default(13)
    draw.text((2, 3), name, fill=(29, 37, 48), font=font)
    for i, (frame, time_s) in enumerate(zip(frames, times_s)):
        image.paste(Image.fromarray(frame), (step * i, LABEL))
        draw.text((step * i + 6, LABEL + HEIGHT - 20), f"{time_s:.2f} s", fill=(255, 255, 255), font=small)
    return image


def main() -> int:
    """0 when the picture was written and every robot stood to the end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--robot", default="agibot_x2")
    parser.add_argument("--policy", type=Path, help="artefact folder; default: the shipped one")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--frames", type=int, default=7, help="pictures per skill")
    options = parser.parse_args()
    spec, policy = load_robot(options.robot), options.policy or shipped_lmo(options.robot)
    rows, fallen = [], []
    for name, scene in scenes(spec).items():
        trial, trace = run_one(policy, spec, scene.script)
        times = np.linspace(*scene.highlights_s, options.frames).tolist()
        config = FilmConfig(width=WIDTH, height=HEIGHT, samples=8, shadows=True, shot=scene.shot, glide_s=scene.glide_s)
        ticks = [round(t / trace.dt_s) for t in times]
        rows.append(
            row(
                f"{name}: {scene.note}",
                pictures(spec, trial.layout, trace, ticks, config),
                [t - times[0] for t in times],
            )
        )
        fallen += [name] if trace.fallen[-1].any() else []
        sys.stdout.write(f"{name}{': FELL' if fallen and fallen[-1] == name else ''}\n")
    strip = Image.new("RGB", (rows[0].width, sum(r.height for r in rows)), (255, 255, 255))
    for i, image in enumerate(rows):
        strip.paste(image, (0, i * image.height))
    for quality in (88, 80, 70, 55):
        strip.save(content := io.BytesIO(), format="webp", quality=quality, method=6)
        if len(content.getvalue()) <= LIMIT_BYTES:
            break
    write_bytes(options.out, content.getvalue())
    sys.stdout.write(f"{options.out} {len(content.getvalue()) // 1000} kB, quality {quality}\n")
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
