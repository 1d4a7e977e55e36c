"""Observation and Action to messages and back, and the terms two peers must agree on before the first action."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from wbvla.core.contract import Contract
from wbvla.core.errors import ConfigError, ContractMismatch
from wbvla.core.records import Action, BodyState, Image, Observation
from wbvla.deploy.wire import SCHEMA, Message, WireError
from wbvla.robots.description import RobotSpec

STATE = ("q", "dq", "torque", "gripper", "gyro_b", "gravity_b")
ACTION = ("arm_targets", "grippers", "flags", "height_m")
MAX_INSTRUCTION = 512


def terms_of(contract: Contract) -> dict[str, Any]:
    """What is compared in the handshake: protocol schema, contract hash, robot, joints, cameras, rates, chunk."""
    document = json.dumps(contract.to_json(), sort_keys=True).encode()
    action = contract.details.get("action", {})
    return {
        "schema": SCHEMA,
        "contract_sha256": hashlib.sha256(document).hexdigest(),
        "robot": contract.robot,
        "joint_names": list(contract.joint_names),
        "arm_joints": list(action.get("arm_joints", [])),
        "cameras": sorted(contract.details.get("cameras", {})),
        "rate_hz": float(contract.rate_hz),
        "steps": int(action.get("steps", 0)),
    }


def require_robot(contract: Contract, spec: RobotSpec) -> None:
    """Raises ContractMismatch where a VLA's contract does not fit the robot that would obey it."""
    cameras = contract.details.get("cameras", {})
    missing = [c for c, facts in cameras.items() if facts.get("required", True) and c not in spec.camera_names]
    found = [f"camera {c!r} is needed; {spec.name} has {', '.join(spec.camera_names)}" for c in missing]
    ours = {"robot": spec.name, "joint_names": list(spec.joint_names), "arm_joints": list(spec.arm_joints)}
    theirs = terms_of(contract)
    found += [f"{k}: {v!r} on the robot, {theirs[k]!r} in the contract" for k, v in ours.items() if v != theirs[k]]
    if found:
        raise ContractMismatch(f"VLA for {contract.robot}", found)


def observation_tensors(observation: Observation, cameras: list[str]) -> tuple[list[float], dict[str, np.ndarray]]:
    """Stamps `[state, camera ...]` [s] and tensors of an observation, pictures of `cameras` only."""
    names = [c for c in cameras if c in observation.images]
    state = {n: getattr(observation.state, n).astype(np.float32) for n in STATE}
    images = {f"image/{n}": observation.images[n].rgb for n in names}
    return [float(observation.state.time_s), *(float(observation.images[n].time_s) for n in names)], state | images


def observation_from(message: Message, terms: Mapping[str, Any]) -> Observation:
    """Inverse of `observation_tensors`, checked against the agreed terms; raises WireError."""
    cameras = [n.removeprefix("image/") for n in message.tensors if n.startswith("image/")]
    unknown = sorted(set(cameras) - set(terms["cameras"]))
    names = set(message.tensors) - {f"image/{c}" for c in cameras}
    if unknown or names != set(STATE):
        raise WireError("fields", f"cameras {unknown} or tensors {sorted(names ^ set(STATE))} do not belong here")
    stamps, instruction = message.fields["stamps"], message.fields["instruction"]
    if len(stamps) != 1 + len(cameras) or not all(type(s) is float and np.isfinite(s) for s in stamps):
        raise WireError("fields", "stamps must be one finite float for the state and one per camera")
    if len(instruction) > MAX_INSTRUCTION:
        raise WireError("oversize", f"the instruction is longer than {MAX_INSTRUCTION} characters")
    shapes = {"q": len(terms["joint_names"]), "gripper": 2, "gyro_b": 3, "gravity_b": 3}
    for name in STATE:
        wanted = (shapes.get(name, shapes["q"]),)
        if message.tensors[name].shape != wanted or message.tensors[name].dtype != np.float32:
            raise WireError("shape", f"{name} must be f4 {list(wanted)}")
    for camera in cameras:
        picture = message.tensors[f"image/{camera}"]
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
            raise WireError("shape", f"camera {camera} must be u1 [height, width, 3]")
    state = BodyState(time_s=stamps[0], **{n: message.tensors[n].astype(np.float64) for n in STATE})
    images = {c: Image(rgb=message.tensors[f"image/{c}"], time_s=t) for c, t in zip(cameras, stamps[1:])}
    return Observation(sequence=message.fields["sequence"], state=state, images=images, instruction=instruction)


def action_tensors(action: Action) -> dict[str, np.ndarray]:
    """Tensors of a chunk."""
    floats = {n: getattr(action, n).astype(np.float32) for n in ("arm_targets", "grippers", "height_m")}
    return floats | {"flags": action.flags.astype(np.int32)}


def action_from(message: Message, terms: Mapping[str, Any]) -> Action:
    """Inverse of `action_tensors`, checked against the agreed terms; raises WireError."""
    if set(message.tensors) != set(ACTION):
        raise WireError("fields", f"an action has {', '.join(ACTION)}; got {sorted(message.tensors)}")
    steps = message.tensors["height_m"].shape[:1]
    shapes = {"arm_targets": (*steps, len(terms["arm_joints"])), "grippers": (*steps, 2), "flags": (*steps, 3)}
    for name, wanted in ({"height_m": steps} | shapes).items():
        dtype = np.int32 if name == "flags" else np.float32
        if message.tensors[name].shape != wanted or message.tensors[name].dtype != dtype:
            raise WireError("shape", f"{name} must be {np.dtype(dtype).name} {list(wanted)}")
    floats = {n: message.tensors[n].astype(np.float64) for n in ("arm_targets", "grippers", "height_m")}
    try:
        return Action(rate_hz=message.fields["rate_hz"], flags=message.tensors["flags"], **floats)
    except ConfigError as error:
        raise WireError("bad_action", str(error)) from error
