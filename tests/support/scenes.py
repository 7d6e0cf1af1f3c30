"""Scenes for the suites of kills and faults: a workspace made ready, one command, and what must hold after it.

``SCENES[name]``; ``Stage`` makes a scene's template once and copies of it for every try.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from warpforge.errors import WarpforgeError
from warpforge.fsx.remove import remove_tree
from warpforge.model.atoms import WareId
from warpforge.pack.packer import scan
from warpforge.store.store import Store
from warpforge.store.verify import verify

from . import ledger
from .world import WARPFORGE, World

REF = "example.org/thing:v1:data"


@dataclass
class Scene:
    """``prepare`` gives the words of the command. ``done``: what it leaves when it was done before (not an error)."""

    name: str
    prepare: Callable[[World], list[str]]
    done: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    acknowledged: list[str] = field(default_factory=list)


def _tree(world: World, name: str = "tree") -> None:
    for number in range(4):
        world.write(f"{name}/d/f{number}", f"{name} {number}\n" * 40)
    world.write(f"{name}/x", b"x" * 9000)
    if not world.path(f"{name}/link").is_symlink():
        os.symlink("x", world.path(f"{name}/link"))


def _pack(world: World, name: str = "tree", packtype: str = "ztar", *more: str) -> str:
    _tree(world, name)
    return world.run("ware", "pack", "-t", packtype, *more, name).out.strip()


def _packing(world: World) -> list[str]:
    _tree(world)
    return ["ware", "pack", "-t", "tar", "tree"]


def _far(world: World, packtype: str) -> str:
    """A ware that is only in ``mirror/``."""
    elsewhere = World(world.root.parent / "elsewhere")
    elsewhere.root_workspace()
    return _pack(elsewhere, "tree", packtype, "--to", str(world.path("mirror")))


def _pulling(world: World) -> list[str]:
    return ["mirror", "pull", "--from", f"ca+file://{world.path('mirror')}", _far(world, "tar")]


def _unpacking(world: World) -> list[str]:
    return ["ware", "unpack", "--path", "out", _pack(world)]


def _collecting(world: World) -> list[str]:
    kept, _garbage = _pack(world), [_pack(world, name, packtype) for name in "ab" for packtype in ("tar", "ztar")]
    world.run("ware", "pin", kept, "mine")
    return ["store", "gc"]


def _repairing(world: World) -> list[str]:
    ware = _pack(world, "tree", "tar", "--to", str(world.path("mirror")))
    world.write(".warpforge/config/mirrors.json", {"mirrors.v1": [f"ca+file://{world.path('mirror')}"]})
    (path,) = world.path(".warpforge/warehouse").rglob(ware[4:])
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    path.chmod(0o444)
    world.write(".warpforge/memos/zF.json", "{")
    return ["store", "repair"]


def _adding(world: World) -> list[str]:
    world.run("catalog", "init", "mine")
    elsewhere = World(world.root.parent / "elsewhere")
    elsewhere.root_workspace()
    _pack(elsewhere, "tree", "ztar", "--to", f"file://{world.path('packed')}")
    return ["catalog", "--name", "mine", "add", "tar", "-t", "ztar", REF, "packed"]


def _pinning(world: World) -> list[str]:
    return ["ware", "pin", _pack(world), "mine"]


def _reindexing(world: World) -> list[str]:
    _pack(world)
    return ["store", "reindex"]


SCENES = {
    scene.name: scene
    for scene in (
        Scene("ware pack", _packing),
        Scene("mirror pull", _pulling),
        Scene("ware unpack", _unpacking, done=("already-exists",)),
        Scene("store gc", _collecting),
        Scene("store repair", _repairing),
        Scene("catalog add", _adding, done=("already-exists",)),
        Scene("ware pin", _pinning),
        Scene("store reindex", _reindexing),
    )
}


class Stage:
    """A scene's template, and copies of it."""

    def __init__(self, scene: Scene, base: Path) -> None:
        self.scene = scene
        self.base = base
        self.template = World(base / "template")
        self.template.root_workspace()
        self.words = scene.prepare(self.template)
        self.tried = 0
        self.expected = ""
        self.acknowledged: list[WareId] = []
        if scene.name not in ("store gc", "store repair"):
            with Store(self.template.path(".warpforge")) as store:
                self.acknowledged = [ware for ware, _ in store.warehouse.wares()]
        world = self.copy()
        done = world.run("--json", *self.argv(world)[2:])
        self.expected = result_of(done.out)
        if scene.name in ("store gc", "store repair"):  # what is here when all is done was never to be lost
            with Store(world.path(".warpforge")) as store:
                kept = [ware for ware, _ in store.warehouse.wares()]
            self.acknowledged = kept if scene.name == "store gc" else []
        self.drop(world)

    def copy(self) -> World:
        """A fresh workspace to try the command in."""
        self.tried += 1
        world = World(self.base / str(self.tried))
        world.adopt(self.template.root)
        return world

    def drop(self, world: World) -> None:
        """Away with it."""
        remove_tree(-100, os.fsencode(world.root.parent))

    def argv(self, world: World) -> list[str]:
        """The whole command line; what names the template names the copy."""
        here, there = str(self.template.root), str(world.root)
        return [str(WARPFORGE), "--json", *(word.replace(here, there) for word in self.words)]

    def after_fault(self, world: World, out: str, *, succeeded: bool) -> None:
        """What was acknowledged is there, and nothing has a final name that is not what the name says."""
        acknowledged = [*self.acknowledged, *(printed_wares(out) if succeeded else ())]
        with Store(world.path(".warpforge")) as store:
            lost = [ware for ware in acknowledged if not store.warehouse.has(ware)]
            ledger.count("acknowledged wares looked for", len(acknowledged))
            ledger.count("acknowledged wares lost", len(lost))
            assert not lost
            if self.scene.name != "store repair":
                assert wrong(store) == []
            store.findings()

    def after_again(self, world: World) -> None:
        """The fault removed, the same command succeeds with the same result; nothing is left of the first try."""
        again = world.call("--json", *self.argv(world)[2:])
        assert again.exit == 0 or again.code in self.scene.done, str(again)
        if again.exit == 0 and self.expected:
            assert result_of(again.out) in (self.expected, ""), str(again)
        with Store(world.path(".warpforge")) as store:
            assert wrong(store) == []
            store.sweep()
            assert os.listdir(store.layout.tmp) == [] if os.path.isdir(store.layout.tmp) else True
        left = [p.name for p in world.root.iterdir() if p.name.startswith(".warpforge-")]
        if again.exit == 0:
            assert left == [], left
        if self.scene.name == "catalog add":
            assert world.run("catalog", "show", REF).out.count("ztar:") == 1
        if self.scene.name == "ware unpack":
            assert world.path("out/d/f3").read_bytes() == world.path("tree/d/f3").read_bytes()
            assert sorted(p.name for p in world.path("out").iterdir()) == ["d", "link", "x"]


def wrong(store: Store) -> list[object]:
    """Wares, memos, dual ids and pins that are not as they should be."""
    found = verify(store, lambda ware, file: scan(file, ware.packtype).ware)
    return [finding for finding in found if finding.kind != "index"]


def printed_wares(out: str) -> Iterable[WareId]:
    """The wares that a command said it made."""
    for line in out.splitlines():
        try:
            yield WareId.parse(line.strip())
        except WarpforgeError:
            continue


def result_of(out: str) -> str:
    """What must be the same each time: the wares, without paths and times."""
    return "\n".join(str(ware) for ware in printed_wares(out))
