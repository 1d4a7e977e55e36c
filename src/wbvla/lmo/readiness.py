"""Whether a controller walks, turns, squats and stops."""

from pathlib import Path

from wbvla.core.machine import Finding
from wbvla.lmo.stage_tests import Limits, StageTestConfig, run_stage_tests
from wbvla.robots.description import RobotSpec


def controller_line(policy: Path, spec: RobotSpec, robots_each: int) -> Finding:
    """The stage I tests, shortened to `robots_each` robots per command."""
    result = run_stage_tests(policy, spec, StageTestConfig(robots_each=robots_each), Limits())
    failed = [test.name for test in result.tests if not test.passed]
    each = f"{robots_each} robots per command"
    return Finding(
        subject="controller",
        found=f"fails {', '.join(failed)} ({each})" if failed else f"passes the stage I tests ({each})",
        ok=not failed,
        remedy=f"`wbvla lmo check --policy {policy}` shows what it does; then train on",
    )
