"""A film is a playable mp4 with the head view on the left and the outside view on the right."""

from pathlib import Path

import numpy as np

from wbvla.core.command import Command
from wbvla.core.records import BodyState, Image, JointTarget, Observation, Tick
from wbvla.data.video import VideoReader
from wbvla.evaluate.film import Film, scaled


class Outside:
    def picture(self) -> np.ndarray:
        return np.full((60, 80, 3), 200, dtype=np.uint8)


def tick(index: int, seen: bool) -> Tick:
    two = np.zeros(2)
    state = BodyState(
        time_s=index / 50, q=two, dq=two, torque=two, gripper=two, gyro_b=np.zeros(3),
        gravity_b=np.array([0.0, 0.0, -1.0]),
    )  # fmt: skip
    head = Image(rgb=np.full((30, 40, 3), 40, dtype=np.uint8), time_s=0.0)
    shown = Observation(sequence=index, state=state, images={"head": head}, instruction="")
    return Tick(
        index=index, state=state, command=Command(height_m=0.6), target=JointTarget(q=two, kp=two, kd=two, gripper=two),
        arm_target=np.zeros(14), chunk_age_s=0.0, period_s=0.02, observation=shown if seen else None,
    )  # fmt: skip


def test_film_has_a_frame_per_observation(tmp_path: Path) -> None:
    film = Film(Outside(), "head")
    for i in range(50):
        film.observe(tick(i, seen=i % 5 == 0))
    (tmp_path / "film.mp4").write_bytes(film.finish())
    film.close()
    reader = VideoReader(tmp_path / "film.mp4", 10)
    frame = reader.read([5])[0]
    assert reader.num_frames == 10
    assert frame.shape == (60, 160, 3)
    assert abs(float(frame[:, :76].mean()) - 40) < 6
    assert abs(float(frame[:, 84:].mean()) - 200) < 6


def test_nothing_seen_is_no_film() -> None:
    film = Film(Outside(), "head")
    assert film.finish() == b""
    film.close()


def test_scaling_keeps_the_shape() -> None:
    assert scaled(np.zeros((480, 640, 3), dtype=np.uint8), 300).shape == (300, 400, 3)
