"""Rotations the environment needs, over batched torch tensors (quaternions are `quat_wxyz`)."""

from jaxtyping import Float
from torch import Tensor, atan2, hypot, stack


def gravity_in_body(quat_wxyz: Float[Tensor, "world 4"]) -> Float[Tensor, "world 3"]:
    """Unit vector of gravity seen from a body; upright = (0, 0, -1)."""
    w, x, y, z = quat_wxyz.unbind(1)
    return stack([-2 * (x * z - w * y), -2 * (y * z + w * x), -(1 - 2 * (x * x + y * y))], dim=1)


def heading(quat_wxyz: Float[Tensor, "world 4"]) -> tuple[Float[Tensor, " world"], Float[Tensor, " world"]]:
    """Cosine and sine of the heading of the body's x-axis in the world plane."""
    w, x, y, z = quat_wxyz.unbind(1)
    cos, sin = 1 - 2 * (y * y + z * z), 2 * (x * y + w * z)
    length = hypot(cos, sin) + 1e-9
    return cos / length, sin / length


def turned(
    now: tuple[Float[Tensor, " world"], Float[Tensor, " world"]],
    before: tuple[Float[Tensor, " world"], Float[Tensor, " world"]],
) -> Float[Tensor, " world"]:
    """Angle from one heading (cosine, sine) to another, counter-clockwise [rad]."""
    (cos, sin), (cos_1, sin_1) = now, before
    return atan2(sin * cos_1 - cos * sin_1, cos * cos_1 + sin * sin_1)


def to_heading_frame(
    vector_w: Float[Tensor, "*b 2"], cos: Float[Tensor, "*#b"], sin: Float[Tensor, "*#b"]
) -> Float[Tensor, "*b 2"]:
    """World-plane vectors seen from a frame turned by the heading."""
    x, y = vector_w.unbind(-1)
    return stack([cos * x + sin * y, -sin * x + cos * y], dim=-1)


def to_world_frame(
    vector_h: Float[Tensor, "*b 2"], cos: Float[Tensor, "*#b"], sin: Float[Tensor, "*#b"]
) -> Float[Tensor, "*b 2"]:
    """Inverse of `to_heading_frame`."""
    return to_heading_frame(vector_h, cos, -sin)
