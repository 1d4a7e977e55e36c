"""Runs in UniLab's own environment: trains its flat G1 task on a given MJCF; rsl_rl prints the steps per second."""

import argparse
import runpy
import sys

TASK = "task=g1_walk_flat/mujoco"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--worlds", type=int, required=True)
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--logs", required=True)
    parser.add_argument("--gpu", action="store_true", help="for the networks; the physics stays on the CPU")
    options = parser.parse_args()
    sys.argv = [
        "train",
        TASK,
        "training.no_play=true",
        f"training.device={'cuda:0' if options.gpu else 'cpu'}",
        f"training.log_root={options.logs}",
        f"algo.num_envs={options.worlds}",
        f"algo.max_iterations={options.iterations}",
        "algo.actor.obs_normalization=true",
        "algo.critic.obs_normalization=true",
        f"env.scene.model_file={options.model}",
        "env.sim_dt=0.005",  # its own is 6.7 ms, three steps a tick; the others take four
    ]
    runpy.run_module("unilab.scripts.train_rsl_rl", run_name="__main__")


if __name__ == "__main__":
    main()
