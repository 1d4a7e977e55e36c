"""The MuJoCo model of each robot: same kinematics as numpy, same mass in every variant, working hands."""

import mujoco
import numpy as np
import pytest

from wbvla.core.errors import ConfigError, RobotError
from wbvla.robots.kinematics import centre_of_mass, link_poses
from wbvla.robots.platforms import load_robot
from wbvla.sim.mjcf import TRAINING, MjcfOptions, build_robot, joint_addresses
from wbvla.sim.user_model import load_user_model

SPECS = {name: load_robot(name) for name in ("agibot_x2", "unitree_g1")}
MODELS = {name: build_robot(spec, MjcfOptions()).compile() for name, spec in SPECS.items()}


@pytest.fixture(params=SPECS)
def spec(request: pytest.FixtureRequest):
    return SPECS[request.param]


def test_kinematics_equal_mujoco(spec) -> None:
    model = build_robot(spec, TRAINING).compile()
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    for _ in range(5):
        q = rng.uniform(spec.column("lower"), spec.column("upper"))
        data.qpos[:7] = (0, 0, 0, 1, 0, 0, 0)
        data.qpos[joint_addresses(model, spec.joint_names)["qpos"]] = q
        mujoco.mj_forward(model, data)
        for name, pose in link_poses(spec, q).items():
            np.testing.assert_allclose(data.body(name).xpos, pose.xyz, atol=1e-9)
            assert abs(data.body(name).xquat @ pose.quat_wxyz) == pytest.approx(1.0, abs=1e-9)
        np.testing.assert_allclose(data.subtree_com[0], centre_of_mass(spec, q), atol=2e-3)


def test_training_variant_weighs_the_same(spec) -> None:
    full, lean = MODELS[spec.name], build_robot(spec, TRAINING).compile()
    expected = sum(link.mass for link in spec.links) + sum(hand.mass for hand in spec.hands)
    assert full.body_mass.sum() == pytest.approx(expected)
    assert lean.body_mass.sum() == pytest.approx(expected)
    assert [lean.joint(i).name for i in range(1, lean.njnt)] == list(spec.joint_names)
    assert lean.ngeom == 8, "only the soles touch"


def test_actuators_hold_the_description(spec) -> None:
    model = MODELS[spec.name]
    for joint in spec.joints:
        actuator = model.actuator(joint.name)
        assert actuator.gainprm[0] == joint.kp
        np.testing.assert_allclose(actuator.biasprm[1:3], (-joint.kp, -joint.kd))
        np.testing.assert_allclose(actuator.forcerange, (-joint.effort, joint.effort))
        dof = model.joint(joint.name).dofadr[0]
        assert model.dof_armature[dof] == joint.armature
        assert model.dof_damping[dof] == joint.damping


def test_welding_removes_joint_and_actuator(spec) -> None:
    model = build_robot(spec, MjcfOptions(welded=spec.head_joints + spec.waist_joints[1:])).compile()
    assert model.nu == MODELS[spec.name].nu - len(spec.head_joints) - 2
    with pytest.raises(ConfigError, match="welded"):
        joint_addresses(model, spec.joint_names)
    with pytest.raises(ConfigError, match="no joints"):
        build_robot(spec, MjcfOptions(welded=("tail_joint",)))


def test_no_geometry_of_the_robot_meets_another(spec) -> None:
    model = MODELS[spec.name]
    data = mujoco.MjData(model)
    rng = np.random.default_rng(1)
    for _ in range(20):
        data.qpos[joint_addresses(model, spec.joint_names)["qpos"]] = rng.uniform(
            spec.column("lower"), spec.column("upper")
        )
        mujoco.mj_forward(model, data)
        assert data.ncon == 0


def test_grippers_open_and_close_evenly(spec) -> None:
    model = MODELS[spec.name]
    data = mujoco.MjData(model)
    model.opt.gravity[:] = 0.0
    data.ctrl[joint_addresses(model, spec.joint_names)["ctrl"]] = 0.0
    for ctrl, share in ((1.0, 1.0), (0.0, 0.0), (0.5, 0.5)):
        data.ctrl[[model.actuator(f"{side}_gripper").id for side in ("left", "right")]] = ctrl
        mujoco.mj_step(model, data, 200)
        for side in ("left", "right"):
            lead, follow = (data.qpos[model.joint(f"{side}_gripper{end}").qposadr[0]] for end in ("", "_follow"))
            assert lead == pytest.approx(share * spec.hands[0].stroke_m / 2, abs=2e-3)
            assert follow == pytest.approx(lead, abs=2e-3)
    model.opt.gravity[:] = (0.0, 0.0, -9.81)


def test_policy_cameras_look_where_the_facts_say() -> None:
    x2 = SPECS["agibot_x2"]
    model = MODELS["agibot_x2"]
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    forward = -data.camera("head").xmat.reshape(3, 3)[:, 2]
    np.testing.assert_allclose(np.degrees(np.arcsin(-forward[2])), 40.0, atol=0.1)
    assert x2.camera_names == ("head", "left_hand", "right_hand")
    assert {c.name for c in x2.cameras} == {model.camera(i).name for i in range(model.ncam)}


def urdf(spec, change=lambda text: text) -> str:
    """The description written as a URDF, as a vendor would ship it."""
    lines = []
    for link in spec.links:
        keys = dict(zip(("ixx", "iyy", "izz", "ixy", "ixz", "iyz"), link.inertia))
        inertia = " ".join(f'{key}="{value}"' for key, value in keys.items())
        com = " ".join(map(str, link.com_xyz))
        lines.append(
            f'<link name="{link.name}"><inertial><origin xyz="{com}"/><mass value="{link.mass}"/>'
            f"<inertia {inertia}/></inertial></link>"
        )
    for joint in spec.joints:
        xyz, rpy, axis = (" ".join(map(str, v)) for v in (joint.origin_xyz, joint.origin_rpy, joint.axis))
        lines.append(
            f'<joint name="{joint.name}" type="revolute"><parent link="{joint.parent}"/>'
            f'<child link="{joint.child}"/><origin xyz="{xyz}" rpy="{rpy}"/><axis xyz="{axis}"/>'
            f'<limit lower="{joint.lower}" upper="{joint.upper}" effort="{joint.effort}" velocity="9"/></joint>'
        )
    return change(f'<robot name="user">{"".join(lines)}</robot>')


def test_a_users_urdf_drives_like_ours(spec, tmp_path) -> None:
    path = tmp_path / "robot.urdf"
    path.write_text(urdf(spec))
    theirs, ours = load_user_model(path, spec).compile(), MODELS[spec.name]
    assert [theirs.actuator(i).name for i in range(theirs.nu)] == [ours.actuator(i).name for i in range(ours.nu)]
    assert theirs.body_mass.sum() == pytest.approx(ours.body_mass.sum(), rel=1e-6)
    np.testing.assert_allclose(theirs.dof_M0, ours.dof_M0, rtol=1e-4) if hasattr(ours, "dof_M0") else None


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("left_knee_joint", "left_knie_joint", "joint left_knee_joint is missing"),
        ('upper="2.408554"', 'upper="1.2"', "left_knee_joint has limits"),
        ('<mass value="10.986"/>', '<mass value="20"/>', "link torso_link has 20.000 kg"),
        ('xyz="0.0 0.07135 0.0"', 'xyz="0.0 0.09 0.0"', "left_hip_pitch_joint lies at"),
        ('name="waist_roll_joint"', 'name="waist_rol_joint"', "waist_roll_joint is missing"),
        ("</robot>", "", "cannot be used"),
    ],
)
def test_another_robot_is_refused_by_name(tmp_path, old: str, new: str, named: str) -> None:
    path = tmp_path / "other.urdf"
    path.write_text(urdf(SPECS["agibot_x2"], lambda text: text.replace(old, new)))
    with pytest.raises(RobotError, match=named):
        load_user_model(path, SPECS["agibot_x2"])
