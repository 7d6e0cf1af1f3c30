"""A strict reader of the schema that the original shipped (its ``wfapi.ipldsch``), written from that alone.

``problems(path, data)`` gives every place of a document that such a reader refuses; nothing here is the product's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Problems = Iterator[str]
Reader = Callable[[Any, str], Problems]


def problems(name: str, data: bytes) -> list[str]:
    """What is wrong with a file of this name, by the kind that its place or its capsule says."""
    try:
        value = json.loads(data, object_pairs_hook=_once)
    except ValueError as error:
        return [f"{name}: {error}"]
    return [f"{name}{problem}" for problem in _reader(name)(value, "")]


def files(internal: Path) -> list[Path]:
    """The documents below a workspace's directory that the original reads, or has a word for."""
    found = [*internal.glob("memos/*.json")]
    for top in (*internal.glob("catalogs/*"), internal / "catalog"):
        found += [path for path in top.rglob("*.json") if "_verdicts" not in path.parts and "_roots" not in path.parts]
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len({*keys}) != len(keys):
        raise ValueError(f"a key twice among {keys}")
    return dict(pairs)


def _reader(name: str) -> Reader:
    path = Path(name)
    if path.parent.name == "_releases":
        return struct(releaseName=text(), items=mapping(ware()), metadata=mapping(text()))
    if path.name == "_module.json":
        module = struct(name=text(MODULE), releases=mapping(text()), metadata=mapping(text()))
        return union(**{"catalogmodule.v1": module})
    if path.name == "_mirrors.json":
        addresses = listing(text())
        mirrors = struct(
            optional=("byWare", "byModule"), byWare=mapping(addresses), byModule=mapping(mapping(addresses))
        )
        return union(**{"catalogmirrors.v1": mirrors})
    if path.parent.name == "memos":
        return run_record
    if path.name == "mirroring.json":
        return union(**{"mirroring.v1": mapping(struct(pushConfig=union(s3=anything, mock=anything)))})
    if path.name == "module.wf":
        return union(**{"module.v1": struct(name=text(MODULE))})
    return union(**{"plot.v1": plot})


# the kinds of the schema language


def text(pattern: str = ".*") -> Reader:
    def read(value: Any, at: str) -> Problems:
        if type(value) is not str or not re.fullmatch(pattern, value, re.DOTALL):
            yield f"{at}: {value!r} is no text like {pattern}"

    return read


def number(value: Any, at: str) -> Problems:
    if type(value) is not int:
        yield f"{at}: {value!r} is no number"


def boolean(value: Any, at: str) -> Problems:
    if type(value) is not bool:
        yield f"{at}: {value!r} is no boolean"


def anything(value: Any, at: str) -> Problems:
    yield from ()


def mapping(item: Reader, key: str = ".+") -> Reader:
    def read(value: Any, at: str) -> Problems:
        if type(value) is not dict:
            yield f"{at}: no map"
            return
        for name, member in value.items():
            yield from text(key)(name, f"{at}/{name} as a key")
            yield from item(member, f"{at}/{name}")

    return read


def listing(item: Reader) -> Reader:
    def read(value: Any, at: str) -> Problems:
        if type(value) is not list:
            yield f"{at}: no list"
            return
        for place, member in enumerate(value):
            yield from item(member, f"{at}/{place}")

    return read


def struct(optional: tuple[str, ...] = (), **fields: Reader) -> Reader:
    def read(value: Any, at: str) -> Problems:
        if type(value) is not dict:
            yield f"{at}: no map"
            return
        yield from (f"{at}: {name} is missing" for name in fields if name not in value and name not in optional)
        yield from (f"{at}: there is no field {name}" for name in value if name not in fields)
        for name in value.keys() & fields.keys():
            yield from fields[name](value[name], f"{at}/{name}")

    return read


def union(**members: Reader) -> Reader:
    """A map of one member, whose key says which it is."""

    def read(value: Any, at: str) -> Problems:
        if type(value) is not dict or len(value) != 1 or not value.keys() <= members.keys():
            yield f"{at}: one of {', '.join(members)} is wanted"
            return
        ((name, member),) = value.items()
        yield from members[name](member, f"{at}/{name}")

    return read


def simple_or_complex(simple: Reader) -> Reader:
    complex_ = struct(basis=simple, filters=mapping(text()))

    def read(value: Any, at: str) -> Problems:
        yield from (simple if type(value) is str else complex_)(value, at)

    return read


# the types

MODULE = r"[^:\s]+"
LABEL = r"[^:\s]+"
_WARE = r"[^:]+:[^:]+"
_FORMULA_INPUT = rf"ware:{_WARE}|mount:(ro|rw|overlay):.+|literal:.*"
_CATALOG = r"catalog:[^:\s]+:[^:\s]+:[^:\s]+"
_PLOT_INPUT = rf"{_FORMULA_INPUT}|pipe:[^:\s]*:{LABEL}|{_CATALOG}|ingest:git:.+:.+"
_PORT = r"[/$].*"


def ware() -> Reader:
    return text(_WARE)


gather = struct(optional=("packtype", "filters"), **{"from": text(_PORT)}, packtype=text(), filters=mapping(text()))
action = union(
    echo=struct(),
    exec=struct(optional=("network",), command=listing(text()), network=boolean),
    script=struct(optional=("network",), interpreter=text(), contents=listing(text()), network=boolean),
)
protoformula = struct(
    inputs=mapping(simple_or_complex(text(_PLOT_INPUT)), _PORT), action=action, outputs=mapping(gather, LABEL)
)
run_record = struct(guid=text(), time=number, formulaID=text(), exitcode=number, results=mapping(text(_FORMULA_INPUT)))


def plot(value: Any, at: str) -> Problems:
    yield from struct(
        inputs=mapping(simple_or_complex(text(_PLOT_INPUT)), LABEL),
        steps=mapping(union(plot=plot, protoformula=protoformula), LABEL),
        outputs=mapping(text(rf"pipe:[^:\s]*:{LABEL}"), LABEL),
    )(value, at)
