"""Tasks: worlds with a purpose. Importing this room registers all of them in `tasks`."""

from wbvla.sim.tasks.bag_packing import BagPacking
from wbvla.sim.tasks.box_lift import BoxLift
from wbvla.sim.tasks.box_loading import BoxLoading
from wbvla.sim.tasks.cart_pushing import CartPushing
from wbvla.sim.tasks.go_through import GoThrough
from wbvla.sim.tasks.go_to_furniture import GoToFurniture
from wbvla.sim.tasks.greet import Greet
from wbvla.sim.tasks.handshake import Handshake
from wbvla.sim.tasks.stop_when_told import StopWhenTold
from wbvla.sim.tasks.task import FAMILIES, Task, tasks, tasks_of
from wbvla.sim.tasks.wave import Wave

__all__ = [
    "FAMILIES",
    "BagPacking",
    "BoxLift",
    "BoxLoading",
    "CartPushing",
    "GoThrough",
    "GoToFurniture",
    "Greet",
    "Handshake",
    "StopWhenTold",
    "Task",
    "Wave",
    "tasks",
    "tasks_of",
]
