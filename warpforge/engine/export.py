"""Export: the tree of a ware in a form that others take, whole or not at all, and never over something else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from warpforge.errors import Failed, store_error
from warpforge.fsx.atomic import fsync_dir, random_name, rename_noreplace

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.fsx.tree import Content, Entry
    from warpforge.model.atoms import WareId
    from warpforge.pack.filters import Filters
    from warpforge.pack.image_writer import Making
    from warpforge.pack.packer import Sum

STDOUT = "-"
Write = Callable[[bytes], object]


class Exporter:
    """Exports the wares of an engine. ``stdout``: what ``-`` stands for."""

    def __init__(self, engine: Engine, stdout: BinaryIO) -> None:
        self._engine = engine
        self._store = engine.store
        self._stdout = stdout

    def tar(self, ware: WareId, goal: str, filters: Filters, compression: str) -> None:
        """A tar at ``goal``, in canonical order. Errors: ``already-exists``, ``store``, and those of supply."""
        from warpforge.pack.compressors import make_compressor
        from warpforge.pack.writing import write_tree

        with self._file(goal) as sink, self._tree(ware, filters) as (entries, check):
            packer = make_compressor(compression)
            check(write_tree(entries, filters, lambda data: sink.write(packer.compress(data))))
            sink.write(packer.flush())

    def image(self, ware: WareId, goal: str, filters: Filters, making: Making, tag: str = "") -> WareId:
        """An image of one layer: a layout's directory, or a tar of it where ``goal`` ends in .tar or is ``-``.

        Gives its id. Errors: as ``tar``; ``ware-invalid`` (type) for a ware that is a single file.
        """
        from warpforge.pack.image_writer import make_image, write_archive, write_directory

        archive = goal == STDOUT or goal.endswith(".tar")
        _refuse_existing(goal)
        with (
            self._tree(ware, filters) as (entries, check),
            make_image(entries, filters, making, scratch=self._store.staging.directory()) as made,
        ):
            check(made.sum)
            if archive:
                with self._file(goal) as sink:
                    write_archive(made, sink, tag)
            else:
                with _directory(goal) as staged:
                    write_directory(made, staged, tag)
        return made.sum.ware

    @contextmanager
    def _tree(
        self, ware: WareId, filters: Filters
    ) -> Iterator[tuple[Iterator[tuple[Entry, Content | None]], Callable[[Sum], None]]]:
        """A ware's entries, and what compares the sum of what was made of them with the ware."""
        from warpforge.pack.filters import SCAN
        from warpforge.pack.limits import UNLIMITED
        from warpforge.pack.open_tree import open_tree
        from warpforge.pack.packer import scan

        supply, store = self._engine.supply, self._store
        with supply.packed(ware) as packed:
            at_rest, expect = supply.at_rest(ware)
            known = str(ware) if ware.packtype == "ztar" else store.duals.get(ware)
            if known is None or filters != SCAN:
                seen = scan(packed, at_rest, limits=UNLIMITED)
                if expect is not None and seen.ware != expect:
                    raise _mismatch(ware, str(seen.ware))
                packed.seek(0)

            def check(seen: Sum) -> None:
                if filters == SCAN and known is not None and seen.dual != known:
                    raise _mismatch(ware, seen.dual)

            with open_tree(packed, at_rest, scratch=store.staging.directory()) as entries:
                yield entries, check

    @contextmanager
    def _file(self, goal: str) -> Iterator[BinaryIO]:
        """A file that gets its name when all of it is written."""
        if goal == STDOUT:
            yield self._stdout
            self._stdout.flush()
            return
        _refuse_existing(goal)
        staged = _beside(goal)
        try:
            with storing_to(goal), open(staged, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _name(staged, goal)
        except BaseException:
            with suppress(OSError):
                os.unlink(staged)
            raise


@contextmanager
def _directory(goal: str) -> Iterator[str]:
    """A directory that gets its name when all of it is written."""
    from warpforge.fsx.remove import remove_tree

    staged = _beside(goal)
    try:
        with storing_to(goal):
            os.mkdir(staged)
            yield staged
        _name(staged, goal)
    except BaseException:
        with suppress(OSError):
            remove_tree(-100, os.fsencode(staged), missing_ok=True)
        raise


@contextmanager
def storing_to(goal: str) -> Iterator[None]:
    """Errors: ``store`` for a place that cannot be written."""
    try:
        yield
    except OSError as error:
        raise store_error(error, f"cannot export to {goal}") from error


def _beside(goal: str) -> str:
    directory, name = os.path.split(os.path.abspath(goal))
    return os.path.join(directory, random_name(f".{name[:64]}."))


def _name(staged: str, goal: str) -> None:
    with storing_to(goal):
        try:
            rename_noreplace(staged, os.path.abspath(goal))
        except FileExistsError:
            _refuse_existing(goal)
            raise
        fsync_dir(os.path.dirname(os.path.abspath(goal)))


def _refuse_existing(goal: str) -> None:
    if goal != STDOUT and os.path.lexists(goal):
        raise Failed("already-exists", f"{goal} is there already: name another place, or remove it", path=goal)


def _mismatch(ware: WareId, found: str) -> Failed:
    return Failed(
        "ware-mismatch",
        f"{ware} in the warehouse is {found}: `warpforge store repair`",
        expected=ware,
        actual=found,
        reason="hash",
    )
