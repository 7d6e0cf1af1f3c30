"""``warpforge catalog check``: each way in which a catalog can be wrong is found and named; the form can be mended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.conformance import CONFORMANCE, needs_conformance
from support.world import World

from warpforge.catalog.edit import edit, init_catalog
from warpforge.catalog.tree import Catalog
from warpforge.model.atoms import WarehouseAddr, WareId
from warpforge.model.catalog import Release
from warpforge.model.serial import load_plot

WARE = WareId.parse("ztar:CirUPyZjdVayH6rPYcf63sBhTF3gVnfKeE7DeW1JPYjK")
PLOT = load_plot(b'{"plot.v1": {"inputs": {}, "steps": {}, "outputs": {}}}', "plot").noun


@pytest.fixture
def catalog(world: World) -> Catalog:
    """One sound module with a release, a replay and a mirror."""
    world.root_workspace()
    catalog = init_catalog(world.path(".warpforge/catalogs"), "test")
    publish(catalog, "a.org/x")
    return catalog


def publish(catalog: Catalog, module: str) -> None:
    with edit(catalog, module) as changed:
        changed.put_release(Release("v1", {"item": WARE}, {"replay": changed.put_replay(PLOT)}))
        changed.add_mirror(WarehouseAddr.parse("ca+https://wares.example.org"), ware=WARE)


def faults(world: World, *, fails: bool = False) -> set[tuple[str, str]]:
    done = (world.fail if fails else world.run)("--json", "catalog", "check")
    return {(fault["reason"], fault["path"]) for fault in done.all("fault")}


def test_a_sound_catalog_has_no_faults(world: World, catalog: Catalog) -> None:
    assert world.run("catalog", "check").out == "test: 1 module, 0 errors, 0 warnings\n"


def test_wares_that_no_mirror_has_are_counted(world: World, catalog: Catalog) -> None:
    assert world.run("--json", "catalog", "check").one("catalogcheck")["unmirrored"] == 0
    (catalog.path / "a.org/x/_mirrors.json").unlink()
    assert world.run("--json", "catalog", "check").one("catalogcheck")["unmirrored"] == 1


def change(name: str, **members: Any) -> Callable[[Path], None]:
    def deed(module: Path) -> None:
        (path,) = module.glob(name)
        path.write_text(json.dumps({**json.loads(path.read_text()), **members}))

    return deed


def plot_with(text: str) -> dict[str, Any]:
    return {"plot.v1": {"inputs": {"a": text}, "steps": {}, "outputs": {}}}


OTHER_MODULE = {"catalogmodule.v1": {"name": "a.org/y", "releases": {}, "metadata": {}}}


def remove(name: str) -> Callable[[Path], None]:
    return lambda module: next(module.glob(name)).unlink()


def add(name: str) -> Callable[[Path], None]:
    def deed(module: Path) -> None:
        (module / name).parent.mkdir(parents=True, exist_ok=True)
        (module / name).write_text("{}")

    return deed


@pytest.mark.parametrize(
    ("deed", "reason", "path"),
    [
        (change("_releases/v1.json", items={}), "hash", "_releases/v1.json"),
        (change("_releases/v1.json", releaseName="v2"), "name", "_releases/v1.json"),
        (change("_releases/v1.json", more=1), "unknown-field", "_releases/v1.json"),
        (change("_replays/*.json", **plot_with("literal:b")), "hash", "_replays/"),
        (change("_replays/*.json", **plot_with("mount:ro:b")), "replay", "_replays/"),
        (change("_module.json", **OTHER_MODULE), "name", "_module.json"),
        (remove("_releases/v1.json"), "missing", "_releases/v1.json"),
        (remove("_replays/*.json"), "missing", ""),
    ],
)
def test_what_is_wrong_is_an_error(
    world: World, catalog: Catalog, deed: Callable[[Path], None], reason: str, path: str
) -> None:
    deed(catalog.path / "a.org/x")
    found = faults(world, fails=True)
    assert any(name == reason and at.startswith(f"a.org/x/{path}") for name, at in found), found


@pytest.mark.parametrize(
    ("deed", "reason", "path"),
    [
        (add("_releases/v9.json"), "orphan", "a.org/x/_releases/v9.json"),
        (add("_replays/zM5K3.json"), "orphan", "a.org/x/_replays/zM5K3.json"),
        (add("_verdicts/v9/verdicts.json"), "orphan", "a.org/x/_verdicts/v9"),
        (add("_verdicts/v1/verdicts.json"), "verdict", "a.org/x/_verdicts/v1/verdicts.json"),
        (add("notes.txt"), "stray", "a.org/x/notes.txt"),
        (add("Upper/file"), "name", "a.org/x/Upper"),
        (remove("_mirrors.json"), "ware", "a.org/x/_releases/v1.json"),
    ],
)
def test_what_is_odd_is_a_warning(
    world: World, catalog: Catalog, deed: Callable[[Path], None], reason: str, path: str
) -> None:
    deed(catalog.path / "a.org/x")
    assert (reason, path) in faults(world)


def test_a_broken_catalog_keeps_back_nothing_of_the_one_beside_it(world: World, catalog: Catalog) -> None:
    shutil.copytree(catalog.path, catalog.path.with_name("beside"))
    catalog.path.joinpath("a.org/x/_mirrors.json").write_text("{")
    beside = catalog.path.with_name("beside") / "a.org/x/_releases/v1.json"
    beside.write_text(beside.read_text().replace("CirU", "CirV"))
    done = world.fail("--json", "catalog", "check")
    found = {(fault["catalog"], fault["level"], fault["reason"]) for fault in done.all("fault")}
    assert found >= {("test", "error", "parse"), ("test", "warning", "conflict"), ("beside", "error", "hash")}, found
    assert [one["name"] for one in done.all("catalogcheck")] == ["beside", "test"]
    assert done.code == "catalog-invalid"


def test_names_that_people_take_for_each_other(world: World, catalog: Catalog) -> None:
    publish(catalog, "g00d.org/mail")
    publish(catalog, "good.org/mail")
    assert faults(world) == {("alike", "good.org/mail")}


@needs_conformance
def test_the_form_is_mended_and_no_id_changes(world: World) -> None:
    world.root_workspace()
    goal = world.path(".warpforge/catalogs/warpsys")
    shutil.copytree(CONFORMANCE / "catalog", goal, copy_function=shutil.copyfile)
    for directory in (goal, *(path for path in goal.rglob("*") if path.is_dir())):
        directory.chmod(0o755)
    ids = {path: json.loads(path.read_text().replace(",\n\t}", "\n\t}")) for path in goal.rglob("_module.json")}
    world.run("catalog", "-n", "warpsys", "check", "--rewrite")
    assert not {path for reason, path in faults(world) if reason == "form"}
    assert ids == {path: json.loads(path.read_text()) for path in goal.rglob("_module.json")}


def test_many_modules_are_shared_among_processes(world: World, catalog: Catalog) -> None:
    for number in range(450):
        shutil.copytree(catalog.path / "a.org/x", catalog.path / f"b.org/m{number}")
        text = (catalog.path / f"b.org/m{number}/_module.json").read_text()
        (catalog.path / f"b.org/m{number}/_module.json").write_text(text.replace("a.org/x", f"b.org/m{number}"))
    (catalog.path / "b.org/m333/_releases/v1.json").unlink()
    done = world.fail("--json", "catalog", "check")
    assert [fault["path"] for fault in done.all("fault")] == ["b.org/m333/_releases/v1.json"]
    assert done.one("catalogcheck")["modules"] == 451
