"""Images that come for their trees: packed and on the shelf in one pass, just as if they had been unpacked later."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.forge import directory, member, symlink, tar
from support.hostile_http import Hostile, body
from support.images import Image
from support.registry import blob_path, host_of, offer

from warpforge.engine.engine import Engine
from warpforge.engine.events import Reporter
from warpforge.engine.images import Called, parse_called
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import WareId
from warpforge.store.collect import collect
from warpforge.store.gc import Policy, Root, make_plan
from warpforge.workspace.find import find_stack

pytestmark = pytest.mark.both

IMAGE = Image(
    tar(
        directory(b"bin", mode=0o555),
        member(b"bin/large", os.urandom(9 << 20), mode=0o4755, uid=7),
        member(b"bin/middling", bytes(3 << 20)),
        member(b"bin/gone", b"below"),
        symlink(b"sbin", b"bin"),
        member(b"p", b"", b"6"),
    ),
    tar(
        member(b"sbin/tool", b"#!/bin/sh\n", mode=0o700),
        member(b"bin/.wh.gone"),
        member(b"far/away/file", b""),
        member(b"far/away/same", b"", b"1", link=b"bin/large"),
    ),
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / ".warpforge").mkdir()
    (tmp_path / ".warpforge" / "root").touch()
    with Engine(find_stack(tmp_path, None), Reporter()) as engine, engine.store.use():
        yield engine


@pytest.fixture
def registry() -> Iterator[Hostile]:
    with Hostile() as server:
        offer(server, IMAGE, "some/thing", "v1")
        yield server


def called(server: Hostile) -> Called:
    return parse_called(f"{host_of(server)}/some/thing:v1", Path("/"))


def look(tree: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a box could see of a tree."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [tree, *tree.rglob("*")]:
        seen = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        times = None if path.is_symlink() else seen.st_mtime_ns
        found[str(path.relative_to(tree))] = (seen.st_mode, seen.st_uid, seen.st_gid, times, content)
    return found


def test_a_tree_that_came_with_its_image_is_the_one_that_the_warehouse_has(engine: Engine, registry: Hostile) -> None:
    ware, here = engine.images.keep(called(registry), unpacked=True)
    tree = engine.store.shelf.find(ware)
    assert tree is not None and not here and engine.store.warehouse.has(ware)
    at_once = look(tree)
    engine.store.shelf.drop(ware)
    later = look(engine.supply.tree(ware))
    assert at_once == later
    assert {"bin/tool", "bin/large", "far/away/same", "p"} < later.keys() and "bin/gone" not in later
    assert stat.S_IMODE(os.stat(tree / "bin/large").st_mode) == 0o755


def test_nothing_is_on_the_shelf_of_an_image_that_lies(engine: Engine, registry: Hostile) -> None:
    registry.on(blob_path(IMAGE, "some/thing", 1), body(b"another layer"))
    with pytest.raises(WarpforgeError, match="refused"):
        engine.images.keep(called(registry), unpacked=True)
    ware = WareId("oci", IMAGE.id)
    assert not engine.supply.has(ware)


def test_one_image_asked_for_by_many_at_a_time_comes_once(engine: Engine, registry: Hostile) -> None:
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(engine.images.keep, called(registry), unpacked=True) for _ in range(4)]
    assert {future.result()[0] for future in asked} == {WareId("oci", IMAGE.id)}
    assert engine.store.shelf.find(WareId("oci", IMAGE.id)) is not None
    assert sum(call.path == blob_path(IMAGE, "some/thing") for call in registry.calls) == 1


def test_layers_of_several_images_come_once(engine: Engine, registry: Hostile) -> None:
    others = [Image(*(tar(member(name, os.urandom(99))) for name in names)) for names in ([b"a"], [b"b"])]
    for number, other in enumerate(others):
        other.layers[:0], other.diff_ids[:0] = IMAGE.layers, IMAGE.diff_ids
        other.blobs.update(IMAGE.blobs)
        offer(registry, other, f"some/thing{number}", "v1")
    names = [f"{host_of(registry)}/some/thing{number}:v1" for number in ("", 0, 1)]

    def asked() -> dict[str, int]:
        """How often each layer was asked for, in any repository."""
        digests = [call.path.rpartition("/")[2] for call in registry.calls if "/blobs/" in call.path]
        layers = {layer["digest"] for image in (IMAGE, *others) for layer in image.layers}
        return {digest: digests.count(digest) for digest in layers}

    with ThreadPoolExecutor(3) as pool:
        wares = [*pool.map(lambda name: engine.images.keep(parse_called(name, Path("/")))[0], names)]
    assert len(set(wares)) == 3 and set(asked().values()) == {1}
    digest, path, _ = next(found for found in engine.store.layers.all() if found[0] == IMAGE.layers[0]["digest"])
    os.chmod(path, 0o600)
    Path(path).write_bytes(b"spoilt")
    for ware in wares:
        path_of_ware = engine.store.warehouse.find(ware)
        assert path_of_ware is not None
        path_of_ware.unlink()
        engine.store.index.forget_ware(ware)
    assert engine.images.keep(parse_called(names[2], Path("/")))[0] == wares[2]
    assert {key: count for key, count in asked().items() if count > 1} == {digest: 2}


def test_layers_stay_with_their_images(engine: Engine, registry: Hostile) -> None:
    ware, _ = engine.images.keep(called(registry))
    plan = make_plan(engine.store, [Root(ware, "test")], Policy(now=0))
    assert plan.layers == []
    plan = make_plan(engine.store, [Root(ware, "test")], Policy(now=0, max_size=1))
    assert len(plan.layers) == len(IMAGE.layers)
    collect(engine.store, make_plan(engine.store, [], Policy(now=0)))
    assert [*engine.store.layers.all()] == []
