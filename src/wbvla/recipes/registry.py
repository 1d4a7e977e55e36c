"""The table of recipes: a name and a zero-argument function that returns a complete config."""

from typing import Any

from wbvla.core.registry import Registry

recipes: Registry[Any] = Registry("recipe")
