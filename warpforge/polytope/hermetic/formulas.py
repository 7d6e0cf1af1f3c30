"""Containers that are pure functions, run by the engine: what ran before is remembered, and nothing runs again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from warpforge.errors import Invalid, WarpforgeError
from warpforge.model.atoms import WareId
from warpforge.model.plot import PlotBasis
from warpforge.polytope.containers.pulls import Pulls
from warpforge.polytope.hermetic.choosing import judge
from warpforge.polytope.hermetic.purity import Impurity, list_impurities, make_plot, make_protoformula
from warpforge.polytope.hermetic.relay import speaking
from warpforge.polytope.hermetic.sources import Bases, find_bases
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Runner
from warpforge.polytope.spec import ContainerSpec, DatasetSource

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.polytope.containers.datasets import Datasets
    from warpforge.polytope.hermetic.planning import Images


class Formulas:
    """``root``: of the project's repository. Any thread may run some; as many run at once as the engine has jobs."""

    def __init__(self, engine: Engine, images: Images, datasets: Datasets, root: str) -> None:
        self._engine = engine
        self._pulls = Pulls()
        self._keeping = threading.Lock()
        self._images = images
        self._datasets = datasets
        self._root = root

    def can_be(self, spec: ContainerSpec) -> bool:
        """Whether a container of which nobody said anything can be one."""

        def find(spec: ContainerSpec) -> Bases:
            return find_bases(spec, self._root, self._root, self._find)

        with self._engine.store.use():
            return judge(spec, self._images.name(spec.image), find).can_be

    def run(self, spec: ContainerSpec, runner: Runner) -> Value:
        """As ``run_container``; each dataset is a new version only when it is another tree.

        Errors: ``invalid-argument`` (reason hermetic), which says why it is no pure function; those of the engine.
        """
        from warpforge.engine.beside import Stop
        from warpforge.engine.ending import ActionFailed
        from warpforge.engine.job import Where

        with self._pulls.turn(spec.image):
            image = self._images.find(spec.image)
        impurities = list(list_impurities(spec, image))
        if impurities or image is None:
            raise _impure(spec, impurities)
        bases = find_bases(spec, self._root, self._root, self._find)
        if bases.impurities:
            raise _impure(spec, bases.impurities)
        body = make_protoformula(spec, image, self._images.config(image), bases.bases)
        plot = make_plot({spec.id: body})
        stop = Stop()
        with speaking(runner, stop.set) as voice, self._engine.store.use():
            try:
                where = Where(Path(self._root, "polytope.yml"))
                found = self._engine.beside.run(plot, where, voice, stop).results
            except WarpforgeError as error:
                status = _exit_status(error, ActionFailed)
                if status is None:
                    raise
                runner.fail("The container exited with a nonzero exit code.", {"exit-code": status})
                raise
            if voice.hit:
                runner.log("info", "remembered: nothing ran")
            kept = {name: self._keep(name, ware) for name, ware in found.items() if isinstance(ware, WareId)}
        return {"exit-code": 0, "datasets": dict(kept), "wares": {name: str(ware) for name, ware in found.items()}}

    def _find(self, source: DatasetSource) -> PlotBasis | None:
        return self._datasets.find(source.dataset, source.version).ware

    def _keep(self, name: str, ware: WareId) -> int:
        with self._keeping:
            versions = self._datasets.versions(name)
            if versions and versions[-1].ware == ware:
                return versions[-1].number
            return self._datasets.add(name, ware)


def _impure(spec: ContainerSpec, impurities: list[Impurity] | tuple[Impurity, ...]) -> Invalid:
    why = "; ".join(impurity.text for impurity in impurities)
    return Invalid(
        "invalid-argument", f"{spec.id} is said to be hermetic, but {why}", reason="hermetic", container=spec.id
    )


def _exit_status(error: BaseException | None, kind: type[Exception]) -> int | None:
    """The exit status of the action, if that is what went wrong."""
    while error is not None:
        if isinstance(error, kind):
            record = getattr(error, "record", None)
            return None if record is None else int(record.exit_code)
        error = error.__cause__
    return None
