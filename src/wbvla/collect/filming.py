"""A person films motion primitives with one camera: the dataset for it, its clips, and files cut into clips."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from wbvla.collect.cameras.catalogue import FILES, fitted
from wbvla.collect.cameras.device import CameraConfig
from wbvla.collect.live.capture import newest_picture, stalled_s
from wbvla.collect.live.clip import ClipPlan
from wbvla.collect.live.recorder import Facts, LiveConfig, LiveRecorder
from wbvla.collect.live.ring import ENDED
from wbvla.collect.prompts import SAID, Consent, Tallies, number_of
from wbvla.core.errors import ConfigError
from wbvla.data.features import CONTRACT_SCHEMA, PRIMITIVE, Recording, recorded_features
from wbvla.data.video import VideoCodec
from wbvla.data.writer import DatasetConfig

COVERED = "those that CenterFace found in the picture at 320 px are covered by a mosaic; it does not find all"
"""what is noted of a clip whose faces were blurred"""


@dataclass(frozen=True, kw_only=True)
class FilmConfig:
    """How primitives are filmed."""

    camera: CameraConfig = field(default_factory=CameraConfig)
    """the camera"""
    fps: int = 0
    """frames per second of the dataset, at most the camera's; 0: the camera's [Hz]"""
    seconds: float = 3.0
    """length of a clip; 0: until it is stopped by key [s]"""
    operator: str = ""
    """who operates the camera; kept in the notes"""
    language: bool = True
    """keep phrasings and sub-tasks as LeRobot 0.6 reads them too; releases before 0.6 do not open such a dataset"""

    def __post_init__(self) -> None:
        if self.seconds < 0.0 or self.fps < 0 or self.fps > self.camera.fps:
            raise ConfigError(f"clips need seconds >= 0 and an fps of at most the camera's {self.camera.fps}")

    @property
    def rate(self) -> int:
        """Frames per second of the dataset [Hz]."""
        return self.fps or self.camera.fps

    @property
    def num_frames(self) -> int:
        """Frames of a clip that ends by itself; 0: none does."""
        return round(self.seconds * self.rate)


def film_dataset(config: FilmConfig, facts: Facts) -> DatasetConfig:
    """Columns and promises of a filmed recording."""
    camera = config.camera
    recording = Recording(
        cameras=(camera.name,),
        depths=(camera.name,) if camera.depth else (),
        height=camera.height,
        width=camera.width,
        robot=False,
        success=False,
        primitive=True,
        language=config.language,
    )
    contract = {
        "schema": CONTRACT_SCHEMA,
        "source": f"filmed by {camera.source}",
        "clock": "monotonic clock of the recording computer; the device's own times are in truth/",
        "rates_hz": {camera.name: float(camera.fps)},
        "cameras": {camera.name: dict(facts[camera.name]["intrinsics"])},
        "motion_hz": dict(facts[camera.name]["motion_hz"]),
        "primitives": list(SAID),
    }
    features = recorded_features(recording)
    return DatasetConfig(fps=config.rate, robot="human", features=features, contract=contract, codec=VideoCodec(gop=2))


class Filming:
    """A session: one camera, clips of primitives, counts. A context manager."""

    def __init__(self, folder: Path, config: FilmConfig, consent: Consent, live: LiveConfig | None = None) -> None:
        camera = fitted(config.camera)
        self.config = replace(config, camera=camera)
        self.consent, self.primitive = consent, ""
        self.tallies = Tallies(folder)
        waits = camera.source in FILES and not camera.live
        self.recorder = LiveRecorder(
            folder,
            [camera],
            lambda facts: film_dataset(self.config, facts),
            replace(live or LiveConfig(), live=not waits),
        )

    def begin(self, primitive: str) -> None:
        """Start a clip of a primitive."""
        said, name = SAID[primitive], self.config.camera.name
        notes = {
            "consent": self.consent.notes(),
            "instructed_by": f"prompted by the recorder; operator: {self.config.operator or 'not named'}",
            "device": self.recorder.facts[name]["device"],
            "faces": COVERED if self.config.camera.blur_faces else "as filmed",
        }
        self.recorder.begin(
            ClipPlan(
                task=said[0],
                phrasings=said,
                skill=primitive,
                constants={PRIMITIVE: number_of(primitive)},
                notes=notes,
                num_frames=self.config.num_frames,
            )
        )
        self.primitive = primitive

    def end(self, at_least: int = 0) -> dict[str, Any]:
        """Stop and keep the clip, if it has so many frames."""
        return self._count(self.recorder.end(at_least=at_least))

    def discard(self) -> dict[str, Any]:
        """Stop and forget the clip."""
        return self._count(self.recorder.discard())

    def poll(self, wait_s: float = 0.0) -> dict[str, Any] | None:
        """What came of a clip that ended by itself."""
        news = self.recorder.poll(wait_s)
        return None if news is None else self._count(news)

    def picture(self) -> np.ndarray | None:
        """The newest frame, for a preview; None before the first."""
        return newest_picture(self.recorder.rings[self.config.camera.name])

    def status(self) -> dict[str, Any]:
        """For people: state of the camera, drops, counts."""
        name = self.config.camera.name
        status, outcome = self.recorder.statuses[name], self.recorder.outcome
        return {
            "camera": status.as_dict(),
            "stalled_s": round(stalled_s(status), 1),
            "recording": self.primitive if self.recorder.is_recording else "",
            "committed": outcome.committed,
            "refused": len(outcome.refused),
            "discarded": outcome.discarded,
            "dropped": dict(outcome.dropped),
            "hours": round(self.tallies.hours, 4),
            "clips": dict(self.tallies.clips),
        }

    @property
    def is_over(self) -> bool:
        """Whether the camera was a file and that is at its end."""
        return self.recorder.statuses[self.config.camera.name].get("state") == ENDED

    def __enter__(self) -> "Filming":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.recorder.close()

    def _count(self, news: dict[str, Any]) -> dict[str, Any]:
        if news["kind"] == "committed":
            self.tallies.add(self.primitive, int(news["frames"]) / self.config.rate)
        return news


def cut_file(filming: Filming, primitive: str, show: Callable[[dict[str, Any]], None] = lambda news: None) -> int:
    """Cut a whole file into clips of one primitive, back to back, without loss; returns the number of clips.

    What is left at the end is kept when it has two thirds of a clip.
    """
    number_of(primitive)
    if not filming.config.num_frames:
        raise ConfigError("a file is cut into clips of a length; give --seconds")
    clips, over = 0, False
    while not over:
        filming.begin(primitive)
        while (news := filming.poll(0.05)) is None:
            if filming.is_over and filming.recorder.num_waiting == 0:
                news, over = filming.end(at_least=filming.config.num_frames * 2 // 3), True
                break
        show(news)
        clips += news["kind"] == "committed"
    return clips
