"""One clip's motion of a person, frame by frame: camera, arms, hands, and the true twist of the camera."""

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float, Int64

from wbvla.collect.ego_arms import (
    READY_CURL,
    REST_CURL,
    TOUCH_CURL,
    Reach,
    Trunk,
    elbow_of,
    hand_at,
    hanging,
    quat_between,
    rotated,
)
from wbvla.collect.ego_person import Person
from wbvla.core.rotation import quat_conjugate, quat_from_rpy, quat_multiply, quat_rotate, wrap_angle

ARM = ("shoulder", "elbow", "wrist")


@dataclass(frozen=True)
class Body:
    """A person at one instant."""

    head_xyz: Float[np.ndarray, "3"]
    head_rpy: Float[np.ndarray, "3"]
    arms: Float[np.ndarray, "2 3 3"]
    palms: Float[np.ndarray, "2 4"]
    curls: Float[np.ndarray, "2"]

    @staticmethod
    def of(
        person: Person,
        trunk: Trunk,
        rpy: Float[np.ndarray, "3"],
        hands: tuple[float, float, float, Reach | None],
    ) -> "Body":
        """From where the trunk is and the head looks; `hands`: how far raised, swing [rad], progress of a reach, it."""
        raised, swing, progress, reach = hands
        arms, palms, curls = np.zeros((2, 3, 3)), np.zeros((2, 4)), np.zeros(2)
        for row, sign in enumerate((1.0, -1.0)):
            shoulder = trunk.shoulder(person, sign)
            wrist = shoulder + rotated(hanging(person, raised, sign * swing, sign), trunk.yaw)
            outward = rotated((-0.35, 0.6 * sign, -1.0), trunk.yaw)
            share, goal = (progress, reach) if reach is not None and reach.sign == sign else (0.0, None)
            curls[row] = REST_CURL + (READY_CURL - REST_CURL) * raised
            lift = rotated((0.12, 0.0, 0.10), trunk.yaw) * np.sin(np.pi * share)
            touch = hand_at(person, shoulder, goal.point, trunk.yaw) if goal else None
            if touch is not None:  # a hand rises a little on its way, over the edge of what it reaches for
                wrist = wrist + (touch[0] - wrist) * share + lift * (share < 1.0)
                curls[row] += (TOUCH_CURL - curls[row]) * share
            elbow = elbow_of(person, shoulder, wrist, outward)
            # palms face each other beside the body and turn down as the hands are raised
            roll = -sign * (1.15 - 0.75 * raised)
            own = quat_multiply(quat_between(elbow, wrist), quat_from_rpy(np.array([roll, 0.0, 0.0])))
            arms[row] = shoulder, elbow, wrist
            palms[row] = own if touch is None else slerp(own, touch[1], share)
        head = trunk.place(person, np.zeros(3))
        return Body(head, rpy, arms, palms, curls)


def slerp(a: Float[np.ndarray, "4"], b: Float[np.ndarray, "4"], share: float) -> Float[np.ndarray, "4"]:
    """`quat_wxyz` a share of the way from a to b, the short way (Shoemake 1985)."""
    dot = float(a @ b)
    b, dot = (b, dot) if dot >= 0.0 else (-b, -dot)
    angle = np.arccos(min(dot, 1.0))
    if angle < 1e-6:
        return b
    return (np.sin((1.0 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)


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

    def fingertips(self, person: Person) -> Float[np.ndarray, "frame 2 3"]:
        """Tips of the middle fingers in the world [m]."""
        local = np.stack([[person.fingertip(float(curl)) for curl in row] for row in self.curls])
        return self.arms[:, :, 2] + quat_rotate(self.palms, local)


def poses_to_walk(bodies: list[Body], labels: list[int], fps: int) -> Walk:
    """Instants at 1 / fps as one motion, a label each; the one more of them that there may be only ends the last."""
    rows = {f.name: np.stack([getattr(body, f.name) for body in bodies]) for f in fields(Body)}
    rows["twist"] = camera_twist(rows["head_xyz"], rows["head_rpy"][:, 2], fps)
    length = min(len(bodies), len(labels))
    return Walk(
        **{name: values[:length] for name, values in rows.items()}, primitive=np.array(labels[:length], dtype=np.int64)
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
