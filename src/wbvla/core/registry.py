"""One table from name to function: a duplicate is refused, an unknown name is answered with the closest ones."""

import difflib
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from wbvla.core.errors import ConfigError, UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Names of one kind (`robot`, `task`, `recipe`) and the zero-argument functions that build them.

    Third parties add their own through the entry-point group `wbvla.<kind>s`.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._builders: dict[str, Callable[[], T]] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[Callable[[], T]], Callable[[], T]]:
        """Decorate a zero-argument function so that `build(name)` calls it; raises ConfigError on a duplicate."""

        def add(builder: Callable[[], T]) -> Callable[[], T]:
            if name in self._builders:
                raise ConfigError(f"{self.kind} {name!r} is already registered; choose another name")
            self._builders[name] = builder
            return builder

        return add

    def build(self, name: str) -> T:
        """Call the function registered under `name`; raises UnknownName with the closest names."""
        self._discover()
        if name not in self._builders:
            close = difflib.get_close_matches(name, self._builders, n=3, cutoff=0.4)
            hint = f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
            raise UnknownName(f"unknown {self.kind} {name!r}.{hint} Known: {', '.join(self)}")
        return self._builders[name]()

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(sorted(self._builders))

    def _discover(self) -> None:
        if not self._discovered:
            self._discovered = True
            for point in entry_points(group=f"wbvla.{self.kind}s"):
                if point.name not in self._builders:
                    self.register(point.name)(point.load())
