"""Run records: what one execution of a formula gave."""

from __future__ import annotations

from typing import Any

import msgspec

from .atoms import Literal, WareId


class RunRecord(msgspec.Struct, frozen=True):
    """The original's five fields. ``time`` is in seconds; a step with a secret has no formula id (empty)."""

    guid: str
    time: int
    formula_id: str
    exit_code: int
    results: dict[str, WareId | Literal]

    def to_serial(self) -> dict[str, Any]:
        return {
            "guid": self.guid,
            "time": self.time,
            "formulaID": self.formula_id,
            "exitcode": self.exit_code,
            "results": {label: spell_result(result) for label, result in self.results.items()},
        }


def spell_result(result: WareId | Literal) -> str:
    """``ware:packtype:hash`` or ``literal:TEXT``."""
    return f"ware:{result}" if isinstance(result, WareId) else str(result)
