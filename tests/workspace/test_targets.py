"""What the arguments of a command mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.conformance import CONFORMANCE, needs_conformance

from warpforge.errors import Invalid, Missing
from warpforge.workspace.targets import Target, find_targets

MODULE = '{"module.v1": {"name": "a.org/x"}}'
PLOT = '{"plot.v1": {"inputs": {}, "steps": {}, "outputs": {}}}'
FORMULA = '{"context": {"context.v1": {}}, "formula": {"formula.v1": {}}}'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for directory in ("", "a", "a/deep", "a-b", "empty", ".warpforge/x", "a/.git/x"):
        (tmp_path / directory).mkdir(parents=True, exist_ok=True)
        if directory != "empty":
            (tmp_path / directory / "module.wf").write_text(MODULE)
            (tmp_path / directory / "plot.wf").write_text(PLOT)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "module.wf").write_text(MODULE)
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "plot.wf").write_text(PLOT)
    (tmp_path / "formula.json").write_text(FORMULA)
    (tmp_path / "some.json").write_text(PLOT)
    (tmp_path / "other.json").write_text('{"say": "\\"formula.v1\\": {}", "x": 1}')
    return tmp_path


def test_nothing_is_the_working_directory(tree: Path) -> None:
    assert find_targets([], tree) == [Target("module", tree / "module.wf")]
    assert find_targets([], tree / "only") == [Target("plot", tree / "only/plot.wf")]
    assert find_targets([], tree)[0].plot == tree / "plot.wf"


def test_files_by_name_and_by_content(tree: Path) -> None:
    assert find_targets(["module.wf", "plot.wf", "formula.json", "some.json", "a", str(tree / "a")], tree) == [
        Target("module", tree / "module.wf"),
        Target("plot", tree / "plot.wf"),
        Target("formula", tree / "formula.json"),
        Target("plot", tree / "some.json"),
        Target("module", tree / "a/module.wf"),
    ]


@pytest.mark.parametrize("argument", ["...", "./..."])
def test_everything_below_is_sorted_and_skips_with_a_notice(tree: Path, argument: str) -> None:
    (tree / "loop").symlink_to(tree)
    notices: list[str] = []
    found = find_targets([argument], tree, notices.append)
    assert [str(target.path.relative_to(tree)) for target in found] == [
        "module.wf",
        "a/module.wf",
        "a/deep/module.wf",
        "a-b/module.wf",
    ]
    assert len(notices) == 1 and "bare/module.wf" in notices[0]
    assert find_targets(["empty/..."], tree) == []
    assert [t.path for t in find_targets(["a/...", "a/deep"], tree)] == [
        tree / "a/module.wf",
        tree / "a/deep/module.wf",
    ]


@pytest.mark.parametrize("argument", ["bare", "bare/module.wf", "empty", "nowhere", "nowhere/...", "nowhere/module.wf"])
def test_what_is_not_there(tree: Path, argument: str) -> None:
    with pytest.raises(Missing) as caught:
        find_targets([argument], tree)
    assert caught.value.code == "warpforge-error-missing"


def test_what_is_no_document(tree: Path) -> None:
    with pytest.raises(Invalid) as caught:
        find_targets(["other.json"], tree)
    assert caught.value.code == "warpforge-error-invalid-argument"


@needs_conformance
def test_the_documents_of_the_original() -> None:
    for kind in ("formula", "plot"):
        for path in sorted((CONFORMANCE / f"{kind}s").iterdir()):
            assert find_targets([path.name], path.parent) == [Target(kind, path)]
