"""`wbvla record realsense`: films motion primitives with a camera, or cuts video files into clips of one."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from wbvla.collect.cameras.catalogue import FILES, fitted
from wbvla.collect.cameras.device import CameraConfig
from wbvla.collect.filming import FilmConfig, Filming, cut_file
from wbvla.collect.operator import operate
from wbvla.collect.prompts import QUESTION, Consent


@dataclass(frozen=True, kw_only=True)
class Film:
    """Film motion primitives as an operator is prompted: keys start, stop and discard; counts are resumed."""

    out: Path
    """folder of the dataset; an existing recording is continued"""
    source: Literal["realsense", "webcam", "video", "gopro-file", "recorded"] = "realsense"
    """where frames come from"""
    path: Path | None = None
    """the file, the node of a webcam, or the folder of recorded footage"""
    serial: str = ""
    """serial number of a RealSense, where there are several"""
    width: int = 640
    """of a camera; files are drawn at most this wide, in their own shape [px]"""
    height: int = 480
    """of a camera [px]"""
    camera_fps: int = 30
    """asked of a camera [Hz]"""
    depth: bool = True
    """keep depth, where the source is a RealSense"""
    motion: bool = True
    """keep accelerometer and gyroscope, where the source has them"""
    primitive: str = ""
    """cut the whole file into clips of this primitive, without an operator; for files only"""
    consent: str = ""
    """name of who answers for the consent of everybody in view; empty: asked at the terminal"""
    port: int = 8766
    """of the live preview on loopback; 0: any free one"""
    preview: bool = True
    """serve the live preview"""
    fps: int = 0
    """frames per second of the dataset, at most the camera's; 0: the camera's [Hz]"""
    seconds: float = 3.0
    """length of a clip; 0: until it is stopped by key [s]"""
    operator: str = ""
    """who operates the camera; kept in the notes"""
    blur_faces: bool = False
    """cover the faces that are found by a mosaic, before anything is stored; needs pip install 'wbvla[blur]'"""
    language: bool = True
    """keep phrasings and sub-tasks as LeRobot 0.6 reads them too"""


def film(options: Film, console: Console) -> int:
    """Record until the operator quits or the file is cut."""
    ask = f"{QUESTION}\nName of who answers for it: "
    consent = Consent.ask(options.consent or (console.input(ask) if sys.stdin.isatty() else ""))
    camera = CameraConfig(
        **{name: getattr(options, name) for name in ("source", "path", "serial", "width", "height")},
        fps=options.camera_fps,
        depth=options.depth and options.source == "realsense",
        motion=options.motion and options.source in ("realsense", "gopro-file"),
        blur_faces=options.blur_faces,
        live=not (options.source in FILES and options.primitive),
    )
    named = {name: getattr(options, name) for name in ("fps", "seconds", "operator", "language")}
    with Filming(options.out, FilmConfig(camera=fitted(camera), **named), consent) as filming:
        if options.primitive:
            with console.status(f"cutting {options.path}") as line:
                cut_file(filming, options.primitive, lambda news: line.update(_told(filming, news, console)))
        else:
            with console.status("") as line:
                say: Callable[[str], None] = lambda text: console.print(text, highlight=False)  # noqa: E731
                operate(filming, say, line.update, options.port if options.preview else None)
        console.print("\n".join(filming.tallies.lines()), highlight=False)
    return 0


def _told(filming: Filming, news: dict[str, Any], console: Console) -> str:
    """How far the cutting is; a clip that was not kept is told for good."""
    if news["kind"] != "committed":
        console.print(f"a clip was {news['kind']}: {news['text']}", highlight=False)
    status = filming.status()
    return f"{status['committed']} clips kept, {60 * status['hours']:.1f} min in all"
