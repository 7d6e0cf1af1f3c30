"""Plain values -> the nouns of ``module``, ``catalog`` and ``run``."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from warpforge.errors import Invalid

from .atoms import Literal, WarehouseAddr, WareId
from .catalog import CatalogModule, CatalogSources, Mirroring, MirrorList, Mirrors, PushConfig, Release, Unpacking
from .findings import Place
from .ident import ALPHABET
from .module import Module
from .names import is_catalog_name, is_item_name, is_release_name, parse_module_name, parse_packtype
from .plaintext import INT_LIMIT
from .reading import Reading
from .run import RunRecord

_NONE: Final[frozenset[str]] = frozenset()
_NAME: Final = frozenset(("name",))
_MODULE: Final = frozenset(("name", "releases", "metadata"))
_RELEASE: Final = frozenset(("releaseName", "items", "metadata"))
_MIRRORS: Final = frozenset(("byWare", "byModule"))
_PUSH: Final = frozenset(("pushConfig",))
_UNPACKING: Final = frozenset(("maxUnpacked",))
_RECORD: Final = frozenset(("guid", "time", "formulaID", "exitcode", "results"))


def read_module(reading: Reading, value: Any, place: Place) -> Module:
    return Module(_read_name(reading, reading.fields(value, place, _NAME, _NONE), place))


def _read_name(reading: Reading, members: dict[str, Any], place: Place) -> str:
    if "name" not in members:
        return ""
    return reading.atom(parse_module_name, members["name"], (place, "name"))


def read_catalog_module(reading: Reading, value: Any, place: Place) -> CatalogModule:
    members = reading.fields(value, place, _MODULE, _NONE)
    at = (place, "releases")
    releases = {}
    for name, cid in reading.mapping(members.get("releases", {}), at).items():
        if not is_release_name(name):
            reading.refuse((at, name), f"not a release name: {name!r}")
        releases[name] = reading.atom(parse_cid, cid, (at, name))
    metadata = reading.string_map(members.get("metadata", {}), (place, "metadata"))
    return CatalogModule(_read_name(reading, members, place), releases, metadata)


def parse_cid(text: str) -> str:
    """A document id: ``z`` and base58. Errors: ``invalid``."""
    if not is_cid(text):
        raise Invalid("invalid", f"{text!r}: a document id is z and base58", value=text)
    return text


def is_cid(text: str) -> bool:
    """Whether a text has the form of a document id."""
    return len(text) > 1 and text[0] == "z" and not text.strip(ALPHABET)


def read_release(reading: Reading, value: Any, place: Place) -> Release:
    members = reading.fields(value, place, _RELEASE, _NONE)
    name = reading.text(members.get("releaseName", "-"), (place, "releaseName"))
    if "releaseName" in members and not is_release_name(name):
        reading.refuse((place, "releaseName"), f"not a release name: {name!r}")
    at = (place, "items")
    items = {}
    for label, ware in reading.mapping(members.get("items", {}), at).items():
        if not is_item_name(label):
            reading.refuse((at, label), f"not an item name: {label!r}")
        items[label] = reading.atom(WareId.parse, ware, (at, label))
    return Release(name, items, reading.string_map(members.get("metadata", {}), (place, "metadata")))


def read_mirrors(reading: Reading, value: Any, place: Place) -> Mirrors:
    members = reading.fields(value, place, _NONE, _MIRRORS)
    by_ware: Any = UNSET
    by_module: Any = UNSET
    if "byWare" in members:
        at = (place, "byWare")
        by_ware = {
            reading.atom(WareId.parse, ware, (at, ware)): _read_addresses(reading, addresses, (at, ware))
            for ware, addresses in reading.mapping(members["byWare"], at).items()
        }
    if "byModule" in members:
        at = (place, "byModule")
        by_module = {
            reading.atom(parse_module_name, module, (at, module)): _read_packtypes(reading, packtypes, (at, module))
            for module, packtypes in reading.mapping(members["byModule"], at).items()
        }
    return Mirrors(by_ware, by_module)


def _read_packtypes(reading: Reading, value: Any, place: Place) -> dict[str, tuple[WarehouseAddr, ...]]:
    found = {}
    for packtype, addresses in reading.mapping(value, place).items():
        reading.atom(parse_packtype, packtype, (place, packtype))
        found[packtype] = _read_addresses(reading, addresses, (place, packtype))
    return found


def _read_addresses(reading: Reading, value: Any, place: Place) -> tuple[WarehouseAddr, ...]:
    if type(value) is not list:
        reading.refuse(place, "an array of addresses is wanted here")
        return ()
    return tuple(
        [reading.atom(WarehouseAddr.parse, item, (place, number)) for number, item in enumerate(value)],
    )


def read_mirror_list(reading: Reading, value: Any, place: Place) -> MirrorList:
    return MirrorList(_read_addresses(reading, value, place))


def read_catalog_sources(reading: Reading, value: Any, place: Place) -> CatalogSources:
    found = reading.string_map(value, place)
    for name in found:
        if not is_catalog_name(name):
            reading.refuse((place, name), f"not a catalog name: {name!r}")
    return CatalogSources(found)


def read_unpacking(reading: Reading, value: Any, place: Place) -> Unpacking:
    members = reading.fields(value, place, _UNPACKING, _NONE)
    return Unpacking(reading.number(members.get("maxUnpacked", 0), (place, "maxUnpacked")))


def read_mirroring(reading: Reading, value: Any, place: Place) -> Mirroring:
    found = {}
    for address, config in reading.mapping(value, place).items():
        at = (place, address)
        key = reading.atom(WarehouseAddr.parse, address, at)
        found[key] = _read_push(reading, config, at)
    return Mirroring(found)


def _read_push(reading: Reading, value: Any, place: Place) -> PushConfig:
    members = reading.fields(value, place, _PUSH, _NONE)
    place = (place, "pushConfig")
    kinds = reading.mapping(members.get("pushConfig", {}), place)
    if len(kinds) != 1:
        if "pushConfig" in members:
            reading.refuse(place, "a pushConfig is an object with one member, such as s3")
        return PushConfig("", {})
    [(kind, settings)] = kinds.items()
    return PushConfig(kind, reading.string_map(settings, (place, kind)))


def read_run_record(reading: Reading, value: Any, place: Place) -> RunRecord:
    members = reading.fields(value, place, _RECORD, _NONE)
    at = (place, "results")
    results = {
        label: reading.atom(parse_record_result, result, (at, label))
        for label, result in reading.mapping(members.get("results", {}), at).items()
    }
    return RunRecord(
        reading.text(members.get("guid", ""), (place, "guid")),
        reading.number(members.get("time", 0), (place, "time"), -INT_LIMIT),
        reading.text(members.get("formulaID", ""), (place, "formulaID")),
        reading.number(members.get("exitcode", 0), (place, "exitcode"), -INT_LIMIT),
        results,
    )


def parse_record_result(text: str) -> WareId | Literal:
    """``ware:packtype:hash`` or ``literal:TEXT``. Errors: ``invalid``, ``wareid-invalid``."""
    if text.startswith("literal:"):
        return Literal(text[8:])
    if text.startswith("ware:"):
        return WareId.parse(text[5:])
    raise Invalid("invalid", f"{text!r}: a result is ware: or literal:", value=text)
