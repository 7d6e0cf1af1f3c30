"""Files that people wrote: each loads, or fails with the error that its own fault deserves; what they hold plans."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from warpforge.errors import Invalid, Missing
from warpforge.polytope.calls.expand import Call, expand
from warpforge.polytope.calls.resolve import Resolver
from warpforge.polytope.calls.steps import begin, plan_steps
from warpforge.polytope.code.evaluator import Evaluator
from warpforge.polytope.files.library import Library
from warpforge.polytope.marks import Unknown

FILES = sorted((Path(__file__).parents[3] / "shared" / "polytope" / "files").glob("*.y*ml"))

SCAFFOLDS = {45, 55, 57, 59, 63, 65, 67, 69, 71, 85, 87}
# what a template names and nobody has: other repositories, files that were not kept, slips of its author
DANGLING = {33, 39, 61, 77, 93, 103, 105, 107, 111, 123, 127, 141}
# wrong by the types: a template whose own enum lacks what it is given; mounts whose path and source are one map
WRONG = {99: "'never' is none of always, on-failure"} | dict.fromkeys(
    (27, 127, 135, 139), "text was expected, not a map"
)


class NoStores:
    def value(self, name: str) -> str | None:
        return None

    def secret(self, name: str) -> str | None:
        return None


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator() as evaluator:
        yield evaluator


@pytest.mark.skipif(not FILES, reason="the files are not here")
def test_all_files_are_here() -> None:
    assert len(FILES) == 69


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[:3])
def test_a_real_file(path: Path, evaluator: Evaluator) -> None:
    number = int(path.name[:3])
    if number in SCAFFOLDS | {97}:
        with pytest.raises(Invalid) as refused:
            Library(str(path), directory=str(path.parent))
        assert refused.value.reason == ("parse" if number == 97 else "scaffold")
        assert (int(refused.value.details["line"]), int(refused.value.details["column"])) > (1, 0)
        assert ("indentation" if number == 97 else "placeholder") in refused.value.message
        return
    library = Library(str(path), directory=str(path.parent))
    assert [issue for issue in library.issues if issue.level == "error" and issue.reason != "reference"] == []
    resolver = Resolver(library, evaluator, NoStores(), cwd=str(path.parent), is_dry=True)
    assert library.root is not None
    failed = []
    for noun in library.root.nouns:
        call = Call(reference=noun.id, args={param.id: Unknown("given") for param in noun.params})
        try:
            expand(call, resolver)
            for step in plan_steps([[call]], resolver):
                begin(step, resolver)
        except (Invalid, Missing) as error:
            failed.append(error)
    missing = [error for error in failed if isinstance(error, Missing)]
    wrong = [error for error in failed if isinstance(error, Invalid)]
    assert all("there is no module or template" in error.message for error in missing)
    assert bool(missing) == (number in DANGLING), missing
    assert bool(wrong) == (number in WRONG), wrong
    assert all(error.message.endswith(WRONG[number]) for error in wrong)
