"""The experts, one per task. Importing this room registers all of them in `experts`."""

from wbvla.collect.expert import Expert, ExpertConfig, experts
from wbvla.collect.experts.bag_packing import BagPackingExpert
from wbvla.collect.experts.box_lift import BoxLiftExpert
from wbvla.collect.experts.box_loading import BoxLoadingExpert
from wbvla.collect.experts.cart_pushing import CartPushingExpert
from wbvla.collect.experts.greet import GreetExpert
from wbvla.collect.experts.handshake import HandshakeExpert
from wbvla.collect.experts.navigation import GoThroughExpert, GoToFurnitureExpert
from wbvla.collect.experts.stop_when_told import StopWhenToldExpert
from wbvla.collect.experts.wave import WaveExpert
from wbvla.sim.scene import World
from wbvla.sim.tasks.task import Task

__all__ = [
    "BagPackingExpert",
    "BoxLiftExpert",
    "BoxLoadingExpert",
    "CartPushingExpert",
    "GoThroughExpert",
    "GoToFurnitureExpert",
    "GreetExpert",
    "HandshakeExpert",
    "StopWhenToldExpert",
    "WaveExpert",
    "expert_for",
    "experts",
]


def expert_for(task: Task, world: World, config: ExpertConfig | None = None, seed: int = 0) -> Expert:
    """The scripted teleoperator of a task; raises UnknownName for a task without one."""
    return experts.build(task.name)(world, task, config, seed)
