"""Where the original's program is on this machine: it reads our catalogs and memos, and takes what we mirror.

It is found by ``WARPFORGE_ORIGINAL``, or as the first ``warpforge`` on the PATH that is a program of machine code:
ours is a script. Without one these tests are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.plots import plot, script
from support.serving import serving
from support.world import World

LIB = "a.org/lib"


def candidates() -> Iterator[Path]:
    if named := os.environ.get("WARPFORGE_ORIGINAL"):
        yield Path(named)
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        yield Path(directory or ".", "warpforge")


def find_original() -> Path | None:
    for path in candidates():
        if path.is_file() and os.access(path, os.X_OK):
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    return path.resolve()
    return None


ORIGINAL = find_original()
needs_original = pytest.mark.skipif(
    ORIGINAL is None, reason="no original warpforge here: name it in WARPFORGE_ORIGINAL"
)


def theirs(world: World, *words: str, cwd: str = ".", env: dict[str, str] | None = None) -> str:
    """What the original's program prints, which must work."""
    assert ORIGINAL is not None
    done = subprocess.run(
        [ORIGINAL, *words], cwd=world.path(cwd), env=world.environment(env), capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def released(box_world: World) -> World:
    make = script("mkdir /out", "echo one > /out/lib", outputs={"o": {"from": "/out", "packtype": "tar"}})
    box_world.write("lib/module.wf", {"module.v1": {"name": LIB}})
    box_world.write("lib/plot.wf", plot({"make": make}, {"lib": "pipe:make:o"}))
    box_world.run("catalog", "-n", "test", "release", "v1", "lib")
    return box_world


@needs_original
def test_it_reads_our_documents(released: World) -> None:
    ref = f"{LIB}:v1:lib"
    ware = released.run("--json", "catalog", "show", ref).one("release")["items"]["lib"]
    assert ref in theirs(released, "catalog", "--name", "test", "ls")
    assert ware in theirs(released, "catalog", "--name", "test", "show", ref)
    theirs(released, "check", "lib/plot.wf", "lib/module.wf")


@needs_original
def test_our_memo_answers_it(released: World) -> None:
    """It has no box that would run this: the answer is the record that we left."""
    (record,) = (json.loads(path.read_bytes()) for path in released.path(".warpforge/memos").iterdir())
    said = theirs(released, "--json", "run", "lib")
    assert record["guid"] in said


@needs_original
def test_it_takes_wares_from_our_mirror(released: World, tmp_path: Path) -> None:
    ware = released.run("--json", "run", "lib").all("plotresults")[-1]["lib"]
    other = World(tmp_path / "other")
    other.root_workspace()
    shutil.copytree(released.path(".warpforge/catalogs/test"), other.path(".warpforge/catalogs/test"))
    with serving(released, "--gzip") as address:
        mirrors = {"catalogmirrors.v1": {"byModule": {LIB: {"tar": [address]}}}}
        other.write(f".warpforge/catalogs/test/{LIB}/_mirrors.json", mirrors)
        theirs(other, "ware", "unpack", "--path", str(other.path("out")), ware)
    assert other.path("out/lib").read_text() == "one\n"


def test_ours_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from support.world import WARPFORGE

    monkeypatch.delenv("WARPFORGE_ORIGINAL", raising=False)
    monkeypatch.setenv("PATH", str(WARPFORGE.parent))
    assert find_original() is None
    (tmp_path / "warpforge").write_bytes(b"\x7fELF and more")
    (tmp_path / "warpforge").chmod(0o755)
    monkeypatch.setenv("PATH", f"{WARPFORGE.parent}:{tmp_path}")
    assert find_original() == tmp_path / "warpforge"
