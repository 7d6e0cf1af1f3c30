"""The house keeps its floors: every import goes down."""

from __future__ import annotations

from pathlib import Path

from floors import FLOOR_OF, POLYTOPE_FLOOR_OF, imports, violations

ROOT = Path(__file__).parents[1]


def test_every_import_goes_down() -> None:
    assert list(violations(ROOT / "warpforge")) == []


def test_every_import_within_polytope_goes_down() -> None:
    found = violations(ROOT / "warpforge" / "polytope", {**POLYTOPE_FLOOR_OF, "builtin": -1}, "warpforge.polytope")
    assert list(found) == []


def test_every_package_stands_on_a_floor() -> None:
    rooms = {path.parent.name for path in (ROOT / "warpforge").glob("*/__init__.py")}
    assert rooms <= FLOOR_OF.keys()


def test_the_scan_sees_each_way_to_import(tmp_path: Path) -> None:
    house = tmp_path / "warpforge"
    for room in ("store", "pack", "engine"):
        (house / room).mkdir(parents=True)
    (house / "store" / "up.py").write_text(
        "import warpforge.engine.run\nfrom warpforge import pack\ndef late():\n    from ..engine import run\n"
    )
    (house / "engine" / "down.py").write_text("from warpforge.store import memo\nfrom .run import go\n")
    found = [line.partition(": ")[2] for line in violations(house)]
    assert found == ["store -> engine", "store -> pack", "store -> engine"]


def test_the_scan_names_a_stranger(tmp_path: Path) -> None:
    house = tmp_path / "warpforge"
    (house / "utils").mkdir(parents=True)
    (house / "utils" / "x.py").write_text("")
    assert [line.partition(": ")[2] for line in violations(house)] == ["utils stands on no floor"]


def test_relative_imports_name_their_room(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("from . import y\nfrom .y import z\nfrom ..model import atoms\n")
    assert [room for _, room in imports(path, "warpforge.store")] == ["store", "store", "model"]
