"""One clip's motion of a person, frame by frame: camera, arms, hands, and the true twist of the camera."""

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float, Int64

from wbvla.collect.ego.arms import (
    READY_CURL,
    REST_CURL,
    TOUCH_CURL,
    Reach,
    Trunk,
    elbows_of,
    hand_at,
    hanging,
    quat_between,
    rotated,
)
from wbvla.collect.ego.person import Person
from wbvla.core.rotation import quat_conjugate, quat_from_rpy, quat_multiply, quat_rotate, wrap_angle

ARM = ("shoulder", "elbow", "wrist")


@dataclass(frozen=True)
class Body:
    """A person at one instant; what all frames can be given at once is left to `poses_to_walk`."""

    head_xyz: Float[np.ndarray, "3"]
    head_rpy: Float[np.ndarray, "3"]
    shoulders: Float[np.ndarray, "2 3"]
    wrists: Float[np.ndarray, "2 3"]
    carried: Float[np.ndarray, "2"]
    """heading of the trunk [rad], and how far the hands are raised, 0..1"""
    shares: Float[np.ndarray, "2"]
    """left, right; how far a hand is on its way to a thing, 0..1"""
    touches: Float[np.ndarray, "2 4"]
    """left, right; `quat_wxyz` of the palm at the touch"""

    @staticmethod
    def of(
        person: Person,
        trunk: Trunk,
        rpy: Float[np.ndarray, "3"],
        hands: tuple[float, float, float, Reach | None],
    ) -> "Body":
        """From where the trunk is and the head looks; `hands`: how far raised, swing [rad], progress of a reach, it."""
        raised, swing, progress, reach = hands
        shoulders, wrists = np.zeros((2, 3)), np.zeros((2, 3))
        shares, touches = np.zeros(2), np.tile([1.0, 0.0, 0.0, 0.0], (2, 1))
        for row, sign in enumerate((1.0, -1.0)):
            shoulders[row] = trunk.shoulder(person, sign)
            wrists[row] = shoulders[row] + rotated(hanging(person, raised, sign * swing, sign), trunk.yaw)
            if reach is not None and reach.sign == sign:
                wrist, touches[row] = hand_at(person, shoulders[row], reach.point, trunk.yaw)
                # a hand rises a little on its way, over the edge of what it reaches for
                lift = rotated((0.12, 0.0, 0.10), trunk.yaw) * np.sin(np.pi * progress) * (progress < 1.0)
                wrists[row] += (wrist - wrists[row]) * progress + lift
                shares[row] = progress
        head, carried = trunk.place(person, np.zeros(3)), np.array([trunk.yaw, raised])
        return Body(head, rpy, shoulders, wrists, carried, shares, touches)


def slerp(
    a: Float[np.ndarray, "*b 4"], b: Float[np.ndarray, "*b 4"], share: Float[np.ndarray, "*b"]
) -> Float[np.ndarray, "*b 4"]:
    """`quat_wxyz` a share of the way from a to b, the short way (Shoemake 1985)."""
    dot = (a * b).sum(axis=-1, keepdims=True)
    b, angle = np.where(dot < 0.0, -b, b), np.arccos(np.clip(np.abs(dot), 0.0, 1.0 - 1e-12))
    part = share[..., None]
    return (np.sin((1.0 - part) * angle) * a + np.sin(part * angle) * b) / np.sin(angle)


@dataclass(frozen=True)
class Walk:
    """One clip's motion, a row per frame."""

    head_xyz: Float[np.ndarray, "frame 3"]
    """of the camera in the world [m]"""
    head_rpy: Float[np.ndarray, "frame 3"]
    """of the camera in the world: roll, pitch (down positive), yaw [rad]"""
    arms: Float[np.ndarray, "frame 2 3 3"]
    """left, right; shoulder, elbow, wrist in the world [m]"""
    palms: Float[np.ndarray, "frame 2 4"]
    """left, right; `quat_wxyz` of the palm in the world: x to the knuckles, z out of the back of the hand"""
    curls: Float[np.ndarray, "frame 2"]
    """left, right; bend of the fingers at the knuckles [rad]"""
    primitive: Int64[np.ndarray, " frame"]
    """number in `PRIMITIVES`"""
    twist: Float[np.ndarray, "frame 4"]
    """v_x, v_y [m/s], w_z [rad/s], v_z [m/s] of the camera in the frame of its heading, mean until the next frame"""

    def __len__(self) -> int:
        return len(self.primitive)

    def cut(self, length: int) -> "Walk":
        """The first frames only."""
        return replace(self, **{f.name: getattr(self, f.name)[:length] for f in fields(self)})

    @property
    def wrists_h(self) -> Float[np.ndarray, "frame 2 7"]:
        """Left, right wrist from the camera, in the camera's axes (x ahead, y left, z up): x y z [m], palm wxyz."""
        back = quat_conjugate(quat_from_rpy(self.head_rpy))[:, None].repeat(2, axis=1)
        place = quat_rotate(back, self.arms[:, :, 2] - self.head_xyz[:, None])
        return np.concatenate([place, quat_multiply(back, self.palms)], axis=-1)

    @property
    def wrists_w(self) -> Float[np.ndarray, "frame 2 7"]:
        """Left, right wrist in the world: x y z [m], palm wxyz."""
        return np.concatenate([self.arms[:, :, 2], self.palms], axis=-1)

    def drawn(self, person: Person) -> tuple[Float[np.ndarray, "frame part 3"], Float[np.ndarray, "frame part 4"]]:
        """Places [m] and `quat_wxyz` of the head, then of upper arm, forearm, palm and fingers, left and right."""
        shoulder, elbow, wrist = np.moveaxis(self.arms, 2, 0)
        zeros = np.zeros_like(self.curls)
        bent = quat_multiply(self.palms, quat_from_rpy(np.stack([zeros, self.curls, zeros], axis=-1)))
        knuckles = np.broadcast_to([person.palm, 0.0, 0.0], wrist.shape)
        places = np.stack([shoulder, elbow, wrist, wrist + quat_rotate(self.palms, knuckles)], axis=2)
        quats = np.stack([quat_between(shoulder, elbow), quat_between(elbow, wrist), self.palms, bent], axis=2)
        count = (len(self.head_xyz), -1)
        return (
            np.concatenate([self.head_xyz[:, None], places.reshape(*count, 3)], axis=1),
            np.concatenate([quat_from_rpy(self.head_rpy)[:, None], quats.reshape(*count, 4)], axis=1),
        )

    def fingertips(self, person: Person) -> Float[np.ndarray, "frame 2 3"]:
        """Tips of the middle fingers in the world [m]."""
        local = np.stack([[person.fingertip(float(curl)) for curl in row] for row in self.curls])
        return self.arms[:, :, 2] + quat_rotate(self.palms, local)


def poses_to_walk(person: Person, bodies: list[Body], labels: list[int], fps: int) -> Walk:
    """Instants at 1 / fps as one motion, a label each; the one more of them that there may be only ends the last."""
    rows = {f.name: np.stack([getattr(body, f.name) for body in bodies]) for f in fields(Body)}
    twist = camera_twist(rows["head_xyz"], rows["head_rpy"][:, 2], fps)
    yaw, raised = rows["carried"][:, None, 0], rows["carried"][:, None, 1]
    zeros, sign, share = np.zeros((len(bodies), 2)), np.array([1.0, -1.0]), rows["shares"]
    outward = np.stack([-0.35 + zeros, 0.6 * sign + zeros, -1.0 + zeros], axis=-1)
    outward = quat_rotate(quat_from_rpy(np.stack([zeros, zeros, yaw + zeros], axis=-1)), outward)
    elbows = elbows_of(person, rows["shoulders"], rows["wrists"], outward)
    # palms face each other beside the body and turn down as the hands are raised
    roll = quat_from_rpy(np.stack([-sign * (1.15 - 0.75 * raised), zeros, zeros], axis=-1))
    palms = slerp(quat_multiply(quat_between(elbows, rows["wrists"]), roll), rows["touches"], share)
    curls = REST_CURL + (READY_CURL - REST_CURL) * raised + zeros
    length = min(len(bodies), len(labels))
    return Walk(
        head_xyz=rows["head_xyz"][:length],
        head_rpy=rows["head_rpy"][:length],
        arms=np.stack([rows["shoulders"], elbows, rows["wrists"]], axis=2)[:length],
        palms=palms[:length],
        curls=(curls + (TOUCH_CURL - curls) * share)[:length],
        primitive=np.array(labels[:length], dtype=np.int64),
        twist=twist[:length],
    )


def camera_twist(
    xyz: Float[np.ndarray, "frame 3"], yaw: Float[np.ndarray, " frame"], fps: int
) -> Float[np.ndarray, "frame 4"]:
    """v_x, v_y, w_z, v_z from each frame to the next, in the heading of the first of the two; the last row repeats."""
    move = np.diff(xyz, axis=0) * fps
    zeros = np.zeros(len(move))
    ahead = quat_rotate(quat_from_rpy(np.stack([zeros, zeros, -yaw[:-1]], axis=-1)), move)
    turn = np.asarray(wrap_angle(np.diff(yaw))) * fps
    rows = np.stack([ahead[:, 0], ahead[:, 1], turn, ahead[:, 2]], axis=-1)
    return np.concatenate([rows, rows[-1:]]) if len(rows) else np.zeros((len(xyz), 4))
