"""Dual ids: for a ware whose id says less than its tree, the ``ztar`` hash of the tree that came first. Truth.

A ``tar`` id, for one, does not cover symlinks; the dual id is how a second tree under the same id is noticed.
"""

from __future__ import annotations

import os

from warpforge.errors import Failed
from warpforge.fsx.atomic import fsync_dir, make_dirs, rename_noreplace, write_new
from warpforge.model.atoms import WareId

from .finding import corrupt, storing
from .layout import Layout, is_storable
from .staging import Staging


class Duals:
    """One small file a ware, written once and never changed."""

    def __init__(self, layout: Layout, staging: Staging) -> None:
        self._layout = layout
        self._staging = staging
        self._claims: dict[WareId, str] = {}

    def claim(self, ware: WareId, dual: str) -> None:
        """What somebody whom we believe says of a ware's tree: from now on no other one may come.

        Errors: ``ware-mismatch`` (symlinks) when it came already, or another was claimed; ``store``.
        """
        known = self.get(ware)
        if known not in (None, dual):
            raise Failed(
                "ware-mismatch",
                f"a release says that {ware} has the tree {dual}, but it is known with {known}: "
                "one of them is forged, and its id does not tell which",
                reason="symlinks",
                wareId=ware,
                expected=dual,
                actual=known,
            )
        self._claims[ware] = dual

    def get(self, ware: WareId) -> str | None:
        """The dual id (``ztar:...``) of a ware, if it was ever seen or claimed. Errors: ``store`` (corrupt)."""
        return self._recorded(ware) or self._claims.get(ware)

    def _recorded(self, ware: WareId) -> str | None:
        if not is_storable(ware):
            return None
        path = self._layout.dual(ware)
        try:
            with open(path, "rb") as file:
                text = file.read(512)
        except FileNotFoundError:
            return None
        except OSError as error:
            with storing(f"cannot read the dual id of {ware}"):
                raise error
        return parse(text, path, ware)

    def record(self, ware: WareId, dual: str) -> None:
        """Remember the tree of a ware at first sight, compare it ever after.

        Nothing is kept of a ware whose own id is that of its tree. Errors: ``ware-mismatch`` (symlinks), ``store``.
        """
        if dual == str(ware):
            return
        known = self.get(ware)
        if known in (None, dual):
            known = self._recorded(ware) or self._write(ware, dual)
        if known != dual:
            raise Failed(
                "ware-mismatch",
                f"ware {ware} arrived with another tree than before (its id does not cover symlinks): refused",
                reason="symlinks",
                wareId=ware,
                expected=known,
                actual=dual,
            )

    def _write(self, ware: WareId, dual: str) -> str:
        goal = self._layout.dual(ware)
        staged = self._staging.new("dual")
        with storing(f"cannot record the dual id of {ware}"):
            write_new(staged, f"{dual}\n".encode("ascii"), mode=0o444)
            make_dirs(os.path.dirname(goal))
            try:
                rename_noreplace(staged, goal)
            except FileExistsError:
                os.unlink(staged)
                return self._recorded(ware) or dual
            fsync_dir(os.path.dirname(goal))
        return dual


def parse(text: bytes, path: str, ware: WareId) -> str:
    """The content of a dual file. Errors: ``store`` (corrupt): truth is never made anew in silence."""
    head, newline, rest = text.partition(b"\n")
    dual = head.decode("ascii", "replace")
    if not newline or rest or not dual.startswith("ztar:") or not dual[5:].isalnum():
        raise corrupt(f"the dual id of {ware}", path)
    return dual
