"""Augmentation of pictures: one draw per window or episode, the same for all its frames, seeded by where it is used."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageFilter

from wbvla.core.errors import ConfigError

EVERY = ("*",)
GREY = 128.0
THREADED_BYTES = 4 << 20
"""batches from this size on are changed by as many threads as there are cores [bytes]"""
LUMA = np.array([0.299, 0.587, 0.114])
"""weight of red, green and blue in brightness (ITU-R BT.601)"""


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How far training pictures and words may be changed; every range is drawn evenly around no change.

    Colour and blur keep every action valid. Moving the picture does not: the policy then sees the box where it is
    not, so the default moves it by what a camera's mount and a crop may be off, and leaves rotation and scale at 0.
    Frame pairs without actions have no such bound (`VIDEO`): a rolled camera is another camera.
    """

    rotation_deg: float = 0.0
    """largest rotation about the middle [deg]"""
    scale: float = 0.0
    """largest relative change of size; 0.1 draws 0.9..1.1 [-]"""
    shift: float = 0.06
    """largest shift in each direction, as a share of the picture's side; edges are repeated [-]"""
    brightness: float = 0.15
    """largest change of brightness, as a share of white [-]"""
    contrast: float = 0.15
    """largest relative change of contrast about mid grey [-]"""
    saturation: float = 0.0
    """largest relative change of saturation [-]"""
    hue_deg: float = 0.0
    """largest turn of all colours about the grey axis [deg]"""
    blur: float = 0.0
    """largest standard deviation of a Gaussian blur, as a share of the picture's side [-]"""
    share: float = 1.0
    """share of windows whose pictures are changed at all [-]"""
    moved: tuple[str, ...] = EVERY
    """cameras that rotation, scale and shift apply to; `*` is every camera"""
    per: Literal["window", "episode"] = "window"
    """`window`: a new draw each time a window is used; `episode`: one for all windows of an episode, in all steps"""
    mirror: float = 0.0
    """share of windows shown left-right mirrored, with arms, flags and words swapped [-]"""
    paraphrase: float = 0.0
    """share of windows whose instruction is put in other words of the training set [-]"""
    camera_dropout: float = 0.05
    """share of optional cameras hidden from training [-]"""

    def __post_init__(self) -> None:
        shares = (self.share, self.mirror, self.paraphrase, self.camera_dropout)
        if not all(0.0 <= s <= 1.0 for s in shares):
            raise ConfigError(f"share, mirror, paraphrase and camera_dropout lie in 0..1, not {shares}")
        ranges = (self.rotation_deg, self.scale, self.shift, self.brightness, self.contrast, self.saturation)
        if min(*ranges, self.hue_deg, self.blur) < 0 or max(self.scale, self.contrast, self.saturation) >= 1:
            raise ConfigError("augmentation ranges are at least 0; scale, contrast and saturation stay below 1")
        if self.shift > 0.5 or self.rotation_deg > 180:
            raise ConfigError("a picture is shifted by at most half its side and rotated by at most 180 deg")

    def moves(self, camera: str) -> bool:
        """Whether geometry may be applied to a camera, named in full or by its last part."""
        return self.moved == EVERY or camera in self.moved or camera.rsplit(".", 1)[-1] in self.moved


OFF = AugmentConfig(shift=0.0, brightness=0.0, contrast=0.0, camera_dropout=0.0)
"""changes nothing"""
VIDEO = AugmentConfig(
    rotation_deg=10.0,
    scale=0.1,
    shift=0.06,
    brightness=0.2,
    contrast=0.2,
    saturation=0.3,
    hue_deg=10.0,
    blur=0.004,
    mirror=0.5,
    camera_dropout=0.0,
)
"""frame pairs and clips without actions"""
POLICY = AugmentConfig(
    rotation_deg=2.0,
    scale=0.03,
    shift=0.05,
    brightness=0.2,
    contrast=0.2,
    saturation=0.3,
    hue_deg=8.0,
    blur=0.003,
    paraphrase=0.5,
)
"""demonstrations: geometry within the tolerance of a camera's mount, colour and words freely"""


@dataclass(frozen=True)
class Draws:
    """What is done to each window of a batch: (n,) numbers, in units of the picture."""

    angle: Float[np.ndarray, " window"]
    """[rad], counter-clockwise as seen"""
    scale: Float[np.ndarray, " window"]
    """[-]"""
    shift: Float[np.ndarray, "window 2"]
    """right and down, share of the side [-]"""
    colour: Float[np.ndarray, "window 3 4"]
    """rgb' = colour[:, :3] @ rgb + colour[:, 3], in 0..255"""
    blur: Float[np.ndarray, " window"]
    """standard deviation, share of the side [-]"""
    mirrored: Bool[np.ndarray, " window"]
    paraphrased: Bool[np.ndarray, " window"]
    words: Float[np.ndarray, "window 8"]
    """numbers in 0..1 that choose the words"""

    def __len__(self) -> int:
        return len(self.angle)


def draw(config: AugmentConfig, keys: Int[np.ndarray, "window key"]) -> Draws:
    """One draw per key: the same key and config give the same draw, on any machine and after any resume.

    A key holds numbers of at least 0: for windows what names step and row, for episodes (seed, dataset, episode).
    Every field takes its own numbers of the key's stream, so that switching one range off leaves the others as they
    were.
    """
    unit = np.array([np.random.default_rng(k).random(21) for k in keys]).reshape(-1, 21)
    within = (2.0 * unit - 1.0) * (unit[:, 20:] < config.share)
    return Draws(
        angle=np.radians(config.rotation_deg) * within[:, 0],
        scale=1.0 + config.scale * within[:, 1],
        shift=config.shift * within[:, 2:4],
        colour=colour_matrices(
            brightness=255.0 * config.brightness * within[:, 4],
            contrast=1.0 + config.contrast * within[:, 5],
            saturation=1.0 + config.saturation * within[:, 6],
            hue=np.radians(config.hue_deg) * within[:, 7],
        ),
        blur=config.blur * np.abs(within[:, 8]),
        mirrored=unit[:, 9] < config.mirror,
        paraphrased=unit[:, 10] < config.paraphrase,
        words=unit[:, 11:19],
    )


def colour_matrices(
    brightness: Float[np.ndarray, " n"],
    contrast: Float[np.ndarray, " n"],
    saturation: Float[np.ndarray, " n"],
    hue: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "n 3 4"]:
    """Hue, then saturation, then contrast and brightness, as one affine map of rgb in 0..255.

    Hue turns the colour cube about its grey diagonal (Rodrigues' formula), saturation scales the distance to the grey
    of the same luma: both keep grey grey, and the whole costs one matrix per picture.
    """
    eye, axis = np.eye(3), np.full(3, 1.0 / math.sqrt(3.0))
    cross = np.array([[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]])
    cosine, sine = np.cos(hue)[:, None, None], np.sin(hue)[:, None, None]
    turned = cosine * eye + sine * cross + (1.0 - cosine) * np.outer(axis, axis)
    grey = np.tile(LUMA, (3, 1))
    vivid = grey + saturation[:, None, None] * (eye - grey)
    linear = contrast[:, None, None] * (vivid @ turned)
    offset = GREY * (1.0 - contrast) + brightness
    return np.concatenate([linear, np.broadcast_to(offset[:, None, None], (len(hue), 3, 1))], axis=2)


def augment(
    images: UInt8[np.ndarray, "window frame camera height width 3"], draws: Draws, moved: Sequence[bool]
) -> UInt8[np.ndarray, "window frame camera height width 3"]:
    """The pictures of each window changed by its draw, order and shape kept; `moved` says which cameras may move.

    Mirroring is no part of it, since it exchanges cameras: see `data/mirror.py`.
    Raises ConfigError when windows and draws, or cameras and `moved`, differ in number.
    """
    if len(draws) != len(images) or len(moved) != images.shape[2]:
        raise ConfigError(
            f"{len(images)} windows of {images.shape[2]} cameras, {len(draws)} draws for {len(moved)} cameras"
        )
    result = images.copy()

    def change(window: int) -> None:
        for camera, may_move in enumerate(moved):
            _change(result[window][:, camera], draws, window, may_move)

    threads = min(len(images), cpu_count() or 1)
    if threads < 2 or images.size < THREADED_BYTES:
        for window in range(len(images)):
            change(window)
    else:
        # Pillow lets go of the interpreter's lock; each window is written by one thread, so the order does not matter
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(change, range(len(images))))
    return result


def _change(frames: UInt8[np.ndarray, "frame height width 3"], draws: Draws, window: int, may_move: bool) -> None:
    """Change the frames of one camera in place: move, blur, colour."""
    height, width = frames.shape[1:3]
    affine, margin = _affine(draws, window, height, width) if may_move else (None, 0)
    colour = tuple(draws.colour[window].ravel().tolist())
    tinted = not np.array_equal(draws.colour[window], np.eye(3, 4))
    radius = float(draws.blur[window]) * max(height, width)
    for i, frame in enumerate(frames):
        if affine is None and radius < 0.05 and not tinted:
            return
        if affine is not None:
            frame = np.pad(frame, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        picture = Image.fromarray(frame)
        if affine is not None:
            picture = picture.transform((width, height), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
        if radius >= 0.05:
            picture = picture.filter(ImageFilter.GaussianBlur(radius))
        if tinted:
            picture = picture.convert("RGB", colour)
        frames[i] = np.asarray(picture)


def _affine(draws: Draws, window: int, height: int, width: int) -> tuple[tuple[float, ...] | None, int]:
    """Pillow's map from output to (padded) input pixels and the padding it needs [px]; None when nothing moves.

    A mere shift goes by whole pixels, so that it costs no sharpness.
    """
    angle, scale = float(draws.angle[window]), float(draws.scale[window])
    right, down = float(draws.shift[window, 0]) * width, float(draws.shift[window, 1]) * height
    if angle == 0.0 and scale == 1.0:
        right, down = float(round(right)), float(round(down))
        if right == down == 0.0:
            return None, 0
    cosine, sine = math.cos(angle) / scale, math.sin(angle) / scale
    middle_x, middle_y = width / 2.0, height / 2.0
    reach = abs(cosine - 1.0) * max(width, height) / 2 + abs(sine) * max(width, height) / 2
    margin = math.ceil(reach + (abs(right) + abs(down)) / scale) + 2
    out_x, out_y = middle_x + right, middle_y + down
    return (
        cosine,
        -sine,
        middle_x - cosine * out_x + sine * out_y + margin,
        sine,
        cosine,
        middle_y - sine * out_x - cosine * out_y + margin,
    ), margin
