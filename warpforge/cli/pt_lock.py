"""``pt lock``: which digest each image's name means, written down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from warpforge.cli.app import Command, Common, pass_common, printable, refuse_argument, to_json
from warpforge.errors import Failed, WarpforgeError, beneath
from warpforge.model.units import counted

if TYPE_CHECKING:
    from warpforge.polytope.containers.lockfile import LockFile
    from warpforge.polytope.files.library import Library


@click.command(cls=Command, name="lock")
@click.argument("refs", nargs=-1, metavar="[IMAGE]...")
@click.option("-f", "--file", metavar="FILE", help="The polytope file; else the one that belongs to this directory.")
@click.option("--update", is_flag=True, help="Ask the registries anew, for what is locked already, too.")
@click.option("--check", is_flag=True, help="Change nothing; fail when an image is not locked.")
@pass_common
def lock(common: Common, refs: tuple[str, ...], *, file: str | None, update: bool, check: bool) -> None:
    """Write into polytope.lock which digest each IMAGE means, beside the polytope file.

    Without IMAGE, all that the project's files name. From then on a tag means that digest, whatever the registry says.
    When that fails for some images, the others are locked all the same.
    """
    from warpforge.cli.pt_world import open_library
    from warpforge.polytope.containers.lockfile import NAME, LockFile

    if update and check:
        refuse_argument("--check changes nothing: leave --update out")
    library = open_library(common, file)
    locked = LockFile(Path(library.directory, NAME))
    wanted = [*dict.fromkeys(refs)] or _named(common, library)
    if check:
        _check(common, locked, wanted)
        return
    changed, failures = _lock(common, library, locked, wanted, update=update)
    if changed:
        locked.save()
    common.note(f"{len(changed)} of {len(wanted)} changed in {locked.path}")
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
    missing = [image for image in wanted if image not in locked.images]
    if missing:
        raise Failed(
            "invalid", f"{locked.path} does not lock {', '.join(missing)}: run `pt lock`", reason="lock", images=missing
        )
    common.note(f"{locked.path} locks {counted(len(wanted), 'image')}")


def _lock(
    common: Common, library: Library, locked: LockFile, wanted: list[str], *, update: bool
) -> tuple[list[str], list[WarpforgeError]]:
    """The images that were changed, and why others could not be locked."""
    from warpforge.engine.engine import Engine
    from warpforge.engine.events import Reporter
    from warpforge.polytope.containers.image_names import ImageNames
    from warpforge.workspace.find import find_stack

    changed: list[str] = []
    failures: list[WarpforgeError] = []
    stack = find_stack(Path(library.directory), common.settings.home)
    with Engine(stack, Reporter(), common.options()) as engine, engine.store.use():
        names = ImageNames(engine, locked, Path(library.directory))
        for image in wanted:
            try:
                if names.lock(image, update=update):
                    changed.append(image)
            except WarpforgeError as error:
                failures.append(beneath(error, f"{image} was not locked", image=image))
                continue
            digest = locked.images[image].digest
            if common.json:
                common.result(to_json({"locked": {"image": image, "digest": digest, "changed": image in changed}}))
            else:
                common.result(printable(f"{image}  {digest}"))
    return changed, failures
