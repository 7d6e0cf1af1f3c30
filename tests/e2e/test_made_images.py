"""The images that set-up makes from Debian packages, as a registry gives them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.registry import image_registry
from support.umoci import need_tools, skopeo


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    need_tools()
    with image_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


def test_they_share_their_base_and_every_blob_is_what_its_digest_says(registry: str, tmp_path: Path) -> None:
    layers = {}
    for name in ("debian:12", "postgres:15", "nginx:1.22", "python:3.11", "node:18"):
        manifest = json.loads(skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{registry}/{name}"))
        layers[name] = [layer["digest"] for layer in manifest["layers"]]
    base = layers.pop("debian:12")
    assert all(found[0] == base[0] and len(found) == 2 for found in layers.values())
    # skopeo compares every blob with its digest
    skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{registry}/nginx:1.22", f"oci:{tmp_path}/nginx")
