"""``warpforge ware``: pack, scan, unpack and show wares."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import click

from warpforge.cli.app import WARE, Common, Group, pass_common, refuse_argument, to_json
from warpforge.cli.conduct import ALLOW_HAZARD, CATALOG_AT
from warpforge.cli.units import MAX_UNPACKED
from warpforge.errors import Missing, Unable
from warpforge.model.atoms import WarehouseAddr, WareId

if TYPE_CHECKING:
    from pathlib import Path

    from warpforge.engine.engine import Engine
    from warpforge.fsx.tree import Entry
    from warpforge.pack.manifest import Line

SEEKABLE = bytes.fromhex("b1ea928f")  # the last bytes of a zstd file with a seek table
ZIP = b"PK\3\4"  # the first ones of a zip
PACKTYPE = click.option(
    "--packtype",
    "-t",
    default="ztar",
    show_default=True,
    metavar="PACKTYPE",
    help="tar, zip, ztar or oci.",
)
GUESSED = click.option(
    "--packtype", "-t", metavar="PACKTYPE", help="tar, zip, ztar or oci; guessed from the archive's form, but for oci."
)
PLATFORM = click.option("--platform", metavar="OS/ARCH", default="", help="Which one of an image's platforms.")
FILTERS = click.option("--filters", metavar="K=V,...", default="", help="uid gid mtime sticky setid dev mode.")
LAZY = {
    "cat": ("warpforge.cli.cmd_look:cat", "Write one file of a ware, reading as little of the rest as can be."),
    "diff": ("warpforge.cli.cmd_look:diff", "Tell what differs between two trees."),
    "export": ("warpforge.cli.cmd_export:export", "Make an image, a tar or a directory of a ware, for other tools."),
    "image": ("warpforge.cli.cmd_export:image", "Print what the image of an oci ware says besides its tree."),
    "ls": ("warpforge.cli.cmd_look:ls", "List what a ware holds."),
    "origin": ("warpforge.cli.cmd_look:origin", "Tell from where the parts of a ware came."),
    "pin": ("warpforge.cli.cmd_pin:pin", "Keep a ware: garbage collection leaves it."),
    "scan": ("warpforge.cli.cmd_scan:scan", "Print the WareId of an archive; nothing is stored."),
    "unpin": ("warpforge.cli.cmd_pin:unpin", "Let go of a pin."),
}


@click.group(cls=Group, name="ware", lazy=LAZY, no_args_is_help=True)
def ware() -> None:
    """Wares: file trees named by their hash."""


@ware.command("pack")
@click.argument("directory", metavar="DIR|IMAGE")
@PACKTYPE
@FILTERS
@PLATFORM
@click.option("--to", metavar="ADDR", help="Also push it there: a directory, file:///... or ca+file:///...")
@pass_common
def pack_(common: Common, directory: str, packtype: str, filters: str, to: str | None, platform: str) -> None:
    """Pack DIR (or one file) into the warehouse and print its WareId.

    With -t oci it is an image: HOST/NAME:TAG in a registry, an OCI layout's directory, or what docker save writes.
    """
    if packtype == "oci":
        from warpforge.cli.imaging import keep_image

        if filters or to is not None:
            refuse_argument("an image is kept as it is: -t oci takes neither --filters nor --to")
        tell_ware(common, keep_image(common, directory, platform)[0])
        return
    from warpforge.engine.keep import keep_tree
    from warpforge.fsx.tree import walk
    from warpforge.pack.filters import OUTPUT
    from warpforge.pack.packer import get_packer, pack

    if not get_packer(packtype).recomputes:
        pack([], packtype)  # says what to do instead
    chosen = OUTPUT.parse(filters)
    if not os.path.lexists(directory):
        raise Missing("missing", f"{directory}: there is nothing to pack", path=directory)
    with opened(common) as engine, engine.store.use():
        parent, name = os.path.split(os.path.realpath(directory))
        with _directory(parent, directory) as fd:
            made = keep_tree(engine.store, walk(fd, os.fsencode(name or ".")), packtype, chosen)
    if to is not None:
        _push(common, made, to)
    tell_ware(common, made)


@ware.command("unpack")
@click.argument("what", metavar=WARE)
@click.option("--path", metavar="DIR", default=".", help="Where to put it; default: the working directory.")
@click.option("--force", is_flag=True, help="Replace what is there: the contents of an existing directory are lost.")
@FILTERS
@MAX_UNPACKED
@CATALOG_AT
@ALLOW_HAZARD
@pass_common
def unpack_(common: Common, what: str, path: str, filters: str, *, force: bool) -> None:
    """Put the tree of a ware into a directory; one that is not empty is refused without --force."""
    from warpforge.cli.placing import place
    from warpforge.pack.filters import INPUT

    chosen = INPUT.parse(filters or ("uid=mine,gid=mine" if os.geteuid() else ""))
    with opened(common) as engine, engine.store.use():
        place(engine, named(common, engine, what, use=True), path, chosen, force=force)


@ware.command("push")
@click.argument("what", metavar=WARE)
@click.argument("address", metavar="ADDR")
@click.option("--force", is_flag=True, help="Push it also if it is there already.")
@CATALOG_AT
@pass_common
def push_(common: Common, what: str, address: str, *, force: bool) -> None:
    """Put a ware on a mirror: a directory, file:///..., ca+file:///..., s3://..., ca+s3://..., oci://HOST/NAME[:TAG]

    A tar ware goes as the gzip tar that clients of the original read.
    """
    from warpforge.cli.cmd_mirror import parse_address
    from warpforge.cli.moving import moving
    from warpforge.mirror.protocol import shown

    goal = parse_address(address)
    with moving(common) as moves:
        ware_id = moves.names.ware(what)
        moves.say(ware_id, moves.transfer.push(ware_id, goal, force=force), shown(goal))


@ware.command("fetch")
@click.argument("what", metavar=f"{WARE}|IMAGE")
@click.argument("address", metavar="[ADDR]", required=False)
@CATALOG_AT
@MAX_UNPACKED
@PLATFORM
@pass_common
def fetch_(common: Common, what: str, address: str | None, platform: str) -> None:
    """Bring a ware into the warehouse: from ADDR, or from the mirrors that catalogs and workspaces know for it.

    IMAGE is one as other tools call it (docker.io/library/busybox:1.36, oci:LAYOUT, docker-archive:FILE); so may ADDR
    be, for an oci ware.
    """
    from warpforge.cli.imaging import fetch_image, is_image

    if is_image(what, address):
        fetch_image(common, what, address, platform)
        return
    from warpforge.cli.cmd_mirror import parse_address
    from warpforge.cli.moving import moving

    with moving(common) as moves:
        ware_id = moves.names.ware(what)
        moves.say(ware_id, *moves.transfer.pull(ware_id, [parse_address(address)] if address else None))


@ware.command("show")
@click.argument("what", metavar=f"{WARE}|DIR|FILE")
@GUESSED
@CATALOG_AT
@MAX_UNPACKED
@pass_common
def show(common: Common, what: str, packtype: str | None) -> None:
    """Print the manifest of a tree: type, mode, owner, time, size, content hash and path of every entry.

    A ware is fetched if need be; FILE is an archive; DIR is read as it is.
    """
    with opened(common) as engine, engine.store.use():
        for line in make_manifest(common, engine, what, packtype):
            common.result(to_json({"entry": serial_entry(line.entry, line.digest)}) if common.json else str(line))


def make_manifest(common: Common, engine: Engine, what: str, packtype: str | None) -> Iterator[Line]:
    """The lines of a directory, an archive or a ware, in canonical order."""
    from warpforge.fsx.tree import walk
    from warpforge.pack.manifest import make_lines
    from warpforge.pack.packer import manifest

    if os.path.isdir(what):
        with _directory(what, what) as fd:
            yield from make_lines(walk(fd))
    elif os.path.lexists(what) or ":" not in what or "//" in what:
        with open_archive(common, what) as stream:
            yield from manifest(stream, packtype or guess_packtype(stream), limits=engine.limits)
    else:
        ware_id = named(common, engine, what)
        with engine.supply.packed(ware_id) as packed:
            yield from manifest(packed, engine.supply.at_rest(ware_id)[0], limits=engine.supply.limits_of(ware_id))


def named(common: Common, engine: Engine, what: str, *, use: bool = False) -> WareId:
    """The ware that a person names. Errors: as ``Names.wares``."""
    from warpforge.engine.naming import Names

    return Names(engine, common.settings.cwd).ware(what, use=use)


def tell_ware(common: Common, ware: WareId) -> None:
    """A ware's id, as the result."""
    common.result(to_json({"ware": str(ware)}) if common.json else str(ware))


def serial_entry(entry: Entry, digest: bytes | None = None) -> dict[str, object]:
    """An entry as JSON; ``digest``: the BLAKE3 hash of its content, where it was read."""
    return {
        "path": serial_text(entry.path) or ".",
        "type": entry.kind,
        "mode": f"{entry.mode:04o}",
        "uid": entry.uid,
        "gid": entry.gid,
        "mtime": entry.mtime,
        "size": entry.size,
        **({"link": serial_text(entry.link)} if entry.link else {}),
        **({"blake3": digest.hex()} if digest else {}),
    }


def serial_text(name: bytes) -> str:
    """A name in JSON: bytes that are no UTF-8 are escaped."""
    return os.fsdecode(name).encode("utf-8", "backslashreplace").decode()


def guess_packtype(stream: BinaryIO) -> str:
    """``ztar`` for an archive that ends with a seek table as we write it, ``zip`` for a zip, else ``tar``."""
    if not stream.seekable():
        return "tar"
    start = stream.tell()
    head = stream.read(len(ZIP))
    end = stream.seek(0, os.SEEK_END)
    stream.seek(max(start, end - len(SEEKABLE)))
    tail = stream.read(len(SEEKABLE))
    stream.seek(start)
    if head == ZIP:
        return "zip"
    return "ztar" if tail == SEEKABLE else "tar"


@contextmanager
def open_archive(common: Common, source: str) -> Iterator[BinaryIO]:
    """An archive given as a file, ``-`` or an address. Errors: ``missing``, ``io``, ``fetch``."""
    if source == "-":
        yield sys.stdin.buffer
    elif "://" in source:
        from warpforge.mirror.protocol import connect

        address = WarehouseAddr.parse(source)
        if address.is_content_addressed:
            refuse_argument(f"{source} keeps many wares: name one of them")
        with connect(address, common.settings.access()).open(WareId("tar", "-")) as stream:
            yield stream
    else:
        try:
            file = open(source, "rb")
        except FileNotFoundError as error:
            raise Missing("missing", f"{source}: there is no such archive", cause=error, path=source) from error
        except OSError as error:
            raise Unable("io", f"{source} cannot be read: {error.strerror}", cause=error, path=source) from error
        with file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) and not stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
                raise Unable("io", f"{source} is not a file that can be read", path=source)
            yield file


@contextmanager
def opened(common: Common, directory: Path | None = None) -> Iterator[Engine]:
    """The engine over the workspaces of a directory (default: here)."""
    from warpforge.cli.render import make_reporter
    from warpforge.engine.engine import Engine
    from warpforge.workspace.find import find_stack

    settings = common.settings
    with Engine(
        find_stack(directory or settings.cwd, settings.home),
        make_reporter(common),
        common.options(),
    ) as engine:
        yield engine


@contextmanager
def _directory(path: str, named: str) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Missing("missing", f"{named}: there is no such directory", cause=error, path=named) from error
    except OSError as error:
        raise Unable("io", f"{named} cannot be read: {error.strerror}", cause=error, path=named) from error
    try:
        yield fd
    finally:
        os.close(fd)


def _push(common: Common, ware_id: WareId, to: str) -> None:
    from warpforge.cli.cmd_mirror import parse_address
    from warpforge.cli.moving import moving

    with moving(common) as moves:
        moves.transfer.push(ware_id, parse_address(to), force=True)
