"""What the name of an image means: a catalog's, a locked one, what the registry said last, what it says now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.forge import member, tar
from support.hostile_http import Hostile, body
from support.images import INDEX, MANIFEST, Image, descriptor, dump
from support.registry import host_of, offer

from warpforge.catalog.edit import add_item
from warpforge.catalog.tree import Catalog
from warpforge.engine.engine import Engine
from warpforge.engine.events import Reporter
from warpforge.errors import Invalid, WarpforgeError
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.polytope.containers.image_names import ImageNames
from warpforge.polytope.containers.lockfile import NAME, LockFile
from warpforge.workspace.find import find_stack

OLD, NEW = (Image(tar(member(b"f", content))) for content in (b"old", b"new"))


@pytest.fixture
def registry() -> Iterator[Hostile]:
    with Hostile() as server:
        offer(server, OLD, "some/thing", "v1")
        yield server


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / ".warpforge").mkdir()
    (tmp_path / ".warpforge" / "root").touch()
    with Engine(find_stack(tmp_path, None), Reporter()) as engine, engine.store.use():
        yield engine


def names(engine: Engine, directory: Path) -> ImageNames:
    return ImageNames(engine, LockFile(directory / NAME), directory)


def lock(engine: Engine, directory: Path, name: str, *, update: bool = False) -> bool:
    file = LockFile(directory / NAME)
    changed = ImageNames(engine, file, directory).lock(name, update=update)
    file.save()
    return changed


def test_a_tag_means_what_it_meant_until_it_is_to_be_updated(engine: Engine, registry: Hostile, tmp_path: Path) -> None:
    name = f"{host_of(registry)}/some/thing:v1"
    assert names(engine, tmp_path).find(name).hash == OLD.id
    offer(registry, NEW, "some/thing", "v1")
    asked = len(registry.calls)
    assert names(engine, tmp_path).find(name).hash == OLD.id
    assert len(registry.calls) == asked
    assert names(engine, tmp_path).find(name, update=True).hash == NEW.id
    assert names(engine, tmp_path).find(name).hash == NEW.id


def test_what_is_locked_stays_so_whatever_the_registry_says(engine: Engine, registry: Hostile, tmp_path: Path) -> None:
    name = f"{host_of(registry)}/some/thing:v1"
    assert lock(engine, tmp_path, name)
    said = json.loads((tmp_path / NAME).read_text())["polytope.lock.v1"]["images"]
    assert said == {name: {"digest": f"sha256:{OLD.id}", "wares": {"linux/amd64": f"oci:{OLD.id}"}}}
    offer(registry, NEW, "some/thing", "v1")
    assert not lock(engine, tmp_path, name)
    assert names(engine, tmp_path).find(name, update=True).hash == OLD.id
    assert lock(engine, tmp_path, name, update=True)
    assert names(engine, tmp_path).find(name).hash == NEW.id


def test_an_index_is_locked_for_every_platform(engine: Engine, registry: Hostile, tmp_path: Path) -> None:
    platform = {"platform": {"os": "linux", "architecture": "amd64"}}
    manifest = OLD.manifest()
    index = dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(manifest, MANIFEST, **platform)]})
    digest = descriptor(index, INDEX)["digest"]
    for what in ("many", digest):
        registry.on(f"/v2/some/thing/manifests/{what}", body(index, f"Content-Type: {INDEX}"))
    name = f"{host_of(registry)}/some/thing:many"
    lock(engine, tmp_path, name)
    assert LockFile(tmp_path / NAME).images[name].digest == digest
    assert names(engine, tmp_path).find(name).hash == OLD.id


def test_a_registry_that_lies_is_refused(engine: Engine, registry: Hostile, tmp_path: Path) -> None:
    name = f"{host_of(registry)}/some/thing:v1"
    lock(engine, tmp_path, name)
    registry.on(f"/v2/some/thing/manifests/sha256:{OLD.id}", body(NEW.manifest(), f"Content-Type: {MANIFEST}"))
    with pytest.raises(WarpforgeError) as caught:
        names(engine, tmp_path).find(name)
    assert caught.value.chain()[-1].code.endswith("ware-mismatch")


def test_a_catalog_comes_first(engine: Engine, registry: Hostile, tmp_path: Path) -> None:
    ware = names(engine, tmp_path).find(f"{host_of(registry)}/some/thing:v1")
    catalog = tmp_path / ".warpforge" / "catalogs" / "own"
    catalog.mkdir(parents=True)
    add_item(Catalog(catalog), CatalogRef("example.org/some/thing", "v9", "image"), ware)
    assert names(engine, tmp_path).find("example.org/some/thing:v9") == ware
    lock = LockFile(tmp_path / "polytope.lock")
    assert ImageNames(engine, lock, tmp_path).lock("example.org/some/thing:v9", update=False)
    assert lock.images["example.org/some/thing:v9"].digest == f"sha256:{ware.hash}"


def test_a_lock_file_that_makes_no_sense(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"polytope.lock.v1": {"images": {"a": {"digest": 1, "wares": {"x": "no"}}}}}'):
        (tmp_path / NAME).write_text(text)
        with pytest.raises(Invalid) as caught:
            LockFile(tmp_path / NAME)
        assert caught.value.reason == "lock"


def test_wares_of_a_lock_file_are_what_they_say(tmp_path: Path) -> None:
    file = LockFile(tmp_path / NAME)
    assert file.put("b", "sha256:1", "linux/arm64", WareId("oci", "1" * 64))
    assert file.put("a", "sha256:2", "linux/amd64", WareId("oci", "2" * 64))
    assert file.put("b", "sha256:1", "linux/amd64", WareId("oci", "3" * 64))
    file.save()
    again = LockFile(tmp_path / NAME)
    assert list(again.images) == ["a", "b"]
    assert [*again.images["b"].wares] == ["linux/amd64", "linux/arm64"]
    assert again.put("b", "sha256:9", "linux/amd64", WareId("oci", "4" * 64))
    assert [*again.images["b"].wares] == ["linux/amd64"]
