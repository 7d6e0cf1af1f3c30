"""Patterns of what is left out: whatever git makes of them, we do."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from support.repositories import Repo

from warpforge.fsx.gitignore import make_ignore

NAMES = [
    "a", "b", "foo", "foo.o", "bar.c", "build", "x y", "#h", "!n", "a.b.c", "FOO", "d", "deep", "-x", "[z]", "a*b",
    "t\u00e9", "back\\slash", "new\nline", "7", "]", "a b ",
]  # fmt: skip
PIECES = [
    "a", "b", "foo", "*.o", "*.c", "build", "x y", "\\#h", "\\!n", "*", "?", "**", "[a-f]*", "[!a]*", "f[o]o", "FOO",
    "deep", "*.b.*", "[[]z]", "a\\*b", "t*", "[[:alpha:]]", "x\\ y", "[]a]", "[^[:digit:]]", "[[:nope:]]", "[", "[z-a]",
    "a\\", "***", "a**b", "[a-]", "[\\]]", "t??", "back\\\\slash", "a b\\ ", "[[:upper:][:digit:]]*", "f?o*",
]  # fmt: skip


def random_line(rng: random.Random) -> str:
    line = "/".join(rng.choice(PIECES) for _ in range(rng.choice((1, 1, 1, 2, 2, 3))))
    before = rng.choice(("", "", "", "/", "!", "!/", "**/"))
    after = rng.choice(("", "", "", "/", "/**", "  ", "\r"))
    return before + line + after


def fill(place: Path, rng: random.Random, depth: int) -> None:
    for name in rng.sample(NAMES, 9):
        if depth and rng.random() < 0.5:
            (place / name).mkdir()
            fill(place / name, rng, depth - 1)
        else:
            (place / name).touch()


def kept(place: Path, text: bytes) -> set[bytes]:
    """The files that are not left out."""
    ignores = make_ignore(text) or (lambda path, is_directory: False)
    found, waiting = set(), [b""]
    while waiting:
        prefix = waiting.pop()
        for entry in os.scandir(os.fsencode(place) + b"/" + prefix):
            path = prefix + entry.name
            if path == b".git" or ignores(path, entry.is_dir()):
                continue
            if entry.is_dir():
                waiting.append(path + b"/")
            else:
                found.add(path)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_same_as_git(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    repo = Repo(tmp_path / "repo")
    fill(repo.path, rng, 2)
    for _ in range(25):
        text = "".join(random_line(rng) + "\n" for _ in range(rng.randint(1, 4))).encode()
        (repo.path / ".git/info/exclude").write_bytes(text)
        said = repo.git("ls-files", "-o", "--exclude-standard", "-z").encode().split(b"\0")
        assert kept(repo.path, text) == {*said} - {b""}, text


def test_names_that_are_no_text() -> None:
    ignores = make_ignore(b"\xef\xbb\xbf\xff*\r\n# a comment\n\n!\xff\xfe\n")
    assert ignores is not None
    assert [ignores(path, False) for path in (b"\xff", b"d/\xffx", b"\xff\xfe", b"x")] == [True, True, False, False]


def test_nothing_said() -> None:
    for text in (b"", b"\n\n", b"# only this\n", b"/\n", b"!\n"):
        assert make_ignore(text) is None
