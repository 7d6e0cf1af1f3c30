"""Images in files: which one is meant, what is verified, and what is no image that can be read."""

from __future__ import annotations

import gzip
import io
import json
import random
from typing import Any

import pytest
from support import forge
from support.forge import member, tar
from support.images import INDEX, LAYER, MANIFEST, Image, archive, digest, dump, layout, saved, tar_files
from support.mutation import mend, mutate

from warpforge.errors import WarpforgeError
from warpforge.model.atoms import WareId
from warpforge.pack.image import Platform
from warpforge.pack.limits import DEFAULT
from warpforge.pack.oci import Oci
from warpforge.pack.packer import Sum, manifest, scan

ONE = tar(member(b"one", b"1"))
TWO = tar(member(b"two", b"2"))


def read(files: dict[str, bytes], tag: str = "", platform: str = "") -> Sum:
    from warpforge.pack.filters import SCAN

    wanted = Platform.parse(platform) if platform else Platform.parse("amd64")
    return Oci(tag, wanted).scan(io.BytesIO(tar_files(files)), SCAN, DEFAULT)


def refusal(files: dict[str, bytes], tag: str = "", platform: str = "") -> tuple[str, str]:
    with pytest.raises(WarpforgeError) as caught:
        read(files, tag, platform)
    return caught.value.code.removeprefix("warpforge-error-"), caught.value.reason


def test_the_id_is_the_manifests() -> None:
    image = Image(ONE, TWO)
    assert read(layout([(image, {})])).ware == WareId("oci", image.id)


@pytest.mark.parametrize("packed", ["none", "gzip", "zstd"])
def test_layers_in_any_compression_give_the_same_tree(packed: str) -> None:
    found = read(layout([(Image(ONE, TWO, packed=packed), {})]))
    assert found.dual == scan(io.BytesIO(archive(ONE, TWO)), "oci").dual


def test_a_layer_with_frames_that_any_reader_passes_over() -> None:
    image = Image(ONE, packed="zstd")
    plain = forge.skippable(b"before", 0x184D2A50) + forge.zstd(ONE) + forge.skippable(b"a manifest of chunks")
    image.layers = [image.put(plain, f"{LAYER}+zstd")]
    assert read(layout([(image, {})])).unpacked_bytes == 1


def two_platforms() -> tuple[Image, Image]:
    one, two = Image(ONE), Image(TWO)
    two.about.update({"architecture": "arm64", "variant": "v8"})
    return one, two


def platform(architecture: str, **more: str) -> dict[str, Any]:
    return {"platform": {"os": "linux", "architecture": architecture, **more}}


def test_an_index_is_resolved_to_one_platform() -> None:
    one, two = two_platforms()
    files = layout([(one, platform("amd64")), (two, platform("arm64", variant="v8"))])
    assert read(files).ware.hash == one.id
    assert read(files, platform="linux/arm64").ware.hash == two.id
    assert read(files, platform="linux/arm64/v8").ware.hash == two.id
    assert refusal(files, platform="linux/s390x") == ("missing", "")
    assert refusal(layout([(one, {})]), platform="arm64") == ("missing", "")


def test_an_index_may_stand_in_an_index_but_not_for_ever() -> None:
    image = Image(ONE)
    files = layout([(image, platform("amd64"))])
    for _ in range(3):
        inner = files["index.json"]
        files[f"blobs/{digest(inner).replace(':', '/')}"] = inner
        files["index.json"] = dump({"schemaVersion": 2, "manifests": [image.put(inner, INDEX, **platform("amd64"))]})
    assert read(files).ware.hash == image.id
    inner = files["index.json"]
    files[f"blobs/{digest(inner).replace(':', '/')}"] = inner
    files["index.json"] = dump({"schemaVersion": 2, "manifests": [image.put(inner, INDEX)]})
    assert refusal(files) == ("ware-limit", "depth")


def test_images_by_their_names() -> None:
    one, two = Image(ONE), Image(TWO)
    names = [{"annotations": {"org.opencontainers.image.ref.name": name}} for name in ("v1", "example.org/x:v2")]
    files = layout([(one, names[0]), (two, names[1])])
    assert read(files, "v1").ware.hash == one.id
    assert read(files, "v2").ware.hash == two.id
    assert read(files, f"sha256:{two.id}").ware.hash == two.id
    assert refusal(files, "v3") == ("missing", "")
    assert refusal(files) == ("missing", "")


def test_what_docker_save_wrote() -> None:
    image = Image(ONE, TWO)
    files = saved(image, (ONE, TWO), "example/x:v1")
    found = read(files)
    assert found.dual == scan(io.BytesIO(archive(ONE, TWO)), "oci").dual
    assert found.ware == read(files, "example/x:v1").ware
    assert found.ware == read({**files, "0/layer.tar": gzip.compress(ONE)}).ware, "packed layers are unpacked"
    assert refusal(files, "example/x:v2") == ("missing", "")
    assert refusal({**files, "0/layer.tar": TWO}) == ("ware-mismatch", "hash")


def test_layers_of_docker_save_may_be_links_to_each_other() -> None:
    files = saved(Image(ONE, ONE), (ONE, ONE), "x")
    del files["1/layer.tar"]
    data = forge.tar(
        *(forge.member(path.encode(), content) for path, content in files.items()),
        forge.symlink(b"1/layer.tar", b"../0/layer.tar"),
    )
    assert [line.entry.path for line in manifest(io.BytesIO(data), "oci")] == [b"", b"one"]
    loop = forge.tar(forge.symlink(b"manifest.json", b"manifest.json"))
    with pytest.raises(WarpforgeError):
        scan(io.BytesIO(loop), "oci")


def test_an_archive_in_any_compression() -> None:
    plain = archive(ONE)
    ids = {scan(io.BytesIO(data), "oci").ware for data in (plain, gzip.compress(plain), forge.zstd(plain))}
    assert len(ids) == 1


@pytest.mark.parametrize(
    "kind",
    [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
        "",
    ],
)
def test_layers_that_are_not_read(kind: str) -> None:
    image = Image(ONE)
    image.layers[0]["mediaType"] = kind
    assert refusal(layout([(image, {})])) == ("ware-invalid", "type")


def test_what_is_no_image() -> None:
    image = Image(ONE)
    manifest = json.loads(image.manifest())
    helm = {**manifest, "config": {**manifest["config"], "mediaType": "application/vnd.cncf.helm.config.v1+json"}}
    for document, refused in (
        (helm, ("ware-invalid", "type")),
        ({"schemaVersion": 1, "fsLayers": []}, ("ware-invalid", "type")),
        ({**manifest, "mediaType": INDEX}, ("ware-invalid", "type")),
        ({**manifest, "manifests": []}, ("ware-corrupt", "")),
        ({**manifest, "layers": {}}, ("ware-corrupt", "")),
        ({**manifest, "layers": [{"mediaType": LAYER, "digest": "md5:1", "size": 1}]}, ("ware-corrupt", "")),
        ({**manifest, "layers": [{**manifest["layers"][0], "size": -1}]}, ("ware-corrupt", "")),
        ({**manifest, "layers": [{**manifest["layers"][0], "size": True}]}, ("ware-corrupt", "")),
        ({**manifest, "layers": manifest["layers"] * 1025}, ("ware-limit", "entries")),
        ([], ("ware-corrupt", "")),
        ({}, ("ware-corrupt", "")),
    ):
        files = layout([(image, {})])
        data = dump(document)
        files[f"blobs/{digest(data).replace(':', '/')}"] = data
        files["index.json"] = dump({"schemaVersion": 2, "manifests": [image.put(data, MANIFEST)]})
        assert refusal(files) == refused, document
    assert refusal({"hello": b"x"}) == ("ware-invalid", "type")


@pytest.mark.parametrize(
    "text", [b"{", b'{"a":1,"a":2}', b"[" * 100_000, b'{"a":NaN}', b"\xff", b"{" + b" " * (5 << 20)]
)
def test_an_index_that_is_no_json(text: bytes) -> None:
    assert refusal({"oci-layout": b"{}", "index.json": text})[0] in ("ware-corrupt", "ware-limit")


def change(image: Image, part: str) -> dict[str, bytes]:
    """A layout of which one blob was changed, under its old name."""
    files = layout([(image, {})])
    name = {"manifest": f"sha256:{image.id}", "config": digest(image.config()), "layer": image.layers[0]["digest"]}[
        part
    ]
    path = f"blobs/{name.replace(':', '/')}"
    other = {"manifest": Image(TWO).manifest(), "config": Image(TWO).config(), "layer": gzip.compress(TWO, mtime=0)}
    return {**files, path: other[part]}


@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
def test_every_blob_is_compared_with_its_digest(part: str) -> None:
    assert refusal(change(Image(ONE), part)) == ("ware-mismatch", "hash")


def test_a_blob_is_as_long_as_it_says() -> None:
    image = Image(ONE, packed="none")
    path = f"blobs/{image.layers[0]['digest'].replace(':', '/')}"
    files = layout([(image, {})])
    assert refusal({**files, path: files[path] + bytes(512)}) == ("ware-mismatch", "hash")
    assert refusal({**files, path: files[path][:512]}) == ("ware-mismatch", "hash")
    del files[path]
    assert refusal(files)[0] == "ware-corrupt"


def test_unpacked_layers_are_compared_with_the_config() -> None:
    image = Image(ONE)
    image.diff_ids = [digest(TWO)]
    assert refusal(layout([(image, {})])) == ("ware-corrupt", "")
    image.diff_ids = [digest(ONE), digest(TWO)]
    assert refusal(layout([(image, {})])) == ("ware-corrupt", "")


def test_a_file_that_comes_twice_in_an_archive() -> None:
    files = layout([(Image(ONE), {})])
    twice = forge.tar(
        *(forge.member(path.encode(), data) for path, data in files.items()), forge.member(b"index.json", b"{}")
    )
    with pytest.raises(WarpforgeError) as caught:
        scan(io.BytesIO(twice), "oci")
    assert caught.value.reason == "duplicate"


@pytest.mark.parametrize("text", ["linux", "linux/amd64", "linux/arm/v7"])
def test_platforms(text: str) -> None:
    assert str(Platform.parse(text)).startswith("linux/")
    for wrong in ("", "a/b/c/d", "linux/", "linux/a b"):
        with pytest.raises(WarpforgeError):
            Platform.parse(wrong)


def test_archives_changed_at_random() -> None:
    """Whatever comes is an image or is refused with words, and what is accepted is the same image."""
    whole = tar_files(layout([(Image(ONE, TWO), {})])), tar_files(saved(Image(ONE, TWO), (ONE, TWO), "x"))
    ids = [scan(io.BytesIO(data), "oci").ware for data in whole]
    accepted = 0
    for number in range(400):
        rng = random.Random(number)
        data = mend(mutate(rng.choice(whole), rng, list(whole)), rng)
        try:
            found = scan(io.BytesIO(data), "oci", limits=DEFAULT.allowing(32 << 20))
        except WarpforgeError as error:
            code = error.code.removeprefix("warpforge-error-")
            assert code in ("ware-corrupt", "ware-invalid", "ware-limit", "ware-mismatch", "missing"), (number, code)
            continue
        accepted += 1
        assert found.ware in ids, number
    assert accepted > 5
