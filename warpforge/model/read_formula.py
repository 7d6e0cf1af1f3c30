"""Plain values -> the nouns of ``formula``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import UNSET

from warpforge.errors import Invalid

from .atoms import Literal, Mount, SandboxPort, WarehouseAddr, WareId
from .findings import UNKNOWN_FIELD, Place
from .formula import (
    Action,
    Echo,
    Exec,
    Formula,
    FormulaBasis,
    FormulaContext,
    FormulaFile,
    FormulaInput,
    GatherDirective,
    Noop,
    Script,
    Userinfo,
)
from .names import fault_of_label, parse_packtype
from .reading import Reading

_NONE: Final[frozenset[str]] = frozenset()
_SURROUNDINGS: Final = frozenset(("network", "cwd", "userinfo"))
_FORMULA: Final = frozenset(("inputs", "action", "outputs"))
_EXEC: Final = frozenset(("command",))
_SCRIPT: Final = frozenset(("interpreter", "contents"))
_USERINFO: Final = frozenset(("uid", "gid", "username", "homedir"))
_FROM: Final = frozenset(("from",))
_GATHER: Final = frozenset(("packtype", "filters"))
BASIS: Final = frozenset(("basis",))
FILTERS: Final = frozenset(("filters",))
UID_LIMIT: Final = 2**32 - 1


def read_formula_file(reading: Reading, value: Any, place: Place) -> FormulaFile:
    members = reading.fields(value, place, frozenset(("formula",)), frozenset(("context",)))
    formula = Formula({}, Noop(), {})
    if "formula" in members and (inner := reading.capsule(members["formula"], (place, "formula"), "formula")):
        formula = read_formula(reading, *inner)
    if "context" in members and (inner := reading.capsule(members["context"], (place, "context"), "context")):
        return FormulaFile(formula, _read_context(reading, *inner))
    return FormulaFile(formula)


def _read_context(reading: Reading, value: Any, place: Place) -> FormulaContext:
    members = reading.fields(value, place, frozenset(("warehouses",)), _NONE)
    place = (place, "warehouses")
    pairs = reading.mapping(members.get("warehouses", {}), place)
    return FormulaContext(
        {
            reading.atom(WareId.parse, ware, (place, ware)): reading.atom(WarehouseAddr.parse, address, (place, ware))
            for ware, address in pairs.items()
        }
    )


def read_formula(reading: Reading, value: Any, place: Place) -> Formula:
    members = reading.fields(value, place, _FORMULA, _NONE)
    at = (place, "inputs")
    inputs = {
        reading.atom(SandboxPort.parse, port, (at, port)): _read_input(reading, item, (at, port))
        for port, item in reading.mapping(members.get("inputs", {}), at).items()
    }
    check_ports(reading, inputs, at)
    return Formula(inputs, read_action(reading, members, place), read_outputs(reading, members, place))


def check_ports(reading: Reading, ports: Mapping[SandboxPort, object], place: Place) -> None:
    """No two ports may be the same path when normalised."""
    odd = [port for port in ports if port is not None and (port[-1] == "/" or "//" in port or "/." in port)]
    if not odd or odd == ["/"]:
        return
    seen: set[str] = set()
    for port in ports:
        path = port.path if port is not None else ""
        if path and path in seen:
            reading.refuse((place, port), f"the path {path} is given twice")
        seen.add(path)


def _read_input(reading: Reading, value: Any, place: Place) -> FormulaInput:
    if type(value) is not dict:
        return reading.atom(_simple, value, place)
    members = reading.fields(value, place, BASIS, FILTERS)
    text = members.get("basis", "")
    basis = reading.atom(parse_formula_basis, text, (place, "basis")) if "basis" in members else None
    filters: Any = UNSET
    if "filters" in members:
        filters = reading.filters(members["filters"], (place, "filters"))
    return FormulaInput(text, basis, filters, is_complex=True)  # type: ignore[arg-type]


def _simple(text: str) -> FormulaInput:
    return FormulaInput(text, parse_formula_basis(text))


def parse_formula_basis(text: str) -> FormulaBasis:
    """``ware:``, ``mount:`` or ``literal:``. Errors: ``invalid``, ``wareid-invalid``."""
    scheme = text[: text.find(":") + 1]
    if scheme == "ware:":
        return WareId.parse(text[5:])
    if scheme == "literal:":
        return Literal.parse(text)
    if scheme == "mount:":
        return Mount.parse(text)
    raise Invalid("invalid", f"{text!r}: an input of a formula is ware:, mount: or literal:", value=text)


def read_action(reading: Reading, members: dict[str, Any], parent: Place) -> Action:
    if "action" not in members:
        return Noop()
    place = (parent, "action")
    value = members["action"]
    if type(value) is not dict or len(value) != 1:
        reading.refuse(place, "an action is an object with one member: echo, exec, script or noop")
        return Noop()
    [(kind, body)] = value.items()
    read = _ACTIONS.get(kind)
    if read is None:
        reading.refuse((place, kind), f"unknown action {kind!r}: it is echo, exec, script or noop", UNKNOWN_FIELD)
        return Noop()
    return read(reading, body, (place, kind))


def _read_exec(reading: Reading, value: Any, place: Place) -> Exec:
    body = reading.fields(value, place, _EXEC, _SURROUNDINGS)
    command = reading.texts(body.get("command", []), (place, "command"))
    return Exec(command, **_read_surroundings(reading, body, place)) if len(body) > 1 else Exec(command)


def _read_script(reading: Reading, value: Any, place: Place) -> Script:
    body = reading.fields(value, place, _SCRIPT, _SURROUNDINGS)
    interpreter = reading.text(body.get("interpreter", ""), (place, "interpreter"))
    contents = reading.texts(body.get("contents", []), (place, "contents"))
    extra = _read_surroundings(reading, body, place) if len(body) > 2 else {}
    return Script(interpreter, contents, **extra)


def _read_echo(reading: Reading, value: Any, place: Place) -> Echo:
    reading.fields(value, place, _NONE, _NONE)
    return Echo()


def _read_noop(reading: Reading, value: Any, place: Place) -> Noop:
    reading.fields(value, place, _NONE, _NONE)
    return Noop()


_ACTIONS: Final[dict[str, Callable[[Reading, Any, Place], Action]]] = {
    "echo": _read_echo,
    "exec": _read_exec,
    "script": _read_script,
    "noop": _read_noop,
}


def _read_surroundings(reading: Reading, body: dict[str, Any], place: Place) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "network" in body:
        found["network"] = reading.flag(body["network"], (place, "network"))
    if "cwd" in body:
        found["cwd"] = reading.text(body["cwd"], (place, "cwd"))
        if not found["cwd"].startswith("/") or "\0" in found["cwd"]:
            reading.refuse((place, "cwd"), "the working directory is an absolute path")
    if "userinfo" in body:
        found["userinfo"] = _read_userinfo(reading, body["userinfo"], (place, "userinfo"))
    return found


def _read_userinfo(reading: Reading, value: Any, place: Place) -> Userinfo:
    members = reading.fields(value, place, _NONE, _USERINFO)
    found = Userinfo(
        uid=reading.optional(reading.number, members, "uid", place),
        gid=reading.optional(reading.number, members, "gid", place),
        username=reading.optional(reading.text, members, "username", place),
        homedir=reading.optional(reading.text, members, "homedir", place),
    )
    for name in ("uid", "gid"):
        number = getattr(found, name)
        if number is not UNSET and UID_LIMIT < number < 2**53:
            reading.refuse((place, name), "an id is at most 2^32-1")
    return found


def read_outputs(reading: Reading, members: dict[str, Any], parent: Place) -> dict[str, GatherDirective]:
    place = (parent, "outputs")
    outputs = reading.mapping(members.get("outputs", {}), place)
    found = {}
    for label, value in outputs.items():
        if fault := fault_of_label(label):
            reading.refuse((place, label), fault)
        found[label] = _read_gather(reading, value, (place, label))
    return found


def _read_gather(reading: Reading, value: Any, place: Place) -> GatherDirective:
    members = reading.fields(value, place, _FROM, _GATHER)
    source = (
        reading.atom(SandboxPort.parse, members["from"], (place, "from")) if "from" in members else SandboxPort("/")
    )
    if "packtype" not in members and "filters" not in members:
        return GatherDirective(source)
    packtype: Any = UNSET
    if "packtype" in members:
        packtype = reading.atom(parse_packtype, members["packtype"], (place, "packtype"))
    filters = reading.optional(reading.filters, members, "filters", place)
    return GatherDirective(source, packtype, filters)
