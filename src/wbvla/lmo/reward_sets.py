"""Published sets of reward weights: the paper's stage I and II, and HOMIE's, for recipes that want them.

Support, as read from the sources (WholeBodyVLA, arXiv 2512.11047; HOMIE, arXiv 2502.13013 and its published figures):

- Agreed by several readings of the paper: forward, lateral, turn. In one reading: height, vertical speed, orientation,
  joint acceleration, "roll action zero", stand still.
- Named by the paper without a weight, or not named: HOMIE's figure, in both stages.
- Given by neither and 0 here: the weight of J_dir (`direction_end`; set it by `dataclasses.replace`), and all terms of
  our own. `height_squared` is the paper's height, `height_absolute` HOMIE's; `stand_action` is the paper's stand still
  and J_stand, `stand_contact` HOMIE's; only HOMIE's vertical speed is free while squatting.
- HOMIE's "feet_ground_parallel" is `sole_flat` here, "feet_parallel" `foot_yaw`, "second order" `action_jerk`,
  "ang_vel_xy" `roll_pitch_rate`, "dof_pos_limits" `joint_limits`.

Stage factors (`lmo/stages.py`) multiply these weights too; in a run with a published set leave them at 1, but for
`direction`, whose 0 switches J_dir off. Neither source pays once at a fall: `RewardScales.fall` is 2 unless set to 0.
"""

from dataclasses import fields, replace

from wbvla.lmo.rewards import RewardWeights

OWN = "own"
NOTHING = RewardWeights(**{field.name: 0.0 for field in fields(RewardWeights)})
"""all terms off"""

HOMIE = replace(
    NOTHING,
    forward=1.5,
    lateral=1.0,
    turn=2.0,
    height_absolute=2.0,
    vertical_speed_tall=-0.5,
    orientation=-1.5,
    joint_acceleration=-2.5e-7,
    stand_contact=-0.15,
    roll_pitch_rate=-0.025,
    hip_deviation=-0.2,
    ankle_deviation=-0.5,
    knee_squat=-0.75,
    joint_limits=-2.0,
    air_time=0.05,
    clearance=-0.25,
    feet_lateral=0.5,
    knees_lateral=1.0,
    sole_flat=-2.0,
    foot_yaw=-3.0,
    action_rate=-0.01,
    action_jerk=-0.05,
    power=-2e-5,
    stumble=-1.5,
    torque=-2.5e-6,
    joint_speed=-1e-4,
    joint_speed_limits=-2e-3,
    torque_limits=-0.1,
    no_fly=0.75,
    tracking_error=-0.1,
    slip=-0.25,
    contact_forces=-2.5e-4,
    contact_momentum=2.5e-4,
    action_vanish=-1.0,
)

PAPER_STAGE_1 = replace(
    HOMIE,
    height_squared=2.0,
    height_absolute=0.0,
    vertical_speed=-0.5,
    vertical_speed_tall=0.0,
    roll_action=-0.05,
    stand_action=-0.05,
    stand_contact=0.0,
)

PAPER_STAGE_2 = replace(
    PAPER_STAGE_1,
    forward=1.8,
    lateral=1.2,
    vertical_speed=-0.75,
    roll_action=-0.1,
    stand_action=-0.1,
)

REWARD_SETS = {"paper-1": PAPER_STAGE_1, "paper-2": PAPER_STAGE_2, "homie": HOMIE}


def needs_foot_forces(weights: RewardWeights) -> bool:
    """Whether a term looks at the whole force of the floor, for which the model needs sensors of its own."""
    return weights.stumble != 0.0
