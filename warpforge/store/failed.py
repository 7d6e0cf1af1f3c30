"""Failed boxes: what actions that failed had written, kept so that somebody can go in and look.

``failed/<run id>/layers/`` holds the layers as the box left them, ``note.json`` what is needed to make the box again.
They are bounded in number and bytes, the oldest go first; a garbage collection takes all that nobody is in. Nothing
depends on them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec

from warpforge.errors import Unable
from warpforge.fsx.atomic import make_dirs, write_atomic
from warpforge.fsx.locks import Busy, Lock, locked_open

from .finding import storing
from .layout import Layout
from .stay import busy
from .trees import tree_bytes

BYTES: Final = 2 << 30


class FailedBox(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One of them. ``formula`` as its file has it; ``entry``: of the script, the last that was begun, -1 for none.

    ``document``, ``plot`` and ``step`` say what was run, as the run log does; ``path`` is where it lies.
    """

    run: str
    step: list[str]
    document: str
    plot: str = ""
    formula: msgspec.Raw
    formula_id: str
    entry: int = -1
    error: str = ""
    exit_code: int | None = None
    failed: float = 0.0
    path: str = ""

    @property
    def layers(self) -> bytes:
        """The directory with its layers."""
        return os.fsencode(f"{self.path}/layers")

    @property
    def name(self) -> str:
        """The step's path as people write it."""
        return "/".join(self.step) or "formula"


class FailedBoxes:
    """Those of one store."""

    def __init__(self, layout: Layout) -> None:
        self._directory = layout.failed

    def room(self, run: str) -> bytes:
        """Where the layers of a run go if it fails; "" where nothing can be written."""
        with suppress(OSError):
            make_dirs(f"{self._directory}/{run}", 0o700, sync=False)
            return os.fsencode(f"{self._directory}/{run}/layers")
        return b""

    def settle(self, run: str, note: FailedBox | None, *, boxes: int, limit: int = BYTES) -> bool:
        """The run is over: keep its layers, if there are any and there is a note; whether they are kept.

        The boxes of earlier failures of the same step go, and then the oldest, down to ``boxes`` and ``limit`` bytes.
        """
        path = f"{self._directory}/{run}"
        if note is None or not os.path.isdir(f"{path}/layers"):
            self._remove(path)
            return False
        with storing(f"cannot keep the failed box {path}"):
            write_atomic(f"{path}/note.json", msgspec.json.encode(note), sync=False)
        for other in self.all():
            if other.run != run and (other.document, other.step) == (note.document, note.step):
                self.drop(other)
        left = limit
        for number, box in enumerate(self.all()):
            left -= tree_bytes(box.path)
            if number >= boxes or left < 0:
                self.drop(box)
        return os.path.isdir(f"{path}/layers")

    def all(self) -> list[FailedBox]:
        """Every one of them, the newest first."""
        return sorted(self._read(), key=lambda box: box.failed, reverse=True)

    def find(self, what: str = "") -> FailedBox | None:
        """The newest, or the newest of a run (or the beginning of its id) or step."""
        for box in self.all():
            known = (box.name, box.run, *box.step[-1:])
            if not what or what in known or (len(what) >= 6 and box.run.startswith(what)):
                return box
        return None

    @contextmanager
    def hold(self, box: FailedBox) -> Iterator[None]:
        """Nobody else is in that box. Errors: ``store`` (busy) when somebody is."""
        try:
            with storing(f"cannot lock the failed box {box.path}"), Lock(f"{box.path}/lock", timeout=0):
                yield
        except Unable as error:
            if not isinstance(error.__cause__, Busy):
                raise
            raise busy(f"the box of run {box.run[:8]}", error.__cause__.pids, box.path, error.__cause__) from None

    def drop(self, box: FailedBox) -> bool:
        """Remove one, unless somebody is in it; whether it is gone."""
        try:
            open(f"{box.path}/lock", "ab").close()
        except FileNotFoundError:
            return True  # somebody else was quicker
        with locked_open(f"{box.path}/lock", os.O_RDWR) as fd:
            if fd is None:
                return False
            self._remove(box.path)
        return True

    def clear(self) -> int:
        """Remove all that nobody is in, and what a killed command left of one; gives their number."""
        gone = sum(self.drop(box) for box in self.all())
        with suppress(OSError):
            for name in os.listdir(self._directory):
                if not os.path.exists(f"{self._directory}/{name}/lock"):
                    self._remove(f"{self._directory}/{name}")
        return gone

    def _read(self) -> Iterator[FailedBox]:
        try:
            names = os.listdir(self._directory)
        except OSError:
            return
        for name in names:
            path = f"{self._directory}/{name}"
            with suppress(OSError, msgspec.MsgspecError), open(f"{path}/note.json", "rb") as file:
                box = msgspec.json.decode(file.read(), type=FailedBox)
                box.path = path
                yield box

    def _remove(self, path: str) -> None:
        from warpforge.fsx.remove import remove_tree

        with suppress(OSError):
            remove_tree(-100, path, missing_ok=True)
