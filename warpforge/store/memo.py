"""The memo: RunRecords by FormulaId, in the original's form, so that a result is computed once. Truth.

What a memo promises is checked where it can be: here that it parses, names its formula and tells of success;
that its outputs are those of the formula and still to be had is for whoever knows the formula.
A memo that fails here is moved to the quarantine and the formula runs again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import msgspec

from warpforge.errors import Internal, Invalid
from warpforge.fsx.atomic import make_dirs, write_atomic
from warpforge.model.atoms import Literal, WareId
from warpforge.model.run import RunRecord

from .finding import Finding, Findings, quarantine, storing
from .layout import Layout
from .staging import Staging

_USUAL: Final = 1 << 16  # bytes


class Memo:
    """``memos/<FormulaId>.json``. What a memo stands for after load() is decided by whoever knows its formula.

    ``look``: nothing is set aside, only found.
    """

    def __init__(self, layout: Layout, staging: Staging, findings: Findings, *, look: bool = False) -> None:
        self._look = look
        self._layout = layout
        self._staging = staging
        self._findings = findings

    def load(self, formula_id: str) -> RunRecord | None:
        """The record of a formula, if there is one to go by. Never raises for a bad one: that is a finding."""
        if not formula_id:
            return None
        path = self._layout.memo(formula_id)
        try:
            text = _read_file(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._findings.add(Finding("memo", formula_id, "store", "io", f"cannot read the memo: {error}", path))
            return None
        try:
            return parse(text, formula_id)
        except Invalid as error:
            self._set_aside(formula_id, path, error)
            return None

    def save(self, record: RunRecord) -> None:
        """Keep the record of a success; replaces an older one. Errors: ``store``."""
        from warpforge.model.serial import dump

        if not record.formula_id or record.exit_code != 0:
            raise Internal("internal", "only a success with a formula id is memoised", formulaId=record.formula_id)
        path = self._layout.memo(record.formula_id)
        with storing(f"cannot write the memo of {record.formula_id}"):
            make_dirs(self._layout.memos)
            write_atomic(path, dump(record), staging=self._staging.directory())

    def reject(self, formula_id: str, why: str) -> None:
        """Set a memo aside that does not fit its formula: an output too many or too few."""
        error = Invalid("serialization", f"the memo of {formula_id} was set aside: {why}")
        self._set_aside(formula_id, self._layout.memo(formula_id), error)

    def forget(self, formula_id: str) -> None:
        """Drop a memo, if there is one. Errors: ``store``."""
        with storing(f"cannot remove the memo of {formula_id}"), suppress(FileNotFoundError):
            os.unlink(self._layout.memo(formula_id))

    def formula_ids(self) -> Iterator[str]:
        """Every formula with a memo, sorted."""
        with suppress(FileNotFoundError):
            for name in sorted(os.listdir(self._layout.memos)):
                if name.endswith(".json"):
                    yield name.removesuffix(".json")

    def _set_aside(self, formula_id: str, path: str, error: Invalid) -> None:
        moved = "" if self._look else quarantine(self._layout.quarantine, path, "memo")
        self._findings.add(Finding.of("memo", formula_id, error, moved or path))


def _read_file(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # a plot asks thousands of times: no object for each
    try:
        text = os.read(fd, _USUAL)
        while len(text) >= _USUAL and (more := os.read(fd, _USUAL)):
            text += more
        return text
    finally:
        os.close(fd)


class _Plain(msgspec.Struct, forbid_unknown_fields=True):
    """A memo in its usual form, for the quick way in: a plot may ask for thousands."""

    guid: str
    time: int
    formulaID: str
    exitcode: int
    results: dict[str, str]


_decode: Final = msgspec.json.Decoder(_Plain).decode


def parse(text: bytes, formula_id: str) -> RunRecord:
    """The record in a memo's bytes. Errors: ``serialization``."""
    record = _read(text, formula_id)
    if record.formula_id != formula_id:
        raise _unfit(formula_id, f"it is the record of {record.formula_id!r}")
    if record.exit_code != 0:
        raise _unfit(formula_id, f"it tells of exit code {record.exit_code}")
    return record


def _read(text: bytes, formula_id: str) -> RunRecord:
    try:
        plain = _decode(text)
        results = {label: _result(spelled) for label, spelled in plain.results.items()}
    except (msgspec.MsgspecError, Invalid):
        from warpforge.model.serial import load_run_record

        return load_run_record(text, f"the memo of {formula_id}").noun  # reads more, or says what is wrong and where
    return RunRecord(plain.guid, plain.time, plain.formulaID, plain.exitcode, results)


def _result(text: str) -> WareId | Literal:
    if text.startswith("ware:"):
        return WareId.parse(text[5:])
    if text.startswith("literal:"):
        return Literal(text[8:])
    raise Invalid("serialization", f"not a result: {text!r}")


def _unfit(formula_id: str, why: str) -> Invalid:
    return Invalid("serialization", f"the memo of {formula_id} was set aside: {why}", formulaId=formula_id)
