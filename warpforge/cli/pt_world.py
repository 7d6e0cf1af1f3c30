"""What the commands of ``pt`` stand in: the file, what it includes, what a person configured, and what is stored."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from warpforge.cli.app import Common
from warpforge.errors import Invalid, Missing, Unable
from warpforge.workspace.find import INTERNAL

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.polytope.containers.checkouts import Revisions
    from warpforge.polytope.files.library import Library
    from warpforge.polytope.jobs.stores import Layers, Store

OWN: Final = "polytope"
CONTEXT: Final = "default"


def open_library(
    common: Common, file: str | None = None, *, highest: bool = False, engine: Callable[[], Engine] | None = None
) -> Library:
    """The file named, or the nearest from here upward (or the highest of the git repository), and all it includes.
    ``engine``: that of the command, which reads revisions; one that has none uses one for the while.

    A library without a file knows the built-ins alone. Errors: ``serialization``, ``module-invalid``, ``missing``.
    """
    from warpforge.polytope.files.library import Library, find_file, find_highest, find_in

    cwd = str(common.settings.cwd)
    path = (find_highest if highest else find_file)(cwd) if file is None else os.path.join(cwd, file)
    if path is not None and os.path.isdir(path):
        inside = find_in(path)
        if inside is None:
            raise Missing("missing", f"there is no polytope.yml in {path}", path=path)
        path = inside
    return Library(path, directory=cwd, repositories=_repositories(common), revision=_revisions(common, engine))


def _revisions(common: Common, engine: Callable[[], Engine] | None) -> Callable[[str, str], str]:
    """Reads revisions of checkouts; what it copies goes with the command."""
    top = click.get_current_context().find_root()

    def work() -> Path:
        from tempfile import TemporaryDirectory

        return Path(top.with_resource(TemporaryDirectory(prefix="pt-revision-", ignore_cleanup_errors=True)))

    def own() -> AbstractContextManager[Engine]:
        from warpforge.engine.engine import Engine
        from warpforge.engine.events import Reporter
        from warpforge.workspace.find import find_stack

        if engine is not None:
            return nullcontext(engine())
        return Engine(find_stack(common.settings.cwd, common.settings.home), Reporter(), common.options())

    @cache
    def revisions() -> Revisions:
        from warpforge.polytope.containers.checkouts import Revisions

        return Revisions(own, work)

    return lambda checkout, revision: revisions().find(checkout, revision)


def _repositories(common: Common) -> dict[str, str]:
    """``repos:`` of the configuration: where checkouts are. Errors: ``serialization``, ``invalid``."""
    home = common.settings.config_home
    path = common.settings.cwd / common.config_file if common.config_file else home and home / OWN / "config.yaml"
    if path is None or not (common.config_file or path.is_file()):
        return {}
    from warpforge.cli.files import read_document
    from warpforge.polytope.text.document import load_document

    value = load_document(read_document(str(path)), str(path)).value
    repos = value.get("repos") if isinstance(value, dict) else None
    if repos is None:
        return {}
    if not isinstance(repos, dict) or not all(isinstance(place, str) for place in repos.values()):
        raise Invalid("invalid", f"{path}: repos is a map from owner/name to the directory of a checkout", path=path)
    return {name: str(Path(path.parent, str(place)).expanduser()) for name, place in repos.items()}


def open_stores(common: Common, library: Library, context: str | None = None) -> Layers:
    """The project's values and secrets, before those of the context that it was asked for, or of ``default``."""
    from warpforge.polytope.jobs.stores import Layers

    shared = store_of(common, None, context or CONTEXT)
    own = [store_of(common, library, None)] if library.root is not None else []
    return Layers([*own, shared])


def store_of(common: Common, library: Library | None, context: str | None) -> Store:
    """The store of a context, or of the project; without a project that of the context ``default``."""
    from warpforge.polytope.jobs.stores import Key, Store

    config, state = common.settings.config_home, common.settings.state_home
    if config is None or state is None:
        raise Unable("store", "no home directory: values and secrets need one (HOME)")
    key = Key(str(config / OWN / "secrets.key"))
    if context is None and library is not None and library.root is not None:
        return Store(str(Path(library.directory, INTERNAL, OWN)), key)
    name = context or CONTEXT
    if not name.replace("-", "").replace("_", "").isalnum():
        raise Invalid("invalid-argument", f"{name!r} is no name of a context: letters, digits, - and _")
    return Store(str(state / OWN / "contexts" / name), key)
