"""Write ``catalogs/warpforge`` anew: packages and sources get their names, and every module of ``catalogs/modules`` is
built in a box and released. For whoever changes one of them; ``make replay`` then says whether others get the same.

What only has a name says in its release's metadata where it comes from: ``package`` and ``file`` with its ``sha256``
(the version is the release), or ``directory.ITEM``, a directory of this project.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from msgspec.structs import replace
from packages import DOWNLOADS, PACKAGES, PROJECT, Download, fetch
from places import Workspace

from warpforge.catalog.edit import edit
from warpforge.catalog.tree import Catalog

SHIPPED = PROJECT / "catalogs" / "warpforge"
MODULES = PROJECT / "catalogs" / "modules"
SOURCES = {
    "tool": "catalogs/sources/tool",
    "zst": "catalogs/sources/zst",
    "zopfli": "catalogs/sources/zopfli",
    "js": "catalogs/sources/js",
    "lmdb-demo": "fixtures/lmdb/driver",
}
# in this order: each takes what stands before it
RELEASES = [
    ("zig", "v0.13.0", "MIT"),
    ("tool", "v1", "Apache-2.0"),
    ("lmdb", "v0.9.31", "OLDAP-2.8"),
    ("brotli", "v1.1.0", "MIT"),
    ("zstd", "v1.5.6", "BSD-3-Clause OR GPL-2.0-only"),
    ("zst", "v1", "Apache-2.0"),
    ("zopfli", "v1", "Apache-2.0"),
    ("cmark", "v0.29.0.gfm.13", "BSD-2-Clause"),
    ("js", "v1", "Apache-2.0"),
    ("lmdb-demo", "v1", "Apache-2.0"),
    ("page", "v1", "Apache-2.0"),
]


def name_package(workspace: Workspace, catalog: Catalog, download: Download, path: Path) -> None:
    module = f"warpforge.packages/{download.package.lower()}"
    kind, item = ("zip", "wheel") if download.file.endswith(".whl") else ("tar", "sdist")
    workspace.call("catalog", "-n", catalog.name, "add", kind, f"{module}:{download.version}:{item}", path)
    more = {"package": download.package, "file": download.file, "sha256": download.sha256}
    more["purl"] = f"pkg:pypi/{download.package.lower()}@{download.version}"
    add_metadata(catalog, module, download.version, more)


def name_sources(workspace: Workspace, catalog: Catalog) -> None:
    module = "warpforge.demo/sources"
    for item, directory in SOURCES.items():
        workspace.call("catalog", "-n", catalog.name, "add", "dir", f"{module}:v1:{item}", PROJECT / directory)
    more = {f"directory.{item}": directory for item, directory in SOURCES.items()}
    add_metadata(catalog, module, "v1", {**more, "license": "Apache-2.0"})


def add_metadata(catalog: Catalog, module: str, name: str, more: dict[str, str]) -> None:
    with edit(catalog, module) as changed:
        release = changed.release(name)
        assert release is not None
        changed.put_release(replace(release, metadata={**release.metadata, **more}))


def main() -> int:
    files = fetch(DOWNLOADS, *PACKAGES)
    with tempfile.TemporaryDirectory(prefix="warpforge-publish-") as base:
        workspace = Workspace(Path(base))
        workspace.call("catalog", "init", SHIPPED.name)
        catalog = Catalog(workspace.root / ".warpforge" / "catalogs" / SHIPPED.name)
        for download, path in files.items():
            name_package(workspace, catalog, download, path)
        name_sources(workspace, catalog)
        shutil.copytree(MODULES, workspace.root / "modules")
        for module, name, license_ in RELEASES:
            print(f"{module} {name} ...", flush=True)
            release = ("release", "-m", f"license={license_}", name, f"modules/{module}")
            print(workspace.get("catalog", "-n", catalog.name, *release), flush=True)
        shutil.rmtree(SHIPPED, ignore_errors=True)
        shutil.copytree(catalog.path, SHIPPED, ignore=shutil.ignore_patterns(".*"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
