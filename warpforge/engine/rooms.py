"""Rooms: what an engine is composed of, where rooms that do not know each other are handed to one another.

A formula that the memo answers needs few of them: each of the others is made when it is first asked for.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from warpforge.engine.events import Notice, Reporter
from warpforge.engine.execute import Executor
from warpforge.engine.supply import Supply
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId
from warpforge.model.plot import PlotResults
from warpforge.sandbox.owner import find_owner
from warpforge.store.store import Store
from warpforge.workspace.find import Stack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from warpforge.catalog.lookup import Lookup
    from warpforge.engine.conduct import Conduct
    from warpforge.engine.image_sources import Moved
    from warpforge.engine.images import Images
    from warpforge.engine.ingest import Ingester
    from warpforge.engine.job import Where
    from warpforge.engine.options import Options
    from warpforge.engine.pin import Pinner
    from warpforge.engine.reach import Reach
    from warpforge.engine.remake import Remaker
    from warpforge.engine.witness import Witness
    from warpforge.mirror.policy import Access
    from warpforge.model.plot import Plot
    from warpforge.pack.limits import Limits
    from warpforge.sandbox.backend import Backend
    from warpforge.sandbox.protocol import Cancel


class Rooms:
    """Those of one stack of workspaces. Whoever has them runs plots, for replays among other things."""

    def __init__(self, stack: Stack, reporter: Reporter, options: Options) -> None:
        self.stack: Final = stack
        self._options = options
        self._reporter = reporter
        self._context: dict[WareId, WarehouseAddr] = {}
        self.built: Final[dict[str, PlotResults]] = {}  # results of modules, earlier in this command
        owner = find_owner()
        self.store: Final = Store(
            stack.root.internal, warehouse=self._options.sourcing.warehouse, owner=owner, look=self._options.look
        )
        self.supply: Final = Supply(
            self.store,
            self.mirrors,
            reporter,
            owner,
            lambda: self.reach.access,
            lambda: self.limits,
            self._remake if self._options.sourcing.remake else None,
        )
        self.executor: Final = Executor(
            self.store,
            self.supply,
            lambda: self.conduct,
            reporter,
            lambda: self._cancel,
            self._options,
        )

    @cached_property
    def conduct(self) -> Conduct:
        """How actions are run here."""
        from warpforge.engine.conduct import Conduct

        return Conduct(self.stack, self._options.acting)

    @cached_property
    def lookup(self) -> Lookup:
        """The catalogs of the stack."""
        from warpforge.engine.catalogs import open_lookup

        return open_lookup(
            self.stack, lambda message: self.tell("warning", message), at=self._options.sourcing.catalog_at
        )

    @cached_property
    def ingester(self) -> Ingester:
        """Makes wares of what is on the host."""
        from warpforge.engine.ingest import Ingester

        return Ingester(
            self.store,
            self._reporter,
            limits=lambda: self.limits,
            access=lambda: self.reach.access,
            images=lambda: self.images,
        )

    @cached_property
    def images(self) -> Images:
        """Makes wares of images."""
        from warpforge.engine.events import WareMoving
        from warpforge.engine.images import Images

        def moved(ware: WareId, address: str) -> Moved:
            return lambda done, total: self._reporter.tell(WareMoving(ware, address, done, total))

        return Images(self.store, lambda: self.reach.access, lambda: self.limits, moved)

    @cached_property
    def reach(self) -> Reach:
        """The mirrors that workspaces name."""
        from warpforge.engine.reach import Reach

        return Reach(self.stack, self._access)

    @cached_property
    def limits(self) -> Limits:
        """Of archives whose id is not verified. Errors: as ``bounds.read_limits``."""
        from warpforge.engine.bounds import read_limits

        return read_limits(self.stack, self._options.sourcing.max_unpacked)

    @cached_property
    def pinner(self) -> Pinner:
        """What names stand for; where nothing may be written, it only looks at what would be ingested."""
        from warpforge.engine.pin import Pinner

        def claim(ware: WareId, dual: str) -> None:
            self.store.duals.claim(ware, dual)

        if self._options.look:
            from warpforge.engine.look import Looker

            return Pinner(self.lookup, Looker(), self._last_built, claim, meet=self.witness.meet)
        hazards = lambda: self.allowed_hazards  # noqa: E731
        return Pinner(self.lookup, self.ingester, self._last_built, claim, hazards, self.witness.meet)

    @cached_property
    def witness(self) -> Witness:
        """Notices when references mean something else than before."""
        from warpforge.engine.witness import Witness

        return Witness(self.stack, lambda message: self.tell("warning", message), looks=self._options.look)

    @cached_property
    def allowed_hazards(self) -> frozenset[str]:
        """Hazardous releases that may be used, as MODULE:RELEASE. Errors: as ``hazards.allowed_hazards``."""
        from warpforge.engine.hazards import allowed_hazards

        return allowed_hazards(self.stack, self._options.sourcing.hazards)

    @cached_property
    def remaker(self) -> Remaker:
        """Makes wares again from replays."""
        from warpforge.engine.remake import Remaker

        pinner = self.pinner
        return Remaker(
            self.lookup, pinner.modules, pinner.pins, self._run, self._reporter, lambda: self.allowed_hazards
        )

    def mirrors(self, ware: WareId) -> list[WarehouseAddr]:
        """Where a ware may be had, best first."""
        context = self._context.get(ware)
        named = [*([context] if context else ()), *self.pinner.mirrors(ware)]
        return [*dict.fromkeys([*named, *self.reach.addresses])]

    @property
    def box(self) -> Backend:
        """What makes boxes here. Errors: as ``Conduct.box``."""
        return self.conduct.box

    @cached_property
    def _cancel(self) -> Cancel:
        from warpforge.sandbox.protocol import Cancel

        return Cancel()

    def _remake(self, ware: WareId) -> str:
        return self.remaker.remake(ware)

    def _access(self) -> Access:
        from warpforge.mirror.policy import Access

        sourcing = self._options.sourcing
        access = sourcing.access() if sourcing.access else Access()
        return access._replace(offline=sourcing.offline)

    def _last_built(self, module: str) -> PlotResults | None:
        """What a module gave in this run, else in its last one in this workspace."""
        return self.built.get(module) or self.store.built.get(module)

    def tell(self, level: str, message: str) -> None:
        """Let whoever listens hear of something."""
        self._reporter.tell(Notice(level, message))

    def _run(self, plot: Plot, where: Where, then: Mapping[CatalogRef, WareId] | None = None) -> PlotResults:
        raise NotImplementedError
