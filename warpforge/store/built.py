"""What each module of a workspace gave when it was last run to its end: where ``candidate:`` inputs are looked up.

``runs/built/<module>/_built.json``. History, not truth: when it is gone, the module is run again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

import msgspec

from warpforge.errors import Invalid
from warpforge.fsx.atomic import make_dirs, write_atomic
from warpforge.model.atoms import Literal, WareId
from warpforge.model.plot import PlotResults
from warpforge.model.read_catalog import parse_record_result
from warpforge.model.run import spell_result

from .finding import storing
from .layout import Layout
from .staging import Staging

_FILE: Final = "_built.json"


class _Record(msgspec.Struct):
    results: dict[str, str]


class Built:
    """Results by module; the names of modules are valid, and so are paths."""

    def __init__(self, layout: Layout, staging: Staging) -> None:
        self._directory = f"{layout.runs}/built"
        self._staging = staging

    def get(self, module: str) -> PlotResults | None:
        """What a module gave the last time; None when nobody knows."""
        with suppress(OSError, msgspec.MsgspecError, Invalid):
            with open(f"{self._directory}/{module}/{_FILE}", "rb") as file:
                record = msgspec.json.decode(file.read(), type=_Record)
            results: dict[str, WareId | Literal] = {
                label: parse_record_result(text) for label, text in record.results.items()
            }
            return PlotResults(results)
        return None

    def put(self, module: str, results: PlotResults) -> None:
        """Remember what a module gave; nothing is written when it gave the same as before. Errors: ``store``."""
        if self.get(module) == results:
            return
        path = f"{self._directory}/{module}/{_FILE}"
        record = _Record({label: spell_result(result) for label, result in results.results.items()})
        with storing(f"cannot write {path}"):
            make_dirs(os.path.dirname(path), sync=False)
            write_atomic(path, msgspec.json.encode(record), staging=self._staging.directory(), sync=False)
