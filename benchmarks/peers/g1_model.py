"""Writes the G1 that all three trainers learn on: our model, with the sites, sensors and key pose the peers ask for."""

import re
from pathlib import Path

import mujoco

from wbvla.core.files import write_bytes
from wbvla.lmo.plant import FLAT, FULL
from wbvla.robots.platforms import load_robot
from wbvla.sim.ground import Ground
from wbvla.sim.mjcf import build_robot

IMU_XYZ = {"pelvis": (0.04525, 0.0, -0.08339), "torso_link": (-0.03959, -0.00224, 0.14792)}
"""of the G1's two IMUs in their links, as the peers' models have them [m]"""
SITE, BODY = mujoco.mjtObj.mjOBJ_SITE, mujoco.mjtObj.mjOBJ_BODY


def write_g1(path: Path) -> None:
    """29 joints, four sole spheres a foot, no other contacts, position drives, floor."""
    spec = load_robot("unitree_g1")
    model = build_robot(spec, FULL)
    Ground(FLAT).add(model)
    for sensor in model.sensors:
        model.delete(sensor)
    kinds = mujoco.mjtSensor
    for link, name in (("pelvis", "imu_in_pelvis"), ("torso_link", "imu_in_torso")):
        model.body(link).add_site(name=name, pos=IMU_XYZ[link])
    pelvis = {"imu_ang_vel": kinds.mjSENS_GYRO, "imu_lin_vel": kinds.mjSENS_VELOCIMETER,
              "imu_lin_acc": kinds.mjSENS_ACCELEROMETER, "pelvis_local_linvel": kinds.mjSENS_VELOCIMETER,
              "pelvis_gyro": kinds.mjSENS_GYRO, "pelvis_upvector": kinds.mjSENS_FRAMEZAXIS}  # fmt: skip
    torso = {"torso_gyro": kinds.mjSENS_GYRO, "torso_upvector": kinds.mjSENS_FRAMEZAXIS}
    feet = {"pos": kinds.mjSENS_FRAMEPOS, "quat": kinds.mjSENS_FRAMEQUAT, "upvector": kinds.mjSENS_FRAMEZAXIS,
            "linvel": kinds.mjSENS_FRAMELINVEL}  # fmt: skip
    wanted = [(name, kind, "imu_in_pelvis") for name, kind in pelvis.items()]
    wanted += [(name, kind, "imu_in_torso") for name, kind in torso.items()]
    wanted += [(f"{s}_foot_{name}", kind, f"{s}_foot") for s in ("left", "right") for name, kind in feet.items()]
    for name, kind, site in wanted:
        model.add_sensor(name=name, type=kind, objtype=SITE, objname=site)
    model.add_sensor(name="root_angmom", type=kinds.mjSENS_SUBTREEANGMOM, objtype=BODY, objname="pelvis")
    default = spec.column("default").tolist()
    model.add_key(name="stand", qpos=[0.0, 0.0, spec.nominal_height_m, 1.0, 0.0, 0.0, 0.0, *default], ctrl=default)
    model.compile()
    drives = "".join(
        f'<position name="{j.name}" joint="{j.name}" kp="{j.kp}" kv="{j.kd}" forcerange="{-j.effort} {j.effort}"/>'
        for j in spec.joints
    )
    touches = "".join(
        f'<contact name="{s}_foot_contact_{i}" geom1="floor" geom2="{s}_sole_{i}" data="found" reduce="mindist"/>'
        for s in ("left", "right")
        for i in range(4)
    )
    text = model.to_xml().replace("</sensor>", f"{touches}</sensor>", 1)
    # MuJoCo 4 writes drives in words that the peers' 3.11 cannot read
    text = re.sub(r"<actuator>.*?</actuator>", f"<actuator>{drives}</actuator>", text, flags=re.DOTALL)
    write_bytes(path, text.encode())
