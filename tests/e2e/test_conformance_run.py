"""Every formula and plot of the conformance data that names only the busybox ware runs here with the ids it states."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.conformance import CONFORMANCE, load, needs_conformance
from support.world import World

pytestmark = [pytest.mark.both, needs_conformance]

WARE = "tar:4z9DCTxoKkStqXQRwtf9nimpfQQ36dbndDsAPCQgECfbXt3edanUrsVKCjE9TkX2v9"
CATALOG: dict[str, dict[str, Any]] = {
    "_module.json": {
        "catalogmodule.v1": {
            "name": "warpsys.org/busybox",
            "releases": {"v1.35.0": "zM5K3Z62CY9X6QkccuptyiC3a1tC32Fh2n1ujF8KH5Fz1BvKqppWJZgQJxEgypvF3pqzhdE"},
            "metadata": {},
        }
    },
    "_releases/v1.35.0.json": {"releaseName": "v1.35.0", "items": {"amd64-static": WARE}, "metadata": {}},
}
RUNNABLE = [
    "formulas/echo.json",
    "formulas/pack.json",
    "formulas/dirmount.json",
    "formulas/mounttypes.json",
    "plots/singlestep.json",
    "plots/multistep.json",
    "plots/input-types.json",
]


def expected() -> dict[str, Any]:
    found: dict[str, Any] = load("expected.json") if CONFORMANCE.is_dir() else {}
    return found


@pytest.fixture
def published(world: World, needs_box: None) -> World:
    """A root workspace with the published entry of busybox, and the original's warehouse."""
    world.root_workspace()
    for name, document in CATALOG.items():
        world.write(f".warpforge/catalogs/test/warpsys.org/busybox/{name}", document)
    return world


@pytest.mark.parametrize("name", RUNNABLE)
def test_a_document_runs_and_gives_what_is_stated(published: World, name: str) -> None:
    wanted = expected()[name]
    data = (CONFORMANCE / name).read_bytes()
    published.write(Path(name).name, data)
    published.write("some-file", "x")
    warehouse = {"WARPFORGE_WAREHOUSE": str(CONFORMANCE / "warehouse")}
    for force in ((), ("-f",)):
        ran = published.run("--json", "run", *force, Path(name).name, env=warehouse)
        records = ran.all("runrecord")
        assert [record["exitcode"] for record in records] == [0] * len(records)
        if name.startswith("formulas"):
            assert records[0]["results"] == wanted.get("results", {})
            if "formulaID" in wanted:
                assert records[0]["formulaID"] == wanted["formulaID"]
        else:
            assert ran.one("plotresults") == wanted["results"]
            assert [finished["step"] for finished in ran.all("finished")] == wanted["order"]
    # the conformance warehouse is read-only: what was made went to the workspace's own
    made = [p for p in published.path(".warpforge").glob("warehouse/*/*/*") if p.is_file()]
    assert bool(made) == bool(wanted.get("results") or name == "plots/multistep.json")


def test_every_stated_document_is_covered() -> None:
    from_elsewhere = [
        "formulas/hello-input.json",
        "formulas/hello-input-vars.json",
        "formulas/hello-and-debug.json",
        "formulas/script-action.json",
        "formulas/zero-formula.json",
        "plots/simple-plot.json",
    ]
    assert sorted(expected()) == sorted(RUNNABLE + from_elsewhere)
    for name in from_elsewhere:  # they name wares that exist nowhere, or have no command
        text = (CONFORMANCE / name).read_text()
        assert "qwerasdf" in text or json.loads(text)["formula"]["formula.v1"]["action"]["exec"]["command"] == []


def test_a_formula_without_a_command_is_refused_when_run(published: World) -> None:
    failed = published.fail("run", CONFORMANCE / "formulas/zero-formula.json")
    assert (failed.code, failed.exit) == ("formula-invalid", 2)


def test_wares_that_are_nowhere_are_named(published: World) -> None:
    failed = published.fail("run", CONFORMANCE / "formulas/script-action.json")
    assert (failed.code, failed.exit) == ("missing", 3)
    assert "tar:qwerasdf" in failed.causes[-1]["message"]
