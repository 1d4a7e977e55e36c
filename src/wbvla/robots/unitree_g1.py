"""Unitree G1: 29 joints, figures of the public MJCF model, gains from the motors' reflected inertia."""

from wbvla.core.command import Shaping
from wbvla.robots.description import CameraFacts, HandFacts, ImuFacts, RobotSpec, robots
from wbvla.robots.table import Drive, RobotTable, read_table

# Legs: the squat table (robots/kinematics.py) at the nominal height, so that the default pose stands flat.
DEFAULT_POSE = {
    "hip_pitch": -0.4736,
    "knee": 0.96,
    "ankle_pitch": -0.4864,
    "shoulder_pitch": 0.2,
    "left_shoulder_roll": 0.2,
    "right_shoulder_roll": -0.2,
    "elbow": 0.6,
}
LEG = ("hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll")
ARM = ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "wrist_roll", "wrist_pitch", "wrist_yaw")
SIDES = ("left", "right")


def _drives(table: RobotTable) -> dict[str, Drive]:
    """Stated per joint in the table: kp = I (2 pi 10 Hz)^2, kd = 2 * 2 * I * 2 pi 10 Hz.

    Waist roll and pitch are held stiffer than that rule: they carry the whole upper body and the controller does
    not drive them.
    """
    drives = {r["name"]: Drive(kp=r["kp"], kd=r["kd"], damping=0.1) for r in table.rows}
    held = Drive(kp=200.0, kd=15.0, damping=0.1)
    return {**drives, "waist_roll_joint": held, "waist_pitch_joint": held}


def _cameras() -> tuple[CameraFacts, ...]:
    hands = tuple(
        CameraFacts(
            name=f"{side}_hand",
            link=f"{side}_wrist_yaw_link",
            xyz=(0.055, 0.0, 0.095),
            pitch_down=0.6,
            fovy_deg=58.0,
        )
        for side in SIDES
    )
    head = CameraFacts(name="head", link="torso_link", xyz=(0.0576235, 0.01753, 0.42987), pitch_down=0.83078)
    view = CameraFacts(name="view", link="world", xyz=(2.2, -1.9, 0.75), pitch_down=0.2, fovy_deg=40.0, role="view")
    return (head, *hands, view)


def _hand(side: str) -> HandFacts:
    return HandFacts(
        side=side,
        link=f"{side}_wrist_yaw_link",
        palm_xyz=(0.15, 0.0, 0.0),
        rpy=(0.0, 0.0, 0.0),
        mass=0.22,
        com_xyz=(0.117, 0.0, 0.0),
        stroke_m=0.09,
        force=40.0,
    )


@robots.register("unitree_g1")
def unitree_g1() -> RobotSpec:
    """Unitree G1, 29 joints, two 1-DoF grippers."""
    table = read_table("unitree_g1")
    legs = tuple(f"{side}_{joint}_joint" for side in SIDES for joint in LEG)
    return RobotSpec(
        name=table.name,
        version=table.version,
        joints=table.joints(_drives(table), DEFAULT_POSE),
        links=table.links,
        root_link="pelvis",
        leg_joints=legs,
        waist_joints=("waist_yaw_joint", "waist_roll_joint", "waist_pitch_joint"),
        arm_joints=tuple(f"{side}_{joint}_joint" for side in SIDES for joint in ARM),
        head_joints=(),
        lmo_joints=(*legs, "waist_yaw_joint"),
        foot_links=("left_ankle_roll_link", "right_ankle_roll_link"),
        sole_points=tuple((x, y, -0.030) for x in (-0.045, 0.12) for y in (0.024, -0.024)),
        sole_radius=0.005,
        torso_link="torso_link",
        height_range_m=(0.55, 0.76),
        nominal_height_m=0.72,
        shaping=Shaping(),
        cameras=_cameras(),
        imus=(
            ImuFacts(name="pelvis", link="pelvis", xyz=(0.04525, 0.0, -0.08339)),
            ImuFacts(name="torso", link="torso_link", xyz=(-0.03959, -0.00224, 0.14792)),
        ),
        hands=(_hand("left"), _hand("right")),
        shells=table.shells,
        colliders=table.colliders,
        sources=table.sources,
    )
