"""The first pull of an image from a registry on the loopback, until its tree stands ready for a box.

Ours proves its digests, packs its tree into the warehouse and puts it on the shelf, in a new workspace each time; the
peer copies it to a layout with skopeo and unpacks that with umoci. The images are those that set-up makes for tests.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench_row import SCRATCH, Row, compare, shell

from warpforge.engine.engine import Engine
from warpforge.engine.events import Reporter
from warpforge.engine.images import parse_called
from warpforge.fsx.remove import remove_tree
from warpforge.workspace.find import find_stack

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.places import find_server
from support.registry import image_registry

IMAGES = Path(sys.prefix) / "images/registry"
NAMES = ("postgres:15", "node:18")
ROUNDS = 5


def rows() -> Iterator[Row]:
    if not IMAGES.exists() or find_server("docker-registry") is None:
        print("without images or a registry to have them from: `make setup`", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="warpforge-bench-", dir=SCRATCH) as directory:
        base = Path(directory)
        with image_registry(base) as host:
            for name in NAMES:
                yield _first_pull(base, f"{host}/{name}")


def _first_pull(base: Path, image: str) -> Row:
    work = base / "work"

    def fresh() -> None:
        remove_tree(-100, str(work), missing_ok=True)
        (work / "workspace" / ".warpforge").mkdir(parents=True)
        (work / "workspace" / ".warpforge" / "root").touch()

    def ours() -> None:
        with Engine(find_stack(work / "workspace", None), Reporter()) as engine, engine.store.use():
            ware, _ = engine.images.keep(parse_called(image, work), unpacked=True)
            engine.supply.tree(ware)

    script = (
        f"skopeo copy -q --src-tls-verify=false docker://{image} oci:{work}/layout:it; "
        f"umoci unpack --rootless --image {work}/layout:it {work}/bundle"
    )
    name = f"first pull of {image.rpartition('/')[2]} to a tree"
    peer = "skopeo copy + umoci unpack", shell(script)
    return compare(name, ours, peer, budget=1.0, needs=["skopeo", "umoci"], rounds=ROUNDS, before=fresh)
