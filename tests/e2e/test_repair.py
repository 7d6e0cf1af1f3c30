"""C09, C10, C11: what is wrong is found, set aside and had anew: from a mirror, a peer, a replay or a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.plots import plot, script
from support.world import World

from warpforge.model.atoms import WareId
from warpforge.store.store import Store

LIB = "a.org/lib"


def library(*lines: str) -> dict[str, object]:
    step = script("mkdir /out", *(lines or ("echo one > /out/lib",)), outputs={"o": "/out"})
    return plot({"make": step}, {"lib": "pipe:make:o"})


def packed(world: World, ware: str) -> Path:
    with Store(world.path(".warpforge")) as store:
        found = store.warehouse.find(WareId.parse(ware))
    assert found is not None, ware
    return found


def damage(path: Path) -> None:
    """One bit in the middle, with the same length and times."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.chmod(0o644)
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def repaired(world: World, *flags: str) -> str:
    """How the one thing was mended; then nothing is wrong, and a second repair has nothing to do."""
    done = world.run("--json", "store", "repair", *flags).one("mended")
    assert done["done"], done
    assert world.run("--json", "store", "verify", "--deep").one("verified")["findings"] == 0
    assert world.run("--json", "store", "repair", *flags).all("mended") == []
    return str(done["how"])


def kept(world: World) -> list[str]:
    return [name for name in os.listdir(world.path(".warpforge/quarantine")) if name.startswith("ware-")]


@pytest.fixture
def pair(world: World) -> tuple[World, World, str]:
    """A root workspace and another one beside it, with the same ware."""
    worlds = []
    for name in ("mine", "other"):
        (world.root / name).mkdir()
        inner = World.__new__(World)
        inner.root, inner.home = world.root / name, world.home
        inner.root_workspace()
        inner.write("tree/x", "content")
        worlds.append((inner, inner.run("ware", "pack", "tree").out.strip()))
    (mine, ware), (other, same) = worlds
    assert ware == same
    return mine, other, ware


def test_c11_a_peer_beside_has_it(pair: tuple[World, World, str]) -> None:
    mine, other, ware = pair
    damage(packed(mine, ware))
    assert f"fetched from ca+file://{other.path('.warpforge')}/warehouse" in repaired(mine)
    assert len(kept(mine)) == 1, "the damaged one is kept"


def test_c11_the_home_workspace_and_one_above_are_peers(world: World) -> None:
    world.write("tree/x", "content")
    inner = World.__new__(World)
    inner.root, inner.home = world.root / "in/ner", world.home
    inner.root.mkdir(parents=True)
    inner.root_workspace()
    ware = inner.run("ware", "pack", world.path("tree")).out.strip()
    world.run("ware", "pack", "tree")  # no root here yet: it goes to the home workspace
    damage(packed(inner, ware))
    assert ".warphome/warehouse" in repaired(inner)
    shutil.rmtree(world.home / ".warphome")
    world.root_workspace()
    world.run("ware", "pack", "tree")
    damage(packed(inner, ware))
    assert str(world.path(".warpforge/warehouse")) in repaired(inner)


def test_c11_a_named_place_is_asked_first_and_a_bad_one_mends_nothing(pair: tuple[World, World, str]) -> None:
    mine, other, ware = pair
    other.path("../named").mkdir()
    other.run("ware", "push", ware, other.path("../named").resolve())
    damage(packed(mine, ware))
    damage(packed(other, ware))
    result = mine.call("--json", "store", "repair")
    assert (result.exit, result.one("mended")["done"]) == (1, False), str(result)
    assert len(kept(mine)) == 1
    mine.run("ware", "pack", "tree")
    damage(packed(mine, ware))
    assert "named" in repaired(mine, "--from", "../named")


def test_c11_a_release_s_replay_makes_it_again(box_world: World) -> None:
    box_world.write("lib/module.wf", {"module.v1": {"name": LIB}})
    box_world.write("lib/plot.wf", library())
    box_world.run("catalog", "-n", "test", "release", "v1", "lib")
    ware = box_world.run("--json", "catalog", "show", f"{LIB}:v1:lib").one("release")["items"]["lib"]
    shutil.rmtree(box_world.path(".warpforge/runs"))
    forget_trees(box_world)
    damage(packed(box_world, ware))
    refused = box_world.call("--json", "store", "repair", "--no-replay")
    assert (refused.exit, refused.one("mended")["done"]) == (1, False)
    assert f"made again by the replay of {LIB}:v1" in remade(box_world, ware)
    assert box_world.run("ware", "cat", ware, "lib").out == "one\n"


def test_c11_what_a_formula_made_here_it_makes_again(box_world: World) -> None:
    box_world.write("plot.wf", library())
    made = box_world.run("--json", "run", "plot.wf").one("runrecord")
    ware = made["results"]["o"].removeprefix("ware:")
    forget_trees(box_world)
    damage(packed(box_world, ware))
    assert f"made again by the formula {made['formulaID']}" in repaired(box_world)
    assert box_world.run("--json", "run", "plot.wf").one("runrecord")["results"] == made["results"]


def test_c11_what_comes_out_differently_is_lost_and_told(box_world: World) -> None:
    box_world.write("plot.wf", library("mkdir -p /out", "cat /proc/sys/kernel/random/uuid > /out/x"))
    made = box_world.run("--json", "run", "plot.wf").one("runrecord")
    ware = made["results"]["o"].removeprefix("ware:")
    forget_trees(box_world)
    damage(packed(box_world, ware))
    result = box_world.call("--json", "store", "repair")
    (lost,) = result.all("mended")
    assert (result.exit, lost["done"]) == (1, False)
    assert "nothing here makes it again" in lost["how"]
    assert len(kept(box_world)) == 1, "the last copy is never deleted"


def forget_trees(world: World) -> None:
    from warpforge.fsx.remove import remove_tree

    remove_tree(-100, os.fsencode(world.path(".warpforge/cache")))


def remade(world: World, ware: str) -> str:
    """The index forgot the ware when nobody had it: it is asked for by name."""
    with Store(world.path(".warpforge")) as store:
        quarantined = next(Path(store.layout.quarantine).glob("ware-*"))
        goal = Path(f"{store.warehouse.own}/ztar/{ware[5:8]}/{ware[8:11]}/{ware[5:]}")
        quarantined.rename(goal)
    return repaired(world)


# C10: what can be wrong, and what is said of it


def another(path: Path) -> bytes:
    """The bytes of another ware of the same warehouse."""
    return next(p for p in path.parents[2].rglob("*") if p.is_file() and p != path).read_bytes()


def replace(path: Path, make: Callable[[], object]) -> None:
    path.unlink()
    make()


TABLE: dict[str, tuple[Callable[[Path], object], tuple[str, str]]] = {
    "blob gone": (lambda path: path.unlink(), ("index", "missing")),
    "blob empty": (lambda path: os.truncate(path, 0), ("ware", "ware-corrupt")),
    "blob cut": (lambda path: os.truncate(path, path.stat().st_size - 1), ("ware", "ware-corrupt")),
    "bit flipped": (damage, ("ware", "ware-corrupt")),
    "symlink in its place": (
        lambda path: replace(path, lambda: path.symlink_to("/etc/passwd")),
        ("ware", "ware-corrupt"),
    ),
    "directory in its place": (lambda path: replace(path, path.mkdir), ("ware", "ware-corrupt")),
    "fifo in its place": (lambda path: replace(path, lambda: os.mkfifo(path)), ("ware", "ware-corrupt")),
    "another ware under its name": (lambda path: path.write_bytes(another(path)), ("ware", "ware-mismatch")),
}


@pytest.mark.parametrize("what", TABLE)
def test_c10_the_table(world: World, what: str) -> None:
    world.root_workspace()
    for name in ("tree", "second"):
        world.write(f"{name}/x", f"content {name}" * 100)
    ware = world.run("ware", "pack", "--to", world.path("mirror"), "tree").out.strip()
    world.run("ware", "pack", "second")
    world.write(".warpforge/config/mirrors.json", {"mirrors.v1": [f"ca+file://{world.path('mirror')}"]})
    path = packed(world, ware)
    path.chmod(0o644)
    harm, expected = TABLE[what]
    harm(path)
    found = world.call("--json", "store", "verify", "--deep")
    assert expected in [(line["kind"], line["code"]) for line in found.all("finding")], str(found)
    assert Path("/etc/passwd").is_file()
    mended = world.run("--json", "store", "repair").all("mended")
    assert all(line["done"] for line in mended)
    assert world.run("--json", "store", "verify", "--deep").one("verified")["findings"] == 0
    assert world.run("ware", "cat", ware, "x").out == "content tree" * 100


def test_c10_what_is_no_finding(world: World) -> None:
    """A blob that the index does not know, debris, and modes that somebody changed: all well, or put right."""
    world.root_workspace()
    world.write("tree/x", "content")
    ware = world.run("ware", "pack", "tree").out.strip()
    shutil.rmtree(world.path(".warpforge/index.lmdb"))
    packed(world, ware).chmod(0o666)
    world.write(".warpforge/tmp/1-dead/half", "half")
    world.write(".warpforge/warehouse/ztar/abc/def/notaware", "foreign")
    world.run("store", "verify", "--deep")
    world.run("store", "repair")
    assert os.listdir(world.path(".warpforge/tmp")) == []
    assert world.run("ware", "cat", ware, "x").out == "content"
