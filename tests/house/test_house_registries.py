"""Whatever stands in a table can be built: each robot, each task, each recipe."""

import dataclasses
import importlib
import json
import pkgutil

import numpy as np
import pytest

import wbvla.recipes
import wbvla.sim.tasks
from wbvla.core.run import plain
from wbvla.recipes.registry import recipes
from wbvla.robots.description import robots
from wbvla.robots.platforms import load_robot

for package in (wbvla.recipes, wbvla.sim.tasks):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)

from wbvla.sim.tasks.task import tasks  # noqa: E402


@pytest.mark.parametrize("name", list(robots))
def test_robot_is_consistent(name: str) -> None:
    spec = load_robot(name)
    default, lower, upper = (spec.column(c) for c in ("default", "lower", "upper"))
    assert spec.name == name
    assert (lower < upper).all()
    assert ((lower <= default) & (default <= upper)).all()
    assert (spec.column("effort") > 0).all()
    assert len(spec.arm_joints) == 14
    assert len(spec.lmo_joints) == 13
    assert spec.camera_names == ("head", "left_hand", "right_hand")
    assert sorted(spec.mirror(spec.joint_names)[0]) == list(range(len(spec.joint_names)))


@pytest.mark.parametrize("name", list(tasks))
def test_task_builds_resets_and_starts_unsolved(name: str) -> None:
    task = tasks.build(name)
    assert task.name == name
    assert not set(task.train_instructions) & set(task.test_instructions)
    assert task.time_limit_s > 0
    world = task.build(load_robot("agibot_x2"))
    task.reset(world, 1)
    first = world.data.qpos.copy()
    assert not task.success(world)
    assert not all(task.progress(world).values())
    task.reset(world, 2)
    assert not np.array_equal(first, world.data.qpos), "another seed must give another start"
    task.reset(world, 1)
    np.testing.assert_array_equal(first, world.data.qpos)


@pytest.mark.parametrize("name", list(recipes))
def test_recipe_is_a_complete_frozen_config(name: str) -> None:
    config = recipes.build(name)
    assert dataclasses.is_dataclass(config)
    assert type(config).__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue]
    json.dumps(plain(config), allow_nan=False)
    assert recipes.build(name) == config, "a recipe gives the same config each time"
