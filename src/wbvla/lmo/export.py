"""From a checkpoint to what a robot loads: an ONNX network with its normaliser inside, a contract and a card."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from jaxtyping import Float
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from wbvla.core.contract import Artefact, Contract, write_artefact
from wbvla.core.errors import ArtefactError
from wbvla.core.metrics import read_metrics
from wbvla.core.run import commit
from wbvla.deploy.lmo import POLICY_FILE
from wbvla.lmo.checkpoint import part, read_checkpoint
from wbvla.lmo.environment import CONTROL_HZ
from wbvla.lmo.observation import PAST, PRESETS
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.squat import squat_reference
from wbvla.robots.description import RobotSpec
from wbvla.robots.platforms import load_robot

EPS = 1e-2
"""what `rsl_rl` adds to the standard deviation of an observation"""
OPSET = 17
PARITY_TOLERANCE = 1e-5
CURVE_FILE = "learning_curve.json"
CHANGED = (
    "- its configuration was changed while it trained (`run.before` in config.json): the recipe alone makes another one"
)


def layers_of(actor: Mapping[str, Tensor]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and biases of the network, in order."""
    numbers = sorted(int(key.split(".")[1]) for key in actor if key.startswith("mlp.") and key.endswith(".weight"))
    return [(actor[f"mlp.{n}.weight"].numpy(), actor[f"mlp.{n}.bias"].numpy()) for n in numbers]


def build_onnx(actor: Mapping[str, Tensor]) -> bytes:
    """(x - mean) / (std + eps), then linear layers with ELU between them; any batch size."""
    layers = layers_of(actor)
    scale = 1.0 / (actor["obs_normalizer._std"].numpy().reshape(-1) + EPS)
    arrays = {"mean": actor["obs_normalizer._mean"].numpy().reshape(-1), "scale": scale}
    nodes = [helper.make_node("Sub", ["observation", "mean"], ["centred"])]
    nodes.append(helper.make_node("Mul", ["centred", "scale"], ["hidden_0"]))
    for i, (weight, bias) in enumerate(layers):
        arrays |= {f"weight_{i}": weight, f"bias_{i}": bias}
        last = i == len(layers) - 1
        out = "action" if last else f"linear_{i}"
        nodes.append(helper.make_node("Gemm", [f"hidden_{i}", f"weight_{i}", f"bias_{i}"], [out], transB=1))
        if not last:
            nodes.append(helper.make_node("Elu", [out], [f"hidden_{i + 1}"], alpha=1.0))
    graph = helper.make_graph(
        nodes,
        "lmo",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", layers[0][0].shape[1]])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", layers[-1][0].shape[0]])],
        [numpy_helper.from_array(np.ascontiguousarray(v, dtype=np.float32), k) for k, v in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="wbvla")
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model.SerializeToString()


def torch_action(actor: Mapping[str, Tensor], x: Float[Tensor, "batch number"]) -> Float[Tensor, "batch lmo"]:
    """The same network by torch."""
    hidden = (x - actor["obs_normalizer._mean"]) / (actor["obs_normalizer._std"] + EPS)
    layers = layers_of(actor)
    for i, (weight, bias) in enumerate(layers):
        hidden = torch.nn.functional.linear(hidden, torch.from_numpy(weight), torch.from_numpy(bias))
        hidden = torch.nn.functional.elu(hidden) if i < len(layers) - 1 else hidden
    return hidden


def parity(actor: Mapping[str, Tensor], content: bytes, num: int = 10_000, seed: int = 0) -> float:
    """Largest difference between torch and onnxruntime over random observations around the normaliser's mean."""
    rng = torch.Generator().manual_seed(seed)
    mean, deviation = actor["obs_normalizer._mean"], actor["obs_normalizer._std"]
    x = mean + deviation * torch.randn(num, mean.shape[1], generator=rng)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    ours = np.asarray(session.run(None, {"observation": x.numpy()})[0])
    return float(np.abs(ours - torch_action(actor, x).numpy()).max())


def contract_of(spec: RobotSpec, config: EnvironmentConfig) -> Contract:
    """All that the robot must know to run the network as it was trained."""
    index = spec.indices(spec.lmo_joints)
    squat = squat_reference(spec)
    columns = {"default_q": "default", "lower": "lower", "upper": "upper", "kp": "kp", "kd": "kd"}
    extra = {"clock": ["sin", "cos"], "heading": ["off_psi"], "course": ["off_x", "off_y", "off_psi"]}
    joints = [f"{kind}:{name}" for kind in ("q", "dq", "action") for name in spec.lmo_joints]
    senses = [f"{kind}_{axis}" for kind in ("gyro", "gravity") for axis in "xyz"]
    now = ["s_x", "s_y", "s_psi", "height", *senses, *joints]
    extra["history"] = [f"{name}@-{tick}" for tick in range(1, PAST + 1) for name in now]
    details: dict[str, Any] = {
        "preset": config.preset,
        "observation": now + [name for block in PRESETS[config.preset] for name in extra[block]],
        "interface": config.commands.interface,
        "shaping": asdict(config.shaping),
        "height_range_m": list(spec.height_range_m),
        "nominal_height_m": spec.nominal_height_m,
        "action_scale": config.action_scale,
        "action_clip": config.action_clip,
        "target_margin_rad": config.target_margin_rad,
        "height_reference": {
            "low_m": squat.low_m,
            "step_m": squat.step_m,
            "rows": [list(row) for row in squat.rows],
        },
        "course": asdict(config.course),
        "gait": {"frequency_hz": config.gait.frequency_hz, "active_above": config.gait.active_above},
        **{key: spec.column(field)[index].tolist() for key, field in columns.items()},
    }
    return Contract(kind="lmo", robot=spec.name, joint_names=spec.lmo_joints, rate_hz=CONTROL_HZ, details=details)


def learning_curve(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every tenth line of a run's log, the figures one plots."""
    keys = (
        "step", "env_steps", "seconds", "reward", "falls_per_minute", "stalls_per_minute", "error_x", "error_y",
        "error_yaw", "error_height", "assist", "feed_forward", "stage", "learning_rate", "kl", "std",
    )  # fmt: skip
    return [{key: round(row[key], 6) for key in keys} for row in log if row["step"] % 10 == 0]


def export(
    checkpoint: Path, config: EnvironmentConfig, folder: Path, recipe: str, seed: int, note: str = ""
) -> Artefact:
    """Write an `lmo` artefact, `note` on its card; `recipe` is empty when the run followed none.

    Raises ArtefactError when the policy still leans on training help or ONNX and torch differ.
    """
    tensors, meta = read_checkpoint(checkpoint)
    progress = meta["progress"]
    if progress["assist"] > 0 or progress["feed_forward"] > 0:
        raise ArtefactError(
            f"{checkpoint} still uses assist {progress['assist']:.2f} and feed-forward {progress['feed_forward']:.2f}, "
            "which a robot does not have; train on until both are 0"
        )
    actor, spec = part(tensors, "actor."), load_robot(meta["robot"])
    content = build_onnx(actor)
    difference = parity(actor, content)
    if difference > PARITY_TOLERANCE:
        raise ArtefactError(f"ONNX and torch differ by {difference:.2e}, more than {PARITY_TOLERANCE}")
    log = [row for row in read_metrics(checkpoint.parent / "metrics.jsonl") if row["step"] <= meta["iteration"]]
    curve = learning_curve(log)
    run = checkpoint.parent / "run.json"
    resolved = json.loads(run.read_text()) if run.is_file() else {}
    if resolved.get("before"):
        note = f"{CHANGED}\n{note}" if note else CHANGED
    facts = {
        "recipe": recipe,
        "seed": seed,
        "iterations": meta["iteration"],
        "env_steps": log[-1]["env_steps"] if log else 0,
        "start": meta.get("start"),
        "training_seconds": round(meta["seconds"], 1),
        "commit": resolved.get("commit") or commit(),
        "machine": f"{resolved.get('cores', '?')} cores of {resolved.get('cpu', 'an unknown CPU')}",
        "parity": difference,
        "note": note,
    }
    files = {POLICY_FILE: content, CURVE_FILE: (json.dumps(curve, indent=1) + "\n").encode()}
    return write_artefact(
        folder, contract_of(spec, config), {**facts, "run": resolved}, card(spec, facts, curve), files
    )


def card(spec: RobotSpec, facts: Mapping[str, Any], curve: list[dict[str, Any]]) -> str:
    """What a person should know before using it."""
    marks = curve[:: max(1, len(curve) // 12)]
    rows = "\n".join(
        f"| {r['env_steps'] / 1e6:.1f} | {r['seconds'] / 60:.1f} | {r['falls_per_minute']:.2f} | {r['error_x']:.3f} "
        f"| {r['error_y']:.3f} | {r['error_yaw']:.3f} | {r['stage']} |"
        for r in marks
    )
    start = facts.get("start")
    origin = (
        f"Trained in MuJoCo by PPO from the weights of `{start['file']}` ({start['iteration']} iterations, sha256 "
        f"{start['sha256'][:16]}); no"
        if start
        else "Trained from scratch in MuJoCo by PPO; no"
    )
    recipe = f"recipe `{facts['recipe']}`" if facts["recipe"] else "a configuration of its own (`run` in config.json)"
    again = (
        f"make it again: `wbvla train {facts['recipe']}`, then `wbvla lmo export`; "
        if facts["recipe"] and not start
        else ""
    )
    return f"""# Low-level controller for {spec.name}

Turns a command (forward/back, left/right, turn, stance height) into targets of {len(spec.lmo_joints)} joints at
{CONTROL_HZ:g} Hz. {origin} other project's weights or data. It has never run on a
real robot.

- {recipe}, seed {facts["seed"]}, {facts["iterations"]} iterations, {facts["env_steps"] / 1e6:.1f}e6 steps,
  {facts["training_seconds"] / 60:.0f} minutes on {facts["machine"]}, source {facts["commit"]}
- largest difference between torch and ONNX on 10,000 random observations: {facts["parity"]:.1e}
- {again}measure it: `wbvla lmo check --robot {spec.name} --policy FOLDER`
{facts["note"]}
Learning curve (with exploration noise, pushes and the stage's disturbances; errors of settled commands, filtered):

| steps 1e6 | minutes | falls / robot-minute | x m/s | y m/s | yaw rad/s | stage |
|---|---|---|---|---|---|---|
{rows}
"""
