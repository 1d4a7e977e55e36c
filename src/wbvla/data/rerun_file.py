"""An episode as a Rerun recording (`.rrd`): pictures, depth, every channel and the words on one timeline."""

import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from PIL import Image

from wbvla.core.errors import ConfigError
from wbvla.core.files import replaced
from wbvla.data.format import OWN_FEATURES, Feature
from wbvla.data.reader import Dataset

APPLICATION, FRAME, TIME = "wbvla", "frame", "episode_time"
"""timelines: number of the frame, and time since the first frame"""
QUALITY = 90
"""of the JPEG pictures"""


def write_rerun(data: Dataset, episode: int, out: Path) -> None:
    """Write one episode to `out`, atomically. Pictures go in as JPEG, depth as it is [mm], scalars by channel names.

    Raises ConfigError where rerun-sdk is not installed, DataError when the dataset lacks the episode.
    """
    rerun = require_rerun()
    columns = data.columns(episode)
    length = data.episodes[episode].length
    recording = rerun.RecordingStream(APPLICATION, recording_id=f"{data.root.name}-{episode}")
    with replaced(out) as aside:
        recording.save(aside)
        try:
            _pictures(rerun, recording, data, episode)
            times = _times(rerun, range(length), data.fps)
            for name, feature in data.info.columns.items():
                if feature.is_numeric and name not in OWN_FEATURES:
                    _scalars(rerun, recording, (name, feature), columns[name], times)
            _words(rerun, recording, data, episode)
            recording.send_recording_name(f"{data.root.name}, episode {episode}")
            recording.send_blueprint(_layout(rerun, data))
            recording.flush()
        finally:
            recording.disconnect()


def require_rerun() -> Any:
    """The rerun module; raises ConfigError with the command that installs it."""
    try:
        return importlib.import_module("rerun")
    except ImportError as error:
        raise ConfigError('.rrd files need rerun-sdk: pip install "wbvla[view]"; or ask for --format html') from error


def entity(name: str) -> str:
    """Where a feature stands in the recording: dots of its name become levels of a tree."""
    return name.replace(".", "/")


def _pictures(rerun: Any, recording: Any, data: Dataset, episode: int) -> None:
    """All frames of every camera and depth map; some at a time, so that a long episode does not fill the memory."""
    length = data.episodes[episode].length
    for camera in data.cameras:
        for start in range(0, length, 64):
            numbers = range(start, min(start + 64, length))
            blobs = [_jpeg(rgb) for rgb in data.frames(camera, episode, numbers)]
            columns = rerun.EncodedImage.columns(blob=blobs, media_type=["image/jpeg"] * len(blobs))
            recording.send_columns(entity(camera), indexes=_times(rerun, numbers, data.fps), columns=columns)
    for name in data.depths:
        for number in range(length):
            recording.set_time(FRAME, sequence=number)
            recording.set_time(TIME, duration=number / data.fps)
            millimetres = data.depth(name, episode, [number])[0]
            recording.log(entity(name), rerun.DepthImage(millimetres, meter=1000.0))


def _scalars(
    rerun: Any,
    recording: Any,
    named: tuple[str, Feature],
    values: Shaped[np.ndarray, " frame *channel"],
    times: list[Any],
) -> None:
    """A column as curves, each with its channel's name."""
    name, feature = named
    flat = values.reshape(len(values), -1).astype(np.float64)
    names = feature.names if feature.names and len(feature.names) == flat.shape[1] else None
    labels = list(names or (f"{name}[{i}]" for i in range(flat.shape[1])))
    recording.log(entity(name), rerun.SeriesLines(names=labels), static=True)
    columns = rerun.Scalars.columns(scalars=flat.reshape(-1)).partition([flat.shape[1]] * len(flat))
    recording.send_columns(entity(name), indexes=times, columns=columns)


def _words(rerun: Any, recording: Any, data: Dataset, episode: int) -> None:
    """The instruction wherever it changes, and each sub-task where it starts."""
    rows = data.columns(episode, ["task_index"])["task_index"].reshape(-1)
    starts = [0, *(np.flatnonzero(np.diff(rows)) + 1).tolist()]
    said = [("instruction", int(at), data.tasks[int(rows[at])]) for at in starts]
    said += [("subtask", s.start, s.text) for s in data.segments(episode)]
    for where, frame, text in said:
        recording.set_time(FRAME, sequence=frame)
        recording.set_time(TIME, duration=frame / data.fps)
        recording.log(where, rerun.TextLog(text))


def _layout(rerun: Any, data: Dataset) -> Any:
    """Pictures above, signals and words below."""
    blueprint = rerun.blueprint
    views = [blueprint.Spatial2DView(origin=entity(n), name=n) for n in (*data.cameras, *data.depths)]
    shown = [n for n, f in data.info.columns.items() if f.is_numeric and n not in OWN_FEATURES]
    charts = [blueprint.TimeSeriesView(origin=entity(n), name=n) for n in shown]
    words = blueprint.TextLogView(origin="/", name="words")
    return blueprint.Blueprint(
        blueprint.Vertical(
            blueprint.Grid(*views), blueprint.Horizontal(blueprint.Tabs(*charts), words), row_shares=[3, 2]
        )
    )


def _times(rerun: Any, numbers: range, fps: int) -> list[Any]:
    """Both timelines at some frames."""
    frames = np.array(numbers)
    return [rerun.TimeColumn(FRAME, sequence=frames), rerun.TimeColumn(TIME, duration=frames / fps)]


def _jpeg(rgb: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
