"""The squat that training starts from: continuous, balanced, at the height it says."""

import numpy as np
import torch

from wbvla.lmo.squat import COM_AHEAD_M, LegReference, squat_reference
from wbvla.robots.kinematics import centre_of_mass, height_reference, link_poses, squat_table
from wbvla.robots.platforms import load_robot

SPEC = load_robot("agibot_x2")
REFERENCE = squat_reference(SPEC)
ROWS = np.array(REFERENCE.rows)


def test_it_leans_only_where_the_ankle_is_at_its_limit() -> None:
    table = squat_table(SPEC)
    upright = height_reference(table, table.height_m)
    high = table.height_m > 0.52
    assert np.abs(ROWS - upright)[high].max() < 1e-6
    assert (ROWS[0] - upright[0])[0] < -0.1
    assert np.abs(np.diff(ROWS, axis=0)).max() < 0.12


def test_centre_of_mass_stays_before_the_ankles_all_the_way_down() -> None:
    q = np.tile(SPEC.column("default"), (len(ROWS), 1))
    q[:, SPEC.indices(SPEC.lmo_joints)] = ROWS
    names = list(SPEC.lmo_joints)
    hip, knee, ankle = (names.index(f"left_{kind}_joint") for kind in ("hip_pitch", "knee", "ankle_pitch"))
    lean = -(ROWS[:, hip] + ROWS[:, knee] + ROWS[:, ankle])
    foot = link_poses(SPEC, q)[SPEC.foot_links[0]].xyz
    ahead = centre_of_mass(SPEC, q) - foot
    assert np.abs(np.cos(lean) * ahead[:, 0] + np.sin(lean) * ahead[:, 2] - COM_AHEAD_M).max() < 3e-3
    sole = min(point[2] for point in SPEC.sole_points) - SPEC.sole_radius
    height = np.sin(lean) * foot[:, 0] - np.cos(lean) * foot[:, 2] - sole
    assert np.abs(height - (REFERENCE.low_m + REFERENCE.step_m * np.arange(len(ROWS)))).max() < 2e-3


def test_interpolation_meets_the_rows_and_holds_the_ends() -> None:
    legs = LegReference(REFERENCE)
    heights = torch.tensor([0.0, REFERENCE.low_m + 4 * REFERENCE.step_m, 2.0])
    got = legs(heights).numpy()
    assert np.allclose(got[0], ROWS[0], atol=1e-5)
    assert np.allclose(got[1], ROWS[4], atol=1e-4)
    assert np.allclose(got[2], ROWS[-1], atol=1e-3)
