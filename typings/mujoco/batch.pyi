"""MuJoCo's names come from a compiled module that type checkers cannot see."""
from typing import Any

def __getattr__(name: str) -> Any: ...
