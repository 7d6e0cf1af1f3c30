"""Every document of the conformance data is read, and every id in it is made again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import reference
from support.conformance import CONFORMANCE, load, needs_conformance

from warpforge.model import ident, serial
from warpforge.model.names import is_module_name
from warpforge.model.plot import unreplayable

pytestmark = needs_conformance


def files(*patterns: str) -> list[Any]:
    found = [path for pattern in patterns for path in sorted(CONFORMANCE.glob(pattern))]
    return [pytest.param(path, id=str(path.relative_to(CONFORMANCE))) for path in found]


@pytest.mark.parametrize("path", files("formulas/*", "plots/*", "modules/**/*.wf", "catalog/**/*.json"))
def test_every_document_is_read_and_written(path: Path) -> None:
    data = path.read_bytes()
    noun = serial.load_document(data, path.name).noun
    text = serial.fmt(data)
    assert text == serial.dump(noun)
    assert serial.load_document(text, path.name).noun == noun


@pytest.mark.parametrize("path", files("catalog/**/*.json"))
def test_the_catalogs_layout_is_ours(path: Path) -> None:
    data = path.read_bytes()
    # some of its files were written by hand: they lack the final newline, or have it twice
    assert serial.fmt(data) == data.rstrip(b"\n") + b"\n"


def test_the_check_of_a_formula_gives_its_canonical_form() -> None:
    scenario = load("cli-scenarios.json")["checkformula"]
    assert serial.fmt(scenario["fs"]["formula.json"].encode()).decode() == scenario["output"]


def scenario_files() -> Iterator[tuple[str, str]]:
    for scenario in load("cli-scenarios.json").values():
        for name, text in scenario["fs"].items():
            if name.endswith((".json", ".wf")):
                yield name, text


def test_every_document_of_the_scenarios_is_read() -> None:
    names = set()
    for name, text in scenario_files():
        serial.load_document(text.encode(), name)
        names.add(Path(name).name)
    assert names == {
        "formula.json",
        "module.wf",
        "plot.wf",
        "_module.json",
        "_mirrors.json",
        "v1.35.0.json",
        "mirroring.json",
    }


def test_the_release_of_the_scenarios_has_the_id_in_its_module() -> None:
    by_name = {Path(name).name: text.encode() for name, text in scenario_files()}
    module = serial.load_catalog_module(by_name["_module.json"], "m").noun
    release = serial.load_release(by_name["v1.35.0.json"], "r").noun
    assert ident.release_id(release) == module.releases["v1.35.0"]


def test_formula_ids() -> None:
    wanted = {name: row["formulaID"] for name, row in load("expected.json").items() if "formulaID" in row}
    assert wanted
    for name, formula_id in wanted.items():
        noun = serial.load_formula((CONFORMANCE / name).read_bytes(), name).noun
        assert ident.formula_id(noun.formula) == formula_id, name
        assert reference.document_id(noun.formula.to_serial()) == formula_id, name


@pytest.mark.parametrize("path", files("catalog/**/_module.json"))
def test_release_and_replay_ids(path: Path) -> None:
    module = serial.load_catalog_module(path.read_bytes(), path.name).noun
    assert path.parent.relative_to(CONFORMANCE / "catalog").as_posix() == module.name
    for name, cid in module.releases.items():
        file = path.parent / "_releases" / f"{name}.json"
        release = serial.load_release(file.read_bytes(), file.name).noun
        assert (release.name, ident.release_id(release)) == (name, cid)
        replay = path.parent / "_replays" / f"{release.replay}.json"
        if release.replay and replay.exists():
            noun = serial.load_replay(replay.read_bytes(), replay.name).noun
            assert ident.plot_id(noun) == release.replay
            assert unreplayable(noun) == []


def test_the_lenient_ones_are_told_apart() -> None:
    loaded = serial.load_formula((CONFORMANCE / "formulas/mounttypes.json").read_bytes(), "mounttypes.json")
    slips = [finding.message for finding in loaded.warnings if finding.reason == "comma"]
    assert slips == ["line 17, column 4: a comma too many", "line 19, column 2: a comma is missing"]


@pytest.mark.parametrize("group, names", load("module-names.json").items() if CONFORMANCE.is_dir() else [])
def test_module_names(group: str, names: list[str]) -> None:
    for name in names:
        assert is_module_name(name.strip()) is group.startswith("valid"), name
