"""Invocations: for every command that ran plots or formulas a record of their steps, what ran and what was known.

``runs/invocations/<begin in ms>-<id>.json``, so that names sort by time. The newest are kept. History, not truth.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import msgspec

from warpforge.fsx.atomic import make_dirs, write_atomic

from .finding import storing
from .layout import Layout
from .staging import Staging

KEPT: Final = 500
_SPARE: Final = 100  # so many are deleted at once

HIT: Final = "hit"
RAN: Final = "run"
FAILED: Final = "failed"
LEFT: Final = "left"  # it was not begun: something failed before


class StepNote(msgspec.Struct, array_like=True, omit_defaults=True):
    """One step: its whole path, how it ended (hit, run, failed, left), seconds, its run, the steps it pipes from."""

    path: str
    verdict: str = LEFT
    formula_id: str = ""
    seconds: float = 0.0
    run: str = ""
    needs: list[str] = []
    error: str = ""


class PlotNote(msgspec.Struct, omit_defaults=True):
    """One plot, or a formula that stood alone (its only step has an empty path).

    ``document``: the file; ``name``: of its module; ``error``: the code it failed with.
    """

    document: str
    name: str = ""
    started: float = 0.0
    seconds: float = 0.0
    steps: list[StepNote] = []
    results: dict[str, str] = {}
    error: str = ""


class Invocation(msgspec.Struct, omit_defaults=True):
    """One command. ``moved``: bytes that came from mirrors, and in how many seconds."""

    id: str
    started: float
    seconds: float = 0.0
    jobs: int = 0
    plots: list[PlotNote] = []
    moved: tuple[int, float] = (0, 0.0)


class Invocations:
    """The records of a store."""

    def __init__(self, layout: Layout, staging: Staging) -> None:
        self._directory = f"{layout.runs}/invocations"
        self._staging = staging

    def save(self, invocation: Invocation) -> bool:
        """Write one; gives whether old ones were deleted to make room. Errors: ``store``."""
        path = f"{self._directory}/{int(invocation.started * 1000):014d}-{invocation.id}.json"
        with storing(f"cannot write {path}"):
            make_dirs(self._directory, sync=False)
            write_atomic(path, msgspec.json.encode(invocation), staging=self._staging.directory(), sync=False)
            names = os.listdir(self._directory)
            if len(names) <= KEPT:
                return False
            for name in sorted(names)[: len(names) - KEPT + _SPARE]:
                with suppress(FileNotFoundError):
                    os.unlink(f"{self._directory}/{name}")
            return True

    def all(self) -> Iterator[Invocation]:
        """Newest first; what cannot be read is passed over."""
        decode = msgspec.json.Decoder(Invocation).decode
        with suppress(FileNotFoundError, NotADirectoryError):
            for name in sorted(os.listdir(self._directory), reverse=True):
                with suppress(OSError, msgspec.MsgspecError), open(f"{self._directory}/{name}", "rb") as file:
                    yield decode(file.read())

    def find(self, what: str) -> Invocation | None:
        """The one of this id or, by at least six characters, beginning of it; the newest for an empty text."""
        for invocation in self.all():
            if not what or invocation.id == what or (len(what) >= 6 and invocation.id.startswith(what)):
                return invocation
        return None
