"""Tasks: worlds with a purpose. Importing this room registers all of them in `tasks`."""

from wbvla.sim.tasks.bag_packing import BagPacking
from wbvla.sim.tasks.box_lift import BoxLift
from wbvla.sim.tasks.box_loading import BoxLoading
from wbvla.sim.tasks.cart_pushing import CartPushing
from wbvla.sim.tasks.task import Task, tasks

__all__ = ["BagPacking", "BoxLift", "BoxLoading", "CartPushing", "Task", "tasks"]
