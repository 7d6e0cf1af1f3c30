"""Formulas: which wares at which paths, what to do, which paths to pack.

The presence of every optional field is kept (UNSET when absent): absent, false and {} are three documents.
``to_serial`` gives a noun's representation as written, from which its id is made and its file is written.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from .atoms import FilterMap, Literal, Mount, SandboxPort, Secret, WarehouseAddr, WareId

FormulaBasis = WareId | Mount | Literal | Secret  # a secret never by a document: only a plot can name one


class FormulaInput(msgspec.Struct, frozen=True):
    """What is at one port: simple (``basis`` alone, spelled ``text``) or complex (an object, perhaps with filters)."""

    text: str
    basis: FormulaBasis
    filters: FilterMap | UnsetType = UNSET
    is_complex: bool = False

    @classmethod
    def of(cls, basis: FormulaBasis, filters: FilterMap | UnsetType = UNSET) -> FormulaInput:
        """Simple without filters, complex with them (even empty ones)."""
        text = f"ware:{basis}" if isinstance(basis, WareId) else str(basis)
        return cls(text, basis, filters, filters is not UNSET)

    def to_serial(self) -> Any:
        return input_serial(self.text, self.filters, is_complex=self.is_complex)


class Userinfo(msgspec.Struct, frozen=True):
    """Who the action is inside the box."""

    uid: int | UnsetType = UNSET
    gid: int | UnsetType = UNSET
    username: str | UnsetType = UNSET
    homedir: str | UnsetType = UNSET

    def to_serial(self) -> dict[str, Any]:
        return present(uid=self.uid, gid=self.gid, username=self.username, homedir=self.homedir)


class Echo(msgspec.Struct, frozen=True):
    """Prints its formula; no box."""

    def to_serial(self) -> dict[str, Any]:
        return {"echo": {}}


class Noop(msgspec.Struct, frozen=True):
    """Runs no process: outputs are gathered from the inputs as mounted."""

    def to_serial(self) -> dict[str, Any]:
        return {"noop": {}}


class Exec(msgspec.Struct, frozen=True):
    """Runs one command."""

    command: tuple[str, ...]
    network: bool | UnsetType = UNSET
    cwd: str | UnsetType = UNSET
    userinfo: Userinfo | UnsetType = UNSET

    def to_serial(self) -> dict[str, Any]:
        return {"exec": {"command": list(self.command), **_surroundings(self)}}


class Script(msgspec.Struct, frozen=True):
    """Runs entries one after the other in one interpreter; only the last one's status counts."""

    interpreter: str
    contents: tuple[str, ...]
    network: bool | UnsetType = UNSET
    cwd: str | UnsetType = UNSET
    userinfo: Userinfo | UnsetType = UNSET

    def to_serial(self) -> dict[str, Any]:
        return {
            "script": {"interpreter": self.interpreter, "contents": list(self.contents), **_surroundings(self)},
        }


Action = Echo | Exec | Script | Noop


class GatherDirective(msgspec.Struct, frozen=True):
    """What to keep after the action: the tree at a path, or the value of a variable."""

    source: SandboxPort
    packtype: str | UnsetType = UNSET
    filters: FilterMap | UnsetType = UNSET

    def to_serial(self) -> dict[str, Any]:
        serial: dict[str, Any] = {"from": str(self.source)}
        if self.packtype is not UNSET:
            serial["packtype"] = self.packtype
        if self.filters is not UNSET:
            serial["filters"] = self.filters.to_serial()
        return serial


class Formula(msgspec.Struct, frozen=True):
    """``inputs`` by port, the ``action``, ``outputs`` by label."""

    inputs: dict[SandboxPort, FormulaInput]
    action: Action
    outputs: dict[str, GatherDirective]

    def to_serial(self) -> dict[str, Any]:
        return {
            "inputs": {str(port): item.to_serial() for port, item in self.inputs.items()},
            "action": self.action.to_serial(),
            "outputs": {label: gather.to_serial() for label, gather in self.outputs.items()},
        }


class FormulaContext(msgspec.Struct, frozen=True):
    """Where the wares of a formula may be fetched; no part of its id."""

    warehouses: dict[WareId, WarehouseAddr]

    def to_serial(self) -> dict[str, Any]:
        return {"warehouses": {str(ware): str(address) for ware, address in self.warehouses.items()}}


class FormulaFile(msgspec.Struct, frozen=True):
    """A formula's file: the formula in its capsule, perhaps with a context in its own."""

    formula: Formula
    context: FormulaContext | UnsetType = UNSET

    def to_serial(self) -> dict[str, Any]:
        serial: dict[str, Any] = {"formula": {"formula.v1": self.formula.to_serial()}}
        if self.context is not UNSET:
            serial["context"] = {"context.v1": self.context.to_serial()}
        return serial


def input_serial(text: str, filters: FilterMap | UnsetType, *, is_complex: bool) -> Any:
    """The representation of an input: its text, or an object with its basis and, if present, its filters."""
    if not is_complex:
        return text
    if filters is UNSET:
        return {"basis": text}
    return {"basis": text, "filters": filters.to_serial()}


def present(**members: Any) -> dict[str, Any]:
    """The members that are not UNSET."""
    return {name: value for name, value in members.items() if value is not UNSET}


def _surroundings(action: Exec | Script) -> dict[str, Any]:
    serial: dict[str, Any] = {}
    if action.network is not UNSET:
        serial["network"] = action.network
    if action.cwd is not UNSET:
        serial["cwd"] = action.cwd
    if action.userinfo is not UNSET:
        serial["userinfo"] = action.userinfo.to_serial()
    return serial
