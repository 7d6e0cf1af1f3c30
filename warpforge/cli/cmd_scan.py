"""``warpforge ware scan``: the id of an archive, of a ware that is here, or of a commit; nothing is stored."""

from __future__ import annotations

import os

import click

from warpforge.cli.app import WARE, Command, Common, pass_common
from warpforge.cli.cmd_ware import FILTERS, GUESSED, PLATFORM, guess_packtype, named, open_archive, opened, tell_ware
from warpforge.cli.conduct import CATALOG_AT
from warpforge.cli.units import MAX_UNPACKED
from warpforge.errors import Unable
from warpforge.model.atoms import WareId


@click.command(cls=Command, name="scan")
@click.argument("source", metavar=f"FILE|ADDR|{WARE}")
@GUESSED
@FILTERS
@MAX_UNPACKED
@PLATFORM
@CATALOG_AT
@pass_common
def scan(common: Common, source: str, packtype: str | None, filters: str, platform: str) -> None:
    """Print the WareId of an archive, in any compression; nothing is stored. FILE may be - for standard input.

    Without -t an archive in our own packed form is a ztar, a zip is a zip, any other a tar. A ware is fetched if
    need be and read anew. A git repository (git+https://..., or any with -t git) has the id of a commit: of its HEAD,
    or of what is named behind a #. With -t oci it is an image, as for ware pack; all of its layers are read.
    """
    if packtype == "oci" and source != "-":
        from warpforge.cli.imaging import scan_image

        tell_ware(common, scan_image(common, source, platform, filters))
    elif packtype == "git" or source.startswith("git+"):
        tell_ware(common, scan_repository(common, *_split_ref(source)))
    elif ":" in source and "//" not in source and not os.path.lexists(source):
        tell_ware(common, _scan_ware(common, source, filters))
    else:
        tell_ware(common, _scan_archive(common, source, packtype, filters))


def scan_repository(common: Common, address: str, ref: str) -> WareId:
    """The commit that a ref names in a repository, which must give it. Errors: ``git``, ``fetch``."""
    from warpforge.fsx.scratch import scratch
    from warpforge.mirror.git import GitRemote

    remote = GitRemote.of(repository_address(address), common.settings.access())
    with scratch() as work:
        found = WareId("git", remote.resolve(ref, work / "git"))
    if not remote.has(found):
        raise Unable("git", f"{remote.name}: {ref!r} is no commit", reason="ref", ref=ref, address=remote.name)
    return found


def repository_address(text: str) -> str:
    """A URL as it is; a directory of this machine as one."""
    if "://" in text:
        return text
    from urllib.parse import quote

    return "file://" + quote(os.fsencode(os.path.abspath(text)))


def _split_ref(source: str) -> tuple[str, str]:
    address, _, ref = source.partition("#")
    return address, ref or "HEAD"


def _scan_ware(common: Common, what: str, filters: str) -> WareId:
    """A ware's own id is what is found, for one whose id no tree gives again as long as its dual id is right."""
    from warpforge.errors import Failed
    from warpforge.pack.filters import SCAN
    from warpforge.pack.packer import scan

    chosen = SCAN.parse(filters)
    with opened(common) as engine, engine.store.use():
        ware = named(common, engine, what)
        at_rest, expect = engine.supply.at_rest(ware)
        with engine.supply.packed(ware) as packed:
            found = scan(packed, at_rest, chosen, limits=engine.supply.limits_of(ware)).ware
    if at_rest == ware.packtype or chosen != SCAN:
        return found
    if found != expect:
        raise Failed("ware-mismatch", f"{ware} has the tree {found}, not {expect}", expected=expect, actual=found)
    return ware


def _scan_archive(common: Common, source: str, packtype: str | None, filters: str) -> WareId:
    from warpforge.engine.bounds import read_limits
    from warpforge.pack.filters import SCAN
    from warpforge.pack.packer import scan
    from warpforge.workspace.find import find_stack

    chosen = SCAN.parse(filters)
    limits = read_limits(find_stack(common.settings.cwd, common.settings.home), common.max_unpacked)
    with open_archive(common, source) as stream:
        return scan(stream, packtype or guess_packtype(stream), chosen, limits=limits).ware
