"""``make replay``: everything in ``catalogs/`` that has a replay is built again, and has the published hash.

1. What nobody builds is had: packages through pip, by version and sha256, and directories of this project. The
   catalog's metadata says which, and each must have the WareId that the catalog says.
2. In a new workspace, with nothing else in it, ``warpforge replay --all``: whatever a replay takes and is not there is
   built by its own replay first.

ARGS names modules instead of all of them. The exit status is 1 when anything differs.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from packages import DOWNLOADS, PROJECT, Download, fetch
from places import WARPFORGE, Refused, Workspace

from warpforge.catalog.tree import Catalog
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.catalog import Release
from warpforge.model.plot import Plot
from warpforge.plan.refs import refs

CATALOGS = PROJECT / "catalogs"
SHIPPED = ("warpforge",)


class Shipped:
    """The releases of the shipped catalogs, by module and name."""

    def __init__(self) -> None:
        self.releases: dict[tuple[str, str], Release] = {}
        self._replays: dict[tuple[str, str], Plot] = {}
        for catalog in (Catalog(CATALOGS / name) for name in SHIPPED):
            for module, name, release in catalog.releases():
                self.releases[module, name] = release
                if release.replay is not None:
                    plot = catalog.replay(module, release.replay)
                    assert plot is not None
                    self._replays[module, name] = plot

    def built(self, modules: list[str]) -> set[str]:
        """Every item that a replay builds, of these modules, or of all."""
        return {
            f"{module}:{name}:{item}"
            for module, name in self._replays
            for item in self.releases[module, name].items
            if not modules or module in modules
        }

    def given(self, modules: list[str]) -> Iterator[tuple[str, str, WareId, Release]]:
        """Every item that nobody builds and that replays of these modules take, by way of others, too."""
        waiting = [key for key in self.releases if not modules or key[0] in modules]
        seen = set(waiting)
        for key in waiting:  # it grows meanwhile
            if key in self._replays:
                taken = {(ref.module, ref.release) for ref in refs(self._replays[key]) if isinstance(ref, CatalogRef)}
                waiting += sorted(taken - seen)
                seen |= taken
            else:
                release = self.releases[key]
                yield from ((key[0], item, ware, release) for item, ware in release.items.items())


def supply(workspace: Workspace, module: str, item: str, ware: WareId, release: Release) -> None:
    """Put into the workspace what no replay gives."""
    name = f"{module}:{release.name}:{item}"
    said = release.metadata
    if directory := said.get(f"directory.{item}"):
        found = workspace.get("ware", "pack", "--filters", "mode=canonical", PROJECT / directory)
        if found != str(ware):
            raise Refused(f"{directory} is {found}, and {name} is {ware}: see scripts/publish.py")
    else:
        download = Download(said["package"], release.name, said["file"], said["sha256"])
        path = fetch(DOWNLOADS, download)[download]
        workspace.call("ware", "fetch", str(ware), f"file://{path}")
    print(f"   {name} is there", flush=True)


def replay(workspace: Workspace, modules: list[str]) -> list[dict[str, str]]:
    """The verdicts, told as they come."""
    command: list[str | Path] = [WARPFORGE, "--json", "replay", *(modules or ["--all"]), "--offline"]
    found: list[dict[str, str]] = []
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen(
            command, cwd=workspace.root, env=workspace.environment, stdout=subprocess.PIPE, stderr=said, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if (verdict := json.loads(line).get("verdict")) is not None:
                    found.append(verdict)
                    tell(verdict, time.monotonic() - begun)
        if process.returncode not in (0, 1) or not found:
            said.seek(0)
            raise Refused(f"warpforge replay exited with {process.returncode}\n{said.read()[-4000:]}")
    return found


def tell(verdict: dict[str, str], seconds: float) -> None:
    print(f"   {verdict['verdict']:<10}{verdict['ref']}  {seconds:.0f} s", flush=True)
    for why in verdict.get("why", []):
        print(f"             {why}", flush=True)


def main(modules: list[str]) -> int:
    if platform.machine() != "x86_64":
        print(f"replay: the compilers in catalogs/ are for x86_64, this is {platform.machine()}", file=sys.stderr)
        return 1
    shipped = Shipped()
    wanted = shipped.built(modules)
    with tempfile.TemporaryDirectory(prefix="warpforge-replay-") as base:
        workspace = Workspace(Path(base))
        for name in SHIPPED:
            shutil.copytree(CATALOGS / name, workspace.root / ".warpforge" / "catalogs" / name)
        print("1  What nobody builds", flush=True)
        for one in shipped.given(modules):
            supply(workspace, *one)
        print(f"2  {len(wanted)} items are built again, from those alone", flush=True)
        found = replay(workspace, modules)
    same = {verdict["ref"] for verdict in found if verdict["verdict"] == "same"}
    if same != wanted:
        print(f"replay: not the same: {', '.join(sorted(wanted ^ same))}", file=sys.stderr)
        return 1
    print(f"All {len(same)} have the published hashes.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, RuntimeError) as error:
        sys.exit(f"replay: {error}")
