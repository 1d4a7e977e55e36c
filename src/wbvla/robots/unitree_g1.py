"""Unitree G1: 29 joints, figures of the public MJCF model, gains of controllers that walk the real robot."""

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
ARM_ENDS = tuple(f"{joint}_joint" for joint in ARM)


# Legs: stiffness of two public controllers of the real robot at 50 Hz and 0.25 rad per action (unitree_rl_gym
# legged_gym/envs/g1/g1_config.py, GR00T-WholeBodyControl g1_gear_wbc.yaml: hip 150/2, knee 200 to 300/4, ankle 40/2).
# The rule of the motors' reflected inertia, I (2 pi 10 Hz)^2, gives 40 at hip pitch and yaw: at 0.25 rad per action
# a fifth of an X2's torque, and random actions make 60 robots of 128 fall within 1.2 s though they are helped. Hips
# are damped twice as much as there, which slows them under random actions (37 to 23 rad/s). Waist roll and pitch as
# in the X2: held, not driven, and 10 of the 25 passive: damping that ends at the drive's torque limit makes the
# waist chatter (measured: 250 rad/s with 200/15 and next to no passive damping, 25 rad/s so).
LEGS = {
    "hip": Drive(kp=150.0, kd=4.0, damping=0.3),
    "knee": Drive(kp=200.0, kd=5.0, damping=0.3),
    "waist_yaw": Drive(kp=150.0, kd=4.0, damping=0.3),
    "waist": Drive(kp=300.0, kd=15.0, damping=10.0),
    "ankle": Drive(kp=40.0, kd=2.0, damping=0.1),
}


def _drives(table: RobotTable) -> dict[str, Drive]:
    """Arms as stated in the table: kp = I (2 pi 10 Hz)^2, kd = 2 * 2 * I * 2 pi 10 Hz."""
    arms = {r["name"]: Drive(kp=r["kp"], kd=r["kd"], damping=0.1) for r in table.rows if r["name"].endswith(ARM_ENDS)}
    return {**LEGS, **arms}


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
        shaping=Shaping(goal_speed=(0.35, 0.32, 0.45), alpha=2.0, smoothing=0.1),
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
