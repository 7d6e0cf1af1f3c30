"""A workspace for polytope files whose image is here, and named by its digest."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from . import images
from .rootfs import make_rootfs
from .world import World


def pinned_world(base: Path, polytope: str) -> tuple[World, str]:
    """The workspace, with ``polytope.yml`` and a list at src/list; and the image's name, which ``polytope`` spells
    IMAGE."""
    made = World(base / "world")
    made.root_workspace()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(make_rootfs(base / "rootfs"), arcname=".")
    image = images.Image(packed.getvalue(), packed="none", Env=["PATH=/bin"], Cmd=["/bin/sh"])
    made.run("ware", "fetch", images.write_files(images.layout([(image, {})]), base / "layout"))
    name = f"example.org/base@sha256:{image.id}"
    made.write("polytope.yml", polytope.replace("IMAGE", name))
    made.write("src/list", "b\na\n")
    return made, name
