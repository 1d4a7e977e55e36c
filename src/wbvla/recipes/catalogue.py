"""All recipes that come with the package, by name; their modules are imported when the first is asked for."""

import importlib
from collections.abc import Mapping
from typing import Any

from wbvla.core.errors import UnknownName
from wbvla.recipes.registry import recipes

MODULES = ("lam", "vla", "lmo")


def gather() -> Mapping[str, str]:
    """Import every module of recipes; returns those that cannot be, with the missing package, for lack of an extra."""
    missing: dict[str, str] = {}
    for name in MODULES:
        try:
            importlib.import_module(f"wbvla.recipes.{name}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("wbvla"):
                raise
            missing[name] = error.name or "a package"
    return missing


def load_recipe(name: str) -> Any:
    """The complete config of a recipe; raises UnknownName with the closest names, and with what is not installed."""
    missing = gather()
    try:
        return recipes.build(name)
    except UnknownName as error:
        if not missing:
            raise
        lacking = ", ".join(f"{room} ({package})" for room, package in missing.items())
        raise UnknownName(f"{error}. Not installed here: recipes of {lacking}; install wbvla[train]") from error


def names() -> list[str]:
    """Names of all recipes that can be built here, sorted."""
    gather()
    return list(recipes)
