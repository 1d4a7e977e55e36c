"""Runs in mjlab's own environment: trains its flat G1 task on a given MJCF; rsl_rl prints the steps per second."""

import argparse
from dataclasses import replace
from pathlib import Path

import mjlab.tasks  # noqa: F401  # fills the table of tasks
import mujoco
from mjlab.asset_zoo.robots import get_g1_robot_cfg
from mjlab.scripts.train import TrainConfig, launch_training

TASK = "Mjlab-Velocity-Flat-Unitree-G1"


def entity(model: str) -> mujoco.MjSpec:
    """The robot alone: mjlab brings floor, drives and contact sensors itself."""
    spec = mujoco.MjSpec.from_file(model)
    contacts = [s for s in spec.sensors if "_contact_" in s.name]
    for item in (*spec.actuators, *spec.keys, *contacts, spec.geom("floor")):
        spec.delete(item)
    return spec


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--worlds", type=int, required=True)
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--logs", required=True)
    parser.add_argument("--gpu", action="store_true")
    options = parser.parse_args()
    task = TrainConfig.from_task(TASK)
    env, agent = task.env, task.agent
    robot = get_g1_robot_cfg()
    robot.spec_fn = lambda: entity(options.model)
    robot.collisions = ()
    env.scene.entities = {"robot": robot}
    env.scene.num_envs = options.worlds
    soles = tuple(f"{side}_sole_{i}" for side in ("left", "right") for i in range(4))
    env.events["foot_friction"].params["asset_cfg"].geom_names = soles
    agent.max_iterations, agent.logger, agent.save_interval = options.iterations, "tensorboard", 10**6
    gpus = [0] if options.gpu else None
    launch_training(TASK, replace(task, env=env, agent=agent, gpu_ids=gpus, log_root=str(Path(options.logs))))


if __name__ == "__main__":
    main()
