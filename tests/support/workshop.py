"""An engine in this process over a workspace of its own, with one image: a busybox called ``base``."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from support import images
from support.rootfs import make_rootfs
from warpforge.engine.engine import Engine
from warpforge.engine.events import Reporter
from warpforge.engine.images import parse_called
from warpforge.engine.options import Options
from warpforge.errors import Missing
from warpforge.model.atoms import WareId
from warpforge.workspace.find import find_stack


class Workshop(NamedTuple):
    """``known``: what the names of images mean."""

    root: Path
    engine: Engine
    known: dict[str, WareId]

    def find_image(self, name: str) -> WareId:
        if name not in self.known:
            raise Missing("missing", f"there is no image {name}", image=name)
        return self.known[name]


@contextmanager
def workshop(root: Path, reporter: Reporter) -> Iterator[Workshop]:
    (root / ".warpforge").mkdir(parents=True)
    (root / ".warpforge" / "root").touch()
    tree = make_rootfs(root / "rootfs")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(tree, arcname=".")
    image = images.Image(packed.getvalue(), packed="none", Env=["PATH=/bin", "BASE=1"], Cmd=["/bin/sh"])
    layout = images.write_files(images.layout([(image, {})]), root / "base")
    with Engine(find_stack(root, None), reporter, Options(jobs=2)) as engine:
        with engine.store.use():
            ware, _ = engine.images.keep(parse_called(str(layout), Path("/")), unpacked=True)
        yield Workshop(root, engine, {"base": ware})
