"""Look: which wares a plot's ``ingest:`` inputs would become, found out without writing anything into a store."""

from __future__ import annotations

import io
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from warpforge.engine.ingest import make_skip, open_archive, open_dir, read_ignore_file
from warpforge.errors import Missing
from warpforge.model.atoms import Ingest, WareId


class Looker:
    """Stands in for the Ingester where nothing may be written."""

    def ingest(self, what: Ingest, base: Path) -> WareId | Ingest:
        """The ware that an ingest would become; itself when only doing it would tell.

        Errors: ``missing``, ``git``, ``ware-invalid``, ``io``.
        """
        match what.kind:
            case "git":
                return _git(base / what.path, what.ref)
            case "dir":
                return _dir(base / what.path)
            case "tar":
                return _tar(base / what.path)
            case "literal":
                return _literal(what.path)
        return what


def _git(path: Path, ref: str) -> WareId:
    from warpforge.mirror.git import GitRemote

    source = Path(os.path.realpath(path))
    if not source.is_dir():
        raise Missing("missing", f"{path}: there is no such repository", path=path)
    with TemporaryDirectory(prefix="warpforge-look-") as scratch:
        return WareId("git", GitRemote.at(source).resolve(ref, Path(scratch, "git")))


def _dir(path: Path) -> WareId:
    from warpforge.fsx.tree import walk
    from warpforge.pack.filters import INGEST
    from warpforge.pack.packer import pack

    fd = open_dir(path)
    try:
        return pack(walk(fd, skip=make_skip(read_ignore_file(fd, path))), "ztar", INGEST).ware
    finally:
        os.close(fd)


def _tar(path: Path) -> WareId:
    from warpforge.pack.packer import scan

    with open_archive(path) as stream:
        return scan(stream, "tar").ware


def _literal(text: str) -> WareId:
    from warpforge.fsx.tree import Entry
    from warpforge.pack.filters import INGEST
    from warpforge.pack.packer import pack

    data = text.encode("utf-8", "surrogateescape")
    return pack([(Entry(b"", "f", 0o644, size=len(data)), io.BytesIO(data))], "ztar", INGEST).ware
