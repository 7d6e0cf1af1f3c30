"""The store of one workspace: everything in this package over one directory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from warpforge.fsx.atomic import link_or_copy, make_dirs, movable, write_atomic
from warpforge.model.atoms import WareId

from .finding import Finding, quarantine, storing
from .layout import file_name, is_inside
from .rooms import Rooms


class Store(Rooms):
    """Wares, memos and runs below a workspace's internal directory.

    ``warehouse``: a directory that stands in for the warehouse, for this command. ``owner``: uid and gid that run
    the boxes, when that is not us. ``look``: looking changes nothing, not even when a ware was last used.
    Making one reads one small file and writes nothing.
    Errors: ``store`` (version) for a store that another version of this program wrote.
    """

    def has(self, ware: WareId) -> bool:
        """Whether a ware's bytes are here, packed or unpacked."""
        return self.warehouse.has(ware) or self.shelf.has(ware)

    def was_verified(self, ware: WareId) -> bool:
        """Whether the packed bytes that lie here were verified by this store: in our own directory, or known to us."""
        path = self.warehouse.find(ware)
        if path is None:
            return False
        if is_inside(str(path), self.warehouse.own):
            return True
        facts = self.index.ware(ware)
        return facts is not None and 0 < facts.packed_bytes == path.stat().st_size and facts.entries > 0

    def findings(self) -> list[Finding]:
        """What was not as it should be since the last call, each thing once."""
        return self._findings.take()

    def scratch(self, hint: str) -> str:
        """A fresh private directory for anything that takes files to do; it is gone when the store is closed."""
        path = self.staging.new(hint)
        with storing(f"cannot make {path}"):
            os.mkdir(path, 0o700)
        return path

    @contextmanager
    def scratched(self, hint: str) -> Iterator[Path]:
        """A scratch directory that is gone when the block ends."""
        from warpforge.fsx.remove import remove_tree

        path = self.scratch(hint)
        try:
            yield Path(path)
        finally:
            with suppress(OSError):
                remove_tree(-100, path)

    def set_aside(self, path: str, kind: str) -> str:
        """Move something that is wrong to the quarantine, where it is kept; gives its new path, "" when it must stay.

        A tree loses its stamp first. Errors: ``store``.
        """
        with storing(f"cannot set {path} aside"):
            if kind == "tree":
                self._unstamp(path)
            with movable(path):
                return quarantine(self.layout.quarantine, path, kind)

    def keep_beside(self, name: str, results: Mapping[str, object]) -> str:
        """Keep results that should be the same in a directory of the quarantine, each under its own name; gives it.

        A ware's packed bytes, of which the warehouse may let go then; of anything else its text. Errors: ``store``.
        """
        directory = f"{self.layout.quarantine}/{file_name(name)}"
        with storing(f"cannot keep results in {directory}"):
            make_dirs(directory, 0o700)
            for key, result in results.items():
                goal = f"{directory}/{file_name(key)}"
                packed = self.warehouse.find(result) if isinstance(result, WareId) else None
                with suppress(FileExistsError):
                    if packed is not None:
                        link_or_copy(str(packed), goal)
                    else:
                        write_atomic(goal, f"{result}\n".encode(), sync=False)
        return directory

    def drop_tree(self, path: str) -> None:
        """Delete a tree on the shelf, its stamp first. Errors: ``store``."""
        from warpforge.fsx.remove import remove_tree

        with storing(f"cannot delete {path}"):
            self._unstamp(path)
            aside = self.staging.new("old")
            with movable(path):
                os.rename(path, aside)
            remove_tree(-100, aside)

    def _unstamp(self, path: str) -> None:
        from .trees import stamp_of

        with suppress(FileNotFoundError):
            os.unlink(stamp_of(self.layout, path))

    def reindex(self) -> int:
        """Write the index anew from the files; returns the number of wares. The ingest cache is forgotten."""
        return self.index.reindex()

    def close(self) -> None:
        """Write what waits for the index and remove what is still staged; may be called again."""
        if self._index is not None:
            self._index.close()
        self.warehouse.close()
        self.staging.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
