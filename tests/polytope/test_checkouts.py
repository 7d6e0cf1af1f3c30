"""Where repositories are: directories, named checkouts, revisions, and what git fetches."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.workshop import Workshop, workshop

from warpforge.engine.events import Reporter
from warpforge.errors import Missing, WarpforgeError
from warpforge.polytope.containers.checkouts import Checkouts, spell_address


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with workshop(tmp_path_factory.mktemp("shop") / "w", Reporter()) as made:
        repository = made.root / "templates"
        git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "init", "-q", "--initial-branch=main", str(repository)], check=True)
        for text in ("one", "two"):
            (repository / "file").write_text(text)
            subprocess.run([*git, "add", "file"], check=True)
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
