"""Rooms: what a store is composed of. What few commands need is made when it is first asked for."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from warpforge.errors import Unable
from warpforge.fsx.atomic import write_atomic
from warpforge.model.atoms import WareId

from .doors import Doors
from .finding import Findings, storing
from .layout import FORMAT, Layout
from .memo import Memo
from .shelf import Shelf
from .staging import Staging
from .warehouse import Warehouse

if TYPE_CHECKING:
    from .built import Built
    from .duals import Duals
    from .facts import WareFacts
    from .failed import FailedBoxes
    from .images import Images
    from .index import Index
    from .invocations import Invocations
    from .kept import Kept
    from .layers import Layers
    from .origins import Origins
    from .partials import Partials
    from .runs import Runs


class Rooms(Doors):
    """Those of one store, behind its doors. Arguments and errors: as Store."""

    def __init__(
        self,
        internal: str | os.PathLike[str],
        *,
        warehouse: str | os.PathLike[str] | None = None,
        owner: tuple[int, int] | None = None,
        look: bool = False,
    ) -> None:
        super().__init__(Layout(os.path.abspath(internal)))
        self.staging: Final = Staging(self.layout.tmp, lambda: _mark_format(self.layout))
        self.owner: Final = owner
        self._findings = Findings()
        self._making = Lock()
        self._index: Index | None = None
        _check_format(self.layout)
        stand_in = None if warehouse is None else os.path.abspath(warehouse)
        own = f"{self.layout.internal}/warehouse"
        self.warehouse: Final = Warehouse(
            own,
            None if stand_in == own else stand_in,
            self.staging,
            self._findings,
            self._record,
            self.layout.quarantine,
            look=look,
        )
        self.shelf: Final = Shelf(self.layout, self.staging, owner, look=look)
        self.memo: Final = Memo(self.layout, self.staging, self._findings, look=look)

    @property
    def internal(self) -> Path:
        """The directory of the store."""
        return Path(self.layout.internal)

    @cached_property
    def duals(self) -> Duals:
        """The dual ids; asked only when a ware comes in or is unpacked."""
        from .duals import Duals

        return Duals(self.layout, self.staging)

    @cached_property
    def images(self) -> Images:
        """What images say besides their trees."""
        from .images import Images

        return Images(self.layout, self.staging)

    @cached_property
    def layers(self) -> Layers:
        """Layers of images as they came."""
        from .layers import Layers

        return Layers(self.layout, self.staging, lambda digest: self._turn("layer", digest))

    @property
    def index(self) -> Index:
        """The index; LMDB is opened when something is first asked or written. There is one, whoever asks first: what
        waits to be written to another would be lost."""
        with self._making:
            if self._index is None:
                from .index import Index

                self._index = Index(self.layout, self._findings, self._fill_index)
            return self._index

    @cached_property
    def runs(self) -> Runs:
        """The run log."""
        from .runs import Runs

        return Runs(self.layout, self.staging, lambda formula_id, run_id: self.index.put_last_run(formula_id, run_id))

    @cached_property
    def invocations(self) -> Invocations:
        """What commands ran."""
        from .invocations import Invocations

        return Invocations(self.layout, self.staging)

    @cached_property
    def built(self) -> Built:
        """What modules gave the last time."""
        from .built import Built

        return Built(self.layout, self.staging)

    @cached_property
    def origins(self) -> Origins:
        """From where wares came that are made of several parts."""
        from .origins import Origins

        return Origins(self.layout, self.staging)

    @cached_property
    def failed(self) -> FailedBoxes:
        """Boxes of actions that failed."""
        from .failed import FailedBoxes

        return FailedBoxes(self.layout)

    @cached_property
    def kept(self) -> Kept:
        """What a person pinned."""
        from .kept import Kept

        return Kept(self.layout, self.staging)

    @cached_property
    def partials(self) -> Partials:
        """Downloads that broke off."""
        from .partials import Partials

        return Partials(self.layout.partial, self.warehouse)

    def _record(self, ware: WareId, facts: WareFacts) -> None:
        self.index.put_ware(ware, facts)

    def _fill_index(self) -> int:
        """What the files tell, beside what is known already."""
        from .facts import WareFacts

        index = self.index
        count = 0
        for ware, path in self.warehouse.wares():
            with suppress(OSError):
                size = os.lstat(path).st_size
                if index.ware(ware) is None:
                    index.put_ware(ware, WareFacts(packed_bytes=size))
                count += 1
        seen: set[str] = set()
        for entry in self.runs.entries():
            if entry.formula_id and entry.formula_id not in seen:
                seen.add(entry.formula_id)
                if index.last_run(entry.formula_id) is None:
                    index.put_last_run(entry.formula_id, entry.id)
        index.flush()
        return count


def _check_format(layout: Layout) -> None:
    """Errors: ``store`` (version) for a store that another version of this program wrote."""
    try:
        with storing(f"cannot read {layout.format}"), open(layout.format, "rb") as file:
            text = file.read(64)
    except Unable as error:
        if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
            return
        raise
    if text and text.strip() != str(FORMAT).encode():  # an empty one was torn by a power cut, and says nothing
        found = text.strip().decode("ascii", "backslashreplace") or "nothing"
        raise Unable(
            "store",
            f"{layout.internal} has store format {found}, this program knows {FORMAT}: use the one that wrote it",
            reason="version",
            path=layout.internal,
        )


def _mark_format(layout: Layout) -> None:
    """Write the format beside the first thing that we write."""
    if not os.path.exists(layout.format) or not os.path.getsize(layout.format):
        write_atomic(layout.format, f"{FORMAT}\n".encode())
