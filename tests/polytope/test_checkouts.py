"""Where repositories are: directories, named checkouts, revisions, and what git fetches."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from support.workshop import Workshop, workshop

from warpforge.engine.events import Reporter
from warpforge.errors import Missing, WarpforgeError
from warpforge.polytope.containers.checkouts import Checkouts, Revisions, spell_address
from warpforge.polytope.files.library import Library, repository_of


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with workshop(tmp_path_factory.mktemp("shop") / "w", Reporter()) as made:
        repository = made.root / "templates"
        git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "init", "-q", "--initial-branch=main", str(repository)], check=True)
        for text in ("one", "two"):
            (repository / "file").write_text(text)
            (repository / "polytope.yml").write_text(f"modules: [{{id: m, info: {text}, module: polytope/container}}]")
            subprocess.run([*git, "add", "."], check=True)
            subprocess.run([*git, "commit", "-q", "-m", text], check=True)
        (repository / "file").write_text("three")
        yield made


def test_repositories_as_they_stand_at_a_revision_and_fetched(shop: Workshop) -> None:
    place = shop.root / "templates"
    checkouts = Checkouts(lambda name: str(place) if name == "o/templates" else None, lambda: shop.engine)

    def read(repo: str, revision: str = "") -> str:
        return Path(checkouts.find(repo, revision), "file").read_text()

    assert [read(str(place)), read("o/templates"), read("o/templates", "HEAD")] == ["three", "three", "two"]
    assert [read(f"file://{place}"), read(f"file://{place}", "HEAD~1")] == ["two", "one"]
    with pytest.raises(Missing, match="no repository"):
        checkouts.find("/nowhere/at/all")
    with pytest.raises(WarpforgeError):
        checkouts.find(f"file://{place}-gone")


def test_a_reference_with_a_revision_means_what_the_repository_held_then(shop: Workshop, tmp_path: Path) -> None:
    revisions = Revisions(lambda: nullcontext(shop.engine), lambda: tmp_path)
    place = str(shop.root / "templates")
    library = Library(None, directory=str(tmp_path), repositories={"o/r": place}, revision=revisions.find)
    assert [library.find(name).noun.info for name in ("o/r!m", "o/r@HEAD!m", "o/r@HEAD~1!m")] == ["two", "two", "one"]
    then = library.find("o/r@HEAD~1!m").file
    assert Path(then.path).is_relative_to(tmp_path) and repository_of(then.path) == os.path.dirname(then.path)
    with pytest.raises(Missing, match="no revision nope"):
        library.find("o/r@nope!m")


@pytest.mark.parametrize(
    ("repo", "address"),
    [
        ("o/n", "https://github.com/o/n.git"),
        ("gh:o/n", "https://github.com/o/n.git"),
        ("gitlab:o/n", "https://gitlab.com/o/n.git"),
        ("https://example.org/o/n.git", "https://example.org/o/n.git"),
        ("git@example.org:o/n", "git@example.org:o/n"),
    ],
)
def test_addresses(repo: str, address: str) -> None:
    assert spell_address(repo) == address
