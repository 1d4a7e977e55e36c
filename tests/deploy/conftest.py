"""Robot, ideal body, balancer and policy for the runtime's tests."""

import numpy as np
import pytest
from deploy_fakes import IdealBody, StandingBalancer, WalkingPolicy

from wbvla.robots.description import RobotSpec
from wbvla.robots.platforms import load_robot


@pytest.fixture(scope="session")
def spec() -> RobotSpec:
    return load_robot("agibot_x2")


@pytest.fixture
def body(spec: RobotSpec) -> IdealBody:
    return IdealBody(spec)


@pytest.fixture
def lmo(spec: RobotSpec) -> StandingBalancer:
    return StandingBalancer(spec)


@pytest.fixture
def policy(spec: RobotSpec) -> WalkingPolicy:
    return WalkingPolicy(spec)


@pytest.fixture(scope="session")
def arm_rest(spec: RobotSpec) -> np.ndarray:
    return spec.column("default")[spec.indices(spec.arm_joints)]
