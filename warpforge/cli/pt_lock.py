"""``pt lock``: which digest each image's name means, and what is at addresses of Dockerfiles, written down."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from warpforge.cli.app import Command, Common, pass_common, printable, refuse_argument, to_json
from warpforge.errors import Failed, WarpforgeError, beneath
from warpforge.model.units import counted

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.polytope.containers.image_names import ImageNames
    from warpforge.polytope.containers.lockfile import LockFile
    from warpforge.polytope.dockerfile.adding import Adder
    from warpforge.polytope.files.library import Library


@click.command(cls=Command, name="lock")
@click.argument("refs", nargs=-1, metavar="[IMAGE|ADDRESS]...")
@click.option("-f", "--file", metavar="FILE", help="The polytope file; else the one that belongs to this directory.")
@click.option("--update", is_flag=True, help="Ask anew, for what is locked already, too.")
@click.option("--check", is_flag=True, help="Change nothing; fail when one is not locked.")
@pass_common
def lock(common: Common, refs: tuple[str, ...], *, file: str | None, update: bool, check: bool) -> None:
    """Write into polytope.lock which digest each IMAGE means, and what is at each ADDRESS, beside the polytope file.

    Without either: all images that the project's files name, and all addresses that builds of images have added so
    far. From then on a tag means that digest, whatever the registry says, and an address that file or commit. When
    that fails for some, the others are locked all the same.
    """
    from warpforge.cli.pt_world import open_library
    from warpforge.polytope.containers.lockfile import NAME, LockFile

    if update and check:
        refuse_argument("--check changes nothing: leave --update out")
    library = open_library(common, file)
    locked = LockFile(Path(library.directory, NAME))
    wanted = [*dict.fromkeys(refs)] or [*_named(common, library), *locked.files]
    if check:
        _check(common, locked, wanted)
        return
    changed, failures = _lock(common, library, locked, wanted, update=update)
    if changed:
        locked.save()
    common.note(f"{changed} of {len(wanted)} changed in {locked.path}")
    for failure in failures[:-1]:
        common.note(printable(f"{failure.message}: {failure.chain()[-1].message}"))
    if failures:
        raise failures[-1]


def _named(common: Common, library: Library) -> list[str]:
    from warpforge.engine.images import REGISTRY, parse_called
    from warpforge.polytope.code.evaluator import Evaluator
    from warpforge.polytope.survey.image_list import list_images

    with Evaluator() as evaluator:
        found = list_images(library, evaluator, str(common.settings.cwd))
    return [image for image in found if parse_called(image, Path(library.directory)).kind == REGISTRY]


def _check(common: Common, locked: LockFile, wanted: list[str]) -> None:
    missing = [one for one in wanted if not locked.meaning(one)]
    if missing:
        raise Failed(
            "invalid", f"{locked.path} does not lock {', '.join(missing)}: run `pt lock`", reason="lock", images=missing
        )
    images = sum(one in locked.images for one in wanted)
    others = f" and what is at {len(wanted) - images} addresses" if images < len(wanted) else ""
    common.note(f"{locked.path} locks {counted(images, 'image')}{others}")


def _lock(
    common: Common, library: Library, locked: LockFile, wanted: list[str], *, update: bool
) -> tuple[int, list[WarpforgeError]]:
    """How many were changed, and why others could not be locked."""
    from warpforge.engine.engine import Engine
    from warpforge.engine.events import Reporter
    from warpforge.workspace.find import find_stack

    changed = 0
    failures: list[WarpforgeError] = []
    stack = find_stack(Path(library.directory), common.settings.home)
    with Engine(stack, Reporter(), common.options()) as engine, engine.store.use():
        locking = _Locking(engine, locked, Path(library.directory))
        for one in wanted:
            before = locked.meaning(one)
            try:
                is_new = locking.lock(one, update=update)
            except WarpforgeError as error:
                failures.append(beneath(error, f"{one} was not locked", image=one))
                continue
            changed += is_new
            _tell(common, locked, one, before, is_new=is_new)
    return changed, failures


def _tell(common: Common, locked: LockFile, what: str, before: str, *, is_new: bool) -> None:
    now = locked.meaning(what)
    was = before if before not in ("", now) else ""
    if common.json:
        kind = "image" if what in locked.images else "address"
        said = {kind: what, "digest": now, "changed": is_new, **({"was": was} if was else {})}
        common.result(to_json({"locked": said}))
        return
    common.result(printable(f"{what}  {now}"))
    if was:
        common.note(printable(f"{what} was {was}"))


class _Locking:
    """Asks what names and addresses mean, and has the lock file say it."""

    def __init__(self, engine: Engine, locked: LockFile, directory: Path) -> None:
        self._engine = engine
        self._locked = locked
        self._directory = directory

    def lock(self, what: str, *, update: bool) -> bool:
        """Whether that changes anything. Errors: as ``ImageNames.lock``, as ``Adder.look``."""
        from warpforge.polytope.dockerfile.adding import is_address, is_git

        if not is_address(what) and not is_git(what):
            return self._names.lock(what, update=update)
        before = self._locked.files.get(what)
        if before is None or update:
            self._locked.files[what] = self._adder.look(what)
        return self._locked.files[what] != before

    @cached_property
    def _names(self) -> ImageNames:
        from warpforge.polytope.containers.image_names import ImageNames

        return ImageNames(self._engine, self._locked, self._directory)

    @cached_property
    def _adder(self) -> Adder:
        from warpforge.polytope.dockerfile.adding import NO_PINS, Adder
        from warpforge.polytope.dockerfile.trees import Trees

        return Adder(self._engine, Trees(self._engine), NO_PINS)
