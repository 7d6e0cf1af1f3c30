"""Images whose names always mean the same: by a digest, by the lock file, or by a catalog."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from warpforge.errors import Missing, WarpforgeError
from warpforge.model.atoms import Ingest, WareId
from warpforge.model.plot import PlotBasis
from warpforge.polytope.containers.datasets import Datasets
from warpforge.polytope.containers.image import ImageConfig, parse_config
from warpforge.polytope.containers.image_names import ImageNames
from warpforge.polytope.containers.lockfile import NAME, LockFile
from warpforge.polytope.spec import DatasetSource

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine


class Pinned:
    """``directory``: of the project, where its lock file lies. The caller uses the store."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self._engine = engine
        self._names = ImageNames(engine, LockFile(directory / NAME), directory)

    def name(self, image: str) -> WareId | None:
        """What a name is pinned to, as far as it can be told without fetching anything."""
        return self._names.pinned(image)

    def find(self, image: str) -> WareId | None:
        """The ware, brought here; None for a name that is not pinned. Errors: as ``ImageNames.find``."""
        return None if self.name(image) is None else self._names.find(image)

    def config(self, ware: WareId) -> ImageConfig:
        kept = self._engine.store.images.find(ware)
        if kept is None:
            raise Missing("missing", f"what the image {ware} says of its start is not here: fetch it again", ware=ware)
        return parse_config(kept.config)

    def spell(self, image: str, ware: WareId) -> PlotBasis:
        """By its registry and its digest; an image of no registry as the ware it is."""
        from warpforge.mirror.reference import parse_reference

        try:
            reference = parse_reference(image)
        except WarpforgeError:
            return ware
        return Ingest("oci", f"{reference.repository}@sha256:{ware.hash}")


def find_dataset(engine: Engine, directory: Path) -> Callable[[DatasetSource], WareId | None]:
    """What versions of a project's datasets are here; ``directory``: of its polytope file."""
    datasets = Datasets(directory, engine.store)

    def find(source: DatasetSource) -> WareId | None:
        try:
            return datasets.find(source.dataset, source.version).ware
        except Missing:
            return None

    return find
