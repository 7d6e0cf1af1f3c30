"""Scenes for the suites of kills and faults: a workspace made ready, one command, and what must hold after it.

``SCENES[name]``; ``Stage`` makes a scene's template once and copies of it for every try.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from warpforge.catalog.check import check_module
from warpforge.catalog.edit import add_item
from warpforge.catalog.tree import Catalog
from warpforge.errors import WarpforgeError
from warpforge.fsx.remove import remove_tree
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId
from warpforge.pack.packer import scan
from warpforge.store.store import Store
from warpforge.store.verify import verify

from . import ledger
from .repositories import Repo
from .world import WARPFORGE, World

REF = "example.org/thing:v1:data"
WARE = WareId.parse("ztar:" + "1" * 44)
MINE = ".warpforge/catalogs/mine"


@dataclass
class Scene:
    """``prepare`` gives the words of the command. ``done``: what it leaves when it was done before (not an error).

    ``catalog``: a catalog of which after any fault every module is as it was or as it is to be, all of one kind when
    ``at_once``. ``far``: a warehouse that the command fills. ``rare``: only when all places are tried. ``heavy``:
    sampled only by the suite of kills.
    """

    name: str
    prepare: Callable[[World], list[str]]
    done: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    catalog: str = ""
    at_once: bool = False
    far: str = ""
    rare: bool = False
    heavy: bool = False
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


def _adding_more(kind: str) -> Callable[[World], list[str]]:
    def prepare(world: World) -> list[str]:
        world.run("catalog", "init", "mine")
        add_item(Catalog(world.path(".warpforge/catalogs/mine")), CatalogRef.parse("example.org/thing:v0:data"), WARE)
        _tree(world)
        what = ["tree"]
        if kind == "zip":
            shutil.make_archive(str(world.path("packed")), "zip", world.path("tree/d"))
            what = ["packed.zip"]
        elif kind == "git":
            Repo(world.root.parent / "repo").commit({"a": "1"})
            what = [str(world.root.parent / "repo"), "main"]
        return ["catalog", "--name", "mine", "add", kind, REF, *what]

    return prepare


def _tagging(world: World) -> list[str]:
    world.run("catalog", "init", "mine")
    repo = Repo(world.root.parent / "repo")
    for number in range(3):
        repo.commit({"a": str(number)})
        repo.git("tag", f"v{number}")
    return ["catalog", "--name", "mine", "ingest-git-tags", "example.org/thing", str(repo.path), "src"]


def _module(world: World) -> None:
    """A module that was run: what it needs is kept, so that no box is made."""
    _pack(world)
    world.write("app/module.wf", {"module.v1": {"name": "example.org/app"}})
    step = {"protoformula": {"inputs": {"/in": f"ware:{_pack(world)}"}, "action": {"noop": {}},
            "outputs": {"o": {"from": "/in", "packtype": "tar"}}}}  # fmt: skip
    world.write("app/plot.wf", {"plot.v1": {"inputs": {}, "steps": {"s": step}, "outputs": {"o": "pipe:s:o"}}})


def _releasing(world: World) -> list[str]:
    _module(world)
    world.run("catalog", "init", "mine")
    world.run("catalog", "-n", "mine", "release", "--extended", "v1", "app")
    world.run("catalog", "-n", "mine", "add", "dir", "example.org/app/below:v1:o", "tree")
    return ["catalog", "-n", "mine", "release", "--extended", "--duals", "v2", "app"]


def _bundling(world: World) -> list[str]:
    _module(world)
    world.run("catalog", "init", "mine")
    world.run("catalog", "-n", "mine", "release", "--extended", "v1", "app")
    inputs = {"a": "catalog:example.org/app:v1:o", "b": "catalog:example.org/thing:v1:data"}
    world.run("catalog", "-n", "mine", "add", "dir", "example.org/thing:v1:data", "tree")
    world.write("near/.warpforge/about", "")
    world.write("near/plot.wf", {"plot.v1": {"inputs": inputs, "steps": {}, "outputs": {}}})
    return ["catalog", "bundle", "near"]


def _mirroring(world: World) -> list[str]:
    world.run("catalog", "init", "mine")
    for number, packtype in enumerate(("ztar", "tar")):
        ware = _pack(world, "tree", packtype)
        ref = CatalogRef.parse(f"example.org/thing:v{number}:data")
        add_item(Catalog(world.path(".warpforge/catalogs/mine")), ref, WareId.parse(ware))
    push: dict[str, object] = {f"ca+file://{world.path('far')}": {"pushConfig": {"file": {}}}}
    world.path("far").mkdir()
    world.write(".warpforge/config/mirroring.json", {"mirroring.v1": push})
    return ["catalog", "-n", "mine", "mirror"]


def _updating(world: World) -> list[str]:
    repo = Repo(world.root.parent / "repo")
    theirs = Catalog(repo.path)
    for module in ("a.org/x", "a.org/y", "b.org/z"):
        add_item(theirs, CatalogRef.parse(f"{module}:v1:data"), WARE)
    repo.commit()
    world.write(".warpforge/config/catalogs.json", {"catalogs.v1": {}})
    world.run("catalog", "init", "--remote", repo.path, "lib")
    for module in ("a.org/x", "b.org/z", "c.org/new"):
        address = WarehouseAddr.parse(f"https://example.org/{module}")
        add_item(theirs, CatalogRef.parse(f"{module}:v2:data"), WARE, address=address)
    repo.commit()
    return ["catalog", "update"]


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
        Scene("catalog add", _adding, done=("already-exists",), catalog=MINE),
        Scene("ware pin", _pinning),
        Scene("store reindex", _reindexing),
        Scene("catalog add dir", _adding_more("dir"), done=("already-exists",), catalog=MINE, rare=True),
        Scene("catalog add zip", _adding_more("zip"), done=("already-exists",), catalog=MINE, rare=True),
        Scene("catalog add git", _adding_more("git"), done=("already-exists",), catalog=MINE, rare=True),
        Scene("catalog ingest-git-tags", _tagging, catalog=MINE, rare=True),
        Scene("catalog release", _releasing, catalog=MINE, heavy=True),
        Scene("catalog bundle", _bundling, catalog="near/.warpforge/catalog", heavy=True),
        Scene("catalog mirror", _mirroring, far="far", heavy=True),
        Scene("catalog update", _updating, catalog=".warpforge/catalogs/lib", at_once=True, heavy=True),
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
        self.before = self._modules(self.template)
        self.after = self.before
        self.acknowledged: list[WareId] = []
        if scene.name not in ("store gc", "store repair"):
            with Store(self.template.path(".warpforge")) as store:
                self.acknowledged = [ware for ware, _ in store.warehouse.wares()]
        world = self.copy()
        done = world.run("--json", *self.argv(world)[2:])
        self.expected = result_of(done.out)
        self.after = self._modules(world)
        assert not scene.catalog or self.after != self.before
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
        # a copy of a tree on the shelf is not what the stamp says of it
        remove_tree(-100, os.fspath(world.path(".warpforge/cache")), missing_ok=True)
        for config in world.path(".warpforge/config").glob("*.json"):
            config.write_text(config.read_text().replace(str(self.template.root), str(world.root)))
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
        self._check_catalog(world)
        self._check_far(world)

    def _modules(self, world: World) -> dict[str, dict[str, bytes]]:
        """The documents of every module of the scene's catalog; what names the world's place is like the template's."""
        top = world.path(self.scene.catalog)
        found: dict[str, dict[str, bytes]] = {}
        for path in top.rglob("_module.json") if self.scene.catalog else ():
            here = path.parent
            files = [path, here / "_mirrors.json", *here.glob("_releases/*"), *here.glob("_replays/*")]
            found[str(here.relative_to(top))] = {
                str(file.relative_to(here)): file.read_bytes() for file in files if file.exists()
            }
        return {name: files for name, files in found.items() if not name.startswith(".")}

    def _check_catalog(self, world: World) -> None:
        """Module, release, mirrors and replay are all of before or all of after."""
        now = self._modules(world)
        kinds = set()
        for name in {**self.before, **self.after}:
            before, after = self.before.get(name), self.after.get(name)
            assert now.get(name) in (before, after), name
            kinds |= {now.get(name) == after} if before != after else set()
        assert len(kinds) <= 1 or not self.scene.at_once, "some modules are of before and some of after"
        for name in now:
            faults = check_module(world.path(self.scene.catalog), name).faults
            assert [fault for fault in faults if fault.level == "error"] == [], name

    def _check_far(self, world: World) -> None:
        """What has a name there is what the name says."""
        for path in world.path(self.scene.far).rglob("*") if self.scene.far else ():
            if path.is_file() and not path.name.startswith("."):
                assert path.name in {*_hashes(path)}, path

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
        if self.scene.catalog:
            assert self._modules(world) == self.after
            if world.path(f"{self.scene.catalog}/.tmp").exists():  # the next writer removes it
                add_item(Catalog(world.path(self.scene.catalog)), CatalogRef.parse("a.org/next:v1:data"), WARE)
                assert not world.path(f"{self.scene.catalog}/.tmp").exists()
        if self.scene.far:
            self._check_far(world)
            assert len([path for path in world.path("far").rglob("*") if path.is_file()]) >= 2
        if self.scene.name == "catalog add":
            assert world.run("catalog", "show", REF).out.count("ztar:") == 1
        if self.scene.name == "ware unpack":
            assert world.path("out/d/f3").read_bytes() == world.path("tree/d/f3").read_bytes()
            assert sorted(p.name for p in world.path("out").iterdir()) == ["d", "link", "x"]


def _hashes(path: Path) -> Iterator[str]:
    for packtype in ("ztar", "tar"):
        with suppress(WarpforgeError), path.open("rb") as file:
            yield scan(file, packtype).ware.hash


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
