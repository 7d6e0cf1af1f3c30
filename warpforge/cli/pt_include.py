"""pt include: another file's modules and tools, from now on usable here."""

from __future__ import annotations

import os
import re

import click

from warpforge.cli.app import Command, Common, pass_common
from warpforge.errors import Missing


@click.command(cls=Command, name="include")
@click.argument("sources", nargs=-1, required=True, metavar="DIR|FILE|gh:OWNER/NAME...")
@pass_common
def include(common: Common, sources: tuple[str, ...]) -> None:
    """Add entries to `include:` of the project's file, which is made when there is none.

    A directory's polytope file is meant; gh:OWNER/NAME is a repository, whose checkout `repos:` of the configuration
    names.
    """
    from warpforge.polytope.files.amend import add_calls
    from warpforge.polytope.files.library import find_file, find_in

    cwd = str(common.settings.cwd)
    found = find_file(cwd)
    project = os.path.dirname(found) if found else cwd
    for source in sources:
        entry = source
        if not re.fullmatch(r"[a-z]+:[^/\s]+/[^/\s]+", source):
            path = os.path.join(cwd, source)
            if os.path.isdir(path) and find_in(path) is None:
                raise Missing("missing", f"there is no polytope.yml in {source}", path=path)
            if not os.path.exists(path):
                raise Missing("missing", f"there is no {source} to include", path=path)
            entry = os.path.relpath(path, project)
        written = add_calls(project, entry, ())
        common.note(f"{', '.join(written)} includes {entry}" if written else f"{entry} is included already")
