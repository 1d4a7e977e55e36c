"""How large the miniature is: everything `wbvla demo` makes, on two CPU cores in under 25 minutes."""

from dataclasses import dataclass, field

from wbvla.collect.ego.video import EgoVideoConfig
from wbvla.evaluate.campaign import CampaignConfig
from wbvla.recipes.registry import recipes


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """One walk through all stations."""

    robot: str = "agibot_x2"
    """robot by name"""
    task: str = "box-lift"
    """task that is demonstrated, learnt and evaluated"""
    egovideo: EgoVideoConfig = field(default_factory=lambda: EgoVideoConfig(num_clips=400, processes=2))
    """action-free video"""
    demonstrations: int = 60
    """successful episodes of the scripted expert to record"""
    campaign: CampaignConfig = field(default_factory=lambda: CampaignConfig(trials=10))
    """evaluation"""
    lmo_robots_each: int = 4
    """robots per command when the low-level controller is measured"""
    seed: int = 0
    """seed of demonstrations; recipes and configs hold their own"""


@recipes.register("demo")
def demo() -> DemoConfig:
    """The size that the README's figures are of."""
    return DemoConfig()
