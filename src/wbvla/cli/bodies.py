"""The bodies that `wbvla run --body NAME` can drive, and how each is built; real robots are added to this table."""

from collections.abc import Callable

from wbvla.core.errors import UnknownName
from wbvla.core.interfaces import Body
from wbvla.robots.description import RobotSpec


def sim_body(spec: RobotSpec, task_name: str, seed: int) -> tuple[Body, str]:
    """A simulated robot in real time in a task's world, and the task's words."""
    from wbvla.sim.body import SimBody, SimBodyConfig
    from wbvla.sim.tasks import tasks

    task = tasks.build(task_name)
    world = task.build(spec)
    task.reset(world, seed)
    return SimBody(world, SimBodyConfig(realtime=True)), task.instruction(seed)


BODIES: dict[str, Callable[[RobotSpec, str, int], tuple[Body, str]]] = {"sim": sim_body}


def open_body(name: str, spec: RobotSpec, task_name: str, seed: int) -> tuple[Body, str]:
    """The body of that name and an instruction for it; raises UnknownName."""
    if name not in BODIES:
        raise UnknownName(f"unknown body {name!r}; known: {', '.join(BODIES)}")
    return BODIES[name](spec, task_name, seed)
