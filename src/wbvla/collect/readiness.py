"""Whether a camera streams without loss, and the simulator steps a whole task faster than the clock."""

import time
from collections.abc import Iterator

from wbvla.collect.cameras.catalogue import SOURCES, open_camera
from wbvla.collect.cameras.device import CameraConfig
from wbvla.collect.stage import Stage, StageConfig
from wbvla.core.errors import CameraError
from wbvla.core.machine import Finding


def simulator_lines(robot: str, task: str = "box-lift") -> Iterator[Finding]:
    """One attempt of the scripted expert, against the clock."""
    stage = Stage(StageConfig(robot=robot, task=task))
    began = time.monotonic()
    outcome = stage.run(0)
    speed = outcome.duration_s / (time.monotonic() - began)
    stage.close()
    yield Finding(
        subject="simulator",
        found=f"the scripted expert at {task}: {outcome.reason} after {outcome.duration_s:.1f} s, simulated at "
        f"{speed:.1f} times real time",
        ok=outcome.success and speed >= 1.0,
        remedy="other programs take the cores: close them; if it fails alone, `make test` says where",
    )


def camera_line(config: CameraConfig | None, seconds: float, lost: float) -> Finding:
    """Reads a camera for `seconds` [s]; at most a share `lost` of its frames may be missing by its own count."""
    if config is None:
        remedy = f"name one with --camera: {', '.join(SOURCES)}"
        return Finding(subject="camera", found="none was named, nothing measured", ok=False, remedy=remedy)
    remedy = "plug it in directly (USB 3), give it a lower --fps, or close what else reads it"
    try:
        camera = open_camera(config)
    except CameraError as error:
        return Finding(subject=f"camera {config.source}", found=str(error), ok=False, remedy=remedy)
    numbers: list[int] = []
    fault, began = "", time.monotonic()
    try:
        while time.monotonic() - began < seconds:
            shot = camera.read(0.2)
            numbers += [shot.sequence] if shot is not None else []
    except (CameraError, EOFError) as error:
        fault = f"; {error or 'the file is over'}"
    finally:
        camera.close()
    watched = time.monotonic() - began
    due = numbers[-1] - numbers[0] + 1 if numbers else 0
    share, rate = 1.0 - len(numbers) / due if due else 1.0, due / watched
    return Finding(
        subject=f"camera {config.source}",
        found=f"{len(numbers)} frames in {watched:.1f} s, {due - len(numbers)} lost ({100 * share:.1f} %), "
        f"{rate:.1f} of {config.fps} per second asked, {config.width}x{config.height}{fault}",
        ok=not fault and share <= lost and rate > 0.9 * config.fps,
        remedy=remedy,
    )
