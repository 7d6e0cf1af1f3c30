"""``warpforge ware ls``, ``cat`` and ``diff``: looking into wares without unpacking them."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from warpforge.cli.app import WARE, Command, Common, pass_common, printable, to_json
from warpforge.cli.cmd_ware import (
    FILTERS,
    GUESSED,
    guess_packtype,
    make_manifest,
    named,
    open_archive,
    opened,
    serial_entry,
    serial_text,
)
from warpforge.cli.conduct import CATALOG_AT
from warpforge.cli.units import MAX_UNPACKED

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.fsx.tree import Entry
    from warpforge.pack.diff import Change
    from warpforge.pack.filters import Filters
    from warpforge.pack.lazy import Lazy
    from warpforge.pack.manifest import Line

TEXT: Final = 1 << 20  # bytes of a file that is still compared line by line
TEXTS: Final = 64 << 20  # bytes of all such files together


@click.command(cls=Command, name="ls")
@click.argument("what", metavar=f"{WARE}|FILE")
@click.argument("path", metavar="[PATH]", default="")
@click.option("--long", "-l", "is_long", is_flag=True, help="Also type, mode, owner, time and size.")
@click.option("--recursive", "-R", is_flag=True, help="Everything below, not only the children.")
@GUESSED
@CATALOG_AT
@MAX_UNPACKED
@pass_common
def ls(common: Common, what: str, path: str, packtype: str | None, *, is_long: bool, recursive: bool) -> None:
    """List what a ware holds at PATH, without reading the contents.

    Directories end in a slash. A ware that is not here is fetched.
    """
    from warpforge.pack.lazy import normal

    with opened(common) as engine, _lazy(common, engine, what, packtype) as lazy:
        top = b""
        for number, entry in enumerate(lazy.entries(normal(os.fsencode(path)))):
            if not number:
                top = entry.path
                if entry.kind == "d":
                    continue
            if recursive or entry.path == top or b"/" not in entry.path[len(top) :].strip(b"/"):
                _show_entry(common, entry, is_long=is_long)


@click.command(cls=Command, name="cat")
@click.argument("what", metavar=f"{WARE}|FILE")
@click.argument("path", metavar="[PATH]", default="")
@GUESSED
@CATALOG_AT
@MAX_UNPACKED
@pass_common
def cat(common: Common, what: str, path: str, packtype: str | None) -> None:
    """Write one file of a ware to standard output, reading as little of the rest as can be.

    Symlinks are followed inside the ware. PATH may be left out for a ware that is a single file.
    """
    with opened(common) as engine, _lazy(common, engine, what, packtype) as lazy:
        out = sys.stdout.buffer
        for piece in lazy.open(os.fsencode(path)):
            out.write(piece)
        out.flush()


@click.command(cls=Command, name="diff")
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@click.option("--brief", is_flag=True, help="No text diffs, only what changed.")
@GUESSED
@CATALOG_AT
@FILTERS
@MAX_UNPACKED
@pass_common
def diff(common: Common, old: str, new: str, packtype: str | None, filters: str, *, brief: bool) -> int:
    """Tell what differs between two trees: wares, directories or archives. Exits with 1 when something does.

    Per path: + added, - removed, ~ changed (type, mode, owner, time, link, content); of changed texts a diff follows.
    A directory is seen as `ware pack` would pack it; --filters uid=keep,gid=keep,mtime=keep sees it as it is.
    """
    from warpforge.pack.diff import compare
    from warpforge.pack.filters import OUTPUT

    chosen = OUTPUT.parse(filters)
    with opened(common) as engine, engine.store.use():
        sides = [_Side(common, engine, what, packtype, chosen) for what in (old, new)]
        changes = list(compare(sides[0].lines(), sides[1].lines()))
        texts = {} if brief else _texts(changes, sides)
        for change in changes:
            lines = list(_text_diff(change, texts))
            if common.json:
                print(to_json({"change": _serial(change, lines)}))
                continue
            common.result(str(change))
            for line in lines:
                common.result(printable(line))
    return 1 if changes else 0


@click.command(cls=Command, name="origin")
@click.argument("what", metavar=WARE)
@CATALOG_AT
@pass_common
def origin(common: Common, what: str) -> None:
    """Tell from where a ware came that is made of several parts: for git, each commit, its path and its repository."""
    from warpforge.errors import Missing

    with opened(common) as engine, engine.store.use():
        ware = named(common, engine, what)
        parts = engine.store.origins.find(ware)
    if not parts:
        raise Missing("missing", f"nothing is known of where {ware} came from", wareId=ware)
    for part in parts:
        if common.json:
            print(
                to_json(
                    {"origin": {"path": serial_text(os.fsencode(part.path)), "part": part.part, "from": part.address}}
                )
            )
        else:
            common.result(printable(f"{part.part}  {part.address}  {part.path}"))


class _Side:
    """One of two trees: a ware, a directory or an archive."""

    def __init__(self, common: Common, engine: Engine, what: str, packtype: str | None, filters: Filters) -> None:
        self.what = what
        self.is_directory = os.path.isdir(what)
        self._common = common
        self._engine = engine
        self._packtype = packtype
        self._filters = filters

    def lines(self) -> Iterator[Line]:
        """The tree line by line, in canonical order."""
        for line in make_manifest(self._common, self._engine, self.what, self._packtype):
            if not self.is_directory:
                yield line
            elif not self._filters.drops(line.entry):
                yield line._replace(entry=self._filters.apply(line.entry).replace(mtime_ns=0))

    def contents(self, paths: Collection[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        """Some files of it; None for a large one."""
        if self.is_directory:
            for path in paths:
                with open(os.path.join(os.fsencode(self.what), path), "rb") as file:
                    data = file.read(TEXT + 1)
                    yield path, data if len(data) <= TEXT else None
            return
        with _lazy(self._common, self._engine, self.what, self._packtype) as lazy:
            yield from lazy.contents(paths, TEXT)


@contextmanager
def _lazy(common: Common, engine: Engine, what: str, packtype: str | None) -> Iterator[Lazy]:
    """A ware, fetched if need be, or an archive file."""
    from warpforge.pack.lazy import Lazy

    if os.path.lexists(what) or ":" not in what or "//" in what:
        with open_archive(common, what) as stream, _seekable(stream) as archive:
            yield Lazy(archive, packtype or guess_packtype(archive), engine.limits)
        return
    with engine.store.use():
        ware_id = named(common, engine, what)
        with engine.supply.packed(ware_id) as packed:
            yield Lazy(packed, engine.supply.at_rest(ware_id)[0], engine.supply.limits_of(ware_id))


@contextmanager
def _seekable(stream: BinaryIO) -> Iterator[BinaryIO]:
    """The stream, or what comes out of a pipe in a file of its own."""
    if stream.seekable():
        yield stream
        return
    import shutil
    from tempfile import TemporaryFile

    with TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)
        yield copy


def _show_entry(common: Common, entry: Entry, *, is_long: bool) -> None:
    from warpforge.pack.faults import printable as escaped

    if common.json:
        print(to_json({"entry": serial_entry(entry)}))
        return
    shown = (escaped(entry.path) or ".") + ("/" if entry.kind == "d" else "")
    if is_long:
        from time import gmtime, strftime

        when = strftime("%Y-%m-%d %H:%M:%S", gmtime(entry.mtime))
        target = f" -> {escaped(entry.link)}" if entry.kind == "L" else ""
        shown = f"{entry.kind} {entry.mode:04o} {entry.uid}:{entry.gid} {entry.size:>10} {when} {shown}{target}"
    common.result(shown)


def _texts(changes: list[Change], sides: list[_Side]) -> dict[bytes, list[bytes | None]]:
    """The contents, old and new, of files that changed and are small enough to be shown."""
    wanted: list[bytes] = []
    room = TEXTS
    for change in changes:
        if change.old is None or change.new is None or "content" not in change.aspects:
            continue
        sizes = (change.old.entry.size, change.new.entry.size)
        room -= sum(sizes)
        if change.old.digest and change.new.digest and max(sizes) <= TEXT and room >= 0:
            wanted.append(change.path)
    found: dict[bytes, list[bytes | None]] = {path: [None, None] for path in wanted}
    for number, side in enumerate(sides if wanted else ()):
        for path, data in side.contents(wanted):
            found[path][number] = data
    return found


def _text_diff(change: Change, texts: dict[bytes, list[bytes | None]]) -> Iterator[str]:
    """The lines of a unified diff, if both contents are text."""
    from difflib import unified_diff

    old, new = texts.get(change.path, (None, None))
    if old is None or new is None or b"\0" in old or b"\0" in new:
        return
    try:
        before, after = old.decode().splitlines(), new.decode().splitlines()
    except UnicodeDecodeError:
        return
    yield from (f"    {line}" for line in list(unified_diff(before, after, lineterm="", n=2))[2:])


def _serial(change: Change, lines: list[str]) -> dict[str, object]:
    return {
        "path": serial_text(change.path) or ".",
        "aspects": change.aspects,
        **({"old": serial_entry(change.old.entry, change.old.digest)} if change.old else {}),
        **({"new": serial_entry(change.new.entry, change.new.digest)} if change.new else {}),
        **({"diff": [line[4:] for line in lines]} if lines else {}),
    }
