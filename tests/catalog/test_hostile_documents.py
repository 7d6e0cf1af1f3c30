"""D01 to D15 for the documents of a catalog: one error, its code, its place; nothing outside of the catalog is read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from warpforge.catalog.check import check_module
from warpforge.catalog.edit import add_item, edit, init_catalog
from warpforge.catalog.tree import Catalog
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId
from warpforge.model.catalog import Release
from warpforge.model.plot import Plot
from warpforge.model.serial import (
    load_catalog_module,
    load_catalog_sources,
    load_mirrors,
    load_release,
    load_replay,
)

CID = "zM5K3" + "a" * 60
WARE = "ztar:" + "1" * 44
MODULE: dict[str, Any] = {"catalogmodule.v1": {"name": "a.org/x", "releases": {"v1": CID}, "metadata": {"k": "v"}}}
RELEASE: dict[str, Any] = {"releaseName": "v1", "items": {"item": WARE}, "metadata": {"k": "v"}}
MIRRORS: dict[str, Any] = {"catalogmirrors.v1": {"byWare": {WARE: ["https://a.org/x"]},
                           "byModule": {"a.org/x": {"git": ["https://a.org/x"]}}}}  # fmt: skip
STEP: dict[str, Any] = {"protoformula": {"inputs": {"/": f"ware:{WARE}"}, "action": {"echo": {}}, "outputs": {}}}
REPLAY: dict[str, Any] = {"plot.v1": {"inputs": {}, "steps": {"s": STEP}, "outputs": {}}}
SOURCES: dict[str, Any] = {"catalogs.v1": {"lib": "https://a.org/x"}}
KINDS: dict[str, tuple[Callable[[bytes, str], Any], dict[str, Any]]] = {
    "module": (load_catalog_module, MODULE),
    "release": (load_release, RELEASE),
    "mirrors": (load_mirrors, MIRRORS),
    "replay": (load_replay, REPLAY),
    "sources": (load_catalog_sources, SOURCES),
}


def refusal(kind: str, data: bytes) -> tuple[str, str, str]:
    """Code, reason and JSON pointer."""
    with pytest.raises(WarpforgeError) as caught:
        KINDS[kind][0](data, "x.json")
    error = caught.value
    assert error.exit_status() == 2 and "x.json" in error.message
    return error.code.removeprefix("warpforge-error-"), error.reason, error.details.get("path", "")


def text(kind: str) -> str:
    return json.dumps(KINDS[kind][1])


def long_list(kind: str) -> bytes:
    return text(kind)[:-1].encode() + b', "more": [' + b"[]," * (6 << 20) + b"[]]}"


TEXTS: dict[str, tuple[Callable[[str], bytes], str]] = {
    "D01 a key twice": (lambda kind: text(kind).replace('"', '"a": 1, "a": 2, "', 1).encode(), "parse"),
    "D02 NaN": (lambda kind: text(kind)[:-1].encode() + b', "more": NaN}', "parse"),
    "D02 infinite": (lambda kind: text(kind)[:-1].encode() + b', "more": 1E400}', "parse"),
    "D03 depth": (lambda kind: text(kind)[:-1].encode() + b', "more": ' + b"[" * 100_000, "limit"),
    "D04 digits": (lambda kind: text(kind)[:-1].encode() + b', "more": ' + b"7" * 5000 + b"}", "limit"),
    "D05 lone surrogate": (lambda kind: text(kind)[:-1].encode() + b', "more": "\\ud800"}', "parse"),
    "D05 byte order mark": (lambda kind: b"\xef\xbb\xbf" + text(kind).encode(), "parse"),
    "D05 UTF-16": (lambda kind: text(kind).encode("utf-16"), "parse"),
    "D05 no UTF-8": (lambda kind: text(kind).encode().replace(b"}", b'"\xff": 1}', 1), "parse"),
    "D06 bytes": (long_list, "limit"),
    "D06 keys": (lambda kind: (text(kind)[:-1] + ", " + ", ".join(f'"{n}":1' for n in range(500_001)) + "}").encode(),
                 "limit"),
    "nothing": (lambda kind: b"", "parse"),
    "half": (lambda kind: text(kind).encode()[:-3], "parse"),
    "a second one": (lambda kind: text(kind).encode() * 2, "parse"),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
def test_texts(case: str) -> None:
    make, reason = TEXTS[case]
    for kind in ("module",) if case.startswith("D06") else KINDS:
        assert refusal(kind, make(kind))[:2] == ("serialization", reason), kind


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at]
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += places(inner, (*at, key))
    return found


def with_value(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = with_value(value[place[0]], place[1:], new)
    return copy


WRONG: list[Any] = [None, True, 7, 1.5, [], [[]], {"": None}, ""]


@pytest.mark.parametrize("kind", KINDS)
def test_d07_wrong_types_everywhere(kind: str) -> None:
    _, document = KINDS[kind]
    for place in places(document):
        for wrong in WRONG:
            try:
                KINDS[kind][0](json.dumps(with_value(document, place, wrong)).encode(), "x.json")
            except WarpforgeError as error:
                assert error.exit_status() == 2, (place, wrong)
                continue
            # an empty text or list may stand wherever any text or list may
            assert wrong in ("", []), (place, wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_d08_what_is_newer_is_never_passed_over(kind: str) -> None:
    _, document = KINDS[kind]
    for place in places(document):
        inner = document
        for key in place:
            inner = inner[key]
        if isinstance(inner, dict):
            try:
                KINDS[kind][0](json.dumps(with_value(document, place, {**inner, "not yet": "x"})).encode(), "x.json")
            except WarpforgeError:
                continue
            assert place[-1] in ("metadata", "catalogs.v1"), place  # free maps of texts
    if kind != "release":
        newer = text(kind).replace(".v1", ".v2", 1).encode()
        assert refusal(kind, newer)[0] == "datatoonew"
    other = "mirrors" if kind != "mirrors" else "module"
    assert refusal(kind, text(other).encode())[0] in ("catalog-invalid", "serialization", "datatoonew")


NAMES = ("", ".", "..", "../x", "a/b", "/abs", ".hidden", "-rf", "a b", "a\n", "x" * 128, "é", "a\0")


@pytest.mark.parametrize("kind", ["module", "release", "sources"])
def test_d11_names_that_would_be_paths(kind: str) -> None:
    _, document = KINDS[kind]
    for name in NAMES:
        if kind == "module":
            changed = with_value(document, ("catalogmodule.v1", "releases"), {name: CID})
        elif kind == "sources":
            changed = with_value(document, ("catalogs.v1",), {name: "https://a.org/x"})
        else:
            changed = with_value(document, ("releaseName",), name)
            labels = with_value(document, ("items",), {name: WARE})
            assert refusal(kind, json.dumps(labels).encode())[0] == "catalog-invalid", name
        code, _, pointer = refusal(kind, json.dumps(changed).encode())
        assert code == "catalog-invalid" and pointer.startswith("/"), name


def test_d11_module_names() -> None:
    for name in ("", ".", "..", "../x", "/abs", ".hidden", "-rf", "a b", "é", "a.org/../b", "a.org/x:v1", "a.org/.git"):
        for kind, place in (("module", ("catalogmodule.v1", "name")), ("mirrors", ("catalogmirrors.v1", "byModule"))):
            new: Any = name if kind == "module" else {name: {}}
            assert refusal(kind, json.dumps(with_value(KINDS[kind][1], place, new)).encode())[0].endswith("invalid")


def test_d15_ids() -> None:
    for wrong in ("", "ztar", "ztar:", ":x", "ztar:a/b", "ztar:../x", "ZTAR:x", "ztar:" + "x" * 129, "a b:c"):
        for kind, place in (("release", ("items", "item")), ("mirrors", ("catalogmirrors.v1", "byWare"))):
            new = wrong if kind == "release" else {wrong: []}
            assert refusal(kind, json.dumps(with_value(KINDS[kind][1], place, new)).encode())[0] == "wareid-invalid"
    for wrong in ("", "z", "bafyx", "z0", "zM5K3../x", "z" + "I" * 9, "zé"):
        changed = with_value(MODULE, ("catalogmodule.v1", "releases", "v1"), wrong)
        code, _, pointer = refusal("module", json.dumps(changed).encode())
        assert (code, pointer) == ("catalog-invalid", "/catalogmodule.v1/releases/v1"), wrong


def test_d10_replays_that_go_in_rings(catalog: Catalog) -> None:
    def step(*pipes: str) -> dict[str, Any]:
        inputs = {f"/{number}": f"pipe:{pipe}:o" for number, pipe in enumerate(pipes)}
        return {"protoformula": {"inputs": inputs, "action": {"echo": {}}, "outputs": {"o": {"from": "/o"}}}}

    dangling = {"plot.v1": {"inputs": {}, "steps": {"a": step("nobody")}, "outputs": {}}}
    assert refusal("replay", json.dumps(dangling).encode())[0] == "catalog-invalid"
    for steps in ({"a": step("a")}, {"a": step("b"), "b": step("a")}):
        document = {"plot.v1": {"inputs": {}, "steps": steps, "outputs": {}}}
        with edit(catalog, "a.org/x") as module:
            cid = module.put_replay(load_replay(json.dumps(document).encode(), "x").noun)
            module.put_release(Release("v1", {"item": WareId.parse(WARE)}, {"replay": cid}))
        (fault,) = (fault for fault in check_module(catalog.path, "a.org/x").faults if fault.level == "error")
        assert (fault.reason, fault.pointer) == ("cycle", "/plot.v1/steps")
        with pytest.raises(WarpforgeError) as caught:
            catalog.replay("a.org/x", cid)
        assert (caught.value.code, caught.value.reason) == ("warpforge-error-catalog-invalid", "cycle")
    chain: dict[str, Any] = {"s0": step()} | {f"s{n}": step(f"s{n - 1}", f"s{n - 1}") for n in range(1, 3000)}
    made = load_replay(json.dumps({"plot.v1": {"inputs": {}, "steps": chain, "outputs": {}}}).encode(), "x").noun
    assert len(made.steps) == 3000


# the same at rest: what reading and checking make of it


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    made = init_catalog(tmp_path / "catalogs", "test")
    add_item(made, CatalogRef.parse("a.org/x:v1:item"), WareId.parse(WARE), address=WarehouseAddr("https://a.org/x"))
    return made


@pytest.mark.parametrize("name", ["_module.json", "_mirrors.json", "_releases/v1.json"])
@pytest.mark.parametrize("what", ["half", "directory", "fifo", "link away", "link to itself", "other name"])
def test_files_that_are_not_what_they_should_be(catalog: Catalog, tmp_path: Path, name: str, what: str) -> None:
    path = catalog.path / "a.org/x" / name
    data = path.read_bytes()
    path.unlink()
    if what == "half":
        path.write_bytes(data[:-9])
    elif what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "link away":
        (tmp_path / "away").write_text('{"secret": "of this machine"}')
        path.symlink_to(tmp_path / "away")
    elif what == "link to itself":
        path.symlink_to(path.name)
    else:
        path.write_bytes(data.replace(b"a.org/x", b"b.org/x").replace(b'"v1', b'"v2').replace(b"https", b"ftp"))
    faults = [fault for fault in check_module(catalog.path, "a.org/x").faults if fault.level == "error"]
    if name == "_mirrors.json" and what == "other name":
        assert faults == []  # an address is followed by who knows its scheme
        return
    assert faults and all(fault.path.startswith("a.org/x/") for fault in faults)
    assert not any("of this machine" in str(fault) for fault in faults)
    with pytest.raises(WarpforgeError) as caught:
        catalog.release("a.org/x", "v1")
        catalog.mirrors("a.org/x")
    assert "of this machine" not in caught.value.message


@pytest.mark.parametrize("replay", ["../../../../away", "/away", "", "x", "z/../../x", "zM5K3\n"])
def test_a_replay_is_named_by_an_id(catalog: Catalog, tmp_path: Path, replay: str) -> None:
    """Else a release could have any file of this machine read."""
    (tmp_path / "away.json").write_text(text("replay"))
    with edit(catalog, "a.org/x") as module:
        release = module.release("v1")
        assert release is not None
        module.put_release(Release(release.name, release.items, {"replay": replay}))
    with pytest.raises(WarpforgeError) as caught:
        catalog.replay("a.org/x", replay)
    assert (caught.value.code, caught.value.reason) == ("warpforge-error-catalog-invalid", "name")
    (fault,) = (fault for fault in check_module(catalog.path, "a.org/x").faults if fault.level == "error")
    assert fault.pointer == "/metadata/replay" and fault.path == "a.org/x/_releases/v1.json"


def test_a_replay_of_another_name(catalog: Catalog) -> None:
    plot: Plot = load_replay(text("replay").encode(), "x").noun
    with edit(catalog, "a.org/x") as module:
        name = module.put_replay(plot)
    path = catalog.path / f"a.org/x/_replays/{name}.json"
    path.write_bytes(path.read_bytes().replace(b"echo", b"exec"))
    with pytest.raises(WarpforgeError) as caught:
        catalog.replay("a.org/x", name)
    assert caught.value.exit_status() == 2
