"""Plain folders of clips, one per motion primitive: SRC/<primitive>/<clip>.mp4, action-free."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.errors import DataError
from wbvla.data.features import IMAGE, PRIMITIVE
from wbvla.data.format import scalar
from wbvla.data.importers.streams import VideoPictures
from wbvla.data.importers.take import ImportConfig, Item, Take, folders, importers, within
from wbvla.data.listing import VIDEOS

HEAD = IMAGE + "head"


@importers.register("primitives")
class Primitives:
    """The number of a primitive is its folder's place in alphabetical order; the contract names them."""

    version = 1
    licence = "the operator's own recordings; ask the people in view for consent"

    def items(self, src: Path, config: ImportConfig) -> Iterator[Item]:
        """One per video of every folder."""
        names = self._primitives(src)
        for number, name in enumerate(names):
            for path in sorted((src / name).iterdir()):
                if path.suffix.lower() in VIDEOS and not path.name.startswith("."):
                    yield Item(name=f"{name}/{path.name}", where={"primitive": number, "text": name})

    def take(self, src: Path, item: Item, config: ImportConfig) -> Take:
        """One clip, with the stamps of its own file."""
        video = VideoPictures(within(src, item.name))
        primitive = np.full(video.length, item.where["primitive"], dtype=np.int64)
        return Take(
            task=str(item.where["text"]).replace("_", " "),
            rate_hz=video.rate_hz,
            columns={PRIMITIVE: (scalar("int64"), primitive)},
            cameras={HEAD: video},
            times_s={"head": video.times_s},
        )

    def facts(self, src: Path, config: ImportConfig) -> dict[str, Any]:
        """The primitives by number."""
        return {"robot": "human", "primitives": self._primitives(src), "clock": "stamps of each video file"}

    def _primitives(self, src: Path) -> list[str]:
        names = [p.name for p in folders(src)]
        if not names:
            raise DataError(f"{src} has no folder per primitive, such as {src / 'advance'}")
        return names
